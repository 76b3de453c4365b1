import { assert, describe, it } from "@effect/vitest"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import { app, gauge, overview, worker } from "../../support/Overviews.ts"

const told = (changes: Parameters<typeof overview>[0]): ReadonlyArray<string> =>
  overview(changes).findings.map(({ level, text }) => `${level}: ${text}`)

const two = [worker({ handle: "0.1", claim: { p99Millis: 5 } }), worker({ handle: "1.1", worker: 1 })] as const
const other = two[1]

describe("the verdict", () => {
  it("says how many workers serve when all is well, or that there is nothing", () => {
    assert.deepStrictEqual(told({ workers: two, sessions: gauge(118, 120, 16384) }), [
      "ok: 2 workers serve 118 sessions"
    ])
    assert.deepStrictEqual(told({ sessions: gauge(1, 1, 16384) }), ["ok: 1 worker serves 1 session"])
    assert.deepStrictEqual(told({ apps: [], workers: [], listeners: [] }), ["ok: no active apps"])
  })

  it("X6 names a worker that is stuck, where and since when, and who serves meanwhile", () => {
    const stuck = worker({ handle: "0.1", takes: "congested", behindMillis: 3200 })
    assert.deepStrictEqual(told({ workers: [stuck, other] }), [
      "bad: worker 0.1 (api 0) is stuck for 3.2 s; 1 other serves"
    ])
    assert.deepStrictEqual(told({ workers: [{ ...stuck, stuckAt: "render (app.ts:88)" }] }), [
      "bad: worker 0.1 (api 0) is stuck in render (app.ts:88) for 3.2 s; no other one serves"
    ])
    // another application's worker is no help
    assert.deepStrictEqual(told({ workers: [stuck, { ...other, appIndex: 1 }] }), [
      "bad: worker 0.1 (api 0) is stuck for 3.2 s; no other one serves"
    ])
  })

  it("X6 says who is behind, the longest first, unless it comes and goes", () => {
    const behind = (handle: string, behindMillis: number) => worker({ handle, takes: "congested", behindMillis })
    assert.deepStrictEqual(told({ workers: [behind("0.0", 99), behind("1.0", 100), behind("2.0", 1999), other] }), [
      "warning: worker 2.0 (api 0) is behind for 2 s; 1 other serves",
      "warning: worker 1.0 (api 0) is behind for 100 ms; 1 other serves"
    ])
  })

  it("X7 says that the host is overloaded by what it refused lately, and not by what it refused before", () => {
    const all = { "hold-time": 100 }
    assert.deepStrictEqual(told({ refused: { recent: { "hold-full": 4, "hold-time": 8, "tls-failed": 3 }, all } }), [
      "bad: overloaded: 12 refused in the last 10 s (hold-time 8, hold-full 4)"
    ])
    assert.deepStrictEqual(told({ refused: { recent: { "source-denied": 7 }, all } }), [
      "ok: 1 worker serves 0 sessions"
    ])
    assert.deepStrictEqual(told({ refused: { recent: { "no-listener": 1 }, all } }), [
      "warning: 1 refused in the last 10 s (no-listener 1)"
    ])
  })

  it("knows what each reason of a refusal says", () => {
    const grave = Ledger.RefuseReasons.filter((reason) =>
      overview({ refused: { recent: { [reason]: 1 }, all: {} } }).verdict.level !== "ok"
    )
    assert.includeMembers(grave, ["congested", "hold-time", "host-limit", "no-listener", "no-descriptors"])
    assert.notIncludeMembers(grave, ["source-denied", "app-refused"])
  })

  it("X5 M14 begins with a ledger that does not balance, then goes from bad to what is as it should be", () => {
    assert.deepStrictEqual(
      told({
        imbalances: ["host: messages sent is 2, its parts add up to 1"],
        apps: [app({ reloading: true, sessions: gauge(95, 95, 100) }), app({ index: 1, name: "jobs", running: 0 })],
        workers: [
          worker({ memoryState: "none", thread: null }),
          worker({
            appIndex: 1,
            app: "jobs",
            handle: "1.0",
            state: "BACKOFF",
            takes: "nothing",
            lastFailure: "out of memory"
          })
        ],
        held: gauge(2, 2, 100),
        lost: { recent: 1, all: 1 },
        host: { formers: 1, formerSessions: 1 }
      }),
      [
        "bad: the ledger does not balance: host: messages sent is 2, its parts add up to 1",
        "bad: no worker of jobs runs: 1 worker gone or starting",
        "bad: 1 session lost with its worker in the last 10 s",
        "warning: worker 1.0 (jobs 0) is BACKOFF: out of memory; no other one serves",
        "warning: 2 connections wait for a worker",
        "warning: worker 0.0 (api 0) has no memory for another session",
        "warning: api has 95 of 100 sessions that it may have",
        "ok: api is being reloaded",
        "ok: a host before this one has 1 session left"
      ]
    )
  })

  it("says that a host drains, and not that nobody serves then", () => {
    assert.deepStrictEqual(
      told({ host: { draining: true }, apps: [app({ running: 0 })], workers: [worker({ state: "DRAINING" })] }),
      ["warning: the host drains: 0 sessions left"]
    )
  })

  it("is of bounded length", () => {
    const workers = Array.from({ length: 256 }, (_, at) => worker({ handle: `${at}.0`, behindMillis: 5000 }))
    assert.strictEqual(overview({ workers }).findings.length, 20)
  })
})
