// A worker blocks its loop for three seconds, as if it sorted a large array. Which requests wait, and for how long?
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AppWorker, SessionLayer } from "sluice"
import { HostScripted } from "sluice/testing"

const listen = "tcp://127.0.0.1:80"
const app = AppWorker.fromUrl(new URL("./web.ts", import.meta.url))

it.effect("a worker that is blocked for 3 seconds delays one request, by 5 ms", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { advance, network, script, settled } = yield* HostScripted.HostScripted
    yield* host.attach({ name: "web", listen: [listen], workers: 2 }, app)
    const get = () => {
      const client = network.dial(listen)
      client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
      return { body: () => client.received().toString().split("\r\n\r\n")[1] }
    }

    script(0).block("3 seconds")
    // it is worker 0's turn
    const unlucky = get()
    yield* advance("4 millis")
    assert.isUndefined(unlucky.body())
    // `revokeAfter` is over: the offer goes to worker 1
    yield* advance("1 millis")
    assert.strictEqual(unlucky.body(), "worker 1\n")

    // no other client waits while worker 0 is behind
    const others = Array.from({ length: 10 }, get)
    yield* settled
    assert.deepStrictEqual(others.map(({ body }) => body()), Array(10).fill("worker 1\n"))

    // three seconds after the beginning, worker 0 takes part again
    yield* advance("2994 millis")
    assert.strictEqual((yield* host.report).apps[0]!.workers[0]!.behind.offers, 1)
    yield* advance("1 millis")
    const both = [get(), get()]
    yield* settled
    assert.deepStrictEqual(both.map(({ body }) => body()), ["worker 0\n", "worker 1\n"])

    const { apps, imbalances, ledger } = yield* host.report
    assert.deepStrictEqual(apps[0]!.workers.map(({ congested }) => congested), [false, false])
    assert.deepStrictEqual(ledger.offers, {
      offered: 14,
      claimed: 13,
      refused: 0,
      revoked: 1,
      withdrawn: 0,
      pending: 0,
      moved: 0,
      unclaimed: 0
    })
    assert.deepStrictEqual(imbalances, [])
  }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
