/**
 * An `http.Server` whose connections are sessions instead of sockets of its own.
 *
 * {@link SessionHttpServer} is Node's own server with another way to get its connections: each session that this worker
 * has claimed becomes a {@link SessionDuplex} and is handed to Node with the `connection` event. All that Node's server
 * has (`keepAliveTimeout`, `headersTimeout`, `requestTimeout`, `upgrade`, `clientError`) works as it does there.
 * {@link serve} makes a layer of a request listener; {@link layer} is the `HttpServer` that an Effect HTTP app runs on.
 *
 * **How it stops** `close` and a drain by the host have the same effect on connections: those that are idle are closed,
 * a response whose head is still to be written says `Connection: close`, and a connection that was busy is closed when
 * it goes idle. A client that has connected and sent nothing yet may just be about to send: it has until the second
 * look, one to two seconds. A connection that was upgraded is its owner's to close.
 *
 * @since 0.1.0
 */
import type * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Endpoint from "../domain/Endpoint.ts"
import { type Listener, ListenFailed, noEndpoint, type Session, Sessions } from "../services/Sessions.ts"
import { SessionDuplex } from "./SessionDuplex.ts"

/** Milliseconds between two looks at the connections that are left while the server stops. */
const LOOK_INTERVAL = 1000

const CODES: Record<ListenFailed["reason"], string> = {
  InvalidEndpoint: "EINVAL",
  AlreadyListening: "EADDRINUSE",
  AddressInUse: "EADDRINUSE",
  AddressNotAvailable: "EADDRNOTAVAIL",
  PermissionDenied: "EACCES",
  OutOfScope: "EACCES",
  NoMemory: "ENOMEM",
  TransportFailed: "EIO",
  Detached: "ENOTCONN"
}

/** Node's server reports a connection's error as `clientError` and lets go of it; what comes after is no news. */
const ignore = (): void => {}

const KEEP = Symbol("keep")

type Response = Http.ServerResponse & { [KEEP]: boolean }

const serverOf = (response: Http.ServerResponse): SessionHttpServer | undefined =>
  (response.req?.socket as unknown as { readonly server?: SessionHttpServer } | null | undefined)?.server

function onResponseClose(this: Http.ServerResponse): void {
  const server = serverOf(this)
  if (server?.stopping === true) settle(server)
}

let settle: (server: SessionHttpServer) => void

/**
 * Responses that ask, when their head is written, whether the connection is to be kept: a response that was begun
 * before a drain and is written after it says so too, on whatever event it was made.
 */
const responses = (Base: typeof Http.ServerResponse): typeof Http.ServerResponse => {
  const SessionResponse = class extends Base {
    constructor(...args: ConstructorParameters<typeof Http.ServerResponse>) {
      super(...args)
      this.once("close", onResponseClose)
    }
  }
  // an accessor where Node has a plain property: the constructor's own assignment goes through it
  Object.defineProperty(SessionResponse.prototype, "shouldKeepAlive", {
    configurable: true,
    get(this: Response): boolean {
      return this[KEEP] && serverOf(this)?.stopping !== true
    },
    set(this: Response, keep: boolean) {
      this[KEEP] = keep
    }
  })
  return SessionResponse as typeof Http.ServerResponse
}

const SessionResponse = responses(Http.ServerResponse)

/** What {@link SessionHttpServer} serves. */
class Connection extends SessionDuplex {
  readonly #isKept: (connection: Connection) => boolean

  constructor(session: Session, highWaterMark: number | undefined, isKept: (connection: Connection) => boolean) {
    super(session, { abortOnError: false, highWaterMark })
    this.#isKept = isKept
  }

  override destroy(error?: Error): this {
    return this.#isKept(this) ? this : super.destroy(error)
  }
}

/** The endpoint of a port, with the address in brackets where it needs them. */
const tcp = (host: unknown, port: unknown): string =>
  Endpoint.format({ _tag: "tcp", host: typeof host === "string" && host !== "" ? host : "0.0.0.0", port: Number(port) })

/** What Node's forms of `listen` mean here. */
const endpointsOf = (args: ReadonlyArray<unknown>, all: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first, second] = args
  if (first === undefined || first === null || typeof first === "function") return all
  if (typeof first === "number") return [tcp(second, first)]
  if (typeof first === "string") {
    if (first.includes("://")) return [first]
    return /^\d+$/.test(first) ? [tcp(second, first)] : [`unix://${first}`]
  }
  const { host, path, port } = first as Net.ListenOptions
  return [path === undefined ? tcp(host, port ?? 0) : `unix://${path}`]
}

/**
 * Node's HTTP server on sessions.
 *
 * **Details**
 *
 * `listen` takes what Node's takes: nothing (all endpoints that the host was told to serve with this application), a
 * port and a host, `{ port, host }`; and an endpoint URI. Errors are emitted as `error`, with Node's code and the
 * {@link ListenFailed} as `cause`. `close` ends as Node's does: `close` is emitted once the last connection is gone.
 *
 * @category models
 * @since 0.1.0
 */
