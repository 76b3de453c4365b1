/**
 * A Node `Duplex` over a {@link Session}, for what is written for sockets: `node:http`, `node:tls`, `ws`.
 *
 * It has the members of `net.Socket` that such code asks for and behaves as a connected one does: half-close,
 * backpressure both ways, `setTimeout`, `destroySoon`, and errors with the codes `ECONNRESET` and `EPIPE`.
 *
 * **How it works** Bytes stay in the session's fifo until the stream wants them, so a reader that pauses fills the fifo
 * and the peer feels it. A write hands over what the fifo takes; the rest waits for the session's `writable` edge, and
 * the write's callback waits with it. What was there before the handler was set is found by the first `_read`, and a
 * session that was gone by then by a look in the next tick.
 *
 * Hot path: per edge there is no closure, and an idle Duplex has one small object besides the stream's own state and no
 * timer unless a timeout was set. Reading, writing and the end are one state machine, as they are in Node's own socket,
 * and the other members of a socket depend on it: so it is one class.
 *
 * @since 0.1.0
 */
import { isIPv6 } from "node:net"
import type * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Endpoint from "../../../domain/net/Endpoint.ts"
import type { Session, SessionHandler } from "../../../services/Sessions.ts"

/** Bytes that are copied out of a fifo at a time; as many as a stream holds by default. */
const CHUNK = 65_536
/** Bytes that are written in one go before the loop's other work gets its turn. */
const BURST = 1_048_576
const MAX_TIMEOUT = 2 ** 31 - 1

/**
 * @category options
 * @since 0.1.0
 */
export interface SessionDuplexOptions {
  /** Whether this side stays open when the peer has ended its own. Default `true`, as an HTTP server has it. */
  readonly allowHalfOpen?: boolean | undefined
  /** Bytes that the stream holds in either direction before it says stop. Default: Node's, 64 KiB. */
  readonly highWaterMark?: number | undefined
  /**
   * Whether `destroy` with an error resets the connection even when all that was written is on its way. Default
   * `true`. An HTTP server writes a last answer and destroys with the error at once: it says `false`, and the answer
   * arrives.
   */
  readonly abortOnError?: boolean | undefined
}

