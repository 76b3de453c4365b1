import { assert, describe, it } from "@effect/vitest"
import * as SessionState from "../../../src/domain/state/SessionState.ts"
import * as StateMachines from "../../support/stateMachine.ts"

describe("the states of a session", () => {
  StateMachines.promises(
    SessionState.machine,
    SessionState.sessionStates,
    [
      "offer",
      "takeBack",
      "claim",
      "pass",
      "connected",
      "moveOn",
      "transportEnd",
      "transportClosed",
      "appClose",
      "release",
      "gone",
      "drop"
    ],
    {
      CREATED: "offer -> ACCEPTING, connected -> READY",
      ACCEPTING: "claim -> READY, takeBack -> REVOKED",
      REVOKED: "pass -> TRANSPORT_DELETED",
      READY:
        "moveOn -> MOVED, transportEnd -> TRANSPORT_CLOSING, transportClosed -> TRANSPORT_CLOSED, appClose -> CLOSING, "
        + "gone -> TRANSPORT_DELETED, drop -> TRANSPORT_DELETED",
      MOVED: "release -> TRANSPORT_DELETED, drop -> TRANSPORT_DELETED",
      TRANSPORT_CLOSING:
        "moveOn -> MOVED, transportClosed -> TRANSPORT_CLOSED, appClose -> APP_CLOSED, drop -> TRANSPORT_DELETED",
      CLOSING: "appClose -> CLOSING, transportEnd -> APP_CLOSED, transportClosed -> CLOSED, gone -> TRANSPORT_DELETED, "
        + "drop -> TRANSPORT_DELETED",
      APP_CLOSED: "appClose -> APP_CLOSED, transportClosed -> CLOSED, drop -> TRANSPORT_DELETED",
      TRANSPORT_CLOSED: "appClose -> CLOSED, release -> TRANSPORT_DELETED, drop -> TRANSPORT_DELETED",
      CLOSED: "appClose -> CLOSED, release -> TRANSPORT_DELETED, drop -> TRANSPORT_DELETED",
      TRANSPORT_DELETED: "transportEnd -> TRANSPORT_DELETED, transportClosed -> TRANSPORT_DELETED"
    }
  )

  it("a session is its worker's from the claim until it is free", () => {
    assert.deepStrictEqual(SessionState.sessionStates.filter(SessionState.isOpen), [
      "READY",
      "TRANSPORT_CLOSING",
      "CLOSING",
      "APP_CLOSED",
      "TRANSPORT_CLOSED",
      "CLOSED"
    ])
  })

  it("a session is told of while it is on offer or its worker's", () => {
    assert.deepStrictEqual(
      SessionState.sessionStates.filter(SessionState.isShown),
      [...SessionState.shownStates]
    )
    assert.deepStrictEqual(
      SessionState.shownStates.filter((state) => !SessionState.isOpen(state)),
      ["ACCEPTING"]
    )
  })
})
