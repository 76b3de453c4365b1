/** X2: new code takes the place of old code while it serves, and where it does not start, nothing changes. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import type { ReloadFailed } from "../../../src/services/SessionLayer.ts"
import { answering, ask, text } from "../../support/Parking.ts"
import { accepting, Actor, type Behaviour, endpoint, handleOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

/** Answers with the worker's number and its start. */
const accept = answering({ name: ({ info: { restarts, worker } }) => `${worker}.${restarts}` })

/** Workers that are threads by their options. */
const attach = (stage: Stage, behaviour: Behaviour = {}, options: AppOptionsInput = {}) => {
  const actor = new Actor({ accept, ...behaviour })
  return Effect.map(
    stage.attach(actor, { ...options, worker: { handOver: 0, ...options.worker, kind: "thread" } }),
    ({ handle }) => ({ actor, handle })
  )
}

/** What the workers are: `number.generation state`, and behind it those that drain. */
const workers = (stage: Stage) =>
  Effect.map(
    stage.app(),
    ({ workers }) =>
      workers.map(({ formers, generation, mapIndex, state }) =>
        [`${mapIndex}.${generation} ${state}`, ...formers.map(({ generation, state }) => `${generation} ${state}`)]
          .join()
      )
  )

/** The answer to a message on a new connection. */
const askAnew = Effect.fnUntraced(function*(stage: Stage, message: string, uri?: string) {
  const peer = yield* stage.dial(uri)
  peer.send(message)
  yield* until("an answer", () => text(peer) !== "")
  return text(peer)
})

const whyNot = <A>(effect: Effect.Effect<A, ReloadFailed>) => Effect.map(Effect.flip(effect), ({ message }) => message)

