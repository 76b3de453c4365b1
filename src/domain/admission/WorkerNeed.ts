/**
 * Whether an application needs one worker more, or one less (X8).
 *
 * ```
 *   all near their limit for WINDOW ─────────────► one more, then COOLDOWN
 *   the load fits in one worker less, for `quiet` ► one less
 * ```
 *
 * **Near its limit** is a worker that is congested for most of the time, whose claims come close to the deadline of an
 * offer, whose loop is hardly ever idle, or that has all sessions it may have. As long as one worker is not, it takes
 * what comes, and another worker would take nothing.
 *
 * **What is no load** A worker that does not run, or that takes none of the messages that wait for it, is broken or stuck.
 * More workers don't help it, so it is left out.
 *
 * **Standing still** At a load that does not change, the count comes to a value and stays there. One more is added from
 * {@link BUSY} of all loops on, and one is taken away below {@link ROOM} of those that would be left: after either, the
 * other does not hold. Lateness is another matter. It may come from the machine and not from the load, and then a worker
 * that is added is taken away after the quiet time, and missed again. So each time that a worker is missed soon after one
 * was taken away, the quiet time doubles, up to {@link PATIENCE} times.
 *
 * Pure: the time is a number that is passed in, in milliseconds that only go forward.
 */
import { type NeedLimit, type NeedReason, NeedReasons } from "../state/NeedReason.ts"

/** Milliseconds for which all workers must be near their limit. */
export const WINDOW = 2_000
/** Milliseconds after a change in which no worker is added. */
export const COOLDOWN = 10_000
/** Milliseconds after a start that has failed before the next one; they double with each, up to {@link LONGEST}. */
export const RETRY = 10_000
export const LONGEST = 600_000
/** The part of the time that a loop is busy, from which on it is near its limit. */
export const BUSY = 0.85
/** The part of what one worker less could do, below which the load fits there. */
export const ROOM = 0.6
/** The part of the time that a worker is congested, from which on it is near its limit. */
export const CONGESTED = 0.5
/** The part of an offer's deadline that the median claim takes, from which on it is late. */
export const LATE = 0.8
/** The fewest claims between two looks that say something about how long they take. */
export const CLAIMS = 8
/** A loop that is busy for less than this part of the time is not why claims are late. */
export const IDLE = 0.5
/** By how much the quiet time may grow. */
export const PATIENCE = 32

/** What a worker has done since the last look. */
export interface WorkerLoad {
  /** Which part of the time its loop was busy, from 0 to 1; `undefined` where nobody knows. */
  readonly busy: number | undefined
  /** Which part of the time it was congested, or behind with an offer. */
  readonly congested: number
  /** How many offers it has claimed, and how long the median of them took, in milliseconds. */
  readonly claims: number
  readonly claimMillis: number
  /** How many sessions it has. */
  readonly sessions: number
}

/** What an application has to do, and what may change. */
export interface AppLoad {
  /** How many workers there are, whatever their state; those that are going don't count. */
  readonly workers: number
  /** Those that run and are not stuck. */
  readonly loads: ReadonlyArray<WorkerLoad>
  /** Workers are starting, or are being replaced: what is seen now tells nothing of a second from now. */
  readonly isChanging: boolean
  /** Connections wait, or were refused, because no worker took them. */
  readonly isWaiting: boolean
  /** What stands in the way of one more; asked for when one is needed. */
  readonly limit: () => NeedLimit | undefined
}

/** What is to be done: one worker more, or, since it is `quiet`, one less; and for how long the reason has held. */
export interface Change {
  readonly reason: NeedReason | "quiet"
  readonly forMillis: number
}

export interface NeedOptions {
  /** The fewest workers. */
  readonly least: number
  /** Milliseconds for which the load must fit in one worker less before one is taken away. */
  readonly quiet: number
  /** Milliseconds that an offer stands. */
  readonly revokeAfter: number
  /** The most sessions that a worker may have. */
  readonly sessions: number
}

