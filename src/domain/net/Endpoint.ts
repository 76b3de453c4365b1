/**
 * Endpoints: where a listener listens and what a connect goes to.
 *
 * An endpoint is written as a URI. For `tcp`, `tls` and `udp` it is the transport, a host and a port; for a Unix socket
 * it is a path, absolute or relative to where the host runs:
 *
 * ```
 * tcp://127.0.0.1:8080     tls://0.0.0.0:443    udp://localhost:5353
 * tcp://[::1]:0            tcp://[::]:0         tcp://[fe80::1%eth0]:80
 * unix:///run/app.sock     unix://app.sock
 * ```
 *
 * There is no other path, and no query, fragment or userinfo. The port is always written; port 0 asks the system for a
 * free one. A host is an IPv4 literal, an IPv6 literal or a name; it is kept as it was written, and resolving a name is
 * the transport's work. A name may not end in a number: `127.1`, `256.0.0.1` and `0x7f000001` are read as addresses by
 * some resolvers and refused by others, so here they are refused with a reason.
 *
 * Two more kinds exist in local scope only (W16, W18), where no transport is involved:
 *
 * ```
 * local://billing          a name within a namespace, without a port
 * tcp://0.0.0.0:*          every port of every address, one form for each family: what a proxy listens on
 * tcp://[::]:*
 * ```
 *
 * The kinds of endpoint, their text form with everything that can be wrong with it, and which endpoints stand for
 * others are one concept, though a long one: whoever adds a kind has to deal with each of these. Their schemas are in
 * `EndpointSchema`, since workers have no use for them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import { isIP, isIPv6 } from "node:net"
import * as Address from "./Address.ts"

/**
 * All transports, as endpoints name them.
 *
 * @category constants
 * @since 0.1.0
 */
export const transports = ["tcp", "tls", "udp", "unix", "local"] as const

/**
 * A transport, as endpoints name it.
 *
 * @category models
 * @since 0.1.0
 */
export type TransportName = typeof transports[number]

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i
const NUMBER_LABEL = /^(?:\d+|0x[0-9a-f]*)$/i

const isName = (text: string): boolean => {
  const name = text.endsWith(".") ? text.slice(0, -1) : text
  if (name.length === 0 || name.length > 253) return false
  const labels = name.split(".")
  return labels.every((label) => LABEL.test(label)) && !NUMBER_LABEL.test(labels.at(-1) ?? "")
}

/**
 * Whether the text is a host: an IPv4 literal, an IPv6 literal (with no brackets) or a name of at most 253 characters.
 *
 * @category guards
 * @since 0.1.0
 */
export const isHostName = (text: string): boolean => isIP(text) !== 0 || isName(text)

/**
 * The hosts that stand for every address of this machine, one for each family.
 *
 * @category constants
 * @since 0.1.0
 */
export const anyHosts = ["0.0.0.0", "::"] as const

/**
 * One of {@link anyHosts}.
 *
 * @category models
 * @since 0.1.0
 */
export type AnyHost = typeof anyHosts[number]

/**
 * The name of a local endpoint: 1 to 64 letters, digits, `.`, `_` and `-`.
 *
 * @category constants
 * @since 0.1.0
 */
export const localName = /^[a-z0-9._-]{1,64}$/i

/**
 * The most bytes that a Unix socket's path may have: the size of the system's `sun_path`, less the zero at its end.
 *
 * @category constants
 * @since 0.1.0
 */
export const LONGEST_PATH = 107

/**
 * Whether the text is the path of a Unix socket: 1 to 107 bytes without control characters.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPath = (text: string): boolean =>
  text !== "" && !/\p{Cc}/u.test(text) && Buffer.byteLength(text) <= LONGEST_PATH

/**
 * Where a listener listens and what a connect goes to.
 *
 * **Details**
 *
 * - `tcp`, `tls`, `udp`: a host and a port, 0 to 65535: {@link InetEndpoint}.
 * - `unix`: a path. A transport can serve these four: {@link TransportEndpoint}.
 * - `anyPort`: every port of every address of a transport; local scope only.
 * - `local`: a name; local scope only.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = Data.TaggedEnum<{
  tcp: { readonly host: string; readonly port: number }
  tls: { readonly host: string; readonly port: number }
  udp: { readonly host: string; readonly port: number }
  unix: { readonly path: string }
  anyPort: { readonly transport: "tcp"; readonly host: AnyHost }
  local: { readonly name: string }
}>

/**
 * An endpoint that has an address and a port. Its tag is the transport.
 *
 * @category models
 * @since 0.1.0
 */
