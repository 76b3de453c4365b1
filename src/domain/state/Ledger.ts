/**
 * The conservation ledger (M14): at any moment, everything that was sent or offered is accounted for.
 *
 * - For a worker's messages: sent = delivered + postponed now + released, each release with a reason.
 * - For a worker's offers: offered = claimed + refused + revoked + withdrawn + pending now.
 * - For a listener's connections: arrived = claimed + refused (each with a reason) + withdrawn + redirected + held now
 *   + offered now.
 *
 * Counters are plain fields that the hot path increments; {@link imbalances} names what does not add up.
 *
 * @since 0.1.0
 */

/**
 * Why a message was released instead of delivered.
 *
 * @category constants
 * @since 0.1.0
 */
export const ReleaseReasons = [
  "worker-gone",
  "session-gone",
  "segment-gone",
  "unresponsive",
  "hand-over-failed"
] as const
/**
 * @category models
 * @since 0.1.0
 */
export type ReleaseReason = typeof ReleaseReasons[number]

/**
 * Why a connection was refused.
 *
 * @category constants
 * @since 0.1.0
 */
export const RefuseReasons = [
  "congested",
  "no-worker",
  "hold-full",
  "hold-time",
  "worker-limit",
  /** Workers have as many requests in hand as they may. */
  "concurrency-limit",
  "listener-limit",
  "host-limit",
  "no-memory",
  "draining",
  /** Its address is on the source deny list. */
  "source-denied",
  /** Its source has as many sessions at the listener as it may. */
  "source-limit",
  /** Its source connects more often than it may. */
  "source-rate",
  /** The application refuses it (W16). */
  "app-refused",
  /** A session rule denies it. */
  "rule-denied",
  /** A session rule sends it to an application that is not there, or does not listen. */
  "no-listener",
  /** It did not become a TLS session: no handshake, or one that failed. */
  "tls-failed",
  /** Its PROXY protocol header is missing, or can't be read. */
  "proxy-header",
  /** What comes before the session took longer than the listener allows. */
  "handshake-time",
  /** As many connections as allowed are busy with what comes before their sessions. */
  "handshake-limit",
  /** The process has as many files and sockets open as the system allows, but for a few. */
  "no-descriptors"
] as const
/**
 * @category models
 * @since 0.1.0
 */
export type RefuseReason = typeof RefuseReasons[number]

/**
 * Why a datagram was dropped.
 *
 * @category constants
 * @since 0.1.0
 */
export const DropReasons = [
  /** As many datagrams as allowed wait for a worker to claim their session. */
  "not-claimed",
  /** The rx fifo of its session is full, and as many datagrams as allowed wait for room. */
  "no-room",
  /** It is larger than its session could ever hold. */
  "oversized",
  /** An application wrote more than a datagram of its transport can hold. */
  "too-large",
  /** The system did not send it. */
  "not-sent",
  /** The host before has its session, and took no more, or was gone (X4). */
  "not-relayed"
] as const
/**
 * @category models
 * @since 0.1.0
 */
export type DropReason = typeof DropReasons[number]

/**
 * Why a session over a connection was ended, with a reset, by neither its peer nor its application.
 *
 * @category constants
 * @since 0.1.0
 */
export const EndReasons = [
  /** No byte went in either direction for as long as its listener allows. */
  "idle",
  /** Bytes waited for its peer, and the peer took fewer of them than its listener asks for. */
  "stalled",
  /** It was given up, and its peer did not take what was left in time. */
  "late",
  /** Its worker had it in hand, was stuck, and has been replaced. */
  "stuck"
] as const
/**
 * @category models
 * @since 0.1.0
 */
export type EndReason = typeof EndReasons[number]

const noCounts = <K extends string>(keys: ReadonlyArray<K>): Readonly<Record<K, number>> =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>

// each ledger has copies of its own: a report adds up hundreds of them
const noneReleased = noCounts(ReleaseReasons)
const noneRefused = noCounts(RefuseReasons)
const noneDropped = noCounts(DropReasons)
const noneEnded = noCounts(EndReasons)

const sum = (record: Readonly<Record<string, number>>): number => Object.values(record).reduce((a, b) => a + b, 0)

/**
 * Messages to one worker, over all its starts.
 *
 * @category models
 * @since 0.1.0
 */
export class MessageLedger {
  sent = 0
  /** In the worker's queue, read by it or not. */
  delivered = 0
  /** Waiting now. */
  postponed = 0
  readonly released: Record<ReleaseReason, number> = { ...noneReleased }
}

/**
 * Offers to one worker, over all its starts.
 *
 * @category models
 * @since 0.1.0
 */
export class OfferLedger {
  offered = 0
  claimed = 0
  /** Claimed, and then refused by the application (W16). */
  refused = 0
  /** Not claimed in time. */
  revoked = 0
  /** Taken back because the worker left the listener, or went away. */
  withdrawn = 0
  /** Neither claimed nor taken back yet. */
  pending = 0
  /** Of those that were claimed: parked, and then moved on to another worker (X1). */
  moved = 0
  /** How often a claim was counted, and then became a refusal. */
  unclaimed = 0
}

/**
 * How often a worker claimed an offer, whatever became of the session then: this only goes up.
 *
 * @category getters
 * @since 0.1.0
 */
