/**
 * What a host reports about itself, from its tables: the data behind `show`.
 */
import * as Effect from "effect/Effect"
import type * as Report from "../../domain/report/Report.ts"
import * as TimesReport from "../../domain/report/TimesReport.ts"
import { version } from "../../domain/report/Version.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import type { CutThroughs } from "./CutThroughs.ts"
import type { HostListener } from "./Listener.ts"
import { ReportLists } from "./ReportLists.ts"
import { SessionPages } from "./SessionPages.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import { workerReport } from "./WorkerReports.ts"

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
  readonly #sessions: SessionPages
  readonly #certificates: Certificates["Service"]

  constructor(tables: Tables, cutThroughs: CutThroughs, certificates: Certificates["Service"]) {
    this.#tables = tables
    this.#sessions = new SessionPages(tables)
    this.#lists = new ReportLists(tables, cutThroughs, listenerReport)
    this.#certificates = certificates
  }

  /** All reports of the session layer, each made when it is asked for: at once, apart from those of many sessions. */
  get all(): SessionLayerReports {
    const lists = this.#lists
    return {
      report: this.#report,
      sessions: (filter) => Effect.map(this.#sessions.page(filter, { limit: Infinity }), ({ sessions }) => sessions),
      sessionPage: (filter, page = {}) => this.#sessions.page(filter, { ...page, limit: page.limit ?? PAGE }),
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
}
