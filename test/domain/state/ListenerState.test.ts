import { describe } from "@effect/vitest"
import * as ListenerState from "../../../src/domain/state/ListenerState.ts"
import * as StateMachines from "../../support/stateMachine.ts"

describe("the states of a listener", () => {
  StateMachines.promises(ListenerState.machine, ListenerState.listenerStates, ["bind", "close", "closed"], {
    BINDING: "bind -> BOUND, close -> CLOSING",
    BOUND: "close -> CLOSING",
    CLOSING: "closed -> CLOSED",
    CLOSED: ""
  })
})
