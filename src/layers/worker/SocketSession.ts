/**
 * A session over a stream that its worker holds itself: a socket that has moved to it, or one of TLS that ends here.
 *
 * To its application it looks like a session over fifos. What comes in is kept here until it is read: once it reaches
 * the bound of an rx fifo, the stream is paused, and the peer's window closes. A write takes as many bytes as there is
 * room for below the bound of a tx fifo. The host hears of one thing only: that the connection is gone.
 *
 * **Parked (X1)** The host can't take a socket away from the worker that has it. So nothing happens to a session that is
 * parked until the worker drains, and others go on: then the worker gives the socket back, by the way that it came. What
 * the peer sends from that moment on waits in the system. A socket stays while anything that was read from it or is to
 * be written to it is here, and for good where TLS ends in this worker.
 *
 * The stream begins to flow when the application has been given the session, unless it has taken the stream by then
 * (see {@link SocketSession.takeSocket}): code that is written for sockets works on the socket itself.
 *
 * Reading, writing and the end are one state machine, and so one class: what becomes of the stream depends on all.
 *
 * This module is a hot path: what listens to a stream is shared by all sessions.
 */
import { constVoid } from "effect/Function"
import { AsyncResource } from "node:async_hooks"
import * as Net from "node:net"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import type { SocketOption } from "../../domain/net/SocketOption.ts"
import type { StandstillReason } from "../../domain/net/Standstill.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { ReturnedSocket } from "../../services/Attachment.ts"
import type { SessionHandler } from "../../services/Sessions.ts"
import * as NodeHandle from "../transport/NodeHandle.ts"
import * as SocketEnd from "../transport/SocketEnd.ts"
import * as SocketWatch from "../transport/SocketWatch.ts"
import * as RestMemory from "./RestMemory.ts"
import type { SessionTimes } from "./SessionTimes.ts"
import type { SessionIdentity, WorkerSession } from "./WorkerSession.ts"

/** What the session runs on: a socket, or a stream that has everything of a socket that the session needs. */
export type SocketStream = SocketEnd.EndingSocket & Pick<Net.Socket, "destroySoon">

/** What a session needs of its worker. */
export interface SocketOwner {
  readonly rxFifoSize: number
  readonly txFifoSize: number
  /** Runs an edge of the application; one that throws costs its session. */
  readonly guard: (session: SocketSession, edge: (session: SocketSession) => void) => void
  /** In a drain, whether other workers go on with what is parked here (X1). */
  readonly handsOver: (session: SocketSession) => boolean
  /** Gives the session's socket back to the host, and forgets the session; `false` when the socket stays here. */
  readonly giveBack: (session: SocketSession, returned: ReturnedSocket) => boolean
  /** The connection is gone; the reason if it was ended here, by neither its peer nor the application. */
  readonly gone: (session: SocketSession, ended: Ledger.EndReason | undefined) => void
}

/** Under which a socket has its session. Registered, so that it is the same one wherever this package is loaded from. */
export const sessionKey = Symbol.for("sluice/session")

interface OwnedStream extends SocketStream {
  [sessionKey]?: SocketSession | undefined
}

function onData(this: OwnedStream, bytes: Uint8Array): void {
  this[sessionKey]?.onData(bytes)
}

function onEnd(this: OwnedStream): void {
  this[sessionKey]?.onEnd()
}

function onError(this: OwnedStream, error: Error): void {
  this[sessionKey]?.onError(error)
}

function onClose(this: OwnedStream): void {
  this[sessionKey]?.onClose()
}

const sayReadable = (session: SocketSession): void => session.handler?.readable?.(session)
const sayWritable = (session: SocketSession): void => session.handler?.writable?.(session)
const sayEnded = (session: SocketSession): void => session.handler?.ended?.(session)
const sayClosed = (session: SocketSession): void => session.handler?.closed?.(session, session.reset)
const sayMoved = (session: SocketSession): void => {
  const { handler } = session
  if (handler?.moved !== undefined) handler.moved(session)
  else handler?.closed?.(session, undefined)
}
const tellParked = (session: SocketSession): void => session.tellParked()

/** A session that is parked: what its application gives along, `undefined` where it has done nothing with it so far. */
type Parked = Pick<ReturnedSocket, "state">

const FRESH: Parked = { state: undefined }
const PARKED: Parked = { state: new Uint8Array(0) }

