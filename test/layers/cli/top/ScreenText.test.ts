import { assert, describe, it } from "@effect/vitest"
import { cell, cut, fit, padded, paint, textOf, widthOf } from "../../../../src/layers/cli/top/ScreenText.ts"

describe("the text of a screen", () => {
  it("knows characters that take two columns, and those that take none", () => {
    assert.deepStrictEqual(["abc", "é", "e\u0301", "界", "🎉", "ｱ", "Ａ", "가", "…", "█", ""].map(widthOf), [
      3,
      1,
      1,
      2,
      2,
      1,
      2,
      2,
      1,
      1,
      0
    ])
  })

  it("cuts at its width and never within a character, and says so", () => {
    assert.strictEqual(cut("abcdef", 4), "abc…")
    assert.strictEqual(cut("abcdef", 4, "end"), "…def")
    assert.strictEqual(cut("界界界", 4), "界…")
    assert.strictEqual(cut("界界界", 5, "end"), "…界界")
    assert.strictEqual(cut("abc", 0), "")
    assert.strictEqual(padded("界界界", 4), "界… ")
    assert.strictEqual(padded("12", 4, { right: true }), "  12")
  })

  it("shows nothing that a terminal would obey", () => {
    assert.strictEqual(cell("a\u001b[31mb\nc\u202e", 10), "a [31mb c ")
  })

  it("fits a line of several spans, and paints them where there are colours", () => {
    const line = [{ text: "ab", style: "bad" as const }, { text: "界x" }]
    assert.strictEqual(textOf(fit(line, 3)), "ab")
    assert.strictEqual(textOf(fit(line, 4)), "ab界")
    assert.strictEqual(paint(line, false), "ab界x")
    assert.strictEqual(paint(line, true), "\u001b[1m\u001b[31mab\u001b[39m\u001b[22m界x")
  })
})
