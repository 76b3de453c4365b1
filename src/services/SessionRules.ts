/**
 * Session rules and denied sources of a host, which may change at any time. A change counts from the next decision on:
 * sessions that are there stay.
 *
 * What a rule matches is written in `SessionRule.ts`, and which of several holds in `RuleTable.ts`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  InvalidRule,
  type RuleEntry,
  type RuleHandle,
  type RuleInput,
  type RuleVerdict
} from "../domain/admission/SessionRule.ts"
import type { Prefix } from "../domain/net/Prefix.ts"

/**
 * There is a rule that matches the very same, or the source is denied already.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyExists extends Schema.TaggedError<AlreadyExists>()("AlreadyExists", {
  /** The rule in one line, or the source. */
  what: Schema.String
}) {
  override get message(): string {
    return `there is one already for the very same: ${this.what}`
  }
}

/**
 * There are as many as there may be.
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
 * A rule, or a source, that was not taken: nothing has changed.
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
 * The handle is of no rule that there is.
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
 * The very source is not on the deny list; one that covers it may be.
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
 * @category services
 * @since 0.1.0
 */
export class SessionRules extends Context.Service<SessionRules, {
  /** Puts a rule in force, which is decoded first: a rule of a program's own is as good as one from outside. */
  readonly add: (rule: RuleInput) => Effect.Effect<RuleHandle, RuleError>
  readonly remove: (rule: RuleHandle) => Effect.Effect<void, NoSuchRule>
  /** The rules in the order in which they are looked at: the most specific first. */
  readonly list: Effect.Effect<ReadonlyArray<RuleEntry>>
  /** Denies every connection from these addresses at accept, before the rules are asked. */
  readonly denySource: (prefix: string) => Effect.Effect<void, RuleError>
  /** Takes this very prefix from the deny list. */
  readonly allowSource: (prefix: string) => Effect.Effect<void, NotDenied>
  readonly denied: Effect.Effect<ReadonlyArray<Prefix>>
  /** Whether every session is allowed, so that nobody needs to ask. */
  readonly isEmpty: boolean
  /**
   * What becomes of a session of an application in `namespace`. Synchronous. `local` and `remote` are the texts of its
   * endpoints as `Endpoint.format` writes them; `local` is empty for a connect that gives no source.
   */
  readonly decide: (on: "accept" | "connect", namespace: string, local: string, remote: string) => RuleVerdict
}>()("sluice/services/SessionRules") {}
