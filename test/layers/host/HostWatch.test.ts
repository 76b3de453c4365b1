/** What a host tells in its log of what its workers and listeners go through. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import { Actor, endpoint, handleOf, optionsOf } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

const world = Effect.gen(function*() {
  const host = yield* SessionLayer
  const { advance, network, script } = yield* HostScripted.HostScripted
  const dial = Effect.suspend(() => Effect.as(settled, network.dial(endpoint)))
  const workerOf = (number: number) =>
    Effect.map(host.report, ({ apps }) => handleOf<Handle.WorkerHandle>(apps[0]!.workers[number]!.handle))
  return { host, advance, network, script, dial, workerOf }
})

type World = Effect.Success<typeof world>

const logged = <E>(test: (world: World, told: LogLines) => Effect.Effect<void, E, Scope.Scope>) => () => {
  const told = new LogLines()
  return world.pipe(
    Effect.flatMap((world) => test(world, told)),
    Effect.scoped,
    Effect.provide(Layer.provideMerge(HostScripted.layer, told.layer))
  )
}

describe("a host's log", () => {
  it.effect(
    "X5 tells of workers that are up, restarted and stopped, and of listeners that open and close",
    logged(({ host, workerOf }, told) =>
      Effect.gen(function*() {
        const app = yield* host.attach(optionsOf({ workers: 2 }), new Actor().module)
        yield* settled
        assert.deepStrictEqual(told.take().sort(), [
          "INFO [app 0] the worker is up after 0 ms",
          "INFO [app 1] the worker is up after 0 ms",
          "INFO [app] listener opened: tcp://127.0.0.1:80"
        ])
        yield* host.restartWorker(yield* workerOf(1))
        yield* settled
        assert.deepStrictEqual(told.take(), [
          "INFO [app 1] the worker drains: it gets nothing new, and 0 sessions may finish",
          "INFO [app 1] the worker is being restarted, as it was asked for",
          "INFO [app 1] the worker is up after 0 ms, restart 1"
        ])
        yield* host.deleteWorker(yield* workerOf(1), { drain: false })
        assert.deepStrictEqual(told.take(), ["INFO [app 1] the worker has stopped"])
        yield* host.detach(app.handle)
        assert.deepStrictEqual(told.take(), [
          "INFO [app] listener closed: tcp://127.0.0.1:80",
          "INFO [app 0] the worker has stopped"
        ])
      })
    )
  )

  it.effect(
    "X6 tells of a worker that crashes, why, and when it starts again",
    logged(({ advance, host, script }, told) =>
      Effect.gen(function*() {
        yield* host.attach(optionsOf({ worker: { backoffBase: 200 } }), new Actor().module)
        yield* settled
        told.take()
        script(0).crash()
        yield* settled
        assert.deepStrictEqual(told.take(), [
          "ERROR [app 0] the worker is gone and starts again in 200 ms: the worker crashed: it was told to"
        ])
        yield* advance(200)
        assert.deepStrictEqual(told.having("is up"), ["INFO [app 0] the worker is up after 0 ms, restart 1"])
      })
    )
  )

  it.effect(
    "X6 tells of congestion, of held connections and of a worker that reads nothing, at the beginning and at the end",
    logged(({ advance, dial, host, script }, told) =>
      Effect.gen(function*() {
        yield* host.attach(optionsOf({ admission: { holdTime: "1 minute" } }), new Actor().module)
        yield* settled
        told.take()
        script(0).block()
        yield* dial
        yield* advance(1000)
        assert.deepStrictEqual(told.take(), [
          "WARN [app 0] the worker is congested: it does not take its offers; new sessions go to others",
          "WARN [app] 1 connection to tcp://127.0.0.1:80 is held: no worker takes sessions now",
          "WARN [app 0] the worker does not respond: it has taken nothing for 500 ms, though messages wait; where its "
          + "code is, is not known: it has no thread of its own"
        ])
        yield* advance(2000)
        assert.deepStrictEqual(told.take(), [])
        yield* advance(10_000)
        assert.deepStrictEqual(told.take(), [])
        script(0).release()
        yield* advance(1000)
        assert.deepStrictEqual(
          told.take().map((line) => line.replace(/(responds again, after) [\d.]+ s/, "$1 a while")),
          [
            "INFO [app 0] the worker responds again, after a while",
            "INFO [app 0] the worker is clear again, after 13 s",
            "INFO [app] connections to tcp://127.0.0.1:80 are no longer held, after 13 s"
          ]
        )
      })
    )
  )

  it.effect(
    "does not let congestion that comes and goes fill the log",
    logged(({ advance, dial, host, script }, told) =>
      Effect.gen(function*() {
        yield* host.attach(optionsOf({ admission: { holdTime: "1 minute" } }), new Actor().module)
        yield* settled
        told.take()
        for (let second = 0; second < 60; second++) {
          script(0).block()
          yield* dial
          yield* advance(second % 3 === 0 ? 990 : 500)
          script(0).release()
          yield* advance(second % 3 === 0 ? 10 : 500)
        }
        // one beginning, one end or one sum for each ten seconds
        const congestion = told.take().filter((line) => /congested|clear/.test(line))
        assert.isAtMost(congestion.length, 13)
        assert.isAtLeast(congestion.length, 5)
      })
    )
  )

  it.effect(
    "X5 tells the first refusal of a kind, and then how many there were",
    logged(({ advance, dial, host, network, script }, told) =>
      Effect.gen(function*() {
        yield* host.attach(optionsOf({ admission: { policy: "refuse" } }), new Actor().module)
        yield* settled
        script(0).block()
        yield* dial
        told.take()
        yield* advance(5)
        for (let i = 0; i < 1000; i++) network.dial(endpoint)
        yield* advance(1000)
        assert.deepStrictEqual(told.having("refused"), [
          "WARN [app] a connection to tcp://127.0.0.1:80 was refused: congested"
        ])
        for (let second = 0; second < 100; second++) {
          for (let i = 0; i < 10; i++) network.dial(endpoint)
          yield* advance(1000)
        }
        const counts = told.having("refused").map((line) => Number(/\((\d+) more in/.exec(line)?.[1]))
        assert.isAtMost(counts.length, 10)
        // those of the last seconds are told when their time has come
        yield* advance(11_000)
        const rest = told.having("refused").map((line) => Number(/\((\d+) more in/.exec(line)?.[1]))
        assert.strictEqual([...counts, ...rest].reduce((a, b) => a + b), 2000)
      })
    )
  )

  it.effect(
    "tells when it drains, and what is left afterwards",
    logged(({ advance, dial, host }, told) =>
      Effect.gen(function*() {
        yield* host.attach(optionsOf({ worker: { drainTimeout: 3000 } }), new Actor().module)
        yield* settled
        yield* dial
        yield* dial
        told.take()
        const drain = yield* Effect.forkScoped(host.drain)
        yield* settled
        assert.deepStrictEqual(told.take(), ["INFO draining: nothing new is accepted, 2 sessions may finish"])
        yield* advance(3000)
        assert.isDefined(drain.pollUnsafe())
        assert.deepStrictEqual(told.take(), [
          "WARN 2 of 2 sessions did not end within the drain timeout of 3 s and will be reset"
        ])
      })
    )
  )
})
