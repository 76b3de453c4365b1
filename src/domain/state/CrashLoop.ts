/**
 * Whether a worker dies again and again: so often within a time that its next start is not likely to do better.
 *
 * Pure: times are numbers that are passed in, in milliseconds that only go forward.
 */

/** So many deaths within the time make a loop. */
export const DEATHS = 3

/** The most deaths that are remembered. */
const MOST = 100

/** How often it has died, and within which time. */
export interface DeathCount {
  readonly deaths: number
  readonly withinMillis: number
}

export class CrashLoop {
  readonly #within: number
  #deaths: Array<number> = []
  /** With how many deaths it is told next. */
  #next = DEATHS

  /** `within`: milliseconds in which {@link DEATHS} deaths are a loop. */
  constructor(within: number) {
    this.#within = within
  }

  /** It has died. Returns what is to be told: a loop when it begins, and whenever there are twice as many deaths in it. */
  died(now: number): DeathCount | undefined {
    const was = this.at(now) !== undefined
    this.#deaths.push(now)
    if (this.#deaths.length > MOST) this.#deaths.shift()
    if (!was) this.#next = DEATHS
    const loop = this.at(now)
    if (loop === undefined || loop.deaths < this.#next) return undefined
    this.#next = 2 * loop.deaths
    return loop
  }

  /** The loop that it is in; `undefined` when it is in none. */
  at(now: number): DeathCount | undefined {
    this.#deaths = this.#deaths.filter((at) => at > now - this.#within)
    const deaths = this.#deaths.length
    return deaths < DEATHS ? undefined : { deaths, withinMillis: now - this.#deaths[0]! }
  }
}
