/**
 * The sessions of a listener that their workers have parked (X1), as far as there are bytes for them.
 *
 * ```
 * bytes ── waits ──┬── the worker takes the session up: nothing is left to do here
 *                  └── `revokeAfter` is over ──┬── another worker takes it: it moves on
 *                                              ├── much of the last answer is unsent, or all workers are busy: once more
 *                                              │   after `revokeAfter`
 *                                              └── nobody takes it: it stays, and goes when somebody does
 * ```
 *
 * That a worker has taken a session up shows in the session's word, which is looked at when its time is over: the
 * worker sends no message for it, and what waits here may wait for nothing.
 *
 * The first half of this module is a hot path: with each request of a kept-alive connection a session waits.
 */
import { Deadlines, Timed } from "../../domain/admission/Deadlines.ts"
import { TurnShare } from "../system/PerTurn.ts"
import type { SharedSession } from "./SharedSession.ts"

/** A session's turn. Turns are used again: there is one for each request. */
export class ParkedTurn extends Timed<ParkedTurn> {
  session: SharedSession | undefined
  /** How far the worker had read when the turn began. */
  read = 0
}

/**
 * What became of a try to move a session on. `busy`: all workers are, and its own keeps up. `later`: it has time, and the
 * worker that would take it has others to take.
 */
export type Moved = "moved" | "taken-up" | "nobody" | "unsent" | "busy" | "later"

export class ParkedSessions {
  readonly #turns = new Deadlines<ParkedTurn>()
  readonly #spare: Array<ParkedTurn> = []
  /** Sessions that are to go as soon as another worker takes them, in that order. */
  readonly #going = new Set<SharedSession>()
  /** Those of them for which nothing has come. They let the others go first. */
  readonly #idle = new Set<SharedSession>()
  readonly #share = new TurnShare(() => this.admit())
  readonly #revokeAfter: number
  readonly #wakeAt: (at: number) => void
  readonly #move: (session: SharedSession) => Moved

  /**
   * `revokeAfter` in milliseconds. `wakeAt`: {@link handle} is to be called at that time, or before. `move` takes a
   * session away from its worker, if another one takes it.
   */
  constructor(
    revokeAfter: number,
    wakeAt: (at: number) => void,
    move: (session: SharedSession) => Moved
  ) {
    this.#revokeAfter = revokeAfter
    this.#wakeAt = wakeAt
    this.#move = move
  }

  /**
   * There is something for the session, which its worker has not been told of before; its time begins to run. If the
   * worker has read nothing since the last turn began, that one stands: more bytes give the first ones no more time.
   */
  waits(session: SharedSession): void {
    let { turn } = session
    const { read } = session
    if (turn === undefined) {
      turn = session.turn = this.#spare.pop() ?? new ParkedTurn()
      turn.session = session
    } else if (turn.read === read) return
    else this.#turns.remove(turn)
    turn.read = read
    this.#turns.add(turn, session.worker.turnTime + this.#revokeAfter)
    this.#wakeAt(this.#turns.next)
  }

  /** When a session's time is over; `Infinity` when none waits. */
  get next(): number {
    return this.#turns.next
  }

  /** Deals with the sessions whose time is over. */
  handle(now: number): void {
    for (let turn; (turn = this.#turns.take(now)) !== undefined;) {
      const session = turn.session!
      const { read } = turn
      this.#end(session, turn)
      this.#idle.delete(session)
      if (!session.isWaiting) continue
      if (read === session.read) this.#go(session)
      // its worker has read what the turn was for, and has heard of an end; bytes that have come since have their time
      else if (!session.hasEndOnly) this.waits(session)
    }
  }

  /** The session's worker drains: it is to move on as soon as another worker takes it, whether bytes wait or not. */
  moveOn(session: SharedSession): void {
    this.forget(session)
    this.#go(session)
  }

  /** It goes in this turn of the loop, or in one of the next. */
  #go(session: SharedSession): void {
    if (this.#share.take()) this.#try(session)
    else this.#going.add(session)
  }

  #try(session: SharedSession): void {
    const moved = this.#move(session)
    if (moved === "nobody") this.#going.add(session)
    else if (moved === "later") this.#idle.add(session)
    else if (moved === "unsent" || moved === "busy") this.waits(session)
  }

  /** A worker may take sessions again: some of them go in this turn of the loop, the others in the next ones. */
  admit(): void {
    if (this.#admit(this.#going)) this.#admit(this.#idle)
  }

  /** The sessions in their order, until there is none; `false` when one can't go now. */
  #admit(sessions: Set<SharedSession>): boolean {
    for (const session of sessions) {
      if (!this.#share.take()) return false
      sessions.delete(session)
      if (session.isWaiting) this.#try(session)
      // nobody took this one, and so nobody takes the others
      if (this.#going.has(session) || this.#idle.has(session)) return false
    }
    return true
  }

  /** A worker has claimed a session: those that have time may go on. Returns whether some still wait. */
  claimed(): boolean {
    if (this.#idle.size > 0) this.admit()
    return this.#idle.size > 0
  }

  /** The session is over, or has moved on. */
  forget(session: SharedSession): void {
    const { turn } = session
    this.#going.delete(session)
    this.#idle.delete(session)
    if (turn === undefined) return
    this.#turns.remove(turn)
    this.#end(session, turn)
  }

  #end(session: SharedSession, turn: ParkedTurn): void {
    session.turn = undefined
    turn.session = undefined
    this.#spare.push(turn)
  }
}
