/**
 * A session as the handle of one of Node's sockets: what is a file descriptor to a socket of the kernel's is a session
 * to this one, and everything above is Node's own.
 *
 * **One edge, one turn** Node's libraries count on the ticks that stand between two callbacks of a socket: between
 * bytes and the end that follows them, between a write that is done and the next request. A session's edges come in
 * bunches. So an edge only arranges for a turn of the loop, and a turn does one thing: it finishes a write, or hands on
 * one chunk, or the end. The callbacks of Node that it calls run in the context that they were made in.
 *
 * **How it works** Bytes stay in the session's fifo until the reader wants them, so a reader that pauses fills the fifo
 * and the peer feels it. A write hands over what the fifo takes; the rest waits for the session's `writable` edge, and
 * Node's request waits with it.
 *
 * Hot path: per edge there is no closure, and an idle session has no timer here. Reading, writing and the end are one
 * state machine, and so one class.
 */
import * as Net from "node:net"
import * as Os from "node:os"
import * as Address from "../../../domain/net/Address.ts"
import * as Endpoint from "../../../domain/net/Endpoint.ts"
import type { Session, SessionHandler } from "../../../services/Sessions.ts"
import { heldBy, JsStream, type StreamRequest } from "./JsStream.ts"

/** The most bytes that are handed on at a time; as many as a stream holds by default. */
const CHUNK = 65_536
/** Bytes that are written in one go before the loop's other work gets its turn. */
const BURST = 1_048_576

const { ECANCELED, ECONNRESET, ENOTCONN, EPIPE } = Os.constants.errno

