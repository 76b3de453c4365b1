/**
 * The writing end of a byte fifo; see `Fifo` for how it grows and for the layout. There is one per fifo, and it owns
 * the memory behind it.
 *
 * Hot path: plain synchronous code.
 */
import {
  type Block,
  block as blockAt,
  type Blocks,
  EPOCH,
  EPOCH_PLACES,
  EPOCH_WORDS,
  EPOCHS,
  EVENT,
  FifoCorrupt,
  FIRST_BLOCK,
  HEAD,
  OLDEST,
  TAIL,
  WANT,
  WANT_AT,
  type Words
} from "./Fifo.ts"

/** A block with bytes that were there before the fifo grew; `end` is the position after the last of them. */
interface Previous {
  readonly block: Block
  readonly end: number
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
  /** The fifo's own, which is never given back. */
  readonly #ring: Block
  /** `undefined`: the fifo has its ring and never grows. */
  readonly #blocks: Blocks | undefined
  #tail: number
  #head: number
  #epoch = 1
  #block: Block
  /** The epochs before that have not been read to their ends, oldest first. */
  readonly #previous: Array<Previous> = []
  #start: number
  /** Bytes that the fifo is lent: all its blocks, without its ring. */
  #lent = 0
  /** Whether a reserved stretch is still to be committed: its block must stay where it is. */
  #reserved = false
  /** The position that the consumer was asked to tell of. */
  #waitsFor: number | undefined
  /** Where the head was at the last look that found bytes, and how many looks on end it has not moved. */
  #lookedAt: number | undefined
  #stood = 0

  /** Begins the fifo's first epoch in `ring`, so a producer is made only once for a fifo's words. */
  constructor(words: Words, bound: number, ring: Block, blocks?: Blocks) {
    this.bound = bound
    this.#words = words.words
    this.#producer = words.producer
    this.#consumer = words.consumer
    this.#flags = words.flags
    this.#ring = ring
    this.#block = ring
    this.#blocks = blocks
    this.#onCorrupt = words.onCorrupt
    this.#tail = words.start ?? this.#words[this.#producer + TAIL]!
    this.#head = this.#tail
    this.#start = this.#tail
    this.#publish()
  }

