import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as SessionRule from "../../../src/domain/admission/SessionRule.ts"
import * as RulesCommand from "../../../src/layers/cli/RulesCommand.ts"

const entry = (handle: string, input: unknown) => ({
  handle,
  rule: Result.getOrThrow(SessionRule.decode(input))
})

describe("RulesCommand", () => {
  it("says so when there are no rules", () => {
    assert.strictEqual(RulesCommand.format([]), "no session rules")
  })

  it("lists rules as they come, with ports after prefixes", () => {
    assert.strictEqual(
      RulesCommand.format([
        entry("3.1", { action: "deny", on: "accept", remote: "2001:db8::/32", remotePort: 80, tag: "mine" }),
        entry("0.0", { action: "app:billing", transport: "tls", localPort: 443, namespace: "shop" })
      ]),
      [
        "Rule  On        Local    Remote              Action       Namespace  Tag",
        "3.1   accept    any      [2001:db8::/32]:80  deny         -          mine",
        "0.0   both tls  any:443  any                 app:billing  shop       -"
      ].join("\n")
    )
  })

  it("fits 80 columns, however long names are", () => {
    const name = "n".repeat(64)
    const long = entry("1023.9999", {
      action: `app:${name}`,
      on: "connect",
      transport: "udp",
      remote: "2001:db8:1111:2222:3333:4444:5555:6666",
      namespace: name,
      tag: name
    })
    for (const line of RulesCommand.format([long]).split("\n")) assert.isAtMost(line.length, 80, line)
  })
})
