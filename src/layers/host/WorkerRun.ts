/**
 * One start of a worker: its stack is built in a scope of its own, it runs until it is told to stop or stops by itself,
 * and then it is taken apart.
 *
 * **The teardown** (W12) has an order, and each of its steps is a span, `SessionLayer.teardown/<step>`. The closing of
 * the stack's own layers follows it: the queues, then the segments.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Message from "../../domain/memory/Message.ts"
import { LOOK_INTERVAL } from "../../domain/memory/QueueMemory.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import { AppWorker, WorkerExit } from "../../services/AppWorker.ts"
import { HandOver } from "../../services/Attachment.ts"
import type { Certificates } from "../../services/Certificates.ts"
import { Congestion, type Unresponsive } from "../../services/Congestion.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import type { StackPlan, WorkerStack } from "../stack/WorkerStack.ts"
import * as PerTurn from "../system/PerTurn.ts"
import * as TlsStart from "../transport/TlsStart.ts"
import { CongestionEvents } from "./CongestionEvents.ts"
import type { Connects } from "./Connects.ts"
import { ofWorker } from "./EventSubjects.ts"
import type { HostSession } from "./HostSession.ts"
import * as ListenerOpening from "./ListenerOpening.ts"
import type { Listeners } from "./Listeners.ts"
import type { RenewReason } from "./Renewals.ts"
import { type SilenceHost, SilenceWatch } from "./SilenceWatch.ts"
import type { AttachedApp } from "./Tables.ts"
import { WearWatch } from "./WearWatch.ts"
import { LiveWorker, type WorkerSlot } from "./Worker.ts"
import type { HostRequests } from "./WorkerReader.ts"

/** Milliseconds to wait for a worker that was told to stop before its thread is ended. */
const STOP_TIMEOUT = 2000

/** What a start needs of the host. */
export interface RunHost extends SilenceHost {
  /** Starts the worker's next generation, which takes its place; `false` where that is not for now. */
  readonly renew: (slot: WorkerSlot, why: RenewReason) => boolean
  readonly listeners: Listeners
  readonly connects: Connects
  readonly requests: HostRequests
  readonly certificates: Certificates["Service"]
  readonly stack: WorkerStack["Service"]
}

/** The endpoints that applications are told to serve: their own, and any port for each transport they proxy (W18). */
const endpointsOf = (
  { fallback, options }: AttachedApp
): Pick<StackPlan, "endpoints" | "suggested"> => {
  const named = [...options.listen, ...ListenerOpening.ofProxy(options)]
  return named.length > 0
    ? { endpoints: named.map(Endpoint.format), suggested: false }
    : { endpoints: fallback, suggested: true }
}

const isCutThrough = ({ connection }: HostSession): boolean => connection._tag === "CutThrough"

const MOVES = { nobody: Message.STAYS, workers: Message.TO_WORKERS, host: Message.TO_HOST } as const

/** Who goes on with what a worker parks that drains. */
export type Heirs = keyof typeof MOVES

/** Tells the worker to finish what it has in hand, and who goes on with what it parks (X1, X4). */
export const tellToDrain = (worker: LiveWorker, to: Heirs): void => {
  const { congestion, sessions } = worker
  worker.handsOver = to !== "nobody"
  if (worker.handsOver) { for (const session of sessions) session.moveOn() }
  congestion.send({ message: { _tag: "drain", moves: MOVES[to] } })
  for (const session of sessions) session.drain()
}

export class WorkerRun {
  readonly #host: RunHost
  readonly #app: AttachedApp
  readonly #slot: WorkerSlot
  /** Bytes of its segments when it was taken apart. */
  #bytes = 0
  /** When it began, in milliseconds of `MonotonicTime`. */
  readonly #begun: number

  constructor(host: RunHost, app: AttachedApp, slot: WorkerSlot) {
    this.#begun = host.tables.now()
    this.#host = host
    this.#app = app
    this.#slot = slot
  }

