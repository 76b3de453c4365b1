/**
 * The shared words of a session: its offer, and the words of its two fifos. 256 bytes in the host's arena; this is all
 * the segment memory that an idle session has.
 *
 * **Layout** (32-bit words; lines of 16 words, one per writer)
 *
 * | word | written by | what |
 * |---|---|---|
 * | 0–9 | host | rx fifo: producer's words |
 * | 10 | host | tx fifo: consumer's word |
 * | 16–25 | worker | tx fifo: producer's words |
 * | 26 | worker | rx fifo: consumer's word |
 * | 32 | both | `OFFER` |
 * | 33–35 | both | rx fifo: flags |
 * | 36–38 | both | tx fifo: flags |
 *
 * **The offer** (M15) is one word that only compare-and-swap moves, so exactly one of claim, revocation and withdrawal
 * happens: `OFFERED → CLAIMED | REVOKED | WITHDRAWN`.
 */
import * as Fifo from "./Fifo.ts"
import type { Segment } from "./Segment.ts"

/** Bytes of a session's block. */
export const BYTES = 256

const OFFER = 32

export const OFFERED = 1
/** The worker has it. */
export const CLAIMED = 2
/** The worker let its time run out; it goes to another worker. */
export const REVOKED = 3
/** The host took it back because the worker is not to have it any more; it goes to another worker. */
export const WITHDRAWN = 4

export type OfferEnd = typeof CLAIMED | typeof REVOKED | typeof WITHDRAWN

/** Ends an offer; `false` when it has ended otherwise already. */
export const endOffer = (segment: Segment, offset: number, end: OfferEnd): boolean =>
  Atomics.compareExchange(segment.words, offset / 4 + OFFER, OFFERED, end) === OFFERED

/** Writes a new block: two empty fifos, and an offer that is open. */
export const reset = (segment: Segment, offset: number): void => {
  Fifo.reset(rx(segment, offset))
  Fifo.reset(tx(segment, offset))
  Atomics.store(segment.words, offset / 4 + OFFER, OFFERED)
}

/** The words of the fifo from the host to the worker. */
export const rx = (segment: Segment, offset: number): Fifo.Words => ({
  words: segment.words,
  producer: offset / 4,
  consumer: offset / 4 + 26,
  flags: offset / 4 + 33
})

/** The words of the fifo from the worker to the host. */
export const tx = (segment: Segment, offset: number): Fifo.Words => ({
  words: segment.words,
  producer: offset / 4 + 16,
  consumer: offset / 4 + 10,
  flags: offset / 4 + 36
})
