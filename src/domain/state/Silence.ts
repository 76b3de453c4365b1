/**
 * For how long a worker has been silent: messages wait for it, and it takes none. It is never asked; what is seen from
 * outside says it all.
 *
 * Silence is not the time since something was last seen of the worker, but a sum of the time that counts against it:
 *
 * | what does not count | why |
 * |---|---|
 * | before a message was seen to wait where it stands now | a worker that had nothing to take owes nothing |
 * | time in which its loop slept, or its thread was ready to run and got no processor | a thread that is not run is not stuck |
 * | what is more than two intervals between two looks, down to one | the host was away itself, and saw nothing |
 *
 * Pure: times are numbers that are passed in, in milliseconds that only go forward.
 */

import type { WorkerState } from "./WorkerState.ts"

/** Milliseconds between two looks at a worker that has a thread of its own. */
export const INTERVAL = 100

/** Milliseconds of silence after which a worker counts as one that does not respond. */
export const FLAG = 500

/** The same for one that has not started yet: its code is being loaded, which may keep its thread busy for a while. */
export const START_FLAG = 5000

/** After how many milliseconds of silence a worker in this state counts as one that does not respond. */
export const flagOf = (state: WorkerState): number => state === "STARTING" ? START_FLAG : FLAG

/** What is known of a thread. */
export interface Thread {
  /** For how many milliseconds in total it had nothing to do, or no processor to do it on. */
  readonly away: number
}

/** What a look sees of the queue: whether messages wait, and after which of them the worker takes the next one. */
export interface QueueHead {
  readonly waits: boolean
  readonly position: number
}

export class Silence {
  /** Milliseconds between two looks. */
  readonly interval: number
  #lookedAt: number
  #position: number | undefined
  #away = 0
  /** When messages were first seen to wait where they stand now. */
  #since: number
  /** The milliseconds that count. */
  millis = 0

  constructor(interval: number, now: number) {
    this.interval = interval
    this.#lookedAt = this.#since = now
  }

  /** Returns for how many milliseconds the worker has been silent. */
  look(now: number, { position, waits }: QueueHead, thread?: Thread): number {
    const elapsed = now - this.#lookedAt
    this.#lookedAt = now
    if (!waits) this.#position = undefined
    if (!waits || position !== this.#position) {
      this.millis = 0
      this.#since = now
      if (!waits) return 0
      this.#position = position
      this.#away = thread?.away ?? 0
      return 0
    }
    const away = thread?.away ?? 0
    const counted = elapsed > 2 * this.interval ? this.interval : elapsed
    this.millis += Math.max(0, counted - (away - this.#away))
    this.#away = away
    return this.millis
  }

  /** Milliseconds since messages were first seen to wait where they stand now; 0 when none wait, or others do. */
  waited(now: number, { position, waits }: QueueHead): number {
    return waits && position === this.#position ? now - this.#since : 0
  }
}
