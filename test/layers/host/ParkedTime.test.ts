/** X1: how long a request waits for the worker that has parked its session, to the millisecond. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Peer } from "../../../src/layers/testing/MemoryPeer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import { answering, ask, text } from "../../support/Parking.ts"
import { Actor, handleOf, scenario, type Stage, WallClock } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

/** The time of an offer, in milliseconds; more than the default, so that a time of its own would show. */
const REVOKE_AFTER = 7

/** Parks the session, and reads nothing: it is for another worker to go on. */
const waiting = (session: Session): void => {
  session.park()
}

/** A peer of the first of so many workers, which has been answered once. */
const timed = (
  title: string,
  workers: number,
  body: (stage: Stage, peer: Peer) => Effect.Effect<void, unknown, Scope.Scope>,
  wall?: WallClock
): void =>
  scenario(title, (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor({ accept: answering() }), {
        workers,
        admission: { revokeAfter: REVOKE_AFTER },
        queue: { indexQueue: 4, ioRing: 4, controlRing: 4, postponedMessages: 64 }
      })
      const peer = yield* stage.dialOpen()
      yield* ask(peer, "a", "0:a;")
      yield* TestClock.adjust(1000)
      yield* body(stage, peer)
    }), wall === undefined ? {} : { wall })

/** So much time passes, and nothing comes of it; then a millisecond more, and the answer is there. */
const answeredAfter = (peer: Peer, millis: number, answer: string) =>
  Effect.gen(function*() {
    const before = text(peer)
    yield* settled
    if (millis > 1) yield* TestClock.adjust(millis - 1)
    if (millis > 0) yield* TestClock.adjust("999 micros")
    yield* settled
    if (millis > 0) {
      assert.strictEqual(text(peer), before)
      yield* TestClock.adjust("1 micros")
    }
    yield* until(answer, () => text(peer) === before + answer)
  })

