/**
 * Session rules and denied sources of a host, which may change at any time. A change counts from the next decision on:
 * sessions that exist already stay.
 *
 * What a rule matches is described in `SessionRule.ts`, and which of several rules holds in `RuleTable.ts`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import {
  InvalidRule,
  type RuleEntry,
  type RuleHandle,
  type RuleInput,
  type RuleVerdict
} from "../domain/admission/SessionRule.ts"
import type { Prefix } from "../domain/net/Prefix.ts"

/**
 * A rule that matches exactly the same exists already, or the source is denied already.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyExists extends Schema.TaggedError<AlreadyExists>()("AlreadyExists", {
  /** The rule in one line, or the source. */
  what: Schema.String
}) {
  override get message(): string {
    return `there already is one for exactly the same: ${this.what}`
  }
}

/**
 * There are as many rules, or denied sources, as there may be.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooMany extends Schema.TaggedError<TooMany>()("TooMany", {
  limit: Schema.Int
}) {
  override get message(): string {
    return `there are ${this.limit} already, which is the limit`
  }
}

/**
 * A rule or a source was not taken: nothing has changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class RuleError extends Schema.TaggedError<RuleError>()("RuleError", {
  operation: Schema.Literals(["add", "deny"]),
  reason: Schema.Union([InvalidRule, AlreadyExists, TooMany])
}) {
  override get message(): string {
    return `can't ${this.operation === "add" ? "add the rule" : "deny the source"}: ${this.reason.message}`
  }
}

/**
 * The handle is not that of an existing rule.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchRule extends Schema.TaggedError<NoSuchRule>()("NoSuchRule", {
  rule: Schema.String
}) {
  override get message(): string {
    return `no rule ${this.rule}`
  }
}

/**
 * Exactly this source is not on the deny list; one that covers it may be.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotDenied extends Schema.TaggedError<NotDenied>()("NotDenied", {
  source: Schema.String
}) {
  override get message(): string {
    return `${this.source} is not on the deny list`
  }
}

/**
 * A change of the rules or of the deny list.
 *
 * @category models
 * @since 0.1.0
 */
export type RuleChange =
  | { readonly kind: "rule-added" | "rule-removed"; readonly entry: RuleEntry }
  | { readonly kind: "source-denied" | "source-allowed"; readonly source: Prefix }

/**
 * @category services
 * @since 0.1.0
 */
export class SessionRules extends Context.Service<SessionRules, {
  /** Decodes a rule and puts it in force: one from the program itself is checked like one from outside. */
  readonly add: (rule: RuleInput) => Effect.Effect<RuleHandle, RuleError>
  readonly remove: (rule: RuleHandle) => Effect.Effect<void, NoSuchRule>
  /** The rules in the order in which they are looked at: the most specific first. */
  readonly list: Effect.Effect<ReadonlyArray<RuleEntry>>
  /** Denies every connection from these addresses at accept, before the rules are asked. */
  readonly denySource: (prefix: string) => Effect.Effect<void, RuleError>
  /** Takes exactly this prefix off the deny list. */
  readonly allowSource: (prefix: string) => Effect.Effect<void, NotDenied>
  readonly denied: Effect.Effect<ReadonlyArray<Prefix>>
  /** Calls `hear` with each change, in the call that makes it, until the scope closes. */
  readonly observe: (hear: (change: RuleChange) => void) => Effect.Effect<void, never, Scope.Scope>
  /** Whether there are no rules and no denied sources: every session is allowed, and nobody needs to ask. */
  readonly isEmpty: boolean
  /**
   * What becomes of a session of an application in `namespace`. Synchronous. `local` and `remote` are the texts of its
   * endpoints as `Endpoint.format` writes them; `local` is empty for a connect that gives no source.
   */
  readonly decide: (on: "accept" | "connect", namespace: string, local: string, remote: string) => RuleVerdict
}>()("sluice/services/SessionRules") {}
