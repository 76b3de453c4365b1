/** Workers that are added, deleted and started again while their application runs (W11). */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Net from "node:net"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import * as Host from "../../../src/layers/Host.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { MAX_WORKERS, SessionLayer, WorkerOperationFailed } from "../../../src/services/SessionLayer.ts"
import {
  accepting,
  Actor,
  assertNothingLeft,
  echoing,
  endpoint,
  handleOf,
  scenario,
  type Stage
} from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

const handleOfWorker = (stage: Stage, worker = 0) =>
  Effect.map(
    stage.app(),
    ({ workers }) => handleOf<Handle.WorkerHandle>(workers.find(({ mapIndex }) => mapIndex === worker)!.handle)
  )

/** What must be as before when something has failed. */
const state = ({ host, network }: Stage) =>
  Effect.map(host.report, ({ apps, sessions }) => ({
    sessions,
    listening: network.listening,
    apps: apps.map(({ listeners, workers }) => ({
      workers: workers.map(({ handle, restarts, sessions, state }) => ({ handle, restarts, sessions, state })),
      listeners: listeners.map(({ endpoint, handle, workers }) => ({ endpoint, handle, workers }))
    }))
  }))

const numbers = (stage: Stage) => Effect.map(stage.app(), ({ workers }) => workers.map(({ mapIndex }) => mapIndex))

const failure = <A>(effect: Effect.Effect<A, WorkerOperationFailed>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, WorkerOperationFailed)
    return error
  })

/** Moves the clock and lets what follows happen. */
const adjust = (millis: number) => Effect.andThen(TestClock.adjust(millis), settled)

