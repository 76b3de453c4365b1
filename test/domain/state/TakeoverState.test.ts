import { assert, describe, it } from "@effect/vitest"
import * as TakeoverState from "../../../src/domain/state/TakeoverState.ts"
import * as StateMachines from "../../support/stateMachine.ts"

describe("the states of a takeover (X4)", () => {
  describe("as the host sees it that goes", () => {
    StateMachines.promises(
      TakeoverState.predecessor,
      TakeoverState.predecessorStates,
      ["ready", "serving", "settled", "drained", "lost", "gone"],
      {
        STARTING: "ready -> HANDING, lost -> ABANDONED",
        HANDING: "serving -> SETTLING, lost -> ABANDONED",
        SETTLING: "settled -> DRAINING, lost -> ABANDONED",
        DRAINING: "drained -> ENDED, lost -> ALONE",
        ALONE: "drained -> ENDED",
        ABANDONED: "gone -> ENDED",
        ENDED: ""
      }
    )

    it("the other one is the host from its word on, and not before", () => {
      assert.deepStrictEqual(TakeoverState.predecessorStates.filter(TakeoverState.hasSettled), ["DRAINING", "ALONE"])
    })
  })

  describe("as the host sees it that comes", () => {
    StateMachines.promises(
      TakeoverState.successor,
      TakeoverState.successorStates,
      ["up", "serve", "settle", "lost"],
      {
        STARTING: "up -> READY, lost -> ORPHANED",
        ORPHANED: "up -> ALONE",
        READY: "serve -> SERVING, lost -> ALONE",
        SERVING: "settle -> SETTLED, lost -> ALONE",
        SETTLED: "lost -> ALONE",
        ALONE: ""
      }
    )
  })
})
