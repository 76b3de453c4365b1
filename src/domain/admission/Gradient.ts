/**
 * Finds how many requests a worker may have in hand, from how long its answers take (X7).
 *
 * Answers that take longer than they used to say that requests wait for something: the loop, a database, a lock. The
 * limit is then taken down, and it goes up as long as more requests in hand do not make answers slower:
 *
 * ```
 * gradient = clamp(TOLERANCE · usual / short, 0.5, 1)                      short: the mean of this window's answers
 * limit    ← (1 − SMOOTHING) · limit + SMOOTHING · (gradient · limit + √limit)
 * ```
 *
 * The square root is the room to try more, so a worker whose answers take twice as long as is tolerated comes down to 4,
 * and one whose answers take as long as ever goes up to its bound. This is Gradient2 of Netflix's concurrency-limits, over
 * windows instead of single answers, and with another mean: what is usual follows shorter times at once, and longer ones
 * the less the higher the limit is. Where much is in hand, that may be why answers are slow; where little is, they are slow
 * for another reason, which has to be lived with. So a limit that is always used does not drive up what is usual, and then
 * itself. A window in which less than half of the limit was in hand says nothing about the limit, and changes nothing.
 *
 * Numbers only: times are milliseconds that only go forward.
 */

/** What the limit begins with. */
export const INITIAL = 20
/** The least that the limit comes down to. */
export const LEAST = 4
/** A window lasts for at least so long, and has at least so many answers. */
export const WINDOW = 100
export const ANSWERS = 10
/** Answers may take longer than is usual by this factor: they always vary. */
const TOLERANCE = 1.5
const SMOOTHING = 0.2
/** The part that a window has in what is usual where it was shorter; and where it was longer, with the least limit. */
const SHORTER = 0.2
const LONGER = 0.05

export class Gradient {
  readonly #most: number
  #limit: number
  #usual = 0
  #began = -Infinity
  #answers = 0
  #millis = 0
  #busiest = 0

  /** `most`: the most that the limit goes up to. */
  constructor(most: number) {
    this.#most = most
    this.#limit = Math.min(INITIAL, most)
  }

  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** An answer took so long, and with its request so many were in hand. */
  answered(millis: number, inHand: number, now: number): void {
    if (this.#answers === 0) this.#began = now
    this.#answers++
    this.#millis += millis
    this.#busiest = Math.max(this.#busiest, inHand)
    if (this.#answers < ANSWERS || now - this.#began < WINDOW) return
    this.#close(this.#millis / this.#answers)
    this.#answers = this.#millis = this.#busiest = 0
  }

  #close(short: number): void {
    if (this.#usual === 0) this.#usual = short
    else this.#usual += (short < this.#usual ? SHORTER : LONGER * (LEAST / this.#limit) ** 2) * (short - this.#usual)
    if (this.#busiest < this.#limit / 2) return
    // answers that take no time at all are as fast as ever
    const gradient = short === 0 ? 1 : Math.min(1, Math.max(0.5, TOLERANCE * this.#usual / short))
    const next = gradient * this.#limit + Math.sqrt(this.#limit)
    this.#limit += SMOOTHING * (next - this.#limit)
    this.#limit = Math.min(this.#most, Math.max(Math.min(LEAST, this.#most), this.#limit))
  }
}
