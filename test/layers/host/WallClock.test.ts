/** Deadlines while the wall clock is set back: they are kept by monotonic time. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Actor, scenario, WallClock } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

const HOUR = 3_600_000
const remote = "tcp://10.0.0.1:80"

/** Time passes. */
const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settled)

const wall = () => new WallClock()

{
  const clock = wall()
  scenario(
    "M15 offers are revoked on time while the wall clock is set back an hour",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 3 })
        for (const worker of [0, 1]) stage.script(worker).block()
        const first = yield* stage.dial()
        yield* pass(2)
        const second = yield* stage.dial()
        clock.setBack = HOUR
        yield* pass(2)
        assert.isFalse(first.opened)
        yield* pass(1)
        assert.isTrue(first.opened)
        yield* pass(1)
        assert.isFalse(second.opened)
        yield* pass(1)
        assert.isTrue(second.opened)
        assert.deepStrictEqual(actor.counts(3), [0, 0, 2])
        yield* pass(100)
        assert.strictEqual((yield* stage.worker(0)).behind.millis, 102)
      }),
    { wall: clock }
  )
}

{
  const clock = wall()
  scenario(
    "M6 held connections are refused on time while the wall clock is set back an hour",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { admission: { holdTime: 300 } })
        stage.script().block()
        // the worker lets it run out, and is offered nothing more
        const ignored = yield* stage.dial()
        yield* pass(5)
        const first = yield* stage.dial()
        yield* pass(100)
        const second = yield* stage.dial()
        clock.setBack = HOUR
        yield* pass(199)
        assert.isTrue(!first.refused && !ignored.closed)
        yield* pass(1)
        assert.isTrue(first.refused && ignored.refused)
        yield* pass(99)
        assert.isFalse(second.refused)
        yield* pass(1)
        assert.isTrue(second.refused)
      }),
    { wall: clock }
  )
}

{
  const clock = wall()
  scenario(
    "W14 connects fail on time while the wall clock is set back an hour",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], admission: { connectTimeout: 3000 } })
        stage.network.listen(remote, () => {}).hold()
        const connect = Effect.forkChild(Effect.flip(actor.run().sessions.connect(remote)), { startImmediately: true })
        const first = yield* connect
        yield* pass(1000)
        const second = yield* connect
        yield* settled
        clock.setBack = HOUR
        yield* pass(1999)
        assert.isUndefined(first.pollUnsafe())
        yield* pass(1)
        assert.strictEqual((yield* Fiber.join(first)).reason._tag, "TimedOut")
        yield* pass(999)
        assert.isUndefined(second.pollUnsafe())
        yield* pass(1)
        assert.strictEqual((yield* Fiber.join(second)).reason._tag, "TimedOut")
      }),
    { wall: clock }
  )
}
