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
import { Arena } from "../../domain/memory/Arena.ts"
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
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { Session, SessionHandler } from "../../services/Sessions.ts"
import type { Outbox } from "./Outbox.ts"
import { SessionRest } from "./SessionRest.ts"
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
  /** In a drain, whether other workers go on with what is parked here (X1). */
  readonly handsOver: (session: FifoSession) => boolean
  /** The session is parked, and its application was told of bytes: {@link FifoSession.keepTold} follows, turns later. */
  told(session: FifoSession): void
  /** The session has released its fifos. */
  released(session: FifoSession): void
}

/** A session that is parked (X1). */
interface Parked {
  /** Where what its application gives along is. */
  readonly state: SessionBlock.StatePlace | undefined
  /** Whether its application was told of bytes since. */
  readonly isTold: boolean
}

const PARKED: Parked = { state: undefined, isTold: false }
const TOLD: Parked = { state: undefined, isTold: true }

/** Its application is being given it and has done nothing with it so far: it is to be parked, and is not parked yet. */
const FRESH: Parked = { state: undefined, isTold: false }

/** How writing goes, once there has been any. */
class Writing {
  readonly tx: FifoProducer
  /** A write was cut short; the bytes of the message that has to fit before the next try, if it has to go whole. */
  blocked = false
  whole = 0
  /** Whether the worker looks at it when idle memory is given back, and whether it has been written to since. */
  hot = false
  written = false

  constructor(tx: FifoProducer) {
    this.tx = tx
  }
}

/**
 * Of a handler: it comes to what it was told of in a turn of its own that is due, and then looks itself whether bytes are
 * left that it does not want: {@link FifoSession.keepTold}.
 */
export const isDue = Symbol("isDue")

interface TurnTaker extends SessionHandler {
  readonly [isDue]?: boolean
}

/** What has become of the session, once it is no longer just open. */
class End {
  /** `end`, `close` or `abort` was called. */
  ended = false
  givenUp = false
  /** The host moves the bytes, in place of this session. */
  spliced = false
  gone = false
  /** The host has taken it away, after it was parked. */
  away = false
  released = false
  /** What is still to be written before the session is closed. */
  rest: SessionRest | undefined
}

/** There may be many sessions, most of them idle: what only some of them need is not a field of each. */
export class FifoSession extends AsyncResource implements WorkerSession {
  readonly handle: Handle.SessionHandle
  readonly remote: string
  readonly local: string
  readonly mapped: boolean
  readonly about: SessionAbout
  handler: SessionHandler | undefined
  ended = false
  reset: string | undefined
  readonly #owner: FifoOwner
  readonly #memory: FifoMemory
  readonly #segment: Segment
  readonly #offset: number
  readonly #ringsSegment: number
  readonly #ringsOffset: number
  /** Whether it came by a listener: another session goes to no other worker. */
  readonly #comes: boolean
  readonly #times: SessionTimes
  // the fifos' ends are made when bytes first move
  #rxEnd: FifoConsumer | undefined
  #writing: Writing | undefined
  #end: End | undefined
  /** Set while the host may take it away (X1). */
  #parked: Parked | undefined
  /** Bytes that the application knows of and has left in the fifo. */
  #left = 0

  /** `rings` is where its fifos' rings are, if {@link makeTx} takes one of them. */
  constructor(
    owner: FifoOwner,
    memory: FifoMemory,
    segment: Segment,
    offset: number,
    rings: Fifo.BlockPlace | undefined,
    { about, comes, handle, local, mapped, remote, times }: SessionIdentity
  ) {
    super("SluiceSession")
    this.#owner = owner
    this.#memory = memory
    this.#segment = segment
    this.#offset = offset
    this.#ringsSegment = rings?.segment ?? -1
    this.#ringsOffset = rings?.offset ?? 0
    this.handle = handle
    this.remote = remote
    this.local = local
    this.mapped = mapped
    this.about = about
    this.#comes = comes
    this.#parked = comes ? FRESH : undefined
    this.#times = times
  }

