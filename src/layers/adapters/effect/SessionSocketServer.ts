/**
 * Effect's `SocketServer` whose connections are sessions: what runs on Effect's socket server (an RPC server, a cluster
 * runner, a protocol of your own) runs in every worker of an application, unchanged.
 *
 * **How it works** The server listens in its scope. A session that this worker claims goes to the handler of `run`, on
 * a fiber of its own, as a socket (see `SessionSocket`); while nothing runs, sessions wait, unread. The handler finds
 * the session itself as {@link CurrentSession}.
 *
 * **How it stops** While the host drains this worker it gets no new sessions: `run` goes on, and its handlers finish
 * what they have in hand until the host ends the worker, which interrupts them. Sessions that wait for a `run` are
 * reset, as nobody would ever answer them. When the server's scope closes it stops listening, and sessions that were
 * accepted go on; when `run` is interrupted, so are its handlers, and their sessions are closed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Address from "../../../domain/net/Address.ts"
import { type ListenOptions, noEndpoint, type Session, Sessions } from "../../../services/Sessions.ts"
import * as SessionSocket from "./SessionSocket.ts"

/**
 * The session of the connection that a handler of `run` has. `Effect.serviceOption(CurrentSession)` finds it without a
 * requirement in the type of `run`.
 *
 * **Gotchas** The session belongs to the socket: look at its `remote`, `local` and `handle`, but read and write through
 * the socket. A handler that stands between two messages may park the session (`Session.park`): when it goes on with
 * another worker, its socket here closes with code 1000.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentSession extends Context.Service<CurrentSession, Session>()(
  "sluice/layers/SessionSocketServer/CurrentSession"
) {}

/**
 * @category options
 * @since 0.1.0
 */
export interface SocketServerOptions {
  /** Endpoint URIs to listen on. Default: all endpoints that the host was told to serve with this application. */
  readonly endpoints?: ReadonlyArray<string> | undefined
  /** Refuses sessions before they are sockets: see `Sessions.ListenOptions`. */
  readonly refuse?: ListenOptions["refuse"]
}

const openFailed = (cause: unknown): SocketServer.SocketServerError =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })

/**
 * Listens until the scope closes. `address` is the first listener's.
 *
 * **When to use**
 *
 * For what runs on Effect's `SocketServer`, such as an RPC server. For HTTP, use `SessionHttpServer`.
 *
 * **Details** Fails with a `SocketServerOpenError` whose cause is the `ListenFailed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options?: SocketServerOptions
): Effect.fn.Return<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Scope.Scope | Sessions> {
  const sessions = yield* Sessions
  const waiting = new Set<Session>()
  const reset = (session: Session): void => {
    waiting.delete(session)
    session.handler = undefined
    session.abort()
  }
  // a session that was claimed before the listener went may come after it
  let stopped = false
  const stop = Effect.sync(() => {
    stopped = true
    waiting.forEach(reset)
  })
  const wait = (session: Session): void => {
    if (stopped) return session.abort()
    waiting.add(session)
    session.handler = {
      // a session that ended in order may have left something to read
      closed: (session, why) => {
        if (why !== undefined) reset(session)
      }
    }
  }
  let accept = wait
  yield* Effect.addFinalizer(() => stop)

  const [first = yield* openFailed(noEndpoint())] = yield* Effect.forEach(
    options?.endpoints ?? sessions.endpoints,
    (endpoint) => sessions.listen(endpoint, (session) => accept(session), { refuse: options?.refuse })
  ).pipe(Effect.mapError(openFailed))
  const address = yield* Effect.mapError(Effect.fromResult(Address.fromUri(first.local)), openFailed)

  yield* Effect.forkScoped(Effect.andThen(sessions.draining, stop))

  const run = Effect.fnUntraced(function*<R, E, _>(handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>) {
    const scope = yield* Scope.make()
    const services = Context.omit(Scope.Scope)(yield* Effect.context<R>()) as Context.Context<R>
    const before = accept
    accept = (session) => {
      // until the socket's reader is acquired nobody listens
      session.handler = undefined
      handler(SessionSocket.fromSession(session)).pipe(
        Effect.onError(() =>
          Effect.sync(() => {
            // nobody has acquired the reader, and nobody will
            if (session.handler === undefined) session.close()
          })
        ),
        Effect.ignoreCause({ log: "Unhandled", message: "Unhandled error in SocketServer" }),
        Effect.runForkWith(Context.add(services, CurrentSession, session)),
        Fiber.runIn(scope)
      )
    }
    for (const session of waiting) {
      waiting.delete(session)
      accept(session)
    }
    return yield* Effect.onExit(Effect.never, () => {
      accept = before
      return Scope.close(scope, Exit.void)
    })
  })

  return SocketServer.SocketServer.of({ address, run })
})

/**
 * {@link make} as a layer.
 *
 * **Example** (An RPC server on the endpoints of the application)
 *
 * ```ts
 * RpcServer.layerProtocolSocketServer.pipe(Layer.provide(SessionSocketServer.layer()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: SocketServerOptions
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Sessions> =>
  Layer.effect(SocketServer.SocketServer)(make(options))
