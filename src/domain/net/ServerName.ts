/**
 * Names of servers: those that a certificate is issued for, and the certificate for the name that a client asks for.
 *
 * A client names its server in the handshake (server name indication), and a server with several certificates shows the
 * one for that name. {@link ByServerName} finds it without looking at all certificates: they are indexed by the texts
 * that they have for names, `www.example.com` or `*.example.com`; a name is looked up by the texts that may stand for
 * it; and OpenSSL has the last word on whether a certificate that was found covers the name.
 */
import * as Result from "effect/Result"
import type { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import * as Address from "./Address.ts"

// ---- the names of a certificate

/** Subject alternative names of one kind. A comma within one is escaped, so the text can be split at commas. */
const alternatives = (leaf: X509Certificate, kind: "DNS" | "IP Address"): ReadonlyArray<string> =>
  (leaf.subjectAltName ?? "").split(", ").flatMap((name) =>
    name.startsWith(`${kind}:`) ? [name.slice(kind.length + 1)] : []
  )

/** The subject alternative names of a certificate: DNS names as they are written, addresses in their one spelling. */
export const namesOf = (
  leaf: X509Certificate
): { readonly dns: ReadonlyArray<string>; readonly ip: ReadonlyArray<string> } => ({
  dns: alternatives(leaf, "DNS"),
  ip: alternatives(leaf, "IP Address").map(Address.canonical)
})

/** OpenSSL throws on a subject that it can't read. */
const commonNames = (leaf: X509Certificate): ReadonlyArray<string> => {
  const name: unknown = Result.getOrUndefined(Result.try(() => leaf.toLegacyObject().subject?.CN))
  return Array.isArray(name) ? name.map(String) : typeof name === "string" ? [name] : []
}

/**
 * The texts that a certificate is indexed by, in the form of {@link wanted}. The common name counts where there are no
 * DNS names.
 */
export const hostsOf = (leaf: X509Certificate): ReadonlyArray<string> => {
  const { dns, ip } = namesOf(leaf)
  return [...(dns.length > 0 ? dns : commonNames(leaf)).map((name) => name.toLowerCase()), ...ip]
}

// ---- the name that a client asks for

const HOST = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/
const LONGEST_HOST = 253

/** The normal form of a server's name; `undefined` for what is not a name. */
const normal = (serverName: string): string | undefined => {
  if (isIP(serverName) !== 0) return serverName.includes("%") ? undefined : Address.canonical(serverName)
  const name = (serverName.endsWith(".") ? serverName.slice(0, -1) : serverName).toLowerCase()
  // what OpenSSL would take for a pattern does not pass, such as ".example.com", which covers all names below it
  return HOST.test(name) && name.length <= LONGEST_HOST ? name : undefined
}

/**
 * The texts to look for among the {@link hostsOf} of certificates, for those that may cover a server's name, the best
 * first: the name itself, then the wildcard that stands for it. Empty when it is not a name. {@link covers} has the
 * last word.
 */
export const wanted = (serverName: string): ReadonlyArray<string> => {
  const name = normal(serverName)
  if (name === undefined) return []
  const dot = isIP(name) === 0 ? name.indexOf(".") : -1
  return dot < 0 ? [name] : [name, `*${name.slice(dot)}`]
}

/**
 * Whether a certificate is one for a server of this name: a DNS name (an internationalized one in its ASCII form), or
 * an IP address.
 *
 * A wildcard stands for exactly one whole label. The common name counts where there are no DNS names.
 */
export const covers = (leaf: X509Certificate, serverName: string): boolean => {
  const name = normal(serverName)
  if (name === undefined) return false
  return isIP(name) === 0
    ? leaf.checkHost(name, { subject: "default", partialWildcards: false }) !== undefined
    : leaf.checkIP(name) !== undefined
}

// ---- both

/** What is indexed. */
export interface Named {
  readonly leaf: X509Certificate
  /** See {@link hostsOf}. */
  readonly hosts: ReadonlyArray<string>
}

/** Certificates by the names of servers. An index never changes: when certificates change, another one is made. */
export class ByServerName<A> {
  readonly #first: A | undefined
  readonly #byHost = new Map<string, Array<readonly [named: Named, entry: A]>>()

  /** The order of the entries is their precedence. */
  constructor(entries: Iterable<A>, named: (entry: A) => Named) {
    for (const entry of entries) {
      this.#first ??= entry
      const names = named(entry)
      for (const host of names.hosts) {
        const there = this.#byHost.get(host)
        if (there === undefined) this.#byHost.set(host, [[names, entry]])
        else there.push([names, entry])
      }
    }
  }

  /**
   * The first entry that has the name, else the first with a wildcard for it, else the first of all, which is also the
   * one for clients that name no server; `undefined` when there are no entries.
   */
  choose(serverName: string | undefined): A | undefined {
    if (serverName === undefined) return this.#first
    for (const host of wanted(serverName)) {
      for (const [{ leaf }, entry] of this.#byHost.get(host) ?? []) if (covers(leaf, serverName)) return entry
    }
    return this.#first
  }
}
