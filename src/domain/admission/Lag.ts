/**
 * How far a worker is behind with what it was offered (M15): by at least the offers that were taken back because it had
 * not claimed them in time, and that it has not come past yet.
 *
 * While it is behind by one it is offered nothing more, at any listener: so only the first connection that meets a
 * blocked worker waits for the revocation. Times are milliseconds of `MonotonicTime`.
 */
export class Lag {
  /** Offers that it is behind by now. */
  offers = 0
  /** How often it fell behind. */
  times = 0
  #millis = 0
  #since = 0

  /** An offer to the worker was taken back, because it had not claimed it in time. */
  fellBehind(now: number): void {
    if (this.offers++ > 0) return
    this.times++
    this.#since = now
  }

  /** The worker has come past such an offer. */
  caughtUp(now: number): void {
    if (--this.offers === 0) this.#millis += now - this.#since
  }

  /** Milliseconds, in total, that it has been behind until `now`. */
  millis(now: number): number {
    return this.offers > 0 ? this.#millis + now - this.#since : this.#millis
  }
}
