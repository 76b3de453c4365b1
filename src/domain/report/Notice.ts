/**
 * What a host tells of itself in its log: its words, and how grave it is. Events have their lines by `EventNotice`; here
 * are those that are no events.
 *
 * One line for each change that whoever runs the host wants to know of. A notice with a `kind` may come again and again,
 * and often because of what a peer does: it is told once, and then as a count, at most one every {@link INTERVAL}
 * ({@link Repeats}). The number of kinds is bounded by what there is (listeners, workers, reasons) and never by what
 * peers send. `NoticeLog` writes the notices, with application and worker as annotations.
 */
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

/** A time in milliseconds as a person reads it: `5 ms`, `1.2 s`. */
export const millis = (time: number): string =>
  time < 1000 ? `${Math.round(time)} ms` : `${Math.round(time / 100) / 10} s`

/** A number of things: `1 session`, `2 sessions`. */
export const things = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`

/** The same once more, `count` times in the last `time` milliseconds. */
export const again = (notice: Notice, count: number, time: number): Notice => ({
  ...notice,
  text: `${notice.text} (${count} more in ${millis(time)})`
})

// ---- workers

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

/** Where a change can be asked for. */
export type AskedAt = "control socket" | "dashboard"

/** Something was changed because somebody asked for it there; `kind` is for what is done often. */
export const changed = (at: AskedAt, what: string, about: Pick<Notice, "app" | "worker" | "kind"> = {}): Notice => ({
  ...about,
  level: "Info",
  text: `by the ${at}: ${what}`
})
