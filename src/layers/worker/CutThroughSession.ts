/**
 * A cut-through session as one of its workers holds it (W16): the worker at the other end reads what this one writes.
 *
 * **How the two tell each other** A write that raises the fifo's event flag, and a read that the writer waits for, set
 * the bit of the other's session in the other's inbox. A worker that finds the bit set takes a
 * {@link CutThroughSession.look} at both fifos. News of the session's end goes by way of the host, which tells the
 * other worker after the bytes are there.
 *
 * **How it is given up** {@link CutThroughSession.close} first says so in the session's block, then looks for bytes
 * that it has not read: if there are any, the other worker gets to see a reset. A write of the other worker looks at
 * the block when its bytes are in the fifo. So bytes that are written while the reader closes are not lost silently:
 * either the reader has found them, or the writer is told that the session takes no more.
 *
 * The other worker is not trusted. Positions and places that make no sense cost this session, and nothing else.
 */
import * as AboutText from "../../domain/memory/AboutText.ts"
import * as CutThroughSegment from "../../domain/memory/CutThroughSegment.ts"
import * as Fifo from "../../domain/memory/Fifo.ts"
import type { FifoConsumer } from "../../domain/memory/FifoConsumer.ts"
import type { FifoProducer } from "../../domain/memory/FifoProducer.ts"
import type * as Inbox from "../../domain/memory/Inbox.ts"
import type * as Message from "../../domain/memory/Message.ts"
import type { Segment } from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import { type FifoMemory, type FifoOwner, FifoSession } from "./FifoSession.ts"
import type { SessionTimes } from "./SessionTimes.ts"

/** What a session needs of its worker. */
export interface CutThroughOwner extends FifoOwner {
  /** From here on the session's place in the inbox may be given to another. */
  leftInbox(session: CutThroughSession): void
}

/** No fifo of a cut-through session allocates, and each has its own bound. */
const memory: FifoMemory = {
  rxFifoSize: 0,
  txFifoSize: 0,
  view: () => undefined,
  corrupt: () => {},
  hot: () => {},
  starved: () => {},
  blocks: {
    allocate: () => undefined,
    free: () => {},
    view: (segment: number): Uint8Array => {
      throw new Error(`no arena in segment ${segment}`)
    }
  }
}

export class CutThroughSession extends FifoSession {
  /** Its place in this worker's inbox. */
  readonly slot: number
  readonly #inbox: CutThroughOwner
  readonly #side: SessionBlock.Side
  readonly #segment: Segment
  readonly #sizes: CutThroughSegment.Sizes
  readonly #peer: Inbox.Sender
  readonly #peerSlot: number
  /** The other worker wrote something that makes no sense. */
  #corrupt = false
  /** The other side has said that it has given the session up. */
  #wasRefused = false

  constructor(
    owner: CutThroughOwner,
    side: SessionBlock.Side,
    segment: Segment,
    peer: Inbox.Sender,
    times: SessionTimes,
    { local, peerSlot, remote, rxBytes, session, slot, txBytes }: Message.Of<
      "cutThroughAccepted" | "cutThroughConnected"
    >
  ) {
    const about = AboutText.nothing
    const identity = { handle: session, remote, local, mapped: false, about, times, comes: false }
    super(owner, memory, segment, 0, undefined, identity)
    this.slot = slot
    this.#inbox = owner
    this.#side = side
    this.#segment = segment
    this.#sizes = side === "server"
      ? { toServer: rxBytes, toClient: txBytes }
      : { toServer: txBytes, toClient: rxBytes }
    this.#peer = peer
    this.#peerSlot = peerSlot
  }

  override get cutThrough(): boolean {
    return true
  }

  override get rxBound(): number {
    return this.#side === "server" ? this.#sizes.toServer : this.#sizes.toClient
  }

  override get txBound(): number {
    return this.#side === "server" ? this.#sizes.toClient : this.#sizes.toServer
  }

  protected override get rx(): FifoConsumer | undefined {
    return this.#corrupt ? undefined : super.rx
  }

  protected override get tx(): FifoProducer | undefined {
    return this.#corrupt ? undefined : super.tx
  }

