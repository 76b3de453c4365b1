/**
 * The message queue: an index queue and two rings in one block of memory, written by one side and read by the other.
 *
 * A message takes a slot in the index queue and a slot in one of the rings: the IO ring for the 16-byte events that
 * say "look at this session's fifo", the control ring for everything else. Full means that any of those that the
 * message needs has no slot left (M1). The index queue alone decides the order.
 *
 * This module is a hot path: no allocation per event, no `try` per event, no Effect. Waiting, waking and supervision
 * are the layers' work.
 *
 * **Layout** (32-bit words from the queue's first byte, one cache line of 16 words per writer)
 *
 * | word | name | written by | meaning |
 * |---|---|---|---|
 * | 0 | `TAIL` | producer | index-queue position after the last published message |
 * | 1 | `IO_TAIL` | producer | IO-ring position after the last message |
 * | 2 | `CONTROL_TAIL` | producer | control-ring position after the last message |
 * | 16 | `HEAD` | consumer | index-queue position of the next message |
 * | 17 | `IO_HEAD` | consumer | IO-ring position of the next message |
 * | 18 | `CONTROL_HEAD` | consumer | control-ring position of the next message |
 * | 32 | `IDLE` | both | 1: the consumer sleeps and wants its doorbell rung |
 * | 33 | `WANTED` | both | 1: the producer found no room and wants to hear of some |
 * | 48 | `LOCK` | producers | 0, or the id of the producer that holds it |
 * | 49 | `CLOSED` | either | 1: nothing is taken any more |
 * | 64 | index | producer | one word per slot: ring (bit 31, 1 = control) and ring position (31 bits) |
 * | … | IO ring | producer | 4 words per slot: kind, index, generation, argument |
 * | … | control ring | producer | 128 words per slot: length in words, then the message |
 *
 * Positions are free-running 32-bit numbers; sizes are powers of two, so a slot is `position & (size - 1)`. A ring's
 * position is carried by the index entry, so a slot that was taken but never published is skipped with the next
 * message; what a producer took that died with the lock is given back when the lock is recovered.
 */

/** What became of an enqueue (M1). */
export const Enqueued = 0
/** The lock was held through all tries. */
export const Locked = 1
/** The index queue, or the ring that the message needs, has no slot left. */
export const Full = 2
/** The queue takes nothing any more. */
export const Closed = 3

export type EnqueueResult = typeof Enqueued | typeof Locked | typeof Full | typeof Closed

/** Slots of each part; powers of two from 1 to 65536. */
export interface Geometry {
  readonly indexQueue: number
  readonly ioRing: number
  readonly controlRing: number
}

/** Words of a control slot's message, at most: 508 bytes. */
export const CONTROL_WORDS = 127

const TAIL = 0
const IO_TAIL = 1
const CONTROL_TAIL = 2
const HEAD = 16
const IO_HEAD = 17
const CONTROL_HEAD = 18
const IDLE = 32
const WANTED = 33
const LOCK = 48
const CLOSED = 49
const INDEX = 64
const IO_SLOT = 4
const CONTROL_SLOT = CONTROL_WORDS + 1
const CONTROL_BIT = 0x8000_0000
const POSITION = 0x7fff_ffff
/** Looks at the lock that take about a microsecond. */
const PAUSE = 200

/** Bytes that a queue of this geometry takes. */
export const byteLength = (geometry: Geometry): number =>
  4 * (INDEX + geometry.indexQueue + geometry.ioRing * IO_SLOT + geometry.controlRing * CONTROL_SLOT)

/** A block of memory that holds a queue. */
export interface QueueMemory {
  readonly buffer: ArrayBufferLike
  readonly byteOffset: number
}

/** Thrown by {@link QueueConsumer.drain} when the other side wrote what no producer writes. */
export class QueueCorrupt extends Error {
  override readonly name = "Corrupt"
}

const wordsOf = (memory: QueueMemory, geometry: Geometry): Int32Array =>
  new Int32Array(memory.buffer, memory.byteOffset, byteLength(geometry) / 4)

/** One of several producers of a queue, and how hard it tries for the lock. */
export interface Sharing {
  /** Which producer this is: 1 to 2^31 - 1, unique among the queue's producers. */
  readonly id: number
  /** Tries for the lock, at least 1, about 1 us apart. */
  readonly tries: number
}

/** Id of the lock's holder while it is being recovered; producers' are positive. */
const RECOVERY = -1

/** About a microsecond on the machines of today, less when the lock is let go; the exact length is of no consequence. */
const pause = (words: Int32Array): void => {
  for (let i = 0; i < PAUSE; i++) if (Atomics.load(words, LOCK) === 0) return
}

