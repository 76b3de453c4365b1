/**
 * The timers that sockets have, which are `setTimeout`'s and not the `Clock`'s, in a test that says when their time passes.
 * Sockets, threads and `until` go on as ever; effects that sleep, and `Effect.timeout`, do not.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { vi } from "vitest"

/** Until the scope closes, timers that are started go by what is passed to this function: milliseconds. */
export const fake: Effect.Effect<(millis: number) => void, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"], shouldClearNativeTimers: true })),
    (timers) => Effect.sync(() => timers.useRealTimers())
  ),
  (timers) => (millis) => void timers.advanceTimersByTime(millis)
)
