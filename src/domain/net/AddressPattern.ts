/**
 * Patterns for the addresses of sessions: what `show sessions --local` and `--remote` take.
 *
 * | pattern | lets pass |
 * |---|---|
 * | `10.0.0.7`, `::1`, `[::1]`, `example.com` | that host, whatever the transport and the port; for a local endpoint, its name |
 * | `10.0.0.7:4711`, `[::1]:4711` | that host and port, whatever the transport |
 * | `tcp://10.0.0.7:4711`, `local://billing` | that endpoint |
 *
 * Hosts are compared as addresses, not as they are written: `0:0::1` is `::1`, and `::ffff:10.0.0.7` is `10.0.0.7`.
 * Names are compared regardless of case, and are not resolved.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isIP, isIPv6 } from "node:net"
import * as Address from "./Address.ts"
import * as Endpoint from "./Endpoint.ts"

export interface AddressPattern {
  readonly transport: string | undefined
  readonly host: string
  /** `*` for any port of a proxy's endpoint; local endpoints have none. */
  readonly port: string | undefined
}

/** What a pattern may be, for messages. */
export const ADDRESS_PATTERN_RIGHT =
  `a host, a host and a port, or a URI, such as "10.0.0.7", "[::1]:443" or "tcp://10.0.0.7:4711"`

/** One spelling for each host. */
const normal = (host: string): string => isIP(host) === 0 ? host.toLowerCase().replace(/\.$/, "") : Address.plain(host)

const ofEndpoint = (endpoint: Endpoint.Endpoint): AddressPattern => {
  switch (endpoint._tag) {
    case "local":
      return { transport: "local", host: endpoint.name.toLowerCase(), port: undefined }
    case "anyPort":
      return { transport: endpoint.transport, host: normal(endpoint.host), port: "*" }
    case "unix":
      return { transport: "unix", host: endpoint.path, port: undefined }
    case "tcp":
    case "tls":
    case "udp":
      return { transport: endpoint._tag, host: normal(endpoint.host), port: String(endpoint.port) }
  }
}

/** Gives a host without a port one, so that only one place decides what a host is. */
const withPort = (host: string): string => isIPv6(host) ? `tcp://[${host}]:0` : `tcp://${host}:0`

export const parse = (text: string): AddressPattern | undefined => {
  const whole = (uri: string) => Result.getOrUndefined(Result.map(Endpoint.parse(uri), ofEndpoint))
  if (text.includes("://")) return whole(text)
  const host = whole(withPort(text))
  if (host !== undefined) return { ...host, transport: undefined, port: undefined }
  const both = whole(`tcp://${text}`)
  return both === undefined ? undefined : { ...both, transport: undefined }
}

/** Whether a pattern lets an endpoint URI pass. */
export const matches = (pattern: AddressPattern, uri: string): boolean => {
  const parsed = Endpoint.parse(uri)
  if (Result.isFailure(parsed)) return false
  const { host, port, transport } = ofEndpoint(parsed.success)
  return pattern.host === host
    && (pattern.port === undefined || pattern.port === port)
    && (pattern.transport === undefined || pattern.transport === transport)
}

/** A text that is a pattern. */
export const Text = Schema.String.check(
  Schema.makeFilter((text) => parse(text) !== undefined, { expected: ADDRESS_PATTERN_RIGHT })
)
