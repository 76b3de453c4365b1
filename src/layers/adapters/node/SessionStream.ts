/**
 * A session as the handle of one of Node's sockets: what is a file descriptor to a socket of the kernel's is a session
 * to this one, and everything above is Node's own.
 *
 * **One edge, one turn** Node's libraries count on the ticks that stand between two callbacks of a socket: between
 * bytes and the end that follows them, between a write that is done and the next request. A session's edges come in
 * bunches, and the end of TLS comes as one of its records. So an edge only arranges for a turn of the loop, and a turn
 * does one thing: it finishes a write, or hands on one chunk, or the end. Only a write of native code that is taken at
 * once is done in the next tick: HTTP/2 neither writes nor ends a session meanwhile. The callbacks of Node that it calls
 * run in the context that they were made in.
 *
 * **How it works** Bytes stay in the session's fifo until the reader wants them, so a reader that pauses fills the fifo
 * and the peer feels it. A write hands over what the fifo takes; the rest waits, where it is, for the session's
 * `writable` edge (`PendingWrite`).
 *
 * Hot path: per edge there is no closure, and an idle session has no timer here. Reading, writing and the end are one
 * state machine, and so one class.
 */
import * as Net from "node:net"
import * as Os from "node:os"
import * as Address from "../../../domain/net/Address.ts"
import * as Endpoint from "../../../domain/net/Endpoint.ts"
import * as TlsRecords from "../../../domain/net/TlsRecords.ts"
import type { Session, SessionHandler } from "../../../services/Sessions.ts"
import { FifoSession, isDue } from "../../worker/FifoSession.ts"
import { heldBy, type InnerSocket, JsStream, type StreamRequest, type Written } from "./JsStream.ts"
import { NativeWrite, type PendingWrite, SocketWrite } from "./PendingWrite.ts"
import * as StreamErrors from "./StreamErrors.ts"

/** The most bytes that are handed on at a time; as many as a stream holds by default. */
const CHUNK = 65_536
/** Bytes that are written in one go before the loop's other work gets its turn. */
const BURST = 1_048_576

const { ECANCELED, ENOTCONN } = Os.constants.errno

let turn: (stream: SessionStream) => void
let lose: (stream: SessionStream) => void
let leave: (stream: SessionStream) => void
let finishTaken: (stream: SessionStream, write: PendingWrite) => void
let finishClose: (stream: SessionStream, closed: (() => void) | undefined) => void

/** One end of a session's connection as Node shows it; `undefined` where it has no address. */
export const addressOf = (session: Session, end: "remote" | "local"): Net.AddressInfo | undefined => {
  const endpoint = Endpoint.inetOf(session[end])
  if (endpoint === undefined) return undefined
  const address = session.mapped ? Address.toMapped(endpoint.host) : endpoint.host
  return { address, port: endpoint.port, family: Net.isIPv6(address) ? "IPv6" : "IPv4" }
}

const answer = (address: Net.AddressInfo | undefined, out: object): number => {
  if (address === undefined) return -ENOTCONN
  Object.assign(out, address)
  return 0
}

export class SessionStream extends JsStream implements SessionHandler {
  static {
    turn = (stream) => stream.#turn()
    lose = (stream) => stream.#lose()
    leave = (stream) => void stream.socket?.destroy()
    finishTaken = (stream, write) => stream.#finishTaken(write)
    finishClose = (stream, closed) => stream.#finishClose(closed)
  }

  readonly session: Session
  /** The socket over it, which is destroyed when the session breaks. */
  socket: Net.Socket | undefined
  /** Sees what the reader is given, before. */
  beforeRead: ((bytes: Uint8Array) => void) | undefined
  /** Whether a reader wants what comes in. */
  #wanted = false
  /** A turn is due. */
  #armed = false
  /** The reader was told that the peer has ended. */
  #eof = false
  /** The session was told that this side has ended. */
  #ended = false
  /** The connection is gone, and what was still to be read when it broke. */
  #gone = false
  #rest: Uint8Array | undefined
  /** Bytes at the head of the fifo that are being read. */
  #handed = 0
  /** What the reader is given is TLS. */
  #records: TlsRecords.TlsRecords | undefined
  #closing = false
  /** It is closed with a reset. */
  #breaks = false
  readonly #writes: Array<PendingWrite> = []
  /** The first write can go on. */
  #room = false
  #shutdown: StreamRequest | undefined
  /** Bytes of writes of the socket, which Node does not count. */
  #taken = 0
  /** Bytes written since a write last had to wait. */
  #burst = 0
  /** Bytes that writes waited with when {@link getsOn} was last asked. */
  #waiting = 0
  #noDelay = true

  constructor(session: Session) {
    super()
    this.session = session
    session.handler = this
    if (session.closed) this.closed()
  }

  // ---- the session's edges

  readable(): void {
    this.#look()
  }

  ended(): void {
    this.#look()
  }

  writable(): void {
    this.#room = true
    this.#look()
  }