export class WorkerNeed {
  readonly #options: NeedOptions
  /** When the last look was: what a load tells is about the time since. */
  #looked: number
  /** Since when all are near their limit, and since when the load fits in one worker less. */
  #pressed: number | undefined
  #quiet: number | undefined
  /** Before this time no worker is added. */
  #notBefore = -Infinity
  #retry = RETRY
  #patience = 1
  /** When a worker was last taken away because it was quiet. */
  #retired = -Infinity
  #limit: NeedLimit | undefined

  constructor(options: NeedOptions, now: number) {
    this.#options = options
    this.#looked = now
  }

  /** What keeps the application from a worker that it needs; `undefined` while it needs none, or may have one. */
  get limit(): NeedLimit | undefined {
    return this.#limit
  }

  /** What is to be done now. Whoever does it says so by {@link changed}, or {@link failed}. */
  look(load: AppLoad, now: number): Change | undefined {
    const since = this.#looked
    this.#looked = now
    const reason = load.isChanging ? undefined : this.#need(load)
    this.#pressed = reason === undefined ? undefined : this.#pressed ?? since
    this.#quiet = !load.isChanging && reason === undefined && this.#fits(load) ? this.#quiet ?? since : undefined
    if (reason !== undefined && now - this.#pressed! >= WINDOW) {
      this.#limit = load.limit()
      const isDue = this.#limit === undefined && now >= this.#notBefore
      return isDue ? { reason, forMillis: now - this.#pressed! } : undefined
    }
    this.#limit = undefined
    return this.#quiet !== undefined && now - this.#quiet >= this.#quietMillis
      ? { reason: "quiet", forMillis: now - this.#quiet }
      : undefined
  }

  /** A worker was added or taken away: by need, or because somebody asked for it (`asked`). */
  changed(added: boolean, now: number, asked = false): void {
    if (!asked && added) {
      this.#patience = now - this.#retired < 2 * this.#quietMillis ? Math.min(2 * this.#patience, PATIENCE) : 1
    }
    if (!asked && !added) this.#retired = now
    this.#retry = RETRY
    this.#notBefore = now + COOLDOWN
    this.#pressed = undefined
    this.#quiet = undefined
  }

  /** A worker that was to be added did not start. Returns the milliseconds before the next try. */
  failed(now: number): number {
    const wait = this.#retry
    this.#retry = Math.min(2 * wait, LONGEST)
    this.#notBefore = now + wait
    this.#pressed = undefined
    return wait
  }

  get #quietMillis(): number {
    return this.#options.quiet * this.#patience
  }

  /** Why all are near their limit: the gravest reason that one of them has. */
  #need({ loads }: AppLoad): NeedReason | undefined {
    const reasons = new Set<NeedReason>()
    for (const load of loads) {
      const reason = this.#near(load)
      if (reason === undefined) return undefined
      reasons.add(reason)
    }
    return NeedReasons.find((reason) => reasons.has(reason))
  }

  #near({ busy, claimMillis, claims, congested, sessions }: WorkerLoad): NeedReason | undefined {
    if (congested >= CONGESTED) return "congested"
    if (claims >= CLAIMS && claimMillis >= LATE * this.#options.revokeAfter && (busy ?? 1) >= IDLE) return "late"
    if ((busy ?? 0) >= BUSY) return "busy"
    return sessions >= this.#options.sessions ? "full" : undefined
  }

  /** Whether one worker less would do, with room: for the work, and for the sessions. */
  #fits({ isWaiting, loads, workers }: AppLoad): boolean {
    if (isWaiting || workers <= this.#options.least || loads.length < workers) return false
    let busy = 0
    let sessions = 0
    for (const load of loads) {
      if (this.#near(load) !== undefined) return false
      busy += load.busy ?? 0
      sessions += load.sessions
    }
    const room = ROOM * (workers - 1)
    return busy < room && sessions < room * this.#options.sessions
  }
}
