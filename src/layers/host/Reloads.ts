/**
 * Reload (X2): new code takes the place of old code, and no peer notices.
 *
 * ```
 * one at a time   start 0' ─ promote 0' ─ hand over ─ start 1' ─ promote 1' ─ …     the first that fails ends it
 * at once         start 0', 1', … ─ all are ready ─ promote all                     if one fails, none takes a place
 * ```
 *
 * `Supervisor` starts a worker's successor and gives it the worker's place. Here it is decided for which workers and in
 * which order, and what a failure means. A worker that is deleted meanwhile needs no new code.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ReplaceReason } from "../../domain/events/HostEvent.ts"
import * as Handle from "../../domain/state/Handle.ts"
import {
  Draining,
  NoSuchApp,
  type Reloaded,
  ReloadFailed,
  Reloading,
  RunsInProcess,
  type WorkerFailed
} from "../../services/SessionLayer.ts"
import type { Applications } from "./Applications.ts"
import type { Supervisor } from "./Supervisor.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import type { WorkerSlot } from "./Worker.ts"

/** Whether the worker is going: nothing is to take its place. */
const isGoing = (app: AttachedApp, slot: WorkerSlot): boolean =>
  app.detaching || slot.deleting || app.slots.get(slot.mapIndex) !== slot

export class Reloads {
  readonly #tables: Tables
  readonly #applications: Applications
  readonly #workers: Supervisor

  constructor(tables: Tables, applications: Applications, workers: Supervisor) {
    this.#tables = tables
    this.#applications = applications
    this.#workers = workers
  }

