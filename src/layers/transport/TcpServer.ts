/**
 * Accepting: a server that listens until its scope closes, and what becomes of the connections that it accepts.
 *
 * | `accept…` | for | connections |
 * |---|---|---|
 * | `acceptInet` | TCP, and TLS that ends in workers | begin at once, or move to the worker that claims them |
 * | `acceptAfterHandshakes` | a PROXY header, or TLS that ends in the host | begin once that is behind them |
 * | `acceptAll` | Unix sockets, and what the others are made of | are made by the caller |
 *
 * Sockets of a server can't be given `onread` by public means, so connections are taken from the server's handle,
 * before Node makes a socket of them. Where the runtime has no such handle, they are taken as sockets.
 */
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Util from "node:util"
import * as Address from "../../domain/net/Address.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { Connection, ListeningSocket, TransportError, TransportListenOptions } from "../../services/Transport.ts"
import * as Descriptors from "../system/Descriptors.ts"
import * as InetErrors from "./InetErrors.ts"
import * as NodeHandle from "./NodeHandle.ts"
import { readByEvents } from "./SocketEvents.ts"
import { type Accepted, ofSent, TcpConnection } from "./TcpConnection.ts"
import { TcpHandshakes, type TcpHandshakesOptions } from "./TcpHandshake.ts"
import * as TcpMovable from "./TcpMovable.ts"

/** Whether accepted connections read straight into their fifos. */
export type Reading = "onread" | "copy"

export interface AcceptOptions {
  /** `"onread"` (default): read straight into fifos where the runtime allows it. `"copy"`: never. */
  readonly reading?: Reading | undefined
  /** Called once per listener with the way that its connections are read. */
  readonly onReading?: ((reading: Reading) => void) | undefined
}

/** A server that listens until the scope closes. What it accepts is paused. */
export const listen = (
  endpoint: Endpoint.InetEndpoint,
  { acceptError, backlog, descriptor, ipv6Only, listener: { keepAlive } }: TransportListenOptions
): Effect.Effect<Net.Server, TransportError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Server, TransportError>((resume) => {
      // these are for connections that Node makes sockets of
      const probes = { keepAlive: keepAlive > 0, keepAliveInitialDelay: keepAlive }
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true, ...probes })
      const onError = (error: NodeJS.ErrnoException) => resume(Effect.fail(InetErrors.listenFailed(endpoint, error)))
      server.once("error", onError)
      const where = descriptor === undefined
        ? { host: endpoint.host, port: endpoint.port, ipv6Only }
        : { fd: descriptor }
      server.listen({ ...where, backlog }, () => {
        server.off("error", onError)
        server.on(
          "error",
          (error: NodeJS.ErrnoException) => acceptError(InetErrors.acceptError(error.code), error.message)
        )
        resume(Effect.succeed(server))
      })
      // interrupted while a name is looked up
      return Effect.sync(() => server.close())
    }),
    (server) => Effect.sync(() => server.close()),
    { interruptible: true }
  )

/** A server's socket, for a listener whose connections are read in the host. `leave`: see {@link ListeningSocket}. */
export const socketOf = (
  server: Net.Server,
  { listener }: TransportListenOptions,
  transport: "tcp" | "unix",
  leave = constVoid
): ListeningSocket => ({
  descriptor: NodeHandle.descriptorOf(server),
  leave,
  adopt: (socket, sent) => ofSent(socket, listener, transport, sent)
})

/**
 * Where a server listens, with a name resolved to its address; the endpoint as it was when the scope has closed
 * meanwhile.
 */
export const boundTo = <E extends Endpoint.InetEndpoint>(endpoint: E, server: Net.Server): E => {
  const bound = server.address() as Net.AddressInfo | null
  return bound === null ? endpoint : { ...endpoint, host: bound.address, port: bound.port }
}

/** Takes a server's connections, each with a PROXY header or a TLS handshake before its session. */
export const acceptAfterHandshakes = (
  server: Net.Server,
  options: Omit<TcpHandshakesOptions, "arrived">
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { listen, transport } = options
    const handshakes = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new TcpHandshakes({
          ...options,
          arrived: ({ socket, ...known }) => {
            listen.accept(new TcpConnection(readByEvents(socket), listen.listener, undefined, { transport, ...known }))
          }
        })
      ),
      (handshakes) => Effect.sync(() => handshakes.close())
    )
    const refuse = (socket: Net.Socket): void => {
      socket.on("error", constVoid).resetAndDestroy()
      options.listen.refused("no-descriptors")
    }
    server.on("connection", (socket) => {
      if (Descriptors.isReserved(NodeHandle.descriptorOf(socket))) refuse(socket)
      else handshakes.take(socket)
    })
  })

/** Why a listener's connections can't move to the threads of workers. */
export const immovable = (_endpoint: Endpoint.InetEndpoint, { proxyTrust }: TransportListenOptions["listener"]) =>
  proxyTrust.length > 0 ? "the host reads PROXY protocol headers (proxyTrust)" : TcpMovable.immovable()

/** What a listener accepts; where it is a socket, it is paused and reads by events. */
export const readable = (accepted: Accepted): Accepted =>
  accepted instanceof Net.Socket ? readByEvents(accepted) : accepted

/**
 * Takes a server's connections from its handle: a connection that is read here gets one socket, once it is a session's,
 * which reads where we say, and one that moves gets none. Where the runtime has no such handle, connections are taken as sockets.
 */
export const acceptAll = (
  server: Net.Server,
  listen: TransportListenOptions,
  { onReading, reading }: AcceptOptions,
  connect: (accepted: Accepted) => Connection
): void => {
  const take = (accepted: Accepted, descriptor: number): void => {
    if (!Descriptors.isReserved(descriptor)) return listen.accept(connect(accepted))
    listen.refused("no-descriptors")
    if (!(accepted instanceof Net.Socket)) accepted.close()
    else accepted.on("error", constVoid).destroy()
  }
  const handle = NodeHandle.serverHandle(server)
  if (reading === "copy" || handle === undefined) {
    server.on("connection", (socket) => take(socket, NodeHandle.descriptorOf(socket)))
    return onReading?.("copy")
  }
  handle.onconnection = (status, accepted) => {
    if (status === 0 && accepted !== undefined) return take(accepted, accepted.fd)
    const code = status === 0 ? undefined : Util.getSystemErrorName(status)
    listen.acceptError(InetErrors.acceptError(code), code ?? "no connection")
  }
  onReading?.("onread")
}

/** Takes the connections of a server of TCP: their bytes are read here, or they move. */
export const acceptInet = (
  server: Net.Server,
  listen: TransportListenOptions,
  transport: "tcp" | "tls",
  options: AcceptOptions = {}
): void => {
  const bound = server.address() as Net.AddressInfo | null
  if (bound === null) return
  // where the listener has one address, its connections have it too
  const local = Endpoint.isAnyHost(bound.address) ? undefined : Address.pack(transport, bound.address, bound.port)
  const localUri = local === undefined ? undefined : Address.unpack(transport, local)
  const moves = listen.listener.placement === "transfer"
  acceptAll(server, listen, options, (accepted) => {
    const { listener } = listen
    // a worker settles the options of a socket that has come to it
    if (moves) return new TcpMovable.TcpMovable(accepted, transport, listener.keepAlive, localUri)
    return new TcpConnection(readable(accepted), listener, local)
  })
}
