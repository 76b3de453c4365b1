/**
 * What happens in a second, from two overviews of a host.
 *
 * Counters that have gone back are those of another host, or of something that is new under the same name: their rate is
 * 0, and never less. Where the two overviews are of different hosts, nothing can be said.
 *
 * @since 0.1.0
 */
import type { ListenerView, Overview, Sums, WorkerView } from "./Overview.ts"

/**
 * By the second.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rates {
  readonly arrived: number
  readonly claimed: number
  readonly refused: number
  readonly revoked: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** By handle. */
  readonly workers: ReadonlyMap<string, WorkerRates>
  readonly listeners: ReadonlyMap<string, ListenerRates>
}

/**
 * By the second; `congested` is the part of the time, from 0 to 1, in which the worker was.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerRates {
  readonly claimed: number
  readonly revoked: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly congested: number
}

/**
 * By the second.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListenerRates {
  readonly arrived: number
  readonly claimed: number
  readonly revoked: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Whether both are of one host: a process that has gone on. */
const isSame = (before: Overview, after: Overview): boolean =>
  before.host.pid === after.host.pid && before.host.upMillis <= after.host.upMillis && before.at < after.at

const byHandle = <A extends { readonly handle: string }>(all: ReadonlyArray<A>): ReadonlyMap<string, A> =>
  new Map(all.map((one) => [one.handle, one]))

/**
 * The rates between two overviews; `undefined` when they are not of one host, or not in their order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const between = (before: Overview, after: Overview): Rates | undefined => {
  if (!isSame(before, after)) return undefined
  const seconds = (after.at - before.at) / 1000
  const rate = (from: number, to: number): number => to < from ? 0 : (to - from) / seconds
  const of = <K extends string>(
    keys: ReadonlyArray<K>,
    from: { readonly [key in K]: number } | undefined,
    to: { readonly [key in K]: number }
    // what was not there before has counted nothing that could be told
  ) =>
    Object.fromEntries(keys.map((key) => [key, from === undefined ? 0 : rate(from[key], to[key])])) as Record<K, number>
  const workersBefore = byHandle<WorkerView>(before.workers)
  const listenersBefore = byHandle<ListenerView>(before.listeners)
  return {
    ...of<keyof Sums & keyof Rates>(
      ["arrived", "claimed", "refused", "revoked", "bytesIn", "bytesOut"],
      before.totals,
      after.totals
    ),
    workers: new Map(after.workers.map((worker) => {
      const from = workersBefore.get(worker.handle)
      const { congestedMillis, ...rates } = of(
        ["claimed", "revoked", "bytesIn", "bytesOut", "congestedMillis"],
        from,
        worker
      )
      return [worker.handle, { ...rates, congested: Math.min(1, congestedMillis / 1000) }]
    })),
    listeners: new Map(after.listeners.map((listener) => [
      listener.handle,
      of(["arrived", "claimed", "revoked", "bytesIn", "bytesOut"], listenersBefore.get(listener.handle), listener)
    ]))
  }
}
