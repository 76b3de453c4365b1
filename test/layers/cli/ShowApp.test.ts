import { assert, describe, it } from "@effect/vitest"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as ShowApp from "../../../src/layers/cli/ShowApp.ts"
import * as Reports from "../../support/Reports.ts"

const MiB = 1024 * 1024

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

const busy = Reports.host({
  sessions: 15,
  apps: [
    Reports.app({
      client: "shop",
      workers: [
        Reports.worker({ client: "shop", sessions: 12 }),
        Reports.worker({
          handle: "3.1",
          workerIndex: 3,
          mapIndex: 1,
          client: "shop",
          kind: "in-process",
          state: "UNRESPONSIVE",
          congested: true,
          congestedBy: "queue",
          takes: "nothing",
          sessions: 3,
          restarts: 2,
          lastFailure: "out of memory\n    at run (app.ts:1)\u001b[31m",
          queue: { index: { used: 2048, size: 2048 }, io: { used: 9, size: 2048 }, control: { used: 7, size: 512 } },
          postponed: { now: 40, bytes: 5120, highest: 77 },
          timesCongested: 1,
          congestedMillis: 1250,
          behind: { offers: 1, times: 5, millis: 300, nowMillis: 0 },
          offers: { offered: 9, claimed: 3, refused: 2, revoked: 1, withdrawn: 2, pending: 1, moved: 2, unclaimed: 0 },
          times: { ...Reports.worker().times, claim: Reports.histogram(0.2, 0.15, 5), answer: Reports.histogram(12) },
          bytesIn: 3072,
          bytesOut: 1.5 * MiB,
          lastProgressMillis: 83_000,
          segments: { count: 2, bytes: 8 * MiB, hostBytes: 1.5 * MiB, used: 300 }
        })
      ],
      listeners: [
        Reports.listener({ workers: [1, 0], sessions: 14, held: 2, refused: { congested: 3, "hold-full": 1 } }),
        Reports.listener({ handle: "4.0", endpoint: "tcp://[::1]:9000", workers: [1], sessions: 1 })
      ]
    })
  ]
})

