/**
 * The tables of `top`: which columns there are, and which of them a screen has room for.
 *
 * Columns have fixed widths, so nothing jumps when values change. Those of the lowest rank are always there; as many of the
 * others are added, rank by rank, as have room; one column takes what is left.
 */
import type { History } from "../../../domain/overview/History.ts"
import type * as Overview from "../../../domain/overview/Overview.ts"
import { STUCK } from "../../../domain/overview/Verdict.ts"
import type * as Report from "../../../domain/report/Report.ts"
import { address } from "../Words.ts"
import { bytes, count, rate, share, span, sparkline } from "./ScreenNumbers.ts"
import { cell, cut, fit, type ScreenLine, type Span, type Style, widthOf } from "./ScreenText.ts"

export interface TopColumn<A> {
  readonly head: string
  /** Columns of the terminal; of the one that takes what is left, the fewest. */
  readonly width: number
  /** The most that it takes, for the one that takes what is left. */
  readonly most?: number
  readonly rank: number
  readonly right?: boolean
  readonly keep?: "start" | "end"
  readonly text: (row: A, width: number) => string
  readonly style?: (row: A) => Style | undefined
}

// ---- workers

export interface WorkerRow {
  readonly worker: Overview.WorkerView
  readonly history: History
}

/** The one word that says most about a worker. */
export const standing = ({ behindMillis, congested, state, takes }: Overview.WorkerView): string => {
  if (behindMillis >= STUCK) return "STUCK"
  // what is not there takes no sessions anyway
  if (state !== "RUNNING") return state
  if (congested) return "CONGESTED"
  if (takes === "full") return "FULL"
  if (takes === "busy") return "BUSY"
  return takes === "no-memory" ? "NO MEMORY" : state
}

const gravity = (worker: Overview.WorkerView): Style | undefined => {
  const word = standing(worker)
  if (word === "RUNNING") return undefined
  return word === "STUCK" || word === "CRASHED" || word === "BACKOFF" || word === "UNRESPONSIVE" ? "bad" : "warning"
}

/** The name of an application and a worker's number, of which the number is always seen. */
const named = (app: string, number: number, width: number): string => {
  const at = ` ${number}`
  return cut(app, width - at.length) + at
}

const ratesOf = ({ history, worker }: WorkerRow) => history.rates?.workers.get(worker.handle)

export const workers: ReadonlyArray<TopColumn<WorkerRow>> = [
  { head: "Worker", width: 6, rank: 0, text: ({ worker }) => worker.handle },
  { head: "App", width: 8, rank: 0, text: ({ worker }, width) => named(worker.app, worker.worker, width) },
  { head: "State", width: 9, rank: 0, text: ({ worker }) => standing(worker), style: ({ worker }) => gravity(worker) },
  {
    head: "Behind",
    width: 6,
    rank: 0,
    right: true,
    text: ({ worker }) => span(worker.behindMillis),
    style: ({ worker }) => worker.behindMillis >= STUCK ? "bad" : undefined
  },
  { head: "Claim p50", width: 9, rank: 4, right: true, text: ({ worker }) => span(worker.claim.recent.p50Millis) },
  { head: "Claim p99", width: 9, rank: 0, right: true, text: ({ worker }) => span(worker.claim.recent.p99Millis) },
  { head: "Claim max", width: 9, rank: 5, right: true, text: ({ worker }) => span(worker.claim.all.maxMillis) },
  { head: "Claims/s", width: 8, rank: 3, right: true, text: (row) => rate(ratesOf(row)?.claimed) },
  {
    head: "Loop",
    width: 4,
    rank: 0,
    right: true,
    text: ({ worker: { thread } }) => thread === null ? "-" : share(thread.utilization)
  },
  {
    head: "CPU",
    width: 4,
    rank: 0,
    right: true,
    text: ({ worker: { thread } }) => thread === null ? "-" : share(thread.processors)
  },
  {
    head: "Heap",
    width: 9,
    rank: 0,
    right: true,
    text: ({ worker: { thread } }) => thread === null ? "-" : `${bytes(thread.heapUsed)}/${bytes(thread.heapLimit)}`
  },
  {
    head: "Memory",
    width: 9,
    rank: 7,
    right: true,
    text: ({ worker: { memory } }) => `${bytes(memory.now)}/${bytes(memory.limit)}`
  },
  { head: "Sess", width: 5, rank: 0, right: true, text: ({ worker }) => count(worker.sessions.now) },
  { head: "Queue", width: 9, rank: 6, right: true, text: ({ worker: { queue } }) => `${queue.now}/${queue.limit}` },
  { head: "Postp", width: 5, rank: 1, right: true, text: ({ worker }) => count(worker.postponed.now) },
  { head: "Restarts", width: 8, rank: 2, right: true, text: ({ worker }) => count(worker.restarts) },
  { head: "Gen", width: 3, rank: 8, right: true, text: ({ worker }) => `${worker.generation}` },
  { head: "In/s", width: 5, rank: 9, right: true, text: (row) => bytesRate(ratesOf(row)?.bytesIn) },
  { head: "Out/s", width: 5, rank: 9, right: true, text: (row) => bytesRate(ratesOf(row)?.bytesOut) },
  {
    head: "Busy",
    width: 10,
    most: 60,
    rank: 0,
    text: ({ history, worker }, width) => sparkline(history.busy.get(worker.handle) ?? [], 1, width),
    style: ({ worker }) => gravity(worker)
  }
]

