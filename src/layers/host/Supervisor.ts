/**
 * The workers of a host's applications: started, watched, started again, drained, and taken apart.
 *
 * A supervisor per worker builds its stack in a scope of its own and waits for its end. What ends it decides what
 * follows: told to stop, the worker is gone; told to restart, or gone by itself, it is built again, after a backoff in
 * the latter case. Its seats at listeners are kept meanwhile, so that a listener with a single worker holds connections
 * over a restart instead of closing.
 *
 * **The teardown** (W12) has an order, and each of its steps is a span, `SessionLayer.teardown/<step>`.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import { AppWorker, WorkerExit } from "../../services/AppWorker.ts"
import type { Certificates } from "../../services/Certificates.ts"
import { Congestion, type Unresponsive } from "../../services/Congestion.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import * as AppModules from "../adapters/node/AppModules.ts"
import type { WorkerStack } from "../stack/WorkerStack.ts"
import * as WorkerTls from "../worker/WorkerTls.ts"
import type { Connects } from "./Connects.ts"
import type { HostSession } from "./HostSession.ts"
import type { Listeners } from "./Listeners.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import { type HostRequests, LiveWorker, WorkerSlot } from "./Worker.ts"

/** Milliseconds that a worker which was told to stop is waited for before its thread is ended. */
const STOP_TIMEOUT = 2000

/** Milliseconds between two looks at whether a worker makes progress. */
const SAMPLE_INTERVAL = 1000

/** For who waits for a start that will not be. */
const stopped = new WorkerExit({ reason: "Exited", detail: "the worker was stopped" })

export interface Supervisor {
  /** A slot for a new worker of the application, at the lowest free number; `undefined` when the host has none left. */
  readonly add: (app: AttachedApp, kind: WorkerInfo["kind"]) => WorkerSlot | undefined
  /** Keeps the worker running until it is told to stop; then it is out of all tables. */
  readonly start: (app: AttachedApp, slot: WorkerSlot) => Effect.Effect<void>
  /** Lets a worker finish what it has, at most for the drain timeout. It gets nothing new. */
  readonly drain: (slot: WorkerSlot) => Effect.Effect<void>
  /** Stops the worker and waits until nothing is left of it. */
  readonly stop: (app: AttachedApp, slot: WorkerSlot) => Effect.Effect<void>
  /** Stops the worker and waits until it runs again. */
  readonly restart: (slot: WorkerSlot) => Effect.Effect<void, WorkerExit>
  readonly tellToDrain: (worker: LiveWorker) => void
}

/** What applications are told to serve: what they listen on, and any port for each transport that they proxy (W18). */
const endpointsOf = ({ listen, proxiedTransports }: AttachedApp["options"]): ReadonlyArray<string> => [
  ...listen.map(Endpoint.format),
  ...(proxiedTransports.includes("tcp") ? Endpoint.anyPorts.map(Endpoint.format) : [])
]

