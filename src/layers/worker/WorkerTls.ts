/**
 * TLS that ends in a worker: handshakes on sessions that it has claimed, with the certificates of its application.
 *
 * The host posts the certificates when the worker starts, and again when they change; later handshakes show the new
 * ones. For this, connections move to the worker; where they can't, TLS ends in the host. Handshakes are bounded in
 * number and time as in the host, by the same options, per worker and listener.
 */
import { X509Certificate } from "node:crypto"
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as ServerName from "../../domain/net/ServerName.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { PostedCertificate } from "../../services/Attachment.ts"
import { Handshakes } from "../transport/Handshakes.ts"
import * as TlsContexts from "../transport/TlsContexts.ts"
import type { TlsStart } from "../transport/TlsStart.ts"

interface WorkerCertificate extends ServerName.Named {
  readonly material: PostedCertificate
}

const byName = (certificates: ReadonlyArray<WorkerCertificate>): ServerName.ByServerName<WorkerCertificate> =>
  new ServerName.ByServerName(certificates, (certificate) => certificate)

const textOf = ({ chain, key }: PostedCertificate): string => `${chain}${key}`

/** What the handshakes of one listener's sessions share. */
interface ListenerTls {
  readonly acceptor: TlsContexts.Acceptor
  readonly handshakes: Handshakes
}

/** The end of a handshake that does not become a session. */
export type Failed = (reason: Refusal.HandshakeReason) => void

export type Done = (secure: Tls.TLSSocket, about: NonNullable<SessionAbout["tls"]>) => void

export class WorkerTls {
  readonly #start: TlsStart
  readonly #listeners = new Map<string, ListenerTls>()
  #certificates: ReadonlyArray<WorkerCertificate> = []
  #byName = byName([])

  constructor(start: TlsStart) {
    this.#start = start
  }

  /** The application's certificates from here on. */
  replace(posted: ReadonlyArray<PostedCertificate>): void {
    // what is made of a certificate is kept by the identity of its object
    const before = new Map(this.#certificates.map((certificate) => [textOf(certificate.material), certificate]))
    this.#certificates = posted.map((material) =>
      before.get(textOf(material))
        ?? { material, leaf: new X509Certificate(material.chain), hosts: material.hosts }
    )
    this.#byName = byName(this.#certificates)
  }

  readonly #choose = (serverName: string | undefined): TlsContexts.Material | undefined =>
    this.#byName.choose(serverName)?.material

  #tlsOf(endpoint: string): ListenerTls {
    let tls = this.#listeners.get(endpoint)
    if (tls === undefined) {
      const { all, own } = this.#start
      const options = Object.hasOwn(own, endpoint) ? own[endpoint]! : all
      const acceptor = new TlsContexts.Acceptor(options, this.#choose, this.#start.resumption)
      this.#listeners.set(endpoint, tls = { acceptor, handshakes: new Handshakes(options) })
    }
    return tls
  }

  /** Begins a handshake on the socket of one of the endpoint's sessions. Either `done` or `failed` is called, later. */
  begin(endpoint: string, socket: Net.Socket, done: Done, failed: Failed): void {
    const { acceptor, handshakes } = this.#tlsOf(endpoint)
    const handshake = handshakes.begin(
      socket,
      (why) => queueMicrotask(() => failed(why === "failed" ? "tls-failed" : why))
    )
    if (handshake.isOver) return
    const began = acceptor.accept(
      socket,
      (secure) => handshake.finish() && done(secure, TlsContexts.aboutOf(secure))
    )
    if (!began) handshake.fail()
  }
}