describe("add", () => {
  scenario(
    "W11 answers with the worker, its first segment and its event queue, and it joins the listeners",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const second = "tcp://127.0.0.1:81"
        const app = yield* stage.attach(actor, { listen: [endpoint, second], segment: { firstSegmentSize: "1MiB" } })
        const worker = yield* stage.host.addWorker(app.handle)
        assert.deepStrictEqual({ ...worker, handle: 0, index: 0 }, {
          handle: 0,
          index: 0,
          mapIndex: 1,
          kind: "in-process",
          firstSegmentBytes: 1024 * 1024,
          eventQueueBytes: app.eventQueueBytes
        } as never)
        const report = yield* stage.worker(1)
        assert.strictEqual(handleOf<Handle.WorkerHandle>(report.handle), worker.handle)
        assert.strictEqual(report.workerIndex, worker.index)
        assert.strictEqual(report.segments.bytes, 1024 * 1024)
        assert.strictEqual(report.state, "RUNNING")
        assert.strictEqual(report.restarts, 0)
        const { listeners } = yield* stage.app()
        assert.deepStrictEqual(listeners.map(({ workers }) => workers), [[0, 1], [0, 1]])
        for (const uri of [endpoint, endpoint, second, second]) yield* stage.dialOpen(uri)
        assert.deepStrictEqual(actor.counts(2), [2, 2])
      })
  )

  scenario(
    "W11 takes the lowest free number, and is not the worker that had it before",
    (stage) =>
      Effect.gen(function*() {
        const { host } = stage
        const { handle } = yield* stage.attach(new Actor(), { workers: 3 })
        const old = yield* handleOfWorker(stage, 1)
        yield* host.deleteWorker(old)
        assert.deepStrictEqual(yield* numbers(stage), [0, 2])
        const added = yield* host.addWorker(handle)
        assert.strictEqual(added.mapIndex, 1)
        assert.notStrictEqual(added.handle, old)
        assert.strictEqual((yield* host.addWorker(handle)).mapIndex, 3)
        for (const operation of [host.deleteWorker(old), host.restartWorker(old)]) {
          assert.strictEqual((yield* failure(operation)).reason._tag, "NoSuchWorker")
        }
        assert.strictEqual((yield* stage.app()).workers.length, 4)
      })
  )

  scenario(
    "W11 is checked before anything changes: kind, application, a host that drains",
    (stage) =>
      Effect.gen(function*() {
        const { host } = stage
        const { handle } = yield* stage.attach(new Actor())
        const other = yield* stage.attach(new Actor(), { name: "other", listen: [] })
        yield* host.detach(other.handle)
        const before = yield* state(stage)
        const thread = yield* failure(host.addWorker(handle, { kind: "thread" }))
        assert.strictEqual(
          thread.message,
          "can't add the worker: worker.kind: a thread worker needs the URL of a module; a layer can only run in-process"
        )
        assert.strictEqual((yield* failure(host.addWorker(other.handle))).reason._tag, "NoSuchApp")
        assert.deepStrictEqual(yield* state(stage), before)
        yield* host.drain
        const worker = yield* handleOfWorker(stage)
        assert.strictEqual((yield* failure(host.addWorker(handle))).reason._tag, "Draining")
        assert.strictEqual((yield* failure(host.restartWorker(worker))).reason._tag, "Draining")
        assert.deepStrictEqual((yield* state(stage)).apps[0]!.workers, before.apps[0]!.workers)
      })
  )

  scenario(`W11 an application has ${MAX_WORKERS} workers at most`, (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* stage.attach(new Actor(), {
        workers: MAX_WORKERS - 1,
        segment: { firstSegmentSize: "1MiB" }
      })
      // two at once, and room for one
      const exits = yield* Effect.all([0, 1].map(() => Effect.exit(stage.host.addWorker(handle))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false])
      const before = yield* state(stage)
      const error = yield* failure(stage.host.addWorker(handle))
      assert.strictEqual(error.message, `can't add the worker: app has ${MAX_WORKERS} workers, which is the limit`)
      assert.deepStrictEqual(yield* state(stage), before)
      yield* stage.host.deleteWorker(yield* handleOfWorker(stage, 100))
      assert.strictEqual((yield* stage.host.addWorker(handle)).mapIndex, 100)
    }))

  scenario("W11 a worker that fails to start leaves nothing, and the next one may", (stage) =>
    Effect.gen(function*() {
      let fail = false
      const actor = new Actor({
        start: (run) =>
          Effect.gen(function*() {
            yield* run.sessions.listen(endpoint, accepting(run, echoing))
            if (fail) return yield* Effect.fail(new Error("no database"))
          })
      })
      const { handle } = yield* stage.attach(actor)
      const peer = yield* stage.dialOpen()
      const before = yield* state(stage)
      fail = true
      const error = yield* failure(stage.host.addWorker(handle))
      assert.match(
        error.message,
        /^can't add the worker: worker 1 did not start: the application failed: no database \(.*:\d+:\d+\)$/
      )
      assert.deepStrictEqual(yield* state(stage), before)
      peer.send("still here")
      yield* until("the echo", () => peer.received().toString() === "still here")
      fail = false
      assert.strictEqual((yield* stage.host.addWorker(handle)).mapIndex, 1)
      assert.deepStrictEqual((yield* stage.listener).workers, [0, 1])
    }))

  scenario("W11 a worker that does not come up in time leaves nothing", (stage) =>
    Effect.gen(function*() {
      const actor: Actor = new Actor({ start: () => actor.runs.length > 1 ? Effect.never : Effect.void })
      const { handle } = yield* stage.attach(actor, { listen: [], worker: { startTimeout: 500 } })
      const before = yield* state(stage)
      const adding = yield* Effect.forkChild(failure(stage.host.addWorker(handle)))
      yield* settled
      assert.deepStrictEqual((yield* stage.app()).workers.map(({ state }) => state), ["RUNNING", "STARTING"])
      yield* adjust(500)
      // who does not come up does not stop either
      yield* adjust(2000)
      const error = yield* Fiber.join(adding)
      assert.match(error.message, /worker 1 did not start: the application was not ready within 500 ms$/)
      assert.deepStrictEqual(yield* state(stage), before)
    }))

  scenario("W11 an add that is interrupted, at whatever point, leaves nothing", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({
        start: (run) =>
          Effect.gen(function*() {
            yield* run.sessions.listen(endpoint, accepting(run))
            yield* Effect.forEach(Array(5), () => turn, { discard: true })
          })
      })
      const { handle } = yield* stage.attach(actor)
      const before = yield* state(stage)
      let finished = false
      for (let turns = 0; !finished; turns++) {
        assert.isBelow(turns, 200)
        const fiber = yield* Effect.forkChild(stage.host.addWorker(handle))
        for (let i = 0; i < turns; i++) yield* turn
        finished = fiber.pollUnsafe() !== undefined
        yield* Fiber.interrupt(fiber)
        if (!finished) assert.deepStrictEqual(yield* state(stage), before, `interrupted after ${turns} turns`)
      }
      assert.deepStrictEqual((yield* stage.listener).workers, [0, 1])
    }))

  scenario(
    "W11 a worker that is added to an application that is detached meanwhile is none",
    (stage) =>
      Effect.gen(function*() {
        const actor: Actor = new Actor({ start: () => actor.runs.length > 1 ? Effect.never : Effect.void })
        const { handle } = yield* stage.attach(actor)
        const adding = yield* Effect.forkChild(failure(stage.host.addWorker(handle)))
        yield* settled
        const detaching = yield* Effect.forkChild(stage.host.detach(handle))
        yield* settled
        yield* adjust(2000)
        yield* Fiber.join(detaching)
        const error = yield* Fiber.join(adding)
        assert.match(error.message, /worker 1 did not start: the worker was stopped$/)
        yield* assertNothingLeft(stage)
      })
  )
})

