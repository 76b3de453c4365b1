/** Waiting for what other fibers, microtasks, threads or the kernel do, without the test's clock. */
import * as Effect from "effect/Effect"
import { setTimeout as sleep } from "node:timers/promises"

/** One turn of the event loop. */
export const turn: Effect.Effect<void> = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Turns of the event loop after which what is waited for is not expected from this thread any more. */
const TURNS = 100

/** Some turns: enough for all that needs no clock and no other thread to have happened. */
export const settled: Effect.Effect<void> = Effect.forEach(Array(20), () => turn, { discard: true })

/**
 * Waits until it holds, for twenty seconds at the longest; a failure says what was waited for.
 *
 * Whatever has not happened after some turns needs another thread, another process or the kernel: they get the
 * processor, and it is looked at again every millisecond.
 */
export const until = (what: string, holds: () => boolean): Effect.Effect<void> =>
  Effect.promise(async () => {
    const end = performance.now() + 20_000
    for (let turns = 0; !holds(); turns++) {
      if (performance.now() > end) throw new Error(`this did not happen: ${what}`)
      if (turns < TURNS) await new Promise<void>((resolve) => setImmediate(resolve))
      else await sleep(1)
    }
  })
