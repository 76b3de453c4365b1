/**
 * A session as the host holds it: between a connection and the worker that it was given to.
 *
 * It owns the session's block and the host's ends of the fifos, moves through the states of `SessionState`, and turns
 * what the connection does into messages for the worker and what the worker says into calls to the connection.
 *
 * **Splice** Two sessions of a worker can be joined: then the bytes that one connection puts into its rx fifo are what
 * the other one sends. The host takes the fifo over from the worker as its reader, from where the worker has read to, so
 * no byte is copied and none is lost; what the worker had written into a tx fifo goes out before it. An end goes on as
 * an end, a reset as a reset, and the worker hears of both as ever. Each side's memory is in use until both connections
 * are gone, so only then is the worker told to let go.
 *
 * **Transfer** A connection may also move to the worker that claims it, socket and all. Then the session here is what
 * counts in limits and tables, the worker is told when it is to end, and says when it is gone.
 *
 * @since 0.1.0
 */
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Message from "../../domain/memory/Message.ts"
import type { Segment } from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import type { Connection, ConnectionEnd } from "../../services/Transport.ts"
import * as TcpLoss from "../transport/TcpLoss.ts"
import type { LiveWorker } from "./Worker.ts"

/** Bytes in an rx fifo from which on its worker is told at once. */
const STREAMING = 16384

/** Where a session's connection came from: a listener, or a connect of the session's own worker. */
export interface Origin {
  /** The listener; `undefined` for a connect. */
  readonly listener: Handle.ListenerHandle | undefined
  /** The worker says that it has claimed the session. */
  claimed(session: HostSession): void
  /** The worker has come past the session's offer, which had been taken back. */
  passed(session: HostSession): void
  /** The TLS handshake, which the worker makes, has failed there; `false` when the session has none, or it was said before. */
  insecure(session: HostSession, reason: Refusal.HandshakeReason): boolean
  /** The worker is going: what is on offer to it goes elsewhere. */
  takeBack(session: HostSession): void
  /** The session no longer counts: it is free, or its offer was taken back. Said once. */
  sessionFreed(): void
}

/** A connection that its worker has: what the host wants of it, it is told. */
class MovedConnection implements Connection {
  onGone: undefined
  readonly moves = true
  readonly remote: string
  readonly local: string
  readonly about: Connection["about"]
  readonly #session: HostSession

  constructor({ about, local, remote }: Connection, session: HostSession) {
    this.remote = remote
    this.local = local
    this.about = about
    this.#session = session
  }

  close(): void {
    this.#session.endMoved({ _tag: "disconnected", session: this.#session.handle })
  }

  abort(): void {
    this.#session.endMoved({ _tag: "reset", session: this.#session.handle, reason: TcpLoss.GIVEN_UP })
  }

  // the bytes and the ends of it are the worker's
  open(): void {}
  resume(): void {}
  send(): void {}
  end(): void {}
}

export class HostSession implements ConnectionEnd {
  readonly handle: Handle.SessionHandle
  readonly worker: LiveWorker
  readonly place: Fifo.BlockPlace
  readonly origin: Origin
  connection: Connection
  state: SessionState.SessionState = "CREATED"
  /** Milliseconds of `MonotonicTime` at which it was made. */
  readonly since: number
  /** Whether the worker let the session's offer run out. */
  late = false
  /** Where the text of what is known of it lies, until the worker has read it. */
  about: { readonly place: Fifo.BlockPlace; readonly bytes: number } | undefined
  /** Whether its worker has still to say that TLS, which ends there, has failed; it says no more when it has not. */
  #inTls: boolean
  /** Whether its claim was seen before the worker's word of it was read. */
  claimCounted = false
  readonly #segment: Segment
  readonly #blocks: Fifo.Blocks
  #rx: Fifo.FifoProducer | undefined
  #tx: Fifo.FifoConsumer | undefined
  #liveCheck: (() => boolean) | undefined
  #hot = false
  #received = false
  #counted = true
  /** The worker has ended its side. */
  #ended = false
  /** The session that it is joined with, and the reading end of that session's rx fifo. */
  #other: HostSession | undefined
  #through: Fifo.FifoConsumer | undefined
  /** The worker has been told the last thing there is to say. */
  #told = false

  constructor(
    handle: Handle.SessionHandle,
    worker: LiveWorker,
    origin: Origin,
    connection: Connection,
    blocks: Fifo.Blocks,
    place: Fifo.BlockPlace,
    since: number
  ) {
    this.handle = handle
    this.worker = worker
    this.origin = origin
    this.connection = connection
    this.place = place
    this.since = since
    this.#inTls = connection.inTls === true
    this.#blocks = blocks
    this.#segment = worker.segments.segment(place.segment)!
  }

