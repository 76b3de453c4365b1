/**
 * Unix sockets: TCP's connections, over a path.
 *
 * A listener takes its path as `UnixSocketFile` says, with the permissions of its `unixMode`; a socket that this process
 * was started with has its file already, and leaves it. The peer of an accepted
 * connection has no address: its endpoint is written `unix://`, and can't be connected to. There is no reset either: a
 * connection that is broken ends, and its peer reads an end.
 */
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as AppOptions from "../../domain/options/Options.ts"
import {
  type SharedConnection,
  type TransportEndpointOf,
  type TransportError,
  type TransportListenOptions,
  type TransportOf
} from "../../services/Transport.ts"
import * as UnixSocketFile from "../system/UnixSocketFile.ts"
import { type ConnectionSetup, ofConnect } from "./ConnectionSetup.ts"
import * as InetErrors from "./InetErrors.ts"
import { onread } from "./SocketEvents.ts"
import { TcpConnection } from "./TcpConnection.ts"
import * as TcpServer from "./TcpServer.ts"
import * as UnixErrors from "./UnixErrors.ts"

type Unix = TransportEndpointOf<"unix">
/** The end of a connection that has no path. */
const UNNAMED = "unix://"

/** Has the server listen at its path, or on the socket that listens there already. */
const take = (
  server: Net.Server,
  { path }: Unix,
  { backlog, descriptor, listener, ownsFile }: TransportListenOptions
) =>
  descriptor === undefined
    ? UnixSocketFile.take(server, path, { mode: listener.unixMode, backlog })
    : UnixSocketFile.adopt(server, path, { descriptor, backlog, owns: ownsFile === true })

/** What serves Unix sockets. */
export const make = (options: TcpServer.AcceptOptions = {}): TransportOf<Unix> => {
  return {
    listen: Effect.fnUntraced(function*(endpoint, listen) {
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
      const file = yield* Effect.acquireRelease(
        take(server, endpoint, listen).pipe(
          Effect.onError(() => Effect.sync(() => server.close())),
          Effect.mapError(({ reason }) => UnixErrors.listenFailed(endpoint, reason))
        ),
        ({ leave }) =>
          Effect.sync(() => {
            leave()
            server.close()
          })
      )
      server.on(
        "error",
        (error: NodeJS.ErrnoException) => listen.acceptError(InetErrors.acceptError(error.code), error.message)
      )
      listen.opened?.(TcpServer.socketOf(server, listen, "unix", file.forget))
      const local = Endpoint.format(endpoint)
      const setup: ConnectionSetup = { transport: "unix", local, remote: UNNAMED }
      TcpServer.acceptAll(
        server,
        listen,
        options,
        (accepted) => new TcpConnection(TcpServer.readable(accepted), listen.listener, local, setup)
      )
      return endpoint
    }),
    connect: (endpoint, { listener = AppOptions.defaults.listener } = {}) =>
      Effect.callback<SharedConnection, TransportError>((resume) => {
        let connection: TcpConnection | undefined
        const socket = Net.connect({ path: endpoint.path, allowHalfOpen: true, onread } as Net.NetConnectOpts)
        const onError = (error: NodeJS.ErrnoException): void =>
          resume(Effect.fail(UnixErrors.connectFailed(endpoint, error)))
        socket.pause()
        socket.once("error", onError)
        socket.once("connect", () => {
          socket.off("error", onError)
          const setup: ConnectionSetup = {
            transport: "unix",
            local: UNNAMED,
            remote: Endpoint.format(endpoint)
          }
          connection = new TcpConnection(socket, ofConnect(listener), UNNAMED, setup)
          resume(Effect.succeed(connection))
        })
        return Effect.sync(() => {
          if (connection === undefined) socket.destroy()
          else connection.abort()
        })
      })
  }
}
