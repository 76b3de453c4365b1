/** How long things take at workers and listeners, to the millisecond, and how many bytes go (M12). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type * as Report from "../../../src/domain/report/Report.ts"
import { answering, ask } from "../../support/Parking.ts"
import { Actor, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const app = (stage: Stage) => Effect.map(stage.host.report, ({ apps }) => apps[0]!)
const worker = (stage: Stage, number = 0) => Effect.map(app(stage), ({ workers }) => workers[number]!)
const listener = (stage: Stage) => Effect.map(app(stage), ({ listeners }) => listeners[0]!)

/** How many times, how long together, and the longest: milliseconds. */
const facts = ({ count, maxMillis, sumMillis }: Report.HistogramReport) => ({ count, sumMillis, maxMillis })
const none = { count: 0, sumMillis: 0, maxMillis: 0 }
const once = (millis: number) => ({ count: 1, sumMillis: millis, maxMillis: millis })

describe("times", () => {
  scenario(
    "M12 a claim takes from the offer until the host has heard of it, at the worker and at the listener",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }), { admission: { revokeAfter: 100 } })
        stage.script().block()
        const opened = yield* Effect.forkChild(stage.dialOpen())
        yield* settled
        yield* TestClock.adjust(42)
        stage.script().release()
        yield* until("the claim", () => opened.pollUnsafe() !== undefined)
        const { offers, times } = yield* worker(stage)
        assert.deepStrictEqual(facts(times.claim), once(42))
        assert.deepStrictEqual(facts((yield* listener(stage)).times.claim), once(42))
        assert.strictEqual(times.claim.count, offers.claimed)
        assert.deepStrictEqual(times.claim.buckets, [{ toMillis: 45, count: 1 }])
        assert.deepStrictEqual([times.claim.p50Millis, times.claim.p99Millis], [42, 42])
      })
  )

  scenario(
    "M12 a hold takes until the connection is offered, refused or gone, each time that it waits",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }), { admission: { revokeAfter: 5, holdTime: 1000 } })
        const hold = Effect.map(listener(stage), ({ times }) => facts(times.hold))
        stage.script().block()
        const first = yield* stage.dial()
        const second = yield* stage.dial()
        yield* settled
        assert.deepStrictEqual(yield* hold, none)
        // they wait from when their offers have run out
        yield* TestClock.adjust(5)
        yield* settled
        assert.strictEqual((yield* listener(stage)).arrivals.held, 2)
        yield* TestClock.adjust(20)
        second.reset()
        yield* until("one to be gone", () => second.closed)
        assert.deepStrictEqual(yield* hold, once(20))
        yield* TestClock.adjust(10)
        stage.script().release()
        yield* until("the claim", () => first.opened)
        assert.deepStrictEqual(yield* hold, { count: 2, sumMillis: 50, maxMillis: 30 })
      })
  )

  scenario(
    "M12 an answer takes from the claim to its first byte, and a session until it is over",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }))
        const peer = yield* stage.dialOpen()
        yield* TestClock.adjust(30)
        yield* ask(peer, "stay", "0:stay;")
        yield* TestClock.adjust(500)
        yield* ask(peer, "stay", "0:stay;")
        const before = yield* worker(stage)
        assert.deepStrictEqual(facts(before.times.answer), once(30))
        assert.deepStrictEqual(facts(before.times.length), none)
        peer.end()
        yield* until("the end", () => peer.ended)
        yield* settled
        for (const { times } of [yield* worker(stage), yield* listener(stage)]) {
          assert.deepStrictEqual(facts(times.answer), once(30))
          assert.deepStrictEqual(facts(times.length), once(530))
        }
      })
  )

  scenario(
    "M12 X1 bytes are counted once, also those that move with a session before they are read",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }), { workers: 2, admission: { revokeAfter: 5 } })
        const peer = yield* stage.dialOpen()
        yield* ask(peer, "ab", "0:ab;")
        stage.script(0).block()
        peer.send("cde")
        yield* settled
        yield* TestClock.adjust(5)
        yield* until("the answer", () => peer.receivedBytes === 11)
        stage.script(0).release()
        yield* settled
        const { listeners, workers } = yield* app(stage)
        const bytes = (
          { bytesIn, bytesOut }: { readonly bytesIn: number; readonly bytesOut: number }
        ) => [bytesIn, bytesOut]
        assert.deepStrictEqual(bytes(listeners[0]!), [5, 11])
        // the host had read the bytes for the worker that had the session then
        assert.deepStrictEqual(workers.map(bytes), [[5, 5], [0, 6]])
        const [session] = yield* stage.host.sessions({})
        assert.deepStrictEqual([session!.bytesIn, session!.bytesOut], [0, 6])
        // it has been a session of each
        assert.deepStrictEqual(facts(workers[0]!.times.length), once(5))
        assert.deepStrictEqual(facts(workers[1]!.times.claim), once(0))
      })
  )

  scenario(
    "M12 messages are postponed for as long as the worker has no room for them",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }), {
          admission: { revokeAfter: 1000 },
          queue: { indexQueue: 4, ioRing: 4, controlRing: 4, postponedMessages: 64 }
        })
        const peers = yield* Effect.forEach(Array(6), () => stage.dialOpen())
        stage.script().block()
        for (const peer of peers) peer.send("x")
        yield* settled
        assert.strictEqual((yield* worker(stage)).postponed.now, 2)
        yield* TestClock.adjust(70)
        stage.script().release()
        yield* until("the answers", () => peers.every(({ receivedBytes }) => receivedBytes === 4))
        const { postponed, times } = yield* worker(stage)
        assert.strictEqual(postponed.now, 0)
        assert.deepStrictEqual(facts(times.postponed), { count: 2, sumMillis: 140, maxMillis: 70 })
      })
  )
})
