/**
 * Effect's `Socket.Socket` over a {@link Session}: what is written for Effect's sockets runs on sessions unchanged.
 *
 * {@link fromSession} makes a socket of a session that is there, {@link connect} one that connects each time its reader
 * is acquired. They keep the contract of `effect/socket/Socket` and end as Effect's own Node sockets end: a peer that
 * has ended fails the pull with `SocketCloseError` 1000, a reset with `SocketReadError`, and the closing of the reader's
 * scope fails a pull that waits with 1006.
 *
 * **How it works** Bytes stay in the session's fifo until they are pulled, so a reader that does not pull fills the fifo
 * and the peer feels it. A write hands over what the fifo takes; the rest waits here for the session's `writable` edge,
 * and the writer waits with it. A write that was begun is finished even when its fiber is interrupted, so that no chunk
 * is ever sent in part and followed by another.
 *
 * Hot path: a pull that finds bytes and a write that fits are plain synchronous code, with no fiber and no callback.
 *
 * @since 0.1.0
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import type { NonEmptyArray, NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as OwnScope from "../../../services/OwnScope.ts"
import {
  type ConnectFailed,
  type ConnectOptions,
  type Session,
  type SessionHandler,
  Sessions
} from "../../../services/Sessions.ts"
import { lost, SessionDuplex } from "../node/SessionDuplex.ts"

/** Bytes of a chunk, at most: what is there is pulled in one batch of these. */
const CHUNK = 65_536

type Batch = NonEmptyReadonlyArray<Uint8Array | string>
type Pulled = Effect.Effect<Batch, Socket.SocketError>
type Written = Effect.Effect<void, Socket.SocketError>

const failure = (reason: Socket.SocketErrorReason): Effect.Effect<never, Socket.SocketError> =>
  Effect.fail(new Socket.SocketError({ reason }))

const closedWith = (code: number): Effect.Effect<never, Socket.SocketError> =>
  failure(new Socket.SocketCloseError({ code }))

const notWritten = (session: Session): Effect.Effect<never, Socket.SocketError> =>
  failure(new Socket.SocketWriteError({ cause: lost("write", session) }))

const encoder = new TextEncoder()

const ignore = (): void => {}

/** What TLS runs in, from the first upgrade on: Effect's own socket, over a stream over the session. */
interface Secured {
  readonly duplex: SessionDuplex
  readonly reader: Socket.Reader
  readonly writer: Socket.Writer
  readonly readerScope: Scope.Closeable
  readonly writerScope: Scope.Closeable
}

/** A session while a reader is open, and until what was written meanwhile is on its way. */
class Connection implements SessionHandler {
  readonly session: Session
  readonly #tlsServer: boolean
  /** Says that nothing more is done here with the session. */
  readonly #over: () => void
  /** Why pulls fail from now on, whatever the session says. */
  #failed: Effect.Effect<never, Socket.SocketError> | undefined
  readonly #pulls: Array<(result: Pulled) => void> = []
  /** What waits for room, from the byte at `#from` of the first chunk on. */
  #waiting: Array<Uint8Array> = []
  #index = 0
  #from = 0
  #writes: Array<(result: Written) => void> = []
  /** What is to come after the last byte that waits. */
  #then: "nothing" | "end" | "close" = "nothing"
  #isOver = false
  #secured: Secured | undefined

  constructor(session: Session, tlsServer: boolean, over: () => void) {
    this.session = session
    this.#tlsServer = tlsServer
    this.#over = over
    session.handler = this
  }

  // ---- reading

