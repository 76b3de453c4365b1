/** The responder as a Sluice application that answers one request a connection. */
import { layerAccept, type Session } from "../../src/services/Sessions.ts"
import { respond } from "./responder.ts"

const handler = {
  readable(session: Session) {
    const bytes = session.read()
    const response = bytes === undefined ? undefined : respond(bytes, 0)
    if (response === undefined) return
    session.write(response)
    session.end()
  },
  ended(session: Session) {
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
