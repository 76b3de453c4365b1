/** Overviews of hosts that do not exist. */
import type * as Overview from "../../src/domain/overview/Overview.ts"
import * as Verdict from "../../src/domain/overview/Verdict.ts"

const MiB = 2 ** 20

export const gauge = (now: number, highest: number, limit: number): Overview.Gauge => ({ now, highest, limit })

const NO_TIMES: Overview.Brief = { count: 0, p50Millis: 0, p99Millis: 0, maxMillis: 0 }

const briefs = (recent: Partial<Overview.Brief> = {}): Overview.Briefs => ({
  recent: { ...NO_TIMES, ...recent },
  all: { ...NO_TIMES, ...recent }
})

export const worker = (
  { claim, ...changes }: Partial<Omit<Overview.WorkerView, "claim">> & { readonly claim?: Partial<Overview.Brief> } = {}
): Overview.WorkerView => ({
  app: "api",
  appIndex: 0,
  worker: 0,
  handle: "0.0",
  kind: "thread",
  generation: 1,
  state: "RUNNING",
  takes: "sessions",
  congested: false,
  behindMillis: 0,
  stuckAt: null,
  congestedMillis: 0,
  lastProgressMillis: 0,
  claim: briefs(claim),
  thread: { utilization: 0.61, processors: 0.58, heapUsed: 180 * MiB, heapLimit: 512 * MiB, ageMillis: 200 },
  sessions: gauge(0, 0, 16384),
  memory: gauge(4 * MiB, 8 * MiB, 256 * MiB),
  memoryState: "ample",
  queue: gauge(0, 12, 2048),
  postponed: { now: 0, bytes: 0, highest: 0 },
  offered: 0,
  claimed: 0,
  revoked: 0,
  restarts: 0,
  lastFailure: null,
  successor: null,
  formers: 0,
  formerSessions: 0,
  bytesIn: 0,
  bytesOut: 0,
  ...changes
})

export const listener = (changes: Partial<Overview.ListenerView> = {}): Overview.ListenerView => ({
  app: "api",
  appIndex: 0,
  handle: "0.0",
  endpoint: "tcp://0.0.0.0:8080",
  placement: "shared",
  workers: 1,
  arrived: 0,
  offered: 0,
  claimed: 0,
  revoked: 0,
  moved: 0,
  lost: 0,
  refused: { recent: {}, all: {} },
  sessions: gauge(0, 0, 65536),
  held: gauge(0, 0, 16384),
  claim: briefs(),
  hold: briefs(),
  imbalances: [],
  bytesIn: 0,
  bytesOut: 0,
  ...changes
})

export const app = (changes: Partial<Overview.AppView> = {}): Overview.AppView => ({
  name: "api",
  index: 0,
  generation: 1,
  reloading: false,
  workers: 1,
  running: 1,
  sessions: gauge(0, 0, 65536),
  ...changes
})

/** An overview, with the verdict that its facts have. */
export const overview = (
  { claim, host, totals, ...changes }:
    & Partial<Omit<Overview.OverviewFacts, "claim" | "host" | "totals">>
    & {
      readonly host?: Partial<Overview.HostView>
      readonly totals?: Partial<Overview.Sums>
      readonly claim?: Partial<Overview.Brief>
    } = {}
): Overview.Overview => {
  const facts: Overview.OverviewFacts = {
    at: 1000,
    time: Date.UTC(2027, 0, 31, 12, 4, 8),
    host: {
      machine: "web-1",
      pid: 4711,
      version: "0.3.0",
      generation: 1,
      upMillis: 61_000,
      allUpMillis: 61_000,
      draining: false,
      formers: 0,
      formerSessions: 0,
      ...host
    },
    totals: {
      arrived: 0,
      claimed: 0,
      refused: 0,
      revoked: 0,
      moved: 0,
      lost: 0,
      bytesIn: 0,
      bytesOut: 0,
      ...totals
    },
    refused: { recent: {}, all: {} },
    lost: { recent: 0, all: 0 },
    claim: briefs(claim),
    hold: briefs(),
    sessions: gauge(0, 0, 65536),
    held: gauge(0, 0, 16384),
    memory: gauge(4 * MiB, 8 * MiB, 256 * MiB),
    imbalances: [],
    apps: [app()],
    workers: [worker()],
    listeners: [listener()],
    events: [],
    ...changes
  }
  const findings = Verdict.of(facts)
  return { ...facts, verdict: findings[0]!, findings }
}