  readonly pull: Pulled = Effect.suspend(() => this.#now() ?? this.#parked)

  readonly #parked: Pulled = Effect.callback<Batch, Socket.SocketError>((resume) => {
    this.#pulls.push(resume)
    return Effect.sync(() => {
      const at = this.#pulls.indexOf(resume)
      if (at >= 0) this.#pulls.splice(at, 1)
    })
  })

  /** What a pull gives, if it need not wait. */
  #now(): Pulled | undefined {
    if (this.#failed !== undefined) return this.#failed
    if (this.#secured !== undefined) return this.#secured.reader.pull
    const { session } = this
    const batch = this.#take()
    if (batch !== undefined) return Effect.succeed(batch)
    if (session.reset !== undefined) return failure(new Socket.SocketReadError({ cause: lost("read", session) }))
    if (session.ended) return closedWith(1000)
    // it was ended here on the host's word, and the peer had not said that it was done
    return session.closed ? closedWith(1006) : undefined
  }

  /** All that was there at the call: a peer that writes as fast as this reads does not make it longer. */
  #take(): NonEmptyArray<Uint8Array> | undefined {
    const { session } = this
    let left = session.available
    const first = left > 0 ? session.read(Math.min(left, CHUNK)) : undefined
    if (first === undefined) return undefined
    const batch: NonEmptyArray<Uint8Array> = [first]
    for (left -= first.length; left > 0;) {
      const chunk = session.read(Math.min(left, CHUNK))
      if (chunk === undefined) break
      left -= chunk.length
      batch.push(chunk)
    }
    return batch
  }

  /** Lets go on what waits and need not. The only place where it happens, so batches go out in the order of the pulls. */
  #wake(): void {
    while (this.#pulls.length > 0) {
      const now = this.#now()
      if (now === undefined) return
      this.#pulls.shift()!(now)
    }
  }

  readable(): void {
    this.#wake()
  }

  ended(): void {
    this.#wake()
  }

  closed(): void {
    this.#dropWrites()
    this.#wake()
    if (this.#then === "close") this.#giveUp()
  }

  // ---- writing

  /** Takes all the chunks. Waits, when not all of them are in the fifo, until they are. */
  write(chunks: ReadonlyArray<Uint8Array | string>): Written {
    if (this.#secured !== undefined) return this.#secured.writer.writeAll(chunks as Batch)
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!
      if (!this.#push(typeof chunk === "string" ? encoder.encode(chunk) : chunk)) return notWritten(this.session)
    }
    return this.#waiting.length === 0 ? Effect.void : this.#flushed
  }

  #push(bytes: Uint8Array): boolean {
    if (this.#then !== "nothing") return false
    if (this.#waiting.length > 0) {
      this.#waiting.push(bytes)
      return true
    }
    const taken = this.session.write(bytes)
    if (taken < 0) return false
    if (taken < bytes.length) {
      this.#waiting.push(bytes)
      this.#from = taken
    }
    return true
  }

  readonly #flushed: Written = Effect.callback<void, Socket.SocketError>((resume) => {
    if (this.#waiting.length === 0) return resume(Effect.void)
    this.#writes.push(resume)
    return Effect.sync(() => {
      const at = this.#writes.indexOf(resume)
      if (at >= 0) this.#writes.splice(at, 1)
    })
  })

  writable(): void {
    const waiting = this.#waiting
    while (this.#index < waiting.length) {
      const bytes = waiting[this.#index]!
      const taken = this.session.write(bytes, this.#from)
      if (taken < 0) return this.#dropWrites()
      this.#from += taken
      if (this.#from < bytes.length) return
      this.#index++
      this.#from = 0
    }
    this.#finish(Effect.void)
  }

  /** What waits will never be sent. */
  #dropWrites(): void {
    if (this.#waiting.length > 0) this.#finish(notWritten(this.session))
  }

  #finish(result: Written): void {
    const writes = this.#writes
    this.#waiting = []
    this.#index = 0
    this.#from = 0
    this.#writes = []
    if (this.#then === "end") this.session.end()
    if (this.#then === "close") this.#giveUp()
    for (const resume of writes) resume(result)
  }

  /** Half-close, after what waits. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#secured !== undefined) return Scope.close(this.#secured.writerScope, Exit.void)
    if (this.#then === "nothing") {
      this.#then = "end"
      if (this.#waiting.length === 0) this.session.end()
    }
    return Effect.void
  })

  // ---- the end

  #giveUp(): void {
    this.session.handler = undefined
    this.session.close()
    this.#finally()
  }

  #finally(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#over()
  }

  /** Ends the connection after what waits, or, with a code above 1000, without it. */
  closeWith(event: Socket.CloseEvent): Written {
    if (this.#secured !== undefined) return this.#secured.writer.write(event)
    const isError = event.code > 1000
    this.#failed ??= isError
      ? failure(new Socket.SocketReadError({ cause: new Error(`closed with code ${event.code}`) }))
      : closedWith(1000)
    this.#wake()
    if (this.#waiting.length === 0) this.#giveUp()
    else if (isError) {
      this.session.abort()
      this.#then = "close"
      this.#dropWrites()
    } else this.#then = "close"
    return Effect.void
  }

  /** The reader's scope has closed. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#failed = closedWith(1006)
    this.#wake()
    const secured = this.#secured
    if (secured !== undefined) return this.#closeSecured(secured)
    if (this.#waiting.length === 0) this.#giveUp()
    else this.#then = "close"
    return Effect.void
  })

  // ---- TLS

  /** Whether it is TLS's server or client was said when the socket was made. */
  readonly upgrade: Socket.Reader["upgrade"] = (options) =>
    Effect.suspend(() => {
      const { session } = this
      if (this.#failed !== undefined || session.closed) {
        return failure(new Socket.SocketUpgradeError({ cause: lost("write", session) }))
      }
      return this.#takeOver.pipe(
        Effect.flatMap(({ reader }) => reader.upgrade(options)),
        Effect.ensuring(Effect.sync(() => this.#wake()))
      )
    })

  /** Hands the session over to a stream, once the plain bytes are on their way. */
  readonly #takeOver: Effect.Effect<Secured, Socket.SocketError> = Effect.suspend(() =>
    this.#waiting.length > 0
      ? Effect.flatMap(this.#flushed, () => this.#takeOver)
      : Effect.succeed(this.#secured ??= this.#secure())
  )

  /** In one go: nothing is written to the session while it changes hands. */
  #secure(): Secured {
    const duplex = new SessionDuplex(this.session)
    // what fails the stream fails what is on top of it, which says so
    duplex.on("error", ignore)
    duplex.once("close", () => this.#finally())
    const socket = Effect.runSync(NodeSocket.fromDuplex(Effect.succeed(duplex), { tlsServer: this.#tlsServer }))
    const readerScope = Scope.makeUnsafe()
    const writerScope = Scope.makeUnsafe()
    const reader = Effect.runSync(Scope.provide(socket.reader, readerScope))
    const writer = Effect.runSync(Scope.provide(socket.writer, writerScope))
    if (this.#then === "end") Effect.runSync(Scope.close(writerScope, Exit.void))
    return { duplex, reader, writer, readerScope, writerScope }
  }

  /** Ends TLS in order, and the session once the last of it is on its way. */
  #closeSecured({ duplex, readerScope, writerScope }: Secured): Effect.Effect<void> {
    return Effect.andThen(
      Scope.close(writerScope, Exit.void),
      Effect.andThen(
        Scope.close(readerScope, Exit.void),
        Effect.sync(() => {
          if (duplex.writableFinished) duplex.destroy()
          else duplex.once("finish", () => duplex.destroy())
        })
      )
    )
  }
}

interface Opened {
  readonly session: Session
  /** The socket has no more use for the session. */
  readonly over: () => void
}

/** `open` leaves nothing behind when it is interrupted; what it has opened is ended by the connection alone. */
const make = (open: Effect.Effect<Opened, Socket.SocketError>, tlsServer: boolean): Socket.Socket => {
  const connected = Latch.makeUnsafe(false)
  let current: Connection | undefined

  const reader: Socket.Socket["reader"] = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { over, session } = yield* restore(open)
      const connection = new Connection(session, tlsServer, over)
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
 * A socket of a session that is there.
 *
 * **Details** It owns the session: acquiring the reader sets its handler, and the end of the reader's scope closes it,
 * after what was written. So there is one reader, once: a second one fails with `SocketCloseError` 1000 when the first
 * one is done, and with `SocketOpenError` before. Bytes that came before the reader was acquired are still there.
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
    return Effect.succeed({ session, over: ignore })
  })
  return make(open, options?.tlsServer ?? true)
}

const notOpened = (error: ConnectFailed): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketOpenError({ kind: error.reason._tag === "TimedOut" ? "Timeout" : "Unknown", cause: error })
  })

/**
 * A socket that connects to the endpoint whenever its reader is acquired, and closes the session with the reader's scope.
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
        // not the reader's own: the session outlives that until what was written is on its way
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
