/**
 * Tables and words for a terminal: what all of `show` is printed with.
 *
 * A table has a header row and fits a width, if possible. In the plain form, columns that may give way do so in their
 * order, and a text that is cut short has `…` where something is missing. The verbose form cuts nothing: a table that is
 * too wide breaks into blocks, each with some of the columns. Nothing that a terminal would obey is printed, whoever
 * wrote it.
 */
import { address, orNone } from "./Words.ts"

/** The least width that tables are fitted to, and the default of plain ones. */
export const WIDTH = 80

/**
 * How something is to be shown: plain, or all there is, with nothing cut; in `width` columns of the terminal, which are
 * {@link WIDTH} by default in the plain form, and without limit in the verbose one.
 */
export interface Look {
  readonly verbose: boolean
  readonly width?: number
}

/** The width that a table may have, in columns of the terminal. */
export const widthOf = ({ verbose, width = verbose ? Infinity : WIDTH }: Look): number => width

/** The same look for what stands indented. */
export const within = (look: Look): Look => ({ ...look, width: widthOf(look) - INDENT.length })

/**
 * The width that tables are fitted to where the terminal has `columns`; 0 stands for no terminal: nothing is cut
 * then.
 */
export const fitting = (columns: number): number => columns === 0 ? Infinity : Math.max(WIDTH, columns)

/** What stands under something is indented by this. */
export const INDENT = "  "

const GAP = "  "

/** A column of a table. */
export interface Column<A> {
  readonly head: string
  readonly cell: (row: A) => string
  /** Aligned to the right, as numbers are. */
  readonly right?: boolean
  /** What is shown instead when the table is too wide, before anything is cut. */
  readonly brief?: (row: A) => string
  /** Gives way to this width when the table is still too wide. */
  readonly least?: number
  /** Which part of a text that is cut short is kept: its start, or its end, where an address has its port. */
  readonly keep?: "start" | "end"
}

const cut = (text: string, width: number, keep: "start" | "end"): string => {
  const characters = Array.from(text)
  if (characters.length <= width) return text
  return keep === "start"
    ? `${characters.slice(0, width - 1).join("")}…`
    : `…${characters.slice(characters.length - width + 1).join("")}`
}

const lengthOf = (text: string): number => Array.from(text).length

const widest = (texts: ReadonlyArray<string>): number => texts.reduce((most, text) => Math.max(most, lengthOf(text)), 0)

const fill = (text: string, width: number): string => " ".repeat(Math.max(0, width - lengthOf(text)))

/** The texts of a column: its head, and that of each row. */
const textsOf = <A>({ cell, head }: Column<A>, rows: ReadonlyArray<A>): ReadonlyArray<string> => [
  head,
  ...rows.map(cell)
]

const total = (widths: ReadonlyArray<number>): number =>
  widths.reduce((sum, one) => sum + one, GAP.length * Math.max(0, widths.length - 1))

/** Lines with the texts of columns beside each other, which are cut where a column is narrower than they are. */
const beside = <A>(
  columns: ReadonlyArray<Column<A>>,
  texts: ReadonlyArray<ReadonlyArray<string>>,
  widths: ReadonlyArray<number>
): Array<string> =>
  (texts[0] ?? []).map((_, line) =>
    columns.map(({ keep = "start", right = false }, column) => {
      const shown = cut(texts[column]![line]!, widths[column]!, keep)
      return right ? fill(shown, widths[column]!) + shown : shown + fill(shown, widths[column]!)
    }).join(GAP).trimEnd()
  )

/** A table that fits, if its columns can give way enough. */
const fitted = <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>, width: number): Array<string> => {
  const full = columns.map((column) => textsOf(column, rows))
  const texts = total(full.map(widest)) > width
    ? columns.map((column) => textsOf({ ...column, cell: column.brief ?? column.cell }, rows))
    : full
  const widths = texts.map(widest)
  let excess = total(widths) - width
  return beside(
    columns,
    texts,
    widths.map((full, column) => {
      const given = Math.max(0, Math.min(excess, full - (columns[column]?.least ?? full)))
      excess -= given
      return full - given
    })
  )
}

/** The columns of each block of a table that is too wide: the first column leads them all. */
const blocksOf = (widths: ReadonlyArray<number>, width: number): ReadonlyArray<ReadonlyArray<number>> => {
  const blocks: Array<Array<number>> = [[0]]
  for (let column = 1; column < widths.length; column++) {
    const last = blocks.at(-1)!
    const isFull = last.length > 1 && total([...last, column].map((one) => widths[one]!)) > width
    if (isFull) blocks.push([0, column])
    else last.push(column)
  }
  return blocks
}

/** A table as blocks, one below the other: each has a header row, and a line for each row. */
export const blocks = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  look: Look
): Array<Array<string>> => {
  const width = widthOf(look)
  if (!look.verbose) return [fitted(columns, rows, width)]
  const texts = columns.map((column) => textsOf(column, rows))
  const widths = texts.map(widest)
  return blocksOf(widths, width).map((block) =>
    beside(block.map((one) => columns[one]!), block.map((one) => texts[one]!), block.map((one) => widths[one]!))
  )
}

/** The lines of a table. */
export const table = <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>, look: Look): Array<string> =>
  blocks(columns, rows, look).flatMap((block, index) => index === 0 ? block : ["", ...block])

/** A table, or the words that say that there is nothing. */
export const tableOr = <A>(
  nothing: string,
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  look: Look
): Array<string> => rows.length === 0 ? [nothing] : table(columns, rows, look)

/** Lines, each under what it belongs to. */
export const indented = (lines: ReadonlyArray<string>): Array<string> =>
  lines.map((line) => line === "" ? "" : `${INDENT}${line}`)

/** A heading with names and texts under it. */
export const details = (
  heading: string,
  rows: ReadonlyArray<readonly [name: string, text: string]>
): Array<string> => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return [heading, ...indented(rows.map(([name, text]) => `${name.padEnd(width)}${GAP}${text}`))]
}

/** Parts joined by commas, on as many lines as they need. */
export const wrapped = (parts: ReadonlyArray<string>, width: number): Array<string> => {
  const lines: Array<string> = []
  for (const part of parts) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + part.length + 2 < width) lines[lines.length - 1] = `${last}, ${part}`
    else lines.push(part)
  }
  return lines.map((line, index) => index < lines.length - 1 ? `${line},` : line)
}

/** Sections with an empty line between them. */
export const sections = (all: ReadonlyArray<ReadonlyArray<string>>): string =>
  all.map((lines) => lines.join("\n")).join("\n\n")

/**
 * A column of endpoints: the URI, or only its address when the table is too wide. Its start is cut rather than its end,
 * which has the port.
 */
export const endpointColumn = <A>(
  head: string,
  endpointOf: (row: A) => string | null,
  least: number
): Column<A> => ({
  head,
  cell: (row) => orNone(endpointOf(row)),
  brief: (row) => orNone(address(endpointOf(row) ?? "")),
  least,
  keep: "end"
})
