import { assert, describe, it } from "@effect/vitest"
import { EventRing } from "../../../src/domain/events/EventRing.ts"

describe("EventRing", () => {
  it.each([1, 2, 7])("X5 keeps the last %i events, and finds those next to any serial number", (capacity) => {
    const ring = new EventRing<{ readonly serial: number }>(capacity)
    assert.deepStrictEqual([ring.after(0), ring.before(Infinity)], [undefined, undefined])
    const all: Array<number> = []
    for (let i = 1; i <= 30; i++) {
      // with numbers between them that others have
      const serial = i * 3 - i % 2
      ring.add({ serial })
      all.push(serial)
      const kept = all.slice(-capacity)
      for (let other = 0; other <= serial + 2; other++) {
        assert.strictEqual(ring.after(other)?.serial, kept.find((serial) => serial > other))
        assert.strictEqual(ring.before(other)?.serial, kept.findLast((serial) => serial < other))
      }
      assert.strictEqual(ring.before(Infinity)?.serial, serial)
    }
  })
})
