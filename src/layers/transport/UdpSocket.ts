/**
 * A socket of UDP, and the sessions on it by the addresses of their peers.
 *
 * A listener has one socket. It outlives its listener while it has sessions; a listener that comes to the same endpoint
 * meanwhile takes it over. A connect has a socket of its own, connected to its peer: only such a socket hears that
 * nobody listens on the peer's port.
 *
 * **Two processes** may have the socket, while one host follows another (X4). The one that comes reads it, and the sessions of
 * the other one go on over that one's own descriptor. See `DatagramRelay` for what is read for them.
 *
 * At most 64 datagrams of a socket are on their way into the system, and sessions with more to send take turns. This
 * module is a hot path.
 */
import type * as Dgram from "node:dgram"
import { isIP } from "node:net"
import * as Address from "../../domain/net/Address.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import { DatagramRelay, type RelayedDatagram } from "../../domain/takeover/DatagramRelay.ts"
import type {
  Connection,
  ListeningSocket,
  SentConnection,
  SharedDatagrams,
  TransportListenOptions
} from "../../services/Transport.ts"
import * as NodeHandle from "./NodeHandle.ts"
import { UdpConnection } from "./UdpConnection.ts"

/** The most datagrams of a socket that the system has been given and has not taken yet. */
const SENDING = 64

const LAST_PORT = 65535

export class UdpSocket implements ListeningSocket, SharedDatagrams {
  readonly socket: Dgram.Socket
  local = ""
  /** Takes new peers; `undefined` while nobody listens. */
  listen: TransportListenOptions | undefined
  /** Bytes of datagrams that wait in its sessions. */
  waiting = 0
  onOver: ((peer: string) => void) | undefined
  onBack: ((datagram: RelayedDatagram) => void) | undefined
  readonly #peers = new Map<string, UdpConnection>()
  readonly #connections = new Set<UdpConnection>()
  /** Those that have more to send than the system takes now. */
  readonly #blocked = new Set<UdpConnection>()
  readonly #onClosed: (() => void) | undefined
  #sending = 0
  #closed = false
  /** Another process reads it. */
  #isLeft = false
  /** The options of the listener that it has, or had last. */
  #settings: ListenerOptions | undefined
  /** What is read for sessions of another process. */
  #relay: DatagramRelay | undefined
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
    this.#settings = listen.listener
    this.socket.ref()
    listen.opened?.(this)
  }

  /** Takes no new peers; the socket goes with its last session. */
  retire(): void {
    this.listen = undefined
    this.#closeIfUnused()
  }

  /** Adds a peer's session. Where the session has no address, the socket is connected to the peer. */
  enter(connection: UdpConnection, key: string): void {
    this.#connections.add(connection)
    this.#peers.set(key, connection)
  }

  /** What comes from the peer's address from now on belongs to another session. */
  forget(connection: UdpConnection): void {
    if (this.#peers.get(connection.key) !== connection) return
    this.#peers.delete(connection.key)
    if (!this.relays(connection.key)) this.onOver?.(connection.key)
  }

  /** The session is over. */
  exit(connection: UdpConnection): void {
    this.forget(connection)
    this.#blocked.delete(connection)
    this.#connections.delete(connection)
    this.#closeIfUnused()
  }

  #closeIfUnused(): void {
    if (this.#closed || this.listen !== undefined || this.#connections.size > 0) return
    // the other process's sessions are served, but nobody here waits for their end
    if (this.#relay !== undefined) return void this.socket.unref()
    this.#closed = true
    this.socket.close()
    this.#onClosed?.()
  }

  dropped(reason: Ledger.DropReason): void {
    this.#countDropped?.(reason)
  }

  // ---- what comes

  readonly #onMessage = (bytes: Buffer, { address, port }: Dgram.RemoteInfo): void => {
    // nobody can be answered there, and a send to it throws
    if (port === 0) return this.dropped("not-sent")
    const key = `${address} ${port}`
    if (this.#relay?.take(key, bytes) !== true) this.#take(key, bytes, address, port)
  }

  #take(key: string, bytes: Uint8Array, address: string, port: number): void {
    if (this.#peers.get(key)?.receive(bytes) === true) return
    // it was to go further, and comes back to where the socket is read
    if (this.#isLeft) return this.onBack?.({ peer: key, bytes })
    const { listen } = this
    if (listen === undefined) return
    const connection = new UdpConnection(this, key, Address.uri("udp", address, port), address, port, listen.listener)
    this.enter(connection, key)
    connection.receive(bytes)
    listen.accept(connection)
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.listen !== undefined) return this.listen.acceptError("other", error.message)
    for (const connection of this.#connections) connection.broken(error)
  }

  // ---- two processes that have it

  get descriptor(): number {
    return NodeHandle.datagramDescriptorOf(this.socket)
  }

  get datagrams(): SharedDatagrams {
    return this
  }

  get peers(): Iterable<string> {
    return this.#relay === undefined ? this.#peers.keys() : new Set([...this.#peers.keys(), ...this.#relay.peers])
  }

  /** Whether a peer's datagrams are, or may still come back from, another process's. */
  relays(peer: string): boolean {
    return this.#relay?.has(peer) === true
  }

  /** Whether another process reads it. */
  get isLeft(): boolean {
    return this.#isLeft
  }

  leave(): void {
    this.#isLeft = true
    NodeHandle.setReading(this.socket, false)
  }

  read(): void {
    if (!this.#closed && !this.#isLeft) NodeHandle.setReading(this.socket, true)
  }

  takeBack(): void {
    this.#isLeft = false
    this.onOver = this.onBack = undefined
    this.read()
  }

  receive(peer: string, bytes: Uint8Array): boolean {
    return this.#relay?.take(peer, bytes) === true || this.#peers.get(peer)?.receive(bytes) === true
  }

  adopt(_socket: unknown, { isBehind, mapped, remote, unread }: SentConnection): Connection | undefined {
    const peer = Address.hostPort(remote)
    if (peer === undefined || isIP(peer.host) === 0 || this.#settings === undefined) return undefined
    const { port } = peer
    const address = mapped ? Address.toMapped(peer.host) : peer.host
    const key = `${address} ${port}`
    if (this.#peers.has(key) || port === 0 || port > LAST_PORT) return undefined
    const connection = new UdpConnection(this, key, remote, address, port, this.#settings)
    connection.suspend(unread)
    this.enter(connection, key)
    if (isBehind !== true) this.#relay?.over([key])
    return connection
  }

  relay(peers: ReadonlyArray<string>, send: (batch: ReadonlyArray<RelayedDatagram>) => void): DatagramRelay {
    return this.#relay = new DatagramRelay(peers, {
      send,
      here: ({ bytes, peer }) => {
        const [address = "", port] = peer.split(" ")
        this.#take(peer, bytes, address, Number(port))
      },
      over: (peer) => {
        if (!this.#peers.has(peer)) this.onOver?.(peer)
      },
      dropped: () => this.dropped("not-relayed"),
      ended: () => {
        this.#relay = undefined
        this.#closeIfUnused()
      }
    })
  }

  // ---- what goes

  /** Whether the system takes no more now; if so, the session gets its turn later. */
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
