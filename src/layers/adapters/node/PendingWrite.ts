/**
 * A write that a session has not taken all of yet, or that is done and has not said so.
 *
 * Its bytes stay where they are: the session copies them into its fifo as room comes, and whoever wrote them leaves them
 * alone until the write has said that it is done. So a large response to a peer that does not read costs its fifo and no
 * more, however many peers are sent the same bytes.
 *
 * There are two kinds. A {@link SocketWrite} is what a socket was given in JavaScript. A {@link NativeWrite} comes from
 * native code, as TLS and HTTP/2 write: Node has copied those bytes. See `TlsParts` for how these stay few.
 */
import { AsyncResource } from "node:async_hooks"
import * as Os from "node:os"
import type { Session } from "../../../services/Sessions.ts"
import type { InnerSocket, NativeStream, StreamRequest, Written } from "./JsStream.ts"
import * as StreamErrors from "./StreamErrors.ts"

const { ECANCELED, ECONNRESET, EPIPE } = Os.constants.errno

export abstract class PendingWrite {
  protected readonly session: Session
  readonly #buffers: ReadonlyArray<Uint8Array>
  /** The buffer to go on with, and the bytes of it that have been taken. */
  #index = 0
  #from = 0
  #status: number | undefined

  constructor(session: Session, buffers: ReadonlyArray<Uint8Array>) {
    this.session = session
    this.#buffers = buffers
  }

  /** Of a write that is done, 0 or the number of the error it has failed with. */
  get status(): number | undefined {
    return this.#status
  }

  /** Bytes that have not been taken. */
  get size(): number {
    let size = -this.#from
    for (let i = this.#index; i < this.#buffers.length; i++) size += this.#buffers[i]!.length
    return size
  }

  /** What has not been taken. */
  get unsent(): ReadonlyArray<Uint8Array> {
    const left = this.#buffers.slice(this.#index)
    if (this.#from > 0) left[0] = left[0]!.subarray(this.#from)
    return left
  }

  /**
   * Goes on for up to `most` bytes, until the write is done or there is no room. Returns how many bytes were taken: with
   * `most`, there may be room for more.
   */
  advance(most: number): number {
    const { session } = this
    let left = most
    while (this.#index < this.#buffers.length) {
      const bytes = this.#buffers[this.#index]!
      const end = Math.min(bytes.length, this.#from + left)
      // TLS writes nothing to hear that all before it is written: that is done, even if the connection is gone by now
      const taken = bytes.length === 0
        ? 0
        : session.write(end < bytes.length ? bytes.subarray(0, end) : bytes, this.#from)
      if (taken < 0) {
        this.#status = session.reset === undefined ? -EPIPE : -ECONNRESET
        return most - left
      }
      left -= taken
      this.#from += taken
      if (this.#from < bytes.length) return most - left
      this.#index++
      this.#from = 0
    }
    this.#status = 0
    return most - left
  }

  /** Says how it has ended, which is canceled if it is not done. Called once, in a turn of its own. */
  abstract finish(): void
}

/** A write of native code, which waits with a request. */
export class NativeWrite extends PendingWrite {
  readonly #stream: NativeStream
  readonly #request: StreamRequest

  constructor(session: Session, buffers: ReadonlyArray<Uint8Array>, stream: NativeStream, request: StreamRequest) {
    super(session, buffers)
    this.#stream = stream
    this.#request = request
  }

  override finish(): void {
    const { session, status = -ECANCELED } = this
    if (status !== 0 && status !== -ECANCELED) this.#request.error = session.reset ?? "the session is closed"
    this.#stream.finishWrite(this.#request, status)
  }
}

/** A write of a socket. It is done in the context that it was made in, as one with a request of Node's is. */
export class SocketWrite extends PendingWrite {
  readonly #resource = new AsyncResource("SluiceWrite")
  readonly #socket: InnerSocket
  readonly #written: Written

  constructor(session: Session, buffers: ReadonlyArray<Uint8Array>, socket: InnerSocket, written: Written) {
    super(session, buffers)
    this.#socket = socket
    this.#written = written
  }

  override finish(): void {
    if (this.status === 0 && !this.#socket.destroyed) this.#socket._unrefTimer()
    this.#resource.runInAsyncScope(this.#written, undefined, this.#error())
  }

  #error(): Error | null {
    const { session, status = -ECANCELED } = this
    if (status === 0) return null
    return status === -ECANCELED ? StreamErrors.canceled() : StreamErrors.lost("write", session)
  }
}