export class SocketSession implements WorkerSession, SocketEnd.Leaver, SocketWatch.Watched {
  readonly handle: Handle.SessionHandle
  readonly remote: string
  readonly local: string
  readonly mapped: boolean
  readonly about: SessionAbout
  readonly cutThrough = false
  readonly datagrams = false
  readonly resource = new AsyncResource("SluiceSession")
  handler: SessionHandler | undefined
  ended = false
  reset: string | undefined
  readonly #owner: SocketOwner
  readonly #stream: OwnedStream
  readonly #below: SocketStream | undefined
  readonly #times: SessionTimes
  /** What was received and not read: all chunks, but without the first `#read` bytes of the first one. */
  readonly #chunks: Array<Uint8Array> = []
  #read = 0
  #available = 0
  #flowing = false
  #taken = false
  #parked: Parked | undefined = FRESH
  /** The socket could not be given back, and that is not tried again. */
  #stays = false
  /** `end`, `close` or `abort` was called. */
  #txEnded = false
  #givenUp = false
  #gone = false
  /** Bytes of room that a write which was cut short waits for; 0 while no write waits. */
  #awaited = 0
  #onWritten: (() => void) | undefined
  #error: NodeJS.ErrnoException | undefined
  /** Set when the session ends in order. */
  #farewell: SocketEnd.Farewell | undefined
  readonly #watch: SocketWatch.SocketWatch | undefined
  /** Why the session was broken, where that is not the peer's doing; if it was here, for a reason that the host counts. */
  #why: string | undefined
  #endedFor: Ledger.EndReason | undefined

  /** `below` is the socket below `stream`, where `stream` is one of TLS: a reset has to come from the lowest one. */
  constructor(
    owner_: SocketOwner,
    stream: SocketStream,
    { about, handle, local, mapped, remote, times }: SessionIdentity,
    below?: SocketStream
  ) {
    this.#owner = owner_
    this.#below = below
    this.#stays = below !== undefined
    this.#times = times
    this.#stream = stream
    this.handle = handle
    this.remote = remote
    this.local = local
    this.mapped = mapped
    this.about = about
    this.#stream[sessionKey] = this
    stream.on("error", onError)
    stream.on("close", onClose)
    this.#watch = SocketWatch.watch(below ?? stream, times, this)
  }