/**
 * The writing side.
 *
 * **Details** With one producer there is no lock. With several, each is made with its {@link Sharing} and every
 * enqueue takes the lock. Inside {@link cork} … {@link uncork} messages become visible together, and the doorbell is
 * rung once at most; several producers cannot cork, since the lock must not be held meanwhile.
 */
export class QueueProducer {
  readonly geometry: Geometry
  readonly #words: Int32Array
  readonly #ring: () => void
  readonly #sharing: Sharing | undefined
  readonly #ioStart: number
  readonly #controlStart: number
  #tail: number
  #ioTail: number
  #controlTail: number
  #head: number
  #ioHead: number
  #controlHead: number
  #corked = 0
  /** Called before messages become visible: what goes with them by another way goes first. */
  beforeVisible: (() => void) | undefined
  /** Messages enqueued since the producer was made. */
  enqueued = 0
  /** Enqueues that ended with {@link Locked}. */
  locked = 0

  /** `ring` wakes the consumer; it is called only when the consumer sleeps. */
  constructor(memory: QueueMemory, geometry: Geometry, ring: () => void, sharing?: Sharing) {
    this.geometry = geometry
    this.#words = wordsOf(memory, geometry)
    this.#ring = ring
    this.#sharing = sharing
    this.#ioStart = INDEX + geometry.indexQueue
    this.#controlStart = this.#ioStart + geometry.ioRing * IO_SLOT
    this.#tail = Atomics.load(this.#words, TAIL)
    this.#ioTail = Atomics.load(this.#words, IO_TAIL)
    this.#controlTail = Atomics.load(this.#words, CONTROL_TAIL)
    this.#head = Atomics.load(this.#words, HEAD)
    this.#ioHead = Atomics.load(this.#words, IO_HEAD)
    this.#controlHead = Atomics.load(this.#words, CONTROL_HEAD)
  }

  /** Position of the last message enqueued; compare with {@link passed}. */
  get position(): number {
    return this.#tail
  }