export type InetEndpoint = Extract<Endpoint, { readonly _tag: "tcp" | "tls" | "udp" }>

/**
 * An endpoint that a transport can serve. Its tag is the transport.
 *
 * @category models
 * @since 0.1.0
 */
export type TransportEndpoint = Extract<Endpoint, { readonly _tag: "tcp" | "tls" | "udp" | "unix" }>

/**
 * Why a text is not an endpoint.
 *
 * **Details**
 *
 * - `UnknownTransport`: there is no such transport.
 * - `MissingTransport`: the text does not start with a transport and `://`.
 * - `UnexpectedPart`: userinfo, a path, a query or a fragment; an endpoint has no such part.
 * - `InvalidHost`, `InvalidPort`, `InvalidName`, `InvalidPath`: what stands there is not a host, a port, a local
 *   endpoint's name or a Unix socket's path; an empty text when it is missing.
 * - `AnyPortOfOneHost`: `*` for the port, and a host other than `0.0.0.0` and `[::]`.
 * - `NoAddress`: an endpoint of local scope where one that a transport can serve is needed.
 *
 * @category errors
 * @since 0.1.0
 */
export type EndpointErrorReason = Data.TaggedEnum<{
  UnknownTransport: { readonly transport: string }
  MissingTransport: {}
  UnexpectedPart: { readonly part: "userinfo" | "path" | "query" | "fragment" }
  InvalidHost: { readonly host: string }
  InvalidPort: { readonly port: string }
  InvalidName: { readonly name: string }
  InvalidPath: { readonly path: string }
  AnyPortOfOneHost: { readonly host: string }
  NoAddress: {}
}>

const known = transports.map((transport) => `${transport}:`).join(", ")

const explain = Data.taggedEnum<EndpointErrorReason>().$match({
  UnknownTransport: ({ transport }) => `there is no transport '${transport}'; use ${known}`,
  MissingTransport: () => `it must start with a transport, for example "tcp://127.0.0.1:8080"`,
  UnexpectedPart: ({ part }) => `an endpoint has no ${part}; leave it out, as in "tcp://127.0.0.1:8080"`,
  InvalidHost: ({ host }) =>
    host === ""
      ? `the host is missing; use "0.0.0.0" or "[::]" for every address of this machine`
      : isIPv6(host)
      ? `an IPv6 address stands in brackets: "[${host}]"`
      : `'${host}' is not a host; use an IPv4 address, an IPv6 address in brackets, or a host name`,
  InvalidPort: ({ port }) =>
    port === ""
      ? `the port is missing; end it with ":" and a port from 0 to 65535, 0 for a free one`
      : `'${port}' is not a port; use a number from 0 to 65535 without leading zeros`,
  InvalidName: ({ name }) =>
    name === ""
      ? `the name is missing; use 1 to 64 letters, digits, ".", "_" and "-", as in "local://billing"`
      : `'${name}' is not a name of a local endpoint; use 1 to 64 letters, digits, ".", "_" and "-", without a port`,
  InvalidPath: ({ path }) =>
    path === ""
      ? `the path is missing, as in "unix:///run/app.sock"`
      : `'${path}' is not a path of a socket; use 1 to ${LONGEST_PATH} bytes without control characters`,
  AnyPortOfOneHost: ({ host }) =>
    `"*" is every port of every address; use "0.0.0.0" or "[::]" instead of '${host}', or give a port`,
  NoAddress: () => `it has no address and port; use an endpoint such as "tcp://127.0.0.1:8080"`
})

