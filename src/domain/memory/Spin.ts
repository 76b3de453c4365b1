/**
 * Whether to look for a while before going to sleep.
 *
 * Waking a thread takes some ten times as long as a look does, so where an answer comes at once it is best waited for.
 * Where it does not, looking only takes the processor from whoever is to answer. So the time follows success: it
 * halves whenever it was spent for nothing, down to none. Then it is tried again after some sleeps, each time after
 * twice as many, and after few again once it has paid.
 */

/** Microseconds below which looking is not worth while. */
const LEAST = 4
/** The most sleeps between two trials. */
const SELDOM = 1024

export class Spin {
  /** The most microseconds to look for. */
  readonly longest: number
  /** Microseconds to look for before the next sleep. */
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
