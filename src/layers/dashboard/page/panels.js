/** Listeners, room, refusals, applications. */
import { acts, button, confirm } from "./actions.js"
import { Gauge } from "./pictures.js"
import { CLAIM, claimTime, place, seen, sum } from "./seen.js"
import { column, Table, text } from "./tables.js"
import { bytes, known, NOTHING, number, part, percent, rate } from "./words.js"

const listenerRate = (name) => ({ handle }) => known(seen.listeners.get(handle)?.[name], rate)

const balance = ({ imbalances }) => imbalances.length === 0 ? "✓ balances" : `✗ ${imbalances.join("; ")}`

const acting = (...buttons) => (cell) => {
  let item
  for (const [words, act] of buttons) cell.append(button(words, () => confirm(act(item))), " ")
  return (next) => void (item = next)
}

const listenersTable = new Table(
  place("listeners"),
  [
    text("Listener", ({ endpoint }) => endpoint),
    text("Application", ({ app }) => app, "middle words"),
    text("Arrive", listenerRate("arrived"), "number"),
    text("Offered", ({ offered }) => number(offered), "number middle"),
    text("Claimed", ({ claimed }) => number(claimed), "number middle"),
    text("Revoked", ({ revoked }) => number(revoked), "number"),
    text("Moved", ({ moved }) => number(moved), "number middle"),
    text("Refused", ({ refused }) => number(sum(refused.all)), "number"),
    text("Claim p99", ({ claim }) => claimTime(claim.recent, "p99Millis"), "number middle", CLAIM),
    text(
      "Hold p99",
      ({ hold }) => claimTime(hold.recent, "p99Millis"),
      "number wide",
      "How long connections waited for a worker, in the last ten seconds"
    ),
    text("Sessions", ({ sessions }) => part(sessions.now, sessions.limit), "number middle"),
    text("Held", ({ held }) => part(held.now, held.limit), "number"),
    text(
      "Ledger",
      balance,
      "middle",
      "Every connection that arrived has been claimed, refused, moved, or is still there"
    ),
    column("", acting(["Close", acts.unlisten]), "middle")
  ],
  ({ handle }) => handle,
  ({ imbalances }) => imbalances.length === 0 ? 0 : 2
)

const roomTable = new Table(place("room"), [
  text("What", ({ name }) => name),
  text("Now", ({ gauge, words }) => words(gauge.now), "number"),
  text("Highest", ({ gauge, words }) => words(gauge.highest), "number"),
  text("Limit", ({ gauge, words }) => words(gauge.limit), "number"),
  column("Used", (cell) => {
    const one = new Gauge()
    cell.append(one.element)
    return ({ gauge: { highest, limit, now } }) =>
      one.draw(now, highest, limit, limit === 0 ? NOTHING : percent(now / limit))
  }, "picture")
], ({ name }) => name)

const roomOf = ({ apps, held, memory, sessions, workers }) => [
  { name: "Sessions", gauge: sessions, words: number },
  ...(apps.length < 2
    ? []
    : apps.map(({ name, sessions }) => ({ name: `Sessions of ${name}`, gauge: sessions, words: number }))),
  { name: "Held connections", gauge: held, words: number },
  { name: "Shared memory", gauge: memory, words: bytes },
  { name: "Slots of the fullest queue", gauge: fullest(workers.map(({ queue }) => queue)), words: number }
]

const fullest = (gauges) =>
  gauges.reduce((most, one) => one.now * most.limit >= most.now * one.limit ? one : most, {
    now: 0,
    highest: 0,
    limit: 0
  })

const refusalsTable = new Table(
  place("refusals"),
  [
    text("Reason", ({ reason }) => reason),
    text("Last 10 s", ({ recent }) => number(recent), "number tone"),
    text("In all", ({ all }) => number(all), "number")
  ],
  ({ reason }) => reason,
  ({ recent }) => recent > 0 ? 2 : 0
)

const refusalsOf = ({ lost, refused }) => [
  ...Object.entries(refused.all).map(([reason, all]) => ({ reason, all, recent: refused.recent[reason] ?? 0 })),
  ...(lost.all === 0 ? [] : [{ reason: "lost with their worker", ...lost }])
]

const appsTable = new Table(place("apps"), [
  text("Application", ({ name }) => name),
  text("Generation", ({ generation, reloading }) => `${generation}${reloading ? ", reloading" : ""}`, "number middle"),
  text("Workers", ({ running, workers }) => `${running} of ${workers} run`),
  text("Sessions", ({ sessions }) => part(sessions.now, sessions.limit), "number"),
  column("", acting(["Reload", acts.reload], ["Add a worker", acts.add]))
], ({ name }) => name)

export const drawPanels = (overview) => {
  listenersTable.draw(overview.listeners)
  roomTable.draw(roomOf(overview))
  const refused = refusalsOf(overview)
  refusalsTable.draw(refused)
  place("refusals").hidden = refused.length === 0
  place("no-refusals").hidden = refused.length > 0
  appsTable.draw(overview.apps)
}
