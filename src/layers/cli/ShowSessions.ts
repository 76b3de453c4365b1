/** What `show sessions` prints (W21). */
import type * as Report from "../../domain/report/Report.ts"
import { type Column, endpointColumn, type Look, sections, tableOr } from "./Table.ts"
import { grouped, orNone, size, time } from "./Words.ts"

type Session = Report.SessionReport

const owner: ReadonlyArray<Column<Session>> = [
  { head: "Session", cell: (session) => session.handle },
  { head: "App", cell: (session) => orNone(session.app), least: 6 },
  { head: "Worker", cell: (session) => `${session.worker}` }
]

const state: ReadonlyArray<Column<Session>> = [
  { head: "State", cell: (session) => session.state }
]

/** Where there is little room, one word says both: a session that is parked is open, and stands between two messages. */
const stateOrParked: ReadonlyArray<Column<Session>> = [
  { head: "State", cell: (session) => session.parked ? "parked" : session.state }
]

const moved: Column<Session> = {
  head: "Moved",
  cell: ({ moved, moves }) => moved === null ? "-" : `${moves} ${moved}`
}

const parking: ReadonlyArray<Column<Session>> = [
  { head: "Parked", cell: ({ parked }) => parked ? "yes" : "no" },
  moved
]

const ends: ReadonlyArray<Column<Session>> = [
  endpointColumn("Local", ({ local }) => local, 10),
  endpointColumn("Remote", ({ remote }) => remote, 10),
  { head: "Age", cell: (session) => time(session.ageMillis), right: true }
]

const origin: ReadonlyArray<Column<Session>> = [
  { head: "Worker handle", cell: (session) => session.workerHandle },
  { head: "Listener", cell: (session) => orNone(session.listener) },
  { head: "Transport", cell: (session) => session.transport },
  { head: "Kind", cell: (session) => session.kind },
  { head: "Placement", cell: (session) => session.placement }
]

const fifo = (name: string, of: (session: Session) => Session["rx"]): ReadonlyArray<Column<Session>> => {
  const cell = (part: "used" | "size" | "memory") => (session: Session) => {
    const bytes = of(session)?.[part]
    return bytes === undefined ? "-" : size(bytes)
  }
  return [
    { head: name, cell: cell("used"), right: true },
    { head: `${name} size`, cell: cell("size"), right: true },
    { head: `${name} memory`, cell: cell("memory"), right: true }
  ]
}

const verboseColumns = [
  ...owner,
  ...origin,
  ...state,
  ...parking,
  ...ends,
  ...fifo("Rx", ({ rx }) => rx),
  ...fifo("Tx", ({ tx }) => tx),
  { head: "Dropped", cell: (session: Session) => `${session.dropped}`, right: true }
]

/** The text of `show sessions`. */
export const format = (
  { next, sessions, total }: Report.SessionsReport,
  look: Look
): string => {
  // few sessions ever move, and there is little room
  const anyMoved = sessions.some(({ moves }) => moves > 0)
  const columns = look.verbose ? verboseColumns : [...owner, ...stateOrParked, ...(anyMoved ? [moved] : []), ...ends]
  const lines = tableOr("no sessions", columns, sessions, look)
  const shown = total === undefined
    ? `${grouped(sessions.length)} sessions, and there are more`
    : `${grouped(sessions.length)} of ${grouped(total)} sessions`
  const isAll = total === undefined ? next === undefined : sessions.length >= total
  const rest = isAll ? [] : [[`${shown}; --limit shows more`]]
  return sections([lines, ...rest])
}
