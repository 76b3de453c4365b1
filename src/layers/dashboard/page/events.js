/** What happens, the newest first. */
import { make } from "./pictures.js"
import { place, seen } from "./seen.js"
import { clock } from "./words.js"

export const filter = place("filter")

export const filterEvents = (words) => {
  filter.value = words
  drawEvents()
  filter.scrollIntoView({ block: "center" })
  filter.focus()
}

const lineOf = (event) => {
  const subject = event.app === null ? "" : event.worker === null ? event.app : `${event.app} ${event.worker}`
  return { ...event, subject, whole: `${event.kind} ${subject} ${event.text}`.toLowerCase() }
}

const lines = new Map()

export const drawEvents = () => {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "")
  const phrase = filter.value.trim().toLowerCase()
  const shown = seen.latest.map(lineOf).filter(({ whole }) =>
    whole.includes(phrase) || wanted.every((word) => whole.includes(word))
  )
  const list = place("events")
  const there = new Set(shown.map(({ serial }) => serial))
  for (const [serial, element] of lines) {
    if (there.has(serial)) continue
    element.remove()
    lines.delete(serial)
  }
  let before = list.firstElementChild
  for (const { kind, serial, subject, text, time } of shown) {
    let element = lines.get(serial)
    if (element === undefined) {
      element = make(
        "li",
        {},
        make("time", { datetime: new Date(time).toISOString() }, clock(time)),
        make("span", { class: "kind" }, kind),
        make("span", { class: "text" }, subject === "" ? text : `${subject}: ${text}`)
      )
      lines.set(serial, element)
    }
    if (element === before) before = element.nextElementSibling
    else list.insertBefore(element, before)
  }
}

filter.addEventListener("input", drawEvents)
