/**
 * An `http.Server` whose connections are sessions instead of sockets of its own.
 *
 * {@link SessionHttpServer} is Node's own server, which gets its connections in another way: see `NodeServer`.
 * Everything that Node's server has (`keepAliveTimeout`, `headersTimeout`, `requestTimeout`, `upgrade`, `clientError`)
 * works as it does in Node. {@link serve} makes a layer from a request listener; {@link layer} is the `HttpServer` that
 * an Effect HTTP app runs on.
 *
 * @since 0.1.0
 */
import type * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import { type ListenFailed, Sessions } from "../../../services/Sessions.ts"
import { NodeServer } from "../node/NodeServer.ts"

/**
 * Node's HTTP server on sessions.
 *
 * **Details**
 *
 * `listen` takes what Node's takes: nothing (all endpoints that the host was told to serve with this application), a
 * port and a host, or `{ port, host }`. It also takes an endpoint URI. Errors are emitted as `error`, with Node's code
 * and the {@link ListenFailed} as `cause`. `close` ends as Node's does: `close` is emitted once the last connection is
 * gone. `NodeServer` says how connections end when the server stops.
 *
 * @category models
 * @since 0.1.0
 */
export class SessionHttpServer extends Http.Server {
  readonly #served: NodeServer

  constructor(
    sessions: Sessions["Service"],
    options: Http.ServerOptions = {},
    requestListener?: Http.RequestListener
  ) {
    super(options, requestListener)
    this.#served = new NodeServer(this, sessions)
  }

  /** Whether connections are no longer kept alive: the host drains this worker, or the server closes. */
  get stopping(): boolean {
    return this.#served.stopping
  }

  /** Endpoint URIs of the listeners, with the ports that were given. */
  get endpoints(): ReadonlyArray<string> {
    return this.#served.endpoints
  }

  override listen(...args: ReadonlyArray<any>): this {
    this.#served.listen(args)
    return this
  }

  /**
   * Listens on the endpoints, or, when none are given, on all that the host was told to serve, until the scope closes.
   * Then what is in hand has `closeWithin` to finish. After a drain that time is over: what is left is closed at once.
   */
  listenScoped(
    endpoints?: ReadonlyArray<string>,
    closeWithin?: Duration.Input
  ): Effect.Effect<ReadonlyArray<string>, ListenFailed, Scope.Scope> {
    return this.#served.listenScoped(endpoints, closeWithin)
  }

  /** Stops keeping connections alive. The host's drain does this by itself. */
  drain(): void {
    this.#served.drain()
  }

  override close(callback?: (error?: Error) => void): this {
    if (this.listening) this.#served.close()
    return super.close(callback)
  }

  /**
   * Closes the connections that are idle. A connection is not idle while a request that has come in waits in its fifo,
   * nor before it has sent anything.
   */
  override closeIdleConnections(): void {
    this.#served.closeIdleConnections()
  }

  /** Closes all connections at once; Node's `closeAllConnections` leaves those that were upgraded. */
  destroyConnections(): void {
    this.#served.destroyConnections()
  }
}

/**
 * @category options
 * @since 0.1.0
 */
export interface ServeOptions {
  /** Endpoint URI to listen on. Default: all endpoints that the host was told to serve with this application. */
  readonly endpoint?: string | undefined
  /**
   * How long requests in hand may take when the layer's scope closes and the host has not drained this worker before.
   * Default 10 seconds.
   */
  readonly closeWithin?: Duration.Input | undefined
}

/**
 * Serves a request listener, or one with options of Node's server, on sessions.
 *
 * **When to use**
 *
 * For an application of Node's own kind: a function of request and response, such as Express makes. For Effect's HTTP,
 * use {@link layer}.
 *
 * **Example**
 *
 * ```ts
 * export default serve((_request, response) => void response.end("hello\n"))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const serve = (
  handler: Http.RequestListener | (Http.ServerOptions & { readonly handler: Http.RequestListener }),
  options?: ServeOptions
): Layer.Layer<never, ListenFailed, Sessions> => {
  const { handler: listener, ...rest } = typeof handler === "function" ? { handler } : handler
  return Layer.effectDiscard(
    Effect.flatMap(Sessions, (sessions) =>
      new SessionHttpServer(sessions, rest, listener).listenScoped(
        options?.endpoint === undefined ? undefined : [options.endpoint],
        options?.closeWithin
      ))
  )
}

/**
 * @category options
 * @since 0.1.0
 */
export interface LayerOptions
  extends Pick<NodeHttpServer.Options, "disablePreemptiveShutdown" | "gracefulShutdownTimeout" | "websocket">
{
  /** Endpoint URI to listen on. Default: all endpoints that the host was told to serve with this application. */
  readonly endpoint?: string | undefined
  /** Options of Node's server: timeouts, sizes. */
  readonly server?: Http.ServerOptions | undefined
}

/** For `NodeHttpServer`, which says in its own way where to listen, and closes the server with its scope. */
class Served extends SessionHttpServer {
  readonly #endpoint: string | undefined

  constructor(sessions: Sessions["Service"], { endpoint, server }: LayerOptions) {
    super(sessions, server)
    this.#endpoint = endpoint
  }

  override listen(...args: ReadonlyArray<any>): this {
    const listening = args.find((arg) => typeof arg === "function")
    return this.#endpoint === undefined ? super.listen(listening) : super.listen(this.#endpoint, listening)
  }

  override close(callback?: (error?: Error) => void): this {
    // after a drain the time for what is in hand is over
    const drained = this.stopping
    super.close(callback)
    if (drained) this.destroyConnections()
    return this
  }
}

/**
 * The `HttpServer` of Effect on sessions, with what belongs to it: Effect's `HttpRouter`, `HttpApi` and RPC over HTTP
 * run on it, WebSocket upgrades included.
 *
 * **When to use**
 *
 * For an HTTP application that is written with Effect. A request listener of Node's is served by {@link serve}.
 *
 * **Details** When its scope closes, requests in hand have `gracefulShutdownTimeout` (Effect's default is 20 seconds);
 * after a drain by the host that time is over, and what is left is closed at once.
 *
 * **Example**
 *
 * ```ts
 * export default HttpRouter.serve(routes).pipe(Layer.provide(SessionHttpServer.layer()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: LayerOptions = {}
): Layer.Layer<
  HttpServer.HttpServer | Layer.Success<typeof NodeHttpServer.layerHttpServices>,
  ServeError,
  Sessions
> =>
  Layer.unwrap(
    Effect.gen(function*() {
      const sessions = yield* Sessions
      // only a worker that uses it loads it
      const { layer } = yield* Effect.promise(() => import("@effect/platform-node/NodeHttpServer"))
      return layer(() => new Served(sessions, options), options)
    })
  )
