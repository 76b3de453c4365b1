import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Driver from "../support/HostDriver.ts"
import * as Worlds from "../support/HostWorlds.ts"
import * as Random from "../support/random.ts"

const STEPS = Number(process.env.STEPS ?? 500)
const SEEDS = (process.env.SEEDS ?? "1").split(",").map(Number)

for (const seed of SEEDS) {
  it.effect(`seed ${seed}`, () =>
    Effect.gen(function*() {
      const world = yield* Worlds.memory
      const driver = new Driver.Driver(world, Random.make(seed), seed)
      yield* driver.run(STEPS, Driver.usual)
      console.log(driver.tally, driver.digest())
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer())), 600_000)
}
