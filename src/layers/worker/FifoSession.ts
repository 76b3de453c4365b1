/**
 * A session as its worker holds it: two fifos, and what has been said and heard about their ends.
 *
 * The connection is gone when the host's clean-up message has come. The fifos are released when the connection is gone
 * and the application wants nothing more from them: it has read everything or given the session up, or the connection
 * broke. From then on their memory may be another session's, so nothing here touches it.
 *
 * What is different where the peer is another worker is in `CutThroughSession`. Reading, writing and the end are one
 * state machine, and so one class.
 */
import { AsyncResource } from "node:async_hooks"
import * as Fifo from "../../domain/memory/Fifo.ts"
import { FifoConsumer } from "../../domain/memory/FifoConsumer.ts"
import { FifoProducer } from "../../domain/memory/FifoProducer.ts"
import * as Message from "../../domain/memory/Message.ts"
import type { Segment } from "../../domain/memory/Segment.ts"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as ClosingTime from "../../domain/net/ClosingTime.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { SocketOption } from "../../domain/net/SocketOption.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type { Session, SessionHandler } from "../../services/Sessions.ts"
import type { Outbox } from "./Outbox.ts"
import * as RestMemory from "./RestMemory.ts"
import type { SessionTimes } from "./SessionTimes.ts"
import type { SessionIdentity, WorkerSession } from "./WorkerSession.ts"

/** The memory that a session's fifos are in. */
export interface FifoMemory {
  /** Bytes that an rx fifo and a tx fifo hold. */
  readonly rxFifoSize: number
  readonly txFifoSize: number
  readonly view: Fifo.View
  readonly blocks: Fifo.Blocks
  /** The host's words in a session's block make no sense: the worker can't go on. */
  readonly corrupt: (error: Fifo.FifoCorrupt) => void
  /** The session holds tx memory now: look at it when idle memory is given back. */
  hot(session: FifoSession): void
  /** The session has bytes to write and there is no memory for them. */
  starved(session: FifoSession): void
}

/** What else a session needs of its worker. */
export interface FifoOwner {
  readonly outbox: Pick<Outbox, "io" | "control">
  /** The session has released its fifos. */
  released(session: FifoSession): void
}

export class FifoSession implements WorkerSession {
  readonly handle: Handle.SessionHandle
  readonly remote: string
  readonly local: string
  readonly mapped: boolean
  readonly about: SessionAbout
  readonly resource = new AsyncResource("SluiceSession")
  handler: SessionHandler | undefined
  ended = false
  reset: string | undefined
  readonly #owner: FifoOwner
  readonly #memory: FifoMemory
  readonly #segment: Segment
  readonly #offset: number
  readonly #rings: Fifo.BlockPlace | undefined
  readonly #times: SessionTimes
  // the fifos' ends are made when bytes first move: an idle session does without them
  #rxEnd: FifoConsumer | undefined
  #txEnd: FifoProducer | undefined
  #released = false
  /** `end`, `close` or `abort` was called. */
  #txEnded = false
  #givenUp = false
  /** What is still to be written before the session is closed, its copy, and when that has taken too long. */
  #rest: Array<Uint8Array> | undefined
  #kept: Uint8Array | undefined
  #restTimer: NodeJS.Timeout | undefined
  /** The host moves the bytes, in place of this session. */
  #spliced = false
  #gone = false
  /** A write was cut short; the bytes of the message that has to fit before the next try, if it has to go whole. */
  #blocked = false
  #whole = 0
  /** Whether the worker looks at it when idle memory is given back, and whether it has been written to since. */
  #hot = false
  #written = false

  /** `rings` is where its fifos' rings are, if {@link makeTx} takes one of them. */
  constructor(
    owner: FifoOwner,
    memory: FifoMemory,
    segment: Segment,
    offset: number,
    rings: Fifo.BlockPlace | undefined,
    { about, handle, local, mapped, remote, times }: SessionIdentity
  ) {
    this.#owner = owner
    this.#memory = memory
    this.#segment = segment
    this.#offset = offset
    this.#rings = rings
    this.handle = handle
    this.remote = remote
    this.local = local
    this.mapped = mapped
    this.about = about
    this.#times = times
  }

  get cutThrough(): boolean {
    return false
  }

  get datagrams(): boolean {
    return Endpoint.transportOf(this.local) === "udp"
  }

  get rxBound(): number {
    return this.#memory.rxFifoSize
  }

  get txBound(): number {
    return this.#memory.txFifoSize
  }

