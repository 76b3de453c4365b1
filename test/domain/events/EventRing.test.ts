import { assert, describe, it } from "@effect/vitest"
import { EventRing } from "../../../src/domain/events/EventRing.ts"

describe("EventRing", () => {
  it.each([1, 2, 7])("X5 keeps the last %i events, each under its serial number", (capacity) => {
    const ring = new EventRing<string>(capacity)
    assert.deepStrictEqual([ring.oldest, ring.newest, ring.get(0), ring.get(1)], [1, 0, undefined, undefined])
    for (let serial = 1; serial <= 30; serial++) {
      assert.strictEqual(ring.add((given) => `event ${given}`), `event ${serial}`)
      assert.strictEqual(ring.newest, serial)
      assert.strictEqual(ring.oldest, Math.max(1, serial - capacity + 1))
      for (let other = 0; other <= serial + capacity; other++) {
        const isKept = other > 0 && other > serial - capacity && other <= serial
        assert.strictEqual(ring.get(other), isKept ? `event ${other}` : undefined)
      }
    }
  })
})
