/**
 * What is done to workers at run time (W11): one is added, deleted, or started again.
 */
import * as Effect from "effect/Effect"
import * as Handle from "../../domain/state/Handle.ts"
import {
  DefaultWorker,
  Draining,
  MAX_WORKERS,
  NoSuchApp,
  NoSuchWorker,
  Reloading,
  TooManyWorkers,
  type Worker,
  type WorkerFailed,
  WorkerOperationFailed
} from "../../services/SessionLayer.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import { type Applications, sizesOf, unservable } from "./Applications.ts"
import type { Reloads } from "./Reloads.ts"
import type { Supervisor } from "./Supervisor.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
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
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<Worker, TooManyWorkers | WorkerFailed> => {
        const slot = app.slots.size < MAX_WORKERS ? this.#workers.add(app, kind) : undefined
        if (slot === undefined) return Effect.fail(new TooManyWorkers({ app: app.name, limit: MAX_WORKERS }))
        return restore(this.#workers.startAndWait(app, slot)).pipe(
          Effect.onError(() => this.#workers.stop(app, slot)),
          Effect.map(() => workerOf(app, slot))
        )
      })
    )
  }, Effect.mapError(failed("add")))

  readonly delete = Effect.fn("SessionLayer.deleteWorker")({ self: this }, function*(
    handle: Handle.WorkerHandle,
    { drain = true }: DrainOptions = {}
  ) {
    const { app, slot } = yield* this.#get(handle)
    const others = [...app.slots.values()].filter((other) => other !== slot && !other.deleting)
    if (slot.mapIndex === 0 && others.length > 0) return yield* new DefaultWorker({ app: app.name })
    slot.deleting = true
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

  /** The worker of a handle and its application, unless it is gone or going. */
  #get(
    handle: Handle.WorkerHandle
  ): Effect.Effect<{ readonly slot: WorkerSlot; readonly app: AttachedApp }, NoSuchWorker> {
    return Effect.suspend(() => {
      const slot = this.#tables.workers.get(handle)
      const app = slot === undefined ? undefined : this.#tables.apps.at(slot.app.index)
      return slot === undefined || app === undefined || app.detaching || slot.deleting
        ? Effect.fail(new NoSuchWorker({ worker: Handle.format(handle) }))
        : Effect.succeed({ slot, app })
    })
  }
}
