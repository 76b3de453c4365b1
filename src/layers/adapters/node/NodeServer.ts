/**
 * Lets one of Node's servers (`net`, `http`, `https`, `tls`) take its connections from sessions.
 *
 * Each session that this worker has claimed becomes a stream and is handed to the server with its `connection` event,
 * which is where Node's own sockets come in: whatever the server does with a connection, it does with this one.
 * {@link NodeServer} keeps the connections and the listeners, and answers for the server what its own handle would
 * otherwise be asked. A server of this package's own delegates to it (`SessionHttpServer`); one that a program has made
 * for itself is changed in place (`AdoptedServer`).
 *
 * **How it stops** `close` and a drain by the host have the same effect on connections of an HTTP server: those that
 * are idle are closed, a response whose head is still to be written says `Connection: close`, and a connection that was
 * busy is closed when it goes idle. A client that has connected and sent nothing yet may just be about to send: its
 * connection has until the second look, one to two seconds. A connection that was upgraded is its owner's to close, and
 * so is one of a server that does not speak HTTP.
 *
 * Workers may share a server: see `SharedServer`. Listening and stopping are one state machine, and so one class.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as OwnScope from "../../../services/OwnScope.ts"
import {
  type Listener,
  type ListenFailed,
  noEndpoint,
  type Session,
  type Sessions
} from "../../../services/Sessions.ts"
import * as ListenForms from "./ListenForms.ts"
import * as SessionDuplex from "./SessionDuplex.ts"
import * as SharedServer from "./SharedServer.ts"

/** Milliseconds between two looks at the connections that are left while the server stops. */
const LOOK_INTERVAL = 1000

/** Servers whose connections can be idle. */
type HttpServer = Http.Server | Https.Server

const isHttp = (server: Net.Server): server is HttpServer =>
  server instanceof Http.Server || server instanceof Https.Server

/**
 * A server's part in one worker.
 *
 * **Details** The members that are named as Node's are do what Node's do: see `SessionHttpServer`. `base` is the class
 * of the server, in front of whose own `close` and `closeIdleConnections` these members stand.
 */
export class NodeServer {
  readonly server: Net.Server
  readonly #base: Net.Server
  readonly #sessions: Sessions["Service"]
  readonly #shared: SharedServer.SharedServer
  readonly #streams: SessionDuplex.SessionDuplexOptions
  readonly #open = new Set<SharedServer.ServedConnection>()
  #state: "closed" | "opening" | "listening" | "closing" = "closed"
  #draining = false
  #scope: Scope.Closeable | undefined
  #listeners: ReadonlyArray<Listener> = []
  /** Sessions that come before `listening` is emitted: only from then on does Node keep count of connections. */
  #early: Array<Session> | undefined
  /** Counts up with every `listen` and `close`: the outcome of an earlier call is no longer of interest. */
  #attempt = 0
  #looks: NodeJS.Timeout | undefined
  /** Connections that had sent nothing at the last look. */
  #silent = new Set<SharedServer.ServedConnection>()
  #settling = false
  #onClosed: Array<() => void> = []

  constructor(server: Net.Server, base: Net.Server, sessions: Sessions["Service"]) {
    this.server = server
    this.#base = base
    this.#sessions = sessions
    this.#shared = SharedServer.watch(server)
    const { allowHalfOpen, highWaterMark } = server as Net.ServerOpts
    this.#streams = { allowHalfOpen, highWaterMark }
  }

  /** Whether connections are no longer kept alive: the host drains this worker, or the server closes. */
  get stopping(): boolean {
    return this.#draining || this.#state === "closing"
  }

  get listening(): boolean {
    return this.#state === "opening" || this.#state === "listening"
  }

  /** Endpoint URIs of the listeners, with the ports that were given. */
  get endpoints(): ReadonlyArray<string> {
    return this.#listeners.map((listener) => listener.local)
  }

  address(): Net.AddressInfo | string | null {
    const local = this.#listeners[0]?.local
    return local === undefined ? null : ListenForms.addressOf(local)
  }

  // ---- listening

