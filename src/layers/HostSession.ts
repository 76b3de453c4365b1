/**
 * A session as the host holds it: between a connection and the worker that it was given to.
 *
 * It owns the session's block and the host's ends of the fifos, moves through the states of `SessionState`, and turns
 * what the connection does into messages for the worker and what the worker says into calls to the connection.
 *
 * @since 0.1.0
 */
import * as Fifo from "../domain/Fifo.ts"
import type { SessionHandle } from "../domain/Handle.ts"
import * as Message from "../domain/Message.ts"
import type { Segment } from "../domain/Segment.ts"
import * as SessionBlock from "../domain/SessionBlock.ts"
import * as SessionState from "../domain/SessionState.ts"
import type { Manager } from "../services/SegmentManager.ts"
import type { Connection, ConnectionEnd } from "../services/Transport.ts"
import type { LiveWorker } from "./HostWorker.ts"

/** Bytes in an rx fifo from which on its worker is told at once. */
const STREAMING = 16384

/** Whoever a session's connection came from: a listener, or a worker that asked for it. */
export interface Origin {
  /** The session is none any more: it is free, or its offer was taken back. Said once. */
  readonly sessionFreed: () => void
}

export class HostSession implements ConnectionEnd {
  readonly handle: SessionHandle
  readonly worker: LiveWorker
  readonly place: Fifo.Place
  readonly origin: Origin
  connection: Connection
  state: SessionState.SessionState = "CREATED"
  /** Whether the worker let the session's offer run out. */
  late = false
  /** Whether its claim was seen before the worker's word of it was read. */
  claimCounted = false
  readonly #segment: Segment
  readonly #manager: Manager
  #rx: Fifo.Producer | undefined
  #tx: Fifo.Consumer | undefined
  #liveCheck: (() => boolean) | undefined
  #hot = false
  #received = false
  #counted = true

  constructor(
    handle: SessionHandle,
    worker: LiveWorker,
    origin: Origin,
    connection: Connection,
    manager: Manager,
    place: Fifo.Place
  ) {
    this.handle = handle
    this.worker = worker
    this.origin = origin
    this.connection = connection
    this.place = place
    this.#manager = manager
    this.#segment = worker.segments.segment(place.segment)!
    SessionBlock.reset(this.#segment, place.offset)
  }

  // the fifos' ends are made when bytes first move: an idle session does without them

  get rx(): Fifo.Producer {
    return this.#rx ??= new Fifo.Producer(
      SessionBlock.rx(this.#segment, this.place.offset),
      this.worker.slot.app.options.segment.rxFifoSize,
      this.#manager
    )
  }

  get tx(): Fifo.Consumer {
    return this.#tx ??= new Fifo.Consumer(
      SessionBlock.tx(this.#segment, this.place.offset),
      this.worker.slot.app.options.segment.txFifoSize,
      this.worker.view
    )
  }

  get #isLive(): () => boolean {
    return this.#liveCheck ??= () => this.state !== "TRANSPORT_DELETED"
  }

  /** Moves to the next state; `false` for an event that the present state does not know. */
  move(event: SessionState.SessionEvent): boolean {
    const next = SessionState.next(this.state, event)
    if (next === undefined) return false
    this.state = next
    return true
  }

  // ---- admission

  /** Puts the session on offer: the worker may claim it from the moment its message is visible. */
  offer(message: Message.Of<"accepted">, undelivered: () => void): void {
    this.move("offer")
    this.worker.congestion.send({ message, live: () => this.state === "ACCEPTING", cleanUp: undelivered })
  }

