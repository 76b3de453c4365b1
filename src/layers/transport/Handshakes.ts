/**
 * The handshakes of one listener that are under way. Their number is bounded, and so is the time of each as a whole: a
 * peer that sends a byte now and then gets no more time.
 *
 * Whatever ends a handshake early ends that one alone: its socket is broken, its timer is cleared, and one reason is
 * reported for it. What happens within a handshake is in `TcpHandshake` for the host, and in `WorkerTls` for a worker.
 */
import { constVoid } from "effect/Function"
import type * as Net from "node:net"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"

export type HandshakeBounds = Pick<ListenerOptions, "handshakeTimeout" | "maxHandshakes">

/** Why a handshake was not completed. `failed`: the step under way failed, or the socket has closed. */
export type HandshakeFailure = "failed" | "handshake-time" | "handshake-limit"

export class Handshakes {
  readonly #bounds: HandshakeBounds
  readonly #underWay = new Set<Handshake>()

  constructor(bounds: HandshakeBounds) {
    this.#bounds = bounds
  }

  /**
   * Begins a handshake on a socket. It is complete when {@link Handshake.finish} is called; otherwise `failed` is
   * called once, and within this very call when as many handshakes are under way as there may be.
   */
  begin(socket: Net.Socket, failed: (why: HandshakeFailure) => void): Handshake {
    const handshake = new Handshake(socket, this.#bounds.handshakeTimeout, failed, this.#underWay)
    if (this.#underWay.size > this.#bounds.maxHandshakes) handshake.fail("handshake-limit")
    return handshake
  }

  /** Ends all handshakes that are under way; nobody is left to be told. */
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
    // an error is reported by the close that follows it
    socket.on("error", constVoid).on("close", this.#onClose)
    underWay.add(this)
  }

  get isOver(): boolean {
    return this.#over
  }

  /**
   * Completes the handshake; `false` when it was over already. Errors of the socket are still ignored until
   * {@link release}.
   */
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

  /** Breaks its socket, and reports why. */
  fail(why: HandshakeFailure = "failed"): void {
    if (this.#over) return
    this.end()
    this.#failed(why)
  }

  /** Breaks its socket, and reports nothing. */
  end(): void {
    if (this.finish() && !this.socket.destroyed) this.socket.resetAndDestroy()
  }
}
