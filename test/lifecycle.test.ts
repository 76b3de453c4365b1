/** Hosts that start, serve and stop in this process leave nothing behind; `bench/lifecycle.ts` does it a thousand times. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Lifecycle from "./support/lifecycle.ts"
import * as Long from "./support/long.ts"

/** Runs of each kind. */
const RUNS = Long.steps({ short: 1, long: 2 })

describe("a host that starts, serves and stops leaves no handle, descriptor or thread", () => {
  let before: Lifecycle.Facts

  beforeAll(async () => {
    // what is loaded or opened once stays
    for (const kind of ["cut-through sessions", "a crash, and a start after it"]) {
      await Effect.runPromise(Lifecycle.live(kind))
    }
    before = await Lifecycle.settle()
  }, 60_000)

  for (const kind of Lifecycle.kindNames) {
    it.live(kind, () =>
      Effect.gen(function*() {
        for (let i = 0; i < RUNS; i++) yield* Lifecycle.live(kind)
        const after = yield* Effect.promise(() => Lifecycle.settle(before))
        assert.deepStrictEqual(Lifecycle.handlesGrown(before, after), [])
        before = after
      }), 60_000)
  }
})
