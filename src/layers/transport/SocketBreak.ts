/**
 * Breaking a socket: its peer sees a reset, whatever state the socket is in.
 */
import type * as Net from "node:net"
import type { Duplex } from "node:stream"

/** Milliseconds for which a connection that was given up may stand still before it is reset. */
export const LINGER_TIME = 5000

/** The parts of a socket that are needed; a TLS socket may be a stream other than Node's. */
export type Breakable = Duplex & Pick<Net.Socket, "setTimeout" | "resetAndDestroy">

/**
 * Resets a socket, which may be a TLS socket above the socket `below`: the peer sees a reset only if the lowest socket
 * does it.
 *
 * The system refuses to reset a socket while its end goes out, and the socket would then never close. So where an end
 * is all that is left to go out, the reset comes after it. The end goes out once everything written before it has,
 * which may never happen, so a socket with bytes left is reset at once. The end of TLS consists of bytes, which a peer
 * that does not read never takes: after `lingerTime` milliseconds such a socket is destroyed.
 */
export const reset = (socket: Breakable, below: Breakable | undefined, lingerTime: number): void => {
  if (socket.destroyed) return
  if (!socket.writableEnded || socket.writableFinished || socket.writableLength > 0) return resetSoon(socket, below)
  socket.once("finish", () => resetSoon(socket, below))
  if (below !== undefined) socket.setTimeout(lingerTime, () => below.destroy())
}

/**
 * Under TLS, in a turn of its own: the process crashes when the socket of TLS goes inside a callback of TLS, such as the
 * one that says that the handshake is made, or that there are bytes.
 */
const resetSoon = (socket: Breakable, below: Breakable | undefined): void => {
  if (below === undefined) resetNow(socket, below)
  else setImmediate(resetNow, socket, below)
}

/** Resets a socket without waiting for anything; not to be called inside a callback of TLS. */
export const resetNow = (socket: Breakable, below: Breakable | undefined): void => {
  const lowest = below ?? socket
  if (!lowest.destroyed) lowest.resetAndDestroy()
  if (below !== undefined) socket.destroy()
}
