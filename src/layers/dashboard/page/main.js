/** The page, from the overviews that come. */
import { askForToken } from "./actions.js"
import { drawEvents } from "./events.js"
import { follow, token } from "./live.js"
import { drawMinute } from "./minute.js"
import { drawPanels } from "./panels.js"
import { say, set } from "./pictures.js"
import { place, seen } from "./seen.js"
import { drawFigures, drawHost, drawVerdict } from "./verdict.js"
import { things } from "./words.js"
import { drawOpened, drawWorkers } from "./workers.js"

/** Milliseconds without an overview after which what is shown is old. */
const STALE = 2500

const parts = [drawVerdict, drawHost, drawFigures, drawWorkers, drawMinute, drawPanels, drawEvents, drawOpened]

let heardAt = performance.now()

const drawLive = () => {
  const age = performance.now() - heardAt
  const isLive = seen.overview !== undefined && age < STALE
  set(place("live"), "data-live", isLive ? "yes" : "no")
  say(place("live"), isLive ? "live" : seen.overview === undefined ? "connecting" : `stale ${Math.floor(age / 1000)} s`)
}

setInterval(drawLive, 500)

const heard = (kind, data) => {
  if (kind === "viewers") {
    const cut = data.cut === 0 ? "" : `; ${things(data.cut, "viewer")} cut off for taking nothing`
    return say(place("viewers"), `${things(data.now, "viewer")} of this page${cut}`)
  }
  if (kind !== "overview") return
  heardAt = performance.now()
  seen.add(data)
  for (const draw of parts) draw(data)
  drawLive()
}

token.take()
void follow(heard, askForToken)
