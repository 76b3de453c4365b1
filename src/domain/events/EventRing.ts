/** The latest events of one part, in their order: a new one takes the place of the oldest. Serial numbers only go up. */

/** What is kept in a ring. */
interface Numbered {
  readonly serial: number
}

export class EventRing<E extends Numbered> {
  readonly #events: Array<E | undefined>
  #added = 0

  /** `capacity`: how many events are kept, from 1 on. */
  constructor(capacity: number) {
    this.#events = Array.from({ length: capacity }, () => undefined)
  }

  /** Its serial number is above those of all before. */
  add(event: E): void {
    this.#events[this.#added++ % this.#events.length] = event
  }

  /** The first event that is kept with a serial number above this one. */
  after(serial: number): E | undefined {
    return this.#at(this.#placeAfter(serial))
  }

  /** The last event that is kept with a serial number below this one. */
  before(serial: number): E | undefined {
    return this.#at(this.#placeAfter(serial - 1) - 1)
  }

  #at(place: number): E | undefined {
    return place < this.#oldest || place >= this.#added ? undefined : this.#events[place % this.#events.length]
  }

  get #oldest(): number {
    return Math.max(0, this.#added - this.#events.length)
  }

  /** Where the first event above this serial number is, by halving. */
  #placeAfter(serial: number): number {
    let [low, high] = [this.#oldest, this.#added]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#at(middle)!.serial > serial) high = middle
      else low = middle + 1
    }
    return low
  }
}
