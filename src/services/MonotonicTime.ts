/**
 * The time by which deadlines are kept and durations are measured: milliseconds that only go forward.
 *
 * Wall time may be set back by an hour while offers, holds and timers run; this time never is. It is the monotonic time
 * of Effect's `Clock`, so it is `process.hrtime` in a running host, the same in all its threads, and under `TestClock`
 * it moves with the test's time. Its origin means nothing: only differences do. What people read, such as the time at
 * which a certificate ends, is wall time and comes from the `Clock` itself.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

const NANOS_PER_MILLI = 1_000_000

/** Milliseconds, with fractions, of the clock's monotonic time. */
export const of = (clock: Clock.Clock): () => number => () => Number(clock.monotonicTimeNanosUnsafe()) / NANOS_PER_MILLI

/** How to read the time of the fiber's clock in plain code. */
export const reader: Effect.Effect<() => number> = Effect.map(Clock.Clock, of)
