/**
 * Long lists, dealt with a few at a time: to take a session away from its worker takes tens of microseconds, and with ten
 * thousand of them the loop would do nothing else for half a second.
 */
import * as Effect from "effect/Effect"

/** How many sessions or connections are dealt with in one turn of the loop. */
export const PER_TURN = 16

const nextTurn: Effect.Effect<void> = Effect.callback((resume) => {
  const next = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(next))
})

/** Deals with each of the things, {@link PER_TURN} of them in a turn. A list that changes meanwhile is followed. */
export const forEach = <A>(things: Iterable<A>, step: (thing: A) => void): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = things[Symbol.iterator]()
    let isOver = false
    const some = (): void => {
      for (let i = 0; i < PER_TURN; i++) {
        const next = left.next()
        if (next.done === true) return void (isOver = true)
        step(next.value)
      }
    }
    some()
    return Effect.whileLoop({ while: () => !isOver, body: () => nextTurn, step: some })
  })

/** What is left of the present turn, for something that many call for: {@link PER_TURN} steps, and the rest later. */
export class TurnShare {
  readonly #goOn: () => void
  #done = 0
  #isShort = false

  /** `goOn` is called in the next turn, if there was no room for a step in this one. */
  constructor(goOn: () => void) {
    this.#goOn = goOn
  }

  /** Whether there is room for one more step in this turn. */
  take(): boolean {
    if (this.#done === PER_TURN) {
      this.#isShort = true
      return false
    }
    if (this.#done++ === 0) setImmediate(this.#next)
    return true
  }

  readonly #next = (): void => {
    const wasShort = this.#isShort
    this.#done = 0
    this.#isShort = false
    if (wasShort) this.#goOn()
  }
}
