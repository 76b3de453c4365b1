/**
 * Admission: what becomes of a connection between its arrival at a listener and its claim by a worker (M6, M15, W10).
 *
 * ```
 * arrive ─ limits ─┬─ offer to the next worker that takes sessions ─┬─ claimed
 *                  │                       ▲                        ├─ refused by the application               │
 *                  │                       │                        ├─ not claimed in time: revoked, and again ─┐
 *                  │                       └────────────────────────┼───────────────────────────────────────────┤
 *                  └─ no worker takes any ─┬─ hold ─────────────────┘  (bounded number, bounded time)           │
 *                                          └─ refuse, with a reason  ◄──────────────────────────────────────────┘
 * ```
 *
 * There is no I/O here, no clock and no timer. The owner of an admission reports what happens and is answered with a
 * {@link Ticket}, whose state says what is to be done about its connection. Time comes in as a number, in milliseconds
 * that only go forward; {@link Admission.nextDeadline} says when {@link Admission.handle} has something to do next.
 * The owner reports back what only it can know: that there was no memory for a session, and who won when an offer was
 * to be taken back, the host or the worker that was claiming it.
 *
 * **Which worker** is {@link WorkerChoice}'s to say, and **who waits how long**, and is served next, that of {@link HeldLine}.
 *
 * **Classes** (X7) A connection has a priority class. Those of the highest class wait under any policy, and have `reserve`
 * places beyond each limit.
 *
 * This is on the path of every accept: one object per offer, and no other allocation.
 */
import type { AdmissionOptions } from "../options/AdmissionOptions.ts"
import { HIGH, LOW, NORMAL } from "../options/Priority.ts"
import * as Ledger from "../state/Ledger.ts"
import { ListenerTimes } from "../state/Times.ts"
import * as Affinity from "./Affinity.ts"
import { Deadlines } from "./Deadlines.ts"
import { HeldLine, type HeldOptions } from "./HeldLine.ts"
import { Marks } from "./Marks.ts"
import type { Member, Seats } from "./Seats.ts"
import { Ticket } from "./Ticket.ts"
import type { Witness } from "./Witness.ts"
import { WorkerChoice } from "./WorkerChoice.ts"

/** An application's options for admission, and those that each of its listeners has for itself. */
export type ListenerAdmission = AdmissionOptions & HeldOptions

/**
 * The admission of one listener.
 *
 * `C` is a connection, `M` a worker's membership, `S` a session. `C` and `S` may be anything.
 */
export class Admission<C, M extends Member, S> {
  /** The workers that serve the listener. When a worker leaves, its offers are still to be taken back. */
  readonly seats: Seats<M>
  /** What has become of the connections (M14). */
  readonly arrivals = new Ledger.ArrivalLedger()
  /** How long that took. */
  readonly times = new ListenerTimes()
  /** How often it was offered, and how much it was at most. */
  readonly marks = new Marks()
  readonly #options: ListenerAdmission
  readonly #app: { readonly sessions: number }
  readonly #hasKeys: boolean
  readonly #witness: Witness<C, M, S> | undefined
  #sessions = 0
  readonly #offers = new Deadlines<Ticket<C, M, S>>()
  readonly #held: HeldLine<C, M, S>
  readonly #choice: WorkerChoice<C, M, S>
  #stopped: Ledger.RefuseReason | undefined

  /**
   * `app`: the application, whose sessions all its listeners and connects share. `hasKeys`: whether connections have
   * affinity keys, which are then asked for. `witness` hears of what is counted.
   */
  constructor(
    options: ListenerAdmission,
    app: { readonly sessions: number },
    hasKeys: boolean,
    witness?: Witness<C, M, S>
  ) {
    this.#options = options
    this.#held = new HeldLine(options)
    this.#choice = new WorkerChoice(options)
    this.seats = this.#choice.seats
    this.#app = app
    this.#hasKeys = hasKeys
    this.#witness = witness
  }

  /** Sessions that came from here and are not free, including those that are on offer. */
  get sessions(): number {
    return this.#sessions
  }

  // ---- arrival

