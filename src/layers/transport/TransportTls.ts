/**
 * TLS over TCP. Where it ends in the host, workers get the bytes as they were before encryption; with the placement
 * `transfer` it ends in the worker that the connection moves to, see `WorkerTls`.
 *
 * A connection becomes a session only after its handshake, so a worker is never offered a connection whose handshake
 * may still fail. `TcpHandshake` takes it that far, within the bounds of `Handshakes`; certificates and resumption are
 * in `TlsContexts`.
 *
 * A connect checks the server: its certificate must be for the very name or address that is connected to.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Certificate } from "../../domain/net/Certificate.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as AppOptions from "../../domain/options/Options.ts"
import type { TlsClientOptions } from "../../domain/options/TlsClientOptions.ts"
import {
  type SharedConnection,
  type TransportEndpointOf,
  TransportError,
  type TransportListenOptions,
  type TransportOf
} from "../../services/Transport.ts"
import { ofConnect } from "./ConnectionSetup.ts"
import * as InetErrors from "./InetErrors.ts"
import { readByEvents } from "./SocketEvents.ts"
import { TcpConnection } from "./TcpConnection.ts"
import * as TcpDial from "./TcpDial.ts"
import * as TcpServer from "./TcpServer.ts"
import * as TlsContexts from "./TlsContexts.ts"
import * as TlsErrors from "./TlsErrors.ts"
import type { TcpOptions } from "./TransportTcp.ts"

const noCertificate = (endpoint: Endpoint.InetEndpoint): TransportError =>
  new TransportError({
    operation: "listen",
    endpoint: Endpoint.format(endpoint),
    reason: "NoCertificate",
    detail:
      "the application has no certificate; give it one (certificates, or --tls-cert and --tls-key) before it listens"
  })

/** The application's certificates as TLS takes them; the same objects as long as the certificates are the same. */
const materialsOf = (
  choose: TransportListenOptions["certificate"]
): (serverName: string | undefined) => TlsContexts.Material | undefined => {
  const made = new WeakMap<Certificate, TlsContexts.Material>()
  return (serverName) => {
    const certificate = choose(serverName)?.certificate
    if (certificate === undefined) return undefined
    const known = made.get(certificate)
    if (known !== undefined) return known
    const material = { chain: certificate.chain, key: Redacted.value(certificate.key) }
    made.set(certificate, material)
    return material
  }
}

const clientOptions = (
  endpoint: Endpoint.InetEndpoint,
  { alpn, authorities, verify }: Partial<TlsClientOptions>
): Tls.ConnectionOptions => ({
  host: endpoint.host,
  // an address can't be the server name, but the certificate is checked against it all the same
  ...(Net.isIP(endpoint.host) === 0 && { servername: endpoint.host }),
  rejectUnauthorized: verify ?? true,
  ...(authorities !== undefined && authorities.length > 0 && { ca: [...authorities] }),
  ...(alpn !== undefined && alpn.length > 0 && { ALPNProtocols: [...alpn] })
})

/** What serves TLS endpoints. */
export const make = (
  options: Pick<TcpOptions, "lookup"> = {}
): TransportOf<TransportEndpointOf<"tls">> => ({
  immovable: TcpServer.immovable,
  listen: Effect.fnUntraced(function*(endpoint, listen) {
    if (listen.certificate(undefined) === undefined) return yield* noCertificate(endpoint)
    const server = yield* TcpServer.listen(endpoint, listen)
    // what is known of a TLS session is in the process that made its handshake
    listen.opened?.({ ...TcpServer.socketOf(server, listen, "tcp"), adopt: () => undefined })
    // TLS ends in the worker
    if (listen.listener.placement === "transfer") {
      TcpServer.acceptInet(server, listen, "tls")
      return TcpServer.boundTo(endpoint, server)
    }
    const acceptor = new TlsContexts.Acceptor(listen.listener, materialsOf(listen.certificate))
    yield* TcpServer.acceptAfterHandshakes(server, { listen, transport: "tls", acceptor })
    return TcpServer.boundTo(endpoint, server)
  }),
  connect: (endpoint, { listener = AppOptions.defaults.listener, source, tls = {} } = {}) =>
    TcpDial.dial(endpoint, source, options, (below, resume) => {
      let connection: SharedConnection | undefined
      const socket = Tls.connect({ ...clientOptions(endpoint, tls), socket: below })
      const onError = (error: NodeJS.ErrnoException): void =>
        resume(Effect.fail(TlsErrors.handshakeFailed(endpoint, error)))
      socket.on("error", onError)
      socket.once("secureConnect", () => {
        socket.off("error", onError)
        const made = connection = new TcpConnection(
          readByEvents(socket),
          ofConnect(listener),
          undefined,
          { transport: "tls", below, about: { tls: TlsContexts.aboutOf(socket) } }
        )
        const error = TcpDial.standing(made)
        if (error === undefined) return resume(Effect.succeed(made))
        made.abort()
        resume(Effect.fail(InetErrors.connectFailed(endpoint, source, error)))
      })
      return () => {
        if (connection === undefined) below.destroy()
        else connection.abort()
      }
    })
})
