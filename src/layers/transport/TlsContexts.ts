/**
 * TLS on the server's side: handshakes on sockets that have been accepted, and what is known of a peer afterwards.
 *
 * It needs only PEM texts and options, so it works on any thread: in a host that ends TLS itself, and in a worker to
 * which the host has left the handshake.
 *
 * An acceptor asks for a certificate with each handshake, and keeps the secure context that it makes of one as long as
 * it is given the same object: after a certificate is replaced, the next handshake shows the new one, and established
 * sessions stay as they are. Sessions are resumed by tickets, across all acceptors that share ticket keys, and by their
 * ids for clients that take no tickets.
 */
import * as Crypto from "node:crypto"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import type { SessionAbout, TlsPeer } from "../../domain/memory/SessionAbout.ts"
import * as Certificate from "../../domain/net/Certificate.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import * as NodeHandle from "./NodeHandle.ts"

/** A certificate and its key as TLS takes them. */
export interface Material {
  /** PEM text, the leaf first. */
  readonly chain: string
  /** PEM text, not encrypted. */
  readonly key: string
}

/** The options of a listener that handshakes use. */
export type ServerOptions = Pick<ListenerOptions, "alpn" | "clientCertificate" | "clientAuthorities">

/** What acceptors share so that they can resume each other's sessions. It is as secret as a key. */
export interface Resumption {
  readonly ticketKeys: Uint8Array
  readonly context: string
}

const TICKET_KEYS = 48
/** The most bytes that OpenSSL allows for the context of a session. */
const CONTEXT = 32

export const makeResumption = (): Resumption => ({
  ticketKeys: new Uint8Array(Crypto.randomBytes(TICKET_KEYS)),
  context: Crypto.randomBytes(CONTEXT / 2).toString("hex")
})

/** The options of a secure context that shows a certificate. */
export const contextOptions = (
  { chain, key }: Material,
  { clientAuthorities }: Pick<ServerOptions, "clientAuthorities">,
  { context, ticketKeys }: Resumption
): Tls.SecureContextOptions & { readonly ticketKeys: Buffer } => ({
  cert: chain,
  key,
  // left out, it would mean all authorities that the runtime knows
  ca: [...clientAuthorities],
  sessionIdContext: context,
  ticketKeys: Buffer.from(ticketKeys)
})

/** The most sessions that are kept for clients without tickets. */
const MOST_SESSIONS = 4096

/** The sessions of clients that take no tickets, by their ids; the oldest go first. */
class SessionCache {
  readonly #byId = new Map<string, Buffer>()

  keep(id: Buffer, session: Buffer): void {
    this.#byId.set(id.toString("hex"), session)
    if (this.#byId.size <= MOST_SESSIONS) return
    const { value: oldest } = this.#byId.keys().next()
    if (oldest !== undefined) this.#byId.delete(oldest)
  }

  find(id: Buffer): Buffer | null {
    return this.#byId.get(id.toString("hex")) ?? null
  }
}

/** Does handshakes. */
export class Acceptor {
  readonly #choose: (serverName: string | undefined) => Material | undefined
  readonly #contexts = new WeakMap<Material, Tls.SecureContext>()
  readonly #contextOptions: (material: Material) => ReturnType<typeof contextOptions>
  readonly #server: Tls.Server
  readonly #waiting = new WeakMap<Net.Socket, (socket: Tls.TLSSocket) => void>()
  #default: Material | undefined

