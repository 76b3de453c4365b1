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
  /** Number of the manager among the worker's managers; number 0 has the protected first segment. */
  readonly index: number
  /** Whether a segment is on its way to the worker, which can be allocated from once it is there. */
  readonly growing: boolean
  /** Gives back what was allocated just now and is not needed: nobody who waits for memory is told of it. */
  readonly untake: (place: Fifo.BlockPlace) => void
}

/**
 * What a segment manager needs from the worker that the segments belong to.
 *
 * @category models
 * @since 0.1.0
 */
export interface SegmentEvents {
  /** Tells the worker of a segment, before anything that refers to it (W20). */
  readonly announce: (segment: Segment.Segment) => void
  /** Nothing refers to the segment any longer. */
  readonly withdraw: (segment: Segment.Segment) => void
  /** There is memory again for users that were refused some. */
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
  /** The users that allocate from it; several while a listener that is gone still has sessions. */
  readonly users: ReadonlyArray<string>
  readonly segments: ReadonlyArray<{
    readonly index: number
    readonly bytes: number
    /** Where the worker's arena begins. */
    readonly hostBytes: number
    /** Bytes that the manager allocates from, and how many of them are allocated. */
    readonly capacity: number
    readonly used: number
    /** Whether this is the worker's first segment, with the event queues in it. */
    readonly protected: boolean
  }>
  /** Whether a segment is on its way to the worker. */
  readonly growing: boolean
  /** Allocated blocks by their size in bytes. */
  readonly blocks: ReadonlyMap<number, number>
}

/**
 * Segments of cut-through sessions (W6, W16): one for each session, shared by the workers at its two ends. Both workers
 * are told of a segment before anything that refers to it, and are told when it is gone.
 *
 * The memory of a segment that is gone may be kept for the next session with the same peer: the runtime does not see
 * how large it is, and would free it only at some later time. It never goes to another peer, since the previous peer
 * might still hold it and write to it. Kept memory counts towards the memory limit, and is given up when it is needed
 * elsewhere.
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
  /** The session is gone. `keep`: its memory may be used again for the same peer. */
  readonly free: (index: number, keep?: boolean) => void
  /** There are no more sessions with the peer: nothing is kept for it. */
  readonly forget: (peer: object) => void
  readonly statistics: () => { readonly count: number; readonly bytes: number; readonly kept: number }
}

/**
 * How much memory a worker has left.
 *
 * @category models
 * @since 0.1.0
 */
export type MemoryState = "ample" | "short" | "none"

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
  /** The user no longer needs its manager; a manager other than the first goes when its last block is freed (W9). */
  readonly release: (user: string) => void
  /** The worker has the segment's memory, which may now be allocated from. */
  readonly mapped: (index: number) => void
  readonly cutThrough: CutThroughSegments
  /** To be called at intervals: states again what the worker is told of memory in its first segment. */
  readonly look: () => void
  /** Adds a segment for the worker's own arena, if limits allow. */
  readonly addForWorker: (bytes: number) => boolean
  /** The worker no longer uses the segment. */
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
    /**
     * `ample`: fifos are lent what they ask for. `short`: no segment is added for fifos any more. `none`: there is no
     * memory for another session.
     */
    readonly memory: MemoryState
    /** How often there was no memory for a session. */
    readonly sessionsRefused: number
  }
}>()("sluice/services/SegmentManager") {}
