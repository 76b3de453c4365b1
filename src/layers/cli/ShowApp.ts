/**
 * What `show app` prints: a host's report as text (W21, M12).
 *
 * Workers and listeners are shown with their handles, `index.generation`, which are what the commands that act on them
 * take. The plain form fits the terminal, the verbose form cuts nothing.
 */
import * as WorkerCount from "../../domain/options/WorkerCount.ts"
import type * as Report from "../../domain/report/Report.ts"
import * as Visible from "../../domain/report/Visible.ts"
import * as Whereabouts from "../../domain/report/Whereabouts.ts"
import type { NeedLimit } from "../../domain/state/NeedReason.ts"
import * as ShowListeners from "./ShowListeners.ts"
import { type Column, details, indented, type Look, sections, table, within } from "./Table.ts"
import { moment, orNone, percent, plural, printable, size, time, times } from "./Words.ts"

const appColumns: ReadonlyArray<Column<Report.AppReport>> = [
  { head: "App", cell: (app) => `${app.index}` },
  { head: "Name", cell: (app) => orNone(app.name), least: 20 },
  { head: "Client", cell: (app) => orNone(app.client), least: 20 },
  { head: "Namespace", cell: (app) => orNone(app.namespace), least: 20 }
]

const moreColumns: ReadonlyArray<Column<Report.AppReport>> = [
  { head: "Scope", cell: ({ scopes }) => ShowListeners.scope(scopes) },
  { head: "Proxy for", cell: (app) => orNone(app.proxiedTransports.join(", ")) },
  { head: "First segment", cell: (app) => size(app.firstSegmentSize), right: true },
  { head: "Add segment", cell: (app) => app.addSegmentSize === 0 ? "none" : size(app.addSegmentSize), right: true },
  { head: "Memory limit", cell: (app) => size(app.memoryLimit), right: true },
  { head: "Rx fifo", cell: (app) => size(app.rxFifoSize), right: true },
  { head: "Tx fifo", cell: (app) => size(app.txFifoSize), right: true }
]

const workerColumns: ReadonlyArray<Column<Report.WorkerReport>> = [
  { head: "Worker", cell: (worker) => worker.handle },
  { head: "App", cell: (worker) => `${worker.appIndex}` },
  { head: "Map", cell: (worker) => `${worker.mapIndex}` },
  { head: "Client", cell: (worker) => orNone(worker.client), least: 6 },
  { head: "Kind", cell: (worker) => worker.kind },
  { head: "State", cell: (worker) => worker.state },
  { head: "Takes", cell: (worker) => worker.takes },
  { head: "Sessions", cell: (worker) => `${worker.sessions}`, right: true }
]

const certificateColumns: ReadonlyArray<Column<Report.CertificateReport>> = [
  { head: "Certificate", cell: (certificate) => certificate.handle },
  { head: "Subject", cell: (certificate) => orNone(certificate.subject) },
  { head: "Names", cell: (certificate) => orNone(certificate.names.join(", ")) },
  { head: "Valid to (UTC)", cell: (certificate) => moment(certificate.validTo) },
  { head: "Warning", cell: (certificate) => orNone(certificate.warning) },
  { head: "Fingerprint", cell: (certificate) => printable(certificate.fingerprint) }
]

