/**
 * The shared words of a session: its offer, and the words of its two fifos. 256 bytes in the host's arena. Together with
 * the rings of the two fifos, 512 bytes in a place of their own, they are all the segment memory that an idle session
 * has. A session has both before it is offered, so it can move bytes however much other sessions hold.
 *
 * Here is only what changes. What kind of session it is and where its rings are, the message of the session says: a
 * message has a check, and these words have none.
 *
 * **Layout** (32-bit words; lines of 16 words, one per writer)
 *
 * | word | written by | what |
 * |---|---|---|
 * | 0–14 | host | rx fifo: producer's words |
 * | 15 | host | tx fifo: consumer's word |
 * | 16–30 | worker | tx fifo: producer's words |
 * | 31 | worker | rx fifo: consumer's word |
 * | 32 | both | `OFFER` |
 * | 33–35 | both | rx fifo: flags |
 * | 36–38 | both | tx fifo: flags |
 * | 48, 49 | server, client | cut-through sessions: `CLOSED`, the side has given the session up and no longer reads |
 *
 * In a cut-through session (W16) the client takes the place that the host has in a session of a connection.
 *
 * **The offer** (M15) is one word that only compare-and-swap moves, so exactly one of claim, revocation and withdrawal
 * happens: `OFFERED → CLAIMED | REVOKED | WITHDRAWN`.
 */
import * as Fifo from "./Fifo.ts"
import type { Segment } from "./Segment.ts"

/** Bytes of a session's block. */
export const SESSION_BLOCK_BYTES = 256

/** Bytes of the ring that each fifo has of its own, unless its bound is smaller, and of a session's two rings. */
export const RING_BYTES = 256
export const RINGS_BYTES = 2 * RING_BYTES

/** Bytes of segment memory that an idle session has. */
export const SESSION_BYTES = SESSION_BLOCK_BYTES + RINGS_BYTES

const OFFER = 32
const SERVER_CLOSED = 48
const CLIENT_CLOSED = 49

export const OFFERED = 1
/** The worker has the session. */
export const CLAIMED = 2
/** The worker let the offer's time run out; the connection goes to another worker. */
export const REVOKED = 3
/** The host took the offer back because the worker is no longer to have it; the connection goes to another worker. */
export const WITHDRAWN = 4

export type OfferEnd = typeof CLAIMED | typeof REVOKED | typeof WITHDRAWN

/** Ends an offer; `false` when it has ended otherwise already. */
export const endOffer = (segment: Segment, offset: number, end: OfferEnd): boolean =>
  Atomics.compareExchange(segment.words, offset / 4 + OFFER, OFFERED, end) === OFFERED

/** Whether the worker has claimed the session, as the block says. */
export const isClaimed = (segment: Segment, offset: number): boolean =>
  Atomics.load(segment.words, offset / 4 + OFFER) === CLAIMED

/** Writes a new block: two empty fifos, and an offer that is open. */
export const reset = (segment: Segment, offset: number): void => {
  Fifo.reset(rx(segment, offset))
  Fifo.reset(tx(segment, offset))
  segment.words[offset / 4 + SERVER_CLOSED] = 0
  segment.words[offset / 4 + CLIENT_CLOSED] = 0
  Atomics.store(segment.words, offset / 4 + OFFER, OFFERED)
}

/** The ring of the fifo from the host to the worker; `bytes` are those of the segment that the rings are in. */
export const rxRing = ({ offset, segment }: Fifo.BlockPlace, bytes: Uint8Array, bound: number): Fifo.Block =>
  Fifo.block(segment, bytes, offset, Math.min(RING_BYTES, bound))

/** The ring of the fifo from the worker to the host, behind the other one; `undefined` when there is no such memory. */
export const txRing = (rings: Fifo.BlockPlace, view: Fifo.View, bound: number): Fifo.Block | undefined => {
  const offset = rings.offset + RING_BYTES
  const bytes = view(rings.segment)
  const isSomewhere = bytes !== undefined && offset + RING_BYTES <= bytes.length
  if (!isSomewhere || offset % Fifo.BLOCK_ALIGNMENT !== 0) return undefined
  return Fifo.block(rings.segment, bytes, offset, Math.min(RING_BYTES, bound))
}

/** The words of the fifo from the host to the worker. */
export const rx = (segment: Segment, offset: number): Fifo.Words => ({
  words: segment.words,
  producer: offset / 4,
  consumer: offset / 4 + 31,
  flags: offset / 4 + 33
})

/** The words of the fifo from the worker to the host. */
export const tx = (segment: Segment, offset: number): Fifo.Words => ({
  words: segment.words,
  producer: offset / 4 + 16,
  consumer: offset / 4 + 15,
  flags: offset / 4 + 36
})

/** The two ends of a cut-through session. */
export type Side = "server" | "client"

const closedWord = (offset: number, side: Side): number =>
  offset / 4 + (side === "server" ? SERVER_CLOSED : CLIENT_CLOSED)

/**
 * The side no longer reads. It looks at its rx fifo after this, and the other side looks at {@link isClosed} after each
 * write, so at least one of the two knows when bytes that are written meanwhile are lost.
 */
export const setClosed = (segment: Segment, offset: number, side: Side): void =>
  void Atomics.store(segment.words, closedWord(offset, side), 1)

/** The side still reads, and says so again: the other side may have written over the word. */
export const setOpen = (segment: Segment, offset: number, side: Side): void =>
  void Atomics.store(segment.words, closedWord(offset, side), 0)

export const isClosed = (segment: Segment, offset: number, side: Side): boolean => {
  const word = Atomics.load(segment.words, closedWord(offset, side))
  if (word !== 0 && word !== 1) throw new Fifo.FifoCorrupt(`a side of a session is said to be closed by ${word}`)
  return word === 1
}
