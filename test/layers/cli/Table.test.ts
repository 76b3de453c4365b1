import { assert, describe, it } from "@effect/vitest"
import * as Table from "../../../src/layers/cli/Table.ts"
import * as Words from "../../../src/layers/cli/Words.ts"

interface Row {
  readonly name: string
  readonly where: string
  readonly count: number
}

const columns: ReadonlyArray<Table.Column<Row>> = [
  { head: "Name", cell: ({ name }) => name, least: 6 },
  { head: "Where", cell: ({ where }) => where, brief: ({ where }) => Words.address(where), least: 8, keep: "end" },
  { head: "Count", cell: ({ count }) => `${count}`, right: true }
]

const rows: ReadonlyArray<Row> = [
  { name: "hypertext", where: "tcp://10.0.0.7:443", count: 7 },
  { name: "mail", where: "tcp://10.0.0.70:25", count: 123456 }
]

const plain = (width: number): Table.Look => ({ verbose: false, width })

describe("Table", () => {
  it("W21 fits 80 columns, all of a wider terminal, and cuts nothing for what is no terminal", () => {
    assert.deepStrictEqual([1, 80, 132, 0].map(Table.fitting), [80, 80, 132, Infinity])
    assert.deepStrictEqual(
      [{ verbose: false }, { verbose: false, width: 132 }, { verbose: true, width: 132 }, { verbose: true }].map(
        Table.widthOf
      ),
      [80, 132, 132, Infinity]
    )
  })

  it("has a header row, and numbers to the right", () => {
    assert.deepStrictEqual(Table.table(columns, rows, plain(80)), [
      "Name       Where                Count",
      "hypertext  tcp://10.0.0.7:443       7",
      "mail       tcp://10.0.0.70:25  123456"
    ])
  })

  it("is brief before it cuts, and cuts in the order of its columns", () => {
    assert.deepStrictEqual(Table.table(columns, rows, plain(36)), [
      "Name       Where          Count",
      "hypertext  10.0.0.7:443       7",
      "mail       10.0.0.70:25  123456"
    ])
    assert.deepStrictEqual(Table.table(columns, rows, plain(29)), [
      "Name     Where          Count",
      "hypert…  10.0.0.7:443       7",
      "mail     10.0.0.70:25  123456"
    ])
    assert.deepStrictEqual(Table.table(columns, rows, plain(26)), [
      "Name    Where        Count",
      "hyper…  …0.0.7:443       7",
      "mail    …0.0.70:25  123456"
    ])
  })

  it("breaks into blocks when it is verbose and too wide, each with the first column, and cuts nothing", () => {
    const all = [...columns, { head: "Twice", cell: ({ count }: Row) => `${count * 2}`, right: true }]
    const verbose = (width?: number) =>
      Table.table(all, rows, { verbose: true, ...(width === undefined ? {} : { width }) })
    const wide = [
      "Name       Where                Count   Twice",
      "hypertext  tcp://10.0.0.7:443       7      14",
      "mail       tcp://10.0.0.70:25  123456  246912"
    ]
    assert.deepStrictEqual([verbose(), verbose(45)], [wide, wide])
    const first = ["Name       Where", "hypertext  tcp://10.0.0.7:443", "mail       tcp://10.0.0.70:25"]
    assert.deepStrictEqual(verbose(36), [
      ...first,
      "",
      "Name        Count   Twice",
      "hypertext       7      14",
      "mail       123456  246912"
    ])
    // a column is shown, even if it is too wide with the first one alone
    assert.deepStrictEqual(verbose(1).slice(0, 4), [...first, ""])
    assert.deepStrictEqual(verbose(1).length, 11)
  })

  it("is too wide rather than without its least widths", () => {
    assert.deepStrictEqual(Table.table(columns, rows, plain(1)), [
      "Name    Where      Count",
      "hyper…  …0.7:443       7",
      "mail    …0.70:25  123456"
    ])
  })

  it("does not cut a character in two", () => {
    const faces = "😀😀😀😀"
    const [, row] = Table.table([{ head: "F", cell: () => faces, least: 2 }], [0], plain(3))
    assert.strictEqual(row, "😀😀…")
  })

  it("says so when there is nothing", () => {
    assert.deepStrictEqual(Table.tableOr("no things", columns, [], plain(80)), ["no things"])
    assert.deepStrictEqual(Table.tableOr("no things", columns, rows, plain(80)), Table.table(columns, rows, plain(80)))
  })

  it("wraps parts at commas", () => {
    assert.deepStrictEqual(Table.wrapped(["one", "two", "three"], 10), ["one, two,", "three"])
    assert.deepStrictEqual(Table.wrapped(["one", "two", "three"], Infinity), ["one, two, three"])
    assert.deepStrictEqual(Table.wrapped([], 10), [])
  })
})
