/**
 * The connections of a host that go over to its successor (X4), which is the host by now: what waits for a worker, and
 * what is parked, one after another.
 *
 * A session stays its worker's until its turn has come: it may have a request meanwhile, and then it joins the queue again
 * when that has been answered.
 */
import * as Handle from "../../domain/state/Handle.ts"
import type * as Succession from "../../services/Succession.ts"
import type { SharedDatagrams } from "../../services/Transport.ts"
import type { Arriving } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { SharedSession } from "./SharedSession.ts"

export class Departures implements Succession.DepartureSource {
  onMore: (() => void) | undefined
  readonly datagrams = new Map<string, SharedDatagrams>()
  readonly #served: ReadonlySet<string>
  readonly #onEnd: (why: string | undefined) => void
  readonly #sessions = new Map<SharedSession, HostListener>()
  /** Connections that no worker has. */
  readonly #connections = new Map<Arriving, HostListener>()
  #isOpen = true

  /** `served`: handles of the listeners that the successor serves; `onEnd`: from now on, nobody goes on with anything. */
  constructor(served: ReadonlySet<string>, onEnd: (why: string | undefined) => void) {
    this.#served = served
    this.#onEnd = onEnd
  }

  /** Whether there is a successor to go to. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the successor goes on with what comes at the listener. */
  serves(listener: HostListener): boolean {
    return this.#isOpen && this.#served.has(Handle.format(listener.handle))
  }

  /** Whether what would wait for a worker at the listener goes over instead. */
  takes(listener: HostListener, connection: Arriving): boolean {
    return this.serves(listener) && connection._tag !== "CutThrough" && connection.lend?.() !== undefined
  }

  /** A connection that no worker has, and that {@link takes} goes for. */
  add(listener: HostListener, connection: Arriving): void {
    this.#connections.set(connection, listener)
    this.onMore?.()
  }

  /** Whether a session that is parked goes over, now or when all that it has written has gone out. */
  takesParked(listener: HostListener, { connection }: SharedSession): boolean {
    return this.serves(listener) && connection.isSent !== undefined
  }

  /** A session that its worker has parked, and that {@link takesParked} goes for. */
  addParked(listener: HostListener, session: SharedSession): void {
    this.#sessions.set(session, listener)
    this.onMore?.()
  }

  next(): Succession.Departure | undefined {
    for (const [session, listener] of this.#sessions) {
      this.#sessions.delete(session)
      const departure = listener.succession.depart(session)
      if (departure !== undefined) return departure
      // once more when its bytes have gone out
      if (session.isOpen && session.isParked && session.connection.isSent === false) listener.moves.waits(session)
    }
    for (const [connection, listener] of this.#connections) {
      this.#connections.delete(connection)
      const departure = listener.succession.lend(connection)
      if (departure !== undefined) return departure
      listener.succession.forsakes(connection)
    }
    return undefined
  }

  end(why?: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#sessions.clear()
    const left = [...this.#connections]
    this.#connections.clear()
    for (const [connection, listener] of left) listener.succession.forsakes(connection)
    this.#onEnd(why)
  }
}
