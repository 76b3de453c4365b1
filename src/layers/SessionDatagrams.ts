/**
 * Messages over a session: each arrives whole or not at all, and in order.
 *
 * A message is four bytes with its length, the least significant first, and its bytes. It is written and read in one
 * piece, so neither side ever holds half of one: as it would be with datagrams, only that none gets lost.
 *
 * Both functions are plain synchronous code, for use from a `SessionHandler`: send again when `writable` says so, receive
 * until nothing comes when `readable` does. A session is used for messages from its first byte on in that direction.
 *
 * @since 0.1.0
 */
import type { Session } from "../services/Sessions.ts"

const HEADER = 4

/** Length of the message that is being received, where its header has been read and the rest is still to come. */
const pending = new WeakMap<Session, number>()

/**
 * Bytes of the largest message that the session can send.
 *
 * @category accessors
 * @since 0.1.0
 */
export const largest = (session: Session): number => session.txBound - HEADER

/**
 * Sends one message, all or nothing.
 *
 * **Details** `"full"`: there is no room for it now; the handler's `writable` says when there is. `"too-large"`: it never
 * fits, see {@link largest}. `"closed"`: the session takes no more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const send = (session: Session, bytes: Uint8Array): "sent" | "full" | "too-large" | "closed" => {
  if (bytes.length > largest(session)) return "too-large"
  const header = new Uint8Array(HEADER)
  new DataView(header.buffer).setUint32(0, bytes.length, true)
  const written = session.writeWhole([header, bytes])
  return written < 0 ? "closed" : written === 0 ? "full" : "sent"
}

/**
 * The next message, or `undefined` when none is there whole. A length that no sender can have meant aborts the session.
 *
 * @category combinators
 * @since 0.1.0
 */
export const receive = (session: Session): Uint8Array | undefined => {
  let length = pending.get(session)
  if (length === undefined) {
    if (session.available < HEADER) return undefined
    const header = session.read(HEADER)
    if (header?.length !== HEADER) return undefined
    length = new DataView(header.buffer, header.byteOffset, HEADER).getUint32(0, true)
    if (length > session.rxBound - HEADER) {
      session.abort()
      return undefined
    }
    pending.set(session, length)
  }
  if (session.available < length) return undefined
  pending.delete(session)
  if (length === 0) return new Uint8Array(0)
  const bytes = session.read(length)
  // bytes that were there and are not there any more: the session is broken, and says so
  return bytes?.length === length ? bytes : undefined
}
