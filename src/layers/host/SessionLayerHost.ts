/**
 * The session layer of a host, put together from its parts.
 *
 * ```
 * Tables            what the host holds
 * Applications      attach, find, detach           WorkerOperations  add, delete, restart at run time
 * WorkersByNeed     the same, by the load
 * Supervisor        keeps workers running          WorkerRun         one start of a worker, and its teardown
 * Worker            its slot, and each start       WorkerReader      what a worker says
 * Reloads           new code in their place
 * Listeners         listen, unlisten               Listener          admission at one listener
 * Connects          connects, rules, half-open     CutThroughs       cut-through sessions, links between workers
 * HostSession       one session, by its kind       Reports           what is reported about all of it
 * HostWatch         what of it goes into the log
 * HostSuccession    what another host takes over, and Departures, what goes over to it
 * ```
 *
 * Nothing here waits for a worker. What a worker sends is read by `WorkerReader`, and goes to the part that it is for.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { format as formatRule } from "../../domain/admission/SessionRule.ts"
import * as Handle from "../../domain/state/Handle.ts"
import { Certificates } from "../../services/Certificates.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import { Namespaces } from "../../services/Namespaces.ts"
import { NoSuchListener, NoSuchSession, SessionLayer } from "../../services/SessionLayer.ts"
import { SessionRules } from "../../services/SessionRules.ts"
import { Succession } from "../../services/Succession.ts"
import { Transport } from "../../services/Transport.ts"
import { NoticeLog } from "../log/NoticeLog.ts"
import { layerDefault, WorkerStack } from "../stack/WorkerStack.ts"
import { Inherited } from "../system/InheritedSockets.ts"
import { Machine } from "../system/Machine.ts"
import { EventLog } from "../telemetry/EventLog.ts"
import { Applications } from "./Applications.ts"
import { Connects } from "./Connects.ts"
import { ofWorker } from "./EventSubjects.ts"
import * as HostSuccession from "./HostSuccession.ts"
import { HostWatch, LOOK_INTERVAL } from "./HostWatch.ts"
import { Listeners } from "./Listeners.ts"
import { Overviews } from "./Overviews.ts"
import { Reloads } from "./Reloads.ts"
import { Renewals } from "./Renewals.ts"
import { Reports } from "./Reports.ts"
import { Supervisor } from "./Supervisor.ts"
import { Tables } from "./Tables.ts"
import { WorkerOperations } from "./WorkerOperations.ts"
import type { HostRequests } from "./WorkerReader.ts"
import type { RunHost } from "./WorkerRun.ts"
import { tellToDrain } from "./WorkerRun.ts"
import { WorkersByNeed } from "./WorkersByNeed.ts"

/** Tells of what is set at run time. */
const observeSettings = (
  { apps, events }: Tables,
  rules: SessionRules["Service"],
  certificates: Certificates["Service"]
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.andThen(
    rules.observe((change) =>
      "entry" in change
        ? events.record({ kind: change.kind, rule: change.entry.handle, text: formatRule(change.entry.rule) })
        : events.record(change)
    ),
    certificates.observe(({ app, ...change }) => events.record({ ...change, app: apps.get(app)?.name ?? "" }))
  )

const make = (stack: WorkerStack["Service"]) =>
  Effect.gen(function*() {
    const transport = yield* Transport
    const rules = yield* SessionRules
    const namespaces = yield* Namespaces
    const certificates = yield* Certificates
    const inherited = yield* Inherited
    const scope = yield* Effect.scope
    const runFork = yield* FiberSet.makeRuntime<never, void, never>()
    const run = (effect: Effect.Effect<void>): void => void runFork(effect)
    const notices = yield* NoticeLog.make
    const events = yield* EventLog.make(notices)
    const tables = new Tables(yield* MonotonicTime.reader, events)
    yield* observeSettings(tables, rules, certificates)
    const watch = new HostWatch(tables, notices)
    const overviews = new Overviews(tables)
    const look = Effect.sync(() => {
      watch.look()
      overviews.look()
    })
    yield* look.pipe(Effect.repeat(Schedule.spaced(LOOK_INTERVAL)), Effect.forkScoped)
    const listeners = new Listeners({
      tables,
      transport,
      rules,
      certificates,
      inherited,
      notices,
      fork: runFork,
      scope
    })
    const connects = new Connects({ tables, transport, rules, fork: runFork })

    /** Where the requests of workers go. */
    const requests: HostRequests = {
      listen: (worker, message) => run(listeners.listen(worker, message)),
      unlisten: (worker, message) => run(listeners.unlisten(worker, message)),
      connect: (worker, message) => connects.connect(worker, message),
      cancelConnect: (worker, message) => connects.cancel(worker, message),
      session: (handle) => tables.sessions.get(handle),
      left: () => {
        if (tables.sessionCount === 0) tables.noSessions.openUnsafe()
      },
      freed: (session) => {
        tables.sessions.free(session.handle)
        tables.admit()
      },
      available: () => tables.admit()
    }
    const renew: RunHost["renew"] = (slot, why) => renewals.renew(slot, why)
    const workers = new Supervisor({ tables, listeners, connects, requests, certificates, stack, renew }, scope)
    const machine = yield* Machine
    const { descent } = inherited
    const birth = Result.isSuccess(descent) ? descent.success?.birth : undefined
    const workersBefore = birth?.workers
    if (birth?.lineage !== undefined) {
      tables.generation = birth.lineage.generation + 1
      tables.upBefore = birth.lineage.upMillis
    }
    const applications = new Applications({
      tables,
      listeners,
      workers,
      namespaces,
      certificates,
      machine,
      before: (app) => workersBefore?.[app]
    })
    const reloads = new Reloads(tables, applications, workers)
    const renewals = new Renewals(tables, reloads, run)
    const operations = new WorkerOperations(tables, applications, workers, reloads)
    const byNeed = new WorkersByNeed(tables, operations, machine, scope)

    const reports = new Reports(tables, connects.cutThroughs, certificates)

    const drain = Effect.gen(function*() {
      const begun = tables.now()
      const sessions = tables.sessionCount
      if (!tables.draining) events.record({ kind: "host-draining", sessions })
      tables.draining = true
      const { drainTime } = tables
      tables.endsAt ??= begun + drainTime
      // what waits goes to the host that follows, or is served here (X4)
      const heirs = tables.heirs ?? "nobody"
      const goesOver = heirs === "host"
      if (tables.departures === undefined) yield* Deferred.succeed(tables.ends, undefined)
      yield* goesOver ? listeners.closeAll : listeners.stop
      for (const { live } of tables.generations()) {
        if (live !== undefined) tellToDrain(live, heirs)
      }
      // what a host before this one still has goes over by way of this one, and so do its counts
      const finished = goesOver
        ? Effect.andThen(tables.noSessions.await, tables.noFormerHosts.await)
        : tables.noSessions.await
      yield* finished.pipe(Effect.timeoutOption(drainTime), Effect.asVoid)
      watch.look()
      const left = tables.sessionCount
      events.record({ kind: "host-drained", sessions, left, tookMillis: tables.now() - begun })
    })

    const sessionLayer = SessionLayer.of({
      attach: (options, module, extras) =>
        Effect.tap(applications.attach(options, module, extras), ({ handle }) => {
          const app = tables.apps.get(handle)
          return app === undefined ? Effect.void : byNeed.follow(app)
        }),
      find: (wanted) => applications.find(wanted),
      detach: (handle, { drain = false } = {}) =>
        Effect.flatMap(applications.get(handle), (app) => drain ? applications.finish(app) : applications.detach(app)),
      addWorker: operations.add,
      deleteWorker: operations.delete,
      restartWorker: operations.restart,
      reload: reloads.reload,
      unlisten: (handle) =>
        Effect.flatMap(
          listeners.close(handle),
          (closed) => closed ? Effect.void : Effect.fail(new NoSuchListener({ listener: Handle.format(handle) }))
        ),
      endSession: (handle, how) =>
        Effect.suspend(() => {
          const session = tables.sessions.get(handle)
          if (session?.isOpen !== true) return Effect.fail(new NoSuchSession({ session: Handle.format(handle) }))
          return Effect.sync(() => {
            events.record({ kind: "session-closing", ...ofWorker(session.worker.slot), session: handle, how })
            if (how === "close") session.close()
            else session.abort()
          })
        }),
      drain,
      events: (wanted) => events.read(wanted),
      readiness: Effect.sync(() => tables.readiness()),
      overview: overviews.overview,
      ...reports.all
    })
    const succession = HostSuccession.make({ tables, listeners, sockets: inherited, notices, run })
    return Context.make(SessionLayer, sessionLayer).pipe(Context.add(Succession, succession))
  })

/**
 * The session layer of a host whose workers are started by a stack of layers that the program chooses.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStack: Layer.Layer<
  SessionLayer | Succession,
  never,
  WorkerStack | Transport | SessionRules | Namespaces | Certificates
> = Layer.effectContext(Effect.flatMap(WorkerStack, make))

/**
 * The session layer of a host whose workers have the default layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  SessionLayer | Succession,
  never,
  Transport | SessionRules | Namespaces | Certificates
> = layerStack.pipe(Layer.provide(layerDefault))
