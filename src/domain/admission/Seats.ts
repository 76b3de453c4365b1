/**
 * The workers that serve a listener, and whose turn it is (W10): the next higher number after the worker that was last
 * given a session, whoever has come or gone since; after the highest comes the lowest.
 */
import type * as Ledger from "../state/Ledger.ts"
import type { WorkerTimes } from "../state/Times.ts"
import type { Lag } from "./Lag.ts"
import type { Sojourn } from "./Sojourn.ts"

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
  /** How many offers of this listener are open: its admission counts them. */
  open: number
  /** Whether memory is on its way to it. */
  readonly growing: boolean
  /** How far it is behind with offers: a worker that is behind is treated as congested (M15). */
  readonly lag: Lag
  /** How many more requests it may have in hand (X7); not positive when it has as many as it may. */
  readonly spare: number
  /** How long its offers wait: a worker before which a queue stands is congested (X7). */
  readonly sojourn: Sojourn
  /** Where its offers are counted. */
  readonly offers: Ledger.OfferLedger
  /** Where it is counted how long its claims take. */
  readonly times: WorkerTimes
}

/**
 * A place at a listener. It is kept, empty, while its worker is to be started again.
 *
 * While a worker is replaced by a successor with the same number (X2), the seat has both: it is the member that has
 * turns, and `next` waits for its promotion.
 */
export interface Seat<M> {
  readonly number: number
  readonly member: M | undefined
  readonly next: M | undefined
  /** Whether the seat was kept for this start of its worker. */
  readonly kept: boolean
}

export class Seats<M extends Member> {
  /** In the order of their numbers. */
  readonly #seats: Array<{ readonly number: number; member: M | undefined; next: M | undefined; kept: boolean }> = []
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

  /** The successor of that worker, while it waits for its promotion. */
  successor(number: number): M | undefined {
    return this.#seats.find((seat) => seat.number === number)?.next
  }

  /** Whether the seat with that number was kept for the worker's present start. */
  isKept(number: number): boolean {
    return this.#seats.find((seat) => seat.number === number)?.kept === true
  }

  /** A worker takes its seat: a new one, or the one that was kept for it. */
  join(member: M): void {
    this.#seatOf(member.number).member = member
    this.turn()
  }

  /** The successor of a worker takes a place behind it, in the same seat or in one that the worker does not have. */
  joinNext(member: M): void {
    this.#seatOf(member.number).next = member
    this.turn()
  }

  /** The seat with that number, which may be new. */
  #seatOf(number: number) {
    const seats = this.#seats
    let at = 0
    while (at < seats.length && seats[at]!.number < number) at++
    const known = seats[at]
    if (known?.number === number) return known
    const seat = { number, member: undefined, next: undefined, kept: false }
    seats.splice(at, 0, seat)
    return seat
  }

  /** A worker leaves its seat, which is kept for its next start if `keep` says so. `false` when it has no such seat. */
  leave(number: number, keep: boolean): boolean {
    const at = this.#seats.findIndex((seat) => seat.number === number)
    const seat = this.#seats[at]
    // a seat that only a successor has is not the worker's
    if (seat === undefined || (seat.member === undefined && !seat.kept && seat.next !== undefined)) return false
    if (keep || seat.next !== undefined) Object.assign(seat, { member: undefined, kept: keep })
    else this.#seats.splice(at, 1)
    this.turn()
    return true
  }

  /** A successor gives up its place. `false` when it had none. */
  leaveNext(number: number): boolean {
    const at = this.#seats.findIndex((seat) => seat.number === number)
    const seat = this.#seats[at]
    if (seat?.next === undefined) return false
    seat.next = undefined
    if (seat.member === undefined && !seat.kept) this.#seats.splice(at, 1)
    this.turn()
    return true
  }

  /** The successor takes the worker's place, and where it has none, the seat is gone. `false` when there is no seat. */
  promote(number: number): boolean {
    const at = this.#seats.findIndex((seat) => seat.number === number)
    const seat = this.#seats[at]
    if (seat === undefined) return false
    if (seat.next === undefined) this.#seats.splice(at, 1)
    else Object.assign(seat, { member: seat.next, next: undefined, kept: false })
    this.turn()
    return true
  }

  /** All workers leave at once; returns those that were there. */
  dissolve(): ReadonlyArray<M> {
    return this.#seats.splice(0).flatMap(({ member, next }) => [member, next].filter((one) => one !== undefined))
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
