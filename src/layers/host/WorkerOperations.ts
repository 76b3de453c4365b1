/**
 * What is done to workers at run time (W11): one is added, deleted, or started again; because somebody has asked for it,
 * or because the load has changed (X8).
 */
import * as Effect from "effect/Effect"
import type { EventOf } from "../../domain/events/HostEvent.ts"
import * as WorkerCount from "../../domain/options/WorkerCount.ts"
import * as Handle from "../../domain/state/Handle.ts"
import {
  DefaultWorker,
  Draining,
  MAX_WORKERS,
  NoSuchApp,
  NoSuchWorker,
  Reloading,
  TooFewWorkers,
  TooManyWorkers,
  type Worker,
  type WorkerFailed,
  WorkerOperationFailed
} from "../../services/SessionLayer.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import { type Applications, sizesOf, unservable } from "./Applications.ts"
import { ofWorker } from "./EventSubjects.ts"
import type { Reloads } from "./Reloads.ts"
import type { Supervisor } from "./Supervisor.ts"
import { type AttachedApp, Tables } from "./Tables.ts"
import type { WorkerSlot } from "./Worker.ts"

const workerOf = (app: AttachedApp, { handle, index, kind, mapIndex }: WorkerSlot): Worker => ({
  handle,
  index,
  mapIndex,
  kind,
  ...sizesOf(app)
})

const failed =
  (operation: WorkerOperationFailed["operation"]) => (reason: WorkerOperationFailed["reason"]): WorkerOperationFailed =>
    new WorkerOperationFailed({ operation, reason })

/** Whoever has asked for it knows why. */
const ASKED = { reason: "asked", forMillis: null } as const

interface DrainOptions {
  readonly drain?: boolean | undefined
}

export class WorkerOperations {
  readonly #tables: Tables
  readonly #applications: Applications
  readonly #workers: Supervisor
  readonly #reloads: Reloads

  constructor(tables: Tables, applications: Applications, workers: Supervisor, reloads: Reloads) {
    this.#reloads = reloads
    this.#tables = tables
    this.#applications = applications
    this.#workers = workers
  }

