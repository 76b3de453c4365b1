/**
 * What somebody who looks at `top` has chosen: which page, in what order, which of the workers and sessions. Keys lead from
 * one view to the next, and may want something done (`Intent`).
 *
 * A value and pure functions: what is done with the host is the command's business.
 */
import type * as Overview from "../../../domain/overview/Overview.ts"
import type * as Report from "../../../domain/report/Report.ts"
import type * as Handle from "../../../domain/state/Handle.ts"
import * as HandleText from "../../../domain/state/HandleText.ts"
import { confirmation, type TopAction } from "./TopActions.ts"

export type Page = "main" | "listeners" | "sessions" | "why" | "help"

/** Something to be told until the next key is pressed. */
export interface Said {
  readonly level: Overview.Level
  readonly text: string
}

export interface TopChoice {
  readonly page: Page
  /** Where Esc leads from the pages that are read: help, and stories. */
  readonly back: Page
  /** Which of {@link orders} the workers are in, and whether the other way round. */
  readonly order: number
  readonly reversed: boolean
  readonly filter: string
  /** The filter that is being typed. */
  readonly typing: string | undefined
  /** Handles of the selected worker and session; and of the worker whose sessions are shown. */
  readonly worker: string | undefined
  readonly session: string | undefined
  readonly of: string | undefined
  /** How many lines of a page that is read are above the screen. */
  readonly above: number
  /** What is to be confirmed. */
  readonly asked: TopAction | undefined
  readonly said: Said | undefined
  /** A story that is told, or is on its way. */
  readonly story: { readonly of: string; readonly lines: ReadonlyArray<string> | undefined } | undefined
}

export const initial: TopChoice = {
  page: "main",
  back: "main",
  order: 0,
  reversed: false,
  filter: "",
  typing: undefined,
  worker: undefined,
  session: undefined,
  of: undefined,
  above: 0,
  asked: undefined,
  said: undefined,
  story: undefined
}

/** What a key wants done. */
export type Intent =
  | { readonly _tag: "Quit" }
  | { readonly _tag: "Suspend" }
  | { readonly _tag: "Refresh" }
  | { readonly _tag: "Act"; readonly action: TopAction }
  | { readonly _tag: "Tell"; readonly kind: "worker" | "session"; readonly handle: string }

// ---- rows

interface Order {
  /** The column that it is by. */
  readonly head: string
  /** Workers with more of it come first. */
  readonly value: (worker: Overview.WorkerView) => number
}

const isRunning = ({ state }: Overview.WorkerView): boolean => state === "RUNNING"

/** The orders of workers. The first one has whoever is in trouble on top. */
export const orders: ReadonlyArray<Order> = [
  {
    head: "Behind",
    value: (worker) => worker.behindMillis + (isRunning(worker) ? worker.congested ? 1 : 0 : 0.5)
  },
  { head: "Claim p99", value: ({ claim }) => claim.recent.p99Millis },
  { head: "Loop", value: ({ thread }) => thread?.utilization ?? -1 },
  { head: "CPU", value: ({ thread }) => thread?.processors ?? -1 },
  { head: "Heap", value: ({ thread }) => thread === null ? -1 : thread.heapUsed / thread.heapLimit },
  { head: "Sess", value: ({ sessions }) => sessions.now },
  { head: "Worker", value: () => 0 }
]

const fits = (view: TopChoice, ...texts: ReadonlyArray<string>): boolean => {
  const wanted = (view.typing ?? view.filter).toLowerCase()
  return wanted === "" || texts.some((text) => text.toLowerCase().includes(wanted))
}

/** The workers that the filter lets pass, in their order. */
export const workersOf = ({ workers }: Overview.Overview, view: TopChoice): ReadonlyArray<Overview.WorkerView> => {
  const { value } = orders[view.order]!
  const rows = workers.filter((worker) => fits(view, worker.handle, `${worker.app} ${worker.worker}`, worker.state))
    .sort((a, b) => value(b) - value(a) || a.appIndex - b.appIndex || a.worker - b.worker)
  return view.reversed ? rows.reverse() : rows
}

/** The listeners that the filter lets pass. */
export const listenersOf = ({ listeners }: Overview.Overview, view: TopChoice): ReadonlyArray<Overview.ListenerView> =>
  listeners.filter(({ app, endpoint, handle }) => fits(view, handle, endpoint, app))

