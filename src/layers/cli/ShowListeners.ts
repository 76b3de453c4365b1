/** What `show listeners` prints, and the listeners of an application in `show app` (W21). */
import type * as Report from "../../domain/report/Report.ts"
import { blocks, type Column, endpointColumn, indented, type Look, widthOf, within, wrapped } from "./Table.ts"
import { orNone, printable, ranges, size, time, times } from "./Words.ts"

/** What was counted by reason, as far as there was any. */
const counted = (counts: Readonly<Record<string, number>>): ReadonlyArray<readonly [string, number]> =>
  Object.entries(counts).filter(([, count]) => count !== 0)

const refusals = ({ arrivals }: Report.ListenerReport) => counted(arrivals.refused)
/** Datagrams dropped. */
const drops = ({ arrivals }: Report.ListenerReport) => counted(arrivals.dropped)
/** Sessions ended by neither side. */
const ends = ({ arrivals }: Report.ListenerReport) => counted(arrivals.ended)

const sum = (counts: ReadonlyArray<readonly [string, number]>) => `${counts.reduce((sum, [, count]) => sum + count, 0)}`

/** Scopes in one word. */
export const scope = (scopes: Report.ListenerReport["scopes"]): string => scopes.length > 1 ? "both" : scopes[0] ?? "-"

/** How long claims have taken, in brief. */
const claims = ({ times: { claim } }: Report.ListenerReport): ReadonlyArray<string> =>
  claim.count === 0 ? [] : [`claim p50 ${time(claim.p50Millis)}`, `p99 ${time(claim.p99Millis)}`]

const place: ReadonlyArray<Column<Report.ListenerReport>> = [
  { head: "Listener", cell: (listener) => listener.handle },
  endpointColumn("Endpoint", ({ endpoint }) => endpoint, 20)
]

const owner: ReadonlyArray<Column<Report.ListenerReport>> = [
  { head: "App", cell: (listener) => orNone(listener.app), least: 6 },
  { head: "Scope", cell: ({ scopes }) => scope(scopes) }
]

const use: ReadonlyArray<Column<Report.ListenerReport>> = [
  { head: "Workers", cell: (listener) => ranges(listener.workers), least: 7 },
  { head: "Sessions", cell: (listener) => `${listener.sessions}`, right: true },
  { head: "Held", cell: (listener) => `${listener.arrivals.held}`, right: true },
  { head: "Refused", cell: (listener) => sum(refusals(listener)), right: true }
]

const more: ReadonlyArray<Column<Report.ListenerReport>> = [
  { head: "Placement", cell: (listener) => listener.placement },
  { head: "Refuses with", cell: (listener) => listener.refusesWith },
  { head: "Arrived", cell: ({ arrivals }) => `${arrivals.arrived}`, right: true },
  { head: "Offered", cell: ({ arrivals }) => `${arrivals.offered}`, right: true },
  { head: "Claimed", cell: ({ arrivals }) => `${arrivals.claimed}`, right: true },
  { head: "Moved", cell: ({ arrivals }) => `${arrivals.moved}`, right: true },
  { head: "Withdrawn", cell: ({ arrivals }) => `${arrivals.withdrawn}`, right: true },
  { head: "Redirected", cell: ({ arrivals }) => `${arrivals.redirected}`, right: true },
  { head: "Dropped", cell: (listener) => sum(drops(listener)), right: true },
  { head: "Ended", cell: (listener) => sum(ends(listener)), right: true },
  { head: "In", cell: ({ bytesIn }) => size(bytesIn), right: true },
  { head: "Out", cell: ({ bytesOut }) => size(bytesOut), right: true },
  { head: "Claim", cell: (listener) => times(listener.times.claim) },
  { head: "Hold", cell: (listener) => times(listener.times.hold) },
  { head: "Answer", cell: (listener) => times(listener.times.answer) },
  { head: "Session", cell: (listener) => times(listener.times.length) },
  { head: "Client", cell: (listener) => orNone(listener.client) },
  { head: "Requested", cell: (listener) => printable(listener.requested) },
  {
    head: "Managers (worker: manager)",
    cell: (listener) => orNone(listener.managers.map(({ manager, worker }) => `${worker}: ${manager}`).join(", "))
  }
]

const lines = (
  columns: ReadonlyArray<Column<Report.ListenerReport>>,
  listeners: ReadonlyArray<Report.ListenerReport>,
  look: Look,
  brief: (listener: Report.ListenerReport) => ReadonlyArray<string>
): Array<string> => {
  if (listeners.length === 0) return ["no active listeners"]
  const below = (listener: Report.ListenerReport) => {
    const refused = refusals(listener).map(([reason, count]) => `${reason} ${count}`)
    const dropped = drops(listener).map(([reason, count]) => `datagrams ${reason} ${count}`)
    const ended = ends(listener).map(([reason, count]) => `ended ${reason} ${count}`)
    const width = widthOf(within(look))
    return indented([...wrapped([...refused, ...dropped, ...ended], width), ...wrapped(brief(listener), width)])
  }
  const [[head = "", ...rows] = [], ...others] = blocks(columns, listeners, look)
  return [
    head,
    ...rows.flatMap((row, index) => [row, ...below(listeners[index]!)]),
    ...others.flatMap((block) => ["", ...block])
  ]
}

/** The lines for the listeners of one application; under each, why it refused connections. */
export const ofApp = (listeners: ReadonlyArray<Report.ListenerReport>, look: Look): Array<string> =>
  lines([...place, ...use], listeners, look, () => [])

/** The text of `show listeners`; in the plain form, how long claims take is below each, and why it refused connections. */
export const format = (
  listeners: ReadonlyArray<Report.ListenerReport>,
  look: Look
): string =>
  lines([...place, ...owner, ...use, ...(look.verbose ? more : [])], listeners, look, look.verbose ? () => [] : claims)
    .join("\n")
