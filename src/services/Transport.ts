/**
 * Moves bytes between connections and fifos. A transport knows nothing about workers, offers or congestion: it is given
 * the host's ends of a session's fifos and reports what happens to the connection.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"
import type * as Fifo from "../domain/memory/Fifo.ts"
import type { FifoConsumer } from "../domain/memory/FifoConsumer.ts"
import type { FifoProducer } from "../domain/memory/FifoProducer.ts"
import type { SessionAbout } from "../domain/memory/SessionAbout.ts"
import type { InetEndpoint, TransportEndpoint } from "../domain/net/Endpoint.ts"
import type { SocketOption } from "../domain/net/SocketOption.ts"
import type { ListenerOptions } from "../domain/options/ListenerOptions.ts"
import type { TlsClientOptions } from "../domain/options/TlsClientOptions.ts"
import type * as Ledger from "../domain/state/Ledger.ts"
import * as Refusal from "../domain/state/Refusal.ts"
import type { DatagramRelay, RelayedDatagram } from "../domain/takeover/DatagramRelay.ts"
import type { CertificateEntry } from "./Certificates.ts"

/**
 * What the transport reports about a connection. Never called from inside a call to the connection, but for `sent`, which
 * only counts.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionEvents {
  /** Bytes were put into the rx fifo. `bytes`: how many have come from the peer, which no session was told of. */
  received(bytes: number): void
  /** Bytes of the tx fifo are on their way to the peer: how many, at least one. */
  sent(bytes: number): void
  /** Bytes were taken from the tx fifo, and its producer was waiting for that. */
  room(): void
  /** There is no memory for the rx fifo: call {@link SharedConnection.resume} when there may be some again. */
  starved(): void
  /** The peer has ended its side, after the last byte in the rx fifo. Called once. */
  ended(): void
  /**
   * The connection is gone: `reset` is a sentence that says why it broke, absent if it did not, and `ended` the reason if
   * the transport itself has ended it. The last event.
   */
  closed(reset: string | undefined, ended?: Ledger.EndReason): void
  /** The fifo's other side wrote nonsense: see `Fifo.Corrupt`. The connection has been broken. */
  corrupt(error: Fifo.FifoCorrupt): void
}

/**
 * The session that a connection moves bytes for: the host's ends of its fifos, made when they are first asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionEnd extends ConnectionEvents {
  readonly rx: FifoProducer
  readonly tx: FifoConsumer
}

/**
 * A connection's socket on its way to the thread of the worker that has claimed it; nothing has been read from it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Moving {
  /** What is posted to another thread, and also belongs in the post's transfer list. */
  readonly posted: object
  /** The socket, on this thread; it may be posted in place of `posted`. */
  readonly take: () => Net.Socket
  /** Whether it is still on this thread. A post that lacked descriptors leaves it here, and says nothing. */
  readonly isHere: boolean
  /** Breaks the connection: the peer sees a reset. */
  readonly destroy: () => void
}

/** What every connection of a transport has. */
interface AnyConnection {
  /**
   * The socket of a connection that is not open, to be sent to another process (X4), and what was read from it and no
   * session has had; `undefined` where the connection can't go there, as one of TLS, or not now, as one with bytes that
   * are still to be sent. The connection is as it was. Absent where none of a transport's connections can go.
   */
  lend?(): LentSocket | undefined
  /** It is on its way to another process: what comes for it from now on is for that one. Absent where nothing can come. */
  setOff?(): void
  /** Another process has the connection: it ends here, and its peer notices nothing. */
  letGo?(): void
  /** Endpoint URIs of the peer and of this end. */
  readonly remote: string
  readonly local: string
  /** Whether its IPv4 addresses, which the URIs write as IPv4, are those of an IPv6 socket. */
  readonly mapped: boolean
  /** What the worker is told about the connection besides its addresses. */
  readonly about: SessionAbout | undefined
  /** Called when the connection is gone before it became a session. */
  onGone: (() => void) | undefined
  /** Breaks the connection: the peer sees a reset. */
  abort(): void
  /**
   * Ends a connection that never was a session's, and of which nothing is asked any more: the peer is given the answer once
   * it has said something, and then an end; without an answer, it sees a reset. What can't be done in order, since too many
   * are sent away, is a reset. Absent where nothing can be said to the peer.
   */
  sendAway?(answer: Uint8Array | undefined): void
}

/**
 * @category models
 * @since 0.1.0
 */
export interface LentSocket {
  /** Absent over UDP, where the other process has the listener's socket already. */
  readonly socket: object | undefined
  readonly unread: Uint8Array | undefined
  /** Whether more of what comes before anything that is still to be read is on its way back, over UDP. */
  readonly isBehind?: boolean | undefined
}

