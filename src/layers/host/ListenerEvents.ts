/**
 * What a listener tells of its connections and sessions: each in the call that counts it, one by one or as counts
 * (`EventSeries`).
 *
 * A session that is claimed at once, and that its peer or its application ends, is told of nowhere: this is for what goes
 * another way.
 */
import type { Witness } from "../../domain/admission/Witness.ts"
import type { EventFacts, EventKind } from "../../domain/events/HostEvent.ts"
import type * as Report from "../../domain/report/Report.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { EventLog, OftenFacts } from "../telemetry/EventLog.ts"
import { atListener, byWorker } from "./EventSubjects.ts"
import type { Arriving, HostSession } from "./HostSession.ts"
import type { ListenerTicket } from "./Intake.ts"
import type { HostListener } from "./Listener.ts"
import type { ListenerMember } from "./ListenerMember.ts"
import type { Tables } from "./Tables.ts"

/** What is told of a connection; and of a session that a worker had, or was offered. */
type OfConnection = OftenFacts & ReturnType<typeof atListener>
type OfSession = OfConnection & ReturnType<typeof byWorker>

const refusedFacts = (of: OfConnection, reason: Ledger.RefuseReason): EventFacts => (
  { kind: "session-refused", reason, ...of }
)
const heldFacts = (of: OfConnection): EventFacts => ({ kind: "session-held", ...of })
const droppedFacts = (of: OfConnection, reason: Ledger.DropReason): EventFacts => (
  { kind: "datagram-dropped", reason, ...of }
)
const revokedFacts = (of: OfSession, _: "", afterMillis: number): EventFacts => (
  { kind: "offer-revoked", ...of, afterMillis }
)
const claimedFacts = (of: OfSession): EventFacts => ({ kind: "session-claimed", ...of })
const movedFacts = (of: OfSession, reason: Report.MoveReason): EventFacts => ({ kind: "session-moved", reason, ...of })
const lostFacts = (of: OfSession): EventFacts => ({ kind: "session-lost", ...of })
const endedFacts = (of: OfSession, reason: Ledger.EndReason): EventFacts => ({ kind: "session-ended", reason, ...of })

export class ListenerEvents implements Witness<Arriving, ListenerMember, HostSession> {
  readonly #listener: HostListener
  readonly #events: EventLog
  readonly #now: () => number

  constructor(listener: HostListener, { events, now }: Tables) {
    this.#listener = listener
    this.#events = events
    this.#now = now
  }

  /** One series for each reason. */
  #ofConnection<R extends string>(
    kind: EventKind,
    facts: (of: OfConnection, reason: R) => EventFacts,
    reason: R,
    connection: Arriving | undefined
  ): void {
    const events = this.#events
    const key = `${kind} ${this.#listener.handle} ${reason}`
    const series = events.series(key)
      ?? events.begin(key, (often) => facts({ ...atListener(this.#listener), ...often }, reason))
    events.often(series, connection)
  }

  /** One series for each reason and worker. */
  #ofSession<R extends string>(
    kind: EventKind,
    facts: (of: OfSession, reason: R, millis: number) => EventFacts,
    reason: R,
    { connection, handle, worker: { slot } }: HostSession,
    millis = 0
  ): void {
    const events = this.#events
    const key = `${kind} ${this.#listener.handle} ${reason} ${slot.handle}`
    const series = events.series(key) ?? events.begin(
      key,
      (often, millis) => facts({ ...atListener(this.#listener), ...byWorker(slot), ...often }, reason, millis)
    )
    events.often(series, connection, handle, millis)
  }

  // ---- what admission counts

  readonly refused = (
    reason: Ledger.RefuseReason,
    connection: Arriving | undefined,
    session: HostSession | undefined
  ): void => {
    if (session === undefined) this.#ofConnection("session-refused", refusedFacts, reason, connection)
    else this.#ofSession("session-refused", refusedFacts, reason, session)
  }

  readonly held = (connection: Arriving): void => this.#ofConnection("session-held", heldFacts, "", connection)

  readonly revoked = ({ session }: ListenerTicket): void => {
    if (session !== undefined) this.#ofSession("offer-revoked", revokedFacts, "", session, this.#now() - session.since)
  }

  readonly claimedLate = ({ session }: ListenerTicket): void => {
    if (session !== undefined) this.#ofSession("session-claimed", claimedFacts, "", session)
  }

  /** A session is taken away from its worker, so that its connection goes on. */
  moved(session: HostSession, reason: Report.MoveReason): void {
    this.#ofSession("session-moved", movedFacts, reason, session)
  }

  // ---- what is counted here

  /** A session was reset with its worker. */
  lost(session: HostSession): void {
    this.#listener.admission.arrivals.lost++
    this.#ofSession("session-lost", lostFacts, "", session)
  }

  /** A session was ended by neither its peer nor its application. */
  ended(session: HostSession, reason: Ledger.EndReason): void {
    this.#listener.admission.arrivals.ended[reason]++
    this.#ofSession("session-ended", endedFacts, reason, session)
  }

  /** A datagram was dropped. */
  dropped(reason: Ledger.DropReason): void {
    this.#listener.admission.arrivals.dropped[reason]++
    this.#ofConnection("datagram-dropped", droppedFacts, reason, undefined)
  }
}
