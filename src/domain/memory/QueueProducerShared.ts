/**
 * A writing end of a message queue that has several producers; see `QueueMemory` for the layout. Each of them has an id
 * of its own and takes the queue's lock for every message (M1), which costs two to four times what a single producer
 * pays.
 *
 * **A producer that dies** leaves its id in the lock, and perhaps a slot that it had taken. Whoever sees it die calls
 * {@link QueueProducerShared.recoverLock} with its id, from any producer of the queue.
 *
 * Hot path: plain synchronous code.
 *
 * @since 0.1.0
 */
import {
  CONTROL_HEAD,
  CONTROL_TAIL,
  Enqueued,
  type EnqueueResult,
  type Geometry,
  HEAD,
  IDLE,
  INDEX,
  INDEX_SLOT,
  IO_HEAD,
  IO_TAIL,
  LOCK,
  Locked,
  POSITION,
  QueueCorrupt,
  type QueueMemory,
  TAIL,
  WANTED,
  words as wordsOf
} from "./QueueMemory.ts"
import { type QueueOutlet, QueueProducer, type QueueWriter } from "./QueueProducer.ts"

/**
 * How often a held lock is tried by default (M1).
 *
 * @category constants
 * @since 0.1.0
 */
export const LOCK_TRIES = 5

/**
 * One of several producers of a queue, and how hard it tries for the lock.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sharing {
  /** Which producer this is: 1 to 2^31 - 1, unique among the queue's producers. */
  readonly id: number
  /** Tries for the lock, at least 1, about 1 us apart. */
  readonly tries: number
}

/** Id of the lock's holder while the lock is being recovered; the ids of producers are positive. */
const RECOVERY = -1
/** How many looks at the lock take about a microsecond. */
const PAUSE = 200

/** Waits about a microsecond on today's machines, or until the lock is released; the exact time does not matter. */
const pause = (words: Int32Array): void => {
  for (let i = 0; i < PAUSE; i++) if (Atomics.load(words, LOCK) === 0) return
}

/**
 * One of several producers: a {@link QueueProducer} that writes while this one holds the lock.
 *
 * **Gotchas** Messages can't be corked, since the lock must not be held meanwhile: each becomes visible at once.
 *
 * @category models
 * @since 0.1.0
 */
export class QueueProducerShared implements QueueWriter, QueueOutlet {
  readonly geometry: Geometry
  readonly #words: Int32Array
  readonly #ring: () => void
  readonly #sharing: Sharing
  readonly #producer: QueueProducer
  /** The message that was enqueued just now found the consumer asleep. */
  #rings = false
  /** Who held the lock at the last look, which could not take it, and how far the queue had come by then. */
  #holder = 0
  #heldAt = 0
  /** How far the queue had come at the last look, or by the last message of this producer. */
  #seen: number
  /** Enqueues that ended with `Locked`. */
  locked = 0

  /** `ring` wakes the consumer; it is called only when the consumer sleeps, and never while the lock is held. */
  constructor(memory: QueueMemory, geometry: Geometry, ring: () => void, sharing: Sharing) {
    this.geometry = geometry
    this.#words = wordsOf(memory, geometry)
    this.#ring = ring
    this.#sharing = sharing
    this.#producer = new QueueProducer(memory, geometry, () => void (this.#rings = true))
    this.#seen = this.#producer.position
  }

