/**
 * A session rule: which sessions it is for, and what becomes of them.
 *
 * A rule is for accepts, for connects or for both, and says what becomes of sessions whose addresses and ports it
 * matches:
 *
 * | field | what it matches | default |
 * |---|---|---|
 * | `on` | `accept`, `connect`, `both` | `both` |
 * | `transport` | `tcp`, `tls`, `udp`, `any` | `any` |
 * | `local`, `localPort` | this end: where a connection arrived, or what a connect gives as its source | any |
 * | `remote`, `remotePort` | the other end: who connects, or what a connect goes to | any |
 * | `namespace` | applications of that namespace | all |
 *
 * Its `action` is `allow`, `deny`, or `app:<name>`: the session goes to that application.
 *
 * Which of several rules holds for a session is described in `RuleTable.ts`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Prefix from "../net/Prefix.ts"
import { Name, NAME_RIGHT } from "../options/Name.ts"
import { choice, described, eitherOf, infosOf, number, rule } from "../options/OptionFields.ts"
import * as OptionProblems from "../options/OptionProblems.ts"
import { Priorities, type Priority } from "../options/Priority.ts"
import type * as Handle from "../state/Handle.ts"

/**
 * A rule that is in force.
 *
 * @category models
 * @since 0.1.0
 */
export type RuleHandle = Handle.Handle<"RuleHandle">

const isName = Schema.is(Name)
const APP = "app:"

/**
 * What becomes of a session: `allow`, `deny`, or `app:` and the name of the application that it goes to.
 *
 * @category models
 * @since 0.1.0
 */
export const Action = Schema.Union([
  Schema.Literals(["allow", "deny"]),
  Schema.TemplateLiteral([APP, Schema.String]).check(Schema.makeFilter((text) => isName(text.slice(APP.length))))
])
export type Action = typeof Action.Type

/**
 * The name of the application that an action gives sessions to; empty for `allow` and `deny`.
 *
 * @category getters
 * @since 0.1.0
 */
export const appOf = (action: Action): string => action.startsWith(APP) ? action.slice(APP.length) : ""

const prefix = (description: string) =>
  Prefix.PrefixFromString.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(Prefix.any))
  ).annotate(described({ description, right: Prefix.PREFIX_RIGHT, default: `"any"` }))

const port = (description: string) => number({ unit: "port", min: 1, max: 65535, zero: "any", default: 0, description })

const name = (description: string) =>
  Schema.optional(Name).annotate(described({ description, right: NAME_RIGHT, default: "none" }))

/**
 * A rule. All its fields are text or numbers, so a decoded rule can be decoded again.
 *
 * **Details**
 *
 * - `on`: `"accept"`, `"connect"` or `"both"`; `"both"`.
 * - `transport`: `"tcp"`, `"tls"`, `"udp"` or `"any"`; `"any"`. Unix sockets have no addresses to match.
 * - `local`, `remote`: see `Prefix`; `"any"`.
 * - `localPort`, `remotePort`: 0 for any, or 1 to 65535, also as text; 0.
 * - `action`: see {@link Action}; always given.
 * - `namespace`: see `Options.Name`; all namespaces.
 * - `perSource`: `"exempt"` for connections that `sourceSessions` and `sourceRate` of listeners don't hold for, such as
 *   those of health checks; `"limited"`.
 * - `priority`: the class of connections that arrive, `"high"`, `"normal"` or `"low"`; that of the listener.
 * - `tag`: a name for people to read, in messages and tables; none.
 *
 * **Gotchas**
 *
 * A connect to a host name has no address yet: only `any` matches it, even if the name has an address that is denied.
 *
 * @category models
 * @since 0.1.0
 */
