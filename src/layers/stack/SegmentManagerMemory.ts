/**
 * Segments in memory: shared between threads, or private to the host's process for in-process workers. The same code
 * manages both.
 *
 * **How it grows** A manager that is more than `highWatermark` full, or that had to refuse an allocation, adds a
 * segment if the application's limits allow and the block would fit into it. A segment is allocated from once the
 * worker has said that it has it, so nothing can refer to a segment that the worker does not know (W20).
 *
 * **How it shrinks** An added segment without a block goes as soon as the rest of its manager is at most `lowWatermark`
 * full. A manager whose user has gone does not begin anew: it goes, with its segments, when its last block is freed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Arena } from "../../domain/memory/Arena.ts"
import { type BlockPlace, FIRST_BLOCK, LARGE_BLOCK } from "../../domain/memory/Fifo.ts"
import type { Geometry } from "../../domain/memory/QueueMemory.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import type { SegmentOptions } from "../../domain/options/SegmentOptions.ts"
import {
  type LocalSegments,
  type Manager,
  type ManagerReport,
  type SegmentEvents,
  SegmentManager
} from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"

interface Owned {
  readonly segment: Segment.Segment
  readonly manager: MemoryManager | undefined
}

/** The segments of one worker. */
class Memory {
  readonly options: SegmentOptions
  readonly #allocate: (bytes: number) => ArrayBufferLike
  readonly #owned = new Map<number, Owned>()
  readonly #local = new Map<number, Segment.Segment>()
  /** Those of the local segments that count for the limit, with their peers. */
  readonly #created = new Map<number, object | undefined>()
  /** Memory of local segments that are gone, by their peers. */
  readonly #kept = new Map<object, Array<SharedArrayBuffer>>()
  #keptBytes = 0
  #localBytes = 0
  #bytes = 0
  #next = 0
  #announced = false
  /** Whether a segment was refused because of the limit since one was removed. */
  #limited = false
  events: SegmentEvents | undefined

  constructor(options: SegmentOptions, allocate: (bytes: number) => ArrayBufferLike) {
    this.options = options
    this.#allocate = allocate
  }

