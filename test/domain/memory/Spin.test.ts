import { assert, describe, it } from "@effect/vitest"
import { Spin } from "../../../src/domain/memory/Spin.ts"

/** Sleeps until it is tried again. */
const sleepsUntilTrial = (spin: Spin): number => {
  let sleeps = 0
  while (spin.budget === 0) {
    spin.woken()
    sleeps++
  }
  return sleeps
}

const missAll = (spin: Spin): number => {
  let micros = 0
  while (spin.budget > 0) {
    micros += spin.budget
    spin.missed()
  }
  return micros
}

describe("Spin", () => {
  it("begins without, and tries after the first sleep", () => {
    const spin = new Spin(40)
    assert.strictEqual(spin.budget, 0)
    assert.strictEqual(sleepsUntilTrial(spin), 1)
    assert.strictEqual(spin.budget, 40)
  })

  it("halves down to none what does not pay, and comes back in full when it has paid", () => {
    const spin = new Spin(40)
    spin.woken()
    spin.missed()
    assert.strictEqual(spin.budget, 20)
    spin.paid()
    assert.strictEqual(spin.budget, 40)
    assert.isBelow(missAll(spin), 2 * 40)
    assert.strictEqual(spin.budget, 0)
  })

  it("is tried more and more seldom while it does not pay, and soon again when it has", () => {
    const spin = new Spin(40)
    const trials: Array<number> = []
    for (let i = 0; i < 12; i++) {
      trials.push(sleepsUntilTrial(spin))
      missAll(spin)
    }
    assert.deepStrictEqual(trials, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024])
    sleepsUntilTrial(spin)
    spin.paid()
    missAll(spin)
    assert.strictEqual(sleepsUntilTrial(spin), 2)
  })

  it("never waits where it is not to", () => {
    const spin = new Spin(0)
    for (let i = 0; i < 5000; i++) {
      spin.woken()
      assert.strictEqual(spin.budget, 0)
    }
  })
})
