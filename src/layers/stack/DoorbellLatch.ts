/**
 * Doorbells within one thread: a ring opens a latch, and a fiber that waits for it does the waking, at its next turn.
 * No timer is involved, so under `TestClock` the order of things depends on the program alone.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { DoorbellShape } from "../../services/Doorbell.ts"

const side = (mine: Latch.Latch, theirs: Latch.Latch): DoorbellShape => ({
  ring: () => void theirs.openUnsafe(),
  soon: undefined,
  listen: (wake) =>
    mine.await.pipe(
      // a latch resumes its fiber inside the call that opens it, and nothing may be woken inside a ring
      Effect.andThen(Effect.yieldNow),
      // closed before the look, so that a ring during it is heard again
      Effect.andThen(Effect.sync(() => {
        mine.closeUnsafe()
        wake()
      })),
      Effect.catchDefect((error) => Effect.logError("what a doorbell woke has failed", error)),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )
})

/** Two doorbells that ring each other. */
export const makePairUnsafe = (): readonly [DoorbellShape, DoorbellShape] => {
  const a = Latch.makeUnsafe(false)
  const b = Latch.makeUnsafe(false)
  return [side(a, b), side(b, a)]
}

export const makePair = Effect.sync(makePairUnsafe)
