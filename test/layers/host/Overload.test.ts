/** What a host does while more comes than its workers can take (X7), to the millisecond. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { Actor, scenario } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

describe("X7 overload", () => {
  scenario(
    "X7 a worker whose offers all wait is congested by sojourn, until it answers in time: then it gets what is held",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { admission: { revokeAfter: "1 second" } })
        yield* stage.dialLate(2, "look")
        const { congested, congestedBy, delayed, takes } = yield* stage.worker()
        assert.deepStrictEqual(
          { congested, congestedBy, takes, times: delayed.times },
          { congested: true, congestedBy: "sojourn", takes: "congested", times: 1 }
        )
        const third = yield* stage.dial()
        yield* settled
        assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        // the question that it is asked has waited for longer than the target: it is asked another one
        yield* TestClock.adjust(6)
        stage.script().look()
        yield* settled
        assert.strictEqual((yield* stage.worker()).congestedBy, "sojourn")
        yield* TestClock.adjust(5)
        stage.script().release()
        yield* until("the third to be open", () => third.opened)
        assert.strictEqual((yield* stage.worker()).congestedBy, null)
        assert.strictEqual((yield* stage.worker()).delayed.millis, 11)
      })
  )

  scenario("X7 with a target of 0 no worker is congested by sojourn", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { admission: { revokeAfter: "1 second", sojournTarget: 0 } })
      yield* stage.dialLate(3)
      assert.strictEqual((yield* stage.worker()).delayed.times, 0)
    }))
})