describe("delete", () => {
  scenario("W11 the default worker is not deleted while others live", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { workers: 2 })
      const before = yield* state(stage)
      const error = yield* failure(stage.host.deleteWorker(yield* handleOfWorker(stage)))
      assert.strictEqual(error.reason._tag, "DefaultWorker")
      assert.strictEqual(
        error.message,
        "can't delete the worker: the default worker of app can't be deleted while others live; delete them first, or detach app"
      )
      assert.deepStrictEqual(yield* state(stage), before)
    }))

  scenario("W11 with its last worker the application is detached", (stage) =>
    Effect.gen(function*() {
      const { host } = stage
      const app = yield* stage.attach(new Actor(), { client: "shop", workers: 2 })
      yield* host.deleteWorker(yield* handleOfWorker(stage, 1))
      assert.deepStrictEqual((yield* stage.listener).workers, [0])
      yield* host.deleteWorker(yield* handleOfWorker(stage, 0))
      yield* assertNothingLeft(stage)
      for (const wanted of ["app", { client: "shop" }, app.index] as const) {
        assert.strictEqual((yield* Effect.flip(host.find(wanted)))._tag, "NoSuchApp")
      }
      // the name is free again
      yield* stage.attach(new Actor(), { client: "shop" })
    }))

  scenario(
    "W11 waits for the worker's sessions, and gives it no new ones meanwhile",
    (stage) =>
      Effect.gen(function*() {
        let told = 0
        const actor = new Actor({
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, echoing))
              yield* Effect.forkScoped(Effect.andThen(run.sessions.draining, Effect.sync(() => told++)))
            })
        })
        yield* stage.attach(actor, { workers: 2 })
        const [, second] = [yield* stage.dialOpen(), yield* stage.dialOpen()] as const
        const handle = yield* handleOfWorker(stage, 1)
        const deleting = yield* Effect.forkChild(stage.host.deleteWorker(handle))
        yield* settled
        assert.strictEqual(told, 1)
        assert.strictEqual((yield* stage.worker(1)).state, "DRAINING")
        for (let i = 0; i < 3; i++) yield* stage.dialOpen()
        assert.deepStrictEqual(actor.counts(2), [4, 1])
        // as good as gone for everybody else
        for (const operation of [stage.host.deleteWorker(handle), stage.host.restartWorker(handle)]) {
          assert.strictEqual((yield* failure(operation)).reason._tag, "NoSuchWorker")
        }
        second.send("last words")
        yield* until("the echo", () => second.received().toString() === "last words")
        assert.isUndefined(deleting.pollUnsafe())
        second.end()
        yield* Fiber.join(deleting)
        assert.isUndefined(second.broken)
        assert.deepStrictEqual(yield* numbers(stage), [0])
        assert.deepStrictEqual((yield* stage.listener).workers, [0])
      })
  )

  scenario("W11 waits at most for the drain timeout", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { workers: 2, worker: { drainTimeout: 3000 } })
      const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
      const handle = yield* handleOfWorker(stage, 1)
      const deleting = yield* Effect.forkChild(stage.host.deleteWorker(handle))
      yield* settled
      yield* adjust(2999)
      assert.isUndefined(deleting.pollUnsafe())
      assert.isFalse(peers[1]!.closed)
      yield* adjust(1)
      yield* Fiber.join(deleting)
      assert.isDefined(peers[1]!.broken)
      assert.isFalse(peers[0]!.closed)
    }))

  scenario("W11 waits for nothing where it is not to drain", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { workers: 2 })
      const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
      yield* stage.host.deleteWorker(yield* handleOfWorker(stage, 1), { drain: false })
      yield* settled
      assert.isDefined(peers[1]!.broken)
      assert.isFalse(peers[0]!.closed)
      assert.deepStrictEqual(yield* numbers(stage), [0])
    }))

  scenario("W11 a worker that waits to be started again is deleted at once", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { workers: 2 })
      stage.script(1).crash()
      yield* settled
      assert.strictEqual((yield* stage.worker(1)).state, "BACKOFF")
      yield* stage.host.deleteWorker(yield* handleOfWorker(stage, 1))
      assert.deepStrictEqual((yield* stage.listener).workers, [0])
      yield* adjust(10_000)
      assert.strictEqual(stage.script(1).starts, 1)
    }))

  scenario(
    "W11 a worker that crashes while it drains is gone, and is not started again",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { workers: 2 })
        const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
        const deleting = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage, 1)))
        yield* settled
        stage.script(1).crash()
        yield* Fiber.join(deleting)
        yield* settled
        assert.isDefined(peers[1]!.broken)
        assert.deepStrictEqual(yield* numbers(stage), [0])
        yield* adjust(10_000)
        assert.strictEqual(stage.script(1).starts, 1)
      })
  )

  scenario("W11 interrupted while it drains, the worker goes at once", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { workers: 2 })
      const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
      const deleting = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage, 1)))
      yield* settled
      yield* Fiber.interrupt(deleting)
      assert.deepStrictEqual(yield* numbers(stage), [0])
      yield* settled
      assert.isDefined(peers[1]!.broken)
    }))

  scenario("W11 an application whose last worker is deleted gets no new one", (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* stage.attach(new Actor())
      const peer = yield* stage.dialOpen()
      const deleting = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage)))
      yield* settled
      assert.strictEqual((yield* failure(stage.host.addWorker(handle))).reason._tag, "NoSuchApp")
      assert.deepStrictEqual(yield* numbers(stage), [0])
      peer.reset()
      yield* Fiber.join(deleting)
      yield* assertNothingLeft(stage)
    }))

  scenario("W11 the last one waits for those that are being deleted, too", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor({ accept: echoing }), { workers: 2 })
      const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()] as const
      const second = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage, 1)))
      yield* settled
      const first = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage, 0)))
      yield* settled
      peers[0].end()
      yield* settled
      assert.isUndefined(peers[0].broken)
      peers[1].send("still here")
      yield* until("the echo", () => peers[1].received().toString() === "still here")
      assert.isUndefined(first.pollUnsafe())
      peers[1].end()
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.isUndefined(peers[1].broken)
      yield* assertNothingLeft(stage)
    }))

  for (const first of ["crash", "delete"] as const) {
    scenario(
      `W11 the last one is not started again while others finish (first the ${first})`,
      (stage) =>
        Effect.gen(function*() {
          yield* stage.attach(new Actor({ accept: echoing }), { workers: 2, worker: { drainTimeout: 60_000 } })
          const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()] as const
          const second = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage, 1)))
          const handle = yield* handleOfWorker(stage, 0)
          if (first === "crash") stage.script(0).crash()
          yield* settled
          const last = yield* Effect.forkChild(stage.host.deleteWorker(handle))
          yield* settled
          if (first === "delete") stage.script(0).crash()
          yield* adjust(10_000)
          assert.strictEqual((yield* stage.worker(0)).state, "BACKOFF")
          assert.strictEqual(stage.script(0).starts, 1)
          peers[1].send("still here")
          yield* until("the echo", () => peers[1].received().toString() === "still here")
          assert.isUndefined(last.pollUnsafe())
          peers[1].end()
          yield* Fiber.join(last)
          yield* Fiber.join(second)
          assert.isUndefined(peers[1].broken)
          assert.strictEqual(stage.script(0).starts, 1)
          yield* assertNothingLeft(stage)
        })
    )
  }

  scenario(
    "W11 one that is deleted while it restarts, at whatever point, takes nothing while others finish",
    (stage) =>
      Effect.gen(function*() {
        const states = new Set<string>()
        for (let turns = 0; turns < 30; turns += 2) {
          yield* stage.attach(new Actor({ accept: echoing }), { workers: 2, worker: { drainTimeout: 60_000 } })
          const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()] as const
          const second = yield* Effect.forkChild(stage.host.deleteWorker(yield* handleOfWorker(stage, 1)))
          yield* settled
          const handle = yield* handleOfWorker(stage, 0)
          const restarting = yield* Effect.forkChild(Effect.exit(stage.host.restartWorker(handle, { drain: false })))
          for (let i = 0; i < turns; i++) yield* Effect.yieldNow
          states.add((yield* stage.worker(0)).state)
          const last = yield* Effect.forkChild(stage.host.deleteWorker(handle))
          yield* settled
          assert.strictEqual((yield* stage.worker(0)).state, "DRAINING", `deleted after ${turns} turns`)
          peers[1].end()
          yield* Fiber.join(last)
          yield* Fiber.join(second)
          yield* Fiber.join(restarting)
          assert.isUndefined(peers[1].broken)
          yield* assertNothingLeft(stage)
        }
        assert.deepStrictEqual([...states], ["RUNNING", "DRAINING", "STARTING"])
      })
  )
})

