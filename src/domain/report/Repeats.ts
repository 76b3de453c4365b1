/**
 * Something that may happen again and again, and how often it is told: the first time at once, and then as a count, no
 * more than one for each interval. After an interval in which it did not happen, it is told at once again.
 *
 * Pure: the time is a number that is passed in, in milliseconds that only go forward.
 */
export class Repeats {
  readonly #interval: number
  #told = -Infinity
  #count = 0

  /** `interval` in milliseconds. */
  constructor(interval: number) {
    this.#interval = interval
  }

  /** How often it has happened without being told. */
  get count(): number {
    return this.#count
  }

  /** When the count is to be told, or, if there is none, when this may be forgotten. */
  get due(): number {
    return this.#told + this.#interval
  }

  /** It has happened `count` times more. Returns whether that is to be told at once. */
  add(now: number, count = 1): boolean {
    if (this.#count === 0 && now >= this.due) {
      this.#told = now
      return true
    }
    this.#count += count
    return false
  }

  /** The count that is to be told now; 0 for none. It is counted as told. */
  take(now: number): number {
    const count = this.#count
    if (count === 0) return 0
    this.#count = 0
    this.#told = now
    return count
  }
}
