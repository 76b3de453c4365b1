/**
 * How an application's connects to `tls:` endpoints are made: which authorities they trust, and what they offer.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { described } from "./OptionFields.ts"
import { Authorities, AUTHORITIES_RIGHT, Protocols, PROTOCOLS_RIGHT } from "./TlsFields.ts"

/**
 * The options of connects over TLS.
 */
export const TlsClientOptions = Schema.Struct({
  /**
   * PEM texts with the certificates of the authorities that sign servers' certificates, in place of the well-known
   * ones that come with the runtime.
   */
  authorities: Authorities.annotate(described({
    description: "Certificates of the authorities that sign the certificates of servers that are connected to",
    form: "list",
    value: "pem",
    right: AUTHORITIES_RIGHT,
    default: "the well-known ones",
    shown: "kind"
  })),
  /** Protocols that TLS handshakes of connects offer, the preferred first; none. */
  alpn: Protocols.annotate(described({
    description: "Protocols that TLS handshakes of connects offer, the preferred first",
    form: "list",
    value: "protocol",
    right: PROTOCOLS_RIGHT,
    default: "none"
  })),
  /**
   * Whether a server must have a certificate for the name or address that is connected to, signed by one of the
   * authorities; true. Without this, anybody in between can read and change everything.
   */
  verify: Schema.Boolean.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(true))
  ).annotate(described({
    description: "Whether a server that is connected to over TLS must have a valid certificate",
    form: "switch",
    value: "boolean",
    right: "true or false",
    default: "true"
  }))
})
export type TlsClientOptions = typeof TlsClientOptions.Type
