/**
 * TCP over Node's sockets.
 *
 * **Reading** Node can be told where to read to (`onread`). All connections that are idle, or whose reads are small,
 * read into one scratch buffer, and what came is copied into the rx fifo: an idle connection holds no fifo memory. A
 * connection whose last read was large has its next read go straight into the fifo. Sockets of a server can't be given
 * `onread` by public means, so the server's handle is asked for the connection's; where the runtime does not have it
 * that way, `data` events and a copy do the same. A full fifo stops the reading, and so the peer's window closes.
 *
 * **Writing** A stretch of the tx fifo is written to the socket without a copy, one at a time. Node may still be
 * reading that memory until the write's callback, so the fifo's head moves only there. A small write is mostly taken by
 * the system at once, which shows in nothing being left to write: then there is nothing to be called back for.
 *
 * This module is a hot path.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Util from "node:util"
import * as Fifo from "../../domain/memory/Fifo.ts"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as Address from "../../domain/net/Address.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import {
  type Connection,
  type ConnectionEnd,
  type SharedConnection,
  type Transport,
  type TransportEndpointOf,
  type TransportError,
  type TransportListenOptions,
  type TransportOf
} from "../../services/Transport.ts"
import { Handshakes } from "./Handshakes.ts"
import * as TcpErrors from "./TcpErrors.ts"
import * as TcpMovable from "./TcpMovable.ts"
import * as Transports from "./Transports.ts"

/** Bytes of the buffer that small reads of all connections go through. */
const SCRATCH = 65536
/** A read of at least this many bytes lets the next one go straight into the fifo. */
const LARGE_READ = 8192

/**
 * Milliseconds that each address of a name has but the last, which has the system's time. Node gives an attempt up for
 * good when it tries the next address, so this is long enough for a first packet that was lost to be sent again.
 */
const ATTEMPT_TIMEOUT = 2000

/** A write of at least this many bytes is often more than the system takes at once. */
const LARGE_WRITE = 16384

/** Milliseconds that a connection which was given up may stand still before it is reset. */
export const LINGER_TIME = 5000

// not a Buffer: a part of one takes three times as long to make
const scratch = new Uint8Array(SCRATCH)
const nothing = new Uint8Array(0)

/** Whether accepted connections read straight into their fifos. */
export type Reading = "onread" | "copy"

/** A socket's way back to its connection. What listens to a socket is shared by all of them: idle ones are many. */
const owner = Symbol("connection")

interface OwnedSocket extends Net.Socket {
  [owner]?: TcpConnection
  /** Not public: asked for an address, it answers without keeping it on the socket, as the socket itself does. */
  readonly _handle?:
    | { readonly [which in "getpeername" | "getsockname"]?: (out: Net.AddressInfo | object) => number }
    | null
}

function onError(this: OwnedSocket, error: Error): void {
  this[owner]?.onError(error)
}

function onEnd(this: OwnedSocket): void {
  this[owner]?.onEnd()
}

function onClose(this: OwnedSocket): void {
  this[owner]?.onClose()
}

function onData(this: OwnedSocket, bytes: Buffer): void {
  this[owner]?.onData(bytes)
}

/** Has a socket read by events, once it is resumed. */
export const readByEvents = (socket: Net.Socket): Net.Socket => socket.on("data", onData).pause()

/** Whose read has just been dealt with. */
let reading: TcpConnection | undefined

/** Lets Node read into memory of ours. Right after each `callback` Node asks with `buffer` where the next read goes. */
export const onread = {
  buffer: (): Uint8Array => {
    const connection = reading
    reading = undefined
    return connection === undefined ? scratch : connection.arm()
  },
  callback(this: OwnedSocket, bytes: number): boolean {
    reading = this[owner]
    return reading === undefined ? false : reading.onRead(bytes)
  }
}

