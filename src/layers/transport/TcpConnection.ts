/**
 * One connection over a socket: of TCP, of TLS above one, or of a Unix socket's path.
 *
 * **Reading** Node can be told where to read to (`onread`). All connections that are idle, or whose reads are small,
 * read into one scratch buffer, and the bytes are copied into the rx fifo: an idle connection holds no fifo memory. A
 * connection whose last read was large has its next read go straight into the fifo. Where a socket can't be given
 * `onread`, `data` events and a copy do the same. A full fifo stops the reading, and so the peer's window closes.
 *
 * **Writing** A stretch of the tx fifo is written to the socket without a copy, one at a time. Node may read that
 * memory until the write's callback, so the fifo's head moves only in the callback. The system usually takes a small
 * write at once, which shows in nothing being left to write: then no callback is needed.
 *
 * Both directions and the end are in one class, long as it is: the end waits for what is written, what is read depends
 * on whether the connection is closing, and all of it is one object per connection.
 *
 * This module is a hot path: all connections share the listeners of socket events.
 */
import { constVoid } from "effect/Function"
import type * as Net from "node:net"
import * as Fifo from "../../domain/memory/Fifo.ts"
import type { FifoConsumer } from "../../domain/memory/FifoConsumer.ts"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as Address from "../../domain/net/Address.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import * as SocketOption from "../../domain/net/SocketOption.ts"
import type { StandstillReason, StandstillTimes } from "../../domain/net/Standstill.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { ConnectionEnd, LentSocket, SentConnection, SharedConnection } from "../../services/Transport.ts"
import * as NodeHandle from "./NodeHandle.ts"
import * as SocketEnd from "./SocketEnd.ts"
import * as SocketWatch from "./SocketWatch.ts"

/** Bytes of the buffer that small reads of all connections go through. */
const SCRATCH = 65536
/** A read of at least this many bytes lets the next one go straight into the fifo. */
const LARGE_READ = 8192

/** A write of at least this many bytes is often more than the system takes at once. */
const LARGE_WRITE = 16384

// not a Buffer: a part of one takes three times as long to make
const scratch = new Uint8Array(SCRATCH)
const nothing = new Uint8Array(0)

/** A socket's way back to its connection. The listeners of events are shared by all sockets: idle ones are many. */
const owner = Symbol("connection")

interface OwnedSocket extends NodeHandle.HandledSocket {
  [owner]?: TcpConnection | undefined
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

/** The connection whose read has just been dealt with. */
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

/** What is settled before a connection begins. */
export interface ConnectionSetup {
  readonly transport: "tcp" | "tls" | "unix"
  /** Endpoint URIs, where they are not the socket's or are known already; for a Unix socket, both. */
  readonly remote?: string | undefined
  readonly local?: string | undefined
  /** Whether these are IPv4 addresses of an IPv6 socket. */
  readonly mapped?: boolean | undefined
  readonly about?: SessionAbout | undefined
  /** The socket below, where this is a TLS socket: the peer sees a reset only if the one below does it. */
  readonly below?: Net.Socket | undefined
}

/** The options of a listener that its connections use. A connect may stand still. */
export type ConnectionSettings = Pick<ListenerOptions, "closeTimeout" | "keepAlive"> & StandstillTimes

/** What holds for connects too: nothing probes their peers. */
export const ofConnect = ({ closeTimeout }: ListenerOptions): ConnectionSettings => ({ closeTimeout, keepAlive: 0 })

const PLAIN: ConnectionSetup = { transport: "tcp" }

/** The addresses of a path's connection are known from the start, and never asked for. */
const inetOf = (transport: ConnectionSetup["transport"]): "tcp" | "tls" => transport === "tls" ? "tls" : "tcp"

/**
 * A connection over a socket of TCP, of TLS above one, or of a path. The socket is paused, and read by events or by
 * {@link onread}.
 */
export class TcpConnection implements SharedConnection, SocketEnd.Leaver, SocketWatch.Watched {
  readonly _tag = "Shared"
  onGone: (() => void) | undefined
  readonly #settings: ConnectionSettings
  readonly #socket: OwnedSocket
  readonly #setup: ConnectionSetup
  #end: ConnectionEnd | undefined
  /** Where the armed read goes, when it goes straight into the fifo. */
  #armed: Uint8Array | undefined
  #large = false
  /** What was read and has not found room yet. */
  #left: Uint8Array | undefined
  #paused = true
  #resuming = false
  #writing = 0
  /** Writes under way whose bytes were those of an earlier session. */
  #earlier = 0
  #ending = false
  #closing = false
  /** Whether an application has set an option of the socket. */
  #optionsSet = false
  /** Set by {@link close}: what comes in is dropped, for a bounded time. */
  #farewell: SocketEnd.Farewell | undefined
  /** Set while it is a session's, where it may not be idle for ever. */
  #watch: SocketWatch.SocketWatch | undefined
  /** Why the connection was broken here, where that is not the peer's doing. */
  #why: Ledger.EndReason | undefined
  #error: Error | undefined
  #onWritten: ((error?: Error | null) => void) | undefined
  /** The addresses, once they were asked for: the system forgets them when the connection breaks. */
  #remote: Address.PackedAddress | undefined
  #local: Address.PackedAddress | undefined
  /** Set when the socket has closed: why it broke, if it did. */
  #closed: { readonly reset: string | undefined; readonly ended: Ledger.EndReason | undefined } | undefined

