/**
 * The session client of a worker: reads the worker's queue, keeps its sessions and listeners, and answers the host.
 *
 * The same code runs on a worker thread and on the host's loop; only its doorbell and the way it is handed segments
 * differ. {@link WorkerLoop} is plain synchronous code, woken by the doorbell; {@link make} is the service around it.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Inbox from "../../domain/memory/Inbox.ts"
import * as Message from "../../domain/memory/Message.ts"
import type { QueueConsumer, Sink } from "../../domain/memory/QueueConsumer.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import type { QueueProducer } from "../../domain/memory/QueueProducer.ts"
import { ReadLoop } from "../../domain/memory/ReadLoop.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as SessionText from "../../domain/memory/SessionText.ts"
import { Spin } from "../../domain/memory/Spin.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import type { PostedCertificate } from "../../services/Attachment.ts"
import type { DoorbellShape } from "../../services/Doorbell.ts"
import {
  ConnectFailed,
  type ConnectOptions,
  type Listener,
  ListenFailed,
  type ListenOptions,
  type Session,
  Sessions,
  UnlistenFailed,
  type WorkerInfo
} from "../../services/Sessions.ts"
import * as MessageQueueSegment from "../stack/MessageQueueSegment.ts"
import { CutThroughSession } from "./CutThroughSession.ts"
import { FifoSession, type Memory, type Outbound } from "./FifoSession.ts"
import { SocketSession, type StreamKnown, type StreamOwner } from "./SocketSession.ts"
import type { TlsStart as StartTls, WorkerTls } from "./WorkerTls.ts"

/** Milliseconds, some 49 days, that the timeout of a connect can say at most: more are no more. */
const LONGEST_TIMEOUT = 2 ** 32 - 1
/** Microseconds, at most, for which a worker waits for a connection that it has claimed, and does nothing else. */
const LONGEST_MOVE = 300
/** Looks between two looks at the clock, while the worker waits for an answer without sleeping. */
const LOOKS = 32

/** What a worker is started with; everything in it can be posted to a thread. */
export interface WorkerStart {
  readonly info: WorkerInfo
  readonly endpoints: ReadonlyArray<string>
  readonly config: unknown
  readonly geometry: Mq.Geometry
  readonly buffer: ArrayBufferLike
  readonly hostBytes: number
  /** Where other workers say that a cut-through session has something to look at. */
  readonly inbox: SharedArrayBuffer
  /** How TLS ends here, if it may. */
  readonly tls?: StartTls | undefined
  readonly rxFifoSize: number
  readonly txFifoSize: number
  /** Milliseconds between two looks for idle fifo memory. */
  readonly trimInterval: number
}

/** This worker's end of a link to another worker (W16). */
export interface ReceivedLink {
  /** The other worker's inbox. */
  readonly inbox: SharedArrayBuffer
  /** Wakes the other worker. */
  readonly ring: () => void
  readonly close: () => void
}

/** What a client needs of the place it runs in. */
export interface WorkerPlace {
  readonly doorbell: DoorbellShape
  /** The memory of a segment that the host has handed over, and where the worker's arena begins in it. */
  readonly receive: (segment: number) => { readonly buffer: ArrayBufferLike; readonly hostBytes: number } | undefined
  /** The link that the host has handed over; the other worker's rings call `wake` from then on. */
  readonly receiveLink: (link: number, wake: () => void) => ReceivedLink | undefined
  /** The socket of a session that the host has handed over. */
  readonly receiveSocket: (session: Handle.SessionHandle) => Net.Socket | undefined
  /** The application's certificates, as the host has last handed them over; `undefined` when there are none newer. */
  readonly receiveCertificates: () => ReadonlyArray<PostedCertificate> | undefined
  /** Ends TLS, in a worker that may have to. */
  readonly tls: WorkerTls | undefined
  /**
   * Microseconds, at most, for which a worker with cut-through sessions waits before it goes to sleep; 0: never, nor for a
   * connection that it has claimed.
   */
  readonly spin: number
  /** For a worker that is slow on purpose: it takes one message a look, and this is how it comes to the next one. */
  readonly pace?: () => ((look: () => void) => void) | undefined
  /** The host wants the app to stop. */
  readonly stop: () => void
  /** The application's code threw where nobody else hears of it. */
  readonly report: (error: unknown) => void
}

