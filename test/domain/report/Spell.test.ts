import { assert, describe, it } from "@effect/vitest"
import { Spell } from "../../../src/domain/report/Spell.ts"

describe("Spell", () => {
  it("tells a beginning and its end, and the next beginning only after the interval", () => {
    const spell = new Spell(10)
    assert.isUndefined(spell.look(false, 0))
    assert.strictEqual(spell.look(true, 1), "begin")
    assert.isUndefined(spell.look(true, 2))
    assert.strictEqual(spell.lasted(4), 3)
    assert.strictEqual(spell.look(false, 4), "end")
    // it comes and goes: neither is told
    assert.isUndefined(spell.look(true, 5))
    assert.isUndefined(spell.look(false, 6))
    assert.isUndefined(spell.look(true, 10))
    assert.strictEqual(spell.look(true, 11), "begin")
    assert.strictEqual(spell.look(false, 99), "end")
  })

  it("waits for the interval after something else was told in its place", () => {
    const spell = new Spell(10)
    spell.told(5)
    assert.isUndefined(spell.look(true, 14))
    assert.strictEqual(spell.look(true, 15), "begin")
  })
})
