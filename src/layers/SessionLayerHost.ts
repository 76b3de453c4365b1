/**
 * The session layer of a host: the tables of applications, workers, listeners and sessions, and what ties them together.
 *
 * - **Attach** makes the application and its worker slots and starts every worker; a supervisor per worker builds its
 *   stack in a scope of its own, waits for it to end, and builds it again after a backoff.
 * - **Teardown** is the closing of that scope (W12): the worker is told nothing more, its seats at listeners are given
 *   up or kept for its next start, its connects are cancelled, its offers go to others, its sessions are ended, what is
 *   queued or postponed for it is released, and its segments go.
 * - **Nothing here waits on a worker.** What a worker sends is read by `LiveWorker` and answered here.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Endpoint from "../domain/Endpoint.ts"
import * as Handle from "../domain/Handle.ts"
import * as Ledger from "../domain/Ledger.ts"
import type * as Message from "../domain/Message.ts"
import * as Options from "../domain/Options.ts"
import type * as Report from "../domain/Report.ts"
import * as SessionBlock from "../domain/SessionBlock.ts"
import { version } from "../domain/Version.ts"
import * as WorkerState from "../domain/WorkerState.ts"
import { type AppModule, AppWorker, WorkerExit } from "../services/AppWorker.ts"
import { Congestion, type Unresponsive } from "../services/Congestion.ts"
import { MessageQueue } from "../services/MessageQueue.ts"
import { SegmentManager } from "../services/SegmentManager.ts"
import {
  AlreadyAttached,
  type Application,
  AttachFailed,
  Draining,
  InvalidValue,
  NoSuchApp,
  SessionLayer,
  UnsupportedConfig,
  WorkerFailed
} from "../services/SessionLayer.ts"
import { type Connection, Transport } from "../services/Transport.ts"
import * as AppModules from "./AppModules.ts"
import * as HostListener from "./HostListener.ts"
import { HostSession, type Origin } from "./HostSession.ts"
import { type HostRequests, LiveWorker, type SlotApp, WorkerSlot } from "./HostWorker.ts"
import * as WorkerStack from "./WorkerStack.ts"

/** An application, its workers, and the fibers that keep them. */
interface App extends SlotApp {
  readonly handle: Handle.AppHandle
  readonly module: AppModule
  readonly slots: Map<Handle.WorkerMapIndex, WorkerSlot>
}

/** A listener, and how to end it. */
interface Listening {
  readonly listener: HostListener.HostListener
  readonly scope: Scope.Closeable
  /** The transport's part, which ends first: at unlisten, and when the host drains. */
  readonly transport: Scope.Closeable
}

/** Milliseconds that a worker which was told to stop is waited for before its thread is ended. */
const STOP_TIMEOUT = 2000

/** Milliseconds between two looks at whether a worker makes progress. */
const SAMPLE_INTERVAL = 1000

const NO_MEMORY = "no-memory: the worker's segments are full"

type Failure = WorkerExit | Unresponsive

/** How the stack of a worker is made. */
export type Stack = (options: WorkerStack.Options) => Layer.Layer<WorkerStack.WorkerServices>

