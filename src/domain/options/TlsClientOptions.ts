/**
 * How an application's connects to `tls:` endpoints are made: whom they trust, and what they offer.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ListenerOptions from "./ListenerOptions.ts"
import { described } from "./OptionFields.ts"

/**
 * The options of connects over TLS.
 *
 * **Details**
 *
 * - `authorities`: PEM texts with the certificates of those that sign servers' certificates, in place of the well-known
 *   ones that the runtime brings along; those.
 * - `alpn`: protocols offered, the preferred first; none.
 * - `verify`: whether a server must have a certificate for the name or address that is connected to, signed by one of
 *   the authorities; true. Without, anybody in between can read and change all.
 *
 * @category models
 * @since 0.1.0
 */
export const TlsClientOptions = Schema.Struct({
  authorities: ListenerOptions.Authorities.annotate(described({
    description: "Certificates of the authorities that sign the certificates of servers that are connected to",
    right: ListenerOptions.AUTHORITIES_RIGHT,
    default: "the well-known ones",
    shown: "kind"
  })),
  alpn: ListenerOptions.Protocols.annotate(described({
    description: "Protocols that TLS handshakes of connects offer, the preferred first",
    right: ListenerOptions.PROTOCOLS_RIGHT,
    default: "none"
  })),
  verify: Schema.Boolean.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(true))
  ).annotate(described({
    description: "Whether a server that is connected to over TLS must have a valid certificate",
    right: "true or false",
    default: "true"
  }))
})
export type TlsClientOptions = typeof TlsClientOptions.Type
