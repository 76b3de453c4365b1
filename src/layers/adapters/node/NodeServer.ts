/**
 * A worker's part in one of Node's servers (`net`, `http`, `https`, `tls`, `http2`): it takes the server's connections
 * from sessions.
 *
 * Each session that this worker has claimed becomes a stream, passes what Node asks of a connection (`maxConnections`,
 * `blockList`), and is handed to the server with its `connection` event, which is where Node's own sockets come in:
 * whatever the server does with a connection, it does with this one. Listening is the server's own, over a
 * {@link HostedHandle}.
 *
 * **How it stops** A drain by the host ends the connections of an HTTP server: those that are idle are closed, a
 * response whose head is still to be written says `Connection: close`, and a connection that was busy is closed when it
 * goes idle. A client that has connected and sent nothing yet may just be about to send: its connection has until the
 * second look, one to two seconds. A connection that was upgraded is its owner's to close, and so is one of a server
 * that does not speak HTTP. What `close` does is up to the server: see `SessionHttpServer` for one that ends in the
 * same way. A connection of HTTP/2 is told to go away, and ends with its last stream.
 *
 * In a drain after which other workers go on, no connection is closed because it is idle: its client may be sending the
 * next request just now. Those that are parked between two requests move (`HttpParking`); the others are answered once
 * more, with `Connection: close`, until the server's `keepAliveTimeout` or the drain's time is over.
 *
 * Workers may share a server: see `SharedServer`. Listening and stopping are one state machine, and so one class.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Diagnostics from "node:diagnostics_channel"
import * as Http from "node:http"
import type * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as OwnScope from "../../../services/OwnScope.ts"
import {
  type Listener,
  type ListenFailed,
  type ListenOptions,
  noEndpoint,
  type Session,
  type Sessions
} from "../../../services/Sessions.ts"
import type * as ListenNow from "../../worker/ListenNow.ts"
import { type HandledServer, HostedHandle, type Part } from "./HostedHandle.ts"
import * as HttpParking from "./HttpParking.ts"
import * as ListenForms from "./ListenForms.ts"
import * as SessionDuplex from "./SessionDuplex.ts"
import * as SessionStream from "./SessionStream.ts"
import * as SharedServer from "./SharedServer.ts"

/** Milliseconds between two looks at the connections that are left while the server stops. */
const LOOK_INTERVAL = 1000

/** Servers whose connections can be idle. */
type HttpServer = Http.Server | Https.Server

/** Whether the connection is parked between two requests, or its socket can go back: `HttpParking` sees to that. */
const isParking = (connection: Net.Socket, session: Session): boolean =>
  connection instanceof SessionDuplex.SessionDuplex ? connection.parks : HttpParking.isReturnable(connection, session)

const isHttp = (server: Net.Server): server is HttpServer =>
  server instanceof Http.Server || server instanceof Https.Server

/** What Node's server was told of its connections. */
interface ConnectionOptions extends Net.ServerOpts {
  readonly maxConnections?: number | null
  readonly blockList?: Net.BlockList
}

/** Where a program listens, in the turn in which it says so. */
export interface ListenOrder {
  readonly now: ListenNow.ListenNow
  readonly endpoints: ReadonlyArray<string>
  /** Listened on in place of the first endpoint, where this machine has no such address. */
  readonly instead: string | undefined
  /** 0 for what the application's options say. */
  readonly backlog: number
  readonly ipv6Only: boolean
}

const served = Diagnostics.channel("net.server.socket")

const isDenied = (blockList: Net.BlockList | undefined, { address, family }: Net.AddressInfo): boolean =>
  Net.isIP(address) !== 0 && blockList?.check(address, family === "IPv4" ? "ipv4" : "ipv6") === true

/** An exception of the program's is one that nobody caught, as it is where Node's own handle calls. */
const raise = (error: unknown): void =>
  process.nextTick(() => {
    throw error
  })

export class NodeServer implements Part {
  readonly server: HandledServer
  readonly #sessions: Sessions["Service"]
  readonly #shared: SharedServer.SharedServer
  readonly #open = new Set<SharedServer.ServedConnection>()
  readonly #http2 = new Set<Http2.Http2Session>()
  readonly #order: ListenOrder | undefined
  #handle: HostedHandle | undefined
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

  /** With an order, the part listens when its handle is told to. */
  constructor(server: Net.Server, sessions: Sessions["Service"], order?: ListenOrder) {
    this.server = server as HandledServer
    this.#sessions = sessions
    this.#shared = SharedServer.watch(server)
    this.#order = order
  }

