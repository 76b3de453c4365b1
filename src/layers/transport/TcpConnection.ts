/**
 * One connection over a socket: of TCP, of TLS above one, or of a Unix socket's path.
 *
 * It is one object for each connection, since there are many, in three parts: {@link TcpWriting}, {@link TcpReading}
 * above it, and here its addresses, the sessions that have it one after the other, and its end.
 *
 * One that was accepted is a handle until a session opens it, and so what is refused costs no socket.
 */
import * as Net from "node:net"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as Address from "../../domain/net/Address.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import * as SocketOption from "../../domain/net/SocketOption.ts"
import type { StandstillReason } from "../../domain/net/Standstill.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { ConnectionEnd, LentSocket, SentConnection, SharedConnection } from "../../services/Transport.ts"
import type { ConnectionSettings, ConnectionSetup } from "./ConnectionSetup.ts"
import * as NodeHandle from "./NodeHandle.ts"
import { SentAway } from "./SentAway.ts"
import * as SentAwayHandle from "./SentAwayHandle.ts"
import * as SocketEnd from "./SocketEnd.ts"
import * as SocketEvents from "./SocketEvents.ts"
import * as SocketWatch from "./SocketWatch.ts"
import { TcpReading } from "./TcpReading.ts"

const PLAIN: ConnectionSetup = { transport: "tcp" }

/** The addresses of a path's connection are known from the start, and never asked for. */
const inetOf = (transport: ConnectionSetup["transport"]): "tcp" | "tls" => transport === "tls" ? "tls" : "tcp"

/** What listeners accept: a handle where the runtime has one. */
export type Accepted = Net.Socket | NodeHandle.TcpHandle

/**
 * A connection over a socket of TCP, of TLS above one, or of a path. The socket is paused, and read by events or by
 * {@link SocketEvents.onread}.
 */
