/**
 * The application model against a plain one: applications, workers, listeners, connects, sessions and their bytes in
 * random order, with workers that block, crash and restart, sessions that are parked and move on, and rules that come and
 * go. At every step the ledger must balance, and what the host tells of itself must be what the model says. In the end,
 * its events must add up to the ledger.
 *
 * New code, and what peers see of all this, is in `MovesModel.test.ts`. A run of 100,000 steps, to be done after changes
 * to how sessions move, takes some minutes:
 *
 * ```
 * SLUICE_TEST_SEED=1 SLUICE_TEST_STEPS=25000 npx vitest run test/layers/host/Model.test.ts
 * ```
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as EventSums from "../../support/EventSums.ts"
import * as Driver from "../../support/HostDriver.ts"
import * as Worlds from "../../support/HostWorlds.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"

/** Steps of a run, of which there are four with different seeds; `SLUICE_TEST_STEPS` says otherwise. */
const STEPS = Number(process.env["SLUICE_TEST_STEPS"] ?? Long.steps({ short: 600, long: 2500 }))
/** The first of the seeds. */
const SEED = Number(process.env["SLUICE_TEST_SEED"] ?? 1)
/** Milliseconds that a run may take: a step takes one on a machine that is not busy. */
const TIMEOUT = 120_000 + 30 * STEPS

/** The kinds of steps that there are, and those that were done. */
const kinds = { all: new Set<string>(), done: new Set<string>() }

const run = (seed: number, steps: number) =>
  Worlds.scoped(Effect.gen(function*() {
    const world = yield* Worlds.memory
    const events = yield* EventSums.follow(world.host)
    const driver = new Driver.Driver(world, Random.make(seed), seed)
    const weights = Driver.usual(driver)
    yield* driver.run(steps, () => weights)
    // the last counts are told
    yield* world.pass(1000)
    yield* world.settled
    yield* events.addUp
    for (const kind of Object.keys({ ...weights.light, ...weights.heavy })) kinds.all.add(kind)
    for (const kind of Object.keys(driver.tally.steps)) kinds.done.add(kind)
    return driver.digest()
  })).pipe(Effect.provide(TestClock.layer()))

describe("the application model", () => {
  for (const seed of [SEED, SEED + 1, SEED + 2, SEED + 3]) {
    it.effect(
      `M14 W1 W10 W11 W12 W16 X1 X3 the host does what the model says, ${STEPS} steps (seed ${seed})`,
      () => run(seed, STEPS),
      TIMEOUT
    )
  }

  it("all kinds of steps were done", () =>
    assert.deepStrictEqual([...kinds.all].filter((kind) => !kinds.done.has(kind)), []))

  it.effect("M14 the same seed does the same, to the last event", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run(5, 300), yield* run(5, 300))
    }), 120_000)
})
