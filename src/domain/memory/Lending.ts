/**
 * What fifos are lent of a worker's memory, beyond the rings that they have of their own.
 *
 * **The rule** As long as more than half of the memory is free, a fifo is lent what it asks for. After that it is lent a
 * block only if it then holds no more than a 4096th of what is free, or if the block is its first. So what is free
 * shrinks ever more slowly, whoever asks: a few fifos can't take all of it, and those that come later still find some.
 *
 * The host goes by this rule for rx fifos, the worker for tx fifos. The memory that sessions themselves need is not
 * lent, and is not counted as free here: an eighth of what there can be is kept for sessions.
 */
import { FIRST_BLOCK } from "./Fifo.ts"

/** Once half of the memory is in use, the largest part of what is free that one fifo may hold, as a divisor. */
const SHARE = 4096

/**
 * Whether a fifo that is lent `held` bytes may be lent `bytes` more, where `used` bytes are in use and `free` bytes may
 * still be lent.
 */
export const lends = (bytes: number, held: number, free: number, used: number): boolean =>
  bytes <= free
  && (used + bytes <= free - bytes || (held + bytes) * SHARE <= free || (held === 0 && bytes <= FIRST_BLOCK))

/** What a worker's memory is made of, in bytes. */
export interface Budget {
  readonly firstSegmentSize: number
  /** 0: no segment is added. */
  readonly addSegmentSize: number
  readonly memoryLimit: number
}

const inSegments = (bytes: number, { addSegmentSize }: Budget): number =>
  addSegmentSize === 0 || bytes <= 0 ? 0 : bytes - bytes % addSegmentSize

/** Bytes of segments that may be added, where segments of `bytes` are there. */
export const addable = (budget: Budget, bytes: number): number => inSegments(budget.memoryLimit - bytes, budget)

/** Bytes that are kept for sessions themselves. */
export const reserve = (budget: Budget): number =>
  Math.floor((budget.firstSegmentSize + addable(budget, budget.firstSegmentSize)) / 8)

/**
 * Bytes that may be lent from arenas with so much capacity and room, where segments of `addable` bytes may be added: an
 * eighth is kept for the sessions of these arenas.
 */
export const lendableOf = (room: number, capacity: number, addable: number): number =>
  room + addable - Math.floor((capacity + addable) / 8)

/** Bytes of segments that may be added for fifos, where segments of `bytes` are there. */
export const addableForFifos = (budget: Budget, bytes: number): number =>
  inSegments(budget.memoryLimit - bytes - reserve(budget), budget)

/**
 * Whether a fifo of `bound` bytes reaches its bound while it is the only one of a worker, in either direction. `part`
 * is what each side has of the first segment.
 */
export const holds = (budget: Budget, part: number, bound: number): boolean => {
  const added = addableForFifos(budget, budget.firstSegmentSize)
  const inOnePiece = Math.max(part, added > 0 ? budget.addSegmentSize : 0)
  const forHost = part + addable(budget, budget.firstSegmentSize) - reserve(budget)
  const room = Math.min(forHost, part + added)
  // what it holds when it goes on to its last block
  const held = Math.floor(bound / 8)
  return 2 ** Math.floor(Math.log2(inOnePiece)) >= bound && lends(bound, held, room - held, held)
}
