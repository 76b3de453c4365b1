/**
 * The memory that a worker shares with the host: its segments, and the managers that allocate from them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Fifo from "../domain/memory/Fifo.ts"
import type * as Segment from "../domain/memory/Segment.ts"

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
  /** Gives back what was allocated just now and is not needed: that is no news for those who wait for memory. */
  readonly untake: (place: Fifo.BlockPlace) => void
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
 * What a manager has, for whoever inspects the host.
 *
 * @category models
 * @since 0.1.0
 */
export interface ManagerReport {
  readonly index: number
  /** Who allocates from it; several while a listener that is gone still has sessions. */
  readonly users: ReadonlyArray<string>
  readonly segments: ReadonlyArray<{
    readonly index: number
    readonly bytes: number
    /** Where the worker's arena begins. */
    readonly hostBytes: number
    /** Bytes that the manager allocates from, and how many of them are allocated. */
    readonly capacity: number
    readonly used: number
    /** It is the worker's first, with the event queues in it. */
    readonly protected: boolean
  }>
  /** Whether a segment is on its way to the worker. */
  readonly growing: boolean
  /** Allocated blocks by their size in bytes. */
  readonly blocks: ReadonlyMap<number, number>
}

/**
 * Segments of cut-through sessions (W6, W16): one for each, which the workers at its two ends share. Both are told of it
 * before anything that refers to it, and that it is gone.
 *
 * The memory of a segment that is gone may be kept for the next session with the same peer: the runtime does not see that
 * it is large, and would give it back only at some time or other. It never goes to another peer, whom one that has kept hold of
 * it might still write to. What is kept counts for the memory limit, and is given up when the memory is needed elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface CutThroughSegments {
  /**
   * A segment for a session with `peer` that this worker is to serve, in memory that is kept for it or in new memory;
   * `undefined` when the memory limit forbids it.
   */
  readonly create: (bytes: number, peer?: object) => Segment.Segment | undefined
  /** Another worker's segment, numbered for this one; it does not count for this one's limit. */
  readonly adopt: (buffer: ArrayBufferLike) => Segment.Segment
  /** The session is gone. `keep`: its memory may be its peer's again. */
  readonly free: (index: number, keep?: boolean) => void
  /** There are no more sessions with the peer: nothing is kept for it. */
  readonly forget: (peer: object) => void
  readonly statistics: () => { readonly count: number; readonly bytes: number; readonly kept: number }
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
  readonly cutThrough: CutThroughSegments
  /** Adds a segment for the worker's own arena, if limits allow. */
  readonly addForWorker: (bytes: number) => boolean
  /** The worker uses the segment no more. */
  readonly unused: (index: number) => void
  /** Segments that were added for the worker's own arena. */
  readonly ofWorker: () => ReadonlyArray<Segment.Segment>
  readonly managers: () => ReadonlyArray<ManagerReport>
  readonly statistics: () => {
    readonly count: number
    readonly bytes: number
    /** Bytes of the host's arenas, and how many of them are allocated. */
    readonly hostBytes: number
    readonly used: number
    readonly managers: number
  }
}>()("sluice/services/SegmentManager") {}
