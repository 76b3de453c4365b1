import { assert, describe, it } from "@effect/vitest"
import { StateMachine } from "../../../src/domain/state/StateMachine.ts"

const door = new StateMachine<"OPEN" | "SHUT" | "GONE", "push" | "burn">("door", "SHUT", {
  SHUT: { push: "OPEN", burn: "GONE" },
  OPEN: { push: "SHUT" },
  GONE: {}
})

describe("a state machine", () => {
  it("goes where its table says", () => {
    assert.strictEqual(door.next("SHUT", "push"), "OPEN")
    assert.strictEqual(door.next("OPEN", "push"), "SHUT")
    assert.strictEqual(door.next("SHUT", "burn"), "GONE")
  })

  it("does not go where its table says nothing, and says so", () => {
    assert.throws(() => door.next("OPEN", "burn"), "\"burn\" can't happen to a door that is OPEN")
    assert.throws(() => door.next("GONE", "push"), "\"push\" can't happen to a door that is GONE")
  })

  it("gives its moves in the order of its table", () => {
    assert.deepStrictEqual(door.moves, [
      { from: "SHUT", event: "push", to: "OPEN" },
      { from: "SHUT", event: "burn", to: "GONE" },
      { from: "OPEN", event: "push", to: "SHUT" }
    ])
  })

  it("is drawn with its beginning and its ends", () => {
    assert.strictEqual(
      door.diagram(),
      `stateDiagram-v2
    [*] --> SHUT
    SHUT --> OPEN: push
    SHUT --> GONE: burn
    OPEN --> SHUT: push
    GONE --> [*]`
    )
  })
})
