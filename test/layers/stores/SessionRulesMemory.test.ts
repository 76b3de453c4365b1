import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RuleHandle, RuleInput } from "../../../src/domain/admission/SessionRule.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { SessionRules } from "../../../src/services/SessionRules.ts"

const fresh = Effect.provide(SessionRulesMemory.layer)
const LOCAL = "tcp://192.0.2.1:80"
const REMOTE = "tcp://10.0.0.1:4711"

describe("SessionRules", () => {
  it.effect("a change counts from the next decision on", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      const verdict = () => rules.decide("accept", "default", LOCAL, REMOTE)
      assert.isTrue(rules.isEmpty)
      assert.deepStrictEqual(verdict(), { _tag: "Allow" })
      const first = yield* rules.add({ remote: "10.0.0.0/8", action: "deny", tag: "lan" })
      assert.isFalse(rules.isEmpty)
      assert.deepStrictEqual(verdict(), { _tag: "Deny", by: "rule 0.0 (lan)" })
      const second = yield* rules.add({ remote: "10.0.0.1", action: "app:other" })
      assert.deepStrictEqual(verdict(), { _tag: "Redirect", app: "other" })
      yield* rules.denySource("10.0.0.0/8")
      assert.deepStrictEqual(verdict(), { _tag: "Deny", by: "source" })
      yield* rules.allowSource("10.0.0.0/8")
      yield* rules.remove(second)
      assert.deepStrictEqual(verdict(), { _tag: "Deny", by: "rule 0.0 (lan)" })
      yield* rules.remove(first)
      assert.deepStrictEqual(verdict(), { _tag: "Allow" })
      assert.isTrue(rules.isEmpty)
    }).pipe(fresh))

  it.effect("rules and sources are listed, and what is listed can be added again", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      yield* rules.add({ action: "deny" })
      const handle = yield* rules.add({ on: "accept", localPort: "80", remote: "10.0.0.0/8", action: "allow" })
      yield* rules.denySource("::ffff:10.0.0.0/104")
      assert.deepStrictEqual((yield* rules.denied).map(String), ["10.0.0.0/8"])
      const [entry, other] = yield* rules.list
      assert.strictEqual(entry?.handle, handle)
      assert.strictEqual(entry?.rule.localPort, 80)
      assert.strictEqual(other?.rule.action, "deny")
      yield* rules.remove(handle)
      yield* rules.add(entry!.rule)
    }).pipe(fresh))

  it.effect("a rule that is not well formed is refused, and nothing changes", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      const error = yield* Effect.flip(rules.add({ action: "drop", remote: "10.1.2.3/8" } as unknown as RuleInput))
      assert.strictEqual(error.reason._tag, "InvalidRule")
      assert.strictEqual(
        error.message,
        `can't add the rule: remote: got "10.1.2.3/8"; it must be 10.0.0.0/8, or that address without a length\n`
          + `action: got "drop"; it must be "allow", "deny", or "app:" and the name of an application`
      )
      assert.isTrue(rules.isEmpty)
    }).pipe(fresh))

  it.effect("a rule that is there is not added again", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      yield* rules.add({ remotePort: 25, action: "deny" })
      const error = yield* Effect.flip(rules.add({ remotePort: 25, action: "allow" }))
      assert.strictEqual(error.reason._tag, "AlreadyExists")
      assert.strictEqual(
        error.message,
        "can't add the rule: there already is one for exactly the same: allow both any local any remote any:25"
      )
      assert.strictEqual((yield* rules.list).length, 1)
    }).pipe(fresh))

  it.effect("a handle that is stale, or was never one, removes nothing", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      const stale = yield* rules.add({ action: "deny" })
      yield* rules.remove(stale)
      const present = yield* rules.add({ action: "deny" })
      assert.strictEqual(Handle.index(present), Handle.index(stale))
      for (const handle of [stale, Handle.make<RuleHandle>(9, 0), NaN as RuleHandle]) {
        assert.strictEqual((yield* Effect.flip(rules.remove(handle)))._tag, "NoSuchRule")
      }
      assert.strictEqual((yield* Effect.flip(rules.remove(stale))).message, `no rule ${Handle.format(stale)}`)
      assert.strictEqual((yield* rules.list).length, 1)
    }).pipe(fresh))

  it.effect("a source is denied once, and allowed once", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      yield* rules.denySource("10.0.0.0/8")
      const again = yield* Effect.flip(rules.denySource("10.0.0.0/8"))
      assert.strictEqual(again.message, "can't deny the source: there already is one for exactly the same: 10.0.0.0/8")
      const within = yield* Effect.flip(rules.allowSource("10.0.0.1"))
      assert.strictEqual(within.message, "10.0.0.1 is not on the deny list")
      assert.strictEqual((yield* Effect.flip(rules.allowSource("lan")))._tag, "NotDenied")
      const invalid = yield* Effect.flip(rules.denySource("lan"))
      assert.strictEqual(invalid.reason._tag, "InvalidRule")
      assert.include(invalid.message, `can't deny the source: source: got "lan"; it must be "any", an address,`)
      assert.deepStrictEqual((yield* rules.denied).map(String), ["10.0.0.0/8"])
      yield* rules.allowSource("10.0.0.0/8")
      assert.strictEqual((yield* Effect.flip(rules.allowSource("10.0.0.0/8")))._tag, "NotDenied")
    }).pipe(fresh))

  it.effect("rules are bounded in number", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      for (let port = 1; port <= 1024; port++) yield* rules.add({ remotePort: port, action: "deny" })
      const error = yield* Effect.flip(rules.add({ action: "deny" }))
      assert.strictEqual(error.message, "can't add the rule: there are 1024 already, which is the limit")
    }).pipe(fresh))
})
