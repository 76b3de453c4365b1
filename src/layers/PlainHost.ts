/**
 * A host for programs that are not written with Effect: promises, and errors as rejections.
 *
 * ```ts
 * import * as Sluice from "sluice/plain"
 *
 * const host = await Sluice.start()
 * const app = await host.attach({ name: "web", listen: ["tcp://127.0.0.1:8080"] }, new URL("./app.js", import.meta.url))
 * console.log(app.endpoints)
 * process.once("SIGTERM", () => host.stop())
 * ```
 *
 * Behind it is a `ManagedRuntime` of the host's layer, {@link PlainHost.runtime}: Effects that need the host run there.
 * Every rejection is the tagged error that the Effect fails with: an `Error` whose `message` is a sentence and whose
 * `reason` says what went wrong.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Path from "node:path"
import * as Url from "node:url"
import type { AppOptionsInput } from "../domain/options/AppOptions.ts"
import { LogOptions } from "../domain/options/LogOptions.ts"
import { described, group } from "../domain/options/OptionFields.ts"
import * as Options from "../domain/options/Options.ts"
import type * as Report from "../domain/report/Report.ts"
import type { AppIndex } from "../domain/state/Handle.ts"
import * as AppWorker from "../services/AppWorker.ts"
import type { ControlError } from "../services/ControlApi.ts"
import * as OwnScope from "../services/OwnScope.ts"
import { type Application, AttachFailed, Draining, SessionLayer } from "../services/SessionLayer.ts"
import * as NodeApps from "./adapters/node/NodeApps.ts"
import * as ControlServer from "./control/ControlServer.ts"
import * as HostLayer from "./Host.ts"
import * as LogStyle from "./log/LogStyle.ts"
import { ThreadModule } from "./stack/AppWorkerThread.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface StartOptions {
  /** Path of a socket for `sluice show` and the other commands; without one, there is no such socket. */
  readonly control?: string | undefined
  /**
   * The log of the host and of its workers, on the standard error: its `format`, `"pretty"` or `"json"`, and the lowest
   * `level` that is logged, `"info"` unless another is given.
   */
  readonly log?: typeof LogOptions.Encoded | undefined
  /**
   * The file that a bundler has made of `sluice/thread`, where this host was bundled into one file; the package's own
   * otherwise. Each worker's thread begins with it.
   */
  readonly thread?: URL | undefined
}

/**
 * @category options
 * @since 0.1.0
 */
export interface StopOptions {
  /**
   * Whether work in hand may finish, within the application's `drainTimeout`; what is left after that is reset. Default
   * `true`.
   */
  readonly drain?: boolean | undefined
}

/**
 * What is served: a module, by its URL or the path of its file, on threads unless the options say otherwise; or what a
 * module would export, which runs on this program's own loop.
 *
 * @category models
 * @since 0.1.0
 */
export type AppInput = URL | string | NodeApps.Servable

/**
 * An attached application.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainApp extends AsyncDisposable {
  readonly name: string
  readonly index: AppIndex
  /** Where it listens, with the ports that were given. */
  readonly endpoints: ReadonlyArray<string>
  /** Detaches it. Also what `await using` does at its end. Idempotent. */
  detach(options?: StopOptions): Promise<void>
}

/**
 * A host that runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainHost extends AsyncDisposable {
  /**
   * Attaches an application and starts its workers. Rejects with `AttachFailed`, and then nothing of the application is
   * left. An application that is not a module has one worker on this program's own loop, unless the options say
   * otherwise.
   */
  attach(options: AppOptionsInput, app: AppInput): Promise<PlainApp>
  /** The whole state of the host, in numbers: what `sluice show app --json` prints. */
  report(): Promise<Report.HostReport>
  /** Stops all applications and ends the host. Also what `await using` does at its end. Idempotent. */
  stop(options?: StopOptions): Promise<void>
  /** For Effects that need the host's services. It is disposed of with the host. */
  readonly runtime: ManagedRuntime.ManagedRuntime<HostLayer.Services, ControlError>
}

const moduleOf = (app: AppInput): AppWorker.AppModule => {
  if (app instanceof URL) return AppWorker.fromUrl(app)
  if (typeof app !== "string") return AppWorker.fromLayer(NodeApps.layer(app))
  return AppWorker.fromUrl(/^[a-z]{2,}:/.test(app) ? app : Url.pathToFileURL(Path.resolve(app)))
}

