/**
 * The sessions of a worker, by their slots in the host's table: how each kind of session begins, and what its end does.
 */
import * as AboutText from "../../domain/memory/AboutText.ts"
import { FifoCorrupt } from "../../domain/memory/Fifo.ts"
import type * as Inbox from "../../domain/memory/Inbox.ts"
import * as Message from "../../domain/memory/Message.ts"
import type * as Segment from "../../domain/memory/Segment.ts"
import type * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { ReturnedSocket } from "../../services/Attachment.ts"
import type { Session } from "../../services/Sessions.ts"
import { type CutThroughOwner, CutThroughSession } from "./CutThroughSession.ts"
import { FifoSession } from "./FifoSession.ts"
import type { Outbox } from "./Outbox.ts"
import type { PeerLinks } from "./PeerLinks.ts"
import type { SessionTimes, TimesStart } from "./SessionTimes.ts"
import { type SocketOwner, SocketSession, type SocketStream } from "./SocketSession.ts"
import type { WorkerMemory } from "./WorkerMemory.ts"
import type { WorkerPlace } from "./WorkerPlace.ts"
import type { Guard, SessionIdentity, WorkerSession } from "./WorkerSession.ts"

/** The reply by which a connect becomes a session. */
export type Connected = Message.Of<"connected" | "cutThroughConnected">

const detached = (session: WorkerSession): void => session.onDetached()

export class WorkerSessions implements CutThroughOwner, SocketOwner {
  readonly outbox: Outbox
  readonly guard: Guard
  readonly times: TimesStart
  readonly #memory: WorkerMemory
  readonly #links: PeerLinks
  readonly #returnSocket: WorkerPlace["returnSocket"]
  readonly #sessions = new Map<number, WorkerSession>()
  /** Parked sessions that were told of bytes in this turn of the loop, and in the one before. */
  readonly #told: Array<FifoSession> = []
  readonly #toldBefore: Array<FifoSession> = []
  /** In a drain, who goes on with what is parked here (X1, X4). */
  #moves: number = Message.STAYS
  /** The local endpoint of the session that came last. */
  #local = ""

  constructor(
    outbox: Outbox,
    memory: WorkerMemory,
    links: PeerLinks,
    { returnSocket }: Pick<WorkerPlace, "returnSocket">,
    guard: Guard,
    times: TimesStart
  ) {
    this.times = times
    this.outbox = outbox
    this.guard = guard
    this.#returnSocket = returnSocket
    this.#memory = memory
    this.#links = links
  }

  get size(): number {
    return this.#sessions.size
  }

  get rxFifoSize(): number {
    return this.#memory.rxFifoSize
  }

  get txFifoSize(): number {
    return this.#memory.txFifoSize
  }

  /** The session of a handle; `undefined` when the handle is stale. */
  get(handle: Handle.SessionHandle): WorkerSession | undefined {
    const session = this.#sessions.get(Handle.index(handle))
    return session?.handle === handle ? session : undefined
  }

  /** The same, for the two halves of a handle. */
  at(index: number, generation: number): WorkerSession | undefined {
    const session = this.#sessions.get(index)
    return session !== undefined && Handle.generation(session.handle) === generation ? session : undefined
  }

  // ---- how they begin

