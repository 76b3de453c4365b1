/** What `top` draws of a host that does not exist: two workers, one of them stuck. */
import * as History from "../../src/domain/overview/History.ts"
import type * as Overview from "../../src/domain/overview/Overview.ts"
import { textOf } from "../../src/layers/cli/top/ScreenText.ts"
import { initial, type TopChoice } from "../../src/layers/cli/top/TopChoice.ts"
import { draw, type Frame, type ScreenSize } from "../../src/layers/cli/top/TopDrawing.ts"
import { app, gauge, listener, overview, worker } from "./Overviews.ts"

const MiB = 2 ** 20
const HOUR = 3_600_000

const event = (
  serial: number,
  second: number,
  text: string,
  of: Partial<Overview.EventView> = {}
): Overview.EventView => ({
  serial,
  time: Date.UTC(2027, 0, 31, 12, 4, second),
  kind: "worker-up",
  app: "api",
  worker: null,
  text,
  ...of
})

/** A host, so many seconds after the first look at it. */
export const at = (seconds: number): Overview.Overview => {
  const arrived = seconds * (140 + 8 * (seconds % 10))
  return overview({
    at: seconds * 1000,
    host: {
      generation: 4,
      upMillis: 3 * HOUR + 12 * 60_000 + seconds * 1000,
      allUpMillis: 9 * 24 * HOUR + 4 * HOUR + seconds * 1000
    },
    totals: {
      arrived,
      claimed: arrived,
      bytesIn: Math.round(seconds * 1.2 * MiB),
      bytesOut: seconds * 14 * MiB,
      moved: 12
    },
    refused: { recent: {}, all: { "hold-time": 19 } },
    claim: { count: 100, p50Millis: 0.2, p99Millis: 4.8, maxMillis: 12 },
    sessions: gauge(118, 240, 65_536),
    held: gauge(0, 12, 16_384),
    memory: gauge(9 * MiB, 12 * MiB, 512 * MiB),
    apps: [app({ workers: 2, running: 2, sessions: gauge(118, 240, 65_536) })],
    workers: [
      worker({
        worker: 1,
        handle: "1.1",
        generation: 2,
        claim: { count: 90, p50Millis: 0.2, p99Millis: 0.9, maxMillis: 12 },
        claimed: 120 * seconds,
        sessions: gauge(77, 110, 16_384),
        thread: {
          utilization: 0.4 + 0.05 * (seconds % 5),
          processors: 0.58,
          heapUsed: 180 * MiB,
          heapLimit: 512 * MiB,
          ageMillis: 100
        },
        bytesIn: seconds * MiB,
        bytesOut: seconds * 12 * MiB
      }),
      worker({
        handle: "0.1",
        generation: 2,
        behindMillis: 3200,
        takes: "congested",
        congested: true,
        stuckAt: "renderInvoice (invoice.ts:88)",
        claim: { count: 10, p50Millis: 0.3, p99Millis: 5, maxMillis: 5 },
        claimed: 700,
        sessions: gauge(41, 130, 16_384),
        queue: gauge(3, 60, 2048),
        postponed: { now: 3, bytes: 900, highest: 3 },
        restarts: 1,
        thread: {
          utilization: seconds < 9 ? 0.1 * (seconds % 4) : 1,
          processors: 1,
          heapUsed: 212 * MiB,
          heapLimit: 512 * MiB,
          ageMillis: 100
        }
      })
    ],
    listeners: [
      listener({
        workers: 2,
        arrived,
        offered: 81_220,
        claimed: 81_201,
        revoked: 19,
        moved: 12,
        refused: { recent: {}, all: { "hold-time": 19 } },
        sessions: gauge(118, 240, 65_536),
        held: gauge(0, 12, 16_384),
        bytesIn: Math.round(seconds * 1.2 * MiB),
        bytesOut: seconds * 14 * MiB
      }),
      listener({ handle: "1.0", endpoint: "tls://0.0.0.0:8443", workers: 2 })
    ],
    events: [
      event(91, 7, "19 connections were offered to worker 0 and not claimed: revoked after 6 ms in 1 s"),
      event(90, 6, "the worker has let an offer run out, and is offered nothing before it has caught up", {
        worker: 0
      }),
      event(61, 2, "reloaded in 1.2 s, 2 workers"),
      event(60, 2, "the worker has been reloaded: its next start serves", { worker: 1 }),
      event(40, 0, "10.0.0.0/8 added to the deny list", { app: null })
    ]
  })
}

const frameOf = (changes: Partial<Omit<Frame, "view">> & { readonly view?: Partial<TopChoice> }): Frame => {
  let history: History.History | undefined
  for (let second = 0; second <= 12; second++) history = History.add(history, at(second))
  return {
    history: history!,
    stale: undefined,
    interval: 1000,
    sessions: undefined,
    control: undefined,
    ...changes,
    view: { ...initial, ...changes.view }
  }
}

export { frameOf as frame }

/** The rows of a screen as text. */
export const rows = (size: ScreenSize, changes: Parameters<typeof frameOf>[0] = {}): ReadonlyArray<string> =>
  draw(frameOf(changes), size).map(textOf)

/** The picture of the documentation. */
export const picture = (): string => rows({ columns: 80, rows: 24 }, { view: { worker: "0.1" } }).join("\n")
