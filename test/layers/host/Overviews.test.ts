/** What one look at a host shows, of hosts whose workers do what a test says. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { Actor, scenario } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

describe("an overview", () => {
  scenario(
    "X5 W21 counts offers, claims and sessions, with the most that there were and the most there may be",
    ({ attach, dialOpen, host }) =>
      Effect.gen(function*() {
        yield* attach(new Actor(), { workers: 2, admission: { maxSessionsPerWorker: 50 } })
        const peers = [yield* dialOpen(), yield* dialOpen(), yield* dialOpen()]
        peers[0]!.reset()
        yield* settled
        const { apps: [app], events, host: self, listeners: [listener], sessions, totals, verdict, workers } =
          yield* host.overview
        assert.deepStrictEqual(verdict, { level: "ok", text: "2 workers serve 2 sessions" })
        assert.deepInclude(sessions, { now: 2, highest: 3 })
        assert.deepInclude(app, { name: "app", running: 2, workers: 2, sessions: { now: 2, highest: 3, limit: 65536 } })
        assert.deepStrictEqual(workers.map(({ sessions }) => sessions.highest), [2, 1])
        assert.deepStrictEqual(workers.map(({ sessions }) => sessions.limit), [50, 50])
        assert.deepInclude(listener, { arrived: 3, offered: 3, claimed: 3, revoked: 0, workers: 2, imbalances: [] })
        assert.strictEqual(listener!.claim.recent.count, 3)
        assert.deepInclude(totals, { arrived: 3, claimed: 3, refused: 0 })
        assert.strictEqual(self.pid, process.pid)
        assert.strictEqual(events[0]!.text, "the application is attached, with 2 workers")
        assert.deepStrictEqual(events.map(({ serial }) => serial), events.map((_, at) => events.length - at))
      })
  )

  scenario(
    "X5 X6 says who is stuck and since when, and that connections wait, without asking the worker",
    ({ attach, dial, host, script }) =>
      Effect.gen(function*() {
        yield* attach(new Actor(), { admission: { holdTime: "1 minute" } })
        script(0).block()
        yield* dial()
        yield* dial()
        yield* TestClock.adjust(3205)
        const { findings, held, listeners: [listener], workers: [worker] } = yield* host.overview
        assert.deepStrictEqual(findings, [
          { level: "bad", text: "worker 0.0 (app 0) is stuck for 3.2 s; no other one serves" },
          { level: "warning", text: "2 connections wait for a worker" }
        ])
        assert.strictEqual(worker!.takes, "congested")
        assert.strictEqual(listener!.revoked, 2)
        assert.deepStrictEqual([held.now, held.highest, held.limit], [2, 2, 16384])
        script(0).release()
        yield* settled
        yield* TestClock.adjust(1000)
        const after = yield* host.overview
        assert.deepStrictEqual(after.verdict, { level: "ok", text: "1 worker serves 2 sessions" })
        assert.deepInclude(after.workers[0], { behindMillis: 0, congested: false })
        assert.strictEqual(after.held.highest, 2)
      })
  )

  scenario(
    "X5 X7 tells refusals of the last ten seconds from all of them, by reason",
    ({ attach, dial, host, script }) =>
      Effect.gen(function*() {
        yield* attach(new Actor(), { admission: { policy: "refuse" } })
        script(0).block()
        yield* dial()
        yield* TestClock.adjust(5)
        for (let i = 0; i < 3; i++) yield* dial()
        const now = yield* host.overview
        assert.deepStrictEqual(now.refused, { recent: { congested: 4 }, all: { congested: 4 } })
        assert.strictEqual(now.verdict.text, "overloaded: 4 refused in the last 10 s (congested 4)")
        script(0).release()
        yield* TestClock.adjust(9000)
        assert.deepStrictEqual((yield* host.overview).refused.recent, { congested: 4 })
        yield* TestClock.adjust(3000)
        const later = yield* host.overview
        assert.deepStrictEqual(later.refused, { recent: {}, all: { congested: 4 } })
        assert.deepStrictEqual(later.listeners[0]!.refused, later.refused)
        assert.strictEqual(later.verdict.level, "ok")
      })
  )
})