  /**
   * Which session a message tells of. If the message says where more is written down, that is read here; throws
   * `FifoCorrupt` when it can't be read.
   */
  identityOf(message: Message.Of<"accepted" | "connected">, times: SessionTimes): SessionIdentity {
    // one string for all sessions of an endpoint
    if (message.local !== this.#local) this.#local = message.local
    const { aboutBytes, aboutOffset, aboutSegment, kind, remote, session } = message
    const comes = message._tag === "accepted"
    const hasState = (kind & Message.HAS_STATE) !== 0
    const about = AboutText.read(this.#memory.view, aboutSegment, aboutOffset, aboutBytes, hasState)
    const mapped = (kind & Message.MAPPED) !== 0
    return { handle: session, remote, local: this.#local, mapped, about, times, comes }
  }

  openFifos(
    identity: SessionIdentity,
    segment: Segment.Segment,
    { offset, ringsOffset, ringsSegment }: Message.Of<"accepted" | "connected">
  ): FifoSession {
    const rings = { segment: ringsSegment, offset: ringsOffset }
    return this.#enter(new FifoSession(this, this.#memory, segment, offset, rings, identity))
  }

  openCutThrough(
    message: Message.Of<"cutThroughAccepted" | "cutThroughConnected">,
    side: SessionBlock.Side,
    segment: Segment.Segment,
    peer: Inbox.Sender,
    times: SessionTimes
  ): CutThroughSession {
    const session = this.#enter(new CutThroughSession(this, side, segment, peer, times, message))
    this.#links.enter(session)
    return session
  }

  /** `below` is the socket under `stream`, where that is TLS. */
  openSocket(identity: SessionIdentity, stream: SocketStream, below?: SocketStream): SocketSession {
    return this.#enter(new SocketSession(this, stream, identity, below))
  }

  /**
   * The session of a connect that has succeeded. Throws `FifoCorrupt` when it is said to be in memory or over a link that
   * the host has not handed over before.
   */
  openConnected(reply: Connected): Session {
    const segment = this.#memory.segment(reply.segment)
    if (segment === undefined) {
      throw new FifoCorrupt(`a session is said to be in segment ${reply.segment}, which is not here`)
    }
    if (reply._tag === "connected") {
      return this.openFifos(this.identityOf(reply, this.times.listener), segment, reply)
    }
    const peer = this.#links.sender(reply.link)
    if (peer === undefined) throw new FifoCorrupt(`a session is said to go over link ${reply.link}, which is not here`)
    return this.openCutThrough(reply, "client", segment, peer, this.times.listener)
  }

  #enter<S extends WorkerSession>(session: S): S {
    this.#sessions.set(Handle.index(session.handle), session)
    return session
  }

  // ---- how they end

  /** Who goes on with the sessions that are parked: the host is told of those, and of each one that will be. */
  handOver(moves: number): void {
    this.#moves = moves
    if (moves === Message.STAYS) return
    for (const session of this.#sessions.values()) session.tellParked()
  }

  /** Whether others go on with the session when it is parked. */
  handsOver({ about }: Pick<Session, "about">): boolean {
    return this.#moves === Message.TO_WORKERS || this.#moves === Message.TO_HOST && about.tls === undefined
  }

  told(session: FifoSession): void {
    this.#told.push(session)
    if (this.#told.length + this.#toldBefore.length === 1) setImmediate(this.#keepTold)
  }

  /**
   * What was told of bytes has had a whole turn of the loop for them, unless something blocks the loop: then the host takes
   * them away meanwhile.
   */
  readonly #keepTold = (): void => {
    const before = this.#toldBefore
    for (const session of before) session.keepTold()
    before.length = 0
    // most have been dealt with by now, and the loop may go to sleep
    for (const session of this.#told) if (session.isTold) before.push(session)
    this.#told.length = 0
    if (before.length > 0) setImmediate(this.#keepTold)
  }

  released(session: FifoSession): void {
    this.#sessions.delete(Handle.index(session.handle))
    this.#memory.forget(session)
  }

  leftInbox(session: CutThroughSession): void {
    this.#links.leave(session)
  }

  gone({ handle }: SocketSession, ended: Ledger.EndReason | undefined): void {
    this.#sessions.delete(Handle.index(handle))
    this.outbox.io(Message.Gone, handle, Message.endCode(ended))
  }

  giveBack({ handle }: SocketSession, returned: ReturnedSocket): boolean {
    if (!this.#returnSocket(handle, returned)) return false
    this.#sessions.delete(Handle.index(handle))
    this.outbox.io(Message.Parked, handle)
    return true
  }

  /** Ends all of them: the host is gone, or has given this worker up. */
  detach(): void {
    for (const session of this.#sessions.values()) this.guard(session, detached)
    this.#sessions.clear()
  }
}