  /** Messages that the consumer has not passed yet, with those that are still corked. */
  get depth(): number {
    this.#look()
    return (this.#tail - Atomics.load(this.#words, HEAD)) | 0
  }

  /** IO-ring slots in use. */
  get ioDepth(): number {
    this.#look()
    return (this.#ioTail - Atomics.load(this.#words, IO_HEAD)) | 0
  }

  /** Control-ring slots in use. */
  get controlDepth(): number {
    this.#look()
    return (this.#controlTail - Atomics.load(this.#words, CONTROL_HEAD)) | 0
  }

  /** Whether the consumer sleeps. */
  get idle(): boolean {
    return Atomics.load(this.#words, IDLE) === 1
  }

  /** Whether the consumer has dealt with every message up to this {@link position}. */
  passed(position: number): boolean {
    return ((Atomics.load(this.#words, HEAD) - position) | 0) >= 0
  }

  /** Enqueues a 16-byte IO event. */
  io(kind: number, index: number, generation: number, argument: number): EnqueueResult {
    const words = this.#words
    const entry = this.#enter(false)
    if (entry !== Enqueued) return entry
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

  /** Enqueues the first `length` words of `message`, 1 to {@link CONTROL_WORDS}; the words are copied. */
  control(message: Int32Array, length: number): EnqueueResult {
    const words = this.#words
    const entry = this.#enter(true)
    if (entry !== Enqueued) return entry
    const slot = this.#controlStart + (this.#controlTail & (this.geometry.controlRing - 1)) * CONTROL_SLOT
    words[slot] = length
    for (let i = 0; i < length; i++) words[slot + 1 + i] = message[i]!
    words[INDEX + (this.#tail & (this.geometry.indexQueue - 1))] = CONTROL_BIT | (this.#controlTail & POSITION)
    this.#controlTail = (this.#controlTail + 1) | 0
    this.#leave()
    return Enqueued
  }

  /** With several producers: how far the others have come, and the consumer, who may have gone round meanwhile. */
  #look(): void {
    if (this.#sharing === undefined) return
    const words = this.#words
    this.#tail = Atomics.load(words, TAIL)
    this.#ioTail = words[IO_TAIL]!
    this.#controlTail = words[CONTROL_TAIL]!
    this.#head = Atomics.load(words, HEAD)
    this.#ioHead = words[IO_HEAD]!
    this.#controlHead = words[CONTROL_HEAD]!
  }

  /** Takes the lock where there is one, and answers whether there is a slot in all parts that are needed. */
  #enter(control: boolean): EnqueueResult {
    const words = this.#words
    if (this.#sharing !== undefined) {
      if (!this.#lock(this.#sharing)) {
        this.locked++
        return Locked
      }
      this.#look()
    }
    const result = words[CLOSED] === 1 ? Closed : this.#hasRoom(control) ? Enqueued : Full
    if (result !== Enqueued && this.#sharing !== undefined) this.#unlock(this.#sharing)
    return result
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
    if (this.#sharing !== undefined) this.#unlock(this.#sharing)
    this.#wakeConsumer()
  }

  #wakeConsumer(): void {
    const words = this.#words
    if (Atomics.load(words, IDLE) === 1 && Atomics.compareExchange(words, IDLE, 1, 0) === 1) this.#ring()
  }

  #lock(sharing: Sharing): boolean {
    for (let tries = 1;; tries++) {
      if (Atomics.compareExchange(this.#words, LOCK, 0, sharing.id) === 0) return true
      if (tries >= sharing.tries) return false
      pause(this.#words)
    }
  }

  #unlock(sharing: Sharing): void {
    Atomics.compareExchange(this.#words, LOCK, sharing.id, 0)
  }

  /**
   * Makes good what the producer with this id left when it died: frees the lock if it held it, which the answer says,
   * takes back the slot of a message that it had not published, and rings for one that it had.
   */
  recoverLock(id: number): boolean {
    const words = this.#words
    const held = Atomics.compareExchange(words, LOCK, id, RECOVERY) === id
    if (held) {
      words[IO_TAIL] = this.#publishedTail(false)
      words[CONTROL_TAIL] = this.#publishedTail(true)
      Atomics.store(words, LOCK, 0)
    }
    this.#wakeConsumer()
    return held
  }

  /** Where a ring ends by the index queue: after its last message there, or at its head when none waits. */
  #publishedTail(control: boolean): number {
    const words = this.#words
    const { indexQueue } = this.geometry
    const tail = Atomics.load(words, TAIL)
    // the head before the ring's head: the consumer moves them the other way round
    const waiting = Math.min((tail - Atomics.load(words, HEAD)) >>> 0, indexQueue)
    for (let back = 1; back <= waiting; back++) {
      const entry = words[INDEX + ((tail - back) & (indexQueue - 1))]!
      if (entry < 0 !== control) continue
      const claimed = words[control ? CONTROL_TAIL : IO_TAIL]!
      return (claimed - ((claimed - entry - 1) & POSITION)) | 0
    }
    return Atomics.load(words, control ? CONTROL_HEAD : IO_HEAD)
  }

  /** From here to {@link uncork} messages are written but not yet visible. Calls nest. */
  cork(): void {
    if (this.#sharing === undefined) this.#corked++
  }

  /** Makes what was corked visible, and wakes the consumer if it sleeps. */
  uncork(): void {
    if (this.#corked > 0 && --this.#corked === 0 && this.#words[TAIL] !== this.#tail) this.#publish()
  }

  /** Makes what was corked so far visible; the cork stays. */
  flush(): void {
    if (this.#words[TAIL] !== this.#tail) this.#publish()
  }

  /** Asks to hear of room. After it, try once more: room that came before the call is not signalled. */
  wantRoom(): void {
    Atomics.store(this.#words, WANTED, 1)
    // this load is what makes sure that the next try sees the rings' heads, which are plain words
    this.#head = Atomics.load(this.#words, HEAD)
  }

  /** Whether the consumer has not answered {@link wantRoom} yet. */
  get roomWanted(): boolean {
    return Atomics.load(this.#words, WANTED) === 1
  }

  /** From now on every enqueue ends with {@link Closed}; what is in the queue can still be read. */
  close(): void {
    Atomics.store(this.#words, CLOSED, 1)
  }
}

/** Receives drained messages. It must not throw: a batch has no place to put the rest. */
export interface Sink {
  io(kind: number, index: number, generation: number, argument: number): void
  /** The message is `words[start]` to `words[start + length - 1]`, valid during the call only. */
  control(words: Int32Array, start: number, length: number): void
}

/** The reading side. There is one. */
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
   * Hands at most `max` messages to the sink and returns how many it was.
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

  /** Grants room to a producer that asked for it: `true` once per {@link QueueProducer.wantRoom}. Call after a drain. */
  grantRoom(): boolean {
    return Atomics.load(this.#words, WANTED) === 1 && Atomics.compareExchange(this.#words, WANTED, 1, 0) === 1
  }

  /** From now on every enqueue ends with {@link Closed}; what is in the queue can still be read. */
  close(): void {
    Atomics.store(this.#words, CLOSED, 1)
  }
}
