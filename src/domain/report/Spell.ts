/**
 * A condition that comes and goes, and when that is told: at its beginning, at most once an interval, and at the end of
 * a spell whose beginning was told. However fast it comes and goes, that makes two lines an interval.
 *
 * Pure: the time is a number that is passed in, in milliseconds that only go forward.
 */
export class Spell {
  readonly #interval: number
  #told = -Infinity
  #since: number | undefined

  /** `interval` in milliseconds. */
  constructor(interval: number) {
    this.#interval = interval
  }

  /** Whether a beginning may be told. */
  mayBegin(now: number): boolean {
    return this.#since === undefined && now >= this.#told + this.#interval
  }

  /** Milliseconds since the beginning that was told last. */
  lasted(now: number): number {
    return this.#since === undefined ? 0 : now - this.#since
  }

  /** It is so, or it is not. Returns what is to be told; at an `end`, {@link lasted} is asked before. */
  look(is: boolean, now: number): "begin" | "end" | undefined {
    if (is) {
      if (!this.mayBegin(now)) return undefined
      this.#since = this.#told = now
      return "begin"
    }
    if (this.#since === undefined) return undefined
    this.#since = undefined
    return "end"
  }

  /** Something else was told in the place of a beginning: the next one waits for the interval. */
  told(now: number): void {
    this.#told = now
  }
}
