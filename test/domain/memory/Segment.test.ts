import { assert, describe, it } from "@effect/vitest"
import { Arena } from "../../../src/domain/memory/Arena.ts"
import type { BlockPlace } from "../../../src/domain/memory/Fifo.ts"
import * as Segment from "../../../src/domain/memory/Segment.ts"
import * as Random from "../../support/random.ts"

describe("the index of a segment", () => {
  it("fits into a word for ever: after the largest one come those that are free", () => {
    const largest = 2 ** 31 - 1
    const taken = new Set([0, 1, 5])
    const isTaken = (index: number) => taken.has(index)
    assert.strictEqual(Segment.nextIndex(-1, () => false), 0)
    assert.strictEqual(Segment.nextIndex(7, isTaken), 8)
    assert.strictEqual(Segment.nextIndex(largest - 1, isTaken), largest)
    assert.strictEqual(Segment.nextIndex(largest, isTaken), 2)
    assert.strictEqual(Segment.nextIndex(4, isTaken), 6)
  })
})

describe("the arenas of a side", () => {
  it("remember what there was no room for, and no longer than that is so", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = Random.make(seed)
      const arenas = new Segment.Arenas(() => new Uint8Array(0))
      const all: Array<Arena> = []
      const add = (): void => {
        all.push(new Arena(0, 16_384 * (1 + random(4)) + 256 * random(9)))
        arenas.add(all.length - 1, all.at(-1)!)
      }
      const taken: Array<BlockPlace> = []
      let refused = 0
      add()
      for (let step = 0; step < 2000; step++) {
        const bytes = 256 * 2 ** random(7) - random(200)
        const place = arenas.allocate(bytes)
        if (place !== undefined) taken.push(place)
        else {
          refused++
          for (const arena of all) assert.strictEqual(arena.allocate(bytes), -1, `${bytes} bytes, seed ${seed}`)
        }
        if (random(100) === 0 && all.length < 4) add()
        if (random(3) === 0 && taken.length > 0) arenas.free(taken.splice(random(taken.length), 1)[0]!)
      }
      assert.isAbove(refused, 100)
      for (const place of taken) arenas.free(place)
      assert.strictEqual(arenas.used, 0)
    }
  })
})
