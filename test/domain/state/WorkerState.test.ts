import { assert, describe, it } from "@effect/vitest"
import * as WorkerState from "../../../src/domain/state/WorkerState.ts"
import * as StateMachines from "../../support/stateMachine.ts"

describe("the states of a worker", () => {
  StateMachines.promises(
    WorkerState.machine,
    WorkerState.workerStates,
    ["ready", "drain", "crash", "hang", "backOff", "start", "stop"],
    {
      STARTING: "ready -> RUNNING, drain -> DRAINING, crash -> CRASHED, hang -> UNRESPONSIVE",
      RUNNING: "drain -> DRAINING, crash -> CRASHED, hang -> UNRESPONSIVE",
      DRAINING: "ready -> DRAINING, drain -> DRAINING, start -> STARTING, stop -> STOPPED, crash -> CRASHED, "
        + "hang -> UNRESPONSIVE",
      CRASHED: "ready -> CRASHED, drain -> CRASHED, crash -> CRASHED, hang -> CRASHED, backOff -> BACKOFF, "
        + "start -> STARTING, stop -> STOPPED",
      UNRESPONSIVE: "ready -> UNRESPONSIVE, drain -> UNRESPONSIVE, crash -> UNRESPONSIVE, hang -> UNRESPONSIVE, "
        + "backOff -> BACKOFF, start -> STARTING, stop -> STOPPED",
      BACKOFF: "start -> STARTING, stop -> STOPPED",
      STOPPED: ""
    }
  )

  it("a worker takes sessions only while it runs", () => {
    assert.deepStrictEqual(WorkerState.workerStates.filter(WorkerState.takesSessions), ["RUNNING"])
  })

  it("a worker that is about to start again keeps its place", () => {
    assert.deepStrictEqual(WorkerState.workerStates.filter(WorkerState.comesBack), [
      "STARTING",
      "CRASHED",
      "BACKOFF",
      "UNRESPONSIVE"
    ])
  })
})
