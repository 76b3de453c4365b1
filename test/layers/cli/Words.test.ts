import { assert, describe, it } from "@effect/vitest"
import * as Words from "../../../src/layers/cli/Words.ts"

const MiB = 1024 * 1024

/** All that a terminal, or a reader, would obey. */
const evil = "a\u001b[31mb\nc\u009b2Jd\u2028e\u202ef\u2066g\u007fh"

describe("Words", () => {
  it("W21 prints nothing that a terminal would obey, in text and in JSON", () => {
    const obeyed = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u
    assert.strictEqual(Words.printable(` ${evil} `), "a [31mb c 2Jd e f g h")
    const json = Words.json({ [evil]: [evil] })
    assert.notMatch(json.replaceAll("\n", ""), obeyed)
    assert.deepStrictEqual(JSON.parse(json), { [evil]: [evil] })
  })

  it("has a dash for nothing", () => {
    assert.deepStrictEqual(["", null, "x"].map(Words.orNone), ["-", "-", "x"])
  })

  it("draws neighbours together", () => {
    assert.strictEqual(Words.ranges([7, 0, 2, 1, 9, 8, 4]), "0-2,4,7-9")
    assert.strictEqual(Words.ranges([]), "-")
  })

  it("writes sizes, shares and times as people do", () => {
    const sizes = [0, 1023, 1024, 1536, 65536, MiB - 1, MiB, 1.5 * MiB, 1024 * MiB, 4096 * 1024 * MiB]
    assert.deepStrictEqual(sizes.map(Words.size), [
      "0 B",
      "1023 B",
      "1 KiB",
      "1.5 KiB",
      "64 KiB",
      "1 MiB",
      "1 MiB",
      "1.5 MiB",
      "1 GiB",
      "4 TiB"
    ])
    const times = [0, 0.44, 12.4, 999.4, 999.6, 1250, 59_949, 59_960, 3_599_400, 3_599_600, 7_380_000, 277_200_000]
    assert.deepStrictEqual(times.map(Words.time), [
      "0 ms",
      "0.4 ms",
      "12 ms",
      "999 ms",
      "1 s",
      "1.3 s",
      "59.9 s",
      "1 min 0 s",
      "59 min 59 s",
      "1 h 0 min",
      "2 h 3 min",
      "3 d 5 h"
    ])
    assert.deepStrictEqual([0, 12.34, 100].map(Words.percent), ["0 %", "12.3 %", "100 %"])
    assert.deepStrictEqual([0, 1_893_499_200_000, 1e300].map(Words.moment), [
      "1970-01-01 00:00",
      "2030-01-01 12:00",
      "-"
    ])
  })

  it("folds a text into lines, and leaves long words whole", () => {
    assert.deepStrictEqual(Words.folded("a bb ccc dddddd e", 5), ["a bb", "ccc", "dddddd", "e"])
    assert.deepStrictEqual(Words.folded("a bb ccc", Infinity), ["a bb ccc"])
  })
})
