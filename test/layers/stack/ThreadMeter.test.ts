import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Worker } from "node:worker_threads"
import { ThreadMeter } from "../../../src/layers/stack/ThreadMeter.ts"
import { until } from "../../support/until.ts"

const metered = (program: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Worker(program, { eval: true, execArgv: [] })),
      (thread) => Effect.promise(() => thread.terminate())
    ),
    (thread) => ({ thread, meter: new ThreadMeter(thread, () => performance.now()) })
  )

describe("the meter of a thread", () => {
  it.live("X6 tells heap, processor time and a loop that is busy of a thread that never comes back to its loop", () =>
    Effect.gen(function*() {
      const { meter } = yield* metered("for (;;) {}")
      assert.isUndefined(meter.use)
      yield* until("what it uses", () => (meter.look(), meter.use !== undefined))
      const first = meter.use!
      assert.isAbove(first.heapUsed, 100_000)
      assert.isAbove(first.heapLimit, first.heapUsed)
      yield* until("more processor time", () => (meter.look(), meter.use!.cpuUserMillis > first.cpuUserMillis))
      yield* until("a busy loop", () => meter.use!.activeMillis > first.activeMillis)
      // the thread may have waited before its program began
      yield* until("a loop that never waits", () => (meter.look(), meter.use!.utilization === 1))
    }).pipe(Effect.scoped))

  it.live("X6 tells of a loop that waits, and says nothing more once the thread is gone", () =>
    Effect.gen(function*() {
      const { meter, thread } = yield* metered("setInterval(() => {}, 1000)")
      yield* until("what it uses", () => (meter.look(), meter.use !== undefined))
      yield* until("a loop that waits", () => (meter.look(), meter.use!.idleMillis > 0 && meter.use!.utilization < 1))
      yield* Effect.promise(() => thread.terminate())
      meter.look()
      const { ageMillis } = meter.use!
      yield* until("it to grow old", () => meter.use!.ageMillis > ageMillis)
    }).pipe(Effect.scoped))

  it.live("X6 a thread that has ended was away for as long as before, and not for less", () =>
    Effect.gen(function*() {
      const { meter, thread } = yield* metered("setInterval(() => {}, 1000)")
      yield* until("a loop that waits", () => meter.away > 0)
      const { away } = meter
      yield* Effect.promise(() => thread.terminate())
      assert.isAtLeast(meter.away, away)
    }).pipe(Effect.scoped))

  it.live("X6 the heap of a thread that has a limit has that, whatever V8 adds for new objects", () =>
    Effect.gen(function*() {
      const { thread } = yield* metered("setInterval(() => {}, 1000)")
      const meter = new ThreadMeter(thread, () => performance.now(), 64)
      yield* until("what it uses", () => (meter.look(), meter.use !== undefined))
      assert.strictEqual(meter.use!.heapLimit, 64 * 2 ** 20)
    }).pipe(Effect.scoped))
})
