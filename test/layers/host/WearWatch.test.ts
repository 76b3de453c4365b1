/** Workers that have served for long enough: each is replaced by a new start, one after the other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Options from "../../../src/domain/options/Options.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import { WearWatch } from "../../../src/layers/host/WearWatch.ts"
import { WorkerSlot } from "../../../src/layers/host/Worker.ts"
import type { ThreadUse } from "../../../src/services/AppWorker.ts"
import { answering } from "../../support/Parking.ts"
import { accepting, Actor, endpoint, scenario } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

const MiB = 2 ** 20

/** A worker that runs, what its thread uses, and the clock; looks are half a second apart. */
const watched = (worker: NonNullable<Options.AppOptionsInput["worker"]>) => {
  const options = Result.getOrThrow(Options.decodeApp({ name: "app", worker }))
  const index = Handle.AppIndex(0)
  const app = {
    handle: Handle.make<Handle.AppHandle>(0, 0),
    index,
    name: "app",
    client: "",
    options,
    sessions: 0,
    sessionsHighest: 0
  }
  const use: { -readonly [K in keyof ThreadUse]: ThreadUse[K] } = {
    activeMillis: 0,
    idleMillis: 0,
    utilization: 0,
    cpuUserMillis: 0,
    cpuSystemMillis: 0,
    heapUsed: 0,
    heapLimit: 1000 * MiB,
    ageMillis: 0
  }
  const meter = { use, heapRetained: 0, away: 0, locate: Effect.never, look: () => {} }
  const renewed: Array<readonly [string, number]> = []
  let now = 0
  let busy = false
  let warnings = 0
  const renew = (_: WorkerSlot, why: string): boolean => {
    if (!busy) renewed.push([why, now])
    return !busy
  }
  const start = (before?: WorkerSlot) => {
    const slot = before?.succeed() ??
      new WorkerSlot(Handle.make<Handle.WorkerHandle>(0, 0), Handle.WorkerMapIndex(0), app)
    slot.role = "current"
    slot.move("ready")
    const host = { tables: { now: () => now }, renew }
    return { slot, watch: new WearWatch({ slot, meter }, host, () => void warnings++) }
  }
  const pass = ({ watch }: ReturnType<typeof start>, seconds: number): void => {
    for (let i = 0; i < 2 * seconds; i++) {
      now += 500
      watch.look()
    }
  }
  return { use, meter, renewed, start, pass, busy: (is: boolean) => busy = is, warnings: () => warnings }
}

describe("a worker's wear", () => {
  it("X6 a heap that stays over maxHeap has it replaced; one that is collected has not", () => {
    const { meter, pass, renewed, start, use } = watched({ maxHeap: "100MiB" })
    const first = start()
    use.heapUsed = 900 * MiB
    meter.heapRetained = 99 * MiB
    pass(first, 30)
    assert.deepStrictEqual(renewed, [])
    meter.heapRetained = 100 * MiB
    pass(first, 1)
    assert.deepStrictEqual(renewed, [["heap", 30_500]])
  })

  it("X6 while another worker is replaced it is asked again at each look, and when a start has failed later", () => {
    const { busy, meter, pass, renewed, start } = watched({ maxHeap: "100MiB" })
    const first = start()
    meter.heapRetained = 100 * MiB
    busy(true)
    pass(first, 3)
    busy(false)
    pass(first, 12)
    assert.deepStrictEqual(renewed.map(([, at]) => at), [3500, 13_500])
  })

  it("X6 a fresh start that needs as much is not replaced again and again", () => {
    const { meter, pass, renewed, start } = watched({ maxHeap: "100MiB" })
    meter.heapRetained = 150 * MiB
    let { slot, watch } = start()
    for (let i = 0; i < 7200; i++) {
      const before = renewed.length
      pass({ slot, watch }, 0.5)
      if (renewed.length > before) ({ slot, watch } = start(slot))
    }
    // an hour: after 5, 10, 20, 40 s and so on
    assert.isAtMost(renewed.length, 11)
    assert.isAtLeast(renewed.length, 9)
  })

  it("X6 it is told, once, that a heap may be full before it is as large as maxHeap", () => {
    for (const [maxHeap, expected] of [["600MiB", 0], ["800MiB", 1], ["2GiB", 1]] as const) {
      const { pass, start, warnings } = watched({ maxHeap })
      const first = start()
      pass(first, 10)
      pass(start(first.slot), 10)
      assert.strictEqual(warnings(), expected, maxHeap)
    }
  })

  it("X6 without maxHeap nothing is looked at", () => {
    const { meter, pass, renewed, start } = watched({})
    meter.heapRetained = 900 * MiB
    pass(start(), 60)
    assert.deepStrictEqual(renewed, [])
  })

  scenario(
    "X6 as many sessions as it may have had: another start takes its place, and each worker is replaced at its own time",
    (stage) =>
      Effect.gen(function*() {
        const accept = answering({ name: ({ info: { restarts, worker } }) => `${worker}.${restarts}` })
        const actor = new Actor({ accept, start: (run) => run.sessions.listen(endpoint, accepting(run, accept)) })
        yield* stage.attach(actor, {
          workers: 2,
          worker: { kind: "thread", handOver: 0, maxSessionsPerStart: 20 }
        })
        const replaced = Effect.map(
          Stream.runCollect(stage.host.events({ follow: false, filter: { kinds: ["worker-replaced"] } })),
          (events) => events.flatMap((event) => event.kind === "worker-replaced" ? [[event.worker, event.reason]] : [])
        )
        const serve = (sessions: number) =>
          Effect.gen(function*() {
            for (let i = 0; i < sessions; i++) yield* stage.dialOpen()
            yield* TestClock.adjust(500)
            yield* settled
          })
        yield* TestClock.adjust(60_000)
        yield* serve(30)
        assert.deepStrictEqual(yield* replaced, [])
        // 19 each: the limit of the first one. Its sessions go to the second one, which has had enough then
        yield* serve(8)
        assert.deepStrictEqual(yield* replaced, [[0, "sessions"], [1, "sessions"]])
        // those that have taken their places get all of the sessions, and stay for a while
        yield* TestClock.adjust(30_000)
        yield* settled
        assert.strictEqual((yield* replaced).length, 2)
        assert.deepStrictEqual((yield* stage.report).imbalances, [])
      })
  )
})
