/** Waiting for what other fibers, microtasks, threads or the kernel do, without a clock. */
import * as Effect from "effect/Effect"

/** One turn of the event loop. */
export const turn: Effect.Effect<void> = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Some turns: enough for all that needs no clock and no other thread to have happened. */
export const settled: Effect.Effect<void> = Effect.forEach(Array(20), () => turn, { discard: true })

/** Waits until it holds, at most ten seconds; a failure says what was waited for. */
export const until = (what: string, holds: () => boolean): Effect.Effect<void> =>
  Effect.promise(async () => {
    const end = performance.now() + 10_000
    while (!holds()) {
      if (performance.now() > end) throw new Error(`this did not happen: ${what}`)
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  })
