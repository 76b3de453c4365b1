import { assert, describe, it } from "@effect/vitest"
import * as Wear from "../../../src/domain/state/Wear.ts"

describe("the wear of a worker", () => {
  it("X6 of its heap counts what is left after collections, and not its peaks", () => {
    const heap = new Wear.HeapUse()
    const told: Array<number | undefined> = []
    // a saw: from 50 up to 140, and down again every 2 s
    for (let now = 0; now < 20_000; now += 500) told.push(heap.look(now, 50 + 30 * (now / 500 % 4)))
    assert.deepStrictEqual(told.slice(0, 10), Array(10).fill(undefined))
    assert.deepStrictEqual(new Set(told.slice(10)), new Set([50]))
  })

  it("X6 of its heap is seen within the window when it stays large", () => {
    const heap = new Wear.HeapUse()
    for (let now = 0; now <= 10_000; now += 500) heap.look(now, 10)
    let now = 10_000
    while (heap.look(now += 500, 90) !== 90);
    assert.isAtMost(now, 10_000 + Wear.WINDOW + 500)
  })

  it("X6 where a fresh start needs as much, it is replaced more and more rarely, and no more than once an hour", () => {
    const patience = new Wear.HeapPatience()
    const times: Array<number> = []
    for (let now = 0; now < 24 * 3_600_000; now += 1000) {
      if (!patience.may(now)) continue
      patience.replaced(now)
      times.push(now)
    }
    const gaps = times.slice(1).map((time, i) => time - times[i]!)
    assert.isTrue(gaps.every((gap, i) => i === 0 || gap >= gaps[i - 1]!))
    assert.strictEqual(gaps[0], 60_000)
    assert.strictEqual(gaps.at(-1), 3_600_000)
  })

  it("X6 where its heap grows slowly, it is replaced whenever it is large", () => {
    const patience = new Wear.HeapPatience()
    for (let now = 0; now < 100 * 600_000; now += 600_000) {
      assert.isTrue(patience.may(now))
      patience.replaced(now)
    }
  })

  it("X6 sessions are spread: workers that start together have between nine tenths and all of them", () => {
    const limits = Array.from({ length: 8 }, (_, worker) => Wear.sessionsOf(1000, worker, 1))
    assert.strictEqual(new Set(limits).size, 8)
    for (const limit of limits) assert.isTrue(limit >= 900 && limit <= 1000)
    assert.strictEqual(Wear.sessionsOf(1, 3, 1), 1)
  })
})
