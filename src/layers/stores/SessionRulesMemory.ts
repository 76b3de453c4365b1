/** Session rules in the memory of the host. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { MAX_DENIED, MAX_RULES, RuleTable } from "../../domain/admission/RuleTable.ts"
import * as Rules from "../../domain/admission/SessionRule.ts"
import * as Prefix from "../../domain/net/Prefix.ts"
import * as Handle from "../../domain/state/Handle.ts"
import { AlreadyExists, NoSuchRule, NotDenied, RuleError, SessionRules, TooMany } from "../../services/SessionRules.ts"

const failed = (operation: RuleError["operation"], reason: RuleError["reason"]) => new RuleError({ operation, reason })

/** A host starts without rules and with an empty deny list. */
export const layer: Layer.Layer<SessionRules> = Layer.sync(SessionRules, () => {
  const table = new RuleTable()

  return SessionRules.of({
    add: Effect.fn("SessionRules.add")(function*(input: Rules.RuleInput) {
      const rule = yield* Effect.mapError(
        Effect.fromResult(Rules.decode(input)),
        (reason) => failed("add", reason)
      )
      const added = table.add(rule)
      if (added === "exists") return yield* failed("add", new AlreadyExists({ what: Rules.format(rule) }))
      if (added === "full") return yield* failed("add", new TooMany({ limit: MAX_RULES }))
      return added
    }),
    remove: Effect.fn("SessionRules.remove")(function*(handle: Rules.RuleHandle) {
      if (!table.remove(handle)) return yield* new NoSuchRule({ rule: Handle.format(handle) })
    }),
    list: Effect.sync(() => table.rules),
    denySource: Effect.fn("SessionRules.denySource")(function*(input: string) {
      const prefix = yield* Effect.mapError(
        Effect.fromResult(Rules.decodeSource(input)),
        (reason) => failed("deny", reason)
      )
      const refused = table.denySource(prefix)
      if (refused === "exists") return yield* failed("deny", new AlreadyExists({ what: prefix }))
      if (refused === "full") return yield* failed("deny", new TooMany({ limit: MAX_DENIED }))
    }),
    allowSource: Effect.fn("SessionRules.allowSource")(function*(input: string) {
      const prefix = Prefix.parse(input)
      if (Result.isFailure(prefix) || !table.allowSource(prefix.success)) {
        return yield* new NotDenied({ source: input.slice(0, 64) })
      }
    }),
    denied: Effect.sync(() => table.denied),
    get isEmpty() {
      return table.isEmpty
    },
    decide: (on, namespace, local, remote) => table.decide(on, namespace, local, remote)
  })
})
