/**
 * Options of the memory that the host shares with a worker: segments, and the fifos in them.
 */
import * as Schema from "effect/Schema"
import { GiB, HOUR, KiB, MiB, number, print, rule, SECOND } from "./OptionFields.ts"

/**
 * Segments and fifos. The options belong to the application and hold for each of its workers (W5).
 *
 * **Details**
 *
 * - `firstSegmentSize`: bytes, 512 KiB to 1 GiB; 4 MiB. It holds the event queue, see `queueSegmentSize`.
 * - `addSegmentSize`: bytes, 0 for no growth, else 256 KiB to 1 GiB; 4 MiB.
 * - `rxFifoSize`, `txFifoSize`: bytes, powers of two from 4 KiB to 4 MiB; 512 KiB.
 * - `preallocFifoPairs`: pairs, 0 to 65536; 0.
 * - `memoryLimit`: bytes per worker, at least `firstSegmentSize`, at most 64 GiB; 256 MiB.
 * - `trimInterval`: milliseconds, 10 to 3600000; 1000.
 * - `highWatermark`: percent of the segments that one listener (or the connects of the worker) allocates from, 1 to
 *   100; 80. Beyond it another segment is added, before an allocation has to be refused.
 * - `lowWatermark`: percent, 0 to 99, below `highWatermark`; 50. A segment without a block goes once the remaining ones
 *   are at most this full. A worker whose segments take more than this share of `memoryLimit` gives fifos no blocks of
 *   more than 64 KiB, so that what is left is enough for all.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentOptions = Schema.Struct({
  firstSegmentSize: number({
    unit: "bytes",
    min: 512 * KiB,
    max: GiB,
    default: 4 * MiB,
    requirement: "W4",
    description: "Size of a worker's first segment, which holds its event queue and is never removed"
  }),
  addSegmentSize: number({
    unit: "bytes",
    min: 256 * KiB,
    max: GiB,
    default: 4 * MiB,
    zero: "no growth",
    requirement: "W4",
    description: "Size of each segment that is added when the others fill up"
  }),
  rxFifoSize: number({
    unit: "bytes",
    min: 4 * KiB,
    max: 4 * MiB,
    default: 512 * KiB,
    powerOfTwo: true,
    requirement: "W4",
    description: "Bytes received that may wait in one session"
  }),
  txFifoSize: number({
    unit: "bytes",
    min: 4 * KiB,
    max: 4 * MiB,
    default: 512 * KiB,
    powerOfTwo: true,
    requirement: "W4",
    description: "Bytes to be sent that may wait in one session"
  }),
  preallocFifoPairs: number({
    unit: "pairs",
    min: 0,
    max: 65536,
    default: 0,
    requirement: "W4",
    description: "Pairs of fifos made when a worker starts, before the first session needs one"
  }),
  memoryLimit: number({
    unit: "bytes",
    min: 512 * KiB,
    max: 64 * GiB,
    default: 256 * MiB,
    requirement: "W4",
    description: "Segment memory that one worker may hold, its first segment included"
  }),
  trimInterval: number({
    unit: "milliseconds",
    min: 10,
    max: HOUR,
    default: SECOND,
    description: "How often the fifos of idle sessions give their memory back"
  }),
  highWatermark: number({
    unit: "percent",
    min: 1,
    max: 100,
    default: 80,
    description: "How full a listener's segments get before another one is added"
  }),
  lowWatermark: number({
    unit: "percent",
    min: 0,
    max: 99,
    default: 50,
    description:
      "How full the others may be when a segment without a block is removed; beyond this share of the memory "
      + "limit, fifos get no blocks of more than 64 KiB"
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