/** `retryMillis` as `Retry millis`. */
const headOf = (field: string): string => {
  const words = printable(field).replace(/\p{Lu}/gu, (letter) => ` ${letter.toLowerCase()}`)
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const statusColumns = (status: Report.Status): ReadonlyArray<Column<Report.Status[number]>> =>
  [...new Set(status.flatMap(Object.keys))].map((field) => ({
    head: headOf(field),
    cell: (row) => orNone(String(row[field] ?? "")),
    right: status.some((row) => typeof row[field] === "number")
  }))

const workerDetails = (worker: Report.WorkerReport): Array<string> => {
  const { offers, postponed, queue, segments, thread } = worker
  const depth = (name: string, { size, used }: { readonly used: number; readonly size: number }) =>
    `${name} ${used}/${size}`
  const generation = worker.generation === 1 ? "" : `, generation ${worker.generation}`
  const failure = worker.lastFailure === null ? "" : `, last failure: ${printable(worker.lastFailure)}`
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["queues", [depth("index", queue.index), depth("io", queue.io), depth("control", queue.control)].join(", ")],
    ["postponed", `${postponed.now} now (${size(postponed.bytes)}), highest ${postponed.highest}`],
    ["congested", worker.congestedBy === null ? "no" : `by ${worker.congestedBy}`],
    ["postponing", `${plural(worker.timesCongested, "time")}, ${time(worker.congestedMillis)} in total`],
    [
      "behind",
      `${plural(worker.behind.offers, "offer")} now, ${plural(worker.behind.times, "time")}, ${
        time(worker.behind.millis)
      } in total`
    ],
    ["delayed", `${plural(worker.delayed.times, "time")}, ${time(worker.delayed.millis)} in total`],
    ...(worker.inHand === null ? [] : [["in hand", `${worker.inHand.now} of ${worker.inHand.limit}`] as const]),
    [
      "offers",
      `${offers.offered}, of them ${offers.claimed} claimed, ${offers.refused} refused, ${offers.revoked} revoked, ` +
      `${offers.withdrawn} withdrawn; ${offers.moved} moved on`
    ],
    ["claim", times(worker.times.claim)],
    ["answer", times(worker.times.answer)],
    ["session", times(worker.times.length)],
    ["postponed for", times(worker.times.postponed)],
    ["bytes", `${size(worker.bytesIn)} in, ${size(worker.bytesOut)} out`],
    ...(thread === null ? [] : [
      [
        "thread",
        `loop ${percent(100 * thread.utilization)} busy, heap ${size(thread.heapUsed)} of ${size(thread.heapLimit)}, ` +
        `processor ${time(thread.cpuUserMillis + thread.cpuSystemMillis)}`
      ] as const
    ]),
    [
      "next message",
      worker.lastProgressMillis === 0 ? "none waits" : `waits for ${time(worker.lastProgressMillis)}`
    ],
    ["restarts", `${worker.restarts}${generation}${failure}`],
    [
      "segments",
      `${segments.count} with ${size(segments.bytes)}, ${size(segments.hostBytes)} of the host's, ` +
      `${size(segments.used)} used`
    ],
    ["memory", `${worker.memory}; ${plural(worker.sessionsRefused, "session")} found none`]
  ]
  const stack = worker.lastFailureStack === null ? [] : indented(["", ...Visible.lines(worker.lastFailureStack)])
  return [...details(`Worker ${worker.handle}`, rows), ...stack]
}

/** A worker that is short of memory says so in the plain form too: its sessions are slowed down, or it takes no more. */
const scarcity = (worker: Report.WorkerReport): Array<string> => {
  if (worker.memory === "ample") return []
  const refused = worker.sessionsRefused === 0 ? "" : `; ${plural(worker.sessionsRefused, "session")} found none`
  return [
    `worker ${worker.handle}: ${
      worker.memory === "none" ? "no memory for another session" : "memory is short"
    }${refused}`
  ]
}

/** A worker that does not respond says so in the plain form too, and where its code is. */
const silence = ({ handle, silent }: Report.WorkerReport): Array<string> =>
  silent === null ? [] : [
    `worker ${handle}: does not respond for ${time(silent.millis)}${
      silent.place === null && silent.unplaced === null ? "" : `; ${printable(Whereabouts.phrase(silent))}`
    }`
  ]

/** A worker that dies again and again says so in the plain form too. */
const crashes = ({ crashLoop, handle, lastFailure }: Report.WorkerReport): Array<string> =>
  crashLoop === null ? [] : [
    `worker ${handle}: has died ${plural(crashLoop.deaths, "time")} in ${time(crashLoop.withinMillis)}${
      lastFailure === null ? "" : `, last of: ${printable(lastFailure)}`
    }`
  ]

