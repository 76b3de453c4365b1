/**
 * A session whose bytes go through the host: between a connection and the fifos that host and worker share.
 *
 * **Splice** Two sessions of a worker can be joined: then the bytes that one connection puts into its rx fifo are sent
 * by the other connection. The host takes the worker's place as the fifo's reader, and starts where the worker has
 * stopped, so no byte is copied and none is lost; what the worker had written into a tx fifo is sent first. An end is
 * passed on as an end, a reset as a reset, and the worker hears of both as always. Each side's memory is in use until
 * both connections are gone, so only then is the worker told to release it.
 *
 * This module is a hot path.
 */
import * as Fifo from "../../domain/memory/Fifo.ts"
import { FifoConsumer } from "../../domain/memory/FifoConsumer.ts"
import { FifoProducer } from "../../domain/memory/FifoProducer.ts"
import * as Message from "../../domain/memory/Message.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import type { SocketOption } from "../../domain/net/SocketOption.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import type { ConnectionEnd, SharedConnection } from "../../services/Transport.ts"
import { type AboutPlace, ConnectionSession } from "./ConnectionSession.ts"
import type { HostSession, KindReport, ParkingSession, SessionHome } from "./HostSession.ts"
import type { ParkedTurn } from "./ParkedSessions.ts"

/** With this many bytes in the rx fifo, the worker is told at once. */
const STREAMING = 16384

/** Joins two sessions of one worker. Returns what is wrong, if a well-behaved worker would not have asked for it. */
export const splice = (one: HostSession, other: HostSession): string | undefined => {
  const called = ({ handle }: HostSession): string => `session ${Handle.format(handle)}`
  if (one === other) return `${called(one)} with itself`
  const first = one.joinable()
  if (typeof first === "string") return `${called(one)}, ${first}`
  const second = other.joinable()
  if (typeof second === "string") return `${called(other)}, ${second}`
  first.join(second)
  return undefined
}

export class SharedSession extends ConnectionSession implements ConnectionEnd, ParkingSession {
  readonly connection: SharedConnection
  // numbers and no object: there may be many sessions
  readonly #ringsSegment: number
  readonly #ringsOffset: number
  #rx: FifoProducer | undefined
  #tx: FifoConsumer | undefined
  /** Bytes from the peer, and to it. */
  #bytesIn = 0
  #bytesOut = 0
  #hot = false
  #received = false
  /** The worker has ended its side. */
  #ended = false
  /** The connection ends by itself. */
  #left = false
  /** Set while it waits for the worker that has parked it (X1). */
  turn: ParkedTurn | undefined
  /** Whether its worker let it wait until it moved on. */
  late = false
  /** How far the worker had got, where the last look has found bytes for a session that is parked. */
  #lookedAt: { readonly written: number; readonly read: number } | undefined
  /** The session that it is joined with, and the reading end of that session's rx fifo. */
  #other: SharedSession | undefined
  #through: FifoConsumer | undefined

  constructor(
    handle: Handle.SessionHandle,
    home: SessionHome,
    blocks: Fifo.Blocks,
    about: AboutPlace | undefined,
    connection: SharedConnection,
    rings: Fifo.BlockPlace
  ) {
    super(handle, home, blocks, about)
    this.connection = connection
    this.#ringsSegment = rings.segment
    this.#ringsOffset = rings.offset
  }

  protected get rings(): Fifo.BlockPlace {
    return { segment: this.#ringsSegment, offset: this.#ringsOffset }
  }

  // the fifos' ends are made when bytes first move: an idle session does without them

  get rx(): FifoProducer {
    return this.#rx ??= this.#makeRx()
  }

  #makeRx(): FifoProducer {
    const { rxFifoSize } = this.worker.slot.app.options.segment
    const ring = SessionBlock.rxRing(this.rings, this.worker.view(this.rings.segment)!, rxFifoSize)
    const words = { ...SessionBlock.rx(this.segment, this.place.offset), start: 0 }
    return new FifoProducer(words, rxFifoSize, ring, this.blocks)
  }

