/**
 * The writing end of a message queue that has one producer; see `QueueMemory` for the layout. Nothing is locked.
 *
 * Hot path: plain synchronous code, no allocation per message.
 *
 * @since 0.1.0
 */
import {
  CHECK,
  CLOSED,
  Closed,
  CONTROL_BIT,
  CONTROL_HEAD,
  CONTROL_SLOT,
  CONTROL_TAIL,
  Corrupt,
  Enqueued,
  type EnqueueResult,
  Full,
  type Geometry,
  HEAD,
  IDLE,
  INDEX,
  INDEX_SLOT,
  IO_HEAD,
  IO_SLOT,
  IO_TAIL,
  POSITION,
  QueueCorrupt,
  type QueueMemory,
  TAIL,
  WANTED,
  words as wordsOf
} from "./QueueMemory.ts"

/**
 * Writes messages into a queue. Whoever holds a writer decides what is sent, so it has one owner.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueueWriter {
  /** Enqueues a 16-byte IO event. */
  io(kind: number, index: number, generation: number, argument: number): EnqueueResult
  /** Enqueues the first `length` words of `message`, 1 to 127; the words are copied. */
  control(message: Int32Array, length: number): EnqueueResult
}

/**
 * The rest of a queue's writing side, for its owner and for whoever watches the queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueueOutlet {
  readonly geometry: Geometry
  /** Position after the last message enqueued. */
  readonly position: number
  /** Messages that the consumer has not passed yet, including those that are still corked. */
  readonly depth: number
  /** IO-ring slots in use. */
  readonly ioDepth: number
  /** Control-ring slots in use. */
  readonly controlDepth: number
  /** Whether the consumer sleeps. */
  readonly idle: boolean
  /** Whether an enqueue ends with `Closed`, whichever side has seen to that. */
  readonly closed: boolean
  /** Messages enqueued here since this end was made. */
  readonly enqueued: number
  /** Whether the consumer has dealt with every message up to this {@link position}. */
  passed(position: number): boolean
  /** Called before messages become visible: what goes along with them by another way goes first (M5). */
  beforeVisible: (() => void) | undefined
  /** From here to {@link uncork} messages are written but not yet visible. Calls nest. */
  cork(): void
  /** Makes what was corked visible, and wakes the consumer if it sleeps. */
  uncork(): void
  /** Makes what was corked so far visible; the cork stays. */
  flush(): void
  /** Asks to be told of room. After the call, try once more: room that came before it is not signalled. */
  wantRoom(): void
  /** Whether the consumer has not answered {@link wantRoom} yet. */
  readonly roomWanted: boolean
  /**
   * To be called at intervals: states again what this side has published, and rings if the consumer has taken nothing
   * since the last call although messages wait. A consumer that stands still for long is rung for ever more rarely.
   *
   * **Gotchas** Throws `QueueCorrupt` when the consumer's positions make no sense.
   */
  look(): void
  /** From now on every enqueue ends with `Closed`; what is in the queue can still be read. */
  close(): void
}

/**
 * The only producer of a queue.
 *
 * @category models
 * @since 0.1.0
 */
export class QueueProducer implements QueueWriter, QueueOutlet {
  readonly geometry: Geometry
  readonly #words: Int32Array
  readonly #ring: () => void
  readonly #ioStart: number
  readonly #controlStart: number
  #tail: number
  #ioTail: number
  #controlTail: number
  #head: number
  #ioHead: number
  #controlHead: number
  /** The tails that were published last. */
  #shown: number
  #ioShown: number
  #controlShown: number
  #corked = 0
  /** What makes no sense about the consumer's positions. */
  #corrupt: string | undefined
  /** How many looks on end have found that nothing was taken since the look before. */
  #stuck = 0
  /** Where the head was at the last look, if messages waited then. */
  #lookedAt: number | undefined
  beforeVisible: (() => void) | undefined
  enqueued = 0

