/**
 * What `show local` prints: the local tables, cut-through sessions, and connects that wait for a worker of this host
 * (W16, W17, W21).
 */
import type * as Report from "../../domain/report/Report.ts"
import * as ShowConnects from "./ShowConnects.ts"
import { type Column, endpointColumn, type Look, sections, tableOr } from "./Table.ts"
import { orNone, size, time } from "./Words.ts"

const listenerColumns: ReadonlyArray<Column<Report.LocalListenerReport>> = [
  { head: "Listener", cell: (entry) => entry.listener },
  endpointColumn("Endpoint", ({ endpoint }) => endpoint, 20),
  { head: "App", cell: (entry) => orNone(entry.app), least: 16 },
  { head: "Namespace", cell: (entry) => orNone(entry.namespace), least: 16 }
]

const endColumns = (
  head: string,
  of: (session: Report.LocalSessionReport) => Report.LocalEnd
): ReadonlyArray<Column<Report.LocalSessionReport>> => [
  { head, cell: (session) => `${orNone(of(session).app)} ${of(session).worker}`, least: 6, keep: "end" },
  { head: "Session", cell: (session) => of(session).session },
  { head: "State", cell: (session) => of(session).state }
]

const sessionColumns: ReadonlyArray<Column<Report.LocalSessionReport>> = [
  endpointColumn("Endpoint", ({ endpoint }) => endpoint, 12),
  ...endColumns("Server", ({ server }) => server),
  ...endColumns("Client", ({ client }) => client)
]

const moreColumns: ReadonlyArray<Column<Report.LocalSessionReport>> = [
  { head: "Server worker", cell: ({ server }) => server.workerHandle },
  { head: "Client worker", cell: ({ client }) => client.workerHandle },
  { head: "Segment", cell: (session) => size(session.segmentBytes), right: true },
  { head: "Age", cell: (session) => time(session.ageMillis), right: true }
]

/** The text of `show local`. */
export const format = (locals: Report.LocalsReport, look: Look): string => {
  return sections([
    tableOr("no local listeners", listenerColumns, locals.listeners, look),
    tableOr(
      "no local sessions",
      look.verbose ? [...sessionColumns, ...moreColumns] : sessionColumns,
      locals.sessions,
      look
    ),
    ShowConnects.lines(locals.connects, { ...look, nothing: "no local connects" })
  ])
}