const make = (stack: Stack) =>
  Effect.gen(function*() {
    const transport = yield* Transport
    const clock = yield* Clock.Clock
    const now = (): number => clock.currentTimeMillisUnsafe()
    const scope = yield* Effect.scope
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    /** Listens and unlistens are done one after the other: whether an endpoint is taken must not change in between. */
    const listening = yield* Semaphore.make(1)

    const apps = new Handle.Pool<Handle.AppHandle, App>()
    const workers = new Handle.Pool<Handle.WorkerHandle, WorkerSlot>()
    const listeners = new Handle.Pool<Handle.ListenerHandle, Listening>()
    const sessions = new Handle.Pool<Handle.SessionHandle, HostSession>()
    const connects = new Map<LiveWorker, FiberMap.FiberMap<number>>()
    const noSessions = Latch.makeUnsafe(true)
    /** What workers and listeners that are gone have counted. */
    const past = { messages: new Ledger.Messages(), offers: new Ledger.Offers(), arrivals: new Ledger.Arrivals() }
    const startedAt = now()
    let draining = false

    // ---- sessions

    const createSession = (
      worker: LiveWorker,
      user: string,
      origin: Origin,
      connection: Connection
    ): HostSession | undefined => {
      const manager = worker.segments.acquire(user)
      const place = manager.allocate(SessionBlock.BYTES)
      if (place === undefined) return undefined
      const session = sessions.allocate((handle) => new HostSession(handle, worker, origin, connection, manager, place))
      if (session === undefined) {
        manager.free(place)
        return undefined
      }
      worker.sessions.add(session)
      worker.slot.app.sessions++
      noSessions.closeUnsafe()
      return session
    }

    /** Sessions of all applications, without offers that were taken back and whose slots are still in use. */
    const sessionCount = (): number => {
      let count = 0
      for (const app of apps) count += app.sessions
      return count
    }

    const isFull = (app: SlotApp): boolean => app.sessions >= app.options.admission.maxSessions

    /** Somebody may take sessions again: connections that are held get their turn. */
    const admit = (): void => {
      for (const { listener } of listeners) listener.admit()
    }

    const listenerHost = (app: SlotApp): HostListener.ListenerHost => ({
      createSession,
      isFull: () => isFull(app),
      draining: () => draining
    })

    const listenerOf = (session: HostSession): HostListener.HostListener | undefined =>
      session.origin instanceof HostListener.HostListener ? session.origin : undefined

    // ---- what workers ask for

    const tellToDrain = (worker: LiveWorker): void =>
      void worker.congestion.send({ message: { _tag: "rpc", call: "drain", argument: 0 } })

    const reply = (worker: LiveWorker, message: Message.Message, cleanUp?: () => void): void =>
      void worker.congestion.send({ message, cleanUp })

    const refuse = (worker: LiveWorker, request: number, reason: string, detail: string): void =>
      reply(worker, { _tag: "failed", request, reason, detail })

    const listen = Effect.fnUntraced(function*(worker: LiveWorker, message: Message.Of<"listen">) {
      const { request } = message
      const parsed = Endpoint.parse(message.endpoint)
      if (Result.isFailure(parsed)) return refuse(worker, request, "InvalidEndpoint", parsed.failure.message)
      const { slot } = worker
      const requested = Endpoint.format(parsed.success)
      const joined = [...listeners].find(({ listener }) =>
        listener.requested === requested && (parsed.success.port !== 0 || listener.appIndex === slot.app.index)
      )
      if (joined !== undefined) {
        const { listener } = joined
        if (listener.appIndex !== slot.app.index) {
          return refuse(worker, request, "AlreadyListening", `another application listens on ${requested}`)
        }
        if (listener.members.get(slot.mapIndex)?.live === worker) {
          return refuse(worker, request, "AlreadyListening", `this worker listens on ${requested} already`)
        }
        return bind(worker, listener, request)
      }
      if (draining) return refuse(worker, request, "TransportFailed", "the host is shutting down")

      // W8: listen session with its table entry, manager, transport; a failure undoes what came before it
      const listenerScope = yield* Scope.fork(scope)
      const transportScope = yield* Scope.fork(listenerScope)
      const admission = slot.app.options.admission
      const queues = yield* HostListener.makeQueues
      const entry = listeners.allocate((handle): Listening => ({
        listener: new HostListener.HostListener(
          handle,
          requested,
          slot.app.index,
          admission,
          listenerHost(slot.app),
          now,
          queues
        ),
        scope: listenerScope,
        transport: transportScope
      }))
      if (entry === undefined) {
        yield* Scope.close(listenerScope, Exit.void)
        return refuse(worker, request, "NoMemory", "the host has no room for another listener")
      }
      const { listener } = entry
      yield* Scope.provide(HostListener.runTimers(listener, queues), listenerScope)
      const bound = yield* transport.listen(parsed.success, {
        backlog: admission.backlog,
        accept: listener.arrive,
        acceptError: (error, detail) =>
          void run(Effect.logWarning(`accept on ${listener.local} failed and is tried again: ${error} (${detail})`))
      }).pipe(Scope.provide(transportScope), Effect.result)
      if (Result.isFailure(bound)) {
        yield* closeListener(entry)
        return refuse(worker, request, bound.failure.reason, bound.failure.detail)
      }
      listener.local = Endpoint.format(bound.success)
      bind(worker, listener, request)
    }, listening.withPermits(1))

    /** Gives the worker its seat. A worker that has gone meanwhile gets none. */
    const bind = (worker: LiveWorker, listener: HostListener.HostListener, request: number): void => {
      if (worker.slot.live !== worker) {
        const entry = listeners.get(listener.handle)
        if (entry !== undefined && listener.members.size === 0) run(closeListener(entry))
        return
      }
      worker.segments.acquire(listener.user)
      listener.members.set(worker.slot.mapIndex, { slot: worker.slot, live: worker })
      reply(worker, { _tag: "bound", request, listener: listener.handle, local: listener.local })
      listener.admit()
    }

    const unlisten = Effect.fnUntraced(function*(worker: LiveWorker, message: Message.Of<"unlisten">) {
      const entry = listeners.get(message.listener)
      const seat = entry?.listener.members.get(worker.slot.mapIndex)
      if (entry === undefined || seat?.live !== worker) {
        const reason = entry !== undefined && entry.listener.appIndex !== worker.slot.app.index
          ? "NotOwner"
          : "NoSuchListener"
        return refuse(
          worker,
          message.request,
          reason,
          `listener ${Handle.format(message.listener)} is not this worker's`
        )
      }
      yield* leave(entry, worker)
      reply(worker, { _tag: "unlistened", request: message.request, listener: message.listener })
    }, listening.withPermits(1))

    /** Takes the worker from the listener, which closes with its last one (W10). Established sessions go on (W9). */
    const leave = ({ listener, scope, transport }: Listening, worker: LiveWorker): Effect.Effect<void> =>
      Effect.suspend(() => {
        listener.members.delete(worker.slot.mapIndex)
        const last = listener.members.size === 0
        return Effect.when(Scope.close(transport, Exit.void), Effect.succeed(last)).pipe(
          Effect.andThen(Effect.sync(() => {
            for (const session of worker.sessions) if (session.origin === listener) listener.takeBack(session)
            worker.segments.release(listener.user)
          })),
          Effect.andThen(last ? closeListener({ listener, scope, transport }) : Effect.void)
        )
      })

    const closeListener = ({ listener, scope }: Listening): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!listeners.free(listener.handle)) return Effect.void
        listener.refuseHeld("no-worker")
        // what is claimed or refused later is counted by a listener that nobody asks any more
        Ledger.add(past.arrivals, listener.arrivals)
        return Scope.close(scope, Exit.void)
      })

    /**
     * Empties the seats that the worker's present start, if there is one, has not taken: for good when it will not.
     * Listeners at which no seat is left are closed.
     */
    const vacate = (slot: WorkerSlot, forGood: boolean): Effect.Effect<void> =>
      Effect.suspend(() => {
        const empty: Array<Listening> = []
        for (const entry of listeners) {
          const seat = entry.listener.members.get(slot.mapIndex)
          if (seat?.slot !== slot || (seat.live !== undefined && seat.live === slot.live)) continue
          seat.live = undefined
          if (forGood) entry.listener.members.delete(slot.mapIndex)
          if (entry.listener.members.size === 0) empty.push(entry)
        }
        return Effect.forEach(empty, closeListener, { discard: true })
      })

    /** Why the worker may not connect now. */
    const whyNoConnect = (worker: LiveWorker): string | undefined => {
      // M7: a congested worker opens no further sessions
      if (worker.congested) return "congested: the worker is behind with its queue"
      if (isFull(worker.slot.app)) return "host-limit: the application has all the sessions it may have"
      if (worker.slot.isFull) return "worker-limit: the worker has all the sessions it may have"
      return undefined
    }

    /** A session for a connect, or why there is none. Memory that is on its way to the worker is waited for. */
    const sessionForConnect = Effect.fnUntraced(function*(worker: LiveWorker, connection: Connection) {
      for (;;) {
        // once more: others may have come first while the connection was made
        const late = whyNoConnect(worker)
        if (late !== undefined) return late
        const session = createSession(worker, "connects", { sessionFreed: () => {} }, connection)
        if (session !== undefined) return session
        if (!worker.segments.acquire("connects").growing) return NO_MEMORY
        yield* worker.memory.await
      }
    })

    const connect = Effect.fnUntraced(function*(worker: LiveWorker, message: Message.Of<"connect">) {
      const { request } = message
      const parsed = Endpoint.parse(message.endpoint)
      if (Result.isFailure(parsed)) return refuse(worker, request, "InvalidEndpoint", parsed.failure.message)
      const early = whyNoConnect(worker)
        ?? (worker.halfOpen > worker.slot.app.options.admission.maxSessionsPerWorker
          ? "worker-limit: the worker has all the connects under way that it may have"
          : undefined)
      if (early !== undefined) return refuse(worker, request, "Refused", early)
      const connected = yield* Effect.result(transport.connect(parsed.success))
      if (Result.isFailure(connected)) {
        const { detail, reason } = connected.failure
        return refuse(worker, request, reason, detail)
      }
      const connection = connected.success
      const session = yield* sessionForConnect(worker, connection).pipe(
        Effect.timeoutOrElse({
          duration: worker.slot.app.options.admission.holdTime,
          orElse: () => Effect.succeed(NO_MEMORY)
        }),
        Effect.onInterrupt(() => Effect.sync(() => connection.abort()))
      )
      if (typeof session === "string") {
        connection.abort()
        return refuse(worker, request, "Refused", session)
      }
      const { handle, place: { offset, segment } } = session
      const { local, remote } = connection
      session.connected({ _tag: "connected", request, session: handle, segment, offset, remote, local })
      session.open()
    }, (effect, worker) => {
      worker.halfOpen++
      return Effect.ensuring(effect, Effect.sync(() => worker.halfOpen--))
    })

    const requests: HostRequests = {
      listen: (worker, message) => void run(listen(worker, message)),
      unlisten: (worker, message) => void run(unlisten(worker, message)),
      connect: (worker, message) => {
        const half = connects.get(worker)
        if (half !== undefined) void run(FiberMap.run(half, message.request, connect(worker, message)))
      },
      cancelConnect: (worker, message) => {
        const half = connects.get(worker)
        if (half !== undefined) void run(FiberMap.remove(half, message.request))
      },
      session: (handle) => sessions.get(handle),
      claimed: (session) => {
        const listener = listenerOf(session)
        if (listener === undefined) session.worker.fault("the worker claimed a session that it had asked for itself")
        else listener.claimed(session)
      },
      passed: (session) => {
        listenerOf(session)?.passed(session)
        admit()
      },
      left: () => {
        if (sessionCount() === 0) noSessions.openUnsafe()
      },
      freed: (session) => {
        sessions.free(session.handle)
        admit()
      },
      available: admit
    }

    // ---- workers

    /** One start of a worker: succeeds when it was stopped, fails when it went by itself. */
    const runOnce = Effect.fnUntraced(function*(slot: WorkerSlot, module: AppModule) {
      const { options } = slot.app
      const services = yield* Layer.build(stack({
        app: options,
        endpoints: options.listen.map(Endpoint.format),
        module,
        ledger: slot.messages,
        info: {
          app: slot.app.name,
          appIndex: slot.app.index,
          workerIndex: slot.index,
          worker: slot.mapIndex,
          kind: options.worker.kind,
          restarts: slot.restarts
        }
      }))
      const [segments, queue, congestion, appWorker] = yield* Effect.all([
        SegmentManager,
        MessageQueue,
        Congestion,
        AppWorker
      ])
        .pipe(Effect.provide(services))
      const live = new LiveWorker(slot, { segments, queue, congestion }, requests, now)
      connects.set(live, yield* FiberMap.make<number>())
      slot.live = live
      yield* Effect.addFinalizer(() => teardown(live))
      yield* queue.doorbell.listen(live.wake)
      live.wake()
      yield* Effect.sync(() => live.trim()).pipe(
        Effect.repeat(Schedule.spaced(options.segment.trimInterval)),
        Effect.forkScoped
      )
      // sampled, so that a report can tell how long a worker has stood still
      yield* Effect.sync(() => live.sinceProgress).pipe(
        Effect.repeat(Schedule.spaced(SAMPLE_INTERVAL)),
        Effect.forkScoped
      )
      yield* SubscriptionRef.changes(congestion.state).pipe(
        Stream.runForEach((state) => Effect.sync(() => state._tag === "Clear" && admit())),
        Effect.forkScoped
      )

      const gone = Effect.raceAllFirst([appWorker.exit, congestion.unresponsive, live.faulted]).pipe(
        Effect.tapError(({ _tag }) =>
          Effect.sync(() => slot.move(_tag === "Unresponsive" ? "UNRESPONSIVE" : "CRASHED"))
        )
      )
      const ready = appWorker.ready.pipe(Effect.timeoutOrElse({
        duration: options.worker.startTimeout,
        orElse: () =>
          new WorkerExit({
            reason: "StartTimeout",
            detail: `the application was not ready within ${options.worker.startTimeout} ms`
          })
      }))
      const stopping = yield* Effect.raceFirst(
        Effect.as(Effect.raceFirst(ready, gone), false),
        Effect.as(Deferred.await(slot.stop), true)
      )
      if (!stopping) {
        slot.move("RUNNING")
        // started again in the middle of it
        if (draining) tellToDrain(live)
        yield* Deferred.succeed(slot.started, undefined)
        // what the start before listened on and this one does not
        yield* vacate(slot, true)
        admit()
        yield* Effect.raceFirst(gone, Deferred.await(slot.stop))
      }
      slot.move("DRAINING")
      congestion.send({ message: { _tag: "rpc", call: "stop", argument: 0 } })
      yield* appWorker.exit.pipe(Effect.timeoutOption(STOP_TIMEOUT), Effect.ignore)
    }, Effect.scoped)

    /** W12, as far as it is not the closing of the stack's own layers, which follows. */
    const teardown = Effect.fnUntraced(function*(live: LiveWorker) {
      const { slot } = live
      live.end()
      slot.live = undefined
      if (slot.state === "RUNNING" || slot.state === "STARTING") slot.move("CRASHED")
      const half = connects.get(live)
      connects.delete(live)
      if (half !== undefined) yield* FiberMap.clear(half)
      for (const session of live.sessions) {
        const listener = listenerOf(session)
        // an offer that has gone to another worker leaves nothing here; the worker will never come past it
        if (listener?.takeBack(session) === true) session.free()
        else session.drop()
      }
      // after its offers have gone to others: a listener that closes takes what it still holds with it
      yield* vacate(slot, !WorkerState.comesBack(slot.state))
      yield* live.congestion.close
    })

    /** Keeps a worker running until it is told to stop. */
    const supervise = Effect.fnUntraced(function*(slot: WorkerSlot, module: AppModule) {
      const { backoffBase, backoffMax } = slot.app.options.worker
      let backoff = backoffBase
      for (;;) {
        const since = now()
        const result = yield* runOnce(slot, module).pipe(
          // a thread or its memory that can't be had is thrown by the runtime
          Effect.catchDefect((defect) =>
            Effect.fail(new WorkerExit({ reason: "Crashed", detail: AppModules.sentence(defect) }))
          ),
          Effect.result
        )
        if (Result.isSuccess(result)) break
        const failure: Failure = result.failure
        slot.lastFailure = failure.message
        if (!(yield* Deferred.isDone(slot.started))) {
          yield* Deferred.fail(
            slot.started,
            failure._tag === "WorkerExit" ? failure : new WorkerExit({ reason: "Crashed", detail: failure.message })
          )
          break
        }
        slot.move("BACKOFF")
        if (now() - since > backoffMax) backoff = backoffBase
        yield* Effect.logWarning(
          `worker ${slot.mapIndex} of ${slot.app.name} is gone and starts again in ${backoff} ms: ${failure.message}`
        )
        const stopped = yield* Deferred.await(slot.stop).pipe(Effect.timeoutOption(backoff))
        if (stopped._tag === "Some") break
        backoff = Math.min(2 * backoff, backoffMax)
        slot.restarts++
        slot.move("STARTING")
      }
      slot.move("STOPPED")
      yield* vacate(slot, true)
      yield* Deferred.succeed(slot.started, undefined)
    })

    // ---- applications

    const application = (app: App): Application => {
      const { firstSegmentSize } = app.options.segment
      return {
        handle: app.handle,
        index: app.index,
        name: app.name,
        firstSegmentBytes: firstSegmentSize,
        eventQueueBytes: Options.queueSegmentSize(app.options.queue)
      }
    }

    const decode = (input: unknown): Effect.Effect<Options.AppOptions, AttachFailed> => {
      const decoded = Options.decodeApp(input)
      if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
      const { _tag, message, option } = decoded.failure.reason
      const Reason = _tag === "InvalidValue" ? InvalidValue : UnsupportedConfig
      return Effect.fail(
        new AttachFailed({ reason: new Reason({ option, detail: message.replace(`${option}: `, "") }) })
      )
    }

    const detach = Effect.fnUntraced(function*(app: App, supervisors: ReadonlyArray<Fiber.Fiber<void>>) {
      for (const slot of app.slots.values()) yield* Deferred.succeed(slot.stop, undefined)
      yield* Fiber.awaitAll(supervisors)
      for (const slot of app.slots.values()) {
        Ledger.add(past.messages, slot.messages)
        Ledger.add(past.offers, slot.offers)
        workers.free(slot.handle)
      }
      apps.free(app.handle)
    })

    /** Makes the application and starts its workers; the scope's end is its detach. */
    const start = Effect.fnUntraced(function*(options: Options.AppOptions, module: AppModule) {
      const supervisors: Array<Fiber.Fiber<void>> = []
      const app = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const app = apps.allocate((handle): App => {
            const index = Handle.AppIndex(Handle.index(handle))
            return {
              handle,
              index,
              name: options.name ?? `builtin-${index}`,
              client: options.client ?? "",
              options,
              module,
              sessions: 0,
              slots: new Map()
            }
          })!
          for (let i = 0; i < options.worker.workers; i++) {
            const mapIndex = Handle.WorkerMapIndex(i)
            app.slots.set(mapIndex, workers.allocate((handle) => new WorkerSlot(handle, mapIndex, app))!)
          }
          return app
        }),
        (app) => detach(app, supervisors)
      )
      for (const slot of app.slots.values()) supervisors.push(yield* Effect.forkIn(supervise(slot, module), scope))
      yield* Effect.forEach(
        app.slots.values(),
        (slot) =>
          Effect.mapError(
            Deferred.await(slot.started),
            (exit) => new AttachFailed({ reason: new WorkerFailed({ worker: slot.mapIndex, detail: exit.message }) })
          ),
        {
          concurrency: "unbounded",
          discard: true
        }
      )
      return application(app)
    })

    const attach = Effect.fn("SessionLayer.attach")(function*(input: unknown, module: AppModule) {
      const options = yield* decode(input)
      if (draining) return yield* new AttachFailed({ reason: new Draining() })
      if (options.name === undefined && options.client === undefined) {
        return yield* new AttachFailed({
          reason: new InvalidValue({ option: "name", detail: "give the application a name or a client" })
        })
      }
      if (module._tag === "Layer" && options.worker.kind === "thread") {
        return yield* new AttachFailed({
          reason: new UnsupportedConfig({
            option: "worker.kind",
            detail: "a thread worker needs the URL of a module; a layer can only run in-process"
          })
        })
      }
      for (const app of apps) {
        const same = options.name !== undefined && app.name === options.name
          || options.client !== undefined && app.client === options.client
        if (same) {
          return yield* new AttachFailed({ reason: new AlreadyAttached({ name: options.name ?? options.client! }) })
        }
      }

      return yield* start(options, module)
    }, (effect) =>
      // in a scope of its own, so that a failed attach is undone at once and not with the caller's scope
      Effect.flatMap(
        Effect.scope,
        (outer) =>
          Effect.flatMap(
            Scope.fork(outer),
            (inner) =>
              Effect.onError(Scope.provide(effect, inner), (cause) => Scope.close(inner, Exit.failCause(cause)))
          )
      ))

    const find = (wanted: string | { readonly client: string } | Handle.AppIndex) =>
      Effect.suspend(() => {
        for (const app of apps) {
          const found = typeof wanted === "string"
            ? app.name === wanted
            : typeof wanted === "number"
            ? app.index === wanted
            : app.client !== "" && app.client === wanted.client
          if (found) return Effect.succeed(application(app))
        }
        const shown = typeof wanted === "object" ? `of client ${wanted.client}` : String(wanted)
        return Effect.fail(new NoSuchApp({ wanted: shown }))
      })

    const drain = Effect.gen(function*() {
      draining = true
      for (const { listener, transport } of listeners) {
        listener.refuseHeld("draining")
        yield* Scope.close(transport, Exit.void)
      }
      let longest = 0
      for (const { app, live } of workers) {
        if (live !== undefined) tellToDrain(live)
        longest = Math.max(longest, app.options.worker.drainTimeout)
      }
      yield* noSessions.await.pipe(Effect.timeoutOption(longest), Effect.asVoid)
    })

    // ---- report

    const reportWorker = (slot: WorkerSlot): Report.Worker => {
      const { app, live } = slot
      const { controlRing, indexQueue, ioRing } = app.options.queue
      const toWorker = live?.queue.toWorker
      const congestion = live?.congestion.statistics()
      const segments = live?.segments.statistics()
      return {
        workerIndex: slot.index,
        appIndex: app.index,
        mapIndex: slot.mapIndex,
        client: app.client,
        kind: app.options.worker.kind,
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
        congestedMillis: congestion?.congestedMillis ?? 0,
        behind: {
          offers: live?.behind.offers ?? 0,
          times: live?.behind.times ?? 0,
          millis: live?.behindMillis ?? 0
        },
        lastProgressMillis: live?.sinceProgress ?? 0,
        segments: {
          count: segments?.count ?? 0,
          bytes: segments?.bytes ?? 0,
          hostBytes: segments?.hostBytes ?? 0,
          used: segments?.used ?? 0
        },
        messages: Ledger.add(new Ledger.Messages(), slot.messages),
        offers: Ledger.add(new Ledger.Offers(), slot.offers)
      }
    }

    const report = Effect.sync((): Report.Host => {
      const ledger = {
        messages: Ledger.add(new Ledger.Messages(), past.messages),
        offers: Ledger.add(new Ledger.Offers(), past.offers),
        arrivals: Ledger.add(new Ledger.Arrivals(), past.arrivals)
      }
      const imbalances: Array<string> = []
      for (const slot of workers) {
        const { messages, offers } = slot
        imbalances.push(...Ledger.imbalances(`worker ${slot.mapIndex} of ${slot.app.name}`, { messages, offers }))
        Ledger.add(ledger.messages, messages)
        Ledger.add(ledger.offers, offers)
      }
      for (const { listener } of listeners) {
        const { arrivals } = listener
        imbalances.push(...Ledger.imbalances(`listener ${listener.local}`, { arrivals }))
        Ledger.add(ledger.arrivals, arrivals)
      }
      imbalances.push(...Ledger.imbalances("host", ledger))
      return {
        pid: process.pid,
        version,
        uptimeMillis: now() - startedAt,
        draining,
        sessions: sessionCount(),
        apps: [...apps].map((app) => ({
          index: app.index,
          name: app.name,
          client: app.client,
          namespace: app.options.namespace,
          firstSegmentSize: app.options.segment.firstSegmentSize,
          addSegmentSize: app.options.segment.addSegmentSize,
          rxFifoSize: app.options.segment.rxFifoSize,
          txFifoSize: app.options.segment.txFifoSize,
          workers: [...app.slots.values()].map(reportWorker),
          listeners: [...listeners].filter(({ listener }) => listener.appIndex === app.index).map(({ listener }) => ({
            handle: Handle.format(listener.handle),
            endpoint: listener.local,
            workers: [...listener.members.keys()],
            sessions: listener.sessions,
            arrivals: Ledger.add(new Ledger.Arrivals(), listener.arrivals)
          }))
        })),
        ledger,
        imbalances
      }
    })

    return SessionLayer.of({ attach, find, drain, report })
  })

/** The session layer with workers that are made by `stack`: for workers of another kind, or scripted ones. */
export const layerStack = (stack: Stack): Layer.Layer<SessionLayer, never, Transport> =>
  Layer.effect(SessionLayer, make(stack))

export const layer: Layer.Layer<SessionLayer, never, Transport> = layerStack(WorkerStack.layer)
