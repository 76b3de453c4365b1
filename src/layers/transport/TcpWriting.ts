/**
 * The way from the tx fifo to a socket: one of the two halves of a {@link TcpConnection}.
 *
 * A stretch of the fifo is written to the socket without a copy, one at a time. Node may read that memory until the
 * write's callback, so the fifo's head moves only in the callback. The system usually takes a small write at once, which
 * shows in nothing being left to write: then no callback is needed.
 *
 * This module is a hot path.
 */
import * as Fifo from "../../domain/memory/Fifo.ts"
import type { ConnectionEnd } from "../../services/Transport.ts"
import type { ConnectionSetup } from "./ConnectionSetup.ts"
import type * as NodeHandle from "./NodeHandle.ts"

/** A write of at least this many bytes is often more than the system takes at once. */
const LARGE_WRITE = 16384

const nothing = new Uint8Array(0)

export abstract class TcpWriting {
  protected abstract readonly socket: NodeHandle.HandledSocket
  protected readonly setup: ConnectionSetup
  /** The end of the session that has the connection, with its fifos. */
  protected session: ConnectionEnd | undefined
  #writing = 0
  /** Writes under way whose bytes were those of an earlier session. */
  #earlier = 0
  #ending = false
  #onWritten: ((error?: Error | null) => void) | undefined

  constructor(setup: ConnectionSetup) {
    this.setup = setup
  }

  /** Breaks the connection. */
  abstract abort(): void

  protected guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.broken(error)
    }
  }

  /** A fifo's words can't be right: the connection is broken, and its session hears why. */
  protected broken(error: unknown): void {
    if (!(error instanceof Fifo.FifoCorrupt)) throw error
    const { session } = this
    this.session = undefined
    this.abort()
    queueMicrotask(() => session?.corrupt(error))
  }

  /** Whether all that was written is with the system. */
  protected get isWritten(): boolean {
    return this.#writing === 0 && this.#earlier === 0 && this.socket.writableLength === 0
  }

  /** Bytes that wait for the peer. */
  get waiting(): number {
    try {
      return this.session?.tx.size ?? 0
    } catch (error) {
      this.broken(error)
      return 0
    }
  }

  send(): void {
    try {
      this.session?.tx.clearEvent()
      this.#pump()
    } catch (error) {
      this.broken(error)
    }
  }

  #pump(): void {
    const { session } = this
    const socket = this.socket
    if (session === undefined) return
    while (this.#writing === 0 && !socket.destroyed && socket.errored === null) {
      const bytes = session.tx.peek()
      if (bytes === undefined) {
        if (this.#ending) socket.end()
        return
      }
      // where the fifo's end is in between, one write of two parts
      const rest = session.tx.rest(bytes.length)
      const length = bytes.length + (rest?.length ?? 0)
      if (rest !== undefined) {
        socket.cork()
        socket.write(bytes)
      }
      const last = rest ?? bytes
      // TLS takes nothing at once
      const isSmall = length < LARGE_WRITE && this.setup.below === undefined
      if (isSmall) {
        socket.write(last)
        if (rest !== undefined) socket.uncork()
        if (socket.writableLength === 0) {
          session.sent(length)
          // outside the call that wrote, as every event is
          if (session.tx.drop(length)) queueMicrotask(() => this.session?.room())
          continue
        }
      }
      this.#writing = length
      this.#onWritten ??= (error) => this.#written(error)
      // a small write is on its way already: what comes after it is written once it is through
      socket.write(isSmall ? nothing : last, this.#onWritten)
      if (rest !== undefined && !isSmall) socket.uncork()
    }
  }

  #written(error?: Error | null): void {
    if (this.#earlier > 0) return void this.#earlier--
    const written = this.#writing
    this.#writing = 0
    if (error || this.socket.destroyed) return
    this.guard(() => {
      const { session } = this
      session?.sent(written)
      if (session?.tx.drop(written) === true) session.room()
      this.#pump()
    })
  }

  end(): void {
    this.#ending = true
    this.guard(() => this.#pump())
  }

  /** Sends the rest of the fifo of a session that leaves the connection. */
  protected sendRest(session: ConnectionEnd): void {
    const writing = this.#writing
    this.#writing = 0
    if (writing > 0) this.#earlier++
    const rest = Buffer.allocUnsafe(session.tx.size)
    const { bytes } = session.tx.read(rest)
    if (bytes > 0) session.sent(bytes)
    if (bytes > writing) this.socket.write(rest.subarray(writing, bytes))
  }
}