  io(kind: number, index: number, generation: number, argument: number): EnqueueResult {
    if (!this.#lock()) return Locked
    return this.#unlock(this.#producer.io(kind, index, generation, argument))
  }

  control(message: Int32Array, length: number): EnqueueResult {
    if (!this.#lock()) return Locked
    return this.#unlock(this.#producer.control(message, length))
  }

  #lock(): boolean {
    const { id, tries } = this.#sharing
    for (let left = tries;;) {
      if (Atomics.compareExchange(this.#words, LOCK, 0, id) === 0) break
      if (--left <= 0) {
        this.locked++
        return false
      }
      pause(this.#words)
    }
    // how far the others have come, and the consumer, who may have gone round meanwhile
    this.#producer.resume()
    return true
  }

  #unlock(result: EnqueueResult): EnqueueResult {
    this.#seen = this.#producer.position
    Atomics.compareExchange(this.#words, LOCK, this.#sharing.id, 0)
    if (this.#rings) {
      this.#rings = false
      this.#ring()
    }
    return result
  }

  /**
   * Repairs what the producer with this id left when it died: frees the lock if that producer held it, takes back the
   * slot of a message that it had not published, and rings for one that it had. Returns whether it held the lock.
   */
  recoverLock(id: number): boolean {
    const words = this.#words
    const held = Atomics.compareExchange(words, LOCK, id, RECOVERY) === id
    if (held) {
      words[IO_TAIL] = this.#publishedTail(false)
      words[CONTROL_TAIL] = this.#publishedTail(true)
      Atomics.store(words, LOCK, 0)
    }
    // asked or not: it may have died when it had found the consumer asleep and not rung yet
    Atomics.compareExchange(words, IDLE, 1, 0)
    this.#ring()
    return held
  }

  /** Where a ring ends according to the index queue: after its last message there, or at its head when none waits. */
  #publishedTail(control: boolean): number {
    const words = this.#words
    const { indexQueue } = this.geometry
    const tail = Atomics.load(words, TAIL)
    // the head before the ring's head: the consumer moves them the other way round
    const waiting = Math.min((tail - Atomics.load(words, HEAD)) >>> 0, indexQueue)
    for (let back = 1; back <= waiting; back++) {
      const entry = words[INDEX + ((tail - back) & (indexQueue - 1)) * INDEX_SLOT]!
      if (entry < 0 !== control) continue
      const claimed = words[control ? CONTROL_TAIL : IO_TAIL]!
      return (claimed - ((claimed - entry - 1) & POSITION)) | 0
    }
    return Atomics.load(words, control ? CONTROL_HEAD : IO_HEAD)
  }

  // where the queue stands, in whatever state the others are: the lock is not taken for it

  get position(): number {
    return Atomics.load(this.#words, TAIL)
  }

  get depth(): number {
    return this.#used(TAIL, HEAD, this.geometry.indexQueue)
  }

  get ioDepth(): number {
    return this.#used(IO_TAIL, IO_HEAD, this.geometry.ioRing)
  }

  get controlDepth(): number {
    return this.#used(CONTROL_TAIL, CONTROL_HEAD, this.geometry.controlRing)
  }

  /** Slots in use. Positions that make no sense leave none free. */
  #used(tail: number, head: number, size: number): number {
    const from = Atomics.load(this.#words, head)
    return Math.min((Atomics.load(this.#words, tail) - from) >>> 0, size)
  }

  passed(position: number): boolean {
    return this.#producer.passed(position)
  }

  get idle(): boolean {
    return this.#producer.idle
  }

  get closed(): boolean {
    return this.#producer.closed
  }

  get enqueued(): number {
    return this.#producer.enqueued
  }

  get beforeVisible(): (() => void) | undefined {
    return this.#producer.beforeVisible
  }

  set beforeVisible(call: (() => void) | undefined) {
    this.#producer.beforeVisible = call
  }

  cork(): void {}

  uncork(): void {}

  flush(): void {}

  wantRoom(): void {
    Atomics.store(this.#words, WANTED, 1)
  }

  get roomWanted(): boolean {
    return this.#producer.roomWanted
  }

  /**
   * To be called at intervals: rings if the consumer has taken nothing since the last call although messages wait.
   *
   * **Gotchas** Throws `QueueCorrupt` when the consumer's positions make no sense; when the queue has gone back behind
   * what was published; or when one producer has held the lock since the last call: whichever it was is no longer there,
   * or never was.
   */
  look(): void {
    const seen = this.#seen
    if (!this.#lock()) return this.#lookAtLock()
    this.#holder = 0
    try {
      const { position } = this.#producer
      if (((position - seen) | 0) < 0) throw new QueueCorrupt(`it went back from ${seen} to ${position}`)
      this.#producer.look()
    } finally {
      this.#unlock(Enqueued)
    }
  }

  #lookAtLock(): void {
    const holder = Atomics.load(this.#words, LOCK)
    const tail = Atomics.load(this.#words, TAIL)
    if (holder !== 0 && holder === this.#holder && tail === this.#heldAt) {
      throw new QueueCorrupt(`its lock is held by ${holder}, which does not release it`)
    }
    this.#holder = holder
    this.#heldAt = tail
  }

  close(): void {
    this.#producer.close()
  }
}
