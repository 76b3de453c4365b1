/**
 * TCP connections that are to move to the thread of the worker that claims them. Nothing is read from them here. They may
 * come back, as handles, and move to another one.
 *
 * A connection that came from its listener's handle stays a handle: a socket is made of it only where it arrives, which
 * halves the cost of the move. Where the runtime does not give connections as handles, or refuses to post one, it is a
 * socket.
 *
 * This module is a hot path.
 */
import { constVoid } from "effect/Function"
import * as Net from "node:net"
import { MessageChannel, type Transferable } from "node:worker_threads"
import * as Address from "../../domain/net/Address.ts"
import * as SocketOption from "../../domain/net/SocketOption.ts"
import type { LentSocket, MovableConnection, Moving } from "../../services/Transport.ts"
import * as NodeHandle from "./NodeHandle.ts"
import { SentAway } from "./SentAway.ts"
import * as SentAwayHandle from "./SentAwayHandle.ts"
import * as SocketEvents from "./SocketEvents.ts"

const reset = (handle: NodeHandle.TcpHandle): void => {
  if (handle.reset(constVoid) !== 0) handle.close()
}

/** The socket of what has arrived on another thread; `undefined` for what is neither a socket nor a handle. */
export const socketOf = (arrived: unknown): Net.Socket | undefined => {
  if (arrived instanceof Net.Socket) return arrived
  return NodeHandle.isTcpHandle(arrived) ? NodeHandle.socketOf(arrived) : undefined
}

class MovingHandle implements Moving {
  readonly posted: NodeHandle.TcpHandle
  #socket: Net.Socket | undefined

  constructor(handle: NodeHandle.TcpHandle) {
    this.posted = handle
  }

  get isHere(): boolean {
    return this.posted.fd >= 0
  }

  take(): Net.Socket {
    return this.#socket ??= NodeHandle.socketOf(this.posted)
  }

  destroy(): void {
    if (this.#socket === undefined) reset(this.posted)
    else this.#socket.resetAndDestroy()
  }
}

class MovingSocket implements Moving {
  readonly posted: Net.Socket

  constructor(socket: Net.Socket) {
    this.posted = socket
  }

  // a post that fails destroys it
  get isHere(): boolean {
    return !this.posted.destroyed
  }

  take(): Net.Socket {
    return this.posted
  }

  destroy(): void {
    this.posted.resetAndDestroy()
  }
}

/** An accepted connection that moves, until it has. */
export class TcpMovable implements MovableConnection {
  readonly _tag = "Movable"
  readonly about = undefined
  onGone: (() => void) | undefined
  readonly inTls: boolean
  readonly remote: string
  readonly local: string
  readonly mapped: boolean
  /** Milliseconds of the listener's option; 0, no probes. */
  readonly #keepAlive: number
  #moving: Moving | undefined

  constructor(
    accepted: NodeHandle.TcpHandle | Net.Socket,
    transport: "tcp" | "tls",
    keepAlive: number,
    local?: string
  ) {
    this.inTls = transport === "tls"
    this.#keepAlive = keepAlive
    if (accepted instanceof Net.Socket) {
      const { localAddress, localPort, remoteAddress, remotePort } = accepted
      this.remote = Address.uri(transport, remoteAddress, remotePort)
      this.mapped = Address.isMapped(remoteAddress)
      this.local = local ?? Address.uri(transport, localAddress, localPort)
      this.#moving = new MovingSocket(accepted.on("error", constVoid))
      return
    }
    const out: { address?: string; port?: number } = {}
    accepted.getpeername(out)
    this.remote = Address.uri(transport, out.address, out.port)
    this.mapped = Address.isMapped(out.address)
    if (local === undefined) accepted.getsockname(out)
    this.local = local ?? Address.uri(transport, out.address, out.port)
    this.#moving = new MovingHandle(accepted)
  }

  take(): Moving | undefined {
    const moving = this.#moving
    this.#moving = undefined
    return moving
  }

  comeBack(socket: object): boolean {
    if (this.inTls || this.#moving !== undefined) return false
    if (!NodeHandle.isTcpHandle(socket) || !NodeHandle.isHere(socket)) return false
    for (const option of SocketOption.initial(this.#keepAlive)) NodeHandle.setHandleOption(socket, option)
    this.#moving = new MovingHandle(socket)
    return true
  }

  close(): void {
    this.onGone = undefined
    this.take()?.take().destroy()
  }

  abort(): void {
    this.onGone = undefined
    this.take()?.destroy()
  }

  // where TLS ends in the worker, nobody here can say anything
  sendAway(answer: Uint8Array | undefined): void {
    const moving = answer === undefined || this.inTls ? undefined : this.take()
    if (answer === undefined || moving === undefined) return this.abort()
    this.onGone = undefined
    if (moving instanceof MovingHandle && SentAwayHandle.take(moving.posted, answer)) return
    const socket = SocketEvents.readByEvents(moving.take())
    if (!SentAway.take(socket, answer, { hasSpoken: false, isOwned: false })) socket.resetAndDestroy()
  }

  // where TLS ends differs between listeners
  lend(): LentSocket | undefined {
    const moving = this.#moving
    return moving instanceof MovingHandle && moving.isHere && !this.inTls
      ? { socket: moving.posted, unread: undefined }
      : undefined
  }

  letGo(): void {
    this.onGone = undefined
    const moving = this.take()
    if (moving instanceof MovingHandle) moving.posted.close()
  }
}

/**
 * Why this runtime can't move sockets to other threads; `undefined` when it can. This is tried once, with a socket that
 * has no connection: a runtime that can move sockets refuses such a socket with a code of its own.
 */
export const immovable = (): string | undefined => {
  tried ??= { why: tryOut() }
  return tried.why
}

let tried: { readonly why: string | undefined } | undefined

const tryOut = (): string | undefined => {
  const { port1, port2 } = new MessageChannel()
  const socket = new Net.Socket()
  try {
    const transferred: Array<object> = [socket]
    port1.postMessage(socket, transferred as Array<Transferable>)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ERR_WORKER_HANDLE_NOT_TRANSFERABLE"
      ? undefined
      : `Node ${process.versions.node} does not move sockets between threads`
  } finally {
    socket.destroy()
    port1.close()
    port2.close()
  }
}
