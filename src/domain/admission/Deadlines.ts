/**
 * Deadlines in their order. A deadline that is not before the last one is added in one step, which holds for all that
 * allow the same time; any deadline is taken out in one step.
 *
 * The entries hold their own links, so nothing is allocated for a deadline. An entry is in one list at a time.
 */

/** What has a deadline. */
export abstract class Timed<Self> {
  /** When its time is over, in milliseconds of `MonotonicTime`. */
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
   * The deadline of an entry begins to run; the entry must not have one yet. Of two deadlines at the same time, the one
   * added first comes first.
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

  /** The deadline of an entry, if it runs, no longer matters. */
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

  /** The time of the first deadline; `Infinity` when none runs. */
  get next(): number {
    return this.#first?.until ?? Infinity
  }

  /** Takes the first entry out if its time is over at `now`. */
  take(now: number): Entry | undefined {
    const first = this.#first
    if (first === undefined || first.until > now) return undefined
    this.remove(first)
    return first
  }
}
