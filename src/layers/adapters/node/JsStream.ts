/**
 * Node's own handle for sockets whose bytes come from JavaScript, which is the one that `tls` and `http2` put below a
 * stream that is none of Node's sockets.
 *
 * Node's sockets, its HTTP parser, TLS and HTTP/2 all work on native handles. One of this class is such a handle: what
 * it is given by {@link NativeStream.readBuffer} goes to whichever of these reads, and what they write comes back to
 * the functions of a subclass. The class is not public, and is found where Node uses it: below a TLS socket over a
 * stream.
 */
import * as Predicate from "effect/Predicate"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Tls from "node:tls"

/** A write or a shutdown that Node has begun. What `error` says becomes part of the message if it fails. */
export interface StreamRequest {
  error?: string | undefined
}

/**
 * What a subclass is given, and has to have. Functions that return a number return 0, or the number of a system error,
 * which is negative. A write or shutdown that was begun is never finished within the call that began it.
 */
export declare abstract class NativeStream {
  get bytesRead(): number
  get bytesWritten(): number
  /** Hands bytes, which are copied, to the reader. */
  readBuffer(bytes: Uint8Array): void
  emitEOF(): void
  finishWrite(request: StreamRequest, status: number): void
  finishShutdown(request: StreamRequest, status: number): void
  /** What code in JavaScript calls; native code calls `onreadstart` and `onreadstop`. */
  readStart(): number
  readStop(): number
  abstract onreadstart(): number
  abstract onreadstop(): number
  abstract onwrite(request: StreamRequest, buffers: ReadonlyArray<Uint8Array>): number
  abstract onshutdown(request: StreamRequest): number
  abstract isClosing(): boolean
  /** Sockets call it once; `closed` is called later. */
  abstract close(closed?: () => void): void
}

const isClass = (value: unknown): value is typeof NativeStream =>
  typeof value === "function" && "readBuffer" in value.prototype && "finishShutdown" in value.prototype

const find = (): typeof NativeStream => {
  let found: unknown
  class Looking extends Tls.TLSSocket {
    /** Called by the constructor, which gets no further. */
    _wrapHandle(_below: unknown, handle: object): never {
      found = handle.constructor
      throw new Error("found")
    }
  }
  try {
    void new Looking(new Duplex({ read() {}, write() {} }))
  } catch (error) {
    if (found === undefined) throw error
  }
  if (isClass(found)) return found
  throw new Error("this version of Node has no handle for streams of JavaScript where it is expected")
}

export const JsStream = find()

/** A chunk as Node gives it to a socket that is to write several. */
export interface Chunk {
  readonly chunk: Uint8Array | string
  readonly encoding: BufferEncoding | "buffer"
}

export type Written = (error?: Error | null) => void

/** What a stream was given to write and has not passed on; nothing, where a version of Node does not tell. */
export const heldBy = (stream: Duplex): ReadonlyArray<Uint8Array> => {
  const state: unknown = Reflect.get(stream, "_writableState")
  if (!Predicate.hasProperty(state, "getBuffer") || !Predicate.isFunction(state.getBuffer)) return []
  const held: ReadonlyArray<Chunk> = state.getBuffer()
  return held.map(({ chunk, encoding }) => bytesOf(chunk, encoding))
}

/** A chunk as bytes. */
export const bytesOf = (chunk: Uint8Array | string, encoding: BufferEncoding | "buffer"): Uint8Array =>
  typeof chunk !== "string" ? chunk : Buffer.from(chunk, encoding === "buffer" ? undefined : encoding)

/** Node's socket, with what it has for Node's own libraries. */
export declare class InnerSocket extends Net.Socket {
  constructor(options: {
    /** A {@link NativeStream}. */
    readonly handle: object
    readonly allowHalfOpen?: boolean | undefined
    readonly highWaterMark?: number | undefined
    /** Whether nothing is read before somebody asks. */
    readonly pauseOnCreate?: boolean | undefined
  })
  /** Something has been read or written: the idle timeout starts anew. */
  _unrefTimer(): void
  /** The idle timeout is over. */
  _onTimeout(): void
  override _write(chunk: Uint8Array | string, encoding: BufferEncoding | "buffer", callback: Written): void
  override _writev(chunks: ReadonlyArray<Chunk>, callback: Written): void
}

export const Socket = Net.Socket as typeof InnerSocket