  /** `choose` gives the certificate for a name, the same object as long as it is the same certificate. */
  constructor(
    options: ServerOptions,
    choose: (serverName: string | undefined) => Material | undefined,
    resumption: Resumption = makeResumption()
  ) {
    this.#choose = choose
    this.#contextOptions = (material) => contextOptions(material, options, resumption)
    const sessions = new SessionCache()
    this.#server = Tls.createServer({
      pauseOnConnect: true,
      // the caller bounds the time of a handshake; left to itself, Node would end it after two minutes
      handshakeTimeout: 2 ** 31 - 1,
      requestCert: options.clientCertificate !== "none",
      rejectUnauthorized: options.clientCertificate === "require",
      ...(options.alpn.length > 0 && { ALPNProtocols: [...options.alpn] }),
      SNICallback: (serverName, answer) => {
        const material = this.#choose(serverName)
        if (material === undefined) answer(new Error("there is no certificate"))
        else answer(null, this.#contextOf(material))
      }
    })
    this.#server.on("secureConnection", (socket: Tls.TLSSocket) => {
      const below = NodeHandle.below(socket)
      if (below === undefined) return
      socket.allowHalfOpen = true
      this.#waiting.get(below)?.(socket)
    })
    this.#server.on("newSession", (id: Buffer, session: Buffer, done: () => void) => {
      sessions.keep(id, session)
      done()
    })
    this.#server.on(
      "resumeSession",
      (id: Buffer, done: (error: null, session: Buffer | null) => void) => done(null, sessions.find(id))
    )
  }

  #contextOf(material: Material): Tls.SecureContext {
    const known = this.#contexts.get(material)
    if (known !== undefined) return known
    const made = Tls.createSecureContext(this.#contextOptions(material))
    this.#contexts.set(material, made)
    return made
  }

  /**
   * Begins the handshake on a socket that has been accepted; bytes that the socket has read already are taken for the
   * handshake's beginning.
   *
   * When the handshake is complete, `done` is called with the TLS socket above it, which is paused and may be
   * half-open. A handshake that fails closes the socket: watch for that, watch the time, and destroy the socket when
   * the time is over. Returns `false`, with nothing done, when there is no certificate. The peer's end may have come
   * before there is a reader: look at `readableEnded`.
   */
  accept(socket: Net.Socket, done: (secure: Tls.TLSSocket) => void): boolean {
    const material = this.#choose(undefined)
    if (material === undefined) return false
    if (material !== this.#default) {
      this.#server.setSecureContext(this.#contextOptions(material))
      this.#default = material
    }
    this.#waiting.set(socket, done)
    // a peer that ends its side during the handshake will not finish it
    socket.allowHalfOpen = false
    this.#server.emit("connection", socket)
    return true
  }
}

/** The most certificates of a chain that are looked at. */
const MOST_ISSUERS = 10

const chainOf = (leaf: Crypto.X509Certificate): ReadonlyArray<string> => {
  const chain: Array<string> = []
  let at: Crypto.X509Certificate | undefined = leaf
  for (; at !== undefined && chain.length < MOST_ISSUERS; at = at.issuerCertificate) {
    const der = at.raw.toString("base64")
    // a root has issued itself
    if (der === chain.at(-1)) break
    chain.push(der)
  }
  return chain
}

const peerOf = (certificate: Crypto.X509Certificate): TlsPeer => ({
  subject: Certificate.nameOf(certificate.subject),
  issuer: Certificate.nameOf(certificate.issuer),
  names: certificate.subjectAltName ?? "",
  fingerprint256: certificate.fingerprint256,
  serial: certificate.serialNumber,
  validFrom: certificate.validFromDate.getTime(),
  validTo: certificate.validToDate.getTime(),
  chain: chainOf(certificate)
})

/** What is known of the peer of a TLS socket whose handshake is complete, on either side. */
export const aboutOf = (socket: Tls.TLSSocket): NonNullable<SessionAbout["tls"]> => {
  const certificate = socket.getPeerX509Certificate()
  const { alpnProtocol, authorizationError } = socket
  const { name, standardName, version } = socket.getCipher()
  // on the client's side it is `false` when there is none
  const serverName = (socket as { readonly servername?: string | false | null }).servername
  return {
    protocol: socket.getProtocol() ?? "",
    cipher: standardName,
    openssl: { name, version },
    ...(typeof alpnProtocol === "string" && { alpn: alpnProtocol }),
    ...(typeof serverName === "string" && serverName !== "" && { serverName }),
    resumed: socket.isSessionReused(),
    // a session that is resumed counts as authorized by itself, with a certificate or without
    authorized: socket.authorized && certificate !== undefined,
    // a code, whatever its type says
    ...(!socket.authorized && authorizationError && { authorizationError: String(authorizationError) }),
    ...(certificate !== undefined && { peer: peerOf(certificate) })
  }
}
