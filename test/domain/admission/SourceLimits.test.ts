import { assert, describe, it } from "@effect/vitest"
import { MAX_IDLE, SourceLimits } from "../../../src/domain/admission/SourceLimits.ts"
import * as Random from "../../support/random.ts"

const limits = (sourceSessions: number, sourceRate = 0) =>
  new SourceLimits<string | number>({ sourceSessions, sourceRate, sourcePrefixIpv4: 32, sourcePrefixIpv6: 64 })
const at = (address: number | string): string =>
  typeof address === "string"
    ? `tcp://${address}:1`
    : `tcp://10.${address >> 16}.${(address >> 8) & 255}.${address & 255}:1`

describe("limits per source", () => {
  it("X7 has no limits where none is asked for", () => {
    const off = { sourceSessions: 0, sourceRate: 0, sourcePrefixIpv4: 32, sourcePrefixIpv6: 64 }
    assert.isFalse(SourceLimits.isAsked(off))
    assert.isTrue(SourceLimits.isAsked({ ...off, sourceRate: 1 }))
    assert.isTrue(SourceLimits.isAsked({ ...off, sourceSessions: 1 }))
  })

  it("X7 a source has so many at a time, and one that leaves twice makes room once", () => {
    const sources = limits(2)
    assert.isUndefined(sources.enter("a", at(1), 0))
    assert.isUndefined(sources.enter("b", at(1), 0))
    assert.strictEqual(sources.enter("c", at(1), 0), "source-limit")
    assert.strictEqual(sources.whyNot(at(1), 0), "source-limit")
    assert.isUndefined(sources.enter("d", at(2), 0))
    sources.leave("c", 1)
    assert.strictEqual(sources.whyNot(at(1), 1), "source-limit")
    sources.leave("a", 1)
    sources.leave("a", 1)
    assert.isUndefined(sources.enter("e", at(1), 1))
    assert.strictEqual(sources.enter("f", at(1), 1), "source-limit")
    for (const connection of "bde") sources.leave(connection, 2)
    assert.deepStrictEqual(sources.sizes, { busy: 0, idle: 0 })
  })

  it("X7 a source may use its rate at once, gets it back evenly, and loses none by what is refused", () => {
    const sources = limits(0, 4)
    const enter = (now: number): boolean => {
      const reason = sources.enter(now, at(1), now)
      if (reason !== undefined) assert.strictEqual(reason, "source-rate")
      sources.leave(now, now)
      return reason === undefined
    }
    assert.deepStrictEqual([0, 0, 0, 0, 0, 0].map(enter), [true, true, true, true, false, false])
    for (let now = 1; now < 250; now++) assert.isFalse(enter(now), String(now))
    assert.deepStrictEqual([250, 250, 499, 500, 1500, 1500, 1500, 1500, 1500].map(enter), [
      true,
      false,
      false,
      true,
      true,
      true,
      true,
      true,
      false
    ])
  })

  it("X7 no rate is exceeded over a second and the one before it, at any rate", () => {
    const random = Random.make(3)
    for (let rate = 1; rate <= 50; rate++) {
      const sources = limits(0, rate)
      const let_in: Array<number> = []
      for (let now = 0; now < 5000; now += random(20)) {
        if (sources.enter(now, at(1), now) === undefined) let_in.push(now)
        sources.leave(now, now)
      }
      for (const from of let_in) {
        const within = let_in.filter((time) => time >= from && time < from + 1000).length
        assert.isAtMost(within, 2 * rate)
      }
      // a source that never stops gets its rate
      assert.isAtLeast(let_in.length, Math.min(5 * rate, 400))
    }
  })

  it("X7 what comes from another host takes places and is not new, whatever the limits", () => {
    const sources = limits(2, 1)
    for (const connection of "abc") sources.adopt(connection, at(1), 0)
    assert.strictEqual(sources.enter("d", at(1), 0), "source-limit")
    sources.leave("a", 0)
    sources.leave("b", 0)
    assert.isUndefined(sources.enter("d", at(1), 0))
  })

  it("X7 what has no address has no limit", () => {
    const sources = limits(1, 1)
    for (const connection of "abc") assert.isUndefined(sources.enter(connection, "unix:///a", 0))
    assert.deepStrictEqual(sources.sizes, { busy: 0, idle: 0 })
  })

  it("X7 many sources make the host forget idle ones, the oldest first, and never one with something open", () => {
    const sources = limits(1, 1)
    sources.enter("mine", at("192.0.2.1"), 0)
    sources.enter("yours", at("192.0.2.2"), 0)
    sources.leave("yours", 0)
    for (let i = 0; i < MAX_IDLE + 100; i++) {
      sources.enter(i, at(i), 1)
      sources.leave(i, 1)
    }
    assert.deepStrictEqual(sources.sizes, { busy: 1, idle: MAX_IDLE })
    assert.strictEqual(sources.whyNot(at("192.0.2.1"), 2), "source-limit")
    assert.isUndefined(sources.whyNot(at("192.0.2.2"), 2))
    assert.isUndefined(sources.whyNot(at(0), 2))
    assert.strictEqual(sources.whyNot(at(MAX_IDLE + 99), 2), "source-rate")
    // those that may have everything again are forgotten with the next one that goes
    sources.enter("last", at(0), 2000)
    sources.leave("last", 2000)
    assert.deepStrictEqual(sources.sizes, { busy: 1, idle: 1 })
  })
})
