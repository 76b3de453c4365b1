/**
 * The writing end of a message queue that has one producer; see `QueueMemory` for the layout. Nothing is locked.
 *
 * Hot path: plain synchronous code, no allocation per message.
 *
 * @since 0.1.0
 */
import {
  CLOSED,
  Closed,
  CONTROL_BIT,
  CONTROL_HEAD,
  CONTROL_SLOT,
  CONTROL_TAIL,
  Enqueued,
  type EnqueueResult,
  Full,
  type Geometry,
  HEAD,
  IDLE,
  INDEX,
  IO_HEAD,
  IO_SLOT,
  IO_TAIL,
  POSITION,
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
  #corked = 0
  beforeVisible: (() => void) | undefined
  enqueued = 0

  /** `ring` wakes the consumer; it is called only when the consumer sleeps. */
  constructor(memory: QueueMemory, geometry: Geometry, ring: () => void) {
    this.geometry = geometry
    this.#words = wordsOf(memory, geometry)
    this.#ring = ring
    this.#ioStart = INDEX + geometry.indexQueue
    this.#controlStart = this.#ioStart + geometry.ioRing * IO_SLOT
    this.#tail = Atomics.load(this.#words, TAIL)
    this.#ioTail = Atomics.load(this.#words, IO_TAIL)
    this.#controlTail = Atomics.load(this.#words, CONTROL_TAIL)
    this.#head = Atomics.load(this.#words, HEAD)
    this.#ioHead = Atomics.load(this.#words, IO_HEAD)
    this.#controlHead = Atomics.load(this.#words, CONTROL_HEAD)
  }

  /** Goes on from where the queue stands in memory: another producer has written to it since. */
  resume(): void {
    const words = this.#words
    this.#tail = Atomics.load(words, TAIL)
    this.#ioTail = words[IO_TAIL]!
    this.#controlTail = words[CONTROL_TAIL]!
    this.#head = Atomics.load(words, HEAD)
    this.#ioHead = words[IO_HEAD]!
    this.#controlHead = words[CONTROL_HEAD]!
  }

  get position(): number {
    return this.#tail
  }

  get depth(): number {
    return (this.#tail - Atomics.load(this.#words, HEAD)) | 0
  }

  get ioDepth(): number {
    return (this.#ioTail - Atomics.load(this.#words, IO_HEAD)) | 0
  }

  get controlDepth(): number {
    return (this.#controlTail - Atomics.load(this.#words, CONTROL_HEAD)) | 0
  }

  get idle(): boolean {
    return Atomics.load(this.#words, IDLE) === 1
  }

  passed(position: number): boolean {
    return ((Atomics.load(this.#words, HEAD) - position) | 0) >= 0
  }

  io(kind: number, index: number, generation: number, argument: number): EnqueueResult {
    const words = this.#words
    if (words[CLOSED] === 1) return Closed
    if (!this.#hasRoom(false)) return Full
    const slot = this.#ioStart + (this.#ioTail & (this.geometry.ioRing - 1)) * IO_SLOT
    words[slot] = kind
    words[slot + 1] = index
    words[slot + 2] = generation
    words[slot + 3] = argument
    words[INDEX + (this.#tail & (this.geometry.indexQueue - 1))] = this.#ioTail & POSITION
    this.#ioTail = (this.#ioTail + 1) | 0
    this.#leave()
    return Enqueued
  }

  control(message: Int32Array, length: number): EnqueueResult {
    const words = this.#words
    if (words[CLOSED] === 1) return Closed
    if (!this.#hasRoom(true)) return Full
    const slot = this.#controlStart + (this.#controlTail & (this.geometry.controlRing - 1)) * CONTROL_SLOT
    words[slot] = length
    for (let i = 0; i < length; i++) words[slot + 1 + i] = message[i]!
    words[INDEX + (this.#tail & (this.geometry.indexQueue - 1))] = CONTROL_BIT | (this.#controlTail & POSITION)
    this.#controlTail = (this.#controlTail + 1) | 0
    this.#leave()
    return Enqueued
  }

  /** Compared without a sign: a head that claims to be past its tail leaves no room. */
  #hasRoom(control: boolean): boolean {
    const { indexQueue, ioRing, controlRing } = this.geometry
    if (((this.#tail - this.#head) >>> 0) >= indexQueue) {
      this.#head = Atomics.load(this.#words, HEAD)
      if (((this.#tail - this.#head) >>> 0) >= indexQueue) return false
    }
    if (control) {
      if (((this.#controlTail - this.#controlHead) >>> 0) < controlRing) return true
      this.#controlHead = Atomics.load(this.#words, CONTROL_HEAD)
      return ((this.#controlTail - this.#controlHead) >>> 0) < controlRing
    }
    if (((this.#ioTail - this.#ioHead) >>> 0) < ioRing) return true
    this.#ioHead = Atomics.load(this.#words, IO_HEAD)
    return ((this.#ioTail - this.#ioHead) >>> 0) < ioRing
  }

  #leave(): void {
    this.#tail = (this.#tail + 1) | 0
    this.enqueued++
    if (this.#corked === 0) this.#publish()
  }

  /** The tail goes last: whoever sees it sees the slot, and a producer that dies before leaves nothing behind. */
  #publish(): void {
    this.beforeVisible?.()
    const words = this.#words
    words[IO_TAIL] = this.#ioTail
    words[CONTROL_TAIL] = this.#controlTail
    Atomics.store(words, TAIL, this.#tail)
    if (Atomics.load(words, IDLE) === 1 && Atomics.compareExchange(words, IDLE, 1, 0) === 1) this.#ring()
  }

  cork(): void {
    this.#corked++
  }

  uncork(): void {
    if (this.#corked > 0 && --this.#corked === 0 && this.#words[TAIL] !== this.#tail) this.#publish()
  }

  flush(): void {
    if (this.#words[TAIL] !== this.#tail) this.#publish()
  }

  wantRoom(): void {
    Atomics.store(this.#words, WANTED, 1)
    // this load is what makes sure that the next try sees the rings' heads, which are plain words
    this.#head = Atomics.load(this.#words, HEAD)
  }

  get roomWanted(): boolean {
    return Atomics.load(this.#words, WANTED) === 1
  }

  close(): void {
    Atomics.store(this.#words, CLOSED, 1)
  }
}