export class TcpConnection extends TcpReading
  implements SharedConnection, SocketEvents.SocketSubject, SocketEnd.Leaver, SocketWatch.Watched
{
  readonly _tag = "Shared"
  onGone: (() => void) | undefined
  readonly #settings: ConnectionSettings
  /** The handle, until a socket is made of it. */
  #handle: NodeHandle.TcpHandle | undefined
  #socket: NodeHandle.HandledSocket | undefined
  /** Whether an application has set an option of the socket. */
  #optionsSet = false
  /** Set while it is a session's, where it may not be idle for ever. */
  #watch: SocketWatch.SocketWatch | undefined
  /** Why the connection was broken here, where that is not the peer's doing. */
  #why: Ledger.EndReason | undefined
  #error: Error | undefined
  /** The addresses, once they were asked for: the system forgets them when the connection breaks. */
  #remote: Address.PackedAddress | undefined
  #local: Address.PackedAddress | undefined
  /** Set when the socket has closed: why it broke, if it did. */
  #closed: { readonly reset: string | undefined; readonly ended: Ledger.EndReason | undefined } | undefined

  constructor(over: Accepted, settings: ConnectionSettings, local?: Address.PackedAddress, setup = PLAIN) {
    super(setup)
    this.#settings = settings
    this.#remote = setup.remote
    this.#local = setup.local ?? local
    if (over instanceof Net.Socket) this.#own(over)
    else this.#handle = over
  }

  protected get socket(): NodeHandle.HandledSocket {
    return this.#socket ?? this.#make()
  }

  /** One that was sent away has no handle, and then this is a socket that is over. */
  #make(): NodeHandle.HandledSocket {
    const handle = this.#takeHandle()
    if (handle === undefined) return this.#own(new Net.Socket().destroy())
    const socket = NodeHandle.socketOf(handle, SocketEvents.onread)
    if (this.setup.transport !== "unix") NodeHandle.begin(socket, this.#settings.keepAlive)
    return this.#own(socket)
  }

  #own(socket: Net.Socket): NodeHandle.HandledSocket {
    socket.setNoDelay(true)
    return this.#socket = SocketEvents.own(socket, this)
  }

  #takeHandle(): NodeHandle.TcpHandle | undefined {
    const handle = this.#handle
    this.#handle = undefined
    return handle
  }

  /**
   * Keeps the addresses, which the system forgets when the connection breaks; `false` when the peer is gone already.
   */
  keepAddresses(): boolean {
    this.#local ??= this.#ask("getsockname")
    this.#remote ??= this.#ask("getpeername")
    return this.#remote !== undefined
  }

  get about(): SessionAbout | undefined {
    return this.setup.about
  }

  get remote(): string {
    return Address.unpack(inetOf(this.setup.transport), this.#remote ??= this.#ask("getpeername"))
  }

  get mapped(): boolean {
    return this.setup.mapped ?? Address.isPackedMapped(this.#remote ??= this.#ask("getpeername"))
  }

  get local(): string {
    return Address.unpack(inetOf(this.setup.transport), this.#local ??= this.#ask("getsockname"))
  }

  #ask(which: "getpeername" | "getsockname"): Address.PackedAddress | undefined {
    const handle = this.#handle
    const { address, port } = handle === undefined
      ? NodeHandle.addressOf(this.socket, which)
      : NodeHandle.handleAddress(handle, which)
    return Address.pack(inetOf(this.setup.transport), address, port)
  }

  open(session: ConnectionEnd): void {
    this.session = session
    if (this.#closed !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#watch = SocketWatch.watch(this.setup.below ?? this.socket, this.#settings, this)
    this.startReading()
  }

  suspend(unread: Uint8Array | undefined): void {
    const { session } = this
    this.session = undefined
    this.#watch?.stop()
    this.#watch = undefined
    this.stopReading(unread)
    if (this.#optionsSet) this.resetOptions()
    if (session !== undefined) this.sendRest(session)
  }

  leave(): void {
    const { session } = this
    this.session = undefined
    if (session === undefined || this.socket.destroyed) return
    this.guard(() => {
      this.sendRest(session)
      this.socket.end()
    })
  }

  get isSent(): boolean | undefined {
    if (this.setup.below !== undefined) return undefined
    if (this.#handle !== undefined) return true
    const { destroyed, errored } = this.socket
    return !this.isClosing && !destroyed && errored === null && this.isWritten
  }

  lend(): LentSocket | undefined {
    const socket = this.socket
    if (this.session !== undefined || this.isSent !== true) return undefined
    // the addresses that were asked for until now are its own, whatever becomes of the peer
    if (this.setup.transport !== "unix" && !this.keepAddresses()) return undefined
    // what events would have told of; to ask for it has the socket read again
    const buffered: unknown = socket.read()
    const handle = NodeHandle.stoppedHandle(socket)
    if (buffered instanceof Uint8Array) {
      this.left = this.left === undefined ? buffered : Buffer.concat([this.left, buffered])
    }
    return handle === undefined ? undefined : { socket: handle, unread: this.left }
  }

  letGo(): void {
    this.isClosing = true
    this.left = undefined
    this.onGone = undefined
    SocketEvents.disown(this.socket)
    this.socket.destroy()
  }

  onEnd(): void {
    if (!this.isClosing) this.session?.ended()
  }

  // the peer of a stream ends it
  drain(): void {}

  setOption(option: SocketOption.SocketOption): void {
    if (this.setup.transport === "unix") return
    this.#optionsSet = true
    NodeHandle.setOption(this.setup.below ?? this.socket, option)
  }

  /** What an application has set is nothing to the one that comes after it. */
  resetOptions(): void {
    for (const option of SocketOption.initial(this.#settings.keepAlive)) this.setOption(option)
    this.#optionsSet = false
  }

  // a stream has no datagrams to drop
  get dropped(): number {
    return 0
  }

  close(): void {
    if (this.isClosing) return
    this.isClosing = true
    this.#watch?.stop()
    this.dropRest()
    this.guard(() => {
      const bytes = this.session?.tx.size ?? 0
      this.farewell = new SocketEnd.Farewell(this.socket, this, bytes, this.#settings.closeTimeout)
      this.socket.resume()
      this.end()
    })
  }

  /** The session is over, whatever the peer still has to say. */
  onSent(): void {
    this.#sayClosed()
  }

  onLate(): void {
    this.#why = "late"
    this.abort()
  }

  onStandstill(reason: StandstillReason): void {
    this.#why = reason
    this.abort()
  }

  abort(): void {
    this.isClosing = true
    this.disarm()
    this.#watch?.stop()
    this.farewell?.cancel()
    this.farewell = undefined
    const { below, transport } = this.setup
    // a Unix socket can't be reset: a connection that is broken just ends
    if (this.socket.connecting || transport === "unix") return void this.socket.destroy()
    SocketEnd.reset(this.socket, below)
  }

  sendAway(answer: Uint8Array | undefined): void {
    if (this.isClosing) return
    const handle = this.#handle
    if (handle !== undefined && SentAwayHandle.take(handle, answer)) {
      this.#handle = this.onGone = undefined
      this.isClosing = true
      return
    }
    if (answer === undefined) return this.abort()
    const hasSpoken = this.left !== undefined
    this.dropRest()
    this.isClosing = true
    this.onGone = undefined
    if (!SentAway.take(this.socket, answer, { hasSpoken, isOwned: true, below: this.setup.below })) this.abort()
  }

  onError(error: Error): void {
    this.#error = error
  }

  onClose(): void {
    this.#watch?.stop()
    const whole = this.#error === undefined && this.socket.readableEnded && this.socket.writableFinished
    const ended = whole ? undefined : this.#why
    this.#closed = { reset: whole ? undefined : ConnectionLoss.sentence(this.#error, ended), ended }
    this.onGone?.()
    this.onGone = undefined
    this.#sayClosed()
  }

  #sayClosed(): void {
    const { session } = this
    this.session = undefined
    session?.closed(this.#closed?.reset, this.#closed?.ended)
  }
}

/** The connection of a socket that another process has sent, with what was read there (X4). */
export const ofSent = (
  sent: unknown,
  settings: ConnectionSettings,
  transport: "tcp" | "unix",
  { about, local, mapped, remote, unread }: SentConnection
): TcpConnection | undefined => {
  const socket = NodeHandle.sentSocket(sent, SocketEvents.onread)
  if (socket === undefined) return undefined
  const connection = new TcpConnection(socket, settings, undefined, { transport, remote, local, mapped, about })
  connection.suspend(unread)
  // as its listener here has it, not the one of the other host
  connection.resetOptions()
  return connection
}
