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
 * | 64 | index | producer | one word per slot: ring (bit 31, 1 = control) and ring position (31 bits) |
 * | … | IO ring | producer | 4 words per slot: kind, index, generation, argument |
 * | … | control ring | producer | 128 words per slot: length in words, then the message |
 *
 * Positions are free-running 32-bit numbers; sizes are powers of two, so a slot is `position & (size - 1)`. A ring's
 * position is carried by the index entry, so a slot that was taken but never published is skipped with the next
 * message.
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
 * @category models
 * @since 0.1.0
 */
export type EnqueueResult = typeof Enqueued | typeof Locked | typeof Full | typeof Closed

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
 * Bytes that a queue of this geometry takes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const byteLength = (geometry: Geometry): number =>
  4 * (INDEX + geometry.indexQueue + geometry.ioRing * IO_SLOT + geometry.controlRing * CONTROL_SLOT)

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
 * Thrown by `QueueConsumer.drain` when the other side wrote what no producer writes.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueueCorrupt extends Error {
  override readonly name = "Corrupt"
}