  /** Takes the offer back; `false` when the worker has claimed it. */
  endOffer(end: typeof SessionBlock.REVOKED | typeof SessionBlock.WITHDRAWN): boolean {
    if (!SessionBlock.endOffer(this.#segment, this.place.offset, end)) return false
    this.move("revoke")
    this.#uncount()
    return true
  }

  /** It takes no place in any limit any more. */
  #uncount(): void {
    if (!this.#counted) return
    this.#counted = false
    this.worker.slot.app.sessions--
    this.origin.sessionFreed()
    this.worker.sessionLeft()
  }

  /** The worker says that it has claimed the offer. */
  claimed(): boolean {
    return this.move("claim")
  }

  /** A session of a connect needs no offer: the worker asked for it. */
  connected(message: Message.Of<"connected">): void {
    SessionBlock.endOffer(this.#segment, this.place.offset, SessionBlock.CLAIMED)
    this.state = "CONNECTING"
    this.move("connected")
    this.worker.congestion.send({ message, live: this.#isLive, cleanUp: () => this.drop() })
  }

  /** Starts moving bytes. */
  open(): void {
    this.connection.open(this)
  }

  // ---- what the connection says

  received(): void {
    this.#received = true
    if (!this.#hot) {
      this.#hot = true
      this.worker.hot.add(this)
    }
    if (!this.rx.raiseEvent()) return
    // the worker hears of all that is ready in this turn at once; but where bytes stream it reads while we do
    if (this.rx.size < STREAMING) this.worker.gather()
    this.worker.congestion.sendIo(Message.Rx, this.handle, this.#isLive)
  }

  room(): void {
    this.worker.gather()
    this.worker.congestion.sendIo(Message.Room, this.handle, this.#isLive)
  }

  starved(): void {
    this.worker.starved.add(this)
  }

  ended(): void {
    if (!this.move("transportEnd")) return
    this.worker.congestion.send({ message: { _tag: "disconnected", session: this.handle }, live: this.#isLive })
  }

  closed(reset: string | undefined): void {
    if (!this.move("transportClosed")) return
    const { congestion } = this.worker
    if (reset !== undefined) {
      congestion.send({ message: { _tag: "reset", session: this.handle, reason: reset }, live: this.#isLive })
    }
    // the last message: once it has passed the worker's queue the worker lets go, and if it never will, we do
    congestion.send({ message: { _tag: "cleanup", session: this.handle }, cleanUp: () => this.free() })
  }

  corrupt(error: Fifo.Corrupt): void {
    this.worker.fault(`session memory is corrupt: ${error.message}`)
  }

  // ---- what the worker says

  /** Whether the connection is this worker's: not while its offer runs, nor after it was taken back. */
  get #isOpen(): boolean {
    return this.state !== "ACCEPTING" && this.state !== "CREATED"
  }

  send(): void {
    if (this.#isOpen) this.connection.send()
  }

  resume(): void {
    if (this.#isOpen) this.connection.resume()
  }

  end(): void {
    if (this.#isOpen) this.connection.end()
  }

  close(): void {
    if (this.move("appClose") && this.state !== "CLOSED") this.connection.close()
  }

  abort(): void {
    if (this.move("appClose") && this.state !== "CLOSED") this.connection.abort()
  }

  /** The worker has let go of the fifos; `false` when it was not asked to. */
  released(): boolean {
    if (this.state !== "TRANSPORT_CLOSED" && this.state !== "CLOSED") return false
    this.free()
    return true
  }

  // ---- the end

  /** Ends the session at once from the host's side: the connection is broken, the memory free. */
  drop(): void {
    if (this.state === "TRANSPORT_DELETED") return
    const { connection } = this
    this.free()
    connection.abort()
  }

  /** Frees fifos, block and slot. From here on every handle to the session is stale. */
  free(): void {
    if (this.state === "TRANSPORT_DELETED") return
    this.state = "TRANSPORT_DELETED"
    this.#rx?.free()
    this.#manager.free(this.place)
    // first: whoever waits may take its place
    this.#uncount()
    this.worker.forget(this)
  }

  /** Gives idle rx memory back; `false` while there is some left to look at later. */
  trim(): boolean {
    const received = this.#received
    this.#received = false
    if (received || this.#rx?.trim() === false) return false
    this.#hot = false
    return true
  }
}
