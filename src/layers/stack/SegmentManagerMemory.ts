/**
 * Segments in memory: shared between threads, or private to the host's process for in-process workers. The same code
 * manages both: `WorkerSegments` holds a worker's segments, `MemoryManager` allocates from some of them for one user.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Arena } from "../../domain/memory/Arena.ts"
import * as Lending from "../../domain/memory/Lending.ts"
import type { Geometry } from "../../domain/memory/QueueMemory.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import { FIFO_PAIR_BYTES, type SegmentOptions } from "../../domain/options/SegmentOptions.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import { MemoryManager } from "./MemoryManager.ts"
import { WorkerSegments } from "./WorkerSegments.ts"

const make = (
  asked: SegmentOptions,
  geometry: Geometry,
  allocate: (bytes: number) => ArrayBufferLike
): SegmentManager["Service"] => {
  const memory = new WorkerSegments(asked, allocate)
  const { options } = memory
  const managers = new Set<MemoryManager>()
  const gone = (manager: MemoryManager): void => void managers.delete(manager)
  const initial = new MemoryManager(0, memory, gone)
  const first = memory.first(geometry, initial)
  initial.arenas.add(first.index, Segment.hostArena(first, Segment.queues(first.buffer, geometry).bytes))

  managers.add(initial)
  memory.spare = () => {
    let bytes = 0
    for (const { spare } of managers) bytes += spare
    return bytes
  }
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
        // where no segment may be added but one that fifos need, a manager of its own might never have memory
        const addable = Lending.addable(options, options.firstSegmentSize)
        const own = taken.has(initial) && addable > options.addSegmentSize
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
    addForWorker: (bytes) => {
      if (Arena.rounded(bytes) > options.addSegmentSize) return false
      while (memory.grow("worker", bytes, undefined, "fifos") === undefined) {
        // a segment that was added before it was needed, or is needed no more, is needed here
        if (memory.lendable === 0 || ![...managers].some((manager) => manager.giveUpEmpty())) return false
      }
      return true
    },
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
