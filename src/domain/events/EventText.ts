/**
 * Events in sentences: one for each kind, for the log, for `sluice events` and for `sluice why`.
 *
 * A sentence does not name the application, nor a worker that the event is about: they stand before it wherever it is
 * shown. It is one function over the union, and therefore one file.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import { millis, things } from "../report/Notice.ts"
import * as Whereabouts from "../report/Whereabouts.ts"
import * as Handle from "../state/Handle.ts"
import { type StuckKeptReason, UnresponsiveReasons } from "../state/WorkerEnd.ts"
import type { AddReason, Gap, HostEvent, RetireReason } from "./HostEvent.ts"

/** What peers bring about, once or many times. */
interface Often {
  readonly count: number
  readonly withinMillis: number
  readonly peer?: string | undefined
}

/** What it has happened to, and the verb: `the connection from tcp://10.0.0.7:4711 was`, `12 connections were`. */
const was = ({ count, peer }: Often, what: string, where = ""): string =>
  count > 1
    ? `${count} ${what}s${where} were`
    : `${peer === undefined ? `a ${what}` : `the ${what} from ${peer}`}${where} was`

/** In what time it has happened. */
const within = ({ count, withinMillis }: Often): string => count > 1 ? ` in ${millis(withinMillis)}` : ""

const times = ({ count, withinMillis }: Often): string =>
  count > 1 ? ` (${count} times in ${millis(withinMillis)})` : ""

const session = ({ session }: { readonly session?: Handle.SessionHandle | undefined }): string =>
  session === undefined ? "" : `, session ${Handle.format(session)}`

const because = (why: string | null, before: string): string => why === null ? "" : `${before}${why}`

const kept: Readonly<Record<StuckKeptReason, string>> = {
  "quarantine-full": "stays: too many threads of the application could not be ended"
}

const replaced = {
  restart: "restarted",
  reload: "reloaded",
  heap: "replaced, since its heap was large (maxHeap)",
  sessions: "replaced, since it had as many sessions as it may (maxSessionsPerStart)"
} as const

const moved = {
  late: "its worker let it wait",
  reload: "its worker is replaced by new code",
  restart: "its worker is started again",
  delete: "its worker is deleted",
  crash: "its worker is gone",
  takeover: "another host takes over"
} as const

const added: Readonly<Record<AddReason, string>> = {
  congested: "all others were congested",
  late: "all others were late with their claims",
  busy: "the loops of all others were busy",
  full: "all others had as many sessions as they may have",
  asked: "it was asked for"
}

const retired: Readonly<Record<RetireReason, string>> = {
  quiet: "one worker less was enough",
  asked: "it was asked for"
}

/** Why there is a worker more or less, and how many there are then. */
const inNumber = (
  why: string,
  { forMillis, reason, workers }: {
    readonly forMillis: number | null
    readonly reason: string
    readonly workers: number
  }
): string =>
  `${why}${forMillis === null ? "" : ` for ${millis(forMillis)} (${reason})`}; ${things(workers, "worker")} from now on`

/**
 * What has happened, as one line.
 *
 * @category formatting
 * @since 0.1.0
 */
