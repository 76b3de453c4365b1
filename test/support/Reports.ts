/** Reports of hosts that do not exist. */
import * as Ledger from "../../src/domain/Ledger.ts"
import type * as Report from "../../src/domain/Report.ts"

const KiB = 1024
const MiB = 1024 * KiB

const copy = <A extends object>(value: A): A => structuredClone({ ...value })

export const worker = (changes: Partial<Report.Worker> = {}): Report.Worker => ({
  workerIndex: 0,
  appIndex: 0,
  mapIndex: 0,
  client: "",
  kind: "thread",
  state: "RUNNING",
  congested: false,
  sessions: 0,
  restarts: 0,
  lastFailure: null,
  queue: { index: { used: 0, size: 2048 }, io: { used: 0, size: 2048 }, control: { used: 0, size: 512 } },
  postponed: { now: 0, bytes: 0, highest: 0 },
  timesCongested: 0,
  congestedMillis: 0,
  behind: { offers: 0, times: 0, millis: 0 },
  lastProgressMillis: 0,
  segments: { count: 1, bytes: 4 * MiB, hostBytes: 64 * KiB, used: 0 },
  messages: copy(new Ledger.Messages()),
  offers: copy(new Ledger.Offers()),
  ...changes
})

export const listener = (
  changes: Partial<Omit<Report.Listener, "arrivals">> & {
    readonly held?: number
    readonly refused?: Partial<Record<Ledger.RefuseReason, number>>
  } = {}
): Report.Listener => {
  const { held = 0, refused = {}, ...rest } = changes
  const arrivals = copy(new Ledger.Arrivals())
  return {
    handle: "0.1",
    endpoint: "tcp://127.0.0.1:8080",
    workers: [0],
    sessions: 0,
    arrivals: { ...arrivals, held, refused: { ...arrivals.refused, ...refused } },
    ...rest
  }
}

export const app = (changes: Partial<Report.App> = {}): Report.App => ({
  index: 0,
  name: "http",
  client: "",
  namespace: "default",
  firstSegmentSize: 4 * MiB,
  addSegmentSize: 4 * MiB,
  rxFifoSize: 64 * KiB,
  txFifoSize: 64 * KiB,
  workers: [worker()],
  listeners: [listener()],
  ...changes
})

export const host = (changes: Partial<Report.Host> = {}): Report.Host => ({
  pid: 4711,
  version: "0.1.0",
  uptimeMillis: 61_000,
  draining: false,
  sessions: 0,
  apps: [],
  ledger: {
    messages: copy(new Ledger.Messages()),
    offers: copy(new Ledger.Offers()),
    arrivals: copy(new Ledger.Arrivals())
  },
  imbalances: [],
  ...changes
})
