/**
 * Endpoints as schemas: for flags, configuration and the control API. What an endpoint is stands in `Endpoint`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Endpoint from "./Endpoint.ts"

/**
 * A host: an IPv4 literal, an IPv6 literal (with no brackets) or a name of at most 253 characters.
 *
 * @category models
 * @since 0.1.0
 */
export const HostName = Schema.String.check(
  Schema.makeFilter(Endpoint.isHostName, { expected: "an IPv4 address, an IPv6 address or a host name" })
)

/**
 * A port, 0 to 65535; 0 asks the system for a free one.
 *
 * @category models
 * @since 0.1.0
 */
export const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))

/**
 * The name of a local endpoint: 1 to 64 letters, digits, `.`, `_` and `-`.
 *
 * @category models
 * @since 0.1.0
 */
export const LocalName = Schema.String.check(
  Schema.isPattern(Endpoint.localName, { expected: `1 to 64 letters, digits, ".", "_" and "-"` })
)

/**
 * The path of a Unix socket: 1 to 107 bytes without control characters.
 *
 * @category models
 * @since 0.1.0
 */
export const UnixPath = Schema.String.check(
  Schema.makeFilter(Endpoint.isPath, {
    expected: `a path of 1 to ${Endpoint.LONGEST_PATH} bytes without control characters`
  })
)

/**
 * An endpoint, as `Endpoint.Endpoint` has it.
 *
 * @category models
 * @since 0.1.0
 */
export const EndpointValue = Schema.TaggedUnion({
  tcp: { host: HostName, port: Port },
  tls: { host: HostName, port: Port },
  udp: { host: HostName, port: Port },
  unix: { path: UnixPath },
  anyPort: { transport: Schema.Literal("tcp"), host: Schema.Literals(Endpoint.anyHosts) },
  local: { name: LocalName }
})

/**
 * Text on the outside, an endpoint on the inside.
 *
 * **Details**
 *
 * A text that is not an endpoint fails with the message of its `EndpointError`.
 *
 * @category codecs
 * @since 0.1.0
 */
export const EndpointFromString = Schema.String.pipe(
  Schema.decodeTo(
    EndpointValue,
    SchemaTransformation.transformEffect({
      decode: (text: string, options) =>
        Effect.mapError(
          Effect.fromResult(Endpoint.parse(text)),
          (error) => new SchemaIssue.InvalidValue({ message: error.message }, text, options)
        ),
      encode: (endpoint: Endpoint.Endpoint) => Effect.succeed(Endpoint.format(endpoint))
    })
  )
)
