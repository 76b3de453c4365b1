/** Where a thread is, seen from outside: real threads, and a debugger that is off again afterwards. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Util from "node:util"
import { Worker } from "node:worker_threads"
import * as ThreadStack from "../../../src/layers/stack/ThreadStack.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

/** A thread of this program, which says that it has begun; what else it says is kept. */
const thread = (program: string) =>
  Effect.gen(function*() {
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`)
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(url, { execArgv: [] })),
      (worker) => Effect.promise(() => worker.terminate())
    )
    const located = { threadId: worker.threadId, away: 0 }
    const heard: Array<unknown> = []
    worker.on("message", (message) => heard.push(message))
    yield* until("the thread to begin", () => heard.length > 0)
    return { worker, heard, located }
  })

const PROGRAM = `import { parentPort } from "node:worker_threads"
import { openSync } from "node:fs"
const spin = (end) => {
  while (performance.now() < end) {}
}
parentPort.on("message", (told) => {
  if (told.startsWith("/")) return openSync(told, "r")
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
const spinning = (thread: ThreadStack.LocatedThread) =>
  Effect.gen(function*() {
    for (;;) {
      const { place } = yield* ThreadStack.locate(thread)
      if (place?.functionName === "spin") return place
    }
  })

describe("where a thread is", () => {
  it.live("X6 is told of an endless loop, by function and line, and only that thread is looked at", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([thread(PROGRAM), thread(PROGRAM)])
      one.worker.postMessage("spin")
      yield* until("the loop", () => one.heard.includes("spin"))
      const place = yield* spinning(one.located)
      assert.deepStrictEqual([place.functionName, place.line], ["spin", 4])
      // the debugger is off again, and it can be looked at once more
      assert.strictEqual((yield* spinning(one.located)).line, 4)
      other.worker.postMessage("hello")
      yield* until("an answer of the other", () => other.heard.includes("hello"))
    }).pipe(Effect.scoped))

  it.live("X6 is the line of the source, where a source map leads there", () =>
    Effect.gen(function*() {
      const map = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(MAP).toString("base64")}`
      const { heard, located, worker } = yield* thread(`${PROGRAM}${map}\n`)
      worker.postMessage("spin")
      yield* until("the loop", () => heard.includes("spin"))
      const { file, line } = yield* spinning(located)
      assert.deepStrictEqual([file, line], ["/app/origin.ts", 12])
    }).pipe(Effect.scoped))

  it.live("X6 is not known of native code: the thread goes on when it is back, and its debugger is off", () =>
    Effect.gen(function*() {
      const { heard, located, worker } = yield* thread(PROGRAM)
      const fifo = Path.join(yield* TempDirectory.make, "fifo")
      yield* Effect.promise(() => Util.promisify(ChildProcess.execFile)("mkfifo", [fifo]))
      // it is opened once somebody writes to it
      worker.postMessage(fifo)
      worker.postMessage("and now")
      let where = yield* ThreadStack.locate(located, 300)
      // it may have been found on its way there
      while (where.place !== null) where = yield* ThreadStack.locate(located, 300)
      assert.strictEqual(where.unplaced, "no-answer")
      yield* Effect.promise(() => Fs.writeFile(fifo, ""))
      yield* until("the thread to go on", () => heard.includes("and now"))
    }).pipe(Effect.scoped))

  it.live("X6 is not known of a thread that is gone", () =>
    Effect.gen(function*() {
      const { located, worker } = yield* thread(PROGRAM)
      yield* Effect.promise(() => worker.terminate())
      assert.deepStrictEqual(yield* ThreadStack.locate(located), { place: null, unplaced: "no-answer" })
    }).pipe(Effect.scoped))
})
