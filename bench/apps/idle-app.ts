/**
 * Keeps its sessions. Of one that sends it reads nothing until the fifo is full, or holds no more after a second, then
 * everything, and answers with the most that the fifo held and the bytes that came, `most bytes`.
 */
import { layerAccept, type Session, type SessionHandler } from "../../src/services/Sessions.ts"
import "../support/inspect.ts"

const FULL = Number(process.env.FIFO_BYTES)
const PATIENCE_MILLIS = 1000

interface Counts {
  most: number
  bytes: number
  /** Runs until the session reads. */
  patience: NodeJS.Timeout | undefined
}
const counts = new WeakMap<Session, Counts>()

const countsOf = (session: Session): Counts => {
  let count = counts.get(session)
  if (count === undefined) {
    count = { most: 0, bytes: 0, patience: setTimeout(readAll, PATIENCE_MILLIS, session) }
    counts.set(session, count)
  }
  return count
}

const readAll = (session: Session): void => {
  const count = countsOf(session)
  clearTimeout(count.patience)
  count.patience = undefined
  for (let bytes = session.peek(); bytes !== undefined; bytes = session.peek()) {
    count.bytes += bytes.length
    session.drop(bytes.length)
  }
}

const handler: SessionHandler = {
  readable(session) {
    const count = countsOf(session)
    count.most = Math.max(count.most, session.available)
    if (count.patience === undefined || count.most >= FULL) readAll(session)
    else count.patience.refresh()
  },
  ended(session) {
    readAll(session)
    const { bytes, most } = countsOf(session)
    session.write(Buffer.from(`${most} ${bytes}`))
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
