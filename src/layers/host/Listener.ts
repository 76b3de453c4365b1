/**
 * A listener of a host: where it listens, its workers, and what becomes of the connections that arrive.
 *
 * {@link Admission} decides what becomes of them, and the listener does it: it makes sessions in the memory of workers,
 * offers them and takes them back, keeps the one timer that admission needs, and tells it what only the host can know.
 *
 * ```
 * transport ── arrive ── rules ── Admission ──┬── offer: a session in the worker's memory ── its queue
 *                                             ├── hold: the connection waits, unread
 *                                             └── refuse: the connection is broken
 * ```
 *
 * Every accepted connection comes through here, and is dealt with here until a worker has claimed it: that is why this
 * file is a long one.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Admission } from "../../domain/admission/Admission.ts"
import type { Ticket } from "../../domain/admission/Ticket.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as ListenerOptions from "../../domain/options/ListenerOptions.ts"
import * as Notice from "../../domain/report/Notice.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import * as ListenerState from "../../domain/state/ListenerState.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type { Departure } from "../../services/Succession.ts"
import type { ListeningSocket } from "../../services/Transport.ts"
import type { NoticeLog } from "../log/NoticeLog.ts"
import type { InheritedSocket } from "../system/InheritedSockets.ts"
import { Alarm } from "./Alarm.ts"
import { ConnectionKeys } from "./ConnectionKeys.ts"
import type { Arriving, HostSession, Origin } from "./HostSession.ts"
import { type Journey, Journeys } from "./Journeys.ts"
import { ListenerMember } from "./ListenerMember.ts"
import { type Moved, ParkedSessions } from "./ParkedSessions.ts"
import type { SharedSession } from "./SharedSession.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker, SlotApp, WorkerSlot } from "./Worker.ts"

/** A connection's turn at a listener. */
export type ListenerTicket = Ticket<Arriving, ListenerMember, HostSession>

/** What listeners need of their host. */
export interface ListenerHost {
  readonly tables: Tables
  readonly rules: SessionRules["Service"]
  readonly notices: NoticeLog
  /** Runs an effect for the host's life. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly scope: Scope.Scope
}

export class HostListener implements Origin {
  readonly handle: Handle.ListenerHandle
  readonly app: SlotApp
  /** The worker that first asked for the listener. */
  readonly opener: LiveWorker
  /** The endpoint that was asked for, by which other workers join; and its URI. */
  readonly requested: Endpoint.Endpoint
  readonly requestedUri: string
  /** The endpoint it listens on, the same but for the port that was assigned; and its URI. */
  bound: Endpoint.Endpoint
  boundUri: string
  /** Where the sockets of its connections are, once that is known. */
  placement: ListenerOptions.ListenerOptions["placement"] = "shared"
  /** The listener's name as a user of segment managers. */
  readonly user: string
  readonly admission: Admission<Arriving, ListenerMember, HostSession>
  readonly scope: Scope.Closeable
  /** The transport's part, which ends first: at unlisten, and when the host drains. */
  readonly transport: Scope.Closeable
  /** Done when the listener is no longer binding, and when nothing is left of it. */
  readonly settled = Deferred.makeUnsafe<void>()
  readonly closed = Deferred.makeUnsafe<void>()
  /** Its socket, where the transport has one that another process can have; and whether this process was born with it. */
  socket: ListeningSocket | undefined
  inherited: InheritedSocket | undefined
  readonly #host: ListenerHost
  readonly #keys: ConnectionKeys
  readonly #parked: ParkedSessions
  readonly #journeys = new Journeys()
  readonly #alarm: Alarm
  #state: ListenerState.ListenerState = "BINDING"

