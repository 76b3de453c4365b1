/**
 * Sessions that come to a worker: what the host offers it for its listeners, from the offer to the application.
 *
 * ```
 * accepted ─► claimed ─┬─ over fifos ───────────────────────────────► the application
 *                      └─ moves ─ moved: its socket is here ─┬──────► the application
 *                                                            └─ TLS ─► the application, or `insecure`
 * cutThroughAccepted ─► claimed ────────────────────────────────────► the application
 *                       refused, if the application does not want it: before it is made, moved or told to the host
 * ```
 *
 * **When it is claimed** What the worker was told of before the offer has its turn first: reading the queue is quick, and a
 * worker that claimed as it reads would take connections from others which it comes to much later. So on a thread of its own,
 * an offer waits, and whatever the host asks behind it, until the loop has been once round ({@link Arrivals.come}). The wait is the worker's:
 * by it the host knows how far it is behind.
 *
 * An offer is claimed in one place, by one compare-and-swap in its block. If it has been taken back, it is nothing to
 * this worker, which says that it has passed the offer. An application that refuses sessions (W16) is asked after the
 * claim, so it is asked once about each connection, and however long it takes, no offer runs out meanwhile; where TLS
 * ends here, it is asked after the handshake, as it is where TLS ends in the host.
 */
import { constVoid } from "effect/Function"
import * as Result from "effect/Result"
import { AsyncResource } from "node:async_hooks"
import type * as Net from "node:net"
import * as AboutText from "../../domain/memory/AboutText.ts"
import * as Message from "../../domain/memory/Message.ts"
import type * as Segment from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type { ListenOptions, Session, SessionOffer } from "../../services/Sessions.ts"
import * as NodeHandle from "../transport/NodeHandle.ts"
import * as SocketEnd from "../transport/SocketEnd.ts"
import type { Outbox } from "./Outbox.ts"
import type { PeerLinks } from "./PeerLinks.ts"
import * as SessionTimes from "./SessionTimes.ts"
import type { SocketSession } from "./SocketSession.ts"
import type { WorkerMemory } from "./WorkerMemory.ts"
import type { WorkerPlace } from "./WorkerPlace.ts"
import type { SessionIdentity } from "./WorkerSession.ts"
import type { WorkerSessions } from "./WorkerSessions.ts"

type Accept = (session: Session) => void
type Refuse = ListenOptions["refuse"]

/** A listener that this worker has a seat at. Its sessions begin in the context in which the worker sat down. */
class Seat extends AsyncResource {
  readonly accept: Accept
  readonly refuse: Refuse
  /** Its endpoint as it was asked for, in one spelling, by which TLS finds its options. */
  readonly endpoint: string
  readonly times: SessionTimes.SessionTimes

  constructor(accept: Accept, refuse: Refuse, endpoint: string, times: SessionTimes.SessionTimes) {
    super("SluiceListener")
    this.accept = accept
    this.refuse = refuse
    this.endpoint = endpoint
    this.times = times
  }
}

/** A session that was claimed, and whose socket is on its way here. */
interface Moving {
  readonly identity: SessionIdentity
  readonly seat: Seat
  /** Whether TLS ends here. */
  readonly inTls: boolean
}

/** An offer, or a question that is answered once the worker has come to the offers before it. */
export type Offered = Message.Of<"accepted" | "cutThroughAccepted" | "probe">

export class Arrivals {
  readonly #place: Pick<WorkerPlace, "receiveSocket" | "report" | "tls">
  readonly #sessions: WorkerSessions
  readonly #memory: WorkerMemory
  readonly #links: PeerLinks
  readonly #outbox: Outbox
  readonly #seats = new Map<Handle.ListenerHandle, Seat>()
  readonly #moving = new Map<Handle.SessionHandle, Moving>()
  /** What is on offer, and questions, in the order in which they were read. */
  readonly #offers: Array<Offered> = []
  /** The sockets on which TLS handshakes are under way. */
  readonly #handshakes = new Map<Handle.SessionHandle, Net.Socket>()

