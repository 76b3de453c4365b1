/**
 * How far a worker is behind with what it was offered (M15): by at least the offers that were taken back because it had
 * not claimed them in time, and that it has not passed yet.
 *
 * While it is behind by even one offer, it is offered nothing more at any listener, so only the first connection that
 * meets a blocked worker waits for the revocation. Times are milliseconds of `MonotonicTime`.
 */
export class Lag {
  /** How many offers it is behind by now. */
  offers = 0
  /** How often it fell behind. */
  times = 0
  #millis = 0
  #since = 0
  readonly #turned: ((isBehind: boolean) => void) | undefined

  /** `turned` is called when the worker falls behind, and when it has caught up. */
  constructor(turned?: (isBehind: boolean) => void) {
    this.#turned = turned
  }

  /** An offer to the worker was taken back, because it had not claimed it in time. */
  fellBehind(now: number): void {
    if (this.offers++ > 0) return
    this.times++
    this.#since = now
    this.#turned?.(true)
  }

  /** The worker has passed such an offer. */
  caughtUp(now: number): void {
    if (--this.offers !== 0) return
    this.#millis += now - this.#since
    this.#turned?.(false)
  }

  /** For how many milliseconds it has been behind now; 0 when it is not. */
  lasting(now: number): number {
    return this.offers > 0 ? now - this.#since : 0
  }

  /** How many milliseconds in total it has been behind, up to `now`. */
  millis(now: number): number {
    return this.offers > 0 ? this.#millis + now - this.#since : this.#millis
  }
}
