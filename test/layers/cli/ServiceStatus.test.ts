import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as ServiceStatus from "../../../src/layers/cli/ServiceStatus.ts"
import { ServiceManager, type ServiceState } from "../../../src/layers/system/ServiceManager.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"

describe("what a service manager hears", () => {
  it.effect("X2 is that the host serves, how it does, that it reloads and that it stops, and nothing behind that", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      let reason = "one"
      const reloaded = yield* Deferred.make<void>()
      const host = FakeSessionLayer.layer({
        readiness: Effect.sync(() => ({ ready: true, reason })),
        reload: () => Effect.as(Deferred.await(reloaded), { workers: 1, millis: 1 })
      })
      const port = {
        listens: true,
        tell: (state: ServiceState) => void heard.push(`${state._tag} ${state.status}`),
        told: Effect.void
      }
      const take = Effect.as(TestClock.adjust(10_000), heard).pipe(Effect.map((heard) => heard.splice(0)))
      yield* Effect.gen(function*() {
        const { followed, serving, sessions, stopping } = yield* ServiceStatus.make
        yield* serving
        assert.deepStrictEqual(yield* take, ["Ready one"])
        assert.deepStrictEqual(yield* take, [])
        reason = "two"
        assert.deepStrictEqual(yield* take, ["Status two"])
        const { handle } = FakeSessionLayer.application(0, "shop")
        const both = yield* Effect.forkChild(
          Effect.all([sessions.reload(handle), sessions.reload(handle)], { concurrency: 2 })
        )
        assert.deepStrictEqual(yield* take, ["Reloading reloading: the old code serves until the new does"])
        reason = "three"
        assert.deepStrictEqual(yield* take, [])
        yield* Deferred.succeed(reloaded, undefined)
        yield* Fiber.join(both)
        assert.deepStrictEqual(yield* take, ["Ready three"])
        yield* stopping
        yield* followed(7)
        reason = "four"
        yield* sessions.reload(handle)
        assert.deepStrictEqual(yield* take, ["Stopping draining: nothing new is accepted"])
        const other = yield* ServiceStatus.make
        yield* other.followed(7)
        yield* other.stopping
        assert.deepStrictEqual(yield* take, ["Successor process 7 has taken over"])
      }).pipe(Effect.provideService(ServiceManager, port), Effect.provide(host))
    }).pipe(Effect.scoped))
})
