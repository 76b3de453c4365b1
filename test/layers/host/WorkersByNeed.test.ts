/** X8: workers come and go by need, in a host whose time is the test's. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { EventEmitter } from "node:events"
import type { EventOf, ToldEvent } from "../../../src/domain/events/HostEvent.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import { PROTOCOL } from "../../../src/domain/takeover/TakeoverMessage.ts"
import type { Descent } from "../../../src/layers/system/Descent.ts"
import { Inherited, InheritedSockets } from "../../../src/layers/system/InheritedSockets.ts"
import { ListenGate } from "../../../src/layers/system/ListenGate.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import { fromUrl } from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { eventsOf } from "../../support/EventSums.ts"
import { answering, ask } from "../../support/Parking.ts"
import { accepting, Actor, endpoint, handleOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Workers that are full with two sessions each, from one to three of them. */
const attach = (
  stage: Stage,
  options: AppOptionsInput = {},
  start: () => Effect.Effect<void, unknown> = () => Effect.void
) => {
  const accept = answering()
  const actor = new Actor({
    accept,
    start: (run) => Effect.andThen(start(), run.sessions.listen(endpoint, accepting(run, accept)))
  })
  return stage.attach(actor, {
    workers: "1..3",
    ...options,
    admission: { maxSessionsPerWorker: 2, ...options.admission },
    worker: { handOver: 0, ...options.worker, kind: "thread" }
  })
}

const dial = (stage: Stage, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => stage.dialOpen(), { concurrency: 1 })

const workersOf = (stage: Stage) =>
  Effect.map(stage.app(), ({ workers }) => workers.map(({ mapIndex, state }) => `${mapIndex} ${state}`))

type OfNumber = EventOf<"worker-added" | "worker-retired" | "worker-add-failed">

const isOfNumber = (event: ToldEvent): event is OfNumber =>
  event.kind === "worker-added" || event.kind === "worker-retired" || event.kind === "worker-add-failed"

/** What was told of the number of workers: `added 1 full 2`. */
const changesOf = (stage: Stage) =>
  Effect.map(
    eventsOf(stage.host),
    (events) =>
      events.filter(isOfNumber).map((event) =>
        event.kind === "worker-add-failed"
          ? `failed ${event.worker} ${event.againMillis}`
          : `${event.kind.slice("worker-".length)} ${event.worker} ${event.reason} ${event.workers}`
      )
  )

