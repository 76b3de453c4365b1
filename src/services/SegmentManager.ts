/**
 * The memory that a worker shares with the host: its segments, and the managers that allocate from them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Fifo from "../domain/Fifo.ts"
import type * as Segment from "../domain/Segment.ts"

/**
 * Allocates session blocks and rx fifo blocks for one user: a listener, or the connects of a worker.
 *
 * @category models
 * @since 0.1.0
 */
export interface Manager extends Fifo.Blocks {
  /** Its number among the worker's managers; 0 is the one with the protected first segment. */
  readonly index: number
  /** Whether a segment is on its way to the worker, which can be allocated from once it is there. */
  readonly growing: boolean
}

/**
 * What a manager of segments needs of the worker that they belong to.
 *
 * @category models
 * @since 0.1.0
 */
export interface SegmentEvents {
  /** Tell the worker of a segment, before anything that refers to it (W20). */
  readonly announce: (segment: Segment.Segment) => void
  /** Nothing refers to the segment any more. */
  readonly withdraw: (segment: Segment.Segment) => void
  /** There is memory again for those who were refused some. */
  readonly available: () => void
}

/**
 * @category services
 * @since 0.1.0
 */
export class SegmentManager extends Context.Service<SegmentManager, {
  /** The first segment: protected from removal, with the event queues in it (W6). */
  readonly first: Segment.Segment
  readonly queues: Segment.Queues
  readonly segment: (index: number) => Segment.Segment | undefined
  /** Must be called before the first allocation. */
  readonly connect: (events: SegmentEvents) => void
  /**
   * The manager of a user: the first user gets the manager of the first segment, later ones their own (W7). Asking
   * again for the same user gives the same manager.
   */
  readonly acquire: (user: string) => Manager
  /** The user needs its manager no more; a manager other than the first goes when its last block is freed (W9). */
  readonly release: (user: string) => void
  /** The worker has the segment's memory: it may be allocated from. */
  readonly mapped: (index: number) => void
  /** Adds a segment for the worker's own arena, if limits allow. */
  readonly addForWorker: (bytes: number) => boolean
  /** The worker uses the segment no more. */
  readonly unused: (index: number) => void
  readonly statistics: () => {
    readonly count: number
    readonly bytes: number
    /** Bytes of the host's arenas, and how many of them are allocated. */
    readonly hostBytes: number
    readonly used: number
    readonly managers: number
  }
}>()("sluice/services/SegmentManager") {}
