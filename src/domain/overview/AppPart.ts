/** One application's part of an overview. */
import type { Overview } from "./Overview.ts"

/**
 * The overview with this application alone, by its name, or else by its index; `undefined` when there is none. What is of
 * the whole host stays as it is: the verdict, sums, and events about no application.
 */
export const of = (overview: Overview, wanted: string): Overview | undefined => {
  const app = overview.apps.find(({ name }) => name === wanted)
    ?? overview.apps.find(({ index }) => String(index) === wanted)
  if (app === undefined) return undefined
  const isOf = ({ appIndex }: { readonly appIndex: number }) => appIndex === app.index
  return {
    ...overview,
    apps: [app],
    workers: overview.workers.filter(isOf),
    listeners: overview.listeners.filter(isOf),
    events: overview.events.filter(({ app: name }) => name === null || name === app.name)
  }
}