export const Rule = Schema.Struct({
  on: choice({
    words: ["accept", "connect", "both"],
    default: "both",
    description: "Whether the rule is for accepts, for connects, or for both"
  }),
  transport: choice({
    words: ["any", "tcp", "tls", "udp"],
    default: "any",
    description: "Transport of the sessions"
  }),
  local: prefix("Addresses of this end"),
  localPort: port("Port of this end"),
  remote: prefix("Addresses of the other end"),
  remotePort: port("Port of the other end"),
  action: Action.annotate(described({
    description: "What becomes of the session",
    right: `"allow", "deny", or "${APP}" and the name of an application`,
    default: "none"
  })),
  namespace: name("Namespace of the applications that the rule is for"),
  perSource: choice({
    words: ["limited", "exempt"],
    default: "limited",
    description: "Whether what a listener allows one source holds for these sessions"
  }),
  priority: Schema.optional(Schema.Literals(Priorities)).annotate(described({
    description: "Class of the sessions; by default, that of the listener",
    right: eitherOf(Priorities),
    default: "none"
  })),
  tag: name("Name of the rule for people")
}).check(
  Schema.makeFilter(({ action, on, priority }) =>
    rule(
      priority === undefined || (action !== "deny" && on !== "connect"),
      ["priority"],
      "left out of a rule that denies, or is for connects alone"
    )
  ),
  Schema.makeFilter(({ action, on, perSource }) =>
    rule(
      perSource === "limited" || (action !== "deny" && on !== "connect"),
      ["perSource"],
      `"limited" in a rule that denies, or is for connects alone`
    )
  )
)
export type Rule = typeof Rule.Type

/**
 * What a {@link Rule} is decoded from.
 *
 * @category models
 * @since 0.1.0
 */
export type RuleInput = typeof Rule.Encoded

/**
 * A rule, or a prefix, that is not well formed: one sentence for each problem.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRule extends Schema.TaggedError<InvalidRule>()("InvalidRule", {
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

const decodeRule = Schema.decodeUnknownResult(Rule, { errors: "all", onExcessProperty: "error" })
const known = new Map(infosOf(Rule.fields))

/**
 * Decodes a rule from outside.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (input: unknown): Result.Result<Rule, InvalidRule> =>
  Result.mapError(
    decodeRule(input),
    ({ issue }) => new InvalidRule({ problems: OptionProblems.tell(issue, input, known).map(({ message }) => message) })
  )

/**
 * Decodes a source for the deny list.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeSource = (input: string): Result.Result<Prefix.Prefix, InvalidRule> =>
  Result.mapError(
    Prefix.parse(input),
    (right) => new InvalidRule({ problems: [`source: got ${OptionProblems.printGiven(input)}; it must be ${right}`] })
  )

/**
 * One end of a rule: a prefix, with a port if the rule has one.
 *
 * @category encoding
 * @since 0.1.0
 */
export const formatSide = (prefix: Prefix.Prefix, port: number): string =>
  port === 0 ? prefix : prefix.includes(":") ? `[${prefix}]:${port}` : `${prefix}:${port}`

/**
 * What becomes of the sessions, and how they are taken in where that is not as always: `allow, high, exempt`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const formatAction = ({ action, perSource, priority }: Rule): string =>
  [
    action,
    ...(priority === undefined ? [] : [priority]),
    ...(perSource === "exempt" ? ["exempt"] : [])
  ].join(", ")

/**
 * A rule in one line, without its tag: `deny accept tcp local any:80 remote 10.0.0.0/8`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (rule: Rule): string => {
  const where = `local ${formatSide(rule.local, rule.localPort)} remote ${formatSide(rule.remote, rule.remotePort)}`
  const namespace = rule.namespace === undefined ? "" : ` namespace ${rule.namespace}`
  return `${formatAction(rule)} ${rule.on} ${rule.transport} ${where}${namespace}`
}

/**
 * How a session is taken in, where a rule says so: whether what a listener allows one source does not hold for it, and its
 * class.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuleTerms {
  readonly isExempt?: true | undefined
  readonly priority?: Priority | undefined
}

/**
 * What becomes of a session.
 *
 * **Details**
 *
 * `by` is `"source"` when the deny list decided, otherwise it names the rule: `rule 3.0`, with its tag if it has one.
 *
 * @category models
 * @since 0.1.0
 */
export type RuleVerdict =
  | RuleTerms & { readonly _tag: "Allow" }
  | { readonly _tag: "Deny"; readonly by: string }
  | RuleTerms & { readonly _tag: "Redirect"; readonly app: string }

/**
 * A rule that is in force, and its handle.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuleEntry {
  readonly handle: RuleHandle
  readonly rule: Rule
}
