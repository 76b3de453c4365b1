/**
 * A session as the host holds it: between what it is connected to and the worker that it was given to.
 *
 * It moves through the states of `SessionState`, here and nowhere else, and turns what the other side does into
 * messages for the worker. How its bytes travel is its kind:
 *
 * | kind | bytes |
 * |---|---|
 * | `SharedSession` | go through the host, between a connection and two fifos |
 * | `TransferSession` | the worker has the connection, socket and all |
 * | `CutThroughHostSession` | go from worker to worker |
 */
import type { Concurrency, InHand } from "../../domain/admission/Concurrency.ts"
import type * as Fifo from "../../domain/memory/Fifo.ts"
import type * as Message from "../../domain/memory/Message.ts"
import type { Segment } from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { SocketOption } from "../../domain/net/SocketOption.ts"
import type * as Report from "../../domain/report/Report.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import type { SessionSums } from "../../domain/state/Times.ts"
import type { Connection } from "../../services/Transport.ts"
import type { CutThroughEnd } from "./CutThroughEnd.ts"
import type { ListenerTicket } from "./Intake.ts"
import type { Moves } from "./Moves.ts"
import type { SharedSession } from "./SharedSession.ts"
import type { LiveWorker } from "./Worker.ts"

/** What comes to a listener: a connection of a transport, or the server's end of a cut-through connect. */
export type Arriving = Connection | CutThroughEnd

/** A session whose connection may go on with another worker (X1). */
export interface ParkingSession extends HostSession {
  readonly connection: Connection
  /** Whether the worker's application has done nothing with it so far. */
  readonly isFresh: boolean
  /**
   * Takes the connection away from the worker, as it was before it was opened. Returns what the application gives along,
   * `undefined` for what came along with the session; or `undefined` when it stays.
   */
  takeAway(): { readonly state: Uint8Array | undefined } | undefined
}

/** Where a session comes from: a listener, or a connect of the session's own worker. */
export interface Origin {
  /** The listener; `undefined` for a connect. */
  readonly listener: Handle.ListenerHandle | undefined
  /** Where its sessions' times and bytes are counted, besides with their workers; `undefined` for a connect. */
  readonly times: SessionSums | undefined
  /** How its sessions go on with other workers (X1); `undefined` for a connect, whose session goes to no other one. */
  readonly moves: Moves | undefined
  /** The worker says that it has claimed the session. */
  claimed(session: HostSession): void
  /** The worker has passed the session's offer, which had been taken back. */
  passed(session: HostSession): void
  /**
   * The TLS handshake, which the worker makes, has failed there; `false` when the session has no handshake there, or
   * its failure was reported before.
   */
  insecure(session: HostSession, reason: Refusal.HandshakeReason): boolean
  /**
   * The worker's application refuses the session, for a reason in a sentence, which may be empty; `false` when the
   * session is not one that it can still refuse.
   */
  refused(session: HostSession, detail: string): boolean
  /** The session was claimed, and its connection could not move to the worker for want of a descriptor. */
  unmoved(session: HostSession): void
  /** The worker is going: what is on offer to it goes elsewhere. */
  takeBack(session: HostSession): void
  /** The peer has given up: what is on offer is taken back, and nobody else gets it. */
  giveUp(session: HostSession): void
  /** A session was reset because its worker had it in hand and is gone (X3). */
  lost(session: HostSession): void
  /** A session was ended for this reason, by neither its peer nor its application. */
  ended(session: HostSession, reason: Ledger.EndReason): void
  /** A session that the worker had is free. */
  sessionFreed(session: HostSession): void
}

/** Whose session it is, and where its block lies. */
export interface SessionHome {
  readonly worker: LiveWorker
  readonly origin: Origin
  readonly place: Fifo.BlockPlace
  /** Milliseconds of `MonotonicTime` at which it was made. */
  readonly since: number
}

