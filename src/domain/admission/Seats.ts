/**
 * The workers that serve a listener, and whose turn it is (W10): the next higher number after the worker that was last
 * given a session, whoever has come or gone since; after the highest comes the lowest.
 */
import type * as Ledger from "../state/Ledger.ts"
import type { Lag } from "./Lag.ts"

/** A worker as a listener sees it. Its properties are read when something is decided. */
export interface Member {
  /** Its number within its application, which it keeps across restarts. */
  readonly number: number
  /** Whether it runs, and is neither starting nor finishing. */
  readonly running: boolean
  /** Whether messages wait for room in its queue (M3). */
  readonly congested: boolean
  /** How many sessions it has, including those of offers that it has not passed yet. */
  readonly sessions: number
  /** Whether memory is on its way to it. */
  readonly growing: boolean
  /** How far it is behind with offers: a worker that is behind is treated as congested (M15). */
  readonly lag: Lag
  /** Where its offers are counted. */
  readonly offers: Ledger.OfferLedger
}

/** A place at a listener. It is kept, empty, while its worker is to be started again. */
export interface Seat<M> {
  readonly number: number
  readonly member: M | undefined
  /** Whether the seat was kept for this start of its worker. */
  readonly kept: boolean
}

export class Seats<M extends Member> {
  /** In the order of their numbers. */
  readonly #seats: Array<{ readonly number: number; member: M | undefined; kept: boolean }> = []
  /** The number that was last given a session, and the place of its successors: the first seat with a higher number. */
  #last = -1
  #first = 0

  /** In the order of their numbers. */
  get all(): ReadonlyArray<Seat<M>> {
    return this.#seats
  }

  get size(): number {
    return this.#seats.length
  }

  /** The worker with that number that is there now. */
  member(number: number): M | undefined {
    return this.#seats.find((seat) => seat.number === number)?.member
  }

  /** Whether the seat with that number was kept for the worker's present start. */
  isKept(number: number): boolean {
    return this.#seats.find((seat) => seat.number === number)?.kept === true
  }

  /** A worker takes its seat: a new one, or the one that was kept for it. */
  join(member: M): void {
    const { number } = member
    const seats = this.#seats
    let at = 0
    while (at < seats.length && seats[at]!.number < number) at++
    const seat = seats[at]
    if (seat?.number === number) seat.member = member
    else seats.splice(at, 0, { number, member, kept: false })
    this.turn()
  }

  /** A worker leaves its seat, which is kept for its next start if `keep` says so. `false` when there is no such seat. */
  leave(number: number, keep: boolean): boolean {
    const at = this.#seats.findIndex((seat) => seat.number === number)
    if (at < 0) return false
    if (keep) Object.assign(this.#seats[at]!, { member: undefined, kept: true })
    else this.#seats.splice(at, 1)
    this.turn()
    return true
  }

  /** All workers leave at once; returns those that were there. */
  dissolve(): ReadonlyArray<M> {
    return this.#seats.splice(0).flatMap(({ member }) => member ?? [])
  }

  /** The worker of the seat whose turn comes after `skipped` others; 0 to {@link size} - 1. */
  next(skipped: number): M | undefined {
    return this.#seats[(this.#first + skipped) % this.#seats.length]?.member
  }

  /** The worker with that number was given a session: the next turn is its successor's. */
  turn(last = this.#last): void {
    const seats = this.#seats
    this.#last = last
    this.#first = 0
    while (this.#first < seats.length && seats[this.#first]!.number <= last) this.#first++
  }
}
