import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Rules from "../../../src/domain/admission/SessionRule.ts"
import * as Prefix from "../../../src/domain/net/Prefix.ts"

const decoded = (input: unknown): Rules.Rule => Result.getOrThrow(Rules.decode(input))
const problems = (input: unknown): ReadonlyArray<string> => Result.getOrThrow(Result.flip(Rules.decode(input))).problems

describe("a rule", () => {
  it("matches everything but what it says", () => {
    assert.deepStrictEqual(decoded({ action: "deny" }), {
      on: "both",
      transport: "any",
      local: Prefix.any,
      localPort: 0,
      remote: Prefix.any,
      remotePort: 0,
      action: "deny",
      perSource: "limited"
    })
  })

  it("is made of text, as it comes from flags, and is decoded to the same again", () => {
    const rule = decoded({
      on: "accept",
      local: "0.0.0.0/0",
      localPort: "80",
      remote: "::ffff:10.0.0.0/104",
      remotePort: 1024,
      action: "app:billing",
      namespace: "blue",
      tag: "lan"
    })
    assert.strictEqual(rule.localPort, 80)
    assert.strictEqual(rule.remote, "10.0.0.0/8")
    assert.deepStrictEqual(decoded(rule), rule)
    assert.deepStrictEqual(decoded(Schema.encodeSync(Rules.Rule)(rule)), rule)
    assert.deepStrictEqual(decoded(JSON.parse(JSON.stringify(rule))), rule)
  })

  const refusals: ReadonlyArray<readonly [unknown, string]> = [
    [{ action: "drop" }, `action: got "drop"; it must be "allow", "deny", or "app:" and the name of an application`],
    [{ action: "app:" }, `action: got "app:"; it must be "allow", "deny", or "app:" and the name of an application`],
    [{}, `action: the default is none; it must be "allow", "deny", or "app:" and the name of an application`],
    [{ action: "deny", on: "listen" }, `on: got "listen"; it must be "accept", "connect" or "both"`],
    [{ action: "deny", transport: "unix" }, `transport: got "unix"; it must be "any", "tcp", "tls" or "udp"`],
    [{ action: "deny", remote: "lan" }, `remote: got "lan"; it must be ${Prefix.PREFIX_RIGHT}`],
    [{ action: "deny", remote: 10 }, `remote: got 10; it must be ${Prefix.PREFIX_RIGHT}`],
    [
      { action: "deny", local: "10.1.2.3/8" },
      `local: got "10.1.2.3/8"; it must be 10.0.0.0/8, or that address without a length`
    ],
    [
      { action: "deny", localPort: 65536 },
      "localPort: got 65536; it must be 0 (any), or a whole number from 1 to 65535"
    ],
    [
      { action: "deny", remotePort: "http" },
      `remotePort: got "http"; it must be 0 (any), or a whole number from 1 to 65535`
    ],
    [{ action: "deny", remotPort: 80 }, "remotPort: there is no such option; did you mean remotePort?"],
    [
      { action: "deny", tag: "" },
      `tag: got ""; it must be a text of 1 to 64 characters, without control characters, and without spaces at either end`
    ],
    [
      { action: "deny", perSource: "exempt" },
      `perSource: got "exempt"; it must be "limited" in a rule that denies, or is for connects alone`
    ],
    [
      { action: "allow", on: "connect", perSource: "exempt" },
      `perSource: got "exempt"; it must be "limited" in a rule that denies, or is for connects alone`
    ],
    [
      { action: "deny", priority: "low" },
      `priority: got "low"; it must be left out of a rule that denies, or is for connects alone`
    ],
    [{ action: "allow", priority: "top" }, `priority: got "top"; it must be "low", "normal" or "high"`],
    ["deny", "options: got a value of type string; they must be an object"]
  ]
  for (const [input, message] of refusals) {
    it(`is refused: ${message}`, () => {
      assert.deepStrictEqual(problems(input), [message])
    })
  }

  it("has all its problems told at once", () => {
    assert.strictEqual(problems({ action: "drop", remote: "lan", on: "listen" }).length, 3)
  })

  it("is written in one line", () => {
    assert.strictEqual(Rules.format(decoded({ action: "deny" })), "deny both any local any remote any")
    assert.strictEqual(
      Rules.format(decoded({ on: "accept", localPort: 80, remote: "10.0.0.0/8", action: "app:b", namespace: "n" })),
      "app:b accept any local any:80 remote 10.0.0.0/8 namespace n"
    )
    assert.strictEqual(
      Rules.format(decoded({ on: "connect", remote: "2001:db8::/32", remotePort: 443, action: "allow" })),
      "allow connect any local any remote [2001:db8::/32]:443"
    )
    assert.strictEqual(
      Rules.format(decoded({ remote: "10.0.0.9", action: "allow", priority: "high", perSource: "exempt" })),
      "allow, high, exempt both any local any remote 10.0.0.9"
    )
  })
})
