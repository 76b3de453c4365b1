/**
 * The lists that a host gives of what it has besides sessions, whole or page by page.
 *
 * Each list has an order that stays while its entries come and go: workers and listeners by their places in their
 * tables, connects and cut-through sessions by numbers that they were given when they began. A page says where the next
 * one begins, so whatever is there all the while is on one page. A worker's segment managers and its queues are entries
 * of one place each.
 */
import type * as Report from "../../domain/report/Report.ts"
import * as Handle from "../../domain/state/Handle.ts"
import { CutThrough } from "./CutThrough.ts"
import type { CutThroughs } from "./CutThroughs.ts"
import type { HalfOpen } from "./HalfOpen.ts"
import type { HostSession } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"
import { managersReport, ofWorker, queueReport } from "./WorkerReports.ts"

/** Where an entry is in its list: numbers, the first of which counts most. */
type Place = ReadonlyArray<number>

interface Entry<A> {
  readonly place: Place
  readonly rows: () => ReadonlyArray<A>
}

/** Of what is listed together, the kind of each, in the order of the list. */
type LocalRow =
  | { readonly listener: Report.LocalListenerReport }
  | { readonly session: Report.LocalSessionReport }
  | { readonly connect: Report.ConnectReport }

/** What may be said of a page; without a limit it is the whole list. */
export interface ListPart {
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

const placeOf = (after: string | undefined): Place => after === undefined ? [] : after.split(".").map(Number)

/** The entries' rows up to the limit, and where it goes on. */
const part = <A>(
  entries: Iterable<Entry<A>>,
  limit = Infinity
): { readonly rows: ReadonlyArray<A>; readonly next: { readonly next?: string } } => {
  const all: Array<A> = []
  for (const { place, rows } of entries) {
    if (all.length >= limit) return { rows: all, next: { next: place.join(".") } }
    all.push(...rows())
  }
  return { rows: all, next: {} }
}

const cutThroughEnd = (session: HostSession): Report.LocalEnd => ({
  ...ofWorker(session.worker.slot),
  session: Handle.format(session.handle),
  state: session.state
})

export class ReportLists {
  readonly #tables: Tables
  readonly #cutThroughs: CutThroughs
  readonly #listener: (listener: HostListener) => Report.ListenerReport

  /** `listener` reports a listener. */
  constructor(tables: Tables, cutThroughs: CutThroughs, listener: (listener: HostListener) => Report.ListenerReport) {
    this.#tables = tables
    this.#cutThroughs = cutThroughs
    this.#listener = listener
  }

  connects({ after, limit }: ListPart = {}): Report.ConnectsReport {
    const { next, rows } = part(this.#connects(placeOf(after), () => true), limit)
    return { connects: rows, ...next }
  }

  locals({ after, limit }: ListPart = {}): Report.LocalsPage {
    const { next, rows } = part(this.#locals(placeOf(after)), limit)
    return {
      listeners: rows.flatMap((row) => "listener" in row ? [row.listener] : []),
      sessions: rows.flatMap((row) => "session" in row ? [row.session] : []),
      connects: rows.flatMap((row) => "connect" in row ? [row.connect] : []),
      ...next
    }
  }

  segments({ after, limit }: ListPart = {}): Report.SegmentsReport {
    const { next, rows } = part(this.#ofLive(placeOf(after), managersReport), limit)
    return { managers: rows, ...next }
  }

  queues({ after, limit }: ListPart = {}): Report.QueuesReport {
    const { next, rows } = part(this.#ofLive(placeOf(after), (live) => [queueReport(live)]), limit)
    return { queues: rows, ...next }
  }

  listeners({ after, limit }: ListPart = {}): Report.ListenersReport {
    const { next, rows } = part(this.#listeners(placeOf(after)), limit)
    return { listeners: rows, ...next }
  }

  // ---- their entries, from a place on

  *#ofLive<A>([from = 0]: Place, rows: (live: LiveWorker) => ReadonlyArray<A>): Iterable<Entry<A>> {
    for (const worker of this.#tables.workers.from(from)) {
      const lives = worker.generations.flatMap(({ live }) => live ?? [])
      if (lives.length > 0) yield { place: [worker.index], rows: () => lives.flatMap(rows) }
    }
  }

  *#listeners([from = 0]: Place): Iterable<Entry<Report.ListenerReport>> {
    for (const listener of this.#tables.listeners.from(from)) {
      if (listener.state === "BINDING") continue
      yield { place: [Handle.index(listener.handle)], rows: () => [this.#listener(listener)] }
    }
  }

  *#connects([from = 0, serial = 0]: Place, which: (half: HalfOpen) => boolean): Iterable<Entry<Report.ConnectReport>> {
    for (const slot of this.#tables.workers.from(from)) {
      const halves = slot.generations.flatMap(({ live }) => Array.from(live?.halfOpen.values() ?? []))
      for (const half of halves.sort((a, b) => a.serial - b.serial)) {
        if (slot.index === from && half.serial < serial || !which(half)) continue
        yield { place: [slot.index, half.serial], rows: () => [this.#connect(slot, half)] }
      }
    }
  }

  #connect(slot: WorkerSlot, { endpoint, request, scope, since, source, timeout }: HalfOpen): Report.ConnectReport {
    return {
      ...ofWorker(slot),
      request,
      endpoint,
      source: source === "" ? null : source,
      scope,
      ageMillis: this.#millisSince(since),
      timeoutMillis: timeout
    }
  }

  *#locals([kind = 0, ...from]: Place): Iterable<Entry<LocalRow>> {
    if (kind === 0) yield* this.#localListeners(from)
    if (kind <= 1) yield* this.#localSessions(kind === 1 ? from : [])
    for (const { place, rows } of this.#connects(kind === 2 ? from : [], ({ scope }) => scope === "local")) {
      yield { place: [2, ...place], rows: () => rows().map((connect) => ({ connect })) }
    }
  }

  *#localListeners([from = 0]: Place): Iterable<Entry<LocalRow>> {
    for (const listener of this.#tables.listeners.from(from)) {
      const { app, bound, handle, requested } = listener
      const { namespace } = app.options
      const endpoints = this.#tables.locals(namespace).entriesOf(listener, [requested, bound])
      if (endpoints.length === 0) continue
      const common = { namespace, app: app.name, appIndex: app.index, listener: Handle.format(handle) }
      yield {
        place: [0, Handle.index(handle)],
        rows: () => endpoints.map((endpoint) => ({ listener: { ...common, endpoint } }))
      }
    }
  }

  *#localSessions([from = 0]: Place): Iterable<Entry<LocalRow>> {
    for (const { endpoint, serial, sessions, since } of this.#cutThroughs.connected) {
      if (sessions === undefined || serial < from) continue
      const { client, server } = sessions
      yield {
        place: [1, serial],
        rows: () => [{
          session: {
            endpoint,
            server: cutThroughEnd(server),
            client: cutThroughEnd(client),
            segmentBytes: CutThrough.segmentBytes(server),
            ageMillis: this.#millisSince(since)
          }
        }]
      }
    }
  }

  #millisSince(time: number): number {
    return Math.round(this.#tables.now() - time)
  }
}
