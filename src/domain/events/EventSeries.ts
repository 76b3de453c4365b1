/**
 * Something that peers can bring about as often as they please, and how it is told: one by one, as long as it is rare,
 * and the rest as a count.
 *
 * A series may have {@link BURST} events of its own at once and {@link PER_SECOND} of them in each second from then on.
 * What is over is counted, until its owner takes the count, once a second. A flood of one kind thus takes no more than
 * eleven events a second: with 6000 events of sessions, what came before it stays for nine minutes (`EventStore`).
 *
 * Pure: the time is a number that is passed in, in milliseconds that only go forward.
 */

/** The most events of a series that are told one by one, one right after the other. */
export const BURST = 100
/** As many may follow in each second. */
export const PER_SECOND = 10

export class EventSeries {
  #left = BURST
  #filled: number
  #count = 0
  #since = 0
  #millis = 0

  constructor(now: number) {
    this.#filled = now
  }

  /** How often it has happened without being told. */
  get count(): number {
    return this.#count
  }

  /** Milliseconds since the first of these. */
  within(now: number): number {
    return this.#count === 0 ? 0 : now - this.#since
  }

  /** The sum of what {@link admit} was given for these. */
  get millis(): number {
    return this.#millis
  }

  /** It has happened, and took so many milliseconds; `true` when it is to be told by itself. */
  admit(now: number, millis = 0): boolean {
    this.#fill(now)
    if (this.#count === 0 && this.#left >= 1) {
      this.#left--
      return true
    }
    if (this.#count++ === 0) this.#since = now
    this.#millis += millis
    return false
  }

  /** The count is told. */
  take(): void {
    this.#count = 0
    this.#millis = 0
  }

  /** Whether nothing is known of it that a new series would not know. */
  isNew(now: number): boolean {
    this.#fill(now)
    return this.#count === 0 && this.#left === BURST
  }

  #fill(now: number): void {
    this.#left = Math.min(BURST, this.#left + (now - this.#filled) * PER_SECOND / 1000)
    this.#filled = now
  }
}
