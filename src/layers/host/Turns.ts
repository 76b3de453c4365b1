/**
 * Turns of the event loop, handed out one at a time: for work that is long in all, such as a report on many sessions,
 * and must not keep the loop from moving bytes.
 *
 * However many ask, one piece of such work is done in a turn, and whoever asks is served in order. A piece should take
 * about a millisecond.
 */
import * as Effect from "effect/Effect"

export class Turns {
  #isTaken = false
  readonly #waiting = new Set<() => void>()

  /** Succeeds at once if nobody has had the present turn, else in a turn of its own. */
  readonly next: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.#isTaken) {
      this.#take()
      return Effect.void
    }
    return Effect.callback<void>((resume) => {
      const go = () => resume(Effect.void)
      this.#waiting.add(go)
      return Effect.sync(() => void this.#waiting.delete(go))
    })
  })

  #take(): void {
    this.#isTaken = true
    setImmediate(this.#over)
  }

  readonly #over = (): void => {
    this.#isTaken = false
    const [next] = this.#waiting
    if (next === undefined) return
    this.#waiting.delete(next)
    this.#take()
    next()
  }
}
