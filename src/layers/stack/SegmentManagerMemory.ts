/**
 * Segments in memory: shared between threads, or private to the host's process for in-process workers. The same code
 * manages both: `WorkerSegments` holds a worker's segments, `MemoryManager` allocates from some of them for one user.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Geometry } from "../../domain/memory/QueueMemory.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import { FIFO_PAIR_BYTES, type SegmentOptions } from "../../domain/options/SegmentOptions.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import { MemoryManager } from "./MemoryManager.ts"
import { WorkerSegments } from "./WorkerSegments.ts"

const make = (
  options: SegmentOptions,
  geometry: Geometry,
  allocate: (bytes: number) => ArrayBufferLike
): SegmentManager["Service"] => {
  const memory = new WorkerSegments(options, allocate)
  const managers = new Set<MemoryManager>()
  const gone = (manager: MemoryManager): void => void managers.delete(manager)
  const initial = new MemoryManager(0, memory, gone)
  const first = memory.first(geometry, initial)
  initial.arenas.add(first.index, Segment.hostArena(first, Segment.queues(first.buffer, geometry).bytes))

  managers.add(initial)
  const users = new Map<string, MemoryManager>()
  let next = 1

  return SegmentManager.of({
    first,
    queues: Segment.queues(first.buffer, geometry),
    segment: (index) => memory.segment(index),
    connect: (events) => {
      memory.events = events
      initial.reserve(options.preallocFifoPairs * FIFO_PAIR_BYTES)
    },
    acquire: (user) => {
      let manager = users.get(user)
      if (manager === undefined) {
        const taken = new Set(users.values())
        // where no segment may be added, a manager of its own would never have memory
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
    look: () => memory.tellLendable(),
    cutThrough: memory.cutThrough,
    addForWorker: (bytes) => memory.grow("worker", bytes, undefined, "fifos") !== undefined,
    unused: (index) => {
      const segment = memory.segment(index)
      if (segment !== undefined && segment.hostBytes === 0) memory.remove(index)
    },
    ofWorker: () => [...memory.of()],
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
      return {
        count: memory.count,
        bytes: memory.bytes,
        hostBytes,
        used,
        managers: managers.size,
        memory: [...managers].some(({ isExhausted }) => isExhausted) ? "none" : memory.isShort ? "short" : "ample",
        sessionsRefused: memory.sessionsRefused
      }
    }
  })
}

/**
 * Segments by where the worker's plan says that it runs: shared with its thread, or private to the host's process.
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

/**
 * Segments that threads share.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = (options: SegmentOptions, geometry: Geometry): Layer.Layer<SegmentManager> =>
  Layer.effect(SegmentManager, Effect.sync(() => make(options, geometry, (bytes) => new SharedArrayBuffer(bytes))))

/**
 * Segments for workers on the host's own loop.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPrivate = (options: SegmentOptions, geometry: Geometry): Layer.Layer<SegmentManager> =>
  Layer.effect(SegmentManager, Effect.sync(() => make(options, geometry, (bytes) => new ArrayBuffer(bytes))))