/** What a report says of a session that depends on its kind. */
export type KindReport = Pick<
  Report.SessionReport,
  "kind" | "placement" | "parked" | "rx" | "tx" | "bytesIn" | "bytesOut" | "dropped"
>

/** No request of the session is in hand. */
const IDLE = -1

export abstract class HostSession implements InHand {
  readonly handle: Handle.SessionHandle
  readonly worker: LiveWorker
  readonly origin: Origin
  readonly place: Fifo.BlockPlace
  readonly since: number
  abstract readonly connection: Arriving
  /** The connection's turn at the listener that it came from, until the worker's word of the claim has been read. */
  ticket: ListenerTicket | undefined
  readonly segment: Segment
  #state: SessionState.SessionState = "CREATED"
  #liveCheck: (() => boolean) | undefined
  #counted = true
  /** Since when the worker has had it, in milliseconds of `MonotonicTime`. */
  #begun = Infinity
  /** The worker has been told the last thing there is to say. */
  #told = false
  /**
   * Since when the worker has had a request of it in hand, in milliseconds of `MonotonicTime`: `Infinity` while it is on
   * offer, {@link IDLE} while there is none. Only where that has a limit (X7).
   */
  #asked = IDLE

  constructor(handle: Handle.SessionHandle, { origin, place, since, worker }: SessionHome) {
    this.handle = handle
    this.worker = worker
    this.origin = origin
    this.place = place
    this.since = since
    this.segment = worker.segments.segment(place.segment)!
  }

  get state(): SessionState.SessionState {
    return this.#state
  }

  /** The only place where the state changes; returns whether it did. An event that can't happen in it is a defect. */
  protected move(event: SessionState.SessionEvent): boolean {
    const before = this.#state
    this.#state = SessionState.next(before, event)
    return this.#state !== before
  }

