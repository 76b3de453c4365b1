/**
 * Which workers, listeners and sessions a choice is about, and in what order. Sessions may be many, so it is the host that
 * finds and sorts them (`sessionQuery`).
 */
import type * as Overview from "../../../domain/overview/Overview.ts"
import { sessionLimit, type SessionQuery } from "../../../services/ControlApi.ts"
import type { TopChoice } from "./TopChoice.ts"

interface Order {
  /** The column that it is by. */
  readonly head: string
  /** Workers with more of it come first. */
  readonly value: (worker: Overview.WorkerView) => number
}

const isRunning = ({ state }: Overview.WorkerView): boolean => state === "RUNNING"

/** The orders of workers. The first one has whoever is in trouble on top. */
export const orders: ReadonlyArray<Order> = [
  {
    head: "Behind",
    value: (worker) => worker.behindMillis + (isRunning(worker) ? worker.congested ? 1 : 0 : 0.5)
  },
  { head: "Claim p99", value: ({ claim }) => claim.recent.p99Millis },
  { head: "Loop", value: ({ thread }) => thread?.utilization ?? -1 },
  { head: "CPU", value: ({ thread }) => thread?.processors ?? -1 },
  { head: "Heap", value: ({ thread }) => thread === null ? -1 : thread.heapUsed / thread.heapLimit },
  { head: "Sess", value: ({ sessions }) => sessions.now },
  { head: "Worker", value: () => 0 }
]

const fits = (view: TopChoice, ...texts: ReadonlyArray<string>): boolean => {
  const wanted = (view.typing ?? view.filter).toLowerCase()
  return wanted === "" || texts.some((text) => text.toLowerCase().includes(wanted))
}

/** The workers that the filter lets pass, in their order. */
export const workersOf = ({ workers }: Overview.Overview, view: TopChoice): ReadonlyArray<Overview.WorkerView> => {
  const { value } = orders[view.order]!
  const rows = workers.filter((worker) => fits(view, worker.handle, `${worker.app} ${worker.worker}`, worker.state))
    .sort((a, b) => value(b) - value(a) || a.appIndex - b.appIndex || a.worker - b.worker)
  return view.reversed ? rows.reverse() : rows
}

/** The listeners that the filter lets pass. */
export const listenersOf = ({ listeners }: Overview.Overview, view: TopChoice): ReadonlyArray<Overview.ListenerView> =>
  listeners.filter(({ app, endpoint, handle }) => fits(view, handle, endpoint, app))

/** What to ask the host for: which sessions, of all that it has, and in what order. */
export const sessionQuery = (view: TopChoice): SessionQuery => {
  const search = view.typing ?? view.filter
  const after = view.pages.at(-1)
  return {
    ...(view.of === undefined ? {} : { worker: view.of }),
    ...(search === "" ? {} : { search }),
    ...(after === undefined ? {} : { after }),
    sort: view.sort,
    ...(view.sortReversed ? { reversed: true } : {}),
    limit: sessionLimit.page
  }
}
