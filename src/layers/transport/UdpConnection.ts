/**
 * One session over UDP: the datagrams that come from one address, and those that go back to it.
 *
 * In the fifos each datagram stands whole, as `Datagram` says. A datagram that finds no room in the rx fifo waits: up
 * to `udpPending` of them in a session, and up to 16 MiB in all sessions of a socket. Datagrams beyond that are dropped
 * and counted.
 *
 * Both directions, the times and the ways out are one class, long as it is: each of them may be the end of the others.
 *
 * This module is a hot path. What a worker writes is copied before it is sent, so its fifo is free at once.
 */
import * as Datagram from "../../domain/memory/Datagram.ts"
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Address from "../../domain/net/Address.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { ConnectionEnd, LentSocket, SharedConnection } from "../../services/Transport.ts"
import type { UdpSocket } from "./UdpSocket.ts"

/** The most bytes of waiting datagrams in all sessions of a socket. */
const WAITING_BYTES = 16 << 20

/** Milliseconds without a datagram after which a session ends when its worker is to finish what it has. */
const DRAIN_IDLE = 500

const TAKEN_BACK = "bytes that were there were taken back"

/** The options of a listener that its sessions use. */
type UdpSettings = Pick<ListenerOptions, "udpIdleTimeout" | "udpPending">

// one for all sessions: it is filled and used in one step
const header = new Uint8Array(Datagram.HEADER)

export class UdpConnection implements SharedConnection {
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
  readonly #settings: UdpSettings
  #end: ConnectionEnd | undefined
  /** What has come and is not in the rx fifo yet. */
  #waiting: Array<Uint8Array> = []
  /** How many of the first of them an earlier session was told of. */
  #known = 0
  #resuming = false
  /** Length of the datagram that is being read from the tx fifo, in bytes, once its header has been read. */
  #length: number | undefined
  /** Nothing more comes: it was idle for too long. */
  #idle = false
  /** Its time is over, and nothing has come or gone since. */
  #quiet = false
  #ending = false
  #closing = false
  #isAway = false
  #timer: NodeJS.Timeout | undefined
  #closed: { readonly reset: string | undefined } | undefined

  constructor(
    socket: UdpSocket,
    key: string,
    remote: string,
    address: string | undefined,
    port: number,
    settings: UdpSettings
  ) {
    this.#socket = socket
    this.#settings = settings
    this.key = key
    this.remote = remote
    this.address = address
    this.port = port
  }

  get mapped(): boolean {
    return Address.isMapped(this.address)
  }

  get local(): string {
    return this.#socket.local
  }

