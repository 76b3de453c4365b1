/** Pictures of the last minute: congestion for each worker, and what all of them do. */
import { keyOf } from "./history.js"
import { Chart, make, say, Strip } from "./pictures.js"
import { minuteOf, minuteOfAll, place, workerName } from "./seen.js"
import { percent, rate, time } from "./words.js"

/** Rows of workers from which they are smaller. */
const MANY = 12

const strips = new Map()

/** In the order of applications and numbers: a row here is a worker for as long as it is there. */
const drawStrips = ({ workers }) => {
  const there = new Set()
  for (const worker of workers.toSorted((a, b) => a.appIndex - b.appIndex || a.worker - b.worker)) {
    const key = keyOf(worker)
    there.add(key)
    let row = strips.get(key)
    if (row === undefined) {
      row = { name: make("span"), strip: new Strip(), share: make("span", { class: "share" }) }
      strips.set(key, row)
    }
    say(row.name, workerName(worker))
    say(row.share, percent(row.strip.draw(workerName(worker), minuteOf(worker, "congested"))))
  }
  for (const [key] of strips) if (!there.has(key)) strips.delete(key)
  const shown = [...there].flatMap((key) => {
    const { name, share, strip } = strips.get(key)
    return [name, strip.element, share]
  })
  const list = place("strips")
  list.toggleAttribute("data-many", there.size > MANY)
  if (shown.length !== list.children.length || shown.some((element, index) => element !== list.children[index])) {
    list.replaceChildren(...shown)
  }
}

const connections = new Chart(place("connections"), "Connections per second", ["claimed", "revoked", "refused"], rate)
const latency = new Chart(place("latency"), "From offer to claim", ["p50", "p99"], time)

export const drawMinute = (overview) => {
  drawStrips(overview)
  connections.draw(["claimed", "revoked", "refused"].map(minuteOfAll))
  latency.draw(["p50", "p99"].map(minuteOfAll))
}
