import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Dashboard from "../../../src/layers/dashboard/Dashboard.ts"
import { NoticeLog } from "../../../src/layers/log/NoticeLog.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { EventLog } from "../../../src/layers/telemetry/EventLog.ts"
import * as DashboardFuzz from "../../support/DashboardFuzz.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import * as Overviews from "../../support/Overviews.ts"
import * as Random from "../../support/random.ts"
import { settled, until } from "../../support/until.ts"

const TOKEN = "a-token-of-this-host"
const right = { authorization: `Bearer ${TOKEN}` }

type Host = Parameters<typeof FakeSessionLayer.layer>[0]

/** The page's port of a host that does this; and what it has printed. */
const serve = Effect.fnUntraced(function*(does: Host, options: Partial<Dashboard.DashboardOptions> = {}) {
  const printed: Array<string> = []
  const console: Console.Console = { ...globalThis.console, log: (line: string) => void printed.push(line) }
  yield* Layer.build(
    Dashboard.layer({
      at: { host: "127.0.0.1", port: 0 },
      names: [],
      token: Redacted.make(TOKEN),
      ...options
    }).pipe(
      Layer.provide(FakeSessionLayer.layer({ events: () => Stream.never, ...does })),
      Layer.provide(SessionRulesMemory.layer)
    )
  ).pipe(Effect.provideService(Console.Console, console))
  const [line = ""] = printed
  return { port: Number(/:(\d+)\//.exec(line)?.[1]), line }
})

interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

const ask = (port: number, method: string, path: string, headers: Http.OutgoingHttpHeaders = {}) =>
  Effect.callback<Answer>((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, text }))
      )
    })
    request.end()
    return Effect.sync(() => request.destroy())
  })

const sentenceOf = ({ text }: Answer): string => JSON.parse(text).message

