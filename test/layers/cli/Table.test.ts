import { assert, describe, it } from "@effect/vitest"
import * as Table from "../../../src/layers/cli/Table.ts"

const MiB = 1024 * 1024

interface Row {
  readonly name: string
  readonly where: string
  readonly count: number
}

const columns: ReadonlyArray<Table.Column<Row>> = [
  { head: "Name", cell: ({ name }) => name, least: 6 },
  { head: "Where", cell: ({ where }) => where, brief: ({ where }) => Table.address(where), least: 8, keep: "end" },
  { head: "Count", cell: ({ count }) => `${count}`, right: true }
]

const rows: ReadonlyArray<Row> = [
  { name: "hypertext", where: "tcp://10.0.0.7:443", count: 7 },
  { name: "mail", where: "tcp://10.0.0.70:25", count: 123456 }
]

/** All that a terminal, or a reader, would obey. */
const evil = "a\u001b[31mb\nc\u009b2Jd\u2028e\u202ef\u2066g\u007fh"

describe("Table", () => {
  it("W21 fits 80 columns, all of a wider terminal, and cuts nothing for what is no terminal", () => {
    assert.deepStrictEqual([1, 80, 132, 0].map(Table.fitting), [80, 80, 132, Infinity])
    assert.deepStrictEqual(
      [{ verbose: false }, { verbose: false, width: 132 }, { verbose: true, width: 132 }].map(Table.widthOf),
      [80, 132, Infinity]
    )
  })

  it("has a header row, and numbers to the right", () => {
    assert.deepStrictEqual(Table.table(columns, rows, 80), [
      "Name       Where                Count",
      "hypertext  tcp://10.0.0.7:443       7",
      "mail       tcp://10.0.0.70:25  123456"
    ])
  })

  it("is brief before it cuts, and cuts in the order of its columns", () => {
    assert.deepStrictEqual(Table.table(columns, rows, 36), [
      "Name       Where          Count",
      "hypertext  10.0.0.7:443       7",
      "mail       10.0.0.70:25  123456"
    ])
    assert.deepStrictEqual(Table.table(columns, rows, 29), [
      "Name     Where          Count",
      "hypert…  10.0.0.7:443       7",
      "mail     10.0.0.70:25  123456"
    ])
    assert.deepStrictEqual(Table.table(columns, rows, 26), [
      "Name    Where        Count",
      "hyper…  …0.0.7:443       7",
      "mail    …0.0.70:25  123456"
    ])
  })

  it("is too wide rather than without its least widths", () => {
    assert.deepStrictEqual(Table.table(columns, rows, 1), [
      "Name    Where      Count",
      "hyper…  …0.7:443       7",
      "mail    …0.70:25  123456"
    ])
  })

  it("does not cut a character in two", () => {
    const faces = "😀😀😀😀"
    const [, row] = Table.table([{ head: "F", cell: () => faces, least: 2 }], [0], 3)
    assert.strictEqual(row, "😀😀…")
  })

  it("says so when there is nothing", () => {
    assert.deepStrictEqual(Table.tableOr("no things", columns, [], 80), ["no things"])
    assert.deepStrictEqual(Table.tableOr("no things", columns, rows, 80), Table.table(columns, rows, 80))
  })

  it("W21 prints nothing that a terminal would obey, in text and in JSON", () => {
    const obeyed = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u
    assert.strictEqual(Table.printable(` ${evil} `), "a [31mb c 2Jd e f g h")
    const json = Table.json({ [evil]: [evil] })
    assert.notMatch(json.replaceAll("\n", ""), obeyed)
    assert.deepStrictEqual(JSON.parse(json), { [evil]: [evil] })
  })

  it("has a dash for nothing", () => {
    assert.deepStrictEqual(["", null, "x"].map(Table.orNone), ["-", "-", "x"])
  })

  it("wraps parts at commas", () => {
    assert.deepStrictEqual(Table.wrapped(["one", "two", "three"], 10), ["one, two,", "three"])
    assert.deepStrictEqual(Table.wrapped(["one", "two", "three"], Infinity), ["one, two, three"])
    assert.deepStrictEqual(Table.wrapped([], 10), [])
  })

  it("draws neighbours together", () => {
    assert.strictEqual(Table.ranges([7, 0, 2, 1, 9, 8, 4]), "0-2,4,7-9")
    assert.strictEqual(Table.ranges([]), "-")
  })

  it("writes sizes, shares and times as people do", () => {
    const sizes = [0, 1023, 1024, 1536, 65536, MiB - 1, MiB, 1.5 * MiB, 1024 * MiB, 4096 * 1024 * MiB]
    assert.deepStrictEqual(sizes.map(Table.size), [
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
    assert.deepStrictEqual(times.map(Table.time), [
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
    assert.deepStrictEqual([0, 12.34, 100].map(Table.percent), ["0 %", "12.3 %", "100 %"])
    assert.deepStrictEqual([0, 1_893_499_200_000, 1e300].map(Table.moment), [
      "1970-01-01 00:00",
      "2030-01-01 12:00",
      "-"
    ])
  })
})
