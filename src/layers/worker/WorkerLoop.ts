/**
 * The loop of a worker: reads what the host says in its queue, and what other workers say in its inbox, and hands each
 * message to the part that it is for.
 *
 * | part | what it looks after |
 * |---|---|
 * | `ReadLoop` | reading a batch, looking again, sleeping |
 * | `Arrivals` | listeners, offers, sockets that move here, TLS handshakes |
 * | `WorkerSessions` | the sessions that are open |
 * | `WorkerMemory` | segments, and the memory of tx fifos |
 * | `PeerLinks` | links to other workers, the inbox |
 * | `Requests` | what was asked of the host |
 * | `Outbox` | what goes to the host |
 *
 * The same code runs on a worker thread and on the host's loop: what differs is its `WorkerPlace`. `SessionsService` is
 * what the application sees of the loop. This module is a hot path: plain synchronous code, woken by the doorbell.
 */
import * as Deferred from "effect/Deferred"
import * as Exit from "effect/Exit"
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Message from "../../domain/memory/Message.ts"
import { QueueConsumer, type Sink } from "../../domain/memory/QueueConsumer.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../domain/memory/QueueProducer.ts"
import { ReadLoop } from "../../domain/memory/ReadLoop.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import { Spin } from "../../domain/memory/Spin.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import { Arrivals, type Offered } from "./Arrivals.ts"
import type { CutThroughSession } from "./CutThroughSession.ts"
import { Outbox } from "./Outbox.ts"
import { PeerLinks } from "./PeerLinks.ts"
import { isReply, type Reply, Requests } from "./Requests.ts"
import { WorkerMemory } from "./WorkerMemory.ts"
import type { WorkerPlace, WorkerStart } from "./WorkerPlace.ts"
import { makeGuard, type WorkerSession } from "./WorkerSession.ts"
import { type Connected, WorkerSessions } from "./WorkerSessions.ts"

/** The most microseconds for which a worker waits for a connection that it has claimed, and does nothing else. */
const LONGEST_MOVE = 300
/** Checks for an answer between two looks at the clock, while the worker waits without sleeping. */
const LOOKS = 32

const readable = (session: WorkerSession): void => session.onReadable()
const writable = (session: WorkerSession): void => session.onWritable()
const ended = (session: WorkerSession): void => session.onEnded()
const cleanup = (session: WorkerSession): void => session.onCleanup()
const migrated = (session: WorkerSession): void => session.onMigrated()
const look = (session: WorkerSession): void => session.look()
const check = (session: CutThroughSession): void => session.check()
const lookForBytes = (session: CutThroughSession): void => session.lookForBytes()

export const isConnected = (reply: Reply): reply is Connected =>
  reply._tag === "connected" || reply._tag === "cutThroughConnected"

export class WorkerLoop {
  readonly arrivals: Arrivals
  readonly requests: Requests
  readonly sessions: WorkerSessions
  /** Done when the host drains this worker. */
  readonly draining = Deferred.makeUnsafe<void>()
  readonly #place: WorkerPlace
  readonly #inbound: QueueConsumer
  readonly #outbox: Outbox
  readonly #memory: WorkerMemory
  readonly #links: PeerLinks
  readonly #reading: ReadLoop
  /** For the answers of other workers, and for connections that were claimed and are on their way. */
  readonly #peerSpin: Spin
  readonly #moveSpin: Spin
  /** The worker has slept since it last looked at a cut-through session. */
  #slept = false
  /** A turn for what was offered is due. */
  #coming = false
  #detached = false

