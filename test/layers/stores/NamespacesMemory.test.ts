import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { inspect } from "node:util"
import * as NamespacesMemory from "../../../src/layers/stores/NamespacesMemory.ts"
import { Namespaces } from "../../../src/services/Namespaces.ts"

const fresh = Effect.provide(NamespacesMemory.layer)
const names = Effect.map(Effect.flatMap(Namespaces, ({ list }) => list), (all) => all.map(({ name }) => name))

describe("Namespaces", () => {
  it.effect("W3 there is always a default one, without a secret", () =>
    Effect.gen(function*() {
      const { enter, list } = yield* Namespaces
      assert.deepStrictEqual(yield* list, [{ name: "default", hasSecret: false, applications: 0 }])
      assert.deepStrictEqual(yield* enter("default"), { name: "default", hasSecret: false, applications: 1 })
    }).pipe(Effect.scoped, fresh))

  it.effect("W3 the default one can't be removed, nor added with a secret", () =>
    Effect.gen(function*() {
      const { add, enter, remove } = yield* Namespaces
      assert.strictEqual((yield* Effect.flip(remove("default"))).message, "the default namespace can't be removed")
      assert.strictEqual((yield* Effect.flip(add({ name: "default", secret: "s" })))._tag, "NamespaceExists")
      yield* enter("default")
    }).pipe(Effect.scoped, fresh))

  it.effect("are added, listed in that order, and removed", () =>
    Effect.gen(function*() {
      const { add, remove } = yield* Namespaces
      assert.deepStrictEqual(yield* add({ name: "blue", secret: "s" }), {
        name: "blue",
        hasSecret: true,
        applications: 0
      })
      yield* add({ name: "a b" })
      assert.deepStrictEqual(yield* names, ["default", "blue", "a b"])
      yield* remove("blue")
      assert.deepStrictEqual(yield* names, ["default", "a b"])
    }).pipe(fresh))

  it.effect("W3 one that is not there is refused by its name, at entry and at removal", () =>
    Effect.gen(function*() {
      const { enter, remove } = yield* Namespaces
      for (const error of [yield* Effect.flip(enter("blue")), yield* Effect.flip(remove("blue"))]) {
        assert.strictEqual(error._tag, "NoSuchNamespace")
        assert.strictEqual(error.message, "no namespace \"blue\"")
      }
    }).pipe(Effect.scoped, fresh))

  it.effect("one that is there is not added again: its secret stays what it was", () =>
    Effect.gen(function*() {
      const { add, enter } = yield* Namespaces
      yield* add({ name: "blue", secret: "first" })
      const error = yield* Effect.flip(add({ name: "blue", secret: "second" }))
      assert.strictEqual(error.message, "there already is a namespace \"blue\"")
      yield* enter("blue", Redacted.make("first"))
      assert.strictEqual((yield* Effect.flip(enter("blue", Redacted.make("second"))))._tag, "WrongSecret")
    }).pipe(Effect.scoped, fresh))

  const secrets: ReadonlyArray<readonly [string, string | undefined, string | undefined]> = [
    ["a wrong secret", "right", "wrong"],
    ["the beginning of the secret", "right", "righ"],
    ["more than the secret", "right", "right "],
    ["no secret where there is one", "right", undefined],
    ["a secret where there is none", undefined, "right"]
  ]
  for (const [what, secret, given] of secrets) {
    it.effect(`W3 ${what} lets nobody in, and nobody is counted`, () =>
      Effect.gen(function*() {
        const { add, enter, remove } = yield* Namespaces
        yield* add({ name: "blue", secret })
        const error = yield* Effect.flip(enter("blue", given === undefined ? undefined : Redacted.make(given)))
        assert.strictEqual(error._tag, "WrongSecret")
        assert.strictEqual(error.message, "wrong secret for namespace \"blue\"")
        yield* remove("blue")
      }).pipe(Effect.scoped, fresh))
  }

  it.effect("W3 the right secret lets in, given as text or redacted when the namespace was made", () =>
    Effect.gen(function*() {
      const { add, enter } = yield* Namespaces
      yield* add({ name: "text", secret: "hunter2" })
      yield* add({ name: "redacted", secret: Redacted.make("hunter2") })
      for (const name of ["text", "redacted"]) {
        assert.strictEqual((yield* enter(name, Redacted.make("hunter2"))).name, name)
      }
    }).pipe(Effect.scoped, fresh))

  it.effect("W3 a secret is shown nowhere", () =>
    Effect.gen(function*() {
      const service = yield* Namespaces
      const added = yield* service.add({ name: "blue", secret: "hunter2" })
      const entered = yield* service.enter("blue", Redacted.make("hunter2"))
      const error = yield* Effect.flip(service.enter("blue", Redacted.make("hunter3")))
      const exists = yield* Effect.flip(service.add({ name: "blue", secret: "hunter2" }))
      for (const value of [service, added, entered, yield* service.list, error, exists]) {
        for (const text of [JSON.stringify(value), inspect(value, { depth: 9, showHidden: true }), String(value)]) {
          assert.notInclude(text, "hunter")
        }
      }
    }).pipe(Effect.scoped, fresh))

  it.effect("W3 one with applications is not removed, until the last of them has left", () =>
    Effect.gen(function*() {
      const { add, enter, list, remove } = yield* Namespaces
      yield* add({ name: "blue" })
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      yield* Scope.provide(enter("blue"), first)
      assert.include((yield* Effect.flip(remove("blue"))).message, "1 application is attached to namespace \"blue\"")
      yield* Scope.provide(enter("blue"), second)
      assert.include((yield* Effect.flip(remove("blue"))).message, "2 applications are attached")
      yield* Scope.close(first, Exit.void)
      const error = yield* Effect.flip(remove("blue"))
      assert.strictEqual(error._tag, "NamespaceInUse")
      assert.deepStrictEqual((yield* list)[1], { name: "blue", hasSecret: false, applications: 1 })
      yield* Scope.close(second, Exit.void)
      yield* remove("blue")
    }).pipe(fresh))

  it.effect("a name that is made again is a new namespace, without those who were in the old one", () =>
    Effect.gen(function*() {
      const { add, enter, list, remove } = yield* Namespaces
      yield* add({ name: "blue", secret: "old" })
      yield* remove("blue")
      yield* add({ name: "blue", secret: "new" })
      assert.strictEqual((yield* Effect.flip(enter("blue", Redacted.make("old"))))._tag, "WrongSecret")
      yield* enter("blue", Redacted.make("new"))
      assert.strictEqual((yield* list)[1]?.applications, 1)
    }).pipe(Effect.scoped, fresh))

  it.effect("what can't be a name or a secret is refused, and nothing is added", () =>
    Effect.gen(function*() {
      const { add } = yield* Namespaces
      for (const name of ["", " a", "a\n", "x".repeat(65)]) {
        const error = yield* Effect.flip(add({ name }))
        assert.strictEqual(error._tag, "InvalidNamespace")
        assert.include(error.message, "a name has 1 to 64 characters")
        assert.isBelow(error.message.length, 200)
      }
      for (const secret of ["", Redacted.make("")]) {
        const error = yield* Effect.flip(add({ name: "blue", secret }))
        assert.strictEqual(
          error.message,
          "namespace \"blue\": a secret must not be empty; leave it out where there is none"
        )
      }
      assert.deepStrictEqual(yield* names, ["default"])
    }).pipe(fresh))

  it.effect("a host starts with those that it is told of", () =>
    Effect.gen(function*() {
      const { enter } = yield* Namespaces
      assert.deepStrictEqual(yield* names, ["default", "blue", "green"])
      yield* enter("blue", Redacted.make("s"))
      yield* enter("green")
    }).pipe(
      Effect.scoped,
      Effect.provide(NamespacesMemory.layerOf([{ name: "blue", secret: "s" }, { name: "green" }]))
    ))

  it.effect("a host does not start with two of one name", () =>
    Effect.gen(function*() {
      const built = Layer.build(NamespacesMemory.layerOf([{ name: "blue" }, { name: "blue" }]))
      assert.strictEqual((yield* Effect.flip(built))._tag, "NamespaceExists")
    }).pipe(Effect.scoped))

  it.effect("two hosts share no namespaces", () =>
    Effect.gen(function*() {
      const there = Effect.provide(names, Layer.fresh(NamespacesMemory.layer))
      yield* Effect.flatMap(Namespaces, ({ add }) => add({ name: "blue" }))
      assert.deepStrictEqual(yield* there, ["default"])
    }).pipe(fresh))
})
