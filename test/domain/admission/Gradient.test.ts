/** The limit that answers find, with a backend that is a few lines of arithmetic (X7). */
import { assert, describe, it } from "@effect/vitest"
import { Gradient, INITIAL, LEAST } from "../../../src/domain/admission/Gradient.ts"

/** Clients that ask as much as they may, of a backend that does so many at a time, each in so many milliseconds. */
class World {
  readonly gradient: Gradient
  now = 0
  parallel = 50
  millis = 20
  constructor(most = 1000) {
    this.gradient = new Gradient(most)
  }

  /** How long an answer takes while so many are in hand. */
  latency(inHand: number): number {
    return this.millis * Math.max(1, inHand / this.parallel)
  }

  run(millis: number, inHand = () => this.gradient.limit): void {
    const end = this.now + millis
    while (this.now < end) {
      const many = inHand()
      const latency = this.latency(many)
      this.now += latency / many
      this.gradient.answered(latency, many, this.now)
    }
  }
}

describe("the gradient", () => {
  it("X7 begins with its first limit, and never leaves its bounds", () => {
    assert.strictEqual(new Gradient(1000).limit, INITIAL)
    assert.strictEqual(new Gradient(3).limit, 3)
    const world = new World(64)
    world.parallel = Infinity
    world.run(60_000)
    assert.strictEqual(world.gradient.limit, 64)
    const slow = new World(3)
    slow.run(5000)
    slow.millis = 20_000
    slow.run(1_000_000)
    assert.strictEqual(slow.gradient.limit, 3)
  })

  it("X7 goes up while more in hand make no answer slower: to what is done at a time and a part more, and stays there", () => {
    const world = new World()
    world.run(20_000)
    assert.isAtLeast(world.gradient.limit, 50)
    world.run(600_000)
    assert.isAtMost(world.gradient.limit, 150)
  })

  it("X7 comes down when the backend gets slower, and goes up again when that is over", () => {
    const world = new World()
    world.run(20_000)
    const before = world.gradient.limit
    world.millis = 400
    world.run(5000)
    const slow = world.gradient.limit
    assert.isAtMost(slow, before / 4)
    assert.isAtLeast(slow, LEAST)
    world.millis = 20
    world.run(15_000)
    assert.isAtLeast(world.gradient.limit, 50)
    assert.isAtMost(world.gradient.limit, 150)
  })

  it("X7 what is slower for good becomes what is usual", () => {
    const world = new World()
    world.run(20_000)
    world.millis = 200
    world.run(4000)
    assert.isAtMost(world.gradient.limit, 20)
    world.run(120_000)
    assert.isAtLeast(world.gradient.limit, 40)
  })

  it("X7 says nothing about a limit that is not used", () => {
    const world = new World()
    world.run(20_000, () => 5)
    assert.strictEqual(world.gradient.limit, INITIAL)
    world.millis = 1000
    world.run(20_000, () => 5)
    assert.strictEqual(world.gradient.limit, INITIAL)
  })

  it("X7 answers that take no time are no fault", () => {
    const gradient = new Gradient(100)
    for (let now = 0; now < 10_000; now++) gradient.answered(0, gradient.limit, now)
    assert.strictEqual(gradient.limit, 100)
  })

  it("X7 comes to its least with answers that get slower without end", () => {
    const gradient = new Gradient(1000)
    let millis = 1
    for (let now = 0; now < 4_000_000; now += millis) gradient.answered(millis *= 1.01, gradient.limit, now)
    assert.strictEqual(gradient.limit, LEAST)
  })
})