  // the fifos' ends are made when bytes first move: an idle session does without them

  get rx(): Fifo.FifoProducer {
    return this.#rx ??= new Fifo.FifoProducer(
      SessionBlock.rx(this.#segment, this.place.offset),
      this.worker.slot.app.options.segment.rxFifoSize,
      this.#blocks
    )
  }

  get tx(): Fifo.FifoConsumer {
    if (this.#through !== undefined) return this.#through
    const tx = this.#tx ??= new Fifo.FifoConsumer(
      SessionBlock.tx(this.#segment, this.place.offset),
      this.worker.slot.app.options.segment.txFifoSize,
      this.worker.view
    )
    // what the worker wrote goes first; bytes that are being sent are still in the fifo, so it does not change under them
    if (this.#other === undefined || tx.size > 0) return tx
    return this.#through = this.#other.#taken()
  }

  /** The reading end of the rx fifo, in place of the worker's. */
  #taken(): Fifo.FifoConsumer {
    return new Fifo.FifoConsumer(SessionBlock.rx(this.#segment, this.place.offset), this.rx.bound, this.worker.view)
  }

  /** What the fifos hold, may hold, and have of memory; a fifo that no byte has come to is not made for this. */
  fifos(): Record<"rx" | "tx", { readonly used: number; readonly size: number; readonly memory: number }> {
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
      rx: { used: used(this.#rx), size: rxFifoSize, memory: this.#rx?.memory ?? 0 },
      tx: { used: used(this.#tx), size: txFifoSize, memory: this.#tx?.memory ?? 0 }
    }
  }

  get #isLive(): () => boolean {
    return this.#liveCheck ??= () => this.state !== "TRANSPORT_DELETED"
  }

  /** Whether its bytes go from one worker to another. */
  get cutThrough(): boolean {
    return this.connection.cutThrough === true
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
  offer(message: Message.Of<"accepted" | "localAccepted">, undelivered: () => void): void {
    this.move("offer")
    // many are accepted in one turn; one that moves has the way here and back still before it
    if (this.connection.moves === true) this.worker.gather()
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

  /** Its handshake has failed in the worker, which has claimed it; `false` when that can't be, or was said before. */
  insecure(): boolean {
    if (!this.#inTls || !this.#isOpen) return false
    this.#inTls = false
    return true
  }

  /** The worker has said that it has the session, and so has read what is known of it. */
  forgetAbout(): void {
    if (this.about !== undefined) this.#blocks.free(this.about.place)
    this.about = undefined
  }

  /** Where the worker finds it, for the message that tells of it. */
  get where(): Pick<
    Message.Of<"accepted">,
    "session" | "segment" | "offset" | "aboutSegment" | "aboutOffset" | "aboutBytes"
  > {
    const { about, handle, place } = this
    return {
      session: handle,
      segment: place.segment,
      offset: place.offset,
      aboutSegment: about?.place.segment ?? 0,
      aboutOffset: about?.place.offset ?? 0,
      aboutBytes: about?.bytes ?? 0
    }
  }

  /** A session of a connect needs no offer: the worker asked for it. */
  connected(message: Message.Of<"connected" | "localConnected">): void {
    SessionBlock.endOffer(this.#segment, this.place.offset, SessionBlock.CLAIMED)
    this.state = "CONNECTING"
    this.move("connected")
    this.worker.congestion.send({ message, live: this.#isLive, cleanUp: () => this.drop() })
  }

  /** Starts moving bytes, or moves the connection itself to the worker, which has it from here on. */
  open(): void {
    if (this.connection.moves !== true) return this.connection.open(this)
    const socket = this.connection.take?.()
    if (socket === undefined) return
    this.connection = new MovedConnection(this.connection, this)
    this.worker.congestion.send({
      message: { _tag: "moved", session: this.handle },
      attachment: { _tag: "Socket", session: this.handle, socket },
      live: this.#isLive,
      cleanUp: () => {
        socket.destroy()
        this.free()
      }
    })
  }

  /** Tells the worker what is to become of the connection that it has. */
  endMoved(message: Message.Of<"disconnected" | "reset">): void {
    if (this.state !== "TRANSPORT_DELETED") this.worker.congestion.send({ message, live: this.#isLive })
  }

  /** The worker says that the connection that it was given is gone; `false` when it was given none. */
  gone(): boolean {
    if (!(this.connection instanceof MovedConnection)) return false
    this.free()
    return true
  }

  // ---- what the connection says

  received(): void {
    this.#received = true
    if (!this.#hot) {
      this.#hot = true
      this.worker.hot.add(this)
    }
    if (this.#other !== undefined) return this.#other.connection.send()
    if (!this.rx.raiseEvent()) return
    // the worker hears of all that is ready in this turn at once; but where bytes stream it reads while we do
    if (this.rx.size < STREAMING) this.worker.gather()
    this.worker.congestion.sendIo(Message.Rx, this.handle, this.#isLive)
  }

  room(): void {
    if (this.#other !== undefined) return this.#other.connection.resume()
    this.worker.gather()
    this.worker.congestion.sendIo(Message.Room, this.handle, this.#isLive)
  }

  starved(): void {
    this.worker.starved.add(this)
  }

  ended(): void {
    if (!this.move("transportEnd")) return
    this.worker.congestion.send({ message: { _tag: "disconnected", session: this.handle }, live: this.#isLive })
    this.#other?.connection.end()
  }

  closed(reset: string | undefined): void {
    if (!this.move("transportClosed")) return
    const { congestion } = this.worker
    if (reset !== undefined) {
      congestion.send({ message: { _tag: "reset", session: this.handle, reason: reset }, live: this.#isLive })
    }
    if (this.#other === undefined) return this.#tellLast()
    // whole, it has ended both ways, and the other one ends by itself when it has sent what is left
    if (reset !== undefined) this.#other.connection.abort()
    if (!this.#other.#isGone) return
    this.#other.#tellLast()
    this.#tellLast()
  }

  /** The last message: once it has passed the worker's queue the worker lets go, and if it never will, we do. */
  #tellLast(): void {
    this.#told = true
    this.worker.congestion.send({ message: { _tag: "cleanup", session: this.handle }, cleanUp: () => this.free() })
  }

  /** Whether the connection is gone. */
  get #isGone(): boolean {
    return this.state === "TRANSPORT_CLOSED" || this.state === "CLOSED" || this.state === "TRANSPORT_DELETED"
  }

  corrupt(error: Fifo.FifoCorrupt): void {
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
    // joined with another, its end is that one's
    if (!this.#isOpen || this.#other !== undefined) return
    this.#ended = true
    this.connection.end()
  }

  close(): void {
    this.#giveUp("close")
  }

  abort(): void {
    this.#giveUp("abort")
  }

  /** Gives the session up, and with it the one that it is joined with. */
  #giveUp(how: "close" | "abort"): void {
    for (const session of [this, this.#other]) {
      if (session?.move("appClose") === true && session.state !== "CLOSED") session.connection[how]()
    }
  }

  /** Joins the two sessions. Returns what is wrong with that, if anything is that no worker asks for. */
  splice(other: HostSession): string | undefined {
    for (const session of [this, other]) {
      const what = `session ${Handle.format(session.handle)}`
      if (other === this) return `${what} with itself`
      const { cutThrough, moves } = session.connection
      if (!session.#isOpen || cutThrough === true || moves === true) return `${what}, which the host can't join`
      if (session.#other !== undefined) return `${what}, which is joined already`
      if (session.#ended) return `${what}, which it had ended`
    }
    // one that is gone, which the worker may not have heard of yet, takes the other with it
    if (this.#isGone) other.connection.abort()
    if (other.#isGone) this.connection.abort()
    if (this.#isGone || other.#isGone) return undefined
    this.#other = other
    other.#other = this
    this.#joined()
    other.#joined()
    return undefined
  }

  /** What has happened to the connection so far happens to the other one. */
  #joined(): void {
    const { connection } = this.#other!
    connection.send()
    if (this.state === "TRANSPORT_CLOSING" || this.state === "APP_CLOSED") connection.end()
    if (this.state === "CLOSING" || this.state === "APP_CLOSED") this.close()
  }

  /** The worker has let go of the fifos; `false` when it was not asked to. */
  released(): boolean {
    if (!this.#told || !this.#isGone || this.state === "TRANSPORT_DELETED") return false
    this.free()
    return true
  }

  // ---- the end

  /** Ends the session at once from the host's side: the connection is broken, the memory free. */
  drop(): void {
    if (this.state === "TRANSPORT_DELETED") return
    const { connection } = this
    const other = this.#other
    this.free()
    connection.abort()
    // it reads from memory that is free now
    other?.drop()
  }

  /** Frees fifos, block and slot. From here on every handle to the session is stale. */
  free(): void {
    if (this.state === "TRANSPORT_DELETED") return
    this.state = "TRANSPORT_DELETED"
    this.#rx?.free()
    this.forgetAbout()
    this.#blocks.free(this.place)
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
