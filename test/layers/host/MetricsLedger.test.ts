/** What metrics say is what the ledger has counted (X5, M14), whatever has happened. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as MetricsText from "../../../src/domain/report/MetricsText.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Exposition from "../../support/Exposition.ts"
import * as LedgerMetrics from "../../support/LedgerMetrics.ts"
import { answering, ask, text } from "../../support/Parking.ts"
import { Actor, scenario } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const compare = (report: Report.HostReport): void =>
  assert.deepStrictEqual(LedgerMetrics.differences(report, Exposition.parse(MetricsText.format(report))), [])

describe("metrics and the ledger", () => {
  scenario(
    "X5 M14 are the same after refusals, holds, revocations, moves, a crash and a reload",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* stage.attach(new Actor({ accept: answering() }), {
          workers: 2,
          worker: { handOver: 0, kind: "thread" },
          admission: { revokeAfter: 5, holdMax: 2, holdTime: 100, maxSessionsPerWorker: 8 }
        })
        const peers = yield* Effect.forEach(Array(4), () => stage.dialOpen())
        for (const [at, peer] of peers.entries()) yield* ask(peer, "a", `${at % 2}:a;`)
        compare(yield* stage.report)

        // a request passes a blocked worker; new ones are revoked, held, refused, and one gives up
        stage.script(0).block()
        peers[0]!.send("b")
        yield* settled
        yield* TestClock.adjust(5)
        yield* until("the answer", () => text(peers[0]!) === "0:a;1:b;")
        stage.script(1).block()
        const waiting = yield* Effect.forEach(Array(5), () => stage.dial())
        yield* settled
        yield* TestClock.adjust(5)
        compare(yield* stage.report)
        waiting[0]!.reset()
        yield* settled
        yield* TestClock.adjust(100)
        yield* settled
        stage.script(0).release()
        stage.script(1).release()
        yield* settled
        const refused = (yield* stage.report).ledger.arrivals
        assert.isAbove(refused.refused["hold-full"], 0)
        assert.isAbove(refused.refused["hold-time"], 0)
        compare(yield* stage.report)

        // a worker is gone with a session in hand; what it had parked goes on
        yield* ask(peers[2]!, "stay", text(peers[2]!) === "" ? "" : `${text(peers[2]!)[0]}:stay;`)
        const number = Number(text(peers[2]!)[0])
        stage.script(number).crash()
        yield* until("the end", () => peers[2]!.broken !== undefined)
        yield* TestClock.adjust(1000)
        yield* settled
        compare(yield* stage.report)
        yield* stage.host.reload(handle)
        yield* settled
        const after = yield* stage.report
        assert.isAbove(after.ledger.arrivals.lost, 0)
        assert.isAbove(after.ledger.arrivals.moved, 1)
        assert.isAbove(after.ledger.offers.revoked, 0)
        compare(after)
        const all = Exposition.parse(MetricsText.format(after))
        const restarts = (reason: string) => Exposition.sum(all, "sluice_worker_restarts_total", { reason })
        assert.deepStrictEqual([restarts("Crashed"), restarts("reload"), restarts("restart")], [1, 2, 0])
        assert.strictEqual(Exposition.sum(all, "sluice_reloads_total", { result: "reloaded" }), 1)
        assert.strictEqual(Exposition.sum(all, "sluice_reloads_total", { result: "failed" }), 0)
      })
  )
})
