/**
 * When a connection has stood still for too long, in either of two ways that its listener may bound.
 *
 * | option | the connection is over when |
 * |---|---|
 * | `idleTimeout` | for that long no byte has come from the peer, and the peer has taken none |
 * | `stallTimeout` | bytes have waited for the peer, and the peer is that far behind taking 1 KiB of them a second |
 *
 * **Behind** While bytes wait, the peer falls behind by the time that passes, and catches up by a second for each KiB
 * that it takes. It is not behind when all that waited at one look has gone by the next. So a peer that takes nothing is
 * found after `stallTimeout`, one that takes a byte now and then hardly later, and nothing that a peer sends makes a
 * difference. A slow line goes on: the system takes bytes in lumps, of up to some hundred KiB, and a lump is worth as
 * many seconds as it has KiB.
 *
 * What the application does not read is its own affair, and is bounded by neither.
 *
 * Time comes in with each look, so a clock that is set, or a loop that was blocked, ends nothing.
 */
import type * as Ledger from "../state/Ledger.ts"

/** Bytes that a peer for which bytes wait has to take in a second. A modem of 1990 was faster. */
const LEAST_RATE = 1024

/** Looks in the shorter of the two times: a connection is over after its time, and a quarter of it at most. */
const LOOKS = 4

export type StandstillReason = Extract<Ledger.EndReason, "idle" | "stalled">

/** In milliseconds; 0 or absent, no such time. */
export interface StandstillTimes {
  readonly idleTimeout?: number | undefined
  readonly stallTimeout?: number | undefined
}

/** Bytes that have come from the peer, that have gone to it, and that wait to go. */
export interface Traffic {
  readonly read: number
  readonly gone: number
  readonly waiting: number
}

/** Milliseconds between two looks; `undefined` where nothing is bounded. */
export const lookInterval = ({ idleTimeout = 0, stallTimeout = 0 }: StandstillTimes): number | undefined =>
  idleTimeout === 0 && stallTimeout === 0
    ? undefined
    : Math.ceil(Math.min(idleTimeout || Infinity, stallTimeout || Infinity) / LOOKS)

const isOver = (millis: number, timeout = 0): boolean => timeout > 0 && millis >= timeout

/** One connection, from its first look on. */
export class Standstill {
  readonly #times: StandstillTimes
  #last: Traffic
  #idle = 0
  #behind = 0

  constructor(times: StandstillTimes, first: Traffic) {
    this.#times = times
    this.#last = first
  }

  /** What has happened in the last `millis` milliseconds: why the connection is over, if it is. */
  look(millis: number, now: Traffic): StandstillReason | undefined {
    const { gone, read, waiting } = this.#last
    this.#last = now
    const went = now.gone - gone
    this.#idle = went === 0 && now.read === read ? this.#idle + millis : 0
    this.#behind = went >= waiting ? 0 : Math.max(0, this.#behind + millis - went / LEAST_RATE * 1000)
    if (isOver(this.#behind, this.#times.stallTimeout)) return "stalled"
    return isOver(this.#idle, this.#times.idleTimeout) ? "idle" : undefined
  }
}
