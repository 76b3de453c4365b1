/**
 * What a host reports about its workers: about themselves, their queues and their memory.
 */
import type { QueueOutlet } from "../../domain/memory/QueueProducer.ts"
import type * as Report from "../../domain/report/Report.ts"
import * as TimesReport from "../../domain/report/TimesReport.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import { flagOf } from "../../domain/state/Silence.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"

/** The columns that say which worker something belongs to. */
export const ofWorker = ({ app, handle, mapIndex }: WorkerSlot) => ({
  app: app.name,
  appIndex: app.index,
  worker: mapIndex,
  workerHandle: Handle.format(handle)
})

/** What keeps a worker from new sessions, or that it takes them. */
export const takesOf = (slot: WorkerSlot): Report.WorkerReport["takes"] => {
  const { live } = slot
  if (live === undefined || !WorkerState.takesSessions(slot.state)) return "nothing"
  if (live.congested) return "congested"
  if (slot.isFull) return "full"
  if ((live.concurrency?.spare ?? 1) <= 0) return "busy"
  return live.segments.statistics().memory === "none" ? "no-memory" : "sessions"
}

export const workerReport = (slot: WorkerSlot, now: number): Report.WorkerReport => {
  const { app, live } = slot
  const { controlRing, indexQueue, ioRing } = app.options.queue
  const toWorker = live?.queue.toWorker
  const congestion = live?.congestion.statistics()
  const segments = live?.segments.statistics()
  return {
    handle: Handle.format(slot.handle),
    workerIndex: slot.index,
    appIndex: app.index,
    mapIndex: slot.mapIndex,
    client: app.client,
    kind: slot.kind,
    state: slot.state,
    congested: live?.congested ?? false,
    congestedBy: live?.congestedBy ?? null,
    takes: takesOf(slot),
    // without those whose offers were taken back, though they have slots until the worker has passed the offers
    sessions: live?.sessionCount ?? 0,
    restarts: slot.restarts,
    restartsBy: { ...slot.restartsBy },
    generation: slot.generation,
    successor: slot.successor === undefined
      ? null
      : { generation: slot.successor.generation, state: slot.successor.state },
    formers: Array.from(slot.formers, (former) => ({
      generation: former.generation,
      state: former.state,
      sessions: former.live?.sessionCount ?? 0,
      ageMillis: Math.round(now - former.retired)
    })),
    crashLoop: slot.crashes.at(now) ?? null,
    lastFailure: slot.lastFailure?.detail ?? null,
    lastFailureStack: slot.lastFailure?.stack ?? null,
    queue: {
      index: { used: toWorker?.depth ?? 0, size: indexQueue },
      io: { used: toWorker?.ioDepth ?? 0, size: ioRing },
      control: { used: toWorker?.controlDepth ?? 0, size: controlRing }
    },
    postponed: {
      now: congestion?.postponed ?? 0,
      bytes: congestion?.postponedBytes ?? 0,
      highest: congestion?.highest ?? 0
    },
    timesCongested: congestion?.timesCongested ?? 0,
    congestedMillis: Math.round(congestion?.congestedMillis ?? 0),
    behind: {
      offers: live?.lag.offers ?? 0,
      times: live?.lag.times ?? 0,
      millis: Math.round(live?.behindMillis ?? 0),
      nowMillis: Math.round(live?.behind ?? 0)
    },
    delayed: {
      times: live?.sojourn.times ?? 0,
      millis: Math.round(live?.sojourn.millis(now) ?? 0)
    },
    inHand: live?.concurrency === undefined
      ? null
      : { now: live.concurrency.inHand, limit: live.concurrency.limit },
    lastProgressMillis: Math.round(live?.sinceProgress ?? 0),
    silent: live === undefined || live.silence.millis < flagOf(slot.state)
      ? null
      : { millis: Math.round(live.silence.millis), ...live.stuckAt ?? { place: null, unplaced: null } },
    segments: {
      count: segments?.count ?? 0,
      bytes: segments?.bytes ?? 0,
      hostBytes: segments?.hostBytes ?? 0,
      used: segments?.used ?? 0
    },
    memory: segments?.memory ?? "ample",
    sessionsRefused: segments?.sessionsRefused ?? 0,
    messages: Ledger.add(new Ledger.MessageLedger(), slot.messages),
    offers: Ledger.add(new Ledger.OfferLedger(), slot.offers),
    thread: live?.meter?.use ?? null,
    ...TimesReport.ofWorker(slot.times)
  }
}

