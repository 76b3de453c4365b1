import { assert, describe, it } from "@effect/vitest"
import * as Readiness from "../../../src/domain/report/Readiness.ts"
import { type WorkerState, workerStates } from "../../../src/domain/state/WorkerState.ts"

const app = (name: string, ...workers: ReadonlyArray<WorkerState>): Readiness.ReadinessApp => ({
  name,
  workers,
  crashing: 0
})

describe("readiness", () => {
  it("is one worker that runs, of each application", () => {
    for (const state of workerStates) {
      assert.strictEqual(Readiness.of([app("shop", state)]).ready, state === "RUNNING", state)
      assert.isTrue(Readiness.of([app("shop", state, "RUNNING")]).ready)
    }
    assert.isFalse(Readiness.of([app("shop", "RUNNING"), app("blog", "BACKOFF")]).ready)
  })

  it("has its reason, of those that are not ready where there are any", () => {
    const reasonOf = (...apps: ReadonlyArray<Readiness.ReadinessApp>): string => Readiness.of(apps).reason
    assert.strictEqual(reasonOf(), "no application is attached")
    assert.strictEqual(reasonOf(app("shop", "RUNNING")), "shop: 1 of 1 worker takes sessions")
    assert.strictEqual(
      reasonOf(app("shop", "RUNNING", "CRASHED"), app("blog", "RUNNING")),
      "shop: 1 of 2 workers take sessions; blog: 1 of 1 worker takes sessions"
    )
    assert.strictEqual(
      reasonOf(app("shop", "RUNNING"), app("blog", "STARTING", "BACKOFF", "STARTING")),
      "blog: no worker takes sessions (2 STARTING, 1 BACKOFF)"
    )
    assert.strictEqual(reasonOf(app("blog")), "blog: no worker takes sessions")
  })
})
