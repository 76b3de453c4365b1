/**
 * Which requests the page's port lets in: pure rules, in the order in which they are asked.
 *
 * | a request | is refused when |
 * |---|---|
 * | by a name | `Host` is not an address of this port, `localhost`, or a name that was allowed: another name that leads here is how a foreign page gets around the browser's walls (DNS rebinding) |
 * | from a page | that page is of another origin, by `Origin` or `Sec-Fetch-Site`; except that anybody may link to a page here |
 * | for facts | it has no token, and the port is open to other machines |
 * | for anything else | it has no token |
 *
 * The token is wanted for all that is not listed as free, so a path that is written in an odd way gets no further.
 */
import { isIP, isIPv4 } from "node:net"
import * as Address from "../../domain/net/Address.ts"
import type { Token } from "./Token.ts"

/** Pages, which are the same for everybody and say nothing of the host. */
export const PAGES = ["/", "/docs", "/openapi.json"] as const

/** What the host is and does, for whoever may look. */
export const FACTS = ["/v1/overview", "/v1/events"] as const

export interface Asked {
  readonly method: string
  /** Path and query: what the router goes by. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

export interface GateRefusal {
  readonly status: 401 | 403
  readonly sentence: string
}

const LOOPBACK = /^127\./
const ANY_ADDRESS = ["0.0.0.0", "::"]

/** Whether nothing but this machine can reach an address. */
export const isLoopback = (host: string): boolean => {
  const plain = Address.plain(host)
  return plain === "localhost" || plain === "::1" || isIPv4(plain) && LOOPBACK.test(plain)
}

/** `Host`: a name or an address, in brackets where it is IPv6, and perhaps a port. */
const HOST = /^(?:\[([^\]]+)\]|([^:[\]/@]+))(?::\d{1,5})?$/

const nameIn = (host: string): string | undefined => {
  const [, bracketed, bare] = HOST.exec(host) ?? []
  return (bracketed ?? bare)?.toLowerCase().replace(/\.$/, "")
}

/** The longest part of what a request says that an answer says again. */
const SHOWN = 100

export class Gate {
  readonly #host: string
  readonly #names: ReadonlySet<string>
  readonly #token: Token
  /** Whether facts are for whoever can reach the port. */
  readonly #isOpen: boolean

  /** `host` is where the port listens, and `names` what else it may be called. */
  constructor(host: string, names: ReadonlyArray<string>, token: Token) {
    this.#host = Address.plain(host)
    this.#names = new Set(["localhost", ...names.map((name) => name.toLowerCase())])
    this.#token = token
    this.#isOpen = isLoopback(host)
  }

  /** Why a request is not let in. */
  refusal(asked: Asked): GateRefusal | undefined {
    const { headers, method, target } = asked
    const { host = "" } = headers
    if (!this.#isMine(nameIn(host))) {
      const shown = JSON.stringify(host.slice(0, SHOWN))
      return { status: 403, sentence: `this port is not called ${shown}; allow a name with --dashboard-name` }
    }
    if (isForeign(asked, host)) return { status: 403, sentence: "requests from other origins are refused" }
    const [path = ""] = target.split("?", 1)
    const isReading = method === "GET" || method === "HEAD"
    const free: ReadonlyArray<string> = this.#isOpen ? [...PAGES, ...FACTS] : PAGES
    if (isReading && free.includes(path)) return undefined
    const { authorization } = headers
    if (authorization === undefined) {
      return { status: 401, sentence: "this needs the token, in a header \"Authorization: Bearer <token>\"" }
    }
    return this.#token.accepts(authorization)
      ? undefined
      : { status: 401, sentence: "the token is not the one of this host" }
  }

  /** Whether a name, or an address, is one of this port. Which port it is forwarded from does not matter. */
  #isMine(name: string | undefined): boolean {
    if (name === undefined) return false
    if (this.#names.has(name)) return true
    if (isIP(name) === 0) return false
    const address = Address.plain(name)
    // an address leads here by itself: it is names that others can point somewhere else
    return ANY_ADDRESS.includes(this.#host) || address === this.#host || this.#isOpen && isLoopback(address)
  }
}

/** Whether a browser says that a page of another origin has made it ask. */
const isForeign = ({ headers, method, target }: Asked, host: string): boolean => {
  const { origin, "sec-fetch-dest": dest, "sec-fetch-mode": mode, "sec-fetch-site": site = "none" } = headers
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host.toLowerCase())) return true
  if (site === "none" || site === "same-origin") return false
  const [path = ""] = target.split("?", 1)
  const isLink = method === "GET" && mode === "navigate" && dest === "document"
  return !(isLink && (PAGES as ReadonlyArray<string>).includes(path))
}
