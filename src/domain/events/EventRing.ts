/**
 * The latest events of a host. A new one takes the place of the oldest, and nobody who reads keeps it from that: a reader
 * is a serial number, and one that has fallen behind the oldest event is told how many it has missed.
 */

export class EventRing<E> {
  readonly #events: Array<E | undefined>
  #newest = 0

  /** `capacity`: how many events are kept, from 1 on. */
  constructor(capacity: number) {
    this.#events = Array.from({ length: capacity }, () => undefined)
  }

  /** The serial number of the newest event; 0 before the first. */
  get newest(): number {
    return this.#newest
  }

  /** That of the oldest that is kept; one more than {@link newest} before the first. */
  get oldest(): number {
    return Math.max(1, this.#newest - this.#events.length + 1)
  }

  /** Keeps the event that `make` makes for its serial number. */
  add(make: (serial: number) => E): E {
    const event = make(this.#newest + 1)
    this.#newest++
    this.#events[this.#newest % this.#events.length] = event
    return event
  }

  /** The event with this serial number, if it is kept. */
  get(serial: number): E | undefined {
    return serial < this.oldest || serial > this.#newest ? undefined : this.#events[serial % this.#events.length]
  }
}
