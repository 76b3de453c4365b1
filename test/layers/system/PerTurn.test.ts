import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { forEach, PER_TURN, TurnShare } from "../../../src/layers/system/PerTurn.ts"
import { turn } from "../../support/until.ts"

describe("long lists", () => {
  it.effect("are dealt with a few things at a time, and in order", () =>
    Effect.gen(function*() {
      const things = Array.from({ length: 6 * PER_TURN + 1 }, (_, i) => i)
      const done: Array<number> = []
      const longest = { turn: 0 }
      const walk = yield* Effect.forkChild(forEach(things, (thing) => done.push(thing)))
      for (let before = 0; walk.pollUnsafe() === undefined; before = done.length) {
        yield* turn
        longest.turn = Math.max(longest.turn, done.length - before)
      }
      assert.deepStrictEqual(done, things)
      // the list may have had two turns in one of this test's
      assert.isAtMost(longest.turn, 2 * PER_TURN)
    }))

  it.effect("may change meanwhile", () =>
    Effect.gen(function*() {
      const things = new Set(Array.from({ length: PER_TURN + 2 }, (_, i) => i))
      const done: Array<number> = []
      yield* forEach(things, (thing) => {
        done.push(thing)
        things.delete(PER_TURN)
        if (thing === PER_TURN + 1) things.add(-1)
      })
      assert.deepStrictEqual(done.slice(PER_TURN), [PER_TURN + 1, -1])
    }))
})

describe("the share of a turn", () => {
  it.effect("is the same for all that ask, and what was left over goes on in the next one", () =>
    Effect.gen(function*() {
      let later = 0
      const share = new TurnShare(() => later++)
      const takes = () => Array.from({ length: PER_TURN }, () => share.take()).filter((takes) => takes).length
      assert.deepStrictEqual([takes(), takes()], [PER_TURN, 0])
      yield* turn
      assert.strictEqual(later, 1)
      assert.strictEqual(takes(), PER_TURN)
      yield* turn
      // nothing was left over
      assert.strictEqual(later, 1)
    }))
})
