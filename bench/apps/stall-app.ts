/** The responder as a Sluice application whose worker 1 blocks its event loop. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Sessions } from "../../src/services/Sessions.ts"
import { block } from "./blocking.ts"
import responder from "./responder-app.ts"

export default Layer.mergeAll(
  responder,
  Layer.effectDiscard(Effect.gen(function*() {
    const { worker } = yield* Sessions
    if (worker.worker === 1) block()
  }))
)
