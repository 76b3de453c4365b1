/**
 * The writing end of a byte fifo; see `Fifo` for how it grows and for the layout. There is one per fifo, and it owns
 * the memory behind it.
 *
 * Hot path: plain synchronous code.
 */
import {
  type BlockPlace,
  type Blocks,
  EPOCH,
  EPOCH_WORDS,
  EPOCHS,
  EVENT,
  FifoCorrupt,
  FIRST_BLOCK,
  HEAD,
  TAIL,
  WANT,
  WANT_AT,
  type Words
} from "./Fifo.ts"

interface Block extends BlockPlace {
  readonly size: number
  readonly bytes: Uint8Array
}

/** What a producer that has no room can wait for. */
export type Wait = "ready" | "consumer" | "memory"

export class FifoProducer {
  /** The most bytes that the fifo may hold; a power of two. */
  readonly bound: number
  readonly #words: Int32Array
  readonly #producer: number
  readonly #consumer: number
  readonly #flags: number
  readonly #onCorrupt: Words["onCorrupt"]
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
  /** The position that the consumer was asked to tell of. */
  #waitsFor: number | undefined
  /** Where the head was at the last look that found bytes. */
  #lookedAt: number | undefined

  constructor(words: Words, bound: number, blocks: Blocks | undefined) {
    this.bound = bound
    this.#words = words.words
    this.#producer = words.producer
    this.#consumer = words.consumer
    this.#flags = words.flags
    this.#blocks = blocks
    this.#onCorrupt = words.onCorrupt
    this.#tail = words.start ?? this.#words[this.#producer + TAIL]!
    this.#head = this.#tail
    this.#start = this.#tail
  }

  /**
   * A producer whose block is, from the start, a whole ring of the fifo's bound, at `place` in `bytes`: it neither
   * grows nor gives memory back. It writes the fifo's first epoch, so it is made only once for a fifo's words.
   */
  static whole(words: Words, bound: number, bytes: Uint8Array, place: BlockPlace): FifoProducer {
    const producer = new FifoProducer(words, bound, undefined)
    producer.#begin(place, bound, bytes)
    return producer
  }

  /** Bytes in the fifo. */
  get size(): number {
    const size = (this.#tail - this.#loadHead()) | 0
    if (size < 0 || size > this.bound) throw this.#corrupt(`a fifo of ${this.bound} bytes claims to hold ${size}`)
    return size
  }

  #corrupt(why: string): FifoCorrupt {
    const error = new FifoCorrupt(why)
    this.#onCorrupt?.(error)
    return error
  }

  /** Bytes that may still be enqueued before the bound; there may not be memory for all of them. */
  get room(): number {
    return this.bound - this.size
  }

  /** How many bytes should be free before a producer that found the fifo full goes on: a quarter of the bound. */
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
      throw this.#corrupt(`a fifo's head moved from ${this.#head} to ${head} with its tail at ${this.#tail}`)
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

  /** Makes the first `length` bytes of the reserved stretch visible; 0 gives the stretch up. */
  commit(length: number): void {
    this.#reserved = false
    if (length === 0) return
    this.#tail = (this.#tail + length) | 0
    Atomics.store(this.#words, this.#producer + TAIL, this.#tail)
  }

  /** Copies as many of `bytes`, from `from` on, as fit, and returns how many that was. */
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

  /** Bytes of the present block that are in use: those of the epoch before are in another block. */
  get #used(): number {
    // without an epoch before, the start may be gigabytes back
    return (this.#tail - (this.#previous === undefined ? this.#head : this.#start)) | 0
  }

  /** Sets the event flag: `true` when it was clear and the consumer is to be told (W15). */
  raiseEvent(): boolean {
    return Atomics.exchange(this.#words, this.#flags + EVENT, 1) === 0
  }

  /**
   * What to wait for until the next byte fits, or, where the fifo is at its bound, until `free` bytes fit.
   *
   * **Details** `"ready"`: nothing, try again. `"consumer"`: the consumer will tell, once, when it has read far
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

  /** Like {@link wait}, until all of `length` bytes fit; `length` is at most {@link bound}. */
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

  /** Whether the consumer will tell when its head has reached `at`; `false` when it has already. */
  #wants(at: number): boolean {
    this.#waitsFor = at
    this.#words[this.#flags + WANT_AT] = at
    Atomics.store(this.#words, this.#flags + WANT, 1)
    // look again: a head that moved before the flag was set is not signalled
    if (((this.#loadHead() - at) | 0) < 0) return true
    // the consumer may have seen the flag all the same, and then it tells
    return Atomics.exchange(this.#words, this.#flags + WANT, 0) === 0
  }

  /**
   * To be called at intervals: whether the consumer is to be told once more that there are bytes. They have been there
   * since the last call, none were read, and the consumer has not looked since it was told; or what says how many there
   * are was written over, and is stated again.
   */
  overdue(): boolean {
    if (this.#head === this.#tail || this.size === 0) return false
    const tail = this.#producer + TAIL
    const isHidden = Atomics.load(this.#words, tail) !== this.#tail
    if (isHidden) Atomics.store(this.#words, tail, this.#tail)
    const stands = this.#head === this.#lookedAt
    this.#lookedAt = this.#head
    return isHidden || stands && Atomics.load(this.#words, this.#flags + EVENT) !== 0
  }

  /** To be called at intervals: whether the head has come to where {@link wait} asked for, told or not. Says so once. */
  roomCame(): boolean {
    if (this.#waitsFor === undefined || ((this.#loadHead() - this.#waitsFor) | 0) < 0) return false
    this.#waitsFor = undefined
    return true
  }

  /** Whether the consumer has still to tell what {@link wait} asked for. */
  get waiting(): boolean {
    return Atomics.load(this.#words, this.#flags + WANT) !== 0
  }

  /** Gives the memory back if the fifo is empty; returns whether there is nothing left to give back. */
  trim(): boolean {
    if (this.#blocks === undefined) return true
    if (this.size > 0 || this.#previous !== undefined || this.#reserved) return false
    if (this.#block === undefined) return true
    this.#previous = this.#block
    this.#block = undefined
    this.#writeEpoch(0, 0, 0)
    return true
  }

  /** Gives all memory back, read or not. Neither side may use the fifo after that. */
  free(): void {
    const blocks = this.#blocks
    if (blocks === undefined) return
    if (this.#previous !== undefined) blocks.free(this.#previous)
    if (this.#block !== undefined) blocks.free(this.#block)
    this.#previous = undefined
    this.#block = undefined
  }
}
