/**
 * Deadlines in their order. One that is not before the last, as all are that give the same time, is added in one step;
 * any is taken out in one.
 *
 * The entries hold their own links, so nothing is allocated for a deadline. An entry is in one list at a time.
 */

/** What has a deadline. */
export abstract class Timed<Self> {
  /** When it is over, in milliseconds of `MonotonicTime`. */
  until = 0
  /** Whether its deadline runs. */
  runs = false
  earlier: Self | undefined = undefined
  later: Self | undefined = undefined
}

export class Deadlines<Entry extends Timed<Entry>> {
  #first: Entry | undefined
  #last: Entry | undefined

  /**
   * The deadline of an entry begins to run; the entry has none yet. Of two that are over at the same time, the one added
   * first is first.
   */
  add(entry: Entry, until: number): void {
    let earlier = this.#last
    while (earlier !== undefined && earlier.until > until) earlier = earlier.earlier
    const later = earlier === undefined ? this.#first : earlier.later
    entry.until = until
    entry.runs = true
    entry.earlier = earlier
    entry.later = later
    if (earlier === undefined) this.#first = entry
    else earlier.later = entry
    if (later === undefined) this.#last = entry
    else later.earlier = entry
  }

  /** The deadline of an entry, if it runs, matters no longer. */
  remove(entry: Entry): void {
    if (!entry.runs) return
    const { earlier, later } = entry
    entry.runs = false
    entry.earlier = undefined
    entry.later = undefined
    if (earlier === undefined) this.#first = later
    else earlier.later = later
    if (later === undefined) this.#last = earlier
    else later.earlier = earlier
  }

  /** When the first is over; `Infinity` when none runs. */
  get next(): number {
    return this.#first?.until ?? Infinity
  }

  /** Takes the first one out if it is over at the time `now`. */
  take(now: number): Entry | undefined {
    const first = this.#first
    if (first === undefined || first.until > now) return undefined
    this.remove(first)
    return first
  }
}