describe("a request for a parked session", () => {
  timed(
    "X1 passes a worker that is blocked after exactly the time of an offer",
    2,
    (stage, peer) =>
      Effect.gen(function*() {
        stage.script(0).block()
        peer.send("b")
        yield* answeredAfter(peer, REVOKE_AFTER, "1:b;")
      })
  )

  timed("X1 passes a worker that is congested after the same time", 2, (stage, peer) =>
    Effect.gen(function*() {
      const others = yield* Effect.forEach(Array(12), () => stage.dialOpen())
      stage.script(0).block()
      // what comes for these fills its queue, and more is postponed
      for (const other of others) other.reset()
      yield* settled
      assert.isAbove((yield* stage.worker(0)).postponed.now, 0)
      yield* TestClock.adjust(1000)
      peer.send("b")
      yield* answeredAfter(peer, REVOKE_AFTER, "1:b;")
    }))

  timed(
    "X1 does not wait for a worker that is to stop: the session has gone on before",
    2,
    (stage, peer) =>
      Effect.gen(function*() {
        stage.script(0).block()
        const { handle } = yield* stage.worker(0)
        const stopping = yield* Effect.forkChild(stage.host.restartWorker(handleOf(handle)))
        yield* settled
        peer.send("b")
        yield* answeredAfter(peer, 0, "1:b;")
        stage.script(0).release()
        yield* Fiber.join(stopping)
      })
  )

  timed(
    "X1 waits for its own worker where there is no other, and then for nobody",
    1,
    (stage, peer) =>
      Effect.gen(function*() {
        stage.script(0).block()
        peer.send("b")
        yield* settled
        yield* TestClock.adjust(REVOKE_AFTER)
        yield* TestClock.adjust(10_000)
        yield* settled
        assert.strictEqual(text(peer), "0:a;")
        stage.script(0).release()
        yield* until("its answer", () => text(peer) === "0:a;0:b;")
        assert.deepInclude((yield* stage.worker(0)).offers, { offered: 1, claimed: 1, moved: 0 })
      })
  )

  timed(
    "X1 may be taken up in the very millisecond in which its time is over: it is answered once",
    2,
    (stage, peer) =>
      Effect.gen(function*() {
        stage.script(0).block()
        peer.send("b")
        yield* settled
        yield* TestClock.adjust(REVOKE_AFTER - 1)
        // both are due now, and only compare-and-swap says whose it is
        stage.script(0).block("1 millis")
        yield* TestClock.adjust(1)
        yield* until("an answer", () => text(peer).length === 8)
        yield* settled
        assert.match(text(peer), /^0:a;[01]:b;$/)
        peer.send("c")
        yield* until("an answer", () => text(peer).endsWith("c;"))
        assert.match(text(peer), /^0:a;([01]):b;\1:c;$/)
      })
  )

  timed(
    "X1 has its time from the first byte on: a peer that keeps sending does not put it off",
    2,
    (stage, peer) =>
      Effect.gen(function*() {
        stage.script(0).block()
        peer.send("b")
        for (let millis = 1; millis < REVOKE_AFTER; millis++) {
          yield* settled
          yield* TestClock.adjust(1)
          peer.send("b")
        }
        yield* answeredAfter(peer, 1, `1:${"b".repeat(REVOKE_AFTER)};`)
      })
  )

  scenario(
    "X1 an application that was told of bytes and waits with them keeps its session, and bytes that follow change nothing",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: waiting })
        yield* stage.attach(actor, { workers: 2, admission: { revokeAfter: REVOKE_AFTER } })
        const peer = yield* stage.dialOpen()
        for (let millis = 0; millis < 3 * REVOKE_AFTER; millis++) {
          peer.send("b")
          yield* settled
          yield* TestClock.adjust("1 millis")
        }
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        assert.deepInclude((yield* stage.host.sessions({}))[0]!, { moves: 0, worker: 0 })
      })
  )

  timed("X1 taken up just before its time is over, it stays", 2, (stage, peer) =>
    Effect.gen(function*() {
      for (let times = 1; times <= 3; times++) {
        stage.script(0).block()
        peer.send("b")
        yield* settled
        yield* TestClock.adjust(REVOKE_AFTER - 1)
        yield* TestClock.adjust("999 micros")
        stage.script(0).release()
        yield* until("its own worker's answer", () => text(peer) === "0:a;" + "0:b;".repeat(times))
      }
      yield* TestClock.adjust(1000)
      yield* settled
      assert.strictEqual((yield* stage.worker(0)).offers.moved, 0)
    }))

  timed("X1 of several peers of a worker, each has its own time", 2, (stage, first) =>
    Effect.gen(function*() {
      const peers = [first]
      while (peers.length < 4) {
        const peer = yield* stage.dialOpen()
        peer.send("a")
        yield* until("an answer", () => text(peer).length > 0)
        if (text(peer) === "0:a;") peers.push(peer)
      }
      yield* TestClock.adjust(1000)
      stage.script(0).block()
      for (const peer of peers) {
        peer.send("b")
        yield* settled
        yield* TestClock.adjust(2)
      }
      // the first one's time is over with this: 2 ms for each of the four
      const answered = () => peers.map((peer) => text(peer) === "0:a;1:b;")
      yield* until("the first", () => answered()[0] === true)
      for (let over = 1; over < peers.length; over++) {
        yield* settled
        assert.deepStrictEqual(answered(), peers.map((_, i) => i < over))
        yield* TestClock.adjust(over === 1 ? "999 micros" : "1999 micros")
        yield* settled
        assert.deepStrictEqual(answered(), peers.map((_, i) => i < over))
        yield* TestClock.adjust("1 micros")
        yield* until("the next", () => answered()[over] === true)
      }
    }))

  const wall = new WallClock()
  timed(
    "X1 has that time by a clock that only goes forward: a wall clock that is set back does not put it off",
    2,
    (stage, peer) =>
      Effect.gen(function*() {
        stage.script(0).block()
        peer.send("b")
        yield* settled
        wall.setBack = 3_600_000
        yield* answeredAfter(peer, REVOKE_AFTER, "1:b;")
      }),
    wall
  )
})
