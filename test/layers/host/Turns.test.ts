import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Turns } from "../../../src/layers/host/Turns.ts"
import { turn } from "../../support/until.ts"

describe("Turns", () => {
  it.live("one in each turn of the loop, in order; those that gave up are passed over", () =>
    Effect.gen(function*() {
      const turns = new Turns()
      const had: Array<string> = []
      const ask = (name: string) =>
        Effect.forkChild(Effect.andThen(turns.next, Effect.sync(() => had.push(name))), { startImmediately: true })
      yield* ask("first")
      yield* ask("second")
      const third = yield* ask("third")
      yield* ask("fourth")
      assert.deepStrictEqual(had, ["first"])
      yield* Fiber.interrupt(third)
      let most = 0
      for (let turnsLeft = 20, before = had.length; turnsLeft > 0; turnsLeft--) {
        yield* turn
        most = Math.max(most, had.length - before)
        before = had.length
      }
      assert.deepStrictEqual(had, ["first", "second", "fourth"])
      assert.strictEqual(most, 1)
      // nobody has had this turn
      yield* ask("fifth")
      assert.strictEqual(had.at(-1), "fifth")
    }))
})
