/**
 * One timer for whatever is due next, however many deadlines there are: it is set to the first of them, and set again
 * when it has rung.
 *
 * Removing a deadline does not stop the timer, which then rings for nothing. That costs less than setting it anew for
 * each of many deadlines that are rarely reached.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

export class Alarm {
  readonly #now: () => number
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #ring: () => number
  #at = Infinity
  #fiber: Fiber.Fiber<void> | undefined

  /**
   * `fork` runs the timer, by the `Clock` of its fiber. `ring` deals with what is due, and returns when the alarm is to
   * ring next: at a time of `now`, or never at `Infinity`.
   */
  constructor(now: () => number, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>, ring: () => number) {
    this.#now = now
    this.#fork = fork
    this.#ring = ring
  }

  /** Rings at the time `at`, or before. */
  set(at: number): void {
    if (at >= this.#at) return
    this.#fiber?.interruptUnsafe()
    this.#at = at
    // timers know whole milliseconds: one that is cut short would ring for nothing, and be set again
    this.#fiber = this.#fork(Effect.andThen(Effect.sleep(Math.max(0, Math.ceil(at - this.#now()))), this.#over))
  }

  /** Does not ring until it is set again. */
  stop(): void {
    this.#fiber?.interruptUnsafe()
    this.#fiber = undefined
    this.#at = Infinity
  }

  readonly #over = Effect.sync(() => {
    this.#fiber = undefined
    this.#at = Infinity
    this.set(this.#ring())
  })
}
