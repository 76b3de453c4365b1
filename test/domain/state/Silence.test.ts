import { assert, describe, it } from "@effect/vitest"
import { flagOf, INTERVAL, Silence } from "../../../src/domain/state/Silence.ts"

const waiting = (position: number) => ({ position, waits: true })
const nothing = { position: 7, waits: false }

/** Looks `times` times, an interval apart, at a queue whose next message stays where it is. */
const looks = (silence: Silence, from: number, times: number, away: (at: number) => number = () => 0): number => {
  let now = from
  for (let i = 0; i < times; i++) silence.look(now += INTERVAL, waiting(7), { away: away(now) })
  return now
}

describe("the silence of a worker", () => {
  it("X6 is told of after half a second, and after 5 s while the worker loads its code", () => {
    assert.strictEqual(flagOf("RUNNING"), 500)
    assert.strictEqual(flagOf("DRAINING"), 500)
    assert.strictEqual(flagOf("STARTING"), 5000)
  })

  it("X6 is the time for which its next message has been seen to wait", () => {
    const silence = new Silence(INTERVAL, 0)
    const now = looks(silence, 0, 11)
    assert.strictEqual(silence.millis, 10 * INTERVAL)
    assert.strictEqual(silence.waited(now, waiting(7)), 10 * INTERVAL)
  })

  it("X6 begins when a message waits, however long ago the worker took the one before", () => {
    const silence = new Silence(INTERVAL, 0)
    silence.look(10_000, nothing)
    assert.strictEqual(silence.look(10_100, waiting(7)), 0)
    assert.strictEqual(silence.look(10_200, waiting(7)), 100)
  })

  it("X6 ends with each message that is taken, though others wait", () => {
    const silence = new Silence(INTERVAL, 0)
    const now = looks(silence, 0, 5)
    assert.strictEqual(silence.look(now + INTERVAL, waiting(8)), 0)
    assert.strictEqual(silence.look(now + 2 * INTERVAL, waiting(8)), INTERVAL)
    assert.strictEqual(silence.waited(now + 2 * INTERVAL, waiting(9)), 0)
  })

  it("X6 begins anew where a message waits at the same place after there was none", () => {
    const silence = new Silence(INTERVAL, 0)
    const now = looks(silence, 0, 5)
    silence.look(now + 1, nothing)
    assert.strictEqual(silence.look(now + 2, waiting(7)), 0)
  })

  it("X6 a gap of the host counts as one interval, and is nobody's fault", () => {
    const silence = new Silence(INTERVAL, 0)
    const now = looks(silence, 0, 2)
    assert.strictEqual(silence.look(now + 60_000, waiting(7)), 2 * INTERVAL)
    // one that is merely late counts in full
    assert.strictEqual(silence.look(now + 60_000 + 2 * INTERVAL, waiting(7)), 4 * INTERVAL)
  })

  it("X6 time without work or without a processor does not count", () => {
    const silence = new Silence(INTERVAL, 0)
    // of each interval, it runs for a tenth
    looks(silence, 0, 101, (at) => 0.9 * at)
    assert.closeTo(silence.millis, 10 * INTERVAL, 1e-6)
  })

  it("X6 never runs backwards where more time was away than has passed", () => {
    const silence = new Silence(INTERVAL, 0)
    const now = looks(silence, 0, 3)
    assert.strictEqual(silence.look(now + 5000, waiting(7), { away: 4990 }), 2 * INTERVAL)
    assert.strictEqual(silence.look(now + 5000 + INTERVAL, waiting(7), { away: 4990 }), 3 * INTERVAL)
  })
})