/**
 * A text that is not an endpoint.
 *
 * **Details**
 *
 * `text` is the text given, with the userinfo masked, since that may hold a password. The text is shortened to 200
 * characters, and so are its parts in the reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class EndpointError extends Data.TaggedError("EndpointError")<{
  readonly text: string
  readonly reason: EndpointErrorReason
}> {
  override get message(): string {
    return `endpoint "${this.text}": ${explain(this.reason)}`
  }
}

const shorten = (text: string): string => text.length > 200 ? `${text.slice(0, 199)}…` : text

const printable = (text: string): string => shorten(text.replace(/\/\/[^/?#]*@/, "//***@"))

const SCHEME = /^([a-z][a-z0-9+.-]*):(\/\/)?/i
const BRACKETED = /^\[([^\]]*)\](?::(.*))?$/s
const PORT = /^(?:0|[1-9]\d{0,4})$/

const isKnown = (text: string): text is TransportName => transports.some((transport) => transport === text)

const part = (rest: string): "path" | "query" | "fragment" | "userinfo" | undefined => {
  const at = rest.search(/[/?#]/)
  if ((at < 0 ? rest : rest.slice(0, at)).includes("@")) return "userinfo"
  switch (rest[at]) {
    case "/":
      return "path"
    case "?":
      return "query"
    case "#":
      return "fragment"
  }
}

/** Splits at the last colon; a host with further colons is an IPv6 address without its brackets. */
const authority = (rest: string): { readonly host: string; readonly port: string; readonly bare: boolean } => {
  const bracketed = BRACKETED.exec(rest)
  if (bracketed !== null) return { host: bracketed[1] ?? "", port: bracketed[2] ?? "", bare: false }
  if (isIPv6(rest)) return { host: rest, port: "", bare: true }
  const at = rest.lastIndexOf(":")
  return at < 0
    ? { host: rest, port: "", bare: true }
    : { host: rest.slice(0, at), port: rest.slice(at + 1), bare: true }
}

/**
 * Reads the text form of an endpoint.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Endpoint, EndpointError> => {
  const fail = (reason: EndpointErrorReason) => Result.fail(new EndpointError({ text: printable(text), reason }))
  const scheme = SCHEME.exec(text)
  const transport = scheme?.[1]?.toLowerCase() ?? ""
  const slashes = scheme?.[2] !== undefined
  // without the slashes it may as well be a host and a port: "localhost:8080"
  if (!isKnown(transport)) {
    return fail(slashes ? { _tag: "UnknownTransport", transport: shorten(transport) } : { _tag: "MissingTransport" })
  }
  if (scheme === null || !slashes) return fail({ _tag: "MissingTransport" })

  const rest = text.slice(scheme[0].length)
  if (transport === "unix") {
    return isPath(rest)
      ? Result.succeed({ _tag: transport, path: rest })
      : fail({ _tag: "InvalidPath", path: shorten(rest) })
  }
  const unexpected = part(rest)
  if (unexpected !== undefined) return fail({ _tag: "UnexpectedPart", part: unexpected })
  if (transport === "local") {
    return localName.test(rest)
      ? Result.succeed({ _tag: transport, name: rest })
      : fail({ _tag: "InvalidName", name: shorten(rest) })
  }
  const { bare, host, port } = authority(rest)
  if (bare ? isIP(host) !== 4 && !isName(host) : !isIPv6(host)) {
    return fail({ _tag: "InvalidHost", host: shorten(host) })
  }
  if (port === "*") {
    if (transport !== "tcp") return fail({ _tag: "InvalidPort", port })
    return isAnyHost(host)
      ? Result.succeed({ _tag: "anyPort", transport, host })
      : fail({ _tag: "AnyPortOfOneHost", host })
  }
  if (!PORT.test(port) || Number(port) > 65535) return fail({ _tag: "InvalidPort", port: shorten(port) })
  return Result.succeed({ _tag: transport, host, port: Number(port) })
}

/**
 * Reads the text form of an endpoint that a transport can serve; those of local scope are refused with `NoAddress`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseTransport = (text: string): Result.Result<TransportEndpoint, EndpointError> =>
  Result.flatMap(parse(text), (endpoint) =>
    isTransport(endpoint)
      ? Result.succeed(endpoint)
      : Result.fail(new EndpointError({ text: printable(text), reason: { _tag: "NoAddress" } })))

const bracketed = (host: string): string => isIPv6(host) ? `[${host}]` : host

/**
 * The text form of an endpoint, which {@link parse} reads back as it was.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (endpoint: Endpoint): string => {
  switch (endpoint._tag) {
    case "tcp":
    case "tls":
    case "udp":
      return `${endpoint._tag}://${bracketed(endpoint.host)}:${endpoint.port}`
    case "unix":
      return `unix://${endpoint.path}`
    case "anyPort":
      return `${endpoint.transport}://${bracketed(endpoint.host)}:*`
    case "local":
      return `local://${endpoint.name}`
  }
}

/**
 * Whether the endpoint has an address and a port.
 *
 * @category guards
 * @since 0.1.0
 */
