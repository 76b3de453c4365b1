/**
 * The reading end of a message queue; see `QueueMemory` for the layout. There is one per queue.
 *
 * What the other side wrote is checked before use: that side may be any program. Hot path: plain synchronous code.
 *
 * @since 0.1.0
 */
import {
  CLOSED,
  CONTROL_HEAD,
  CONTROL_SLOT,
  CONTROL_TAIL,
  CONTROL_WORDS,
  type Geometry,
  HEAD,
  IDLE,
  INDEX,
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
    this.#ioStart = INDEX + geometry.indexQueue
    this.#controlStart = this.#ioStart + geometry.ioRing * IO_SLOT
    this.#head = Atomics.load(this.#words, HEAD)
    this.#ioHead = Atomics.load(this.#words, IO_HEAD)
    this.#controlHead = Atomics.load(this.#words, CONTROL_HEAD)
  }

  /** Messages that wait. */
  get depth(): number {
    return (Atomics.load(this.#words, TAIL) - this.#head) | 0
  }

  /** IO-ring slots in use, as the producer says. */
  get ioDepth(): number {
    return (Atomics.load(this.#words, IO_TAIL) - this.#ioHead) | 0
  }

  /** Control-ring slots in use, as the producer says. */
  get controlDepth(): number {
    return (Atomics.load(this.#words, CONTROL_TAIL) - this.#controlHead) | 0
  }

  /** Whether this side sleeps. */
  get idle(): boolean {
    return Atomics.load(this.#words, IDLE) === 1
  }

  /**
   * Hands up to `max` messages to the sink and returns how many there were.
   *
   * **Gotchas** Throws {@link QueueCorrupt} when positions, slots or lengths make no sense; the queue is then unusable.
   */
  drain(max: number, sink: Sink): number {
    const words = this.#words
    const { indexQueue, ioRing, controlRing } = this.geometry
    const waiting = (Atomics.load(words, TAIL) - this.#head) | 0
    if (waiting === 0) return 0
    if (waiting < 0 || waiting > indexQueue) throw new QueueCorrupt(`${waiting} messages in a queue of ${indexQueue}`)
    const count = waiting < max ? waiting : max
    let done = 0
    try {
      while (done < count) {
        const entry = words[INDEX + (this.#head & (indexQueue - 1))]!
        this.#head = (this.#head + 1) | 0
        done++
        if (entry < 0) {
          const skipped = (entry - this.#controlHead) & POSITION
          if (skipped >= controlRing) {
            throw new QueueCorrupt(`control slot ${skipped} places ahead in a ring of ${controlRing}`)
          }
          const slot = this.#controlStart + (entry & (controlRing - 1)) * CONTROL_SLOT
          const length = words[slot]!
          if (length < 1 || length > CONTROL_WORDS) throw new QueueCorrupt(`control message of ${length} words`)
          sink.control(words, slot + 1, length)
          this.#controlHead = (this.#controlHead + skipped + 1) | 0
        } else {
          const skipped = (entry - this.#ioHead) & POSITION
          if (skipped >= ioRing) throw new QueueCorrupt(`IO slot ${skipped} places ahead in a ring of ${ioRing}`)
          const slot = this.#ioStart + (entry & (ioRing - 1)) * IO_SLOT
          sink.io(words[slot]!, words[slot + 1]!, words[slot + 2]!, words[slot + 3]!)
          this.#ioHead = (this.#ioHead + skipped + 1) | 0
        }
      }
    } finally {
      this.drained += done
      words[IO_HEAD] = this.#ioHead
      words[CONTROL_HEAD] = this.#controlHead
      Atomics.store(words, HEAD, this.#head)
    }
    return done
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
