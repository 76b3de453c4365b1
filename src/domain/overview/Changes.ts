/**
 * What has changed lately, out of the latest events: what peers bring about again and again is told together, so that it
 * does not hide the rest.
 */
import * as EventText from "../events/EventText.ts"
import type { HostEvent } from "../events/HostEvent.ts"
import type { EventView } from "./Overview.ts"

/** Milliseconds in which the same is told together. */
const TOGETHER = 60_000

type Often = Extract<HostEvent, { readonly count: number }>

const isOften = (event: HostEvent): event is Often => "count" in event

/** The same for what is told together. */
const keyOf = (event: Often): string =>
  [
    event.kind,
    event.app,
    "worker" in event ? event.worker : "",
    "listener" in event ? event.listener : "",
    "reason" in event ? event.reason : ""
  ].join(" ")

/** Two of the same kind as one; the later one first. */
const joined = (later: Often, earlier: Often, first: number): Often => {
  // events of workers have none of these
  const { connection: _, peer: __, session: ___, ...of } = { session: 0, peer: "", connection: 0, ...later }
  const event: Often = { ...of, count: later.count + earlier.count, withinMillis: later.at - first }
  return "afterMillis" in event && "afterMillis" in earlier
    ? { ...event, afterMillis: event.afterMillis + earlier.afterMillis }
    : event
}

const viewOf = (event: HostEvent): EventView => ({
  serial: event.serial,
  time: event.time,
  kind: event.kind,
  app: "app" in event ? event.app : null,
  worker: event.kind.startsWith("worker-") && "worker" in event ? event.worker ?? null : null,
  text: EventText.sentence(event)
})

/**
 * Up to `most` changes, the newest first, of events in that order. A claim is no change, but the end of what was told
 * before.
 */
export const of = (events: ReadonlyArray<HostEvent>, most: number): ReadonlyArray<EventView> => {
  const changes: Array<HostEvent> = []
  const places = new Map<string, number>()
  for (const event of events) {
    if (event.kind === "session-claimed") continue
    const key = isOften(event) ? keyOf(event) : undefined
    const place = key === undefined ? undefined : places.get(key)
    const later = place === undefined ? undefined : changes[place]
    if (
      place !== undefined && later !== undefined && isOften(event) && isOften(later) && later.at - event.at <= TOGETHER
    ) {
      changes[place] = joined(later, event, event.at - event.withinMillis)
      continue
    }
    // what is left would be older than all that is shown, but may belong to it
    if (changes.length >= most) continue
    if (key !== undefined) places.set(key, changes.length)
    changes.push(event)
  }
  return changes.map(viewOf)
}
