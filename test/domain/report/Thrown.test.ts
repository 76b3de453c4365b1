import { assert, describe, it } from "@effect/vitest"
import * as Thrown from "../../../src/domain/report/Thrown.ts"

class Nameless extends Error {
  override readonly name = "Nameless"
}

describe("what was thrown, in a line", () => {
  for (
    const [what, thrown, line] of [
      ["an error", new Error("the port is taken"), "the port is taken"],
      ["an error with its stack in the message", new Error("bad token\n  at a.js:1\n  at b.js:2"), "bad token"],
      ["an error without a message", new Nameless(), "Nameless"],
      ["a text", "out of cheese\nsecond line", "out of cheese"],
      ["null", null, "null"],
      ["nothing", undefined, "undefined"],
      ["an object without a prototype", Object.create(null), "{}"],
      ["a symbol", Symbol("s"), "Symbol(s)"]
    ] as const
  ) {
    it(what, () => assert.strictEqual(Thrown.sentenceOf(thrown), line))
  }
})