  readonly reload = Effect.fn("SessionLayer.reload")({ self: this }, function*(
    handle: Handle.AppHandle,
    { atOnce = false, because }: { readonly atOnce?: boolean | undefined; readonly because?: string | undefined } = {}
  ) {
    const app = yield* Effect.mapError(
      this.#applications.get(handle),
      (reason) => new ReloadFailed({ app: reason.wanted, replaced: 0, workers: 0, reason })
    )
    const slots = [...app.slots.values()].filter(({ deleting }) => !deleting)
    const done = { replaced: 0 }
    const failed = (reason: ReloadFailed["reason"]): ReloadFailed =>
      new ReloadFailed({ app: app.name, ...done, workers: slots.length, reason })
    const why = this.#whyNot(app, slots)
    if (why !== undefined) return yield* failed(why)

    const begun = this.#tables.now()
    app.reloading = true
    const { events } = this.#tables
    events.record({ kind: "app-reloading", app: app.name, workers: slots.length, because: because ?? null })
    yield* (atOnce ? this.#allAtOnce(app, slots, done) : this.#oneByOne(app, slots, done)).pipe(
      Effect.mapError((reason) => failed(this.#tables.draining ? new Draining() : reason)),
      Effect.ensuring(Effect.sync(() => {
        app.reloading = false
      }))
    )
    // with its last worker, an application is gone
    if (app.detaching) return yield* failed(new NoSuchApp({ wanted: Handle.format(handle) }))
    const reloaded: Reloaded = { workers: done.replaced, millis: Math.round(this.#tables.now() - begun) }
    app.reloads.reloaded++
    events.record({
      kind: "app-reloaded",
      app: app.name,
      workers: reloaded.workers,
      tookMillis: reloaded.millis,
      because: because ?? null
    })
    return reloaded
  }, Effect.tapError((error) => Effect.sync(() => this.#tell(error))))

  #tell(error: ReloadFailed): void {
    const { app, message, reason } = error
    if (reason._tag === "NoSuchApp") return
    for (const attached of this.#tables.apps) if (attached.name === app) attached.reloads.failed++
    const stack = reason._tag === "WorkerFailed" ? reason.trace ?? null : null
    this.#tables.events.record({ kind: "app-reload-failed", app, detail: message, stack })
  }

  /** Starts one worker again. */
  readonly replace = Effect.fnUntraced({ self: this }, function*(
    app: AttachedApp,
    slot: WorkerSlot,
    why: ReplaceReason = "restart"
  ) {
    if (app.reloading) return yield* new Reloading({ app: app.name })
    if (slot.successor !== undefined) return yield* new Reloading({ app: app.name, worker: slot.mapIndex })
    yield* this.#start(app, slot)
    yield* this.#promote(app, [slot], why)
  })

  /** Why the application can't be reloaded now. Nothing has happened yet. */
  #whyNot(app: AttachedApp, slots: ReadonlyArray<WorkerSlot>): ReloadFailed["reason"] | undefined {
    if (this.#tables.draining) return new Draining()
    if (slots.length === 0) return new NoSuchApp({ wanted: app.name })
    if (app.reloading) return new Reloading({ app: app.name })
    for (const { kind, mapIndex, successor } of slots) {
      if (kind === "in-process") return new RunsInProcess({ app: app.name, worker: mapIndex })
      if (successor !== undefined) return new Reloading({ app: app.name, worker: mapIndex })
    }
    return undefined
  }

  /** A worker that is deleted while its successor starts needs none. */
  readonly #oneByOne = Effect.fnUntraced({ self: this }, function*(
    app: AttachedApp,
    slots: ReadonlyArray<WorkerSlot>,
    done: { replaced: number }
  ) {
    const { handOver } = app.options.worker
    for (const slot of slots) {
      // the one before warms up with new sessions, and then gets those that its former start has parked
      if (done.replaced > 0 && handOver > 0) {
        yield* Effect.raceFirst(Effect.sleep(2 * handOver), Deferred.await(this.#tables.ends))
      }
      if (this.#tables.draining) return yield* new Draining()
      if (isGoing(app, slot)) continue
      const replaced = yield* this.#start(app, slot).pipe(
        Effect.andThen(this.#promote(app, [slot], "reload")),
        Effect.as(true),
        Effect.catchTag("WorkerFailed", (error) => isGoing(app, slot) ? Effect.succeed(false) : Effect.fail(error))
      )
      if (replaced) done.replaced++
    }
  })

  readonly #allAtOnce = Effect.fnUntraced({ self: this }, function*(
    app: AttachedApp,
    slots: ReadonlyArray<WorkerSlot>,
    done: { replaced: number }
  ) {
    const dismissAll = Effect.forEach(slots, (slot) => this.#workers.dismiss(app, slot), {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.forEach(
      slots,
      (slot) =>
        Effect.catchTag(
          this.#start(app, slot),
          "WorkerFailed",
          (error) => isGoing(app, slot) ? Effect.void : Effect.fail(error)
        ),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.onError(() => dismissAll))
    const ready = slots.filter((slot) => !isGoing(app, slot))
    yield* this.#promote(app, ready, "reload")
    done.replaced = ready.length
  })

  /** The worker's successor, once the start that the worker itself may be in is over. */
  #start(app: AttachedApp, slot: WorkerSlot): Effect.Effect<WorkerSlot, WorkerFailed> {
    return Effect.andThen(Effect.exit(Deferred.await(slot.started)), this.#workers.startSuccessor(app, slot))
  }

  /** The successors take their places, or, if one of them can't, none does. */
  #promote(
    app: AttachedApp,
    slots: ReadonlyArray<WorkerSlot>,
    why: ReplaceReason
  ): Effect.Effect<void, WorkerFailed | Draining> {
    return Effect.uninterruptible(Effect.suspend((): Effect.Effect<void, WorkerFailed | Draining> => {
      const each = (step: (slot: WorkerSlot) => Effect.Effect<void>) =>
        Effect.forEach(slots, step, { concurrency: "unbounded", discard: true })
      let failure: WorkerFailed | Draining | undefined = this.#tables.draining ? new Draining() : undefined
      for (const slot of slots) failure ??= this.#workers.whyNotPromote(app, slot)
      if (failure !== undefined) {
        return Effect.andThen(each((slot) => this.#workers.dismiss(app, slot)), Effect.fail(failure))
      }
      return each((slot) => this.#workers.promote(app, slot, why))
    }))
  }
}