export const isInet = (endpoint: Endpoint): endpoint is InetEndpoint =>
  endpoint._tag === "tcp" || endpoint._tag === "tls" || endpoint._tag === "udp"

/**
 * Whether a transport can serve the endpoint.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTransport = (endpoint: Endpoint): endpoint is TransportEndpoint =>
  isInet(endpoint) || endpoint._tag === "unix"

/**
 * Whether the system chooses the port.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEphemeral = (endpoint: Endpoint): boolean => isInet(endpoint) && endpoint.port === 0

/**
 * Whether the endpoint is every port of every address: what a proxy listens on (W18).
 *
 * @category guards
 * @since 0.1.0
 */
export const isAnyPort = (endpoint: Endpoint): endpoint is Extract<Endpoint, { readonly _tag: "anyPort" }> =>
  endpoint._tag === "anyPort"

/**
 * Whether the host stands for every address of this machine.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAnyHost = (host: string): host is AnyHost => anyHosts.some((any) => any === host)

/**
 * The endpoints that a proxy of TCP listens on, one for each family.
 *
 * @category constants
 * @since 0.1.0
 */
export const anyPorts: ReadonlyArray<Endpoint> = anyHosts.map((host) => ({ _tag: "anyPort", transport: "tcp", host }))

/**
 * The address family that the host is written in; `undefined` for a name, which may have either.
 *
 * @category getters
 * @since 0.1.0
 */
export const family = (endpoint: Extract<Endpoint, { readonly host: string }>): 4 | 6 | undefined => {
  const version = isIP(endpoint.host)
  return version === 4 || version === 6 ? version : undefined
}

/**
 * The listeners that hear of a connect to the endpoint, other than one on the endpoint itself, the most specific first:
 * those on every address and its port, then those on every address and every port.
 *
 * **Details**
 *
 * `[::]` is dual-stack and covers IPv4 too, after `0.0.0.0`. A name is covered like an IPv4 address, since it is not
 * resolved. A local endpoint and a path are covered by nothing but themselves.
 *
 * @category getters
 * @since 0.1.0
 */
export const coveredBy = (endpoint: Endpoint): ReadonlyArray<Endpoint> => {
  if (endpoint._tag === "local" || endpoint._tag === "unix") return []
  const { host } = endpoint
  const hosts: ReadonlyArray<AnyHost> = Address.family(host) === 6 ? ["::"] : ["0.0.0.0", "::"]
  // only TCP has proxies
  const ports = endpoint._tag === "tcp" || endpoint._tag === "anyPort"
    ? hosts.map((host): Endpoint => ({ _tag: "anyPort", transport: "tcp", host }))
    : []
  const all = endpoint._tag === "anyPort"
    ? ports
    : [...hosts.map((host): Endpoint => ({ ...endpoint, host })), ...ports]
  const own = format(endpoint)
  return all.filter((other) => format(other) !== own)
}

/**
 * The transport that an endpoint's text begins with. The text may be only that, for an end without an address.
 *
 * @category getters
 * @since 0.1.0
 */
export const transportOf = (text: string): TransportName => {
  const transport = text.slice(0, text.indexOf(":"))
  return isKnown(transport) ? transport : "tcp"
}

/**
 * The endpoint that a text stands for, if it has an address and a port.
 *
 * @category decoding
 * @since 0.1.0
 */
export const inetOf = (text: string): InetEndpoint | undefined =>
  Result.match(parse(text), {
    onFailure: () => undefined,
    onSuccess: (endpoint) => isInet(endpoint) ? endpoint : undefined
  })
