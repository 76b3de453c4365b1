/** The responder as a Sluice application; with `BLOCK_BY=timer`, its worker 1 blocks its event loop. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Sessions } from "../../src/services/Sessions.ts"
import { block } from "./blocking.ts"
import responder from "./responder-app.ts"

export default Layer.mergeAll(
  responder,
  Layer.effectDiscard(Effect.gen(function*() {
    const { worker } = yield* Sessions
    if (process.env.BLOCK_BY === "timer" && worker.worker === 1) block()
  }))
)
