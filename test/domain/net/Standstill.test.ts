/** When a connection has stood still for too long: idle, or with bytes that its peer does not take. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { lookInterval, Standstill, type StandstillTimes } from "../../../src/domain/net/Standstill.ts"
import * as Random from "../../support/random.ts"

/** What happens between two looks: bytes that come, bytes that go, and how many wait after that. */
interface Step {
  readonly read?: number
  readonly goes?: number
  readonly waiting?: number
}

/** Looks every 100 ms, each time after a step, and returns why and after how many milliseconds it was over. */
const run = (times: StandstillTimes, steps: ReadonlyArray<Step>, millis = 100) => {
  let read = 0
  let gone = 0
  const standstill = new Standstill(times, { read, gone, waiting: 0 })
  for (const [index, step] of steps.entries()) {
    read += step.read ?? 0
    gone += step.goes ?? 0
    const reason = standstill.look(millis, { read, gone, waiting: step.waiting ?? 0 })
    if (reason !== undefined) return { reason, after: (index + 1) * millis }
  }
  return undefined
}

const repeat = (count: number, step: Step): ReadonlyArray<Step> => Array.from({ length: count }, () => step)

const idle = { idleTimeout: 400 }
const stall = { stallTimeout: 400 }

describe("a connection that stands still", () => {
  it("is looked at four times in the shorter of its times, and not at all without one", () => {
    assert.isUndefined(lookInterval({}))
    assert.isUndefined(lookInterval({ idleTimeout: 0, stallTimeout: 0 }))
    assert.strictEqual(lookInterval({ idleTimeout: 400, stallTimeout: 0 }), 100)
    assert.strictEqual(lookInterval({ idleTimeout: 400, stallTimeout: 1000 }), 100)
    assert.strictEqual(lookInterval({ stallTimeout: 102 }), 26)
  })

  it("is idle when no byte has come or gone for its idle time", () => {
    assert.deepStrictEqual(run(idle, repeat(9, {})), { reason: "idle", after: 400 })
    assert.deepStrictEqual(run(idle, [...repeat(3, {}), { read: 1 }, ...repeat(9, {})]), { reason: "idle", after: 800 })
    assert.deepStrictEqual(run(idle, [...repeat(3, {}), { goes: 1 }, ...repeat(9, {})]), { reason: "idle", after: 800 })
    assert.isUndefined(run(stall, repeat(99, {})))
  })

  it("has stalled when bytes wait and its peer takes none, whatever the peer sends", () => {
    const expected = { reason: "stalled", after: 500 }
    assert.deepStrictEqual(run(stall, repeat(9, { waiting: 1 })), expected)
    assert.deepStrictEqual(run(stall, repeat(9, { waiting: 1, read: 100_000 })), expected)
    assert.isUndefined(run(idle, repeat(99, { waiting: 1, read: 1 })))
  })

  it("has stalled hardly later when its peer takes a byte each time", () => {
    assert.deepStrictEqual(run(stall, repeat(9, { waiting: 5000, goes: 1 })), { reason: "stalled", after: 600 })
    assert.deepStrictEqual(run(stall, repeat(19, { waiting: 5000, goes: 50 })), { reason: "stalled", after: 900 })
  })

  it("goes on with a peer that takes 1 KiB a second, in lumps as they come", () => {
    assert.isUndefined(run(stall, repeat(999, { waiting: 5000, goes: 103 })))
    const lump = [...repeat(3, { waiting: 5000 }), { waiting: 5000, goes: 410 }]
    assert.isUndefined(run(stall, repeat(99, {}).flatMap(() => lump)))
  })

  it("goes on when all that waited has gone, however little that was", () => {
    assert.isUndefined(run(stall, repeat(99, { waiting: 1, goes: 1 })))
    const emptied = [...repeat(4, { waiting: 10 }), { goes: 10 }]
    assert.isUndefined(run(stall, repeat(99, {}).flatMap(() => emptied)))
  })

  it("has both bounds at a time, and says that it has stalled where both hold", () => {
    assert.deepStrictEqual(run({ idleTimeout: 800, stallTimeout: 400 }, repeat(9, {})), { reason: "idle", after: 800 })
    assert.deepStrictEqual(run({ ...idle, ...stall }, [{ waiting: 1, goes: 1 }, ...repeat(9, { waiting: 1 })]), {
      reason: "stalled",
      after: 500
    })
  })

  it.prop(
    "a peer that is behind its rate by more than the time is found, one that never is goes on",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff }))],
    ([seed]) => {
      const random = Random.make(seed)
      const stallTimeout = 100 * (1 + random(50))
      let behind = 0
      let most = 0
      const steps = Array.from({ length: 400 }, (): Step => {
        const goes = random(3) === 0 ? random(400) : 0
        behind = Math.max(0, behind + 100 - goes / 1.024)
        most = Math.max(most, behind)
        return { waiting: 1 << 20, goes, read: random(2) }
      })
      const found = run({ stallTimeout }, steps)
      // the first look only finds that bytes wait
      if (most < stallTimeout) assert.isUndefined(found)
      else if (most > stallTimeout + 100) assert.strictEqual(found?.reason, "stalled")
    }
  )
})