  constructor(start: WorkerStart, place: WorkerPlace) {
    const { toHost, toWorker } = Segment.queues(start.buffer, start.geometry)
    const guard = makeGuard(place.report)
    this.#place = place
    this.#inbound = new QueueConsumer(toWorker, start.geometry)
    this.#outbox = new Outbox(new QueueProducer(toHost, start.geometry, place.doorbell.ring))
    this.#memory = new WorkerMemory(
      start,
      place.receive,
      this.#outbox,
      guard,
      ({ message }) => this.#fault(`session memory is corrupt: ${message}`)
    )
    this.#links = new PeerLinks(start.inbox, place.receiveLink)
    this.sessions = new WorkerSessions(this.#outbox, this.#memory, this.#links, place, guard, start.times)
    this.arrivals = new Arrivals(place, this.sessions, this.#memory, this.#links)
    this.requests = new Requests(this.#outbox)
    this.#peerSpin = new Spin(place.spin)
    this.#moveSpin = new Spin(place.spin > 0 ? LONGEST_MOVE : 0)
    this.#reading = this.#readLoop()
  }

  /** Sessions that are open here, and those that were claimed and are on their way. */
  get open(): number {
    return this.sessions.size + this.arrivals.moving
  }

  /** Reads what there is; to be called at every ring of the host's and of other workers. */
  get wake(): () => void {
    return this.#reading.wake
  }

  /**
   * Looks after what is shared with the host and with other workers, as if they had rung; to be called at intervals.
   * Whatever was lost, because a word in shared memory was written over, is made good here, or found to be a fault.
   */
  readonly look = (): void => {
    if (this.#detached) return
    this.wake()
    this.#inbound.look()
    this.#memory.look()
    this.#links.each((session) => this.sessions.guard(session, check))
    try {
      this.#outbox.look()
    } catch (error) {
      this.#corrupt(error)
    }
  }

  /**
   * Answers a request out of turn, if its answer waits behind the first `from` messages; nothing else happens. Returns
   * how many messages wait, or `undefined` when the host has no room for more before this worker reads on.
   */
  answerAhead(request: number, from: number): number | undefined {
    this.#outbox.publish()
    const waiting = this.#inbound.peekControl(from, (words, start, length) => {
      const message = Message.decode(words, start, length)
      if (message !== undefined && isReply(message) && message.request === request) this.requests.answer(message)
    })
    return this.#inbound.roomWanted ? undefined : waiting
  }

  /** Gives back memory that has not been used since the last call. */
  trim(): void {
    this.#memory.trim()
  }

  /** Ends everything here without a word to the host, which is gone or has given this worker up. */
  detach(): void {
    if (this.#detached) return
    this.#detached = true
    this.#reading.end()
    this.#outbox.close()
    this.requests.detach()
    this.sessions.detach()
    this.arrivals.detach()
    this.#links.close()
  }

  #corrupt(error: unknown): void {
    if (!(error instanceof Mq.QueueCorrupt || error instanceof Fifo.FifoCorrupt)) throw error
    this.#fault(`memory that is shared with the host is corrupt: ${error.message}`)
  }

  #fault(detail: string): void {
    this.#reading.end()
    this.#place.fault(detail)
  }

  // ---- reading

  #readLoop(): ReadLoop {
    const { doorbell, pace } = this.#place
    const links = this.#links
    return new ReadLoop({
      begin: () => {
        this.#outbox.cork()
        if (!links.any) return
        // one of queue and inbox has rung: the other need not
        this.#inbound.wake()
        links.wake()
      },
      read: (max) => {
        const count = this.#inbound.drain(max, this.#sink) + links.drain(this.#lookAt)
        if (this.#inbound.grantRoom()) doorbell.ring()
        return count
      },
      sleep: () => {
        if (!this.#inbound.sleep()) return false
        if (links.sleep()) return this.#slept = true
        this.#inbound.wake()
        return false
      },
      finish: () => {
        this.#outbox.uncork()
        this.#comeSoon()
      },
      failed: (error) => this.#corrupt(error),
      returned: () => this.#wait(),
      pace
    }, doorbell.soon)
  }

  /** Waits for a moment instead of going to sleep, if an answer is likely to come sooner than a ring would. */
  #wait(): void {
    // what this worker does next may block it for long, and a connection that it has claimed can go to no other worker
    if (this.arrivals.moving > 0) {
      if (this.#moveSpin.budget > 0) this.#await(this.#moveSpin)
      else this.#moveSpin.woken()
    } else if (this.#links.sessions > 0 && this.#peerSpin.budget > 0) this.#await(this.#peerSpin)
  }

  #await(spin: Spin): void {
    const end = performance.now() + spin.budget / 1000
    do {
      for (let looks = 0; looks < LOOKS; looks++) {
        if (this.#links.pending || this.#inbound.depth !== 0) return spin.paid()
      }
    } while (performance.now() < end)
    spin.missed()
  }

  readonly #lookAt = (slot: number): void => {
    if (this.#slept) {
      this.#slept = false
      this.#peerSpin.woken()
    }
    const session = this.#links.session(slot)
    if (session !== undefined) this.sessions.guard(session, look)
  }

  // ---- what the host says

  readonly #sink: Sink = {
    io: (kind, index, generation) => {
      // what the session's application does now may take long: what was said before goes out first
      this.#outbox.publish()
      const session = this.sessions.at(index, generation)
      if (session !== undefined) this.sessions.guard(session, kind === Message.Rx ? readable : writable)
    },
    control: (words, start, length) => {
      this.#outbox.publish()
      const message = Message.decode(words, start, length)
      if (message === undefined) this.#fault("the host sent a message that can't be read")
      else this.#receive(message)
    }
  }