/**
 * What another process has said of a connection that it has sent here (X4).
 *
 * @category models
 * @since 0.1.0
 */
export interface SentConnection {
  readonly remote: string
  readonly local: string
  /** Whether these are IPv4 addresses of an IPv6 socket. */
  readonly mapped: boolean
  readonly about: SessionAbout | undefined
  /** Bytes that were read, and that no application has had. */
  readonly unread: Uint8Array | undefined
  /** As that process said: see {@link LentSocket}. */
  readonly isBehind?: boolean | undefined
}

/**
 * The socket of a listener, as far as another process can have it, too (X4).
 *
 * @category models
 * @since 0.1.0
 */
export interface ListeningSocket {
  /** The number of its descriptor; negative where the runtime does not tell it. */
  readonly descriptor: number
  /**
   * Another process goes on with it: the file of a Unix socket stays when the listener closes, and a socket of UDP is read
   * no more.
   */
  leave(): void
  /**
   * The connection of a socket that another process has accepted and sent; over UDP, there is none, and the connection
   * is one of the listener's own. `undefined` when it can't be served.
   */
  adopt(socket: unknown, sent: SentConnection): Connection | undefined
  /** Where it is a socket of UDP. */
  readonly datagrams?: SharedDatagrams | undefined
}

/**
 * A socket of UDP that two processes have (X4). One of them reads it, for the sessions of both: it gives the other one what
 * comes for the sessions there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedDatagrams {
  /** The peers whose sessions are here, or in a process that they are relayed to, by address and port. */
  readonly peers: Iterable<string>
  /** Called when what comes from a peer is no longer its session's: that one is over, or is another process's. */
  onOver: ((peer: string) => void) | undefined
  /** What another process has read from a peer; `false` when there is no session that it is for, here or further on. */
  receive(peer: string, bytes: Uint8Array): boolean
  /** Called with what is for no session here, and was to be relayed: another process reads the socket. */
  onBack: ((datagram: RelayedDatagram) => void) | undefined
  /** Reads from now on, where it has waited for that; not when another process reads it by now. */
  read(): void
  /** No other process reads it any more: this one does again. */
  takeBack(): void
  /**
   * Has what comes from these peers go to their sessions in another process, by way of `send`, until these are over. In a
   * call to `send`, nothing may be said to the relay.
   */
  relay(peers: ReadonlyArray<string>, send: (batch: ReadonlyArray<RelayedDatagram>) => void): DatagramRelay
}

/**
 * A connection whose bytes go through the fifos of its session; nothing is read from it before {@link open}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedConnection extends AnyConnection {
  readonly _tag: "Shared"
  /** Whether all that was written has gone out, so that it can be lent once it is suspended; absent where it never can. */
  readonly isSent?: boolean | undefined
  /** How many of its datagrams were dropped. */
  readonly dropped: number
  /** Starts moving bytes, or goes on after {@link suspend}. */
  open(end: ConnectionEnd): void
  /**
   * Leaves its session, and is as it was before it was opened, for another session: what the peer sent goes on from
   * `unread`, which was in the rx fifo, and what is left in the tx fifo is copied and goes out. Where bytes are on their
   * way to the system, they must stay where they are until they have been sent. Not to be called once it is gone or
   * being closed, nor after {@link end}.
   */
  suspend(unread: Uint8Array | undefined): void
  /** Leaves its session after {@link close} or {@link abort}, and ends as it was to: what is left is copied and sent. */
  leave(): void
  /** There is room in the rx fifo again, or memory for it. */
  resume(): void
  /** There are bytes in the tx fifo. */
  send(): void
  /** The worker is to finish what it has. A connection that its peer never ends, as over UDP, ends once it is idle. */
  drain(): void
  /**
   * The worker stops, whatever it still has. Where connections have no end of their own, as over UDP, what comes from the
   * peer from now on begins another one.
   */
  stop?(): void
  /** Sets an option of the socket, where it is one of TCP. */
  setOption(option: SocketOption): void
  /** Half-close: the peer reads an end after the last byte of the tx fifo. */
  end(): void
  /** Gives the connection up: sends what is in the tx fifo, then ends; what comes in meanwhile is dropped. */
  close(): void
}

/**
 * A connection that moves, socket and all, to the thread of the worker that claims it; nothing is read from it here.
 *
 * @category models
 * @since 0.1.0
 */
export interface MovableConnection extends AnyConnection {
  readonly _tag: "Movable"
  /** Whether its bytes are still TLS, which ends in the worker. */
  readonly inTls: boolean
  /** Takes the socket out of the connection, once; `undefined` when the connection has been broken. */
  take(): Moving | undefined
  /**
   * The worker has given the socket back, as it was posted: the connection is as it was before {@link take}, and its
   * options are those of its listener again. `false` when that is no socket, or its bytes are those of a TLS session.
   */
  comeBack(socket: object): boolean
  /** Ends the connection in order; nothing is left to be sent. */
  close(): void
}

