/**
 * A socket whose peer is refused with an answer, such as `503` of HTTP.
 *
 * ```
 * refused ── the peer has said something, or has ended ── the answer, and an end behind it ── a while later: closed
 *                     │                                        (SocketEnd.Farewell)
 *                     └ not within WAIT: the answer all the same
 * ```
 *
 * An answer that comes before its request is taken for a fault by some clients. The request, which nobody reads, is read and
 * dropped, up to a bound: a socket that is closed with bytes unread resets the connection, and the answer is lost with it.
 */
import type * as Net from "node:net"
import * as HttpRefusal from "../../domain/net/HttpRefusal.ts"
import * as SocketEnd from "./SocketEnd.ts"
import * as SocketEvents from "./SocketEvents.ts"

/** Milliseconds that a peer has to say something. */
const WAIT = 1000

/** Milliseconds that the answer has to go out. */
const CLOSE_TIMEOUT = 1000

/** The most sockets of a thread that wait for their peers' first bytes; more are reset at once. */
const MOST = 1024

let waiting = 0

export class SentAway implements SocketEvents.SocketSubject, SocketEnd.Leaver {
  readonly #socket: Net.Socket
  readonly #below: Net.Socket | undefined
  #answer: Uint8Array
  readonly #timer: NodeJS.Timeout
  #waits = true
  #farewell: SocketEnd.Farewell | undefined

  private constructor(socket: Net.Socket, below: Net.Socket | undefined, answer: Uint8Array) {
    waiting++
    this.#socket = socket
    this.#below = below
    this.#answer = answer
    this.#timer = setTimeout(() => this.#say(), WAIT).unref()
  }

  /**
   * Answers the peer of a socket that is this one's from now on; `false` where as many as may wait do. `hasSpoken`: it has
   * said something that was read. `isOwned`: somebody had its events. `below`: the socket under the one of TLS.
   */
  static take(
    socket: Net.Socket,
    answer: Uint8Array,
    { below, hasSpoken, isOwned }: {
      readonly hasSpoken: boolean
      readonly isOwned: boolean
      readonly below?: Net.Socket | undefined
    }
  ): boolean {
    if (waiting >= MOST) return false
    const sent = new SentAway(socket, below, answer)
    if (isOwned) SocketEvents.pass(socket, sent)
    else SocketEvents.own(socket, sent)
    if (hasSpoken || socket.readableEnded) sent.#say()
    socket.resume()
    return true
  }

  #settle(): void {
    if (!this.#waits) return
    this.#waits = false
    waiting--
    clearTimeout(this.#timer)
  }

  #say(): void {
    if (!this.#waits) return
    this.#settle()
    const socket = this.#socket
    if (socket.destroyed) return
    this.#farewell = new SocketEnd.Farewell(socket, this, this.#answer.length, CLOSE_TIMEOUT)
    socket.end(this.#answer)
  }

  onRead(bytes: number): boolean {
    return this.#heard(SocketEvents.scratch, bytes)
  }

  onData(bytes: Uint8Array): void {
    if (!this.#heard(bytes, bytes.length)) this.#socket.pause()
  }

  #heard(bytes: Uint8Array, length: number): boolean {
    if (this.#waits) this.#answer = HttpRefusal.answerTo(this.#answer, bytes, length)
    this.#say()
    return this.#farewell?.drop(length) ?? false
  }

  onEnd(): void {
    this.#say()
  }

  // all there is to do was settled with the farewell
  onSent(): void {}

  onLate(): void {
    SocketEnd.reset(this.#socket, this.#below)
  }

  // the close that follows says it
  onError(): void {}

  onClose(): void {
    this.#settle()
  }

  arm(): Uint8Array {
    return SocketEvents.scratch
  }
}
