import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { type Reader, ReadLoop, type Soon } from "../../../src/domain/memory/ReadLoop.ts"
import * as Random from "../../support/random.ts"

const seeds = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff }))

/** A queue as a number of messages, a producer that writes whenever `chance` says so, and a loop's turns by hand. */
class World {
  published = 0
  read = 0
  armed = false
  rings = 0
  open = 0
  /** Callbacks of turns to come. */
  turns: Array<() => void> = []
  readonly steps: Array<string> = []
  readonly chance: () => boolean
  readonly loop: ReadLoop

  constructor(chance: () => boolean, soon: boolean, overrides: Partial<Reader> = {}) {
    this.chance = chance
    const later: Soon = (look) => void this.turns.push(look)
    this.loop = new ReadLoop({
      begin: () => {
        this.open++
        this.armed = false
      },
      read: (max) => {
        this.maybe()
        const count = Math.min(max, this.published - this.read)
        this.read += count
        this.steps.push(`read ${count}`)
        this.maybe()
        return count
      },
      sleep: () => {
        this.maybe()
        this.armed = true
        this.maybe()
        if (this.published === this.read) {
          this.steps.push("sleep")
          this.maybe()
          return true
        }
        this.armed = false
        return false
      },
      finish: () => {
        this.maybe()
        this.open--
      },
      failed: (error) => {
        throw error
      },
      ...overrides
    }, soon ? later : undefined)
  }

  maybe(): void {
    if (this.chance()) this.publish()
  }

  /** As the other side does: it rings when this one sleeps, and the ring comes in a later turn. */
  publish(count = 1): void {
    this.published += count
    if (!this.armed) return
    this.armed = false
    this.rings++
    this.turns.push(this.loop.wake)
  }

  /** Lets all turns pass. */
  settle(): void {
    for (let turn = this.turns.shift(); turn !== undefined; turn = this.turns.shift()) turn()
  }
}

describe("ReadLoop", () => {
  it("goes to sleep at once where a ring costs nothing, and looks once more where it does", () => {
    for (const soon of [false, true]) {
      const world = new World(() => false, soon)
      world.publish(40)
      world.loop.wake()
      assert.deepStrictEqual(world.steps, ["read 32", "read 8", "read 0", ...(soon ? [] : ["sleep"])])
      world.settle()
      assert.strictEqual(world.steps.at(-1), "sleep")
      assert.strictEqual(world.open, 0)
      assert.strictEqual(world.rings, 0)
    }
  })

  it("sleeps without another look when nothing was there", () => {
    const world = new World(() => false, true)
    world.loop.wake()
    assert.deepStrictEqual(world.steps, ["read 0", "sleep"])
    assert.deepStrictEqual(world.turns, [])
  })

  it("gives the loop's other work its turn after 64 batches", async () => {
    const world = new World(() => false, false)
    world.publish(64 * 32 + 1)
    world.loop.wake()
    assert.strictEqual(world.read, 64 * 32)
    assert.isFalse(world.armed)
    await new Promise((resolve) => setImmediate(resolve))
    assert.strictEqual(world.read, 64 * 32 + 1)
    assert.isTrue(world.armed)
  })

  it("has one look due at a time, and tells the reader when it comes", () => {
    let returned = 0
    const world = new World(() => false, true, { returned: () => void returned++ })
    for (let wake = 0; wake < 3; wake++) {
      world.publish()
      world.loop.wake()
    }
    assert.strictEqual(world.turns.length, 1)
    world.settle()
    assert.strictEqual(returned, 1)
  })

  it("reads one message a look when it is slow, and no ring hurries it", () => {
    const looks: Array<() => void> = []
    const world = new World(() => false, true, { pace: () => (look) => void looks.push(look) })
    world.publish(3)
    world.loop.wake()
    world.loop.wake()
    assert.strictEqual(world.read, 1)
    while (looks.length > 0) looks.shift()!()
    assert.strictEqual(world.read, 3)
    assert.isTrue(world.armed)
  })

  it("reads nothing after its end, not the rest of a wake either, nor at a look that was due", () => {
    const world: World = new World(() => false, true, {
      read: (max) => {
        world.read += max
        world.loop.end()
        return max
      }
    })
    world.loop.wake()
    assert.strictEqual(world.read, 32)
    assert.strictEqual(world.open, 0)
    world.loop.wake()
    assert.strictEqual(world.read, 32)
  })

  it("finishes what it has begun when reading fails, and says so", () => {
    const failures: Array<unknown> = []
    const world = new World(() => false, true, {
      read: () => {
        throw new Error("corrupt")
      },
      failed: (error) => void failures.push((error as Error).message)
    })
    world.loop.wake()
    assert.deepStrictEqual(failures, ["corrupt"])
    assert.strictEqual(world.open, 0)
  })

  it.prop(
    "reads all there is, whenever it is written, and sleeps in the end",
    [seeds, Schema.Boolean],
    ([seed, soon]) => {
      const random = Random.make(seed)
      let left = 200
      const world = new World(() => left > 0 && random(3) === 0 && left-- > 0, soon)
      world.loop.wake()
      for (let turns = 0; turns < 2000 && world.published < 200; turns++) {
        const turn = world.turns.shift()
        if (turn === undefined) world.maybe()
        else turn()
      }
      world.settle()
      assert.strictEqual(world.read, world.published)
      assert.strictEqual(world.published, 200)
      assert.isTrue(world.armed)
      assert.strictEqual(world.open, 0)
    }
  )
})
