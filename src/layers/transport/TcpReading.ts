/**
 * The way from a socket to the rx fifo: one of the two halves of a {@link TcpConnection}.
 *
 * An idle connection holds no fifo memory: small reads go into one scratch buffer for all (`SocketEvents`), and the bytes
 * are copied into the fifo. A connection whose last read was large has its next read go straight into the fifo. A full
 * fifo stops the reading, and so the peer's window closes.
 *
 * This module is a hot path.
 */
import type { ConnectionEnd } from "../../services/Transport.ts"
import * as NodeHandle from "./NodeHandle.ts"
import type * as SocketEnd from "./SocketEnd.ts"
import { SCRATCH, scratch } from "./SocketEvents.ts"
import { TcpWriting } from "./TcpWriting.ts"

/** A read of at least this many bytes lets the next one go straight into the fifo. */
const LARGE_READ = 8192

export abstract class TcpReading extends TcpWriting {
  /** What comes in is no session's any more. */
  protected isClosing = false
  /** Set by `close`: what comes in is dropped, for a bounded time. */
  protected farewell: SocketEnd.Farewell | undefined
  /** Where the armed read goes, when it goes straight into the fifo. */
  #armed: Uint8Array | undefined
  /** How many of the bytes that come next were counted before they were put back. */
  #known = 0
  /** How many of the bytes that are left came while the connection was no session's, and were not counted. */
  #unheard = 0
  #large = false
  /** What was read and has not found room yet. */
  protected left: Uint8Array | undefined
  #paused = true
  #resuming = false

  /** Begins to read for the session. */
  protected startReading(): void {
    this.#paused = this.left !== undefined
    if (this.#paused) this.resume()
    else this.#flow()
  }

  #flow(): void {
    // a socket that was read from before may have announced its end already
    if (this.socket.readableEnded) queueMicrotask(() => this.onEnd())
    this.socket.resume()
  }

  abstract onEnd(): void

  /** Reads nothing more for the session; `unread` comes before what the socket has. */
  protected stopReading(unread: Uint8Array | undefined): void {
    this.disarm()
    this.#large = false
    this.#paused = true
    this.socket.pause()
    if (unread !== undefined) this.left = this.left === undefined ? unread : Buffer.concat([unread, this.left])
  }

  /** What comes in is dropped from now on. */
  protected dropRest(): void {
    this.left = undefined
    this.disarm()
    this.#paused = false
  }

  /** Where the next read goes; Node asks right after each read, and keeps the answer for the next one. */
  arm(): Uint8Array {
    try {
      return this.#nextRead()
    } catch (error) {
      this.broken(error)
      return scratch
    }
  }

  #nextRead(): Uint8Array {
    this.#armed = undefined
    if (this.session === undefined || this.isClosing) return scratch
    const { rx } = this.session
    if (this.#paused) return scratch.subarray(0, Math.min(SCRATCH, rx.part))
    const room = rx.room
    if (this.#large && room >= LARGE_READ) {
      const region = rx.reserve(SCRATCH)
      if (region !== undefined && region.length >= LARGE_READ) return this.#armed = region
      if (region !== undefined) rx.commit(0)
    }
    return room >= SCRATCH ? scratch : scratch.subarray(0, Math.max(1, room))
  }

  /** The next read does not go into the fifo: its memory is another session's once this one is over. */
  protected disarm(): void {
    if (this.#armed === undefined) return
    this.#armed = undefined
    if (!NodeHandle.readInto(this.socket, scratch)) this.socket.pause()
  }

  onRead(bytes: number): boolean {
    const { session } = this
    if (this.isClosing) return this.farewell?.drop(bytes) ?? false
    if (session === undefined) return this.#keep(scratch.slice(0, bytes))
    try {
      this.#large = bytes >= LARGE_READ
      if (this.#armed !== undefined) {
        this.#armed = undefined
        session.rx.commit(bytes)
      } else this.#take(session, scratch, bytes)
      session.received(bytes)
      this.#pauseIfFull(session)
    } catch (error) {
      this.broken(error)
    }
    return !this.#paused
  }

  onData(bytes: Uint8Array): void {
    this.guard(() => {
      const { session } = this
      if (this.isClosing) {
        if (this.farewell?.drop(bytes.length) !== true) this.socket.pause()
        return
      }
      if (session === undefined) {
        this.#keep(bytes)
        return
      }
      this.#take(session, bytes, bytes.length)
      const known = Math.min(this.#known, bytes.length)
      this.#known -= known
      session.received(bytes.length - known)
      this.#pauseIfFull(session)
      if (!this.#paused) return
      this.socket.pause()
      // back to the socket: it announces its end once it has no bytes, and what is left would come after that
      if (this.left !== undefined) {
        this.socket.unshift(this.left)
        this.#known += this.left.length
      }
      this.left = undefined
    })
  }

  /**
   * Keeps bytes for the next session: a socket that is paused in the turn in which it was resumed still reads once. Nothing
   * more is read; returns `false`, as {@link onRead} does for that.
   */
  #keep(bytes: Uint8Array): false {
    this.socket.pause()
    this.left = this.left === undefined ? bytes : Buffer.concat([this.left, bytes])
    this.#unheard += bytes.length
    return false
  }

  #take({ rx }: ConnectionEnd, from: Uint8Array, bytes: number): void {
    const whole = bytes === from.length ? from : from.subarray(0, bytes)
    const taken = rx.enqueue(whole)
    if (taken < bytes) this.left = new Uint8Array(whole.subarray(taken))
  }

  /** Stops reading while there is no room; {@link resume} is called when there is some. */
  #pauseIfFull(session: ConnectionEnd): void {
    const { rx } = session
    while (this.left !== undefined || rx.room === 0) {
      if (rx.wait() === "consumer") {
        this.#paused = true
        return
      }
      const left = this.left
      this.left = undefined
      if (left === undefined) continue
      this.#take(session, left, left.length)
      // the reader that made room may have read all there was, and does not look again by itself
      session.received(0)
    }
    this.#paused = false
  }

  resume(): void {
    if (!this.#paused || this.isClosing || this.#resuming) return
    this.#resuming = true
    queueMicrotask(() => this.#goOn())
  }

  /** Runs outside the call that asked for it, since it announces bytes. */
  #goOn(): void {
    this.#resuming = false
    if (!this.#paused || this.isClosing) return
    this.guard(() => {
      const { session } = this
      if (session === undefined) return
      const left = this.left
      this.left = undefined
      if (left !== undefined) {
        this.#take(session, left, left.length)
        session.received(this.#unheard)
        this.#unheard = 0
      }
      this.#pauseIfFull(session)
      if (!this.#paused) this.#flow()
    })
  }
}
