/**
 * Handshakes of one listener that are under way, bounded in number, and each in its time as a whole, however it is
 * spent: a peer that sends a byte now and then gets no more of it.
 *
 * Whatever ends one early ends it alone: its socket is broken, its timer cleared, and its end told by one reason. What
 * happens within a handshake is said elsewhere: in the host in `TcpHandshake`, in a worker in `WorkerTls`.
 */
import { constVoid } from "effect/Function"
import type * as Net from "node:net"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"

export type HandshakeBounds = Pick<ListenerOptions, "handshakeTimeout" | "maxHandshakes">

/** Why a handshake did not get through: `failed` is whatever was under way, or that the socket has closed. */
export type HandshakeFailure = "failed" | "handshake-time" | "handshake-limit"

export class Handshakes {
  readonly #bounds: HandshakeBounds
  readonly #underWay = new Set<Handshake>()

  constructor(bounds: HandshakeBounds) {
    this.#bounds = bounds
  }

  /**
   * Begins a handshake on a socket. It is through when {@link Handshake.finish} is called; else `failed` is called once,
   * within this very call where there are as many handshakes as there may be.
   */
  begin(socket: Net.Socket, failed: (why: HandshakeFailure) => void): Handshake {
    const handshake = new Handshake(socket, this.#bounds.handshakeTimeout, failed, this.#underWay)
    if (this.#underWay.size > this.#bounds.maxHandshakes) handshake.fail("handshake-limit")
    return handshake
  }

  /** Ends all that are under way: nobody is left to be told. */
  close(): void {
    for (const handshake of this.#underWay) handshake.end()
  }
}

export class Handshake {
  readonly socket: Net.Socket
  readonly #failed: (why: HandshakeFailure) => void
  readonly #underWay: Set<Handshake>
  readonly #timer: NodeJS.Timeout
  readonly #onClose: () => void
  #over = false

  constructor(
    socket: Net.Socket,
    timeout: number,
    failed: (why: HandshakeFailure) => void,
    underWay: Set<Handshake>
  ) {
    this.socket = socket
    this.#failed = failed
    this.#underWay = underWay
    this.#timer = setTimeout(() => this.fail("handshake-time"), timeout)
    this.#onClose = () => this.fail()
    // errors are told by the close that follows them
    socket.on("error", constVoid).on("close", this.#onClose)
    underWay.add(this)
  }

  get isOver(): boolean {
    return this.#over
  }

  /** It is through; `false` when it was over already. Errors of the socket go on being ignored until {@link release}. */
  finish(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.socket.off("close", this.#onClose)
    this.#underWay.delete(this)
    return true
  }

  /** Leaves the errors of the socket to its next owner. */
  release(): void {
    this.socket.off("error", constVoid)
  }

  /** Breaks its socket, and says why. */
  fail(why: HandshakeFailure = "failed"): void {
    if (this.#over) return
    this.end()
    this.#failed(why)
  }

  /** Breaks its socket, and says nothing. */
  end(): void {
    if (this.finish() && !this.socket.destroyed) this.socket.resetAndDestroy()
  }
}
