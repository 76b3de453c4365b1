import { assert, describe, it } from "@effect/vitest"
import * as Descriptors from "../../../src/layers/system/Descriptors.ts"

describe("Descriptors", () => {
  it("the limit is the process's own", () => {
    assert.isAbove(Descriptors.limit(), 2)
    assert.strictEqual(Descriptors.limit(), Descriptors.limit())
  })

  it("the last ones are kept from connections: sixteen, or an eighth of a small limit", () => {
    for (const [max, first] of [[1024, 1008], [130, 114], [64, 56], [16, 14]] as const) {
      assert.deepStrictEqual(
        [first - 1, first, max].map((descriptor) => Descriptors.isReserved(descriptor, max)),
        [false, true, true]
      )
    }
  })

  it("where there is no limit, and where a descriptor has no number, none is kept", () => {
    assert.isFalse(Descriptors.isReserved(1_000_000, Infinity))
    assert.isFalse(Descriptors.isReserved(-1, 130))
  })
})
