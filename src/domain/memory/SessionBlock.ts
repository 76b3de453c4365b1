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
 * | 39–41 | worker | where what the application gives along with a parked session is: segment, offset, bytes |
 * | 48, 49 | server, client | cut-through sessions: `CLOSED`, the side has given the session up and no longer reads |
 *
 * In a cut-through session (W16) the client takes the place that the host has in a session of a connection.
 *
 * **The offer** (M15, X1) is one word that only compare-and-swap moves, so exactly one of claim, revocation and
 * withdrawal happens, and a session that is parked is either taken up again by its worker or taken away by the host:
 *
 * ```
 * OFFERED ─┬─► CLAIMED ⇄ PARKED ─► REVOKED
 *          └─► REVOKED | WITHDRAWN
 * ```
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

/** The most bytes that an application may give along with a parked session. */
export const STATE_BYTES = 4096

const OFFER = 32
const STATE = 39

/** In place of the bytes of the state: the application has parked nothing yet. */
const UNSAID = -1
const SERVER_CLOSED = 48
const CLIENT_CLOSED = 49

export const OFFERED = 1
/** The worker has the session. */
export const CLAIMED = 2
/** The worker let the offer's time run out; the connection goes to another worker. */
export const REVOKED = 3
/** The host took the offer back because the worker is no longer to have it; the connection goes to another worker. */
export const WITHDRAWN = 4

/** The worker has the session, which stands between two messages of its application: it may be taken away. */
export const PARKED = 5

export type OfferEnd = typeof CLAIMED | typeof REVOKED | typeof WITHDRAWN

const nothing = new Uint8Array(0)

const swap = (segment: Segment, offset: number, from: number, to: number): boolean =>
  Atomics.compareExchange(segment.words, offset / 4 + OFFER, from, to) === from

/** Ends an offer; `false` when it has ended otherwise already. */
export const endOffer = (segment: Segment, offset: number, end: OfferEnd): boolean =>
  swap(segment, offset, OFFERED, end)

/** Whether the worker has claimed the session, as the block says. */
export const isClaimed = (segment: Segment, offset: number): boolean => {
  const word = Atomics.load(segment.words, offset / 4 + OFFER)
  return word === CLAIMED || word === PARKED
}

// ---- parked sessions (X1)

/** Where a worker has written what its application gives along; no bytes when that is nothing. */
export interface StatePlace extends Fifo.BlockPlace {
  readonly bytes: number
}

/**
 * The worker parks a session that it has claimed and given to its application, which has done nothing with it; `false`
 * when it is not the worker's.
 */
export const parkNew = (segment: Segment, offset: number): boolean => swap(segment, offset, CLAIMED, PARKED)

/** The worker parks a session for its application; `false` when it is not the worker's. */
export const park = (segment: Segment, offset: number, state: StatePlace | undefined): boolean => {
  const at = offset / 4 + STATE
  segment.words[at] = state?.segment ?? 0
  segment.words[at + 1] = state?.offset ?? 0
  segment.words[at + 2] = state?.bytes ?? 0
  return swap(segment, offset, CLAIMED, PARKED)
}

/**
 * The worker takes a parked session up again; `false` when the host has taken it away. Throws when the word says
 * neither: nobody knows then whose session it is.
 */
export const takeUp = (segment: Segment, offset: number): boolean => {
  const word = Atomics.compareExchange(segment.words, offset / 4 + OFFER, PARKED, CLAIMED)
  if (word !== PARKED && word !== REVOKED) throw new Fifo.FifoCorrupt(`a parked session is said to be ${word}`)
  return word === PARKED
}

export const isParked = (segment: Segment, offset: number): boolean =>
  Atomics.load(segment.words, offset / 4 + OFFER) === PARKED

export const isTakenAway = (segment: Segment, offset: number): boolean =>
  Atomics.load(segment.words, offset / 4 + OFFER) === REVOKED

/** The host takes a parked session away from its worker; `false` when the worker has taken it up. */
export const takeAway = (segment: Segment, offset: number): boolean => swap(segment, offset, PARKED, REVOKED)

/** Whether the application of the worker has not parked the session itself: it has done nothing with it so far. */
export const isFresh = (segment: Segment, offset: number): boolean => segment.words[offset / 4 + STATE + 2] === UNSAID

/**
 * A copy of what the application gave along with a session that was taken away, which may be nothing; `undefined` when
 * the application had not parked it: then what came along with the session goes on with it. Throws when it is said to
 * be where it can't be.
 */
export const stateOf = (segment: Segment, offset: number, view: Fifo.View): Uint8Array | undefined => {
  const at = offset / 4 + STATE
  const [index, from, bytes] = segment.words.subarray(at, at + 3)
  if (bytes === UNSAID) return undefined
  if (bytes === 0) return nothing
  const memory = view(index!)
  if (memory === undefined || bytes! < 0 || bytes! > STATE_BYTES || from! < 0 || from! + bytes! > memory.length) {
    throw new Fifo.FifoCorrupt("what belongs to a parked session is said to be where there is no memory")
  }
  return new Uint8Array(memory.subarray(from, from! + bytes!))
}

/** Writes a new block: two empty fifos, and an offer that is open. */
export const reset = (segment: Segment, offset: number): void => {
  Fifo.reset(rx(segment, offset))
  Fifo.reset(tx(segment, offset))
  segment.words[offset / 4 + SERVER_CLOSED] = 0
  segment.words[offset / 4 + CLIENT_CLOSED] = 0
  segment.words[offset / 4 + STATE + 2] = UNSAID
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