/**
 * A connection of a transport. A listener's placement decides which kind its connections are; those of connects are
 * always shared.
 *
 * @category models
 * @since 0.1.0
 */
export type Connection = SharedConnection | MovableConnection

/**
 * A failed operation of a transport.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends Schema.TaggedError<TransportError>()("TransportError", {
  operation: Schema.Literals(["listen", "connect"]),
  endpoint: Schema.String,
  reason: Schema.Literals(Refusal.TransportReasons),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.operation} ${this.endpoint}: ${this.detail}`
  }
}

/**
 * What went wrong with one accept; the listener goes on.
 *
 * @category models
 * @since 0.1.0
 */
export type AcceptError = "EMFILE" | "ENFILE" | "ENOBUFS" | "ENOMEM" | "ECONNABORTED" | "other"

/**
 * @category options
 * @since 0.1.0
 */
export interface TransportListenOptions {
  /**
   * The descriptor of a socket of the endpoint's kind that this process was started with and that listens already, or
   * for UDP is bound: it is served in place of a new one, wherever it listens. It is the transport's from then on, and
   * is closed with the scope; whoever else has the socket still has its connections. The file of a Unix socket stays.
   */
  readonly descriptor?: number | undefined
  /** Whether the file of a Unix socket that this process was started with is the listener's own, and goes with it. */
  readonly ownsFile?: boolean | undefined
  /** Whether a socket of UDP is read only when {@link SharedDatagrams.read} is called: another process reads it now. */
  readonly waitsToRead?: boolean | undefined
  /** Called when the listener has its socket, which may be passed on to another process. */
  readonly opened?: ((socket: ListeningSocket) => void) | undefined
  /** How many connections the kernel keeps until they are accepted. */
  readonly backlog: number
  /** Whether the host `[::]` stands for IPv6 connections only. */
  readonly ipv6Only: boolean
  /** How the listener takes connections in. */
  readonly listener: ListenerOptions
  /** The certificate for a TLS handshake. */
  readonly certificate: (serverName: string | undefined) => CertificateEntry | undefined
  /**
   * Whether a peer at this endpoint URI is sent away before anything is read from it: it is denied, or its source has all
   * that it may. A proxy that is trusted to speak for others has no limits. Counts the peer if it is sent away.
   */
  readonly isDenied: (remote: string, local: string, isProxy: boolean) => boolean
  readonly accept: (connection: Connection) => void
  /** Counts a peer that arrived and did not become a connection; it has been sent away. */
  readonly refused: (reason: Ledger.RefuseReason) => void
  /** Counts a datagram that was dropped. */
  readonly dropped: (reason: Ledger.DropReason) => void
  readonly acceptError: (error: AcceptError, detail: string) => void
}

/**
 * @category options
 * @since 0.1.0
 */
export interface TransportConnectOptions {
  /**
   * Where to connect from: an address of this machine, of the same family as the target; port 0 for any. A source that
   * can't be used fails with `AddressNotAvailable`, `AddressInUse` or `PermissionDenied`, in a sentence that names it.
   */
  readonly source?: InetEndpoint | undefined
  /** The options of the application's listeners, for the times and bounds that hold for its connects too. */
  readonly listener?: ListenerOptions | undefined
  /** How a connect over TLS is made; by default, with the defaults of `TlsClientOptions`. */
  readonly tls?: TlsClientOptions | undefined
}

/**
 * The endpoints of a transport.
 *
 * @category models
 * @since 0.1.0
 */
export type TransportEndpointOf<Tag extends TransportEndpoint["_tag"]> = Extract<
  TransportEndpoint,
  { readonly _tag: Tag }
>

/**
 * What serves some endpoints.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportOf<E extends TransportEndpoint> {
  /** Listens until the scope closes, and returns the endpoint with the port that the system gave it. */
  readonly listen: (endpoint: E, options: TransportListenOptions) => Effect.Effect<E, TransportError, Scope.Scope>
  /** Why connections of this endpoint can't move to the threads of workers; `undefined` when they can. */
  readonly immovable?: (endpoint: E, options: ListenerOptions) => string | undefined
  /**
   * Connects; an interruption cancels the attempt. There is no timeout here other than the system's own. The connection
   * that results is owned by the caller alone, even if the caller is interrupted at that moment.
   */
  readonly connect: (endpoint: E, options?: TransportConnectOptions) => Effect.Effect<SharedConnection, TransportError>
}

/**
 * @category services
 * @since 0.1.0
 */
export class Transport extends Context.Service<Transport, TransportOf<TransportEndpoint>>()(
  "sluice/services/Transport"
) {}