  constructor(socket: Net.Socket, settings: ConnectionSettings, local?: Address.PackedAddress, setup = PLAIN) {
    this.#settings = settings
    this.#setup = setup
    this.#remote = setup.remote
    this.#local = setup.local ?? local
    this.#socket = socket
    this.#socket[owner] = this
    socket.setNoDelay(true)
    socket.on("error", onError)
    socket.on("end", onEnd)
    socket.on("close", onClose)
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
    return this.#setup.about
  }

  get remote(): string {
    return Address.unpack(inetOf(this.#setup.transport), this.#remote ??= this.#ask("getpeername"))
  }

  get mapped(): boolean {
    return this.#setup.mapped ?? Address.isPackedMapped(this.#remote ??= this.#ask("getpeername"))
  }

  get local(): string {
    return Address.unpack(inetOf(this.#setup.transport), this.#local ??= this.#ask("getsockname"))
  }

  #ask(which: "getpeername" | "getsockname"): Address.PackedAddress | undefined {
    const { address, port } = NodeHandle.addressOf(this.#socket, which)
    return Address.pack(inetOf(this.#setup.transport), address, port)
  }

  open(end: ConnectionEnd): void {
    this.#end = end
    if (this.#closed !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#watch = SocketWatch.watch(this.#setup.below ?? this.#socket, this.#settings, this)
    this.#paused = this.#left !== undefined
    if (this.#paused) this.resume()
    else this.#flow()
  }

  #flow(): void {
    // a socket that was read from before may have announced its end already
    if (this.#socket.readableEnded) queueMicrotask(() => this.onEnd())
    this.#socket.resume()
  }

  suspend(unread: Uint8Array | undefined): void {
    const end = this.#end
    this.#end = undefined
    this.#disarm()
    this.#large = false
    this.#watch?.stop()
    this.#watch = undefined
    this.#paused = true
    this.#socket.pause()
    if (this.#optionsSet) this.resetOptions()
    if (unread !== undefined) this.#left = this.#left === undefined ? unread : Buffer.concat([unread, this.#left])
    if (end !== undefined) this.#sendOn(end.tx)
  }

  leave(): void {
    const end = this.#end
    this.#end = undefined
    if (end === undefined || this.#socket.destroyed) return
    this.#guard(() => {
      this.#sendOn(end.tx)
      this.#socket.end()
    })
  }

  get isSent(): boolean | undefined {
    if (this.#setup.below !== undefined) return undefined
    const { destroyed, errored, writableLength } = this.#socket
    return !this.#closing && !destroyed && errored === null
      && this.#writing === 0 && this.#earlier === 0 && writableLength === 0
  }

  lend(): LentSocket | undefined {
    const socket = this.#socket
    if (this.#end !== undefined || this.isSent !== true) return undefined
    // the addresses that were asked for until now are its own, whatever becomes of the peer
    if (this.#setup.transport !== "unix" && !this.keepAddresses()) return undefined
    // what events would have told of; to ask for it has the socket read again
    const buffered: unknown = socket.read()
    const handle = NodeHandle.stoppedHandle(socket)
    if (buffered instanceof Uint8Array) {
      this.#left = this.#left === undefined ? buffered : Buffer.concat([this.#left, buffered])
    }
    return handle === undefined ? undefined : { socket: handle, unread: this.#left }
  }

  letGo(): void {
    this.#closing = true
    this.#left = undefined
    this.onGone = undefined
    this.#socket[owner] = undefined
    // its errors are nobody's
    this.#socket.on("error", constVoid).destroy()
  }

  /** Sends the rest of a fifo that this connection leaves. */
  #sendOn(tx: FifoConsumer): void {
    const writing = this.#writing
    this.#writing = 0
    if (writing > 0) this.#earlier++
    const rest = Buffer.allocUnsafe(tx.size)
    const { bytes } = tx.read(rest)
    if (bytes > writing) this.#socket.write(rest.subarray(writing, bytes))
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

  /** Where the next read goes; Node asks right after each read, and keeps the answer for the next one. */
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

  /** The next read does not go into the fifo: its memory is another session's once this one is over. */
  #disarm(): void {
    if (this.#armed === undefined) return
    this.#armed = undefined
    if (!NodeHandle.readInto(this.#socket, scratch)) this.#socket.pause()
  }

  onRead(bytes: number): boolean {
    const end = this.#end
    if (end === undefined || this.#closing) return this.#farewell?.drop(bytes) ?? false
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
      if (end === undefined || this.#closing) {
        if (this.#farewell?.drop(bytes.length) !== true) this.#socket.pause()
        return
      }
      this.#take(end, bytes, bytes.length)
      end.received()
      this.#pauseIfFull(end)
      if (!this.#paused) return
      this.#socket.pause()
      // back to the socket: it announces its end once it has no bytes, and what is left would come after that
      if (this.#left !== undefined) this.#socket.unshift(this.#left)
      this.#left = undefined
    })
  }

  #take({ rx }: ConnectionEnd, from: Uint8Array, bytes: number): void {
    const whole = bytes === from.length ? from : from.subarray(0, bytes)
    const taken = rx.enqueue(whole)
    if (taken < bytes) this.#left = new Uint8Array(whole.subarray(taken))
  }

  /** Stops reading while there is no room; {@link resume} is called when there is some. */
  #pauseIfFull(end: ConnectionEnd): void {
    const { rx } = end
    while (this.#left !== undefined || rx.room === 0) {
      if (rx.wait() === "consumer") {
        this.#paused = true
        return
      }
      const left = this.#left
      this.#left = undefined
      if (left === undefined) continue
      this.#take(end, left, left.length)
      // the reader that made room may have read all there was, and does not look again by itself
      end.received()
    }
    this.#paused = false
  }

  resume(): void {
    if (!this.#paused || this.#closing || this.#resuming) return
    this.#resuming = true
    queueMicrotask(() => this.#goOn())
  }

  /** Runs outside the call that asked for it, since it announces bytes. */
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
      if (!this.#paused) this.#flow()
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
      const isSmall = length < LARGE_WRITE && this.#setup.below === undefined
      if (isSmall) {
        socket.write(last)
        if (rest !== undefined) socket.uncork()
        if (socket.writableLength === 0) {
          // outside the call that wrote, as every event is
          if (end.tx.drop(length)) queueMicrotask(() => this.#end?.room())
          continue
        }
      }
      this.#writing = length
      this.#onWritten ??= (error) => this.#written(error)
      // a small write is on its way already: what comes after it is written once it is through
      socket.write(isSmall ? nothing : last, this.#onWritten)
      if (rest !== undefined && !isSmall) socket.uncork()
    }
  }

  #written(error?: Error | null): void {
    if (this.#earlier > 0) return void this.#earlier--
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

  setOption(option: SocketOption.SocketOption): void {
    if (this.#setup.transport === "unix") return
    this.#optionsSet = true
    NodeHandle.setOption(this.#setup.below ?? this.#socket, option)
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
    if (this.#closing) return
    this.#closing = true
    this.#watch?.stop()
    this.#left = undefined
    this.#disarm()
    this.#paused = false
    this.#guard(() => {
      const bytes = this.#end?.tx.size ?? 0
      this.#farewell = new SocketEnd.Farewell(this.#socket, this, bytes, this.#settings.closeTimeout)
      this.#socket.resume()
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

  /** Bytes that wait for the peer. */
  get waiting(): number {
    try {
      return this.#end?.tx.size ?? 0
    } catch (error) {
      this.#broken(error)
      return 0
    }
  }

  onStandstill(reason: StandstillReason): void {
    this.#why = reason
    this.abort()
  }

  abort(): void {
    this.#closing = true
    this.#disarm()
    this.#watch?.stop()
    this.#farewell?.cancel()
    this.#farewell = undefined
    const { below, transport } = this.#setup
    // a Unix socket can't be reset: a connection that is broken just ends
    if (this.#socket.connecting || transport === "unix") return void this.#socket.destroy()
    SocketEnd.reset(this.#socket, below)
  }

  onError(error: Error): void {
    this.#error = error
  }

  onClose(): void {
    this.#watch?.stop()
    const whole = this.#error === undefined && this.#socket.readableEnded && this.#socket.writableFinished
    const ended = whole ? undefined : this.#why
    this.#closed = { reset: whole ? undefined : ConnectionLoss.sentence(this.#error, ended), ended }
    this.onGone?.()
    this.onGone = undefined
    this.#sayClosed()
  }

  #sayClosed(): void {
    const end = this.#end
    this.#end = undefined
    end?.closed(this.#closed?.reset, this.#closed?.ended)
  }
}

/** The connection of a socket that another process has sent, with what was read there (X4). */
export const ofSent = (
  sent: unknown,
  settings: ConnectionSettings,
  transport: "tcp" | "unix",
  { about, local, mapped, remote, unread }: SentConnection
): TcpConnection | undefined => {
  const socket = NodeHandle.sentSocket(sent, onread)
  if (socket === undefined) return undefined
  const connection = new TcpConnection(socket, settings, undefined, { transport, remote, local, mapped, about })
  connection.suspend(unread)
  // as its listener here has it, not the one of the other host
  connection.resetOptions()
  return connection
}
