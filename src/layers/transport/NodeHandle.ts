/**
 * The parts of Node's sockets that are used here and are not public: the handles below servers, connections, TLS
 * sockets and sockets of UDP.
 *
 * Every use first asks whether the runtime has the handle, and each has another way where it hasn't: connections are
 * taken as sockets, read by `data` events, asked for their addresses as sockets, and moved as sockets.
 */
import type * as Dgram from "node:dgram"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { SocketOption } from "../../domain/net/SocketOption.ts"

type Addressed = "getpeername" | "getsockname"

/** A connection's handle, as far as it is used. */
export interface TcpHandle {
  /** The number of its descriptor; negative where there is none, or it has gone to another thread. */
  readonly fd: number
  readonly getpeername: (out: object) => number
  readonly getsockname: (out: object) => number
  readonly setNoDelay: (enable: boolean) => number
  /** Times are in seconds. */
  readonly setKeepAlive: (enable: boolean, initialDelay: number, interval?: number, count?: number) => number
  /** Not in every Node. */
  readonly setTypeOfService?: (value: number) => number
  readonly readStart: () => number
  readonly readStop: () => number
  readonly reset: (done: () => void) => number
  readonly close: () => void
}

/** A server's handle. */
export interface ServerHandle {
  onconnection: (this: unknown, status: number, handle: TcpHandle | undefined) => void
}

export const isFunction = (value: object, name: string): boolean => typeof Reflect.get(value, name) === "function"

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

export const isTcpHandle = (value: unknown): value is TcpHandle =>
  isObject(value)
  && ["getpeername", "getsockname", "setNoDelay", "setKeepAlive", "readStart", "readStop", "reset", "close"].every((
    name
  ) => isFunction(value, name))

/** Whether a handle is still on this thread: one that was posted to another one is not. */
export const isHere = (handle: object): boolean => isTcpHandle(handle) && handle.fd >= 0

/** Whether a socket's handle can go to another thread: where the socket is one of TCP and nothing stands above it. */
export const canLeave = (socket: Net.Socket): boolean => isTcpHandle(Reflect.get(socket, "_handle"))

/**
 * Has a socket's handle leave it, once `take` has got the handle: nothing is read by then, and what the peer has sent
 * waits in the system. Where `take` leaves the handle here, the socket goes on. Otherwise the socket closes, in order and
 * with nothing said to the peer. To be called where nothing that was read or written is left in the socket.
 */
export const leave = (socket: Net.Socket, take: (handle: TcpHandle) => boolean): boolean => {
  const handle: unknown = Reflect.get(socket, "_handle")
  if (!isTcpHandle(handle)) return false
  const isReading = Reflect.get(handle, "reading") === true
  handle.readStop()
  Reflect.set(handle, "reading", false)
  if (!take(handle)) {
    Reflect.set(handle, "reading", isReading)
    if (isReading) handle.readStart()
    return false
  }
  Reflect.set(socket, "_handle", null)
  socket.destroy()
  return true
}

/** The handle of a connection of any kind. */
export interface StreamHandle {
  readonly readStart: () => number
  readonly readStop: () => number
  readonly close: () => void
}

const isStreamHandle = (value: unknown): value is StreamHandle =>
  isObject(value) && ["readStart", "readStop", "close"].every((name) => isFunction(value, name))

/**
 * The handle of a socket, which can be sent to another process, once nothing more is read from it; `undefined` where
 * there is none, or it has been closed.
 */
export const stoppedHandle = (socket: Net.Socket): object | undefined => {
  const handle: unknown = Reflect.get(socket, "_handle")
  if (!isStreamHandle(handle)) return undefined
  handle.readStop()
  // the socket starts it again as it is resumed
  Reflect.set(handle, "reading", false)
  return handle
}

/** The socket of a handle that another process has sent; `undefined` for what is no such handle. */
export const sentSocket = (sent: unknown, onread: object): Net.Socket | undefined =>
  isStreamHandle(sent)
    ? new Net.Socket({ handle: sent, allowHalfOpen: true, pauseOnCreate: true, onread } as object)
    : undefined

/** Closes a socket that another process has sent and that nobody here wants; that process still has it. */
export const closeSent = (sent: unknown): void => {
  if (isStreamHandle(sent)) sent.close()
}

const isServerHandle = (value: unknown): value is ServerHandle => isObject(value) && isFunction(value, "onconnection")

/** The handle of a server that listens. */
export const serverHandle = (server: Net.Server): ServerHandle | undefined => {
  const handle: unknown = Reflect.get(server, "_handle")
  return isServerHandle(handle) ? handle : undefined
}

/**
 * A socket for a connection's handle. It may be half-open, and nothing is read from it before somebody asks. `onread`
 * says where Node is to read to.
 */
export const socketOf = (handle: TcpHandle, onread?: object): Net.Socket => {
  const options: object = onread === undefined
    ? { handle, allowHalfOpen: true, manualStart: true }
    : { handle, allowHalfOpen: true, pauseOnCreate: true, onread }
  return new Net.Socket(options)
}

/** An address of a handle's connection; empty once the connection is gone. */
export const handleAddress = (
  handle: TcpHandle,
  which: Addressed
): { readonly address?: string; readonly port?: number } => {
  const out: { address?: string; port?: number } = {}
  handle[which](out)
  return out
}

/** A socket with the handle that it may have. */
export interface HandledSocket extends Net.Socket {
  readonly _handle?: { readonly [which in Addressed]?: (out: object) => number } | null
}

/**
 * An address of a socket; `undefined` once the connection is gone. The handle is asked where there is one: a socket
 * would keep the answer, and there are many sockets.
 */