  /** Whether connections are no longer kept alive: the host drains this worker, or the server closes. */
  get stopping(): boolean {
    return this.#draining || this.#state === "closing"
  }

  /** Whether its peers speak HTTP/1 in the clear: under `https`, what comes here is TLS. */
  get #speaksHttp(): boolean {
    return this.server instanceof Http.Server
  }

  /** Endpoint URIs of the listeners, with the ports that were given. */
  get endpoints(): ReadonlyArray<string> {
    return this.#listeners.map((listener) => listener.local)
  }

  get local(): string | undefined {
    return this.#listeners[0]?.local
  }

  // ---- listening

  /** Listens where `args`, those of Node's `listen`, say; the server says later how that went. */
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
    this.#begin("opening")
    const speaksHttp = this.#speaksHttp
    const opened = Effect.forEach(
      endpoints,
      (endpoint) => this.#sessions.listen(endpoint, this.#accept, { speaksHttp })
    ).pipe(
      Effect.map((listeners) => this.#onListening(scope, listeners)),
      Effect.tap(
        this.#sessions.draining.pipe(Effect.andThen(Effect.sync(() => this.drain())), Effect.forkScoped)
      ),
      Effect.onError(() => Effect.sync(() => this.#onOpenFailed(scope)))
    )
    return OwnScope.into(scope, opened)
  }

  /** Takes the place of Node's handle, or one behind the handle that another worker's part has put there. */
  #begin(state: "opening" | "listening"): void {
    this.#state = state
    this.#early = []
    this.#shared.served.add(this)
    const { server } = this
    this.#handle = HostedHandle.of(server) ?? (server._handle = new HostedHandle())
    this.#handle.join(this)
  }

  #onOpenFailed(scope: Scope.Closeable): void {
    if (this.#scope !== scope || this.#state !== "opening") return
    this.#state = "closed"
    this.#scope = undefined
    this.#shared.served.delete(this)
    if (this.#leave()) this.server._handle = null
    for (const session of this.#early ?? []) session.abort()
    this.#early = undefined
  }

  /** `true` when the server has this handle still, and no other worker's part behind it. */
  #leave(): boolean {
    const handle = this.#handle
    this.#handle = undefined
    return handle !== undefined && handle.leave(this) && this.server._handle === handle
  }

  #onListening(scope: Scope.Closeable, listeners: ReadonlyArray<Listener>): ReadonlyArray<string> {
    if (this.#scope === scope && this.#state === "opening") {
      this.#state = "listening"
      this.#settle(listeners)
      // Node says `listening` a tick later
      if (this.#handle?.isListening === false) this.server._listen2(null, -1, -1, 0)
      this.#serveSoon()
    }
    return listeners.map((listener) => listener.local)
  }

  #settle(listeners: ReadonlyArray<Listener>): void {
    this.#listeners = listeners
    if (this.local !== undefined) this.#handle?.settle(this.server, this.local)
  }

  /** For the handle: listens as it was ordered to, and returns 0 or an error number. */
  bind(): number {
    const order = this.#order
    if (order === undefined || this.#state !== "closed") return 0
    this.#begin("listening")
    const attempt = ++this.#attempt
    const { backlog, endpoints, instead, ipv6Only, now } = order
    const options: ListenOptions = { backlog, ipv6Only, speaksHttp: this.#speaksHttp }
    const listen = (endpoint: string, instead?: string): ListenNow.ListenOutcome | undefined => {
      const outcome = now.listen(endpoint, this.#accept, options, (late) => this.#late(late, attempt))
      const other = instead !== undefined && outcome !== undefined && Result.isFailure(outcome)
        && outcome.failure === "AddressNotAvailable"
      return other ? listen(instead) : outcome
    }
    for (const endpoint of endpoints) {
      const outcome = listen(endpoint, instead)
      if (outcome === undefined) continue
      if (Result.isFailure(outcome)) {
        this.closed()
        return ListenForms.errnoOfListen(outcome.failure)
      }
      this.#settle([...this.#listeners, outcome.success])
    }
    this.#serveSoon()
    return 0
  }

  /** The host could not answer at once. */
  #late(outcome: ListenNow.ListenOutcome, attempt: number): void {
    const isOver = attempt !== this.#attempt
    if (Result.isFailure(outcome)) {
      if (isOver) return
      const code = ListenForms.codeOfListen(outcome.failure)
      this.server.close()
      this.server.emit("error", Object.assign(new Error(`listen ${code}`), { code, syscall: "listen" }))
    } else if (isOver) this.#order?.now.unlisten(outcome.success.handle)
    else this.#settle([...this.#listeners, outcome.success])
  }

  // ---- connections

  readonly #accept = (session: Session): void => {
    if (this.#early === undefined) this.#serve(session)
    else this.#early.push(session)
  }

  /** `listening` comes first. */
  #serveSoon(): void {
    const attempt = this.#attempt
    process.nextTick(() => process.nextTick(() => attempt === this.#attempt && this.#serveEarly()))
  }

  #serveEarly(): void {
    const early = this.#early
    this.#early = undefined
    for (const session of early ?? []) session.resource.runInAsyncScope(this.#serve, this, session)
  }

  /** What Node does with a connection, in Node's order. */
  #serve(session: Session): void {
    const { server } = this
    const options: ConnectionOptions = server
    const { allowHalfOpen, blockList, highWaterMark, keepAlive, keepAliveInitialDelay } = options
    const { maxConnections, noDelay, pauseOnConnect } = options
    const remote = SessionStream.addressOf(session, "remote")
    if (maxConnections !== undefined && maxConnections !== null && server._connections >= maxConnections) {
      this.#say("drop", dropped(remote, SessionStream.addressOf(session, "local")))
      return session.close()
    }
    if (remote !== undefined && isDenied(blockList, remote)) return session.close()
    const socket = SessionDuplex.fromSession(session, { allowHalfOpen, highWaterMark, pauseOnCreate: pauseOnConnect })
    const connection = SharedServer.own(socket, this)
    this.#open.add(connection)
    if (noDelay === true) connection.setNoDelay(true)
    if (keepAlive === true) connection.setKeepAlive(true, (keepAliveInitialDelay ?? 0) * 1000)
    // the socket takes itself out of the count
    server._connections++
    Object.assign(connection, { server, _server: server })
    if (this.stopping) this.#look()
    // a server that would do the handshake itself is given what it has after one
    const isSecure = session.about.tls !== undefined && server instanceof Tls.Server
    this.#say(isSecure ? "secureConnection" : "connection", connection)
    if (isHttp(server)) HttpParking.watch(connection, session, server)
    if (served.hasSubscribers) served.publish({ socket: connection })
  }

  #say(event: string, about: object | undefined): void {
    try {
      this.server.emit(event, about)
    } catch (error) {
      raise(error)
    }
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
    for (const session of this.#http2) session.close()
    this.stop()
  }

  /** A connection has become one of HTTP/2. In a drain, it has the time of one request. */
  begins(session: Http2.Http2Session): void {
    this.#http2.add(session)
    session.once("close", () => this.#http2.delete(session))
    if (this.#draining) session.once("stream", () => session.close())
  }

  /** For the handle: the server is closed. Connections go on. */
  closed(): void {
    this.#handle?.leave(this)
    this.#handle = undefined
    this.#end()
  }

  /** Stops: the server is about to close, and its connections are to end as they do in a drain. */
  close(): void {
    this.closed()
    this.stop()
  }

  /** Ends listening. */
  #end(): void {
    if (this.#state === "closed" || this.#state === "closing") return
    this.#attempt++
    this.#state = "closing"
    for (const session of this.#early ?? []) session.abort()
    this.#early = undefined
    const { server } = this
    const scope = this.#scope
    const over = (): void => {
      this.#scope = undefined
      this.#listeners = []
      this.#settled()
    }
    if (scope === undefined) {
      for (const { handle } of this.#listeners) this.#order?.now.unlisten(handle)
      return over()
    }
    // for Node this is one more connection: it does not say `close` before the listener is gone
    server._connections++
    Effect.runFork(Scope.close(scope, Exit.void)).addObserver(() => {
      server._connections--
      over()
      if (server._handle === null) server._emitCloseIfDrained()
    })
  }

  /** Whether another worker, or another host, goes on with the connection once it is between two requests (X1). */
  #isLeft(connection: Net.Socket): boolean {
    const session = SessionDuplex.sessionOf(connection)
    return session !== undefined && isParking(connection, session) && this.#othersGoOn(connection)
  }

  /** Whether, in a drain, others serve what a connection such as this one would be, whether it can go to them or not. */
  #othersGoOn(connection: Net.Socket): boolean {
    if (!this.#draining || this.#state === "closing") return false
    const session = SessionDuplex.sessionOf(connection)
    return session !== undefined && Effect.runSync(this.#sessions.handsOver(session))
  }

  /** Whether the connection ends with the response that is under way. */
  endsAfter(connection: Net.Socket): boolean {
    return this.stopping && !this.#isLeft(connection)
  }

  /** Connections are no longer kept alive: see the head of this module. */
  stop(): void {
    if (isHttp(this.server)) {
      const begun = SharedServer.attend(this.server, this.#shared)
      for (const connection of this.#open) {
        const response = SharedServer.responseOf(connection)
        if (response !== undefined) begun(response)
      }
    }
    this.#closeIdle()
    this.#look()
  }

  /** Closes what is idle, unless others go on: then sockets go back to the host. */
  #closeIdle(): void {
    const idle = this.#closeIdleBut((connection) => this.#othersGoOn(connection))
    if (this.#draining) { for (const connection of idle) this.#giveBack(connection) }
  }

  /** One that is idle, or has sent nothing yet. */
  #giveBack(connection: SharedServer.ServedConnection): void {
    if (!this.#isLeft(connection) || SharedServer.responseOf(connection) !== undefined) return
    HttpParking.giveBack(connection, SessionDuplex.sessionOf(connection))
  }

  /**
   * Closes the connections that are idle. A connection is not idle while a request that has come in waits in its fifo,
   * nor before it has sent anything; those of other workers are theirs.
   */
  closeIdleConnections(): void {
    this.#closeIdleBut((connection) => this.#isLeft(connection))
  }

  /** Returns those of this worker's that are idle and were kept. */
  #closeIdleBut(
    isKept: (connection: SharedServer.ServedConnection) => boolean
  ): ReadonlyArray<SharedServer.ServedConnection> {
    if (!isHttp(this.server)) return []
    const kept: Array<SharedServer.ServedConnection> = []
    for (const part of this.#shared.served) {
      for (const connection of part.#open) {
        if (part !== this || SharedServer.isAsking(connection) || isKept(connection)) kept.push(connection)
      }
    }
    const spared = SharedServer.keeping(kept, () => Http.Server.prototype.closeIdleConnections.call(this.server))
    // what has sent nothing yet is idle to some releases of Node, and to others not
    const silent = [...this.#open].filter(({ bytesRead, destroyed }) => bytesRead === 0 && !destroyed)
    return [...new Set([...spared, ...silent])].filter((connection) => this.#open.has(connection))
  }

  destroyConnections(): void {
    for (const connection of this.#open) connection.destroy()
  }

  /** One look for all responses that end in a turn of the loop. */
  settleSoon(): void {
    if (this.#settling) return
    this.#settling = true
    setImmediate(() => {
      this.#settling = false
      if (this.stopping) this.#closeIdle()
    })
  }

  /** Looks again until all connections are gone, since some go idle unnoticed or never send anything. */
  #look(): void {
    if (this.#looks !== undefined || this.#open.size === 0 || !isHttp(this.server)) return
    this.#looks = setInterval(() => {
      this.#closeIdle()
      const silent = new Set<SharedServer.ServedConnection>()
      for (const connection of this.#open) {
        if (connection.bytesRead > 0 || this.#othersGoOn(connection)) continue
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
    if (this.#state !== "closing" || this.#scope !== undefined) return
    this.#state = "closed"
    this.#shared.served.delete(this)
    // with the last part the server closes: it stops its timers and emits `close`
    if (this.#leave()) this.server.close()
    for (const told of this.#onClosed.splice(0)) process.nextTick(told)
  }

  /** Closes; connections that are left after the time are destroyed. After a drain there is no such time. */
  shutdown(closeWithin: Duration.Input = "10 seconds"): Effect.Effect<void> {
    const closed = Effect.callback<void>((resume) => {
      if (this.#state === "closed") return resume(Effect.void)
      this.#onClosed.push(() => resume(Effect.void))
      this.#end()
      this.stop()
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

/** What a server says of a connection that it has no room for. */
const dropped = (
  remote: Net.AddressInfo | undefined,
  local: Net.AddressInfo | undefined
): Net.DropArgument | undefined => {
  if (remote === undefined || local === undefined) return undefined
  return {
    localAddress: local.address,
    localPort: local.port,
    localFamily: local.family,
    remoteAddress: remote.address,
    remotePort: remote.port,
    remoteFamily: remote.family
  }
}
