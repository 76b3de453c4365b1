/**
 * Unix sockets: TCP's connections, over a path.
 *
 * A listener takes its path as {@link UnixSocketFile} says, with the permissions of its `unixMode`. The peer of an
 * accepted connection has no address: its endpoint is written `unix://`, which is none that could be connected to. There
 * is no reset either: a connection that is broken ends, and its peer reads an end.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import {
  type SharedConnection,
  type TransportEndpointOf,
  TransportError,
  type TransportOf
} from "../../services/Transport.ts"
import * as TransportTcp from "./TransportTcp.ts"
import * as UnixSocketFile from "./UnixSocketFile.ts"

type Unix = TransportEndpointOf<"unix">
type Fault = Pick<TransportError, "reason" | "detail">

/** The end of a connection that has no path. */
const UNNAMED = "unix://"

const explain = (error: UnixSocketFile.Fault, { path }: Unix): Fault => {
  switch (error.code) {
    case "InUse":
      return { reason: "AddressInUse", detail: "another program listens there; stop it, or choose another path" }
    case "NoSocket":
      return {
        reason: "AddressInUse",
        detail: "what is there is no socket, and is left alone; remove it, or choose another path"
      }
    case "ENOENT":
    case "ENOTDIR":
      return {
        reason: "AddressNotAvailable",
        detail: `there is no directory ${Path.dirname(path)}; make it first, or choose another path`
      }
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return {
        reason: "PermissionDenied",
        detail: `permission denied; use a directory that this program may write to, instead of ${Path.dirname(path)}`
      }
    default:
      return { reason: "TransportFailed", detail: "message" in error ? error.message : String(error.code) }
  }
}

const explainConnect = (error: NodeJS.ErrnoException, { path }: Unix): Fault => {
  switch (error.code) {
    case "ENOENT":
    case "ENOTDIR":
      return { reason: "ConnectionRefused", detail: "there is no such socket; start what listens there" }
    case "ECONNREFUSED":
      return Fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false
        ? { reason: "ConnectionRefused", detail: "what is there is no socket" }
        : { reason: "ConnectionRefused", detail: "nobody listens there" }
    case "EPROTOTYPE":
      return { reason: "ConnectionRefused", detail: "the socket there is not one for connections" }
    case "EAGAIN":
      return { reason: "ConnectionRefused", detail: "whoever listens there does not take more; try again later" }
    case "EACCES":
    case "EPERM":
      return { reason: "PermissionDenied", detail: "permission denied; see the permissions of the socket's file" }
    default:
      return { reason: "TransportFailed", detail: error.message }
  }
}

const failed = (operation: TransportError["operation"], endpoint: Unix, fault: Fault): TransportError =>
  new TransportError({ operation, endpoint: Endpoint.format(endpoint), ...fault })

/** What serves Unix sockets. */
export const make = (options: Omit<TransportTcp.TcpOptions, "lookup"> = {}): TransportOf<Unix> => {
  const lingerTime = options.lingerTime ?? TransportTcp.LINGER_TIME
  return {
    listen: Effect.fnUntraced(function*(endpoint, listen) {
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
      const file = { mode: listen.listener.unixMode, backlog: listen.backlog }
      yield* Effect.acquireRelease(
        UnixSocketFile.take(server, endpoint.path, file).pipe(
          Effect.onError(() => Effect.sync(() => server.close())),
          Effect.mapError((error) => failed("listen", endpoint, explain(error, endpoint)))
        ),
        (leave) => Effect.sync(leave).pipe(Effect.ignoreCause, Effect.andThen(Effect.sync(() => server.close())))
      )
      server.on(
        "error",
        (error: NodeJS.ErrnoException) =>
          listen.acceptError(TransportTcp.classifyAcceptError(error.code), error.message)
      )
      const local = Endpoint.format(endpoint)
      const known: TransportTcp.ConnectionAbout = { transport: "unix", local, remote: UNNAMED }
      TransportTcp.acceptAll(
        server,
        listen,
        options,
        (accepted) => new TransportTcp.TcpConnection(TransportTcp.readable(accepted), lingerTime, local, known)
      )
      return endpoint
    }),
    connect: (endpoint) =>
      Effect.callback<SharedConnection, TransportError>((resume) => {
        let connection: TransportTcp.TcpConnection | undefined
        const { onread } = TransportTcp
        const socket = Net.connect({ path: endpoint.path, allowHalfOpen: true, onread } as Net.NetConnectOpts)
        const onError = (error: NodeJS.ErrnoException): void =>
          resume(Effect.fail(failed("connect", endpoint, explainConnect(error, endpoint))))
        socket.pause()
        socket.once("error", onError)
        socket.once("connect", () => {
          socket.off("error", onError)
          const known: TransportTcp.ConnectionAbout = {
            transport: "unix",
            local: UNNAMED,
            remote: Endpoint.format(endpoint)
          }
          connection = new TransportTcp.TcpConnection(socket, lingerTime, UNNAMED, known)
          resume(Effect.succeed(connection))
        })
        return Effect.sync(() => {
          if (connection === undefined) socket.destroy()
          else connection.abort()
        })
      })
  }
}
