/**
 * The session layer of a host: attaches applications to it, and ties its parts together.
 *
 * ```
 * Tables      what there is
 * Listeners   listen, unlisten, local tables      HostListener  admission at one listener
 * Connects    connects, rules, half-open          HostLocal     cut-through sessions and links
 * Supervisor     start, drain, restart, teardown     HostWorker    one worker, its queue, its slot
 * Reports      what is told of it                  HostSession   one session
 * ```
 *
 * Nothing here waits on a worker. What a worker sends is read by `LiveWorker` and answered here.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Options from "../../domain/options/Options.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type { AppModule, WorkerExit } from "../../services/AppWorker.ts"
import { Certificates } from "../../services/Certificates.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import { Namespaces } from "../../services/Namespaces.ts"
import {
  AlreadyAttached,
  type Application,
  type AttachExtras,
  AttachFailed,
  DefaultWorker,
  Draining,
  InvalidValue,
  MAX_WORKERS,
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  NoSuchWorker,
  SessionLayer,
  TooManyWorkers,
  UnsupportedConfig,
  type Worker,
  WorkerFailed,
  WorkerOperationFailed
} from "../../services/SessionLayer.ts"
import { SessionRules } from "../../services/SessionRules.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import { Transport } from "../../services/Transport.ts"
import { layerDefault, WorkerStack } from "../stack/WorkerStack.ts"
import * as Connects from "./Connects.ts"
import * as Listeners from "./Listeners.ts"
import * as Reports from "./Reports.ts"
import * as Supervisor from "./Supervisor.ts"
import { type AttachedApp, Tables } from "./Tables.ts"
import type { HostRequests, WorkerSlot } from "./Worker.ts"

const sizesOf = ({ options }: AttachedApp) => ({
  firstSegmentBytes: options.segment.firstSegmentSize,
  eventQueueBytes: Options.queueSegmentSize(options.queue)
})

const applicationOf = (app: AttachedApp): Application => ({
  handle: app.handle,
  index: app.index,
  name: app.name,
  gone: app.whenGone,
  ...sizesOf(app)
})

const workerOf = (app: AttachedApp, { handle, index, kind, mapIndex }: WorkerSlot): Worker => ({
  handle,
  index,
  mapIndex,
  kind,
  ...sizesOf(app)
})

const decode = (input: unknown): Effect.Effect<Options.AppOptions, AttachFailed> => {
  const decoded = Options.decodeApp(input)
  if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
  const { _tag, message, option } = decoded.failure.reason
  const Reason = _tag === "InvalidValue" ? InvalidValue : UnsupportedConfig
  return Effect.fail(
    new AttachFailed({ reason: new Reason({ option, detail: message.replace(`${option}: `, "") }) })
  )
}

/** A start that was waited for, and ended with this. */
const workerFailed = ({ mapIndex }: WorkerSlot, { detail, layer }: WorkerExit): WorkerFailed =>
  new WorkerFailed({ worker: mapIndex, detail, ...(layer === undefined ? {} : { layer }) })

/** Why a worker of this kind can't run the module. */
const unservable = (module: AppModule, kind: WorkerInfo["kind"]): UnsupportedConfig | undefined =>
  module._tag === "Layer" && kind === "thread"
    ? new UnsupportedConfig({
      option: "worker.kind",
      detail: "a thread worker needs the URL of a module; a layer can only run in-process"
    })
    : undefined

