import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Turns } from "../../../src/layers/system/Turns.ts"
import { turn } from "../../support/until.ts"

/** Milliseconds after which the loop has had its rest, whatever it did in the turn before. */
const RESTED = 50

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
      for (let before = had.length; had.length < 3;) {
        yield* turn
        most = Math.max(most, had.length - before)
        before = had.length
      }
      assert.deepStrictEqual(had, ["first", "second", "fourth"])
      assert.strictEqual(most, 1)
      // nobody has had this turn, and the loop has had its rest
      yield* Effect.sleep(RESTED)
      yield* ask("fifth")
      assert.strictEqual(had.at(-1), "fifth")
    }))

  it.live("the loop is left alone after a piece, for longer than the piece took, within bounds", () =>
    Effect.gen(function*() {
      const turns = new Turns()
      yield* turns.next
      const begun = performance.now()
      while (performance.now() - begun < 5);
      const took = performance.now() - begun
      yield* turns.next
      // a rest is of 20 ms at most, which a timer may make a little less; a busy machine may take more for the piece
      assert.isAtLeast(performance.now() - begun - took, Math.min(took, 18))
    }))
})
