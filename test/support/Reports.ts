/** Reports of hosts that do not exist. */
import type * as Report from "../../src/domain/report/Report.ts"
import * as TimesReport from "../../src/domain/report/TimesReport.ts"
import { Histogram } from "../../src/domain/state/Histogram.ts"
import * as Ledger from "../../src/domain/state/Ledger.ts"
import { ListenerTimes, WorkerTimes } from "../../src/domain/state/Times.ts"
import * as WorkerEnd from "../../src/domain/state/WorkerEnd.ts"

const KiB = 1024
const MiB = 1024 * KiB

const copy = <A extends object>(value: A): A => structuredClone({ ...value })

export const worker = (changes: Partial<Report.WorkerReport> = {}): Report.WorkerReport => ({
  handle: "0.0",
  workerIndex: 0,
  appIndex: 0,
  mapIndex: 0,
  client: "",
  kind: "thread",
  state: "RUNNING",
  congested: false,
  congestedBy: null,
  takes: "sessions",
  sessions: 0,
  restarts: 0,
  restartsBy: WorkerEnd.noRestarts(),
  lastFailure: null,
  lastFailureStack: null,
  queue: { index: { used: 0, size: 2048 }, io: { used: 0, size: 2048 }, control: { used: 0, size: 512 } },
  postponed: { now: 0, bytes: 0, highest: 0 },
  timesCongested: 0,
  congestedMillis: 0,
  behind: { offers: 0, times: 0, millis: 0, nowMillis: 0 },
  delayed: { times: 0, millis: 0 },
  inHand: null,
  lastProgressMillis: 0,
  silent: null,
  crashLoop: null,
  generation: 1,
  successor: null,
  formers: [],
  segments: { count: 1, bytes: 4 * MiB, hostBytes: 64 * KiB, used: 0 },
  memory: "ample",
  sessionsRefused: 0,
  messages: copy(new Ledger.MessageLedger()),
  offers: copy(new Ledger.OfferLedger()),
  thread: null,
  ...TimesReport.ofWorker(new WorkerTimes()),
  ...changes
})

/** The histogram of some times. */
export const histogram = (...millis: ReadonlyArray<number>): Report.HistogramReport => {
  const histogram = new Histogram()
  for (const time of millis) histogram.record(time)
  return TimesReport.ofHistogram(histogram)
}

export const listener = (
  changes: Partial<Omit<Report.ListenerReport, "arrivals">> & {
    readonly held?: number
    readonly refused?: Partial<Record<Ledger.RefuseReason, number>>
    readonly ended?: Partial<Record<Ledger.EndReason, number>>
  } = {}
): Report.ListenerReport => {
  const { ended = {}, held = 0, refused = {}, ...rest } = changes
  const arrivals = copy(new Ledger.ArrivalLedger())
  return {
    handle: "0.1",
    app: "http",
    appIndex: 0,
    client: "",
    endpoint: "tcp://127.0.0.1:8080",
    requested: "tcp://127.0.0.1:8080",
    scopes: ["global"],
    placement: "shared",
    refusesWith: "reset",
    workers: [0],
    managers: [{ worker: 0, manager: 0 }],
    sessions: 0,
    arrivals: {
      ...arrivals,
      held,
      refused: { ...arrivals.refused, ...refused },
      ended: { ...arrivals.ended, ...ended }
    },
    ...TimesReport.ofListener(new ListenerTimes()),
    ...rest
  }
}

export const app = (changes: Partial<Report.AppReport> = {}): Report.AppReport => ({
  index: 0,
  name: "http",
  client: "",
  namespace: "default",
  scopes: ["global"],
  proxiedTransports: [],
  byNeed: null,
  firstSegmentSize: 4 * MiB,
  addSegmentSize: 4 * MiB,
  memoryLimit: 256 * MiB,
  rxFifoSize: 64 * KiB,
  txFifoSize: 64 * KiB,
  certificates: [],
  status: [],
  reloads: { reloaded: 0, failed: 0 },
  quarantined: [],
  workers: [worker()],
  listeners: [listener()],
  ...changes
})

export const host = (changes: Partial<Report.HostReport> = {}): Report.HostReport => ({
  pid: 4711,
  version: "0.1.0",
  uptimeMillis: 61_000,
  draining: false,
  formerHosts: [],
  sessions: 0,
  apps: [],
  ledger: {
    messages: copy(new Ledger.MessageLedger()),
    offers: copy(new Ledger.OfferLedger()),
    arrivals: copy(new Ledger.ArrivalLedger())
  },
  imbalances: [],
  ...changes
})

const ofWorker = { app: "http", appIndex: 0, worker: 0, workerHandle: "0.0" }

export const session = (changes: Partial<Report.SessionReport> = {}): Report.SessionReport => ({
  handle: "7.2",
  ...ofWorker,
  listener: "0.1",
  state: "READY",
  transport: "tcp",
  kind: "accepted",
  placement: "shared",
  local: "tcp://127.0.0.1:8080",
  remote: "tcp://127.0.0.1:54321",
  ageMillis: 1500,
  rx: { used: 0, size: 64 * KiB, memory: 0 },
  tx: { used: 100, size: 64 * KiB, memory: 4 * KiB },
  bytesIn: 1000,
  bytesOut: 2000,
  parked: false,
  moves: 0,
  moved: null,
  dropped: 0,
  ...changes
})

export const connect = (changes: Partial<Report.ConnectReport> = {}): Report.ConnectReport => ({
  ...ofWorker,
  request: 3,
  endpoint: "tcp://10.0.0.7:443",
  source: null,
  scope: "global",
  ageMillis: 250,
  timeoutMillis: 10_000,
  ...changes
})

export const localSession = (changes: Partial<Report.LocalSessionReport> = {}): Report.LocalSessionReport => ({
  endpoint: "local://billing",
  server: { ...ofWorker, app: "billing", appIndex: 1, worker: 1, workerHandle: "3.1", session: "8.0", state: "READY" },
  client: { ...ofWorker, session: "9.4", state: "TRANSPORT_CLOSING" },
  segmentBytes: 128 * KiB + 256,
  ageMillis: 61_000,
  ...changes
})

export const manager = (changes: Partial<Report.SegmentManagerReport> = {}): Report.SegmentManagerReport => ({
  ...ofWorker,
  kind: "host",
  manager: 0,
  users: ["listener 0.1", "connects"],
  count: 2,
  bytes: 8 * MiB,
  segments: [
    { index: 0, bytes: 4 * MiB, hostBytes: 2 * MiB, used: 1 * MiB, free: 512 * KiB, protected: true },
    { index: 2, bytes: 4 * MiB, hostBytes: 4 * MiB, used: 256, free: 4 * MiB - 256, protected: false }
  ],
  blocks: [{ size: 256, count: 12 }, { size: 64 * KiB, count: 3 }],
  usedPercent: 18.26,
  highWatermark: 80,
  lowWatermark: 50,
  growing: false,
  ...changes
})

const ring = (used: number, highest: number, size: number): Report.Ring => ({ used, highest, size })

export const queue = (changes: Partial<Report.QueueReport> = {}): Report.QueueReport => ({
  ...ofWorker,
  congested: false,
  postponed: 0,
  toWorker: {
    index: ring(3, 17, 2048),
    io: ring(2, 16, 2048),
    control: ring(1, 4, 512),
    enqueued: 1003,
    drained: 1000,
    idle: false
  },
  toHost: {
    index: ring(0, 9, 2048),
    io: ring(0, 8, 2048),
    control: ring(0, 2, 512),
    enqueued: 77,
    drained: 77,
    idle: true
  },
  ...changes
})
