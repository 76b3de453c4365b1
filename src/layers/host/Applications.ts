/**
 * The applications of a host: attached, found, detached.
 *
 * An attach is undone as a whole: when it fails or is interrupted, all that it has done so far is undone at once. A
 * detach follows an order of its own (W13), each step being a span, `SessionLayer.detach/<step>`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Options from "../../domain/options/Options.ts"
import * as WorkerCount from "../../domain/options/WorkerCount.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type { AppModule } from "../../services/AppWorker.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { Namespaces } from "../../services/Namespaces.ts"
import * as OwnScope from "../../services/OwnScope.ts"
import {
  AlreadyAttached,
  type Application,
  type AttachExtras,
  AttachFailed,
  Draining,
  InvalidValue,
  NoSuchApp,
  NotListening,
  UnsupportedConfig
} from "../../services/SessionLayer.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import type { Machine } from "../system/Machine.ts"
import * as ListenerOpening from "./ListenerOpening.ts"
import type { Listeners } from "./Listeners.ts"
import type { Supervisor } from "./Supervisor.ts"
import type { AttachedApp, Tables } from "./Tables.ts"

/** Bytes of a worker's first segment, and of the event queue in it. */
export const sizesOf = ({ options }: AttachedApp): Pick<Application, "firstSegmentBytes" | "eventQueueBytes"> => ({
  firstSegmentBytes: options.segment.firstSegmentSize,
  eventQueueBytes: Options.queueSegmentSize(options.queue)
})

/** Why a worker of this kind can't run the module. */
export const unservable = (module: AppModule, kind: WorkerInfo["kind"]): UnsupportedConfig | undefined =>
  module._tag === "Layer" && kind === "thread"
    ? new UnsupportedConfig({
      option: "worker.kind",
      detail: "a thread worker needs the URL of a module; a layer can only run in-process"
    })
    : undefined

const applicationOf = (app: AttachedApp): Application => ({
  handle: app.handle,
  index: app.index,
  name: app.name,
  gone: app.whenGone,
  ...sizesOf(app)
})

const failed = (reason: AttachFailed["reason"]): AttachFailed => new AttachFailed({ reason })

const alreadyAttached = ({ client, name }: Options.AppOptions): AttachFailed =>
  failed(new AlreadyAttached({ name: name ?? client! }))

const decode = (input: Options.AppOptionsInput): Effect.Effect<Options.AppOptions, AttachFailed> => {
  const decoded = Options.decodeApp(input)
  if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
  const { _tag, message, option } = decoded.failure.reason
  const Reason = _tag === "InvalidValue" ? InvalidValue : UnsupportedConfig
  return Effect.fail(failed(new Reason({ option, detail: message.replace(`${option}: `, "") })))
}

export class Applications {
  readonly #tables: Tables
  readonly #listeners: Listeners
  readonly #workers: Supervisor
  readonly #namespaces: Namespaces["Service"]
  readonly #certificates: Certificates["Service"]
  readonly #machine: Machine
  readonly #before: (app: string) => number | undefined
  /** Those whose attach has succeeded. */
  readonly #attached = new WeakSet<AttachedApp>()

  constructor(options: {
    readonly tables: Tables
    readonly listeners: Listeners
    readonly workers: Supervisor
    readonly namespaces: Namespaces["Service"]
    readonly certificates: Certificates["Service"]
    readonly machine: Machine
    /** How many workers an application had in the host before this one (X4). */
    readonly before: (app: string) => number | undefined
  }) {
    this.#tables = options.tables
    this.#listeners = options.listeners
    this.#workers = options.workers
    this.#namespaces = options.namespaces
    this.#certificates = options.certificates
    this.#machine = options.machine
    this.#before = options.before
  }

  // ---- look-up

