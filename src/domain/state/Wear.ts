/**
 * When a worker has served for long enough to be replaced by a new start: its heap stays large, or it has had as many
 * sessions as it may (X6).
 *
 * **Heap** What a heap has in use goes up until it is collected, and then down to what is needed. The thread tells what was
 * left after each full collection. Near its limit that comes late: a heap of 256 MiB may be collected at 199 and be full
 * at 205. So for a while, what was left is taken to have gone on growing as it did between the last two collections.
 *
 * A fresh start may need as much: one that has had to wait until it was replaced waits twice as long the next time.
 *
 * Pure: times are numbers that are passed in, in milliseconds that only go forward.
 */

/** Milliseconds between two replacements of a worker for its heap: the least, and the most. */
const SHORTEST = 5000
const LONGEST = 3_600_000

/** Which part of a worker's sessions may be left: workers that start together are not replaced together. */
const SPREAD = 0.1

/** The heap of one start. */
export class HeapUse {
  #left: number | undefined
  #at = 0
  /** Milliseconds between the last two collections, and the bytes that were more left after the later one. */
  #between = 0
  #growth = 0

  /** It was collected, and so many bytes are left. */
  collected(now: number, left: number): void {
    if (this.#left !== undefined) {
      this.#between = now - this.#at
      this.#growth = Math.max(0, left - this.#left)
    }
    this.#left = left
    this.#at = now
  }

  /** The bytes in use that would be left now if it were collected; `undefined` before it was. `used`: all in use. */
  retained(now: number, used: number): number | undefined {
    if (this.#left === undefined) return undefined
    const part = this.#between === 0 ? 0 : Math.min(1, (now - this.#at) / this.#between)
    return Math.min(Math.max(used, this.#left), this.#left + part * this.#growth)
  }
}

/** When a worker may be replaced for its heap, over all its generations. */
export class HeapPatience {
  #wait = SHORTEST
  #next = -Infinity
  #waited = false

  /** Whether it may be replaced now, as it should be. */
  may(now: number): boolean {
    if (now >= this.#next) return true
    this.#waited = true
    return false
  }

  /** It is replaced. */
  replaced(now: number): void {
    this.#wait = this.#waited ? Math.min(2 * this.#wait, LONGEST) : SHORTEST
    this.#waited = false
    this.#next = now + this.#wait
  }
}

/** With how many sessions this generation of a worker is replaced, by its number: from nine tenths of `most` to all. */
export const sessionsOf = (most: number, worker: number, generation: number): number => {
  // by the golden ratio, and by the root of two: consecutive numbers are far apart
  const part = (worker * 0.618_033_988_75 + generation * 0.414_213_562_37) % 1
  return Math.max(1, Math.round(most * (1 - SPREAD * part)))
}