export const make = (options: {
  readonly tables: Tables
  readonly listeners: Listeners
  readonly connects: Connects
  readonly requests: HostRequests
  readonly certificates: Certificates["Service"]
  readonly stack: WorkerStack["Service"]
  readonly scope: Scope.Scope
}): Supervisor => {
  const { certificates, connects, listeners, requests, scope, stack, tables } = options

  const tellToDrain = (worker: LiveWorker): void => {
    worker.congestion.send({ message: { _tag: "rpc", call: "drain", argument: 0 } })
    for (const session of worker.sessions) session.drain()
  }

  /** W12, in its order. The closing of the stack's own layers follows: the queues, then the segments. */
  const teardown = Effect.fnUntraced(function*(live: LiveWorker) {
    const { slot } = live
    const step = <A>(name: string, effect: Effect.Effect<A>) =>
      Effect.withSpan(effect, `SessionLayer.teardown/${name}`, { attributes: { worker: slot.index } })
    const isCutThrough = ({ connection }: HostSession): boolean => connection._tag === "CutThrough"
    const drop = (which: (session: HostSession) => boolean) =>
      Effect.sync(() => {
        for (const session of live.sessions) if (which(session)) session.drop()
      })

    yield* step(
      "notifications",
      Effect.sync(() => {
        live.end()
        slot.live = undefined
        if (slot.state !== "DRAINING") slot.move("crash")
      })
    )
    const forGood = !WorkerState.comesBack(slot.state) && !slot.restarting
    yield* step("listeners", listeners.leaveAll(live, forGood))
    yield* step("half-open", connects.cancelAll(live))
    yield* step(
      "connects",
      Effect.andThen(
        drop((session) => !isCutThrough(session) && session.origin.listener === undefined),
        Effect.sync(() => live.segments.release("connects"))
      )
    )
    yield* step("sessions", drop((session) => !isCutThrough(session)))
    yield* step("local-listeners", listeners.vacate(slot, forGood))
    yield* step(
      "local-sessions",
      Effect.andThen(drop(() => true), Effect.sync(() => connects.cutThroughs.unlink(live)))
    )
    yield* step("messages", live.congestion.close)
  })

  /** Posts the application's certificates to a worker that may end TLS, at once and after changes. */
  const postCertificates = (app: AttachedApp, { congestion }: LiveWorker): Effect.Effect<void, never, Scope.Scope> =>
    certificates.changes(app.handle).pipe(
      Stream.runForEach((entries) =>
        Effect.sync(() => {
          const posted = entries.map(({ certificate: { chain, hosts, key } }) => ({
            hosts,
            chain,
            key: Redacted.value(key)
          }))
          congestion.send({
            message: { _tag: "certificates", count: posted.length },
            attachment: { _tag: "Certificates", certificates: posted }
          })
        })
      ),
      // an application that is being detached has none
      Effect.ignore,
      Effect.forkScoped,
      Effect.asVoid
    )

  /** One start of a worker: succeeds when it was told to stop or to restart, fails when it went by itself. */
  const runOnce = Effect.fnUntraced(function*(app: AttachedApp, slot: WorkerSlot) {
    const { options } = app
    const services = yield* stack.build({
      app: options,
      endpoints: endpointsOf(options),
      module: app.module,
      ledger: slot.messages,
      info: {
        app: app.name,
        appIndex: app.index,
        workerIndex: slot.index,
        worker: slot.mapIndex,
        kind: slot.kind,
        restarts: slot.restarts
      }
    })
    const [segments, queue, congestion, appWorker] = yield* Effect.all([
      SegmentManager,
      MessageQueue,
      Congestion,
      AppWorker
    ])
      .pipe(Effect.provide(services))
    const live = new LiveWorker(slot, { segments, queue, congestion }, requests, tables.now)
    yield* connects.admit(live)
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
      Stream.runForEach((state) => Effect.sync(() => state._tag === "Clear" && tables.admit())),
      Effect.forkScoped
    )

    if (WorkerTls.startOf(options) !== undefined) yield* postCertificates(app, live)

    const gone = Effect.raceAllFirst([appWorker.exit, congestion.unresponsive, live.faulted]).pipe(
      Effect.tapError(({ _tag }) => Effect.sync(() => slot.move(_tag === "Unresponsive" ? "hang" : "crash")))
    )
    const ready = appWorker.ready.pipe(Effect.timeoutOrElse({
      duration: options.worker.startTimeout,
      orElse: () =>
        new WorkerExit({
          reason: "StartTimeout",
          detail: `the application was not ready within ${options.worker.startTimeout} ms`
        })
    }))
    const told = Effect.raceFirst(Deferred.await(slot.stop), Deferred.await(slot.restart))
    const stopping = yield* Effect.raceFirst(Effect.as(Effect.raceFirst(ready, gone), false), Effect.as(told, true))
    if (!stopping) {
      slot.move("ready")
      slot.hasRun = true
      // started again in the middle of it
      if (tables.draining) tellToDrain(live)
      yield* Deferred.succeed(slot.started, undefined)
      // what the start before listened on and this one does not
      yield* listeners.vacate(slot, true)
      tables.admit()
      yield* Effect.raceFirst(gone, told)
    }
    slot.move("drain")
    congestion.send({ message: { _tag: "rpc", call: "stop", argument: 0 } })
    yield* appWorker.exit.pipe(Effect.timeoutOption(STOP_TIMEOUT), Effect.ignore)
  }, Effect.scoped)

  /** Waits before the next start of a worker that went by itself; `false` when it is to stop instead. */
  const backOff = (slot: WorkerSlot, millis: number): Effect.Effect<boolean> =>
    Effect.raceAllFirst([
      Effect.as(Deferred.await(slot.stop), false),
      Effect.as(Deferred.await(slot.restart), true),
      Effect.delay(Effect.succeed(true), millis)
    ])

  const supervise = Effect.fnUntraced(function*(app: AttachedApp, slot: WorkerSlot) {
    const { backoffBase, backoffMax } = app.options.worker
    let backoff = backoffBase
    for (;;) {
      const since = tables.now()
      const result = yield* runOnce(app, slot).pipe(
        // a thread or its memory that can't be had is thrown by the runtime
        Effect.catchDefect((defect) =>
          Effect.fail(new WorkerExit({ reason: "Crashed", detail: AppModules.sentence(defect) }))
        ),
        Effect.result
      )
      // what could not be built has no teardown that says so
      if (Result.isFailure(result)) slot.move("crash")
      if (yield* Deferred.isDone(slot.stop)) break
      if (Result.isFailure(result)) {
        const failure: WorkerExit | Unresponsive = result.failure
        slot.lastFailure = failure.message
        const exit = failure._tag === "WorkerExit"
          ? failure
          : new WorkerExit({ reason: "Crashed", detail: failure.message })
        // whoever waits for this start hears of it, unless another one was asked for meanwhile
        const asked = yield* Deferred.isDone(slot.restart)
        const first = !asked && (yield* Deferred.fail(slot.started, exit))
        // a worker that has never run is not tried again
        if (first && !slot.hasRun) break
        slot.move("backOff")
        if (tables.now() - since > backoffMax) backoff = backoffBase
        yield* Effect.logWarning(
          `worker ${slot.mapIndex} of ${app.name} is gone and starts again in ${backoff} ms: ${failure.message}`
        )
        if (!(yield* backOff(slot, backoff))) break
        backoff = Math.min(2 * backoff, backoffMax)
      }
      if (yield* Deferred.isDone(slot.restart)) slot.restart = Deferred.makeUnsafe()
      slot.restarting = false
      slot.restarts++
      slot.move("start")
    }
    slot.move("stop")
    yield* listeners.vacate(slot, true)
    yield* Deferred.fail(slot.started, stopped)
  })

  /** What is left of a worker when its supervisor has ended: its numbers. */
  const forget = (app: AttachedApp, slot: WorkerSlot): void => {
    if (app.slots.get(slot.mapIndex) !== slot) return
    app.slots.delete(slot.mapIndex)
    app.supervisors.delete(slot)
    Ledger.add(tables.past.messages, slot.messages)
    Ledger.add(tables.past.offers, slot.offers)
    tables.workers.free(slot.handle)
  }

  const stop = (app: AttachedApp, slot: WorkerSlot): Effect.Effect<void> =>
    Effect.gen(function*() {
      yield* Deferred.succeed(slot.stop, undefined)
      const supervisor = app.supervisors.get(slot)
      if (supervisor !== undefined) yield* Fiber.await(supervisor)
      yield* Effect.withSpan(Effect.sync(() => forget(app, slot)), "SessionLayer.teardown/slot", {
        attributes: { worker: slot.index }
      })
    })

  return {
    tellToDrain,
    add: (app, kind) => {
      let number = 0
      while (app.slots.has(Handle.WorkerMapIndex(number))) number++
      const mapIndex = Handle.WorkerMapIndex(number)
      const slot = tables.workers.allocate((handle) => new WorkerSlot(handle, mapIndex, app, kind))
      if (slot !== undefined) app.slots.set(mapIndex, slot)
      return slot
    },
    start: (app, slot) =>
      Effect.flatMap(
        Effect.forkIn(supervise(app, slot), scope),
        (fiber) => Effect.sync(() => void app.supervisors.set(slot, fiber))
      ),
    drain: (slot) =>
      Effect.suspend(() => {
        const { live } = slot
        if (live === undefined) return Effect.void
        slot.move("drain")
        tellToDrain(live)
        const gone = Effect.raceFirst(Deferred.await(slot.stop), Deferred.await(slot.restart))
        return Effect.raceFirst(live.empty.await, gone).pipe(
          Effect.timeoutOption(slot.app.options.worker.drainTimeout),
          Effect.asVoid
        )
      }),
    stop,
    restart: (slot) =>
      Effect.suspend(() => {
        if (Deferred.isDoneUnsafe(slot.stop)) return Effect.fail(stopped)
        // who waits for a start already waits for this one
        if (Deferred.isDoneUnsafe(slot.started)) slot.started = Deferred.makeUnsafe()
        slot.restarting = true
        const running = Deferred.await(slot.started)
        return Effect.andThen(Deferred.succeed(slot.restart, undefined), running)
      })
  }
}