  listen(args: ReadonlyArray<unknown>): void {
    const callback = args.find((arg) => typeof arg === "function")
    this.#assertClosed()
    if (callback !== undefined) this.server.once("listening", callback as () => void)
    const attempt = ++this.#attempt
    const fiber = Effect.runFork(this.#listen(ListenForms.endpointsOf(args, this.#sessions.endpoints)))
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit) || attempt !== this.#attempt) return
      const error = ListenForms.errorOf(Cause.squash(exit.cause))
      process.nextTick(() => this.server.emit("error", error))
    })
  }

  /**
   * Listens on the endpoints, or, when none are given, on all that the host was told to serve, until the scope closes.
   * Then what is in hand has `closeWithin` to finish. After a drain that time is over: what is left is closed at once.
   */
  listenScoped(
    endpoints: ReadonlyArray<string> = this.#sessions.endpoints,
    closeWithin: Duration.Input = "10 seconds"
  ): Effect.Effect<ReadonlyArray<string>, ListenFailed, Scope.Scope> {
    return Effect.suspend(() => {
      this.#assertClosed()
      return Effect.addFinalizer(() => this.shutdown(closeWithin)).pipe(Effect.andThen(this.#listen(endpoints)))
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
    this.#shared.served.add(this)
    const opened = Effect.forEach(endpoints, (endpoint) => this.#sessions.listen(endpoint, this.#accept)).pipe(
      Effect.map((listeners) => this.#onListening(scope, listeners)),
      Effect.tap(
        this.#sessions.draining.pipe(Effect.andThen(Effect.sync(() => this.drain())), Effect.forkScoped)
      ),
      Effect.onError(() => Effect.sync(() => this.#onOpenFailed(scope)))
    )
    return OwnScope.into(scope, opened)
  }

  #onOpenFailed(scope: Scope.Closeable): void {
    if (this.#scope !== scope || this.#state !== "opening") return
    this.#state = "closed"
    this.#scope = undefined
    this.#shared.served.delete(this)
    for (const session of this.#early ?? []) session.abort()
    this.#early = undefined
  }

  #onListening(scope: Scope.Closeable, listeners: ReadonlyArray<Listener>): ReadonlyArray<string> {
    if (this.#scope === scope && this.#state === "opening") {
      this.#state = "listening"
      this.#listeners = listeners
      process.nextTick(() => {
        if (this.#scope === scope && this.#state === "listening") {
          this.server.emit("listening")
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
    const connection = SharedServer.own(SessionDuplex.fromSession(session, this.#streams), this)
    this.#open.add(connection)
    if (this.stopping) this.#look()
    this.server.emit("connection", connection)
  }

  /** A connection is closed. */
  gone(connection: SharedServer.ServedConnection): void {
    this.#open.delete(connection)
    this.#settled()
  }

  // ---- stopping

  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#stop()
  }

  close(callback?: (error?: Error) => void): void {
    if (this.#state === "closed") return void this.#base.close.call(this.server, callback)
    if (this.#state === "closing") {
      if (callback !== undefined) {
        const error = Object.assign(new Error("the server is not running"), { code: "ERR_SERVER_NOT_RUNNING" })
        this.server.once("close", () => callback(error))
      }
      return
    }
    if (callback !== undefined) this.server.once("close", callback)
    this.#attempt++
    this.#state = "closing"
    this.#serveEarly()
    this.#stop()
    const scope = this.#scope!
    Effect.runFork(Scope.close(scope, Exit.void)).addObserver(() => {
      this.#scope = undefined
      this.#listeners = []
      this.#settled()
    })
  }

  #stop(): void {
    if (isHttp(this.server)) {
      const begun = SharedServer.attend(this.server, this.#shared)
      for (const connection of this.#open) {
        const response = SharedServer.responseOf(connection)
        if (response !== undefined) begun(response)
      }
    }
    for (const response of this.#shared.responses) {
      if ((SharedServer.ownerOf(response) ?? this) === this) response.shouldKeepAlive = false
    }
    this.closeIdleConnections()
    this.#look()
  }

  /**
   * Closes the connections that are idle. A connection is not idle while a request that has come in waits in its fifo,
   * nor before it has sent anything.
   */
  closeIdleConnections(): void {
    if (!isHttp(this.server)) return
    this.#shared.closing = this
    ;(this.#base as HttpServer).closeIdleConnections.call(this.server)
    this.#shared.closing = undefined
  }

  destroyConnections(): void {
    for (const connection of this.#open) connection.destroy()
  }

  getConnections(callback: (error: Error | null, count: number) => void): void {
    process.nextTick(callback, null, this.#open.size)
  }

  /** One look for all responses that end in a turn of the loop. */
  settleSoon(): void {
    if (this.#settling) return
    this.#settling = true
    setImmediate(() => {
      this.#settling = false
      if (this.stopping) this.closeIdleConnections()
    })
  }

  /** Looks again until all connections are gone, since some go idle unnoticed or never send anything. */
  #look(): void {
    if (this.#looks !== undefined || this.#open.size === 0 || !isHttp(this.server)) return
    this.#looks = setInterval(() => {
      this.closeIdleConnections()
      const silent = new Set<SharedServer.ServedConnection>()
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
      this.#shared.served.delete(this)
      // Node's own `close` counts no connections here: it stops its timers and emits `close`
      if (this.#shared.served.size === 0) this.#base.close.call(this.server)
      for (const told of this.#onClosed.splice(0)) process.nextTick(told)
    }
  }

  /** Closes; connections that are left after the time are destroyed. After a drain there is no such time. */
  shutdown(closeWithin: Duration.Input = "10 seconds"): Effect.Effect<void> {
    const closed = Effect.callback<void>((resume) => {
      if (this.#state === "closed") return resume(Effect.void)
      this.#onClosed.push(() => resume(Effect.void))
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