const bytesRate = (value: number | undefined): string => value === undefined ? "-" : bytes(value)

// ---- listeners

export interface ListenerRow {
  readonly listener: Overview.ListenerView
  readonly history: History
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, one) => sum + one, 0)

const flow = ({ history, listener }: ListenerRow) => history.rates?.listeners.get(listener.handle)

export const listeners: ReadonlyArray<TopColumn<ListenerRow>> = [
  { head: "Listener", width: 8, rank: 0, text: ({ listener }) => listener.handle },
  {
    head: "Endpoint",
    width: 17,
    most: 40,
    rank: 0,
    keep: "end",
    text: ({ listener }, width) => widthOf(listener.endpoint) <= width ? listener.endpoint : address(listener.endpoint)
  },
  { head: "App", width: 10, rank: 2, text: ({ listener }) => listener.app },
  { head: "Conn/s", width: 6, rank: 1, right: true, text: (row) => rate(flow(row)?.arrived) },
  { head: "Offered", width: 8, rank: 0, right: true, text: ({ listener }) => count(listener.offered) },
  { head: "Claimed", width: 8, rank: 0, right: true, text: ({ listener }) => count(listener.claimed) },
  {
    head: "Revoked",
    width: 7,
    rank: 0,
    right: true,
    text: ({ listener }) => count(listener.revoked),
    style: (row) => (flow(row)?.revoked ?? 0) > 0 ? "warning" : undefined
  },
  { head: "Moved", width: 7, rank: 5, right: true, text: ({ listener }) => count(listener.moved) },
  {
    head: "Refused",
    width: 7,
    rank: 0,
    right: true,
    text: ({ listener }) => count(sum(listener.refused.all)),
    style: ({ listener }) => sum(listener.refused.recent) > 0 ? "bad" : undefined
  },
  { head: "Lost", width: 5, rank: 5, right: true, text: ({ listener }) => count(listener.lost) },
  {
    head: "Held",
    width: 5,
    rank: 0,
    right: true,
    text: ({ listener }) => count(listener.held.now),
    style: ({ listener }) => listener.held.now > 0 ? "warning" : undefined
  },
  { head: "Held max", width: 8, rank: 6, right: true, text: ({ listener }) => count(listener.held.highest) },
  { head: "Sess", width: 5, rank: 0, right: true, text: ({ listener }) => count(listener.sessions.now) },
  { head: "Sess max", width: 8, rank: 6, right: true, text: ({ listener }) => count(listener.sessions.highest) },
  { head: "Claim p99", width: 9, rank: 3, right: true, text: ({ listener }) => span(listener.claim.recent.p99Millis) },
  { head: "Hold p99", width: 8, rank: 4, right: true, text: ({ listener }) => span(listener.hold.recent.p99Millis) },
  { head: "In/s", width: 5, rank: 7, right: true, text: (row) => bytesRate(flow(row)?.bytesIn) },
  { head: "Out/s", width: 5, rank: 7, right: true, text: (row) => bytesRate(flow(row)?.bytesOut) },
  {
    head: "Ledger",
    width: 6,
    rank: 0,
    text: ({ listener }) => listener.imbalances.length === 0 ? "ok" : "WRONG",
    style: ({ listener }) => listener.imbalances.length === 0 ? undefined : "bad"
  }
]

