/**
 * What a host tells of itself in its log: every line there is, its words, and how grave it is.
 *
 * One line for each change that whoever runs the host wants to know of. A notice with a `kind` may come again and again,
 * and often because of what a peer does: it is told once, and then as a count, at most one every {@link INTERVAL}
 * ({@link Repeats}). The number of kinds is bounded by what there is (listeners, workers, reasons) and never by what
 * peers send. `NoticeLog` writes the notices, with application and worker as annotations.
 */
import type * as Ledger from "../state/Ledger.ts"
import type * as Thrown from "./Thrown.ts"

/** Milliseconds between two lines of one kind. */
export const INTERVAL = 10_000

export interface Notice {
  readonly level: "Debug" | "Info" | "Warn" | "Error"
  /** One line. */
  readonly text: string
  readonly app?: string | undefined
  readonly worker?: number | undefined
  /** Where a program failed, as many lines. */
  readonly stack?: string | undefined
  /** Notices of the same kind are the same thing happening again. */
  readonly kind?: string | undefined
}

/** Which worker a notice is about. */
export interface NoticeWorker {
  readonly app: string
  readonly worker: number
}

/** Which listener a notice is about: its endpoint as a URI. */
export interface NoticeListener {
  readonly app: string
  readonly uri: string
}

const millis = (time: number): string => time < 1000 ? `${Math.round(time)} ms` : `${Math.round(time / 100) / 10} s`

const things = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`

/** The same once more, `count` times in the last `time` milliseconds. */
export const again = (notice: Notice, count: number, time: number): Notice => ({
  ...notice,
  text: `${notice.text} (${count} more in ${millis(time)})`
})

// ---- workers

/** It serves; `restarts` is how often it was started before. */
export const workerUp = (worker: NoticeWorker, took: number, restarts: number): Notice => ({
  ...worker,
  level: "Info",
  text: `the worker is up after ${millis(took)}${restarts === 0 ? "" : `, restart ${restarts}`}`
})

/** It ended by itself, or the host has given it up; it starts again after `delay` milliseconds. */
export const workerGone = (
  worker: NoticeWorker,
  failure: { readonly detail: string; readonly stack?: string | undefined; readonly givenUp: boolean },
  delay: number
): Notice => ({
  ...worker,
  level: "Error",
  text: `the worker ${failure.givenUp ? "was given up" : "is gone"} and starts again in ${
    millis(delay)
  }: ${failure.detail}`,
  stack: failure.stack
})

/** Somebody asked for it to be started again. */
export const workerRestarts = (worker: NoticeWorker): Notice => ({
  ...worker,
  level: "Info",
  text: "the worker is being restarted, as it was asked for"
})

/** It was told to finish what it has. */
export const workerDrains = (worker: NoticeWorker, sessions: number): Notice => ({
  ...worker,
  level: "Info",
  text: `the worker drains: it gets nothing new, and ${things(sessions, "session")} may finish`
})

/** It was restarted: its next start has taken its place, and `sessions` of the one before move there, or may finish. */
export const workerReplaced = (worker: NoticeWorker, sessions: number): Notice => ({
  ...worker,
  level: "Info",
  text: `the worker has been restarted: its next start serves, and ${
    things(sessions, "session")
  } of the one before go on there or may finish`
})

/** A generation that was replaced has no sessions left, or no time. */
export const formerFinished = (worker: NoticeWorker, generation: number): Notice => ({
  ...worker,
  level: "Debug",
  text: `generation ${generation} of the worker has ended`
})

/** A generation that was replaced ended by itself while it drained. */
export const formerGone = (
  worker: NoticeWorker,
  generation: number,
  detail: string,
  stack: string | undefined
): Notice => ({
  ...worker,
  level: "Error",
  text: `generation ${generation} of the worker is gone before it had finished: ${detail}`,
  stack
})

/** There are too many generations that drain. */
export const generationEnded = (
  worker: NoticeWorker,
  generation: number,
  sessions: number,
  most: number
): Notice => ({
  ...worker,
  level: "Warn",
  text: `generation ${generation} of the worker is ended with ${things(sessions, "session")}: no more than ${
    things(most, "former generation")
  } may drain (generationsMax)`
})

/** An application is to have new code; `because`: what was the cause. */
export const reloadBegins = (app: string, workers: number, because: string | undefined): Notice => ({
  app,
  level: "Debug",
  text: `reload${because === undefined ? "" : ` because ${because}`}: ${things(workers, "worker")} to be replaced`
})

export const reloaded = (app: string, workers: number, took: number, because: string | undefined): Notice => ({
  app,
  level: "Info",
  text: `reloaded in ${millis(took)}, ${things(workers, "worker")}${because === undefined ? "" : `: ${because}`}`
})

/** The new code did not start, or the reload could not go on for another reason. */
export const reloadFailed = (app: string, why: string, stack: string | undefined): Notice => ({
  app,
  level: "Error",
  text: why,
  stack
})

export const workerStopped = (worker: NoticeWorker): Notice => ({
  ...worker,
  level: "Info",
  text: "the worker has stopped"
})

/** It has fallen behind, and is offered no sessions. */
export const workerCongested = (worker: NoticeWorker, postponed: number): Notice => ({
  ...worker,
  level: "Warn",
  text: `the worker is congested: ${
    postponed > 0 ? `${things(postponed, "message")} wait for room in its queue` : "it does not take its offers"
  }; new sessions go to others`
})

export const workerClear = (worker: NoticeWorker, after: number): Notice => ({
  ...worker,
  level: "Info",
  text: `the worker is clear again, after ${millis(after)}`
})

/** It was congested, `times` times since that was last told, and is clear. */
export const workerWasCongested = (worker: NoticeWorker, times: number, total: number): Notice => ({
  ...worker,
  level: "Info",
  text: `the worker was congested ${things(times, "time")}, ${millis(total)} in total, and is clear`
})

/** It reads nothing, though there is something to read. */
export const workerStuck = (worker: NoticeWorker, since: number): Notice => ({
  ...worker,
  level: "Warn",
  text: `the worker does not respond: it has read nothing for ${millis(since)}, though messages wait for it`
})

export const workerResponds = (worker: NoticeWorker, after: number): Notice => ({
  ...worker,
  level: "Info",
  text: `the worker responds again, after ${millis(after)}`
})

/** A handler of the application threw when it was given a session, or an event of one. */
export const handlerThrew = ({ app, worker }: NoticeWorker, { sentence, stack }: Thrown.Trouble): Notice => ({
  app,
  worker,
  level: "Error",
  text: `an application's session handler threw: ${sentence}`,
  stack,
  kind: `handler-threw ${app} ${worker}`
})

