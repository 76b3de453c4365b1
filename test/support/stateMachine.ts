/** What holds for every state machine that is a table. */
import { assert, it } from "@effect/vitest"
import type { StateMachine } from "../../src/domain/state/StateMachine.ts"

/** Promises that the table is whole, and that it is the one that was meant: `moves` is written out once more, in words. */
export const promises = <State extends string, Event extends string>(
  machine: StateMachine<State, Event>,
  states: ReadonlyArray<State>,
  events: ReadonlyArray<Event>,
  moves: Readonly<Record<State, string>>
): void => {
  it("every state can be reached", () => {
    const reached = new Set<State>([machine.initial])
    for (const state of reached) {
      for (const { from, to } of machine.moves) if (from === state) reached.add(to)
    }
    assert.deepStrictEqual([...reached].sort(), [...states].sort())
  })

  it("every state leads to an end", () => {
    const leading = new Set(
      states.filter((state) => machine.moves.every(({ from, to }) => from !== state || to === state))
    )
    assert.strictEqual(leading.size, 1)
    for (let before = -1; before !== leading.size;) {
      before = leading.size
      for (const { from, to } of machine.moves) if (leading.has(to)) leading.add(from)
    }
    assert.deepStrictEqual([...leading].sort(), [...states].sort())
  })

  for (const state of states) {
    it(`${state}: ${moves[state] === "" ? "nothing follows" : moves[state]}; anything else is a defect`, () => {
      const legal = new Map(
        moves[state].split(", ").filter((move) => move !== "").map((move) => {
          const [event, to] = move.split(" -> ")
          return [event, to] as const
        })
      )
      for (const event of events) {
        const to = legal.get(event)
        if (to === undefined) {
          assert.throws(
            () => machine.next(state, event),
            `"${event}" can't happen to a ${machine.name} that is ${state}`
          )
        } else assert.strictEqual(machine.next(state, event), to)
      }
      for (const event of legal.keys()) assert.include(events as ReadonlyArray<string>, event)
    })
  }
}
