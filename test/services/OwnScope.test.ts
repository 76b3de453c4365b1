import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as OwnScope from "../../src/services/OwnScope.ts"

/** Opens something, and keeps count of how often it was closed. */
const counting = () => {
  const closed: Array<string> = []
  const open = Effect.acquireRelease(Effect.void, (_, exit) => Effect.sync(() => void closed.push(exit._tag)))
  return { closed, open }
}

describe("a scope of its own", () => {
  it.effect("stays open when what was opened in it is, until it is closed", () =>
    Effect.gen(function*() {
      const { closed, open } = counting()
      const own = yield* OwnScope.under(yield* Effect.scope, (own) => Effect.as(open, own))
      assert.deepStrictEqual(closed, [])
      yield* Scope.close(own, Exit.void)
      assert.deepStrictEqual(closed, ["Success"])
    }).pipe(Effect.scoped))

  it.effect("is closed with its parent", () =>
    Effect.gen(function*() {
      const { closed, open } = counting()
      yield* Effect.scoped(Effect.flatMap(Effect.scope, (parent) => OwnScope.under(parent, () => open)))
      assert.deepStrictEqual(closed, ["Success"])
    }))

  it.effect("is closed at once when the opening fails, and not with its parent", () =>
    Effect.gen(function*() {
      const { closed, open } = counting()
      const parent = yield* Effect.scope
      const failing = OwnScope.under(parent, () => Effect.andThen(open, Effect.fail("no luck")))
      assert.strictEqual(yield* Effect.flip(failing), "no luck")
      assert.deepStrictEqual(closed, ["Failure"])
    }).pipe(Effect.scoped))

  it.effect("is closed at once when the opening is interrupted", () =>
    Effect.gen(function*() {
      const { closed, open } = counting()
      const own = yield* Scope.make()
      const opened = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        OwnScope.into(own, open.pipe(Effect.andThen(Deferred.succeed(opened, undefined)), Effect.andThen(Effect.never)))
      )
      yield* Deferred.await(opened)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(closed, ["Failure"])
    }))
})
