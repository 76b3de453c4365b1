/**
 * Waiting entries, in the order in which they are served. An entry joins the line at its end or at its front, and may
 * leave it from anywhere, each in one step. The entries hold their own links; an entry is in one line at a time.
 */

/** What can stand in a line. */
export interface Waiting<Self> {
  ahead: Self | undefined
  behind: Self | undefined
}

export class Line<Entry extends Waiting<Entry>> {
  #first: Entry | undefined
  #last: Entry | undefined

  /** The entry that is served next. */
  get first(): Entry | undefined {
    return this.#first
  }

  /** The entry at the other end. */
  get last(): Entry | undefined {
    return this.#last
  }

  pushBack(entry: Entry): void {
    entry.ahead = this.#last
    entry.behind = undefined
    if (this.#last === undefined) this.#first = entry
    else this.#last.behind = entry
    this.#last = entry
  }

  pushFront(entry: Entry): void {
    entry.ahead = undefined
    entry.behind = this.#first
    if (this.#first === undefined) this.#last = entry
    else this.#first.ahead = entry
    this.#first = entry
  }

  /** Takes out an entry that is in the line. */
  remove(entry: Entry): void {
    const { ahead, behind } = entry
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    entry.ahead = undefined
    entry.behind = undefined
  }
}
