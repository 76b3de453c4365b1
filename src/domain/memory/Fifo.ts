/**
 * The byte fifo of a session: a ring with one producer and one consumer that may be on different threads.
 *
 * Positions are free-running 32-bit numbers and `tail - head` is what is in the fifo, at most its bound. The memory
 * behind it follows use: an idle fifo has none, the first bytes take a small block, a fifo that fills up takes a larger
 * one, up to the bound, and an empty one gives its block back. The producer allocates and frees, so a block has one
 * owner; the consumer only reads where a block is.
 *
 * **How it grows** The bytes from position `start` of an epoch on are in that epoch's block, each at
 * `position & (size - 1)`. To grow, the producer writes the next epoch's `start` (its tail), place and size, then the
 * epoch. There are two places for these, used in turn, so an epoch begins only when the one before the last has been
 * read to its end. The consumer therefore needs the present epoch's place and the one before, and no others.
 *
 * **Layout** (32-bit words; three lines, one per writer, so that the two threads do not share a cache line)
 *
 * | line | word | name | meaning |
 * |---|---|---|---|
 * | producer | 0 | `TAIL` | position after the last byte |
 * | producer | 1 | `EPOCH` | number of the epoch in which bytes are written |
 * | producer | 2–5, 6–9 | even, odd epoch | start position, segment, offset in it, size (0: no block, or none any more) |
 * | consumer | 0 | `HEAD` | position of the next byte |
 * | flags | 0 | `EVENT` | 1: the consumer has been told and has not looked yet |
 * | flags | 1 | `WANT` | 1: the producer wants to be told, once, that the head has come to `WANT_AT` |
 * | flags | 2 | `WANT_AT` | a position |
 *
 * Hot path: plain synchronous code. What the other side wrote is checked before use; what makes no sense is thrown as
 * {@link FifoCorrupt}.
 */

const TAIL = 0
const EPOCH = 1
const EPOCHS = 2
const EPOCH_WORDS = 4
const HEAD = 0
const EVENT = 0
const WANT = 1
const WANT_AT = 2

/** Words of the producer's, the consumer's and the flags' part. */
export const PRODUCER_WORDS = EPOCHS + 2 * EPOCH_WORDS
export const CONSUMER_WORDS = 1
export const FLAG_WORDS = 3

/** Bytes of the block that a fifo takes for its first bytes, unless its bound is smaller. */
export const FIRST_BLOCK = 4096

/**
 * Bytes of the largest block that a fifo needs to get along. A larger one only makes its session faster, so whoever
 * allocates refuses it while memory is short.
 */
export const LARGE_BLOCK = 65536

/** Thrown when the other side's positions or places make no sense. */
export class FifoCorrupt extends Error {
  override readonly name = "Corrupt"
}

/** Where a fifo's words are: an index into `words` for each of its parts. */
export interface Words {
  readonly words: Int32Array
  readonly producer: number
  readonly consumer: number
  readonly flags: number
}

/** Where a block is. */
export interface BlockPlace {
  readonly segment: number
  readonly offset: number
}

/** The producer's memory. */
export interface Blocks {
  /** A block of `bytes` (a power of two), or `undefined` when there is no memory now. */
  allocate(bytes: number): BlockPlace | undefined
  free(place: BlockPlace): void
  /** The bytes of a segment. */
  view(segment: number): Uint8Array
}

/** The consumer's view of the producer's memory: the bytes of a segment, if it is known. */
export type View = (segment: number) => Uint8Array | undefined

interface Block extends BlockPlace {
  readonly size: number
  readonly bytes: Uint8Array
}

/** Writes a fifo's words as of a new, empty fifo. */
export const reset = ({ words, producer, consumer, flags }: Words): void => {
  words.fill(0, producer, producer + PRODUCER_WORDS)
  words.fill(0, consumer, consumer + CONSUMER_WORDS)
  words.fill(0, flags, flags + FLAG_WORDS)
}

/** What a producer that has no room can wait for. */
export type Wait = "ready" | "consumer" | "memory"

/** The writing side. */
export class FifoProducer {
  /** Bytes that the fifo holds at most; a power of two. */
  readonly bound: number
  readonly #words: Int32Array
  readonly #producer: number
  readonly #consumer: number
  readonly #flags: number
  /** `undefined`: the fifo is whole, its one block stays. */
  readonly #blocks: Blocks | undefined
  #tail: number
  #head: number
  #epoch = 0
  #block: Block | undefined
  /** The epoch before, until the consumer has read it to its end. */
  #previous: Block | undefined
  #start: number
  /** Whether a reserved stretch is still to be committed: its block must stay where it is. */
  #reserved = false

