import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Certificate from "../../../src/domain/net/Certificate.ts"
import * as ServerName from "../../../src/domain/net/ServerName.ts"
import * as Pem from "../../support/Pem.ts"

const decoded = (input: unknown) => Result.getOrThrow(Certificate.decode(input, Pem.now))

describe("ServerName", () => {
  const covered: Readonly<Record<"chain" | "wildcard" | "named" | "odd", ReadonlyArray<string>>> = {
    chain: ["chain.test", "CHAIN.test", "chain.test.", "www.chain.test", "127.0.0.1", "2001:db8::1", "2001:DB8:0::0:1"],
    wildcard: ["a.wild.test", "A.Wild.Test", "a-b.wild.test", "xn--bcher-kva.wild.test"],
    named: ["named.test", "NAMED.TEST"],
    odd: ["odd.test"]
  }
  const others = [
    "",
    ".",
    "..",
    " ",
    "test",
    "other.test",
    "a.chain.test",
    ".chain.test",
    "chain.test..",
    "chain.test\0",
    "chain.test\0.evil.test",
    "chain.test\n",
    "chain.test, DNS:evil.test",
    "*.chain.test",
    "wild.test",
    ".wild.test",
    "a.b.wild.test",
    "_a.wild.test",
    "*.wild.test",
    "-.wild.test",
    "ä.wild.test",
    "a/b.wild.test",
    "a.wild.test:443",
    "[::1]",
    "::1",
    "fe80::1%eth0",
    "127.0.0.2",
    "127.1",
    "Leaf",
    "Wildcard",
    "a.named.test",
    "cn.odd.test",
    "evil.test",
    "a.test",
    "dot.test",
    "a.dot.test",
    "part.test",
    "pa.part.test",
    `${"a".repeat(63)}.`.repeat(5),
    `${"a".repeat(300)}.wild.test`
  ]

  for (const name of ["chain", "wildcard", "named", "odd"] as const) {
    it(`W19 ${name} covers its own names and no other`, () => {
      const known = decoded(Pem.pair(name))
      const all = [...Object.values(covered).flat(), ...others]
      assert.deepStrictEqual(all.filter((host) => ServerName.covers(known.leaf, host)), [...covered[name]])
    })

    it(`W19 ${name} is found in an index by every name that it covers`, () => {
      const { hosts } = decoded(Pem.pair(name))
      for (const host of covered[name]) {
        assert.isTrue(ServerName.wanted(host).some((key) => hosts.includes(key)), host)
      }
    })
  }

  it("W19 looks for a name before the wildcard that stands for it", () => {
    assert.deepStrictEqual(ServerName.wanted("WWW.a.test."), ["www.a.test", "*.a.test"])
    assert.deepStrictEqual(ServerName.wanted("localhost"), ["localhost"])
    assert.deepStrictEqual(ServerName.wanted("10.0.0.1"), ["10.0.0.1"])
    assert.deepStrictEqual(ServerName.wanted("2001:DB8:0:0:0:0:0:1"), ["2001:db8::1"])
    for (const none of ["", ".", ".a.test", "*.a.test", "a b", "fe80::1%eth0"]) {
      assert.deepStrictEqual(ServerName.wanted(none), [])
    }
  })

  it("W19 of several certificates for a name the first is chosen, of those with the name itself before wildcards", () => {
    const of = (name: typeof Pem.names[number], as: string) => ({ as, certificate: decoded(Pem.pair(name)) })
    const choose = (entries: ReadonlyArray<ReturnType<typeof of>>, serverName?: string) =>
      new ServerName.ByServerName(entries, ({ certificate }) => certificate).choose(serverName)?.as
    const all = [of("chain", "chain"), of("wildcard", "wildcard"), of("exact", "exact"), of("exact", "exact again")]
    const exact = all[2]!.certificate.info.names.dns[0]!
    assert.match(exact, /^\w+\.wild\.test$/)
    assert.strictEqual(choose(all, exact), "exact")
    assert.strictEqual(choose(all.slice(0, 2), exact), "wildcard")
    assert.strictEqual(choose([...all].reverse(), exact), "exact again")
    assert.strictEqual(choose(all, "another.wild.test"), "wildcard")
    for (const other of [undefined, "other.test", "", "*.wild.test"]) assert.strictEqual(choose(all, other), "chain")
    assert.isUndefined(choose([], exact))
    assert.isUndefined(choose([]))
  })
})
