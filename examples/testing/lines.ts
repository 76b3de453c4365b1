// An app module under test: each line comes back with the worker's number and how often the worker was started again.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createInterface } from "node:readline"
import { SessionDuplex, Sessions } from "sluice/worker"

export default Layer.unwrap(Effect.map(Sessions.Sessions, ({ worker }) =>
  Sessions.layerAccept((session) => {
    const stream = new SessionDuplex.SessionDuplex(session)
    const lines = createInterface({ input: stream })
    // a connection that breaks is not an error of this program
    lines.on("error", () => {})
    lines.on("line", (line) => stream.write(`${worker.worker}.${worker.restarts} ${line}\n`))
    lines.on("close", () => stream.end())
  })))
