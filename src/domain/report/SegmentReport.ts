/**
 * What a host reports of its workers' memory (W6, W7).
 */
import * as Schema from "effect/Schema"
import { Count, nextPage, OfWorker } from "./ReportFields.ts"

/**
 * @category models
 * @since 0.1.0
 */
export const SegmentReport = Schema.Struct({
  index: Count,
  bytes: Count,
  /** Where the worker's part begins; the queues and the host's part are before it. */
  hostBytes: Count,
  /** Bytes of the host's part in allocated blocks, and outside them; null where only the worker knows. */
  used: Schema.NullOr(Count),
  free: Schema.NullOr(Count),
  /** Never removed: it holds the event queue (W6). */
  protected: Schema.Boolean
})
export type SegmentReport = typeof SegmentReport.Type

/**
 * The segments of a running worker, and who allocates from them.
 *
 * - `host`: session blocks and rx fifos, for a listener or for connects. Number 0 has the protected first segment.
 * - `worker`: segments that were added for tx fifos. Only the worker knows how full they are.
 * - `local`: segments of cut-through sessions, one for each session. They are counted but not listed.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentManagerReport = Schema.Struct({
  ...OfWorker,
  kind: Schema.Literals(["host", "worker", "local"]),
  /** Number of the manager among the worker's managers; null unless `kind` is `host`. */
  manager: Schema.NullOr(Count),
  /** The users that it serves: `connects`, or `listener` and its handle. */
  users: Schema.Array(Schema.String),
  /** How many segments there are, and how many bytes they have. */
  count: Count,
  bytes: Count,
  segments: Schema.Array(SegmentReport),
  /** Allocated blocks by their size, smallest first: 256 bytes for a session's block, 512 for its rings, more for fifos. */
  blocks: Schema.Array(Schema.Struct({ size: Count, count: Count })),
  /** Percent of the host's parts in use; null where the host does not know. */
  usedPercent: Schema.NullOr(Schema.Finite),
  /** Percent in use above which a segment is added, and up to which an empty one is removed. */
  highWatermark: Schema.Finite,
  lowWatermark: Schema.Finite,
  /** Whether a segment is on its way to the worker. */
  growing: Schema.Boolean
})
export type SegmentManagerReport = typeof SegmentManagerReport.Type

/**
 * A page of segment managers: those of a worker are on one page.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentsReport = Schema.Struct({ managers: Schema.Array(SegmentManagerReport), ...nextPage })
export type SegmentsReport = typeof SegmentsReport.Type
