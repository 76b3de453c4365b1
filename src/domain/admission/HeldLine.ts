/**
 * The connections of a listener that are held: who is served next, and how long each may wait (M6, X7).
 *
 * Connections that come back, since their offer was taken back or their session has moved, are served before all others.
 * Of the others, the first one is served first, until a queue stands. Of those that have come since, the newest is then:
 * what is served is fresh, and only as many wait long as can't be served. They are held for `sojournInterval` and not for
 * `holdTime`. Those that came before keep their time, and have every other turn, the first one first: they are few, and
 * would else wait for as long as the queue stands.
 *
 * All that is so within a priority class: those of a higher class are served before those of a lower one.
 *
 * **A queue stands** when for `sojournInterval` the line was not empty while workers went on claiming. Nothing is claimed
 * while no worker runs, or while all are blocked or full. That is no overload: whoever comes then waits for `holdTime`, and
 * is served in the order of arrival.
 */
import { HIGH, LOW, Priorities } from "../options/Priority.ts"
import { Deadlines } from "./Deadlines.ts"
import { Line } from "./Line.ts"
import type { Ticket } from "./Ticket.ts"

/** In what order those that wait are served, and for how long. Times in milliseconds. */
export interface HeldOptions {
  readonly held: "adaptive" | "oldest"
  readonly holdTime: number
  readonly sojournInterval: number
}

/** Those of one class: those that come back, and the others, by whether a queue stood when they came. */
class ClassLines<C, M, S> {
  readonly back = new Line<Ticket<C, M, S>>()
  readonly before = new Line<Ticket<C, M, S>>()
  readonly since = new Line<Ticket<C, M, S>>()

  get isEmpty(): boolean {
    return this.back.first === undefined && this.before.first === undefined && this.since.first === undefined
  }

  /** The one that came first. */
  get #oldest(): Ticket<C, M, S> | undefined {
    const before = this.before.first
    const since = this.since.first
    return before === undefined || (since !== undefined && since.cameAt < before.cameAt) ? since : before
  }

  first(stands: boolean, isSinceNext: boolean): Ticket<C, M, S> | undefined {
    if (this.back.first !== undefined) return this.back.first
    if (!stands) return this.#oldest
    const before = this.before.first
    const since = this.since.last
    return before === undefined || (since !== undefined && isSinceNext) ? since : before
  }
}

export class HeldLine<C, M, S> {
  readonly #options: HeldOptions
  /** By class, the lowest first. */
  readonly #classes = Priorities.map(() => new ClassLines<C, M, S>())
  /** Those that wait for `holdTime`, and for `sojournInterval`: in each, all allow the same time. */
  readonly #long = new Deadlines<Ticket<C, M, S>>()
  readonly #short = new Deadlines<Ticket<C, M, S>>()
  /** Whether those that have come since a queue stands have the next turn. */
  #isSinceNext = true
  #moved = 0
  #size = 0
  /** When a worker has last claimed; and when, at the latest, the line was empty or nobody claimed. */
  #claimedAt = -Infinity
  #calmAt = 0

  constructor(options: HeldOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** How many count against `holdMax`: connections whose sessions have moved had their place. */
  get counted(): number {
    return this.#size - this.#moved
  }

  /** When the time of one of them is over. */
  get deadline(): number {
    return Math.min(this.#long.next, this.#short.next)
  }

  /** Whether somebody of this class, or of one above it, waits. */
  waits(rank: number): boolean {
    if (this.#size === 0) return false
    for (let at = HIGH; at >= rank; at--) if (!this.#classes[at]!.isEmpty) return true
    return false
  }

  /** The one that is served next, of this class and those above it. */
  first(now: number, rank = LOW): Ticket<C, M, S> | undefined {
    for (let at = HIGH; at >= rank; at--) {
      const first = this.#classes[at]!.first(this.#stands(now), this.#isSinceNext)
      if (first !== undefined) return first
    }
    return undefined
  }

  /** All of them, the highest class first, and each line in its order. One that is given may leave. */
  *all(): IterableIterator<Ticket<C, M, S>> {
    for (const line of this.#classes.toReversed().flatMap(({ back, before, since }) => [back, before, since])) {
      for (let ticket = line.first; ticket !== undefined;) {
        const { behind } = ticket
        yield ticket
        ticket = behind
      }
    }
  }

  /** A worker has claimed something. */
  claimed(now: number): void {
    if (now - this.#claimedAt > this.#options.sojournInterval) this.#calmAt = now
    this.#claimedAt = now
  }

  #stands(now: number): boolean {
    const { held, sojournInterval } = this.#options
    if (held === "oldest" || this.#size === 0 || now - this.#calmAt < sojournInterval) return false
    return this.#claimedAt > this.#calmAt && now - this.#claimedAt <= sojournInterval
  }

  /** A connection joins, which has been given its time if it has waited before. */
  add(ticket: Ticket<C, M, S>, now: number): void {
    if (this.#size === 0) this.#calmAt = now
    if (ticket.heldUntil === Infinity) this.#giveTime(ticket, now)
    ticket.waits = true
    ticket.since = now
    this.#size++
    if (ticket.moved) this.#moved++
    if (ticket.returned) this.#lineOf(ticket).pushFront(ticket)
    else this.#lineOf(ticket).pushBack(ticket)
    this.#deadlinesOf(ticket).add(ticket, ticket.heldUntil)
  }

  #giveTime(ticket: Ticket<C, M, S>, now: number): void {
    const { holdTime, sojournInterval } = this.#options
    // a queue stood when it came, and not only now, when its offer has been taken back
    const cameLate = this.#stands(now) && ticket.cameAt - this.#calmAt >= sojournInterval
    ticket.cameLate = cameLate
    ticket.isBrief = sojournInterval < holdTime && cameLate
    ticket.heldUntil = now + (ticket.isBrief ? sojournInterval : holdTime)
  }

  /** One that is in the line is served; it is to leave. */
  served({ cameLate, moved, returned }: Ticket<C, M, S>): void {
    if (!returned && !moved) this.#isSinceNext = !cameLate
  }

  /** One that is in the line leaves it. */
  remove(ticket: Ticket<C, M, S>): void {
    ticket.waits = false
    this.#size--
    if (ticket.moved) this.#moved--
    this.#lineOf(ticket).remove(ticket)
    this.#deadlinesOf(ticket).remove(ticket)
  }

  /** One whose time is over, which is still in the line. */
  due(now: number): Ticket<C, M, S> | undefined {
    return (this.#long.next <= this.#short.next ? this.#long : this.#short).take(now)
  }

  #lineOf({ cameLate, moved, rank, returned }: Ticket<C, M, S>): Line<Ticket<C, M, S>> {
    const { back, before, since } = this.#classes[rank]!
    if (returned || moved) return back
    return cameLate ? since : before
  }

  #deadlinesOf({ isBrief }: Ticket<C, M, S>): Deadlines<Ticket<C, M, S>> {
    return isBrief ? this.#short : this.#long
  }
}