/** The host's answer to a request. */
export type Reply = Message.Of<"bound" | "unlistened" | "connected" | "localConnected" | "failed">

export type Connected = Extract<Reply, { readonly _tag: "connected" | "localConnected" }>

const isConnected = (message: Message.Message): message is Connected =>
  message._tag === "connected" || message._tag === "localConnected"

/** An IO event that did not fit into the queue to the host. */
interface WaitingIo {
  readonly _tag: "Io"
  readonly kind: Message.IoKind
  readonly index: number
  readonly generation: number
}

/** A session over fifos, or over a socket that has moved here. */
type AnySession = FifoSession | SocketSession

const readable = (session: AnySession): void => session.onReadable()
const writable = (session: AnySession): void => session.onWritable()
const ended = (session: AnySession): void => session.onEnded()
const cleanup = (session: AnySession): void => session.onCleanup()
const detached = (session: AnySession): void => session.onDetached()
const look = (session: AnySession): void => session instanceof CutThroughSession ? session.look() : undefined
const lookForBytes = (session: FifoSession): void =>
  session instanceof CutThroughSession ? session.lookForBytes() : undefined

/** A session that was claimed, and whose socket is on its way here. */
interface Moving {
  readonly known: StreamKnown
  readonly accept: (session: Session) => void
  /** The endpoint by whose options TLS ends here, if it does. */
  readonly endpoint: string | undefined
}

interface Link extends ReceivedLink {
  readonly sender: Inbox.Sender
}

export class WorkerLoop {
  readonly start: WorkerStart
  readonly #place: WorkerPlace
  readonly #inbound: QueueConsumer
  readonly #toHost: QueueProducer
  readonly #segments = new Map<number, Segment.Segment>()
  readonly #arenas: Segment.Arenas
  readonly #sessions = new Map<number, AnySession>()
  readonly #moving = new Map<Handle.SessionHandle, Moving>()
  readonly #listeners = new Map<Handle.ListenerHandle, (session: Session) => void>()
  /** The endpoints of listeners that were asked for, in one spelling. */
  readonly #endpoints = new Map<Handle.ListenerHandle, string>()
  /** What TLS handshakes are under way on. */
  readonly #handshakes = new Map<Handle.SessionHandle, Net.Socket>()
  readonly #requests = new Map<number, (reply: Reply | undefined) => void>()
  /** What did not fit into the queue to the host, in order. Sessions bound it: each has few messages to say. */
  readonly #outbox: Array<WaitingIo | Message.Message> = []
  readonly #words = new Int32Array(Mq.CONTROL_WORDS)
  readonly #hot = new Set<FifoSession>()
  readonly #starved = new Set<FifoSession>()
  readonly #added = new Set<number>()
  readonly #inbox: Inbox.Receiver
  readonly #links = new Map<number, Link>()
  /** Cut-through sessions by their slots in the inbox. */
  readonly #locals: Array<CutThroughSession | undefined> = []
  #localCount = 0
  /** For the answers of workers, and for connections that were claimed and are on their way. */
  readonly #spin: Spin
  readonly #moveSpin: Spin
  readonly draining = Deferred.makeUnsafe<void>()
  readonly #memory: Memory
  /** The local endpoint of the session that came last. */
  #local = ""
  #segmentAsked = false
  #request = 0
  readonly #reading: ReadLoop
  /** It has slept since it last looked at a cut-through session. */
  #asleep = false
  #detached = false

