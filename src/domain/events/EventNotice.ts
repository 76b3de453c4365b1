/**
 * Which events have a line in the host's log, and how grave it is.
 *
 * What has a line here is told by its event and by nothing else. Congestion and held connections come and go as often as
 * they please: the log has them as `HostWatch` sees them. What was set at run time is logged by whoever was asked to.
 */
import type { Notice } from "../report/Notice.ts"
import type * as Ledger from "../state/Ledger.ts"
import * as EventText from "./EventText.ts"
import type { EventOf, HostEvent } from "./HostEvent.ts"

/** What an operator has asked for is no reason for a warning. */
const INTENDED: ReadonlyArray<Ledger.RefuseReason> = ["draining", "source-denied", "rule-denied"]

/** How grave it is; `undefined` for what has no line. */
const levelOf = (event: HostEvent): Notice["level"] | undefined => {
  switch (event.kind) {
    case "app-reload-failed":
    case "worker-add-failed":
    case "ledger-imbalance":
    case "worker-gone":
    case "worker-crash-loop":
    case "worker-quarantined":
    case "worker-stuck":
      return "Error"
    case "datagram-dropped":
    case "worker-silent":
      return "Warn"
    case "host-drained":
      return event.left === 0 ? "Info" : "Warn"
    case "session-refused":
      return INTENDED.includes(event.reason) ? "Info" : "Warn"
    case "worker-former-ended":
      return event.reason === "finished" ? "Debug" : "Warn"
    case "worker-added":
    case "worker-retired":
      // whoever was asked says so
      return event.reason === "asked" ? undefined : "Info"
    case "worker-replaced":
      return event.reason === "reload" ? "Debug" : "Info"
    case "app-reloading":
      return "Debug"
    case "app-reloaded":
    case "host-draining":
    case "listener-closed":
    case "listener-opened":
    case "session-ended":
    case "worker-draining":
    case "worker-quarantine-ended":
    case "worker-responds":
    case "worker-restarting":
    case "worker-stopped":
    case "worker-up":
      return "Info"
    default:
      return undefined
  }
}

/** What peers bring about, as often as they please: its line is the same for each, so that it can be counted. */
type Counted = EventOf<"session-refused" | "session-ended" | "datagram-dropped">

const isCounted = (event: HostEvent): event is Counted =>
  event.kind === "session-refused" || event.kind === "session-ended" || event.kind === "datagram-dropped"

const ofCounted = (event: Counted, level: Notice["level"]): Notice => {
  const { connection: _, peer: __, session: ___, ...plain } = event
  const { app, endpoint, kind, reason } = plain
  return {
    level,
    text: EventText.sentence({ ...plain, count: 1 }),
    app,
    kind: `${kind} ${app} ${endpoint} ${reason}`
  }
}

/** The line of an event; `undefined` when it has none. One that is counted stands for as many as it has counted. */
export const of = (event: HostEvent): Notice | undefined => {
  const level = levelOf(event)
  if (level === undefined) return undefined
  if (isCounted(event)) return ofCounted(event, level)
  return {
    level,
    text: EventText.sentence(event),
    app: "app" in event ? event.app : undefined,
    worker: "worker" in event ? event.worker : undefined,
    stack: "stack" in event ? event.stack ?? undefined : undefined
  }
}
