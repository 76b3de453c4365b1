/**
 * What `show app` prints: a host's report as text (W21, M12).
 *
 * The plain form fits 80 columns: in each table one column gives way, and a text cut short ends in `…`. The verbose
 * form cuts nothing.
 *
 * @since 0.1.0
 */
import type * as Report from "../domain/Report.ts"

const WIDTH = 80
const INDENT = "  "
const GAP = "  "

interface Column<A> {
  readonly head: string
  readonly cell: (row: A) => string
  /** Numbers stand to the right. */
  readonly right?: boolean
  /** Gives way to this width when the table is too wide. */
  readonly least?: number
}

/** Text of applications and of errors, on one line and without what a terminal would obey. */
const printable = (text: string): string => text.replace(/\p{Cc}+/gu, " ").trim()

const orNone = (text: string): string => text === "" ? "-" : printable(text)

const cut = (text: string, width: number): string => text.length > width ? `${text.slice(0, width - 1)}…` : text

/** The lines of a table: its header row, and one for each row. */
const table = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  width: number
): Array<string> => {
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (columns.length - 1) - width
  const fitted = widths.map((full, column) => {
    const given = Math.max(0, Math.min(excess, full - (columns[column]?.least ?? full)))
    excess -= given
    return full - given
  })
  return cells.map((line) =>
    line.map((cell, column) => {
      const shown = cut(cell, fitted[column] ?? 0)
      return columns[column]?.right === true ? shown.padStart(fitted[column] ?? 0) : shown.padEnd(fitted[column] ?? 0)
    }).join(GAP).trimEnd()
  )
}

/** Parts joined by commas, on as many lines as they need. */
const wrapped = (parts: ReadonlyArray<string>, width: number): Array<string> => {
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

const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`

/** Numbers in order, neighbours drawn together: `0-3,7`. */
const ranges = (numbers: ReadonlyArray<number>): string => {
  const runs: Array<[number, number]> = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && number <= last[1] + 1) last[1] = number
    else runs.push([number, number])
  }
  return runs.length === 0 ? "-" : runs.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",")
}

const appColumns: ReadonlyArray<Column<Report.App>> = [
  { head: "App", cell: (app) => `${app.index}` },
  { head: "Name", cell: (app) => orNone(app.name), least: 20 },
  { head: "Client", cell: (app) => orNone(app.client), least: 20 },
  { head: "Namespace", cell: (app) => orNone(app.namespace), least: 20 }
]

const segmentColumns: ReadonlyArray<Column<Report.App>> = [
  { head: "First segment", cell: (app) => size(app.firstSegmentSize), right: true },
  { head: "Add segment", cell: (app) => app.addSegmentSize === 0 ? "none" : size(app.addSegmentSize), right: true },
  { head: "Rx fifo", cell: (app) => size(app.rxFifoSize), right: true },
  { head: "Tx fifo", cell: (app) => size(app.txFifoSize), right: true }
]

const workerColumns: ReadonlyArray<Column<Report.Worker>> = [
  { head: "Worker", cell: (worker) => `${worker.workerIndex}` },
  { head: "App", cell: (worker) => `${worker.appIndex}` },
  { head: "Map", cell: (worker) => `${worker.mapIndex}` },
  { head: "Client", cell: (worker) => orNone(worker.client), least: 6 },
  { head: "Kind", cell: (worker) => worker.kind },
  { head: "State", cell: (worker) => worker.state },
  { head: "Congested", cell: (worker) => worker.congested ? "yes" : "no" },
  { head: "Sessions", cell: (worker) => `${worker.sessions}`, right: true }
]

const refusals = (listener: Report.Listener): ReadonlyArray<readonly [string, number]> =>
  Object.entries(listener.arrivals.refused).filter(([, count]) => count !== 0)

const listenerColumns: ReadonlyArray<Column<Report.Listener>> = [
  { head: "Listener", cell: (listener) => printable(listener.endpoint), least: 20 },
  { head: "Workers", cell: (listener) => ranges(listener.workers), least: 7 },
  { head: "Sessions", cell: (listener) => `${listener.sessions}`, right: true },
  { head: "Held", cell: (listener) => `${listener.arrivals.held}`, right: true },
  {
    head: "Refused",
    cell: (listener) => `${refusals(listener).reduce((sum, [, count]) => sum + count, 0)}`,
    right: true
  }
]

const workerDetails = (worker: Report.Worker): Array<string> => {
  const { postponed, queue, segments } = worker
  const depth = (name: string, { size, used }: { readonly used: number; readonly size: number }) =>
    `${name} ${used}/${size}`
  const failure = worker.lastFailure === null ? "" : `, last failure: ${printable(worker.lastFailure)}`
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["queues", [depth("index", queue.index), depth("io", queue.io), depth("control", queue.control)].join(", ")],
    ["postponed", `${postponed.now} now (${size(postponed.bytes)}), ${postponed.highest} at most`],
    ["congested", `${plural(worker.timesCongested, "time")}, ${time(worker.congestedMillis)} in total`],
    [
      "behind",
      `${plural(worker.behind.offers, "offer")} now, ${plural(worker.behind.times, "time")}, ${
        time(worker.behind.millis)
      } in total`
    ],
    ["last progress", `${time(worker.lastProgressMillis)} ago`],
    ["restarts", `${worker.restarts}${failure}`],
    [
      "segments",
      `${segments.count} with ${size(segments.bytes)}, ${size(segments.hostBytes)} of the host's, ` +
      `${size(segments.used)} used`
    ]
  ]
  return [`Worker ${worker.workerIndex}`, ...rows.map(([name, text]) => `${INDENT}${name.padEnd(13)}${GAP}${text}`)]
}

