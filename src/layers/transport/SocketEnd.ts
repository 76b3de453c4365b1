/**
 * The ends of sockets: broken at once, or in order, which takes no longer than was settled when the end began.
 *
 * ```
 * given up ── what is left goes out ── all is sent, an end behind it ── the peer has ended too: closed
 *                    │                             │
 *                    └ ClosingTime.toSend          └ ClosingTime.toLinger
 *                    ▼                             ▼
 *                  reset                         closed
 * ```
 *
 * A socket that is closed while its peer goes on sending resets the connection, and a reset destroys what the peer has
 * not received yet. So a socket whose last bytes may still be on their way stays a while. It is nobody's session any
 * more by then and takes no place in any limit. What comes in meanwhile is dropped, up to a bound; beyond it nothing is
 * read, so a peer that goes on pushing stands before the system's full buffer.
 */
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as ClosingTime from "../../domain/net/ClosingTime.ts"

/**
 * The most bytes that are read and dropped on a connection that was given up: a peer that first sends all of a small
 * upload and then reads has its answer.
 */
const DROPPED = 8 << 20

/** The most sockets of a thread that stay after their sessions; the oldest makes room for one more. */
const LINGERING = 1024

/** Milliseconds that the end of TLS may take before the socket below is destroyed. */
const TLS_END = 1000

/** The parts of a socket that are needed; a TLS socket may be a stream other than Node's. */
export type EndingSocket = Duplex & Pick<Net.Socket, "resetAndDestroy" | "bytesWritten">

/**
 * Resets a socket, which may be a TLS socket above the socket `below`: the peer sees a reset only if the lowest socket
 * does it.
 *
 * The system refuses to reset a socket while its end goes out, and the socket would then never close. So where an end
 * is all that is left to go out, the reset comes after it. The end goes out once everything written before it has,
 * which may never happen, so a socket with bytes left is reset at once. The end of TLS consists of bytes, which a peer
 * that does not read never takes: such a socket is destroyed after a second.
 */
export const reset = (socket: EndingSocket, below: EndingSocket | undefined): void => {
  if (socket.destroyed) return
  if (!socket.writableEnded || socket.writableFinished || socket.writableLength > 0) return resetSoon(socket, below)
  socket.once("finish", () => resetSoon(socket, below))
  if (below === undefined) return
  const timer = setTimeout(() => below.destroy(), TLS_END).unref()
  socket.once("close", () => clearTimeout(timer))
}

/**
 * Under TLS, in a turn of its own: the process crashes when the socket of TLS goes inside a callback of TLS, such as the
 * one that says that the handshake is made, or that there are bytes.
 */
const resetSoon = (socket: EndingSocket, below: EndingSocket | undefined): void => {
  if (below === undefined) resetNow(socket, below)
  else setImmediate(resetNow, socket, below)
}

/** Resets a socket without waiting for anything; not to be called inside a callback of TLS. */
export const resetNow = (socket: EndingSocket, below: EndingSocket | undefined): void => {
  const lowest = below ?? socket
  if (!lowest.destroyed) lowest.resetAndDestroy()
  if (below !== undefined) socket.destroy()
}

/** In a turn of its own, for the same reason. */
const destroy = (socket: EndingSocket): void => void socket.destroy()

/** What ends in order. */
export interface Leaver {
  /** All is sent. The socket is looked after here from now on. */
  onSent(): void
  /** The time to send what was left is over: the connection is to be broken. */
  onLate(): void
}

/** Sockets of this thread that stay after their sessions, the oldest first. */
const lingering = new Set<Farewell>()

/** The end of one socket that was given up. Its owner ends it once all that is left has been written to it. */
export class Farewell {
  readonly #socket: EndingSocket
  readonly #leaver: Leaver
  readonly #closeTimeout: number
  #timer: NodeJS.Timeout
  #room = DROPPED
  #cancelled = false

  /** `bytes` are left to be sent, the socket's own among them. */
  constructor(socket: EndingSocket, leaver: Leaver, bytes: number, closeTimeout: number) {
    this.#socket = socket
    this.#leaver = leaver
    this.#closeTimeout = closeTimeout
    this.#timer = setTimeout(() => leaver.onLate(), ClosingTime.toSend(closeTimeout, bytes)).unref()
    socket.once("close", this.#onClose)
    if (socket.writableFinished) queueMicrotask(this.#onSent)
    else socket.once("finish", this.#onSent)
  }

  /** Counts bytes that have come in and are dropped; `false` when nothing more is to be read. */
  drop(bytes: number): boolean {
    this.#room -= bytes
    return this.#room > 0
  }

  /** The socket is broken after all, and nobody is told that all was sent. */
  cancel(): void {
    this.#onClose()
    this.#socket.off("finish", this.#onSent)
    this.#cancelled = true
  }

  readonly #onClose = (): void => {
    clearTimeout(this.#timer)
    lingering.delete(this)
  }

  readonly #onSent = (): void => {
    const socket = this.#socket
    if (socket.destroyed || this.#cancelled) return
    clearTimeout(this.#timer)
    this.#leaver.onSent()
    // there is nothing to lose
    if (socket.bytesWritten === 0) return void setImmediate(destroy, socket)
    const time = ClosingTime.toLinger(this.#closeTimeout, socket.bytesWritten)
    this.#timer = setTimeout(() => socket.destroy(), time).unref()
    lingering.add(this)
    if (lingering.size > LINGERING) { for (const oldest of lingering) return void oldest.#socket.destroy() }
  }
}