const failure = (syscall: "read" | "write", code: string, errno: number, detail: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}`, { cause: detail }), { errno: -errno, code, syscall })

/**
 * The error of a stream, or a socket, whose session is gone: `ECONNRESET`, or `EPIPE` for a write that comes too late.
 * Its message is Node's, and its `cause` says in a sentence why.
 *
 * @category accessors
 * @since 0.1.0
 */
export const lost = (syscall: "read" | "write", { reset }: Session): NodeJS.ErrnoException =>
  reset !== undefined
    ? failure(syscall, "ECONNRESET", ECONNRESET, reset)
    : syscall === "write"
    ? failure(syscall, "EPIPE", EPIPE, "the session is closed")
    : failure(syscall, "ECONNRESET", ECONNRESET, "the session is closed")

/** A write that Node waits for. */
interface Write {
  readonly request: StreamRequest
  readonly buffers: ReadonlyArray<Uint8Array>
  /** The buffer to go on with, and the bytes of it that have been taken. */
  index: number
  from: number
  /** Of a write that is done, 0 or the error it has failed with. */
  status: number | undefined
}

let turn: (stream: SessionStream) => void
let lose: (stream: SessionStream) => void
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
    finishClose = (stream, closed) => stream.#finishClose(closed)
  }

  readonly session: Session
  /** The socket over it, which is destroyed when the session breaks. */
  socket: Net.Socket | undefined
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
  #closing = false
  /** It is closed with a reset. */
  #breaks = false
  readonly #writes: Array<Write> = []
  /** The first write can go on. */
  #room = false
  #shutdown: StreamRequest | undefined
  /** Bytes that {@link write} has taken: Node does not count them. */
  #taken = 0
  /** Bytes written since a write last had to wait. */
  #burst = 0
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
    if (this.#wanted && !this.#eof) this.#rest = session.read()
    setImmediate(lose, this)
  }

  // ---- turns

  get #due(): boolean {
    if (this.#closing) return false
    if (this.#writes.length > 0) return this.#room || this.#writes[0]!.status !== undefined || this.#toRead
    return this.#shutdown !== undefined || this.#toRead
  }

  get #toRead(): boolean {
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
    }
  }

  // ---- reading

  #deliver(): void {
    if (!this.#toRead) return
    const { session } = this
    if (this.#rest !== undefined) {
      const rest = this.#rest
      this.#rest = undefined
      return this.readBuffer(rest)
    }
    const left = session.available
    if (left === 0) {
      this.#eof = true
      return this.emitEOF()
    }
    const bytes = session.peek(CHUNK)
    if (bytes === undefined) return
    // blocks are small at first, and a turn for each of them would be slow
    if (bytes.length < CHUNK && bytes.length < left) return this.readBuffer(session.read(CHUNK)!)
    this.#handed = bytes.length
    try {
      this.readBuffer(bytes)
    } finally {
      this.#drop()
    }
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
    this.socket?.destroy(lost("read", this.session))
  }

  // ---- writing

  /**
   * Takes as many of the bytes as there is room for, and returns how many that was; Node writes the others. A peer on
   * another thread that reads as fast as this writes would keep the loop here, tick after tick: so now and then it
   * takes nothing.
   */
  write(bytes: Uint8Array): number {
    if (this.#writes.length > 0 || this.#closing) return 0
    if (this.#burst >= BURST) {
      this.#burst = 0
      return 0
    }
    const taken = this.session.write(bytes)
    if (taken <= 0) return 0
    this.#taken += taken
    this.#burst += taken
    return taken
  }

  override get bytesWritten(): number {
    return super.bytesWritten + this.#taken
  }

  /** Bytes that a write waits with: while they grow fewer, a socket is not idle. */
  get writeQueueSize(): number {
    let size = 0
    for (const { buffers, from, index } of this.#writes) {
      for (let i = index; i < buffers.length; i++) size += buffers[i]!.length
      size -= from
    }
    return size
  }

  onwrite(request: StreamRequest, buffers: ReadonlyArray<Uint8Array>): number {
    this.#writes.push({ request, buffers, index: 0, from: 0, status: undefined })
    if (this.#writes.length === 1) this.#write()
    this.#look()
    return 0
  }

  /** Goes on with the first write until it is done or the fifo is full again. */
  #write(): void {
    const { session } = this
    const write = this.#writes[0]!
    this.#room = false
    this.#burst = 0
    while (write.index < write.buffers.length) {
      const bytes = write.buffers[write.index]!
      // TLS writes nothing to hear that all before it is written: that is done, even if the connection is gone by now
      const taken = bytes.length === 0 ? 0 : session.write(bytes, write.from)
      if (taken < 0) {
        write.request.error = session.reset ?? "the session is closed"
        write.status = session.reset === undefined ? -EPIPE : -ECONNRESET
        return
      }
      write.from += taken
      if (write.from < bytes.length) return
      write.index++
      write.from = 0
    }
    write.status = 0
  }

  #finishWrite(): boolean {
    const write = this.#writes[0]
    if (write === undefined) return false
    if (write.status === undefined && this.#room) this.#write()
    if (write.status === undefined) return false
    this.#writes.shift()
    if (this.#writes.length > 0) this.#write()
    this.finishWrite(write.request, write.status)
    return true
  }

  onshutdown(request: StreamRequest): number {
    this.#shutdown = request
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

  /** What was written and has not been handed over, copied: whoever wrote it may use its memory again. */
  #unsent(): ReadonlyArray<Uint8Array> {
    const unsent = this.#writes.flatMap(({ buffers, from, index }) =>
      buffers.slice(index).map((bytes, i) => Buffer.from(i === 0 ? bytes.subarray(from) : bytes))
    )
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
    session.close(this.#unsent())
    // in no context of whoever closes it
    session.resource.runInAsyncScope(setImmediate, undefined, finishClose, this, closed)
  }

  #finishClose(closed: (() => void) | undefined): void {
    for (const { request } of this.#writes.splice(0)) this.finishWrite(request, -ECANCELED)
    if (this.#shutdown !== undefined) this.finishShutdown(this.#shutdown, -ECANCELED)
    this.#shutdown = undefined
    closed?.()
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
