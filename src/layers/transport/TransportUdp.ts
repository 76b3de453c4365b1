/**
 * UDP: a session is what comes from one address, and goes back to it.
 *
 * **Sessions** A listener has one socket. The first datagram of an address makes a connection, which is offered to a
 * worker like any other: limits, rotor, revocation and hold are the same. What comes before the claim waits. A session
 * ends when no datagram has come or gone for `udpIdleTimeout`: the application reads an end, and has the same time again
 * to end its side. What comes from that address later is a new session. This time is the system's, not the `Clock`'s.
 *
 * **Datagrams** In the fifos each stands whole, as `Datagram` says. One that finds no room in the rx fifo waits, at most
 * `udpPending` of a session and 16 MiB of a listener; what comes then is dropped, and so is what the system does not
 * take. Nothing is dropped without being counted. A half-close is no datagram, so the peer does not hear of it.
 *
 * **The socket** outlives its listener while it has sessions. A listener that comes to the same endpoint meanwhile takes
 * it over.
 *
 * A connect has a socket of its own, connected to its peer: it alone hears of a port that nobody listens on.
 *
 * What a worker writes is copied before it is sent, so its fifo is free at once; at most 64 datagrams of a socket are on
 * their way into the system, and whoever has more takes turns. This module is a hot path.
 */
import * as Effect from "effect/Effect"
import * as Dgram from "node:dgram"
import * as Dns from "node:dns"
import type * as Net from "node:net"
import { isIP } from "node:net"
import * as Datagram from "../../domain/memory/Datagram.ts"
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Address from "../../domain/net/Address.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import * as AppOptions from "../../domain/options/Options.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type {
  ConnectionEnd,
  SharedConnection,
  TransportEndpointOf,
  TransportError,
  TransportListenOptions,
  TransportOf
} from "../../services/Transport.ts"
import * as TcpErrors from "./TcpErrors.ts"

/** Bytes of the datagrams that wait in all sessions of a socket at most. */
const WAITING_BYTES = 16 << 20

/** Datagrams of a socket that the system has not taken yet at most. */
const SENDING = 64

/** Milliseconds without a datagram after which a session ends whose worker is to finish what it has. */
const DRAIN_IDLE = 500

const TAKEN_BACK = "bytes that were there were taken back"

type Udp = TransportEndpointOf<"udp">

/** What of a listener's options is for its sessions. */
type Settings = Pick<ListenerOptions, "udpIdleTimeout" | "udpPending">

// one for all: nothing is done between the use of it and the next
const header = new Uint8Array(Datagram.HEADER)

const uri = (address: string, port: number): string => Address.uri("udp", address, port)

/** A socket and the sessions on it. */
class UdpSocket {
  readonly socket: Dgram.Socket
  local = ""
  /** Takes new peers; `undefined` where nobody listens, or not any more. */
  listen: TransportListenOptions | undefined
  /** Bytes of datagrams that wait in its sessions. */
  waiting = 0
  readonly #peers = new Map<string, UdpConnection>()
  readonly #connections = new Set<UdpConnection>()
  /** Those that have more to send than the system takes now. */
  readonly #blocked = new Set<UdpConnection>()
  readonly #onClosed: (() => void) | undefined
  #sending = 0
  #closed = false
  #countDropped: ((reason: Ledger.DropReason) => void) | undefined

