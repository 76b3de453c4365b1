/**
 * Large writes of a TLS socket over a session, which go in parts.
 *
 * TLS encrypts a write as a whole, and Node copies what is encrypted for a handle such as a session's: a large response
 * to a client that does not read would take its size twice. So the next part is encrypted when the session has taken the
 * one before, and the bytes stay where they are until then.
 */
import { bytesOf, type Chunk, type InnerSocket, Socket, type Written } from "./JsStream.ts"

/** Bytes of a part: a few records of TLS. */
const PART = 65_536

const { _write: writeOne, _writev: writeSeveral } = Socket.prototype

/** A write that goes in parts. */
class Parts {
  readonly #socket: InnerSocket
  readonly #buffers: ReadonlyArray<Uint8Array>
  readonly #done: Written
  #left = 0
  /** The buffer to go on with, and the bytes of it that have been written. */
  #index = 0
  #from = 0

  constructor(socket: InnerSocket, buffers: ReadonlyArray<Uint8Array>, done: Written) {
    this.#socket = socket
    this.#buffers = buffers
    this.#done = done
    for (const { length } of buffers) this.#left += length
  }

  readonly next = (error?: Error | null): void => {
    if (error || this.#left === 0) return this.#done(error)
    const part = this.#part()
    writeSeveral.call(this.#socket, part.map((chunk): Chunk => ({ chunk, encoding: "buffer" })), this.next)
    // a socket counts what was given to it: `bytesWritten` has this in it
    Reflect.set(this.#socket, "_pendingData", { length: this.#left })
  }

  #part(): ReadonlyArray<Uint8Array> {
    const part: Array<Uint8Array> = []
    for (let room = PART; room > 0 && this.#index < this.#buffers.length;) {
      const buffer = this.#buffers[this.#index]!
      const bytes = buffer.subarray(this.#from, this.#from + room)
      part.push(bytes)
      room -= bytes.length
      this.#left -= bytes.length
      this.#from += bytes.length
      if (this.#from < buffer.length) break
      this.#index++
      this.#from = 0
    }
    return part
  }
}

function write(this: InnerSocket, chunk: Chunk["chunk"], encoding: Chunk["encoding"], done: Written): void {
  if (chunk.length <= PART) return writeOne.call(this, chunk, encoding, done)
  new Parts(this, [bytesOf(chunk, encoding)], done).next()
}

function writev(this: InnerSocket, chunks: ReadonlyArray<Chunk>, done: Written): void {
  if (chunks.reduce((sum, { chunk }) => sum + chunk.length, 0) <= PART) return writeSeveral.call(this, chunks, done)
  new Parts(this, chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding)), done).next()
}

/** Makes the socket write in parts. */
export const give = (socket: object): void => void Object.assign(socket, { _write: write, _writev: writev })
