/**
 * The application model against a plain one: applications, workers, listeners, connects, sessions and their bytes in
 * random order, with workers that block, crash and restart, and rules that come and go. At every step the ledger must
 * balance, and what the host tells of itself must be what the model says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Driver from "../../support/HostDriver.ts"
import * as Worlds from "../../support/HostWorlds.ts"
import * as Random from "../../support/random.ts"

/** Steps of a run, of which there are four with different seeds; `SLUICE_TEST_STEPS` says otherwise. */
const STEPS = Number(process.env["SLUICE_TEST_STEPS"] ?? 600)

const run = (seed: number, steps: number) =>
  Worlds.scoped(Effect.gen(function*() {
    const world = yield* Worlds.memory
    const driver = new Driver.Driver(world, Random.make(seed), seed)
    const weights = Driver.usual(driver)
    yield* driver.run(steps, () => weights)
    const kinds = Object.keys({ ...weights.light, ...weights.heavy })
    return { digest: driver.digest(), left: kinds.filter((kind) => driver.tally.steps[kind] === undefined) }
  })).pipe(Effect.provide(TestClock.layer()))

describe("the application model", () => {
  for (const seed of [1, 2, 3, 4]) {
    it.effect(
      `M14 W1 W10 W11 W12 W16 the host does what the model says, ${STEPS} steps (seed ${seed})`,
      () =>
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* run(seed, STEPS)).left, [], "kinds of steps that were not done")
        }),
      120_000
    )
  }

  it.effect("M14 the same seed does the same, to the last event", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* run(5, 300)).digest, (yield* run(5, 300)).digest)
    }), 120_000)
})
