/**
 * Sums: what has become of messages, offers and connections (M12, M14).
 */
import * as Schema from "effect/Schema"
import { DropReasons, EndReasons, RefuseReasons, ReleaseReasons } from "../state/Ledger.ts"
import { Count, countsOf } from "./ReportFields.ts"

/**
 * @category models
 * @since 0.1.0
 */
export const MessageCounts = Schema.Struct({
  sent: Count,
  delivered: Count,
  postponed: Count,
  released: countsOf(ReleaseReasons)
})

/**
 * @category models
 * @since 0.1.0
 */
export const OfferCounts = Schema.Struct({
  offered: Count,
  claimed: Count,
  /** Refused by the application. */
  refused: Count,
  revoked: Count,
  withdrawn: Count,
  pending: Count,
  /** Of those that were claimed: parked, and then moved on to another worker. */
  moved: Count,
  /** How often a claim was counted, and then became a refusal. */
  unclaimed: Count
})

/**
 * @category models
 * @since 0.1.0
 */
export const ArrivalCounts = Schema.Struct({
  arrived: Count,
  claimed: Count,
  withdrawn: Count,
  /** Sent to another application's listener by a session rule. */
  redirected: Count,
  held: Count,
  offered: Count,
  /** How often a session was moved on to another worker. */
  moved: Count,
  /** How often a claim was counted, and then became a refusal: claimed, moved and unclaimed are all claims. */
  unclaimed: Count,
  /** Sessions that were reset because their worker had them in hand when it went away. */
  lost: Count,
  refused: countsOf(RefuseReasons),
  /** Datagrams that were dropped, by reason. */
  dropped: countsOf(DropReasons),
  /** Sessions that were ended by neither their peers nor the application, by reason. */
  ended: countsOf(EndReasons)
})