describe("restart", () => {
  scenario(
    "W11 a listener with one worker holds connections over it, and the next start takes them",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: echoing })
        yield* stage.attach(actor)
        const before = (yield* stage.app()).listeners[0]!
        const peer = yield* stage.dialOpen()
        const handle = yield* handleOfWorker(stage)
        const restarting = yield* Effect.forkChild(stage.host.restartWorker(handle))
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "DRAINING")
        const held = yield* stage.dial()
        assert.isFalse(held.opened || held.closed)
        assert.isUndefined(restarting.pollUnsafe())
        peer.end()
        yield* Fiber.join(restarting)
        assert.isUndefined(peer.broken)
        yield* until("the next start to take it", () => held.opened)
        held.send("hello")
        yield* until("the echo", () => held.received().toString() === "hello")
        const report = yield* stage.worker()
        assert.strictEqual(report.state, "RUNNING")
        assert.strictEqual(report.restarts, 1)
        assert.isNull(report.lastFailure)
        assert.strictEqual(handleOf<Handle.WorkerHandle>(report.handle), handle)
        assert.strictEqual(actor.run().info.restarts, 1)
        const after = (yield* stage.app()).listeners[0]!
        assert.strictEqual(after.handle, before.handle)
        assert.deepStrictEqual(after.workers, [0])
        assert.deepStrictEqual(stage.network.listening, [endpoint])
      })
  )

  scenario(
    "W11 connections that come at any moment of a restart are held, and none is lost",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: echoing })
        yield* stage.attach(actor)
        const handle = yield* handleOfWorker(stage)
        const restarting = yield* Effect.forkChild(stage.host.restartWorker(handle, { drain: false }))
        const peers: Array<Peer> = []
        while (restarting.pollUnsafe() === undefined) {
          peers.push(stage.network.dial(endpoint))
          yield* turn
        }
        yield* Fiber.join(restarting)
        assert.isAbove(peers.length, 1)
        yield* until("all to be opened", () => peers.every(({ opened }) => opened))
        yield* settled
        // those that came before it began went with the start before
        const lost = peers.filter(({ broken }) => broken !== undefined).length
        assert.strictEqual(lost, actor.runs[0]!.accepted.length)
        assert.strictEqual(lost + actor.run().accepted.length, peers.length)
      })
  )

  scenario("W11 others serve the listeners meanwhile", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ accept: echoing })
      yield* stage.attach(actor, { workers: 2 })
      const peer = yield* stage.dialOpen()
      const restarting = yield* Effect.forkChild(stage.host.restartWorker(yield* handleOfWorker(stage)))
      yield* settled
      for (let i = 0; i < 3; i++) yield* stage.dialOpen()
      assert.deepStrictEqual(actor.counts(2), [1, 3])
      peer.end()
      yield* Fiber.join(restarting)
      yield* stage.dialOpen()
      yield* stage.dialOpen()
      assert.deepStrictEqual(actor.counts(2), [1, 4])
      assert.deepStrictEqual((yield* stage.listener).workers.toSorted(), [0, 1])
    }))

  scenario("W11 waits for sessions at most for the drain timeout, or not at all", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { worker: { drainTimeout: 3000 } })
      const handle = yield* handleOfWorker(stage)
      const first = yield* stage.dialOpen()
      const restarting = yield* Effect.forkChild(stage.host.restartWorker(handle))
      yield* settled
      yield* adjust(2999)
      assert.isFalse(first.closed)
      yield* adjust(1)
      yield* Fiber.join(restarting)
      assert.isDefined(first.broken)
      const second = yield* stage.dialOpen()
      yield* stage.host.restartWorker(handle, { drain: false })
      yield* settled
      assert.isDefined(second.broken)
      assert.strictEqual((yield* stage.worker()).restarts, 2)
    }))

  scenario("W11 a worker in backoff is started at once", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { worker: { backoffBase: 60_000, backoffMax: 60_000 } })
      stage.script().crash()
      yield* settled
      assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
      const held = yield* stage.dial()
      yield* stage.host.restartWorker(yield* handleOfWorker(stage))
      assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      assert.strictEqual((yield* stage.worker()).restarts, 1)
      yield* until("the next start to take it", () => held.opened)
      // the backoff that was cut short starts nothing later
      yield* adjust(60_000)
      assert.strictEqual(stage.script().starts, 2)
    }))

  scenario("W11 a start that fails is told, and tried again like one after a crash", (stage) =>
    Effect.gen(function*() {
      let fail = false
      const actor = new Actor({
        start: (run) =>
          fail
            ? Effect.fail(new Error("no database"))
            : Effect.asVoid(run.sessions.listen(endpoint, accepting(run)))
      })
      yield* stage.attach(actor)
      const handle = yield* handleOfWorker(stage)
      fail = true
      const error = yield* failure(stage.host.restartWorker(handle))
      assert.strictEqual(error.operation, "restart")
      assert.match(error.message, /worker 0 did not start: the application failed: no database \(.*:\d+:\d+\)$/)
      yield* settled
      assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
      assert.deepStrictEqual(stage.network.listening, [endpoint])
      const held = yield* stage.dial()
      fail = false
      yield* adjust(100)
      assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      yield* until("the next start to take it", () => held.opened)
    }))

  scenario(
    "W11 two restarts at the same moment are one, or one after the other; neither hangs",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ start: () => Effect.forEach(Array(5), () => turn, { discard: true }) }))
        const handle = yield* handleOfWorker(stage)
        for (const drain of [true, false]) {
          for (let apart = 0; apart < 30; apart += 3) {
            const first = yield* Effect.forkChild(stage.host.restartWorker(handle, { drain }))
            for (let i = 0; i < apart; i++) yield* turn
            const second = yield* Effect.forkChild(stage.host.restartWorker(handle, { drain }))
            yield* until("both", () => first.pollUnsafe() !== undefined && second.pollUnsafe() !== undefined)
            yield* Fiber.join(first)
            yield* Fiber.join(second)
            assert.strictEqual((yield* stage.worker()).state, "RUNNING")
          }
        }
      })
  )

  scenario("W11 a worker that is still starting may be restarted", (stage) =>
    Effect.gen(function*() {
      const actor: Actor = new Actor({ start: () => actor.runs.length === 2 ? Effect.never : Effect.void })
      const { handle } = yield* stage.attach(actor)
      const adding = yield* Effect.forkChild(stage.host.addWorker(handle))
      yield* settled
      const restarting = yield* Effect.forkChild(stage.host.restartWorker(yield* handleOfWorker(stage, 1)))
      yield* settled
      yield* adjust(2000)
      yield* Fiber.join(restarting)
      assert.strictEqual((yield* Fiber.join(adding)).mapIndex, 1)
      assert.strictEqual((yield* stage.worker(1)).state, "RUNNING")
    }))

  scenario("W11 interrupted while it drains, the worker is started again at once", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor)
      const peer = yield* stage.dialOpen()
      const restarting = yield* Effect.forkChild(stage.host.restartWorker(yield* handleOfWorker(stage)))
      yield* settled
      yield* Fiber.interrupt(restarting)
      yield* settled
      assert.isDefined(peer.broken)
      assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      assert.strictEqual((yield* stage.worker()).restarts, 1)
      assert.isTrue((yield* stage.dialOpen()).opened)
    }))

  scenario("W11 interrupted while the worker starts, it starts all the same", (stage) =>
    Effect.gen(function*() {
      let turns = 0
      const slow = new Actor({
        start: (run) =>
          Effect.andThen(
            Effect.forEach(Array(turns), () => turn, { discard: true }),
            run.sessions.listen(endpoint, accepting(run))
          )
      })
      yield* stage.attach(slow)
      const handle = yield* handleOfWorker(stage)
      turns = 10
      for (let wait = 0; wait < 20; wait++) {
        const restarting = yield* Effect.forkChild(stage.host.restartWorker(handle, { drain: false }))
        for (let i = 0; i < wait; i++) yield* turn
        yield* Fiber.interrupt(restarting)
        yield* settled
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "RUNNING")
        assert.isTrue((yield* stage.dialOpen()).opened)
      }
    }))

  scenario(
    "W11 a worker that is deleted, or detached, while it drains for a restart is not there to be restarted",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* stage.attach(new Actor(), { workers: 2 })
        const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
        for (
          const [worker, end] of [
            [1, Effect.flatMap(handleOfWorker(stage, 1), (it) => stage.host.deleteWorker(it, { drain: false }))],
            [0, stage.host.detach(handle)]
          ] as const
        ) {
          const restarting = yield* Effect.forkChild(
            failure(stage.host.restartWorker(yield* handleOfWorker(stage, worker)))
          )
          yield* settled
          yield* end
          yield* until("the answer", () => restarting.pollUnsafe() !== undefined)
          assert.strictEqual((yield* Fiber.join(restarting)).reason._tag, "NoSuchWorker")
          yield* until("the reset", () => peers[worker]!.closed)
        }
        yield* assertNothingLeft(stage)
      })
  )

  scenario(
    "W11 an application that is detached while a worker starts again is gone for who waits for that",
    (stage) =>
      Effect.gen(function*() {
        const actor: Actor = new Actor({ start: () => actor.runs.length > 1 ? Effect.never : Effect.void })
        const { handle } = yield* stage.attach(actor)
        const restarting = yield* Effect.forkChild(failure(stage.host.restartWorker(yield* handleOfWorker(stage))))
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "STARTING")
        const detaching = yield* Effect.forkChild(stage.host.detach(handle))
        yield* settled
        yield* adjust(2000)
        yield* Fiber.join(detaching)
        assert.strictEqual((yield* Fiber.join(restarting)).reason._tag, "WorkerFailed")
      })
  )

  scenario(
    "W11 a worker that stops listening when it drains for a restart keeps its seat, and the listener holds connections",
    (stage) =>
      Effect.gen(function*() {
        const local = "local://service"
        const actor = new Actor({
          accept: echoing,
          start: (run) =>
            Effect.forEach([endpoint, local], (uri) => run.sessions.listen(uri, accepting(run))).pipe(
              Effect.tap((listeners) =>
                Effect.forkScoped(Effect.andThen(
                  run.sessions.draining,
                  Effect.forEach(listeners, ({ handle }) => run.sessions.unlisten(handle))
                ))
              )
            )
        })
        yield* stage.attach(actor, { scope: { global: true, local: true } })
        const before = (yield* stage.app()).listeners
        const peer = yield* stage.dialOpen()
        const restarting = yield* Effect.forkChild(stage.host.restartWorker(yield* handleOfWorker(stage)))
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "DRAINING")
        const held = yield* stage.dial()
        assert.isFalse(held.opened || held.closed)
        peer.end()
        actor.runs[0]!.accepted[0]!.end()
        yield* Fiber.join(restarting)
        yield* until("the next start to take it", () => held.opened)
        const after = (yield* stage.app()).listeners
        assert.deepStrictEqual(after.map(({ handle }) => handle), before.map(({ handle }) => handle))
        assert.deepStrictEqual(after.map(({ workers }) => workers), [[0], [0]])
      })
  )

  scenario(
    "W11 a start that listens and fails leaves the listener to the one after it",
    (stage) =>
      Effect.gen(function*() {
        const actor: Actor = new Actor({
          start: (run) =>
            Effect.andThen(
              run.sessions.listen(endpoint, accepting(run)),
              actor.runs.length === 2 ? Effect.fail("a bug") : Effect.void
            )
        })
        yield* stage.attach(actor)
        const [before] = (yield* stage.app()).listeners
        yield* Effect.flip(stage.host.restartWorker(yield* handleOfWorker(stage)))
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
        const held = yield* stage.dial()
        assert.isFalse(held.opened || held.closed)
        yield* adjust(1000)
        yield* until("the next start to take it", () => held.opened)
        assert.strictEqual((yield* stage.app()).listeners[0]!.handle, before!.handle)
      })
  )

  scenario("W11 a seat that the next start does not take again is given up", (stage) =>
    Effect.gen(function*() {
      const actor: Actor = new Actor({
        start: (run) =>
          actor.runs.length > 1 ? Effect.void : Effect.asVoid(run.sessions.listen(endpoint, accepting(run)))
      })
      yield* stage.attach(actor)
      yield* stage.host.restartWorker(yield* handleOfWorker(stage))
      yield* settled
      assert.deepStrictEqual((yield* stage.app()).listeners, [])
      assert.deepStrictEqual(stage.network.listening, [])
    }))
})