/** A handler of HTTP requests failed; the client got status 500. */
export const requestFailed = ({ app, worker }: NoticeWorker, { sentence, stack }: Thrown.Trouble): Notice => ({
  app,
  worker,
  level: "Error",
  text: `a request handler failed: ${sentence}`,
  stack,
  kind: `request-failed ${app} ${worker}`
})

// ---- listeners

export const listenerOpened = ({ app, uri }: NoticeListener, placement: string): Notice => ({
  app,
  level: "Info",
  text: `listener opened: ${uri}${placement === "shared" ? "" : ` (placement ${placement})`}`
})

export const listenerClosed = ({ app, uri }: NoticeListener): Notice => ({
  app,
  level: "Info",
  text: `listener closed: ${uri}`
})

/** The host that has taken over does not listen there. */
export const notTakenOver = ({ app, uri }: NoticeListener): Notice => ({
  app,
  level: "Warn",
  text: `the host that takes over does not listen on ${uri}: nothing is accepted there any more`
})

/** It was asked to move its connections to the workers, and can't. */
export const notMoved = ({ app, uri }: NoticeListener, tls: boolean, why: string): Notice => ({
  app,
  level: "Warn",
  text: `the connections of ${uri} stay in the host (placement "shared" instead of "transfer"${
    tls ? ", and TLS ends there" : ""
  }): ${why}`
})

export const affinityFault = ({ app, uri }: NoticeListener, fault: string): Notice => ({
  app,
  level: "Warn",
  text: `the affinity function of ${uri} gave neither a text nor a number: ${fault}; `
    + "such connections go to the next worker, and this is said once"
})

export const acceptFailed = ({ app, uri }: NoticeListener, error: string, detail: string): Notice => ({
  app,
  level: "Warn",
  text: `accept on ${uri} failed and is tried again: ${error} (${detail})`,
  kind: `accept ${app} ${uri} ${error}`
})

/** What an operator has asked for is no reason for a warning. */
const INTENDED: ReadonlyArray<Ledger.RefuseReason> = ["draining", "source-denied", "rule-denied"]

export const refused = ({ app, uri }: NoticeListener, reason: Ledger.RefuseReason): Notice => ({
  app,
  level: INTENDED.includes(reason) ? "Info" : "Warn",
  text: `a connection to ${uri} was refused: ${reason}`,
  kind: `refused ${app} ${uri} ${reason}`
})

export const dropped = ({ app, uri }: NoticeListener, reason: Ledger.DropReason): Notice => ({
  app,
  level: "Warn",
  text: `a datagram of ${uri} was dropped: ${reason}`,
  kind: `dropped ${app} ${uri} ${reason}`
})

export const ended = ({ app, uri }: NoticeListener, reason: Ledger.EndReason): Notice => ({
  app,
  level: "Info",
  text: `a session of ${uri} was ended: ${reason}`,
  kind: `ended ${app} ${uri} ${reason}`
})

export const held = ({ app, uri }: NoticeListener, count: number): Notice => ({
  app,
  level: "Warn",
  text: `${things(count, "connection")} to ${uri} ${count === 1 ? "is" : "are"} held: no worker takes sessions now`
})

export const noneHeld = ({ app, uri }: NoticeListener, after: number): Notice => ({
  app,
  level: "Info",
  text: `connections to ${uri} are no longer held, after ${millis(after)}`
})

// ---- the host

export const drainBegins = (sessions: number): Notice => ({
  level: "Info",
  text: `draining: nothing new is accepted, ${things(sessions, "session")} may finish`
})

/** It is over: all sessions have ended, or the drain timeout has. */
export const drainEnds = (left: number, before: number, took: number): Notice => ({
  level: left === 0 ? "Info" : "Warn",
  text: left === 0
    ? `drained in ${millis(took)}`
    : `${left} of ${things(before, "session")} did not end within the drain timeout of ${
      millis(took)
    } and will be reset`
})

// ---- what its user does

/** Certificates were read from their files again: `replaced` of `all` are in use from now on. */
export const certificatesRead = (app: string, replaced: number, all: number): Notice => ({
  app,
  level: replaced === all ? "Info" : "Warn",
  text: `SIGHUP: certificates read again: ${replaced} of ${all}`
})

/** The old one stays in use. */
export const certificateStays = (app: string, why: string): Notice => ({
  app,
  level: "Warn",
  text: `SIGHUP: the old certificate stays: ${why}`
})

/** Something was changed over the control socket; `kind` is for what is done often. */
export const changed = (what: string, about: Pick<Notice, "app" | "worker" | "kind"> = {}): Notice => ({
  ...about,
  level: "Info",
  text: `by the control socket: ${what}`
})
