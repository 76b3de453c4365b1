/** The request listener as a Sluice application; with `BLOCK` set, worker 1 blocks its event loop. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { serve } from "../../src/layers/adapters/effect/SessionHttpServer.ts"
import { Sessions } from "../../src/services/Sessions.ts"
import { block } from "./blocking.ts"
import { handler } from "./http-handler.ts"

export default Layer.mergeAll(
  serve(handler),
  Layer.effectDiscard(Effect.map(Sessions, ({ worker }) => {
    if (process.env.BLOCK !== undefined && worker.worker === 1) block()
  }))
)
