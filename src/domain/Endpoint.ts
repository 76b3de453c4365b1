/**
 * Endpoints: where a listener listens and what a connect goes to.
 *
 * An endpoint is written as a URI of a transport, a host and a port:
 *
 * ```
 * tcp://127.0.0.1:8080     tcp://0.0.0.0:80     tcp://localhost:8080
 * tcp://[::1]:0            tcp://[::]:0         tcp://[fe80::1%eth0]:80
 * ```
 *
 * There is no path, query, fragment or userinfo, and the port is always written; port 0 asks the system for a free
 * one. A host is an IPv4 literal, an IPv6 literal or a name; it is kept as it was written, and resolving a name is the
 * transport's work. A name may not end in a number: `127.1`, `256.0.0.1` and `0x7f000001` are read as addresses by
 * some resolvers and refused by others, so here they are refused with a reason.
 *
 * The tag of an endpoint is its transport. {@link transports} lists those that are known, {@link servedTransports}
 * those that this build serves; a known transport that is not served is told apart from one that does not exist.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { isIP, isIPv6 } from "node:net"

/**
 * Transports that have a name in endpoints, served or not.
 *
 * @category models
 * @since 0.1.0
 */
export const Transport = Schema.Literals(["tcp", "tls", "udp", "unix", "local"])
export type Transport = typeof Transport.Type

/**
 * All known transports.
 *
 * @category constants
 * @since 0.1.0
 */
export const transports: ReadonlyArray<Transport> = Transport.literals

/**
 * The transports that this build serves: the ones that have a case in {@link Endpoint}.
 *
 * @category constants
 * @since 0.1.0
 */
export const servedTransports: ReadonlyArray<Endpoint["_tag"]> = ["tcp"]

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i
const NUMBER_LABEL = /^(?:\d+|0x[0-9a-f]*)$/i

const isName = (text: string): boolean => {
  const name = text.endsWith(".") ? text.slice(0, -1) : text
  if (name.length === 0 || name.length > 253) return false
  const labels = name.split(".")
  return labels.every((label) => LABEL.test(label)) && !NUMBER_LABEL.test(labels.at(-1) ?? "")
}

/**
 * A host: an IPv4 literal, an IPv6 literal (with no brackets) or a name of at most 253 characters.
 *
 * @category models
 * @since 0.1.0
 */
export const Host = Schema.String.check(
  Schema.makeFilter((text) => isIP(text) !== 0 || isName(text), {
    expected: "an IPv4 address, an IPv6 address or a host name"
  })
)

/**
 * A port, 0 to 65535; 0 asks the system for a free one.
 *
 * @category models
 * @since 0.1.0
 */
export const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))

/**
 * Where a listener listens and what a connect goes to; the tag is the transport.
 *
 * @category models
 * @since 0.1.0
 */
export const Endpoint = Schema.TaggedUnion({
  tcp: { host: Host, port: Port }
})
export type Endpoint = typeof Endpoint.Type

/**
 * Why a text is not an endpoint.
 *
 * **Details**
 *
 * - `UnsupportedTransport`: the transport is known, this build does not serve it.
 * - `UnknownTransport`: there is no such transport.
 * - `MissingTransport`: the text does not start with a transport and `://`.
 * - `UnexpectedPart`: userinfo, a path, a query or a fragment; an endpoint has none of them.
 * - `InvalidHost`, `InvalidPort`: what stands there is not a host or not a port; an empty text when it is missing.
 *
 * @category errors
 * @since 0.1.0
 */
export const EndpointErrorReason = Schema.TaggedUnion({
  UnsupportedTransport: { transport: Transport },
  UnknownTransport: { transport: Schema.String },
  MissingTransport: {},
  UnexpectedPart: { part: Schema.Literals(["userinfo", "path", "query", "fragment"]) },
  InvalidHost: { host: Schema.String },
  InvalidPort: { port: Schema.String }
})
export type EndpointErrorReason = typeof EndpointErrorReason.Type

const served = servedTransports.map((transport) => `${transport}:`).join(", ")

