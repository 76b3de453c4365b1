/**
 * Keeps its sessions. One that sends `wait 5000` blocks the event loop of its worker for so many milliseconds, as a
 * synchronous call does; `burn 5000` as an endless loop does, which takes a processor.
 */
import { layerAccept, type SessionHandler } from "../../src/services/Sessions.ts"
import { burn } from "./responder.ts"

const handler: SessionHandler = {
  readable(session) {
    const bytes = session.peek()
    if (bytes === undefined) return
    const [how, millis] = Buffer.from(bytes).toString().split(" ")
    session.drop(bytes.length)
    if (how === "burn") burn(Number(millis) * 1000)
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(millis))
  },
  ended(session) {
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