  /** `ring` wakes the consumer; it is called only when the consumer sleeps. */
  constructor(memory: QueueMemory, geometry: Geometry, ring: () => void) {
    this.geometry = geometry
    this.#words = wordsOf(memory, geometry)
    this.#ring = ring
    this.#ioStart = INDEX + geometry.indexQueue * INDEX_SLOT
    this.#controlStart = this.#ioStart + geometry.ioRing * IO_SLOT
    this.#tail = Atomics.load(this.#words, TAIL)
    this.#ioTail = Atomics.load(this.#words, IO_TAIL)
    this.#controlTail = Atomics.load(this.#words, CONTROL_TAIL)
    this.#head = Atomics.load(this.#words, HEAD)
    this.#ioHead = Atomics.load(this.#words, IO_HEAD)
    this.#controlHead = Atomics.load(this.#words, CONTROL_HEAD)
    this.#shown = this.#tail
    this.#ioShown = this.#ioTail
    this.#controlShown = this.#controlTail
  }

  /** Goes on from where the queue stands in memory: another producer has written to it, and none writes to it now. */
  resume(): void {
    const words = this.#words
    const { indexQueue, ioRing, controlRing } = this.geometry
    this.#tail = this.#shown = Atomics.load(words, TAIL)
    this.#ioTail = this.#ioShown = words[IO_TAIL]!
    this.#controlTail = this.#controlShown = words[CONTROL_TAIL]!
    this.#ioHead = this.#resumed(this.#ioTail, words[IO_HEAD]!, ioRing)
    this.#controlHead = this.#resumed(this.#controlTail, words[CONTROL_HEAD]!, controlRing)
    this.#head = this.#resumed(this.#tail, Atomics.load(words, HEAD), indexQueue)
  }