const explain = EndpointErrorReason.match({
  UnsupportedTransport: ({ transport }) => `transport '${transport}' is not served by this build; use ${served}`,
  UnknownTransport: ({ transport }) => `there is no transport '${transport}'; use ${served}`,
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
      : `'${port}' is not a port; use a number from 0 to 65535 without leading zeros`
})

/**
 * A text that is not an endpoint.
 *
 * **Details**
 *
 * `text` is the text given, shortened to 200 characters, with the userinfo masked: it may hold a password.
 *
 * @category errors
 * @since 0.1.0
 */
export class EndpointError extends Schema.TaggedError<EndpointError>()("EndpointError", {
  text: Schema.String,
  reason: EndpointErrorReason
}) {
  override get message(): string {
    return `endpoint "${this.text}": ${explain(this.reason)}`
  }
}

const printable = (text: string): string => {
  const masked = text.replace(/\/\/[^/?#]*@/, "//***@")
  return masked.length > 200 ? `${masked.slice(0, 199)}…` : masked
}

const SCHEME = /^([a-z][a-z0-9+.-]*):(\/\/)?/i
const BRACKETED = /^\[([^\]]*)\](?::(.*))?$/s
const PORT = /^(?:0|[1-9]\d{0,4})$/

const isTransport = Schema.is(Transport)
const isServed = (transport: Transport): transport is Endpoint["_tag"] =>
  (servedTransports as ReadonlyArray<Transport>).includes(transport)

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

/** Splits at the last colon; a host that has more of them is an IPv6 address without its brackets. */
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
  if (!isTransport(transport)) {
    return fail(slashes ? { _tag: "UnknownTransport", transport } : { _tag: "MissingTransport" })
  }
  if (!isServed(transport)) return fail({ _tag: "UnsupportedTransport", transport })
  if (scheme === null || !slashes) return fail({ _tag: "MissingTransport" })

  const rest = text.slice(scheme[0].length)
  const unexpected = part(rest)
  if (unexpected !== undefined) return fail({ _tag: "UnexpectedPart", part: unexpected })
  const { bare, host, port } = authority(rest)
  if (bare ? isIP(host) !== 4 && !isName(host) : !isIPv6(host)) return fail({ _tag: "InvalidHost", host })
  if (!PORT.test(port) || Number(port) > 65535) return fail({ _tag: "InvalidPort", port })
  return Result.succeed({ _tag: transport, host, port: Number(port) })
}

/**
 * The text form of an endpoint, which {@link parse} reads back as it was.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (endpoint: Endpoint): string =>
  `${endpoint._tag}://${isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`

/**
 * Text on the outside, an endpoint on the inside: for flags, configuration and the control API.
 *
 * **Details**
 *
 * A text that is no endpoint fails with the message of its {@link EndpointError}.
 *
 * @category codecs
 * @since 0.1.0
 */
export const FromString = Schema.String.pipe(
  Schema.decodeTo(
    Endpoint,
    SchemaTransformation.transformEffect({
      decode: (text: string, options) =>
        Effect.mapError(
          Effect.fromResult(parse(text)),
          (error) => new SchemaIssue.InvalidValue({ message: error.message }, text, options)
        ),
      encode: (endpoint: Endpoint) => Effect.succeed(format(endpoint))
    })
  )
)

/**
 * The address family that the host is written in; `undefined` for a name, which may have either.
 *
 * @category getters
 * @since 0.1.0
 */
export const family = (endpoint: Endpoint): 4 | 6 | undefined => {
  const version = isIP(endpoint.host)
  return version === 4 || version === 6 ? version : undefined
}

/**
 * The same endpoint at another port, for example the one that the system chose for port 0.
 *
 * **Gotchas**
 *
 * Throws for a port outside 0 to 65535: ports come from the system or from {@link Port}, so this is a defect.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withPort = (endpoint: Endpoint, port: number): Endpoint =>
  Endpoint.cases[endpoint._tag].make({ host: endpoint.host, port })
