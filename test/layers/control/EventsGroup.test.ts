import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import * as ControlServer from "../../../src/layers/control/ControlServer.ts"
import { NoticeLog } from "../../../src/layers/log/NoticeLog.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { EventLog } from "../../../src/layers/telemetry/EventLog.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

/** A control socket whose host has one application, and these events. */
const serve = Effect.fnUntraced(function*(options?: { readonly idleTimeout?: number }) {
  const path = Path.join(yield* TempDirectory.make, "control.sock")
  const log = yield* Effect.flatMap(NoticeLog.make, EventLog.make)
  yield* Layer.build(
    ControlServer.layer(path, options).pipe(
      Layer.provide(FakeSessionLayer.layer({
        events: (wanted) => log.read(wanted),
        find: FakeSessionLayer.finds(FakeSessionLayer.application(0, "shop"))
      })),
      Layer.provide(SessionRulesMemory.layer)
    )
  )
  return { path, log }
})

/** Asks for events as `curl` does, and collects what comes. */
const get = (socketPath: string, query: string, headers: Http.OutgoingHttpHeaders = {}) => {
  const got = { status: 0, type: "", text: "", ended: false }
  const request = Http.get({ socketPath, path: `/v1/events${query}`, headers }, (response) => {
    got.status = response.statusCode ?? 0
    got.type = response.headers["content-type"] ?? ""
    response.setEncoding("utf8").on("data", (chunk: string) => void (got.text += chunk))
    response.on("close", () => void (got.ended = true))
  })
  request.on("error", () => void (got.ended = true))
  return { got, end: () => request.destroy() }
}

/** All of an answer that ends. */
const whole = Effect.fnUntraced(function*(path: string, query: string, headers?: Http.OutgoingHttpHeaders) {
  const { got } = get(path, query, headers)
  yield* until("the end of the answer", () => got.ended)
  return got
})

const ids = (text: string): ReadonlyArray<number> => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))

describe("GET /v1/events", () => {
  it.live("X5 has each event with its id, goes on where a reader was, and keeps to what it asks for", () =>
    Effect.gen(function*() {
      const { log, path } = yield* serve()
      log.record({ kind: "app-attached", app: "shop", workers: 2 })
      log.record({ kind: "source-denied", source: "192.0.2.1" })
      log.record({ kind: "app-detached", app: "gone" })
      const all = yield* whole(path, "?follow=false")
      assert.deepStrictEqual([all.status, all.type], [200, "text/event-stream"])
      assert.deepStrictEqual(ids(all.text), [1, 2, 3])
      const [, first = ""] = /^data: (.*)$/m.exec(all.text) ?? []
      const { at: _, time: __, ...facts } = JSON.parse(first)
      assert.deepStrictEqual(facts, { serial: 1, kind: "app-attached", app: "shop", workers: 2 })
      const idsOf = (query: string, headers?: Http.OutgoingHttpHeaders) =>
        Effect.map(whole(path, `?follow=false${query}`, headers), ({ text }) => ids(text))
      assert.deepStrictEqual(yield* idsOf("&after=2"), [3])
      assert.deepStrictEqual(yield* idsOf("&after=2", { "last-event-id": "1" }), [2, 3])
      assert.deepStrictEqual(yield* idsOf("&kind=app,source-allowed"), [1, 3])
      assert.deepStrictEqual(yield* idsOf("&app=0"), [1])
      // one that is gone, but of which there are events
      assert.deepStrictEqual(yield* idsOf("&app=gone"), [3])
      const foreign = yield* whole(path, "?follow=false", { "last-event-id": "99" })
      assert.include(foreign.text, "{\"kind\":\"gap\",\"serial\":0,\"missed\":null}")
      assert.deepStrictEqual(ids(foreign.text), [0, 1, 2, 3])
    }))

  it.live("X5 goes on with what happens, and shows that it is there while nothing does", () =>
    Effect.gen(function*() {
      const { log, path } = yield* serve()
      const { end, got } = get(path, "")
      yield* until("a comment", () => got.text.startsWith(": "))
      log.record({ kind: "source-denied", source: "192.0.2.1" })
      yield* until("the event", () => ids(got.text).length === 1)
      log.record({ kind: "source-allowed", source: "192.0.2.1" })
      yield* until("the next one", () => ids(got.text).length === 2)
      assert.isFalse(got.ended)
      end()
    }))

  it.live("X5 says in a sentence what makes no sense", () =>
    Effect.gen(function*() {
      const { path } = yield* serve()
      const wrong = Effect.fnUntraced(function*(query: string, headers?: Http.OutgoingHttpHeaders) {
        const { status, text } = yield* whole(path, query, headers)
        const { _tag, ...fields } = JSON.parse(text)
        return [status, _tag, fields.detail ?? fields.wanted]
      })
      const [status, tag, detail] = yield* wrong("?kind=session-refuse")
      assert.deepStrictEqual([status, tag], [400, "InvalidEvents"])
      assert.match(detail, /^no kind of events is "session-refuse"; .*; did you mean "session-refused"\?$/)
      assert.deepStrictEqual(yield* wrong("?app=other"), [404, "NoSuchApp", "other"])
      assert.deepStrictEqual(yield* wrong("", { "last-event-id": "x" }), [
        400,
        "InvalidEvents",
        "Last-Event-ID is not the id of an event, which is a whole number"
      ])
      for (const query of ["?after=-1", "?worker=x", "?follow=perhaps"]) {
        assert.strictEqual((yield* whole(path, query)).status, 400)
      }
    }))

  it.live("X5 cuts off a reader that takes nothing, and says so", () => {
    const told = new LogLines()
    return Effect.gen(function*() {
      const { log, path } = yield* serve({ idleTimeout: 200 })
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect(path, () => socket.write("GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"))),
        (socket) => Effect.sync(() => socket.destroy())
      )
      let closed = false
      socket.pause().on("error", () => {}).on("close", () => void (closed = true))
      // more than the buffers of a socket hold
      const detail = "x".repeat(1000)
      for (let i = 0; i < 5000; i++) log.record({ kind: "ledger-imbalance", detail })
      yield* until(
        "the reader is cut off",
        () => told.lines.some((line) => line.includes("a reader of events was cut"))
      )
      socket.resume()
      yield* until("the end", () => closed)
      // it can go on
      const next = yield* whole(path, "?follow=false&after=4999")
      assert.deepStrictEqual(ids(next.text), [5000])
    }).pipe(Effect.scoped, Effect.provide(told.layer))
  })
})