  get resource(): AsyncResource {
    return this
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
    if (this.#end !== undefined && (this.#end.released || this.#end.spliced)) return undefined
    return this.#rxEnd ??= this.makeRx()
  }

  protected get tx(): FifoProducer | undefined {
    if (this.#end?.released === true) return undefined
    return (this.#writing ??= new Writing(this.makeTx())).tx
  }

  /** Its end begins. */
  get #ending(): End {
    return this.#end ??= new End()
  }

  protected makeRx(): FifoConsumer {
    const { corrupt: onCorrupt, rxFifoSize, view } = this.#memory
    return new FifoConsumer({ ...SessionBlock.rx(this.#segment, this.#offset), start: 0, onCorrupt }, rxFifoSize, view)
  }

  protected makeTx(): FifoProducer {
    const { blocks, corrupt: onCorrupt, txFifoSize, view } = this.#memory
    const words = { ...SessionBlock.tx(this.#segment, this.#offset), start: 0, onCorrupt }
    const rings = { segment: this.#ringsSegment, offset: this.#ringsOffset }
    const ring = SessionBlock.txRing(rings, view, txFifoSize)
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
    return this.#left = this.#waiting
  }

  /** The same, without the application's knowing. */
  get #waiting(): number {
    return this.#end?.away === true ? 0 : this.rx?.size ?? 0
  }

  get writable(): boolean {
    const end = this.#end
    return this.reset === undefined && (end === undefined || !(end.ended || end.spliced || end.away || end.gone))
  }

  get closed(): boolean {
    return this.#end !== undefined && (this.#end.gone || this.#end.away || this.#end.givenUp)
  }

  // ---- parked (X1)

  park(state?: Uint8Array): Refusal.ParkRefusal | undefined {
    const refusal = this.#mayNotPark(state)
    if (refusal !== undefined) return refusal
    // what has come since the application last looked is the next message
    if (this.#left > 0) return "unread"
    const place = state === undefined || state.length === 0 ? undefined : this.#putAside(state)
    if (place === "no-memory") return place
    if (!this.#inHand()) {
      if (place !== undefined) this.#memory.blocks.free(place)
      return "ended"
    }
    this.#park(place)
    return undefined
  }

  /** Parks the session for code that knows of what waits to be read, has read nothing of it, and comes back to it. */
  parkUnread(): void {
    if (this.#mayNotPark(undefined) === undefined && this.#inHand()) this.#park(undefined)
  }

  #park(place: SessionBlock.StatePlace | undefined): void {
    // what comes from here on is announced; what has come before, the host is told of: it was not announced as that of a
    // parked session
    this.#rxEnd?.clearEvent()
    this.#parked = place === undefined ? PARKED : { state: place, isTold: false }
    if (!SessionBlock.park(this.#segment, this.#offset, place)) {
      this.#memory.corrupt(new Fifo.FifoCorrupt("a session that is here is said to be elsewhere"))
    }
    if (this.#owner.handsOver(this) || this.#waiting > 0) this.tellParked()
  }

  /** Parks a session that its application has been given, and has done nothing with so far. */
  parkNew(): void {
    if (this.#parked === FRESH && SessionBlock.parkNew(this.#segment, this.#offset)) this.#parked = PARKED
  }

  tellParked(): void {
    if (this.#parked !== undefined && this.#parked !== FRESH) this.#io(Message.Parked)
  }

  /** Looks, and takes nothing up: a session that is parked, and may not be parked so, stays as it is. */
  #mayNotPark(state: Uint8Array | undefined): Refusal.ParkRefusal | undefined {
    if (!this.writable || this.ended) return "ended"
    if (this.cutThrough || !this.#comes) return "not-accepted"
    if (this.#writing?.blocked === true) return "unsent"
    return state !== undefined && state.length > SessionBlock.STATE_BYTES ? "state-too-large" : undefined
  }

  /** Puts what the application gives along where the host finds it. */
  #putAside(state: Uint8Array): SessionBlock.StatePlace | "no-memory" {
    const { blocks } = this.#memory
    const place = blocks.allocate(Arena.rounded(state.length), 0)
    if (place === undefined) return "no-memory"
    blocks.view(place.segment).set(state, place.offset)
    return { ...place, bytes: state.length }
  }

  /** Takes the session up again if it is parked; `false` when the host has taken it away meanwhile. */
  #inHand(): boolean {
    const parked = this.#parked
    if (parked === undefined) return this.#end?.away !== true
    this.#unpark(parked)
    if (parked === FRESH) return true
    try {
      if (SessionBlock.takeUp(this.#segment, this.#offset)) return true
    } catch (error) {
      if (!(error instanceof Fifo.FifoCorrupt)) throw error
      this.#memory.corrupt(error)
    }
    this.#ending.away = true
    return false
  }

  /** Whether it is parked, and its application was told of bytes and has done nothing with them so far. */
  get isTold(): boolean {
    return this.#parked?.isTold === true
  }

  /**
   * Takes up a session that is parked, and whose application was told of bytes and has left them where they are: it has
   * come to them, and does not want them yet. Another worker would not want them either.
   */
  keepTold(): void {
    if (this.isTold) this.#inHand()
  }

  #unpark({ state }: Parked): void {
    this.#parked = undefined
    if (state !== undefined) this.#memory.blocks.free(state)
  }

  /** The host has taken the session away, which goes on with another worker. */
  onMigrated(): void {
    const end = this.#ending
    if (this.#parked !== undefined) this.#unpark(this.#parked)
    else if (!end.away) this.#memory.corrupt(new Fifo.FifoCorrupt("a session that is in hand was taken away as parked"))
    end.away = true
    end.gone = true
    const { handler } = this
    try {
      if (end.givenUp || handler === undefined) return
      if (handler.moved !== undefined) handler.moved(this)
      else handler.closed?.(this, undefined)
    } finally {
      this.#release()
    }
  }

  // ---- reading and writing

  peek(max?: number): Uint8Array | undefined {
    return this.available > 0 && this.#inHand() ? this.rx?.peek(max) : undefined
  }

  drop(length: number): void {
    const { rx } = this
    if (rx === undefined || !this.#inHand()) return
    this.#left = Math.max(0, this.#left - length)
    if (rx.drop(length)) this.tellRoom()
    if (this.#end?.gone === true) this.#release()
  }

  read(max: number = Infinity): Uint8Array | undefined {
    if (this.available === 0 || !this.#inHand()) return undefined
    const { rx } = this
    const first = rx?.peek(max)
    if (rx === undefined || first === undefined) return undefined
    const size = Math.min(this.#left, max)
    const bytes = Buffer.allocUnsafe(size)
    if (first.length === size) {
      bytes.set(first)
      this.drop(size)
      return bytes
    }
    const read = rx.read(bytes)
    this.#left -= read.bytes
    if (read.tell) this.tellRoom()
    if (this.#end?.gone === true) this.#release()
    // a worker at the other end may take bytes back: memory that was never written must not be seen
    return read.bytes < size ? bytes.subarray(0, read.bytes) : bytes
  }

  write(bytes: Uint8Array, from = 0): number {
    const { tx } = this
    return tx === undefined || !this.#inHand() || !this.writable ? -1 : this.#enqueue(tx, bytes, from)
  }

  #enqueue(tx: FifoProducer, bytes: Uint8Array, from: number): number {
    let at = from
    for (;;) {
      const taken = tx.enqueue(bytes, at)
      at += taken
      if (taken > 0) this.announce(tx)
      if (at >= bytes.length) return at - from
      if (tx.wait() === "ready") continue
      this.#block(0)
      return at - from
    }
  }

  writeWhole(parts: ReadonlyArray<Uint8Array>): number {
    const { tx } = this
    if (tx === undefined || !this.#inHand() || !this.writable) return -1
    let length = 0
    for (const part of parts) length += part.length
    if (length > tx.bound) throw new RangeError(`${length} bytes never fit whole into a fifo of ${tx.bound}`)
    const wait = tx.waitWhole(length)
    if (wait !== "ready") {
      this.#block(length)
      if (wait === "memory") this.#memory.starved(this)
      return 0
    }
    for (const part of parts) tx.enqueue(part)
    if (length > 0) this.announce(tx)
    return length
  }

  #block(whole: number): void {
    const writing = this.#writing!
    writing.blocked = true
    writing.whole = whole
  }

  /** Tells the peer that bytes have been read, if the peer waits for that. */
  protected tellRoom(): void {
    this.#io(Message.Drained)
  }

  /** Tells the peer of bytes, unless it was told of others and has not looked yet. */
  protected announce(tx: FifoProducer): void {
    const writing = this.#writing!
    writing.written = true
    if (!writing.hot) {
      writing.hot = true
      this.#memory.hot(this)
    }
    if (tx.raiseEvent()) this.tellBytes()
  }

  /** Tells the peer that there are bytes. */
  protected tellBytes(): void {
    this.#io(Message.Tx)
  }

  end(): void {
    if (!this.#inHand()) return
    const end = this.#ending
    if (end.ended || end.spliced) return
    end.ended = true
    if (!end.gone) this.#owner.outbox.control({ _tag: "end", session: this.handle })
  }

  close(rest: ReadonlyArray<Uint8Array> = []): void {
    if (!this.#inHand()) return
    const end = this.#ending
    if (end.givenUp) return
    const tx = rest.length === 0 || !this.writable ? undefined : this.tx
    if (tx === undefined) return this.#giveUp("close")
    end.givenUp = true
    end.ended = true
    end.rest = new SessionRest(rest)
    this.sendRest()
    // what there is no room for goes out later, if there is memory for it until then
    const isKept = end.rest?.keep(
      (bytes) => ClosingTime.toSend(this.#times.closeTimeout, tx.size + bytes),
      () => this.#giveUp("abort")
    )
    if (isKept === false) this.#giveUp("close")
  }

  /** Writes what is left as far as there is room, and gives the session up when all of it is written. */
  protected sendRest(): void {
    const rest = this.#end?.rest
    const { tx } = this
    if (rest === undefined || tx === undefined) return
    if (rest.send((bytes) => this.#enqueue(tx, bytes, 0))) this.#giveUp("close")
  }

  #dropRest(): void {
    const end = this.#end
    if (end?.rest === undefined) return
    end.rest.drop()
    end.rest = undefined
  }

  abort(): void {
    if (!this.#inHand()) return
    if (this.#end?.givenUp !== true || this.#end.rest !== undefined) this.#giveUp("abort")
  }

  splice(other: Session): boolean {
    if (!(#end in other) || other === this) return false
    if (!this.#canSplice || !other.#canSplice) return false
    // datagrams stand in a fifo with their lengths, which a stream would take for bytes
    if (this.datagrams !== other.datagrams) return false
    this.#ending.spliced = true
    other.#ending.spliced = true
    this.#owner.outbox.control({ _tag: "splice", session: this.handle, other: other.handle })
    return true
  }

  setOption(option: SocketOption): void {
    if (!this.closed && !this.cutThrough) this.#owner.outbox.control(Message.ofOption(this.handle, option))
  }

  get #canSplice(): boolean {
    return this.#inHand() && !this.cutThrough && this.writable
  }

  #giveUp(how: "close" | "abort"): void {
    this.#dropRest()
    const end = this.#ending
    end.givenUp = true
    end.ended = true
    if (end.gone) this.#release()
    else this.#owner.outbox.control({ _tag: how, session: this.handle })
  }

  /** The host says that there are bytes to read. The flag goes first: bytes that come after it are announced again. */
  onReadable(): void {
    const { rx } = this
    if (rx === undefined) return
    rx.clearEvent()
    if (this.#end?.givenUp === true) return
    this.#left = this.available
    // what this tells of may have been read, and the session parked again: then nothing is left that it could keep
    if (this.#parked !== undefined && this.#left > 0) {
      const { state } = this.#parked
      this.#parked = state === undefined ? TOLD : { state, isTold: true }
    }
    this.handler?.readable?.(this)
    if (this.isTold && (this.handler as TurnTaker | undefined)?.[isDue] !== true) this.#owner.told(this)
  }

  /** The host, or memory that has come free, says that a write can go on. */
  onWritable(): void {
    const writing = this.#writing
    if (writing?.blocked !== true || (this.writable && !this.fitsWhole())) return
    writing.blocked = false
    if (this.#end?.rest !== undefined) return this.sendRest()
    if (this.writable) this.handler?.writable?.(this)
  }

  /** Whether what waits to be written as a whole would be taken now; if not, the session is told again. */
  protected fitsWhole(): boolean {
    const writing = this.#writing
    if (writing === undefined || writing.whole === 0) return true
    const wait = writing.tx.waitWhole(writing.whole)
    if (wait === "memory") this.#memory.starved(this)
    return wait === "ready"
  }

  onEnded(): void {
    if (!this.#inHand()) return
    this.ended = true
    if (this.#end?.givenUp !== true) this.handler?.ended?.(this)
  }

  onReset(reason: string): void {
    if (this.#parked !== undefined) this.#unpark(this.#parked)
    this.#dropRest()
    this.reset = reason
  }

  /** The host's last word on the session. */
  onCleanup(): void {
    if (this.#parked !== undefined) this.#unpark(this.#parked)
    this.#dropRest()
    this.#ending.gone = true
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
    const tx = this.#writing?.tx
    if (tx?.overdue() === true) this.tellBytes()
    if (tx?.roomCame() === true) this.onWritable()
  }

  takeSocket(): undefined {}

  #release(): void {
    const end = this.#ending
    const wanted = !end.givenUp && this.reset === undefined && this.available > 0
    if (wanted || end.released) return
    this.#writing?.tx.free()
    this.#letGo()
    this.released()
    this.#owner.outbox.control({ _tag: "release", session: this.handle })
  }

  #letGo(): void {
    this.#ending.released = true
    this.#rxEnd = undefined
    this.#writing = undefined
  }

  /** The host is gone, or has given this worker up: nothing can be sent or freed any more. */
  onDetached(): void {
    const told = this.#end?.gone === true
    // the host offers what was parked to other workers first; or it was found to be away, and the host had more to say
    const isTaken = this.#parked !== undefined && SessionBlock.isTakenAway(this.#segment, this.#offset)
    const moved = isTaken || this.#end?.away === true
    this.#parked = undefined
    this.#dropRest()
    this.#ending.gone = true
    this.#letGo()
    if (!moved) this.reset ??= "the worker was detached"
    // a session that was over, with bytes that nobody had read, has said so already
    if (told) return
    if (moved && this.handler?.moved !== undefined) this.handler.moved(this)
    else this.handler?.closed?.(this, moved ? undefined : this.reset)
  }

  /** Gives idle tx memory back; `false` while there is some left, or bytes, to look at later. */
  trim(): boolean {
    const writing = this.#writing
    if (writing === undefined) return true
    const { tx, written } = writing
    writing.written = false
    if (written || !tx.trim() || tx.size > 0) return false
    writing.hot = false
    return true
  }
}
