/**
 * The session client of a worker, for app modules that are not written with Effect: functions, promises and streams.
 *
 * A module that only answers requests or connections needs none of this: it exports a function or a server (see
 * `NodeApps`). This is for one that connects to other applications, listens where it likes, or wants to know which
 * worker it is and when it is drained:
 *
 * ```ts
 * import { PlainWorker } from "sluice/worker"
 *
 * export default PlainWorker.layer(async (worker) => {
 *   const backend = await worker.connect("local://backend")
 *   await worker.serve((request, response) => response.end(`worker ${worker.info.worker}\n`))
 *   worker.draining.addEventListener("abort", () => backend.end())
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Net from "node:net"
import * as OwnScope from "../../../services/OwnScope.ts"
import { type ConnectOptions, type ListenOptions, Sessions, type WorkerInfo } from "../../../services/Sessions.ts"
import * as NodeApps from "./NodeApps.ts"
import * as SessionDuplex from "./SessionDuplex.ts"

/**
 * A listener of a worker.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainListener extends AsyncDisposable {
  /** Endpoint URI with the port that was given, where 0 was asked for. */
  readonly local: string
  /** Stops listening. Connections that were accepted go on. Idempotent. */
  close(): Promise<void>
}

/**
 * A worker, as its module sees it. All that it has opened is closed with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainWorker {
  readonly info: WorkerInfo
  /** Endpoint URIs that the host was told to serve with this application, in the order given. */
  readonly endpoints: ReadonlyArray<string>
  /** What the application was told when it was attached. */
  readonly config: unknown
  /** Is aborted when the host drains this worker: finish what is in hand, keep nothing alive. */
  readonly draining: AbortSignal
  /**
   * Listens, and gives each connection to `connection`; rejects with `ListenFailed`. An error of a connection for which
   * nobody listens ends that connection, and nothing else.
   */
  listen(
    endpoint: string,
    connection: (socket: Net.Socket) => void,
    options?: ListenOptions
  ): Promise<PlainListener>
  /** Connects; rejects with `ConnectFailed`. */
  connect(endpoint: string, options?: ConnectOptions): Promise<Net.Socket>
  /** Serves what a module could export, on all {@link endpoints}; rejects with `ListenFailed`. */
  serve(app: NodeApps.Servable): Promise<void>
}

const ignore = (): void => {}

/**
 * An application that is a function of its worker. The worker is ready when its promise resolves; a function that it
 * returns is called, and waited for, when the worker ends.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (start: (worker: PlainWorker) => unknown): NodeApps.AppLayer =>
  Layer.effectDiscard(Effect.gen(function*() {
    const sessions = yield* Sessions
    const scope = yield* Effect.scope
    const run = Effect.runPromiseWith(yield* Effect.context<never>())
    const draining = new AbortController()
    yield* Effect.forkScoped(Effect.andThen(sessions.draining, Effect.sync(() => draining.abort())))

    const worker: PlainWorker = {
      info: sessions.worker,
      endpoints: sessions.endpoints,
      config: sessions.config,
      draining: draining.signal,
      listen: (endpoint, connection, options) =>
        run(OwnScope.under(scope, (own) =>
          Effect.gen(function*() {
            const { local } = yield* sessions.listen(endpoint, (session) => {
              const stream = SessionDuplex.fromSession(session, { allowHalfOpen: false })
              stream.on("error", ignore)
              connection(stream)
            }, options)
            const close = () => run(Scope.close(own, Exit.void))
            return { local, close, [Symbol.asyncDispose]: close }
          }))),
      connect: (endpoint, options) =>
        run(OwnScope.under(scope, (own) =>
          Effect.gen(function*() {
            const session = yield* sessions.connect(endpoint, options)
            const stream = SessionDuplex.fromSession(session, { allowHalfOpen: false })
            stream.on("close", () => void run(Scope.close(own, Exit.void)))
            return stream
          }))),
      serve: (app) =>
        run(Effect.asVoid(
          Layer.buildWithScope(Layer.provide(NodeApps.layer(app), Layer.succeed(Sessions, sessions)), scope)
        ))
    }
    const end = yield* Effect.promise(async () => await start(worker))
    if (typeof end === "function") yield* Effect.addFinalizer(() => Effect.promise(async () => await end()))
  }))
