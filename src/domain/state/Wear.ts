/**
 * When a worker has served for long enough to be replaced by a new start: its heap stays large, or it has had as many
 * sessions as it may (X6).
 *
 * **Heap** What a heap has in use goes up until it is collected, and then down to what is needed. So it is the least that
 * was seen within {@link WINDOW} that is held against the limit. A fresh start may need as much: what was replaced as
 * soon as it was allowed waits twice as long the next time.
 *
 * Pure: times are numbers that are passed in, in milliseconds that only go forward.
 */

/** Milliseconds in which a heap has to be collected, if it is to be seen that it can be. */
export const WINDOW = 5000

/** Milliseconds between two replacements of a worker for its heap: the least, and the most. */
const SHORTEST = 60_000
const LONGEST = 3_600_000

/** Which part of a worker's sessions may be left: workers that start together are not replaced together. */
const SPREAD = 0.1

/** The heap of one start. */
export class HeapUse {
  readonly #seen: Array<{ readonly at: number; readonly used: number }> = []
  #since: number | undefined

  /** Returns the bytes that are in use whatever is collected; `undefined` while too little was seen. */
  look(now: number, used: number): number | undefined {
    this.#since ??= now
    while (this.#seen.length > 0 && this.#seen[0]!.at <= now - WINDOW) this.#seen.shift()
    this.#seen.push({ at: now, used })
    return now - this.#since < WINDOW ? undefined : Math.min(...this.#seen.map((seen) => seen.used))
  }
}

/** When a worker may be replaced for its heap, over all its generations. */
export class HeapPatience {
  #wait = SHORTEST
  #next = -Infinity

  may(now: number): boolean {
    return now >= this.#next
  }

  /** It is replaced. */
  replaced(now: number): void {
    const soon = now < this.#next + this.#wait
    this.#wait = soon ? Math.min(2 * this.#wait, LONGEST) : SHORTEST
    this.#next = now + this.#wait
  }
}

/** With how many sessions this generation of a worker is replaced, by its number: from nine tenths of `most` to all. */
export const sessionsOf = (most: number, worker: number, generation: number): number => {
  // by the golden ratio, and by the root of two: consecutive numbers are far apart
  const part = (worker * 0.618_033_988_75 + generation * 0.414_213_562_37) % 1
  return Math.max(1, Math.round(most * (1 - SPREAD * part)))
}
