/**
 * Whether a queue stands before a worker (X7): how long its offers wait, judged as CoDel judges the packets of a queue.
 *
 * A burst makes some offers wait; a standing queue makes all of them wait. So a worker is congested when for `interval`
 * not one offer was claimed within `target`, and it is clear again with the first that is. What is known of the wait:
 *
 * - an offer that is claimed has waited until then, and so has one that was taken back when the worker comes past it;
 * - while offers are pending, the worker has come to none of them since the last one that it has come to;
 * - a congested worker is offered nothing, so it is asked a question in place of an offer ({@link answered}).
 *
 * One offer that waits long is no queue: it takes two that wait, at least `interval` apart, with none in between that
 * did not wait and no gap of more than `interval` of which nothing is known. Only while offers are pending is one enough.
 *
 * A hot path: plain numbers, and nothing is allocated. Times are milliseconds of `MonotonicTime`.
 */

/** The times by which a queue is judged. */
export interface SojournOptions {
  /** The longest wait that is no sign of a queue, in milliseconds; 0 when queues are not judged. */
  readonly sojournTarget: number
  /** How long the least wait has to be longer than that, in milliseconds. */
  readonly sojournInterval: number
}

export class Sojourn {
  readonly #target: number
  readonly #interval: number
  readonly #turned: ((isCongested: boolean) => void) | undefined
  /** When the worker was offered something for the first time. */
  begun = Infinity
  /** Offers that are open. */
  pending = 0
  /** Since when, at least, the first of them waits. */
  #waitsSince = Infinity
  /** Since when every wait that is known was too long, and when that was last seen. */
  #first = Infinity
  #last = -Infinity
  #congestedSince: number | undefined
  #millis = 0
  /** How often it was congested. */
  times = 0

  /** `turned` is called when the worker turns congested, and when it is clear again. */
  constructor({ sojournInterval, sojournTarget }: SojournOptions, turned?: (isCongested: boolean) => void) {
    this.#target = sojournTarget === 0 ? Infinity : sojournTarget
    this.#interval = sojournInterval
    this.#turned = turned
  }

  /** Whether it was congested by all that it has come to. */
  get congested(): boolean {
    return this.#congestedSince !== undefined
  }

  /** Whether it is congested, with the offers that are pending now. */
  isCongested(now: number): boolean {
    if (this.congested) return true
    const since = this.#waitsSince
    if (this.pending === 0 || now - since <= this.#target) return false
    return now - (this.#follows(since) ? this.#first : since + this.#target) >= this.#interval
  }

  /** How many milliseconds in total it has been congested, up to `now`. */
  millis(now: number): number {
    return this.#congestedSince === undefined ? this.#millis : this.#millis + now - this.#congestedSince
  }

  /** An offer has been made. */
  offered(now: number): void {
    if (this.begun === Infinity) this.begun = now
    if (this.pending++ === 0) this.#waitsSince = now
  }

  /** An offer was taken back, and the worker has not come to it. */
  takenBack(): void {
    this.pending--
  }

  /** The worker has claimed an offer that was made at `since`. */
  claimed(since: number, now: number): void {
    const from = Math.min(now, this.#waitsSince + this.#target)
    this.pending--
    this.#waitsSince = now
    this.answered(since, now, from)
  }

  /**
   * The worker has come to something that was sent at `since`: an offer that was taken back, or a question. `from`: since
   * when it is known that it comes too late.
   */
  answered(since: number, now: number, from = now): void {
    if (now - since > this.#target) return this.#tooLong(since, from, now)
    this.#first = Infinity
    if (this.#congestedSince === undefined) return
    this.#millis += now - this.#congestedSince
    this.#congestedSince = undefined
    this.#turned?.(false)
  }

  /** Whether something that has waited from `since` on follows what has waited too long, without a gap. */
  #follows(since: number): boolean {
    return this.#first !== Infinity && since - this.#last <= this.#interval
  }

  #tooLong(since: number, from: number, now: number): void {
    if (!this.#follows(since)) this.#first = from
    this.#last = now
    if (this.congested || now - this.#first < this.#interval) return
    this.times++
    this.#congestedSince = now
    this.#turned?.(true)
  }
}
