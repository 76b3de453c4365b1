/**
 * The session rules of a host and its deny list: which rule holds for a session, and what becomes of the session.
 *
 * **Which rule holds** The most specific of the rules that match, whatever their order: the longer remote prefix, then
 * the longer local prefix, then a given remote port, a given local port, a given transport, a given namespace, and
 * `accept` or `connect` before `both`. No two rules that match exactly the same can exist at the same time, so there is
 * never more than one such rule. A session that no rule matches is allowed.
 *
 * **The deny list** is looked at first, and for accepts only: a source that is on it gets nowhere, whatever the rules
 * say.
 *
 * Decisions are made per session, in the host's loop: they are synchronous, and cost nothing while there are neither
 * rules nor denied sources.
 */
import * as Prefix from "../net/Prefix.ts"
import * as Handle from "../state/Handle.ts"
import { appOf, type Rule, type RuleEntry, type RuleHandle, type RuleTerms, type RuleVerdict } from "./SessionRule.ts"

/** The most rules there may be. */
export const MAX_RULES = 1024
/** The most prefixes that the deny list may have. */
export const MAX_DENIED = 65536

const ALLOW: RuleVerdict = { _tag: "Allow" }
const DENIED_SOURCE: RuleVerdict = { _tag: "Deny", by: "source" }

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

const termsOf = ({ perSource, priority }: Rule): RuleTerms => ({
  ...(perSource === "exempt" && { isExempt: true }),
  ...(priority !== undefined && { priority })
})

const verdictOf = (rule: Rule, handle: RuleHandle): RuleVerdict => {
  const { action, tag } = rule
  if (action === "allow") return { _tag: "Allow", ...termsOf(rule) }
  const by = `rule ${Handle.format(handle)}`
  return action === "deny"
    ? { _tag: "Deny", by: tag === undefined ? by : `${by} (${tag})` }
    : { _tag: "Redirect", app: appOf(action), ...termsOf(rule) }
}

/** The beginning of the text of an endpoint that has an address, and how long it is. */
const INET = /^(?:tcp|tls|udp):\/\//
const SCHEME = "tcp://".length

interface Side {
  readonly address: Prefix.AddressBits | undefined
  /** 0 when it is not known, or not chosen yet. */
  readonly port: number
}

const UNKNOWN: Side = { address: undefined, port: 0 }

/** One end of a session: the text that `Endpoint.format` has written. */
const sideOf = (uri: string): Side => {
  if (!INET.test(uri)) return UNKNOWN
  const colon = uri.lastIndexOf(":")
  const host = uri[SCHEME] === "[" ? uri.slice(SCHEME + 1, colon - 1) : uri.slice(SCHEME, colon)
  return { address: Prefix.address(host), port: Number(uri.slice(colon + 1)) }
}

/**
 * The rules and the denied sources of a host.
 */
export class RuleTable {
  readonly #rules = new Handle.Pool<RuleHandle, Ranked>(MAX_RULES)
  readonly #matched = new Set<string>()
  /** Rules with the same prefix share one set, which is asked once for rules that follow each other. */
  #ranked: ReadonlyArray<Ranked> = []
  readonly #denied = new Set<Prefix.Prefix>()
  /** Made anew the next time it is asked after a prefix was taken out: a set of addresses only grows. */
  #sources: Prefix.PrefixSet | undefined

  /** Whether every session is allowed. */
  get isEmpty(): boolean {
    return this.#ranked.length === 0 && this.#denied.size === 0
  }

  /** Puts a rule in force, or says why it can't be. */
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

  /** Takes a rule out; `false` when there is none with this handle. */
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

  /** Puts a source on the deny list, or says why it can't be. */
  denySource(prefix: Prefix.Prefix): "exists" | "full" | undefined {
    if (this.#denied.has(prefix)) return "exists"
    if (this.#denied.size >= MAX_DENIED) return "full"
    this.#denied.add(prefix)
    this.#sources?.add(prefix)
    return undefined
  }

  /** Takes a source off the deny list; `false` when exactly this prefix is not on it. */
  allowSource(prefix: Prefix.Prefix): boolean {
    if (!this.#denied.delete(prefix)) return false
    this.#sources = undefined
    return true
  }

  /** The deny list, in the order in which sources were added. */
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
