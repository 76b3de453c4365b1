import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Prefix from "../../../src/domain/net/Prefix.ts"
import * as Random from "../../support/random.ts"

const parsed = (text: string): Prefix.Prefix => Result.getOrThrow(Prefix.parse(text))
const right = (text: string): string => Result.getOrThrow(Result.flip(Prefix.parse(text)))
const has = (prefix: string, host: string): boolean => new Prefix.PrefixSet([parsed(prefix)]).has(Prefix.address(host))

describe("Prefix", () => {
  const texts: ReadonlyArray<readonly [string, string, number]> = [
    ["any", "any", -1],
    ["10.0.0.0/8", "10.0.0.0/8", 8],
    ["0.0.0.0/0", "0.0.0.0/0", 0],
    ["192.0.2.1", "192.0.2.1", 32],
    ["192.0.2.1/32", "192.0.2.1", 32],
    ["192.0.2.128/25", "192.0.2.128/25", 25],
    ["::/0", "::/0", 0],
    ["::1", "::1", 128],
    ["::1/128", "::1", 128],
    ["2001:DB8::/32", "2001:db8::/32", 32],
    ["2001:0db8:0:0:0:0:0:0/32", "2001:db8::/32", 32],
    ["2001:db8:8000::/33", "2001:db8:8000::/33", 33],
    ["fe80::/10", "fe80::/10", 10],
    ["::10.0.0.1", "::10.0.0.1", 128],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8", 8],
    ["::ffff:a00:1", "10.0.0.1", 32],
    ["::ffff:0:0/96", "0.0.0.0/0", 0]
  ]
  for (const [text, one, length] of texts) {
    it(`reads ${text} as ${one}, ${length} bits long`, () => {
      const prefix = parsed(text)
      assert.strictEqual(prefix, one)
      assert.strictEqual(Prefix.length(prefix), length)
      assert.strictEqual(parsed(prefix), prefix)
      assert.strictEqual(Schema.decodeSync(Prefix.PrefixFromString)(text), prefix)
      assert.strictEqual(Schema.encodeSync(Prefix.PrefixFromString)(prefix), prefix)
    })
  }

  const beyond: ReadonlyArray<readonly [string, string]> = [
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.0.0.1/31", "10.0.0.0/31"],
    ["255.255.255.255/0", "0.0.0.0/0"],
    ["2001:db8::1/32", "2001:db8::/32"],
    ["2001:db8:c000::/33", "2001:db8:8000::/33"],
    ["::1/0", "::/0"],
    ["::ffff:10.0.0.1/104", "10.0.0.0/8"],
    ["::ffff:0.0.0.0/95", "::fffe:0:0/95"]
  ]
  for (const [text, network] of beyond) {
    it(`refuses ${text}, and says that it may have meant ${network}`, () => {
      assert.strictEqual(right(text), `${network}, or that address without a length`)
      assert.strictEqual(parsed(network), network)
    })
  }

  const refusals = [
    "",
    " ",
    "ANY",
    "*",
    "localhost",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "010.0.0.0/8",
    "10.0.0.0 /8",
    " 10.0.0.0/8",
    "10.0.0.0/8\n",
    "10.0.0.0/1e1",
    "/8",
    "10.0.0.0:80",
    "::/129",
    "[::1]",
    "fe80::1%eth0",
    "fe80::%eth0/10",
    "1::2::3",
    "::/٣"
  ]
  for (const text of refusals) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.strictEqual(right(text), Prefix.PREFIX_RIGHT)
    })
  }

  const holds: ReadonlyArray<readonly [string, string, boolean]> = [
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.0.0.0/8", "::ffff:a01:203", true],
    ["10.0.0.0/8", "::ffff:11.0.0.0", false],
    ["10.0.0.0/8", "::10.0.0.1", false],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::ffff:1.2.3.4", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "::1", true],
    ["::/0", "1.2.3.4", false],
    ["::/0", "::ffff:1.2.3.4", false],
    ["::/90", "1.2.3.4", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::", false],
    ["fe80::/10", "fe80::1%eth0", true],
    ["fe80::1", "fe80::1%eth0", true],
    ["10.0.0.0/8", "::ffff:10.0.0.1%eth0", true],
    ["fe80::/10", "fec0::1%eth0", false],
    ["0.0.0.0/0", "example.com", false],
    ["::/0", "example.com", false],
    ["any", "example.com", true],
    ["any", "1.2.3.4", true],
    ["any", "::1", true]
  ]
  for (const [prefix, host, expected] of holds) {
    it(`${prefix} ${expected ? "holds" : "does not hold"} for ${host}`, () => {
      assert.strictEqual(has(prefix, host), expected)
    })
  }

  it("a set holds for what one of its prefixes holds for, and the empty one for nothing", () => {
    const set = new Prefix.PrefixSet()
    for (const host of ["10.0.0.1", "::1", "example.com"]) assert.isFalse(set.has(Prefix.address(host)))
    set.add(parsed("10.0.0.0/8"))
    set.add(parsed("2001:db8::/32"))
    for (const host of ["10.0.0.1", "2001:db8::1"]) assert.isTrue(set.has(Prefix.address(host)))
    for (const host of ["11.0.0.1", "::1", "example.com"]) assert.isFalse(set.has(Prefix.address(host)))
    set.add(Prefix.any)
    for (const host of ["11.0.0.1", "::1", "example.com"]) assert.isTrue(set.has(Prefix.address(host)))
  })

  it("agrees, bit by bit, with a plain model", () => {
    const random = Random.make(20181)
    const bits = (groups: ReadonlyArray<number>, size: number) =>
      groups.map((group) => group.toString(2).padStart(size, "0")).join("")
    for (let round = 0; round < 2000; round++) {
      const [count, size] = random(2) === 0 ? [4, 8] as const : [8, 16] as const
      const write = (groups: ReadonlyArray<number>) =>
        groups.map((group) => group.toString(size === 8 ? 10 : 16)).join(size === 8 ? "." : ":")
      const groups = Array.from({ length: count }, () => random(2 ** size))
      const length = random(count * size + 1)
      const kept = bits(groups, size).slice(0, length)
      const cut = Array.from(
        { length: count },
        (_, n) => Number.parseInt(kept.padEnd(count * size, "0").slice(n * size, (n + 1) * size), 2)
      )
      const prefix = `${write(cut)}/${length}`
      // an address that differs from the network at one place, within the prefix or beyond it
      const place = random(count * size)
      const near = cut.map((group, n) =>
        n === Math.floor(place / size) ? group ^ (1 << (size - 1 - place % size)) : group
      )
      assert.strictEqual(has(prefix, write(groups)), true, `${prefix} ${write(groups)}`)
      assert.strictEqual(has(prefix, write(near)), place >= length, `${prefix} ${write(near)}`)
      if (write(cut) !== write(groups)) {
        assert.strictEqual(right(`${write(groups)}/${length}`), `${parsed(prefix)}, or that address without a length`)
      }
    }
  })
})
