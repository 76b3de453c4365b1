/**
 * TCP over Node's sockets: what listens is in `TcpServer`, what connects in `TcpDial`, and how a connection moves bytes
 * in `TcpConnection`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as AppOptions from "../../domain/options/Options.ts"
import type { Transport, TransportEndpointOf, TransportOf } from "../../services/Transport.ts"
import { ofConnect } from "./ConnectionSetup.ts"
import * as InetErrors from "./InetErrors.ts"
import { onread } from "./SocketEvents.ts"
import { TcpConnection } from "./TcpConnection.ts"
import * as TcpDial from "./TcpDial.ts"
import * as TcpServer from "./TcpServer.ts"
import * as Transports from "./Transports.ts"

/**
 * How connections are accepted, and how the names in connects become addresses (`lookup`; the system's way by default).
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpOptions extends TcpServer.AcceptOptions, Pick<TcpDial.DialOptions, "lookup"> {}

/**
 * What serves TCP endpoints.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: TcpOptions = {}): TransportOf<TransportEndpointOf<"tcp">> => {
  return {
    immovable: TcpServer.immovable,
    listen: Effect.fnUntraced(function*(endpoint, listen) {
      const server = yield* TcpServer.listen(endpoint, listen)
      listen.opened?.(TcpServer.socketOf(server, listen, "tcp"))
      if (listen.listener.proxyTrust.length > 0) {
        yield* TcpServer.acceptAfterHandshakes(server, { listen, transport: "tcp", acceptor: undefined })
        options.onReading?.("copy")
        return TcpServer.boundTo(endpoint, server)
      }
      TcpServer.acceptInet(server, listen, "tcp", options)
      return TcpServer.boundTo(endpoint, server)
    }),
    connect: (endpoint, { listener = AppOptions.defaults.listener, source } = {}) =>
      TcpDial.dial(endpoint, source, { ...options, onread }, (socket, resume) => {
        const connection = new TcpConnection(socket, ofConnect(listener))
        const error = TcpDial.standing(connection)
        if (error === undefined) resume(Effect.succeed(connection))
        else {
          connection.abort()
          resume(Effect.fail(InetErrors.connectFailed(endpoint, source, error)))
        }
        return () => connection.abort()
      })
  }
}

/**
 * TCP alone.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: TcpOptions): Layer.Layer<Transport> => Transports.layer({ tcp: make(options) })
