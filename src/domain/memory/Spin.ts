/**
 * Whether to look for a while before going to sleep.
 *
 * Waking a thread takes some ten times as long as a look, so an answer that comes at once is best waited for by
 * looking. Where none comes at once, looking only takes the processor away from whoever is to answer. So the time spent
 * looking follows success: it halves whenever it was spent for nothing, down to zero. Then looking is tried again after
 * some sleeps, each time after twice as many, and after few again once it has paid off.
 */

/** The number of microseconds below which looking is not worthwhile. */
const LEAST = 4
/** The most sleeps between two trials. */
const SELDOM = 1024

export class Spin {
  /** The longest time to look, in microseconds. */
  readonly longest: number
  /** How many microseconds to look before the next sleep. */
  budget = 0
  #interval = 1
  #sleeps = 0

  constructor(longest: number) {
    this.longest = longest
  }

  /** Looking has found something. */
  paid(): void {
    this.budget = this.longest
    this.#interval = 1
  }

  /** Looking has found nothing. */
  missed(): void {
    this.budget /= 2
    if (this.budget >= LEAST) return
    this.budget = 0
    this.#interval = Math.min(2 * this.#interval, SELDOM)
  }

  /** What looking might have found has ended a sleep. */
  woken(): void {
    if (this.budget > 0 || ++this.#sleeps < this.#interval) return
    this.#sleeps = 0
    this.budget = this.longest
  }
}
