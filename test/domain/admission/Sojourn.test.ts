import { assert, describe, it } from "@effect/vitest"
import { Sojourn } from "../../../src/domain/admission/Sojourn.ts"

/** A worker whose offers are judged, and what it has turned. */
const make = (options: Partial<ConstructorParameters<typeof Sojourn>[0]> = {}) => {
  const turns: Array<boolean> = []
  const sojourn = new Sojourn({ sojournTarget: 5, sojournInterval: 100, ...options }, (is) => turns.push(is))
  return {
    sojourn,
    turns,
    /** An offer at `at` that is claimed after `delay`. */
    claim: (at: number, delay: number): boolean => {
      sojourn.offered(at)
      sojourn.claimed(at, at + delay)
      return sojourn.congested
    }
  }
}

describe("X7 a worker before which a queue stands", () => {
  it("is congested once all it was offered for the interval has waited longer than the target", () => {
    const { claim, sojourn, turns } = make()
    const seen = [0, 20, 40, 60, 80].map((at) => claim(at, 6))
    assert.deepStrictEqual(seen, [false, false, false, false, false])
    // the first was known to be late at 5
    assert.isFalse(claim(98, 6))
    assert.isTrue(claim(106, 6))
    assert.deepStrictEqual([turns, sojourn.times], [[true], 1])
  })

  it("X7 is not congested by bursts: one offer that did not wait, and the time begins anew", () => {
    const { claim, turns } = make()
    for (let at = 0; at < 2000; at += 10) claim(at, at % 90 === 0 ? 5 : 9)
    assert.deepStrictEqual(turns, [])
  })

  it("is not congested by two late offers with a gap of more than the interval between them", () => {
    const { claim, turns } = make()
    for (let at = 0; at < 2000; at += 120) claim(at, 9)
    assert.deepStrictEqual(turns, [])
  })

  it("is clear with the first offer, or answer, that did not wait, and its time in congestion is counted", () => {
    const { claim, sojourn, turns } = make()
    for (let at = 0; at <= 110; at += 10) claim(at, 9)
    assert.isTrue(sojourn.congested)
    sojourn.answered(120, 126)
    assert.isTrue(sojourn.congested)
    assert.strictEqual(sojourn.millis(130), 130 - 109)
    sojourn.answered(130, 135)
    assert.isFalse(sojourn.congested)
    assert.deepStrictEqual([turns, sojourn.millis(1000)], [[true, false], 135 - 109])
  })

  it("counts offers that are pending with their age so far", () => {
    const { sojourn } = make()
    sojourn.offered(0)
    sojourn.offered(50)
    assert.deepStrictEqual([104.9, 105].map((now) => sojourn.isCongested(now)), [false, true])
    // it comes to the first: the second has waited since then at least
    sojourn.claimed(0, 60)
    assert.isFalse(sojourn.isCongested(66 - 1))
    assert.deepStrictEqual([104.9, 105].map((now) => sojourn.isCongested(now)), [false, true])
    sojourn.takenBack()
    assert.isFalse(sojourn.isCongested(1000))
  })

  it("counts offers that were taken back, once it comes past them", () => {
    const { sojourn } = make()
    for (let at = 0; at <= 100; at += 10) {
      sojourn.offered(at)
      sojourn.takenBack()
      sojourn.answered(at, at + 8)
    }
    assert.isTrue(sojourn.congested)
  })

  it("is not congested by one long wait alone, whose offer was taken back", () => {
    const { sojourn } = make()
    sojourn.offered(0)
    sojourn.takenBack()
    sojourn.answered(0, 2000)
    assert.isFalse(sojourn.congested)
  })

  it("is never congested with a target of 0", () => {
    const { claim, sojourn } = make({ sojournTarget: 0 })
    for (let at = 0; at <= 1000; at += 10) claim(at, 900)
    sojourn.offered(2000)
    assert.isFalse(sojourn.isCongested(9000))
  })
})