  constructor(socket: Dgram.Socket, onClosed?: () => void) {
    this.socket = socket
    this.#onClosed = onClosed
    socket.on("message", this.#onMessage)
    socket.on("error", this.#onError)
  }

  /** Takes new peers for a listener from now on. */
  serve(listen: TransportListenOptions): void {
    this.listen = listen
    this.#countDropped = listen.dropped
  }

  /** Takes no new peers; the socket goes with its last session. */
  retire(): void {
    this.listen = undefined
    this.#closeIfUnused()
  }

  /** A session of a peer, which the socket is connected to where no address is given. */
  enter(connection: UdpConnection, key: string): void {
    this.#connections.add(connection)
    this.#peers.set(key, connection)
  }

  /** What comes from the peer's address is not the session's any more. */
  forget(connection: UdpConnection): void {
    if (this.#peers.get(connection.key) === connection) this.#peers.delete(connection.key)
  }

  leave(connection: UdpConnection): void {
    this.forget(connection)
    this.#blocked.delete(connection)
    this.#connections.delete(connection)
    this.#closeIfUnused()
  }

  #closeIfUnused(): void {
    if (this.#closed || this.listen !== undefined || this.#connections.size > 0) return
    this.#closed = true
    this.socket.close()
    this.#onClosed?.()
  }

  dropped(reason: Ledger.DropReason): void {
    this.#countDropped?.(reason)
  }

  readonly #onMessage = (bytes: Buffer, { address, port }: Dgram.RemoteInfo): void => {
    // nobody can be answered there, and a send to it throws
    if (port === 0) return this.dropped("not-sent")
    const key = `${address} ${port}`
    const known = this.#peers.get(key)
    if (known !== undefined) return known.receive(bytes)
    const { listen } = this
    if (listen === undefined) return
    const connection = new UdpConnection(this, key, uri(address, port), address, port, listen.listener)
    this.enter(connection, key)
    connection.receive(bytes)
    listen.accept(connection)
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.listen !== undefined) return this.listen.acceptError("other", error.message)
    for (const connection of this.#connections) connection.broken(error)
  }

  /** Whether the system takes no more now; then the session gets its turn. */
  isBlocked(connection: UdpConnection): boolean {
    if (this.#sending < SENDING) return false
    this.#blocked.add(connection)
    return true
  }

  send(bytes: Uint8Array, { address, port }: UdpConnection): void {
    if (this.#closed) return
    this.#sending++
    if (address === undefined) this.socket.send(bytes, this.#onSent)
    else this.socket.send(bytes, port, address, this.#onSent)
  }

  /** Never called from inside a send. */
  readonly #onSent = (error: NodeJS.ErrnoException | null): void => {
    this.#sending--
    if (error !== null) this.#onSendError(error)
    for (const connection of this.#blocked) {
      if (this.#sending >= SENDING) return
      this.#blocked.delete(connection)
      connection.send()
    }
  }

  #onSendError(error: NodeJS.ErrnoException): void {
    const kind = SystemError.kindOf(error)
    this.dropped(kind === "DatagramTooLarge" ? "too-large" : "not-sent")
    // a connected socket hears of its peer on any call
    if (this.listen === undefined && kind === "ConnectionRefused") this.#onError(error)
  }
}

class UdpConnection implements SharedConnection {
  readonly _tag = "Shared"
  readonly about = undefined
  onGone: (() => void) | undefined
  /** Datagrams that were dropped. */
  dropped = 0
  readonly key: string
  readonly remote: string
  /** Where its datagrams go; `undefined` where the socket is connected. */
  readonly address: string | undefined
  readonly port: number
  readonly #socket: UdpSocket
  readonly #settings: Settings
  #end: ConnectionEnd | undefined
  /** What has come and is not in the rx fifo yet. */
  #waiting: Array<Uint8Array> = []
  #resuming = false
  /** Bytes of the datagram that is read from the tx fifo, when its header has been. */
  #length: number | undefined
  /** Nothing more comes: it was idle for too long. */
  #idle = false
  #ending = false
  #closing = false
  #timer: NodeJS.Timeout | undefined
  #closed: { readonly reset: string | undefined } | undefined

  constructor(
    socket: UdpSocket,
    key: string,
    remote: string,
    address: string | undefined,
    port: number,
    settings: Settings
  ) {
    this.#socket = socket
    this.#settings = settings
    this.key = key
    this.remote = remote
    this.address = address
    this.port = port
  }

  get local(): string {
    return this.#socket.local
  }

  open(end: ConnectionEnd): void {
    this.#end = end
    if (this.#closed !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#timer = setTimeout(() => this.#onIdle(), this.#settings.udpIdleTimeout)
    this.resume()
  }

  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      if (!(error instanceof Fifo.FifoCorrupt)) throw error
      const end = this.#end
      this.#end = undefined
      this.#finish(undefined)
      queueMicrotask(() => end?.corrupt(error))
    }
  }

  #drop(reason: Ledger.DropReason): void {
    this.dropped++
    this.#socket.dropped(reason)
  }

  // ---- from the socket to the rx fifo

  receive(bytes: Uint8Array): void {
    if (this.#closing) return
    this.#timer?.refresh()
    const end = this.#end
    if (end === undefined || this.#waiting.length > 0) return this.#wait(bytes)
    this.#guard(() => {
      if (this.#put(end, bytes)) return end.received()
      this.#wait(bytes)
      this.#flush(end)
    })
  }

  /** Puts a datagram into the fifo, whole; `false` when there is no room for it now. */
  #put({ rx }: ConnectionEnd, bytes: Uint8Array): boolean {
    const length = Datagram.HEADER + bytes.length
    if (length > rx.bound) this.#drop("oversized")
    else {
      if (!rx.fits(length)) return false
      rx.enqueue(Datagram.writeLength(header, bytes.length))
      rx.enqueue(bytes)
    }
    return true
  }

  #wait(bytes: Uint8Array): void {
    if (this.#waiting.length >= this.#settings.udpPending || this.#socket.waiting + bytes.length > WAITING_BYTES) {
      return this.#drop(this.#end === undefined ? "not-claimed" : "no-room")
    }
    this.#waiting.push(bytes)
    this.#socket.waiting += bytes.length
  }

  /** Puts what waits into the fifo, as far as there is room; whoever makes some calls {@link resume}. */
  #flush(end: ConnectionEnd): void {
    const { rx } = end
    let received = false
    for (let bytes = this.#waiting[0]; bytes !== undefined; bytes = this.#waiting[0]) {
      const length = Datagram.HEADER + bytes.length
      const wait = length > rx.bound ? "ready" : rx.waitWhole(length)
      if (wait === "memory") end.starved()
      if (wait !== "ready") break
      this.#waiting.shift()
      this.#socket.waiting -= bytes.length
      this.#put(end, bytes)
      received = true
    }
    if (received) end.received()
  }

  resume(): void {
    if (this.#resuming || this.#waiting.length === 0) return
    this.#resuming = true
    queueMicrotask(() => {
      this.#resuming = false
      const end = this.#end
      if (end !== undefined && !this.#closing && this.#closed === undefined) this.#guard(() => this.#flush(end))
    })
  }

  #discard(reason?: Ledger.DropReason): void {
    for (const { length } of this.#waiting) {
      this.#socket.waiting -= length
      if (reason !== undefined) this.#drop(reason)
    }
    this.#waiting = []
  }

  drain(): void {
    if (this.#timer === undefined || this.#idle || this.#closed !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#onIdle(), Math.min(this.#settings.udpIdleTimeout, DRAIN_IDLE))
  }

  /** Nothing has come or gone for a while: the peer's end, and once more the connection's. */
  #onIdle(): void {
    if (this.#idle || this.#closing) return this.#finish(undefined)
    this.#idle = true
    this.#discard("no-room")
    this.#socket.forget(this)
    this.#timer?.refresh()
    this.#end?.ended()
    if (this.#ending) this.send()
  }

  // ---- from the tx fifo to the socket

  send(): void {
    this.#guard(() => {
      this.#end?.tx.clearEvent()
      this.#pump()
    })
  }

  #pump(): void {
    let tell = false
    while (this.#end !== undefined && this.#closed === undefined) {
      const { tx } = this.#end
      if (this.#length === undefined) {
        if (tx.size < Datagram.HEADER) {
          this.#sentAll()
          break
        }
        tell = tx.read(header).tell || tell
        this.#length = Datagram.readLength(header)
      }
      const length = this.#length
      if (length > tx.bound - Datagram.HEADER) {
        this.#finish("the application wrote something else than datagrams; see SessionDatagrams")
        break
      }
      if (tx.size < length) {
        this.#sentAll()
        break
      }
      if (this.#socket.isBlocked(this)) break
      tell = this.#sendOne(tx, length) || tell
    }
    // apart from the call that wrote, as every event is
    if (tell) queueMicrotask(() => this.#end?.room())
  }

  /** Sends what is next in the fifo; the answer is that of the fifo's `drop`. */
  #sendOne(tx: Fifo.FifoConsumer, length: number): boolean {
    this.#length = undefined
    this.#timer?.refresh()
    if (length <= Datagram.LARGEST_UDP) {
      // a copy: the system may take its time, and so the fifo is free at once
      const bytes = new Uint8Array(length)
      const read = tx.read(bytes)
      if (read.bytes < length) throw new Fifo.FifoCorrupt(TAKEN_BACK)
      this.#socket.send(bytes, this)
      return read.tell
    }
    this.#drop("too-large")
    let tell = false
    for (let left = length; left > 0;) {
      const part = tx.peek(left)
      if (part === undefined) throw new Fifo.FifoCorrupt(TAKEN_BACK)
      tell = tx.drop(part.length) || tell
      left -= part.length
    }
    return tell
  }

  /** All that is there whole has been sent: what is left of an end can be done. */
  #sentAll(): void {
    if (this.#closing || (this.#ending && this.#idle)) this.#finish(undefined)
  }

  end(): void {
    this.#ending = true
    this.#guard(() => this.#pump())
  }

  close(): void {
    this.#closing = true
    this.#discard()
    this.end()
  }

  abort(): void {
    this.#finish(ConnectionLoss.GIVEN_UP)
  }

  /** The system says that the peer is not to be reached. */
  broken(error: NodeJS.ErrnoException): void {
    this.#finish(ConnectionLoss.sentence(error))
  }

  #finish(reset: string | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed = { reset }
    clearTimeout(this.#timer)
    this.#discard()
    this.#socket.leave(this)
    queueMicrotask(() => {
      this.onGone?.()
      this.onGone = undefined
      this.#sayClosed()
    })
  }

  #sayClosed(): void {
    const end = this.#end
    this.#end = undefined
    end?.closed(this.#closed?.reset)
  }
}

export interface UdpOptions {
  /** How names become addresses; the system's way by default. */
  readonly lookup?: Net.LookupFunction | undefined
}

const systemLookup: Net.LookupFunction = (host, options, callback) => Dns.lookup(host, options, callback)

/** An address of the host, of the family if one is asked for. */
const addressOf = (
  host: string,
  family: 4 | 6 | undefined,
  lookup: Net.LookupFunction
): Effect.Effect<string, NodeJS.ErrnoException> => {
  if (isIP(host) !== 0) return Effect.succeed(host)
  return Effect.callback((resume) =>
    lookup(host, family === undefined ? {} : { family }, (error, address) => {
      const one = typeof address === "string" ? address : address?.[0]?.address
      if (error !== null) resume(Effect.fail(error))
      else if (one !== undefined) resume(Effect.succeed(one))
      else resume(Effect.fail(SystemError.make("ENOTFOUND", "getaddrinfo")))
    })
  )
}

/** A socket of the address's family. Addresses are never looked up, so a send is done when it returns. */
const openSocket = (address: string, ipv6Only = false): Dgram.Socket =>
  Dgram.createSocket({
    type: address.includes(":") ? "udp6" : "udp4",
    ipv6Only,
    lookup: ((host: string, family: number, done: (error: null, address: string, family: number) => void) =>
      done(null, host, family)) as never
  })

/** Waits for what the socket was told to do. */
const step = (
  socket: Dgram.Socket,
  what: (done: (error?: Error) => void) => void
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    const done = (error?: NodeJS.ErrnoException): void => {
      socket.off("error", done)
      resume(error === undefined || error === null ? Effect.void : Effect.fail(error))
    }
    socket.once("error", done)
    what(done)
    return Effect.sync(() => socket.off("error", done))
  })

const bind = (socket: Dgram.Socket, address: string, port: number) =>
  step(socket, (done) => socket.bind({ address, port, exclusive: true }, () => done()))

/** What serves UDP endpoints. */
export const make = ({ lookup = systemLookup }: UdpOptions = {}): TransportOf<Udp> => {
  /** Sockets by the endpoints that they were bound to: sessions may keep one when its listener is gone. */
  const bound = new Map<string, UdpSocket>()

  const listenAnew = Effect.fnUntraced(function*(endpoint: Udp, address: string, listen: TransportListenOptions) {
    const socket = openSocket(address, listen.ipv6Only)
    yield* bind(socket, address, endpoint.port).pipe(Effect.onError(() => Effect.sync(() => socket.close())))
    const at = socket.address()
    const local = uri(at.address, at.port)
    const served = new UdpSocket(socket, () => bound.delete(local))
    served.local = local
    bound.set(local, served)
    return served
  })

  return {
    listen: Effect.fnUntraced(function*(endpoint, listen) {
      const address = yield* Effect.mapError(
        addressOf(endpoint.host, undefined, lookup),
        (error) => TcpErrors.listenFailed(endpoint, error)
      )
      const left = bound.get(uri(Address.canonical(address), endpoint.port))
      const served = yield* Effect.acquireRelease(
        Effect.map(
          left !== undefined && left.listen === undefined
            ? Effect.succeed(left)
            : listenAnew(endpoint, address, listen),
          (served) => {
            served.serve(listen)
            return served
          }
        ),
        (served) => Effect.sync(() => served.retire()),
        { interruptible: true }
      ).pipe(Effect.mapError((error) => TcpErrors.listenFailed(endpoint, error)))
      return Endpoint.inetOf(served.local) as Udp
    }),
    connect: Effect.fnUntraced(function*(endpoint, { listener = AppOptions.defaults.listener, source } = {}) {
      const fault = source === undefined ? undefined : TcpErrors.sourceFault(endpoint, source)
      if (fault !== undefined) return yield* fault
      const failed = (error: NodeJS.ErrnoException): TransportError => TcpErrors.connectFailed(endpoint, source, error)
      const family = source === undefined ? undefined : Endpoint.family(source)
      const address = yield* Effect.mapError(addressOf(endpoint.host, family, lookup), failed)
      const socket = openSocket(address)
      const connected = Effect.gen(function*() {
        if (source !== undefined && !(Endpoint.isAnyHost(source.host) && source.port === 0)) {
          yield* bind(socket, source.host, source.port)
        }
        yield* step(socket, (done) => socket.connect(endpoint.port, address, done as () => void))
      })
      yield* connected.pipe(Effect.mapError(failed), Effect.onError(() => Effect.sync(() => socket.close())))
      const at = socket.address()
      const peer = socket.remoteAddress()
      const served = new UdpSocket(socket)
      served.local = uri(at.address, at.port)
      const key = `${peer.address} ${peer.port}`
      const connection = new UdpConnection(served, key, uri(peer.address, peer.port), undefined, peer.port, listener)
      served.enter(connection, key)
      return connection
    })
  }
}