describe("a restart that is interrupted", () => {
  scenario(
    "W11 at the moment at which its worker is deleted ends, as the worker does",
    (stage) =>
      Effect.gen(function*() {
        for (let turns = 0; turns < 6; turns++) {
          yield* Effect.scoped(Effect.gen(function*() {
            yield* stage.attach(new Actor(), { workers: 2 })
            yield* stage.dialOpen()
            yield* stage.dialOpen()
            const handle = yield* handleOfWorker(stage, 1)
            const restarting = yield* Effect.forkChild(stage.host.restartWorker(handle))
            yield* settled
            const deleting = yield* Effect.forkChild(stage.host.deleteWorker(handle, { drain: false }), {
              startImmediately: true
            })
            for (let i = 0; i < turns; i++) yield* turn
            const interrupting = yield* Effect.forkChild(Fiber.interrupt(restarting), { startImmediately: true })
            yield* until(
              "both to end",
              () => interrupting.pollUnsafe() !== undefined && deleting.pollUnsafe() !== undefined
            )
            yield* Fiber.join(deleting)
            assert.deepStrictEqual(yield* numbers(stage), [0])
          }))
          yield* settled
        }
      })
  )
})

describe("workers of mixed kinds", () => {
  const module = AppWorker.fromUrl(new URL("../../fixtures/misbehaving.ts", import.meta.url))

  it.live(
    "W11 a thread and an in-process worker serve one listener, and either may be added and deleted",
    () =>
      Effect.gen(function*() {
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        yield* Effect.gen(function*() {
          const app = yield* host.attach({
            name: "app",
            listen: ["tcp://127.0.0.1:0"],
            admission: { revokeAfter: 1000 },
            workers: 1,
            worker: { kind: "thread" }
          }, module)
          const added = yield* host.addWorker(app.handle, { kind: "in-process" })
          assert.strictEqual(added.kind, "in-process")
          const report = Effect.map(host.report, ({ apps: [app] }) => app!)
          assert.deepStrictEqual((yield* report).workers.map(({ kind }) => kind), ["thread", "in-process"])
          const [listener] = (yield* report).listeners
          const port = Number(new URL(listener!.endpoint).port)
          /** Asks whoever serves the next connection for its number. */
          const ask = Effect.callback<string>((resume) => {
            const socket = Net.connect(port, "127.0.0.1", () => void socket.write("who\n"))
            socket.on("data", (data) => {
              socket.destroy()
              resume(Effect.succeed(String(data).trim()))
            })
          })
          const served = (count: number) =>
            Effect.map(Effect.forEach(Array(count), () => ask), (workers) => workers.toSorted())
          assert.deepStrictEqual(yield* served(6), ["0.0", "0.0", "0.0", "1.0", "1.0", "1.0"])
          const second = yield* host.addWorker(app.handle, { kind: "thread" })
          assert.deepStrictEqual(yield* served(6), ["0.0", "0.0", "1.0", "1.0", "2.0", "2.0"])
          yield* host.deleteWorker(added.handle)
          assert.deepStrictEqual(yield* served(4), ["0.0", "0.0", "2.0", "2.0"])
          yield* host.restartWorker(second.handle)
          assert.deepStrictEqual(yield* served(4), ["0.0", "0.0", "2.1", "2.1"])
          yield* host.deleteWorker(second.handle)
          yield* host.deleteWorker(handleOf((yield* report).workers[0]!.handle))
          yield* assertNothingLeft({ host, network: { listening: [] } })
        }).pipe(Effect.scoped)
        assert.deepStrictEqual((yield* host.report).imbalances, [])
      }).pipe(Effect.scoped),
    30_000
  )
})
