/** Keys: the same as those of `sluice top`, where it has them. */
import { acts, cancel, confirm, dialog } from "./actions.js"
import { filter, filterEvents } from "./events.js"
import { make } from "./pictures.js"
import { find, place, seen, workerName } from "./seen.js"
import { openSessions } from "./sessions.js"

const openKeys = () => {
  const keys = [
    ["j k ↓ ↑", "another worker"],
    ["Enter", "all about the worker"],
    ["R", "restart the worker"],
    ["d", "drain the worker"],
    ["s", "its sessions"],
    ["S", "all sessions"],
    ["w", "its events"],
    ["r", "reload its application"],
    ["/", "filter the events"],
    ["Esc", "close what is open"],
    ["?", "these keys"]
  ]
  dialog.open("Keys", [
    make("dl", {}, ...keys.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]))
  ], [cancel("Close")])
}

/** The worker whose row has the focus, or the first one. */
const chosen = () => {
  const key = document.activeElement?.closest("#workers tr")?.dataset.key
  return find(key) ?? seen.inOrder[0]
}

const choose = (step) => {
  const names = [...place("workers").querySelectorAll(".name")]
  const now = names.indexOf(document.activeElement?.closest("#workers tr")?.querySelector(".name"))
  names[Math.max(0, Math.min(names.length - 1, now < 0 ? 0 : now + step))]?.focus()
}

const forChosen = (does) => () => chosen() !== undefined && does(chosen())

const keys = {
  "?": openKeys,
  "/": () => filter.focus(),
  j: () => choose(1),
  k: () => choose(-1),
  d: forChosen((worker) => confirm(acts.drain(worker))),
  R: forChosen((worker) => confirm(acts.restart(worker))),
  r: forChosen(({ app }) => confirm(acts.reload({ name: app }))),
  s: forChosen(openSessions),
  S: () => openSessions(),
  w: forChosen((worker) => filterEvents(workerName(worker)))
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || place("dialog").open) return
  if (event.target instanceof HTMLInputElement) return event.key === "Escape" ? event.target.blur() : undefined
  const inTable = event.target.closest?.("#workers") !== null
  const arrow = inTable ? { ArrowDown: keys.j, ArrowUp: keys.k }[event.key] : undefined
  const does = arrow ?? (Object.hasOwn(keys, event.key) ? keys[event.key] : undefined)
  if (does === undefined) return
  event.preventDefault()
  does()
})
place("help").addEventListener("click", openKeys)