  /** Begins to read: the application has been given the session. */
  start(): void {
    if (this.#taken || this.#flowing || this.#stream.destroyed) return
    this.#flowing = true
    this.#stream.on("data", onData)
    this.#stream.on("end", onEnd)
    // a stream of TLS may have ended before this session listened
    if (this.#stream.readableEnded) queueMicrotask(() => this.onEnd())
    this.#stream.resume()
    // the worker drains already
    this.tellParked()
  }

  get rxBound(): number {
    return this.#owner.rxFifoSize
  }

  get txBound(): number {
    return this.#owner.txFifoSize
  }

  get available(): number {
    return this.#available
  }

  get writable(): boolean {
    return !this.#txEnded && !this.#gone && this.reset === undefined
  }

  get closed(): boolean {
    return this.#gone || this.#givenUp
  }

  // ---- reading

  onData(bytes: Uint8Array): void {
    if (this.#givenUp || this.#gone) return this.#drop(bytes.length)
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.#available += bytes.length
    if (this.#available >= this.rxBound) this.#stream.pause()
    this.#owner.guard(this, sayReadable)
  }

  #drop(bytes: number): void {
    if (this.#farewell?.drop(bytes) !== true) this.#stream.pause()
  }

  onEnd(): void {
    this.ended = true
    if (!this.#givenUp && !this.#gone) this.#owner.guard(this, sayEnded)
  }

  peek(max = Infinity): Uint8Array | undefined {
    const first = this.#chunks[0]
    if (first === undefined || max <= 0) return undefined
    this.#parked = undefined
    const end = Math.min(first.length, this.#read + max)
    return this.#read === 0 && end === first.length ? first : first.subarray(this.#read, end)
  }

  drop(length: number): void {
    this.#parked = undefined
    const bytes = Math.min(length, this.#available)
    const wasFull = this.#available >= this.rxBound
    this.#available -= bytes
    let whole = 0
    this.#read += bytes
    while (whole < this.#chunks.length && this.#read >= this.#chunks[whole]!.length) {
      this.#read -= this.#chunks[whole++]!.length
    }
    if (whole > 0) this.#chunks.splice(0, whole)
    if (wasFull && this.#available < this.rxBound && this.#flowing) this.#stream.resume()
  }

  read(max: number = Infinity): Uint8Array | undefined {
    const first = this.peek(max)
    if (first === undefined) return undefined
    const size = Math.min(this.#available, max)
    if (first.length === size) {
      this.drop(size)
      return first
    }
    const bytes = Buffer.allocUnsafe(size)
    for (let at = 0; at < size;) {
      const part = this.peek(size - at)!
      bytes.set(part, at)
      at += part.length
      this.drop(part.length)
    }
    return bytes
  }

  #forget(): void {
    this.#chunks.length = 0
    this.#read = 0
    this.#available = 0
  }

  // ---- writing

  get #room(): number {
    return Math.max(0, this.txBound - this.#stream.writableLength)
  }

  get #takesWrites(): boolean {
    return this.writable && !this.#stream.destroyed && !this.#taken
  }

  write(bytes: Uint8Array, from = 0): number {
    if (!this.#takesWrites) return -1
    this.#parked = undefined
    const left = bytes.length - from
    const taken = Math.min(left, this.#room)
    if (taken > 0) this.#send(bytes, from, taken)
    if (taken < left) this.#awaited = 1
    return taken
  }

  writeWhole(parts: ReadonlyArray<Uint8Array>): number {
    if (!this.#takesWrites) return -1
    this.#parked = undefined
    let length = 0
    for (const part of parts) length += part.length
    if (length > this.txBound) throw new RangeError(`${length} bytes never fit whole into a fifo of ${this.txBound}`)
    if (length > this.#room) {
      this.#awaited = length
      return 0
    }
    if (parts.length > 1) this.#stream.cork()
    for (const part of parts) if (part.length > 0) this.#send(part, 0, part.length)
    if (parts.length > 1) this.#stream.uncork()
    return length
  }

  /** The caller may use its bytes again at once, so the stream gets a copy. */
  #send(bytes: Uint8Array, from: number, length: number): void {
    const copy = Buffer.allocUnsafe(length)
    copy.set(length === bytes.length ? bytes : bytes.subarray(from, from + length))
    this.#stream.write(copy, this.#onWritten ??= () => this.#written())
  }

  /** Never called within the call that wrote. */
  #written(): void {
    // what was still to be sent when it was parked
    this.tellParked()
    if (this.#awaited === 0 || this.#room < this.#awaited) return
    this.#awaited = 0
    if (this.writable) this.#owner.guard(this, sayWritable)
  }

  // ---- the end

  end(): void {
    if (this.#txEnded || this.#taken) return
    this.#parked = undefined
    this.#txEnded = true
    if (!this.#gone) this.#stream.end()
  }

  close(rest: ReadonlyArray<Uint8Array> = []): void {
    if (this.#givenUp) return
    if (this.#takesWrites && rest.length > 0) this.#sendRest(rest)
    this.#giveUp()
    if (!this.#gone) this.#finish()
  }

  #sendRest(rest: ReadonlyArray<Uint8Array>): void {
    const kept = RestMemory.copy(rest)
    if (kept !== undefined) this.#stream.write(kept, () => RestMemory.free(kept))
  }

  /** Sends what was written, and ends. What comes in is dropped; a socket that was taken is its owner's to read. */
  #finish(): void {
    if (this.#farewell !== undefined) return
    this.#watch?.stop()
    const stream = this.#stream
    this.#farewell = new SocketEnd.Farewell(stream, this, stream.writableLength, this.#times.closeTimeout)
    if (this.#taken) return stream.destroySoon()
    stream.end()
    this.#flow()
  }

  /** The session is over, whatever the peer still has to say. */
  onSent(): void {
    this.#sayGone()
  }

  /** Bytes that wait for the peer. */
  get waiting(): number {
    return this.#stream.writableLength
  }

  onStandstill(reason: StandstillReason): void {
    this.#cut(reason)
  }

  onLate(): void {
    this.#cut("late")
  }

  #cut(reason: Ledger.EndReason): void {
    this.#endedFor = reason
    this.#why = ConnectionLoss.ended[reason]
    this.#break()
  }

  #flow(): void {
    if (this.#flowing) this.#stream.resume()
    else this.start()
  }

  abort(): void {
    if (this.#givenUp) return
    this.#giveUp()
    if (!this.#gone) this.#break()
  }

  #giveUp(): void {
    this.#parked = undefined
    this.#givenUp = true
    this.#txEnded = true
    this.#forget()
  }

  #break(): void {
    this.#watch?.stop()
    this.#farewell?.cancel()
    this.#farewell = undefined
    SocketEnd.reset(this.#stream, this.#below)
  }

  splice(): boolean {
    return false
  }

  setOption(option: SocketOption): void {
    const socket = this.#below ?? this.#stream
    if (!this.closed && socket instanceof Net.Socket) NodeHandle.setOption(socket, option)
  }

  onError(error: NodeJS.ErrnoException): void {
    this.#error ??= error
  }

  onClose(): void {
    if (this.#gone) return
    const stream = this.#stream
    const whole = this.#error === undefined && stream.readableEnded && stream.writableFinished
    if (!whole) {
      this.reset = this.#why ?? ConnectionLoss.sentence(this.#error)
      this.#forget()
    }
    this.#sayGone()
  }

  #sayGone(): void {
    if (this.#gone) return
    this.#watch?.stop()
    this.#gone = true
    this.#owner.gone(this, this.#endedFor)
    if (!this.#taken) this.#owner.guard(this, sayClosed)
  }

  // ---- what the host says

  /** The host ends the session in order, as {@link close} does. */
  onEnded(): void {
    if (!this.#gone) {
      this.#txEnded = true
      this.#finish()
    }
  }

  /** The host breaks the session. */
  onReset(reason: string): void {
    this.#why = reason
    this.#break()
  }

  /** The host is gone, or has given this worker up. */
  onDetached(): void {
    if (this.#gone) return
    this.reset ??= "the worker was detached"
    this.#forget()
    this.#gone = true
    this.#watch?.stop()
    this.#stream[sessionKey] = undefined
    this.#stream.on("error", constVoid)
    SocketEnd.resetNow(this.#stream, this.#below)
    if (!this.#taken) this.handler?.closed?.(this, this.reset)
  }

  // the host says none of these of a connection that has moved
  onReadable(): void {}
  onWritable(): void {}
  onCleanup(): void {}
  onMigrated(): void {}
  look(): void {}

  // ---- parked (X1)

  park(state?: Uint8Array): Refusal.ParkRefusal | undefined {
    const stream = this.#stream
    if (this.#below !== undefined) return "not-accepted"
    if (!this.writable || this.ended || !stream.writable || !stream.readable) return "ended"
    if (this.#available > 0 || stream.readableLength > 0) return "unread"
    if (this.#awaited > 0 || (this.#taken && stream.writableLength > 0)) return "unsent"
    if (state !== undefined && state.length > SessionBlock.STATE_BYTES) return "state-too-large"
    this.#parked = state === undefined || state.length === 0 ? PARKED : { state: new Uint8Array(state) }
    // never within the call of the application
    if (this.#owner.handsOver(this)) setImmediate(tellParked, this)
    return undefined
  }

  /** Gives the socket back if the session is parked, the worker drains and others go on. */
  tellParked(): void {
    if (this.#parked !== undefined) this.giveBack(this.#parked)
  }

  /** Whether the socket can be given back, once nothing of it is left here. */
  get isReturnable(): boolean {
    return !this.#stays && this.#stream instanceof Net.Socket && NodeHandle.canLeave(this.#stream)
  }

  /** The same, for an application that has told otherwise that the session is parked; `false` when the socket stays. */
  giveBack(parked: Parked): boolean {
    const stream = this.#stream
    if (!(stream instanceof Net.Socket) || !this.isReturnable || this.closed || this.ended || this.#txEnded) {
      return false
    }
    if (!this.#owner.handsOver(this) || !stream.readable || !stream.writable) return false
    if (this.#available > 0 || stream.readableLength > 0 || stream.writableLength > 0) return false
    const left = NodeHandle.leave(stream, (socket) => this.#owner.giveBack(this, { socket, state: parked.state }))
    this.#stays = true
    if (!left) return false
    // the stream closes as one that has ended
    this.#gone = true
    this.#watch?.stop()
    if (!this.#taken) this.#owner.guard(this, sayMoved)
    return true
  }

  takeSocket(): Net.Socket | undefined {
    const stream = this.#stream
    if (!(stream instanceof Net.Socket)) return undefined
    if (this.#taken) return stream
    if (this.closed || this.ended || this.#txEnded || stream.destroyed) return undefined
    this.#taken = true
    this.#parked = undefined
    if (this.#flowing) {
      stream.off("data", onData)
      stream.off("end", onEnd)
      stream.pause()
      if (this.#read > 0) this.#chunks[0] = this.#chunks[0]!.subarray(this.#read)
      for (const chunk of this.#chunks.toReversed()) stream.unshift(chunk)
      this.#forget()
    }
    return stream
  }
}
