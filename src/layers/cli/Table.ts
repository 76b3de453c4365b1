/**
 * Tables and words for a terminal: what all of `show` is printed with.
 *
 * A table has a header row and fits a width, if that can be: columns that may give way do so in their order, and a text
 * cut short has `…` where something is missing. Nothing that a terminal would obey is printed, whoever wrote it.
 *
 * @since 0.1.0
 */

/**
 * Columns that plain tables fit at least, and by default.
 *
 * @category constants
 * @since 0.1.0
 */
export const WIDTH = 80

/**
 * How something is to be shown: plain, in `width` columns ({@link WIDTH} by default), or all there is, with nothing cut.
 *
 * @category models
 * @since 0.1.0
 */
export interface Look {
  readonly verbose: boolean
  readonly width?: number
}

/**
 * Columns that a table has room in.
 *
 * @category getters
 * @since 0.1.0
 */
export const widthOf = ({ verbose, width = WIDTH }: Look): number => verbose ? Infinity : width

/**
 * Columns that plain tables fit where the terminal has `columns`; 0 is what is no terminal, in which nothing is cut.
 *
 * @category getters
 * @since 0.1.0
 */
export const fitting = (columns: number): number => columns === 0 ? Infinity : Math.max(WIDTH, columns)

/**
 * What stands under something is indented by this.
 *
 * @category constants
 * @since 0.1.0
 */
export const INDENT = "  "

const GAP = "  "

/**
 * A column of a table.
 *
 * @category models
 * @since 0.1.0
 */
export interface Column<A> {
  readonly head: string
  readonly cell: (row: A) => string
  /** Numbers stand to the right. */
  readonly right?: boolean
  /** What is shown instead when the table is too wide, before anything is cut. */
  readonly brief?: (row: A) => string
  /** Gives way to this width when the table is still too wide. */
  readonly least?: number
  /** What of a text cut short is left: its start, or its end, where an address has its port. */
  readonly keep?: "start" | "end"
}

/** Control characters, other line ends, and what turns the direction of writing. */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu

/**
 * Text on one line, without what a terminal would obey.
 *
 * @category formatting
 * @since 0.1.0
 */
export const printable = (text: string): string => text.replace(OBEYED, " ").trim()

/**
 * As {@link printable}; a dash for nothing.
 *
 * @category formatting
 * @since 0.1.0
 */
export const orNone = (text: string | null): string => text === null || text === "" ? "-" : printable(text)

/**
 * JSON for people and programs, in which nothing is left that a terminal would obey.
 *
 * @category formatting
 * @since 0.1.0
 */
export const json = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).split("\n").map((line) =>
    line.replace(
      OBEYED,
      (run) => Array.from(run, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
    )
  ).join("\n")

/**
 * The address of an endpoint URI.
 *
 * @category formatting
 * @since 0.1.0
 */
export const address = (uri: string): string => printable(uri.replace(/^[a-z]+:\/\/(?=.)/, ""))

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

/**
 * The lines of a table: its header row, and one for each row.
 *
 * @category formatting
 * @since 0.1.0
 */
export const table = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  width: number
): Array<string> => {
  const textsOf = (isBrief: boolean): ReadonlyArray<ReadonlyArray<string>> =>
    columns.map(({ brief, cell, head }) => [head, ...rows.map(isBrief ? brief ?? cell : cell)])
  const gaps = GAP.length * (columns.length - 1)
  const total = (widths: ReadonlyArray<number>): number => widths.reduce((sum, one) => sum + one, gaps)
  const full = textsOf(false)
  const texts = total(full.map(widest)) > width ? textsOf(true) : full
  const widths = texts.map(widest)
  let excess = total(widths) - width
  const fitted = widths.map((full, column) => {
    const given = Math.max(0, Math.min(excess, full - (columns[column]?.least ?? full)))
    excess -= given
    return full - given
  })
  return [undefined, ...rows].map((_, line) =>
    columns.map(({ keep = "start", right = false }, column) => {
      const shown = cut(texts[column]![line]!, fitted[column]!, keep)
      return right ? fill(shown, fitted[column]!) + shown : shown + fill(shown, fitted[column]!)
    }).join(GAP).trimEnd()
  )
}

