import { assert, describe, it } from "@effect/vitest"
import * as Segment from "../../../src/domain/memory/Segment.ts"

describe("the index of a segment", () => {
  it("fits into a word for ever: after the largest one come those that are free", () => {
    const largest = 2 ** 31 - 1
    const taken = new Set([0, 1, 5])
    const isTaken = (index: number) => taken.has(index)
    assert.strictEqual(Segment.nextIndex(-1, () => false), 0)
    assert.strictEqual(Segment.nextIndex(7, isTaken), 8)
    assert.strictEqual(Segment.nextIndex(largest - 1, isTaken), largest)
    assert.strictEqual(Segment.nextIndex(largest, isTaken), 2)
    assert.strictEqual(Segment.nextIndex(4, isTaken), 6)
  })
})
