/** How much a worker may have in hand (X7). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { Session } from "../../../src/services/Sessions.ts"
import { text } from "../../support/Parking.ts"
import { Actor, keep, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const inHand = (stage: Stage, worker = 0) => Effect.map(stage.worker(worker), ({ inHand }) => inHand)

/** Answers nothing by itself: a test does. */
const waiting = () => new Actor({ accept: keep })

const answer = (session: Session | undefined): void => void session!.write(Buffer.from("!"))

describe("the limit of what is in hand", () => {
  scenario(
    "X7 a worker gets no more than it may have in hand: what is beyond that waits, and each answer makes room for one",
    (stage) =>
      Effect.gen(function*() {
        const actor = waiting()
        yield* stage.attach(actor, { admission: { maxConcurrent: 2 } })
        assert.deepStrictEqual(yield* inHand(stage), { now: 0, limit: 2 })
        const peers = [yield* stage.dial(), yield* stage.dial(), yield* stage.dial(), yield* stage.dial()]
        for (const peer of peers) peer.send("?")
        yield* settled
        assert.deepStrictEqual(peers.map(({ opened }) => opened), [true, true, false, false])
        assert.deepStrictEqual(yield* inHand(stage), { now: 2, limit: 2 })
        assert.strictEqual((yield* stage.worker()).takes, "busy")
        answer(actor.run().accepted[1])
        yield* until("the third", () => peers[2]!.opened)
        yield* settled
        assert.isFalse(peers[3]!.opened)
        // a session that was answered is in hand again when its peer sends more; one that is over is not
        peers[1]!.send("?")
        yield* settled
        assert.deepStrictEqual(yield* inHand(stage), { now: 3, limit: 2 })
        peers[0]!.reset()
        yield* settled
        assert.isFalse(peers[3]!.opened)
        peers[2]!.reset()
        yield* until("the fourth", () => peers[3]!.opened)
      })
  )

  scenario("X7 by the policy refuse, the reason is concurrency-limit", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(waiting(), { admission: { maxConcurrent: 1, policy: "refuse" } })
      yield* stage.dialOpen()
      assert.isTrue((yield* stage.dial()).refused)
      assert.strictEqual((yield* stage.listener).arrivals.refused["concurrency-limit"], 1)
    }))

  scenario(
    "X7 a session that was claimed and sends nothing leaves after two looks, and comes back when it does",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(waiting(), { admission: { maxConcurrent: 1 } })
        const silent = yield* stage.dialOpen()
        const next = yield* stage.dial()
        yield* TestClock.adjust(2500)
        yield* until("the next one", () => next.opened)
        next.send("?")
        yield* settled
        silent.send("?")
        yield* settled
        yield* TestClock.adjust(5000)
        assert.deepStrictEqual(yield* inHand(stage), { now: 2, limit: 1 })
      })
  )

  scenario(
    "X7 auto: a worker whose answers get slower has less in hand, and more again when that is over",
    (stage) =>
      Effect.gen(function*() {
        const actor = waiting()
        yield* stage.attach(actor, { admission: { maxConcurrent: "auto", maxSessionsPerWorker: 40 } })
        const peers = yield* Effect.forEach(Array.from({ length: 20 }), () => stage.dialOpen())
        /** All ask at once, and are answered after so many milliseconds. */
        const rounds = Effect.fnUntraced(function*(count: number, millis: number) {
          for (let i = 0; i < count; i++) {
            const before = text(peers[0]!).length
            for (const peer of peers) peer.send("?")
            yield* settled
            yield* TestClock.adjust(millis)
            for (const session of actor.run().accepted) answer(session)
            yield* until("the answers", () => peers.every((peer) => text(peer).length > before))
          }
          return (yield* inHand(stage))!.limit
        })
        const usual = yield* rounds(20, 60)
        assert.isAtLeast(usual, 24)
        const slow = yield* rounds(12, 600)
        assert.isAtMost(slow, 0.6 * usual)
        assert.isAbove(yield* rounds(20, 60), 1.4 * slow)
      })
  )
})
