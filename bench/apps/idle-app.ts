/**
 * Keeps its sessions. Of one that sends it reads nothing until the fifo is full, then everything, and answers with the
 * most that the fifo held and the bytes that came, `most bytes`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Session, type SessionHandler, Sessions } from "../../src/services/Sessions.ts"
import "../support/inspect.ts"

const FULL = Number(process.env.FIFO_BYTES)
const counts = new WeakMap<Session, { most: number; bytes: number }>()

const countsOf = (session: Session) => {
  let count = counts.get(session)
  if (count === undefined) counts.set(session, count = { most: 0, bytes: 0 })
  return count
}

const readAll = (session: Session): void => {
  const count = countsOf(session)
  for (let bytes = session.peek(); bytes !== undefined; bytes = session.peek()) {
    count.bytes += bytes.length
    session.drop(bytes.length)
  }
}

const handler: SessionHandler = {
  readable(session) {
    const count = countsOf(session)
    count.most = Math.max(count.most, session.available)
    if (count.most >= FULL) readAll(session)
  },
  ended(session) {
    readAll(session)
    const { bytes, most } = countsOf(session)
    session.write(Buffer.from(`${most} ${bytes}`))
    session.close()
  }
}

export default Layer.effectDiscard(Effect.gen(function*() {
  const sessions = yield* Sessions
  for (const endpoint of sessions.endpoints) {
    yield* sessions.listen(endpoint, (session) => {
      session.handler = handler
    })
  }
}))
