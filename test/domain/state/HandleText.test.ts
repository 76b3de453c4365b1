import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as HandleText from "../../../src/domain/state/HandleText.ts"

const largest = Handle.make(2 ** 24 - 1, 2 ** 28 - 1)

describe("HandleText", () => {
  it("W1 reads back what a handle is written as", () => {
    for (const handle of [Handle.make(0, 0), Handle.make(12, 3), Handle.make(0, 7), largest]) {
      assert.strictEqual(HandleText.parse(Handle.format(handle)), handle)
    }
  })

  it("W1 reads nothing else: a handle has one text", () => {
    const bad = [
      "",
      "12",
      "12.",
      ".3",
      "12.3.4",
      "012.3",
      "12.03",
      "+1.2",
      "-1.2",
      "1e3.0",
      " 1.2",
      "1.2 ",
      "1,2",
      "1.2\n"
    ]
    for (const text of [...bad, `${2 ** 24}.0`, `0.${2 ** 28}`, "99999999.0", "0.999999999"]) {
      assert.isUndefined(HandleText.parse(text), JSON.stringify(text))
    }
  })

  it("decodes and encodes", () => {
    const codec = HandleText.HandleFromString()
    assert.strictEqual(Schema.decodeUnknownSync(codec)("12.3"), Handle.make(12, 3))
    assert.strictEqual(Schema.encodeSync(codec)(Handle.make(12, 3)), "12.3")
    assert.throws(() => Schema.decodeUnknownSync(codec)("12"), /it must be a handle such as "12\.3"/)
  })
})
