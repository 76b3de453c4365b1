/**
 * Session rules: which sessions may be, and which go to another application.
 *
 * A rule says for accepts, for connects or for both what becomes of those whose addresses and ports it matches:
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
 * **Which one holds** The most specific of the rules that match, whatever their order: the longer remote prefix, then the
 * longer local prefix, then a given remote port, a given local port, a given transport, a given namespace, and `accept`
 * or `connect` before `both`. Two rules that match the very same can't both be there, so there is never more than one. What no rule matches
 * is allowed.
 *
 * **The deny list** is asked first, at accept only: a source that is on it gets nowhere, whatever the rules say.
 *
 * Decisions are made per session, in the host's loop: synchronous, and for free while there are neither rules nor denied
 * sources.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Prefix from "../net/Prefix.ts"
import { Name, NAME_RIGHT } from "../options/Name.ts"
import { described, infosOf, number } from "../options/OptionFields.ts"
import * as OptionProblems from "../options/OptionProblems.ts"
import * as Handle from "../state/Handle.ts"

/** A rule that is in force. */
export type RuleHandle = Handle.Handle<"RuleHandle">

/**
 * Rules, and denied sources, at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_RULES = 1024
export const MAX_DENIED = 65536

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

const prefix = (description: string) =>
  Prefix.PrefixFromString.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(Prefix.any))
  ).annotate(described({ description, right: Prefix.PREFIX_RIGHT, default: `"any"` }))

const port = (description: string) => number({ unit: "port", min: 1, max: 65535, zero: "any", default: 0, description })

const name = (description: string) =>
  Schema.optional(Name).annotate(described({ description, right: NAME_RIGHT, default: "none" }))

/**
 * A rule. All its fields are text or numbers, so a rule that was decoded is also one that can be decoded.
 *
 * **Details**
 *
 * - `on`: `"accept"`, `"connect"` or `"both"`; `"both"`.
 * - `transport`: `"tcp"`, `"tls"`, `"udp"` or `"any"`; `"any"`. Unix sockets have no addresses to match.
 * - `local`, `remote`: see `Prefix`; `"any"`.
 * - `localPort`, `remotePort`: 0 for any, or 1 to 65535, also as text; 0.
 * - `action`: see {@link Action}; always given.
 * - `namespace`: see `Options.Name`; all namespaces.
 * - `tag`: a name for people, in messages and tables; none.
 *
 * **Gotchas**
 *
 * A connect to a host name has no address yet: only `any` matches it, even if the name has an address that is denied.
 *
 * @category models
 * @since 0.1.0
 */
export const Rule = Schema.Struct({
  on: Schema.Literals(["accept", "connect", "both"]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed("both"))
  ).annotate(described({
    description: "Whether the rule is for accepts, for connects, or for both",
    right: `"accept", "connect" or "both"`,
    default: `"both"`
  })),
  transport: Schema.Literals(["any", "tcp", "tls", "udp"]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed("any"))
  ).annotate(described({
    description: "Transport of the sessions",
    right: `"any", "tcp", "tls" or "udp"`,
    default: `"any"`
  })),
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
  tag: name("Name of the rule for people")
})
export type Rule = typeof Rule.Type

/**
 * What a {@link Rule} decodes from.
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
 * Decodes a rule from the outside.
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
 * A rule in one line, without its tag: `deny accept tcp local any:80 remote 10.0.0.0/8`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (rule: Rule): string => {
  const side = (prefix: Prefix.Prefix, port: number): string =>
    port === 0 ? prefix : prefix.includes(":") ? `[${prefix}]:${port}` : `${prefix}:${port}`
  const where = `local ${side(rule.local, rule.localPort)} remote ${side(rule.remote, rule.remotePort)}`
  const namespace = rule.namespace === undefined ? "" : ` namespace ${rule.namespace}`
  return `${rule.action} ${rule.on} ${rule.transport} ${where}${namespace}`
}

/**
 * What becomes of a session.
 *
 * **Details**
 *
 * `by` is `"source"` when the deny list says so, else it names the rule: `rule 3.0`, with its tag if it has one.
 *
 * @category models
 * @since 0.1.0
 */
export type RuleVerdict =
  | { readonly _tag: "Allow" }
  | { readonly _tag: "Deny"; readonly by: string }
  | { readonly _tag: "Redirect"; readonly app: string }

const ALLOW: RuleVerdict = { _tag: "Allow" }
const DENIED_SOURCE: RuleVerdict = { _tag: "Deny", by: "source" }

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

interface Ranked extends RuleEntry {
  readonly rank: ReadonlyArray<number>
  readonly local: Prefix.PrefixSet
  readonly remote: Prefix.PrefixSet
  readonly verdict: RuleVerdict
}

const rankOf = (rule: Rule): ReadonlyArray<number> => [
  Prefix.length(rule.remote),
  Prefix.length(rule.local),
  rule.remotePort === 0 ? 0 : 1,
  rule.localPort === 0 ? 0 : 1,
  rule.transport === "any" ? 0 : 1,
  rule.namespace === undefined ? 0 : 1,
  rule.on === "both" ? 0 : 1
]

const byRank = (a: Ranked, b: Ranked): number => {
  const differs = a.rank.findIndex((n, at) => n !== b.rank[at])
  return differs < 0 ? 0 : b.rank[differs]! - a.rank[differs]!
}

const matchedBy = ({ local, localPort, namespace, on, remote, remotePort, transport }: Rule): string =>
  JSON.stringify([on, transport, local, localPort, remote, remotePort, namespace])