const directionReport = (
  queue: Pick<QueueOutlet, "depth" | "ioDepth" | "controlDepth" | "idle" | "geometry">,
  highest: { readonly index: number; readonly io: number; readonly control: number },
  sums: { readonly enqueued: number; readonly drained: number }
): Report.Direction => {
  const { controlRing, indexQueue, ioRing } = queue.geometry
  return {
    index: { used: queue.depth, highest: highest.index, size: indexQueue },
    io: { used: queue.ioDepth, highest: highest.io, size: ioRing },
    control: { used: queue.controlDepth, highest: highest.control, size: controlRing },
    ...sums,
    idle: queue.idle
  }
}

export const queueReport = (live: LiveWorker): Report.QueueReport => {
  const { toHost, toWorker } = live.queue
  live.sample()
  return {
    ...ofWorker(live.slot),
    congested: live.congested,
    postponed: live.congestion.statistics().postponed,
    toWorker: directionReport(toWorker, live.highest.toWorker, {
      enqueued: toWorker.enqueued,
      drained: toWorker.enqueued - toWorker.depth
    }),
    toHost: directionReport(toHost, live.highest.toHost, {
      enqueued: toHost.drained + toHost.depth,
      drained: toHost.drained
    })
  }
}

const sum = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number => all.reduce((total, one) => total + of(one), 0)

/**
 * The segment managers of a worker. Their kind says who allocates in the segments: the host, the worker, or, for
 * `local`, the two workers of a cut-through session.
 */
export const managersReport = (live: LiveWorker): ReadonlyArray<Report.SegmentManagerReport> => {
  const { segments, slot } = live
  const { highWatermark, lowWatermark } = slot.app.options.segment
  const common = { ...ofWorker(slot), highWatermark, lowWatermark }
  const hosts = segments.managers().map((manager): Report.SegmentManagerReport => {
    const capacity = sum(manager.segments, ({ capacity }) => capacity)
    const used = sum(manager.segments, ({ used }) => used)
    return {
      ...common,
      kind: "host",
      manager: manager.index,
      users: manager.users,
      count: manager.segments.length,
      bytes: sum(manager.segments, ({ bytes }) => bytes),
      segments: manager.segments.map(({ bytes, capacity, hostBytes, index, protected: kept, used }) => ({
        index,
        bytes,
        hostBytes,
        used,
        free: capacity - used,
        protected: kept
      })),
      blocks: [...manager.blocks].map(([size, count]) => ({ size, count })).sort((a, b) => a.size - b.size),
      usedPercent: capacity === 0 ? 0 : 100 * used / capacity,
      growing: manager.growing
    }
  })
  const unknown = { manager: null, users: [], blocks: [], usedPercent: null, growing: false }
  const added = segments.ofWorker()
  const workers: ReadonlyArray<Report.SegmentManagerReport> = added.length === 0 ? [] : [{
    ...common,
    ...unknown,
    kind: "worker",
    count: added.length,
    bytes: sum(added, ({ buffer }) => buffer.byteLength),
    segments: added.map(({ buffer, hostBytes, index }) => ({
      index,
      bytes: buffer.byteLength,
      hostBytes,
      used: null,
      free: null,
      protected: false
    }))
  }]
  const cutThrough = segments.cutThrough.statistics()
  return [
    ...hosts,
    ...workers,
    ...(cutThrough.count === 0 ? [] : [
      { ...common, ...unknown, kind: "local" as const, count: cutThrough.count, bytes: cutThrough.bytes, segments: [] }
    ])
  ]
}
