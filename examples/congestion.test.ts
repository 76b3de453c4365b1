// A worker that blocks, reproduced to the millisecond: no threads, no sockets, no waiting.
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AppWorker, SessionLayer } from "sluice"
import { HostScripted } from "sluice/testing"

const app = AppWorker.fromUrl(new URL("./upper.ts", import.meta.url))

it.effect("a blocked worker delays one connection, by 5 ms", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { advance, network, script } = yield* HostScripted.HostScripted
    yield* host.attach({ name: "upper", listen: ["tcp://127.0.0.1:80"], workers: 2 }, app)
    script(0).block("3 seconds")
    const client = network.dial("tcp://127.0.0.1:80")
    client.send("hello")
    yield* advance("4 millis")
    assert.strictEqual(client.received().toString(), "")
    yield* advance("1 millis")
    assert.strictEqual(client.received().toString(), "HELLO")
    const { apps, imbalances } = yield* host.report
    assert.deepStrictEqual(apps[0]!.workers.map(({ congested }) => congested), [true, false])
    assert.deepStrictEqual(imbalances, [])
  }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
