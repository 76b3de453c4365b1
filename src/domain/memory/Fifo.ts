/**
 * The byte fifo of a session: a ring with one producer and one consumer that may be on different threads.
 *
 * Positions are free-running 32-bit numbers, and `tail - head` is how many bytes are in the fifo, up to its bound. The
 * memory behind a fifo follows its use. It has a small ring of its own, always; a fifo that needs more is lent larger
 * and larger blocks, up to its bound, and gives them back when it is empty. The producer borrows and gives back, so a
 * block has one owner; the consumer only reads where a block is.
 *
 * **How it grows** The bytes from position `start` of an epoch on are in that epoch's block, each at
 * `position & (size - 1)`. To grow, the producer writes the next epoch's `start` (its tail) and place, then the epoch's
 * number. No byte is copied: what was written before stays where it is, and its block goes back when it has been read.
 * There are {@link EPOCH_PLACES} places for epochs, used in turn. So many blocks may hold unread bytes at a time, each
 * larger than the one before, and the last of them is as large as the bound.
 *
 * **Layout** (32-bit words; three lines, one per writer, so that the two threads do not share a cache line)
 *
 * | line | word | name | meaning |
 * |---|---|---|---|
 * | producer | 0 | `TAIL` | position after the last byte |
 * | producer | 1 | `EPOCH` | number of the epoch in which bytes are written |
 * | producer | 2 | `OLDEST` | number of the first epoch that has not been read to its end |
 * | producer | 3–14 | four epochs | each: start position, segment, and offset in it + binary logarithm of the size |
 * | consumer | 0 | `HEAD` | position of the next byte |
 * | flags | 0 | `EVENT` | 1: the consumer has been told and has not looked yet |
 * | flags | 1 | `WANT` | 1: the producer wants to be told, once, that the head has come to `WANT_AT` |
 * | flags | 2 | `WANT_AT` | a position |
 *
 * Here is the layout; the ends are in `FifoProducer` and `FifoConsumer`. They check what the other side wrote before
 * they use it, and throw {@link FifoCorrupt} when it makes no sense. A word may also be possible and wrong: a flag that
 * says that the other side was told when it was not. The producer, which waits for the consumer in either direction,
 * looks after that at intervals (`overdue`, `roomCame`).
 */

export const TAIL = 0
export const EPOCH = 1
export const OLDEST = 2
export const EPOCHS = 3
export const EPOCH_WORDS = 3
/** The most epochs that have unread bytes at a time; a power of two. */
export const EPOCH_PLACES = 4
export const HEAD = 0
export const EVENT = 0
export const WANT = 1
export const WANT_AT = 2

/** How many words the producer's, the consumer's and the flags' part have. */
export const PRODUCER_WORDS = EPOCHS + EPOCH_PLACES * EPOCH_WORDS
export const CONSUMER_WORDS = 1
export const FLAG_WORDS = 3

/** Offsets of blocks are multiples of this many bytes, which leaves room for the size in the same word. */
export const BLOCK_ALIGNMENT = 64

/** Bytes of the smallest block that a fifo is lent, unless its bound is smaller. */
export const FIRST_BLOCK = 4096

/** Thrown when the other side's positions or places make no sense. */
export class FifoCorrupt extends Error {
  override readonly name = "Corrupt"
}

/** Where a fifo's words are: an index into `words` for each of its parts. */
export interface Words {
  readonly words: Int32Array
  readonly producer: number
  readonly consumer: number
  readonly flags: number
  /** The position at which the fifo begins, if its ends know; else they believe the words. */
  readonly start?: number | undefined
  /** Hears of what makes no sense, before {@link FifoCorrupt} is thrown to whoever uses the fifo. */
  readonly onCorrupt?: ((error: FifoCorrupt) => void) | undefined
}

/** Where a block is. */
export interface BlockPlace {
  readonly segment: number
  readonly offset: number
}

/** A block, with its bytes. */
export interface Block extends BlockPlace {
  /** A power of two. */
  readonly size: number
  readonly bytes: Uint8Array
}

/** The block of `size` bytes at `offset` of a segment, whose bytes are `segmentBytes`. */
export const block = (segment: number, segmentBytes: Uint8Array, offset: number, size: number): Block => ({
  segment,
  offset,
  size,
  bytes: segmentBytes.subarray(offset, offset + size)
})

/** The producer's memory. */
export interface Blocks {
  /**
   * A block of `bytes` (a power of two) for a fifo that is lent `held` bytes already, or `undefined` when there is no
   * memory for it now. Without `held` the block is for a session itself, which comes before what fifos want.
   */
  allocate(bytes: number, held?: number): BlockPlace | undefined
  free(place: BlockPlace): void
  /** The bytes of a segment. */
  view(segment: number): Uint8Array
}

/** The consumer's view of the producer's memory: the bytes of a segment, if it is known. */
export type View = (segment: number) => Uint8Array | undefined

/** Writes the words of a new, empty fifo. */
export const reset = ({ words, producer, consumer, flags }: Words): void => {
  words.fill(0, producer, producer + PRODUCER_WORDS)
  words.fill(0, consumer, consumer + CONSUMER_WORDS)
  words.fill(0, flags, flags + FLAG_WORDS)
}