export class SessionHttpServer extends Http.Server {
  static {
    settle = (server) => server.#settleSoon()
    Object.defineProperty(this.prototype, "listening", {
      configurable: true,
      enumerable: true,
      get(this: SessionHttpServer): boolean {
        return this.#state === "opening" || this.#state === "listening"
      }
    })
  }

  readonly #sessions: Sessions["Service"]
  readonly #highWaterMark: number | undefined
  readonly #open = new Set<Connection>()
  readonly #onGone: (this: Connection) => void
  #state: "closed" | "opening" | "listening" | "closing" = "closed"
  #draining = false
  #scope: Scope.Closeable | undefined
  #listeners: ReadonlyArray<Listener> = []
  /** Sessions that come before `listening` is emitted: only from then on does Node keep count of connections. */
  #early: Array<Session> | undefined
  /** Moves on with every `listen` and `close`: what an earlier one still has to say is no longer of interest. */
  #attempt = 0
  #looks: NodeJS.Timeout | undefined
  /** Connections that had sent nothing at the last look. */
  #silent = new Set<Connection>()
  #settling = false
  #closingIdle = false

  constructor(
    sessions: Sessions["Service"],
    options: Http.ServerOptions = {},
    requestListener?: Http.RequestListener
  ) {
    super(
      {
        ...options,
        ServerResponse: options.ServerResponse === undefined ? SessionResponse : responses(options.ServerResponse)
      },
      requestListener
    )
    this.#sessions = sessions
    this.#highWaterMark = options.highWaterMark
    // oxlint-disable-next-line typescript/no-this-alias -- one listener for all connections, which are its `this`
    const server = this
    this.#onGone = function() {
      server.#open.delete(this)
      server.#settled()
    }
  }

  /** Whether connections are no longer kept alive: the host drains this worker, or the server closes. */
  get stopping(): boolean {
    return this.#draining || this.#state === "closing"
  }

  /** Endpoint URIs of the listeners, with the ports that were given. */
  get endpoints(): ReadonlyArray<string> {
    return this.#listeners.map((listener) => listener.local)
  }

  /** Where the first listener listens; a URI when it has no port. */
  override address(): Net.AddressInfo | string | null {
    const local = this.#listeners[0]?.local
    if (local === undefined) return null
    const endpoint = Endpoint.inetOf(local)
    if (endpoint === undefined) return local
    const { host, port } = endpoint
    return { address: host, port, family: host.includes(":") ? "IPv6" : "IPv4" }
  }

  // ---- listening

  override listen(...args: ReadonlyArray<any>): this {
    const callback = args.find((arg) => typeof arg === "function")
    this.#assertClosed()
    if (callback !== undefined) this.once("listening", callback)
    const attempt = ++this.#attempt
    const fiber = Effect.runFork(this.#listen(endpointsOf(args, this.#sessions.endpoints)))
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit) || attempt !== this.#attempt) return
      const cause = Cause.squash(exit.cause)
      const detail = cause instanceof Error ? cause.message : String(cause)
      const code = cause instanceof ListenFailed ? CODES[cause.reason] : "EIO"
      const error = Object.assign(new Error(`listen ${code}: ${detail}`, { cause }), { code, syscall: "listen" })
      process.nextTick(() => this.emit("error", error))
    })
    return this
  }

  /**
   * Listens on the endpoints, all that the host was told to serve when none are given, until the scope closes. Then
   * what is in hand has `closeWithin` to finish. After a drain that time is over: what is left is closed at once.
   */
  listenScoped(
    endpoints: ReadonlyArray<string> = this.#sessions.endpoints,
    closeWithin: Duration.Input = "10 seconds"
  ): Effect.Effect<ReadonlyArray<string>, ListenFailed, Scope.Scope> {
    return Effect.suspend(() => {
      this.#assertClosed()
      return Effect.addFinalizer(() => this.#shutdown(closeWithin)).pipe(Effect.andThen(this.#listen(endpoints)))
    })
  }

  #assertClosed(): void {
    if (this.#state !== "closed") {
      throw Object.assign(new Error("the server is listening already, or has not closed yet"), {
        code: "ERR_SERVER_ALREADY_LISTEN"
      })
    }
  }

  #listen(endpoints: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, ListenFailed> {
    if (endpoints.length === 0) return Effect.fail(noEndpoint())
    const scope = Scope.makeUnsafe()
    this.#scope = scope
    this.#state = "opening"
    this.#early = []
    return Effect.forEach(endpoints, (endpoint) => this.#sessions.listen(endpoint, this.#accept)).pipe(
      Effect.map((listeners) => this.#onListening(scope, listeners)),
      Effect.tap(
        this.#sessions.draining.pipe(Effect.andThen(Effect.sync(() => this.drain())), Effect.forkScoped)
      ),
      Scope.provide(scope),
      Effect.onError(() => {
        if (this.#scope === scope && this.#state === "opening") {
          this.#state = "closed"
          this.#scope = undefined
          for (const session of this.#early ?? []) session.abort()
          this.#early = undefined
        }
        return Scope.close(scope, Exit.void)
      })
    )
  }

  #onListening(scope: Scope.Closeable, listeners: ReadonlyArray<Listener>): ReadonlyArray<string> {
    if (this.#scope === scope && this.#state === "opening") {
      this.#state = "listening"
      this.#listeners = listeners
      process.nextTick(() => {
        if (this.#scope === scope && this.#state === "listening") {
          this.emit("listening")
          this.#serveEarly()
        }
      })
    }
    return listeners.map((listener) => listener.local)
  }

  readonly #accept = (session: Session): void => {
    if (this.#early === undefined) this.#serve(session)
    else this.#early.push(session)
  }

  #serveEarly(): void {
    const early = this.#early
    this.#early = undefined
    if (early !== undefined) { for (const session of early) this.#serve(session) }
  }

  #serve(session: Session): void {
    const connection = new Connection(session, this.#highWaterMark, this.#isKept)
    connection.on("error", ignore)
    connection.once("close", this.#onGone)
    this.#open.add(connection)
    if (this.stopping) this.#look()
    this.emit("connection", connection)
  }

  /** Node 26 counts a connection that has sent nothing yet as idle, Node 24 does not. Here it is not. */
  readonly #isKept = (connection: Connection): boolean => this.#closingIdle && connection.bytesRead === 0

  // ---- stopping

  /** Stops keeping connections alive. The host's drain does this by itself. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.closeIdleConnections()
    this.#look()
  }

  override close(callback?: (error?: Error) => void): this {
    if (this.#state === "closed") return super.close(callback)
    if (this.#state === "closing") {
      if (callback !== undefined) {
        const error = Object.assign(new Error("the server is not running"), { code: "ERR_SERVER_NOT_RUNNING" })
        this.once("close", () => callback(error))
      }
      return this
    }
    if (callback !== undefined) this.once("close", callback)
    this.#attempt++
    this.#state = "closing"
    this.#serveEarly()
    this.closeIdleConnections()
    this.#look()
    const scope = this.#scope!
    Effect.runFork(Scope.close(scope, Exit.void)).addObserver(() => {
      this.#scope = undefined
      this.#listeners = []
      this.#settled()
    })
    return this
  }

  /**
   * Closes the connections that are idle. Not idle is one whose request has come in and waits in its fifo, nor one that
   * has sent nothing yet.
   */
  override closeIdleConnections(): void {
    for (const { session } of this.#open) if (session.available > 0) session.handler?.readable?.(session)
    this.#closingIdle = true
    super.closeIdleConnections()
    this.#closingIdle = false
  }

  /** Closes all connections at once; Node's `closeAllConnections` leaves those that were upgraded. */
  destroyConnections(): void {
    for (const connection of this.#open) connection.destroy()
  }

  override getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this.#open.size)
    return this
  }

  /** One look for all responses that end in a turn of the loop. */
  #settleSoon(): void {
    if (this.#settling) return
    this.#settling = true
    setImmediate(() => {
      this.#settling = false
      if (this.stopping) this.closeIdleConnections()
    })
  }

  /** Looks again until all connections are gone, for those that go idle unheard or never send anything. */
  #look(): void {
    if (this.#looks !== undefined || this.#open.size === 0) return
    this.#looks = setInterval(() => {
      this.closeIdleConnections()
      const silent = new Set<Connection>()
      for (const connection of this.#open) {
        if (connection.bytesRead > 0) continue
        if (this.#silent.has(connection)) connection.destroy()
        else silent.add(connection)
      }
      this.#silent = silent
    }, LOOK_INTERVAL).unref()
  }

  #settled(): void {
    if (this.#open.size > 0) return
    clearInterval(this.#looks)
    this.#looks = undefined
    this.#silent.clear()
    if (this.#state === "closing" && this.#scope === undefined) {
      this.#state = "closed"
      // Node's own counts no connections here: it stops its timers and emits `close`
      super.close()
    }
  }

  #shutdown(closeWithin: Duration.Input): Effect.Effect<void> {
    const closed = Effect.callback<void>((resume) => {
      if (this.#state === "closed") return resume(Effect.void)
      this.once("close", () => resume(Effect.void))
      if (this.#state !== "closing") this.close()
      if (this.#draining) this.destroyConnections()
    })
    return closed.pipe(
      Effect.timeoutOrElse({
        duration: closeWithin,
        orElse: () => Effect.andThen(Effect.sync(() => this.destroyConnections()), closed)
      })
    )
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
 * The `HttpServer` of Effect on sessions, with what belongs to it: Effect's `HttpRouter`, `HttpApi` and RPC over HTTP run
 * on it, WebSocket upgrades included.
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
      // only a worker that has use for it loads it
      const { layer } = yield* Effect.promise(() => import("@effect/platform-node/NodeHttpServer"))
      return layer(() => new Served(sessions, options), options)
    })
  )
