/** Answers a request and closes; `/throw` and `/exit` end the worker instead, each in its own way. */
import { layerAccept, type SessionHandler } from "../../src/services/Sessions.ts"
import "../support/inspect.ts"
import { respond } from "./responder.ts"

const handler: SessionHandler = {
  readable(session) {
    for (let bytes = session.read(); bytes !== undefined; bytes = session.read()) {
      const text = Buffer.from(bytes).toString("latin1", 0, 12)
      if (text.startsWith("GET /throw")) {
        setTimeout(() => {
          throw new Error("crashed on request")
        }, 1)
        return
      }
      if (text.startsWith("GET /exit")) process.exit(1)
      const response = respond(bytes, 0)
      if (response === undefined) continue
      session.write(response)
      return session.close()
    }
  },
  ended(session) {
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