  /** A connection that no rule forbids has arrived; `rank`: its class. */
  arrive(connection: C, now: number, rank = NORMAL): Ticket<C, M, S> {
    this.arrivals.arrived++
    const ticket = new Ticket<C, M, S>(connection, rank, !this.#hasKeys, undefined, false, false)
    ticket.cameAt = now
    const reason = this.#stopped ?? this.#limit(rank)
    if (reason !== undefined) this.#refuse(ticket, reason)
    // those of its class that wait already came first
    else if (this.#held.waits(rank)) this.#settle(ticket, now)
    else this.#place(ticket, now)
    return ticket
  }

  /** A connection, or a peer that did not become one, was sent away for a reason that is not decided here. */
  turnedAway(reason: Ledger.RefuseReason, connection?: C): void {
    this.arrivals.arrived++
    this.#countRefused(reason, connection, undefined)
  }

  /** A connection arrived that a rule sends to another application's listener, where it also counts as arrived. */
  redirected(): void {
    this.arrivals.arrived++
    this.arrivals.redirected++
  }

  /** Answers `asking`: the affinity key; `undefined` when the connection has none, and goes to the next worker. */
  keyed(ticket: Ticket<C, M, S>, key: string | number | undefined, now: number): void {
    ticket.isKnown = true
    ticket.key = this.#hash(key)
    this.#choose(ticket, now)
  }

  /** Answers `offering`: that worker has no memory for a session, or not yet, so the next worker is tried. */
  noMemory(ticket: Ticket<C, M, S>, now: number): void {
    this.#choose(ticket, now)
  }

  /** Answers `offering`: there is a session, and it is on offer from now on. Called before the worker is told. */
  offered(ticket: Ticket<C, M, S>, session: S, now: number): void {
    const member = ticket.member!
    if (ticket.waits) {
      this.#held.served(ticket)
      this.#leaveLine(ticket, now)
    }
    if (ticket.key === undefined) this.seats.turn(member.number)
    ticket.state = "offered"
    ticket.session = session
    ticket.since = now
    this.marks.offered(++this.#sessions)
    member.offers.offered++
    member.offers.pending++
    member.open++
    member.sojourn.offered(now)
    this.arrivals.offered++
    this.#offers.add(ticket, now + this.#options.revokeAfter)
  }

  // ---- the end of an offer

  /** The worker has claimed the session. */
  claimed(ticket: Ticket<C, M, S>, now: number): void {
    const { offers, sojourn, times } = ticket.member!
    this.#endOffer(ticket, "claimed")
    offers.claimed++
    this.arrivals.claimed++
    const delay = now - ticket.since
    times.claim.record(delay)
    this.times.claim.record(delay)
    if (ticket.returned || ticket.moved || ticket.heldUntil !== Infinity) this.#witness?.claimedLate(ticket)
    sojourn.claimed(ticket.since, now)
    this.#held.claimed(now)
  }

  /**
   * The worker has claimed the session, and its application refuses it. That is final: the other workers run the same
   * application, and a connection that each of them refused in turn would cost each of them an offer.
   */
  refused(ticket: Ticket<C, M, S>, now: number): void {
    const { offers, sojourn } = ticket.member!
    this.#endOffer(ticket, "over")
    offers.refused++
    this.#countRefused("app-refused", ticket.connection, ticket.session)
    sojourn.claimed(ticket.since, now)
    this.#held.claimed(now)
  }

  /** The offer's time was over, and it was taken back. Returns the connection's next ticket. */
  revoked(ticket: Ticket<C, M, S>, now: number): Ticket<C, M, S> {
    const { lag, offers, sojourn } = ticket.member!
    this.#endOffer(ticket, "over")
    sojourn.takenBack()
    this.#sessions--
    ticket.late = true
    offers.revoked++
    this.marks.revoked++
    this.#witness?.revoked(ticket)
    lag.fellBehind(now)
    return this.#again(ticket, now)
  }

  /** The offer was taken back because the worker is no longer to have it. */
  withdrawn(ticket: Ticket<C, M, S>, now: number): Ticket<C, M, S> {
    this.#endOffer(ticket, "over")
    ticket.member!.sojourn.takenBack()
    this.#sessions--
    ticket.member!.offers.withdrawn++
    return this.#again(ticket, now)
  }

  /** The offer was taken back because the peer has given up. */
  gaveUp(ticket: Ticket<C, M, S>): void {
    this.#endOffer(ticket, "over")
    ticket.member!.sojourn.takenBack()
    this.#sessions--
    ticket.member!.offers.withdrawn++
    this.arrivals.withdrawn++
  }

  /** The worker has passed an offer that had been taken back. Called once. */
  passed(ticket: Ticket<C, M, S>, now: number): void {
    const { lag, sojourn } = ticket.member!
    if (ticket.late) lag.caughtUp(now)
    sojourn.answered(ticket.since, now)
  }

  /** A session that was claimed did not become one: its handshake failed in the worker, or it could not move there. */
  insecure(reason: Ledger.RefuseReason, session?: S): void {
    this.arrivals.claimed--
    this.arrivals.unclaimed++
    this.#countRefused(reason, undefined, session)
  }

  /** A session that was counted as claimed, among these offers, was refused by the worker's application. */
  refusedLate(offers: Ledger.OfferLedger, session?: S): void {
    offers.claimed--
    offers.unclaimed++
    offers.refused++
    this.arrivals.claimed--
    this.arrivals.unclaimed++
    this.#countRefused("app-refused", undefined, session)
  }

  /** A session that was claimed or refused is free. */
  freed(): void {
    this.#sessions--
  }

  // ---- parked sessions

  /**
   * Whether a session that waits for `from` gains nothing by moving: connections wait, so all workers are busy, and this one
   * comes to what it is offered. Of a worker with no open offer, nobody would hear that it does not: connections may wait
   * because of a limit.
   */
  isBestAt(from: M, now: number, rank = NORMAL): boolean {
    return this.#held.size > 0 && from.open > 0 && this.#choice.keepsUp(from, rank, now)
  }

  /**
   * The turn with which the connection of a session that `from` has parked would go on now (X1); `undefined` while no
   * other worker takes it. `key`: its affinity key. Nothing is counted until {@link movedOn}.
   */
  onward(
    connection: C,
    key: string | number | undefined,
    from: M | undefined,
    now: number,
    rank = NORMAL
  ): Ticket<C, M, S> | undefined {
    if (this.#stopped !== undefined) return undefined
    const ticket = this.turn(connection, key, rank)
    ticket.passes = this.#held.size > 0
    ticket.except = from
    const member = this.#choice.next(ticket, now)
    if (member === undefined) return undefined
    ticket.state = "offering"
    ticket.member = member
    return ticket
  }

  /**
   * The session has been taken away from its worker, whose offers these are, so that its connection goes on: with the
   * turn that was found for it, or with a new {@link turn}, which may have to wait. Returns it.
   */
  movedOn(ticket: Ticket<C, M, S>, offers: Ledger.OfferLedger, now: number): Ticket<C, M, S> {
    this.#takenAway(offers)
    if (this.#stopped !== undefined) this.#refuse(ticket, this.#stopped)
    else if (ticket.state !== "offering") this.#place(ticket, now)
    return ticket
  }

  // ---- another host

  /**
   * A connection leaves for another host, where it arrives (X4): it no longer counts as arrived here. `offers`: those of
   * the worker that had parked its session, which has been taken away from it.
   */
  departs(offers: Ledger.OfferLedger): void {
    this.#takenAway(offers)
    this.arrivals.arrived--
  }

  /** The same, for a connection that no worker has: its turn here is over. */
  leaves(ticket: Ticket<C, M, S>, now: number): void {
    if (ticket.waits) this.#leaveLine(ticket, now)
    ticket.state = "over"
    this.arrivals.arrived--
  }

  /** The turns of connections that are held, in their order. One that is given may leave. */
  *held(): IterableIterator<Ticket<C, M, S>> {
    for (const ticket of this.#held.all()) if (ticket.state === "held") yield ticket
  }

  /** A connection arrives from another host. */
  returns(connection: C, key: string | number | undefined, now: number, rank = NORMAL): Ticket<C, M, S> {
    this.arrivals.arrived++
    const ticket = this.turn(connection, key, rank)
    const reason = this.#stopped ?? this.#limit(rank)
    if (reason === undefined) this.#place(ticket, now)
    else this.#refuse(ticket, reason)
    return ticket
  }

  /** The turn of a connection whose session was taken away from its worker, or that comes from another host. */
  turn(connection: C, key: string | number | undefined, rank = NORMAL): Ticket<C, M, S> {
    return new Ticket<C, M, S>(connection, rank, true, this.#hash(key), false, true)
  }

  /** A session has been taken away from its worker, whose offers these are. */
  #takenAway(offers: Ledger.OfferLedger): void {
    this.#sessions--
    offers.moved++
    this.arrivals.claimed--
    this.arrivals.moved++
  }

  #hash(key: string | number | undefined): number | undefined {
    return key === undefined ? undefined : Affinity.hash(key)
  }

  // ---- those that wait

  /** The peer of a held connection is gone. */
  gone(ticket: Ticket<C, M, S>, now: number): void {
    this.#leaveLine(ticket, now)
    ticket.state = "over"
    this.arrivals.withdrawn++
  }

  /** Whether a connection of this class, or of one above it, waits. */
  waits(rank: number): boolean {
    return this.#held.waits(rank)
  }

  /**
   * Workers may take more than before, or the admission has stopped: returns the next waiting ticket, of this class or of
   * one above it, about which something is to be done, or `undefined` when the first of them still has to wait. To be
   * called until it returns `undefined`.
   */
  admit(now: number, rank = LOW): Ticket<C, M, S> | undefined {
    const ticket = this.#held.first(now, rank)
    // a ticket that is not held is just being placed
    if (ticket?.state !== "held") return undefined
    if (this.#stopped !== undefined) {
      this.#leaveLine(ticket, now)
      this.#refuse(ticket, this.#stopped)
    } else this.#place(ticket, now)
    return ticket.waits && ticket.state === "held" ? undefined : ticket
  }

  /**
   * Time has passed. Returns the next ticket whose time is over: an offer is to be taken back, and reported as
   * `revoked` if that came before the worker's claim; a held connection is to be refused. To be called until it returns
   * `undefined`.
   */
  handle(now: number): Ticket<C, M, S> | undefined {
    const offers = this.#offers.next
    const holds = this.#held.deadline
    // at the same time: a place that is free now can be had by a connection that comes back
    if (offers < holds) return this.#offers.take(now)
    const ticket = this.#held.due(now)
    if (ticket === undefined) return undefined
    this.#leaveLine(ticket, now)
    this.#refuse(ticket, "hold-time")
    return ticket
  }

  /** When there is something to {@link handle}; `Infinity` when nothing waits for time to pass. */
  nextDeadline(): number {
    return Math.min(this.#offers.next, this.#held.deadline)
  }

  /** From now on everything that arrives, waits or comes back is refused for this reason. The first reason stands. */
  stop(reason: Ledger.RefuseReason): void {
    this.#stopped ??= reason
  }

  // ---- decisions

  /** The limit that allows no further session of the class, if any. */
  #limit(rank: number): Ledger.RefuseReason | undefined {
    const beyond = this.#choice.beyond(rank)
    if (this.#app.sessions >= this.#options.maxSessions + beyond) return "host-limit"
    return this.#sessions >= this.#options.maxSessionsPerListener + beyond ? "listener-limit" : undefined
  }

  /** Begins to look for a worker for the connection. */
  #place(ticket: Ticket<C, M, S>, now: number): void {
    this.#choice.begin(ticket)
    if (this.#limit(ticket.rank) !== undefined) this.#settle(ticket, now)
    else if (!ticket.isKnown) ticket.state = "asking"
    else this.#choose(ticket, now)
  }

  /** Goes on to the next worker that takes the connection. */
  #choose(ticket: Ticket<C, M, S>, now: number): void {
    const member = this.#choice.next(ticket, now)
    if (member === undefined) return this.#settle(ticket, now)
    ticket.state = "offering"
    ticket.member = member
  }

  /** No worker takes the connection: it goes on waiting, or the listener's policy decides (M6). */
  #settle(ticket: Ticket<C, M, S>, now: number): void {
    ticket.state = "held"
    ticket.except = undefined
    if (ticket.waits) return
    const { rank } = ticket
    if (this.#options.policy === "refuse" && !ticket.moved && rank !== HIGH && !this.#isGrowing(rank, now)) {
      return this.#refuse(ticket, this.#limit(rank) ?? this.#choice.whyNobody(rank, now))
    }
    // not from anew: workers that let their offers run out would hold it for ever
    if (ticket.heldUntil <= now) return this.#refuse(ticket, "hold-time")
    if (!ticket.moved && this.#held.counted >= this.#options.holdMax + this.#choice.beyond(rank)) {
      return this.#refuse(ticket, "hold-full")
    }
    this.#held.add(ticket, now)
    this.marks.held(++this.arrivals.held)
    this.#witness?.held(ticket.connection)
  }

  /** Whether memory is on its way to a worker that would take the connection: worth waiting for under any policy. */
  #isGrowing(rank: number, now: number): boolean {
    return this.#limit(rank) === undefined && this.#choice.isGrowing(rank, now)
  }

  #refuse(ticket: Ticket<C, M, S>, reason: Ledger.RefuseReason): void {
    ticket.state = "refused"
    ticket.reason = reason
    this.#countRefused(reason, ticket.connection, undefined)
  }

  /** Every refusal is counted here. */
  #countRefused(reason: Ledger.RefuseReason, connection: C | undefined, session: S | undefined): void {
    this.arrivals.refused[reason]++
    this.#witness?.refused(reason, connection, session)
  }

  #leaveLine(ticket: Ticket<C, M, S>, now: number): void {
    this.times.hold.record(now - ticket.since)
    this.#held.remove(ticket)
    this.arrivals.held--
  }

  #endOffer(ticket: Ticket<C, M, S>, state: "claimed" | "over"): void {
    ticket.state = state
    this.#offers.remove(ticket)
    ticket.member!.offers.pending--
    ticket.member!.open--
    this.arrivals.offered--
  }

  /** The connection of an offer that was taken back gets another turn. */
  #again(before: Ticket<C, M, S>, now: number): Ticket<C, M, S> {
    const { cameAt, connection, heldUntil, isBrief, isKnown, key, moved, rank } = before
    const ticket = new Ticket<C, M, S>(connection, rank, isKnown, key, true, moved)
    ticket.cameAt = cameAt
    ticket.heldUntil = heldUntil
    ticket.isBrief = isBrief
    if (this.#stopped === undefined) this.#place(ticket, now)
    else this.#refuse(ticket, this.#stopped)
    return ticket
  }
}
