/**
 * What a host tells of itself, from its tables: the data behind `show`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { QueueOutlet } from "../../domain/memory/QueueProducer.ts"
import type * as Report from "../../domain/report/Report.ts"
import * as SessionFilter from "../../domain/report/SessionFilter.ts"
import { version } from "../../domain/report/Version.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import { CutThrough } from "./CutThrough.ts"
import type { CutThroughs } from "./CutThroughs.ts"
import type { HostSession } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import type { HalfOpen, LiveWorker, WorkerSlot } from "./Worker.ts"

type Reports = Pick<SessionLayer["Service"], "report" | "sessions" | "connects" | "locals" | "segments" | "queues">

const ofWorker = ({ app, handle, mapIndex }: WorkerSlot) => ({
  app: app.name,
  appIndex: app.index,
  worker: mapIndex,
  workerHandle: Handle.format(handle)
})

const scopesOf = ({ scope }: AttachedApp["options"]): ReadonlyArray<"local" | "global"> => [
  ...(scope.local ? ["local" as const] : []),
  ...(scope.global ? ["global" as const] : [])
]

const copyOf = {
  messages: (from: Ledger.Messages) => Ledger.add(new Ledger.Messages(), from),
  offers: (from: Ledger.Offers) => Ledger.add(new Ledger.Offers(), from),
  arrivals: (from: Ledger.Arrivals) => Ledger.add(new Ledger.Arrivals(), from)
}

const workerReport = (slot: WorkerSlot): Report.WorkerReport => {
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
    // an offer that was taken back is no session, if it has a slot until the worker has come past it
    sessions: live?.sessionCount ?? 0,
    restarts: slot.restarts,
    lastFailure: slot.lastFailure ?? null,
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
      millis: Math.round(live?.behindMillis ?? 0)
    },
    lastProgressMillis: Math.round(live?.sinceProgress ?? 0),
    segments: {
      count: segments?.count ?? 0,
      bytes: segments?.bytes ?? 0,
      hostBytes: segments?.hostBytes ?? 0,
      used: segments?.used ?? 0
    },
    messages: copyOf.messages(slot.messages),
    offers: copyOf.offers(slot.offers)
  }
}

const listenerReport = (listener: HostListener): Report.ListenerReport => {
  const { admission, app, boundUri, handle, placement, requestedUri, user } = listener
  return {
    handle: Handle.format(handle),
    app: app.name,
    appIndex: app.index,
    client: app.client,
    endpoint: boundUri,
    requested: requestedUri,
    scopes: scopesOf(app.options),
    placement,
    workers: admission.seats.map(({ number }) => number),
    managers: admission.seats.flatMap(({ member, number }) => {
      const manager = member?.worker.segments.managers().find(({ users }) => users.includes(user))
      return manager === undefined ? [] : [{ worker: number, manager: manager.index }]
    }),
    sessions: admission.sessions,
    arrivals: copyOf.arrivals(admission.arrivals)
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

const queueReport = (live: LiveWorker): Report.QueueReport => {
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

const managersReport = (live: LiveWorker): ReadonlyArray<Report.SegmentManagerReport> => {
  const { segments, slot } = live
  const { highWatermark, lowWatermark } = slot.app.options.segment
  const common = { ...ofWorker(slot), highWatermark, lowWatermark }
  const hosts = segments.managers().map((manager): Report.SegmentManagerReport => {
    const capacity = manager.segments.reduce((sum, { capacity }) => sum + capacity, 0)
    const used = manager.segments.reduce((sum, { used }) => sum + used, 0)
    return {
      ...common,
      kind: "host",
      manager: manager.index,
      users: manager.users,
      count: manager.segments.length,
      bytes: manager.segments.reduce((sum, { bytes }) => sum + bytes, 0),
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
    bytes: added.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
    segments: added.map(({ buffer, hostBytes, index }) => ({
      index,
      bytes: buffer.byteLength,
      hostBytes,
      used: null,
      free: null,
      protected: false
    }))
  }]
  const local = segments.local.statistics()
  return [
    ...hosts,
    ...workers,
    ...(local.count === 0 ? [] : [
      { ...common, ...unknown, kind: "local" as const, count: local.count, bytes: local.bytes, segments: [] }
    ])
  ]
}

export const make = (options: {
  readonly tables: Tables
  readonly cutThroughs: CutThroughs
  readonly certificates: Certificates["Service"]
  /** Milliseconds of `MonotonicTime`. */
  readonly startedAt: number
}): Reports => {
  const { certificates, cutThroughs, startedAt, tables } = options
  const millisSince = (time: number): number => Math.round(tables.now() - time)

  const certificatesReport = ({ handle }: AttachedApp) =>
    certificates.of(handle).pipe(
      Effect.map((entries) =>
        entries.map(({ handle, info }): Report.CertificateReport => ({
          handle: Handle.format(handle),
          subject: info.subject,
          names: [...info.names.dns, ...info.names.ip],
          validTo: info.validTo,
          fingerprint: info.fingerprint256,
          warning: info.warning
        }))
      ),
      // an application that is being detached has none left
      Effect.orElseSucceed((): Array<Report.CertificateReport> => [])
    )

  const appReport = Effect.fnUntraced(function*(app: AttachedApp) {
    const { addSegmentSize, firstSegmentSize, memoryLimit, rxFifoSize, txFifoSize } = app.options.segment
    return {
      index: app.index,
      name: app.name,
      client: app.client,
      namespace: app.options.namespace,
      scopes: scopesOf(app.options),
      proxiedTransports: app.options.proxiedTransports,
      firstSegmentSize,
      addSegmentSize,
      memoryLimit,
      rxFifoSize,
      txFifoSize,
      certificates: yield* certificatesReport(app),
      status: app.status(Math.round(tables.now())),
      workers: [...app.slots.values()].map(workerReport),
      listeners: [...tables.listeners].filter((listener) => listener.app === app && listener.state !== "BINDING")
        .map(listenerReport)
    } satisfies Report.AppReport
  })

  const report = Effect.gen(function*() {
    const ledger = {
      messages: copyOf.messages(tables.past.messages),
      offers: copyOf.offers(tables.past.offers),
      arrivals: copyOf.arrivals(tables.past.arrivals)
    }
    const imbalances: Array<string> = []
    for (const { app, mapIndex, messages, offers } of tables.workers) {
      imbalances.push(...Ledger.imbalances(`worker ${mapIndex} of ${app.name}`, { messages, offers }))
      Ledger.add(ledger.messages, messages)
      Ledger.add(ledger.offers, offers)
    }
    for (const { admission: { arrivals }, boundUri } of tables.listeners) {
      imbalances.push(...Ledger.imbalances(`listener ${boundUri}`, { arrivals }))
      Ledger.add(ledger.arrivals, arrivals)
    }
    imbalances.push(...Ledger.imbalances("host", ledger))
    const apps = yield* Effect.forEach([...tables.apps], appReport)
    const host: Report.HostReport = {
      pid: process.pid,
      version,
      uptimeMillis: millisSince(startedAt),
      draining: tables.draining,
      sessions: tables.sessionCount,
      apps,
      ledger,
      imbalances
    }
    return host
  })

  const sessionReport = (session: HostSession, state: SessionState.ShownState): Report.SessionReport => {
    const { connection: { local, remote }, handle, origin: { listener }, since, worker } = session
    return {
      handle: Handle.format(handle),
      ...ofWorker(worker.slot),
      listener: listener === undefined ? null : Handle.format(listener),
      state,
      ...session.report(),
      local,
      remote,
      ageMillis: millisSince(since)
    }
  }

  const connectsOf = (live: LiveWorker): ReadonlyArray<Report.ConnectReport> =>
    [...live.halfOpen.values()].map(({ endpoint, request, scope, since, source, timeout }: HalfOpen) => ({
      ...ofWorker(live.slot),
      request,
      endpoint,
      source: source === "" ? null : source,
      scope,
      ageMillis: millisSince(since),
      timeoutMillis: timeout
    }))

  /** What there is of each worker that runs. */
  const ofLive = <A>(of: (live: LiveWorker) => ReadonlyArray<A>): ReadonlyArray<A> =>
    [...tables.workers].flatMap(({ live }) => live === undefined ? [] : of(live))

  const localEnd = (session: HostSession): Report.LocalEnd => ({
    ...ofWorker(session.worker.slot),
    session: Handle.format(session.handle),
    state: session.state
  })

  const localSession = (cutThrough: CutThrough): ReadonlyArray<Report.LocalSessionReport> => {
    const { endpoint, sessions, since } = cutThrough
    if (sessions === undefined) return []
    return [{
      endpoint,
      server: localEnd(sessions.server),
      client: localEnd(sessions.client),
      segmentBytes: CutThrough.segmentBytes(sessions.server),
      ageMillis: millisSince(since)
    }]
  }

  return {
    report,
    sessions: (filter) =>
      Effect.sync(() => {
        const passes = SessionFilter.compile(filter)
        return [...tables.sessions].flatMap((session) => {
          const { state } = session
          const reports = SessionState.isShown(state) ? [sessionReport(session, state)] : []
          return reports.filter(passes)
        })
      }),
    connects: Effect.sync(() => ofLive(connectsOf)),
    locals: Effect.sync(() => ({
      listeners: [...tables.namespaces].flatMap(([namespace, table]) =>
        [...table].map(([endpoint, { app, handle }]) => ({
          namespace,
          endpoint,
          app: app.name,
          appIndex: app.index,
          listener: Handle.format(handle)
        }))
      ),
      sessions: [...cutThroughs.connected].flatMap(localSession),
      connects: ofLive(connectsOf).filter(({ scope }) => scope === "local")
    })),
    segments: Effect.sync(() => ofLive(managersReport)),
    queues: Effect.sync(() => ofLive((live) => [queueReport(live)]))
  }
}
