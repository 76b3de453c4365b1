/**
 * A session as one of Node's sockets, for what is written for sockets: `node:http`, `node:tls`, `ws`.
 *
 * It is a `net.Socket`, with a handle that has a session where others have a file descriptor (`SessionStream`): so
 * timeouts, half-close, counters, addresses, events and their order are Node's own.
 *
 * @since 0.1.0
 */
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { Session } from "../../../services/Sessions.ts"
import * as NodeHandle from "../../transport/NodeHandle.ts"
import { sessionKey } from "../../worker/SocketSession.ts"
import * as JsStream from "./JsStream.ts"
import { SessionStream } from "./SessionStream.ts"
import * as TlsMembers from "./TlsMembers.ts"

export { lost } from "./StreamErrors.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface SessionDuplexOptions {
  /** Whether this side stays open when the peer has ended its own. Default `true`, as an HTTP server has it. */
  readonly allowHalfOpen?: boolean | undefined
  /** Bytes that the stream holds in either direction before it says stop. Default: Node's, 64 KiB. */
  readonly highWaterMark?: number | undefined
  /** Whether nothing is read before somebody asks. Default `false`. */
  readonly pauseOnCreate?: boolean | undefined
}

/**
 * A session as a socket.
 *
 * **When to use**
 *
 * For libraries that read from and write to a socket of Node's. Code that serves connections asks {@link fromSession},
 * which gives the socket itself where there is one.
 *
 * **Details**
 *
 * - It owns the session: it sets the handler, and `destroy` takes it away and gives the session up.
 * - `destroy` closes the connection in order, so that the peer reads an end after all that was written, in the time
 *   that `Session.close` says.
 * - Where TLS of its connection ended in the host, it has the members of `tls.TLSSocket`: `encrypted`, `authorized`,
 *   `getPeerCertificate` and so on, as far as {@link Session.about} has the answers.
 * - A reset ends the stream with `ECONNRESET`, after the bytes that the reader takes at once.
 *
 * **Gotchas**
 *
 * As with any socket, an `error` that nobody listens for is thrown.
 *
 * @category models
 * @since 0.1.0
 */
export class SessionDuplex extends JsStream.Socket {
  readonly session: Session
  readonly [sessionKey]: Session
  readonly #stream: SessionStream
  /** Whether an HTTP server has it, and it is parked between two requests: `HttpParking`. */
  parks = false
  /** Requests that are in hand, and whether there is a part of one more. */
  requests = 0
  hasPart = false

  constructor(session: Session, options?: SessionDuplexOptions) {
    const handle = new SessionStream(session)
    super({ allowHalfOpen: true, ...options, handle })
    this.session = session
    this[sessionKey] = session
    this.#stream = handle
    handle.socket = this
    const { tls } = session.about
    if (tls !== undefined) TlsMembers.give(this, tls)
  }

  /** Most writes fit, and are done here. What does not fit is kept until there is room. */
  override _write(chunk: Uint8Array | string, encoding: BufferEncoding | "buffer", callback: JsStream.Written): void {
    this._unrefTimer()
    const bytes = JsStream.bytesOf(chunk, encoding)
    const taken = this.#stream.write(bytes)
    if (taken === bytes.length) return callback()
    this.#stream.keep([bytes.subarray(taken)], this, callback)
  }

  override _writev(chunks: ReadonlyArray<JsStream.Chunk>, callback: JsStream.Written): void {
    this._unrefTimer()
    for (let i = 0; i < chunks.length; i++) {
      const { chunk, encoding } = chunks[i]!
      const bytes = JsStream.bytesOf(chunk, encoding)
      const taken = this.#stream.write(bytes)
      if (taken === bytes.length) continue
      const rest = chunks.slice(i + 1).map(({ chunk, encoding }) => JsStream.bytesOf(chunk, encoding))
      return this.#stream.keep([bytes.subarray(taken), ...rest], this, callback)
    }
    callback()
  }

  /** A socket whose write gets on is not idle, nor is one whose bytes wait for this loop, which was blocked meanwhile. */
  override _onTimeout(): void {
    if (this.#stream.getsOn() || this.#stream.toRead) this._unrefTimer()
    else super._onTimeout()
  }

  /** `look` sees all bytes before the reader gets them, in the pieces in which it does. */
  beforeRead(look: (bytes: Uint8Array) => void): void {
    this.#stream.beforeRead = look
  }

  /** Parks the session (X1), if nothing is under way in either direction. */
  park(): void {
    if (!this.destroyed && this.readableLength === 0 && this.writableLength === 0) this.#stream.park()
  }

  /** Resets the connection. */
  override resetAndDestroy(): this {
    if (this.destroyed) return super.resetAndDestroy()
    this.#stream.break()
    return this.destroy()
  }
}

/**
 * The socket of a session, for code that is written for sockets: the session's own, where the socket has moved to this
 * worker with it, and otherwise one over the session. The caller owns the socket, and no longer hears the session's
 * edges. Everything that serves connections gets its sockets here. A socket that has moved keeps its own bound on what
 * it holds (`highWaterMark`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSession = (session: Session, options?: SessionDuplexOptions): Net.Socket => {
  const socket = session.takeSocket()
  if (socket === undefined) return new SessionDuplex(session, options)
  socket.allowHalfOpen = options?.allowHalfOpen ?? true
  if (options?.pauseOnCreate === true) return socket.pause()
  // as a socket that Node makes: a listener for `data` sets it going, and the end comes even if nobody reads
  Reflect.set(socket, "readableFlowing", null)
  socket.read(0)
  return socket
}

/**
 * The session of a socket that a server was given, or made of it: in either placement, below TLS, and for HTTP/2, whose
 * `request.socket` and `session.socket` stand for it. `undefined` for any other socket.
 *
 * **When to use**
 *
 * In a program that is written for Node, to find out about a connection: its handle in `sluice show sessions`, the proxy
 * that it came through ({@link Session.about}). The socket remains what reads and writes.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sessionOf = (socket: Duplex): Session | undefined => {
  // what HTTP/2 has for a socket answers when it is asked for a member, and not whether it has one
  const session: Session | undefined = Reflect.get(socket, sessionKey)
  const below = session === undefined ? NodeHandle.below(socket) : undefined
  return below === undefined ? session : sessionOf(below)
}
