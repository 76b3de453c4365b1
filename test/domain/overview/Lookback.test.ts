import { assert, describe, it } from "@effect/vitest"
import { Lookback } from "../../../src/domain/overview/Lookback.ts"

describe("a lookback", () => {
  it("knows what something was a while ago, and before that what it began with", () => {
    const lookback = new Lookback(10, 0, "began")
    for (let at = 1; at <= 9; at++) lookback.add(at, `${at}`)
    assert.strictEqual(lookback.before(-1).value, "began")
    assert.strictEqual(lookback.before(0).value, "began")
    assert.strictEqual(lookback.before(4.5).value, "4")
    assert.strictEqual(lookback.before(100).value, "9")
  })

  it("goes back as far as it has to, and no further than a sample more", () => {
    const lookback = new Lookback(10, 0, 0)
    for (let at = 3; at <= 30; at += 3) lookback.add(at, at)
    // 18 is the newest that is 10 old at 30
    assert.strictEqual(lookback.before(20).value, 18)
    assert.strictEqual(lookback.before(0).value, 18)
  })
})