  get tx(): FifoConsumer {
    if (this.#through !== undefined) return this.#through
    const tx = this.#tx ??= new FifoConsumer(
      { ...SessionBlock.tx(this.segment, this.place.offset), start: 0 },
      this.worker.slot.app.options.segment.txFifoSize,
      this.worker.view
    )
    // what the worker wrote goes first; what is being sent stays in the fifo, so the source doesn't change meanwhile
    if (this.#other === undefined || tx.size > 0) return tx
    return this.#through = this.#other.#taken()
  }

  /** The reading end of the rx fifo, in place of the worker's. */
  #taken(): FifoConsumer {
    return new FifoConsumer(SessionBlock.rx(this.segment, this.place.offset), this.rx.bound, this.worker.view)
  }

  /** A report doesn't make a fifo that no byte has come to. */
  override report(): KindReport {
    const { dropped } = this.connection
    const { rxFifoSize, txFifoSize } = this.worker.slot.app.options.segment
    const used = (fifo: { readonly size: number } | undefined): number => {
      try {
        return fifo?.size ?? 0
      } catch (error) {
        // the worker's doing, which is dealt with where the bytes are moved
        if (error instanceof Fifo.FifoCorrupt) return 0
        throw error
      }
    }
    return {
      kind: this.origin.listener === undefined ? "connected" : "accepted",
      placement: "shared",
      parked: this.isParked,
      rx: { used: used(this.#rx), size: rxFifoSize, memory: this.#rx?.memory ?? 0 },
      tx: { used: used(this.#tx), size: txFifoSize, memory: this.#tx?.memory ?? 0 },
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      dropped
    }
  }

  override open(): void {
    this.connection.open(this)
  }

  // ---- what the connection says

  protected override get seesBytes(): boolean {
    return true
  }

  received(bytes: number): void {
    const { concurrency } = this.worker
    if (concurrency !== undefined) this.asked(concurrency, this.#bytesIn === 0)
    this.#received = true
    this.#bytesIn += bytes
    this.worker.slot.times.bytesIn += bytes
    if (this.origin.times !== undefined) this.origin.times.bytesIn += bytes
    if (!this.#hot) {
      this.#hot = true
      this.worker.hot.add(this)
    }
    if (this.#other !== undefined) return this.#other.connection.send()
    if (!this.rx.raiseEvent()) return
    // the worker hears at once of all that is ready in this turn; but where bytes stream, it reads while the host does
    if (this.rx.size < STREAMING) this.worker.gather()
    if (this.isParked) this.origin.moves?.waits(this)
    this.worker.congestion.sendIo(Message.Rx, this.handle, this.isLive)
  }

  sent(bytes: number): void {
    const ofWorker = this.worker.slot.times
    const ofListener = this.origin.times
    if (this.#bytesOut === 0) {
      const { age } = this
      ofWorker.answer.record(age)
      ofListener?.answer.record(age)
    }
    const { concurrency } = this.worker
    if (concurrency !== undefined) this.answered(concurrency)
    this.#bytesOut += bytes
    ofWorker.bytesOut += bytes
    if (ofListener !== undefined) ofListener.bytesOut += bytes
  }

  room(): void {
    if (this.#other !== undefined) return this.#other.connection.resume()
    this.worker.gather()
    this.worker.congestion.sendIo(Message.Room, this.handle, this.isLive)
  }

  starved(): void {
    this.worker.starved.add(this)
  }

  override ended(): void {
    if (!this.hearEnd()) return
    this.#other?.connection.end()
    if (this.isParked) this.origin.moves?.waits(this)
  }

  override closed(reset: string | undefined, ended?: Ledger.EndReason): void {
    if (!this.hearClosed(reset)) return
    if (ended !== undefined) this.origin.ended(this, ended)
    if (this.#other === undefined) return this.tellLast()
    // in order: it has ended both ways, and the other connection has the time of its end to send what is left
    if (reset === undefined) this.#other.connection.close()
    else this.#other.connection.abort()
    if (!this.#other.isGone) return
    this.#other.tellLast()
    this.tellLast()
  }

  corrupt(error: Fifo.FifoCorrupt): void {
    this.worker.fault(`session memory is corrupt: ${error.message}`)
  }

  // ---- what the worker says

  override send(): void {
    if (this.isOpen) this.connection.send()
  }

  override resume(): void {
    if (this.isOpen) this.connection.resume()
  }

  override setOption(option: SocketOption): void {
    if (this.isOpen && !this.isGone) this.connection.setOption(option)
  }

  override end(): void {
    // a session that is joined with another ends its side when the other one's connection does
    if (!this.isOpen || this.#other !== undefined) return
    this.#ended = true
    this.connection.end()
  }

  override drain(): void {
    this.connection.drain()
  }

  override stop(): void {
    this.connection.stop?.()
  }

  // when a session is given up, so is the one that it is joined with

  override close(): void {
    super.close()
    this.#other?.giveUp("close")
  }

  override abort(): void {
    super.abort()
    this.#other?.giveUp("abort")
  }

  protected override finish(how: "close" | "abort"): void {
    if (!this.#left) this.connection[how]()
  }

  protected override leave(): boolean {
    if (this.#other !== undefined || (this.state !== "CLOSING" && this.state !== "APP_CLOSED")) return false
    this.#left = true
    this.connection.leave()
    return true
  }

  // ---- parked (X1)

  override get isParked(): boolean {
    return SessionBlock.isParked(this.segment, this.place.offset)
  }

  /** Whether its worker has parked it, and nobody has given it up: another worker may have it. */
  get #canMove(): boolean {
    return SessionState.canMove(this.state) && this.isParked
  }

  /** Whether the worker's application has done nothing with it so far. */
  get isFresh(): boolean {
    return this.isParked && SessionBlock.isFresh(this.segment, this.place.offset)
  }

  /**
   * Whether its worker has parked it, and it is to go on: there is something for the application, bytes or the peer's
   * end, or the worker drains.
   */
  get isWaiting(): boolean {
    if (!this.#canMove) return false
    const { handsOver, slot } = this.worker
    return this.state === "TRANSPORT_CLOSING" || (this.#rx?.size ?? 0) > 0 || handsOver
      || !WorkerState.takesSessions(slot.state)
  }

  /** Whether nothing is left for its application but to hear of its peer's end. */
  get hasEndOnly(): boolean {
    return this.state === "TRANSPORT_CLOSING" && (this.#rx?.size ?? 0) === 0
  }

  /** How far the worker says that it has read: another number each time that it has read something. */
  get read(): number {
    return this.#rx?.headUnsafe ?? 0
  }

  /** Whether its worker has parked it, and there is nothing for its application, which has had it. */
  get isIdle(): boolean {
    return this.isOpen && this.isParked && !this.isFresh && (this.#rx?.size ?? 0) === 0
      && this.state !== "TRANSPORT_CLOSING"
  }

  /** Bytes that are to be sent. */
  get unsent(): number {
    return this.#tx?.size ?? 0
  }

  /**
   * Takes a session that the worker has parked away from it, with what was not read and what was not sent. The
   * connection is as it was before it was opened. Returns what the application gives along, by {@link SessionBlock};
   * `undefined` when the worker has the session in hand, somebody has given it up, or the connection is gone.
   */
  takeAway(): { readonly state: Uint8Array | undefined } | undefined {
    if (!SessionState.canMove(this.state) || this.#ended || this.#other !== undefined) return undefined
    if (!SessionBlock.takeAway(this.segment, this.place.offset)) return undefined
    try {
      const state = SessionBlock.stateOf(this.segment, this.place.offset, this.worker.view)
      this.connection.suspend(this.#unread())
      this.move("moveOn")
      this.uncount()
      this.tellLast("migrated")
      return { state }
    } catch (error) {
      if (!(error instanceof Fifo.FifoCorrupt)) throw error
      this.corrupt(error)
      return undefined
    }
  }

  override onParked(): void {
    const { handsOver, slot } = this.worker
    if (handsOver || !WorkerState.takesSessions(slot.state)) this.moveOn()
    else if (this.isWaiting) this.origin.moves?.waits(this)
  }

  /** Whether it is parked, and nothing but its bytes that nobody has read keeps it here: another host may have it (X4). */
  get canDepart(): boolean {
    return this.#canMove && this.unsent === 0 && this.connection.isSent === true
  }

  override moveOn(): void {
    if (this.#canMove) this.origin.moves?.moveOn(this)
  }

  override carryOn(): void {
    if (this.#canMove) this.origin.moves?.carryOn(this)
  }

  #unread(): Uint8Array | undefined {
    const size = this.#rx?.size ?? 0
    if (size === 0) return undefined
    const bytes = Buffer.allocUnsafe(size)
    return bytes.subarray(0, this.#taken().read(bytes).bytes)
  }

  // ---- splice

  override joinable(): SharedSession | string {
    if (!this.isOpen) return super.joinable()
    if (this.#other !== undefined) return "which is joined already"
    return this.#ended ? "which it had ended" : this
  }

  join(other: SharedSession): void {
    // if one is gone, which the worker may not have heard of yet, the other goes too
    if (this.isGone) other.connection.abort()
    if (other.isGone) this.connection.abort()
    if (this.isGone || other.isGone) return
    this.#other = other
    other.#other = this
    this.#joined(other)
    other.#joined(this)
  }

  /** Passes on to the other session what has happened to the connection so far. */
  #joined({ connection }: SharedSession): void {
    connection.send()
    if (this.state === "TRANSPORT_CLOSING" || this.state === "APP_CLOSED") connection.end()
    if (this.state === "CLOSING" || this.state === "APP_CLOSED") this.close()
  }

  // ---- the end

  override drop(): void {
    const other = this.#other
    const isFree = this.state === "TRANSPORT_DELETED"
    super.drop()
    // the other session reads from memory that is free now
    if (!isFree) other?.drop()
  }

  protected override freeMemory(): void {
    this.worker.hot.delete(this)
    this.worker.starved.delete(this)
    this.origin.moves?.left(this)
    this.#rx?.free()
    this.blocks.free(this.rings)
    super.freeMemory()
  }

  /**
   * Looks after the rx fifo; to be called at intervals, with whether the worker has read its queue. The connection goes
   * on if there is room that it was not told of, and the worker is told once more of bytes that it has not looked at.
   */
  look(isRead: boolean): void {
    const rx = this.#rx
    if (rx === undefined || !this.isOpen || this.isGone) return
    if (!SessionBlock.isClaimed(this.segment, this.place.offset)) {
      throw new Fifo.FifoCorrupt("a session that the worker has is said to be elsewhere")
    }
    if (this.#writesParked(rx)) throw new Fifo.FifoCorrupt("a session that is said to be parked was written to")
    if (rx.roomCame()) this.connection.resume()
    if (!isRead || !rx.overdue()) return
    if (this.#other !== undefined) this.#other.connection.send()
    else this.worker.congestion.sendIo(Message.Rx, this.handle, this.isLive)
  }

  /**
   * Whether the worker has written to the session since the last look, and says now as it did then that it is parked,
   * with the same bytes to read. A worker that takes a session up parks it again only after it has read some of them. So
   * the words are read in this order: what was written comes before the word, and what was read after it.
   */
  #writesParked(rx: FifoProducer): boolean {
    const before = this.#lookedAt
    this.#lookedAt = undefined
    const written = this.#tx?.end
    if (written === undefined || !this.isParked || rx.size === 0) return false
    this.#lookedAt = { written, read: rx.head }
    return before !== undefined && before.read === rx.head && before.written !== written
  }

  /** Gives idle rx memory back; `false` while there is some left, or bytes, to look at later. */
  trim(): boolean {
    const received = this.#received
    this.#received = false
    if (received || this.#rx?.trim() === false || (this.#rx?.size ?? 0) > 0) return false
    this.#hot = false
    return true
  }
}
