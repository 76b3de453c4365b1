/**
 * The connections of a host that go over to its successor (X4): what is held, and what is parked, one after another.
 *
 * A session stays its worker's until its turn has come: it may have a request meanwhile, and then it goes when that has
 * been answered. Before {@link Departures.settle}, there is one round; afterwards, each session that is parked, and each
 * connection that would wait for a worker, joins the queue, and what can't go is served here.
 */
import * as Handle from "../../domain/state/Handle.ts"
import type * as Succession from "../../services/Succession.ts"
import type { Arriving } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import { SharedSession } from "./SharedSession.ts"
import type { Tables } from "./Tables.ts"

export class Departures implements Succession.DepartureSource {
  onMore: (() => void) | undefined
  readonly #tables: Tables
  readonly #served: ReadonlySet<string>
  readonly #sessions = new Set<SharedSession>()
  /** Connections that no worker has, and their listeners. */
  readonly #connections = new Map<Arriving, HostListener>()
  readonly #settle: () => void
  #isOpen = true
  #settled = false

  /** `served`: handles of the listeners that the successor serves; `settle`: stops accepting. */
  constructor(tables: Tables, served: ReadonlySet<string>, settle: () => void) {
    this.#tables = tables
    this.#served = served
    this.#settle = settle
    this.#gather()
  }

  #gather(): void {
    for (const session of this.#tables.sessions) {
      if (session instanceof SharedSession && this.#takesFrom(session.origin.listener)) this.#sessions.add(session)
    }
  }

  #takesFrom(listener: Handle.ListenerHandle | undefined): boolean {
    return listener !== undefined && this.#isOpen && this.#served.has(Handle.format(listener))
  }

  /** Whether what would wait for a worker at the listener goes over instead. */
  takes(listener: HostListener, connection: Arriving): boolean {
    return this.#settled && this.#takesFrom(listener.handle) && connection._tag !== "CutThrough"
      && connection.lend?.() !== undefined
  }

  /** A connection that no worker has, and that {@link takes} goes for. */
  add(listener: HostListener, connection: Arriving): void {
    this.#connections.set(connection, listener)
    this.onMore?.()
  }

  /** Whether a session that is parked goes over, now or when all that it has written has gone out. */
  takesParked(listener: HostListener, { connection }: SharedSession): boolean {
    return this.#settled && this.#takesFrom(listener.handle) && connection.isSent !== undefined
  }

  /** A session that its worker has parked, and that {@link takesParked} goes for. */
  addParked(session: SharedSession): void {
    this.#sessions.add(session)
    this.onMore?.()
  }

  next(): Succession.Departure | undefined {
    if (!this.#isOpen) return undefined
    for (const session of this.#sessions) {
      this.#sessions.delete(session)
      const { origin } = session
      const listener = origin.listener === undefined ? undefined : this.#tables.listeners.get(origin.listener)
      const departure = listener?.succession.depart(session)
      if (departure !== undefined) return departure
      // once more when its bytes have gone out
      if (this.#settled && session.isOpen && session.isParked && session.connection.isSent === false) {
        listener?.moves.waits(session)
      }
    }
    for (const [connection, listener] of this.#connections) {
      this.#connections.delete(connection)
      const departure = listener.succession.lend(connection)
      if (departure !== undefined) return departure
      listener.succession.returns(connection)
    }
    if (this.#settled) return undefined
    for (const listener of this.#tables.listeners) {
      const departure = this.#takesFrom(listener.handle) ? listener.succession.departHeld() : undefined
      if (departure !== undefined) return departure
    }
    return undefined
  }

  settle(): void {
    this.#settled = true
    this.#tables.events.record({ kind: "takeover-settled" })
    this.#settle()
    this.#gather()
    for (const listener of this.#tables.listeners) listener.succession.departAllHeld()
  }

  end(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#tables.events.record({ kind: this.#settled ? "takeover-ended" : "takeover-abandoned" })
    // all is as it was
    if (!this.#settled) this.#tables.departures = undefined
    this.#sessions.clear()
    const left = [...this.#connections]
    this.#connections.clear()
    for (const [connection, listener] of left) listener.succession.returns(connection)
  }
}
