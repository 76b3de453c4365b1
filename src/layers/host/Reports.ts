/**
 * What a host reports about itself, from its tables: the data behind `show`.
 */
import * as Effect from "effect/Effect"
import type * as Report from "../../domain/report/Report.ts"
import * as SessionFilter from "../../domain/report/SessionFilter.ts"
import { version } from "../../domain/report/Version.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import { CutThrough } from "./CutThrough.ts"
import type { CutThroughs } from "./CutThroughs.ts"
import type { HostSession } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import type { LiveWorker } from "./Worker.ts"
import { managersReport, ofWorker, queueReport, workerReport } from "./WorkerReports.ts"

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
    workers: admission.seats.all.map(({ number }) => number),
    managers: admission.seats.all.flatMap(({ member, number }) => {
      const manager = member?.worker.segments.managers().find(({ users }) => users.includes(user))
      return manager === undefined ? [] : [{ worker: number, manager: manager.index }]
    }),
    sessions: admission.sessions,
    arrivals: Ledger.add(new Ledger.ArrivalLedger(), admission.arrivals)
  }
}

/** What the session layer reports. */
type SessionLayerReports = Pick<
  SessionLayer["Service"],
  "report" | "sessions" | "connects" | "locals" | "segments" | "queues"
>

export class Reports {
  readonly #tables: Tables
  readonly #cutThroughs: CutThroughs
  readonly #certificates: Certificates["Service"]
  /** Milliseconds of `MonotonicTime`. */
  readonly #startedAt: number

  constructor(tables: Tables, cutThroughs: CutThroughs, certificates: Certificates["Service"]) {
    this.#tables = tables
    this.#cutThroughs = cutThroughs
    this.#certificates = certificates
    this.#startedAt = tables.now()
  }

  /** All reports of the session layer: each is made when it is asked for. */
  get all(): SessionLayerReports {
    return {
      report: this.#report,
      sessions: (filter) => Effect.sync(() => this.#sessions(filter)),
      connects: Effect.sync(() => this.#connects()),
      locals: Effect.sync(() => this.#locals()),
      segments: Effect.sync(() => this.#ofLive(managersReport)),
      queues: Effect.sync(() => this.#ofLive((live) => [queueReport(live)]))
    }
  }

  #millisSince(time: number): number {
    return Math.round(this.#tables.now() - time)
  }

  /** What `of` gives for each worker that runs, in one list. */
  #ofLive<A>(of: (live: LiveWorker) => ReadonlyArray<A>): ReadonlyArray<A> {
    return [...this.#tables.workers].flatMap(({ live }) => live === undefined ? [] : of(live))
  }

  // ---- the host and its applications

  readonly #report = Effect.gen({ self: this }, function*() {
    const { draining, sessionCount } = this.#tables
    const uptimeMillis = this.#millisSince(this.#startedAt)
    const accounts = this.#accounts()
    const apps = yield* Effect.forEach([...this.#tables.apps], (app) => this.#app(app))
    const host: Report.HostReport = {
      pid: process.pid,
      version,
      uptimeMillis,
      draining,
      sessions: sessionCount,
      apps,
      ...accounts
    }
    return host
  })

  /** The ledger of the whole host, and what in it does not balance (M14). */
  #accounts(): Pick<Report.HostReport, "ledger" | "imbalances"> {
    const { listeners, past, workers } = this.#tables
    const ledger = {
      messages: Ledger.add(new Ledger.MessageLedger(), past.messages),
      offers: Ledger.add(new Ledger.OfferLedger(), past.offers),
      arrivals: Ledger.add(new Ledger.ArrivalLedger(), past.arrivals)
    }
    const imbalances: Array<string> = []
    for (const { app, mapIndex, messages, offers } of workers) {
      imbalances.push(...Ledger.imbalances(`worker ${mapIndex} of ${app.name}`, { messages, offers }))
      Ledger.add(ledger.messages, messages)
      Ledger.add(ledger.offers, offers)
    }
    for (const { admission: { arrivals }, boundUri } of listeners) {
      imbalances.push(...Ledger.imbalances(`listener ${boundUri}`, { arrivals }))
      Ledger.add(ledger.arrivals, arrivals)
    }
    imbalances.push(...Ledger.imbalances("host", ledger))
    return { ledger, imbalances }
  }

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
      workers: [...app.slots.values()].map(workerReport),
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

  // ---- sessions and connects

  #sessions(filter: Report.SessionFilter): ReadonlyArray<Report.SessionReport> {
    const passes = SessionFilter.compile(filter)
    const reports: Array<Report.SessionReport> = []
    for (const session of this.#tables.sessions) {
      const { state } = session
      if (!SessionState.isShown(state)) continue
      const report = this.#session(session, state)
      if (passes(report)) reports.push(report)
    }
    return reports
  }

  #session(session: HostSession, state: SessionState.ShownState): Report.SessionReport {
    const { connection: { local, remote }, handle, origin: { listener }, since, worker } = session
    return {
      handle: Handle.format(handle),
      ...ofWorker(worker.slot),
      listener: listener === undefined ? null : Handle.format(listener),
      state,
      ...session.report(),
      local,
      remote,
      ageMillis: this.#millisSince(since)
    }
  }

  #connects(): ReadonlyArray<Report.ConnectReport> {
    return this.#ofLive(({ halfOpen, slot }) =>
      [...halfOpen.values()].map(({ endpoint, request, scope, since, source, timeout }) => ({
        ...ofWorker(slot),
        request,
        endpoint,
        source: source === "" ? null : source,
        scope,
        ageMillis: this.#millisSince(since),
        timeoutMillis: timeout
      }))
    )
  }

  // ---- local scope

  #locals(): Report.LocalsReport {
    return {
      listeners: [...this.#tables.namespaces].flatMap(([namespace, table]) =>
        [...table].map(([endpoint, { app, handle }]) => ({
          namespace,
          endpoint,
          app: app.name,
          appIndex: app.index,
          listener: Handle.format(handle)
        }))
      ),
      sessions: [...this.#cutThroughs.connected].flatMap((cutThrough) => this.#cutThrough(cutThrough)),
      connects: this.#connects().filter(({ scope }) => scope === "local")
    }
  }

  #cutThrough({ endpoint, sessions, since }: CutThrough): ReadonlyArray<Report.LocalSessionReport> {
    if (sessions === undefined) return []
    return [{
      endpoint,
      server: cutThroughEnd(sessions.server),
      client: cutThroughEnd(sessions.client),
      segmentBytes: CutThrough.segmentBytes(sessions.server),
      ageMillis: this.#millisSince(since)
    }]
  }
}

const cutThroughEnd = (session: HostSession): Report.LocalEnd => ({
  ...ofWorker(session.worker.slot),
  session: Handle.format(session.handle),
  state: session.state
})
