import { assert, describe, it } from "@effect/vitest"
import * as Wear from "../../../src/domain/state/Wear.ts"

describe("the wear of a worker", () => {
  it("X6 of its heap counts what is left after collections, and not its peaks", () => {
    const heap = new Wear.HeapUse()
    assert.isUndefined(heap.retained(0, 150))
    // a saw: from 50 up to 150, and down again every 2 s
    for (let now = 0; now < 20_000; now += 500) {
      if (now % 2000 === 0) heap.collected(now, 50)
      assert.strictEqual(heap.retained(now, 50 + now % 2000 / 20), 50)
    }
  })

  it("X6 of a heap that only grows counts all of it, also long after the last collection", () => {
    const heap = new Wear.HeapUse()
    heap.collected(1000, 100)
    // nothing is known of how it grows
    assert.strictEqual(heap.retained(2000, 150), 100)
    heap.collected(2000, 200)
    assert.deepStrictEqual([2000, 2500, 3000].map((now) => heap.retained(now, 200 + (now - 2000) / 10)), [
      200,
      250,
      300
    ])
    // it may have stopped growing
    assert.strictEqual(heap.retained(9000, 900), 300)
    assert.strictEqual(heap.retained(9000, 210), 210)
    // what is known of its use may be older than the collection
    assert.strictEqual(heap.retained(2500, 120), 200)
  })

  it("X6 a heap that shrinks is as large as it is", () => {
    const heap = new Wear.HeapUse()
    heap.collected(1000, 200)
    heap.collected(2000, 100)
    assert.strictEqual(heap.retained(2500, 190), 100)
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
    assert.strictEqual(gaps[0], 5000)
    assert.strictEqual(gaps.at(-1), 3_600_000)
  })

  it("X6 where its heap grows, it is replaced whenever it is large, also every few seconds", () => {
    const patience = new Wear.HeapPatience()
    for (let now = 0; now < 100 * 6000; now += 6000) {
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
