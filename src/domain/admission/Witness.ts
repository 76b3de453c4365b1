/**
 * Who hears of what becomes of connections, besides the claim of a first offer: in the call that counts it, so that what
 * is told and what is counted are the same (X5).
 */
import type * as Ledger from "../state/Ledger.ts"
import type { Ticket } from "./Ticket.ts"

export interface Witness<C, M, S> {
  /** `session`: the one that had been claimed, or was on offer, where there was one. */
  readonly refused: (reason: Ledger.RefuseReason, connection: C | undefined, session: S | undefined) => void
  readonly held: (connection: C) => void
  /** The offer was taken back because the worker had not claimed it in time. */
  readonly revoked: (ticket: Ticket<C, M, S>) => void
  /** A connection that was held, or on offer before, has been claimed. */
  readonly claimedLate: (ticket: Ticket<C, M, S>) => void
}