  constructor(words: Words, bound: number, blocks: Blocks | undefined) {
    this.bound = bound
    this.#words = words.words
    this.#producer = words.producer
    this.#consumer = words.consumer
    this.#flags = words.flags
    this.#blocks = blocks
    this.#tail = this.#words[this.#producer + TAIL]!
    this.#head = this.#tail
    this.#start = this.#tail
  }

  /**
   * A producer whose block is a whole ring of the fifo's bound, at `place` in `bytes`, from the start: it neither grows
   * nor gives memory back. It writes the fifo's first epoch, so it is made once for a fifo's words.
   */
  static whole(words: Words, bound: number, bytes: Uint8Array, place: BlockPlace): FifoProducer {
    const producer = new FifoProducer(words, bound, undefined)
    producer.#begin(place, bound, bytes)
    return producer
  }

  /** Bytes in the fifo. */
  get size(): number {
    const size = (this.#tail - this.#loadHead()) | 0
    if (size < 0 || size > this.bound) throw new FifoCorrupt(`a fifo of ${this.bound} bytes claims to hold ${size}`)
    return size
  }

  /** Bytes that may still be enqueued before the bound. Whether there is memory for them is not said. */
  get room(): number {
    return this.bound - this.size
  }

  /** Free bytes that a producer which found the fifo full best goes on with: a quarter of the bound. */
  get part(): number {
    return Math.max(1, this.bound >>> 2)
  }

  /** Bytes of memory that the fifo holds. */
  get memory(): number {
    return (this.#block?.size ?? 0) + (this.#previous?.size ?? 0)
  }

  #loadHead(): number {
    const head = Atomics.load(this.#words, this.#consumer + HEAD)
    if (((head - this.#head) | 0) < 0 || ((this.#tail - head) | 0) < 0) {
      throw new FifoCorrupt(`a fifo's head moved from ${this.#head} to ${head} with its tail at ${this.#tail}`)
    }
    this.#head = head
    if (((head - this.#start) | 0) >= 0) this.#endPrevious()
    return head
  }

  /** The epoch before has been read to its end. */
  #endPrevious(): void {
    if (this.#previous === undefined) return
    this.#blocks?.free(this.#previous)
    this.#previous = undefined
    this.#words[this.#producer + EPOCHS + ((this.#epoch - 1) & 1) * EPOCH_WORDS + 3] = 0
  }

  /**
   * A stretch of memory that may be written and then {@link commit}ted: at least one byte and at most `wanted`, or
   * `undefined` when the fifo is full or there is no memory. It stays valid until it is committed, since free space
   * only grows.
   */
  reserve(wanted: number): Uint8Array | undefined {
    const stretch = this.#stretch(wanted)
    if (stretch !== undefined) this.#reserved = true
    return stretch
  }

  #stretch(wanted: number): Uint8Array | undefined {
    const size = this.size
    if (size >= this.bound || wanted <= 0) return undefined
    const block = this.#grow(size, Math.min(wanted, this.bound - size))
    if (block === undefined) return undefined
    const at = this.#tail & (block.size - 1)
    const length = Math.min(wanted, this.bound - size, block.size - this.#used, block.size - at)
    if (length <= 0) return undefined
    return block.bytes.subarray(at, at + length)
  }

  /** The block to write into: a larger one when this one has no room for what is wanted and the fifo may grow. */
  #grow(size: number, wanted: number): Block | undefined {
    const block = this.#block
    const blocks = this.#blocks
    if (blocks === undefined || this.#previous !== undefined || this.#reserved) return block
    const have = block?.size ?? 0
    if (size + wanted <= have || have >= this.bound) return block
    let bytes = Math.min(FIRST_BLOCK, this.bound)
    while (bytes < this.bound && bytes < size + wanted) bytes *= 2
    let place = blocks.allocate(bytes)
    while (place === undefined && bytes > FIRST_BLOCK && bytes >>> 1 > have) {
      bytes >>>= 1
      place = blocks.allocate(bytes)
    }
    // without memory for more, the present block still serves as far as it goes
    if (place === undefined) return block
    this.#previous = block
    return this.#begin(place, bytes, blocks.view(place.segment))
  }

  #begin({ offset, segment }: BlockPlace, size: number, bytes: Uint8Array): Block {
    this.#block = { segment, offset, size, bytes: bytes.subarray(offset, offset + size) }
    this.#writeEpoch(segment, offset, size)
    return this.#block
  }

  #writeEpoch(segment: number, offset: number, size: number): void {
    this.#epoch = (this.#epoch + 1) | 0
    this.#start = this.#tail
    const at = this.#producer + EPOCHS + (this.#epoch & 1) * EPOCH_WORDS
    this.#words[at] = this.#start
    this.#words[at + 1] = segment
    this.#words[at + 2] = offset
    this.#words[at + 3] = size
    Atomics.store(this.#words, this.#producer + EPOCH, this.#epoch)
    // an emptied epoch is over at once; one with bytes in it is freed when its last byte has been read
    if (this.#head === this.#tail) this.#endPrevious()
  }

  /** Makes the first `length` bytes of what was reserved visible; 0 gives the stretch up. */
  commit(length: number): void {
    this.#reserved = false
    if (length === 0) return
    this.#tail = (this.#tail + length) | 0
    Atomics.store(this.#words, this.#producer + TAIL, this.#tail)
  }

  /** Copies as much of `bytes` from `from` on as fits, and returns how much it was. */
  enqueue(bytes: Uint8Array, from = 0): number {
    let at = from
    while (at < bytes.length) {
      const target = this.reserve(bytes.length - at)
      if (target === undefined) break
      target.set(bytes.subarray(at, at + target.length))
      this.commit(target.length)
      at += target.length
    }
    return at - from
  }

  /** Whether {@link enqueue} would take `length` bytes now, all of them; memory for them is taken. */
  fits(length: number): boolean {
    const size = this.size
    if (length > this.bound - size) return false
    if (length <= 0) return true
    const block = this.#grow(size, length)
    return block !== undefined && length <= block.size - this.#used
  }

  /** Bytes of the present block that are taken: those of the epoch before take none. */
  get #used(): number {
    // without an epoch before, the start may be gigabytes back
    return (this.#tail - (this.#previous === undefined ? this.#head : this.#start)) | 0
  }

  /** Sets the event flag: `true` when it was clear and the consumer is to be told (W15). */
  raiseEvent(): boolean {
    return Atomics.exchange(this.#words, this.#flags + EVENT, 1) === 0
  }

  /**
   * What to wait for before the next byte fits, or before `free` bytes do where the fifo is at its bound.
   *
   * **Details** `"ready"`: for nothing, try again. `"consumer"`: the consumer will tell, once, when it has read far
   * enough. `"memory"`: the fifo is empty and there is no block to be had; the consumer can't help.
   */
  wait(free: number = this.part): Wait {
    for (;;) {
      const block = this.#block
      let at = (this.#tail - this.bound + Math.max(1, Math.min(free, this.bound))) | 0
      if (this.size < this.bound) {
        // more than a byte first: this is where a fifo grows after its block has been full, and how much is coming
        if ((this.#stretch(free) ?? this.#stretch(1)) !== undefined) return "ready"
        if (block === undefined) return "memory"
        // the epoch before must be read before the fifo can grow again, or a part of this block
        const part = Math.max(1, Math.min(free, block.size >>> 2))
        at = this.#previous !== undefined ? this.#start : (this.#tail - block.size + part) | 0
      }
      if (this.#wants(at)) return "consumer"
    }
  }

  /** As {@link wait}, before `length` bytes fit, all of them: at most {@link bound}. */
  waitWhole(length: number): Wait {
    for (;;) {
      let at = (this.#tail - this.bound + length) | 0
      if (length <= this.room) {
        if (this.fits(length)) return "ready"
        const block = this.#block
        if (this.#previous !== undefined) at = this.#start
        else if (block === undefined || length > block.size) return "memory"
        else at = (this.#tail - block.size + length) | 0
      }
      if (this.#wants(at)) return "consumer"
    }
  }

  /** Whether the consumer will tell that its head has come to `at`; `false` when it is there already. */
  #wants(at: number): boolean {
    this.#words[this.#flags + WANT_AT] = at
    Atomics.store(this.#words, this.#flags + WANT, 1)
    // look again: a head that moved before the flag was set is not signalled
    if (((this.#loadHead() - at) | 0) < 0) return true
    // the consumer may have seen the flag all the same, and then it tells
    return Atomics.exchange(this.#words, this.#flags + WANT, 0) === 0
  }

  /** Whether the consumer has still to tell what {@link wait} asked for. */
  get waiting(): boolean {
    return Atomics.load(this.#words, this.#flags + WANT) !== 0
  }

  /** Gives the memory back if the fifo is empty; returns whether there is none left that could be given back. */
  trim(): boolean {
    if (this.#blocks === undefined) return true
    if (this.size > 0 || this.#previous !== undefined || this.#reserved) return false
    if (this.#block === undefined) return true
    this.#previous = this.#block
    this.#block = undefined
    this.#writeEpoch(0, 0, 0)
    return true
  }

  /** Gives all memory back, read or not. The fifo must not be used by either side any more. */
  free(): void {
    const blocks = this.#blocks
    if (blocks === undefined) return
    if (this.#previous !== undefined) blocks.free(this.#previous)
    if (this.#block !== undefined) blocks.free(this.#block)
    this.#previous = undefined
    this.#block = undefined
  }
}

/** The reading side. */
export class FifoConsumer {
  /** Bytes that the fifo holds at most; a power of two. */
  readonly bound: number
  readonly #words: Int32Array
  readonly #producer: number
  readonly #consumer: number
  readonly #flags: number
  readonly #view: View
  #head: number
  #epoch: number
  #size = 0
  #bytes: Uint8Array | undefined

  constructor(words: Words, bound: number, view: View) {
    this.bound = bound
    this.#words = words.words
    this.#producer = words.producer
    this.#consumer = words.consumer
    this.#flags = words.flags
    this.#view = view
    this.#head = Atomics.load(this.#words, this.#consumer + HEAD)
    this.#epoch = 0
  }

  /** Bytes of the block that was last read from; 0 before the first read. */
  get memory(): number {
    return this.#bytes?.length ?? 0
  }

  /** Bytes in the fifo. */
  get size(): number {
    const size = (Atomics.load(this.#words, this.#producer + TAIL) - this.#head) | 0
    if (size < 0 || size > this.bound) throw new FifoCorrupt(`a fifo of ${this.bound} bytes claims to hold ${size}`)
    return size
  }

  /**
   * The next bytes that lie together in memory, at most `max`, or `undefined` when there are none. They stay valid
   * until they are {@link drop}ped.
   */
  peek(max: number = this.bound): Uint8Array | undefined {
    const waiting = this.size
    if (waiting === 0) return undefined
    let until = waiting
    const epoch = Atomics.load(this.#words, this.#producer + EPOCH)
    if (epoch !== this.#epoch) {
      const at = this.#producer + EPOCHS
      const ahead = (this.#words[at + (epoch & 1) * EPOCH_WORDS]! - this.#head) | 0
      // an epoch whose predecessor is over may have begun gigabytes ago, which would look like being ahead
      const over = ahead > this.bound || this.#words[at + ((epoch - 1) & 1) * EPOCH_WORDS + 3] === 0
      if (ahead <= 0 || over) this.#enter(epoch)
      else {
        if (ahead < until) until = ahead
        if (((epoch - 1) | 0) !== this.#epoch) this.#enter((epoch - 1) | 0)
      }
    }
    if (this.#bytes === undefined) throw new FifoCorrupt("a fifo holds bytes and has no block")
    const at = this.#head & (this.#size - 1)
    return this.#bytes.subarray(at, at + Math.min(until, max, this.#size - at))
  }

  /**
   * What lies together after the first `length` bytes, of which {@link peek} has just shown the last: the other part of
   * what is there where the block's end is in between. `undefined` when there is none, or it is in another block.
   */
  rest(length: number): Uint8Array | undefined {
    const waiting = this.size - length
    if (waiting <= 0 || Atomics.load(this.#words, this.#producer + EPOCH) !== this.#epoch) return undefined
    const at = (this.#head + length) & (this.#size - 1)
    return this.#bytes?.subarray(at, at + Math.min(waiting, this.#size - at))
  }

  #enter(epoch: number): void {
    const at = this.#producer + EPOCHS + (epoch & 1) * EPOCH_WORDS
    const segment = this.#words[at + 1]!
    const offset = this.#words[at + 2]!
    const size = this.#words[at + 3]!
    const bytes = this.#view(segment)
    if (
      bytes === undefined || size <= 0 || (size & (size - 1)) !== 0 || offset < 0 || offset + size > bytes.length
    ) {
      throw new FifoCorrupt(`a fifo's block is said to be at ${offset} of segment ${segment}, ${size} bytes long`)
    }
    this.#epoch = epoch
    this.#size = size
    this.#bytes = bytes.subarray(offset, offset + size)
  }

  /** Copies what fits into `target` from `from` on and frees it; the answer is {@link drop}'s. */
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

  /** Frees the first `length` bytes for the producer. `true` when it waits for just that: then tell it, once. */
  drop(length: number): boolean {
    this.#head = (this.#head + length) | 0
    Atomics.store(this.#words, this.#consumer + HEAD, this.#head)
    const flags = this.#flags
    if (Atomics.load(this.#words, flags + WANT) === 0) return false
    if (((this.#head - this.#words[flags + WANT_AT]!) | 0) < 0) return false
    return Atomics.compareExchange(this.#words, flags + WANT, 1, 0) === 1
  }

  /** Clears the event flag. Look at the fifo after it, never before: bytes that come in between raise a new event. */
  clearEvent(): void {
    Atomics.store(this.#words, this.#flags + EVENT, 0)
  }

  /** Clears the event flag and answers whether it was set, where one who is woken has to find out what for. */
  takeEvent(): boolean {
    return Atomics.exchange(this.#words, this.#flags + EVENT, 0) !== 0
  }
}
