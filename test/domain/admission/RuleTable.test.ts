import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { MAX_RULES, RuleTable } from "../../../src/domain/admission/RuleTable.ts"
import * as Rules from "../../../src/domain/admission/SessionRule.ts"
import * as Prefix from "../../../src/domain/net/Prefix.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Random from "../../support/random.ts"

const decoded = (input: unknown): Rules.Rule => Result.getOrThrow(Rules.decode(input))

const tableOf = (...rules: ReadonlyArray<Rules.RuleInput>): RuleTable => {
  const table = new RuleTable()
  for (const rule of rules) assert.isNumber(table.add(decoded(rule)))
  return table
}

const HERE = "tcp://192.0.2.1:80"

/** What becomes of a connection from `remote` to `local`, in a word. */
const accept = (table: RuleTable, remote: string, local = HERE, namespace = "default"): string =>
  word(table.decide("accept", namespace, local, remote))

const connect = (table: RuleTable, remote: string, local = "", namespace = "default"): string =>
  word(table.decide("connect", namespace, local, remote))

const word = (verdict: Rules.RuleVerdict): string =>
  verdict._tag === "Redirect" ? verdict.app : verdict._tag === "Deny" ? `deny by ${verdict.by}` : "allow"

describe("RuleTable", () => {
  describe("decides", () => {
    it("that everything is allowed while there are no rules", () => {
      const table = tableOf()
      assert.isTrue(table.isEmpty)
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "allow")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:1"), "allow")
    })

    it("by the addresses and ports of both ends", () => {
      const table = tableOf({ local: "192.0.2.0/24", localPort: 80, remote: "10.0.0.0/8", action: "deny" })
      assert.isFalse(table.isEmpty)
      assert.strictEqual(accept(table, "tcp://10.1.2.3:4711"), "deny by rule 0.0")
      assert.strictEqual(accept(table, "tcp://11.1.2.3:4711"), "allow")
      assert.strictEqual(accept(table, "tcp://10.1.2.3:4711", "tcp://192.0.2.1:81"), "allow")
      assert.strictEqual(accept(table, "tcp://10.1.2.3:4711", "tcp://192.0.3.1:80"), "allow")
    })

    it("by the remote port, which for a connect is where it goes", () => {
      const table = tableOf({ on: "connect", remotePort: 25, action: "deny", tag: "no mail" })
      assert.strictEqual(connect(table, "tcp://10.0.0.1:25"), "deny by rule 0.0 (no mail)")
      assert.strictEqual(connect(table, "tcp://mail.example.com:25"), "deny by rule 0.0 (no mail)")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:26"), "allow")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:2525"), "allow")
    })

    it("by the source of a connect, if it gives one", () => {
      const table = tableOf(
        { on: "connect", local: "192.0.2.0/24", action: "app:a" },
        { on: "connect", localPort: 20, action: "app:b" }
      )
      assert.strictEqual(connect(table, "tcp://10.0.0.1:25", "tcp://192.0.2.9:0"), "a")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:25", "tcp://10.0.0.9:20"), "b")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:25", "tcp://10.0.0.9:0"), "allow")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:25"), "allow")
    })

    it("for accepts, for connects, or for both", () => {
      for (const on of ["accept", "connect", "both"] as const) {
        const table = tableOf({ on, action: "app:other" })
        assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), on === "connect" ? "allow" : "other")
        assert.strictEqual(connect(table, "tcp://10.0.0.1:1"), on === "accept" ? "allow" : "other")
      }
    })

    it("for the applications of one namespace, or for all", () => {
      const table = tableOf({ namespace: "blue", action: "app:blue" }, { remotePort: 1, action: "app:all" })
      assert.strictEqual(accept(table, "tcp://10.0.0.1:2", HERE, "blue"), "blue")
      assert.strictEqual(accept(table, "tcp://10.0.0.1:2", HERE, "green"), "allow")
      for (const namespace of ["blue", "green"]) {
        assert.strictEqual(accept(table, "tcp://10.0.0.1:1", HERE, namespace), "all")
      }
    })

    it("nothing of sessions that have no addresses", () => {
      const table = tableOf({ action: "deny" })
      for (const remote of ["local://billing", "unix:///run/app.sock", "unix://"]) {
        assert.strictEqual(connect(table, remote), "allow")
        assert.strictEqual(accept(table, remote, "unix:///run/app.sock"), "allow")
      }
    })

    it("of one transport, or of all that have addresses", () => {
      const table = tableOf({ transport: "udp", action: "app:datagrams" }, { remotePort: 1, action: "deny" })
      assert.strictEqual(accept(table, "udp://10.0.0.1:2", "udp://192.0.2.1:53"), "datagrams")
      assert.strictEqual(accept(table, "tcp://10.0.0.1:2"), "allow")
      assert.strictEqual(accept(table, "tls://10.0.0.1:2", "tls://192.0.2.1:443"), "allow")
      for (const transport of ["tcp", "tls", "udp"]) {
        assert.strictEqual(connect(table, `${transport}://10.0.0.1:1`), "deny by rule 1.0")
      }
    })

    it("an IPv4 address that is written as IPv6 like any IPv4 address", () => {
      const table = tableOf({ remote: "10.0.0.0/8", action: "app:four" }, { remote: "::/0", action: "app:six" })
      for (const host of ["10.1.2.3", "[::ffff:10.1.2.3]", "[0:0:0:0:0:ffff:a01:203]"]) {
        assert.strictEqual(accept(table, `tcp://${host}:1`), "four")
      }
      assert.strictEqual(accept(table, "tcp://11.1.2.3:1"), "allow")
      assert.strictEqual(accept(table, "tcp://[::ffff:11.1.2.3]:1"), "allow")
      assert.strictEqual(accept(table, "tcp://[::1]:1"), "six")
    })

    it("an address with a zone by the address", () => {
      const table = tableOf({ remote: "fe80::/10", action: "deny" })
      assert.strictEqual(accept(table, "tcp://[fe80::1%eth0]:1"), "deny by rule 0.0")
      assert.strictEqual(accept(table, "tcp://[2001:db8::1]:1"), "allow")
    })

    it("a connect by name by rules for any address alone", () => {
      const table = tableOf(
        { remote: "0.0.0.0/0", action: "deny" },
        { remote: "::/0", action: "deny" },
        { remotePort: 443, action: "app:tls" }
      )
      assert.strictEqual(connect(table, "tcp://example.com:80"), "allow")
      assert.strictEqual(connect(table, "tcp://example.com:443"), "tls")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:443"), "deny by rule 0.0")
    })
  })

  describe("of several rules the most specific holds, whatever their order", () => {
    // each pair matches one session; the second is the more specific one
    const pairs: ReadonlyArray<readonly [string, object, object]> = [
      ["any IPv4 address before any address", {}, { remote: "0.0.0.0/0" }],
      ["the longer remote prefix", { remote: "10.0.0.0/8" }, { remote: "10.0.0.0/9" }],
      ["the longer local prefix", { local: "192.0.0.0/16" }, { local: "192.0.2.0/24" }],
      ["a given remote port", {}, { remotePort: 4711 }],
      ["a given local port", {}, { localPort: 80 }],
      ["a given transport", {}, { transport: "tcp" }],
      ["a given namespace", {}, { namespace: "blue" }],
      ["accept before both", {}, { on: "accept" }],
      ["the remote prefix before the local one", { local: "192.0.2.1" }, { remote: "10.0.0.0/8" }],
      ["the local prefix before ports", { remotePort: 4711, localPort: 80 }, { local: "192.0.0.0/16" }],
      ["the remote port before the local one", { localPort: 80 }, { remotePort: 4711 }],
      ["a port before the transport", { transport: "tcp" }, { localPort: 80 }],
      ["the transport before the namespace", { namespace: "blue" }, { transport: "tcp" }],
      ["a port before the namespace", { namespace: "blue", on: "accept" }, { localPort: 80 }],
      ["the namespace before accept", { on: "accept" }, { namespace: "blue" }]
    ]
    for (const [what, less, more] of pairs) {
      it(what, () => {
        const rules = [{ ...less, action: "app:less" }, { ...more, action: "app:more" }] as const
        for (const order of [rules, rules.toReversed()]) {
          assert.strictEqual(accept(tableOf(...order), "tcp://10.0.0.1:4711", HERE, "blue"), "more")
        }
      })
    }

    it("so an exception is a longer prefix", () => {
      const table = tableOf(
        { action: "deny" },
        { remote: "10.0.0.0/8", action: "allow" },
        { remote: "10.6.6.6", action: "app:honeypot" }
      )
      assert.strictEqual(accept(table, "tcp://11.0.0.1:1"), "deny by rule 0.0")
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "allow")
      assert.strictEqual(accept(table, "tcp://10.6.6.6:1"), "honeypot")
    })

    it("agrees with a plain model, while rules come and go", () => {
      const random = Random.make(553197)
      const pick = <A>(values: ReadonlyArray<A>): A => values[random(values.length)]!
      const prefixes = [
        "any",
        "0.0.0.0/0",
        "0.0.0.0/1",
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.0.0.1",
        "::/0",
        "2001:db8::/32"
      ]
      const hosts = ["10.0.0.1", "10.128.0.1", "192.0.2.1", "[2001:db8::1]", "[::1]", "name.example"]
      const covers = (prefix: string, host: string): boolean => {
        const six = host.startsWith("[")
        const four = /^\d/.test(host)
        switch (prefix) {
          case "any":
            return true
          case "0.0.0.0/0":
            return four
          case "0.0.0.0/1":
          case "10.0.0.0/8":
            return host.startsWith("10.")
          case "10.0.0.0/9":
          case "10.0.0.1":
            return host === "10.0.0.1"
          case "::/0":
            return six
          default:
            return host === "[2001:db8::1]"
        }
      }
      const table = new RuleTable()
      const model = new Map<Rules.RuleHandle, Rules.Rule>()
      const rank = (rule: Rules.Rule): number =>
        [
          prefixes.map((prefix) => Prefix.length(prefix as Prefix.Prefix)).toSorted((a, b) => a - b)
            .indexOf(Prefix.length(rule.remote)),
          Prefix.length(rule.local) + 1,
          Math.sign(rule.remotePort),
          Math.sign(rule.localPort),
          rule.namespace === undefined ? 0 : 1,
          rule.on === "both" ? 0 : 1
        ].reduce((sum, n) => sum * 1000 + n, 0)
      let matches = 0
      for (let round = 0; round < 4000; round++) {
        if (random(4) === 0) {
          const handle = pick([...model.keys(), Handle.make<Rules.RuleHandle>(random(20), random(3))])
          assert.strictEqual(table.remove(handle), model.delete(handle))
        } else if (random(3) === 0) {
          const namespace = pick([undefined, "blue"])
          const rule = decoded({
            on: pick(["accept", "connect", "both"]),
            local: pick(prefixes),
            localPort: pick([0, 80]),
            remote: pick(prefixes),
            remotePort: pick([0, 80]),
            action: `app:${round}`,
            ...(namespace === undefined ? {} : { namespace })
          })
          const same = [...model.values()].some((other) =>
            Rules.format({ ...other, action: rule.action }) === Rules.format(rule)
          )
          const added = table.add(rule)
          if (same) assert.strictEqual(added, "exists")
          else model.set(added as Rules.RuleHandle, rule)
        }
        const [on, namespace] = [pick(["accept", "connect"] as const), pick(["blue", "green"])]
        const [here, there] = [pick(hosts), pick(hosts)]
        const [localPort, remotePort] = [pick([80, 81]), pick([80, 81])]
        const expected = [...model.values()].filter((rule) =>
          (rule.on === "both" || rule.on === on)
          && (rule.namespace === undefined || rule.namespace === namespace)
          && (rule.localPort === 0 || rule.localPort === localPort)
          && (rule.remotePort === 0 || rule.remotePort === remotePort)
          && covers(rule.local, here) && covers(rule.remote, there)
        ).toSorted((a, b) => rank(b) - rank(a))[0]?.action ?? "allow"
        const verdict = table.decide(on, namespace, `tcp://${here}:${localPort}`, `tcp://${there}:${remotePort}`)
        assert.strictEqual(verdict._tag === "Redirect" ? `app:${verdict.app}` : "allow", expected, `round ${round}`)
        if (expected !== "allow") matches++
      }
      assert.isAbove(matches, 1000)
      assert.strictEqual(table.rules.length, model.size)
    })
  })

  describe("rules come and go", () => {
    it("two that match the very same can't both be there, whatever they do about it", () => {
      const table = tableOf({ remote: "10.0.0.0/8", action: "deny" })
      for (const remote of ["10.0.0.0/8", "::ffff:10.0.0.0/104"]) {
        assert.strictEqual(table.add(decoded({ remote, action: "allow", tag: "other" })), "exists")
      }
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "deny by rule 0.0")
      assert.isNumber(table.add(decoded({ remote: "10.0.0.0/8", on: "accept", action: "allow" })))
      assert.isNumber(table.add(decoded({ remote: "10.0.0.0/8", namespace: "blue", action: "allow" })))
    })

    it("one that was removed decides nothing, and may be added again under a handle of its own", () => {
      const table = tableOf()
      const rule = decoded({ action: "deny" })
      const first = table.add(rule) as Rules.RuleHandle
      assert.isTrue(table.remove(first))
      assert.isTrue(table.isEmpty)
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "allow")
      const second = table.add(rule) as Rules.RuleHandle
      assert.notStrictEqual(first, second)
      assert.isFalse(table.remove(first))
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), `deny by rule ${Handle.format(second)}`)
    })

    it("are listed in the order in which they are looked at", () => {
      const table = tableOf({ action: "deny" }, { remote: "10.0.0.0/8", action: "allow" }, {
        localPort: 1,
        action: "deny"
      })
      assert.deepStrictEqual(table.rules.map(({ rule }) => Rules.format(rule)), [
        "allow both any local any remote 10.0.0.0/8",
        "deny both any local any:1 remote any",
        "deny both any local any remote any"
      ])
    })

    it("are bounded in number", () => {
      const table = new RuleTable()
      for (let n = 0; n < MAX_RULES; n++) {
        assert.isNumber(table.add({ ...decoded({ action: "deny" }), remotePort: n + 1 }))
      }
      const rule = decoded({ remote: "10.0.0.0/8", action: "deny" })
      assert.strictEqual(table.add(rule), "full")
      assert.isTrue(table.remove(table.rules[0]!.handle))
      assert.isNumber(table.add(rule))
    })
  })

  describe("the deny list", () => {
    const source = (text: string) => Result.getOrThrow(Rules.decodeSource(text))

    it("is asked at accept alone, and before the rules", () => {
      const table = tableOf({ remote: "10.0.0.1", action: "allow" })
      assert.isUndefined(table.denySource(source("10.0.0.0/8")))
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "deny by source")
      assert.strictEqual(accept(table, "tcp://[::ffff:10.0.0.1]:1"), "deny by source")
      assert.strictEqual(accept(table, "tcp://11.0.0.1:1"), "allow")
      assert.strictEqual(connect(table, "tcp://10.0.0.1:1"), "allow")
    })

    it("counts without a rule, and only while there is a source on it", () => {
      const table = new RuleTable()
      table.denySource(source("2001:db8::/32"))
      assert.isFalse(table.isEmpty)
      assert.strictEqual(accept(table, "tcp://[2001:db8::1]:1"), "deny by source")
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "allow")
      assert.isTrue(table.allowSource(source("2001:db8::/32")))
      assert.isTrue(table.isEmpty)
      assert.strictEqual(accept(table, "tcp://[2001:db8::1]:1"), "allow")
    })

    it("changes between decisions", () => {
      const table = new RuleTable()
      const verdicts = () => ["10.0.0.1", "11.0.0.1"].map((host) => accept(table, `tcp://${host}:1`) === "allow")
      table.denySource(source("10.0.0.0/8"))
      assert.deepStrictEqual(verdicts(), [false, true])
      table.denySource(source("11.0.0.0/8"))
      assert.deepStrictEqual(verdicts(), [false, false])
      table.allowSource(source("10.0.0.0/8"))
      assert.deepStrictEqual(verdicts(), [true, false])
      assert.deepStrictEqual(table.denied.map(String), ["11.0.0.0/8"])
    })

    it("knows prefixes, not addresses: what lies within one is not taken from it", () => {
      const table = new RuleTable()
      table.denySource(source("10.0.0.0/8"))
      assert.isFalse(table.allowSource(source("10.0.0.1")))
      assert.strictEqual(table.denySource(source("::ffff:10.0.0.0/104")), "exists")
      assert.isUndefined(table.denySource(source("10.0.0.1")))
      assert.isTrue(table.allowSource(source("10.0.0.0/8")))
      assert.strictEqual(accept(table, "tcp://10.0.0.1:1"), "deny by source")
      assert.strictEqual(accept(table, "tcp://10.0.0.2:1"), "allow")
    })

    it("may hold every source", () => {
      const table = new RuleTable()
      table.denySource(source("any"))
      for (const host of ["10.0.0.1", "[::1]"]) assert.strictEqual(accept(table, `tcp://${host}:1`), "deny by source")
    })

    it("says what is no source", () => {
      assert.strictEqual(
        Result.getOrThrow(Result.flip(Rules.decodeSource("10.1.2.3/8"))).message,
        `source: got "10.1.2.3/8"; it must be 10.0.0.0/8, or that address without a length`
      )
    })
  })
})
