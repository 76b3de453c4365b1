import { assert, describe, it } from "@effect/vitest"
import { Deadlines, Timed } from "../../../src/domain/admission/Deadlines.ts"
import * as Random from "../../support/random.ts"

class Entry extends Timed<Entry> {
  readonly number: number
  constructor(number: number) {
    super()
    this.number = number
  }
}

describe("deadlines", () => {
  it("are over in the order of their times, and of their coming at one time", () => {
    const deadlines = new Deadlines<Entry>()
    for (const [number, until] of [30, 10, 20, 10, 30].entries()) deadlines.add(new Entry(number), until)
    assert.strictEqual(deadlines.next, 10)
    assert.isUndefined(deadlines.take(9))
    const taken = Array.from({ length: 5 }, () => deadlines.take(30)!.number)
    assert.deepStrictEqual(taken, [1, 3, 2, 0, 4])
    assert.isUndefined(deadlines.take(30))
    assert.strictEqual(deadlines.next, Infinity)
  })

  it("do as a sorted array does, over 20,000 random steps", () => {
    const random = Random.make(20_231)
    const deadlines = new Deadlines<Entry>()
    let model: Array<Entry> = []
    for (let step = 0, now = 0; step < 20_000; step++) {
      const choice = random(5)
      if (choice < 2) {
        const entry = new Entry(step)
        deadlines.add(entry, now + random(40))
        model.push(entry)
        model.sort((a, b) => a.until - b.until || a.number - b.number)
      } else if (choice === 2) {
        const entry = model[random(model.length)]
        if (entry === undefined) continue
        deadlines.remove(entry)
        // one that does not run any more is none of its business
        deadlines.remove(entry)
        model = model.filter((other) => other !== entry)
      } else {
        now += random(5)
        for (let entry; (entry = deadlines.take(now)) !== undefined;) assert.strictEqual(entry, model.shift())
        assert.isFalse(model.some(({ until }) => until <= now))
      }
      assert.strictEqual(deadlines.next, model[0]?.until ?? Infinity)
      assert.isTrue(model.every(({ runs }) => runs))
    }
  })
})