  /** By name, by client, or by index (W2). */
  find(wanted: string | { readonly client: string } | Handle.AppIndex): Effect.Effect<Application, NoSuchApp> {
    return Effect.suspend(() => {
      for (const app of this.#tables.apps) {
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
  }

  /** The application of a handle, unless it is gone or going. */
  get(handle: Handle.AppHandle): Effect.Effect<AttachedApp, NoSuchApp> {
    return Effect.suspend(() => {
      const app = this.#tables.apps.get(handle)
      return app === undefined || app.detaching
        ? Effect.fail(new NoSuchApp({ wanted: Handle.format(handle) }))
        : Effect.succeed(app)
    })
  }

  #isTaken({ client, name }: Options.AppOptions): boolean {
    for (const app of this.#tables.apps) {
      if (name !== undefined && app.name === name || client !== undefined && app.client === client) return true
    }
    return false
  }

  // ---- attach

  readonly attach = Effect.fn("SessionLayer.attach")({ self: this }, function*(
    input: Options.AppOptionsInput,
    module: AppModule,
    extras: AttachExtras = {}
  ) {
    const options = yield* decode(input)
    if (this.#tables.draining) return yield* failed(new Draining())
    if (options.name === undefined && options.client === undefined) {
      return yield* failed(new InvalidValue({ option: "name", detail: "give the application a name or a client" }))
    }
    const unserved = unservable(module, options.worker.kind)
    if (unserved !== undefined) return yield* failed(unserved)
    if (this.#isTaken(options)) return yield* alreadyAttached(options)
    // a failed attach is undone at once, and not with the caller's scope
    return yield* OwnScope.under(yield* Effect.scope, () => this.#open(options, module, extras))
  })

  /** Enters the application's namespace, makes the application and starts its workers; the scope's end detaches it. */
  readonly #open = Effect.fnUntraced({ self: this }, function*(
    { certificates, ...rest }: Options.AppOptions,
    module: AppModule,
    extras: AttachExtras
  ) {
    // from here on the certificates are in the store only, where they can be changed
    const options = { ...rest, certificates: [] }
    // a scope of its own, since an application may be detached before the outer scope closes
    const namespace = yield* Scope.fork(yield* Effect.scope)
    yield* this.#namespaces.enter(options.namespace, options.secret).pipe(
      Scope.provide(namespace),
      Effect.mapError(failed)
    )
    const app = yield* Effect.acquireRelease(
      this.#enter(options, module, namespace, extras),
      (app) => this.detach(app)
    )
    yield* this.#certificates.open(app.handle)
    for (const [index, input] of certificates.entries()) {
      yield* Effect.mapError(
        this.#certificates.add(app.handle, input),
        ({ message }) => failed(new InvalidValue({ option: `certificates.${index}`, detail: message }))
      )
    }
    for (let left = this.#startsWith(app); left > 0; left--) this.#workers.add(app, options.worker.kind)
    yield* Effect.forEach(
      [...app.slots.values()],
      (slot) => Effect.mapError(this.#workers.startAndWait(app, slot), failed),
      { concurrency: "unbounded", discard: true }
    )
    yield* this.#assertListening(app)
    this.#tables.events.record({ kind: "app-attached", app: app.name, workers: app.slots.size })
    this.#attached.add(app)
    return applicationOf(app)
  })

  /** How many workers it begins with: in a range the fewest, or as many as it had in the host before this one. */
  #startsWith({ name, options: { workers } }: AttachedApp): number {
    const { least, most } = WorkerCount.boundsOf(workers, this.#machine.processors())
    return Math.max(least, Math.min(most, this.#before(name) ?? 0))
  }

  /** W18: a proxy that takes no sessions is an error. Elsewhere an application may still come to listen: a warning. */
  readonly #assertListening = Effect.fnUntraced({ self: this }, function*(app: AttachedApp) {
    const proxied = this.#listeners.missing(app, ListenerOpening.ofProxy(app.options))
    if (proxied.length > 0) return yield* failed(new NotListening({ endpoints: proxied }))
    const named = this.#listeners.missing(app, app.options.listen)
    if (named.length > 0) {
      yield* Effect.logWarning(
        `${app.name} was told to listen on ${named.join(", ")}, and its workers started without listening there`
      ).pipe(Effect.annotateLogs({ app: app.name }))
    }
  })

  /** Makes an application in a slot, unless its name is taken. */
  #enter(
    options: Options.AppOptions,
    module: AppModule,
    namespace: Scope.Closeable,
    { listen = [], loaded, status = () => [] }: AttachExtras
  ): Effect.Effect<AttachedApp, AttachFailed> {
    return Effect.suspend(() => {
      let name = ""
      const gone = Deferred.makeUnsafe<void>()
      const app = this.#tables.apps.allocate((handle): AttachedApp | undefined => {
        const index = Handle.AppIndex(Handle.index(handle))
        name = options.name ?? `builtin-${index}`
        // once more, where nothing can come in between; for the first time, if the application is named after its index
        if (this.#isTaken({ ...options, name })) return undefined
        return {
          handle,
          index,
          name,
          client: options.client ?? "",
          options,
          module,
          status,
          fallback: listen,
          loaded,
          namespace,
          sessions: 0,
          sessionsHighest: 0,
          slots: new Map(),
          supervisors: new Map(),
          gone,
          whenGone: Deferred.await(gone),
          detaching: false,
          reloading: false,
          reloads: { reloaded: 0, failed: 0 },
          range: WorkerCount.rangeOf(options.workers, this.#machine.processors()),
          need: undefined
        }
      })
      return app === undefined ? Effect.fail(alreadyAttached({ ...options, name })) : Effect.succeed(app)
    })
  }

  // ---- detach

  /** Lets the workers finish what they have, and then detaches the application; at once when that is interrupted. */
  finish(app: AttachedApp): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const slot of app.slots.values()) slot.deleting = true
      return Effect.ensuring(this.#workers.drainAll(app), this.detach(app))
    })
  }

  /** W13: proxy listeners, workers, then names and certificates with the slot. */
  detach(app: AttachedApp): Effect.Effect<void> {
    const step = <A>(name: string, effect: Effect.Effect<A>) =>
      Effect.withSpan(effect, `SessionLayer.detach/${name}`, { attributes: { app: app.name } })
    return Effect.suspend(() => {
      if (app.detaching) return app.whenGone
      app.detaching = true
      return Effect.gen({ self: this }, function*() {
        yield* step("proxy-listeners", this.#listeners.closeProxies(app))
        yield* step("workers", this.#workers.stopAll(app))
        yield* step("certificates", this.#certificates.close(app.handle))
        yield* step(
          "slot",
          Effect.andThen(
            Effect.sync(() => this.#tables.apps.free(app.handle)),
            Scope.close(app.namespace, Exit.void)
          )
        )
        if (this.#attached.has(app)) this.#tables.events.record({ kind: "app-detached", app: app.name })
        yield* Deferred.succeed(app.gone, undefined)
      })
    }).pipe(Effect.uninterruptible)
  }
}
