/**
 * One timer for whatever is due next, however many deadlines there are: it is set to the first of them, and set again
 * when it has rung.
 *
 * A deadline that is removed does not stop the timer. It rings then for nothing, which costs less than to set it anew
 * for each of many deadlines that are rarely reached.
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
   * `fork` runs the timer, by the `Clock` of its fiber. `ring` deals with what is due, and answers when it is to ring
   * next: at a time of `now`, or never at `Infinity`.
   */
  constructor(now: () => number, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>, ring: () => number) {
    this.#now = now
    this.#fork = fork
    this.#ring = ring
  }

  /** Rings at the time `at` at the latest. */
  set(at: number): void {
    if (at >= this.#at) return
    this.#fiber?.interruptUnsafe()
    this.#at = at
    this.#fiber = this.#fork(Effect.andThen(Effect.sleep(Math.max(0, at - this.#now())), this.#over))
  }

  /** Rings no more, unless it is set again. */
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
