// A worker that falls behind, reproduced to the millisecond: no threads, no sockets, no waiting.
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { AppWorker, SessionLayer } from "sluice"
import { HostScripted } from "sluice/testing"

it.effect("a blocked worker delays one connection by 5 ms, and gets no more until it has caught up", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { network, script, settled } = yield* HostScripted.HostScripted
    yield* host.attach(
      { name: "upper", listen: ["tcp://127.0.0.1:80"], workers: 2, worker: { kind: "in-process" } },
      AppWorker.fromUrl(new URL("./upper.ts", import.meta.url))
    )
    const dial = () => {
      const peer = network.dial("tcp://127.0.0.1:80")
      peer.send("hello")
      return Effect.as(settled, peer)
    }
    const congested = Effect.map(host.report, ({ apps }) => apps[0]!.workers.map((worker) => worker.congested))

    script(0).block()
    const late = yield* dial()
    yield* TestClock.adjust("4 millis")
    assert.strictEqual(late.received().toString(), "")
    yield* TestClock.adjust("1 millis")
    yield* settled
    assert.strictEqual(late.received().toString(), "HELLO")
    assert.deepStrictEqual(yield* congested, [true, false])

    const prompt = yield* dial()
    assert.strictEqual(prompt.received().toString(), "HELLO")

    script(0).release()
    yield* settled
    assert.deepStrictEqual(yield* congested, [false, false])
    assert.deepStrictEqual((yield* host.report).imbalances, [])
  }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
