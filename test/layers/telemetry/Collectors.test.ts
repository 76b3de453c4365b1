import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as TestClock from "effect/testing/TestClock"
import type { OtlpDestination, Signal } from "../../../src/domain/options/OtelVariables.ts"
import { Collectors } from "../../../src/layers/telemetry/Collectors.ts"
import { LogLines } from "../../support/LogLines.ts"

const destination: OtlpDestination = {
  url: "http://user:secret@collector:4318/v1/logs",
  headers: {},
  protocol: "http/json",
  compression: "none",
  timeout: 10_000,
  interval: 1000
}

type Answer = number | "hang" | "refused" | Readonly<{ status: number; retryAfter: string }>

/** A collector that answers as a test says. */
class Scripted {
  answer: Answer = 200
  asked = 0
  readonly log = new LogLines()
  readonly #collectors = new Collectors()
  readonly #clients = new Map<Signal, HttpClient.HttpClient>()

  readonly #transport = HttpClient.make((request) =>
    Effect.suspend((): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
      this.asked++
      const { answer } = this
      if (answer === "hang") return Effect.never
      if (answer === "refused") {
        const cause = new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNREFUSED" }) })
        return Effect.fail(
          new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) })
        )
      }
      const [status, headers] = typeof answer === "number"
        ? [answer, {}]
        : [answer.status, { "retry-after": answer.retryAfter }]
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response("x", { status, headers })))
    })
  )

  /** One export, as the exporters make it: whether it went through. */
  send(signal: Signal = "logs") {
    let client = this.#clients.get(signal)
    if (client === undefined) {
      client = this.#collectors.client(signal, destination)(this.#transport)
      this.#clients.set(signal, client)
    }
    return client.execute(HttpClientRequest.post(destination.url)).pipe(
      Effect.exit,
      Effect.map(Exit.isSuccess),
      Effect.provide(this.log.layer)
    )
  }

  /** The same, with as much time as it takes. */
  sent(signal?: Signal) {
    return Effect.gen({ self: this }, function*() {
      const fiber = yield* Effect.forkChild(this.send(signal))
      yield* TestClock.adjust(10_000)
      return yield* Fiber.join(fiber)
    })
  }
}

describe("collectors", () => {
  it.effect("X5 that can't be had are told once, whatever is to go there, and once that they are back", () =>
    Effect.gen(function*() {
      const collector = new Scripted()
      collector.answer = "refused"
      assert.isFalse(yield* collector.sent())
      assert.strictEqual(collector.asked, 4)
      for (const signal of ["metrics", "logs", "traces"] as const) assert.isFalse(yield* collector.sent(signal))
      assert.deepStrictEqual(collector.log.take(), [
        "WARN telemetry: http://collector:4318 does not take logs: nobody listens there; what it does not take is dropped, "
        + "and it is tried again after a minute"
      ])
      collector.answer = 200
      for (const signal of ["metrics", "logs"] as const) assert.isTrue(yield* collector.sent(signal))
      assert.deepStrictEqual(collector.log.take(), [])
      assert.isTrue(yield* collector.sent("traces"))
      assert.deepStrictEqual(collector.log.take(), ["INFO telemetry: http://collector:4318 takes traces again"])
    }))

  it.effect("X5 are given up in the time that an export has, and asked but once while they don't answer", () =>
    Effect.gen(function*() {
      const collector = new Scripted()
      collector.answer = "hang"
      const fiber = yield* Effect.forkChild(collector.send())
      yield* TestClock.adjust(9999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isFalse(yield* Fiber.join(fiber))
      assert.match(collector.log.take().join(), /does not take logs: no answer in 10000 ms;/)
      collector.answer = 503
      const asked = collector.asked
      assert.isFalse(yield* collector.sent())
      assert.strictEqual(collector.asked, asked + 1)
    }))

  it.effect("X5 have a bounded number of exports under way", () =>
    Effect.gen(function*() {
      const collector = new Scripted()
      collector.answer = "hang"
      const under = yield* Effect.forEach(Array(8), () => Effect.forkChild(collector.send()))
      yield* TestClock.adjust(0)
      assert.isFalse(yield* collector.send())
      assert.strictEqual(collector.asked, 8)
      assert.match(collector.log.take().join(), /does not take logs: it has not answered 8 exports yet;/)
      yield* Effect.forEach(under, Fiber.interrupt)
      collector.answer = 200
      assert.isTrue(yield* collector.send())
    }))

  it.effect.each([400, 401, 404, 413])(
    "X5 that answer %d are not asked again for it",
    (status) =>
      Effect.gen(function*() {
        const collector = new Scripted()
        collector.answer = status
        assert.isFalse(yield* collector.send())
        assert.strictEqual(collector.asked, 1)
        assert.match(collector.log.take().join(), new RegExp(`it answers with status ${status};`))
      })
  )

  it.effect("X5 that ask to be left alone are, for an hour at the longest", () =>
    Effect.gen(function*() {
      const collector = new Scripted()
      collector.answer = { status: 429, retryAfter: "999999999" }
      assert.isFalse(yield* collector.send())
      collector.answer = 200
      yield* TestClock.adjust(3_599_999)
      assert.isFalse(yield* collector.send())
      assert.strictEqual(collector.asked, 1)
      yield* TestClock.adjust(1)
      assert.isTrue(yield* collector.send())
      assert.strictEqual(collector.log.take().length, 2)
    }))
})