/** A viewer, and which overviews it has had. */
const view = (port: number) => {
  const seen: Array<number> = []
  const request = Http.get(
    { host: "127.0.0.1", port, path: "/v1/overview", headers: { accept: "text/event-stream" }, agent: false },
    (response) => {
      response.setEncoding("utf8").on("data", (chunk: string) => {
        for (const [, at] of chunk.matchAll(/^data: \{"at":(\d+)/gm)) seen.push(Number(at))
      }).on("error", () => {})
    }
  ).on("error", () => {})
  return { seen, leave: () => request.destroy() }
}

describe("the page's port", () => {
  it.live("X5 tells a browser to trust nothing but this port, whatever it answers", () =>
    Effect.gen(function*() {
      const { port } = yield* serve({ overview: Effect.succeed(Overviews.overview()) })
      const asked = [["/", 200], ["/docs", 200], ["/openapi.json", 200], ["/v1/overview", 200], [
        "/v1/sessions",
        401
      ]] as const
      for (const [path, status] of asked) {
        const answer = yield* ask(port, "GET", path)
        assert.strictEqual(answer.status, status, path)
        const { headers } = answer
        assert.match(String(headers["content-security-policy"]), /default-src 'none'.*frame-ancestors 'none'/, path)
        assert.notInclude(String(headers["content-security-policy"]), "unsafe", path)
        assert.deepStrictEqual(
          [
            headers["x-content-type-options"],
            headers["referrer-policy"],
            headers["cache-control"],
            headers["set-cookie"]
          ],
          ["nosniff", "no-referrer", "no-store", undefined],
          path
        )
        assert.isUndefined(headers["access-control-allow-origin"], path)
      }
      const missing = yield* ask(port, "GET", "/favicon.ico", right)
      assert.deepStrictEqual([missing.status, sentenceOf(missing)], [404, "there is nothing here"])
      assert.strictEqual(missing.headers["x-content-type-options"], "nosniff")
      const head = yield* ask(port, "HEAD", "/")
      assert.deepStrictEqual([head.status, head.text], [200, ""])
    }).pipe(Effect.scoped))

  it.live("X5 does something for whoever has the token only, and says in a sentence why not", () =>
    Effect.gen(function*() {
      const { port } = yield* serve({ find: FakeSessionLayer.finds() })
      const path = "/v1/apps/shop/reload"
      const none = yield* ask(port, "POST", path)
      assert.deepStrictEqual([none.status, none.headers["www-authenticate"], sentenceOf(none)], [
        401,
        "Bearer",
        "this needs the token, in a header \"Authorization: Bearer <token>\""
      ])
      const wrong = yield* ask(port, "POST", path, { authorization: "Bearer another-token-than-it" })
      assert.deepStrictEqual([wrong.status, sentenceOf(wrong)], [401, "the token is not the one of this host"])
      const foreign = yield* ask(port, "POST", path, { ...right, origin: "http://evil.example" })
      assert.deepStrictEqual([foreign.status, sentenceOf(foreign)], [403, "requests from other origins are refused"])
      const rebound = yield* ask(port, "GET", "/", { host: "evil.example" })
      assert.deepStrictEqual([rebound.status, sentenceOf(rebound)], [
        403,
        "this port is not called \"evil.example\"; allow a name with --dashboard-name"
      ])
      // let in, and answered with the sentence of the API's own error
      const done = yield* ask(port, "POST", path, right)
      assert.strictEqual(done.status, 404)
      assert.strictEqual(JSON.parse(done.text)._tag, "NoSuchApp")
      assert.match(sentenceOf(done), /shop/)
      // what starts programs is not here, whoever asks
      assert.strictEqual((yield* ask(port, "POST", "/v1/upgrade", right)).status, 404)
      assert.strictEqual((yield* ask(port, "GET", "/v1/host", right)).status, 404)
    }).pipe(Effect.scoped))

  it.live("X5 tells in the log what was changed from the page", () => {
    const told = new LogLines()
    return Effect.gen(function*() {
      const { port } = yield* serve({ deleteWorker: () => Effect.void })
      assert.strictEqual((yield* ask(port, "DELETE", "/v1/workers/1.2", right)).status, 204)
      assert.deepStrictEqual(told.having("worker 1.2"), ["INFO by the dashboard: worker 1.2 deleted"])
    }).pipe(Effect.scoped, Effect.provide(told.layer))
  })

  it.live("X5 prints a token that it has made, in the part of the URL that goes to nobody", () =>
    Effect.gen(function*() {
      const { line, port } = yield* serve({ find: FakeSessionLayer.finds() }, { token: undefined })
      assert.match(line, /^sluice: dashboard at http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{32}$/)
      const [, token = ""] = /#token=(.*)$/.exec(line) ?? []
      const answer = yield* ask(port, "DELETE", "/v1/apps/shop", { authorization: `Bearer ${token}` })
      assert.strictEqual(answer.status, 404)
      assert.match((yield* serve({})).line, /^sluice: dashboard at http:\/\/127\.0\.0\.1:\d+\/$/)
    }).pipe(Effect.scoped))

  it.effect("X5 has one overview made a second for all viewers, and none when nobody looks", () =>
    Effect.gen(function*() {
      let made = 0
      const { port } = yield* serve({ overview: Effect.sync(() => Overviews.overview({ at: ++made })) })
      const viewers = [view(port), view(port), view(port)]
      yield* until("all have the first", () => viewers.every(({ seen }) => seen.includes(1)))
      yield* TestClock.adjust("1 second")
      yield* until("all have the second", () => viewers.every(({ seen }) => seen.includes(2)))
      assert.strictEqual(made, 2)
      const late = view(port)
      yield* until("who comes later has the latest", () => late.seen.includes(2))
      assert.strictEqual(made, 2)
      for (const { leave } of [...viewers, late]) leave()
      let before = -1
      while (made !== before) {
        before = made
        yield* settled
        yield* TestClock.adjust("1 second")
        yield* settled
      }
      const next = view(port)
      yield* until("who comes then has a new one", () => next.seen.includes(before + 1))
      next.leave()
      yield* settled
    }).pipe(Effect.scoped))

  it.effect("X5 shows at once that something befalls a worker, and not ever more often", () =>
    Effect.gen(function*() {
      let made = 0
      const log = yield* Effect.flatMap(NoticeLog.make, EventLog.make)
      const { port } = yield* serve({
        overview: Effect.sync(() => Overviews.overview({ at: ++made })),
        events: (wanted) => log.read(wanted)
      })
      const { leave, seen } = view(port)
      yield* until("the first", () => seen.includes(1))
      log.record({ kind: "app-detached", app: "shop" })
      const who = { app: "shop", worker: 1, workerHandle: Handle.make<Handle.WorkerHandle>(1, 0), generation: 1 }
      const behind = () => log.record({ kind: "worker-behind", ...who, count: 1, withinMillis: 0 })
      behind()
      yield* settled
      yield* TestClock.adjust("399 millis")
      yield* settled
      assert.strictEqual(made, 1)
      yield* TestClock.adjust("1 millis")
      yield* until("the second", () => seen.includes(2))
      leave()
      yield* settled
    }).pipe(Effect.scoped))

  it.live("X5 cuts off a viewer that takes nothing, and says so", () => {
    const told = new LogLines()
    return Effect.gen(function*() {
      const detail = "x".repeat(1000)
      const event = { time: 0, kind: "ledger-imbalance", app: null, worker: null, text: detail }
      // more than the buffers of a socket hold
      const events = Array.from({ length: 8000 }, (_, serial) => ({ serial, ...event }))
      const { port } = yield* serve({ overview: Effect.succeed(Overviews.overview({ events })) }, { idleTimeout: 200 })
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Net.connect(
            port,
            "127.0.0.1",
            () => socket.write("GET /v1/overview HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
          )
        ),
        (socket) => Effect.sync(() => socket.destroy())
      )
      let closed = false
      socket.pause().on("error", () => {}).on("close", () => void (closed = true))
      yield* until("it is cut off", () => told.lines.some((line) => line.includes("a viewer of the page was cut off")))
      socket.resume()
      yield* until("the end", () => closed)
    }).pipe(Effect.scoped, Effect.provide(told.layer))
  })

  it.live("X5 says what to do when the port can't be had", () =>
    Effect.gen(function*() {
      const { port } = yield* serve({})
      const why = (host: string, port: number) =>
        Effect.map(Effect.flip(serve({}, { at: { host, port } })), ({ message }) => message)
      assert.strictEqual(
        yield* why("127.0.0.1", port),
        `dashboard port 127.0.0.1:${port}: another program listens there; choose another port`
      )
      assert.match(
        yield* why("203.0.113.1", 9100),
        /^dashboard port 203\.0\.113\.1:9100: this machine has no such address/
      )
    }).pipe(Effect.scoped))

  it.live("X5 answers no request with a fault, and none without the token that needs it", () =>
    Effect.gen(function*() {
      const { port } = yield* serve({
        overview: Effect.succeed(Overviews.overview()),
        find: FakeSessionLayer.finds()
      })
      const random = Random.make(5)
      const asked = Array.from({ length: 300 }, () => DashboardFuzz.request(random))
      const faults = yield* Effect.forEach(
        asked,
        (bytes) =>
          Effect.map(Effect.promise(() => DashboardFuzz.send(port, bytes)), (answer) =>
            DashboardFuzz.fault(bytes, answer)),
        { concurrency: 24 }
      )
      assert.deepStrictEqual(
        faults.filter((fault) =>
          fault !== undefined
        ),
        []
      )
      assert.strictEqual((yield* ask(port, "GET", "/")).status, 200)
    }).pipe(Effect.scoped))
})
