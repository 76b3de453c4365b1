/** Session rules in the memory of the host. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { MAX_DENIED, MAX_RULES, RuleTable } from "../../domain/admission/RuleTable.ts"
import * as Rules from "../../domain/admission/SessionRule.ts"
import * as Prefix from "../../domain/net/Prefix.ts"
import * as Handle from "../../domain/state/Handle.ts"
import {
  AlreadyExists,
  NoSuchRule,
  NotDenied,
  type RuleChange,
  RuleError,
  SessionRules,
  TooMany
} from "../../services/SessionRules.ts"
import { Observers } from "./Observers.ts"

const failed = (operation: RuleError["operation"], reason: RuleError["reason"]) => new RuleError({ operation, reason })

/** A host starts without rules and with an empty deny list. */
export const layer: Layer.Layer<SessionRules> = Layer.sync(SessionRules, () => {
  const table = new RuleTable()
  const { observe, tell } = new Observers<RuleChange>()

  return SessionRules.of({
    add: Effect.fn("SessionRules.add")(function*(input: Rules.RuleInput) {
      const rule = yield* Effect.mapError(
        Effect.fromResult(Rules.decode(input)),
        (reason) => failed("add", reason)
      )
      const added = table.add(rule)
      if (added === "exists") return yield* failed("add", new AlreadyExists({ what: Rules.format(rule) }))
      if (added === "full") return yield* failed("add", new TooMany({ limit: MAX_RULES }))
      tell({ kind: "rule-added", entry: { handle: added, rule } })
      return added
    }),
    remove: Effect.fn("SessionRules.remove")(function*(handle: Rules.RuleHandle) {
      const entry = table.rules.find((entry) => entry.handle === handle)
      if (entry === undefined) return yield* new NoSuchRule({ rule: Handle.format(handle) })
      table.remove(handle)
      tell({ kind: "rule-removed", entry })
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
      tell({ kind: "source-denied", source: prefix })
    }),
    allowSource: Effect.fn("SessionRules.allowSource")(function*(input: string) {
      const prefix = Prefix.parse(input)
      if (Result.isFailure(prefix) || !table.allowSource(prefix.success)) {
        return yield* new NotDenied({ source: input.slice(0, 64) })
      }
      tell({ kind: "source-allowed", source: prefix.success })
    }),
    denied: Effect.sync(() => table.denied),
    observe,
    get isEmpty() {
      return table.isEmpty
    },
    decide: (on, namespace, local, remote) => table.decide(on, namespace, local, remote)
  })
})