/** Threads that do not end. */
const quarantined = ({ quarantined }: Report.AppReport): Array<string> =>
  quarantined.map(({ ageMillis, bytes, generation, worker }) =>
    `worker number ${worker}, generation ${generation}: its thread is in native code and has not ended for ${
      time(ageMillis)
    }; ${size(bytes)} are kept for it`
  )

/** Generations of a worker besides the one that serves: that which is to take its place, and those that drain. */
const generations = ({ formers, handle, successor }: Report.WorkerReport): Array<string> => [
  ...(successor === null
    ? []
    : [`worker ${handle}: generation ${successor.generation} is ${successor.state} and is to take its place`]),
  ...formers.map(({ ageMillis, generation, sessions, state }) =>
    `worker ${handle}: generation ${generation} is ${state} with ${plural(sessions, "session")}, replaced ${
      time(ageMillis)
    } ago`
  )
]

const limits: Readonly<Record<NeedLimit, string>> = {
  most: "one more is needed, and this is the most that it may have",
  processors: "one more is needed, and there is no processor left for it",
  memory: "one more is needed, and there is no memory left for it"
}

/** How many workers there are, where that is by need (X8). */
const byNeed = ({ byNeed, workers }: Report.AppReport): Array<string> => {
  if (byNeed === null) return []
  const limit = byNeed.limit === null ? "" : `: ${limits[byNeed.limit]}`
  return [`workers ${workers.length} (${WorkerCount.formatRange(byNeed)})${limit}`]
}

const section = (app: Report.AppReport, look: Look): Array<string> => {
  const { verbose } = look
  const inner = within(look)
  return [
    ...table(verbose ? [...appColumns, ...moreColumns] : appColumns, [app], look),
    "",
    ...indented([
      ...table(workerColumns, app.workers, inner),
      ...byNeed(app),
      ...app.workers.flatMap(silence),
      ...app.workers.flatMap(crashes),
      ...quarantined(app),
      ...app.workers.flatMap(scarcity),
      ...app.workers.flatMap(generations),
      "",
      ...(verbose ? app.workers.flatMap((worker) => [...workerDetails(worker), ""]) : []),
      ...ShowListeners.ofApp(app.listeners, inner),
      ...(verbose && app.status.length > 0 ? ["", ...table(statusColumns(app.status), app.status, inner)] : []),
      ...(verbose && app.certificates.length > 0
        ? ["", ...table(certificateColumns, app.certificates, inner)]
        : [])
    ])
  ]
}

/** The hosts before this one that have not ended yet. */
const formerHosts = ({ formerHosts }: Report.HostReport): Array<string> =>
  formerHosts.map(({ endsWithinMillis, pid, sessions }) =>
    `process ${pid}, a host before this one, has ${plural(sessions, "session")} left and ends within ${
      time(endsWithinMillis)
    }`
  )

const host = (report: Report.HostReport): string =>
  [
    `host ${report.version}`,
    `pid ${report.pid}`,
    `up ${time(report.uptimeMillis)}`,
    plural(report.sessions, "session"),
    ...(report.draining ? ["draining"] : [])
  ].join(", ")

/**
 * The text of `show app`, without a newline at its end.
 *
 * **Details** What does not add up in the host's ledger is said at the end, in both forms (M14).
 */
export const format = (report: Report.HostReport, look: Look): string => {
  const apps = report.apps.length === 0
    ? [["no active apps"]]
    : report.apps.map((app) => section(app, look))
  const wrong = report.imbalances.map((imbalance) => `the ledger does not balance: ${printable(imbalance)}`)
  return sections([
    ...(look.verbose ? [[host(report)]] : report.draining ? [["the host is draining"]] : []),
    ...apps,
    ...(report.formerHosts.length === 0 ? [] : [formerHosts(report)]),
    ...(wrong.length === 0 ? [] : [wrong])
  ])
}

/** The text of `show app` for one application. */
export const formatOne = (app: Report.AppReport, look: Look): string => section(app, look).join("\n")