  #resumed(tail: number, head: number, size: number): number {
    if (((tail - head) >>> 0) > size) this.#fail(tail, head)
    return head
  }

  get position(): number {
    return this.#tail
  }

  get depth(): number {
    return this.#used(this.#tail, HEAD, this.geometry.indexQueue)
  }

  get ioDepth(): number {
    return this.#used(this.#ioTail, IO_HEAD, this.geometry.ioRing)
  }

  get controlDepth(): number {
    return this.#used(this.#controlTail, CONTROL_HEAD, this.geometry.controlRing)
  }

  /** Slots in use. A head that makes no sense leaves none free. */
  #used(tail: number, head: number, size: number): number {
    return Math.min((tail - Atomics.load(this.#words, head)) >>> 0, size)
  }

  get idle(): boolean {
    return Atomics.load(this.#words, IDLE) === 1
  }

  get closed(): boolean {
    return this.#words[CLOSED] === 1
  }

  passed(position: number): boolean {
    return ((Atomics.load(this.#words, HEAD) - position) | 0) >= 0
  }

  io(kind: number, index: number, generation: number, argument: number): EnqueueResult {
    if (this.closed) return Closed
    if (!this.#hasRoom(false)) return this.#corrupt === undefined ? Full : Corrupt
    const words = this.#words
    const slot = this.#ioStart + (this.#ioTail & (this.geometry.ioRing - 1)) * IO_SLOT
    words[slot] = kind
    words[slot + 1] = index
    words[slot + 2] = generation
    words[slot + 3] = argument
    const entry = this.#ioTail & POSITION
    this.#ioTail = (this.#ioTail + 1) | 0
    this.#leave(entry, CHECK ^ kind ^ index ^ generation ^ argument)
    return Enqueued
  }

  control(message: Int32Array, length: number): EnqueueResult {
    if (this.closed) return Closed
    if (!this.#hasRoom(true)) return this.#corrupt === undefined ? Full : Corrupt
    const words = this.#words
    const slot = this.#controlStart + (this.#controlTail & (this.geometry.controlRing - 1)) * CONTROL_SLOT
    words[slot] = length
    let check = CHECK ^ length
    for (let i = 0; i < length; i++) {
      const word = message[i]!
      check ^= word
      words[slot + 1 + i] = word
    }
    const entry = CONTROL_BIT | (this.#controlTail & POSITION)
    this.#controlTail = (this.#controlTail + 1) | 0
    this.#leave(entry, check)
    return Enqueued
  }

  #hasRoom(control: boolean): boolean {
    const { indexQueue, ioRing, controlRing } = this.geometry
    if (this.#corrupt !== undefined) return false
    if (((this.#tail - this.#head) >>> 0) >= indexQueue) {
      this.#head = this.#moved(this.#head, HEAD, this.#tail)
      if (((this.#tail - this.#head) >>> 0) >= indexQueue) return false
    }
    if (control) {
      if (((this.#controlTail - this.#controlHead) >>> 0) < controlRing) return true
      this.#controlHead = this.#moved(this.#controlHead, CONTROL_HEAD, this.#controlTail)
      return ((this.#controlTail - this.#controlHead) >>> 0) < controlRing
    }
    if (((this.#ioTail - this.#ioHead) >>> 0) < ioRing) return true
    this.#ioHead = this.#moved(this.#ioHead, IO_HEAD, this.#ioTail)
    return ((this.#ioTail - this.#ioHead) >>> 0) < ioRing
  }

  /** Where the consumer's head is now. It only goes forward, and not past what was written. */
  #moved(from: number, word: number, tail: number): number {
    const head = Atomics.load(this.#words, word)
    if (((head - from) >>> 0) <= ((tail - from) >>> 0)) return head
    this.#fail(tail, head, from)
    return from
  }

  #fail(tail: number, head: number, from = head): void {
    this.#corrupt ??= `its reader's position moved from ${from} to ${head} with ${tail} as the last one written`
  }

  #leave(entry: number, check: number): void {
    const at = INDEX + (this.#tail & (this.geometry.indexQueue - 1)) * INDEX_SLOT
    this.#words[at] = entry
    this.#words[at + 1] = check ^ entry
    this.#tail = (this.#tail + 1) | 0
    this.enqueued++
    if (this.#corked === 0) this.#publish()
  }

  /** The tail goes last: whoever sees it sees the slot, and a producer that dies before leaves nothing behind. */
  #publish(): void {
    this.beforeVisible?.()
    this.#shown = this.#tail
    this.#ioShown = this.#ioTail
    this.#controlShown = this.#controlTail
    this.#show()
    if (Atomics.load(this.#words, IDLE) === 1 && Atomics.compareExchange(this.#words, IDLE, 1, 0) === 1) this.#ring()
  }

  #show(): void {
    this.#words[IO_TAIL] = this.#ioShown
    this.#words[CONTROL_TAIL] = this.#controlShown
    Atomics.store(this.#words, TAIL, this.#shown)
  }

  cork(): void {
    this.#corked++
  }

  uncork(): void {
    if (this.#corked > 0 && --this.#corked === 0 && this.#shown !== this.#tail) this.#publish()
  }

  flush(): void {
    if (this.#shown !== this.#tail) this.#publish()
  }

  wantRoom(): void {
    Atomics.store(this.#words, WANTED, 1)
    // this load is what makes sure that the next try sees the rings' heads, which are plain words
    this.#head = this.#moved(this.#head, HEAD, this.#tail)
  }

  look(): void {
    this.#head = this.#moved(this.#head, HEAD, this.#shown)
    this.#ioHead = this.#moved(this.#ioHead, IO_HEAD, this.#ioShown)
    this.#controlHead = this.#moved(this.#controlHead, CONTROL_HEAD, this.#controlShown)
    if (this.#corrupt !== undefined) throw new QueueCorrupt(this.#corrupt)
    this.#show()
    this.#stuck = this.#head === this.#lookedAt ? this.#stuck + 1 : 0
    this.#lookedAt = this.#head === this.#shown ? undefined : this.#head
    // at the first look, the second, the fourth: a consumer that is busy with something else is not to find a pile
    if (this.#stuck > 0 && (this.#stuck & (this.#stuck - 1)) === 0) this.#ring()
  }

  get roomWanted(): boolean {
    return Atomics.load(this.#words, WANTED) === 1
  }

  close(): void {
    Atomics.store(this.#words, CLOSED, 1)
  }
}
