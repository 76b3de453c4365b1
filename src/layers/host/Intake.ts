/**
 * What becomes of the connections of a listener, from their arrival until a worker has claimed them.
 *
 * {@link Admission} decides it, and the intake does it: it makes sessions in the memory of workers, offers them and takes
 * them back, keeps the one timer that admission needs, and tells it what only the host can know.
 *
 * ```
 * transport ── arrive ── rules ── Admission ──┬── offer: a session in the worker's memory ── its queue
 *                                             ├── hold: the connection waits, unread
 *                                             └── refuse: the connection is broken
 * ```
 */
import { Admission } from "../../domain/admission/Admission.ts"
import type { RuleTerms, RuleVerdict } from "../../domain/admission/SessionRule.ts"
import { SourceLimits } from "../../domain/admission/SourceLimits.ts"
import type { Ticket } from "../../domain/admission/Ticket.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as HttpRefusal from "../../domain/net/HttpRefusal.ts"
import * as ListenerOptions from "../../domain/options/ListenerOptions.ts"
import * as Priority from "../../domain/options/Priority.ts"
import * as Notice from "../../domain/report/Notice.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { ListenerTimes } from "../../domain/state/Times.ts"
import { TurnShare } from "../system/PerTurn.ts"
import { Alarm } from "./Alarm.ts"
import { ConnectionKeys } from "./ConnectionKeys.ts"
import type { Arriving, HostSession, Origin } from "./HostSession.ts"
import type { HostListener, ListenerHost } from "./Listener.ts"
import type { ListenerMember } from "./ListenerMember.ts"
import type { Moves } from "./Moves.ts"
import type { LiveWorker } from "./Worker.ts"

/** A connection's turn at a listener. */
export type ListenerTicket = Ticket<Arriving, ListenerMember, HostSession>

/** Endpoint URIs of a peer and of this end. */
type Ends = Pick<Arriving, "remote" | "local">

export class Intake implements Origin {
  readonly admission: Admission<Arriving, ListenerMember, HostSession>
  readonly #listener: HostListener
  readonly #host: ListenerHost
  readonly #keys: ConnectionKeys
  /** How peers that are refused are told so. */
  readonly #refuseWith: ListenerOptions.ListenerOptions["refuseWith"]
  /** The class of connections that no rule gives one. */
  readonly #rank: number
  /** What each source has, where that has a limit. */
  readonly #sources: SourceLimits<Arriving> | undefined
  readonly #alarm: Alarm
  /** Of the connections that are held, some have their turn in one of the loop's. */
  readonly #share = new TurnShare(() => this.admit())

