/**
 * Options of the memory that the host shares with a worker: segments, and the fifos in them.
 */
import * as Schema from "effect/Schema"
import { FIRST_BLOCK } from "../memory/Fifo.ts"
import * as Lending from "../memory/Lending.ts"
import { SESSION_BYTES } from "../memory/SessionBlock.ts"
import { number, rule } from "./OptionFields.ts"
import { GiB, HOUR, KiB, MiB, print, SECOND } from "./OptionUnits.ts"

/**
 * Segments and fifos. The options belong to the application and hold for each of its workers.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentOptions = Schema.Struct({
  /**
   * Size of a worker's first segment, which is never removed: 512 KiB to 1 GiB; 4 MiB. It must have room for the
   * event queue, see `queueSegmentSize`.
   */
  firstSegmentSize: number({
    unit: "bytes",
    min: 512 * KiB,
    max: GiB,
    default: 4 * MiB,
    requirement: "W4",
    description: "Size of a worker's first segment, which holds its event queue and is never removed"
  }),
  /** Size of each segment that is added when the others fill up: 256 KiB to 1 GiB, or 0 for no growth; 4 MiB. */
  addSegmentSize: number({
    unit: "bytes",
    min: 256 * KiB,
    max: GiB,
    default: 4 * MiB,
    zero: "no growth",
    requirement: "W4",
    description: "Size of each segment that is added when the others fill up"
  }),
  /**
   * Bytes received that may wait in one session: a power of two from 4 KiB to 4 MiB; 512 KiB. Memory is taken only
   * while there are bytes.
   */
  rxFifoSize: number({
    unit: "bytes",
    min: 4 * KiB,
    max: 4 * MiB,
    default: 512 * KiB,
    powerOfTwo: true,
    requirement: "W4",
    description: "Bytes received that may wait in one session"
  }),
  /**
   * Bytes to be sent that may wait in one session: a power of two from 4 KiB to 4 MiB; 512 KiB. Memory is taken only
   * while there are bytes.
   */
  txFifoSize: number({
    unit: "bytes",
    min: 4 * KiB,
    max: 4 * MiB,
    default: 512 * KiB,
    powerOfTwo: true,
    requirement: "W4",
    description: "Bytes to be sent that may wait in one session"
  }),
  /** Pairs of fifos made when a worker starts, before the first session needs one: 0 to 65536; 0. */
  preallocFifoPairs: number({
    unit: "pairs",
    min: 0,
    max: 65536,
    default: 0,
    requirement: "W4",
    description: "Pairs of fifos made when a worker starts, before the first session needs one"
  }),
  /**
   * Segment memory that one worker may hold, its first segment included: up to 64 GiB, no less than
   * `firstSegmentSize`; 256 MiB.
   */
  memoryLimit: number({
    unit: "bytes",
    min: 512 * KiB,
    max: 64 * GiB,
    default: 256 * MiB,
    requirement: "W4",
    description: "Segment memory that one worker may hold, its first segment included"
  }),
  /** How often the fifos of idle sessions give their memory back: 10 ms to 1 h; 1 s. */
  trimInterval: number({
    unit: "milliseconds",
    min: 10,
    max: HOUR,
    default: SECOND,
    description: "How often the fifos of idle sessions give their memory back"
  }),
  /**
   * How full, in percent, the segments of one listener (or of a worker's connects) get before another one is added: 1
   * to 100; 80. Segments are added before an allocation has to be refused.
   */
  highWatermark: number({
    unit: "percent",
    min: 1,
    max: 100,
    default: 80,
    description: "How full a listener's segments get before another one is added"
  }),
  /**
   * A segment without a block goes once the remaining ones are no fuller than this, in percent: 0 to 99, below
   * `highWatermark`; 50.
   */
  lowWatermark: number({
    unit: "percent",
    min: 0,
    max: 99,
    default: 50,
    description: "How full the others may be when a segment without a block is removed"
  })
}).check(
  Schema.makeFilter(({ firstSegmentSize, memoryLimit }) =>
    rule(
      memoryLimit >= firstSegmentSize,
      ["memoryLimit"],
      `at least firstSegmentSize, which is ${print("bytes", firstSegmentSize)}`
    )
  ),
  Schema.makeFilter(({ highWatermark, lowWatermark }) =>
    rule(
      lowWatermark < highWatermark,
      ["lowWatermark"],
      `below highWatermark, which is ${print("percent", highWatermark)}`
    )
  )
)
export type SegmentOptions = typeof SegmentOptions.Type

/** Bytes that are set aside for a pair of fifos: a session, and a block for what it receives. */
export const FIFO_PAIR_BYTES = SESSION_BYTES + FIRST_BLOCK

const SMALLEST_FIFO = 4 * KiB
const LARGEST_FIFO = 4 * MiB

/** What each side has of a first segment, in which `queueBytes` are the queue's. */
const partOf = ({ firstSegmentSize }: SegmentOptions, queueBytes: number): number =>
  Math.floor((firstSegmentSize - queueBytes) / 2)

/** Bytes of the largest fifo that can reach its bound with these segments; 0 when there is none. */
export const largestFifo = (options: SegmentOptions, queueBytes: number): number => {
  const part = partOf(options, queueBytes)
  let bytes = LARGEST_FIFO
  while (!Lending.holds(options, part, bytes)) {
    if (bytes === SMALLEST_FIFO) return 0
    bytes /= 2
  }
  return bytes
}

/** The most pairs of fifos that there can be memory for when a worker starts. */
export const mostFifoPairs = (options: SegmentOptions, queueBytes: number): number => {
  const addable = Lending.addable(options, options.firstSegmentSize)
  // the last segment is left for what is sent
  const room = partOf(options, queueBytes) + Math.max(0, addable - options.addSegmentSize)
  return Math.max(0, Math.floor(room / FIFO_PAIR_BYTES))
}