describe("workers by need", () => {
  scenario(
    "X8 a worker is added once all were full for two seconds, and goes after retireAfter",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, { worker: { retireAfter: "30 seconds" } })
        const peers = yield* dial(stage, 2)
        const third = yield* stage.dial()
        yield* stage.pass(1500)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING"])
        yield* stage.pass(1000)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 RUNNING"])
        yield* until("the new worker has the one that waited", () => third.opened)
        assert.strictEqual((yield* stage.worker(1)).sessions, 1)
        for (const peer of peers) peer.end()
        yield* stage.pass(29 * SECOND)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 RUNNING"])
        yield* stage.pass(3 * SECOND)
        // the session that was parked goes on with the other worker
        yield* ask(third, "hello", "0:hello;")
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING"])
        yield* stage.pass(5 * MINUTE, 5 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 full 2", "retired 1 quiet 1"])
      })
  )

  scenario(
    "X8 messages that wait while the worker takes one after the other are a need, and a block is none",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, { workers: "1..2", admission: { maxSessionsPerWorker: 100 } })
        stage.script().block()
        yield* stage.dial()
        yield* stage.pass(10 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), [])
        stage.script().release()
        yield* settled
        stage.script().slow(200)
        yield* Effect.forEach(Array.from({ length: 40 }), () => stage.dial())
        yield* stage.pass(4 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 congested 2"])
      })
  )

  scenario(
    "X8 a worker that crashes again and again is no need, and what is full beside it is",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, { workers: "2..3", worker: { backoffBase: "10 seconds" } })
        yield* settled
        stage.script(1).crash()
        yield* stage.pass(5 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), [])
        yield* dial(stage, 2)
        yield* stage.pass(3 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 2 full 3"])
      })
  )

  scenario(
    "X8 a worker that does not start is told, and tried again after longer and longer waits",
    (stage) =>
      Effect.gen(function*() {
        let fails = false
        yield* attach(stage, {}, () => fails ? Effect.die(new Error("no such luck")) : Effect.void)
        yield* dial(stage, 2)
        fails = true
        yield* stage.pass(40 * SECOND)
        fails = false
        yield* stage.pass(40 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), [
          "added 1 full 2",
          "failed 1 10000",
          "added 1 full 2",
          "failed 1 20000",
          "added 1 full 2",
          "failed 1 40000",
          "added 1 full 2"
        ])
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 RUNNING"])
      })
  )

  scenario(
    "X8 there are never more than the range, the processors and the memory allow",
    (stage) =>
      Effect.gen(function*() {
        const limit = Effect.map(stage.app(), ({ byNeed }) => byNeed?.limit)
        stage.machine.processors = 3
        yield* stage.attach(new Actor().url, { name: "other", listen: [], workers: 2, worker: { kind: "thread" } })
        yield* attach(stage)
        yield* dial(stage, 2)
        yield* stage.pass(MINUTE, SECOND)
        assert.strictEqual(yield* limit, "processors")
        stage.machine.processors = 16
        stage.machine.free = 2 ** 33
        yield* stage.pass(10 * SECOND)
        assert.strictEqual(yield* limit, "memory")
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING"])
        stage.machine.free = 2 ** 36
        for (let workers = 1; workers < 3; workers++) {
          yield* stage.pass(15 * SECOND)
          yield* dial(stage, 2)
        }
        yield* stage.pass(MINUTE, SECOND)
        assert.strictEqual(yield* limit, "most")
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 RUNNING", "2 RUNNING"])
      })
  )

  scenario(
    "X8 a session that its worker has in hand is not ended because the worker is not needed",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, { worker: { drainTimeout: "1 second" } })
        const [first, second] = yield* dial(stage, 2)
        yield* stage.pass(3 * SECOND)
        const third = yield* stage.dialOpen()
        third.send("stay")
        for (const peer of [first, second]) peer?.end()
        yield* stage.pass(3 * MINUTE, SECOND)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 DRAINING"])
        assert.isFalse(third.closed)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 full 2", "retired 1 quiet 1"])
        // whoever does not want to wait deletes it
        const { handle } = yield* stage.worker(1)
        yield* stage.host.deleteWorker(handleOf(handle), { drain: false })
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING"])
      })
  )

  scenario(
    "X8 W11 workers are added and deleted by hand within the range, and a sentence says where it ends",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, { workers: "2..3" })
        const added = yield* stage.host.addWorker(handle)
        const over = yield* Effect.flip(stage.host.addWorker(handle))
        assert.strictEqual(over.message, "can't add the worker: app has 3 workers, which is the limit")
        yield* stage.host.deleteWorker(added.handle)
        const under = yield* Effect.flip(stage.host.deleteWorker(handleOf((yield* stage.worker(1)).handle)))
        assert.strictEqual(
          under.message,
          "can't delete the worker: app has as few workers as it may have (workers: 2..3); detach app to end them all"
        )
        assert.deepStrictEqual(yield* changesOf(stage), ["added 2 asked 3", "retired 2 asked 2"])
        // what was done by hand stands for a while
        yield* dial(stage, 4)
        yield* stage.pass(9 * SECOND)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 RUNNING"])
        yield* stage.pass(2 * SECOND)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 RUNNING", "2 RUNNING"])
      })
  )

  scenario(
    "X8 X2 X4 nothing changes while a reload or a takeover is under way; a reload keeps the number",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, { worker: { handOver: "10 seconds" } })
        yield* stage.host.addWorker(handle)
        yield* dial(stage, 4)
        const reload = yield* Effect.forkChild(stage.host.reload(handle))
        // the second start waits for the sessions of the first one to go over
        yield* stage.pass(19 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 asked 2"])
        yield* stage.pass(2 * SECOND)
        yield* Fiber.join(reload)
        assert.strictEqual((yield* stage.app()).workers.length, 2)
        stage.succession.record("begun")
        yield* stage.pass(MINUTE, SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 asked 2"])
        assert.deepStrictEqual(stage.succession.workers(), { app: 2 })
        stage.succession.record("abandoned")
        yield* stage.pass(3 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 asked 2", "added 2 full 3"])
      })
  )

  scenario("X8 a fixed number stays, whatever the load is", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage, { workers: 1 })
      yield* dial(stage, 2)
      yield* stage.pass(5 * MINUTE, SECOND)
      assert.deepStrictEqual(yield* changesOf(stage), [])
      assert.isNull((yield* stage.app()).byNeed)
      assert.deepStrictEqual(stage.succession.workers(), {})
    }))

  scenario(
    "X8 W13 an application may finish what it has before it is detached, whatever its range is",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage)
        yield* dial(stage, 2)
        yield* stage.pass(2500)
        const third = yield* stage.dialOpen()
        third.send("stay")
        yield* settled
        const finishing = yield* Effect.forkChild(stage.host.detach(handle, { drain: true }))
        yield* stage.pass(5 * SECOND)
        assert.isFalse(third.closed)
        third.end()
        yield* stage.pass(6 * SECOND)
        yield* Fiber.join(finishing)
      })
  )

  scenario(
    "X8 W13 an application that is detached while a worker starts takes that with it, and nobody is told",
    (stage) =>
      Effect.gen(function*() {
        let hangs = false
        const { handle } = yield* attach(stage, {}, () => hangs ? Effect.never : Effect.void)
        hangs = true
        yield* dial(stage, 2)
        yield* stage.pass(3 * SECOND)
        assert.deepStrictEqual(yield* workersOf(stage), ["0 RUNNING", "1 STARTING"])
        yield* Effect.forkChild(stage.host.detach(handle))
        yield* stage.pass(5 * SECOND)
        assert.deepStrictEqual(yield* changesOf(stage), ["added 1 full 2"])
      })
  )

  it.effect.each<readonly [AppOptionsInput["workers"], number, number]>([
    ["1..4", 3, 3],
    ["1..4", 9, 4],
    ["2..4", 1, 2],
    [1, 3, 1]
  ])(
    "X8 X4 an application with workers %s that had %d in the host before starts with %d",
    ([workers, before, now]) =>
      Effect.gen(function*() {
        const descent: Descent = {
          birth: { protocol: PROTOCOL, pid: 1, listeners: [], workers: { app: before } },
          port: Object.assign(new EventEmitter(), { connected: true }),
          gate: new ListenGate(),
          reading: new ListenGate()
        }
        const inherited = Layer.succeed(Inherited, new InheritedSockets([], [], Result.succeed(descent)))
        const host = Context.get(yield* Layer.build(Layer.provide(HostScripted.layer, inherited)), SessionLayer)
        yield* host.attach(
          { name: "app", workers },
          fromUrl(new URL("../../fixtures/listens-nowhere.ts", import.meta.url))
        )
        assert.strictEqual((yield* host.report).apps[0]!.workers.length, now)
      })
  )
})
