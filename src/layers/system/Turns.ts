/**
 * Turns of the event loop, handed out one at a time: for work that is long in all, such as reports, and must not keep the
 * loop from moving bytes.
 *
 * However many ask, one piece of such work is done in a turn, and whoever asks is served in order. After each piece the
 * loop is left to its other work for three times as long as the turn took, so all such work together takes no more than
 * a quarter of the loop's time, and less where the turns are full of other work. A piece should take about a millisecond.
 */
import * as Effect from "effect/Effect"

/** How long the loop is left alone, as a multiple of the turn that a piece was done in; and for how many ms at most. */
const REST = 3
const LONGEST_REST = 20

export class Turns {
  #isTaken = false
  /** When the present turn began, in milliseconds. */
  #begun = 0
  readonly #waiting = new Set<() => void>()

  /** Succeeds at once if nobody has had the present turn and the loop has had its rest, else in a turn of its own. */
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
    this.#begun = performance.now()
    setImmediate(this.#rest)
  }

  readonly #rest = (): void => {
    const rest = REST * (performance.now() - this.#begun)
    // a timer takes a millisecond at the least
    if (rest < 1) this.#over()
    else setTimeout(this.#over, Math.min(rest, LONGEST_REST))
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

/** Those of this thread, for all who do such work on its loop. */
export const turns = new Turns()
