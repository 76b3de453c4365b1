/** What a host says of itself to whoever asks whether connections should be sent to it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { Actor, endpoint, optionsOf } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

describe("a host's readiness", () => {
  it.effect("goes with its workers, not with their congestion, and ends with the drain", () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const { advance, network, script } = yield* HostScripted.HostScripted
      const readiness = Effect.andThen(settled, host.readiness)
      assert.deepStrictEqual(yield* readiness, { ready: false, reason: "no application is attached" })
      yield* host.attach(
        optionsOf({ worker: { backoffBase: 200 }, admission: { holdTime: "1 minute" } }),
        new Actor().module
      )
      assert.deepStrictEqual(yield* readiness, { ready: true, reason: "app: 1 of 1 worker takes sessions" })

      script(0).block()
      network.dial(endpoint)
      yield* advance(1000)
      const [worker] = (yield* host.report).apps[0]!.workers
      assert.isTrue(worker!.congested)
      assert.isTrue((yield* readiness).ready)
      script(0).release()
      yield* advance(1000)

      script(0).crash()
      assert.deepStrictEqual(yield* readiness, {
        ready: false,
        reason: "app: no worker takes sessions (1 BACKOFF)"
      })
      yield* advance(200)
      assert.isTrue((yield* readiness).ready)

      const drained = yield* Effect.forkChild(host.drain)
      yield* settled
      assert.deepStrictEqual(yield* readiness, { ready: false, reason: "draining: nothing new is accepted" })
      yield* advance(20_000)
      yield* Fiber.join(drained)
    }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
})
