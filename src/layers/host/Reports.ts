/**
 * What a host reports about itself, from its tables: the data behind `show`.
 */
import * as Effect from "effect/Effect"
import type * as Report from "../../domain/report/Report.ts"
import * as SessionFilter from "../../domain/report/SessionFilter.ts"
import * as TimesReport from "../../domain/report/TimesReport.ts"
import { version } from "../../domain/report/Version.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import { turns } from "../system/Turns.ts"
import type { CutThroughs } from "./CutThroughs.ts"
import type { HostSession } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import { ReportLists } from "./ReportLists.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import { ofWorker, workerReport } from "./WorkerReports.ts"

const scopesOf = ({ scope }: AttachedApp["options"]): ReadonlyArray<"local" | "global"> => [
  ...(scope.local ? ["local" as const] : []),
  ...(scope.global ? ["global" as const] : [])
]

const listenerReport = (listener: HostListener): Report.ListenerReport => {
  const { admission, app, boundUri, handle, placement, requestedUri, user } = listener
  return {
    handle: Handle.format(handle),
    app: app.name,
    appIndex: app.index,
    client: app.client,
    endpoint: boundUri,
    requested: requestedUri,
    scopes: scopesOf(app.options),
    placement,
    refusesWith: listener.intake.refusesWith,
    workers: admission.seats.all.map(({ number }) => number),
    managers: admission.seats.all.flatMap(({ member, number }) => {
      const manager = member?.worker.segments.managers().find(({ users }) => users.includes(user))
      return manager === undefined ? [] : [{ worker: number, manager: manager.index }]
    }),
    sessions: admission.sessions,
    arrivals: Ledger.add(new Ledger.ArrivalLedger(), admission.arrivals),
    ...TimesReport.ofListener(admission.times)
  }
}

/** The most entries on a page, unless asked otherwise. */
const PAGE = 100
/**
 * How much is done in one turn of the loop, about a millisecond, in looks at a session; and how many looks a session is
 * worth that a filter reads the addresses of, and one that is reported.
 */
const WORK = 20_000
const ADDRESS_WORK = 30
const REPORT_WORK = 150

/** What a filter looks at, read when it does: most of it costs more than the look. */
class SessionFacts implements SessionFilter.Facts {
  readonly #session: HostSession
  readonly state: SessionState.ShownState

  constructor(session: HostSession, state: SessionState.ShownState) {
    this.#session = session
    this.state = state
  }

  get appIndex(): number {
    return this.#session.worker.slot.app.index
  }

  get worker(): number {
    return this.#session.worker.slot.mapIndex
  }

  get workerHandle(): string {
    return Handle.format(this.#session.worker.slot.handle)
  }

  get transport(): Report.SessionReport["transport"] {
    return this.#session.transport
  }

  get local(): string {
    return this.#session.connection.local
  }

  get remote(): string {
    return this.#session.connection.remote
  }
}

/** What the session layer reports. */
type SessionLayerReports = Pick<
  SessionLayer["Service"],
  | "report"
  | "sessions"
  | "sessionPage"
  | "connects"
  | "locals"
  | "segments"
  | "queues"
  | "connectPage"
  | "localPage"
  | "segmentPage"
  | "queuePage"
  | "listenerPage"
>

export class Reports {
  readonly #tables: Tables
  readonly #lists: ReportLists
  readonly #certificates: Certificates["Service"]

  constructor(tables: Tables, cutThroughs: CutThroughs, certificates: Certificates["Service"]) {
    this.#tables = tables
    this.#lists = new ReportLists(tables, cutThroughs, listenerReport)
    this.#certificates = certificates
  }

