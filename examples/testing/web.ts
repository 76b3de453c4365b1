// An app module under test: HTTP, where each answer says which worker it comes from.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SessionHttpServer, Sessions } from "sluice/worker"

export default Layer.unwrap(
  Effect.map(Sessions.Sessions, ({ worker }) =>
    SessionHttpServer.serve((_request, response) => {
      response.end(`worker ${worker.worker}\n`)
    }))
)