  readonly add = Effect.fn("SessionLayer.addWorker")({ self: this }, function*(
    handle: Handle.AppHandle,
    options: { readonly kind?: WorkerInfo["kind"] | undefined } = {}
  ) {
    const app = yield* this.#applications.get(handle)
    // when all its workers are being deleted, the application goes, too
    if ([...app.slots.values()].every(({ deleting }) => deleting)) {
      return yield* new NoSuchApp({ wanted: Handle.format(handle) })
    }
    if (this.#tables.draining) return yield* new Draining()
    const kind = options.kind ?? app.options.worker.kind
    const unserved = unservable(app.module, kind)
    if (unserved !== undefined) return yield* unserved
    return yield* this.grow(app, kind, ASKED)
  }, Effect.mapError(failed("add")))

  /** One worker more. Succeeds when it runs; when it does not come up, nothing is left of it. */
  grow(
    app: AttachedApp,
    kind: WorkerInfo["kind"],
    why: Pick<EventOf<"worker-added">, "reason" | "forMillis">
  ): Effect.Effect<Worker, TooManyWorkers | WorkerFailed> {
    const { events, now } = this.#tables
    const isAsked = why.reason === "asked"
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<Worker, TooManyWorkers | WorkerFailed> => {
        const limit = app.range?.most ?? MAX_WORKERS
        const slot = app.slots.size < limit ? this.#workers.add(app, kind) : undefined
        if (slot === undefined) return Effect.fail(new TooManyWorkers({ app: app.name, limit }))
        events.record({ kind: "worker-added", ...ofWorker(slot), ...why, workers: Tables.countOf(app) })
        return restore(this.#workers.startAndWait(app, slot)).pipe(
          Effect.tap(() => Effect.sync(() => app.need?.changed(true, now(), isAsked))),
          Effect.tapError((error) => Effect.sync(() => isAsked || this.#addFailed(app, slot, error))),
          Effect.onError(() => this.#workers.stop(app, slot)),
          Effect.map(() => workerOf(app, slot))
        )
      })
    )
  }

  /** A worker that is needed did not start. One that is stopped while it starts, since all goes, is no failure. */
  #addFailed(app: AttachedApp, slot: WorkerSlot, { detail, trace }: WorkerFailed): void {
    const { draining, events, now } = this.#tables
    if (app.need === undefined || app.detaching || draining) return
    const againMillis = app.need.failed(now())
    events.record({ kind: "worker-add-failed", ...ofWorker(slot), detail, stack: trace ?? null, againMillis })
  }

  /** One worker less, since it is not needed: its sessions take the time that they take. */
  retire(app: AttachedApp, slot: WorkerSlot, forMillis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      slot.unneeded = true
      this.#leaves(app, slot, { reason: "quiet", forMillis })
      const { live } = slot
      const emptied = live === undefined ? Effect.void : Effect.raceFirst(live.empty.await, live.over)
      return this.#workers.drain(app, slot).pipe(
        Effect.andThen(emptied),
        Effect.ensuring(this.#workers.stop(app, slot))
      )
    })
  }

  /** From here on it can't be found, and does not count. */
  #leaves(app: AttachedApp, slot: WorkerSlot, why: Pick<EventOf<"worker-retired">, "reason" | "forMillis">): void {
    const { events, now } = this.#tables
    slot.deleting = true
    events.record({ kind: "worker-retired", ...ofWorker(slot), ...why, workers: Tables.countOf(app) })
    app.need?.changed(false, now(), why.reason === "asked")
  }

  readonly delete = Effect.fn("SessionLayer.deleteWorker")({ self: this }, function*(
    handle: Handle.WorkerHandle,
    { drain = true }: DrainOptions = {}
  ) {
    const { app, slot } = yield* this.#get(handle, true)
    const others = [...app.slots.values()].filter((other) => other !== slot && !other.deleting)
    if (slot.mapIndex === 0 && others.length > 0) return yield* new DefaultWorker({ app: app.name })
    if (!slot.unneeded && app.range !== undefined && others.length < app.range.least) {
      return yield* new TooFewWorkers({ app: app.name, range: WorkerCount.formatRange(app.range) })
    }
    // one that goes by itself goes faster from now on
    if (slot.unneeded) slot.unneeded = false
    else this.#leaves(app, slot, ASKED)
    const isLast = others.length === 0
    const remove = isLast ? this.#applications.detach(app) : this.#workers.stop(app, slot)
    // the application goes with its last worker; others that are being deleted may not have finished yet
    const drained = isLast ? this.#workers.drainAll(app) : this.#workers.drain(app, slot)
    // if it is interrupted while it drains, the worker goes at once: once told to finish, it can't go back
    yield* Effect.ensuring(drain ? Effect.andThen(this.#workers.dismiss(app, slot), drained) : Effect.void, remove)
  }, Effect.mapError(failed("delete")))

  readonly restart = Effect.fn("SessionLayer.restartWorker")({ self: this }, function*(
    handle: Handle.WorkerHandle,
    { drain = true }: DrainOptions = {}
  ) {
    const { app, slot } = yield* this.#get(handle)
    if (this.#tables.draining) return yield* new Draining()
    if (drain && slot.kind === "thread") return yield* this.#reloads.replace(app, slot)
    // one that is ended before its next start would be a start too many beside a successor
    if (slot.successor !== undefined) return yield* new Reloading({ app: app.name, worker: slot.mapIndex })
    const restart = this.#workers.restart(slot)
    if (drain) {
      yield* Effect.onInterrupt(this.#workers.drain(app, slot, { restarts: true }), () => Effect.ignore(restart))
    }
    // the worker may have been deleted or detached while it drained
    yield* this.#get(handle)
    yield* restart
  }, Effect.mapError(failed("restart")))

  /** The worker of a handle and its application, unless it is gone or going; of those that go by themselves, if wanted. */
  #get(
    handle: Handle.WorkerHandle,
    alsoUnneeded = false
  ): Effect.Effect<{ readonly slot: WorkerSlot; readonly app: AttachedApp }, NoSuchWorker> {
    return Effect.suspend(() => {
      const slot = this.#tables.workers.get(handle)
      const app = slot === undefined ? undefined : this.#tables.apps.at(slot.app.index)
      return slot === undefined || app === undefined || app.detaching
          || slot.deleting && !(alsoUnneeded && slot.unneeded)
        ? Effect.fail(new NoSuchWorker({ worker: Handle.format(handle) }))
        : Effect.succeed({ slot, app })
    })
  }
}
