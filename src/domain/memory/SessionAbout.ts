/**
 * What is known of a session besides its addresses: its TLS handshake, and the proxy that it came through.
 *
 * On its way to a worker it is JSON, in a block of the host's arena that the message about the session names. The block
 * is freed once the worker has claimed the session, or is done with it.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { FifoCorrupt, type View } from "./Fifo.ts"

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

type Tls = NonNullable<SessionAbout["tls"]>

/** The most bytes that it may take on its way. */
const LONGEST = 16_384

const decoder = new TextDecoder()

/** For the many sessions about which nothing else is known. */
export const nothing: SessionAbout = {}

/** The same, with one certificate less, or without what is known of the peer. */
const shorter = ({ peer, ...tls }: Tls): Tls => {
  if (peer?.chain === undefined) return tls
  const { chain, ...rest } = peer
  return { ...tls, peer: chain.length > 1 ? { ...rest, chain: chain.slice(0, -1) } : rest }
}

/** `undefined` when there is nothing to say. What would be too long leaves out certificates, then the peer's names. */
export const encode = (about: SessionAbout | undefined): Uint8Array | undefined => {
  if (about === undefined) return undefined
  const bytes = Buffer.from(JSON.stringify(about))
  return bytes.length > LONGEST && about.tls?.peer !== undefined ? encode({ ...about, tls: shorter(about.tls) }) : bytes
}

/** Bytes before the text where a state follows it: the length of the text, the less significant byte first. */
const STATE_HEADER = 2

/** The text, which may be absent, and behind it what an application has given along with the session. */
export const withState = (text: Uint8Array | undefined, state: Uint8Array): Uint8Array => {
  const length = text?.length ?? 0
  const bytes = new Uint8Array(STATE_HEADER + length + state.length)
  bytes[0] = length
  bytes[1] = length >>> 8
  if (text !== undefined) bytes.set(text, STATE_HEADER)
  bytes.set(state, STATE_HEADER + length)
  return bytes
}

const decodeText = Schema.decodeUnknownResult(Schema.fromJsonString(SessionAbout))

/** Reads what the host has written; throws {@link FifoCorrupt} when it is not that. */
export const decode = (bytes: Uint8Array): SessionAbout => {
  if (bytes.length === 0) return nothing
  // shared memory can't be decoded in place
  const about = decodeText(decoder.decode(new Uint8Array(bytes)))
  if (Result.isFailure(about)) throw new FifoCorrupt("what is known of a session can't be read")
  return about.success
}

/** The same, from the place that the message of the session names; `hasState`: as {@link withState} has made it. */
export const read = (view: View, segment: number, offset: number, bytes: number, hasState: boolean): SessionAbout => {
  if (bytes === 0) return nothing
  const memory = view(segment)
  if (memory === undefined || offset + bytes > memory.length) {
    throw new FifoCorrupt("what is known of a session is said to be where there is no memory")
  }
  const all = memory.subarray(offset, offset + bytes)
  if (!hasState) return decode(all)
  const at = STATE_HEADER + (all[0]! | all[1]! << 8)
  return { ...decode(all.subarray(STATE_HEADER, at)), state: new Uint8Array(all.subarray(at)) }
}
