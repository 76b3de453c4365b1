/**
 * The reading end of a message queue; see `QueueMemory` for the layout. There is one per queue.
 *
 * What the other side wrote is checked before use: that side may be any program. Hot path: plain synchronous code.
 *
 * @since 0.1.0
 */
import {
  CHECK,
  CLOSED,
  CONTROL_HEAD,
  CONTROL_SLOT,
  CONTROL_TAIL,
  CONTROL_WORDS,
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
 * Receives drained messages. It must not throw: the rest of the batch would have nowhere to go.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sink {
  io(kind: number, index: number, generation: number, argument: number): void
  /** The message is `words[start]` to `words[start + length - 1]`, valid during the call only. */
  control(words: Int32Array, start: number, length: number): void
}

/**
 * @category models
 * @since 0.1.0
 */
export class QueueConsumer {
  readonly geometry: Geometry
  readonly #words: Int32Array
  readonly #ioStart: number
  readonly #controlStart: number
  #head: number
  #ioHead: number
  #controlHead: number
  /** Messages drained since the consumer was made. */
  drained = 0

  constructor(memory: QueueMemory, geometry: Geometry) {
    this.geometry = geometry
    this.#words = wordsOf(memory, geometry)
    this.#ioStart = INDEX + geometry.indexQueue * INDEX_SLOT
    this.#controlStart = this.#ioStart + geometry.ioRing * IO_SLOT
    this.#head = Atomics.load(this.#words, HEAD)
    this.#ioHead = Atomics.load(this.#words, IO_HEAD)
    this.#controlHead = Atomics.load(this.#words, CONTROL_HEAD)
  }

  /** Messages that wait, as the producer says. */
  get depth(): number {
    return this.#used(TAIL, this.#head, this.geometry.indexQueue)
  }

  /** IO-ring slots in use, as the producer says. */
  get ioDepth(): number {
    return this.#used(IO_TAIL, this.#ioHead, this.geometry.ioRing)
  }

  /** Control-ring slots in use, as the producer says. */
  get controlDepth(): number {
    return this.#used(CONTROL_TAIL, this.#controlHead, this.geometry.controlRing)
  }

  #used(tail: number, head: number, size: number): number {
    return Math.min((Atomics.load(this.#words, tail) - head) >>> 0, size)
  }

  /** Whether this side sleeps. */
  get idle(): boolean {
    return Atomics.load(this.#words, IDLE) === 1
  }

  /** Whether an enqueue ends with `Closed`, whichever side has seen to that. */
  get closed(): boolean {
    return this.#words[CLOSED] === 1
  }

  /**
   * Hands up to `max` messages to the sink and returns how many there were.
   *
   * **Gotchas** Throws {@link QueueCorrupt} when positions, lengths or checks make no sense; the queue is then unusable.
   */
  drain(max: number, sink: Sink): number {
    const words = this.#words
    const { indexQueue } = this.geometry
    const waiting = (Atomics.load(words, TAIL) - this.#head) | 0
    if (waiting === 0) return 0
    if (waiting < 0 || waiting > indexQueue) throw new QueueCorrupt(`${waiting} messages in a queue of ${indexQueue}`)
    const count = waiting < max ? waiting : max
    let done = 0
    try {
      while (done < count) {
        const at = INDEX + (this.#head & (indexQueue - 1)) * INDEX_SLOT
        const entry = words[at]!
        const check = words[at + 1]! ^ entry ^ CHECK
        this.#head = (this.#head + 1) | 0
        done++
        if (entry < 0) this.#control(entry, check, sink)
        else this.#io(entry, check, sink)
      }
    } finally {
      this.drained += done
      this.#show()
    }
    return done
  }

  #control(entry: number, check: number, sink: Sink): void {
    if (((entry ^ this.#controlHead) & POSITION) !== 0) throw this.#misplaced("control", entry, this.#controlHead)
    const words = this.#words
    const slot = this.#controlStart + (entry & (this.geometry.controlRing - 1)) * CONTROL_SLOT
    const length = words[slot]!
    if (length < 1 || length > CONTROL_WORDS) throw new QueueCorrupt(`control message of ${length} words`)
    let found = length
    for (let word = slot + 1; word <= slot + length; word++) found ^= words[word]!
    if (found !== check) throw new QueueCorrupt("a control message was overwritten")
    this.#controlHead = (this.#controlHead + 1) | 0
    sink.control(words, slot + 1, length)
  }

  #io(entry: number, check: number, sink: Sink): void {
    if (((entry ^ this.#ioHead) & POSITION) !== 0) throw this.#misplaced("IO", entry, this.#ioHead)
    const words = this.#words
    const slot = this.#ioStart + (entry & (this.geometry.ioRing - 1)) * IO_SLOT
    const kind = words[slot]!
    const index = words[slot + 1]!
    const generation = words[slot + 2]!
    const argument = words[slot + 3]!
    if ((kind ^ index ^ generation ^ argument) !== check) throw new QueueCorrupt("an IO event was overwritten")
    this.#ioHead = (this.#ioHead + 1) | 0
    sink.io(kind, index, generation, argument)
  }

  #misplaced(ring: string, entry: number, head: number): QueueCorrupt {
    return new QueueCorrupt(`${ring} slot ${entry & POSITION} where slot ${head & POSITION} is the next one`)
  }

  #show(): void {
    this.#words[IO_HEAD] = this.#ioHead
    this.#words[CONTROL_HEAD] = this.#controlHead
    Atomics.store(this.#words, HEAD, this.#head)
  }

  /** To be called at intervals: states again how far this side has read. */
  look(): void {
    this.#show()
  }

  /**
   * Shows the control messages that wait, leaving out the first `from` messages of the queue, and takes none of them.
   * Returns how many messages wait. It may be called within {@link drain}. What makes no sense is not shown: the drain
   * that comes to it throws.
   */
  peekControl(from: number, see: Sink["control"]): number {
    const words = this.#words
    const { indexQueue, controlRing } = this.geometry
    const waiting = this.depth
    for (let i = from; i < waiting; i++) {
      const entry = words[INDEX + ((this.#head + i) & (indexQueue - 1)) * INDEX_SLOT]!
      if (entry >= 0) continue
      const slot = this.#controlStart + (entry & (controlRing - 1)) * CONTROL_SLOT
      const length = words[slot]!
      if (length >= 1 && length <= CONTROL_WORDS) see(words, slot + 1, length)
    }
    return waiting
  }

  /** Whether the producer waits for room. */
  get roomWanted(): boolean {
    return Atomics.load(this.#words, WANTED) === 1
  }

  /**
   * Goes to sleep: `true` when the queue is empty and the next message will ring, `false` when something came in the
   * meantime and the caller must drain again. The look after arming is what keeps a wake-up from being lost.
   */
  sleep(): boolean {
    Atomics.store(this.#words, IDLE, 1)
    if (Atomics.load(this.#words, TAIL) === this.#head) return true
    this.wake()
    return false
  }

  /** Ends a sleep from this side, so that the producer does not ring for it. */
  wake(): void {
    Atomics.compareExchange(this.#words, IDLE, 1, 0)
  }

  /** Grants room to a producer that asked for it: `true` once per `wantRoom` of the producer. Call after a drain. */
  grantRoom(): boolean {
    return Atomics.load(this.#words, WANTED) === 1 && Atomics.compareExchange(this.#words, WANTED, 1, 0) === 1
  }

  /** From now on every enqueue ends with {@link Closed}; what is in the queue can still be read. */
  close(): void {
    Atomics.store(this.#words, CLOSED, 1)
  }
}
