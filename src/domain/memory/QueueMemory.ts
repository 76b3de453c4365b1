/**
 * The memory of a message queue: an index queue and two rings in one block, written by one side and read by the other.
 *
 * A message takes a slot in the index queue and a slot in one of the rings: the IO ring for the 16-byte events that
 * say "look at this session's fifo", the control ring for everything else. Full means that the index queue or the ring
 * that the message needs has no slot left (M1). The index queue alone decides the order.
 *
 * Here is the layout; the ends are in `QueueProducer`, `QueueProducerShared` and `QueueConsumer`.
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
 * | 48 | `LOCK` | several producers | 0, or the id of the producer that holds it |
 * | 49 | `CLOSED` | either | 1: no message is taken any longer |
 * | 64 | index | producer | 2 words per slot: ring (bit 31, 1 = control) and ring position (31 bits); the check |
 * | … | IO ring | producer | 4 words per slot: kind, index, generation, argument |
 * | … | control ring | producer | 128 words per slot: length in words, then the message |
 *
 * Positions are free-running 32-bit numbers; sizes are powers of two, so a slot is `position & (size - 1)`.
 *
 * **What makes no sense is a fault.** Each side keeps the positions that it writes in private memory too, and never reads
 * its own words. What it reads of the other side must be possible: a reader's head only goes forward, up to what was
 * written; the next entry of the index queue names the next slot of its ring; the check, an exclusive or of the entry
 * and the message's words, is right, so no message is acted upon that was overwritten in its slot.
 *
 * **What is lost is found.** A word may also hold a value that is possible and wrong: a reader that sleeps is not marked
 * as idle, or a tail is less than what was published. So each side looks after its own words at intervals
 * ({@link LOOK_INTERVAL}): it states them again, and a producer whose messages have waited since its last look rings,
 * whatever `IDLE` says.
 *
 * @since 0.1.0
 */

/**
 * What became of an enqueue (M1).
 *
 * @category results
 * @since 0.1.0
 */
export const Enqueued = 0
/**
 * The lock was held by another producer through all tries; only where there are several producers.
 *
 * @category results
 * @since 0.1.0
 */
export const Locked = 1
/**
 * The index queue, or the ring that the message needs, has no slot left.
 *
 * @category results
 * @since 0.1.0
 */
export const Full = 2
/**
 * The queue no longer takes messages.
 *
 * @category results
 * @since 0.1.0
 */
export const Closed = 3
/**
 * The consumer's positions make no sense: the queue can't be used any longer.
 *
 * @category results
 * @since 0.1.0
 */
export const Corrupt = 4

/**
 * @category models
 * @since 0.1.0
 */
export type EnqueueResult = typeof Enqueued | typeof Locked | typeof Full | typeof Closed | typeof Corrupt

/**
 * Slots of each part; powers of two from 1 to 65536.
 *
 * @category models
 * @since 0.1.0
 */
export interface Geometry {
  readonly indexQueue: number
  readonly ioRing: number
  readonly controlRing: number
}

/**
 * The most words that a message in a control slot may have: 127 words, which are 508 bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const CONTROL_WORDS = 127

/**
 * @category constants
 * @since 0.1.0
 */
export const TAIL = 0
/**
 * @category constants
 * @since 0.1.0
 */
export const IO_TAIL = 1
/**
 * @category constants
 * @since 0.1.0
 */
export const CONTROL_TAIL = 2
/**
 * @category constants
 * @since 0.1.0
 */
export const HEAD = 16
/**
 * @category constants
 * @since 0.1.0
 */
export const IO_HEAD = 17
/**
 * @category constants
 * @since 0.1.0
 */
export const CONTROL_HEAD = 18
/**
 * @category constants
 * @since 0.1.0
 */
export const IDLE = 32
/**
 * @category constants
 * @since 0.1.0
 */
export const WANTED = 33
/**
 * @category constants
 * @since 0.1.0
 */
export const LOCK = 48
/**
 * @category constants
 * @since 0.1.0
 */
export const CLOSED = 49
/**
 * @category constants
 * @since 0.1.0
 */
export const INDEX = 64
/**
 * @category constants
 * @since 0.1.0
 */
export const INDEX_SLOT = 2
/**
 * @category constants
 * @since 0.1.0
 */
export const IO_SLOT = 4
/**
 * @category constants
 * @since 0.1.0
 */
export const CONTROL_SLOT = CONTROL_WORDS + 1
/**
 * @category constants
 * @since 0.1.0
 */
export const CONTROL_BIT = 0x8000_0000
/**
 * @category constants
 * @since 0.1.0
 */
export const POSITION = 0x7fff_ffff
/**
 * What the check of a message is begun with, so that memory which is all zeros holds no message.
 *
 * @category constants
 * @since 0.1.0
 */
export const CHECK = 0x5eed_c0de
/**
 * Milliseconds between two looks of a side at its own words.
 *
 * @category constants
 * @since 0.1.0
 */
export const LOOK_INTERVAL = 500

/**
 * Bytes that a queue of this geometry takes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const byteLength = (geometry: Geometry): number =>
  4 * (INDEX + geometry.indexQueue * INDEX_SLOT + geometry.ioRing * IO_SLOT + geometry.controlRing * CONTROL_SLOT)

/**
 * A block of memory that holds a queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueueMemory {
  readonly buffer: ArrayBufferLike
  readonly byteOffset: number
}

/**
 * The words of the layout.
 *
 * @category constructors
 * @since 0.1.0
 */
export const words = (memory: QueueMemory, geometry: Geometry): Int32Array =>
  new Int32Array(memory.buffer, memory.byteOffset, byteLength(geometry) / 4)

/**
 * Thrown when the other side wrote what no reader or writer of a queue writes.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueueCorrupt extends Error {
  override readonly name = "Corrupt"
}