const verdictOf = ({ action, tag }: Rule, handle: RuleHandle): RuleVerdict => {
  if (action === "allow") return ALLOW
  const by = `rule ${Handle.format(handle)}`
  return action === "deny"
    ? { _tag: "Deny", by: tag === undefined ? by : `${by} (${tag})` }
    : { _tag: "Redirect", app: action.slice(APP.length) }
}

/** What begins the text of an endpoint that has an address, and how long that is. */
const INET = /^(?:tcp|tls|udp):\/\//
const SCHEME = "tcp://".length

interface Side {
  readonly address: Prefix.AddressBits | undefined
  /** 0 when it is not known, or not chosen yet. */
  readonly port: number
}

const UNKNOWN: Side = { address: undefined, port: 0 }

/** One end of a session, of which `Endpoint.format` has written the text. */
const sideOf = (uri: string): Side => {
  if (!INET.test(uri)) return UNKNOWN
  const colon = uri.lastIndexOf(":")
  const host = uri[SCHEME] === "[" ? uri.slice(SCHEME + 1, colon - 1) : uri.slice(SCHEME, colon)
  return { address: Prefix.address(host), port: Number(uri.slice(colon + 1)) }
}

/**
 * The rules and the denied sources of a host.
 *
 * @category models
 * @since 0.1.0
 */
export class RuleTable {
  readonly #rules = new Handle.Pool<RuleHandle, Ranked>(MAX_RULES)
  readonly #matched = new Set<string>()
  /** Prefixes that rules have in common are one set, which is asked once in a row. */
  #ranked: ReadonlyArray<Ranked> = []
  readonly #denied = new Set<Prefix.Prefix>()
  /** Made anew, when it is next asked, after a prefix was taken out: a set of addresses only grows. */
  #sources: Prefix.PrefixSet | undefined

  /** Whether every session is allowed. */
  get isEmpty(): boolean {
    return this.#ranked.length === 0 && this.#denied.size === 0
  }

  /** Puts a rule in force; says why not if it can't be. */
  add(rule: Rule): RuleHandle | "exists" | "full" {
    const key = matchedBy(rule)
    if (this.#matched.has(key)) return "exists"
    const entry = this.#rules.allocate((handle): Ranked => ({
      handle,
      rule,
      rank: rankOf(rule),
      local: this.#setOf(rule.local),
      remote: this.#setOf(rule.remote),
      verdict: verdictOf(rule, handle)
    }))
    if (entry === undefined) return "full"
    this.#matched.add(key)
    this.#ranked = [...this.#ranked, entry].sort(byRank)
    return entry.handle
  }

  #setOf(prefix: Prefix.Prefix): Prefix.PrefixSet {
    for (const { local, remote, rule } of this.#ranked) {
      if (rule.remote === prefix) return remote
      if (rule.local === prefix) return local
    }
    return new Prefix.PrefixSet([prefix])
  }

  /** Takes a rule out; `false` when there is none of this handle. */
  remove(handle: RuleHandle): boolean {
    const entry = this.#rules.get(handle)
    if (entry === undefined) return false
    this.#rules.free(handle)
    this.#matched.delete(matchedBy(entry.rule))
    this.#ranked = this.#ranked.filter((other) => other !== entry)
    return true
  }

  /** The rules in the order in which they are looked at: the most specific first. */
  get rules(): ReadonlyArray<RuleEntry> {
    return this.#ranked.map(({ handle, rule }) => ({ handle, rule }))
  }

  /** Puts a source on the deny list; says why not if it can't be. */
  denySource(prefix: Prefix.Prefix): "exists" | "full" | undefined {
    if (this.#denied.has(prefix)) return "exists"
    if (this.#denied.size >= MAX_DENIED) return "full"
    this.#denied.add(prefix)
    this.#sources?.add(prefix)
    return undefined
  }

  /** Takes a source from the deny list; `false` when this very prefix is not on it. */
  allowSource(prefix: Prefix.Prefix): boolean {
    if (!this.#denied.delete(prefix)) return false
    this.#sources = undefined
    return true
  }

  /** The deny list, in the order in which it was made. */
  get denied(): ReadonlyArray<Prefix.Prefix> {
    return [...this.#denied]
  }

  /**
   * What becomes of a session. `local` and `remote` are the texts of its endpoints; `local` is empty for a connect that
   * gives no source.
   */
  decide(on: "accept" | "connect", namespace: string, local: string, remote: string): RuleVerdict {
    if (this.isEmpty || !INET.test(remote)) return ALLOW
    const there = sideOf(remote)
    if (on === "accept" && this.#denied.size > 0) {
      this.#sources ??= new Prefix.PrefixSet(this.#denied)
      if (this.#sources.has(there.address)) return DENIED_SOURCE
    }
    if (this.#ranked.length === 0) return ALLOW
    const here = sideOf(local)
    let asked: Prefix.PrefixSet | undefined
    let holds = false
    for (const entry of this.#ranked) {
      const { rule } = entry
      if (rule.on !== "both" && rule.on !== on) continue
      if (rule.transport !== "any" && !remote.startsWith(rule.transport)) continue
      if (rule.namespace !== undefined && rule.namespace !== namespace) continue
      if (rule.remotePort !== 0 && rule.remotePort !== there.port) continue
      if (rule.localPort !== 0 && rule.localPort !== here.port) continue
      if (entry.remote !== asked) {
        asked = entry.remote
        holds = asked.has(there.address)
      }
      if (holds && entry.local.has(here.address)) return entry.verdict
    }
    return ALLOW
  }
}
