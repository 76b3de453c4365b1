/**
 * Allocates for one user from the host's arenas in some of a worker's segments, and decides when segments are added or
 * removed.
 *
 * **What it gives** Blocks for sessions themselves as long as there is memory, blocks for their fifos by the rule of
 * `Lending`. What is left for sessions is not lent, and the last segments are added for sessions only.
 *
 * **How it grows** A manager that is more than `highWatermark` full, or that had to refuse an allocation, adds a
 * segment if the application's limits allow one and the block would fit into it. The manager allocates from the segment
 * once the worker has confirmed it, so nothing can refer to a segment that the worker does not know (W20).
 *
 * **How it shrinks** An added segment without a block goes as soon as the rest of its manager is no more than
 * `lowWatermark` full, or when the worker needs a segment and no other may be added. A manager whose user has gone is not used again: it goes, with its segments, when its last block
 * is freed.
 */
import type { BlockPlace } from "../../domain/memory/Fifo.ts"
import { lendableOf, lends } from "../../domain/memory/Lending.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import type { Manager, ManagerReport } from "../../services/SegmentManager.ts"
import type { SegmentOwner, WorkerSegments } from "./WorkerSegments.ts"

export class MemoryManager implements Manager, SegmentOwner {
  readonly index: number
  readonly arenas: Segment.Arenas
  readonly view: (segment: number) => Uint8Array
  readonly #memory: WorkerSegments
  readonly #onGone: (manager: MemoryManager) => void
  readonly #added = new Set<number>()
  /** The added segments that have no block. */
  readonly #empty = new Set<number>()
  /** A segment that was added, but that the worker has not confirmed yet. */
  #growing: Segment.Segment | undefined
  #refused = false
  #exhausted = false
  /** Bytes of arena that are kept even while they are empty. */
  #reserved = 0
  /** The manager's user has gone. */
  #ending = false

  constructor(index: number, memory: WorkerSegments, onGone: (manager: MemoryManager) => void) {
    this.index = index
    this.#memory = memory
    this.#onGone = onGone
    this.view = memory.view
    this.arenas = new Segment.Arenas(memory.view)
  }

  get growing(): boolean {
    return this.#growing !== undefined
  }

  /** Whether it had no memory for a session when it was last asked, and none is on its way. */
  get isExhausted(): boolean {
    return this.#exhausted && this.#growing === undefined
  }

  allocate(bytes: number, held?: number): BlockPlace | undefined {
    if (held !== undefined && !lends(bytes, held, this.#lendable, this.arenas.used)) {
      this.#refused = true
      return undefined
    }
    const place = this.arenas.allocate(bytes)
    if (place === undefined) this.#refused = true
    else if (this.#empty.delete(place.segment)) this.#memory.tellLendable()
    if (place === undefined || this.arenas.used * 100 > this.arenas.capacity * this.#memory.options.highWatermark) {
      const use = held === undefined ? "sessions" : "fifos"
      this.#growing ??= this.#memory.grow("host", place === undefined ? bytes : 0, this, use)
    }
    if (held === undefined) {
      this.#exhausted = place === undefined
      if (this.isExhausted) this.#memory.sessionsRefused++
    }
    return place
  }

  /** Bytes that may be lent to fifos. */
  get #lendable(): number {
    return lendableOf(this.arenas.room, this.arenas.capacity, this.#memory.addable)
  }

  /** Adds segments, one after the other, until there is room for this many bytes or the limits are reached. */
  reserve(bytes: number): void {
    this.#reserved = bytes
    if (this.arenas.capacity < bytes) {
      this.#growing ??= this.#memory.grow("host", SessionBlock.SESSION_BLOCK_BYTES, this, "sessions")
    }
  }

  free(place: BlockPlace): void {
    this.untake(place)
    if (this.#refused) {
      this.#refused = false
      this.#exhausted = false
      this.#memory.available()
    }
    this.#shrink()
  }

  untake(place: BlockPlace): void {
    this.arenas.free(place)
    if (!this.#added.has(place.segment) || !this.arenas.isEmpty(place.segment)) return
    this.#empty.add(place.segment)
    this.#memory.tellLendable()
  }

  mapped(segment: Segment.Segment): void {
    // if it were said twice, the segment would be allocated from twice
    if (segment !== this.#growing) return
    this.#growing = undefined
    this.#added.add(segment.index)
    this.#empty.add(segment.index)
    this.arenas.add(segment.index, Segment.hostArena(segment))
    this.#memory.tellLendable()
    this.#refused = false
    this.#exhausted = false
    this.reserve(this.#reserved)
    this.#memory.available()
    // an empty segment is not yet one too many: allocations that were refused are tried again
    if (this.#ending && this.arenas.used === 0) this.#shrink()
  }

  /** Removes added segments without a block: those that the others have room enough without, or all when it is over. */
  #shrink(): void {
    const { arenas } = this
    const over = this.#ending && arenas.used === 0
    for (const index of this.#empty) {
      const rest = arenas.capacity - this.#memory.segment(index)!.buffer.byteLength
      const spare = rest > 0 && rest >= this.#reserved && arenas.used * 100 <= rest * this.#memory.options.lowWatermark
      if (spare || over) this.#remove(index)
    }
    if (over && this.#growing === undefined) this.#onGone(this)
  }

  #remove(index: number): void {
    this.#added.delete(index)
    this.#empty.delete(index)
    this.arenas.remove(index)
    this.#memory.remove(index)
  }

  /** Bytes of segments that {@link giveUpEmpty} would give up. */
  get spare(): number {
    const { addSegmentSize } = this.#memory.options
    let bytes = 0
    while (bytes / addSegmentSize < this.#empty.size) {
      if (this.arenas.capacity - bytes - addSegmentSize < this.#reserved) break
      bytes += addSegmentSize
    }
    return bytes
  }

  /** Gives up a segment without a block, however full the others are: somebody needs it now. `false` without one. */
  giveUpEmpty(): boolean {
    for (const index of this.#empty) {
      if (this.arenas.capacity - this.#memory.segment(index)!.buffer.byteLength < this.#reserved) continue
      this.#remove(index)
      return true
    }
    return false
  }

  describe(first: Segment.Segment): Pick<ManagerReport, "segments" | "blocks"> {
    const segments: Array<ManagerReport["segments"][number]> = []
    const blocks = new Map<number, number>()
    for (const segment of this.#memory.of(this)) {
      const arena = this.arenas.arena(segment.index)
      segments.push({
        index: segment.index,
        bytes: segment.buffer.byteLength,
        hostBytes: segment.hostBytes,
        capacity: arena?.capacity ?? 0,
        used: arena?.used ?? 0,
        protected: segment === first
      })
      for (const [size, count] of arena?.bySize ?? []) blocks.set(size, (blocks.get(size) ?? 0) + count)
    }
    return { segments, blocks }
  }

  end(): void {
    this.#ending = true
    this.#shrink()
  }
}