/** The sessions that the filter lets pass. */
export const sessionsOf = (
  report: Report.SessionsReport | undefined,
  view: TopChoice
): ReadonlyArray<Report.SessionReport> =>
  (report?.sessions ?? []).filter(({ app, handle, local, remote, state, worker }) =>
    fits(view, handle, `${app} ${worker}`, local, remote, state)
  )

// ---- keys

/** A key by its name, or the character that it writes. */
export interface Key {
  readonly name: string
  readonly text: string
  readonly ctrl: boolean
}

/** What is on the screen. */
export interface Known {
  readonly overview: Overview.Overview
  readonly sessions: Report.SessionsReport | undefined
  /** By how many rows a page moves at once, and how many of its lines may be above the screen at most. */
  readonly rows: number
  readonly above: number
}

export interface Pressed {
  readonly view: TopChoice
  readonly intent?: Intent
}

const say = (view: TopChoice, text: string, level: Overview.Level = "warning"): Pressed => ({
  view: { ...view, said: { level, text } }
})

/** The handle so many rows from the selected one; the first or the last row where none is selected. */
const moved = (handles: ReadonlyArray<string>, selected: string | undefined, by: number): string | undefined => {
  const at = selected === undefined ? -1 : handles.indexOf(selected)
  if (at < 0) return by === -1 || by === Infinity ? handles.at(-1) : handles[0]
  return handles[Math.min(handles.length - 1, Math.max(0, at + by))]
}

/** By how many rows a key moves; `undefined` for one that does not. */
const stepOf = ({ ctrl, name, text }: Key, rows: number): number | undefined => {
  if (name === "down" || text === "j") return 1
  if (name === "up" || text === "k") return -1
  if (name === "pagedown" || ctrl && name === "f") return rows
  if (name === "pageup" || ctrl && name === "b") return -rows
  if (name === "end" || text === "G") return Infinity
  return name === "home" || text === "g" ? -Infinity : undefined
}

const isRead = ({ page }: TopChoice): boolean => page === "help" || page === "why"

const step = (view: TopChoice, by: number, { above, overview, sessions }: Known): TopChoice => {
  if (isRead(view) || view.page === "listeners") {
    return { ...view, above: Math.max(0, Math.min(above, view.above + by)) }
  }
  if (view.page === "sessions") {
    return { ...view, session: moved(sessionsOf(sessions, view).map(({ handle }) => handle), view.session, by) }
  }
  return { ...view, worker: moved(workersOf(overview, view).map(({ handle }) => handle), view.worker, by) }
}

const open = (view: TopChoice, page: Page): TopChoice => ({
  ...view,
  page,
  back: isRead(view) ? view.back : view.page,
  above: 0
})

/** The selected worker that is on the screen; the only one, where there is only one. */
const selectedWorker = ({ overview }: Known, view: TopChoice): Overview.WorkerView | undefined => {
  const rows = workersOf(overview, view)
  return rows.find(({ handle }) => handle === view.worker) ?? (rows.length === 1 ? rows[0] : undefined)
}

const selectedSession = ({ sessions }: Known, view: TopChoice): Report.SessionReport | undefined =>
  sessionsOf(sessions, view).find(({ handle }) => handle === view.session)

const NO_WORKER = "select a worker with the arrow keys first"
const NO_SESSION = "show sessions with s, and select one with the arrow keys first"

const ask = (view: TopChoice, asked: TopAction | undefined, otherwise: string): Pressed =>
  asked === undefined ? say(view, otherwise) : { view: { ...view, asked } }

const reload = (view: TopChoice, known: Known): TopAction | undefined => {
  const { apps } = known.overview
  const app = selectedWorker(known, view)?.app ?? (apps.length === 1 ? apps[0]!.name : undefined)
  return app === undefined ? undefined : { _tag: "Reload", app }
}

const ofWorker = (_tag: "Restart" | "Delete", view: TopChoice, known: Known): TopAction | undefined => {
  const worker = view.page === "main" ? selectedWorker(known, view) : undefined
  const handle = worker && HandleText.parse<Handle.WorkerHandle>(worker.handle)
  return handle === undefined ? undefined : { _tag, worker: handle }
}

