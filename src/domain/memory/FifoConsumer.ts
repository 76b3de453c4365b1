/**
 * The reading end of a byte fifo; see `Fifo` for how it grows and for the layout. There is one per fifo.
 *
 * Hot path: plain synchronous code.
 */
import {
  BLOCK_ALIGNMENT,
  EPOCH,
  EPOCH_PLACES,
  EPOCH_WORDS,
  EPOCHS,
  EVENT,
  FifoCorrupt,
  HEAD,
  OLDEST,
  TAIL,
  type View,
  WANT,
  WANT_AT,
  type Words
} from "./Fifo.ts"

export class FifoConsumer {
  /** The most bytes that the fifo may hold; a power of two. */
  readonly bound: number
  readonly #words: Int32Array
  readonly #producer: number
  readonly #consumer: number
  readonly #flags: number
  readonly #view: View
  readonly #onCorrupt: Words["onCorrupt"]
  #head: number
  /** The epoch that was last read from; `#size` and `#bytes` are its block's. */
  #epoch = 0
  #size = 0
  #bytes: Uint8Array | undefined
  /** Where the head was at the last look that found bytes. */
  #lookedAt: number | undefined

  constructor(words: Words, bound: number, view: View) {
    this.bound = bound
    this.#words = words.words
    this.#producer = words.producer
    this.#consumer = words.consumer
    this.#flags = words.flags
    this.#view = view
    this.#onCorrupt = words.onCorrupt
    this.#head = words.start ?? Atomics.load(this.#words, this.#consumer + HEAD)
  }

  /** Bytes of the block that was last read from; 0 before the first read. */
  get memory(): number {
    return this.#bytes?.length ?? 0
  }

  /** Bytes in the fifo. */
  get size(): number {
    const size = (Atomics.load(this.#words, this.#producer + TAIL) - this.#head) | 0
    if (size < 0 || size > this.bound) throw this.#corrupt(`a fifo of ${this.bound} bytes claims to hold ${size}`)
    return size
  }

  /** The position after the last byte that was written. */
  get end(): number {
    return (this.#head + this.size) | 0
  }

  #corrupt(why: string): FifoCorrupt {
    const error = new FifoCorrupt(why)
    this.#onCorrupt?.(error)
    return error
  }

  /**
   * The next bytes that are contiguous in memory, up to `max`, or `undefined` when there are none. They stay valid
   * until they are {@link drop}ped.
   */
  peek(max: number = this.bound): Uint8Array | undefined {
    const waiting = this.size
    if (waiting === 0) return undefined
    const epoch = Atomics.load(this.#words, this.#producer + EPOCH)
    const until = epoch === this.#epoch ? waiting : this.#follow(epoch, waiting)
    if (this.#bytes === undefined) throw this.#corrupt("a fifo holds bytes and has no block")
    const at = this.#head & (this.#size - 1)
    return this.#bytes.subarray(at, at + Math.min(until, max, this.#size - at))
  }

  /** Enters the epoch of the next byte, `newest` being the newest, and returns how many of `waiting` bytes are in it. */
  #follow(newest: number, waiting: number): number {
    // unread bytes keep their epoch's place from being used again; the epochs before the oldest have none
    const oldest = Atomics.load(this.#words, this.#producer + OLDEST)
    let epoch = this.#bytes === undefined || ((oldest - this.#epoch) | 0) > 0 ? oldest : this.#epoch
    if (((newest - epoch) >>> 0) >= EPOCH_PLACES) {
      throw this.#corrupt(`a fifo in epoch ${newest} claims to have bytes of epoch ${epoch}`)
    }
    let until = waiting
    while (epoch !== newest) {
      const ahead = (this.#words[this.#place(epoch + 1)]! - this.#head) | 0
      if (ahead > 0) {
        until = Math.min(until, ahead)
        break
      }
      epoch = (epoch + 1) | 0
    }
    if (epoch !== this.#epoch || this.#bytes === undefined) this.#enter(epoch)
    return until
  }

  /** Where the words of an epoch are. */
  #place(epoch: number): number {
    return this.#producer + EPOCHS + (epoch & (EPOCH_PLACES - 1)) * EPOCH_WORDS
  }

  /**
   * The contiguous bytes after the first `length`, which {@link peek} has just shown up to the block's end: what
   * follows at the block's beginning. `undefined` when nothing follows, or when it is in another block.
   */
  rest(length: number): Uint8Array | undefined {
    const waiting = this.size - length
    if (waiting <= 0 || Atomics.load(this.#words, this.#producer + EPOCH) !== this.#epoch) return undefined
    const at = (this.#head + length) & (this.#size - 1)
    return this.#bytes?.subarray(at, at + Math.min(waiting, this.#size - at))
  }

  #enter(epoch: number): void {
    const at = this.#place(epoch)
    const segment = this.#words[at + 1]!
    const place = this.#words[at + 2]!
    const size = 1 << (place & (BLOCK_ALIGNMENT - 1))
    const offset = place & -BLOCK_ALIGNMENT
    const bytes = this.#view(segment)
    if (bytes === undefined || size <= 0 || offset < 0 || offset + size > bytes.length) {
      throw this.#corrupt(`a fifo's block is said to be at ${offset} of segment ${segment}, ${size} bytes long`)
    }
    this.#epoch = epoch
    this.#size = size
    this.#bytes = bytes.subarray(offset, offset + size)
  }

  /** Copies what fits into `target` from `from` on, and frees it; `tell` is the result of {@link drop}. */
  read(target: Uint8Array, from = 0): { readonly bytes: number; readonly tell: boolean } {
    let at = from
    let tell = false
    while (at < target.length) {
      const bytes = this.peek(target.length - at)
      if (bytes === undefined) break
      target.set(bytes, at)
      at += bytes.length
      tell = this.drop(bytes.length) || tell
    }
    return { bytes: at - from, tell }
  }

  /** Frees the first `length` bytes for the producer. `true` when the producer waits for that: then tell it, once. */
  drop(length: number): boolean {
    this.#head = (this.#head + length) | 0
    Atomics.store(this.#words, this.#consumer + HEAD, this.#head)
    const flags = this.#flags
    if (Atomics.load(this.#words, flags + WANT) === 0) return false
    if (((this.#head - this.#words[flags + WANT_AT]!) | 0) < 0) return false
    return Atomics.compareExchange(this.#words, flags + WANT, 1, 0) === 1
  }

  /**
   * Clears the event flag. Look at the fifo afterwards, never before: bytes that come in between raise a new event. States
   * again how far this side has read: a producer that waits tells it of bytes that it has read already when it does not
   * know.
   */
  clearEvent(): void {
    this.#words[this.#consumer + HEAD] = this.#head
    Atomics.store(this.#words, this.#flags + EVENT, 0)
  }

  /** Clears the event flag and returns whether it was set, for a reader that is woken and has to find out why. */
  takeEvent(): boolean {
    this.#words[this.#consumer + HEAD] = this.#head
    return Atomics.exchange(this.#words, this.#flags + EVENT, 0) !== 0
  }

  /** To be called at intervals: whether bytes have been there since the last call, and none of them were read. */
  stands(): boolean {
    if (this.size === 0) return false
    const stands = this.#head === this.#lookedAt
    this.#lookedAt = this.#head
    return stands
  }
}
