import { assert, describe, it } from "@effect/vitest"
import { CrashLoop } from "../../../src/domain/state/CrashLoop.ts"

describe("a crash loop", () => {
  it("X6 is three deaths within the time, told when it begins and with twice as many", () => {
    const loop = new CrashLoop(60_000)
    const told = Array.from({ length: 12 }, (_, i) => loop.died(1000 * i)?.deaths)
    assert.deepStrictEqual(told.flatMap((deaths, i) => deaths === undefined ? [] : [[i + 1, deaths]]), [
      [3, 3],
      [6, 6],
      [12, 12]
    ])
    assert.deepStrictEqual(loop.at(11_000), { deaths: 12, withinMillis: 11_000 })
  })

  it("X6 is over when its deaths are long ago, and the next one is told again", () => {
    const loop = new CrashLoop(60_000)
    for (const now of [0, 1000, 2000]) loop.died(now)
    assert.isDefined(loop.at(59_000))
    assert.isUndefined(loop.at(60_000))
    assert.deepStrictEqual([100_000, 101_000, 102_000].map((now) => loop.died(now)?.deaths), [undefined, undefined, 3])
  })

  it("X6 is none where deaths are far apart", () => {
    const loop = new CrashLoop(60_000)
    for (let now = 0; now < 10_000_000; now += 30_000) assert.isUndefined(loop.died(now))
  })

  it("X6 remembers no more than it needs", () => {
    const loop = new CrashLoop(60_000)
    for (let i = 0; i < 10_000; i++) loop.died(i)
    assert.strictEqual(loop.at(10_000)!.deaths, 100)
  })
})
