/** The responder as a Sluice application. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Session, Sessions } from "../../src/services/Sessions.ts"
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

export default Layer.effectDiscard(Effect.gen(function*() {
  const sessions = yield* Sessions
  for (const endpoint of sessions.endpoints) {
    yield* sessions.listen(endpoint, (session) => {
      session.handler = handler
    })
  }
}))
