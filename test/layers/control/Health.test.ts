import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Readiness } from "../../../src/domain/report/Readiness.ts"
import * as ControlServer from "../../../src/layers/control/ControlServer.ts"
import * as Health from "../../../src/layers/control/Health.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

/** Where a server is asked: its port, or the path of its socket. */
type At = { readonly port: number } | { readonly socketPath: string }

let state: Readiness = { ready: true, reason: "" }
const host = FakeSessionLayer.layer({ readiness: Effect.sync(() => state) })

/** A health port, and which it is: what a host says of it in its log. */
const port = Effect.gen(function*() {
  const log = new LogLines()
  yield* Layer.build(Health.layer({ host: "127.0.0.1", port: 0 }).pipe(Layer.provide(host))).pipe(
    Effect.provide(log.layer)
  )
  const line = log.lines.join("\n")
  assert.match(line, /^INFO health at http:\/\/127\.0\.0\.1:\d+ \(\/live, \/ready\)$/)
  return Number(/:(\d+) /.exec(line)?.[1])
})

const controlSocket = Effect.gen(function*() {
  const path = `${yield* TempDirectory.make}/control.sock`
  yield* Layer.build(
    ControlServer.layer(path).pipe(Layer.provide(host), Layer.provide(SessionRulesMemory.layer))
  )
  return path
})

const ask = (at: At, path: string, method = "GET", headers = {}) =>
  Effect.callback<string>((resume) => {
    const request = Http.request({ ...at, host: "127.0.0.1", path, method, headers, agent: false }, (response) => {
      let body = ""
      response.on("data", (chunk: Buffer) => body += chunk.toString())
      response.on("end", () => resume(Effect.succeed(`${response.statusCode} ${body}`)))
    })
    request.on("error", (error) => resume(Effect.succeed(error.message)))
    request.end()
    return Effect.sync(() => request.destroy())
  })

const dial = (port: number): Effect.Effect<Net.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

describe("health", () => {
  it.live("is answered on a port and on the control socket, with a body or without", () =>
    Effect.gen(function*() {
      for (const at of [{ port: yield* port }, { socketPath: yield* controlSocket }]) {
        state = { ready: true, reason: "shop: 2 of 2 workers take sessions" }
        assert.strictEqual(yield* ask(at, "/live"), "200 {\"live\":true,\"reason\":\"the host's loop answers\"}")
        assert.strictEqual(yield* ask(at, "/ready"), `200 ${JSON.stringify(state)}`)
        assert.strictEqual(yield* ask(at, "/ready", "HEAD"), "200 ")
        state = { ready: false, reason: "draining" }
        assert.strictEqual(yield* ask(at, "/ready"), "503 {\"ready\":false,\"reason\":\"draining\"}")
        assert.strictEqual(yield* ask(at, "/ready", "HEAD"), "503 ")
        assert.strictEqual(yield* ask(at, "/live", "HEAD"), "200 ")
      }
    }).pipe(Effect.scoped))

  it.live("has nothing else on its port: nothing of the control API, no other method, no large head", () =>
    Effect.gen(function*() {
      const at = { port: yield* port }
      state = { ready: true, reason: "" }
      assert.match(yield* ask(at, "/v1/host"), /^404/)
      assert.match(yield* ask(at, "/"), /^404/)
      assert.match(yield* ask(at, "/ready", "POST"), /^404/)
      assert.match(yield* ask(at, "/ready", "GET", { cookie: "x".repeat(8192) }), /^431/)
      assert.match(yield* ask(at, "/ready"), /^200/)
    }).pipe(Effect.scoped))

  it.live("is answered however many connections say nothing: the oldest of too many gives way", () =>
    Effect.gen(function*() {
      const at = { port: yield* port }
      const silent = yield* Effect.forEach(Array.from({ length: 200 }), () => dial(at.port), { concurrency: 50 })
      assert.match(yield* ask(at, "/live"), /^200/)
      yield* until("the others", () => silent.filter(({ destroyed }) => destroyed).length >= 136)
    }).pipe(Effect.scoped))

  it.live("gives one answer for each connection", () =>
    Effect.gen(function*() {
      const socket = yield* dial(yield* port)
      let heard = ""
      socket.on("data", (chunk: Buffer) => heard += chunk.toString())
      socket.write("GET /live HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3))
      yield* until("its end", () => socket.closed)
      assert.lengthOf(heard.match(/HTTP\/1.1 200/g) ?? [], 1)
    }).pipe(Effect.scoped))

  it.live("says what to do when the port can't be had", () =>
    Effect.gen(function*() {
      const taken = yield* port
      const failure = yield* Effect.flip(
        Layer.build(Health.layer({ host: "127.0.0.1", port: taken }).pipe(Layer.provide(host)))
      )
      assert.strictEqual(
        failure.message,
        `health port 127.0.0.1:${taken}: another program listens there; choose another port`
      )
    }).pipe(Effect.scoped))
})
