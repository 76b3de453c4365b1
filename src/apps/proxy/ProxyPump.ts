/**
 * Moves bytes between two sessions in their worker, for those that the host can't join: one of them is cut-through.
 *
 * Bytes go from fifo to fifo as there is room, so a session that is not read from stops the peer of the other session.
 * An end on one side becomes an end on the other after the last byte; a reset becomes a reset. When a session is gone
 * whole, the other is closed once the last byte is through.
 */
import type { Session, SessionHandler } from "../../services/Sessions.ts"

/** Moves what there is. */
const move = (from: Session, to: Session): void => {
  for (let bytes = from.peek(); bytes !== undefined; bytes = from.peek()) {
    const written = to.write(bytes)
    // nobody takes these bytes now
    if (written < 0) return from.abort()
    from.drop(written)
    // `writable` says when to go on
    if (written < bytes.length) return
  }
  if (from.closed) to.close()
  else if (from.ended) to.end()
}

const handlerOf = (mine: Session, other: Session, over: () => void): SessionHandler => {
  const there = (): void => move(mine, other)
  const back = (): void => move(other, mine)
  return {
    readable: there,
    writable: back,
    ended: there,
    closed: (_, reset) => {
      if (reset === undefined) there()
      else other.abort()
      over()
    }
  }
}

/** Begins, with what has come already; `over` is called when a session is gone. */
export const start = (a: Session, b: Session, over: () => void): void => {
  a.handler = handlerOf(a, b, over)
  b.handler = handlerOf(b, a, over)
  move(a, b)
  move(b, a)
}