  constructor(listener: HostListener, host: ListenerHost) {
    const { app, requestedUri } = listener
    this.#listener = listener
    this.#host = host
    const options = ListenerOptions.of(app.options, requestedUri)
    const { affinity, held, refuseWith } = options
    this.#refuseWith = refuseWith
    this.#rank = Priority.rankOf(options.priority)
    this.#sources = SourceLimits.isAsked(options) ? new SourceLimits(options) : undefined
    this.#keys = new ConnectionKeys(
      affinity,
      (fault) => host.notices.tell(Notice.affinityFault({ app: app.name, uri: listener.boundUri }, fault))
    )
    this.admission = new Admission({ ...app.options.admission, held }, app, affinity !== "none", listener.events)
    this.#alarm = new Alarm(host.tables.now, host.fork, this.#ring)
  }

  get listener(): Handle.ListenerHandle {
    return this.#listener.handle
  }

  get times(): ListenerTimes {
    return this.admission.times
  }

  get moves(): Moves {
    return this.#listener.moves
  }

  // ---- arrival

  readonly arrive = (connection: Arriving): void => {
    // for a cut-through session the rules were applied to the connect, and it has no source
    if (connection._tag === "CutThrough") return this.#admit(connection, this.#rank)
    const verdict = this.#verdict(connection)
    if (verdict?._tag === "Deny") {
      return this.#deny(connection, verdict.by === "source" ? "source-denied" : "rule-denied")
    }
    if (verdict?._tag !== "Redirect") return this.#take(connection, verdict)
    const target = this.#host.tables.listenerOf(verdict.app)
    if (target === undefined) return this.#deny(connection, "no-listener")
    if (target.app === this.#listener.app) return this.#take(connection, verdict)
    this.admission.redirected()
    target.intake.#take(connection, verdict)
  }

  /** What the rules say of a peer; `undefined` when there are none. */
  #verdict(peer: Ends): RuleVerdict | undefined {
    const { rules } = this.#host
    // its addresses cost a call of the system
    if (rules.isEmpty) return undefined
    return rules.decide("accept", this.#listener.app.options.namespace, peer.local, peer.remote)
  }

  /**
   * Whether a peer is sent away before anything is read from it, which is then counted. One that `speaksForOthers`, a
   * proxy, has no limits of its own.
   */
  turnsAway(remote: string, local: string, speaksForOthers: boolean): boolean {
    const reason = this.#whyNot(remote, local, speaksForOthers)
    if (reason !== undefined) this.turnAway(reason)
    return reason !== undefined
  }

  #whyNot(remote: string, local: string, speaksForOthers: boolean): Ledger.RefuseReason | undefined {
    const verdict = this.#verdict({ remote, local })
    if (verdict?._tag === "Deny" && verdict.by === "source") return "source-denied"
    if (this.#sources === undefined || speaksForOthers) return undefined
    // other rules hold for a connection that has arrived, and what they redirect takes no place here
    if (verdict !== undefined && (verdict._tag !== "Allow" || verdict.isExempt === true)) return undefined
    return this.#sources.whyNot(remote, this.#host.tables.now())
  }

  /** Counts a peer that was turned away before it became a connection. */
  turnAway(reason: Ledger.RefuseReason): void {
    this.admission.turnedAway(reason)
  }

  #deny(connection: Arriving, reason: Ledger.RefuseReason): void {
    this.admission.turnedAway(reason, connection)
    this.#refuse(connection, reason)
  }

  #take(connection: Arriving, terms: RuleTerms | undefined): void {
    const reason = terms?.isExempt === true
      ? undefined
      : this.#sources?.enter(connection, connection.remote, this.#host.tables.now())
    if (reason === undefined) this.#admit(connection, this.#rankBy(terms))
    else this.#deny(connection, reason)
  }

  #admit(connection: Arriving, rank: number): void {
    this.follow(this.admission.arrive(connection, this.#host.tables.now(), rank))
  }

  #rankBy(terms: RuleTerms | undefined): number {
    return terms?.priority === undefined ? this.#rank : Priority.rankOf(terms.priority)
  }

  /** The class of a connection that was here before, by the rules that are there now. */
  rankOf(connection: Arriving): number {
    if (connection._tag === "CutThrough") return this.#rank
    const verdict = this.#verdict(connection)
    return this.#rankBy(verdict?._tag === "Deny" ? undefined : verdict)
  }

  /** A connection of another host's, whose turn it is here from now on (X4). */
  adopt(connection: Arriving): void {
    const now = this.#host.tables.now()
    this.#sources?.adopt(connection, connection.remote, now)
    this.follow(this.admission.returns(connection, this.keyOf(connection), now, this.rankOf(connection)))
  }

  /** The connection is over, or is another host's: its source has a place more. */
  left(connection: Arriving): void {
    this.#sources?.leave(connection, this.#host.tables.now())
  }

  // ---- what admission decides

  /** Does what the ticket says. */
  follow(ticket: ListenerTicket): void {
    const { admission } = this
    const { connection } = ticket
    for (;;) {
      if (this.#listener.succession.takes(ticket)) return
      switch (ticket.state) {
        case "asking":
          admission.keyed(ticket, this.#keys.of(connection), this.#host.tables.now())
          break
        case "offering":
          if (this.#offer(ticket)) return
          admission.noMemory(ticket, this.#host.tables.now())
          break
        case "held":
          connection.onGone = () => this.#gone(ticket)
          return this.#alarm.set(this.#next)
        case "refused":
          connection.onGone = undefined
          this.left(connection)
          return this.#refuse(connection, ticket.reason!)
        default:
          return
      }
    }
  }

  /** Offers the connection to the worker that was chosen; `false` when there is no memory for a session. */
  #offer(ticket: ListenerTicket): boolean {
    const { connection } = ticket
    const { worker } = ticket.member!
    const { tables } = this.#host
    const session = connection._tag === "CutThrough"
      ? connection.owner.offerTo(worker, this)
      : tables.createSession(worker, this.#listener.user, this, connection, this.moves.journeys.of(connection)?.state)
    if (session === undefined) return false
    connection.onGone = undefined
    session.ticket = ticket
    this.admission.offered(ticket, session, session.since)
    session.offer(this.listener, () => this.passed(session))
    this.#alarm.set(this.#next)
    return true
  }

  #gone(ticket: ListenerTicket): void {
    ticket.connection.onGone = undefined
    this.left(ticket.connection)
    this.admission.gone(ticket, this.#host.tables.now())
  }

  /** Workers may take more than before: parked sessions that wait, then held connections, get their turn. */
  admit(): void {
    this.moves.admit()
    this.admitHeld(Priority.LOW)
  }

  /** Held connections of this class and those above it get their turn. */
  admitHeld(rank: number): void {
    while (this.admission.waits(rank) && this.#share.take()) {
      const ticket = this.admission.admit(this.#host.tables.now(), rank)
      if (ticket === undefined) return
      this.follow(ticket)
      // without memory the first one goes on waiting, and all others behind it
      if (ticket.state === "held") return
    }
  }

  /** Looks at what is due at the time `at`, or before. */
  wakeAt(at: number): void {
    this.#alarm.set(at)
  }

  get #next(): number {
    return Math.min(this.admission.nextDeadline(), this.moves.next)
  }

  readonly #ring = (): number => {
    const { admission } = this
    const now = this.#host.tables.now()
    this.moves.handle(now)
    for (let ticket; (ticket = admission.handle(now)) !== undefined;) {
      if (ticket.state !== "offered") this.follow(ticket)
      // unless the worker has claimed it, and its word of the claim has not been read yet
      else if (ticket.session!.endOffer(SessionBlock.REVOKED)) this.follow(admission.revoked(ticket, now))
    }
    return this.#next
  }

  /** The affinity key of a connection that was here before. */
  keyOf(connection: Arriving): string | number | undefined {
    return this.#keys.any ? this.#keys.of(connection) : undefined
  }

  /** Takes nothing more, and refuses whatever waits. */
  stop(reason: Ledger.RefuseReason): void {
    const { admission } = this
    admission.stop(reason)
    for (let ticket; (ticket = admission.admit(this.#host.tables.now())) !== undefined;) this.follow(ticket)
  }

  /** Nothing more will be due. */
  end(): void {
    this.#alarm.stop()
  }

  // ---- what becomes of an offer

  /** The worker has the session. Bytes move from here on. */
  claimed(session: HostSession): void {
    const { ticket } = session
    session.forgetAbout()
    if (ticket?.state === "offered") this.#claim(session, ticket)
    else if (ticket?.state !== "claimed") {
      return session.worker.fault("the worker claimed a session that was not on offer to it")
    }
    session.ticket = undefined
  }

  #claim(session: HostSession, ticket: ListenerTicket): void {
    const now = this.#host.tables.now()
    session.claimed(now)
    this.admission.claimed(ticket, now)
    session.open()
    for (const moves of this.#host.tables.idleMoves) moves.claimed()
    // the worker may have the next of those that wait
    if (this.admission.arrivals.held > 0) this.admit()
  }

  unmoved(session: HostSession): void {
    this.admission.insecure("no-descriptors", session)
  }

  insecure(session: HostSession, reason: Refusal.HandshakeReason): boolean {
    if (!session.insecure()) return false
    this.admission.insecure(reason, session)
    return true
  }

  refused(session: HostSession, detail: string): boolean {
    const { connection, ticket } = session
    if (ticket?.state === "offered") {
      session.ticket = undefined
      this.admission.refused(ticket, this.#host.tables.now())
      this.#refuse(
        connection,
        "app-refused",
        detail === "" ? `the application at ${connection.local} refuses it` : detail
      )
      session.refuse()
      return true
    }
    // the claim was counted before the worker's word of it: it left the listener meanwhile, or has made a handshake
    const left = ticket?.state === "claimed"
    if (!left && !session.insecure()) return false
    session.ticket = undefined
    this.admission.refusedLate(session.worker.slot.offers, session)
    // after a handshake, the worker has the connection, and breaks it
    if (left) session.drop()
    return true
  }

  /** The worker takes no offers here any more: a pending one goes to another worker, unless it has been claimed. */
  takeBack(session: HostSession): void {
    const { ticket } = session
    if (ticket?.state !== "offered" || this.#withdraw(session, ticket)) return
    // the worker's word of the claim has not been read: count the claim now
    this.#claim(session, ticket)
  }

  /** The worker has left: its offers go to others, and its memory manager for this listener is released. */
  takeBackAll(worker: LiveWorker): void {
    for (const session of worker.sessions) if (session.origin === this) this.takeBack(session)
    worker.segments.release(this.#listener.user)
  }

  #withdraw(session: HostSession, ticket: ListenerTicket): boolean {
    if (!session.endOffer(SessionBlock.WITHDRAWN)) return false
    this.follow(this.admission.withdrawn(ticket, this.#host.tables.now()))
    return true
  }

  giveUp(session: HostSession): void {
    const { ticket } = session
    if (ticket?.state !== "offered" || !session.endOffer(SessionBlock.WITHDRAWN)) return
    this.left(ticket.connection)
    this.admission.gaveUp(ticket)
    // the session took a place in the limits, which somebody may wait for
    this.admit()
  }

  /** The worker has passed an offer that was taken back, or will never see it: the slot is free. */
  passed(session: HostSession): void {
    const { ticket } = session
    if (ticket === undefined) return
    // a worker that no longer knows the listener passes even an offer that still runs
    if (ticket.state === "offered") this.#withdraw(session, ticket)
    if (session.state !== "REVOKED") return
    this.admission.passed(ticket, this.#host.tables.now())
    session.pass()
  }

  lost(session: HostSession): void {
    this.#listener.events.lost(session)
  }

  ended(session: HostSession, reason: Ledger.EndReason): void {
    this.#listener.events.ended(session, reason)
  }

  sessionFreed({ connection }: HostSession): void {
    this.left(connection)
    this.admission.freed()
  }

  /** What a peer gets that is refused, as far as the listener decides it. */
  get refusesWith(): "reset" | "http" {
    const { bound, placement, speaksHttp } = this.#listener
    // nobody here can say anything to the peer
    if (bound._tag === "tls" && placement === "transfer") return "reset"
    if (this.#refuseWith === "auto") return speaksHttp ? "http" : "reset"
    return this.#refuseWith
  }

  /** `detail`: why, in a sentence, if there is more to say than the reason says. */
  #refuse(connection: Arriving, reason: Ledger.RefuseReason, detail?: string): void {
    // a peer on this host hears why
    if (connection._tag === "CutThrough") return connection.refuse(reason, detail)
    const speaks = this.refusesWith === "http" && connection.about?.tls?.alpn !== "h2"
    const answer = speaks ? HttpRefusal.answer(reason) : undefined
    if (connection.sendAway === undefined) connection.abort()
    else connection.sendAway(answer)
  }
}