  /** Succeeds when the worker was told to stop or restart, fails when it stopped by itself. Nothing is left of it. */
  get run(): Effect.Effect<void, WorkerExit | Unresponsive> {
    return Effect.scoped(Effect.flatMap(this.#build, (parts) => this.#serve(parts)))
  }

  /** The worker with its stack, in the scope; its queue is read from now on. */
  get #build() {
    const { connects, requests, stack, tables } = this.#host
    const app = this.#app
    const slot = this.#slot
    return Effect.gen({ self: this }, function*() {
      const services = yield* stack.build({
        app: app.options,
        ...endpointsOf(app),
        module: app.module,
        loaded: app.loaded,
        lingers: (ended) => tables.quarantine.keep(slot, this.#bytes, ended),
        ledger: slot.messages,
        ages: slot.times.postponed,
        info: {
          app: app.name,
          appIndex: app.index,
          workerIndex: slot.index,
          worker: slot.mapIndex,
          kind: slot.kind,
          restarts: slot.restarts
        }
      })
      const [segments, queue, congestion, handOver, appWorker] = yield* Effect.provide(
        Effect.all([SegmentManager, MessageQueue, Congestion, HandOver, AppWorker]),
        services
      )
      const events = new CongestionEvents(slot, tables)
      const live = new LiveWorker(
        slot,
        { segments, queue, congestion, handOver, meter: appWorker.meter },
        requests,
        tables.now,
        events
      )
      yield* connects.admit(live)
      slot.live = live
      yield* Effect.addFinalizer(() => this.#teardown(live))
      yield* queue.doorbell.listen(live.wake)
      live.wake()
      yield* this.#watch(live, events)
      if (TlsStart.startOf(app.options) !== undefined) yield* this.#postCertificates(live)
      return { live, appWorker }
    })
  }

  /** What is done for a worker at intervals, while it lives. */
  #watch(live: LiveWorker, events: CongestionEvents): Effect.Effect<void, never, Scope.Scope> {
    const { tables } = this.#host
    const every = (millis: number, step: () => void) =>
      Effect.sync(step).pipe(
        Effect.catchDefect((error) => Effect.logError("looking after a worker has failed", error)),
        Effect.repeat(Schedule.spaced(millis)),
        Effect.forkScoped
      )
    const watches = Effect.flatMap(
      FiberSet.makeRuntime<never, void, never>(),
      (run) =>
        Effect.andThen(
          every(live.silence.interval, new SilenceWatch(live, this.#host, run).look),
          every(LOOK_INTERVAL, new WearWatch(live, this.#host, run).look)
        )
    )
    return Effect.all([
      watches,
      every(this.#app.options.segment.trimInterval, () => live.trim()),
      every(LOOK_INTERVAL, () => live.look()),
      SubscriptionRef.changes(live.congestion.state).pipe(
        Stream.runForEach((state) =>
          Effect.sync(() => {
            events.congested(state._tag === "Congested")
            if (state._tag === "Clear") tables.admit()
          })
        ),
        Effect.forkScoped
      )
    ], { discard: true })
  }

  /** Posts the application's certificates to a worker that may end TLS, at once and after changes. */
  #postCertificates({ congestion }: LiveWorker): Effect.Effect<void, never, Scope.Scope> {
    return this.#host.certificates.changes(this.#app.handle).pipe(
      Stream.runForEach((entries) =>
        Effect.sync(() => {
          const posted = entries.map(({ certificate: { chain, hosts, key } }) => ({
            hosts,
            chain,
            key: Redacted.value(key)
          }))
          congestion.send({
            message: { _tag: "certificates" },
            attachment: { _tag: "Certificates", certificates: posted }
          })
        })
      ),
      // an application that is being detached has no certificates
      Effect.ignore,
      Effect.forkScoped,
      Effect.asVoid
    )
  }

  /** From the worker's start until it is told to stop, and has stopped. */
  readonly #serve = Effect.fnUntraced({ self: this }, function*(
    { appWorker, live }: { readonly live: LiveWorker; readonly appWorker: AppWorker["Service"] }
  ) {
    const { listeners, tables } = this.#host
    const slot = this.#slot
    const { startTimeout } = this.#app.options.worker
    const gone = Effect.raceAllFirst([appWorker.exit, live.congestion.unresponsive, live.faulted]).pipe(
      Effect.tapError(({ _tag }) => Effect.sync(() => slot.move(_tag === "Unresponsive" ? "hang" : "crash")))
    )
    const ready = appWorker.ready.pipe(Effect.timeoutOrElse({
      duration: startTimeout,
      orElse: () =>
        new WorkerExit({
          reason: "StartTimeout",
          detail: `the application was not ready within ${startTimeout} ms`
        })
    }))
    const told = Effect.raceFirst(Deferred.await(slot.stop), Deferred.await(slot.restart))
    const stopping = yield* Effect.raceFirst(Effect.as(Effect.raceFirst(ready, gone), false), Effect.as(told, true))
    if (!stopping) {
      slot.move("ready")
      slot.hasRun = true
      if (slot.role !== "successor") {
        tables.events.record({
          kind: "worker-up",
          ...ofWorker(slot),
          tookMillis: tables.now() - this.#begun,
          restarts: slot.restarts
        })
      }
      // the worker was started again while the host drains
      const { heirs } = tables
      if (heirs !== undefined) tellToDrain(live, heirs)
      yield* Deferred.succeed(slot.started, undefined)
      // what the previous start listened on and this one does not; a successor has no seats yet
      if (slot.role === "current") yield* listeners.vacate(slot, true)
      tables.admit()
      yield* Effect.raceFirst(gone, told)
    }
    slot.move("drain")
    live.congestion.send({ message: { _tag: "stop" } })
    for (const session of live.sessions) session.stop()
    yield* appWorker.exit.pipe(Effect.timeoutOption(STOP_TIMEOUT), Effect.ignore)
  })

  /** W12, in its order. */
  readonly #teardown = Effect.fnUntraced({ self: this }, function*(live: LiveWorker) {
    const { connects, listeners } = this.#host
    const slot = this.#slot
    const step = <A>(name: string, effect: Effect.Effect<A>) =>
      Effect.withSpan(effect, `SessionLayer.teardown/${name}`, { attributes: { worker: slot.index } })
    const drop = (which: (session: HostSession) => boolean) =>
      PerTurn.forEach(live.sessions, (session) => {
        if (which(session)) session.drop()
      })

    yield* step(
      "notifications",
      Effect.sync(() => {
        live.end()
        slot.live = undefined
        this.#bytes = live.segments.statistics().bytes + live.segments.cutThrough.statistics().bytes
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
    yield* step(
      "sessions",
      PerTurn.forEach(live.sessions, (session) => {
        if (!isCutThrough(session)) session.lose()
      })
    )
    yield* step("local-listeners", listeners.vacate(slot, forGood))
    yield* step(
      "local-sessions",
      Effect.andThen(drop(() => true), Effect.sync(() => connects.cutThroughs.unlink(live)))
    )
    yield* step("messages", live.congestion.close)
  })
}
