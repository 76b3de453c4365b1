/** What one source may have of a listener (X7). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { answering, ask, opened, text } from "../../support/Parking.ts"
import { Actor, endpoint, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const refusals = (stage: Stage) => Effect.map(stage.listener, ({ arrivals }) => arrivals.refused)
const GREEDY = "192.0.2.1"
const OTHER = "192.0.2.2"

describe("limits per source", () => {
  scenario(
    "X7 a source has as many sessions at a listener as it may, those that wait included; others notice nothing",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { listener: { sourceSessions: 2 }, admission: { maxSessionsPerWorker: 1 } })
        const first = yield* stage.dial(endpoint, GREEDY)
        const second = yield* stage.dial(endpoint, GREEDY)
        assert.deepStrictEqual([first.opened, second.opened], [true, false])
        for (let i = 0; i < 3; i++) assert.isTrue((yield* stage.dial(endpoint, GREEDY)).refused)
        assert.strictEqual((yield* refusals(stage))["source-limit"], 3)
        const other = yield* stage.dial(endpoint, OTHER)
        assert.isFalse(other.refused)
        // one that gives up while it waits makes room, and so does one that is over
        second.reset()
        yield* settled
        const third = yield* stage.dial(endpoint, GREEDY)
        assert.isFalse(third.refused)
        assert.isTrue((yield* stage.dial(endpoint, GREEDY)).refused)
        first.reset()
        yield* until("the other one to be served", () => other.opened)
        assert.isFalse((yield* stage.dial(endpoint, GREEDY)).refused)
      })
  )

  scenario(
    "X7 a source connects as often as it may in a second, and those that are refused do not count",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { listener: { sourceRate: 2 } })
        const dial = (from = GREEDY) => Effect.map(stage.dial(endpoint, from), ({ opened }) => opened)
        assert.deepStrictEqual([yield* dial(), yield* dial(), yield* dial(), yield* dial()], [true, true, false, false])
        assert.isTrue(yield* dial(OTHER))
        yield* TestClock.adjust(500)
        assert.deepStrictEqual([yield* dial(), yield* dial()], [true, false])
        assert.strictEqual((yield* refusals(stage))["source-rate"], 3)
      })
  )

  scenario("X7 addresses that share their leading bits are one source", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), {
        listen: [endpoint, "tcp://[::1]:80"],
        listener: { sourceSessions: 1, sourcePrefixIpv4: 24, sourcePrefixIpv6: 48 }
      })
      const dial = (uri: string, from: string) => Effect.map(stage.dial(uri, from), ({ opened }) => opened)
      assert.isTrue(yield* dial(endpoint, "192.0.2.1"))
      assert.isFalse(yield* dial(endpoint, "192.0.2.200"))
      assert.isTrue(yield* dial(endpoint, "192.0.3.1"))
      assert.isTrue(yield* dial("tcp://[::1]:80", "2001:db8:1:2::1"))
      assert.isFalse(yield* dial("tcp://[::1]:80", "2001:db8:1:3::1"))
      assert.isTrue(yield* dial("tcp://[::1]:80", "2001:db8:2:2::1"))
    }))

  scenario(
    "X7 a session that moves from worker to worker keeps its place, and gives up one when it is over",
    (stage) =>
      Effect.gen(function*() {
        const { peer } = yield* opened(stage, answering(), { listener: { sourceSessions: 1 } })
        yield* ask(peer, "a", "0:a;")
        stage.script(0).block()
        peer.send("b")
        yield* settled
        yield* TestClock.adjust(5)
        yield* until("an answer of the other worker", () => text(peer) === "0:a;1:b;")
        assert.isTrue((yield* stage.dial()).refused)
        stage.script(0).release()
        yield* settled
        assert.isTrue((yield* stage.dial()).refused)
        peer.end()
        yield* until("the end", () => peer.ended)
        yield* until("its place", () => stage.network.dial(endpoint).refused === false)
      })
  )

  scenario("X7 a rule exempts sources, such as those of health checks", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { listener: { sourceSessions: 1, sourceRate: 1 } })
      const rule = yield* stage.rules.add({ action: "allow", on: "accept", remote: OTHER, perSource: "exempt" })
      for (let i = 0; i < 3; i++) assert.isTrue((yield* stage.dial(endpoint, OTHER)).opened)
      assert.isTrue((yield* stage.dial(endpoint, GREEDY)).opened)
      assert.isTrue((yield* stage.dial(endpoint, GREEDY)).refused)
      // those that are there take no place when the rule is gone
      yield* stage.rules.remove(rule)
      assert.isTrue((yield* stage.dial(endpoint, OTHER)).opened)
      assert.isTrue((yield* stage.dial(endpoint, OTHER)).refused)
    }))

  scenario(
    "X7 a source that has what it may is sent away before a handshake, and a proxy is not",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { listener: { sourceSessions: 1 } })
        const { isDenied } = stage.listens.latest!
        const from = `tcp://${GREEDY}:1000`
        assert.isFalse(isDenied(from, endpoint, false))
        yield* stage.dial(endpoint, GREEDY)
        assert.isTrue(isDenied(from, endpoint, false))
        assert.isFalse(isDenied(from, endpoint, true))
        assert.isFalse(isDenied(`tcp://${OTHER}:1000`, endpoint, false))
        assert.strictEqual((yield* refusals(stage))["source-limit"], 1)
        // rules are asked first, and one that exempts it holds here, too
        yield* stage.rules.add({ action: "allow", remote: GREEDY, perSource: "exempt" })
        assert.isFalse(isDenied(from, endpoint, false))
      })
  )

  scenario(
    "X7 connections that give up or wait too long, or whose worker goes away, give up their places",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { listener: { sourceSessions: 1 }, admission: { holdTime: 50 } })
        stage.script().block()
        const first = yield* stage.dial()
        // its offer runs out, and it waits, as the worker is behind
        yield* TestClock.adjust(5)
        first.reset()
        yield* settled
        const second = yield* stage.dial()
        assert.isFalse(second.closed)
        assert.isTrue((yield* stage.dial()).refused)
        yield* TestClock.adjust(50)
        assert.isTrue(second.closed)
        stage.script().release()
        yield* settled
        const open = yield* stage.dialOpen()
        assert.isTrue((yield* stage.dial()).refused)
        stage.script().crash()
        yield* until("the reset", () => open.closed)
        yield* TestClock.adjust(200)
        yield* stage.dialOpen()
        assert.strictEqual((yield* refusals(stage))["source-limit"], 2)
      })
  )

  scenario("X7 connections that the application refuses take no place", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({
        start: ({ sessions }) =>
          Effect.forEach(sessions.endpoints, (uri) => sessions.listen(uri, () => {}, { refuse: () => true }), {
            discard: true
          })
      })
      yield* stage.attach(actor, { listener: { sourceSessions: 1 } })
      for (let i = 0; i < 3; i++) assert.isTrue((yield* stage.dial()).closed)
      assert.deepInclude(yield* refusals(stage), { "app-refused": 3, "source-limit": 0 })
    }))
})
