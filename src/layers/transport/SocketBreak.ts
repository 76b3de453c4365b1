/**
 * Breaking a socket: its peer sees a reset, whatever state the socket is in.
 */
import type * as Net from "node:net"
import type { Duplex } from "node:stream"

/** Milliseconds that a connection which was given up may stand still before it is reset. */
export const LINGER_TIME = 5000

/** What of a socket is needed; a socket of TLS may be another stream than Node's. */
export type Breakable = Duplex & Pick<Net.Socket, "setTimeout" | "resetAndDestroy">

/**
 * Resets a socket, which may be one of TLS above the socket `below`: what the peer is to see as a reset, the lowest one
 * has to do.
 *
 * The system refuses to reset a socket while its end goes out, and the socket would then never close. So where an end is
 * all that is left to go out, the reset comes after it; the end goes out when all that was written has, which may never
 * be, so a socket with bytes left is reset at once. The end of TLS is bytes, which a peer that does not read never
 * takes: after `lingerTime` milliseconds such a socket is destroyed.
 */
export const reset = (socket: Breakable, below: Breakable | undefined, lingerTime: number): void => {
  if (socket.destroyed) return
  if (!socket.writableEnded || socket.writableFinished || socket.writableLength > 0) return resetNow(socket, below)
  socket.once("finish", () => resetNow(socket, below))
  if (below !== undefined) socket.setTimeout(lingerTime, () => below.destroy())
}

/** Resets a socket that is not to wait for anything. */
export const resetNow = (socket: Breakable, below: Breakable | undefined): void => {
  const lowest = below ?? socket
  if (!lowest.destroyed) lowest.resetAndDestroy()
  if (below !== undefined) socket.destroy()
}