  open(end: ConnectionEnd): void {
    this.#end = end
    if (this.#closed !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#timer = setTimeout(() => this.#onTime(), this.#settings.udpIdleTimeout)
    this.resume()
  }

  suspend(unread: Uint8Array | undefined): void {
    this.#guard(() => this.#pump(true))
    this.#end = undefined
    this.#length = undefined
    this.#quiet = false
    clearTimeout(this.#timer)
    this.#timer = undefined
    // the next session has its own time, and is told of its end
    this.#idle = false
    if (unread === undefined) return
    const datagrams = Datagram.split(unread)
    this.#known += datagrams.length
    this.#waiting.unshift(...datagrams)
    for (const { length } of datagrams) this.#socket.waiting += length
  }

  leave(): void {
    this.#guard(() => this.#pump(true))
    this.#end = undefined
    this.#finish(undefined)
  }

  // ---- to another process, which has the socket, too, and reads it

  get isSent(): boolean | undefined {
    const isOver = this.#closing || this.#ending || this.#idle || this.#closed !== undefined
    return !isOver && this.#socket.isLeft ? true : undefined
  }

  lend(): LentSocket | undefined {
    if (this.#end !== undefined || this.isSent !== true) return undefined
    const unread = this.#waiting.length === 0 ? undefined : Datagram.join(this.#waiting)
    return { socket: undefined, unread, isBehind: this.#socket.relays(this.key) }
  }

  setOff(): void {
    this.#isAway = true
  }

  letGo(): void {
    this.onGone = undefined
    this.#finish(undefined)
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

  /** Takes a datagram; `false` when the session is on its way to another process. */
  receive(bytes: Uint8Array): boolean {
    if (this.#isAway) return false
    if (!this.#closing) this.#receive(bytes)
    return true
  }

  #receive(bytes: Uint8Array): void {
    this.#stir()
    const end = this.#end
    if (end === undefined || this.#waiting.length > 0) return this.#wait(bytes)
    this.#guard(() => {
      if (this.#put(end, bytes)) return end.received(bytes.length)
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

  /** Puts what waits into the fifo, as far as there is room; {@link resume} is called when there is more. */
  #flush(end: ConnectionEnd): void {
    const { rx } = end
    let any = false
    let received = 0
    for (let bytes = this.#waiting[0]; bytes !== undefined; bytes = this.#waiting[0]) {
      const length = Datagram.HEADER + bytes.length
      const wait = length > rx.bound ? "ready" : rx.waitWhole(length)
      if (wait === "memory") end.starved()
      if (wait !== "ready") break
      this.#waiting.shift()
      this.#socket.waiting -= bytes.length
      this.#put(end, bytes)
      any = true
      if (this.#known > 0) this.#known--
      else received += bytes.length
    }
    if (any) end.received(received)
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
    this.#known = 0
  }

  // those of a socket that all sessions of the listener share are not one session's to set
  setOption(): void {}

  drain(): void {
    if (this.#timer === undefined || this.#idle || this.#closed !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#onTime(), Math.min(this.#settings.udpIdleTimeout, DRAIN_IDLE))
  }

  // no end of it tells the peer; what is in the fifo may still be answered
  stop(): void {
    this.#socket.forget(this)
  }

  /** Its time is over. If this process stood still meanwhile, what has come is read first. */
  #onTime(): void {
    this.#quiet = true
    setImmediate(() => {
      if (this.#quiet && this.#end !== undefined && this.#closed === undefined) this.#onIdle()
    })
  }

  /** Something has come or gone. */
  #stir(): void {
    this.#quiet = false
    this.#timer?.refresh()
  }

  /** Nothing has come or gone for a while: the first time that is the peer's end, the second time the connection's. */
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

  /** Sends what is in the fifo, as far as it is this session's turn; `isLast`: all of it, since the fifo goes. */
  #pump(isLast = false): void {
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
        this.#finish("the application wrote something other than datagrams; see SessionDatagrams")
        break
      }
      if (tx.size < length) {
        this.#sentAll()
        break
      }
      if (!isLast && this.#socket.isBlocked(this)) break
      tell = this.#sendOne(this.#end, length) || tell
    }
    // outside the call that wrote, as every event is
    if (tell) queueMicrotask(() => this.#end?.room())
  }

  /** Sends the next datagram of the fifo, and returns what the fifo's `drop` returns. */
  #sendOne(end: ConnectionEnd, length: number): boolean {
    const { tx } = end
    this.#length = undefined
    this.#stir()
    if (length <= Datagram.LARGEST_UDP) {
      // a copy: the system may take its time, and so the fifo is free at once
      const bytes = new Uint8Array(length)
      const read = tx.read(bytes)
      if (read.bytes < length) throw new Fifo.FifoCorrupt(TAKEN_BACK)
      if (length > 0) end.sent(length)
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

  /** All complete datagrams have been sent: what was left to do for an end can be done. */
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

  /** The system says that the peer can't be reached. */
  broken(error: NodeJS.ErrnoException): void {
    this.#finish(ConnectionLoss.sentence(error))
  }

  #finish(reset: string | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed = { reset }
    clearTimeout(this.#timer)
    this.#discard()
    this.#socket.exit(this)
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