  constructor(
    place: Pick<WorkerPlace, "receiveSocket" | "report" | "tls">,
    sessions: WorkerSessions,
    memory: WorkerMemory,
    links: PeerLinks
  ) {
    this.#place = place
    this.#sessions = sessions
    this.#memory = memory
    this.#links = links
    this.#outbox = sessions.outbox
  }

  /** Claimed sessions whose sockets are on their way here. */
  get moving(): number {
    return this.#moving.size
  }

  // ---- listeners

  listen(listener: Handle.ListenerHandle, endpoint: string, accept: Accept, refuse?: Refuse): void {
    const spelled = Result.match(Endpoint.parse(endpoint), {
      onFailure: () => endpoint,
      onSuccess: Endpoint.format
    })
    const times = SessionTimes.of(this.#sessions.times, spelled)
    this.#seats.set(listener, new Seat(accept, refuse, spelled, times))
  }

  /** The listener's sessions go on, in whatever state they are. */
  unlisten(listener: Handle.ListenerHandle): void {
    this.#seats.delete(listener)
  }

  // ---- offers

  /** Something is on offer, or asked. */
  offered(message: Offered): void {
    this.#offers.push(message)
  }

  /** Whether {@link come} has something to do. */
  get isDue(): boolean {
    return this.#offers.length > 0
  }

  /** Comes to all that is on offer. */
  come(): void {
    for (let message; (message = this.#offers.shift()) !== undefined;) {
      // what the application does now may take long: what was said before goes out first
      this.#outbox.publish()
      if (message._tag === "accepted") this.#accepted(message)
      else if (message._tag === "cutThroughAccepted") this.#cutThroughAccepted(message)
      else this.#outbox.control({ _tag: "probed" })
    }
  }

  /** A session of a connection is on offer. */
  #accepted(message: Message.Of<"accepted">): void {
    const { kind, listener, offset, session: handle } = message
    const seat = this.#seats.get(listener)
    const segment = this.#memory.segment(message.segment)
    if (seat === undefined || segment === undefined || !this.#claims(segment, offset)) return this.#passed(handle)
    const identity = this.#sessions.identityOf(message, seat.times)
    const inTls = (kind & Message.IN_TLS) !== 0
    if (!inTls && this.#refuses(seat, handle, identity, false)) return
    if ((kind & Message.MOVES) !== 0) {
      this.#moving.set(handle, { identity, seat, inTls })
      return this.#claimed(handle)
    }
    const session = seat.runInAsyncScope(this.#sessions.openFifos, this.#sessions, identity, segment, message)
    this.#claimed(handle)
    // in hand while the application is given it: a session that makes it crash then is offered to no other worker
    this.#sessions.guard(session, seat.accept)
    session.parkNew()
  }

  /** A session with another worker is on offer. */
  #cutThroughAccepted(message: Message.Of<"cutThroughAccepted">): void {
    const seat = this.#seats.get(message.listener)
    const segment = this.#memory.segment(message.segment)
    const peer = this.#links.sender(message.link)
    if (seat === undefined || segment === undefined || peer === undefined || !this.#claims(segment, 0)) {
      return this.#passed(message.session)
    }
    if (this.#refuses(seat, message.session, { ...message, about: AboutText.nothing }, true)) return
    const { openCutThrough } = this.#sessions
    const session = seat.runInAsyncScope(openCutThrough, this.#sessions, message, "server", segment, peer, seat.times)
    this.#claimed(message.session)
    this.#sessions.guard(session, seat.accept)
  }

  /** The one place where an offer is claimed; `false` when it has been taken back. */
  #claims(segment: Segment.Segment, offset: number): boolean {
    return SessionBlock.endOffer(segment, offset, SessionBlock.CLAIMED)
  }

  /**
   * Whether the application refuses the session; then the host is told so. One that throws refuses: what it would have
   * said is not known.
   */
  #refuses(
    seat: Seat,
    session: Handle.SessionHandle,
    { about, local, remote }: Pick<SessionOffer, "about" | "local" | "remote">,
    cutThrough: boolean
  ): boolean {
    const { refuse } = seat
    if (refuse === undefined) return false
    let answer: ReturnType<typeof refuse>
    try {
      const datagrams = Endpoint.transportOf(local) === "udp"
      answer = seat.runInAsyncScope(refuse, undefined, { remote, local, about, cutThrough, datagrams })
    } catch (error) {
      this.#place.report(error)
      answer = true
    }
    // no sentence is one, too
    if (!answer && answer !== "") return false
    this.#outbox.control({ _tag: "refused", session, detail: typeof answer === "string" ? answer : "" })
    return true
  }

  #claimed(session: Handle.SessionHandle): void {
    this.#outbox.io(Message.Claimed, session)
  }

  #passed(session: Handle.SessionHandle): void {
    this.#outbox.io(Message.Passed, session)
  }

  // ---- sessions whose sockets move here

  /** The socket of a session that was claimed is here. */
  moved(handle: Handle.SessionHandle): void {
    const moving = this.#moving.get(handle)
    // the host had sent it before it heard that the application refuses the session
    if (moving === undefined) return void this.#place.receiveSocket(handle)?.resetAndDestroy()
    this.#moving.delete(handle)
    const socket = this.#place.receiveSocket(handle)
    if (socket === undefined) return this.#gone(handle)
    moving.seat.runInAsyncScope(this.#arrived, this, socket, moving)
  }

  #arrived(socket: Net.Socket, moving: Moving): void {
    NodeHandle.adopt(socket)
    NodeHandle.begin(socket, moving.seat.times.keepAlive)
    if (moving.inTls) return this.#secure(socket, moving)
    this.#start(this.#sessions.openSocket(moving.identity, socket), moving.seat)
  }

  /** The host ends a session whose handshake is under way, without waiting for the handshake. */
  breakHandshake(handle: Handle.SessionHandle): void {
    this.#handshakes.get(handle)?.resetAndDestroy()
  }

  /** Has the handshake made, and gives the application the session behind it. */
  #secure(below: Net.Socket, { identity, seat }: Moving): void {
    const { tls } = this.#place
    const { handle } = identity
    // the listener is another application's, whose workers end TLS; this application's do not
    if (tls === undefined) {
      below.resetAndDestroy()
      this.#outbox.control({ _tag: "insecure", session: handle, reason: "tls-failed" })
      return this.#gone(handle)
    }
    const over = (): boolean => this.#handshakes.delete(handle)
    this.#handshakes.set(handle, below)
    tls.begin(
      seat.endpoint,
      below,
      (secure, about) => {
        if (!over()) return
        const behind = { ...identity, about: { ...identity.about, tls: about } }
        if (this.#refuses(seat, handle, behind, false)) {
          secure.on("error", constVoid)
          SocketEnd.reset(secure, below)
          return this.#gone(handle)
        }
        this.#start(this.#sessions.openSocket(behind, secure, below), seat)
      },
      (reason) => {
        if (over()) this.#outbox.control({ _tag: "insecure", session: handle, reason })
        this.#gone(handle)
      }
    )
  }

  #start(session: SocketSession, { accept }: Seat): void {
    this.#sessions.guard(session, accept)
    session.start()
  }

  #gone(handle: Handle.SessionHandle): void {
    this.#outbox.io(Message.Gone, handle)
  }

  /** Nothing arrives any more: the host is gone, or has given this worker up. */
  detach(): void {
    for (const handle of this.#moving.keys()) this.#place.receiveSocket(handle)?.resetAndDestroy()
    this.#moving.clear()
    this.#offers.length = 0
    for (const below of this.#handshakes.values()) below.resetAndDestroy()
    this.#handshakes.clear()
    this.#seats.clear()
  }
}