/**
 * A table, or the words for there being nothing.
 *
 * @category formatting
 * @since 0.1.0
 */
export const tableOr = <A>(
  nothing: string,
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  width: number
): Array<string> => rows.length === 0 ? [nothing] : table(columns, rows, width)

/**
 * Lines, each under what it belongs to.
 *
 * @category formatting
 * @since 0.1.0
 */
export const indented = (lines: ReadonlyArray<string>): Array<string> =>
  lines.map((line) => line === "" ? "" : `${INDENT}${line}`)

/**
 * A heading with names and texts under it.
 *
 * @category formatting
 * @since 0.1.0
 */
export const details = (
  heading: string,
  rows: ReadonlyArray<readonly [name: string, text: string]>
): Array<string> => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return [heading, ...indented(rows.map(([name, text]) => `${name.padEnd(width)}${GAP}${text}`))]
}

/**
 * Parts joined by commas, on as many lines as they need.
 *
 * @category formatting
 * @since 0.1.0
 */
export const wrapped = (parts: ReadonlyArray<string>, width: number): Array<string> => {
  const lines: Array<string> = []
  for (const part of parts) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + part.length + 2 < width) lines[lines.length - 1] = `${last}, ${part}`
    else lines.push(part)
  }
  return lines.map((line, index) => index < lines.length - 1 ? `${line},` : line)
}

const oneDecimal = (value: number): string => String(Math.round(value * 10) / 10)

/**
 * A size as a person reads it: `512 B`, `64 KiB`, `1.5 MiB`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const size = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  for (const unit of ["KiB", "MiB", "GiB"]) {
    // what would be rounded up to the next unit is given in it
    if (value < 1023.95) return `${oneDecimal(value)} ${unit}`
    value /= 1024
  }
  return `${oneDecimal(value)} TiB`
}

/**
 * A time as a person reads it: `0.4 ms`, `12 ms`, `1.5 s`, `2 min 3 s`, `5 h 6 min`, `3 d 4 h`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const time = (millis: number): string => {
  if (millis < 10) return `${oneDecimal(millis)} ms`
  if (millis < 999.5) return `${Math.round(millis)} ms`
  if (millis < 59_950) return `${oneDecimal(millis / 1000)} s`
  const pair = (value: number, per: number, unit: string, rest: string) =>
    `${Math.floor(value / per)} ${unit} ${value % per} ${rest}`
  const seconds = Math.round(millis / 1000)
  if (seconds < 3600) return pair(seconds, 60, "min", "s")
  const minutes = Math.floor(seconds / 60)
  if (minutes < 24 * 60) return pair(minutes, 60, "h", "min")
  return pair(Math.floor(minutes / 60), 24, "d", "h")
}

/**
 * A share as a person reads it: `0 %`, `12.5 %`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const percent = (value: number): string => `${oneDecimal(value)} %`

/**
 * A day and a time of it, of UTC: `2027-03-01 12:30`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const moment = (millis: number): string =>
  Math.abs(millis) <= 8.64e15 ? new Date(millis).toISOString().slice(0, -8).replace("T", " ") : "-"

/**
 * A number of things: `1 session`, `2 sessions`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`

/**
 * Numbers in order, neighbours drawn together: `0-3,7`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const ranges = (numbers: ReadonlyArray<number>): string => {
  const runs: Array<[number, number]> = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && number <= last[1] + 1) last[1] = number
    else runs.push([number, number])
  }
  return runs.length === 0 ? "-" : runs.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",")
}

/**
 * Sections with an empty line between them.
 *
 * @category formatting
 * @since 0.1.0
 */
export const sections = (all: ReadonlyArray<ReadonlyArray<string>>): string =>
  all.map((lines) => lines.join("\n")).join("\n\n")
