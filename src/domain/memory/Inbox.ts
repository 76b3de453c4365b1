/**
 * The inbox of a worker: which of its cut-through sessions have something to look at.
 *
 * The workers at the other ends write it, without the host and without a lock: a bit per session, set and cleared by
 * single atomic steps. A bit says only "look", so setting a bit twice is like setting it once, nothing can be full, and
 * a writer that dies leaves nothing behind. What there is to see is in the session's fifos; a bit for a session that is
 * gone, or one that is set out of malice, costs one look. A worker that clears what others have set, or takes the word
 * that says who rings, can keep the owner from looking, but only until the next signal or the host's next message to
 * the owner.
 *
 * **Layout** (32-bit words)
 *
 * | word | name | meaning |
 * |---|---|---|
 * | 0 | `IDLE` | 1: the worker sleeps and wants its doorbell rung |
 * | 16–47 | `SUMMARY` | bit i of word w: look at word 32 w + i of `BITS` |
 * | 64–1087 | `BITS` | bit i of word w: look at the session in slot 32 w + i |
 *
 * Hot path: plain synchronous code.
 */

const IDLE = 0
const SUMMARY = 16
const BITS = 64

/** Slots of an inbox: the most cut-through sessions that a worker may have. */
export const SLOTS = 32_768

/** Bytes of an inbox. */
export const INBOX_BYTES = 4 * (BITS + SLOTS / 32)

/** One of the writers to an inbox. */
export class Sender {
  readonly #words: Int32Array
  readonly #ring: () => void

  /** `ring` wakes the inbox's owner; it is called only when the owner sleeps. */
  constructor(inbox: SharedArrayBuffer, ring: () => void) {
    this.#words = new Int32Array(inbox)
    this.#ring = ring
  }

  /** There is something to look at in the session of this slot. */
  signal(slot: number): void {
    const words = this.#words
    // the bit first: whoever sees the bit in the summary finds it
    Atomics.or(words, BITS + (slot >>> 5), 1 << (slot & 31))
    Atomics.or(words, SUMMARY + (slot >>> 10), 1 << ((slot >>> 5) & 31))
    if (Atomics.load(words, IDLE) === 1 && Atomics.compareExchange(words, IDLE, 1, 0) === 1) this.#ring()
  }
}

/** The reading end, for the worker whose inbox it is. */
export class Receiver {
  readonly #words: Int32Array
  /** How many words of the summary may have a bit that means something. */
  #used = 0

  constructor(inbox: SharedArrayBuffer) {
    this.#words = new Int32Array(inbox)
  }

  /** From now on the slot is looked at. */
  use(slot: number): void {
    this.#used = Math.max(this.#used, (slot >>> 10) + 1)
  }

  /** Whether some session has something to look at. */
  get pending(): boolean {
    for (let word = 0; word < this.#used; word++) if (Atomics.load(this.#words, SUMMARY + word) !== 0) return true
    return false
  }

  /** Calls `look` for each slot whose bit is set, clears the bit first, and returns how many there were. */
  drain(look: (slot: number) => void): number {
    const words = this.#words
    let count = 0
    for (let word = 0; word < this.#used; word++) {
      if (Atomics.load(words, SUMMARY + word) === 0) continue
      for (let some = Atomics.exchange(words, SUMMARY + word, 0); some !== 0; some &= some - 1) {
        const at = 32 * word + 31 - Math.clz32(some & -some)
        for (let bits = Atomics.exchange(words, BITS + at, 0); bits !== 0; bits &= bits - 1) {
          look(32 * at + 31 - Math.clz32(bits & -bits))
          count++
        }
      }
    }
    return count
  }

  /**
   * Goes to sleep: `true` when nothing is to be looked at and the next signal will ring, `false` when something came in
   * the meantime. The look after arming is what keeps a wake-up from being lost.
   */
  sleep(): boolean {
    Atomics.store(this.#words, IDLE, 1)
    if (!this.pending) return true
    this.wake()
    return false
  }

  /** Ends a sleep from this side, so that nobody rings for it. */
  wake(): void {
    Atomics.store(this.#words, IDLE, 0)
  }
}
