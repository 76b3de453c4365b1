/**
 * A session while a reader of its socket is open, and until what was written meanwhile is on its way: the inside of
 * `SessionSocket`.
 *
 * Bytes stay in the session's fifo until they are pulled, so a reader that does not pull fills the fifo and the peer
 * feels it. A write hands over what the fifo takes; the rest waits here for the session's `writable` edge, and the
 * writer waits with it. A write that was begun is finished even when its fiber is interrupted, so that no chunk is ever
 * sent in part and followed by another.
 *
 * From the first `upgrade` on, Effect's own socket, over a stream over the session, does all of it.
 *
 * Reading, writing, the end and TLS share one state, which is what makes this one class. It is a hot path: a pull that
 * finds bytes and a write that fits are plain synchronous code, with no fiber and no callback.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import type { NonEmptyArray, NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Session, SessionHandler } from "../../../services/Sessions.ts"
import { lost, SessionDuplex } from "../node/SessionDuplex.ts"

/** The most bytes of a chunk: what is there is pulled in one batch of these. */
const CHUNK = 65_536

type Batch = NonEmptyReadonlyArray<Uint8Array | string>
type Pulled = Effect.Effect<Batch, Socket.SocketError>
type Written = Effect.Effect<void, Socket.SocketError>

export const failure = (reason: Socket.SocketErrorReason): Effect.Effect<never, Socket.SocketError> =>
  Effect.fail(new Socket.SocketError({ reason }))

export const closedWith = (code: number): Effect.Effect<never, Socket.SocketError> =>
  failure(new Socket.SocketCloseError({ code }))

const notWritten = (session: Session): Effect.Effect<never, Socket.SocketError> =>
  failure(new Socket.SocketWriteError({ cause: lost("write", session) }))

const encoder = new TextEncoder()

/** What TLS runs in, from the first upgrade on: Effect's own socket, over a stream over the session. */
interface Secured {
  readonly duplex: SessionDuplex
  readonly reader: Socket.Reader
  readonly writer: Socket.Writer
  readonly readerScope: Scope.Closeable
  readonly writerScope: Scope.Closeable
}

/** A session while a reader is open, and until what was written meanwhile is on its way. */
export class SocketConnection implements SessionHandler {
  readonly session: Session
  readonly #tlsServer: boolean
  /** Called when nothing more is done with the session here. */
  readonly #over: () => void
  /** Why pulls fail from now on, whatever the session says. */
  #failed: Effect.Effect<never, Socket.SocketError> | undefined
  readonly #pulls: Array<(result: Pulled) => void> = []
  /** Chunks that wait for room; the first one waits from its byte `#from` on. */
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

  /** Takes all that was there at the call: a peer that writes as fast as this reads does not make it longer. */
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

  /**
   * Lets waiting pulls go on that no longer need to wait. Only here does that happen, so batches go out in the order of
   * the pulls.
   */
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

  /** The session goes on with another worker: for the reader it has ended in order. */
  moved(): void {
    this.#failed ??= closedWith(1000)
    this.closed()
  }

  // ---- writing

  /** Takes all the chunks. Waits, when not all of them are in the fifo, until they are. */
  write(chunks: Batch): Written {
    if (this.#secured !== undefined) return this.#secured.writer.writeAll(chunks)
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

  /** Whether this end is TLS's server or its client was settled when the socket was made. */
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
    // what fails the stream fails the socket on top of it, which reports it
    duplex.on("error", constVoid)
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
        Effect.sync(() => duplex.destroySoon())
      )
    )
  }
}
