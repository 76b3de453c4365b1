import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as MetricsText from "../../../src/domain/report/MetricsText.ts"
import * as ControlServer from "../../../src/layers/control/ControlServer.ts"
import * as Scrape from "../../../src/layers/control/Scrape.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import * as Reports from "../../support/Reports.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const report = Reports.host({ apps: [Reports.app()] })
const host = FakeSessionLayer.layer({ report: Effect.succeed(report) })

const ask = (at: { readonly port: number } | { readonly socketPath: string }, path: string, method = "GET") =>
  Effect.callback<{ readonly status: number; readonly type: string | undefined; readonly body: string }>((resume) => {
    const request = Http.request({ ...at, host: "127.0.0.1", path, method, agent: false }, (response) => {
      let body = ""
      response.on("data", (chunk: Buffer) => body += chunk.toString())
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode!, type: response.headers["content-type"], body }))
      )
    })
    request.end()
    return Effect.sync(() => request.destroy())
  })

const port = Effect.gen(function*() {
  const log = new LogLines()
  yield* Layer.build(Scrape.layer({ host: "127.0.0.1", port: 0 }).pipe(Layer.provide(host))).pipe(
    Effect.provide(log.layer)
  )
  const line = log.lines.join("\n")
  assert.match(line, /^INFO metrics at http:\/\/127\.0\.0\.1:\d+ \(\/metrics\)$/)
  return Number(/:(\d+) /.exec(line)?.[1])
})

describe("a scrape", () => {
  it.live("X5 is answered on a port and on the control socket", () =>
    Effect.gen(function*() {
      const socketPath = `${yield* TempDirectory.make}/control.sock`
      yield* Layer.build(
        ControlServer.layer(socketPath).pipe(Layer.provide(host), Layer.provide(SessionRulesMemory.layer))
      )
      for (const at of [{ port: yield* port }, { socketPath }]) {
        assert.deepStrictEqual(yield* ask(at, "/metrics"), {
          status: 200,
          type: "text/plain; version=0.0.4; charset=utf-8",
          body: MetricsText.format(report)
        })
      }
    }).pipe(Effect.scoped))

  it.live("X5 is all that its port answers", () =>
    Effect.gen(function*() {
      const at = { port: yield* port }
      for (const path of ["/", "/live", "/v1/host", "/metrics/x"]) {
        assert.strictEqual((yield* ask(at, path)).status, 404, path)
      }
      assert.strictEqual((yield* ask(at, "/metrics", "POST")).status, 404)
    }).pipe(Effect.scoped))

  it.live("X5 says what to do when the port can't be had", () =>
    Effect.gen(function*() {
      const taken = yield* port
      const why = (host_: string, port: number) =>
        Effect.map(
          Effect.flip(Layer.build(Scrape.layer({ host: host_, port }).pipe(Layer.provide(host)))),
          ({ message }) => message
        )
      assert.strictEqual(
        yield* why("127.0.0.1", taken),
        `metrics port 127.0.0.1:${taken}: another program listens there; choose another port`
      )
      assert.strictEqual(
        yield* why("203.0.113.1", 9100),
        "metrics port 203.0.113.1:9100: this machine has no such address; use one that it has, or 0.0.0.0 for all of them"
      )
    }).pipe(Effect.scoped))
})
