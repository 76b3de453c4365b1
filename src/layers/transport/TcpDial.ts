/**
 * Connecting: a socket of TCP to an endpoint, for a connection of TCP or for TLS above it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import type { SharedConnection, TransportError } from "../../services/Transport.ts"
import * as InetErrors from "./InetErrors.ts"
import type { onread } from "./SocketEvents.ts"
import type { TcpConnection } from "./TcpConnection.ts"

/**
 * Milliseconds for each address of a name but the last, which has as long as the system gives it. Node gives an attempt
 * up for good when it tries the next address, so this is long enough for a lost first packet to be sent again.
 */
const ATTEMPT_TIMEOUT = 2000

export interface DialOptions {
  /** How names become addresses; the system's way by default. */
  readonly lookup?: Net.LookupFunction | undefined
  /** Where the socket reads to, unless it is read by events. */
  readonly onread?: typeof onread
}

/** A source of any address and no port is not bound: it only says which of a name's addresses count. */
const connectOptions = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  { lookup, onread }: DialOptions
): Net.TcpNetConnectOpts => ({
  host: endpoint.host,
  port: endpoint.port,
  allowHalfOpen: true,
  autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT,
  ...(onread !== undefined && { onread }),
  ...(lookup !== undefined && { lookup }),
  ...(source !== undefined && {
    family: Endpoint.family(source) ?? 0,
    ...(!Endpoint.isAnyHost(source.host) && { localAddress: source.host }),
    ...(source.port !== 0 && { localPort: source.port })
  })
})

/**
 * Where nobody listens, the system may give a connect the very port that it goes to: the socket is then its own peer.
 */
const meetsItself = (socket: Net.Socket, { port }: Endpoint.InetEndpoint): boolean =>
  socket.localPort === port && socket.localAddress === socket.remoteAddress

/**
 * Connects, and hands the socket, which is paused, to `then` in the same step. `then` calls its `resume` with the
 * outcome, and returns what undoes it.
 */
export const dial = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  options: DialOptions,
  then: (
    socket: Net.Socket,
    resume: (outcome: Effect.Effect<SharedConnection, TransportError>) => void
  ) => () => void
): Effect.Effect<SharedConnection, TransportError> =>
  Effect.callback<SharedConnection, TransportError>((resume) => {
    const fail = (error: TransportError): void => resume(Effect.fail(error))
    const fault = source === undefined ? undefined : InetErrors.sourceFault(endpoint, source)
    if (fault !== undefined) return fail(fault)
    const onError = (error: NodeJS.ErrnoException) => fail(InetErrors.connectFailed(endpoint, source, error))
    const opened = Result.try({
      try: () => Net.connect(connectOptions(endpoint, source, options)),
      catch: (error) => error as NodeJS.ErrnoException
    })
    if (Result.isFailure(opened)) return onError(opened.failure)
    const socket = opened.success
    socket.pause()
    socket.once("error", onError)
    let undo = (): void => void socket.destroy()
    socket.once("connect", () => {
      socket.off("error", onError)
      if (!meetsItself(socket, endpoint)) return void (undo = then(socket, resume))
      socket.destroy()
      onError(SystemError.make("ECONNREFUSED", "connect"))
    })
    // an error that is under way still finds its listener, whose fiber no longer hears it
    return Effect.sync(() => undo())
  })

/** What is wrong with a connection that has just been made, as the system would say it; `undefined` when it stands. */
export const standing = (connection: TcpConnection): NodeJS.ErrnoException | undefined =>
  connection.keepAddresses() ? undefined : SystemError.make("ECONNRESET", "connect")
