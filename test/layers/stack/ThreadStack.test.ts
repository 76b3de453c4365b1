/** Where a thread is, seen from outside: real threads, and a debugger that is off again afterwards. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Worker } from "node:worker_threads"
import * as ThreadStack from "../../../src/layers/stack/ThreadStack.ts"
import { until } from "../../support/until.ts"

/** A thread of this program, which says that it has begun; what else it says is kept. */
const thread = (program: string) =>
  Effect.gen(function*() {
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`)
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(url, { execArgv: [] })),
      (worker) => Effect.promise(() => worker.terminate())
    )
    const heard: Array<unknown> = []
    worker.on("message", (message) => heard.push(message))
    yield* until("the thread to begin", () => heard.length > 0)
    return { worker, heard }
  })

const PROGRAM = `import { parentPort } from "node:worker_threads"

const spin = (end) => {
  while (performance.now() < end) {}
}
parentPort.on("message", (told) => {
  if (told instanceof Int32Array) return Atomics.wait(told, 0, 0)
  parentPort.postMessage(told)
  if (told === "spin") setImmediate(spin, Infinity)
})
parentPort.postMessage("up")
`

/** The line after the first one of the script is line 10 of `origin.ts`, and so on. */
const MAP = JSON.stringify({
  version: 3,
  sources: ["file:///app/origin.ts"],
  names: [],
  mappings: ";AASA;AACA;AACA;AACA"
})

/** Until the thread is found where it is for sure, and not on its way there. */
const located = (worker: Worker) =>
  Effect.gen(function*() {
    for (;;) {
      const { place } = yield* ThreadStack.locate(worker.threadId)
      if (place?.functionName === "spin") return place
    }
  })

describe("where a thread is", () => {
  it.live("X6 is told of an endless loop, by function and line, and only that thread is looked at", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([thread(PROGRAM), thread(PROGRAM)])
      one.worker.postMessage("spin")
      yield* until("the loop", () => one.heard.includes("spin"))
      const place = yield* located(one.worker)
      assert.deepStrictEqual([place.functionName, place.line], ["spin", 4])
      // the debugger is off again, and it can be looked at once more
      assert.strictEqual((yield* located(one.worker)).line, 4)
      other.worker.postMessage("hello")
      yield* until("an answer of the other", () => other.heard.includes("hello"))
    }).pipe(Effect.scoped))

  it.live("X6 is the line of the source, where a source map leads there", () =>
    Effect.gen(function*() {
      const map = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(MAP).toString("base64")}`
      const { heard, worker } = yield* thread(`${PROGRAM}${map}\n`)
      worker.postMessage("spin")
      yield* until("the loop", () => heard.includes("spin"))
      const { file, line } = yield* located(worker)
      assert.deepStrictEqual([file, line], ["/app/origin.ts", 12])
    }).pipe(Effect.scoped))

  it.live("X6 is not known of native code: the thread goes on when it is back, and its debugger is off", () =>
    Effect.gen(function*() {
      const { heard, worker } = yield* thread(PROGRAM)
      const gate = new Int32Array(new SharedArrayBuffer(4))
      worker.postMessage(gate)
      worker.postMessage("and now")
      let where = yield* ThreadStack.locate(worker.threadId)
      // it may have been found on its way there
      while (where.place !== null) where = yield* ThreadStack.locate(worker.threadId)
      assert.strictEqual(where.unplaced, "no-answer")
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
      yield* until("the thread to go on", () => heard.includes("and now"))
    }).pipe(Effect.scoped))

  it.live("X6 is not known of a thread that is gone", () =>
    Effect.gen(function*() {
      const { worker } = yield* thread(PROGRAM)
      const { threadId } = worker
      yield* Effect.promise(() => worker.terminate())
      assert.deepStrictEqual(yield* ThreadStack.locate(threadId), { place: null, unplaced: "no-answer" })
    }).pipe(Effect.scoped))
})
