/** What `show connects` prints: connects that are half-open (W14, W21). */
import type * as Report from "../../domain/report/Report.ts"
import { type Column, endpointColumn, type Look, tableOr } from "./Table.ts"
import { orNone, time } from "./Words.ts"

const columns: ReadonlyArray<Column<Report.ConnectReport>> = [
  { head: "App", cell: (connect) => orNone(connect.app), least: 6 },
  { head: "Worker", cell: (connect) => `${connect.worker}` },
  endpointColumn("Endpoint", ({ endpoint }) => endpoint, 14),
  endpointColumn("Source", ({ source }) => source, 12),
  { head: "Scope", cell: (connect) => connect.scope },
  { head: "Age", cell: (connect) => time(connect.ageMillis), right: true },
  { head: "Timeout", cell: (connect) => time(connect.timeoutMillis), right: true }
]

const more: ReadonlyArray<Column<Report.ConnectReport>> = [
  { head: "App index", cell: (connect) => `${connect.appIndex}`, right: true },
  { head: "Worker handle", cell: (connect) => connect.workerHandle },
  { head: "Request", cell: (connect) => `${connect.request}`, right: true }
]

/** The lines for connects, or `nothing` when there are none. */
export const lines = (
  connects: ReadonlyArray<Report.ConnectReport>,
  { nothing, ...look }: Look & { readonly nothing: string }
): Array<string> => tableOr(nothing, look.verbose ? [...columns, ...more] : columns, connects, look)

/** The text of `show connects`. */
export const format = (connects: ReadonlyArray<Report.ConnectReport>, look: Look): string =>
  lines(connects, { ...look, nothing: "no connects" }).join("\n")
