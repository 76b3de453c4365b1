import { assert, describe, it } from "@effect/vitest"
import { Repeats } from "../../../src/domain/report/Repeats.ts"
import * as Random from "../../support/random.ts"

describe("Repeats", () => {
  it("tells the first at once, and then counts until the interval is over", () => {
    const repeats = new Repeats(10)
    assert.isTrue(repeats.add(100))
    assert.isFalse(repeats.add(100))
    assert.isFalse(repeats.add(109, 5))
    assert.strictEqual(repeats.due, 110)
    assert.strictEqual(repeats.take(110), 6)
    assert.strictEqual(repeats.take(111), 0)
    // it goes on: the next count is due an interval after the last
    assert.isFalse(repeats.add(115))
    assert.strictEqual(repeats.due, 120)
    assert.strictEqual(repeats.take(120), 1)
  })

  it("tells at once again after an interval in which it did not happen", () => {
    const repeats = new Repeats(10)
    assert.isTrue(repeats.add(0))
    assert.isFalse(repeats.add(9))
    assert.strictEqual(repeats.take(10), 1)
    assert.isTrue(repeats.add(20))
  })

  it("tells everything, and no more than once an interval, however it comes", () => {
    const random = Random.make(7)
    const repeats = new Repeats(100)
    let happened = 0
    let told = 0
    let lines: Array<number> = []
    for (let now = 0; now < 20_000; now++) {
      if (now >= repeats.due) {
        const count = repeats.take(now)
        told += count
        if (count > 0) lines.push(now)
      }
      while (random(10) < 3) {
        happened++
        if (!repeats.add(now)) continue
        told++
        lines.push(now)
      }
      lines = lines.filter((at) => at > now - 100)
      assert.isAtMost(lines.length, 1)
    }
    assert.strictEqual(told + repeats.count, happened)
    assert.isAbove(happened, 5000)
  })
})