const failure = (syscall: "read" | "write", code: string, detail: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}: ${detail}`), { syscall, code })

/**
 * The error of a stream, or a socket, whose session is gone: `ECONNRESET`, or `EPIPE` for a write that comes too late.
 *
 * @category accessors
 * @since 0.1.0
 */
export const lost = (syscall: "read" | "write", session: Session): NodeJS.ErrnoException =>
  session.reset === undefined
    ? failure(syscall, syscall === "write" ? "EPIPE" : "ECONNRESET", "the session is closed")
    : failure(syscall, "ECONNRESET", session.reset)

const onTimeout = (duplex: SessionDuplex): void => void duplex.emit("timeout")

/** Address and port; the peer of a cut-through session has none. */
const parse = (uri: string): Endpoint.InetEndpoint | null => Endpoint.inetOf(uri) ?? null

const family = (host: string): "IPv4" | "IPv6" => isIPv6(host) ? "IPv6" : "IPv4"

let onEdge: (duplex: SessionDuplex) => void
let onWritable: (duplex: SessionDuplex) => void
let resume: (duplex: SessionDuplex) => void
let onClosed: (duplex: SessionDuplex) => void

/** Separate from the stream, whose own `readable`, `writable` and `closed` mean something else. */
class Edges implements SessionHandler {
  readonly duplex: SessionDuplex
  constructor(duplex: SessionDuplex) {
    this.duplex = duplex
  }
  readable(): void {
    onEdge(this.duplex)
  }
  writable(): void {
    onWritable(this.duplex)
  }
  ended(): void {
    onEdge(this.duplex)
  }
  closed(): void {
    onClosed(this.duplex)
  }
}

/**
 * A session as a stream.
 *
 * **When to use**
 *
 * For libraries that read from and write to a socket of Node's. Code that serves connections asks {@link fromSession},
 * which gives the socket itself where there is one.
 *
 * **Details**
 *
 * - It owns the session: it sets the handler, and `destroy` takes it away and gives the session up.
 * - `destroy` closes the connection in order, so that the peer reads an end after all that was written. It resets the
 *   connection when bytes that were written could not all be handed over, or after an error (see
 *   {@link SessionDuplexOptions.abortOnError}).
 * - A reset ends the stream with `ECONNRESET`, after the bytes that the reader takes at once.
 *
 * **Gotchas**
 *
 * As with a socket, an `error` that nobody listens for is thrown.
 *
 * @category models
 * @since 0.1.0
 */
export class SessionDuplex extends Duplex {
  static {
    onEdge = (duplex) => duplex.#pump()
    // Not in one tick with the edges that come with it: `node:http` counts on the ticks between two callbacks of a
    // socket, and loses a `drain` when a write of a response and the end of an earlier one come without a tick between.
    onWritable = (duplex) => void setImmediate(resume, duplex)
    resume = (duplex) => duplex.#resume()
    onClosed = (duplex) => duplex.#gone()
  }

  readonly session: Session
  /** The idle timeout in milliseconds, once one was set. */
  timeout: number | undefined
  readonly #abortOnError: boolean
  /** The stream has room: it takes bytes when they come. */
  #wanted = false
  /** The stream was told that the peer has ended. */
  #eof = false
  /** The session was told that this side has ended. */
  #ended = false
  #bytesRead = 0
  #bytesWritten = 0
  /** Bytes written since a write last had to wait. */
  #burst = 0
  #timer: NodeJS.Timeout | undefined
  // a write that was cut short: what it consists of, how far it got, and whom to tell
  #chunks: ReadonlyArray<{ readonly chunk: Uint8Array }> | undefined
  #index = 0
  #from = 0
  #callback: ((error?: Error | null) => void) | undefined
  #remote: Endpoint.InetEndpoint | null | undefined
  #local: Endpoint.InetEndpoint | null | undefined

  constructor(session: Session, options?: SessionDuplexOptions) {
    super({ allowHalfOpen: options?.allowHalfOpen ?? true, highWaterMark: options?.highWaterMark })
    this.session = session
    this.#abortOnError = options?.abortOnError ?? true
    session.handler = new Edges(this)
    if (session.closed) process.nextTick(onClosed, this)
  }

  // ---- reading

  /**
   * Moves what was there at the call, and leaves what comes meanwhile to the next edge: a peer on another thread that
   * writes as fast as this reads must not keep the loop here.
   */
  #pump(): void {
    const { session } = this
    let left = session.available
    if (left > 0 && this.#wanted) this.#timer?.refresh()
    while (left > 0 && this.#wanted && !this.destroyed) {
      const chunk = session.read(Math.min(left, CHUNK))
      if (chunk === undefined) break
      left -= chunk.length
      this.#bytesRead += chunk.length
      // unset first: `push` may hand the bytes on at once, and their reader may come back for more before it returns
      this.#wanted = false
      if (this.push(chunk)) this.#wanted = true
    }
    if (session.ended && !this.#eof && session.available === 0 && !this.destroyed) {
      this.#eof = true
      this.push(null)
      // as a socket does: `end` comes even if nobody reads, as long as there is nothing to read
      this.read(0)
    }
  }

  override _read(): void {
    this.#wanted = true
    this.#pump()
  }

  /** The connection is gone, in order or not. */
  #gone(): void {
    const { session } = this
    // in order: both sides have ended, and what is left can still be read
    const inOrder = session.reset === undefined && session.ended && this.#ended
    if (!inOrder && !this.destroyed) this.destroy(lost("read", session))
  }

  // ---- writing

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const taken = this.session.write(chunk)
    if (taken < 0) return callback(lost("write", this.session))
    this.#timer?.refresh()
    if (taken === chunk.length) {
      this.#bytesWritten += taken
      return this.#done(taken, callback)
    }
    this.#burst = 0
    this.#chunks = [{ chunk }]
    this.#index = 0
    this.#from = taken
    this.#callback = callback
  }

  override _writev(
    chunks: Array<{ chunk: Uint8Array; encoding: BufferEncoding }>,
    callback: (error?: Error | null) => void
  ): void {
    this.#chunks = chunks
    this.#index = 0
    this.#from = 0
    this.#callback = callback
    this.#resume()
  }

  /** Goes on with the write in hand until it is done or the fifo is full again. */
  #resume(): void {
    const chunks = this.#chunks
    if (chunks === undefined) return
    let written = 0
    while (this.#index < chunks.length) {
      const { chunk } = chunks[this.#index]!
      const taken = this.session.write(chunk, this.#from)
      if (taken < 0) return this.#finish(lost("write", this.session))
      if (taken > 0) this.#timer?.refresh()
      this.#from += taken
      if (this.#from < chunk.length) {
        this.#burst = 0
        return
      }
      this.#bytesWritten += chunk.length
      written += chunk.length
      this.#index++
      this.#from = 0
    }
    this.#finish(undefined, written)
  }

  #finish(error: Error | undefined, written = 0): void {
    const callback = this.#callback!
    this.#chunks = undefined
    this.#callback = undefined
    if (error === undefined) this.#done(written, callback)
    else callback(error)
  }

  /** A peer on another thread that reads as fast as this writes would keep the loop here, tick after tick. */
  #done(written: number, callback: (error?: Error | null) => void): void {
    this.#burst += written
    if (this.#burst < BURST) return callback()
    this.#burst = 0
    setImmediate(callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.session.reset !== undefined) return callback(lost("write", this.session))
    this.#ended = true
    this.session.end()
    callback()
  }

  // ---- the end

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { session } = this
    clearTimeout(this.#timer)
    this.#timer = undefined
    session.handler = undefined
    if (this.writableLength > 0 || (error !== null && this.#abortOnError)) session.abort()
    session.close()
    const pending = this.#callback
    this.#chunks = undefined
    this.#callback = undefined
    callback(error)
    // after `close`: if it were told before, the stream would take it for the reason why it was destroyed
    if (pending !== undefined) {
      process.nextTick(pending, error ?? failure("write", "ERR_STREAM_DESTROYED", "the stream was destroyed"))
    }
  }

  /** Ends this side, and gives the session up when all that was written is on its way. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once("finish", this.destroy)
  }

  /** Gives the session up with a reset. */
  resetAndDestroy(): this {
    this.session.abort()
    return this.destroy()
  }

  // ---- the other members of a socket

  /**
   * Emits `timeout` when no bytes have been read or written for `msecs` milliseconds; 0 for never. A callback listens
   * for the event once; with 0 it is taken away.
   */
  setTimeout(msecs: number, callback?: () => void): this {
    if (this.destroyed) return this
    if (typeof msecs !== "number" || !(msecs >= 0) || msecs === Infinity) {
      throw Object.assign(new RangeError(`a timeout is a number of milliseconds, 0 or more; it is ${msecs}`), {
        code: "ERR_OUT_OF_RANGE"
      })
    }
    const armed = this.#timer !== undefined && this.timeout === msecs
    this.timeout = msecs
    if (armed) this.#timer!.refresh()
    else {
      clearTimeout(this.#timer)
      this.#timer = msecs === 0 ? undefined : setTimeout(onTimeout, Math.min(msecs, MAX_TIMEOUT), this).unref()
    }
    if (callback !== undefined) {
      if (msecs === 0) this.removeListener("timeout", callback)
      else this.once("timeout", callback)
    }
    return this
  }

  /** Nothing to set: a session has no timer that holds bytes back. */
  setNoDelay(_enable?: boolean): this {
    return this
  }

  /** Nothing to set: whether the kernel probes the connection is up to the listener. */
  setKeepAlive(_enable?: boolean, _initialDelay?: number): this {
    return this
  }

  /** Nothing to do: it is the worker, not the session, that keeps the process alive. */
  ref(): this {
    return this
  }

  /** See {@link ref}. */
  unref(): this {
    return this
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Bytes written, including those that the stream still holds. */
  get bytesWritten(): number {
    return this.#bytesWritten + this.writableLength
  }

  get connecting(): boolean {
    return false
  }

  get pending(): boolean {
    return this.destroyed
  }

  get readyState(): "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.readable) return this.writable ? "open" : "readOnly"
    return this.writable ? "writeOnly" : "closed"
  }

  #remoteEndpoint(): Endpoint.InetEndpoint | null {
    return this.#remote === undefined ? this.#remote = parse(this.session.remote) : this.#remote
  }

  #localEndpoint(): Endpoint.InetEndpoint | null {
    return this.#local === undefined ? this.#local = parse(this.session.local) : this.#local
  }

  get remoteAddress(): string | undefined {
    return this.#remoteEndpoint()?.host
  }

  get remotePort(): number | undefined {
    return this.#remoteEndpoint()?.port
  }

  get remoteFamily(): "IPv4" | "IPv6" | undefined {
    const host = this.remoteAddress
    return host === undefined ? undefined : family(host)
  }

  get localAddress(): string | undefined {
    return this.#localEndpoint()?.host
  }

  get localPort(): number | undefined {
    return this.#localEndpoint()?.port
  }

  get localFamily(): "IPv4" | "IPv6" | undefined {
    const host = this.localAddress
    return host === undefined ? undefined : family(host)
  }

  address(): { readonly address?: string; readonly port?: number; readonly family?: string } {
    const local = this.#localEndpoint()
    return local === null ? {} : { address: local.host, port: local.port, family: family(local.host) }
  }
}

/**
 * The stream by which code that is written for sockets reads and writes the bytes of a session.
 *
 * @category models
 * @since 0.1.0
 */
export type DuplexStream = SessionDuplex | Net.Socket

/**
 * The stream of a session, for code that is written for sockets: the session's own socket, where the socket has moved
 * to this worker with it, and otherwise a stream over the session. The caller owns the stream, and no longer hears the
 * session's edges. Everything that serves connections gets its streams here. A socket that has moved keeps its own
 * bound on what it holds (`highWaterMark`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSession = (session: Session, options?: SessionDuplexOptions): DuplexStream => {
  const socket = session.takeSocket()
  if (socket === undefined) return new SessionDuplex(session, options)
  socket.allowHalfOpen = options?.allowHalfOpen ?? true
  return socket
}
