/**
 * What something was a while ago: samples of a count, a few seconds back, to tell what was counted since.
 *
 * Pure: the time is a number that is passed in, in milliseconds that only go forward.
 */

export class Lookback<A> {
  readonly #span: number
  readonly #samples: Array<{ readonly at: number; readonly value: A }>

  /** Goes back `span` milliseconds at least, once it has been fed for that long; until then to what it `began` with. */
  constructor(span: number, at: number, began: A) {
    this.#span = span
    this.#samples = [{ at, value: began }]
  }

  add(at: number, value: A): void {
    const samples = this.#samples
    samples.push({ at, value })
    // the first is the newest of those that are old enough
    while (samples.length > 1 && samples[1]!.at <= at - this.#span) samples.shift()
  }

  /** The newest sample that was taken by `at`; the oldest that there is, where all are newer. */
  before(at: number): { readonly at: number; readonly value: A } {
    const samples = this.#samples
    let found = samples.length - 1
    while (found > 0 && samples[found]!.at > at) found--
    return samples[found]!
  }
}
