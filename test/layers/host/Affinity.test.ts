/** Which worker a connection goes to where the listener has an affinity. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as Affinity from "../../../src/domain/admission/Affinity.ts"
import type { Arrival } from "../../../src/domain/options/ListenerOptions.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { Actor, endpoint, handleOf, optionsOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

const WORKERS = 4
const all = Array.from({ length: WORKERS }, (_, worker) => worker)

/** The workers in the order in which a key prefers them. */
const order = (key: string | number): ReadonlyArray<number> => {
  const hash = Affinity.hash(key)
  return [...all].sort((one, other) => Affinity.weight(hash, other) - Affinity.weight(hash, one))
}

/** Four workers, and connections whose keys the test says. */
const attach = Effect.fnUntraced(function*(stage: Stage, options: AppOptionsInput = {}) {
  const actor = new Actor()
  const asked: Array<Arrival> = []
  let next: unknown = "key"
  const affinity = (arrival: Arrival): string => {
    asked.push(arrival)
    if (next instanceof Error) throw next
    return next as string
  }
  const app = yield* stage.attach(actor, { workers: WORKERS, listener: { affinity }, ...options })
  return {
    app,
    asked,
    counts: () => actor.counts(WORKERS),
    dial: (key: unknown) => {
      next = key
      return stage.dial()
    }
  }
})

const only = (...workers: ReadonlyArray<number>): ReadonlyArray<number> =>
  all.map((worker) => workers.filter((other) => other === worker).length)

describe("affinity", () => {
  scenario("connections of one key go to one worker, and keys are spread over all", (stage) =>
    Effect.gen(function*() {
      const { asked, counts, dial } = yield* attach(stage)
      const [first] = order("a key")
      for (let i = 0; i < 3; i++) yield* dial("a key")
      assert.deepStrictEqual(counts(), only(first!, first!, first!))
      assert.strictEqual(asked.length, 3)
      assert.match(asked[0]!.remote, /^tcp:\/\/127\.0\.0\.1:\d+$/)
      assert.deepInclude(asked[0], { local: "tcp://127.0.0.1:80", serverName: undefined })
      for (let i = 0; i < 40; i++) yield* dial(i)
      assert.isTrue(counts().every((count) => count >= 3), String(counts()))
    }))

  scenario("by source: those of one address go to one worker", (stage) =>
    Effect.gen(function*() {
      const { counts, dial } = yield* attach(stage, { listener: { affinity: "source" } })
      const [first] = order("127.0.0.1")
      for (let i = 0; i < 5; i++) yield* dial("")
      assert.deepStrictEqual(counts(), only(first!, first!, first!, first!, first!))
    }))

  scenario(
    "M6 a worker that takes no offers is passed over for the key's next best, and gets its key back",
    (stage) =>
      Effect.gen(function*() {
        const { counts, dial } = yield* attach(stage, { admission: { maxSessionsPerWorker: 1 } })
        const [first, second, third] = order("key")
        const peer = yield* dial("key")
        yield* dial("key")
        assert.deepStrictEqual(counts(), only(first!, second!))
        peer.reset()
        yield* settled
        yield* dial("key")
        yield* dial("key")
        assert.deepStrictEqual(counts(), only(first!, first!, second!, third!))
      })
  )

  scenario(
    "M15 an offer that is not claimed goes to the key's next best; the key is asked for once",
    (stage) =>
      Effect.gen(function*() {
        const { asked, counts, dial } = yield* attach(stage)
        const [first, second] = order("key")
        stage.script(first).block()
        yield* dial("key")
        assert.deepStrictEqual(counts(), only())
        yield* TestClock.adjust(5)
        yield* settled
        assert.deepStrictEqual(counts(), only(second!))
        // at once to where it goes meanwhile
        yield* dial("key")
        assert.deepStrictEqual(counts(), only(second!, second!))
        assert.strictEqual(asked.length, 2)
        stage.script(first).release()
        yield* settled
        yield* dial("key")
        assert.deepStrictEqual(counts(), only(first!, second!, second!))
      })
  )

  scenario("a held connection is matched again when it is placed", (stage) =>
    Effect.gen(function*() {
      const { asked, counts, dial } = yield* attach(stage, {
        admission: { maxSessionsPerWorker: 1 }
      })
      const peers = [yield* dial("other"), yield* dial("other"), yield* dial("other"), yield* dial("other")]
      assert.deepStrictEqual(counts(), only(0, 1, 2, 3))
      yield* dial("key")
      assert.strictEqual((yield* stage.listener).arrivals.held, 1)
      // the worker that the key prefers last is the first to have room
      const last = order("key")[3]!
      peers[order("other").indexOf(last)]!.reset()
      yield* settled
      assert.deepStrictEqual(counts(), only(0, 1, 2, 3, last))
      assert.strictEqual(asked.length, 5)
    }))

  scenario("a key stays with its worker over the worker's restart", (stage) =>
    Effect.gen(function*() {
      const { counts, dial } = yield* attach(stage)
      const [first] = order("key")
      yield* dial("key")
      yield* stage.host.restartWorker(handleOf((yield* stage.worker(first)).handle)).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("20 seconds")
      yield* settled
      yield* dial("key")
      assert.deepStrictEqual(counts(), only(first!))
    }))

  scenario("a connection without a key goes to the next worker", (stage) =>
    Effect.gen(function*() {
      const { counts, dial } = yield* attach(stage)
      for (let i = 0; i < 8; i++) yield* dial(undefined)
      assert.deepStrictEqual(counts(), [2, 2, 2, 2])
    }))

  for (
    const [what, answer, said] of [
      ["throws", new Error("no idea"), "no idea"],
      ["answers with something else", {}, "a value of type object"]
    ] as const
  ) {
    it.effect(`where the function ${what}, connections go to the next worker, which is said once`, () => {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const affinity = (): never => {
        if (answer instanceof Error) throw answer
        return answer as never
      }
      return Effect.gen(function*() {
        const host = yield* SessionLayer
        const { network } = yield* HostScripted.HostScripted
        const actor = new Actor()
        yield* host.attach(optionsOf({ workers: WORKERS, listener: { affinity } }), actor.module)
        for (let i = 0; i < 8; i++) network.dial(endpoint)
        yield* settled
        assert.deepStrictEqual(actor.counts(WORKERS), [2, 2, 2, 2])
        assert.deepStrictEqual((yield* host.report).imbalances, [])
        const warnings = lines.filter((line) => line.includes("affinity"))
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], said)
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(HostScripted.layer, Logger.layer([logger]))))
    })
  }
})
