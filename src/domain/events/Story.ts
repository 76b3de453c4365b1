/**
 * The story of one thing: the events about it, those about the same connections, and what its workers went through
 * meanwhile.
 */
import type { HostEvent } from "./HostEvent.ts"

const isOfWorkers = ({ kind }: HostEvent): boolean => kind.startsWith("worker-")

const workerOf = (event: HostEvent): number | undefined => "workerHandle" in event ? event.workerHandle : undefined

const connectionOf = (event: HostEvent): number | undefined => "connection" in event ? event.connection : undefined

/**
 * Of these events, in their order, those of the story. A connection keeps its number when another worker gets its
 * session, so that a session's story goes on under its next handle.
 */
export const of = (
  events: ReadonlyArray<HostEvent>,
  isAbout: (event: HostEvent) => boolean
): ReadonlyArray<HostEvent> => {
  const connections = new Set(events.filter(isAbout).map(connectionOf))
  connections.delete(undefined)
  const story = new Set(events.filter((event) => isAbout(event) || connections.has(connectionOf(event))))
  const [first] = story
  const last = [...story].at(-1)
  if (first === undefined || last === undefined) return []
  const workers = new Set([...story].map(workerOf))
  workers.delete(undefined)
  return events.filter((event) =>
    story.has(event)
    || isOfWorkers(event) && workers.has(workerOf(event)) && event.serial > first.serial && event.serial < last.serial
  )
}
