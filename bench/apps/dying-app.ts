/**
 * An HTTP application each of whose workers dies again and again, `DEATHS` times in all: of an exception, or by
 * `process.exit`, in turn, some `LIFE` ms after its start and whatever it is at. It answers, after a moment, with the
 * number of bytes that it was sent.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Http from "node:http"
import { serve } from "../../src/layers/adapters/effect/SessionHttpServer.ts"
import { Sessions } from "../../src/services/Sessions.ts"

const DEATHS = Number(process.env["DEATHS"])
const LIFE = Number(process.env["LIFE"])

const handler: Http.RequestListener = (request, response) => {
  let bytes = 0
  request.on("data", (chunk: Buffer) => bytes += chunk.length)
  request.on("end", () => setTimeout(() => response.end(String(bytes)), 1))
}

const die = (restarts: number): void => {
  setTimeout(() => {
    if (restarts % 2 === 0) throw new Error("the worker dies, as it is to")
    process.exit(1)
  }, LIFE * (0.5 + Math.random()))
}

export default Layer.mergeAll(
  serve(handler),
  Layer.effectDiscard(Effect.map(Sessions, ({ worker: { restarts } }) => {
    if (restarts < DEATHS) die(restarts)
  }))
)
