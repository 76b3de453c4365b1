/**
 * A socket of UDP, and the sessions on it by the addresses of their peers.
 *
 * A listener has one socket. It outlives its listener while it has sessions; a listener that comes to the same endpoint
 * meanwhile takes it over. A connect has a socket of its own, connected to its peer: only such a socket hears that
 * nobody listens on the peer's port.
 *
 * At most 64 datagrams of a socket are on their way into the system, and sessions with more to send take turns. This
 * module is a hot path.
 */
import type * as Dgram from "node:dgram"
import * as Address from "../../domain/net/Address.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { TransportListenOptions } from "../../services/Transport.ts"
import { UdpConnection } from "./UdpConnection.ts"

/** The most datagrams of a socket that the system has been given and has not taken yet. */
const SENDING = 64

export class UdpSocket {
  readonly socket: Dgram.Socket
  local = ""
  /** Takes new peers; `undefined` while nobody listens. */
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

  /** Adds a peer's session. Where the session has no address, the socket is connected to the peer. */
  enter(connection: UdpConnection, key: string): void {
    this.#connections.add(connection)
    this.#peers.set(key, connection)
  }

  /** What comes from the peer's address from now on belongs to another session. */
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
    const connection = new UdpConnection(this, key, Address.uri("udp", address, port), address, port, listen.listener)
    this.enter(connection, key)
    connection.receive(bytes)
    listen.accept(connection)
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.listen !== undefined) return this.listen.acceptError("other", error.message)
    for (const connection of this.#connections) connection.broken(error)
  }

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