/** An application that is not a module runs on this program's own loop, where its workers would share one thread. */
const optionsOf = (options: AppOptionsInput, module: AppWorker.AppModule): AppOptionsInput =>
  module._tag === "Layer"
    ? { ...options, workers: options.workers ?? 1, worker: { kind: "in-process", ...options.worker } }
    : options

/** Lets the application's workers finish what they have, and detaches it. */
const drained = ({ handle }: Application) =>
  Effect.flatMap(SessionLayer, (host) => Effect.ignore(host.detach(handle, { drain: true })))

/** What a host is started with, as it is checked. */
const decodeStart = Options.decode(Schema.Struct({
  control: Schema.optional(Schema.NonEmptyString).annotate(described({
    description: "Path of the control socket",
    value: "path",
    right: "a path",
    default: "none"
  })),
  log: group(LogOptions, LogOptions.fields),
  thread: Schema.optional(Schema.instanceOf(URL)).annotate(described({
    description: "Module that the workers' threads begin with",
    value: "url",
    right: "a URL",
    default: "the package's own"
  }))
}))

class RunningApp implements PlainApp {
  readonly name: string
  readonly index: AppIndex
  readonly endpoints: ReadonlyArray<string>
  readonly #end: (drain: boolean) => Promise<void>
  #ended: Promise<void> | undefined

  constructor({ index, name }: Application, endpoints: ReadonlyArray<string>, end: (drain: boolean) => Promise<void>) {
    this.name = name
    this.index = index
    this.endpoints = endpoints
    this.#end = end
  }

  detach(options?: StopOptions): Promise<void> {
    return this.#ended ??= this.#end(options?.drain ?? true)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.detach()
  }
}

class RunningHost implements PlainHost {
  readonly runtime: PlainHost["runtime"]
  /** The scope of the applications, which end before the host does. */
  readonly #scope = Scope.makeUnsafe("parallel")
  #stopped: Promise<void> | undefined

  constructor(runtime: PlainHost["runtime"]) {
    this.runtime = runtime
  }

  async attach(options: AppOptionsInput, app: AppInput): Promise<PlainApp> {
    const module = moduleOf(app)
    const attached = OwnScope.under(this.#scope, (scope) =>
      Effect.gen({ self: this }, function*() {
        const host = yield* SessionLayer
        const application = yield* host.attach(optionsOf(options, module), module)
        const { apps } = yield* host.report
        const { listeners } = apps.find(({ index }) => index === application.index)!
        return new RunningApp(
          application,
          listeners.map(({ endpoint }) => endpoint),
          (drain) => this.#end(drain ? drained(application) : Effect.void, Scope.close(scope, Exit.void))
        )
      }))
    try {
      if (this.#stopped === undefined) return await this.runtime.runPromise(attached)
    } catch (error) {
      if (this.#stopped === undefined) throw error
    }
    throw new AttachFailed({ reason: new Draining() })
  }

  report(): Promise<Report.HostReport> {
    return this.runtime.runPromise(Effect.flatMap(SessionLayer, (host) => host.report))
  }

  stop(options?: StopOptions): Promise<void> {
    const first = options?.drain ?? true
      ? Effect.flatMap(SessionLayer, (host) => host.drain)
      : Effect.void
    return this.#stopped ??= this.#end(first, Scope.close(this.#scope, Exit.void)).then(() => this.runtime.dispose())
  }

  async #end(first: Effect.Effect<void, never, SessionLayer>, last: Effect.Effect<void>): Promise<void> {
    await this.runtime.runPromise(Effect.ensuring(first, last))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

/**
 * Starts a host. Rejects with `OptionsError` when an option is wrong, and with `ControlError` when the host can't listen
 * on the control socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = async (options: StartOptions = {}): Promise<PlainHost> => {
  const { control, log, thread } = Result.getOrThrow(decodeStart(options))
  const layer = control === undefined
    ? HostLayer.layer
    : ControlServer.layer(control).pipe(Layer.provideMerge(HostLayer.layer))
  // standard output is the program's own
  const runtime = ManagedRuntime.make(layer.pipe(
    Layer.provideMerge(LogStyle.layer(log)),
    Layer.provide(thread === undefined ? Layer.empty : Layer.succeed(ThreadModule, thread))
  ))
  await runtime.context()
  return new RunningHost(runtime)
}
