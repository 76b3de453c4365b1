import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Arena, MIN_BLOCK } from "../../../src/domain/memory/Arena.ts"

interface Block {
  readonly offset: number
  readonly bytes: number
}

const ints = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Every block that the arena still has to give, largest first. */
const drainOf = (arena: Arena): Array<number> => {
  const taken: Array<number> = []
  for (let bytes = 2 ** 24; bytes >= MIN_BLOCK;) {
    if (arena.allocate(bytes) < 0) bytes /= 2
    else taken.push(bytes)
  }
  return taken
}

/** The powers of two that a length is the sum of, largest first. */
const partsOf = (length: number): Array<number> => {
  const parts: Array<number> = []
  for (let bytes = 2 ** 24; bytes >= MIN_BLOCK; bytes /= 2) if ((length & bytes) !== 0) parts.push(bytes)
  return parts
}

describe("Arena", () => {
  it.prop(
    "gives blocks that never overlap, lie in the arena and are aligned, and joins them all again when they are freed",
    [ints(0, 100_000), ints(0, 1024), Schema.Array(ints(0, 2 ** 20)).check(Schema.isMaxLength(200))],
    ([length, start, steps]) => {
      const arena = new Arena(start * 64, length)
      const live: Array<Block> = []
      assert.strictEqual(arena.capacity, length - (length % MIN_BLOCK))
      for (const step of steps) {
        if (step % 3 === 0 && live.length > 0) {
          const [freed] = live.splice(step % live.length, 1)
          arena.free(freed!.offset)
        } else {
          // small ones mostly, now and then one that takes half of the arena or more than all of it
          const wanted = step % 7 === 0 ? step % 120_000 : step % 3000
          const offset = arena.allocate(wanted)
          const bytes = Arena.rounded(wanted)
          if (offset >= 0) {
            assert.isTrue(bytes >= wanted && (bytes === MIN_BLOCK || bytes < 2 * wanted))
            assert.isTrue(offset >= start * 64 && offset + bytes <= start * 64 + arena.capacity)
            assert.strictEqual((offset - start * 64) % bytes, 0)
            for (const other of live) {
              assert.isTrue(offset + bytes <= other.offset || other.offset + other.bytes <= offset)
            }
            live.push({ offset, bytes })
          } else {
            assert.isFalse(hasHole(arena.capacity, start * 64, live, bytes), `there was room for ${bytes} bytes`)
          }
        }
        assert.strictEqual(arena.blocks, live.length)
        assert.strictEqual(arena.used, live.reduce((sum, block) => sum + block.bytes, 0))
      }
      for (const block of live) arena.free(block.offset)
      assert.strictEqual(arena.used, 0)
      assert.strictEqual(arena.blocks, 0)
      assert.deepStrictEqual(drainOf(arena), partsOf(arena.capacity))
      assert.strictEqual(arena.used, arena.capacity)
    },
    { arbitrary: { runs: 300, size: 200 } }
  )

  it("serves the largest block again after it was cut into the smallest and these were freed in any order", () => {
    const arena = new Arena(0, 64 * MIN_BLOCK)
    for (const step of [1, 3, 5, 7, 11, 63]) {
      const offsets = Array.from({ length: 64 }, () => arena.allocate(1))
      assert.strictEqual(new Set(offsets).size, 64)
      assert.strictEqual(arena.allocate(1), -1)
      for (let i = 0; i < 64; i++) arena.free(offsets[(i * step) % 64]!)
      const whole = arena.allocate(64 * MIN_BLOCK)
      assert.strictEqual(whole, 0)
      arena.free(whole)
    }
  })

  it("uses all of a length that is no power of two", () => {
    for (const blocks of [1, 2, 3, 5, 6, 7, 9, 31, 33, 1023]) {
      const arena = new Arena(128, blocks * MIN_BLOCK + 255)
      assert.deepStrictEqual(drainOf(arena), partsOf(blocks * MIN_BLOCK))
    }
  })

  it("rounds up to a power of two, and to no less than the smallest block", () => {
    const cases = [[0, 256], [1, 256], [256, 256], [257, 512], [512, 512], [513, 1024], [65536, 65536], [65537, 131072]]
    for (const [bytes, rounded] of cases) assert.strictEqual(Arena.rounded(bytes!), rounded)
    assert.strictEqual(Arena.rounded(2 ** 31 + 1), 2 ** 32)
  })

  it("has nothing to give when it has no length", () => {
    assert.strictEqual(new Arena(0, 0).allocate(1), -1)
    assert.strictEqual(new Arena(0, MIN_BLOCK - 1).allocate(1), -1)
  })

  it("throws when something is freed that is not allocated", () => {
    const arena = new Arena(4096, 8 * MIN_BLOCK)
    const block = arena.allocate(2 * MIN_BLOCK)
    for (const wrong of [0, block + 1, block + MIN_BLOCK, block + 4 * MIN_BLOCK, 2 ** 30, -1, Number.NaN]) {
      assert.throws(() => arena.free(wrong), "no allocated block")
    }
    arena.free(block)
    assert.throws(() => arena.free(block), "no allocated block")
    assert.strictEqual(arena.used, 0)
  })
})

/** Whether a block of this size would fit somewhere by the plain rules: aligned to its size, no neighbour in it. */
function hasHole(capacity: number, start: number, live: ReadonlyArray<Block>, bytes: number): boolean {
  for (let at = start; at + bytes <= start + capacity; at += bytes) {
    if (live.every((block) => at + bytes <= block.offset || block.offset + block.bytes <= at)) return true
  }
  return false
}