describe("ShowApp", () => {
  it("W21 says so when there are no active apps", () => {
    assert.strictEqual(ShowApp.format(Reports.host(), { verbose: false }), "no active apps")
  })

  it("W21 says so when an app has no active listeners", () => {
    assert.strictEqual(
      ShowApp.format(Reports.host({ apps: [Reports.app({ listeners: [] })] }), { verbose: false }),
      text([
        "App  Name  Client  Namespace",
        "0    http  -       default",
        "",
        "  Worker  App  Map  Client  Kind    State    Takes     Sessions",
        "  0.0     0    0    -       thread  RUNNING  sessions         0",
        "",
        "  no active listeners"
      ])
    )
  })

  it.each<readonly [Report.AppReport["byNeed"], string]>([
    [null, ""],
    [{ least: 1, most: 8, limit: null }, "  workers 2 (1..8)"],
    [
      { least: 1, most: 2, limit: "most" },
      "  workers 2 (1..2): one more is needed, and this is the most that it may have"
    ],
    [
      { least: 1, most: 8, limit: "processors" },
      "  workers 2 (1..8): one more is needed, and there is no processor left for it"
    ],
    [
      { least: 1, most: 8, limit: "memory" },
      "  workers 2 (1..8): one more is needed, and there is no memory left for it"
    ]
  ])("X8 shows how many workers there are, and may be: %o", (byNeed, line) => {
    const report = Reports.host({ apps: [Reports.app({ byNeed, workers: [Reports.worker(), Reports.worker()] })] })
    const lines = ShowApp.format(report, { verbose: false }).split("\n").filter((line) => line.startsWith("  workers"))
    assert.deepStrictEqual(lines, line === "" ? [] : [line])
  })

  it("X2 shows the generation that is to take a worker's place, and those that drain", () => {
    const workers = [
      Reports.worker({
        generation: 3,
        restarts: 2,
        successor: { generation: 4, state: "STARTING" },
        formers: [
          { generation: 1, state: "DRAINING", sessions: 1, ageMillis: 61_000 },
          { generation: 2, state: "DRAINING", sessions: 12, ageMillis: 900 }
        ]
      })
    ]
    for (const verbose of [false, true]) {
      const shown = ShowApp.format(Reports.host({ apps: [Reports.app({ workers })] }), { verbose }).split("\n")
      assert.deepStrictEqual(shown.filter((line) => line.includes("generation")), [
        "  worker 0.0: generation 4 is STARTING and is to take its place",
        "  worker 0.0: generation 1 is DRAINING with 1 session, replaced 1 min 1 s ago",
        "  worker 0.0: generation 2 is DRAINING with 12 sessions, replaced 900 ms ago",
        ...(verbose ? ["    restarts       2, generation 3"] : [])
      ])
    }
  })

  it("M6 says in the plain form which workers are short of memory", () => {
    const workers = [
      Reports.worker({ handle: "1.0", memory: "short" }),
      Reports.worker({ handle: "2.0" }),
      Reports.worker({ handle: "3.0", memory: "none", sessionsRefused: 7 })
    ]
    const shown = ShowApp.format(Reports.host({ apps: [Reports.app({ workers })] }), { verbose: false }).split("\n")
    assert.deepStrictEqual(shown.filter((line) => line.includes("memory")), [
      "  worker 1.0: memory is short",
      "  worker 3.0: no memory for another session; 7 sessions found none"
    ])
  })

  it("W21 M12 shows each app with its workers and its listeners, and refusals that there have been", () => {
    assert.strictEqual(
      ShowApp.format(busy, { verbose: false }),
      text([
        "App  Name  Client  Namespace",
        "0    http  shop    default",
        "",
        "  Worker  App  Map  Client  Kind        State         Takes     Sessions",
        "  0.0     0    0    shop    thread      RUNNING       sessions        12",
        "  3.1     0    1    shop    in-process  UNRESPONSIVE  nothing          3",
        "",
        "  Listener  Endpoint              Workers  Sessions  Held  Refused",
        "  0.1       tcp://127.0.0.1:8080  0-1            14     2        4",
        "    congested 3, hold-full 1",
        "  4.0       tcp://[::1]:9000      1               1     0        0"
      ])
    )
  })

  it("W21 M12 shows all there is when verbose, and nothing that a terminal would obey", () => {
    assert.strictEqual(
      ShowApp.format(busy, { verbose: true }),
      text([
        "host 0.1.0, pid 4711, up 1 min 1 s, 15 sessions",
        "",
        "App  Name  Client  Namespace  Scope   Proxy for  First segment  Add segment  Memory limit  Rx fifo  Tx fifo",
        "0    http  shop    default    global  -                  4 MiB        4 MiB       256 MiB   64 KiB   64 KiB",
        "",
        "  Worker  App  Map  Client  Kind        State         Takes     Sessions",
        "  0.0     0    0    shop    thread      RUNNING       sessions        12",
        "  3.1     0    1    shop    in-process  UNRESPONSIVE  nothing          3",
        "",
        "  Worker 0.0",
        "    queues         index 0/2048, io 0/2048, control 0/512",
        "    postponed      0 now (0 B), highest 0",
        "    congested      no",
        "    postponing     0 times, 0 ms in total",
        "    behind         0 offers now, 0 times, 0 ms in total",
        "    delayed        0 times, 0 ms in total",
        "    offers         0, of them 0 claimed, 0 refused, 0 revoked, 0 withdrawn; 0 moved on",
        "    claim          -",
        "    answer         -",
        "    session        -",
        "    postponed for  -",
        "    bytes          0 B in, 0 B out",
        "    next message   none waits",
        "    restarts       0",
        "    segments       1 with 4 MiB, 64 KiB of the host's, 0 B used",
        "    memory         ample; 0 sessions found none",
        "",
        "  Worker 3.1",
        "    queues         index 2048/2048, io 9/2048, control 7/512",
        "    postponed      40 now (5 KiB), highest 77",
        "    congested      by queue",
        "    postponing     1 time, 1.3 s in total",
        "    behind         1 offer now, 5 times, 300 ms in total",
        "    delayed        0 times, 0 ms in total",
        "    offers         9, of them 3 claimed, 2 refused, 1 revoked, 2 withdrawn; 2 moved on",
        "    claim          p50 0.2 ms, p99 5 ms, longest 5 ms, 3 times",
        "    answer         p50 12 ms, p99 12 ms, longest 12 ms, 1 time",
        "    session        -",
        "    postponed for  -",
        "    bytes          3 KiB in, 1.5 MiB out",
        "    next message   waits for 1 min 23 s",
        "    restarts       2, last failure: out of memory     at run (app.ts:1) [31m",
        "    segments       2 with 8 MiB, 1.5 MiB of the host's, 300 B used",
        "    memory         ample; 0 sessions found none",
        "",
        "  Listener  Endpoint              Workers  Sessions  Held  Refused",
        "  0.1       tcp://127.0.0.1:8080  0-1            14     2        4",
        "    congested 3, hold-full 1",
        "  4.0       tcp://[::1]:9000      1               1     0        0"
      ])
    )
  })

  it("separates apps and says when segments do not grow", () => {
    const apps = [
      Reports.app({ listeners: [], workers: [], addSegmentSize: 0 }),
      Reports.app({ index: 1, name: "builtin-1", listeners: [], workers: [] })
    ]
    assert.strictEqual(
      ShowApp.format(Reports.host({ apps, sessions: 1, draining: true }), { verbose: true }),
      text([
        "host 0.1.0, pid 4711, up 1 min 1 s, 1 session, draining",
        "",
        "App  Name  Client  Namespace  Scope   Proxy for  First segment  Add segment  Memory limit  Rx fifo  Tx fifo",
        "0    http  -       default    global  -                  4 MiB         none       256 MiB   64 KiB   64 KiB",
        "",
        "  Worker  App  Map  Client  Kind  State  Takes  Sessions",
        "",
        "  no active listeners",
        "",
        "App  Name       Client  Namespace  Scope   Proxy for  First segment  Add segment  Memory limit  Rx fifo  Tx fifo",
        "1    builtin-1  -       default    global  -                  4 MiB        4 MiB       256 MiB   64 KiB   64 KiB",
        "",
        "  Worker  App  Map  Client  Kind  State  Takes  Sessions",
        "",
        "  no active listeners"
      ])
    )
  })

  it("M14 says what does not add up, and that the host is draining, in the plain form too", () => {
    const report = Reports.host({ draining: true, imbalances: ["worker 0: messages sent is 3, its parts add up to 2"] })
    assert.strictEqual(
      ShowApp.format(report, { verbose: false }),
      text([
        "the host is draining",
        "",
        "no active apps",
        "",
        "the ledger does not balance: worker 0: messages sent is 3, its parts add up to 2"
      ])
    )
  })

  it("fits 80 columns in the plain form, however long the names are", () => {
    const long = "n".repeat(64)
    const report = Reports.host({
      apps: [
        Reports.app({
          index: 65535,
          name: long,
          client: long,
          namespace: long,
          workers: [
            Reports.worker({
              handle: "65535.99999",
              workerIndex: 65535,
              appIndex: 65535,
              mapIndex: 255,
              client: long,
              kind: "in-process",
              state: "UNRESPONSIVE",
              congested: true,
              sessions: 16777216
            })
          ],
          listeners: [
            Reports.listener({
              handle: "65535.99999",
              endpoint: `tcp://${"host.".repeat(50)}example:65535`,
              workers: Array.from({ length: 128 }, (_, index) => index * 2),
              sessions: 16777216,
              refused: Object.fromEntries(Ledger.RefuseReasons.map((reason) => [reason, 123456789]))
            })
          ]
        })
      ]
    })
    const lines = ShowApp.format(report, { verbose: false }).split("\n")
    for (const line of lines) assert.isAtMost(line.length, 80, line)
    const all = lines.join("\n")
    for (const reason of Ledger.RefuseReasons) assert.include(all, `${reason} 123456789`)
    assert.include(ShowApp.format(report, { verbose: true }), `  ${long}  ${long}  ${long}  global  `)
  })

  it("W19 shows certificates when verbose, and which of them clients refuse", () => {
    const certificate = {
      handle: "0.0",
      subject: "CN=example.com",
      names: ["example.com", "127.0.0.1"],
      validTo: 1_893_499_200_000,
      fingerprint: "AB:CD",
      warning: null
    }
    const expired = { ...certificate, handle: "1.2", subject: "", names: [], validTo: 0, warning: "Expired" as const }
    const report = Reports.host({ apps: [Reports.app({ certificates: [certificate, expired] })] })
    assert.include(
      ShowApp.format(report, { verbose: true }),
      text([
        "",
        "  Certificate  Subject         Names                   Valid to (UTC)    Warning  Fingerprint",
        "  0.0          CN=example.com  example.com, 127.0.0.1  2030-01-01 12:00  -        AB:CD",
        "  1.2          -               -                       1970-01-01 00:00  Expired  AB:CD"
      ])
    )
    assert.notInclude(ShowApp.format(report, { verbose: false }), "AB:CD")
  })

  it("W17 W18 shows scopes, and what an app is a proxy for, when verbose", () => {
    const app = Reports.app({ scopes: ["local", "global"], proxiedTransports: ["tcp"] })
    assert.match(ShowApp.formatOne(app, { verbose: true }), /^App .* Scope +Proxy for +.*\n0 .* both +tcp +4 MiB/)
    const local = Reports.app({ scopes: ["local"] })
    assert.match(ShowApp.formatOne(local, { verbose: true }), /^App .*\n0 .* local +- +4 MiB/)
  })

  it("W21 shows one app as it shows it among others", () => {
    for (const verbose of [false, true]) {
      const all = ShowApp.format({ ...busy, sessions: 0 }, { verbose })
      assert.isTrue(all.endsWith(ShowApp.formatOne(busy.apps[0]!, { verbose })))
    }
  })

  it("shows what an application says of itself, and nothing that a terminal would obey", () => {
    const status = [
      { upstream: "tcp://10.0.0.1:80", isUp: true, sessions: 12, retryMillis: null },
      { upstream: "tcp://10.0.0.2:80\u001b[31m", isUp: false, sessions: 0, retryMillis: 400, "by\nwhom": "" }
    ]
    const app = Reports.app({ status })
    assert.include(
      ShowApp.formatOne(app, { verbose: true }),
      text([
        "",
        "  Upstream                Is up  Sessions  Retry millis  By whom",
        "  tcp://10.0.0.1:80       true         12             -  -",
        "  tcp://10.0.0.2:80 [31m  false         0           400  -"
      ])
    )
    assert.strictEqual(ShowApp.formatOne(app, { verbose: false }), ShowApp.formatOne(Reports.app(), { verbose: false }))
  })
})