  constructor(handle: Handle.ListenerHandle, opener: LiveWorker, requested: Endpoint.Endpoint, host: ListenerHost) {
    const { app } = opener.slot
    this.handle = handle
    this.app = app
    this.opener = opener
    this.requested = this.bound = requested
    this.requestedUri = this.boundUri = Endpoint.format(requested)
    this.user = `listener ${Handle.format(handle)}`
    this.scope = Scope.forkUnsafe(host.scope)
    this.transport = Scope.forkUnsafe(this.scope)
    this.#host = host
    const { affinity } = ListenerOptions.of(app.options, this.requestedUri)
    this.#keys = new ConnectionKeys(
      affinity,
      (fault) => host.notices.tell(Notice.affinityFault({ app: app.name, uri: this.boundUri }, fault))
    )
    this.admission = new Admission(app.options.admission, app, affinity !== "none")
    this.#parked = new ParkedSessions(
      app.options.admission.revokeAfter,
      (session) => this.#moveOn(session)
    )
    this.#alarm = new Alarm(host.tables.now, host.fork, this.#ring)
  }

  /** How often a connection's session has moved on, and why; `undefined` when it has not. */
  journeyOf(connection: Arriving): Journey | undefined {
    return this.#journeys.of(connection)
  }

  get listener(): Handle.ListenerHandle {
    return this.handle
  }

  get state(): ListenerState.ListenerState {
    return this.#state
  }

  /** The only place where the state changes. An event that can't happen in the state is a defect. */
  move(event: ListenerState.ListenerEvent): void {
    this.#state = ListenerState.next(this.#state, event)
  }

  // ---- workers

  /** This start of the worker takes its seat. A successor has it behind the worker whose place it is to take. */
  join(worker: LiveWorker): void {
    worker.segments.acquire(this.user)
    const member = new ListenerMember(worker, this.user)
    if (worker.slot.role === "successor") this.admission.seats.joinNext(member)
    else this.admission.seats.join(member)
  }

  /** The worker leaves its seat, which may be kept for its next start; `false` when it had no seat here. */
  leave({ app, mapIndex, role }: WorkerSlot, keep: boolean): boolean {
    if (this.app !== app || role === "former") return false
    return role === "successor"
      ? this.admission.seats.leaveNext(mapIndex)
      : this.admission.seats.leave(mapIndex, keep)
  }

  /** The worker's successor takes its seat, or the seat is gone; `false` when there was none. */
  promote({ app, mapIndex }: WorkerSlot): boolean {
    return this.app === app && this.admission.seats.promote(mapIndex)
  }

  /** Whether the worker had its seat before it was started this time. */
  wasKeptFor({ mapIndex }: WorkerSlot): boolean {
    return this.admission.seats.isKept(mapIndex)
  }

  /** All workers leave at once; returns which. */
  dissolve(): ReadonlyArray<LiveWorker> {
    return this.admission.seats.dissolve().map(({ worker }) => worker)
  }

  /** Whether no seat is left. */
  get isVacant(): boolean {
    return this.admission.seats.size === 0
  }

  /** Whether this start of the worker has a seat. */
  has(worker: LiveWorker): boolean {
    const { app, mapIndex } = worker.slot
    return this.app === app
      && (this.#memberOf(worker) !== undefined || this.admission.seats.successor(mapIndex)?.worker === worker)
  }

  /** The worker has left: its offers go to others, and its memory manager for this listener is released. */
  takeBackAll(worker: LiveWorker): void {
    for (const session of worker.sessions) if (session.origin === this) this.takeBack(session)
    worker.segments.release(this.user)
  }

  // ---- arrival

  readonly arrive = (connection: Arriving): void => {
    const { rules, tables } = this.#host
    // for a cut-through session the rules were applied to the connect
    if (rules.isEmpty || connection._tag === "CutThrough") return this.#take(connection)
    const verdict = rules.decide("accept", this.app.options.namespace, connection.local, connection.remote)
    if (verdict._tag === "Deny") {
      return this.#deny(connection, verdict.by === "source" ? "source-denied" : "rule-denied")
    }
    if (verdict._tag === "Allow") return this.#take(connection)
    const target = tables.listenerOf(verdict.app)
    if (target === undefined) return this.#deny(connection, "no-listener")
    if (target.app === this.app) return this.#take(connection)
    this.admission.redirected()
    target.#take(connection)
  }

  /** Counts a peer that was turned away before it became a connection. */
  turnAway(reason: Ledger.RefuseReason): void {
    this.admission.turnedAway(reason)
  }

  #deny(connection: Arriving, reason: Ledger.RefuseReason): void {
    this.admission.turnedAway(reason)
    refuse(connection, reason)
  }

  #take(connection: Arriving): void {
    this.#follow(this.admission.arrive(connection, this.#host.tables.now()))
  }

  // ---- what admission decides

  /** Does what the ticket says. */
  #follow(ticket: ListenerTicket): void {
    const { admission } = this
    const { connection } = ticket
    for (;;) {
      if (this.#goesOver(ticket)) return
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
          return refuse(connection, ticket.reason!)
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
      : tables.createSession(worker, this.user, this, connection, this.#journeys.of(connection)?.state)
    if (session === undefined) return false
    connection.onGone = undefined
    session.ticket = ticket
    this.admission.offered(ticket, session, session.since)
    session.offer(this.handle, () => this.passed(session))
    this.#alarm.set(this.#next)
    return true
  }

  /** Whether the connection, which no worker has, is the successor's from now on (X4). */
  #goesOver(ticket: ListenerTicket): boolean {
    const { connection, state } = ticket
    const { departures } = this.#host.tables
    if (departures === undefined || state !== "asking" && state !== "offering" && state !== "held") return false
    if (!departures.takes(this, connection)) return false
    connection.onGone = undefined
    this.admission.leaves(ticket)
    departures.add(this, connection)
    return true
  }

  #gone(ticket: ListenerTicket): void {
    ticket.connection.onGone = undefined
    this.admission.gone(ticket)
  }

  /** Workers may take more than before: parked sessions that wait, then held connections, get their turn. */
  admit(): void {
    this.#parked.admit(this.#host.tables.now())
    let ticket: ListenerTicket | undefined
    do {
      ticket = this.admission.admit()
      if (ticket === undefined) return
      this.#follow(ticket)
      // without memory the first one goes on waiting, and all others behind it
    } while (ticket.state !== "held")
  }

  get #next(): number {
    return Math.min(this.admission.nextDeadline(), this.#parked.next)
  }

  readonly #ring = (): number => {
    const { admission } = this
    const now = this.#host.tables.now()
    this.#parked.handle(now)
    for (let ticket; (ticket = admission.handle(now)) !== undefined;) {
      if (ticket.state !== "offered") this.#follow(ticket)
      // unless the worker has claimed it, and its word of the claim has not been read yet
      else if (ticket.session!.endOffer(SessionBlock.REVOKED)) this.#follow(admission.revoked(ticket, now))
    }
    return this.#next
  }

  // ---- parked sessions

  waits(session: SharedSession): void {
    this.#parked.waits(session, this.#host.tables.now())
    this.#alarm.set(this.#parked.next)
  }

  moveOn(session: SharedSession): void {
    this.#parked.moveOn(session, this.#host.tables.now())
    this.#alarm.set(this.#parked.next)
  }

  carryOn(session: SharedSession): void {
    const { connection, worker: { slot } } = session
    const why = slot.moveReason
    if (why === "crash" && session.isFresh && this.#journeys.isSuspect(connection)) return
    const taken = session.takeAway()
    if (taken === undefined) return
    this.#journeys.move(connection, why, taken.state)
    this.#follow(this.admission.movedOn(connection, this.#keyOf(connection), slot.offers, this.#host.tables.now()))
  }

  // ---- a successor (X4)

  /** Takes a parked session away, for the successor; `undefined` when it is not parked any more, or can't go now. */
  depart(session: SharedSession): Departure | undefined {
    const { connection, worker: { slot } } = session
    const taken = session.canDepart ? session.takeAway() : undefined
    if (taken === undefined) return undefined
    this.#parked.forget(session)
    this.#journeys.move(connection, "takeover", taken.state)
    this.admission.departs(slot.offers)
    const departure = this.lend(connection)
    if (departure === undefined) this.returns(connection)
    return departure
  }

  /** The same with the first connection that waits for a worker. */
  departHeld(): Departure | undefined {
    const ticket = this.admission.firstHeld
    if (ticket === undefined) return undefined
    const departure = this.lend(ticket.connection)
    if (departure === undefined) return undefined
    ticket.connection.onGone = undefined
    this.admission.leaves(ticket)
    return departure
  }

  /** All connections that wait for a worker go over, as far as they can. */
  departAllHeld(): void {
    for (let ticket = this.admission.firstHeld; ticket !== undefined && this.#goesOver(ticket);) {
      ticket = this.admission.firstHeld
    }
  }

  /** A connection on its way: it counts as arrived nowhere now. */
  lend(connection: Arriving): Departure | undefined {
    if (connection._tag === "CutThrough") return undefined
    const lent = connection.lend?.()
    if (lent === undefined) return undefined
    const { about, local, mapped, remote } = connection
    const journey = this.#journeys.of(connection)
    return {
      listener: Handle.format(this.handle),
      baggage: {
        remote,
        local,
        mapped,
        about,
        unread: lent.unread,
        state: journey?.state,
        moves: Math.max(0, (journey?.moves ?? 0) - 1)
      },
      socket: lent.socket,
      gone: () => connection.letGo?.(),
      stays: () => this.returns(connection)
    }
  }

  /** A connection that was on its way to the successor goes on here. */
  returns(connection: Arriving): void {
    this.#follow(this.admission.returns(connection, this.#keyOf(connection), this.#host.tables.now()))
  }

  /** A connection of the predecessor's; `state`, `moves`: what its session has got so far. */
  adopt(connection: Arriving, state: Uint8Array | undefined, moves: number): void {
    this.#journeys.set(connection, { moves: moves + 1, crashes: 0, why: "takeover", state })
    this.returns(connection)
  }

  /**
   * Moves a session that its worker has parked on to another worker that takes it now. A worker that has let it wait
   * is behind until it has passed the message of that.
   */
  #moveOn(session: SharedSession): Moved {
    const { admission } = this
    const { connection, worker } = session
    const why = worker.slot.moveReason
    const now = this.#host.tables.now()
    if (session.unsent > 0) return "unsent"
    const { departures } = this.#host.tables
    if (departures?.takesParked(this, session) === true) {
      if (!session.canDepart) return "unsent"
      departures.addParked(session)
      return "moved"
    }
    const key = this.#keyOf(connection)
    const ticket = admission.onward(connection, key, this.#memberOf(worker))
    if (ticket === undefined) return "nobody"
    const taken = session.takeAway()
    if (taken === undefined) return "taken-up"
    this.#journeys.move(connection, why, taken.state)
    session.late = why === "late"
    if (session.late) worker.lag.fellBehind(now)
    this.#follow(admission.movedOn(connection, key, worker.slot.offers, now, ticket))
    return "moved"
  }

  /** The affinity key of a connection that was here before. */
  #keyOf(connection: Arriving): string | number | undefined {
    return this.#keys.any ? this.#keys.of(connection) : undefined
  }

  /** This start of a worker as a member of the listener, if it has its seat. */
  #memberOf(worker: LiveWorker): ListenerMember | undefined {
    const member = this.admission.seats.member(worker.slot.mapIndex)
    return member?.worker === worker ? member : undefined
  }

  left(session: SharedSession): void {
    this.#parked.forget(session)
    if (session.late) session.worker.lag.caughtUp(this.#host.tables.now())
  }

  /** Takes nothing more, and refuses whatever waits. */
  stop(reason: Ledger.RefuseReason): void {
    this.admission.stop(reason)
    this.admit()
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
    session.claimed()
    this.admission.claimed(ticket)
    session.open()
  }

  unmoved(): void {
    this.admission.insecure("no-descriptors")
  }

  insecure(session: HostSession, reason: Refusal.HandshakeReason): boolean {
    if (!session.insecure()) return false
    this.admission.insecure(reason)
    return true
  }

  refused(session: HostSession, detail: string): boolean {
    const { connection, ticket } = session
    if (ticket?.state === "offered") {
      session.ticket = undefined
      this.admission.refused(ticket)
      refuse(connection, "app-refused", detail === "" ? `the application at ${connection.local} refuses it` : detail)
      session.refuse()
      return true
    }
    // the claim was counted before the worker's word of it: it left the listener meanwhile, or has made a handshake
    const left = ticket?.state === "claimed"
    if (!left && !session.insecure()) return false
    session.ticket = undefined
    this.admission.refusedLate(session.worker.slot.offers)
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

  #withdraw(session: HostSession, ticket: ListenerTicket): boolean {
    if (!session.endOffer(SessionBlock.WITHDRAWN)) return false
    this.#follow(this.admission.withdrawn(ticket, this.#host.tables.now()))
    return true
  }

  giveUp(session: HostSession): void {
    const { ticket } = session
    if (ticket?.state !== "offered" || !session.endOffer(SessionBlock.WITHDRAWN)) return
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

  lost(): void {
    this.admission.arrivals.lost++
  }

  ended(reason: Ledger.EndReason): void {
    this.admission.arrivals.ended[reason]++
  }

  sessionFreed(): void {
    this.admission.freed()
  }
}

/** `detail`: why, in a sentence, if there is more to say than the reason says. */
const refuse = (connection: Arriving, reason: Ledger.RefuseReason, detail?: string): void => {
  // a peer on this host hears why
  if (connection._tag === "CutThrough") connection.refuse(reason, detail)
  else connection.abort()
}
