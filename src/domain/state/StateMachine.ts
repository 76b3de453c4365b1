/**
 * State machines as tables: which state follows a state on an event. A table is all there is to a machine: it decides,
 * tests walk through it, and its picture is drawn from it.
 */
import * as Struct from "effect/Struct"

/** What follows each state, by event. An event that a state does not list can't happen in it. */
export type Table<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>

/** One entry of a table. */
export interface Move<State extends string, Event extends string> {
  readonly from: State
  readonly event: Event
  readonly to: State
}

export class StateMachine<State extends string, Event extends string> {
  /** What the states are those of, for messages: `session`. */
  readonly name: string
  readonly initial: State
  readonly #table: Table<State, Event>

  constructor(name: string, initial: State, table: Table<State, Event>) {
    this.name = name
    this.initial = initial
    this.#table = table
  }

  /** The state that follows. An event that can't happen in the state is a defect. */
  next(state: State, event: Event): State {
    const next = this.#table[state][event]
    if (next === undefined) throw new Error(`"${event}" can't happen to a ${this.name} that is ${state}`)
    return next
  }

  /** Whether the event can happen in the state: for events that others bring about. */
  allows(state: State, event: Event): boolean {
    return this.#table[state][event] !== undefined
  }

  /** The entries of the table, in its order. */
  get moves(): ReadonlyArray<Move<State, Event>> {
    return Struct.keys(this.#table).flatMap((from) => {
      const events: Partial<Record<Event, State>> = this.#table[from]
      return Struct.keys(events).map((event) => ({ from, event, to: this.next(from, event) }))
    })
  }

  /** The picture of the table, as a Mermaid `stateDiagram-v2`. */
  diagram(): string {
    const { moves } = this
    const begins = new Set(moves.map(({ from }) => from))
    const ends = new Set(moves.map(({ to }) => to).filter((state) => !begins.has(state)))
    return [
      "stateDiagram-v2",
      `    [*] --> ${this.initial}`,
      ...moves.map(({ event, from, to }) => `    ${from} --> ${to}: ${event}`),
      ...[...ends].map((state) => `    ${state} --> [*]`)
    ].join("\n")
  }
}