  /** What the worker was told of before has its turn first; where the host is on the same loop, nothing waits here. */
  #offered(message: Offered): void {
    this.arrivals.offered(message)
    if (this.#place.doorbell.soon === undefined) this.arrivals.come()
  }

  #comeSoon(): void {
    const { soon } = this.#place.doorbell
    if (soon === undefined || this.#coming || !this.arrivals.isDue) return
    this.#coming = true
    soon(this.#come)
  }

  readonly #come = (): void => {
    this.#coming = false
    if (this.#detached) return
    this.#outbox.cork()
    try {
      this.arrivals.come()
    } catch (error) {
      this.#corrupt(error)
    } finally {
      this.#outbox.uncork()
    }
    if (this.arrivals.moving === 0) return
    // what this worker does in its next turn may block it for long
    this.#wait()
    this.wake()
  }

  #receive(message: Message.Message): void {
    switch (message._tag) {
      case "accepted":
      case "cutThroughAccepted":
      case "probe":
        return this.#offered(message)
      case "moved":
        return this.arrivals.moved(message.session)
      case "disconnected":
        return this.#tell(message.session, ended)
      case "reset":
        return this.#tell(message.session, (session) => session.onReset(message.reason))
      case "cleanup":
        return this.#tell(message.session, cleanup)
      case "migrated":
        return this.#tell(message.session, migrated)
      case "bound":
      case "unlistened":
      case "connected":
      case "cutThroughConnected":
      case "failed":
        return this.#answered(message)
      case "addSegment":
        return this.#memory.add(message.segment)
      case "deleteSegment":
        return this.#memory.remove(message.segment)
      case "addLink":
        return this.#links.add(message.link, this.wake)
      case "deleteLink":
        return this.#links.remove(message.link)
      case "certificates": {
        const certificates = this.#place.receiveCertificates()
        if (certificates !== undefined) this.#place.tls?.replace(certificates)
        return
      }
      case "drain":
        // what it claims from here on would not hear that it is to be handed over
        this.arrivals.come()
        this.sessions.handOver(message.moves)
        return void Deferred.doneUnsafe(this.draining, Exit.void)
      case "stop":
        return this.#place.stop()
      default:
        return this.#fault(`the host sent the message "${message._tag}", which only workers send`)
    }
  }

  #answered(reply: Reply): void {
    // the host may have closed it unasked
    if (reply._tag === "unlistened") this.arrivals.unlisten(reply.listener)
    const heard = this.requests.answer(reply)
    // the caller that asked for the session has given up meanwhile
    if (!heard && isConnected(reply)) this.sessions.openConnected(reply).abort()
    // the server may have written before there was anything here to hear of it
    const opened = reply._tag === "cutThroughConnected" ? this.#links.session(reply.slot) : undefined
    if (opened !== undefined) this.sessions.guard(opened, lookForBytes)
  }

  #tell(handle: Handle.SessionHandle, edge: (session: WorkerSession) => void): void {
    const session = this.sessions.get(handle)
    // a claimed session that has not opened yet is not waited for
    if (session === undefined) return this.arrivals.breakHandshake(handle)
    // what the other worker did before comes first: it has arrived, but may not have been looked at
    if (session.cutThrough) this.sessions.guard(session, look)
    this.sessions.guard(session, edge)
  }
}
