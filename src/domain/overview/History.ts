/**
 * What a viewer keeps of the overviews that it has seen: the latest rates, and a minute of what is drawn over time.
 *
 * A value: each overview makes another one. Where a new host answers, history begins again.
 */
import type { Overview, WorkerView } from "./Overview.ts"
import { between, type Rates } from "./Rates.ts"

/** How many samples are kept of each thing. */
export const SAMPLES = 60

export interface History {
  readonly latest: Overview
  /** Between the two latest; `undefined` while there is only one of this host. */
  readonly rates: Rates | undefined
  /** Connections that arrived in a second, the latest last; and the most that there were in one since it was begun. */
  readonly arrived: ReadonlyArray<number>
  readonly arrivedHighest: number
  /** By handle of a worker: which part of the time it was busy, from 0 to 1, the latest last. */
  readonly busy: ReadonlyMap<string, ReadonlyArray<number>>
}

const appended = (samples: ReadonlyArray<number> = [], sample: number): ReadonlyArray<number> =>
  [...samples, sample].slice(-SAMPLES)

/** How busy a worker's loop is; of one that shares the host's thread, how much of the time it was congested. */
const busyOf = ({ behindMillis, handle, thread }: WorkerView, rates: Rates | undefined): number =>
  thread?.utilization ?? (behindMillis > 0 ? 1 : rates?.workers.get(handle)?.congested ?? 0)

/** The history with one overview more. */
export const add = (history: History | undefined, latest: Overview): History => {
  const rates = history === undefined ? undefined : between(history.latest, latest)
  // another host, or the same overview once more
  const before = rates === undefined ? undefined : history
  return {
    latest,
    rates,
    arrived: rates === undefined ? [] : appended(before?.arrived, rates.arrived),
    arrivedHighest: Math.max(before?.arrivedHighest ?? 0, rates?.arrived ?? 0),
    busy: new Map(
      latest.workers.map((worker) => [worker.handle, appended(before?.busy.get(worker.handle), busyOf(worker, rates))])
    )
  }
}