const make = (stack: WorkerStack["Service"]) =>
  Effect.gen(function*() {
    const transport = yield* Transport
    const rules = yield* SessionRules
    const namespaces = yield* Namespaces
    const certificates = yield* Certificates
    const scope = yield* Effect.scope
    const runFork = yield* FiberSet.makeRuntime<never, void, never>()
    const run = (effect: Effect.Effect<void>): void => void runFork(effect)
    const tables = new Tables(yield* MonotonicTime.reader)
    const startedAt = tables.now()
    const listeners = Listeners.make({ tables, transport, rules, certificates, run, scope })
    const connects = Connects.make({ tables, transport, rules, listeners, run })

    const requests: HostRequests = {
      listen: (worker, message) => run(listeners.listen(worker, message)),
      unlisten: (worker, message) => run(listeners.unlisten(worker, message)),
      connect: connects.connect,
      cancelConnect: connects.cancel,
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
    const workers = Supervisor.make({ tables, listeners, connects, requests, certificates, stack, scope })

    // ---- applications

    /** W13: proxy listeners, workers, then names and certificates with the slot. */
    const detach = (app: AttachedApp): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (app.detaching) return Deferred.await(app.gone)
        app.detaching = true
        const step = <A>(name: string, effect: Effect.Effect<A>) =>
          Effect.withSpan(effect, `SessionLayer.detach/${name}`, { attributes: { app: app.name } })
        return Effect.gen(function*() {
          yield* step("proxy-listeners", listeners.closeProxies(app))
          yield* step(
            "workers",
            Effect.forEach([...app.slots.values()], (slot) => workers.stop(app, slot), {
              concurrency: "unbounded",
              discard: true
            })
          )
          yield* step("certificates", certificates.close(app.handle))
          yield* step(
            "slot",
            Effect.andThen(Effect.sync(() => tables.apps.free(app.handle)), Scope.close(app.namespace, Exit.void))
          )
          yield* Deferred.succeed(app.gone, undefined)
        })
      }).pipe(Effect.uninterruptible)

    /** Starts a worker and waits for it; one that does not start, or is not waited for, leaves nothing behind. */
    const startWorker = (app: AttachedApp, slot: WorkerSlot): Effect.Effect<void, WorkerFailed> =>
      Effect.gen(function*() {
        yield* workers.start(app, slot)
        yield* Effect.mapError(
          Deferred.await(slot.started),
          (exit) => workerFailed(slot, exit)
        )
      })

    const isTaken = ({ client, name }: Options.AppOptions): boolean => {
      for (const app of tables.apps) {
        if (name !== undefined && app.name === name || client !== undefined && app.client === client) return true
      }
      return false
    }

    const alreadyAttached = ({ client, name }: Options.AppOptions): AttachFailed =>
      new AttachFailed({ reason: new AlreadyAttached({ name: name ?? client! }) })

    /** An application in a slot, unless its name is taken. */
    const make = (
      options: Options.AppOptions,
      module: AppModule,
      namespace: Scope.Closeable,
      { status = () => [] }: AttachExtras
    ): AttachedApp | AttachFailed => {
      let name = ""
      const gone = Deferred.makeUnsafe<void>()
      const app = tables.apps.allocate((handle): AttachedApp | undefined => {
        const index = Handle.AppIndex(Handle.index(handle))
        name = options.name ?? `builtin-${index}`
        // looked at once more, where nobody can come in between; and for one that is called after its index
        if (isTaken({ ...options, name })) return undefined
        return {
          handle,
          index,
          name,
          client: options.client ?? "",
          options,
          module,
          status,
          namespace,
          sessions: 0,
          slots: new Map(),
          supervisors: new Map(),
          gone,
          whenGone: Deferred.await(gone),
          detaching: false
        }
      })
      return app ?? alreadyAttached({ ...options, name })
    }

    /** Makes the application and starts its workers; the scope's end is its detach. */
    const start = Effect.fnUntraced(function*(
      { certificates: given, ...rest }: Options.AppOptions,
      module: AppModule,
      namespace: Scope.Closeable,
      extras: AttachExtras
    ) {
      // from here on they are in the store only, where they can be changed
      const options = { ...rest, certificates: [] }
      const app = yield* Effect.acquireRelease(
        Effect.suspend(() => {
          const app = make(options, module, namespace, extras)
          return app instanceof AttachFailed ? Effect.fail(app) : Effect.succeed(app)
        }),
        detach
      )
      yield* certificates.open(app.handle)
      for (const [index, input] of given.entries()) {
        yield* Effect.mapError(
          certificates.add(app.handle, input),
          ({ message }) =>
            new AttachFailed({ reason: new InvalidValue({ option: `certificates.${index}`, detail: message }) })
        )
      }
      for (let i = 0; i < options.workers; i++) workers.add(app, options.worker.kind)
      yield* Effect.forEach(
        [...app.slots.values()],
        (slot) => Effect.mapError(startWorker(app, slot), (reason) => new AttachFailed({ reason })),
        { concurrency: "unbounded", discard: true }
      )
      return applicationOf(app)
    })

    const attach = Effect.fn("SessionLayer.attach")(function*(
      input: unknown,
      module: AppModule,
      extras: AttachExtras = {}
    ) {
      const options = yield* decode(input)
      if (tables.draining) return yield* new AttachFailed({ reason: new Draining() })
      if (options.name === undefined && options.client === undefined) {
        return yield* new AttachFailed({
          reason: new InvalidValue({ option: "name", detail: "give the application a name or a client" })
        })
      }
      const unserved = unservable(module, options.worker.kind)
      if (unserved !== undefined) return yield* new AttachFailed({ reason: unserved })
      if (isTaken(options)) return yield* alreadyAttached(options)
      // its own, since an application may be detached before the scope closes
      const namespace = yield* Scope.fork(yield* Effect.scope)
      yield* namespaces.enter(options.namespace, options.secret).pipe(
        Scope.provide(namespace),
        Effect.mapError((reason) => new AttachFailed({ reason }))
      )
      return yield* start(options, module, namespace, extras)
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
        for (const app of tables.apps) {
          const found = typeof wanted === "string"
            ? app.name === wanted
            : typeof wanted === "number"
            ? app.index === wanted
            : app.client !== "" && app.client === wanted.client
          if (found) return Effect.succeed(applicationOf(app))
        }
        const shown = typeof wanted === "object" ? `of client ${wanted.client}` : String(wanted)
        return Effect.fail(new NoSuchApp({ wanted: shown }))
      })

    /** The application of a handle, unless it is gone or going. */
    const appOf = (handle: Handle.AppHandle): AttachedApp | NoSuchApp => {
      const app = tables.apps.get(handle)
      return app === undefined || app.detaching ? new NoSuchApp({ wanted: Handle.format(handle) }) : app
    }

    // ---- workers at run time

    const failed = (operation: WorkerOperationFailed["operation"], reason: WorkerOperationFailed["reason"]) =>
      new WorkerOperationFailed({ operation, reason })

    const addWorker = Effect.fn("SessionLayer.addWorker")(function*(
      handle: Handle.AppHandle,
      options: { readonly kind?: WorkerInfo["kind"] | undefined } = {}
    ) {
      const app = appOf(handle)
      if (app instanceof NoSuchApp) return yield* failed("add", app)
      // with the last of its workers it is going, too
      if ([...app.slots.values()].every(({ deleting }) => deleting)) {
        return yield* failed("add", new NoSuchApp({ wanted: Handle.format(handle) }))
      }
      if (tables.draining) return yield* failed("add", new Draining())
      const kind = options.kind ?? app.options.worker.kind
      const unserved = unservable(app.module, kind)
      if (unserved !== undefined) return yield* failed("add", unserved)
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const slot = app.slots.size < MAX_WORKERS ? workers.add(app, kind) : undefined
          if (slot === undefined) {
            return Effect.fail(failed("add", new TooManyWorkers({ app: app.name, limit: MAX_WORKERS })))
          }
          return restore(startWorker(app, slot)).pipe(
            Effect.mapError((reason) => failed("add", reason)),
            Effect.onError(() => workers.stop(app, slot)),
            Effect.map(() => workerOf(app, slot))
          )
        })
      )
    })

    /** The worker of a handle and its application, unless it is gone or going. */
    const slotOf = (
      handle: Handle.WorkerHandle
    ): { readonly slot: WorkerSlot; readonly app: AttachedApp } | NoSuchWorker => {
      const slot = tables.workers.get(handle)
      const app = slot === undefined ? undefined : tables.apps.at(slot.app.index)
      return slot === undefined || app === undefined || app.detaching || slot.deleting
        ? new NoSuchWorker({ worker: Handle.format(handle) })
        : { slot, app }
    }

    const deleteWorker = Effect.fn("SessionLayer.deleteWorker")(function*(
      handle: Handle.WorkerHandle,
      { drain = true }: { readonly drain?: boolean | undefined } = {}
    ) {
      const found = slotOf(handle)
      if (found instanceof NoSuchWorker) return yield* failed("delete", found)
      const { app, slot } = found
      const others = [...app.slots.values()].filter((other) => other !== slot && !other.deleting)
      if (slot.mapIndex === 0 && others.length > 0) {
        return yield* failed("delete", new DefaultWorker({ app: app.name }))
      }
      slot.deleting = true
      const isLast = others.length === 0
      const remove = isLast ? detach(app) : workers.stop(app, slot)
      // the application goes with the last one, which others that are being deleted have not finished for yet
      const drained = isLast
        ? Effect.forEach([...app.slots.values()], workers.drain, { concurrency: "unbounded", discard: true })
        : workers.drain(slot)
      // interrupted while it drains, it goes at once: there is no way back for a worker that was told to finish
      yield* Effect.ensuring(drain ? drained : Effect.void, remove)
    })

    const restartWorker = Effect.fn("SessionLayer.restartWorker")(function*(
      handle: Handle.WorkerHandle,
      { drain = true }: { readonly drain?: boolean | undefined } = {}
    ) {
      const found = slotOf(handle)
      if (found instanceof NoSuchWorker) return yield* failed("restart", found)
      if (tables.draining) return yield* failed("restart", new Draining())
      const { slot } = found
      if (drain) yield* Effect.onInterrupt(workers.drain(slot), () => Effect.ignore(workers.restart(slot)))
      // deleted or detached while it drained
      const gone = slotOf(handle)
      if (gone instanceof NoSuchWorker) return yield* failed("restart", gone)
      yield* Effect.mapError(
        workers.restart(slot),
        (exit: WorkerExit) => failed("restart", workerFailed(slot, exit))
      )
    })

    const drain = Effect.gen(function*() {
      tables.draining = true
      yield* listeners.stop
      let longest = 0
      for (const { app, live } of tables.workers) {
        if (live !== undefined) workers.tellToDrain(live)
        longest = Math.max(longest, app.options.worker.drainTimeout)
      }
      yield* tables.noSessions.await.pipe(Effect.timeoutOption(longest), Effect.asVoid)
    })

    return SessionLayer.of({
      attach,
      find,
      detach: (handle) =>
        Effect.suspend(() => {
          const app = appOf(handle)
          return app instanceof NoSuchApp ? Effect.fail(app) : detach(app)
        }),
      addWorker,
      deleteWorker,
      restartWorker,
      unlisten: (handle) =>
        Effect.flatMap(
          listeners.close(handle),
          (closed) => closed ? Effect.void : Effect.fail(new NoSuchListener({ listener: Handle.format(handle) }))
        ),
      endSession: (handle, how) =>
        Effect.suspend(() => {
          const session = tables.sessions.get(handle)
          if (session?.isOpen !== true) return Effect.fail(new NoSuchSession({ session: Handle.format(handle) }))
          return Effect.sync(() => how === "close" ? session.close() : session.abort())
        }),
      drain,
      ...Reports.make({ tables, cutThroughs: connects.cutThroughs, certificates, startedAt })
    })
  })

/** The session layer of a host whose workers are started by a stack of layers that the program chooses. */
export const layerStack: Layer.Layer<
  SessionLayer,
  never,
  WorkerStack | Transport | SessionRules | Namespaces | Certificates
> = Layer.effect(SessionLayer, Effect.flatMap(WorkerStack, make))

/** The session layer of a host whose workers have the default layers. */
export const layer: Layer.Layer<SessionLayer, never, Transport | SessionRules | Namespaces | Certificates> = layerStack
  .pipe(Layer.provide(layerDefault))
