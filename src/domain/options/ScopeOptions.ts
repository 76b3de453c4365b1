/**
 * Options for where an application listens and connects: to the outside, or among the applications of its host.
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { described, rule } from "./OptionFields.ts"

const scopeFlag = (name: string, byDefault: string) =>
  described({
    description: `Whether the application listens and connects in ${name} scope`,
    form: "switch",
    value: "boolean",
    right: "true or false",
    default: byDefault,
    requirement: "W17"
  })

/** The scopes as they are given: a flag may be left out. */
export const ScopeFlags = Schema.Struct({
  /** Whether the application listens and connects through sockets; true unless `local` is true. */
  global: Schema.optional(Schema.Boolean).annotate(scopeFlag("global", "true unless scope.local is true")),
  /** Whether the application listens and connects among the applications of its host, without sockets; false. */
  local: Schema.optional(Schema.Boolean).annotate(scopeFlag("local", "false"))
})

/**
 * The scopes in which an application listens and connects.
 *
 * **Details**
 *
 * A flag that is not given is off; when neither is given, `global` is on. Giving both as off is an error.
 *
 * @category models
 * @since 0.1.0
 */
export const ScopeOptions = ScopeFlags.pipe(
  Schema.decodeTo(
    Schema.Struct({ global: Schema.Boolean, local: Schema.Boolean }).check(
      Schema.makeFilter((scope) => rule(scope.global || scope.local, ["global"], "true unless scope.local is true"))
    ),
    SchemaTransformation.transform({
      decode: ({ global, local }: typeof ScopeFlags.Type) => ({
        global: global ?? local !== true,
        local: local ?? false
      }),
      encode: (scope): typeof ScopeFlags.Type => scope
    })
  )
)
export type ScopeOptions = typeof ScopeOptions.Type