  /** Bytes of the segments for sessions of connections. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#owned.size
  }

  segment(index: number): Segment.Segment | undefined {
    return this.#owned.get(index)?.segment ?? this.#local.get(index)
  }

  owner(index: number): MemoryManager | undefined {
    return this.#owned.get(index)?.manager
  }

  /** The segments of a manager. */
  *of(manager: MemoryManager | undefined): IterableIterator<Segment.Segment> {
    for (const owned of this.#owned.values()) if (owned.manager === manager) yield owned.segment
  }

  readonly view = (index: number): Uint8Array => {
    const owned = this.#owned.get(index)
    if (owned === undefined) throw new Error(`no segment ${index}`)
    return owned.segment.bytes
  }

  first(hostBytes: (bytes: number) => number, manager: MemoryManager): Segment.Segment {
    return this.#create(this.options.firstSegmentSize, hostBytes(this.options.firstSegmentSize), manager)
  }

  /**
   * Adds a segment within the limits and tells the worker; `undefined` when they don't allow one, or when it would not
   * hold a block of `wanted` bytes.
   */
  grow(side: "host" | "worker", wanted: number, manager: MemoryManager | undefined): Segment.Segment | undefined {
    const bytes = this.options.addSegmentSize
    if (bytes < Arena.rounded(wanted)) return undefined
    const segment = this.#within(bytes, () => this.#create(bytes, side === "host" ? bytes : 0, manager))
    if (segment !== undefined) this.events?.announce(segment)
    return segment
  }

  /** Makes a segment, unless the limit or the machine forbids it. */
  #within(bytes: number, make: () => Segment.Segment): Segment.Segment | undefined {
    const over = this.#bytes + this.#localBytes + bytes - this.options.memoryLimit
    if (over > 0) {
      this.#limited = true
      return undefined
    }
    this.#giveUp(over + this.#keptBytes)
    try {
      return make()
    } catch (error) {
      // the machine has no more: the same as a limit
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  /** Segments of cut-through sessions. None of them is anyone's arena: all of one is its session's. */
  readonly local: LocalSegments = {
    create: (bytes, peer) => {
      const kept = peer === undefined ? undefined : this.#take(peer, bytes)
      const segment = this.#within(bytes, () => this.#enter(kept ?? new SharedArrayBuffer(bytes)))
      if (segment === undefined) return undefined
      this.#localBytes += bytes
      this.#created.set(segment.index, peer)
      this.events?.announce(segment)
      return segment
    },
    adopt: (buffer) => {
      const segment = this.#enter(buffer)
      this.events?.announce(segment)
      return segment
    },
    free: (index, keep = false) => {
      const segment = this.#local.get(index)
      if (segment === undefined) return
      const peer = this.#created.get(index)
      this.#local.delete(index)
      if (this.#created.delete(index)) this.#localBytes -= segment.buffer.byteLength
      if (keep && peer !== undefined) this.#keep(peer, segment.buffer as SharedArrayBuffer)
      this.events?.withdraw(segment)
      this.#unlimited()
    },
    forget: (peer) => {
      for (const { byteLength } of this.#kept.get(peer) ?? []) this.#keptBytes -= byteLength
      this.#kept.delete(peer)
    },
    statistics: () => ({ count: this.#local.size, bytes: this.#localBytes, kept: this.#keptBytes })
  }

  #keep(peer: object, memory: SharedArrayBuffer): void {
    const kept = this.#kept.get(peer)
    if (kept === undefined) this.#kept.set(peer, [memory])
    else kept.push(memory)
    this.#keptBytes += memory.byteLength
  }

  #take(peer: object, bytes: number): SharedArrayBuffer | undefined {
    const kept = this.#kept.get(peer)
    if (kept?.at(-1)?.byteLength !== bytes) return undefined
    this.#keptBytes -= bytes
    return kept.pop()
  }

  /** Gives up so much of what is kept, or a little more. */
  #giveUp(bytes: number): void {
    let left = bytes
    for (const [peer, kept] of this.#kept) {
      if (left <= 0) return
      while (left > 0 && kept.length > 0) {
        const { byteLength } = kept.pop()!
        this.#keptBytes -= byteLength
        left -= byteLength
      }
      if (kept.length === 0) this.#kept.delete(peer)
    }
  }

  #enter(buffer: ArrayBufferLike): Segment.Segment {
    const segment = Segment.make(this.#next++, buffer, buffer.byteLength)
    this.#local.set(segment.index, segment)
    return segment
  }

  #create(bytes: number, hostBytes: number, manager: MemoryManager | undefined): Segment.Segment {
    const segment = Segment.make(this.#next++, this.#allocate(bytes), hostBytes)
    this.#owned.set(segment.index, { segment, manager })
    this.#bytes += bytes
    return segment
  }

  remove(index: number): void {
    const owned = this.#owned.get(index)
    if (owned === undefined) return
    this.#owned.delete(index)
    this.#bytes -= owned.segment.buffer.byteLength
    this.events?.withdraw(owned.segment)
    this.#unlimited()
  }

  /** Whoever was refused a segment at the limit may have one now. */
  #unlimited(): void {
    if (!this.#limited) return
    this.#limited = false
    this.available()
  }

  /** Whether the worker is near its limit: then what is left is for those that have little. */
  get isShort(): boolean {
    return (this.#bytes + this.#localBytes) * 100 > this.options.memoryLimit * this.options.lowWatermark
  }

  /** Says that there is memory, once for all that is freed in one go, and never from inside a free. */
  available(): void {
    if (this.#announced) return
    this.#announced = true
    queueMicrotask(() => {
      this.#announced = false
      this.events?.available()
    })
  }
}

class MemoryManager implements Manager {
  readonly index: number
  readonly arenas: Segment.Arenas
  readonly view: (segment: number) => Uint8Array
  readonly #memory: Memory
  readonly #onGone: (manager: MemoryManager) => void
  readonly #added = new Set<number>()
  /** Those of the added segments that have no block. */
  readonly #empty = new Set<number>()
  /** Added, but the worker has not said that it has it. */
  #growing: Segment.Segment | undefined
  #refused = false
  /** Bytes of arena that are kept whatever is in them. */
  #reserved = 0
  /** Its user has gone. */
  #ending = false

  constructor(index: number, memory: Memory, onGone: (manager: MemoryManager) => void) {
    this.index = index
    this.#memory = memory
    this.#onGone = onGone
    this.view = memory.view
    this.arenas = new Segment.Arenas(memory.view)
  }

  get growing(): boolean {
    return this.#growing !== undefined
  }

  allocate(bytes: number): BlockPlace | undefined {
    if (bytes > LARGE_BLOCK && this.#memory.isShort) return undefined
    const place = this.arenas.allocate(bytes)
    if (place === undefined) this.#refused = true
    else this.#empty.delete(place.segment)
    if (place === undefined || this.arenas.used * 100 > this.arenas.capacity * this.#memory.options.highWatermark) {
      this.#growing ??= this.#memory.grow("host", place === undefined ? bytes : 0, this)
    }
    return place
  }

  /** Adds segments, one after the other, until there is room for this many bytes or the limits are reached. */
  reserve(bytes: number): void {
    this.#reserved = bytes
    if (this.arenas.capacity < bytes) {
      this.#growing ??= this.#memory.grow("host", SessionBlock.SESSION_BLOCK_BYTES, this)
    }
  }

  free(place: BlockPlace): void {
    this.untake(place)
    if (this.#refused) {
      this.#refused = false
      this.#memory.available()
    }
    this.#shrink()
  }

  untake(place: BlockPlace): void {
    this.arenas.free(place)
    if (this.#added.has(place.segment) && this.arenas.isEmpty(place.segment)) this.#empty.add(place.segment)
  }

  mapped(segment: Segment.Segment): void {
    // said twice it would be allocated from twice
    if (segment !== this.#growing) return
    this.#growing = undefined
    this.#added.add(segment.index)
    this.#empty.add(segment.index)
    this.arenas.add(segment.index, Segment.hostArena(segment))
    this.#refused = false
    this.reserve(this.#reserved)
    this.#memory.available()
    // an empty one is not yet one too many: whoever was refused tries again
    if (this.#ending && this.arenas.used === 0) this.#shrink()
  }

  /** Removes the added segments without a block, as far as the others have room to spare or nothing is to come. */
  #shrink(): void {
    const { arenas } = this
    const over = this.#ending && arenas.used === 0
    for (const index of this.#empty) {
      const rest = arenas.capacity - this.#memory.segment(index)!.buffer.byteLength
      const spare = rest > 0 && rest >= this.#reserved && arenas.used * 100 <= rest * this.#memory.options.lowWatermark
      if (!spare && !over) continue
      this.#added.delete(index)
      this.#empty.delete(index)
      arenas.remove(index)
      this.#memory.remove(index)
    }
    if (over && this.#growing === undefined) this.#onGone(this)
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

const make = (
  options: SegmentOptions,
  geometry: Geometry,
  allocate: (bytes: number) => ArrayBufferLike
): SegmentManager["Service"] => {
  const memory = new Memory(options, allocate)
  const managers = new Set<MemoryManager>()
  const gone = (manager: MemoryManager): void => void managers.delete(manager)
  const initial = new MemoryManager(0, memory, gone)
  let queueBytes = 0
  const first = memory.first((bytes) => {
    queueBytes = Segment.queues(new ArrayBuffer(0), geometry).bytes
    return Segment.firstHostBytes(bytes, queueBytes)
  }, initial)
  initial.arenas.add(first.index, Segment.hostArena(first, queueBytes))

  managers.add(initial)
  const users = new Map<string, MemoryManager>()
  let next = 1

  return SegmentManager.of({
    first,
    queues: Segment.queues(first.buffer, geometry),
    segment: (index) => memory.segment(index),
    connect: (events) => {
      memory.events = events
      initial.reserve(options.preallocFifoPairs * (SessionBlock.SESSION_BLOCK_BYTES + FIRST_BLOCK))
    },
    acquire: (user) => {
      let manager = users.get(user)
      if (manager === undefined) {
        const taken = new Set(users.values())
        // where no segment may be added a manager of its own would never have memory
        const own = taken.has(initial) && options.addSegmentSize > 0
        manager = own ? new MemoryManager(next++, memory, gone) : initial
        managers.add(manager)
        users.set(user, manager)
      }
      return manager
    },
    release: (user) => {
      const manager = users.get(user)
      if (manager === undefined) return
      users.delete(user)
      if (manager !== initial) manager.end()
    },
    mapped: (index) => {
      const segment = memory.segment(index)
      if (segment !== undefined && segment !== first) memory.owner(index)?.mapped(segment)
    },
    local: memory.local,
    addForWorker: (bytes) => memory.grow("worker", bytes, undefined) !== undefined,
    unused: (index) => {
      const segment = memory.segment(index)
      if (segment !== undefined && segment.hostBytes === 0) memory.remove(index)
    },
    ofWorker: () => [...memory.of(undefined)],
    managers: () =>
      [...managers].map((manager) => ({
        index: manager.index,
        growing: manager.growing,
        users: [...users].filter(([, other]) => other === manager).map(([user]) => user),
        ...manager.describe(first)
      })),
    statistics: () => {
      let hostBytes = 0
      let used = 0
      for (const manager of managers) {
        hostBytes += manager.arenas.capacity
        used += manager.arenas.used
      }
      return { count: memory.count, bytes: memory.bytes, hostBytes, used, managers: managers.size }
    }
  })
}

/**
 * Segments where the worker's plan says that it runs: shared with its thread, or private to the host's process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SegmentManager, never, WorkerPlan> = Layer.unwrap(
  Effect.map(
    WorkerPlan,
    ({ app, place }) => place === "thread" ? layerShared(app.segment, app.queue) : layerPrivate(app.segment, app.queue)
  )
)

/** Segments that threads share. */
export const layerShared = (options: SegmentOptions, geometry: Geometry): Layer.Layer<SegmentManager> =>
  Layer.effect(SegmentManager, Effect.sync(() => make(options, geometry, (bytes) => new SharedArrayBuffer(bytes))))

/** Segments for workers on the host's own loop. */
export const layerPrivate = (options: SegmentOptions, geometry: Geometry): Layer.Layer<SegmentManager> =>
  Layer.effect(SegmentManager, Effect.sync(() => make(options, geometry, (bytes) => new ArrayBuffer(bytes))))