/** What is known of a connection from what came before it. */
export interface ConnectionAbout {
  readonly transport: "tcp" | "tls" | "unix"
  /** Endpoint URIs, where they are not the socket's or are known already; of a Unix socket both. */
  readonly remote?: string | undefined
  readonly local?: string | undefined
  readonly about?: SessionAbout | undefined
  /** The socket below, where this is one of TLS: what the peer is to see as a reset, it has to do. */
  readonly below?: Net.Socket | undefined
}

const plain: ConnectionAbout = { transport: "tcp" }

/** The addresses of a path's connection are known from the start, and never asked for. */
const inetOf = (transport: ConnectionAbout["transport"]): "tcp" | "tls" => transport === "tls" ? "tls" : "tcp"

/**
 * A connection over a socket of TCP, of TLS above one, or of a path, which is paused and read by events or by
 * {@link onread}.
 */
export class TcpConnection implements SharedConnection {
  readonly _tag = "Shared"
  onGone: (() => void) | undefined
  readonly #lingerTime: number
  readonly #socket: OwnedSocket
  readonly #known: ConnectionAbout
  #end: ConnectionEnd | undefined
  /** Where the armed read goes, when it goes straight into the fifo. */
  #armed: Uint8Array | undefined
  #large = false
  /** What was read and has not found room yet. */
  #left: Uint8Array | undefined
  #paused = true
  #resuming = false
  #writing = 0
  #ending = false
  #closing = false
  #error: NodeJS.ErrnoException | undefined
  #onWritten: ((error?: Error | null) => void) | undefined
  /** The addresses, once they were asked for: the system forgets them when the connection breaks. */
  #remote: Address.PackedAddress | undefined
  #local: Address.PackedAddress | undefined
  /** Set when the socket has closed: why it broke, if it did. */
  #closed: { readonly reset: string | undefined } | undefined

  constructor(socket: Net.Socket, lingerTime: number, local?: Address.PackedAddress, known = plain) {
    this.#lingerTime = lingerTime
    this.#known = known
    this.#remote = known.remote
    this.#local = known.local ?? local
    this.#socket = socket
    this.#socket[owner] = this
    socket.setNoDelay(true)
    socket.on("error", onError)
    socket.on("end", onEnd)
    socket.on("close", onClose)
  }

  /** Asks for the addresses, for whoever asks later; `false` when the peer is gone already. */
  keepAddresses(): boolean {
    this.#local ??= this.#ask("getsockname")
    this.#remote ??= this.#ask("getpeername")
    return this.#remote !== undefined
  }

  get about(): SessionAbout | undefined {
    return this.#known.about
  }