  protected override makeRx(): FifoConsumer {
    return CutThroughSegment.rx(this.#segment, this.#side, this.#sizes, 0)
  }

  protected override makeTx(): FifoProducer {
    return CutThroughSegment.tx(this.#segment, this.#side, this.#sizes, 0)
  }

  protected override tellRoom(): void {
    this.#peer.signal(this.#peerSlot)
  }

  protected override announce(tx: FifoProducer): void {
    if (tx.raiseEvent()) this.tellBytes()
  }

  protected override tellBytes(): void {
    this.#peer.signal(this.#peerSlot)
  }

  /** Whether the other side has given the session up. */
  get #refused(): boolean {
    const isRefused = SessionBlock.isClosed(this.#segment, 0, this.#side === "server" ? "client" : "server")
    if (isRefused) this.#wasRefused = true
    return isRefused
  }

  override get writable(): boolean {
    try {
      return super.writable && !this.#corrupt && !this.#refused
    } catch (error) {
      return this.#broken(error, false)
    }
  }

  override get available(): number {
    try {
      return super.available
    } catch (error) {
      return this.#broken(error, 0)
    }
  }

  override peek(max?: number): Uint8Array | undefined {
    try {
      return super.peek(max)
    } catch (error) {
      return this.#broken(error, undefined)
    }
  }

  override read(max?: number): Uint8Array | undefined {
    try {
      return super.read(max)
    } catch (error) {
      return this.#broken(error, undefined)
    }
  }

  override write(bytes: Uint8Array, from = 0): number {
    try {
      return this.#unlessRefused(super.write(bytes, from))
    } catch (error) {
      return this.#broken(error, -1)
    }
  }

  protected override sendRest(): void {
    try {
      super.sendRest()
    } catch (error) {
      this.#broken(error, undefined)
    }
  }

  override writeWhole(parts: ReadonlyArray<Uint8Array>): number {
    try {
      return this.#unlessRefused(super.writeWhole(parts))
    } catch (error) {
      return this.#broken(error, -1)
    }
  }

  protected override fitsWhole(): boolean {
    try {
      return super.fitsWhole()
    } catch (error) {
      return this.#broken(error, false)
    }
  }

  /**
   * What is in the fifo now was written before this look: if the other side has not closed yet, it will find the bytes.
   * If it had read all of them before it closed, it has got what it wanted.
   */
  #unlessRefused(taken: number): number {
    return taken > 0 && this.#refused && this.tx?.size !== 0 ? -1 : taken
  }

  override close(rest?: ReadonlyArray<Uint8Array>): void {
    if (this.#giveUp() > 0) super.abort()
    else super.close(rest)
  }

  override abort(): void {
    this.#giveUp()
    super.abort()
  }

  /** Says that nothing more is read here; returns the number of bytes that were not read. */
  #giveUp(): number {
    // once the connection is gone there is nobody to tell, and the segment of a session that was released is not ours
    if (this.closed) return 0
    SessionBlock.setClosed(this.#segment, 0, this.#side)
    return this.available
  }

  /** The other worker has set this session's bit: for bytes, for room, or for nothing. */
  override look(): void {
    this.lookForBytes()
    if (this.tx?.waiting === false) this.onWritable()
  }

  lookForBytes(): void {
    if (this.rx?.takeEvent() === true) this.onReadable()
  }

  /** Looks after both fifos: the bit may have been cleared, or never set, by a worker that is not to be trusted. */
  override check(): void {
    try {
      super.check()
      if (this.rx?.stands() === true) this.onReadable()
      this.#checkClosed()
    } catch (error) {
      this.#broken(error, undefined)
    }
  }

  /** No side takes back that it has closed. One that has not says so at intervals, should its word be written over. */
  #checkClosed(): void {
    if (this.closed) return
    SessionBlock.setOpen(this.#segment, 0, this.#side)
    if (this.#wasRefused && !this.#refused) {
      this.#broken(new Fifo.FifoCorrupt("it had not closed the session, as it had said"), undefined)
    }
  }

  protected override released(): void {
    super.released()
    this.#inbox.leftInbox(this)
  }

  override onReset(reason: string): void {
    this.reset ??= reason
  }

  /** Breaks the session when the error is the other worker's fault. */
  #broken<A>(error: unknown, answer: A): A {
    if (!(error instanceof Fifo.FifoCorrupt)) throw error
    this.#corrupt = true
    SessionBlock.setClosed(this.#segment, 0, this.#side)
    this.onReset(`the worker at the other end wrote something that makes no sense: ${error.message}`)
    super.abort()
    return answer
  }
}
