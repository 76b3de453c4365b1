/** X3: a worker that dies takes only the sessions with it that it had in hand. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type { Peer } from "../../../src/layers/testing/MemoryPeer.ts"
import { answering, ask, text } from "../../support/Parking.ts"
import { Actor, keep, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const lost = (stage: Stage) => Effect.map(stage.report, ({ ledger }) => ledger.arrivals.lost)

/** A test with an application that answers, on so many workers; a worker that dies does not come back meanwhile. */
const crash = (
  title: string,
  workers: number,
  body: (stage: Stage, actor: Actor) => Effect.Effect<void, unknown, Scope.Scope>,
  options: AppOptionsInput = {}
): void =>
  scenario(title, (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ accept: answering({ state: (run) => `<${run.info.worker}>` }) })
      yield* stage.attach(actor, { ...options, workers, worker: { backoffBase: "5 seconds", ...options.worker } })
      yield* body(stage, actor)
    }))

describe("a worker that dies", () => {
  crash(
    "X3 has in hand what its application has begun with: that is reset, and counted",
    2,
    (stage, actor) =>
      Effect.gen(function*() {
        const [busy, , idle] = [yield* stage.dialOpen(), yield* stage.dialOpen(), yield* stage.dialOpen()] as const
        keep(actor.run(0).accepted[0]!)
        stage.script(0).crash()
        yield* until("the reset", () => busy.closed)
        assert.isDefined(busy.broken)
        yield* ask(idle, "a", "1:a;")
        const { ledger: { arrivals, offers } } = yield* stage.report
        assert.deepStrictEqual([arrivals.lost, arrivals.moved, offers.moved], [1, 1, 1])
        // to the worker that is gone, each session has said what became of it
        assert.deepStrictEqual(actor.runs[0]!.edges.toSorted(), ["closed (the worker was detached)", "moved"])
      })
  )

  crash(
    "X1 X3 and was blocked takes nothing with it that has moved on, of which it had not heard",
    2,
    (stage, actor) =>
      Effect.gen(function*() {
        const peer = yield* stage.dialOpen()
        assert.strictEqual(actor.run(0).accepted.length, 1)
        for (const worker of [0, 1]) stage.script(worker).block()
        peer.send("a")
        yield* settled
        yield* TestClock.adjust(5)
        yield* settled
        // it is on offer to the other one
        assert.deepStrictEqual((yield* stage.host.sessions({})).map(({ worker }) => worker), [1])
        stage.script(0).crash()
        yield* settled
        assert.isFalse(peer.closed)
        assert.strictEqual(yield* lost(stage), 0)
        stage.script(1).release()
        yield* until("the answer", () => text(peer) === "1:a;")
        const [session] = yield* stage.host.sessions({})
        assert.deepStrictEqual([session!.moves, session!.moved], [1, "late"])
      })
  )

  crash(
    "X3 leaves requests that it has not come to, with what has come of them",
    2,
    (stage, actor) =>
      Effect.gen(function*() {
        const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()] as const
        yield* ask(peers[0], "a", "0:a;")
        stage.script(0).block()
        peers[0].send("b")
        yield* settled
        peers[0].send("c")
        yield* settled
        stage.script(0).crash()
        yield* until("an answer", () => text(peers[0]) === "0:a;1<0>:bc;")
        assert.strictEqual(yield* lost(stage), 0)
        assert.deepStrictEqual(actor.counts(2), [1, 2])
      })
  )

  crash(
    "X3 and whose last answers are still to be sent: they go out before those of the next one",
    2,
    (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.dialOpen()
        peer.stop()
        peer.send("a")
        yield* settled
        stage.script(0).crash()
        yield* settled
        peer.read()
        yield* ask(peer, "b", "1<0>:b;")
        assert.strictEqual(text(peer), "0:a;1<0>:b;")
      })
  )

  crash(
    "X3 leaves a peer that has ended its side: it is answered, and then the end is",
    2,
    (stage) =>
      Effect.gen(function*() {
        const [asking, silent] = [yield* stage.dialOpen(), yield* stage.dialOpen(), yield* stage.dialOpen()] as const
        yield* ask(asking, "a", "0:a;")
        stage.script(0).block()
        stage.script(1).block()
        asking.send("b")
        asking.end()
        silent.end()
        yield* settled
        stage.script(0).crash()
        yield* settled
        stage.script(1).release()
        yield* until("the answer and the ends", () => asking.ended && silent.ended && asking.closed && silent.closed)
        assert.strictEqual(text(asking), "0:a;1<0>:b;")
        assert.deepStrictEqual([asking.broken, silent.broken], [undefined, undefined])
        assert.strictEqual(yield* lost(stage), 0)
      })
  )

  crash(
    "X3 leaves what its application had given up: what is left of it is sent",
    1,
    (stage, actor) =>
      Effect.gen(function*() {
        const peer = yield* stage.dialOpen()
        peer.stop()
        const bytes = Buffer.alloc(50_000, "x")
        const [session] = actor.run().accepted
        session!.write(bytes)
        session!.close()
        yield* settled
        assert.strictEqual(peer.receivedBytes, 0)
        stage.script().crash()
        peer.read()
        yield* until("the end", () => peer.closed)
        assert.strictEqual(peer.receivedBytes, bytes.length)
        assert.isTrue(peer.ended)
        assert.isUndefined(peer.broken)
        assert.strictEqual(yield* lost(stage), 0)
      })
  )

  crash(
    "X3 and then the next, and the next: what the application gave along is kept",
    4,
    (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.dialOpen()
        yield* ask(peer, "a", "0:a;")
        for (const worker of [0, 1, 2]) {
          stage.script(worker).crash()
          yield* settled
        }
        yield* ask(peer, "b", "3<0>:b;")
        const [session] = yield* stage.host.sessions({})
        assert.deepInclude(session!, { worker: 3, moves: 3, moved: "crash" })
      })
  )

  crash("X3 may be the one that a session is just offered to", 3, (stage) =>
    Effect.gen(function*() {
      const peer = yield* stage.dialOpen()
      yield* ask(peer, "a", "0:a;")
      stage.script(1).block()
      peer.send("b")
      stage.script(0).crash()
      yield* settled
      stage.script(1).crash()
      yield* until("the answer of the third", () => text(peer) === "0:a;2<0>:b;")
      const { ledger: { arrivals, offers } } = yield* stage.report
      assert.deepInclude(offers, { claimed: 2, withdrawn: 1, moved: 1 })
      assert.deepInclude(arrivals, { arrived: 1, claimed: 1, moved: 1, lost: 0 })
    }))

  crash(
    "X3 one after the other, with a session that none does anything with: the third takes it along",
    4,
    (stage, actor) =>
      Effect.gen(function*() {
        const [untouched, used] = [yield* stage.dialOpen(), yield* stage.dialOpen()] as const
        const workerOf = (peer: Peer) =>
          Effect.map(
            stage.host.sessions({}),
            (sessions) => sessions.find(({ remote }) => remote === peer.local)?.worker ?? assert.fail("no such session")
          )
        for (let crashes = 1; crashes <= 3; crashes++) {
          assert.isFalse(untouched.closed)
          used.send("a")
          yield* until("an answer", () => text(used).split(";").length === crashes + 1)
          stage.script(yield* workerOf(untouched)).crash()
          yield* settled
        }
        yield* until("the reset", () => untouched.closed)
        assert.isFalse(used.closed)
        assert.strictEqual(yield* lost(stage), 1)
        assert.strictEqual(actor.runs.flatMap(({ accepted }) => accepted).length, 4)
      })
  )

  crash(
    "X3 leaves all that it had parked to its next start, however few connections may be held",
    1,
    (stage, actor) =>
      Effect.gen(function*() {
        const peers = yield* Effect.forEach(Array(5), () => stage.dialOpen())
        stage.script().crash()
        yield* settled
        assert.strictEqual((yield* stage.listener).arrivals.held, 5)
        // those that come now have the places of their own
        const late = [yield* stage.dial(), yield* stage.dial()] as const
        assert.deepStrictEqual(late.map(({ closed }) => closed), [false, true])
        yield* TestClock.adjust("5 seconds")
        yield* until("the next start to take them", () => actor.run().accepted.length === 6)
        assert.isFalse(peers.some(({ closed }) => closed))
        assert.strictEqual((yield* stage.listener).arrivals.refused["hold-full"], 1)
      }),
    { admission: { holdMax: 1 } }
  )

  crash(
    "X3 and does not come back in the time of a hold: what it had parked is refused",
    1,
    (stage) =>
      Effect.gen(function*() {
        const peer = yield* stage.dialOpen()
        stage.script().crash()
        yield* settled
        yield* TestClock.adjust(2999)
        assert.isFalse(peer.closed)
        yield* TestClock.adjust(1)
        yield* until("the refusal", () => peer.closed)
        const { arrivals } = yield* stage.listener
        assert.strictEqual(arrivals.refused["hold-time"], 1)
        assert.deepInclude(arrivals, { arrived: 1, claimed: 0, moved: 1, held: 0, lost: 0 })
      }),
    { admission: { holdTime: "3 seconds" } }
  )

  crash(
    "X3 or is given up, because it takes nothing: the same",
    2,
    (stage, actor) =>
      Effect.gen(function*() {
        const peers = yield* Effect.forEach(Array(12), () => stage.dialOpen())
        keep(actor.run(0).accepted[0]!)
        stage.script(0).block()
        const [busy, asking, ...others] = peers.filter((_, i) => i % 2 === 0)
        asking!.send("a")
        for (const other of others) other.reset()
        yield* until("the one in hand to be reset", () => busy!.closed)
        yield* until("an answer to the other", () => text(asking!) === "1:a;")
        const { ledger: { arrivals } } = yield* stage.report
        assert.deepInclude(arrivals, { arrived: 12, claimed: 12, moved: 1, lost: 1 })
      }),
    {
      queue: { indexQueue: 4, ioRing: 4, controlRing: 4, postponedMessages: 1 },
      admission: { revokeAfter: 1000 }
    }
  )
})
