/** The responder as a Sluice application. */
import { layerAccept, type Session } from "../../src/services/Sessions.ts"
import { respond } from "./responder.ts"

const micros = Number(process.env.BURN_MICROS ?? 0)

const handler = {
  readable(session: Session) {
    for (let bytes = session.read(); bytes !== undefined; bytes = session.read()) {
      const response = respond(bytes, micros)
      if (response !== undefined) session.write(response)
    }
  },
  ended(session: Session) {
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
