/**
 * What is known of a session beside its addresses: how TLS ended, and which proxy it came by.
 */
import * as Schema from "effect/Schema"

/**
 * What is known of the other end of a session in TLS.
 *
 * @category models
 * @since 0.1.0
 */
export const TlsPeer = Schema.Struct({
  /** `CN=…, O=…`. */
  subject: Schema.String,
  issuer: Schema.String,
  /** Node's text form: `DNS:a.example, IP Address:10.0.0.1`; empty when there are none. */
  names: Schema.String,
  fingerprint256: Schema.String,
  serial: Schema.String,
  /** Milliseconds since the epoch. */
  validFrom: Schema.Finite,
  validTo: Schema.Finite
})
export type TlsPeer = typeof TlsPeer.Type

/**
 * What is known of a session beside its addresses.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionAbout = Schema.Struct({
  /** The session came over TLS, which has ended before its bytes are read here. */
  tls: Schema.optional(Schema.Struct({
    /** `"TLSv1.3"`, and the cipher's standard name. */
    protocol: Schema.String,
    cipher: Schema.String,
    /** The protocol that both ends agreed on (ALPN). */
    alpn: Schema.optional(Schema.String),
    /** The name that the client asked for (SNI). */
    serverName: Schema.optional(Schema.String),
    /** Whether an earlier TLS session was resumed. */
    resumed: Schema.Boolean,
    /** Whether the peer's certificate was asked for and is good; why not, when it is not. */
    authorized: Schema.Boolean,
    authorizationError: Schema.optional(Schema.String),
    /** The peer's certificate, when it has shown one. */
    peer: Schema.optional(TlsPeer)
  })),
  /** A trusted proxy has said where the connection comes from: `remote` and `local` are what it says, this is its own. */
  proxy: Schema.optional(Schema.Struct({
    remote: Schema.String,
    local: Schema.String
  }))
})
export type SessionAbout = typeof SessionAbout.Type