describe("reload", () => {
  scenario(
    "X2 a new start comes up while the old one serves, then its parked session moves and nothing is lost",
    (stage) =>
      Effect.gen(function*() {
        let starting = 0
        const { actor, handle } = yield* attach(stage, {
          start: (run) =>
            Effect.andThen(
              run.sessions.listen(endpoint, accepting(run, accept)),
              run.info.restarts === 0 ? Effect.void : Effect.andThen(Effect.sync(() => starting++), Effect.sleep(1000))
            )
        })
        const before = yield* stage.app()
        const peer = yield* stage.dialOpen()
        yield* ask(peer, "a", "0.0:a;")
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* until("the new start", () => starting === 1)
        // it has listened, and takes nothing: all is as before
        yield* ask(peer, "b", "0.0:b;")
        assert.strictEqual(yield* askAnew(stage, "new"), "0.0:new;")
        assert.deepStrictEqual((yield* stage.worker()).successor, { generation: 2, state: "STARTING" })
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(yield* Fiber.join(reloading), { workers: 1, millis: 1000 })
        yield* ask(peer, "c", "0.1:c;")
        assert.strictEqual(yield* askAnew(stage, "new"), "0.1:new;")
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING"])
        const after = yield* stage.app()
        assert.strictEqual(after.workers[0]!.handle, before.workers[0]!.handle)
        assert.strictEqual(after.listeners[0]!.handle, before.listeners[0]!.handle)
        assert.strictEqual(actor.runs.length, 2)
        // counts go on
        assert.strictEqual(after.workers[0]!.offers.claimed, 5)
        assert.strictEqual(after.workers[0]!.offers.moved, 2)
        assert.strictEqual(peer.closed, false)
      })
  )

  scenario(
    "X2 a start that has been replaced keeps its sessions for `handOver`; the next one begins after twice that",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, {}, { workers: 2, worker: { handOver: 300 } })
        const kept = yield* Effect.forEach(["a", "b"], () => stage.dialOpen())
        yield* ask(kept[0]!, "a", "0.0:a;")
        yield* ask(kept[1]!, "b", "1.0:b;")
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* settled
        // the new start has the place, and what there was is where it was
        yield* TestClock.adjust(299)
        yield* ask(kept[0]!, "c", "0.0:c;")
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 RUNNING", "1.1 RUNNING"])
        yield* TestClock.adjust(1)
        yield* settled
        const first = yield* workers(stage)
        assert.deepStrictEqual(first, ["0.2 RUNNING", "1.1 RUNNING"])
        yield* TestClock.adjust(299)
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), first)
        yield* TestClock.adjust(1)
        // the last one is waited for no longer than until it serves
        assert.deepStrictEqual(yield* Fiber.join(reloading), { workers: 2, millis: 600 })
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING", "1.2 RUNNING,1 RUNNING"])
        yield* TestClock.adjust(300)
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING", "1.2 RUNNING"])
        for (const peer of kept) assert.isFalse(peer.closed)
      })
  )

  scenario(
    "X2 X7 whether peers speak HTTP is for the code to say that was started last, once it serves",
    (stage) =>
      Effect.gen(function*() {
        const { actor, handle } = yield* attach(stage, {
          start: (run) =>
            Effect.andThen(
              run.sessions.listen(endpoint, accepting(run, accept), { speaksHttp: run.info.restarts > 0 }),
              run.info.restarts === 0 ? Effect.void : Effect.sleep(1000)
            )
        })
        const refusesWith = Effect.map(stage.listener, (listener) => listener.refusesWith)
        assert.strictEqual(yield* refusesWith, "reset")
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* until("the new start", () => actor.runs.length === 2)
        yield* settled
        assert.strictEqual(yield* refusesWith, "reset")
        yield* TestClock.adjust(1000)
        yield* Fiber.join(reloading)
        assert.strictEqual(yield* refusesWith, "http")
      })
  )

  scenario(
    "X2 a start that has been replaced and blocks lets what it keeps go on, late",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, {}, { worker: { handOver: 300 } })
        const former = stage.script()
        const peer = yield* stage.dialOpen()
        yield* ask(peer, "a", "0.0:a;")
        yield* stage.host.reload(handle)
        yield* settled
        former.block()
        peer.send("b")
        yield* TestClock.adjust(4)
        yield* settled
        assert.strictEqual(text(peer), "0.0:a;")
        yield* TestClock.adjust(1)
        yield* until("an answer of the new start", () => text(peer) === "0.0:a;0.1:b;")
        const [session] = yield* stage.host.sessions({})
        assert.deepStrictEqual({ moves: session!.moves, why: session!.moved }, { moves: 1, why: "late" })
        former.release()
      })
  )

  scenario(
    "X2 a start that has been replaced does not wait for `handOver` when its worker is deleted",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, {}, { workers: 2, worker: { handOver: 60_000, drainTimeout: 1000 } })
        const kept = yield* Effect.forEach(["a", "b"], () => stage.dialOpen())
        yield* ask(kept[0]!, "a", "0.0:a;")
        yield* ask(kept[1]!, "b", "1.0:b;")
        yield* stage.host.reload(handle, { atOnce: true })
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 RUNNING", "1.2 RUNNING,1 RUNNING"])
        yield* stage.host.deleteWorker(handleOf((yield* stage.worker(1)).handle))
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 RUNNING"])
        yield* ask(kept[0]!, "c", "0.0:c;")
        yield* ask(kept[1]!, "d", "0.1:d;")
        // the last one takes the application along: nobody is left to go on with what it keeps
        const ending = yield* Effect.forkChild(stage.host.deleteWorker(handleOf((yield* stage.worker(0)).handle)))
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 DRAINING,1 DRAINING"])
        yield* TestClock.adjust(1000)
        yield* Fiber.join(ending)
      })
  )

  scenario(
    "X2 a host that is told to stop waits for no `handOver`, and starts no new code",
    (stage) =>
      Effect.gen(function*() {
        const { actor, handle } = yield* attach(stage, {}, { workers: 2, worker: { handOver: 60_000 } })
        const reloading = yield* Effect.forkChild(whyNot(stage.host.reload(handle)))
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 RUNNING", "1.1 RUNNING"])
        yield* stage.host.drain
        assert.match(yield* Fiber.join(reloading), /shutting down; 1 of 2 workers/)
        assert.strictEqual(actor.runs.length, 3)
      })
  )

  scenario("X2 what is not finished has the drain timeout, and then ends", (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* attach(stage, {}, { worker: { drainTimeout: 3000 } })
      const peer = yield* stage.dialOpen()
      yield* ask(peer, "stay", "0.0:stay;")
      yield* stage.host.reload(handle)
      yield* settled
      assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 DRAINING"])
      assert.strictEqual((yield* stage.worker()).formers[0]!.sessions, 1)
      yield* ask(peer, "stay", "0.0:stay;")
      yield* TestClock.adjust(2999)
      yield* settled
      assert.isFalse(peer.closed)
      yield* TestClock.adjust(1)
      yield* until("the end", () => peer.closed)
      yield* settled
      assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING"])
    }))

  scenario(
    "X2 one worker is replaced after the other, and the first that does not start ends it",
    (stage) =>
      Effect.gen(function*() {
        const started: Array<number> = []
        const { handle } = yield* attach(stage, {
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, accept))
              if (run.info.restarts === 0) return
              started.push(run.info.worker)
              yield* Effect.sleep(100)
              if (run.info.worker === 1 && started.length === 2) return yield* Effect.fail(new Error("no database"))
            })
        }, { workers: 3 })
        const reloading = yield* Effect.forkChild(whyNot(stage.host.reload(handle)))
        yield* settled
        assert.deepStrictEqual(started, [0])
        yield* TestClock.adjust(100)
        yield* settled
        assert.deepStrictEqual(started, [0, 1])
        yield* TestClock.adjust(100)
        assert.match(
          yield* Fiber.join(reloading),
          /^can't reload app: worker 1 did not start: the application failed: no database \(.*:\d+:\d+\); 1 of 3 workers of app run the new code, the others go on as they were$/
        )
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING", "1.1 RUNNING", "2.1 RUNNING"])
        assert.deepStrictEqual(started, [0, 1])
        const answers = yield* Effect.forEach([1, 2, 3], () => askAnew(stage, "a"))
        assert.deepStrictEqual(answers.toSorted(), ["0.1:a;", "1.0:a;", "2.0:a;"])
        // and the next reload takes them all
        const again = yield* Effect.forkChild(stage.host.reload(handle))
        yield* settled
        for (let i = 0; i < 3; i++) yield* Effect.andThen(TestClock.adjust(100), settled)
        assert.strictEqual((yield* Fiber.join(again)).workers, 3)
        assert.deepStrictEqual((yield* workers(stage)).map((worker) => worker.slice(0, 3)), ["0.3", "1.2", "2.2"])
      })
  )

  scenario(
    "X2 at once, no new start serves before all are ready, and if one fails, nothing has changed",
    (stage) =>
      Effect.gen(function*() {
        let fails = true
        const { handle } = yield* attach(stage, {
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, accept))
              if (run.info.restarts === 0) return
              yield* Effect.sleep(100 * run.info.worker)
              if (fails && run.info.worker === 2) return yield* Effect.fail(new Error("no database"))
            })
        }, { workers: 3 })
        for (const expected of ["failure", "success"]) {
          const reloading = yield* Effect.forkChild(Effect.exit(stage.host.reload(handle, { atOnce: true })))
          yield* settled
          yield* TestClock.adjust(199)
          yield* settled
          const answers = yield* Effect.forEach([1, 2, 3], () => askAnew(stage, "a"))
          assert.deepStrictEqual(answers.toSorted(), ["0.0:a;", "1.0:a;", "2.0:a;"])
          yield* TestClock.adjust(1)
          const exit = yield* Fiber.join(reloading)
          assert.strictEqual(Exit.isSuccess(exit) ? "success" : "failure", expected)
          yield* settled
          const generation = expected === "success" ? 2 : 1
          assert.deepStrictEqual(
            yield* workers(stage),
            [0, 1, 2].map((worker) => `${worker}.${generation} RUNNING`)
          )
          fails = false
        }
        const answers = yield* Effect.forEach([1, 2, 3], () => askAnew(stage, "a"))
        assert.deepStrictEqual(answers.toSorted(), ["0.1:a;", "1.1:a;", "2.1:a;"])
      })
  )

  scenario(
    "X2 a listener that the new code adds opens, and one that it no longer has closes when it serves",
    (stage) =>
      Effect.gen(function*() {
        const added = "tcp://127.0.0.1:81"
        const local = "local://kept"
        const { handle } = yield* attach(stage, {
          start: (run) =>
            Effect.gen(function*() {
              const uris = run.info.restarts === 0 ? [endpoint, local] : [added, local]
              for (const uri of uris) yield* run.sessions.listen(uri, accepting(run, accept))
              if (run.info.restarts > 0) yield* Effect.sleep(100)
            })
        }, { scope: { global: true, local: true }, worker: { drainTimeout: 100 } })
        const kept = yield* stage.dialOpen()
        yield* ask(kept, "stay", "0.0:stay;")
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* settled
        assert.strictEqual(yield* askAnew(stage, "a"), "0.0:a;")
        // bound, and taken up by nobody yet
        const early = yield* stage.dial(added)
        assert.isFalse(early.opened || early.closed)
        yield* TestClock.adjust(100)
        yield* Fiber.join(reloading)
        yield* until("the new listener", () => early.opened)
        yield* settled
        assert.deepStrictEqual(stage.network.listening, [added])
        assert.deepStrictEqual(
          (yield* stage.app()).listeners.map(({ requested, workers }) => `${requested} ${workers.join()}`).toSorted(),
          [`${local} 0`, `${added} 0`]
        )
        // its session goes on without the listener
        yield* ask(kept, "stay", "0.0:stay;")
        yield* TestClock.adjust(100)
        yield* until("the end", () => kept.closed)
      })
  )

  scenario("X2 a listener that only code opened which then fails is closed again", (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* attach(stage, {
        start: (run) =>
          Effect.gen(function*() {
            for (const uri of run.info.restarts === 0 ? [endpoint] : [endpoint, "tcp://127.0.0.1:81"]) {
              yield* run.sessions.listen(uri, accepting(run, accept))
            }
            if (run.info.restarts > 0) return yield* Effect.fail("a bug")
          })
      })
      assert.match(yield* whyNot(stage.host.reload(handle)), /a bug.*; the workers of app go on as they were$/)
      yield* settled
      assert.deepStrictEqual(stage.network.listening, [endpoint])
      assert.strictEqual(yield* askAnew(stage, "a"), "0.0:a;")
    }))

  scenario("X2 code that is not ready in time is given up, and the old goes on", (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* attach(stage, {
        start: (run) =>
          Effect.andThen(
            run.sessions.listen(endpoint, accepting(run, accept)),
            run.info.restarts === 0 ? Effect.void : Effect.never
          )
      }, { worker: { startTimeout: 500 } })
      const reloading = yield* Effect.forkChild(whyNot(stage.host.reload(handle)))
      yield* settled
      yield* TestClock.adjust(500)
      yield* settled
      yield* TestClock.adjust(2000)
      assert.match(yield* Fiber.join(reloading), /not ready within 500 ms; the workers of app go on as they were$/)
      assert.strictEqual(yield* askAnew(stage, "a"), "0.0:a;")
      assert.deepStrictEqual(yield* workers(stage), ["0.1 RUNNING"])
    }))

  scenario("X2 generations are bounded: the oldest ends, whatever it has", (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* attach(stage, {}, { worker: { generationsMax: 3, drainTimeout: 60_000 } })
      const peers: Array<Peer> = []
      for (let i = 0; i < 4; i++) {
        const peer = yield* stage.dialOpen()
        peer.send("stay")
        yield* until("an answer", () => text(peer) === `0.${i}:stay;`)
        peers.push(peer)
        yield* stage.host.reload(handle)
        yield* settled
      }
      assert.deepStrictEqual(yield* workers(stage), ["0.5 RUNNING,3 DRAINING,4 DRAINING"])
      assert.deepStrictEqual(peers.map(({ closed }) => closed), [true, true, false, false])
      yield* ask(peers[2]!, "stay", "0.2:stay;")
    }))

  scenario(
    "X2 the old one crashes while the new one starts: connections wait, and the new one takes its place",
    (stage) =>
      Effect.gen(function*() {
        let restarted = 0
        const { handle } = yield* attach(stage, {
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, accept))
              if (run.info.restarts > 0) {
                restarted++
                yield* Effect.sleep(1000)
              }
            })
        }, { admission: { holdTime: 5000 } })
        const old = stage.script()
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* until("the new start", () => restarted === 1)
        old.crash()
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.1 BACKOFF"])
        const held = yield* stage.dial()
        held.send("a")
        yield* TestClock.adjust(999)
        yield* settled
        assert.isFalse(held.opened || held.closed)
        yield* TestClock.adjust(1)
        yield* Fiber.join(reloading)
        yield* until("an answer", () => text(held) === "0.1:a;")
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING"])
        assert.strictEqual(restarted, 1)
      })
  )

  scenario(
    "X2 the old one crashes while the new one starts and fails: the old is started again",
    (stage) =>
      Effect.gen(function*() {
        let fails = 0
        const { handle } = yield* attach(stage, {
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, accept))
              if (run.info.restarts === 0 || fails > 0) return
              yield* Effect.sleep(1000)
              fails++
              return yield* Effect.fail("a bug")
            })
        }, { admission: { holdTime: 5000 } })
        const old = stage.script()
        const reloading = yield* Effect.forkChild(whyNot(stage.host.reload(handle)))
        yield* settled
        old.crash()
        const held = yield* stage.dial()
        held.send("a")
        yield* TestClock.adjust(1000)
        assert.match(yield* Fiber.join(reloading), /a bug/)
        yield* until("an answer", () => text(held) === "0.1:a;")
        assert.deepStrictEqual(yield* workers(stage), ["0.1 RUNNING"])
      })
  )

  scenario(
    "X2 the new one crashes just when it is ready: it is started again like any other",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage)
        yield* stage.host.reload(handle)
        stage.script().crash()
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 BACKOFF"])
        const held = yield* stage.dial()
        held.send("a")
        yield* TestClock.adjust(1000)
        yield* until("an answer", () => text(held) === "0.2:a;")
      })
  )

  scenario("X2 an old one that crashes while it drains is not started again", (stage) =>
    Effect.gen(function*() {
      const { actor, handle } = yield* attach(stage)
      const old = stage.script()
      const peer = yield* stage.dialOpen()
      yield* ask(peer, "stay", "0.0:stay;")
      yield* stage.host.reload(handle)
      yield* settled
      old.crash()
      yield* until("the end", () => peer.closed)
      yield* settled
      yield* TestClock.adjust(20_000)
      yield* settled
      assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING"])
      assert.strictEqual(actor.runs.length, 2)
    }))

  scenario("X2 offers that the old one has not claimed go to the new one", (stage) =>
    Effect.gen(function*() {
      const { handle } = yield* attach(stage, {}, { admission: { revokeAfter: 5000, holdTime: 10_000 } })
      stage.script().block()
      const peer = yield* stage.dial()
      peer.send("a")
      yield* settled
      assert.isFalse(peer.opened)
      yield* stage.host.reload(handle)
      yield* until("an answer", () => text(peer) === "0.1:a;")
      // the old one does not answer: its thread is ended once it has had its time
      yield* TestClock.adjust(20_000)
      yield* settled
      assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING"])
    }))

  scenario(
    "X2 a worker that is blocked holds nothing up: not the reload, nor the request that waits for it",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, {}, { admission: { revokeAfter: 5000 } })
        const [waiting, idle, inHand] = [yield* stage.dialOpen(), yield* stage.dialOpen(), yield* stage.dialOpen()]
        yield* ask(waiting, "a", "0.0:a;")
        yield* ask(idle, "a", "0.0:a;")
        yield* ask(inHand, "stay", "0.0:stay;")
        stage.script().block()
        waiting.send("b")
        inHand.send("b")
        yield* settled
        assert.strictEqual(text(waiting), "0.0:a;")
        // no time passes for all of this
        assert.deepStrictEqual(yield* stage.host.reload(handle), { workers: 1, millis: 0 })
        yield* until("the answer to the request", () => text(waiting) === "0.0:a;0.1:b;")
        yield* ask(idle, "b", "0.1:b;")
        assert.strictEqual(yield* askAnew(stage, "new"), "0.1:new;")
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 DRAINING"])
        assert.strictEqual(text(inHand), "0.0:stay;")
        assert.isFalse(inHand.closed)
      })
  )

  scenario(
    "X2 it is refused in one sentence: a reload at the same time, no such application, a host that drains",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, {
          start: (run) => run.info.restarts === 0 ? Effect.void : Effect.sleep(100)
        }, { workers: 2 })
        const inProcess = yield* stage.attach(new Actor(), { name: "inner", listen: [] })
        const gone = yield* stage.attach(new Actor(), { name: "gone", listen: [] })
        yield* stage.host.detach(gone.handle)
        const worker = handleOf<Parameters<typeof stage.host.restartWorker>[0]>((yield* stage.worker()).handle)
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* settled
        assert.strictEqual(
          yield* whyNot(stage.host.reload(handle)),
          "can't reload app: app is being reloaded already"
        )
        assert.strictEqual(
          (yield* Effect.flip(stage.host.restartWorker(worker))).message,
          "can't restart the worker: app is being reloaded already"
        )
        assert.strictEqual(
          (yield* Effect.flip(stage.host.restartWorker(worker, { drain: false }))).message,
          "can't restart the worker: worker 0 of app is being restarted already"
        )
        assert.match(yield* whyNot(stage.host.reload(gone.handle)), /^can't reload .*: no application /)
        assert.strictEqual(
          yield* whyNot(stage.host.reload(inProcess.handle)),
          "can't reload inner: worker 0 of inner runs in-process, and Node keeps the modules that a process has loaded: "
            + "give it a thread (worker.kind), or restart the host; the workers of inner go on as they were"
        )
        yield* TestClock.adjust(100)
        yield* settled
        yield* TestClock.adjust(100)
        yield* Fiber.join(reloading)
        const restarting = yield* Effect.forkChild(stage.host.restartWorker(worker))
        yield* settled
        assert.strictEqual(
          yield* whyNot(stage.host.reload(handle)),
          "can't reload app: worker 0 of app is being restarted already"
        )
        yield* TestClock.adjust(100)
        yield* Fiber.join(restarting)
        const late = yield* Effect.forkChild(whyNot(stage.host.reload(handle)))
        yield* settled
        yield* stage.host.drain
        yield* TestClock.adjust(100)
        const said = "can't reload app: the host is shutting down; the workers of app go on as they were"
        assert.strictEqual(yield* Fiber.join(late), said)
        assert.strictEqual(yield* whyNot(stage.host.reload(handle)), said)
      })
  )

  for (const atOnce of [false, true]) {
    scenario(
      `X2 interrupted at whatever point, each worker serves with one code or the other (at once: ${atOnce})`,
      (stage) =>
        Effect.gen(function*() {
          const { handle } = yield* attach(stage, {
            start: (run) =>
              Effect.andThen(
                Effect.forEach(Array(3), () => turn, { discard: true }),
                run.sessions.listen(endpoint, accepting(run, accept))
              )
          }, { workers: 2 })
          let finished = false
          for (let turns = 0; !finished; turns++) {
            assert.isBelow(turns, 200)
            const reloading = yield* Effect.forkChild(stage.host.reload(handle, { atOnce }))
            for (let i = 0; i < turns; i++) yield* turn
            finished = reloading.pollUnsafe() !== undefined
            yield* Fiber.interrupt(reloading)
            yield* until(
              `one code for each worker, after ${turns} turns`,
              () =>
                Effect.runSync(workers(stage)).every((worker) => worker.endsWith(" RUNNING") && !worker.includes(","))
            )
            const answers = yield* Effect.forEach([0, 1], () => askAnew(stage, "a"))
            assert.deepStrictEqual(answers.map((answer) => answer[0]).toSorted(), ["0", "1"])
          }
        })
    )
  }

  for (const what of ["deleted", "detached"] as const) {
    scenario(
      `X2 a worker that is ${what} while its successor starts takes the successor with it`,
      (stage) =>
        Effect.gen(function*() {
          const { handle } = yield* attach(stage, {
            start: (run) =>
              Effect.andThen(
                run.sessions.listen(endpoint, accepting(run, accept)),
                run.info.restarts === 0 ? Effect.void : Effect.never
              )
          }, { workers: 2 })
          const reloading = yield* Effect.forkChild(Effect.exit(stage.host.reload(handle)))
          yield* settled
          if (what === "detached") {
            const detaching = yield* Effect.forkChild(stage.host.detach(handle))
            yield* settled
            yield* TestClock.adjust(2000)
            yield* Fiber.join(detaching)
            const exit = yield* Fiber.join(reloading)
            assert.match(Exit.isFailure(exit) ? String(exit.cause) : "", /no application/)
            return
          }
          // worker 1 has its turn when worker 0 has failed; here it is deleted before
          const second = handleOf<Parameters<typeof stage.host.deleteWorker>[0]>((yield* stage.worker(1)).handle)
          yield* stage.host.deleteWorker(second)
          yield* TestClock.adjust(30_000)
          yield* settled
          yield* TestClock.adjust(2000)
          yield* Fiber.join(reloading)
          assert.deepStrictEqual(yield* workers(stage), ["0.1 RUNNING"])
          // and while its own successor starts
          const again = yield* Effect.forkChild(Effect.exit(stage.host.reload(handle)))
          yield* settled
          const first = handleOf<Parameters<typeof stage.host.deleteWorker>[0]>((yield* stage.worker(0)).handle)
          const deleting = yield* Effect.forkChild(stage.host.deleteWorker(first))
          yield* settled
          yield* TestClock.adjust(2000)
          yield* settled
          yield* Fiber.join(deleting)
          assert.isTrue(Exit.isFailure(yield* Fiber.join(again)))
        })
    )
  }

  scenario(
    "X2 a worker is deleted with the generations that still drain, and has their time",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, {}, { workers: 2, worker: { drainTimeout: 3000 } })
        yield* stage.dialOpen()
        const peer = yield* stage.dialOpen()
        yield* ask(peer, "stay", "1.0:stay;")
        yield* stage.host.reload(handle)
        yield* TestClock.adjust(1000)
        const worker = handleOf<Parameters<typeof stage.host.deleteWorker>[0]>((yield* stage.worker(1)).handle)
        const deleting = yield* Effect.forkChild(stage.host.deleteWorker(worker))
        yield* settled
        yield* TestClock.adjust(1999)
        yield* settled
        assert.isFalse(peer.closed)
        assert.isUndefined(deleting.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(deleting)
        assert.isTrue(peer.closed)
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING"])
      })
  )

  scenario(
    "X2 the old one finishes the connects that it has begun, and listens nowhere any more",
    (stage) =>
      Effect.gen(function*() {
        const connected: Array<string> = []
        const remote = stage.network.listen("tcp://10.0.0.1:443", () => {})
        remote.hold()
        let late: string | undefined
        const { handle } = yield* attach(stage, {
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, accept))
              if (run.info.restarts > 0) return
              yield* Effect.forkScoped(
                Effect.andThen(
                  run.sessions.connect("tcp://10.0.0.1:443"),
                  Effect.sync(() => connected.push("connected"))
                )
              )
              yield* Effect.forkScoped(
                Effect.andThen(
                  run.sessions.draining,
                  Effect.exit(run.sessions.listen("tcp://127.0.0.1:99", accepting(run, accept)))
                ).pipe(Effect.map((exit) => late = String(Exit.isFailure(exit) && exit.cause)))
              )
            })
        })
        yield* settled
        assert.strictEqual((yield* stage.host.connects).length, 1)
        yield* stage.host.reload(handle)
        yield* settled
        assert.deepStrictEqual(yield* workers(stage), ["0.2 RUNNING,1 DRAINING"])
        assert.strictEqual((yield* stage.host.connects).length, 1)
        assert.match(late ?? "", /the worker has been replaced/)
        assert.notInclude(stage.network.listening, "tcp://127.0.0.1:99")
        remote.answer()
        yield* until("the connect", () => connected.length === 1)
      })
  )
})
