/**
 * The times of sessions that their worker sees to: what its host settles for all workers of an application.
 */
import type * as ListenerOptions from "../../domain/options/ListenerOptions.ts"

/** All in milliseconds. */
export type SessionTimes = Pick<
  ListenerOptions.ListenerOptions,
  "closeTimeout" | "idleTimeout" | "keepAlive" | "stallTimeout"
>

/** What a worker is started with; it can be posted. */
export interface TimesStart {
  readonly listener: SessionTimes
  /** The times of single endpoints, by their URIs. */
  readonly listeners: Readonly<Record<string, SessionTimes>>
}

const timesOf = (
  { closeTimeout, idleTimeout, keepAlive, stallTimeout }: ListenerOptions.ListenerOptions
): SessionTimes => ({ closeTimeout, idleTimeout, keepAlive, stallTimeout })

export const startOf = (
  app: {
    readonly listener: ListenerOptions.ListenerOptions
    readonly listeners: Readonly<Record<string, ListenerOptions.ListenerOptions>>
  }
): TimesStart => ({
  listener: timesOf(app.listener),
  listeners: Object.fromEntries(
    Object.entries(app.listeners).map(([endpoint, options]) => [endpoint, timesOf(options)] as const)
  )
})

/** The times of the sessions that an endpoint's listener takes. */
export const of = ({ listener, listeners }: TimesStart, endpoint: string): SessionTimes =>
  Object.hasOwn(listeners, endpoint) ? listeners[endpoint]! : listener
