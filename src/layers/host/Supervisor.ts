/**
 * Keeps the workers of a host's applications running: started, started again, drained, stopped.
 *
 * Each worker has a fiber, which runs one {@link WorkerRun} after the other. How a start ended decides what follows: a
 * worker that was told to stop is gone; one that was told to restart, or that stopped by itself, is built again, in the
 * latter case after a backoff. Its seats at listeners are kept meanwhile, so that a listener with a single worker holds
 * connections over a restart instead of closing.
 *
 * A worker is replaced without an end (X2): a {@link WorkerSlot} for its next generation starts beside it, listens
 * behind it and takes nothing; {@link Supervisor.promote} gives it the worker's place in one turn; the former
 * generation drains, and its end is waited for by nobody. Former generations are bounded: the oldest goes first.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { ReplaceReason } from "../../domain/events/HostEvent.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import { WorkerExit } from "../../services/AppWorker.ts"
import type { Unresponsive } from "../../services/Congestion.ts"
import { WorkerFailed } from "../../services/SessionLayer.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import { ofWorker } from "./EventSubjects.ts"
import type { AttachedApp } from "./Tables.ts"
import { WorkerSlot } from "./Worker.ts"
import { type Heirs, type RunHost, tellToDrain, WorkerRun } from "./WorkerRun.ts"

/** The error for callers that wait for a start that will not come. */
const stopped = new WorkerExit({ reason: "Exited", detail: "the worker was stopped" })

/** The failure of a start that somebody waited for. */
const startFailed = ({ mapIndex }: WorkerSlot) => ({ detail, layer, trace }: WorkerExit): WorkerFailed =>
  new WorkerFailed({
    worker: mapIndex,
    detail,
    ...(layer === undefined ? {} : { layer }),
    ...(trace === undefined ? {} : { trace })
  })

/** Why a start has failed, for whoever waits for it. */
const exitOf = (failure: WorkerExit | Unresponsive): WorkerExit =>
  failure._tag === "WorkerExit" ? failure : new WorkerExit({ reason: "Crashed", detail: failure.message })

export class Supervisor {
  readonly #host: RunHost
  /** The host's scope, in which the workers' fibers run. */
  readonly #scope: Scope.Scope

  constructor(host: RunHost, scope: Scope.Scope) {
    this.#host = host
    this.#scope = scope
  }

  /** A slot for a new worker of the application, at the lowest free number; `undefined` when the host has none left. */
  add(app: AttachedApp, kind: WorkerInfo["kind"]): WorkerSlot | undefined {
    let number = 0
    while (app.slots.has(Handle.WorkerMapIndex(number))) number++
    const mapIndex = Handle.WorkerMapIndex(number)
    const slot = this.#host.tables.workers.allocate((handle) => new WorkerSlot(handle, mapIndex, app, kind))
    if (slot !== undefined) app.slots.set(mapIndex, slot)
    return slot
  }

  /** From now on keeps the worker running, until it is told to stop. Succeeds when the worker runs. */
  startAndWait(app: AttachedApp, slot: WorkerSlot): Effect.Effect<void, WorkerFailed> {
    return Effect.forkIn(this.#supervise(app, slot), this.#scope).pipe(
      Effect.map((fiber) => void app.supervisors.set(slot, fiber)),
      Effect.andThen(Deferred.await(slot.started)),
      Effect.mapError(startFailed(slot))
    )
  }

