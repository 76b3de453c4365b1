/**
 * The latest events of a host, in parts, each of which has a ring of its own: however often workers fall behind for a
 * moment, and whatever peers bring about, what is known of sessions, and of what is rare, stays for as long as before.
 *
 * | part | kinds | kept |
 * |---|---|---|
 * | sessions | `session-…`, `offer-…`, `datagram-…` | 6000 |
 * | load | `worker-behind`, `-congested`, `-delayed` and `-clear` | 2000 |
 * | rest | all others | 2000 |
 *
 * Serial numbers are those of the host, over all parts, so events are read in the order in which they were told. A reader
 * is a serial number, and keeps nobody from telling. Between two events that are kept there may be others that are not.
 */
import { EventRing } from "./EventRing.ts"
import type { EventKind, HostEvent } from "./HostEvent.ts"

/** How many events of each part are kept. */
export const KEPT = { sessions: 6000, load: 2000, rest: 2000 } as const

export type EventPart = keyof typeof KEPT

const LOAD: ReadonlySet<EventKind> = new Set<EventKind>([
  "worker-behind",
  "worker-congested",
  "worker-delayed",
  "worker-clear"
])

const SESSIONS = /^(session|offer|datagram)-/

/** The part that events of a kind are kept in. */
export const partOf = (kind: EventKind): EventPart =>
  LOAD.has(kind) ? "load" : SESSIONS.test(kind) ? "sessions" : "rest"

/** Of all events that are kept, the first one from which on those of a part are whole. */
export const wholeFrom = (events: ReadonlyArray<HostEvent>, part: EventPart): HostEvent | undefined => {
  const ofPart = events.filter(({ kind }) => partOf(kind) === part)
  return ofPart.length < KEPT[part] ? events[0] : ofPart[0]
}

export class EventStore {
  readonly #parts: Readonly<Record<EventPart, EventRing<HostEvent>>>
  readonly #rings: ReadonlyArray<EventRing<HostEvent>>
  #newest = 0

  constructor(kept: Readonly<Record<EventPart, number>> = KEPT) {
    this.#parts = {
      sessions: new EventRing(kept.sessions),
      load: new EventRing(kept.load),
      rest: new EventRing(kept.rest)
    }
    this.#rings = Object.values(this.#parts)
  }

  /** The serial number of the newest event; 0 before the first. */
  get newest(): number {
    return this.#newest
  }

  /** Keeps the event that `make` makes for its serial number. */
  add(make: (serial: number) => HostEvent): HostEvent {
    const event = make(this.#newest + 1)
    this.#newest++
    this.#parts[partOf(event.kind)].add(event)
    return event
  }

  /** The first event that is kept with a serial number above this one. */
  after(serial: number): HostEvent | undefined {
    let first: HostEvent | undefined
    for (const ring of this.#rings) {
      const event = ring.after(serial)
      if (event !== undefined && (first === undefined || event.serial < first.serial)) first = event
    }
    return first
  }

  /** The last event that is kept with a serial number below this one. */
  before(serial: number): HostEvent | undefined {
    let last: HostEvent | undefined
    for (const ring of this.#rings) {
      const event = ring.before(serial)
      if (event !== undefined && (last === undefined || event.serial > last.serial)) last = event
    }
    return last
  }
}