  /** Bytes in the fifo. */
  get size(): number {
    const size = (this.#tail - this.#loadHead()) | 0
    if (size < 0 || size > this.bound) throw this.#corrupt(`a fifo of ${this.bound} bytes claims to hold ${size}`)
    return size
  }

  /** The position up to which the consumer has read, as far as this side has looked. */
  get head(): number {
    return this.#head
  }

  /** The same as the consumer says it now, unchecked: whether it has moved is all that this tells. */
  get headUnsafe(): number {
    return Atomics.load(this.#words, this.#consumer + HEAD)
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

  /** Bytes of memory that the fifo is lent. */
  get memory(): number {
    return this.#lent
  }

  #loadHead(): number {
    const head = Atomics.load(this.#words, this.#consumer + HEAD)
    if (((head - this.#head) | 0) < 0 || ((this.#tail - head) | 0) < 0) {
      throw this.#corrupt(`a fifo's head moved from ${this.#head} to ${head} with its tail at ${this.#tail}`)
    }
    this.#head = head
    if (this.#previous.length > 0) this.#endPrevious()
    return head
  }

  /** Gives back the blocks of the epochs that have been read to their ends. */
  #endPrevious(): void {
    const previous = this.#previous
    if (((this.#head - previous[0]!.end) | 0) < 0) return
    do this.#giveBack(previous.shift()!.block)
    while (previous.length > 0 && ((this.#head - previous[0]!.end) | 0) >= 0)
    Atomics.store(this.#words, this.#producer + OLDEST, (this.#epoch - previous.length) | 0)
  }

  #giveBack(block: Block): void {
    if (block === this.#ring) return
    this.#lent -= block.size
    this.#blocks?.free(block)
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
    const length = Math.min(wanted, this.bound - size)
    if (length > this.#free) this.#grow(size + length, 0)
    const { bytes, size: blockSize } = this.#block
    const at = this.#tail & (blockSize - 1)
    const fitting = Math.min(length, this.#free, blockSize - at)
    return fitting <= 0 ? undefined : bytes.subarray(at, at + fitting)
  }

  /**
   * Goes on in a larger block, if the fifo may grow and there is memory: one that could hold `needed` bytes if possible,
   * and at least `least`.
   */
  #grow(needed: number, least: number): void {
    const have = this.#block.size
    const blocks = this.#blocks
    if (blocks === undefined || this.#reserved || have >= this.bound) return
    // a block that nothing has been written to since the fifo went on in it need not be kept for the reader
    const isUnused = this.#previous.length > 0 && this.#tail === this.#start
    const left = EPOCH_PLACES - 1 - this.#previous.length + (isUnused ? 1 : 0)
    if (left <= 0) return
    let bytes = this.#step(have, left)
    while (bytes < needed) bytes *= 2
    // from half of the bound on, another block for the other half would take more memory in the end
    if (bytes >= this.bound >>> 1) bytes = this.bound
    let place = blocks.allocate(bytes, this.#lent)
    while (place === undefined && bytes >>> 1 > have && bytes >>> 1 >= least && bytes > FIRST_BLOCK) {
      bytes >>>= 1
      place = blocks.allocate(bytes, this.#lent)
    }
    // without memory for more, the present block still serves as far as it goes
    if (place === undefined) return
    this.#lent += bytes
    const next = blockAt(place.segment, blocks.view(place.segment), place.offset, bytes)
    if (!isUnused) return this.#begin(next)
    this.#giveBack(this.#block)
    this.#block = next
    this.#writePlace()
  }

  /** The size to go on with: in `left` steps, all about the same, a fifo that is not read has grown to its bound. */
  #step(have: number, left: number): number {
    const first = Math.min(FIRST_BLOCK, this.bound)
    if (have < first) return first
    const doublings = Math.clz32(have) - Math.clz32(this.bound)
    return have << Math.max(1, Math.floor(doublings / left))
  }

  /** Begins an epoch: from here on bytes are written to `block`. */
  #begin(block: Block): void {
    this.#previous.push({ block: this.#block, end: this.#tail })
    this.#epoch = (this.#epoch + 1) | 0
    this.#start = this.#tail
    this.#block = block
    this.#publish()
    // an emptied epoch is over at once
    this.#endPrevious()
  }

  #publish(): void {
    this.#writePlace()
    Atomics.store(this.#words, this.#producer + OLDEST, (this.#epoch - this.#previous.length) | 0)
    Atomics.store(this.#words, this.#producer + EPOCH, this.#epoch)
  }

  /** Writes where the present epoch is. Nobody looks there before the epoch is published, or has a byte in it. */
  #writePlace(): void {
    const { offset, segment, size } = this.#block
    const at = this.#producer + EPOCHS + (this.#epoch & (EPOCH_PLACES - 1)) * EPOCH_WORDS
    this.#words[at] = this.#start
    this.#words[at + 1] = segment
    this.#words[at + 2] = offset + 31 - Math.clz32(size)
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
    if (length > this.#free) this.#grow(size + length, length)
    return length <= this.#free
  }

  /** Bytes that can be written to the present block: those of the epochs before are in other blocks. */
  get #free(): number {
    // without an epoch before, the start may be gigabytes back
    const used = (this.#tail - (this.#previous.length === 0 ? this.#head : this.#start)) | 0
    return this.#block.size - used
  }

  /** Sets the event flag: `true` when it was clear and the consumer is to be told (W15). */
  raiseEvent(): boolean {
    return Atomics.exchange(this.#words, this.#flags + EVENT, 1) === 0
  }

  /**
   * What to wait for until the next byte fits, or, where the fifo is at its bound, until `free` bytes fit.
   *
   * **Details** `"ready"`: nothing, try again. `"consumer"`: the consumer will tell, once, when it has read far
   * enough. The wait is never for memory: a fifo that is empty has its ring.
   */
  wait(free: number = this.part): "ready" | "consumer" {
    for (;;) {
      let at = (this.#tail - this.bound + Math.max(1, Math.min(free, this.bound))) | 0
      if (this.size < this.bound) {
        // more than a byte first: this is where a fifo grows after its block has been full, and how much is coming
        if ((this.#stretch(free) ?? this.#stretch(1)) !== undefined) return this.#goesOn()
        // the oldest epoch must be read before the fifo can grow again, or a part of this block
        const { size } = this.#block
        const part = Math.max(1, Math.min(free, size >>> 2))
        at = this.#previous[0]?.end ?? ((this.#tail - size + part) | 0)
      }
      if (this.#wants(at)) return "consumer"
    }
  }

  /**
   * Like {@link wait}, until all of `length` bytes fit; `length` is at most {@link bound}. `"memory"`: there is no block
   * to be had that is large enough, and the consumer can't help.
   */
  waitWhole(length: number): Wait {
    for (;;) {
      let at = (this.#tail - this.bound + length) | 0
      if (length <= this.room) {
        if (this.fits(length)) return this.#goesOn()
        const { size } = this.#block
        if (this.#previous.length > 0) at = this.#previous[0]!.end
        else if (length > size) return "memory"
        else at = (this.#tail - size + length) | 0
      }
      if (this.#wants(at)) return "consumer"
    }
  }

  #goesOn(): "ready" {
    this.#waitsFor = undefined
    return "ready"
  }

  /** Whether the consumer will tell when its head has reached `at`; `false` when it has already. */
  #wants(at: number): boolean {
    this.#waitsFor = at
    this.#stood = 0
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
   *
   * **Details** A producer that waits for room tells a consumer that stands still even if the consumer has looked: what
   * the consumer says of its head may have been written over, and it states its head again when it is told. That happens
   * ever more rarely while the consumer stands still, since it may just take its time.
   */
  overdue(): boolean {
    if (this.#head === this.#tail || this.size === 0) return false
    const tail = this.#producer + TAIL
    const isHidden = Atomics.load(this.#words, tail) !== this.#tail
    if (isHidden) Atomics.store(this.#words, tail, this.#tail)
    const stands = this.#head === this.#lookedAt
    this.#lookedAt = this.#head
    this.#stood = stands ? this.#stood + 1 : 0
    if (isHidden) return true
    if (!stands) return false
    // at the first look, the second, the fourth
    const asks = this.#waitsFor !== undefined && (this.#stood & (this.#stood - 1)) === 0
    return asks || Atomics.load(this.#words, this.#flags + EVENT) !== 0
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

  /** Gives what the fifo was lent back if the fifo is empty; returns whether there is nothing left to give back. */
  trim(): boolean {
    if (this.size > 0 || this.#reserved) return this.#lent === 0
    if (this.#block !== this.#ring) this.#begin(this.#ring)
    return true
  }

  /** Gives all memory back, read or not. Neither side may use the fifo after that. */
  free(): void {
    for (const { block } of this.#previous.splice(0)) this.#giveBack(block)
    this.#giveBack(this.#block)
    this.#block = this.#ring
  }
}
