/**
 * What the socket of a session has whose TLS ends in the host: the members by which programs ask a `tls.TLSSocket` about
 * its connection. Express's `req.secure` looks at `encrypted`, client certificates are taken from
 * `getPeerCertificate`, HTTP/2 asks for `alpnProtocol`.
 *
 * They answer from what the host has handed over of the handshake (`Session.about`). What is only found in the TLS
 * connection itself is not here: such a member answers as that of a `TLSSocket` does which has nothing to tell, and
 * keying material is refused.
 */
import { constFalse, constNull, constUndefined, constVoid } from "effect/Function"
import { X509Certificate } from "node:crypto"
import type * as Tls from "node:tls"
import type { SessionAbout } from "../../../domain/memory/SessionAbout.ts"
import type { SessionDuplex } from "./SessionDuplex.ts"

type TlsAbout = NonNullable<SessionAbout["tls"]>

/** A certificate as `tls` describes it; with its issuer, where the chain was asked for. */
type Described = Partial<Tls.DetailedPeerCertificate>

const isSelfIssued = (certificate: X509Certificate): boolean => certificate.checkIssued(certificate)

/** The certificate, and those above it as far as the peer has shown them. */
const describe = (chain: ReadonlyArray<X509Certificate>, detailed: boolean): Described => {
  const [leaf, ...issuers] = chain
  if (leaf === undefined) return {}
  const described = leaf.toLegacyObject() as Described
  if (!detailed) return described
  // at the root, as in Node, a certificate is its own issuer
  if (isSelfIssued(leaf)) return Object.assign(described, { issuerCertificate: described })
  return issuers.length === 0 ? described : Object.assign(described, { issuerCertificate: describe(issuers, true) })
}

/** What is known of a certificate that was too long to hand over. */
const outline = ({ fingerprint256, names, serial, validFrom, validTo }: NonNullable<TlsAbout["peer"]>): Described => ({
  subjectaltname: names,
  valid_from: new Date(validFrom).toUTCString(),
  valid_to: new Date(validTo).toUTCString(),
  fingerprint256,
  serialNumber: serial
})

/** A socket of a session that came over TLS. */
type Secure = SessionDuplex & { readonly session: { readonly about: { readonly tls?: TlsAbout | undefined } } }

const tlsOf = (socket: Secure): TlsAbout => socket.session.about.tls!

const chainOf = (socket: Secure): ReadonlyArray<X509Certificate> =>
  (tlsOf(socket).peer?.chain ?? []).map((der) => new X509Certificate(Buffer.from(der, "base64")))

/** Shared by all sockets. */
const methods = {
  /** Empty when the peer has shown no certificate, and `null` once the socket is destroyed. */
  getPeerCertificate(this: Secure, detailed = false): Described | null {
    if (this.destroyed) return null
    const { peer } = tlsOf(this)
    return peer !== undefined && peer.chain === undefined ? outline(peer) : describe(chainOf(this), detailed)
  },
  getPeerX509Certificate(this: Secure): X509Certificate | undefined {
    return this.destroyed ? undefined : chainOf(this)[0]
  },
  getProtocol(this: Secure): string | null {
    return this.destroyed ? null : tlsOf(this).protocol
  },
  getCipher(this: Secure): Tls.CipherNameAndProtocol | null {
    if (this.destroyed) return null
    const { cipher, openssl, protocol } = tlsOf(this)
    return { name: openssl?.name ?? cipher, standardName: cipher, version: openssl?.version ?? protocol }
  },
  isSessionReused(this: Secure): boolean | null {
    return this.destroyed ? null : tlsOf(this).resumed
  },

  // what only the connection itself knows
  getCertificate: constNull,
  getX509Certificate: constUndefined,
  getSession: constUndefined,
  getTLSTicket: constUndefined,
  getFinished: constUndefined,
  getPeerFinished: constUndefined,
  getEphemeralKeyInfo: constNull,
  getSharedSigalgs: (): ReadonlyArray<string> => [],
  setMaxSendFragment: constFalse,
  disableRenegotiation: constVoid,
  enableTrace: constVoid,
  renegotiate(_options: object, callback?: (error: Error | null) => void): false {
    const error = Object.assign(new Error("TLS of this connection ends in the host"), { code: "ERR_TLS_RENEGOTIATE" })
    if (callback !== undefined) process.nextTick(callback, error)
    return false
  },
  exportKeyingMaterial(): never {
    throw Object.assign(new Error("TLS of this connection ends in the host, and its keys stay there"), {
      code: "ERR_TLS_INVALID_STATE"
    })
  }
}

/** Gives the socket of a session that came over TLS what a socket of TLS has. */
export const give = (socket: SessionDuplex, tls: TlsAbout): void => {
  Object.assign(socket, methods, {
    encrypted: true,
    authorized: tls.authorized,
    authorizationError: tls.authorizationError ?? null,
    alpnProtocol: tls.alpn ?? false,
    servername: tls.serverName ?? false
  })
}