const tell = (view: TopChoice, known: Known): Pressed => {
  const session = view.page === "sessions" ? selectedSession(known, view) : undefined
  const worker = view.page === "main" ? selectedWorker(known, view) : undefined
  const told = session === undefined ? worker && { kind: "worker" as const, handle: worker.handle } : {
    kind: "session" as const,
    handle: session.handle
  }
  if (told === undefined) {
    return say(view, view.page === "sessions" ? "select a session with the arrow keys first" : NO_WORKER)
  }
  return {
    view: { ...open(view, "why"), story: { of: `${told.kind} ${told.handle}`, lines: undefined } },
    intent: { _tag: "Tell", ...told }
  }
}

/** Sessions of the selected worker, or of all. */
const openSessions = (view: TopChoice): Pressed => ({
  view: { ...open(view, "sessions"), of: view.page === "main" ? view.worker : view.of, filter: "", session: undefined },
  intent: { _tag: "Refresh" }
})

const ordered = (view: TopChoice): Pressed =>
  say(view, `ordered by ${orders[view.order]!.head}${view.reversed ? ", the other way round" : ""}`, "ok")

/** What a key does by the character that it writes. */
const commands: Readonly<Record<string, (view: TopChoice, known: Known) => Pressed>> = {
  q: (view) => isRead(view) ? { view: { ...view, page: view.back, above: 0 } } : { view, intent: { _tag: "Quit" } },
  "?": (view) => ({ view: open(view, "help") }),
  h: (view) => ({ view: open(view, "help") }),
  s: openSessions,
  l: (view) => ({ view: view.page === "listeners" ? { ...view, page: "main", above: 0 } : open(view, "listeners") }),
  o: (view) => ordered({ ...view, order: (view.order + 1) % orders.length }),
  O: (view) => ordered({ ...view, reversed: !view.reversed }),
  "/": (view) => ({ view: isRead(view) ? view : { ...view, typing: view.filter } }),
  r: (view, known) => ask(view, reload(view, known), NO_WORKER),
  R: (view, known) => ask(view, ofWorker("Restart", view, known), NO_WORKER),
  d: (view, known) => ask(view, ofWorker("Delete", view, known), NO_WORKER),
  c: (view, known) => {
    const selected = view.page === "sessions" ? selectedSession(known, view) : undefined
    const session = selected && HandleText.parse<Handle.SessionHandle>(selected.handle)
    return ask(view, session === undefined ? undefined : { _tag: "Close", session }, NO_SESSION)
  },
  w: tell
}

const type = (view: TopChoice, { ctrl, name, text }: Key): TopChoice => {
  const typing = view.typing ?? ""
  if (name === "return" || name === "enter") return { ...view, filter: typing, typing: undefined }
  if (name === "escape") return { ...view, typing: undefined }
  if (name === "backspace") return { ...view, typing: Array.from(typing).slice(0, -1).join("") }
  if (ctrl && name === "u") return { ...view, typing: "" }
  return ctrl || !/^\P{Cc}+$/u.test(text) || typing.length > 60 ? view : { ...view, typing: typing + text }
}

/** Back from where the view is: from a page, or from a filter, or from a selection. */
const escape = (view: TopChoice): TopChoice => {
  if (isRead(view)) return { ...view, page: view.back, above: 0 }
  if (view.filter !== "") return { ...view, filter: "" }
  if (view.page !== "main") return { ...view, page: "main", above: 0 }
  return { ...view, worker: undefined }
}

/** The view after a key was pressed, and what the key wants done. */
export const press = (before: TopChoice, key: Key, known: Known): Pressed => {
  const view: TopChoice = { ...before, said: undefined }
  if (key.ctrl && key.name === "c") return { view, intent: { _tag: "Quit" } }
  if (key.ctrl && key.name === "z") return { view, intent: { _tag: "Suspend" } }
  if (view.asked !== undefined) {
    const { asked: action, ...rest } = view
    const answered: TopChoice = { ...rest, asked: undefined }
    if (key.text === "y") return { view: answered, intent: { _tag: "Act", action } }
    // any other key is a no, so that nobody ends sessions by a key that was meant for something else
    return say(answered, confirmation(action).declined, "ok")
  }
  if (view.typing !== undefined) return { view: type(view, key) }
  const by = stepOf(key, known.rows)
  if (by !== undefined) return { view: step(view, by, known) }
  if (key.name === "escape") return { view: escape(view) }
  if (key.name === "return" && view.page === "main") return openSessions(view)
  if (key.ctrl && key.name === "l" || key.text === " ") return { view, intent: { _tag: "Refresh" } }
  const command = key.ctrl || !Object.hasOwn(commands, key.text) ? undefined : commands[key.text]
  return command === undefined ? { view } : command(view, known)
}