  /** Whether the session is the worker's: not while its offer runs, nor after it was taken back. */
  get isOpen(): boolean {
    return SessionState.isOpen(this.#state)
  }

  /** Whether the other side is gone. */
  protected get isGone(): boolean {
    return this.#state === "TRANSPORT_CLOSED" || this.#state === "CLOSED" || this.#state === "TRANSPORT_DELETED"
  }

  /** For messages that nobody wants once the session is free. */
  protected get isLive(): () => boolean {
    return this.#liveCheck ??= () => this.#state !== "TRANSPORT_DELETED"
  }

  /** What it goes over. */
  get transport(): Report.SessionReport["transport"] {
    const { connection } = this
    return connection._tag === "CutThrough" ? "local" : Endpoint.transportOf(connection.local)
  }

  /** What a report says of its kind. */
  abstract report(): KindReport

  // ---- admission

  /** The message that offers the session to its worker. */
  protected abstract offerMessage(listener: Handle.ListenerHandle): Message.Of<"accepted" | "cutThroughAccepted">

  /** Puts the session on offer: the worker may claim it from the moment its message is visible. */
  offer(listener: Handle.ListenerHandle, undelivered: () => void): void {
    this.move("offer")
    const { concurrency } = this.worker
    if (concurrency !== undefined) this.#ask(concurrency, Infinity)
    this.worker.congestion.send({
      message: this.offerMessage(listener),
      live: () => this.#state === "ACCEPTING",
      cleanUp: undelivered
    })
  }

  /** Takes the offer back; `false` when the worker has claimed it. Either way the worker still has to say so. */
  endOffer(end: typeof SessionBlock.REVOKED | typeof SessionBlock.WITHDRAWN): boolean {
    const { offset } = this.place
    this.worker.owes(this)
    if (!SessionBlock.endOffer(this.segment, offset, end)) {
      if (SessionBlock.isClaimed(this.segment, offset)) return false
      // nobody's claim: the connection goes to another worker
      this.worker.fault("the worker wrote over the word of an offer")
    }
    this.move("takeBack")
    this.uncount()
    return true
  }

  /** Whether the worker has said what became of the offer. */
  get isAnswered(): boolean {
    return this.ticket === undefined || this.#state === "TRANSPORT_DELETED"
  }

  /** The worker has claimed the offer. */
  claimed(now: number): void {
    this.move("claim")
    this.#begun = now
    if (this.#asked === IDLE) return
    this.#asked = now
    if (this.seesBytes) this.worker.concurrency?.waits(this)
  }

  /** Milliseconds for which the worker has had it; negative while it has not. */
  protected get age(): number {
    return this.worker.now() - this.#begun
  }

  // ---- in hand (X7)

  /** Whether its bytes go through the host. */
  protected get seesBytes(): boolean {
    return false
  }

  #ask(concurrency: Concurrency, since: number): void {
    this.#asked = since
    concurrency.begin()
  }

  /** Bytes have come for the worker, for the first time or not. */
  protected asked(concurrency: Concurrency, isFirst: boolean): void {
    if (isFirst) concurrency.speaks(this)
    if (this.#asked === IDLE && this.origin.listener !== undefined) this.#ask(concurrency, this.worker.now())
  }

  /** Bytes of the worker's are on their way to the peer. */
  protected answered(concurrency: Concurrency): void {
    if (this.#asked === IDLE) return
    const now = this.worker.now()
    concurrency.answered(now - this.#asked, now)
    this.rest()
  }

  rest(): void {
    if (this.#asked === IDLE) return
    this.#asked = IDLE
    this.worker.concurrency?.end()
    this.worker.roomCame()
  }

  /** It is over, or has moved on. Where the host has not seen an answer, all of it was one. */
  #leaveHand(): void {
    const { concurrency } = this.worker
    if (concurrency === undefined || this.#asked === IDLE) return
    if (this.seesBytes) concurrency.speaks(this)
    else if (this.#asked !== Infinity) {
      const now = this.worker.now()
      concurrency.answered(now - this.#asked, now)
    }
    this.#asked = IDLE
    concurrency.end()
  }

  /** The worker's application does not want what was on offer: nothing here or there is left of it. */
  refuse(): void {
    this.free("refuse")
  }

  /** The session of a connect needs no offer: the worker asked for it. */
  connected(message: Message.Of<"connected" | "cutThroughConnected">): void {
    SessionBlock.endOffer(this.segment, this.place.offset, SessionBlock.CLAIMED)
    this.move("connected")
    this.#begun = this.since
    this.worker.congestion.send({ message, live: this.isLive, cleanUp: () => this.drop() })
  }

  /** The worker has the session: bytes move from here on. */
  abstract open(): void

  /** The worker has read what is known of the session. */
  forgetAbout(): void {}

  // ---- what the other side says

  /** The other side has ended its direction. */
  ended(): void {
    this.hearEnd()
  }

  /** The other side is gone: broken, with a sentence that says why, or in order. */
  closed(reset: string | undefined): void {
    if (this.hearClosed(reset)) this.tellLast()
  }

  /** Tells the worker of the end; `false` when the session is free already. */
  protected hearEnd(): boolean {
    if (!this.move("transportEnd")) return false
    this.worker.congestion.send({ message: { _tag: "disconnected", session: this.handle }, live: this.isLive })
    return true
  }

  /** Tells the worker of the reset, if it is one; `false` when the session is free already. */
  protected hearClosed(reset: string | undefined): boolean {
    if (!this.move("transportClosed")) return false
    if (reset !== undefined) {
      this.worker.congestion.send({
        message: { _tag: "reset", session: this.handle, reason: reset },
        live: this.isLive
      })
    }
    return true
  }

  /** The last message: having read it, the worker releases the session; if it never does, the host frees it. */
  protected tellLast(_tag: "cleanup" | "migrated" = "cleanup"): void {
    this.#told = true
    this.worker.congestion.send({
      message: { _tag, session: this.handle },
      cleanUp: () => this.free("drop")
    })
  }

  // ---- what the worker says

  /** There are bytes in the tx fifo. */
  send(): void {}

  /** There is room in the rx fifo, or memory for it. */
  resume(): void {}

  /** The worker sets an option of the connection's socket. */
  setOption(_option: SocketOption): void {}

  /** The worker has ended its side. */
  end(): void {}

  close(): void {
    this.giveUp("close")
  }

  abort(): void {
    this.giveUp("abort")
  }

  /** The worker gives the session up; if the other side is gone already, there is nothing else to do. */
  protected giveUp(how: "close" | "abort"): void {
    if (!this.isOpen) return
    this.move("appClose")
    if (!this.isGone) this.finish(how)
  }

  /** Ends what the session is connected to. */
  protected abstract finish(how: "close" | "abort"): void

  /** The worker is to finish what it has in hand. */
  drain(): void {}

  /** The worker stops, whatever it still has in hand. */
  stop(): void {}

  /** The worker drains, and others go on: if it has parked the session, another one may have it (X1). */
  moveOn(): void {}

  /** The worker is gone: if it had parked the session, another one may have it (X1). */
  carryOn(): void {}

  /**
   * The TLS handshake in the worker has not led to a session; `false` when there was none, or when this was said before.
   */
  insecure(): boolean {
    return false
  }

  /** The connection that the worker was given is gone; `false` when it was given no connection. */
  gone(_ended: Ledger.EndReason | undefined): boolean {
    return false
  }

  /**
   * The worker says that it has parked the session, and either drains, or there is something to read; or that it has
   * given the session's socket back (X1).
   */
  onParked(): void {}

  /** Whether its worker has parked it (X1). */
  get isParked(): boolean {
    return false
  }

  /** The session as one that can be joined with another, or why it can't. */
  joinable(): SharedSession | string {
    return "which the host can't join"
  }

  /** The worker has released the session's memory; `false` when it was not asked to. */
  released(): boolean {
    if (!this.#told || !(this.isGone || this.#state === "MOVED")) return false
    this.free("release")
    return true
  }

  // ---- the end

  /** Ends the session at once from the host's side: what it is connected to is broken, its memory is freed. */
  drop(): void {
    if (this.#state === "TRANSPORT_DELETED") return
    // the connection is over, or another session's by now
    const isOver = this.#state === "MOVED" || this.isGone
    this.free("drop")
    if (!isOver) this.finish("abort")
  }

  /** Its worker is gone, or stuck and replaced: a session that it had in hand is reset (X3). */
  lose(): void {
    if (this.isOpen && !this.isGone && !this.leave()) {
      if (this.worker.wasStuck) this.origin.ended(this, "stuck")
      else this.origin.lost(this)
    }
    this.drop()
  }

  /** If its application has given it up, what is left to be sent is sent without it; `false` when it has not. */
  protected leave(): boolean {
    return false
  }

  /** The worker has passed the offer that was taken back, or never will. */
  pass(): void {
    this.free("pass")
  }

  /** Frees the session's memory and slot. From here on every handle to it is stale. */
  protected free(event: "drop" | "gone" | "pass" | "refuse" | "release"): void {
    if (this.#state === "TRANSPORT_DELETED") return
    this.move(event)
    this.freeMemory()
    // before the worker forgets it: whatever waits may then take its place
    if (this.uncount()) this.origin.sessionFreed(this)
    this.worker.forget(this)
  }

  protected abstract freeMemory(): void

  /** From here on it takes no place in any limit; `false` when it took none already. */
  protected uncount(): boolean {
    if (!this.#counted) return false
    this.#counted = false
    this.#leaveHand()
    if (this.#begun !== Infinity) this.#countLength()
    this.worker.sessionLeft()
    return true
  }

  #countLength(): void {
    const { age } = this
    this.worker.slot.times.length.record(age)
    this.origin.times?.length.record(age)
  }
}