  /** The fifos' ends; `undefined` once the fifos have been released. */
  protected get rx(): FifoConsumer | undefined {
    if (this.#released || this.#spliced) return undefined
    return this.#rxEnd ??= this.makeRx()
  }

  protected get tx(): FifoProducer | undefined {
    if (this.#released) return undefined
    return this.#txEnd ??= this.makeTx()
  }

  protected makeRx(): FifoConsumer {
    const { corrupt: onCorrupt, rxFifoSize, view } = this.#memory
    return new FifoConsumer({ ...SessionBlock.rx(this.#segment, this.#offset), start: 0, onCorrupt }, rxFifoSize, view)
  }

  protected makeTx(): FifoProducer {
    const { blocks, corrupt: onCorrupt, txFifoSize, view } = this.#memory
    const words = { ...SessionBlock.tx(this.#segment, this.#offset), start: 0, onCorrupt }
    const ring = this.#rings && SessionBlock.txRing(this.#rings, view, txFifoSize)
    if (ring === undefined) {
      const error = new Fifo.FifoCorrupt("a session's rings are said to be where there is no memory")
      onCorrupt(error)
      throw error
    }
    return new FifoProducer(words, txFifoSize, ring, blocks)
  }

  #io(kind: Message.IoKind): void {
    this.#owner.outbox.io(kind, this.handle)
  }

  get available(): number {
    return this.rx?.size ?? 0
  }

  get writable(): boolean {
    return !this.#txEnded && !this.#spliced && !this.#gone && this.reset === undefined
  }

  get closed(): boolean {
    return this.#gone || this.#givenUp
  }

  peek(max?: number): Uint8Array | undefined {
    return this.rx?.peek(max)
  }

  drop(length: number): void {
    const { rx } = this
    if (rx === undefined) return
    if (rx.drop(length)) this.tellRoom()
    if (this.#gone) this.#release()
  }

  read(max: number = Infinity): Uint8Array | undefined {
    const { rx } = this
    const first = rx?.peek(max)
    if (rx === undefined || first === undefined) return undefined
    const size = Math.min(rx.size, max)
    const bytes = Buffer.allocUnsafe(size)
    if (first.length === size) {
      bytes.set(first)
      this.drop(size)
      return bytes
    }
    const read = rx.read(bytes)
    if (read.tell) this.tellRoom()
    if (this.#gone) this.#release()
    // a worker at the other end may take bytes back: memory that was never written must not be seen
    return read.bytes < size ? bytes.subarray(0, read.bytes) : bytes
  }

  write(bytes: Uint8Array, from = 0): number {
    const { tx } = this
    return tx === undefined || !this.writable ? -1 : this.#enqueue(tx, bytes, from)
  }

  #enqueue(tx: FifoProducer, bytes: Uint8Array, from: number): number {
    let at = from
    for (;;) {
      const taken = tx.enqueue(bytes, at)
      at += taken
      if (taken > 0) this.announce(tx)
      if (at >= bytes.length) return at - from
      if (tx.wait() === "ready") continue
      this.#blocked = true
      this.#whole = 0
      return at - from
    }
  }

  writeWhole(parts: ReadonlyArray<Uint8Array>): number {
    const { tx } = this
    if (tx === undefined || !this.writable) return -1
    let length = 0
    for (const part of parts) length += part.length
    if (length > tx.bound) throw new RangeError(`${length} bytes never fit whole into a fifo of ${tx.bound}`)
    const wait = tx.waitWhole(length)
    if (wait !== "ready") {
      this.#blocked = true
      this.#whole = length
      if (wait === "memory") this.#memory.starved(this)
      return 0
    }
    for (const part of parts) tx.enqueue(part)
    if (length > 0) this.announce(tx)
    return length
  }

  /** Tells the peer that bytes have been read, if the peer waits for that. */
  protected tellRoom(): void {
    this.#io(Message.Drained)
  }

  /** Tells the peer of bytes, unless it was told of others and has not looked yet. */
  protected announce(tx: FifoProducer): void {
    this.#written = true
    if (!this.#hot) {
      this.#hot = true
      this.#memory.hot(this)
    }
    if (tx.raiseEvent()) this.tellBytes()
  }

  /** Tells the peer that there are bytes. */
  protected tellBytes(): void {
    this.#io(Message.Tx)
  }

  end(): void {
    if (this.#txEnded || this.#spliced) return
    this.#txEnded = true
    if (!this.#gone) this.#owner.outbox.control({ _tag: "end", session: this.handle })
  }

  close(rest: ReadonlyArray<Uint8Array> = []): void {
    if (this.#givenUp) return
    const { tx } = this
    if (tx === undefined || rest.length === 0 || !this.writable) return this.#giveUp("close")
    this.#givenUp = true
    this.#txEnded = true
    this.#rest = [...rest]
    this.sendRest()
    if (this.#rest !== undefined) this.#keepRest(tx, this.#rest)
  }

  /** What there is no room for goes out later, if there is memory for it until then. */
  #keepRest(tx: FifoProducer, rest: ReadonlyArray<Uint8Array>): void {
    const kept = this.#kept = RestMemory.copy(rest)
    if (kept === undefined) return this.#giveUp("close")
    this.#rest = [kept]
    this.#restTimer = setTimeout(
      () => this.#giveUp("abort"),
      ClosingTime.toSend(this.#times.closeTimeout, tx.size + kept.length)
    ).unref()
  }

  /** Writes what is left as far as there is room, and gives the session up when all of it is written. */
  protected sendRest(): void {
    const rest = this.#rest
    const { tx } = this
    if (rest === undefined || tx === undefined) return
    for (let first; (first = rest[0]) !== undefined; rest.shift()) {
      const taken = this.#enqueue(tx, first, 0)
      if (taken === first.length) continue
      rest[0] = first.subarray(taken)
      return
    }
    this.#giveUp("close")
  }

  #dropRest(): void {
    clearTimeout(this.#restTimer)
    if (this.#kept !== undefined) RestMemory.free(this.#kept)
    this.#kept = undefined
    this.#rest = undefined
  }

  abort(): void {
    if (!this.#givenUp || this.#rest !== undefined) this.#giveUp("abort")
  }

  splice(other: Session): boolean {
    if (!(#spliced in other) || other === this) return false
    if (!this.#canSplice || !other.#canSplice) return false
    // datagrams stand in a fifo with their lengths, which a stream would take for bytes
    if (this.datagrams !== other.datagrams) return false
    this.#spliced = true
    other.#spliced = true
    this.#owner.outbox.control({ _tag: "splice", session: this.handle, other: other.handle })
    return true
  }

  setOption(option: SocketOption): void {
    if (!this.closed && !this.cutThrough) this.#owner.outbox.control(Message.ofOption(this.handle, option))
  }

  get #canSplice(): boolean {
    return !this.cutThrough && !this.#spliced && !this.#txEnded && !this.#gone && this.reset === undefined
  }

  #giveUp(how: "close" | "abort"): void {
    this.#dropRest()
    this.#givenUp = true
    this.#txEnded = true
    if (this.#gone) this.#release()
    else this.#owner.outbox.control({ _tag: how, session: this.handle })
  }

  /** The host says that there are bytes to read. The flag goes first: bytes that come after it are announced again. */
  onReadable(): void {
    const { rx } = this
    if (rx === undefined) return
    rx.clearEvent()
    if (!this.#givenUp) this.handler?.readable?.(this)
  }

  /** The host, or memory that has come free, says that a write can go on. */
  onWritable(): void {
    if (!this.#blocked || (this.writable && !this.fitsWhole())) return
    this.#blocked = false
    if (this.#rest !== undefined) return this.sendRest()
    if (this.writable) this.handler?.writable?.(this)
  }

  /** Whether what waits to be written as a whole would be taken now; if not, the session is told again. */
  protected fitsWhole(): boolean {
    const { tx } = this
    if (this.#whole === 0 || tx === undefined) return true
    const wait = tx.waitWhole(this.#whole)
    if (wait === "memory") this.#memory.starved(this)
    return wait === "ready"
  }

  onEnded(): void {
    this.ended = true
    if (!this.#givenUp) this.handler?.ended?.(this)
  }

  onReset(reason: string): void {
    this.#dropRest()
    this.reset = reason
  }

  /** The host's last word on the session. */
  onCleanup(): void {
    this.#dropRest()
    this.#gone = true
    // the fifos are released whatever the handler does: it may have given the session up before, and nobody asks twice
    try {
      this.handler?.closed?.(this, this.reset)
    } finally {
      this.#release()
    }
  }

  /** The worker forgets the session. */
  protected released(): void {
    this.#owner.released(this)
  }

  /** Does nothing: what the session's peer does comes by way of the host, which says so. */
  look(): void {}

  /**
   * Looks after the tx fifo; to be called at intervals. The application goes on if there is room that it was not told
   * of, and the reader is told once more of bytes that it has not looked at.
   */
  check(): void {
    const { tx } = this
    if (tx?.overdue() === true) this.tellBytes()
    if (tx?.roomCame() === true) this.onWritable()
  }

  takeSocket(): undefined {}

  #release(): void {
    const wanted = !this.#givenUp && this.reset === undefined && this.available > 0
    if (wanted || this.#released) return
    this.#txEnd?.free()
    this.#letGo()
    this.released()
    this.#owner.outbox.control({ _tag: "release", session: this.handle })
  }

  #letGo(): void {
    this.#released = true
    this.#rxEnd = undefined
    this.#txEnd = undefined
  }

  /** The host is gone, or has given this worker up: nothing can be sent or freed any more. */
  onDetached(): void {
    const told = this.#gone
    this.#dropRest()
    this.#gone = true
    this.#letGo()
    this.reset ??= "the worker was detached"
    // a session that was over, with bytes that nobody had read, has said so already
    if (!told) this.handler?.closed?.(this, this.reset)
  }

  /** Gives idle tx memory back; `false` while there is some left, or bytes, to look at later. */
  trim(): boolean {
    const written = this.#written
    this.#written = false
    if (written || this.#txEnd?.trim() === false || (this.#txEnd?.size ?? 0) > 0) return false
    this.#hot = false
    return true
  }
}
