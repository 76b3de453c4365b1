/**
 * Messages over a session: each arrives whole or not at all, and in order.
 *
 * **When to use** This is how a session of `udp:` is used, whose messages are datagrams: anything else that is written
 * to such a session breaks it. Over another kind of session, between two ends that both use this module, messages are
 * like datagrams, except that none gets lost.
 *
 * A message lies in the fifo as `Datagram` says. It is written in one piece, so the sender never holds half of one. It
 * may come in parts, and what has come is taken out of the fifo, which has less room than a message needs while memory
 * is short.
 *
 * Both functions are plain synchronous code, for use from a `SessionHandler`: send again when `writable` is called, and
 * on `readable` receive until nothing comes. A direction is used for messages from its first byte on, or never.
 *
 * @since 0.1.0
 */
import * as Datagram from "../../domain/memory/Datagram.ts"
import type { Session } from "../../services/Sessions.ts"

const { HEADER } = Datagram

/** The message that a session is receiving: how long it is, and the part that has come. */
interface Incoming {
  readonly length: number
  readonly parts: Array<Uint8Array>
  missing: number
}

/** Not in the sessions themselves: few are used for messages, and a session of any kind can be. */
const incoming = new WeakMap<Session, Incoming>()

/** Sessions that have received a length that makes no sense: nothing after it makes sense either. */
const senseless = new WeakSet<Session>()

/**
 * Whether the session's messages are datagrams of its transport: it must be used with this module.
 *
 * @category guards
 * @since 0.1.0
 */
export const isDatagrams = (session: Session): boolean => session.datagrams

/**
 * Bytes of the largest message that the session can send. A datagram of that size is larger than most networks carry in
 * one piece; one of up to some 1200 bytes gets through anywhere.
 *
 * @category accessors
 * @since 0.1.0
 */
export const largest = (session: Session): number =>
  isDatagrams(session) ? Math.min(session.txBound - HEADER, Datagram.LARGEST_UDP) : session.txBound - HEADER

/**
 * Sends one message, all or nothing.
 *
 * **Details** `"full"`: there is no room for it now; the handler's `writable` is called when there is. `"too-large"`:
 * it never fits, see {@link largest}. `"closed"`: the session takes no more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const send = (session: Session, bytes: Uint8Array): "sent" | "full" | "too-large" | "closed" => {
  if (bytes.length > largest(session)) return "too-large"
  const header = Datagram.writeLength(new Uint8Array(HEADER), bytes.length)
  const written = session.writeWhole([header, bytes])
  return written < 0 ? "closed" : written === 0 ? "full" : "sent"
}

/**
 * The next message, or `undefined` when none is there as a whole. A length that no sender can have meant aborts the
 * session.
 *
 * @category combinators
 * @since 0.1.0
 */
export const receive = (session: Session): Uint8Array | undefined => {
  const message = incoming.get(session) ?? begin(session)
  if (message === undefined) return undefined
  const { length, parts } = message
  if (message.missing > 0) {
    const part = session.read(message.missing)
    if (part === undefined) return undefined
    if (part.length === length) {
      incoming.delete(session)
      return part
    }
    parts.push(part)
    message.missing -= part.length
    if (message.missing > 0) return undefined
  }
  incoming.delete(session)
  return length === 0 ? new Uint8Array(0) : Buffer.concat(parts, length)
}

/** Reads the length of the next message, once all of the length is there. */
const begin = (session: Session): Incoming | undefined => {
  if (senseless.has(session) || session.available < HEADER) return undefined
  const header = session.read(HEADER)
  if (header?.length !== HEADER) return undefined
  const length = Datagram.readLength(header)
  if (length > session.rxBound - HEADER) {
    senseless.add(session)
    session.abort()
    return undefined
  }
  const message = { length, parts: [], missing: length }
  incoming.set(session, message)
  return message
}