  get remote(): string {
    return Address.unpack(inetOf(this.#known.transport), this.#remote ??= this.#ask("getpeername"))
  }

  get local(): string {
    return Address.unpack(inetOf(this.#known.transport), this.#local ??= this.#ask("getsockname"))
  }

  #ask(which: "getpeername" | "getsockname"): Address.PackedAddress | undefined {
    const transport = inetOf(this.#known.transport)
    const out: { address?: string; port?: number } = {}
    if (this.#socket._handle?.[which]?.(out) === 0) return Address.pack(transport, out.address, out.port)
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket
    return which === "getpeername"
      ? Address.pack(transport, remoteAddress, remotePort)
      : Address.pack(transport, localAddress, localPort)
  }

  open(end: ConnectionEnd): void {
    this.#end = end
    if (this.#closed !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#paused = false
    // one that was read from before may have told of its end already
    if (this.#socket.readableEnded) queueMicrotask(() => this.onEnd())
    this.#socket.resume()
  }

  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#broken(error)
    }
  }

  #broken(error: unknown): void {
    if (!(error instanceof Fifo.FifoCorrupt)) throw error
    const end = this.#end
    this.#end = undefined
    this.abort()
    queueMicrotask(() => end?.corrupt(error))
  }

  // ---- from the socket to the rx fifo

  /** Where the next read goes; Node asks right after each read, and keeps it for the next one. */
  arm(): Uint8Array {
    try {
      return this.#nextRead()
    } catch (error) {
      this.#broken(error)
      return scratch
    }
  }

  #nextRead(): Uint8Array {
    this.#armed = undefined
    if (this.#end === undefined || this.#closing) return scratch
    const { rx } = this.#end
    if (this.#paused) return scratch.subarray(0, Math.min(SCRATCH, rx.part))
    const room = rx.room
    if (this.#large && room >= LARGE_READ) {
      const region = rx.reserve(SCRATCH)
      if (region !== undefined && region.length >= LARGE_READ) return this.#armed = region
      if (region !== undefined) rx.commit(0)
    }
    return room >= SCRATCH ? scratch : scratch.subarray(0, Math.max(1, room))
  }

  onRead(bytes: number): boolean {
    const end = this.#end
    if (end === undefined || this.#closing) return !this.#paused
    try {
      this.#large = bytes >= LARGE_READ
      if (this.#armed !== undefined) {
        this.#armed = undefined
        end.rx.commit(bytes)
      } else this.#take(end, scratch, bytes)
      end.received()
      this.#pauseIfFull(end)
    } catch (error) {
      this.#broken(error)
    }
    return !this.#paused
  }

  onData(bytes: Uint8Array): void {
    this.#guard(() => {
      const end = this.#end
      if (end === undefined || this.#closing) return
      this.#take(end, bytes, bytes.length)
      end.received()
      this.#pauseIfFull(end)
      if (!this.#paused) return
      this.#socket.pause()
      // back to the socket: it tells of its end once it has no bytes, and what is left would come after that
      if (this.#left !== undefined) this.#socket.unshift(this.#left)
      this.#left = undefined
    })
  }

  #take({ rx }: ConnectionEnd, from: Uint8Array, bytes: number): void {
    const whole = bytes === from.length ? from : from.subarray(0, bytes)
    const taken = rx.enqueue(whole)
    if (taken < bytes) this.#left = new Uint8Array(whole.subarray(taken))
  }

  /** Stops reading while there is no room; whoever makes some calls {@link resume}. */
  #pauseIfFull(end: ConnectionEnd): void {
    const { rx } = end
    while (this.#left !== undefined || rx.room === 0) {
      const wait = rx.wait()
      if (wait !== "ready") {
        this.#paused = true
        if (wait === "memory") end.starved()
        return
      }
      const left = this.#left
      this.#left = undefined
      if (left === undefined) continue
      this.#take(end, left, left.length)
      // whoever made the room may have read all there was, and does not look again by itself
      end.received()
    }
    this.#paused = false
  }

  resume(): void {
    if (!this.#paused || this.#closing || this.#resuming) return
    this.#resuming = true
    queueMicrotask(() => this.#goOn())
  }

  /** Apart from the call that asked for it, since it tells of bytes. */
  #goOn(): void {
    this.#resuming = false
    if (!this.#paused || this.#closing) return
    this.#guard(() => {
      const end = this.#end
      if (end === undefined) return
      const left = this.#left
      this.#left = undefined
      if (left !== undefined) {
        this.#take(end, left, left.length)
        end.received()
      }
      this.#pauseIfFull(end)
      if (!this.#paused) this.#socket.resume()
    })
  }

  onEnd(): void {
    if (!this.#closing) this.#end?.ended()
  }

  // ---- from the tx fifo to the socket

  send(): void {
    try {
      this.#end?.tx.clearEvent()
      this.#pump()
    } catch (error) {
      this.#broken(error)
    }
  }

  #pump(): void {
    const end = this.#end
    const socket = this.#socket
    if (end === undefined) return
    while (this.#writing === 0 && !socket.destroyed && socket.errored === null) {
      const bytes = end.tx.peek()
      if (bytes === undefined) {
        if (this.#ending) socket.end()
        return
      }
      // where the fifo's end is in between, one write of two parts
      const rest = end.tx.rest(bytes.length)
      const length = bytes.length + (rest?.length ?? 0)
      if (rest !== undefined) {
        socket.cork()
        socket.write(bytes)
      }
      const last = rest ?? bytes
      // TLS takes nothing at once
      const isSmall = length < LARGE_WRITE && this.#known.below === undefined
      if (isSmall) {
        socket.write(last)
        if (rest !== undefined) socket.uncork()
        if (socket.writableLength === 0) {
          // apart from the call that wrote, as every event is
          if (end.tx.drop(length)) queueMicrotask(() => this.#end?.room())
          continue
        }
      }
      this.#writing = length
      this.#onWritten ??= (error) => this.#written(error)
      // a small one is on its way already: what comes after it is written when it is
      socket.write(isSmall ? nothing : last, this.#onWritten)
      if (rest !== undefined && !isSmall) socket.uncork()
    }
  }

  #written(error?: Error | null): void {
    const written = this.#writing
    this.#writing = 0
    if (error || this.#socket.destroyed) return
    this.#guard(() => {
      if (this.#end?.tx.drop(written) === true) this.#end.room()
      this.#pump()
    })
  }

  end(): void {
    this.#ending = true
    this.#guard(() => this.#pump())
  }

  // the peer of a stream ends it
  drain(): void {}

  // a stream has no datagrams to drop
  get dropped(): number {
    return 0
  }

  close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#left = undefined
    this.#armed = undefined
    // what comes in now is dropped, for which no room is needed
    this.#paused = false
    // a peer that neither reads nor ends is not waited for without end
    this.#socket.setTimeout(this.#lingerTime, () => this.abort())
    this.#socket.resume()
    this.end()
  }

  abort(): void {
    this.#closing = true
    const socket = this.#socket
    if (socket.destroyed) return
    // of a path the system knows no reset: what is broken just ends
    if (socket.connecting || this.#known.transport === "unix") return void socket.destroy()
    const lowest = this.#known.below ?? socket
    if (!socket.writableEnded || socket.writableFinished) return void lowest.resetAndDestroy()
    // the system refuses to reset a socket while its end goes out, and the socket would then never close
    socket.once("finish", () => lowest.resetAndDestroy())
    // the end of TLS is bytes, which a peer that does not read never takes
    if (lowest !== socket) socket.setTimeout(this.#lingerTime, () => lowest.destroy())
  }

  onError(error: Error): void {
    this.#error = error
  }

  onClose(): void {
    const whole = this.#error === undefined && this.#socket.readableEnded && this.#socket.writableFinished
    this.#closed = { reset: whole ? undefined : ConnectionLoss.sentence(this.#error) }
    this.onGone?.()
    this.onGone = undefined
    this.#sayClosed()
  }

  #sayClosed(): void {
    const end = this.#end
    this.#end = undefined
    end?.closed(this.#closed?.reset)
  }
}

/** A server's handle, as far as it is used; it is not public, so every use asks first. */
interface ServerHandle {
  onconnection?: (this: unknown, status: number, handle: TcpMovable.TcpHandle | undefined) => void
}

export interface TcpOptions {
  /** `"onread"` (default): read straight into fifos where the runtime allows it. `"copy"`: never. */
  readonly reading?: Reading | undefined
  /** Milliseconds that a connection which was given up may stand still before it is reset; default 5000. */
  readonly lingerTime?: number | undefined
  /** How names that are connected to become addresses; the system's way by default. */
  readonly lookup?: Net.LookupFunction | undefined
  /** Called once per listener with the way that its connections are read. */
  readonly onReading?: ((reading: Reading) => void) | undefined
}

/** Any source address with no port is none to bind to: it only says which of a name's addresses count. */
const connectOptions = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  { lookup, onread }: Parameters<typeof dial>[2]
): Net.TcpNetConnectOpts => ({
  host: endpoint.host,
  port: endpoint.port,
  allowHalfOpen: true,
  autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT,
  ...(onread !== undefined && { onread }),
  ...(lookup !== undefined && { lookup }),
  ...(source !== undefined && {
    family: Endpoint.family(source) ?? 0,
    ...(!Endpoint.isAnyHost(source.host) && { localAddress: source.host }),
    ...(source.port !== 0 && { localPort: source.port })
  })
})

/** A server that listens until the scope closes. What it accepts is paused. */
export const serverOf = (
  endpoint: Endpoint.InetEndpoint,
  listen: TransportListenOptions
): Effect.Effect<Net.Server, TransportError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Server, TransportError>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
      const onError = (error: NodeJS.ErrnoException) => resume(Effect.fail(TcpErrors.listenFailed(endpoint, error)))
      server.once("error", onError)
      const { backlog, ipv6Only } = listen
      server.listen({ host: endpoint.host, port: endpoint.port, backlog, ipv6Only }, () => {
        server.off("error", onError)
        server.on(
          "error",
          (error: NodeJS.ErrnoException) => listen.acceptError(TcpErrors.acceptError(error.code), error.message)
        )
        resume(Effect.succeed(server))
      })
      // the lookup of a name takes its time
      return Effect.sync(() => server.close())
    }),
    (server) => Effect.sync(() => server.close()),
    { interruptible: true }
  )

/** Where a server listens: a name has become an address by now; there is none when the scope has closed meanwhile. */
export const boundTo = <E extends Endpoint.InetEndpoint>(endpoint: E, server: Net.Server): E => {
  const bound = server.address() as Net.AddressInfo | null
  return bound === null ? endpoint : { ...endpoint, host: bound.address, port: bound.port }
}

/** Takes a server's connections that have something before their sessions. */
export const acceptAfter = (
  server: Net.Server,
  options: Pick<Handshakes["options"], "listen" | "transport" | "acceptor">,
  lingerTime: number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { listen, transport } = options
    const handshakes = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Handshakes({
          ...options,
          arrived: ({ socket, ...known }) => {
            listen.accept(new TcpConnection(readByEvents(socket), lingerTime, undefined, { transport, ...known }))
          }
        })
      ),
      (handshakes) => Effect.sync(() => handshakes.close())
    )
    server.on("connection", (socket) => handshakes.take(socket))
  })

/**
 * Connects, and goes on with the socket, which is paused, in the same step: `then` is given what to call with the
 * outcome, and returns what undoes it.
 */
export const dial = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  options: Pick<TcpOptions, "lookup"> & { readonly onread?: typeof onread },
  then: (
    socket: Net.Socket,
    resume: (outcome: Effect.Effect<SharedConnection, TransportError>) => void
  ) => () => void
): Effect.Effect<SharedConnection, TransportError> =>
  Effect.callback<SharedConnection, TransportError>((resume) => {
    const fail = (error: TransportError): void => resume(Effect.fail(error))
    const fault = source === undefined ? undefined : TcpErrors.sourceFault(endpoint, source)
    if (fault !== undefined) return fail(fault)
    const onError = (error: NodeJS.ErrnoException) => fail(TcpErrors.connectFailed(endpoint, source, error))
    const opened = Result.try({
      try: () => Net.connect(connectOptions(endpoint, source, options)),
      catch: (error) => error as NodeJS.ErrnoException
    })
    if (Result.isFailure(opened)) return onError(opened.failure)
    const socket = opened.success
    socket.pause()
    socket.once("error", onError)
    let undo = (): void => void socket.destroy()
    socket.once("connect", () => {
      socket.off("error", onError)
      undo = then(socket, resume)
    })
    // an error that is under way finds its listener, and a fiber that hears of nothing any more
    return Effect.sync(() => undo())
  })

/** What is wrong with a connection that has just been made, as the system would say it; `undefined` when it stands. */
export const standing = (connection: TcpConnection): NodeJS.ErrnoException | undefined => {
  if (!connection.keepAddresses()) return SystemError.make("ECONNRESET", "connect")
  // where nobody listens, the system may give a connect the very port that it goes to, and it meets itself
  return connection.local === connection.remote ? SystemError.make("ECONNREFUSED", "connect") : undefined
}

/** Why a listener's connections can't move to the threads of workers. */
export const immovable = (_endpoint: Endpoint.InetEndpoint, { proxyTrust }: TransportListenOptions["listener"]) =>
  proxyTrust.length > 0 ? "the host reads PROXY protocol headers (proxyTrust)" : TcpMovable.immovable()

/** What a listener accepts, as a socket that is paused and reads where we say, or else by events. */
export const readable = (accepted: Accepted): Net.Socket => {
  if (accepted instanceof Net.Socket) return readByEvents(accepted)
  const options = { handle: accepted, allowHalfOpen: true, pauseOnCreate: true, onread }
  return new Net.Socket(options as unknown as Net.SocketConstructorOpts)
}

/** A connection as its listener's server gives it: as a handle where the runtime has it that way. */
export type Accepted = Net.Socket | TcpMovable.TcpHandle

/**
 * Takes a server's connections as they are: from its handle, so that each gets one socket, and one that reads where we
 * say, or none, where it moves; where the runtime does not have it that way, as the server gives them.
 */
export const acceptAll = (
  server: Net.Server,
  listen: TransportListenOptions,
  { onReading, reading }: TcpOptions,
  connect: (accepted: Accepted) => Connection
): void => {
  const handle = (server as unknown as { readonly _handle?: ServerHandle })._handle
  if (reading === "copy" || typeof handle?.onconnection !== "function") {
    server.on("connection", (socket) => listen.accept(connect(socket)))
    return onReading?.("copy")
  }
  handle.onconnection = (status, accepted) => {
    if (status === 0 && accepted !== undefined) return listen.accept(connect(accepted))
    const code = status === 0 ? undefined : Util.getSystemErrorName(status)
    listen.acceptError(TcpErrors.acceptError(code), code ?? "no connection")
  }
  onReading?.("onread")
}

/** Takes the connections of a server of TCP: their bytes are read here, or they move. */
export const acceptInet = (
  server: Net.Server,
  listen: TransportListenOptions,
  transport: "tcp" | "tls",
  options: TcpOptions
): void => {
  const bound = server.address() as Net.AddressInfo | null
  if (bound === null) return
  // where the listener has one address, so have its connections
  const local = Endpoint.isAnyHost(bound.address) ? undefined : Address.pack(transport, bound.address, bound.port)
  const localUri = local === undefined ? undefined : Address.unpack(transport, local)
  const { lingerTime = LINGER_TIME } = options
  acceptAll(
    server,
    listen,
    options,
    listen.listener.placement === "transfer"
      ? (accepted) => new TcpMovable.TcpMovable(accepted, transport, localUri)
      : (accepted) => new TcpConnection(readable(accepted), lingerTime, local)
  )
}

/**
 * What serves TCP endpoints.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: TcpOptions = {}): TransportOf<TransportEndpointOf<"tcp">> => {
  const lingerTime = options.lingerTime ?? LINGER_TIME

  return {
    immovable,
    listen: Effect.fnUntraced(function*(endpoint, listen) {
      const server = yield* serverOf(endpoint, listen)
      if (listen.listener.proxyTrust.length > 0) {
        yield* acceptAfter(server, { listen, transport: "tcp", acceptor: undefined }, lingerTime)
        options.onReading?.("copy")
        return boundTo(endpoint, server)
      }
      acceptInet(server, listen, "tcp", options)
      return boundTo(endpoint, server)
    }),
    connect: (endpoint, { source } = {}) =>
      dial(endpoint, source, { ...options, onread }, (socket, resume) => {
        const connection = new TcpConnection(socket, lingerTime)
        const error = standing(connection)
        if (error === undefined) resume(Effect.succeed(connection))
        else {
          connection.abort()
          resume(Effect.fail(TcpErrors.connectFailed(endpoint, source, error)))
        }
        return () => connection.abort()
      })
  }
}

/**
 * TCP alone.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: TcpOptions): Layer.Layer<Transport> => Transports.layer({ tcp: make(options) })
