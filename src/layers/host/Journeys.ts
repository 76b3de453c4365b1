/**
 * What is kept of connections whose sessions have moved on (X1), as long as they are there: how often, why, and what the
 * application gave along. There is nothing for the many that never moved.
 */
import type * as Report from "../../domain/report/Report.ts"
import type { Arriving } from "./HostSession.ts"

/** As many workers may go away, one after the other, with a session that none of them has done anything with. */
const CRASHES = 3

export interface Journey {
  /** How often the connection's session has moved on, and why it did so last. */
  readonly moves: number
  readonly why: Report.MoveReason
  /** For the session that comes next, unless its application gives something else along. */
  readonly state: Uint8Array | undefined
  /** How many workers have gone away with it, one after the other, and had done nothing with it. */
  readonly crashes: number
}

export class Journeys {
  readonly #journeys = new WeakMap<Arriving, Journey>()

  of(connection: Arriving): Journey | undefined {
    return this.#journeys.get(connection)
  }

  /** It has come here with a journey behind it. */
  set(connection: Arriving, journey: Journey): void {
    this.#journeys.set(connection, journey)
  }

  /** Its session moves on; `state`: what the application gives along, `undefined` for what came along. */
  move(connection: Arriving, why: Report.MoveReason, state: Uint8Array | undefined): void {
    const before = this.of(connection)
    const crashes = state !== undefined ? 0 : (before?.crashes ?? 0) + Number(why === "crash")
    this.#journeys.set(connection, { moves: (before?.moves ?? 0) + 1, why, state: state ?? before?.state, crashes })
  }

  /**
   * Whether the connection has been the end of too many workers: it may be what they go away of, and is given to no other
   * one.
   */
  isSuspect(connection: Arriving): boolean {
    return (this.of(connection)?.crashes ?? 0) >= CRASHES - 1
  }
}
