/**
 * Keys of `top`: they lead from one choice (`TopChoice`) to the next, and may want something done (`Intent`).
 *
 * A value and pure functions: what is done with the host is the command's business.
 */
import type * as Overview from "../../../domain/overview/Overview.ts"
import type * as Report from "../../../domain/report/Report.ts"
import { SessionSorting } from "../../../domain/report/SessionOrder.ts"
import type * as Handle from "../../../domain/state/Handle.ts"
import * as HandleText from "../../../domain/state/HandleText.ts"
import { confirmation, type TopAction } from "./TopActions.ts"
import type { Page, TopChoice } from "./TopChoice.ts"
import { orders, workersOf } from "./TopRows.ts"

/** What a key wants done. */
export type Intent =
  | { readonly _tag: "Quit" }
  | { readonly _tag: "Suspend" }
  | { readonly _tag: "Refresh" }
  | { readonly _tag: "Act"; readonly action: TopAction }
  | { readonly _tag: "Tell"; readonly kind: "worker" | "session"; readonly handle: string }

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
    return { ...view, session: moved((sessions?.sessions ?? []).map(({ handle }) => handle), view.session, by) }
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
  sessions?.sessions.find(({ handle }) => handle === view.session)

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
  view: {
    ...open(view, "sessions"),
    of: view.page === "main" ? view.worker : view.of,
    filter: "",
    session: undefined,
    pages: []
  },
  intent: { _tag: "Refresh" }
})

/** Other sessions than before: the host is asked for the first page of them. */
const anew = (view: TopChoice): Pressed => ({
  view: { ...view, pages: [], session: undefined },
  intent: { _tag: "Refresh" }
})

const sorted = (view: TopChoice): Pressed => ({
  ...anew(view),
  view: say(anew(view).view, `sorted by ${view.sort}${view.sortReversed ? ", the other way round" : ""}`, "ok").view
})

const nextSort = (sort: Report.SessionSorting): Report.SessionSorting => {
  const all = SessionSorting.literals
  return all[(all.indexOf(sort) + 1) % all.length]!
}

/** The page of sessions behind this one, or before it. */
const turnOver = (view: TopChoice, { sessions }: Known, by: 1 | -1): Pressed => {
  if (view.page !== "sessions") return { view }
  const next = sessions?.next
  if (by < 0 ? view.pages.length === 0 : next === undefined) {
    return say(view, by < 0 ? "this is the first page" : "this is the last page", "ok")
  }
  const pages = by < 0 ? view.pages.slice(0, -1) : [...view.pages, next!]
  return { view: { ...view, pages, session: undefined }, intent: { _tag: "Refresh" } }
}

const ordered = (view: TopChoice): Pressed =>
  say(view, `ordered by ${orders[view.order]!.head}${view.reversed ? ", the other way round" : ""}`, "ok")

/** What a key does by the character that it writes. */
const commands: Readonly<Record<string, (view: TopChoice, known: Known) => Pressed>> = {
  q: (view) => isRead(view) ? { view: { ...view, page: view.back, above: 0 } } : { view, intent: { _tag: "Quit" } },
  "?": (view) => ({ view: open(view, "help") }),
  h: (view) => ({ view: open(view, "help") }),
  s: openSessions,
  l: (view) => ({ view: view.page === "listeners" ? { ...view, page: "main", above: 0 } : open(view, "listeners") }),
  o: (view) =>
    view.page === "sessions"
      ? sorted({ ...view, sort: nextSort(view.sort) })
      : ordered({ ...view, order: (view.order + 1) % orders.length }),
  O: (view) =>
    view.page === "sessions"
      ? sorted({ ...view, sortReversed: !view.sortReversed })
      : ordered({ ...view, reversed: !view.reversed }),
  n: (view, known) => turnOver(view, known, 1),
  p: (view, known) => turnOver(view, known, -1),
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
  const search = view.typing ?? view.filter
  // the host looks for it, among all sessions
  const found = (view: TopChoice): Pressed =>
    view.page !== "sessions" || (view.typing ?? view.filter) === search ? { view } : anew(view)
  if (view.typing !== undefined) return found(type(view, key))
  const by = stepOf(key, known.rows)
  if (by !== undefined) return { view: step(view, by, known) }
  if (key.name === "escape") return found(escape(view))
  if (key.name === "return" && view.page === "main") return openSessions(view)
  if (key.ctrl && key.name === "l" || key.text === " ") return { view, intent: { _tag: "Refresh" } }
  const command = key.ctrl || !Object.hasOwn(commands, key.text) ? undefined : commands[key.text]
  return command === undefined ? { view } : command(view, known)
}
