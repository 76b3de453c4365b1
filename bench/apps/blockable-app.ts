/** Keeps its sessions; one that sends a number blocks the event loop of its worker for so many milliseconds. */
import { layerAccept, type SessionHandler } from "../../src/services/Sessions.ts"
import { burn } from "./responder.ts"

const handler: SessionHandler = {
  readable(session) {
    const bytes = session.peek()
    if (bytes === undefined) return
    const millis = Number(Buffer.from(bytes).toString())
    session.drop(bytes.length)
    burn(millis * 1000)
  },
  ended(session) {
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
