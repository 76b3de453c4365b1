/**
 * Effect's `Socket.Socket` over a {@link Session}: what is written for Effect's sockets runs on sessions unchanged.
 *
 * {@link fromSession} makes a socket from an existing session, {@link connect} one that connects each time its reader
 * is acquired. They keep the contract of `effect/socket/Socket` and end as Effect's own Node sockets end: a peer that
 * has ended fails the pull with `SocketCloseError` 1000, a reset with `SocketReadError`, and closing the reader's scope
 * fails a waiting pull with 1006.
 *
 * `SocketConnection` says how bytes are moved.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as OwnScope from "../../../services/OwnScope.ts"
import { type ConnectFailed, type ConnectOptions, type Session, Sessions } from "../../../services/Sessions.ts"
import { lost } from "../node/SessionDuplex.ts"
import { closedWith, failure, SocketConnection } from "./SocketConnection.ts"

interface Opened {
  readonly session: Session
  /** The socket has no more use for the session. */
  readonly over: () => void
}

/** `open` leaves nothing behind when it is interrupted; what it has opened is ended by the connection alone. */
const make = (open: Effect.Effect<Opened, Socket.SocketError>, tlsServer: boolean): Socket.Socket => {
  const connected = Latch.makeUnsafe(false)
  let current: SocketConnection | undefined

  const reader: Socket.Socket["reader"] = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { over, session } = yield* restore(open)
      const connection = new SocketConnection(session, tlsServer, over)
      yield* Effect.addFinalizer(() => {
        if (current === connection) {
          connected.closeUnsafe()
          current = undefined
        }
        return connection.close
      })
      current = connection
      connected.openUnsafe()
      return { pull: connection.pull, upgrade: connection.upgrade }
    })
  )

  const writeAll: Socket.Writer["writeAll"] = (chunks) =>
    Effect.suspend(() => current === undefined ? connected.whenOpen(writeAll(chunks)) : current.write(chunks))

  const write: Socket.Writer["write"] = (chunk) =>
    Effect.suspend(() =>
      current === undefined
        ? connected.whenOpen(write(chunk))
        : Socket.isCloseEvent(chunk)
        ? current.closeWith(chunk)
        : current.write([chunk])
    )

  const writer: Socket.Socket["writer"] = Effect.acquireRelease(
    Effect.succeed({ write, writeAll }),
    () => current === undefined ? Effect.void : current.end
  )

  return Socket.make({ reader, writer })
}

/**
 * @category options
 * @since 0.1.0
 */
export interface FromSessionOptions {
  /** Whether `upgrade` makes this end TLS's server. Default `true`: a session that was accepted. */
  readonly tlsServer?: boolean | undefined
}

/**
 * A socket over an existing session.
 *
 * **When to use**
 *
 * For a protocol that is written for Effect's sockets, on sessions that this worker has accepted: with
 * `Sessions.layerAccept`, or where `SessionSocketServer` does more than is wanted.
 *
 * **Details** It owns the session: acquiring the reader sets its handler, and the end of the reader's scope closes it,
 * after what was written. So there is only ever one reader: a second one fails with `SocketCloseError` 1000 when the
 * first one is done, and with `SocketOpenError` before that. Bytes that came before the reader was acquired are still
 * there.
 *
 * **Gotchas** Sessions stay half-open: when the peer has ended its side, this one can go on writing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSession = (session: Session, options?: FromSessionOptions): Socket.Socket => {
  let taken = false
  const open = Effect.suspend((): Effect.Effect<Opened, Socket.SocketError> => {
    if (session.reset !== undefined) {
      return failure(new Socket.SocketOpenError({ kind: "Unknown", cause: lost("read", session) }))
    }
    if (session.closed && session.available === 0) return closedWith(1000)
    if (taken) {
      const cause = new Error("the session has a reader already")
      return failure(new Socket.SocketOpenError({ kind: "Unknown", cause }))
    }
    taken = true
    return Effect.succeed({ session, over: constVoid })
  })
  return make(open, options?.tlsServer ?? true)
}

const notOpened = (error: ConnectFailed): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketOpenError({ kind: error.reason._tag === "TimedOut" ? "Timeout" : "Unknown", cause: error })
  })

/**
 * A socket that connects to the endpoint whenever its reader is acquired, and closes the session with the reader's
 * scope.
 *
 * **When to use**
 *
 * For clients that are written for Effect's sockets, such as RPC over a socket: their connections then go through the
 * host, with its rules and its counters, and to other applications of the same host without a socket.
 *
 * **Details** A connect that fails is a `SocketOpenError` with the `ConnectFailed` as its cause, of kind `Timeout` when
 * it has timed out. `upgrade` makes this end TLS's client.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (endpoint: string, options?: ConnectOptions): Effect.Effect<Socket.Socket, never, Sessions> =>
  Effect.map(Sessions, (sessions) =>
    make(
      Effect.suspend(() => {
        // not the reader's own scope: the session outlives that one until what was written is on its way
        const scope = Scope.makeUnsafe()
        return OwnScope.into(scope, sessions.connect(endpoint, options)).pipe(
          Effect.mapBoth({
            onFailure: notOpened,
            onSuccess: (session) => ({ session, over: () => void Effect.runFork(Scope.close(scope, Exit.void)) })
          })
        )
      }),
      false
    ))

/**
 * {@link connect} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  endpoint: string,
  options?: ConnectOptions
): Layer.Layer<Socket.Socket, never, Sessions> => Layer.effect(Socket.Socket)(connect(endpoint, options))