// ---- sessions

export const sessions: ReadonlyArray<TopColumn<Report.SessionReport>> = [
  { head: "Session", width: 8, rank: 0, text: ({ handle }) => handle },
  { head: "App", width: 8, rank: 0, text: ({ app, worker }, width) => named(app, worker, width) },
  { head: "State", width: 10, rank: 0, text: ({ parked, state }) => parked ? "parked" : state },
  { head: "Remote", width: 21, most: 48, rank: 0, keep: "end", text: ({ remote }) => address(remote ?? "") },
  { head: "Local", width: 21, rank: 2, keep: "end", text: ({ local }) => address(local ?? "") },
  { head: "Age", width: 6, rank: 0, right: true, text: ({ ageMillis }) => span(ageMillis) },
  { head: "In", width: 5, rank: 0, right: true, text: ({ bytesIn }) => bytesIn === null ? "-" : bytes(bytesIn) },
  { head: "Out", width: 5, rank: 0, right: true, text: ({ bytesOut }) => bytesOut === null ? "-" : bytes(bytesOut) },
  { head: "Unread", width: 6, rank: 1, right: true, text: ({ rx }) => rx === null ? "-" : bytes(rx.used) },
  { head: "Unsent", width: 6, rank: 1, right: true, text: ({ tx }) => tx === null ? "-" : bytes(tx.used) },
  { head: "Moves", width: 5, rank: 1, right: true, text: ({ moves }) => `${moves}` }
]

/** The column that shows what sessions are sorted by. */
export const headOf: Readonly<Record<Report.SessionSorting, string>> = {
  age: "Age",
  in: "In",
  out: "Out",
  unread: "Unread",
  unsent: "Unsent",
  moves: "Moves",
  remote: "Remote",
  local: "Local",
  worker: "App",
  state: "State"
}

// ---- a table

/** Before each row stands whether it is the selected one. */
const MARGIN = 1

/** The columns that have room, each with the width that it gets. */
const chosen = <A>(columns: ReadonlyArray<TopColumn<A>>, width: number): ReadonlyArray<TopColumn<A>> => {
  const ranks = [...new Set(columns.map(({ rank }) => rank))].sort((a, b) => a - b)
  const upTo = (rank: number) => columns.filter((column) => column.rank <= rank)
  const needed = (some: ReadonlyArray<TopColumn<A>>) => some.reduce((sum, { width }) => sum + width + 1, MARGIN - 1)
  const all = upTo(ranks.findLast((rank) => rank === 0 || needed(upTo(rank)) <= width) ?? 0)
  let left = Math.max(0, width - needed(all))
  return all.map((column) => {
    if (column.most === undefined) return column
    const more = Math.min(left, column.most - column.width)
    left -= more
    return { ...column, width: column.width + more }
  })
}

/** A table as lines, the head first; `rows` of it are shown, and the selected one is marked. */
export const table = <A>(
  columns: ReadonlyArray<TopColumn<A>>,
  rows: ReadonlyArray<A>,
  width: number,
  { isSelected = () => false, sorted }: {
    readonly isSelected?: (row: A) => boolean
    /** The head of the column by which the rows are sorted. */
    readonly sorted?: string | undefined
  } = {}
): ReadonlyArray<ScreenLine> => {
  const shown = chosen(columns, width)
  const heads = shown.map(({ head, right = false, width }) => {
    const marked = head === sorted && widthOf(head) < width ? `${head}*` : head
    return cell(marked, width, { right })
  })
  const head: ScreenLine = [{ text: ` ${heads.join(" ")}`.padEnd(width), style: "head" }]
  const lines = rows.map((row): ScreenLine => {
    const selected = isSelected(row)
    const cells = shown.flatMap(({ keep, right = false, style, text, width }, at): ReadonlyArray<Span> => [
      { text: at === 0 ? selected ? ">" : " " : " ", style: selected ? "selected" : undefined },
      {
        text: cell(text(row, width), width, keep === undefined ? { right } : { right, keep }),
        style: selected ? "selected" : style?.(row)
      }
    ])
    return fit(cells, width)
  })
  return [fit(head, width), ...lines]
}