export const addressOf = (
  socket: HandledSocket,
  which: Addressed
): { readonly address?: string | undefined; readonly port?: number | undefined } => {
  const out: { address?: string; port?: number } = {}
  if (socket._handle?.[which]?.(out) === 0) return out
  return which === "getpeername"
    ? { address: socket.remoteAddress, port: socket.remotePort }
    : { address: socket.localAddress, port: socket.localPort }
}

const countOf = (object: object, name: string): number => {
  const count: unknown = Reflect.get(object, name)
  return typeof count === "number" ? count : 0
}

/**
 * The bytes that have come through a socket of the system's, and those that the system has taken. Where there is no
 * handle to ask, the socket is asked. Either counts what waits in this process as written.
 */
export const bytesOf = (socket: object): { readonly read: number; readonly gone: number } => {
  const handle: unknown = Reflect.get(socket, "_handle")
  return isObject(handle)
    ? { read: countOf(handle, "bytesRead"), gone: countOf(handle, "bytesWritten") - countOf(handle, "writeQueueSize") }
    : { read: countOf(socket, "bytesRead"), gone: countOf(socket, "bytesWritten") - countOf(socket, "writableLength") }
}

/** A socket's options that are younger than their types. */
interface OptionSocket {
  setKeepAlive(enable: boolean, delay: number, interval?: number, count?: number): this
  setTypeOfService?(value: number): this
}

const MILLIS = 1000

/** Sets an option of a socket. What the system refuses, such as a byte that it reserves, stays as it was. */
export const setOption = (socket: Net.Socket & OptionSocket, option: SocketOption): void => {
  switch (option._tag) {
    case "NoDelay":
      return void socket.setNoDelay(option.enable)
    case "KeepAlive": {
      const { count, delay, enable, interval } = option
      return void socket.setKeepAlive(enable, delay * MILLIS, interval * MILLIS || undefined, count || undefined)
    }
    case "TypeOfService":
      try {
        return void socket.setTypeOfService?.(option.value)
      } catch {
        return
      }
  }
}

/**
 * Has a socket over a new handle treated as its listener says; `keepAlive` is in milliseconds, 0 for no probes. The socket
 * is told, and not its handle: Node leaves out what a socket has been set to already, as far as the socket knows.
 */
export const begin = (socket: Net.Socket, keepAlive: number): void => {
  socket.setNoDelay(true)
  if (keepAlive > 0) socket.setKeepAlive(true, Math.max(1, Math.round(keepAlive / MILLIS)) * MILLIS)
}

/** Sets an option of a handle that has no socket. */
export const setHandleOption = (handle: TcpHandle, option: SocketOption): void => {
  switch (option._tag) {
    case "NoDelay":
      return void handle.setNoDelay(option.enable)
    case "KeepAlive": {
      const { count, delay, enable, interval } = option
      return void handle.setKeepAlive(enable, delay, interval || undefined, count || undefined)
    }
    case "TypeOfService":
      return void handle.setTypeOfService?.(option.value)
  }
}

/** What belongs to a connection runs in the context of this call from here on, not in that of the handle's making. */
export const adopt = (socket: Net.Socket): void => {
  const handle: unknown = Reflect.get(socket, "_handle")
  if (isObject(handle) && isFunction(handle, "asyncReset")) {
    Reflect.apply(Reflect.get(handle, "asyncReset"), handle, [socket])
  }
}

/** Has a socket that reads where it is told read into `memory` next; `false` where it can't be told. */
export const readInto = (socket: Net.Socket, memory: Uint8Array): boolean => {
  const handle: unknown = Reflect.get(socket, "_handle")
  if (!isObject(handle) || !isFunction(handle, "useUserBuffer")) return false
  Reflect.apply(Reflect.get(handle, "useUserBuffer"), handle, [memory])
  return true
}

/** The number of a socket's or server's descriptor; -1 where that is not told. */
export const descriptorOf = (socket: Net.Socket | Net.Server): number => {
  const handle: unknown = Reflect.get(socket, "_handle")
  const descriptor: unknown = isObject(handle) ? Reflect.get(handle, "fd") : undefined
  return typeof descriptor === "number" ? descriptor : -1
}

/** The handle of a socket of UDP that is bound. */
interface DatagramHandle {
  readonly recvStart: () => number
  readonly recvStop: () => number
}

const isDatagramHandle = (value: unknown): value is DatagramHandle =>
  isObject(value) && ["recvStart", "recvStop"].every((name) => isFunction(value, name))

/** A socket of UDP has its handle in its state, which stands under a symbol of Node's. */
const datagramHandle = (socket: Dgram.Socket): DatagramHandle | undefined => {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol")
  const state: unknown = symbol === undefined ? undefined : Reflect.get(socket, symbol)
  const handle: unknown = isObject(state) ? Reflect.get(state, "handle") : undefined
  return isDatagramHandle(handle) ? handle : undefined
}

/** The number of the descriptor of a socket of UDP; -1 where that is not told, or its reading can't be stopped. */
export const datagramDescriptorOf = (socket: Dgram.Socket): number => {
  const handle = datagramHandle(socket)
  const descriptor: unknown = handle === undefined ? undefined : Reflect.get(handle, "fd")
  return typeof descriptor === "number" ? descriptor : -1
}

/** Has a socket of UDP read, or read nothing: what comes waits in the system then. `false` where that can't be told it. */
export const setReading = (socket: Dgram.Socket, reads: boolean): boolean => {
  const handle = datagramHandle(socket)
  return handle !== undefined && (reads ? handle.recvStart() : handle.recvStop()) === 0
}

/** The socket below a TLS socket: an event of the server gives only the one above. */
export const below = (socket: Duplex): Net.Socket | undefined => {
  const parent: unknown = Reflect.get(socket, "_parent")
  return parent instanceof Net.Socket ? parent : undefined
}
