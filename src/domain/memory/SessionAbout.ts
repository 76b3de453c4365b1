/**
 * What is known of a session besides its addresses: its TLS handshake, and the proxy that it came through.
 */
import * as Schema from "effect/Schema"

/** What is known of the other end of a session in TLS. */
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
  validTo: Schema.Finite,
  /**
   * The certificate, and those above it as far as the peer has shown them: DER, in base64. Issuers that would make it
   * too long are left out, from the last one on, and so is a certificate that is too long by itself.
   */
  chain: Schema.optional(Schema.Array(Schema.String))
})
export type TlsPeer = typeof TlsPeer.Type

/** What is known of a session besides its addresses. */
export const SessionAbout = Schema.Struct({
  /** The session came over TLS, which ends before its bytes are read here. */
  tls: Schema.optional(Schema.Struct({
    /** `"TLSv1.3"`, and the cipher's standard name. */
    protocol: Schema.String,
    cipher: Schema.String,
    /** What OpenSSL calls the cipher, and the version of TLS that brought it: `"ECDHE-RSA-AES128-GCM-SHA256"`. */
    openssl: Schema.optional(Schema.Struct({ name: Schema.String, version: Schema.String })),
    /** The protocol that both ends agreed on (ALPN). */
    alpn: Schema.optional(Schema.String),
    /** The name that the client asked for (SNI). */
    serverName: Schema.optional(Schema.String),
    /** Whether an earlier TLS session was resumed. */
    resumed: Schema.Boolean,
    /** Whether the peer's certificate was asked for and is valid; and if not, why. */
    authorized: Schema.Boolean,
    authorizationError: Schema.optional(Schema.String),
    /** The peer's certificate, when it has shown one. */
    peer: Schema.optional(TlsPeer)
  })),
  /** A trusted proxy named the two ends, which are `remote` and `local`; these are the ends of its own connection. */
  proxy: Schema.optional(Schema.Struct({
    remote: Schema.String,
    local: Schema.String
  }))
})
export type SessionAbout = typeof SessionAbout.Type & {
  /**
   * What the application of an earlier worker has given along with the session as it parked it (X1); empty when it gave
   * nothing. Absent when no application has parked the session.
   */
  readonly state?: Uint8Array | undefined
}