export const claimedOffers = ({ claimed, unclaimed }: Pick<OfferLedger, "claimed" | "unclaimed">): number =>
  claimed + unclaimed

/**
 * Connections that arrived at one listener.
 *
 * @category models
 * @since 0.1.0
 */
export class ArrivalLedger {
  arrived = 0
  claimed = 0
  /** Gone before a worker claimed them. */
  withdrawn = 0
  /** Sent by a session rule to another application's listener, where they arrive. */
  redirected = 0
  /** Waiting for a worker now. */
  held = 0
  /** On offer to a worker now. */
  offered = 0
  /** How often a session was moved on to another worker (X1): it is then held or on offer again. */
  moved = 0
  /**
   * How often a claim was counted, and then became a refusal: the handshake in the worker failed, or the application did
   * not want the session after it: see {@link claimsOf}.
   */
  unclaimed = 0
  /** Sessions, claimed before, that were reset because their worker had them in hand when it went away (X3). */
  lost = 0
  readonly refused: Record<RefuseReason, number> = { ...noneRefused }
  /** Datagrams that were dropped, including those of sessions that never came about. */
  readonly dropped: Record<DropReason, number> = { ...noneDropped }
  /** Sessions, claimed long before, that were ended here. */
  readonly ended: Record<EndReason, number> = { ...noneEnded }
}

/**
 * How often a connection was claimed, whatever became of its session then: this only goes up.
 *
 * @category getters
 * @since 0.1.0
 */
export const claimsOf = (
  { claimed, moved, unclaimed }: Pick<ArrivalLedger, "claimed" | "moved" | "unclaimed">
): number => claimed + moved + unclaimed

/**
 * Adds the counters of `from` to those of `into`, reason by reason.
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = <A extends object>(into: A, from: A): A => {
  const target = into as Record<string, unknown>
  for (const key in from) {
    const value: unknown = from[key]
    if (typeof value === "number") target[key] = (target[key] as number) + value
    else add(target[key] as object, value as object)
  }
  return into
}

const differs = (what: string, whole: string, left: number, right: number): Array<string> =>
  left === right ? [] : [`${what}: ${whole} is ${left}, its parts add up to ${right}`]

/**
 * One sentence for each sum that does not add up; empty when the ledger balances.
 *
 * @category accessors
 * @since 0.1.0
 */
export const imbalances = (
  what: string,
  ledger: { readonly messages?: MessageLedger; readonly offers?: OfferLedger; readonly arrivals?: ArrivalLedger }
): Array<string> => {
  const { arrivals, messages, offers } = ledger
  return [
    ...(messages === undefined ? [] : differs(
      what,
      "messages sent",
      messages.sent,
      messages.delivered + messages.postponed + sum(messages.released)
    )),
    ...(offers === undefined ? [] : differs(
      what,
      "sessions offered",
      offers.offered,
      offers.claimed + offers.refused + offers.revoked + offers.withdrawn + offers.pending
    )),
    ...(arrivals === undefined ? [] : differs(
      what,
      "connections arrived",
      arrivals.arrived,
      arrivals.claimed + arrivals.withdrawn + arrivals.redirected + arrivals.held + arrivals.offered +
        sum(arrivals.refused)
    ))
  ]
}

/**
 * All that a host counts.
 *
 * @category models
 * @since 0.1.0
 */
export interface LedgerTotals {
  readonly messages: MessageLedger
  readonly offers: OfferLedger
  readonly arrivals: ArrivalLedger
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const makeTotals = (): LedgerTotals => ({
  messages: new MessageLedger(),
  offers: new OfferLedger(),
  arrivals: new ArrivalLedger()
})

/** Takes over the counts that there are in both. */
const take = (into: object, from: object): void => {
  for (const [key, known] of Object.entries(into)) {
    const count: unknown = Reflect.get(from, key)
    if (typeof known === "number" && typeof count === "number") Reflect.set(into, key, count)
    else if (typeof known === "object" && typeof count === "object" && count !== null) take(known, count)
  }
}

/**
 * What another host has counted (X4), which may be of another version: counts of what is not known here are left out,
 * and so are they from the sums that they were part of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const known = (counted: { readonly [part in keyof LedgerTotals]: object }): LedgerTotals => {
  const totals = makeTotals()
  take(totals, counted)
  const { arrivals, messages, offers } = totals
  messages.sent = messages.delivered + messages.postponed + sum(messages.released)
  offers.offered = offers.claimed + offers.refused + offers.revoked + offers.withdrawn + offers.pending
  arrivals.arrived = arrivals.claimed + arrivals.withdrawn + arrivals.redirected + arrivals.held + arrivals.offered
    + sum(arrivals.refused)
  return totals
}

/**
 * The totals of a host that is gone: what it had under way came to nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const closed = (totals: LedgerTotals): LedgerTotals => {
  const { arrivals, messages, offers } = totals
  messages.released["worker-gone"] += messages.postponed
  offers.withdrawn += offers.pending
  arrivals.withdrawn += arrivals.held + arrivals.offered
  messages.postponed =
    offers.pending =
    arrivals.held =
    arrivals.offered =
      0
  return totals
}
