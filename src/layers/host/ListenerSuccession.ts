/**
 * What of a listener's connections goes over to the host that follows this one, and what comes from the host before
 * (X4). A connection on its way counts as arrived in neither.
 *
 * `Departures` decides when it is a connection's turn.
 */
import * as Handle from "../../domain/state/Handle.ts"
import type { Departure } from "../../services/Succession.ts"
import type { Arriving } from "./HostSession.ts"
import type { ListenerTicket } from "./Intake.ts"
import type { HostListener } from "./Listener.ts"
import type { SharedSession } from "./SharedSession.ts"
import type { Tables } from "./Tables.ts"

export class ListenerSuccession {
  readonly #listener: HostListener
  readonly #tables: Tables

  constructor(listener: HostListener, tables: Tables) {
    this.#listener = listener
    this.#tables = tables
  }

  // ---- to the successor

  /** Takes a parked session away, for the successor; `undefined` when it is not parked any more, or can't go now. */
  depart(session: SharedSession): Departure | undefined {
    const connection = this.#listener.moves.takeForSuccessor(session)
    if (connection === undefined) return undefined
    const departure = this.lend(connection)
    if (departure === undefined) this.forsakes(connection)
    return departure
  }

  /** The connections that wait for a worker go over, as far as they can. */
  departHeld(): void {
    for (const ticket of this.#listener.admission.held()) this.takes(ticket)
  }

  /** Whether the connection, which no worker has, is the successor's from now on. */
  takes(ticket: ListenerTicket): boolean {
    const { connection, state } = ticket
    const { departures } = this.#tables
    if (departures === undefined || state !== "asking" && state !== "offering" && state !== "held") return false
    if (!departures.takes(this.#listener, connection)) return false
    connection.onGone = undefined
    this.#listener.intake.left(connection)
    this.#listener.admission.leaves(ticket, this.#tables.now())
    departures.add(this.#listener, connection)
    return true
  }

  /** A connection on its way; `undefined` when it can't go. */
  lend(connection: Arriving): Departure | undefined {
    if (connection._tag === "CutThrough") return undefined
    const lent = connection.lend?.()
    if (lent === undefined) return undefined
    connection.setOff?.()
    const { about, local, mapped, remote } = connection
    const journey = this.#listener.moves.journeys.of(connection)
    return {
      listener: Handle.format(this.#listener.handle),
      baggage: {
        remote,
        local,
        mapped,
        about,
        unread: lent.unread,
        isBehind: lent.isBehind,
        state: journey?.state,
        moves: Math.max(0, (journey?.moves ?? 0) - 1)
      },
      socket: lent.socket,
      gone: () => connection.letGo?.(),
      stays: () => this.forsakes(connection),
      unanswered: () => {
        this.#listener.admission.turnedAway("draining", connection)
        connection.letGo?.()
      }
    }
  }

  /** A connection that was to go to the successor, which does not have it: nobody goes on with it. */
  forsakes(connection: Arriving): void {
    this.#listener.admission.turnedAway("draining", connection)
    if (connection._tag === "CutThrough") return connection.refuse("draining")
    // its socket is nowhere else, so its peer reads an end
    if (connection.letGo === undefined) connection.abort()
    else connection.letGo()
  }

  // ---- from the predecessor

  /** A connection of the predecessor's; `state`, `moves`: what its session has got so far. */
  adopt(connection: Arriving, state: Uint8Array | undefined, moves: number): void {
    const { intake, moves: { journeys } } = this.#listener
    journeys.set(connection, { moves: moves + 1, crashes: 0, why: "takeover", state })
    intake.adopt(connection)
  }
}
