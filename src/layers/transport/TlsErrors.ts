/**
 * What a failed TLS handshake means to a client: a sentence that says what to do about it. The codes are OpenSSL's and
 * Node's; those of the system are in `SystemError`.
 */
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import { TransportError } from "../../services/Transport.ts"

const UNTRUSTED = "give its authority with tlsClient.authorities"

const sentences: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: `the server's certificate is self-signed; ${UNTRUSTED}`,
  SELF_SIGNED_CERT_IN_CHAIN: `the server's certificate is signed by an authority that is not known; ${UNTRUSTED}`,
  UNABLE_TO_GET_ISSUER_CERT: `the server's certificate is signed by an authority that is not known; ${UNTRUSTED}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    `the server's certificate is signed by an authority that is not known; ${UNTRUSTED}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `the server's certificate is signed by an authority that is not known; ${UNTRUSTED}`,
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
  ERR_SSL_WRONG_VERSION_NUMBER: "the server does not speak TLS there",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "the server does not speak TLS there",
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "the server speaks none of the protocols in tlsClient.alpn",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "the server asks for a client certificate"
}

const detailOf = (host: string, error: NodeJS.ErrnoException): string => {
  const code = SystemError.codeOf(error)
  const kind = SystemError.kindOf(error)
  if (kind === "Reset" || kind === "PeerClosed") {
    return "the server gave up during the handshake; it may not speak TLS there"
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `the server's certificate is not for ${host}`
  // OpenSSL's own words begin with where it stood
  return sentences[code] ?? `the handshake failed: ${code.startsWith("ERR_SSL_") ? code : error.message}`
}

/** Why a handshake failed. */
export const handshakeFailed = (endpoint: Endpoint.InetEndpoint, error: NodeJS.ErrnoException): TransportError =>
  new TransportError({
    operation: "connect",
    endpoint: Endpoint.format(endpoint),
    reason: "TlsFailed",
    detail: detailOf(endpoint.host, error)
  })