  /** The connection is gone, in order or not. */
  closed(): void {
    if (this.#gone) return
    this.#gone = true
    const { session } = this
    // in order: both sides have ended, and what is left can still be read
    if (session.reset === undefined && session.ended && this.#ended) return this.#look()
    // the memory that it is in may be another session's after this call
    if (this.#wanted && !this.#eof) {
      const left = session.read()
      if (left !== undefined) this.#rest = this.#rest === undefined ? left : Buffer.concat([this.#rest, left])
    }
    setImmediate(lose, this)
  }

  /** The session goes on with another worker: the socket closes without an error. */
  moved(): void {
    this.#gone = true
    setImmediate(leave, this)
  }

  /** Parks the session (X1), if nothing is under way in either direction. */
  park(): void {
    if (this.#closing || this.#gone || this.#eof || this.#rest !== undefined || this.#handed > 0) return
    if (this.#writes.length > 0 || this.#shutdown !== undefined) return
    const { session } = this
    // of what waits in the fifo, if anything does, nobody has seen a byte
    if (session instanceof FifoSession) session.parkUnread()
    else session.park()
  }

  // ---- turns

  get [isDue](): boolean {
    return this.#armed
  }

  get #due(): boolean {
    if (this.#closing) return false
    if (this.#writes.length > 0) return this.#room || this.#writes[0]!.status !== undefined || this.toRead
    return this.#shutdown !== undefined || this.toRead
  }

  /** Whether there is something that the reader wants, which it gets in a turn. */
  get toRead(): boolean {
    if (!this.#wanted || this.#eof) return false
    return this.#rest !== undefined || this.session.available > 0 || this.session.ended
  }

  #look(): void {
    if (this.#armed || !this.#due) return
    this.#armed = true
    setImmediate(turn, this)
  }

  #turn(): void {
    this.#armed = false
    if (this.#closing) return
    // what Node's callbacks call may throw, and that must not cost the next turn
    try {
      if (!this.#finishWrite() && !this.#finishShutdown()) this.#deliver()
    } finally {
      this.#look()
      // it has come to what it was told of, and wants no more
      if (!this.#armed && this.session instanceof FifoSession) this.session.keepTold()
    }
  }

  // ---- reading

  #deliver(): void {
    if (!this.toRead) return
    const { session } = this
    if (this.#rest !== undefined) return this.#handOn(this.#rest)
    const left = session.available
    if (left === 0) {
      this.#eof = true
      return this.emitEOF()
    }
    const bytes = session.peek(CHUNK)
    if (bytes === undefined) return
    // blocks are small at first, and a turn for each of them would be slow
    if (bytes.length < CHUNK && bytes.length < left) return this.#handOn(session.read(CHUNK)!)
    this.#handed = this.#part(bytes)
    try {
      this.#give(this.#handed === bytes.length ? bytes : bytes.subarray(0, this.#handed))
    } finally {
      this.#drop()
    }
  }

  /** Hands on bytes that are no longer in the fifo, as far as they are one turn's. */
  #handOn(bytes: Uint8Array): void {
    const part = this.#part(bytes)
    this.#rest = part === bytes.length ? undefined : bytes.subarray(part)
    this.#give(part === bytes.length ? bytes : bytes.subarray(0, part))
  }

  #give(bytes: Uint8Array): void {
    this.beforeRead?.(bytes)
    this.readBuffer(bytes)
  }

  /**
   * How many of the bytes are one turn's. TLS would hand on all of them in one, and what it reads last may be the peer's
   * end: so a last record that may be that has a turn of its own.
   */
  #part(bytes: Uint8Array): number {
    if (this.#records === undefined) {
      if (!TlsRecords.isHello(bytes)) return bytes.length
      this.#records = new TlsRecords.TlsRecords()
    }
    return this.#records.beforeAlert(bytes)
  }

  /** Frees what the reader has been handed. */
  #drop(): void {
    const handed = this.#handed
    this.#handed = 0
    if (handed > 0) this.session.drop(handed)
  }

  override readStart(): number {
    return this.onreadstart()
  }

  override readStop(): number {
    return this.onreadstop()
  }

  onreadstart(): number {
    this.#wanted = true
    this.#look()
    return 0
  }

  onreadstop(): number {
    this.#wanted = false
    return 0
  }

  /**
   * The connection is gone and not in order. Writes that were done before it went have succeeded, and whoever waits for
   * them hears so first: the peer may have gone because it had its whole answer. What had come in before is handed on,
   * as far as it is wanted.
   */
  #lose(): void {
    if (this.#closing) return
    if (this.#writes[0]?.status === 0) return void setImmediate(lose, this)
    if (this.#wanted && this.#rest !== undefined) {
      setImmediate(lose, this)
      return this.#deliver()
    }
    this.socket?.destroy(StreamErrors.lost("read", this.session))
  }

  // ---- writing

  /**
   * Takes as many of the bytes as there is room for, and returns how many that was; the others are to be {@link keep|kept}.
   * A peer on another thread that reads as fast as this writes would keep the loop here, tick after tick: so now and then
   * it takes no more.
   */
  write(bytes: Uint8Array): number {
    if (this.#writes.length > 0 || this.#closing) return 0
    const most = BURST - this.#burst
    const taken = this.session.write(bytes.length > most ? bytes.subarray(0, most) : bytes)
    if (taken <= 0) return 0
    this.#taken += taken
    this.#burst += taken
    return taken
  }

  /** Takes the rest of a write as room comes; `written` is called once, in a later turn. */
  keep(buffers: ReadonlyArray<Uint8Array>, socket: InnerSocket, written: Written): void {
    const write = new SocketWrite(this.session, buffers, socket, written)
    this.#taken += write.size
    this.#push(write)
  }

  override get bytesWritten(): number {
    return super.bytesWritten + this.#taken
  }

  /** Bytes that writes wait with. */
  get writeQueueSize(): number {
    return this.#writes.reduce((sum, { size }) => sum + size, 0)
  }

  /** Whether writes wait that have got on since this was last asked. */
  getsOn(): boolean {
    const waiting = this.writeQueueSize
    const getsOn = waiting > 0 && waiting !== this.#waiting
    this.#waiting = waiting
    return getsOn
  }

  onwrite(request: StreamRequest, buffers: ReadonlyArray<Uint8Array>): number {
    const write = new NativeWrite(this.session, buffers, this, request)
    this.#push(write)
    if (write.status === 0) process.nextTick(finishTaken, this, write)
    return 0
  }

  #finishTaken(write: PendingWrite): void {
    if (!this.#closing && this.#writes[0] === write) this.#finishWrite()
  }

  #push(write: PendingWrite): void {
    this.#writes.push(write)
    if (this.#closing) return void setImmediate(finishClose, this, undefined)
    if (this.#writes.length === 1) this.#write()
    this.#look()
  }

  /** Goes on with the first write until it is done or the fifo is full again, or the loop's other work is due. */
  #write(): void {
    this.#burst = 0
    this.#room = this.#writes[0]!.advance(BURST) === BURST
  }

  #finishWrite(): boolean {
    const write = this.#writes[0]
    if (write === undefined) return false
    if (write.status === undefined && this.#room) this.#write()
    if (write.status === undefined) return false
    this.#writes.shift()
    if (this.#writes.length > 0) this.#write()
    write.finish()
    return true
  }

  onshutdown(request: StreamRequest): number {
    this.#shutdown = request
    // at once, so that what TLS writes behind it fails, as it does at a socket of the system's
    if (this.#writes.length === 0) this.#end()
    this.#look()
    return 0
  }

  #end(): void {
    this.#ended = true
    this.session.end()
  }

  #finishShutdown(): boolean {
    const shutdown = this.#shutdown
    if (shutdown === undefined || this.#writes.length > 0) return false
    this.#shutdown = undefined
    this.#end()
    this.finishShutdown(shutdown, 0)
    return true
  }

  // ---- the end

  /** From here on, {@link close} resets the connection. */
  break(): void {
    this.#breaks = true
  }

  isClosing(): boolean {
    return this.#closing
  }

  /** What was written and has not been handed over. */
  #unsent(): ReadonlyArray<Uint8Array> {
    const unsent = this.#writes.flatMap(({ unsent }) => unsent)
    return this.socket === undefined ? unsent : [...unsent, ...heldBy(this.socket)]
  }

  /** Gives the session up: in order, behind all that was written, unless it is to be reset. */
  close(closed?: () => void): void {
    if (this.#closing) return
    this.#closing = true
    const { session } = this
    session.handler = undefined
    // a reader that gives up what it is reading has read it
    this.#drop()
    if (this.#breaks) session.abort()
    session.close(session.writable ? this.#unsent() : undefined)
    // in no context of whoever closes it, and after its immediates, as handles of the system's are closed
    session.resource.runInAsyncScope(setImmediate, undefined, setImmediate, finishClose, this, closed)
  }

  /** Tells whoever still waits, one in a turn, and then whoever closed it. */
  #finishClose(closed: (() => void) | undefined): void {
    const write = this.#writes.shift()
    const shutdown = this.#shutdown
    if (write === undefined && shutdown === undefined) return closed?.()
    setImmediate(finishClose, this, closed)
    if (write !== undefined) return write.finish()
    this.#shutdown = undefined
    this.finishShutdown(shutdown!, -ECANCELED)
  }

  // ---- what else sockets ask their handles

  getpeername(out: object): number {
    return answer(addressOf(this.session, "remote"), out)
  }

  getsockname(out: object): number {
    return answer(addressOf(this.session, "local"), out)
  }

  // set where the connection's own socket is

  setNoDelay(enable: boolean): number {
    // connections begin with it, and servers ask for it at each
    if (enable !== this.#noDelay) this.session.setOption({ _tag: "NoDelay", enable: this.#noDelay = enable })
    return 0
  }

  /** Times are in seconds. */
  setKeepAlive(enable: boolean, delay: number, interval = 0, count = 0): number {
    this.session.setOption({ _tag: "KeepAlive", enable, delay, interval, count })
    return 0
  }

  setTypeOfService(value: number): number {
    this.session.setOption({ _tag: "TypeOfService", value })
    return 0
  }
}