  constructor(start: WorkerStart, place: WorkerPlace) {
    this.start = start
    this.#place = place
    const queues = Segment.queues(start.buffer, start.geometry)
    const first = Segment.make(0, start.buffer, start.hostBytes)
    const { inbound, outbound } = MessageQueueSegment.workerEnds(queues, start.geometry, place.doorbell)
    this.#inbound = inbound
    this.#toHost = outbound
    this.#inbox = new Inbox.Receiver(start.inbox)
    this.#reading = this.#readLoop()
    this.#spin = new Spin(place.spin)
    this.#moveSpin = new Spin(place.spin > 0 ? LONGEST_MOVE : 0)
    this.#segments.set(0, first)
    this.#arenas = new Segment.Arenas((index) => this.#segments.get(index)!.bytes)
    this.#arenas.add(0, Segment.workerArena(first))
    this.#memory = {
      rxFifoSize: start.rxFifoSize,
      txFifoSize: start.txFifoSize,
      view: (index) => this.#segments.get(index)?.bytes,
      blocks: this.#blocks
    }
    this.#streams = {
      rxFifoSize: start.rxFifoSize,
      txFifoSize: start.txFifoSize,
      guard: (session, edge) => this.#guard(session, edge),
      gone: ({ handle }) => {
        this.#sessions.delete(Handle.index(handle))
        this.#sayGone(handle)
      }
    }
  }

  get sessions(): number {
    return this.#sessions.size + this.#moving.size
  }

  /** Reads the queue and the inbox; for every ring. */
  get wake(): () => void {
    return this.#reading.wake
  }

  #readLoop(): ReadLoop {
    const { doorbell, pace } = this.#place
    return new ReadLoop({
      begin: () => {
        this.#toHost.cork()
        this.#flushOutbox()
        if (this.#links.size === 0) return
        // one of the two has rung: the other need not
        this.#inbound.wake()
        this.#inbox.wake()
      },
      read: (max) => {
        let count = this.#inbound.drain(max, this.#sink)
        if (this.#links.size > 0) count += this.#inbox.drain(this.#lookAt)
        if (this.#inbound.grantRoom()) doorbell.ring()
        return count
      },
      sleep: () => {
        if (!this.#inbound.sleep()) return false
        if (this.#links.size === 0 || this.#inbox.sleep()) return this.#asleep = true
        this.#inbound.wake()
        return false
      },
      finish: () => this.#toHost.uncork(),
      failed: (error) => {
        throw error
      },
      returned: () => {
        // what this worker does next may block it for long, and nobody else can have a connection that it has claimed
        if (this.#moving.size > 0) {
          if (this.#moveSpin.budget > 0) this.#await(this.#moveSpin)
          else this.#moveSpin.woken()
        } else if (this.#localCount > 0 && this.#spin.budget > 0) this.#await(this.#spin)
      },
      pace
    }, doorbell.soon)
  }

  /** Looks for the next event for a while: the answer of a worker that runs comes sooner than a ring would. */
  #await(spin: Spin): void {
    const end = performance.now() + spin.budget / 1000
    do {
      for (let looks = 0; looks < LOOKS; looks++) {
        if (this.#inbox.pending || this.#inbound.depth !== 0) return spin.paid()
      }
    } while (performance.now() < end)
    spin.missed()
  }

  readonly #lookAt = (slot: number): void => {
    if (this.#asleep) {
      this.#asleep = false
      this.#spin.woken()
    }
    const session = this.#locals[slot]
    if (session !== undefined) this.#guard(session, look)
  }

  // ---- messages from the host

  readonly #sink: Sink = {
    io: (kind, index, generation) => {
      const session = this.#sessions.get(index)
      if (session === undefined || Handle.generation(session.handle) !== generation) return
      this.#guard(session, kind === Message.Rx ? readable : writable)
    },
    control: (words, start, length) => {
      const message = Message.decode(words, start, length)
      if (message !== undefined) this.#receive(message)
    }
  }

  /** Runs an edge of the application. One that throws costs its session, not the worker. */
  #guard<S extends AnySession>(session: S, edge: (session: S) => void): void {
    try {
      edge(session)
    } catch (error) {
      session.abort()
      this.#place.report(error)
    }
  }

  #receive(message: Message.Message): void {
    switch (message._tag) {
      case "accepted":
        return this.#onAccepted(message)
      case "disconnected":
        return this.#withSession(message.session, ended)
      case "localAccepted":
        return this.#onLocalAccepted(message)
      case "moved":
        return this.#onMoved(message.session)
      case "certificates": {
        const certificates = this.#place.receiveCertificates()
        if (certificates !== undefined) this.#place.tls?.replace(certificates)
        return
      }
      case "reset":
        return this.#withSession(message.session, (session) => session.onReset(message.reason))
      case "cleanup":
        return this.#withSession(message.session, cleanup)
      case "bound":
      case "unlistened":
      case "connected":
      case "localConnected":
      case "failed": {
        // the host may have closed it unasked
        if (message._tag === "unlistened") this.#listeners.delete(message.listener)
        const request = this.#requests.get(message.request)
        this.#requests.delete(message.request)
        if (request !== undefined) request(message)
        // whoever asked for it has given up meanwhile
        else if (isConnected(message)) this.connected(message)?.abort()
        // the server may have written before there was anybody here to hear of it
        const opened = message._tag === "localConnected" ? this.#locals[message.slot] : undefined
        if (opened !== undefined) this.#guard(opened, lookForBytes)
        return
      }
      case "addSegment":
        return this.#onAddSegment(message.segment)
      case "deleteSegment":
        this.#segments.delete(message.segment)
        return
      case "addLink":
        return this.#onAddLink(message.link)
      case "deleteLink":
        this.#links.get(message.link)?.close()
        this.#links.delete(message.link)
        return
      case "rpc":
        if (message.call === "drain") Deferred.doneUnsafe(this.draining, Exit.void)
        else if (message.call === "stop") this.#place.stop()
        return
    }
  }

  #withSession(handle: Handle.SessionHandle, edge: (session: AnySession) => void): void {
    const session = this.#sessions.get(Handle.index(handle))
    // one that has not become a session yet is not waited for
    if (session === undefined) return void this.#handshakes.get(handle)?.resetAndDestroy()
    if (session.handle !== handle) return
    // what the other worker did before comes first; that it is there does not mean that it was looked at
    if (session.cutThrough) this.#guard(session, look)
    this.#guard(session, edge)
  }

  #onAccepted(message: Message.Of<"accepted">): void {
    const accept = this.#listeners.get(message.listener)
    const segment = this.#segments.get(message.segment)
    if (accept === undefined || segment === undefined) return this.#aboutOffer(Message.Passed, message.session)
    // the one place where an offer is claimed: it may have been taken back, and then it is nothing to us
    if (!SessionBlock.endOffer(segment, message.offset, SessionBlock.CLAIMED)) {
      return this.#aboutOffer(Message.Passed, message.session)
    }
    const known = this.#known(message)
    const { inTls, moves } = SessionBlock.kind(segment, message.offset)
    if (moves) {
      const endpoint = inTls ? this.#endpoints.get(message.listener) ?? "" : undefined
      this.#moving.set(message.session, { known, accept, endpoint })
      return this.#aboutOffer(Message.Claimed, message.session)
    }
    const session = this.#open(message, segment, known)
    this.#aboutOffer(Message.Claimed, message.session)
    this.#guard(session, accept)
  }

  /** Has the handshake done, and gives the application the session behind it. */
  #secure(
    below: Net.Socket,
    known: StreamKnown,
    accept: (session: Session) => void,
    endpoint: string
  ): void {
    const { tls } = this.#place
    const handle = known.session
    // of another application's listener, whose workers end TLS: this one's do not
    if (tls === undefined) {
      below.resetAndDestroy()
      this.#outbound.control({ _tag: "insecure", session: handle, reason: "tls-failed" })
      return this.#sayGone(handle)
    }
    const over = (): boolean => this.#handshakes.delete(handle)
    this.#handshakes.set(handle, below)
    tls.begin(
      endpoint,
      below,
      (secure, about) => {
        if (!over()) return
        const behind = { ...known, about: { ...known.about, tls: about } }
        this.#start(new SocketSession(this.#streams, secure, behind, below), accept)
      },
      (reason) => {
        if (over()) this.#outbound.control({ _tag: "insecure", session: handle, reason })
        this.#sayGone(handle)
      }
    )
  }

  #start(session: SocketSession, accept: (session: Session) => void): void {
    this.#sessions.set(Handle.index(session.handle), session)
    this.#guard(session, accept)
    session.start()
  }

  /** The socket of a session that was claimed is here. */
  #onMoved(handle: Handle.SessionHandle): void {
    const moving = this.#moving.get(handle)
    if (moving === undefined) return
    this.#moving.delete(handle)
    const socket = this.#place.receiveSocket(handle)
    if (socket === undefined) return this.#sayGone(handle)
    const { accept, endpoint, known } = moving
    if (endpoint === undefined) this.#start(new SocketSession(this.#streams, socket, known), accept)
    else this.#secure(socket, known, accept, endpoint)
  }

  #sayGone(handle: Handle.SessionHandle): void {
    this.#outbound.io(Message.Gone, Handle.index(handle), Handle.generation(handle))
  }

  readonly #streams: StreamOwner

  #known(message: Message.Of<"accepted" | "connected">): StreamKnown {
    // one text for all sessions of an endpoint
    if (message.local !== this.#local) this.#local = message.local
    const { aboutBytes, aboutOffset, aboutSegment, remote } = message
    const text = aboutBytes === 0 ? undefined : this.#segments.get(aboutSegment)?.bytes
    const about = text === undefined
      ? SessionText.nothing
      : SessionText.decode(text.subarray(aboutOffset, aboutOffset + aboutBytes))
    return { session: message.session, remote, local: this.#local, about }
  }

  #open(
    message: Message.Of<"accepted" | "connected">,
    segment: Segment.Segment,
    known = this.#known(message)
  ): FifoSession {
    const session = new FifoSession(this.#outbound, this.#memory, segment, message.offset, known)
    this.#sessions.set(Handle.index(message.session), session)
    return session
  }

  #onAddLink(number: number): void {
    const link = this.#place.receiveLink(number, this.wake)
    if (link === undefined) return
    this.#links.set(number, { ...link, sender: new Inbox.Sender(link.inbox, link.ring) })
  }

  #onLocalAccepted(message: Message.Of<"localAccepted">): void {
    const accept = this.#listeners.get(message.listener)
    const segment = this.#segments.get(message.segment)
    const link = this.#links.get(message.link)
    const claimed = accept !== undefined && segment !== undefined && link !== undefined
      && SessionBlock.endOffer(segment, 0, SessionBlock.CLAIMED)
    if (!claimed) return this.#aboutOffer(Message.Passed, message.session)
    const session = this.#openLocal(message, "server", segment, link)
    this.#aboutOffer(Message.Claimed, message.session)
    this.#guard(session, accept)
  }

  #openLocal(
    message: Message.Of<"localAccepted" | "localConnected">,
    side: SessionBlock.Side,
    segment: Segment.Segment,
    { sender }: Link
  ): FifoSession {
    const { slot } = message
    const session = new CutThroughSession(this.#outbound, side, segment, sender, message)
    this.#sessions.set(Handle.index(message.session), session)
    this.#localCount++
    this.#locals[slot] = session
    this.#inbox.use(slot)
    return session
  }

  #closeLocal(session: CutThroughSession): void {
    this.#localCount--
    if (this.#locals[session.slot] === session) this.#locals[session.slot] = undefined
  }

  readonly #blocks: Fifo.Blocks = {
    allocate: (bytes) => {
      // memory is short when more than half of it is in use
      const short = bytes > Fifo.LARGE_BLOCK && this.#arenas.used * 2 > this.#arenas.capacity
      const place = short ? undefined : this.#arenas.allocate(bytes)
      if (place === undefined && !this.#segmentAsked) {
        this.#segmentAsked = true
        this.#outbound.control({ _tag: "needSegment", bytes: Math.min(bytes, Fifo.LARGE_BLOCK) })
      }
      return place
    },
    free: (place) => {
      this.#arenas.free(place)
      if (this.#starved.size > 0) queueMicrotask(this.#feed)
    },
    view: (index) => this.#segments.get(index)!.bytes
  }

  #onAddSegment(index: number): void {
    const handed = this.#place.receive(index)
    if (handed === undefined) return
    const segment = Segment.make(index, handed.buffer, handed.hostBytes)
    this.#segments.set(index, segment)
    this.#outbound.control({ _tag: "segmentMapped", segment: index })
    if (handed.hostBytes < handed.buffer.byteLength) {
      this.#arenas.add(index, Segment.workerArena(segment))
      this.#added.add(index)
      this.#segmentAsked = false
      queueMicrotask(this.#feed)
    }
  }

  /** Memory has come free: whoever waited for some may try again. */
  readonly #feed = (): void => {
    const starved = [...this.#starved]
    this.#starved.clear()
    for (const session of starved) this.#guard(session, writable)
  }

  // ---- messages to the host

  readonly #outbound: Outbound = {
    io: (kind, index, generation) => {
      if (this.#detached) return
      if (this.#outbox.length === 0 && this.#toHost.io(kind, index, generation, 0) !== Mq.Full) return
      this.#postpone({ _tag: "Io", kind, index, generation })
    },
    control: (message) => {
      if (this.#detached) return
      if (this.#outbox.length === 0 && this.#enqueue(message) !== Mq.Full) return
      this.#postpone(message)
    },
    hot: (session) => void this.#hot.add(session),
    starved: (session) => void this.#starved.add(session),
    released: (session) => {
      this.#sessions.delete(Handle.index(session.handle))
      if (session instanceof CutThroughSession) this.#closeLocal(session)
      this.#hot.delete(session)
      this.#starved.delete(session)
    }
  }

  #aboutOffer(kind: typeof Message.Claimed | typeof Message.Passed, session: Handle.SessionHandle): void {
    this.#outbound.io(kind, Handle.index(session), Handle.generation(session))
  }

  #enqueue(message: WaitingIo | Message.Message): Mq.EnqueueResult {
    return message._tag === "Io"
      ? this.#toHost.io(message.kind, message.index, message.generation, 0)
      : this.#toHost.control(this.#words, Message.encode(message, this.#words))
  }

  #postpone(message: WaitingIo | Message.Message): void {
    this.#outbox.push(message)
    this.#flushOutbox()
  }

  /** Sends what waits, as far as it fits; asks for room, then looks again, since room made before is not signalled. */
  #flushOutbox(): void {
    for (let asked = false;; asked = true) {
      let sent = 0
      while (sent < this.#outbox.length && this.#enqueue(this.#outbox[sent]!) !== Mq.Full) sent++
      if (sent > 0) this.#outbox.splice(0, sent)
      if (this.#outbox.length === 0 || asked) return
      // the host can only make room of what it sees
      this.#toHost.flush()
      this.#toHost.wantRoom()
    }
  }

  // ---- what the service around it uses

  /** Asks the host and hears the answer; `undefined` when the worker is detached first. Returns how to cancel it. */
  request(
    message: (request: number) => Message.Of<"listen" | "unlisten" | "connect">,
    done: (reply: Reply | undefined) => void
  ): () => void {
    if (this.#detached) {
      done(undefined)
      return () => {}
    }
    const request = this.#request++ >>> 0
    this.#requests.set(request, done)
    const sent = message(request)
    this.#outbound.control(sent)
    return () => {
      if (!this.#requests.delete(request) || sent._tag !== "connect") return
      this.#outbound.control({ _tag: "cancelConnect", request })
    }
  }

  listening(listener: Handle.ListenerHandle, endpoint: string, accept: (session: Session) => void): void {
    this.#listeners.set(listener, accept)
    this.#endpoints.set(
      listener,
      Result.match(Endpoint.parse(endpoint), { onFailure: () => endpoint, onSuccess: Endpoint.format })
    )
  }

  notListening(listener: Handle.ListenerHandle): void {
    this.#listeners.delete(listener)
    this.#endpoints.delete(listener)
  }

  /** The session that a reply is about which says that a connect has succeeded. */
  connected(reply: Connected): Session | undefined {
    const segment = this.#segments.get(reply.segment)
    if (segment === undefined) return undefined
    if (reply._tag === "connected") return this.#open(reply, segment)
    const link = this.#links.get(reply.link)
    return link === undefined ? undefined : this.#openLocal(reply, "client", segment, link)
  }

  /** Gives back the memory of fifos that were not written to since the last call. */
  trim(): void {
    // a request that was refused may be made again
    this.#segmentAsked = false
    for (const session of this.#hot) if (session.trim()) this.#hot.delete(session)
    for (const index of this.#added) {
      if (!this.#arenas.isEmpty(index)) continue
      this.#added.delete(index)
      this.#arenas.remove(index)
      this.#outbound.control({ _tag: "segmentUnused", segment: index })
    }
  }

  /** Ends everything here without a word to the host, which is gone or has given this worker up. */
  detach(): void {
    if (this.#detached) return
    this.#detached = true
    this.#reading.end()
    for (const done of this.#requests.values()) done(undefined)
    this.#requests.clear()
    for (const session of this.#sessions.values()) this.#guard(session, detached)
    this.#sessions.clear()
    for (const handle of this.#moving.keys()) this.#place.receiveSocket(handle)?.resetAndDestroy()
    this.#moving.clear()
    for (const below of this.#handshakes.values()) below.resetAndDestroy()
    this.#handshakes.clear()
    this.#locals.length = 0
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
    this.#listeners.clear()
    this.#outbox.length = 0
  }
}

const givenUp: Refusal.Refusal = { reason: "Detached", detail: "the host has given this worker up" }

/** The error that a reply stands for. A reason that the operation can't fail with is a fault of the host's. */
const failure = <R extends Refusal.Reason, E>(
  reply: Reply | undefined,
  isReason: (reason: Refusal.Reason) => reason is R,
  make: (reason: R, detail: string) => E
): Effect.Effect<never, E> => {
  const { detail, reason } = reply?._tag === "failed" ? reply : givenUp
  return isReason(reason)
    ? Effect.fail(make(reason, detail))
    : Effect.die(new Error(`the host has answered "${reason}" to a request that can't fail so: ${detail}`))
}

const isConnectFailure = (reason: Refusal.Reason): reason is Refusal.ConnectReason | Refusal.Why =>
  Refusal.isConnectReason(reason) || Refusal.isWhy(reason)

/** The service of a client, for the scope's life. The app's layer runs inside that scope. */
export const make = Effect.fnUntraced(function*(
  start: WorkerStart,
  place: WorkerPlace
): Effect.fn.Return<{ readonly client: WorkerLoop; readonly sessions: Sessions["Service"] }, never, Scope.Scope> {
  const client = new WorkerLoop(start, place)
  yield* place.doorbell.listen(client.wake)
  yield* Effect.addFinalizer(() => Effect.sync(() => client.detach()))
  yield* Effect.sync(() => client.trim()).pipe(
    Effect.repeat(Schedule.spaced(start.trimInterval)),
    Effect.forkScoped
  )

  const request = (
    message: (request: number) => Message.Of<"listen" | "unlisten" | "connect">
  ): Effect.Effect<Reply | undefined> =>
    Effect.callback((resume) => {
      const cancel = client.request(message, (reply) => resume(Effect.succeed(reply)))
      return Effect.sync(cancel)
    })

  const listen = Effect.fnUntraced(function*(
    endpoint: string,
    accept: (session: Session) => void,
    { backlog = 0, ipv6Only = false }: ListenOptions = {}
  ) {
    const flags = ipv6Only ? Message.IPV6_ONLY : 0
    // uninterruptible: a listener that the host has made must be known here, or nobody would ever end it
    return yield* Effect.acquireRelease(
      Effect.callback<Listener, ListenFailed>((resume) => {
        client.request((id) => ({ _tag: "listen", request: id, endpoint, backlog, flags }), (reply) => {
          if (reply?._tag === "bound") {
            client.listening(reply.listener, endpoint, accept)
            return resume(Effect.succeed({ handle: reply.listener, local: reply.local }))
          }
          resume(
            failure(
              reply,
              Refusal.isListenReason,
              (reason, detail) => new ListenFailed({ endpoint, reason: { _tag: reason, detail } })
            )
          )
        })
      }),
      (listener) =>
        request((id) => ({ _tag: "unlisten", request: id, listener: listener.handle })).pipe(
          Effect.andThen(Effect.sync(() => client.notListening(listener.handle)))
        )
    )
  })

  const unlisten = Effect.fnUntraced(function*(listener: Handle.ListenerHandle) {
    const reply = yield* request((id) => ({ _tag: "unlisten", request: id, listener }))
    if (reply?._tag === "unlistened") return client.notListening(listener)
    return yield* failure(
      reply,
      Refusal.isUnlistenReason,
      (reason, detail) => new UnlistenFailed({ listener: Handle.format(listener), reason: { _tag: reason, detail } })
    )
  })

  const connect = Effect.fnUntraced(function*(endpoint: string, { source = "", timeout }: ConnectOptions = {}) {
    const millis = timeout === undefined
      ? 0
      : Math.min(Math.max(1, Math.ceil(Duration.toMillis(timeout))), LONGEST_TIMEOUT)
    return yield* Effect.acquireRelease(
      Effect.callback<Session, ConnectFailed>((resume) => {
        const ask = (request: number) => ({ _tag: "connect" as const, request, endpoint, source, timeout: millis })
        const cancel = client.request(ask, (reply) => {
          const session = reply !== undefined && isConnected(reply) ? client.connected(reply) : undefined
          if (session !== undefined) return resume(Effect.succeed(session))
          resume(failure(reply, isConnectFailure, (reason, detail) =>
            new ConnectFailed({
              endpoint,
              reason: Refusal.isWhy(reason) ? { _tag: "Refused", why: reason, detail } : { _tag: reason, detail }
            })))
        })
        return Effect.sync(cancel)
      }),
      (session) => Effect.sync(() => session.close()),
      { interruptible: true }
    )
  })

  const sessions = Sessions.of({
    worker: start.info,
    endpoints: start.endpoints,
    config: start.config,
    listen,
    unlisten,
    connect,
    draining: Deferred.await(client.draining),
    open: Effect.sync(() => client.sessions)
  })
  return { client, sessions }
})
