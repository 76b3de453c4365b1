/**
 * The sessions of a listener that leave their workers for others: those that a worker has parked and lets wait, or goes
 * away from (X1, X3).
 *
 * {@link ParkedSessions} says when it is a session's turn, and the session itself whether it is parked. Here it is taken
 * away from its worker, and its connection goes through the listener's {@link Intake} once more.
 */
import type * as Report from "../../domain/report/Report.ts"
import type { Arriving, ParkingSession } from "./HostSession.ts"
import type { ListenerTicket } from "./Intake.ts"
import { Journeys } from "./Journeys.ts"
import type { HostListener } from "./Listener.ts"
import { type Moved, ParkedSessions } from "./ParkedSessions.ts"
import type { SharedSession } from "./SharedSession.ts"
import type { Tables } from "./Tables.ts"

export class Moves {
  readonly journeys = new Journeys()
  readonly #listener: HostListener
  readonly #tables: Tables
  readonly #parked: ParkedSessions

  constructor(listener: HostListener, tables: Tables) {
    this.#listener = listener
    this.#tables = tables
    this.#parked = new ParkedSessions(
      listener.app.options.admission.revokeAfter,
      (at) => listener.intake.wakeAt(at),
      (session) => this.#tryToMove(session)
    )
  }

  /** When a session's time is over; `Infinity` when none waits. */
  get next(): number {
    return this.#parked.next
  }

  /** Deals with the sessions whose time is over. */
  handle(now: number): void {
    this.#parked.handle(now)
  }

  /** Workers may take more than before: sessions that nobody took have their turn. */
  admit(): void {
    this.#parked.admit()
  }

  /** A worker has claimed a session, of whichever listener: idle ones that let others go first have their turn. */
  claimed(): void {
    if (!this.#parked.claimed()) this.#tables.idleMoves.delete(this)
  }

  // ---- what the sessions say

  /** The worker has parked the session, and there is something for it that the worker has not been told of. */
  waits(session: SharedSession): void {
    this.#parked.waits(session)
  }

  /** The worker drains: a session that it has parked goes to another worker that takes it. */
  moveOn(session: SharedSession): void {
    this.#parked.moveOn(session)
  }

  /**
   * The worker is gone, or has given the session's socket back: a session that it had parked goes on, at once or when a
   * worker takes it.
   */
  carryOn(session: ParkingSession): void {
    const { connection, worker: { slot } } = session
    const why = slot.moveReason
    if (why === "crash" && session.isFresh && this.journeys.isSuspect(connection)) return
    const taken = session.takeAway()
    if (taken === undefined) return
    const { admission, intake } = this.#listener
    this.#goesOn(session, why, taken.state)
    const ticket = admission.turn(connection, intake.keyOf(connection), intake.rankOf(connection))
    intake.follow(admission.movedOn(ticket, slot.offers, this.#tables.now()))
  }

  /** The session has been taken away from its worker, which admission counts next: its connection goes on. */
  #goesOn(session: ParkingSession, why: Report.MoveReason, state: Uint8Array | undefined): void {
    this.journeys.move(session.connection, why, state)
    this.#listener.events.moved(session, why)
  }

  /** A session that waited, or that the worker let wait until it moved on, is over. */
  left(session: SharedSession): void {
    this.#parked.forget(session)
    if (session.late) session.worker.lag.caughtUp(this.#tables.now())
  }

  // ---- to another worker

  /**
   * Moves a session that its worker has parked on to another worker that takes it now, or to the host's successor. A
   * worker that has let it wait is behind until it has passed the message of that.
   */
  #tryToMove(session: SharedSession): Moved {
    const { connection, worker } = session
    // a worker that is gone is being taken apart, and its sessions go on then
    if (worker.slot.moveReason === "crash") return "taken-up"
    if (session.unsent > 0) return "unsent"
    const { departures } = this.#tables
    if (departures?.takesParked(this.#listener, session) === true) {
      if (!session.canDepart) return "unsent"
      departures.addParked(this.#listener, session)
      return "moved"
    }
    const { admission, intake } = this.#listener
    const from = this.#listener.memberOf(worker)
    const now = this.#tables.now()
    const rank = intake.rankOf(connection)
    if (from !== undefined && admission.isBestAt(from, now, rank)) return "busy"
    const ticket = admission.onward(connection, intake.keyOf(connection), from, now, rank)
    if (ticket !== undefined) {
      // of idle ones, a worker gets one at a time: they have time, and what comes behind them has not
      const isBusy = ticket.member!.offers.pending > 0
      if (!isBusy || !session.isIdle) return this.#move(session, ticket)
      this.#tables.idleMoves.add(this)
      return "later"
    }
    // this host has been followed, and its successor does not go on with it either
    if (departures === undefined || !session.isIdle) return "nobody"
    session.close()
    return "moved"
  }

  #move(session: SharedSession, ticket: ListenerTicket): Moved {
    const { lag, slot } = session.worker
    const why = slot.moveReason
    const now = this.#tables.now()
    // many may move in one turn: each worker hears of them together
    session.worker.gather()
    ticket.member?.worker.gather()
    const taken = session.takeAway()
    if (taken === undefined) return "taken-up"
    this.#goesOn(session, why, taken.state)
    session.late = why === "late"
    if (session.late) lag.fellBehind(now)
    const { admission, intake } = this.#listener
    intake.follow(admission.movedOn(ticket, slot.offers, now))
    return "moved"
  }

  /** Takes a parked session away, to be sent to the successor; `undefined` when it is not parked, or can't go now. */
  takeForSuccessor(session: SharedSession): Arriving | undefined {
    const { connection, worker: { slot } } = session
    const taken = session.canDepart ? session.takeAway() : undefined
    if (taken === undefined) return undefined
    this.#parked.forget(session)
    this.#goesOn(session, "takeover", taken.state)
    this.#listener.intake.left(connection)
    this.#listener.admission.departs(slot.offers)
    return connection
  }
}
