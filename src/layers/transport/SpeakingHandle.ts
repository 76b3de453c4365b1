/**
 * A connection's handle that reads, writes and ends without a socket. What goes with its calls is in Node's inner parts,
 * which are asked for once, when they are first needed.
 */
import * as Predicate from "effect/Predicate"
import * as NodeHandle from "./NodeHandle.ts"

/** A handle that reads, writes and ends without a socket. */
export interface SpeakingHandle extends NodeHandle.StreamHandle {
  /** Called for what was read into {@link useUserBuffer}, and for the end: see {@link HandleRequests.bytesRead}. */
  onread: (this: SpeakingHandle) => void
  readonly useUserBuffer: (memory: Uint8Array) => void
  /** Bytes that the system has not taken yet. */
  readonly writeQueueSize: number
  readonly writeBuffer: (request: object, bytes: Uint8Array) => number
  /** Ends this side, behind what was written. */
  readonly shutdown: (request: object) => number
}

export const canSpeak = (handle: object): handle is SpeakingHandle =>
  ["useUserBuffer", "writeBuffer", "shutdown"].every((name) => NodeHandle.isFunction(handle, name))

/** What goes with the calls of a {@link SpeakingHandle}. */
export interface HandleRequests {
  readonly write: () => object
  readonly shutdown: () => object
  /** Within `onread`: how many bytes were read; 0 for none yet, and a negative number for the end or an error. */
  readonly bytesRead: () => number
}

/** Node's inner part, as far as it is used. */
interface StreamParts {
  readonly WriteWrap: new() => object
  readonly ShutdownWrap: new() => object
  /** What a read came to, at the index `kReadBytesOrError`. */
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
}

const isStreamParts = (value: unknown): value is StreamParts =>
  Predicate.isObject(value)
  && NodeHandle.isFunction(value, "WriteWrap") && NodeHandle.isFunction(value, "ShutdownWrap")
  && Reflect.get(value, "streamBaseState") instanceof Int32Array
  && typeof Reflect.get(value, "kReadBytesOrError") === "number"

const readRequests = (): HandleRequests | undefined => {
  const binding: unknown = Reflect.get(process, "binding")
  if (typeof binding !== "function") return undefined
  try {
    const parts: unknown = Reflect.apply(binding, process, ["stream_wrap"])
    if (!isStreamParts(parts)) return undefined
    const { ShutdownWrap, WriteWrap, kReadBytesOrError, streamBaseState } = parts
    return {
      write: () => new WriteWrap(),
      shutdown: () => new ShutdownWrap(),
      bytesRead: () => streamBaseState[kReadBytesOrError]!
    }
  } catch {
    // a process that does not have all permissions does not have this one
    return undefined
  }
}

let known: { readonly requests: HandleRequests | undefined } | undefined

/** Asked for once; `undefined` where the runtime does not give them. */
export const requests = (): HandleRequests | undefined => (known ??= { requests: readRequests() }).requests
