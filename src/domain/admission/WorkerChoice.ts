/**
 * Which worker a connection goes to (W10, M6), and why there is none.
 *
 * Without a key the rotor decides: the next higher number after the worker that was last given a session, whoever has
 * come or gone since. With a key it is the worker that {@link Affinity} gives the key, or else the next best. In either
 * case, a worker that takes no sessions now is passed over.
 *
 * A worker that has just started is slow. By the rotor, one that has as many open offers as its {@link SlowStart} allows is
 * passed over as long as another worker takes the connection. That is a preference: it never makes a connection wait.
 *
 * The highest priority class (X7) may have `reserve` sessions more of each worker, and goes also to a worker before which a
 * queue stands, as long as that worker is not behind.
 */
import type { AdmissionOptions } from "../options/AdmissionOptions.ts"
import { HIGH } from "../options/Priority.ts"
import type * as Ledger from "../state/Ledger.ts"
import * as Affinity from "./Affinity.ts"
import { type Member, Seats } from "./Seats.ts"
import * as SlowStart from "./SlowStart.ts"
import type { Ticket } from "./Ticket.ts"

export class WorkerChoice<C, M extends Member, S> {
  readonly seats = new Seats<M>()
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** The search for the ticket's worker begins anew. */
  begin(ticket: Ticket<C, M, S>): void {
    ticket.looked = 0
    ticket.passedOver = false
    ticket.below = Affinity.ABOVE_ALL
  }

  /** The next worker that takes the connection, of those that were not tried yet. */
  next(ticket: Ticket<C, M, S>, now: number): M | undefined {
    return ticket.key === undefined ? this.#rotate(ticket, now) : this.#prefer(ticket, ticket.key, now)
  }

  /** Whether memory is on its way to a worker that takes sessions of the class. */
  isGrowing(rank: number, now: number): boolean {
    return this.seats.all.some(({ member }) => member !== undefined && this.#takes(member, rank, now) && member.growing)
  }

  /** Why no worker takes a session of the class. */
  whyNobody(rank: number, now: number): Ledger.RefuseReason {
    let reason: Ledger.RefuseReason = "no-worker"
    let areFull = true
    for (const { member } of this.seats.all) {
      if (member?.running !== true) continue
      if (reason === "no-worker") reason = "no-memory"
      if (this.#isCongested(member, rank, now)) reason = "congested"
      else if (reason !== "congested" && this.#isBusy(member, rank)) reason = "concurrency-limit"
      if (!this.#isFull(member, rank)) areFull = false
    }
    return reason !== "no-worker" && areFull ? "worker-limit" : reason
  }

  /** How much more than others the class may have, beyond each limit. */
  beyond(rank: number): number {
    return rank === HIGH ? this.#options.reserve : 0
  }

  #isFull(member: M, rank: number): boolean {
    return member.sessions >= this.#options.maxSessionsPerWorker + this.beyond(rank)
  }

  /** Whether it has as much in hand as it may. */
  #isBusy(member: M, rank: number): boolean {
    return member.spare + this.beyond(rank) <= 0
  }

  /** Whether the worker comes to what it is offered, as far as is known. */
  keepsUp(member: M, rank: number, now: number): boolean {
    return member.running && !this.#isCongested(member, rank, now)
  }

  /** Messages wait for room in its queue, it is behind with an offer, or a queue stands before it. */
  #isCongested(member: M, rank: number, now: number): boolean {
    return member.congested || member.lag.offers > 0 || (rank !== HIGH && member.sojourn.isCongested(now))
  }

  /** Whether the worker takes a session of the class now (M6, M15, X7). */
  #takes(member: M, rank: number, now: number): boolean {
    return member.running && !this.#isCongested(member, rank, now) && !this.#isFull(member, rank)
      && !this.#isBusy(member, rank)
  }

  /** Whether the worker has as many open offers as it may have so soon after its first one. */
  #isFed({ sojourn }: M, now: number): boolean {
    return sojourn.pending >= SlowStart.most(now - sojourn.begun, this.#options.slowStart)
  }

  /** The seats in the order of their turns; those that were passed over in the first round have a second one. */
  #rotate(ticket: Ticket<C, M, S>, now: number): M | undefined {
    const { size } = this.seats
    while (ticket.looked < size || (ticket.passedOver && ticket.looked < 2 * size)) {
      const isFirst = ticket.looked < size
      const member = this.seats.next(ticket.looked++)
      if (member === undefined || member === ticket.except || !this.#takes(member, ticket.rank, now)) continue
      // while connections wait, a worker has one offer at a time: how fast it claims says how many it can serve
      if ((ticket.waits || ticket.passes) && member.open > 0) continue
      if (!isFirst || !this.#isFed(member, now)) return member
      ticket.passedOver = true
    }
    return undefined
  }

  /** Among the workers that take sessions and were not tried yet, the one with the largest weight for the key. */
  #prefer(ticket: Ticket<C, M, S>, key: number, now: number): M | undefined {
    let preferred: M | undefined
    let most = -1
    for (const { member, number } of this.seats.all) {
      if (member === undefined || member === ticket.except || !this.#takes(member, ticket.rank, now)) continue
      const weight = Affinity.weight(key, number)
      if (weight >= ticket.below || weight <= most) continue
      most = weight
      preferred = member
    }
    if (preferred !== undefined) ticket.below = most
    return preferred
  }
}
