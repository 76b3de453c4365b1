// The same layers in a host under TestClock: three sessions fit into the quota, and the fourth waits until one has gone.
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AppWorker, SessionLayer } from "sluice"
import { HostScripted } from "sluice/testing"
import { Counts, layers, Quota } from "./stack.ts"

it.effect("sessions share a quota of memory, and every message to a worker is counted", () => {
  const counts = { enqueued: 0, refused: 0 }
  // a session holds 768 bytes
  const quota = { bytes: 3 * 768, waiting: new Set<() => void>() }
  return Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { network, settled } = yield* HostScripted.HostScripted
    yield* host.attach(
      { name: "upper", listen: ["tcp://127.0.0.1:80"], workers: 2 },
      AppWorker.fromUrl(new URL("./upper.ts", import.meta.url))
    )
    const dial = () => Effect.as(settled, network.dial("tcp://127.0.0.1:80"))
    const open = [yield* dial(), yield* dial(), yield* dial()]
    open[1]!.send("hello")
    yield* settled
    assert.strictEqual(open[1]!.received().toString(), "HELLO")
    const late = yield* dial()
    assert.deepStrictEqual([late.opened, quota.bytes], [false, 0])
    open[0]!.end()
    yield* settled
    assert.isTrue(late.opened)

    const { imbalances, ledger } = yield* host.report
    assert.deepStrictEqual(counts, { enqueued: ledger.messages.delivered, refused: 0 })
    assert.deepStrictEqual(imbalances, [])
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provide(
        HostScripted.layerStack(layers),
        Layer.mergeAll(Layer.succeed(Counts, counts), Layer.succeed(Quota, quota))
      )
    )
  )
})
