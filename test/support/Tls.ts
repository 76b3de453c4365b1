/** Certificates as a host has them, and the other ends of connections over TLS. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Certificate from "../../src/domain/net/Certificate.ts"
import type { CertificateHandle } from "../../src/domain/state/Handle.ts"
import type * as TlsContexts from "../../src/layers/transport/TlsContexts.ts"
import type { CertificateEntry } from "../../src/services/Certificates.ts"
import * as Pem from "./Pem.ts"

/** A certificate of the fixtures as a listener is given it. */
export const entry = (name: Parameters<typeof Pem.pair>[0]): CertificateEntry => {
  const certificate = Result.getOrThrow(Certificate.decode(Pem.pair(name), Pem.now))
  return { handle: 1 as CertificateHandle, info: certificate.info, certificate }
}

export const material = (name: Parameters<typeof Pem.pair>[0]): TlsContexts.Material => {
  const { chain, key } = entry(name).certificate
  return { chain, key: Redacted.value(key) }
}

/** The authority of the fixture `chain`, whose certificate is for 127.0.0.1 and chain.test. */
export const authority = Pem.chain[2]

/** What a client needs to trust the fixture `chain`. */
export const trusting: Tls.ConnectionOptions = { host: "127.0.0.1", ca: authority }

/** A client, and what has become of it. */
export class TlsClient {
  readonly socket: Tls.TLSSocket
  readonly below: Net.Socket
  #text = ""
  secure = false
  ended = false
  closed = false
  /** The code of what went wrong. */
  error: string | undefined
  session: Buffer | undefined

  constructor(port: number, options: Tls.ConnectionOptions = {}) {
    this.below = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    this.below.on("error", () => {})
    this.socket = Tls.connect({ ...trusting, ...options, socket: this.below })
    this.socket.on("secureConnect", () => this.secure = true)
    this.socket.on("session", (session) => this.session = session)
    this.socket.on("data", (bytes: Buffer) => this.#text += bytes.toString("latin1"))
    this.socket.on("end", () => this.ended = true)
    this.socket.on("error", (error: NodeJS.ErrnoException) => this.error ??= error.code ?? error.message)
    this.socket.on("close", () => this.closed = true)
  }

  get text(): string {
    return this.#text
  }

  get over(): boolean {
    return this.secure || this.closed
  }
}