  /** All reports of the session layer, each made when it is asked for: at once, apart from those of many sessions. */
  get all(): SessionLayerReports {
    const lists = this.#lists
    return {
      report: this.#report,
      sessions: (filter) => Effect.map(this.#page(filter, { limit: Infinity }), ({ sessions }) => sessions),
      sessionPage: (filter, { after, limit = PAGE } = {}) =>
        this.#page(filter, { after: after === undefined ? undefined : Number(after), limit }),
      connects: Effect.sync(() => lists.connects().connects),
      locals: Effect.sync(() => lists.locals()),
      segments: Effect.sync(() => lists.segments().managers),
      queues: Effect.sync(() => lists.queues().queues),
      connectPage: (page) => Effect.sync(() => lists.connects({ limit: PAGE, ...page })),
      localPage: (page) => Effect.sync(() => lists.locals({ limit: PAGE, ...page })),
      segmentPage: (page) => Effect.sync(() => lists.segments({ limit: PAGE, ...page })),
      queuePage: (page) => Effect.sync(() => lists.queues({ limit: PAGE, ...page })),
      listenerPage: (page) => Effect.sync(() => lists.listeners({ limit: PAGE, ...page }))
    }
  }

  #millisSince(time: number): number {
    return Math.round(this.#tables.now() - time)
  }

  // ---- the host and its applications

  readonly #report = Effect.gen({ self: this }, function*() {
    const { draining, formerHosts, imbalances, sessionCount, totals: ledger } = this.#tables
    const uptimeMillis = Math.round(this.#tables.upMillis)
    const apps = yield* Effect.forEach([...this.#tables.apps], (app) => this.#app(app))
    const host: Report.HostReport = {
      pid: process.pid,
      version,
      uptimeMillis,
      draining,
      sessions: sessionCount,
      formerHosts,
      apps,
      ledger,
      imbalances
    }
    return host
  })

  #app(app: AttachedApp): Effect.Effect<Report.AppReport> {
    const { addSegmentSize, firstSegmentSize, memoryLimit, rxFifoSize, txFifoSize } = app.options.segment
    return Effect.map(this.#certificatesOf(app), (certificates) => ({
      index: app.index,
      name: app.name,
      client: app.client,
      namespace: app.options.namespace,
      scopes: scopesOf(app.options),
      proxiedTransports: app.options.proxiedTransports,
      firstSegmentSize,
      addSegmentSize,
      memoryLimit,
      rxFifoSize,
      txFifoSize,
      certificates,
      status: app.status(Math.round(this.#tables.now())),
      reloads: { ...app.reloads },
      quarantined: this.#tables.quarantine.of(app).map(({ bytes, since, slot: { generation, mapIndex } }) => ({
        worker: mapIndex,
        generation,
        bytes,
        ageMillis: Math.round(this.#tables.now() - since)
      })),
      byNeed: app.range === undefined ? null : { ...app.range, limit: app.need?.limit ?? null },
      workers: [...app.slots.values()].map((slot) => workerReport(slot, this.#tables.now())),
      listeners: [...this.#tables.listeners].filter((listener) => listener.app === app && listener.state !== "BINDING")
        .map(listenerReport)
    }))
  }

  #certificatesOf({ handle }: AttachedApp): Effect.Effect<ReadonlyArray<Report.CertificateReport>> {
    return this.#certificates.of(handle).pipe(
      Effect.map((entries) =>
        entries.map(({ handle, info }): Report.CertificateReport => ({
          handle: Handle.format(handle),
          subject: info.subject,
          names: [...info.names.dns, ...info.names.ip],
          validTo: info.validTo,
          fingerprint: info.fingerprint256,
          warning: info.warning
        }))
      ),
      // an application that is being detached has no certificates left
      Effect.orElseSucceed((): ReadonlyArray<Report.CertificateReport> => [])
    )
  }

  // ---- sessions

  /**
   * The sessions in the slots from `after` on that a filter lets pass, as many as wanted. The first piece is made at once,
   * each further one in a turn of the loop. Only without `after` the rest is looked at, too, and counted.
   */
  readonly #page = Effect.fnUntraced({ self: this }, function*(
    filter: Report.SessionFilter,
    { after, limit }: { readonly after?: number | undefined; readonly limit: number }
  ) {
    const passes = SessionFilter.compile(filter)
    const sessions: Array<Report.SessionReport> = []
    let next: number | undefined
    let total = 0
    const lookWork = filter.local === undefined && filter.remote === undefined ? 1 : ADDRESS_WORK
    let work = 0
    for (const session of this.#tables.sessions.from(after ?? 0)) {
      if (work >= WORK) {
        work = 0
        yield* turns.next
      }
      work += lookWork
      const { state } = session
      if (!SessionState.isShown(state) || !passes(new SessionFacts(session, state))) continue
      total++
      if (sessions.length < limit) {
        sessions.push(this.#session(session, state))
        work += REPORT_WORK
        continue
      }
      next ??= Handle.index(session.handle)
      if (after !== undefined) break
    }
    const page: Report.SessionsReport = {
      ...(after === undefined ? { total } : {}),
      sessions,
      ...(next === undefined ? {} : { next: String(next) })
    }
    return page
  })

  #session(session: HostSession, state: SessionState.ShownState): Report.SessionReport {
    const { connection, handle, origin, since, worker } = session
    const { local, remote } = connection
    const { listener } = origin
    const journey = origin.moves?.journeys.of(connection)
    return {
      handle: Handle.format(handle),
      ...ofWorker(worker.slot),
      listener: listener === undefined ? null : Handle.format(listener),
      state,
      transport: session.transport,
      ...session.report(),
      local,
      remote,
      ageMillis: this.#millisSince(since),
      moves: journey?.moves ?? 0,
      moved: journey?.why ?? null
    }
  }
}