  /** Runs the worker again and again, until it is told to stop or its first start fails. */
  readonly #supervise = Effect.fnUntraced({ self: this }, function*(app: AttachedApp, slot: WorkerSlot) {
    const { listeners, tables } = this.#host
    const { events } = tables
    const { backoffBase, backoffMax } = app.options.worker
    let backoff = backoffBase
    for (;;) {
      const since = tables.now()
      const result = yield* new WorkerRun(this.#host, app, slot).run.pipe(
        // a thread, or memory for it, that can't be had makes the runtime throw
        Effect.catchDefect((defect) =>
          Effect.fail(WorkerExit.of("Crashed", "the worker could not be started", Thrown.of(defect)))
        ),
        Effect.result
      )
      // a stack that could not be built has no teardown that would change the state
      if (Result.isFailure(result)) slot.move("crash")
      if (yield* Deferred.isDone(slot.stop)) break
      if (Result.isFailure(result)) {
        const { failure } = result
        const stack = failure._tag === "WorkerExit" ? failure.trace : undefined
        // the stack of a worker that crashes in the same way again and again is told once
        const isKnown = stack !== undefined && slot.lastFailure?.stack === stack
        slot.lastFailure = { detail: failure.message, stack }
        // whoever waits for this start hears of it, unless another one was asked for meanwhile
        const asked = yield* Deferred.isDone(slot.restart)
        const first = !asked && (yield* Deferred.fail(slot.started, exitOf(failure)))
        // a worker that has never run is not tried again
        if (first && !slot.hasRun) break
        const isFormer = slot.role === "former"
        const isReplaced = isFormer || failure.reason === "stuck" && slot.successor !== undefined
        if (tables.now() - since > backoffMax) backoff = backoffBase
        events.record({
          kind: "worker-gone",
          ...ofWorker(slot),
          reason: failure.reason,
          detail: isKnown ? `${failure.message}, as before` : failure.message,
          stack: isKnown ? null : stack ?? null,
          againMillis: isReplaced ? null : asked ? 0 : backoff
        })
        const loop = isReplaced ? undefined : slot.crashes.died(tables.now())
        if (loop !== undefined) events.record({ kind: "worker-crash-loop", ...ofWorker(slot), ...loop })
        slot.move(isFormer ? "stop" : "backOff")
        if (isFormer) return
        if (!(yield* this.#backOff(slot, backoff))) break
        if (isReplaced && slot.role === "former") {
          slot.move("stop")
          return
        }
        backoff = Math.min(2 * backoff, backoffMax)
      }
      if (slot.deleting || slot.role === "former") {
        // it has gone before it was told to: the application may be waiting for other workers to finish
        yield* Deferred.await(slot.stop)
        break
      }
      if (yield* Deferred.isDone(slot.restart)) slot.restart = Deferred.makeUnsafe()
      slot.leaves = "delete"
      slot.restarts++
      slot.restartsBy[Result.isFailure(result) ? result.failure.reason : "restart"]++
      slot.move("start")
    }
    slot.move("stop")
    yield* listeners.vacate(slot, true)
    yield* Deferred.fail(slot.started, stopped)
    if (!slot.hasRun) return
    if (slot.role === "current") events.record({ kind: "worker-stopped", ...ofWorker(slot) })
    if (slot.role === "former" && !slot.cutShort) {
      events.record({ kind: "worker-former-ended", ...ofWorker(slot), reason: "finished", sessions: 0 })
    }
  })

