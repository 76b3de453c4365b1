import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Handle from "../../../src/domain/state/Handle.ts"

interface Session {
  readonly handle: Handle.SessionHandle
}

const Word = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
const index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 24 - 1 }))
const generation = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 28 - 1 }))
const session = (handle: Handle.SessionHandle): Session => ({ handle })

describe("Handle", () => {
  it.prop("W1 keeps index and generation apart over their whole ranges", [index, generation], ([index, generation]) => {
    const handle = Handle.make<Handle.SessionHandle>(index, generation)
    assert.isTrue(Number.isSafeInteger(handle))
    assert.strictEqual(Handle.index(handle), index)
    assert.strictEqual(Handle.generation(handle), generation)
    assert.strictEqual(Handle.format(handle), `${index}.${generation}`)
  })

  it("W1 keeps index and generation apart at the ends of their ranges", () => {
    for (const index of [0, 1, 2 ** 24 - 1]) {
      for (const generation of [0, 1, 2 ** 28 - 1]) {
        const handle = Handle.make(index, generation)
        assert.deepStrictEqual([Handle.index(handle), Handle.generation(handle)], [index, generation])
      }
    }
  })

  it.prop("takes no number for a handle's part that would run into the other part", [Word, Word], ([first, second]) => {
    const handle = Handle.make(first, second)
    const intact = Handle.index(handle) === first && Handle.generation(handle) === second && second < 2 ** 28
    assert.strictEqual(Handle.isValid(first, second), intact)
  })

  it("takes no negative or broken number for a part of a handle", () => {
    for (const part of [-1, 0.5, Number.NaN, 2 ** 28]) {
      assert.isFalse(Handle.isValid(part, 0))
      assert.isFalse(Handle.isValid(0, part))
    }
  })
})

describe("Pool", () => {
  it("W1 a handle to a freed slot finds nothing and frees nothing, even when the slot has a new owner", () => {
    const pool = new Handle.Pool<Handle.SessionHandle, Session>()
    const first = pool.allocate(session)!
    assert.isTrue(pool.free(first.handle))
    assert.isUndefined(pool.get(first.handle))
    const second = pool.allocate(session)!
    assert.strictEqual(Handle.index(second.handle), Handle.index(first.handle))
    assert.notStrictEqual(second.handle, first.handle)
    assert.isUndefined(pool.get(first.handle))
    assert.isFalse(pool.free(first.handle))
    assert.strictEqual(pool.get(second.handle), second)
    assert.strictEqual(pool.at(Handle.index(first.handle)), second)
  })

  it("W1 a handle made up for a slot's next generation or for no slot finds nothing", () => {
    const pool = new Handle.Pool<Handle.SessionHandle, Session>()
    const { handle } = pool.allocate(session)!
    pool.free(handle)
    for (const made of [Handle.make<Handle.SessionHandle>(0, 1), Handle.make<Handle.SessionHandle>(5, 0)]) {
      assert.isUndefined(pool.get(made))
      assert.isFalse(pool.free(made))
    }
    for (const broken of [-1, 0.5, Number.NaN, Number.MAX_VALUE] as Array<Handle.SessionHandle>) {
      assert.isUndefined(pool.get(broken))
      assert.isFalse(pool.free(broken))
    }
    assert.strictEqual(pool.size, 0)
  })

  it("holds no more than its capacity, and takes again what was freed", () => {
    const pool = new Handle.Pool<Handle.SessionHandle, Session>(2)
    const first = pool.allocate(session)!
    assert.isDefined(pool.allocate(session))
    assert.isUndefined(pool.allocate(session))
    assert.strictEqual(pool.size, 2)
    pool.free(first.handle)
    assert.isDefined(pool.allocate(session))
    assert.isUndefined(pool.allocate(session))
  })

  it("W1 gives no handle out twice: a slot whose generations are used up is not used again", () => {
    const pool = new Handle.Pool<Handle.SessionHandle, Session>(2, 3)
    const kept = pool.allocate(session)!
    const seen = new Set([kept.handle])
    for (let i = 0; i < 1000; i++) {
      const { handle } = pool.allocate(session)!
      assert.isUndefined(pool.allocate(session), "the table is full")
      assert.isFalse(seen.has(handle), Handle.format(handle))
      seen.add(handle)
      assert.isTrue(pool.free(handle))
      assert.isFalse(pool.free(handle))
      assert.isUndefined(pool.get(handle))
    }
    assert.strictEqual(pool.get(kept.handle), kept)
    assert.strictEqual(pool.size, 1)
    // three uses of each slot, one after the other
    assert.strictEqual(Math.max(...[...seen].map(Handle.index)), Math.ceil(1000 / 3))
  })

  it("W1 keeps its slots when what should go into one can't be made, and a handle seen then never matches", () => {
    const pool = new Handle.Pool<Handle.SessionHandle, Session>(1)
    const seen: Array<Handle.SessionHandle> = []
    for (let i = 0; i < 2; i++) {
      assert.throws(() =>
        pool.allocate((handle) => {
          seen.push(handle)
          throw new Error("no")
        }), "no")
    }
    assert.isUndefined(pool.allocate((handle) => {
      seen.push(handle)
      return undefined
    }))
    assert.strictEqual(pool.size, 0)
    assert.isDefined(pool.allocate(session))
    for (const handle of seen) assert.isUndefined(pool.get(handle))
  })

  it.prop(
    "W1 agrees with a plain map through any run of allocations and frees, stale ones among them",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })),
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))).check(Schema.isMaxLength(200))
    ],
    ([capacity, steps]) => {
      const pool = new Handle.Pool<Handle.SessionHandle, Session>(capacity)
      const live = new Map<Handle.SessionHandle, Session>()
      const seen: Array<Handle.SessionHandle> = []
      for (const step of steps) {
        if (step < 50) {
          const made = pool.allocate(session)
          assert.strictEqual(made === undefined, live.size === capacity)
          if (made === undefined) continue
          assert.notInclude(seen, made.handle)
          live.set(made.handle, made)
          seen.push(made.handle)
        } else if (seen.length > 0) {
          const handle = seen[step % seen.length]!
          assert.strictEqual(pool.free(handle), live.delete(handle))
        }
        for (const handle of seen) assert.strictEqual(pool.get(handle), live.get(handle))
        assert.strictEqual(pool.size, live.size)
        assert.sameMembers([...pool], [...live.values()])
        assert.isTrue([...live.keys()].every((handle) => Handle.index(handle) < capacity))
      }
    },
    { arbitrary: { runs: 200, size: 200 } }
  )
})