export const sentence = (event: HostEvent | Gap): string => {
  switch (event.kind) {
    case "gap":
      return event.missed === null
        ? "events are missing: those that were asked for are not of this host"
        : `${things(event.missed, "event")} ${event.missed === 1 ? "is" : "are"} missing, which ${
          event.missed === 1 ? "is" : "are"
        } no longer kept`
    case "host-draining":
      return `draining: nothing new is accepted, ${things(event.sessions, "session")} may finish`
    case "host-drained":
      return event.left === 0
        ? `drained in ${millis(event.tookMillis)}`
        : `${event.left} of ${things(event.sessions, "session")} did not end within the drain timeout of ${
          millis(event.tookMillis)
        } and will be reset`
    case "takeover-begun":
      return "another process begins to take over"
    case "takeover-abandoned":
      return "the other process does not take over: this host goes on"
    case "takeover-settled":
      return "the other process is the host from now on"
    case "takeover-ended":
      return event.detail === null
        ? "all that can go to the host that has taken over has gone there"
        : `nothing more goes to the host that has taken over: ${event.detail}`
    case "takeover-followed":
      return "this host follows another one"
    case "ledger-imbalance":
      return `the ledger does not balance: ${event.detail}`
    case "app-attached":
      return `the application is attached, with ${things(event.workers, "worker")}`
    case "app-reloading":
      return `reload${because(event.because, " because ")}: ${things(event.workers, "worker")} to be replaced`
    case "app-reloaded":
      return `reloaded in ${millis(event.tookMillis)}, ${things(event.workers, "worker")}${
        because(event.because, ": ")
      }`
    case "app-reload-failed":
      return event.detail
    case "app-detached":
      return "the application is detached"
    case "worker-up":
      return `the worker is up after ${millis(event.tookMillis)}${
        event.restarts === 0 ? "" : `, restart ${event.restarts}`
      }`
    case "worker-behind":
      return `the worker has let an offer run out, and is offered nothing before it has caught up${times(event)}`
    case "worker-congested":
      return `the worker is congested: messages wait for room in its queue${times(event)}`
    case "worker-delayed":
      return `the worker is congested: all that it was offered for a while has waited too long${times(event)}`
    case "worker-clear":
      return `the worker is clear again, after ${millis(event.afterMillis)}${times(event)}`
    case "worker-silent":
      return `the worker does not respond: it has taken nothing for ${
        millis(event.silentMillis)
      }, though messages wait; ${Whereabouts.phrase(event)}`
    case "worker-responds":
      return `the worker responds again, after ${millis(event.afterMillis)}`
    case "worker-stuck":
      return `the worker is stuck: it has taken nothing for ${millis(event.silentMillis)}, and ${
        event.keptBecause === null
          ? `is replaced; ${things(event.sessions, "session")} that it has in hand will be reset`
          : kept[event.keptBecause]
      }; ${Whereabouts.phrase(event)}`
    case "worker-gone":
      if (event.againMillis === null) {
        return `generation ${event.generation} of the worker is gone before it had finished: ${event.detail}`
      }
      return `the worker ${isGivenUp(event) ? "was given up" : "is gone"} and starts again in ${
        millis(event.againMillis)
      }: ${event.detail}`
    case "worker-added":
      return `the worker is added, because ${inNumber(added[event.reason], event)}`
    case "worker-add-failed":
      return `a worker is needed, and did not start; if it is needed then, another one is tried in ${
        millis(event.againMillis)
      }: ${event.detail}`
    case "worker-retired":
      return `the worker is retired, because ${inNumber(retired[event.reason], event)}`
    case "worker-crash-loop":
      return `the worker dies again and again: ${things(event.deaths, "time")} in ${
        millis(event.withinMillis)
      }; it is started again after longer and longer waits`
    case "worker-quarantined":
      return `the thread of generation ${event.generation} of the worker does not end: it is in native code; its memory (${
        ByteSize.format(ByteSize.bytes(event.bytes))
      }) is kept until it does`
    case "worker-quarantine-ended":
      return `the thread of generation ${event.generation} of the worker, which did not end, has ended after ${
        millis(event.afterMillis)
      }`
    case "worker-draining":
      return `the worker drains: it gets nothing new, and ${things(event.sessions, "session")} may finish`
    case "worker-restarting":
      return "the worker is being restarted, as it was asked for"
    case "worker-replaced":
      return event.reason === "stuck"
        ? "the worker, which was stuck, has been replaced: its next start serves"
        : `the worker has been ${replaced[event.reason]}: its next start serves, and ${
          things(event.sessions, "session")
        } of the one before go on there or may finish`
    case "worker-former-ended":
      return event.reason === "finished"
        ? `generation ${event.generation} of the worker has ended`
        : `generation ${event.generation} of the worker is ended with ${
          things(event.sessions, "session")
        }: there are more than may drain (generationsMax)`
    case "worker-stopped":
      return "the worker has stopped"
    case "listener-opened":
      return `listener opened: ${event.endpoint}${
        event.placement === "shared" ? "" : ` (placement ${event.placement})`
      }`
    case "listener-closed":
      return `listener closed: ${event.endpoint}`
    case "session-held":
      return `${was(event, "connection", ` to ${event.endpoint}`)} held: no worker takes sessions now${within(event)}`
    case "session-refused":
      return `${was(event, "connection", ` to ${event.endpoint}`)} refused: ${event.reason}${session(event)}${
        within(event)
      }`
    case "offer-revoked":
      return `${was(event, "connection")} offered to worker ${event.worker} and not claimed: revoked after ${
        millis(event.afterMillis / event.count)
      }${session(event)}${within(event)}`
    case "session-claimed":
      return `${was(event, "connection")} claimed by worker ${event.worker}${session(event)}${within(event)}`
    case "session-moved":
      return `${was(event, "session")} taken from worker ${event.worker} to go on elsewhere, because ${
        moved[event.reason]
      } (${event.reason})${session(event)}${within(event)}`
    case "session-ended":
      return `${was(event, "session", ` of ${event.endpoint}`)} ended: ${event.reason}${session(event)}${within(event)}`
    case "session-lost":
      return `${was(event, "session")} lost with worker ${event.worker}, which had it in hand${session(event)}${
        within(event)
      }`
    case "session-closing":
      return `session ${Handle.format(event.session)} is ${
        event.how === "close" ? "closed" : "reset"
      }, as it was asked for`
    case "datagram-dropped":
      return `${was(event, "datagram", ` of ${event.endpoint}`)} dropped: ${event.reason}${within(event)}`
    case "rule-added":
      return `rule ${Handle.format(event.rule)} added: ${event.text}`
    case "rule-removed":
      return `rule ${Handle.format(event.rule)} removed: ${event.text}`
    case "source-denied":
      return `${event.source} added to the deny list`
    case "source-allowed":
      return `${event.source} taken off the deny list`
    case "certificate-added":
    case "certificate-replaced":
    case "certificate-removed":
      return `certificate ${Handle.format(event.certificate)} ${
        event.kind.slice("certificate-".length)
      }: ${event.subject}`
  }
}

/** Whether the host gave the worker up, which had not gone by itself. */
const isGivenUp = ({ reason }: { readonly reason: string }): boolean => givenUp.has(reason)

const givenUp: ReadonlySet<string> = new Set<string>(UnresponsiveReasons)
