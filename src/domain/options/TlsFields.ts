/**
 * Options that TLS has on both sides of a connection, given in the same way for a listener and for a connect.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Certificate from "../net/Certificate.ts"

const texts = (schema: Schema.Codec<string, string>) =>
  Schema.Array(schema).pipe(Schema.withDecodingDefaultType(Effect.succeed([])))

/** In a TLS handshake, the length of a protocol's name is one byte. */
const isProtocol = (text: string): boolean => text !== "" && Buffer.byteLength(text) <= 255

/**
 * Names of protocols in a TLS handshake, the preferred first.
 */
export const Protocols = texts(Schema.String.check(Schema.makeFilter(isProtocol)))

/**
 * What right {@link Protocols} are, worded to follow "must be".
 */
export const PROTOCOLS_RIGHT = `a list of texts of 1 to 255 bytes, such as "h2" and "http/1.1"`

/**
 * PEM texts with the certificates of authorities.
 */
export const Authorities = texts(Schema.String.check(Schema.makeFilter(Certificate.isAuthorities)))

/**
 * What right {@link Authorities} are, worded to follow "must be".
 */
export const AUTHORITIES_RIGHT = "a list of PEM texts, each with one or more certificates"