const indented = (lines: ReadonlyArray<string>): Array<string> =>
  lines.map((line) => line === "" ? "" : `${INDENT}${line}`)

const listeners = (app: Report.App, width: number): Array<string> => {
  if (app.listeners.length === 0) return ["no active listeners"]
  const [head = "", ...rows] = table(listenerColumns, app.listeners, width)
  const reasons = (listener: Report.Listener | undefined) =>
    listener === undefined
      ? []
      : indented(wrapped(refusals(listener).map(([reason, count]) => `${reason} ${count}`), width - INDENT.length))
  return [head, ...rows.flatMap((row, index) => [row, ...reasons(app.listeners[index])])]
}

const section = (app: Report.App, verbose: boolean): Array<string> => {
  const width = verbose ? Infinity : WIDTH
  const inner = width - INDENT.length
  return [
    ...table(verbose ? [...appColumns, ...segmentColumns] : appColumns, [app], width),
    "",
    ...indented([
      ...table(workerColumns, app.workers, inner),
      "",
      ...(verbose ? app.workers.flatMap((worker) => [...workerDetails(worker), ""]) : []),
      ...listeners(app, inner)
    ])
  ]
}

const host = (report: Report.Host): string =>
  [
    `host ${report.version}`,
    `pid ${report.pid}`,
    `up ${time(report.uptimeMillis)}`,
    plural(report.sessions, "session"),
    ...(report.draining ? ["draining"] : [])
  ].join(", ")

/**
 * The text of `show app`, without a newline at its end.
 *
 * **Details** What does not add up in the host's ledger is said at the end, in both forms (M14).
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (report: Report.Host, options: { readonly verbose: boolean }): string => {
  const apps = report.apps.length === 0
    ? [["no active apps"]]
    : report.apps.map((app) => section(app, options.verbose))
  const wrong = report.imbalances.map((imbalance) => `the ledger does not balance: ${printable(imbalance)}`)
  return [
    ...(options.verbose ? [[host(report)]] : report.draining ? [["the host is draining"]] : []),
    ...apps,
    ...(wrong.length === 0 ? [] : [wrong])
  ].map((lines) => lines.join("\n")).join("\n\n")
}