  /**
   * Waits before the next start of a worker that stopped by itself; `false` when it is to stop instead. Where a
   * successor is about to take its place, there may be no need for a start.
   */
  #backOff(slot: WorkerSlot, millis: number): Effect.Effect<boolean> {
    const successor = Effect.suspend(() =>
      slot.successor === undefined ? Effect.void : Effect.exit(Deferred.await(slot.successor.started))
    )
    return Effect.raceAllFirst([
      Effect.as(Deferred.await(slot.stop), false),
      Effect.as(Deferred.await(slot.restart), true),
      Effect.as(Effect.delay(successor, millis), true)
    ])
  }

  /** Who goes on with what the worker parks while it drains. */
  #heirs(app: AttachedApp, slot: WorkerSlot): Heirs {
    const { heirs } = this.#host.tables
    if (heirs !== undefined) return heirs
    for (const other of app.slots.values()) {
      if (other !== slot && !other.deleting && WorkerState.takesSessions(other.state)) return "workers"
    }
    return "nobody"
  }

  /**
   * Lets a worker finish what it has in hand, within the drain timeout. It gets nothing new, and others go on with the
   * sessions that it parks, if there are any. `restarts`: it is to be started again afterwards, so listeners keep its
   * seat. Former generations have until their own time is over, and wait for nothing else from now on.
   */
  drain(
    app: AttachedApp,
    slot: WorkerSlot,
    { restarts = false }: { readonly restarts?: boolean } = {}
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      const formers = slot.role === "current" ? [...slot.formers] : []
      for (const { finish } of formers) Deferred.doneUnsafe(finish, Exit.void)
      return Effect.all([
        this.#drainOne(app, slot, restarts),
        ...formers.map((former) => this.#ended(app, former))
      ], { concurrency: "unbounded", discard: true })
    })
  }

  #drainOne(app: AttachedApp, slot: WorkerSlot, restarts: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { live } = slot
      if (live === undefined) return Effect.void
      if (restarts) slot.leaves = "restart"
      slot.move("drain")
      if (slot.role === "current") {
        const { events } = this.#host.tables
        events.record({ kind: "worker-draining", ...ofWorker(slot), sessions: live.sessionCount })
      }
      tellToDrain(live, this.#heirs(app, slot))
      const gone = Effect.raceFirst(Deferred.await(slot.stop), Deferred.await(slot.restart))
      return Effect.raceFirst(live.empty.await, gone).pipe(
        Effect.timeoutOption(slot.app.options.worker.drainTimeout),
        Effect.asVoid
      )
    })
  }

  drainAll(app: AttachedApp): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...app.slots.values()], (slot) => this.drain(app, slot), {
        concurrency: "unbounded",
        discard: true
      })
    )
  }

  /** Stops the worker with all its generations and waits until nothing is left of it: then it is in no table. */
  stop(app: AttachedApp, slot: WorkerSlot): Effect.Effect<void> {
    return Effect.suspend(() => {
      const others = slot.role === "current" ? slot.generations.filter((other) => other !== slot) : []
      return Effect.all([
        this.#stopOne(app, slot),
        ...others.map((other) => this.#stopOne(app, other))
      ], { concurrency: "unbounded", discard: true })
    }).pipe(
      Effect.andThen(
        Effect.withSpan(Effect.sync(() => this.#forget(app, slot)), "SessionLayer.teardown/slot", {
          attributes: { worker: slot.index }
        })
      )
    )
  }

  #stopOne(app: AttachedApp, slot: WorkerSlot): Effect.Effect<void> {
    return Effect.suspend(() => {
      // one that has been replaced goes for that
      if (slot.role !== "former") slot.leaves = "delete"
      Deferred.doneUnsafe(slot.stop, Exit.void)
      return this.#ended(app, slot)
    })
  }

  /** Waits until the supervisor of this generation has ended. */
  #ended(app: AttachedApp, slot: WorkerSlot): Effect.Effect<void> {
    return Effect.suspend(() => {
      const supervisor = app.supervisors.get(slot)
      return supervisor === undefined ? Effect.void : Effect.asVoid(Fiber.await(supervisor))
    })
  }

  stopAll(app: AttachedApp): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...app.slots.values()], (slot) => this.stop(app, slot), {
        concurrency: "unbounded",
        discard: true
      })
    )
  }

  /** Frees what is left of a generation when its supervisor has ended, and with the current one, its numbers. */
  #forget(app: AttachedApp, slot: WorkerSlot): void {
    const { tables } = this.#host
    app.supervisors.delete(slot)
    slot.formers.delete(slot)
    if (app.slots.get(slot.mapIndex) !== slot) return
    app.slots.delete(slot.mapIndex)
    Ledger.add(tables.past.messages, slot.messages)
    Ledger.add(tables.past.offers, slot.offers)
    tables.workers.free(slot.handle)
  }

  // ---- replacement (X2)

  /** Whether the worker may still be replaced: it has its place, and is not to lose it for good. */
  #isReplaceable({ detaching }: AttachedApp, slot: WorkerSlot): boolean {
    return !detaching && !slot.deleting && slot.role === "current" && !Deferred.isDoneUnsafe(slot.stop)
  }

  /**
   * Starts the worker's next generation beside it. Succeeds when that is ready; it takes nothing before it is promoted.
   * When it does not come up, or the wait is interrupted, nothing is left of it.
   */
  startSuccessor(app: AttachedApp, slot: WorkerSlot): Effect.Effect<WorkerSlot, WorkerFailed> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (!this.#isReplaceable(app, slot)) return Effect.fail(startFailed(slot)(stopped))
        const successor = slot.succeed()
        return restore(this.startAndWait(app, successor)).pipe(
          Effect.onError(() => this.dismiss(app, slot)),
          Effect.as(successor)
        )
      })
    )
  }

  /** Ends the worker's successor, if there is one: it does not take the worker's place. */
  dismiss(app: AttachedApp, slot: WorkerSlot): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { successor } = slot
      if (successor === undefined) return Effect.void
      return Effect.andThen(
        this.stop(app, successor),
        Effect.sync(() => {
          if (slot.successor === successor) slot.successor = undefined
        })
      )
    })
  }

  /** Why the successor can't take the worker's place any more, though it was ready; `undefined` when it can. */
  whyNotPromote(app: AttachedApp, slot: WorkerSlot): WorkerFailed | undefined {
    const { successor } = slot
    if (successor === undefined || !this.#isReplaceable(app, slot)) return startFailed(slot)(stopped)
    if (WorkerState.takesSessions(successor.state)) return undefined
    const detail = successor.lastFailure?.detail ?? "it has gone"
    return new WorkerFailed({ worker: slot.mapIndex, detail: `it was ready, and then failed: ${detail}` })
  }

  /**
   * The successor takes the worker's place: from this turn on it takes offers, and the worker drains. Succeeds when
   * listeners that the successor does not serve are closed; the end of the worker is not waited for.
   */
  promote(app: AttachedApp, slot: WorkerSlot, why: ReplaceReason): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { successor } = slot
      if (successor === undefined) return Effect.void
      const { listeners, tables } = this.#host
      slot.successor = undefined
      slot.role = "former"
      slot.leaves = why === "reload" ? "reload" : "restart"
      slot.retired = tables.now()
      slot.formers.add(slot)
      successor.role = "current"
      app.slots.set(slot.mapIndex, successor)
      tables.workers.replace(slot.handle, successor)
      const sessions = slot.live?.sessionCount ?? 0
      successor.restartsBy[why]++
      tables.events.record({ kind: "worker-replaced", ...ofWorker(successor), reason: why, sessions })
      return listeners.promote(slot).pipe(
        Effect.andThen(Effect.sync(() => tables.admit())),
        Effect.andThen(Effect.forkIn(this.#retire(app, slot, why), this.#scope)),
        Effect.andThen(Effect.sync(() => this.#endOldest(successor)))
      )
    }).pipe(Effect.uninterruptible)
  }

  /**
   * Lets a generation that has lost its place finish, and ends it. What it has comes to others once they have begun: code
   * that has just been loaded is slow, and with new sessions and all of the old ones at once, each would wait for it. One
   * whose heap is large may not have that time, and one that was stuck has been given up before, and ends by itself.
   */
  #retire(app: AttachedApp, slot: WorkerSlot, why: ReplaceReason): Effect.Effect<void> {
    if (why === "stuck") return Effect.andThen(this.#ended(app, slot), this.stop(app, slot))
    const { handOver } = app.options.worker
    const told = Effect.raceFirst(Deferred.await(slot.stop), Deferred.await(slot.finish))
    const waits = handOver === 0 || why === "heap" ? Effect.void : Effect.raceFirst(told, Effect.sleep(handOver))
    return waits.pipe(Effect.andThen(this.drain(app, slot)), Effect.andThen(this.stop(app, slot)))
  }

  /** More generations than there may be: the oldest are not waited for any longer. */
  #endOldest({ app, formers }: WorkerSlot): void {
    const { events } = this.#host.tables
    const most = app.options.worker.generationsMax - 1
    let over = formers.size - most
    for (const former of formers) {
      if (over-- <= 0) return
      if (!Deferred.doneUnsafe(former.stop, Exit.void)) continue
      former.cutShort = true
      const sessions = former.live?.sessionCount ?? 0
      events.record({ kind: "worker-former-ended", ...ofWorker(former), reason: "generations", sessions })
    }
  }

  /** Stops the worker and waits until it runs again. */
  restart(slot: WorkerSlot): Effect.Effect<void, WorkerFailed> {
    return Effect.suspend(() => {
      // one that never ran is not started again: its supervisor has ended by itself
      if (Deferred.isDoneUnsafe(slot.stop) || slot.state === "STOPPED") return Effect.fail(stopped)
      // whoever waits for a start already waits for this one
      if (Deferred.isDoneUnsafe(slot.started)) slot.started = Deferred.makeUnsafe()
      slot.leaves = "restart"
      this.#host.tables.events.record({ kind: "worker-restarting", ...ofWorker(slot) })
      const running = Deferred.await(slot.started)
      return Effect.andThen(Deferred.succeed(slot.restart, undefined), running)
    }).pipe(Effect.mapError(startFailed(slot)))
  }
}
