/**
 * A host that does nothing but set up and end cut-through sessions between in-process workers (W16): it hands over
 * segments and links, offers what a worker connects to to the first worker, and passes on how the sides end.
 *
 * Workers are real session clients. What the host hears and says is recorded, and a test may hold it back or say what
 * it likes.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as CutThroughSegment from "../../src/domain/memory/CutThroughSegment.ts"
import * as Inbox from "../../src/domain/memory/Inbox.ts"
import * as Message from "../../src/domain/memory/Message.ts"
import { QueueConsumer, type Sink } from "../../src/domain/memory/QueueConsumer.ts"
import * as Mq from "../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../src/domain/memory/QueueProducer.ts"
import * as Segment from "../../src/domain/memory/Segment.ts"
import * as SessionBlock from "../../src/domain/memory/SessionBlock.ts"
import * as AppOptions from "../../src/domain/options/Options.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import * as Bells from "../../src/layers/stack/Bells.ts"
import * as SessionsService from "../../src/layers/worker/SessionsService.ts"
import type { WorkerLoop } from "../../src/layers/worker/WorkerLoop.ts"
import type { WorkerStart } from "../../src/layers/worker/WorkerPlace.ts"
import type { DoorbellShape } from "../../src/services/Doorbell.ts"
import type { Session, Sessions, WorkerInfo } from "../../src/services/Sessions.ts"
import { settled } from "./until.ts"

const geometry: Mq.Geometry = { indexQueue: 64, ioRing: 64, controlRing: 64 }
const BYTES = 256 * 1024

export const endpoint = "local://service"

/** A worker, as the host has it. */
export class Worker {
  readonly inbox = new SharedArrayBuffer(Inbox.INBOX_BYTES)
  readonly segments = new Map<number, Segment.Segment>()
  /** Rings of other workers that this one has heard. */
  rings = 0
  loop!: WorkerLoop
  /** What the host is said to have written that makes no sense. */
  readonly faults: Array<string> = []
  sessions!: Sessions["Service"]
  /** What the application's handlers have thrown. */
  readonly thrown: Array<unknown> = []
  /** Tags of the messages that it has sent, and `io <kind>`. */
  readonly said: Array<string> = []
  readonly links = new Map<Worker, number>()
  readonly handedSegments = new Map<number, { readonly buffer: ArrayBufferLike; readonly hostBytes: number }>()
  readonly handedLinks = new Map<number, { readonly inbox: SharedArrayBuffer; readonly bell: DoorbellShape }>()
  readonly closedLinks: Array<number> = []
  readonly toWorker: QueueProducer
  readonly toHost: QueueConsumer
  readonly start: WorkerStart
  readonly workerSide: DoorbellShape
  nextSegment = 1
  nextLink = 0
  nextSlot: number
  listener: Handle.ListenerHandle | undefined
  readonly #words = new Int32Array(Mq.CONTROL_WORDS)

  constructor(index: number, firstSlot: number, [hostSide, workerSide]: readonly [DoorbellShape, DoorbellShape]) {
    const buffer = new ArrayBuffer(BYTES)
    const queues = Segment.queues(buffer, geometry)
    this.nextSlot = firstSlot
    this.workerSide = workerSide
    this.toWorker = new QueueProducer(queues.toWorker, geometry, hostSide.ring)
    this.toHost = new QueueConsumer(queues.toHost, geometry)
    this.start = {
      info: {
        app: "app",
        appIndex: 0 as WorkerInfo["appIndex"],
        workerIndex: index as WorkerInfo["workerIndex"],
        worker: index as WorkerInfo["worker"],
        kind: "in-process",
        restarts: 0
      },
      endpoints: [],
      config: undefined,
      geometry,
      buffer,
      hostBytes: Segment.firstHostBytes(BYTES, queues.bytes),
      inbox: this.inbox,
      memoryLimit: BYTES,
      rxFifoSize: 4096,
      txFifoSize: 4096,
      times: { listener: AppOptions.defaults.listener, listeners: {} },
      trimInterval: 1000
    }
  }

  send(message: Message.Message): void {
    this.toWorker.control(this.#words, Message.encode(message, this.#words))
  }
}

/** One side of a session. */
interface Side {
  readonly worker: Worker
  readonly handle: Handle.SessionHandle
  readonly segment: number
  readonly slot: number
  peer: Side | undefined
  ended: boolean
  over: boolean
  /** The application has given it up: it hears of no end any more. */
  released: boolean
}

/** A connect under way. */
interface Offer {
  readonly client: Worker
  readonly request: number
  readonly buffer: SharedArrayBuffer
  readonly clientSlot: number
  readonly server: Side
}

export interface Options {
  readonly workers?: number
  readonly sizes?: CutThroughSegment.Sizes
  /** Slot of each worker's first session. */
  readonly firstSlot?: number
}

export class LocalHost {
  readonly workers: Array<Worker> = []
  readonly sizes: CutThroughSegment.Sizes
  /** While it is set, what the workers say stays unread. */
  held = false
  /** Segments that were made, in order. */
  readonly made: Array<Segment.Segment> = []
  /** What the first worker does with a session. */
  accept: (session: Session) => void = () => {}
  /** Segments that are still there. */
  segments = 0
  readonly #sides = new Map<Handle.SessionHandle, Side>()
  readonly #offers = new Map<Handle.SessionHandle, Offer>()
  #handles = 0

  constructor(sizes: CutThroughSegment.Sizes) {
    this.sizes = sizes
  }

  /** Reads what a worker has said. */
  look(worker: Worker): void {
    if (this.held) return
    do {
      while (worker.toHost.drain(32, this.#sink(worker)) > 0);
      worker.toHost.grantRoom()
    } while (!worker.toHost.sleep())
  }

  /** Reads what was held back. */
  release(): void {
    this.held = false
    for (const worker of this.workers) this.look(worker)
  }

  #sink(worker: Worker): Sink {
    return {
      io: (kind, index, generation) => {
        worker.said.push(`io ${kind}`)
        const handle = Handle.make<Handle.SessionHandle>(index, generation)
        if (kind === Message.Claimed) this.#claimed(handle)
        if (kind === Message.Passed) this.#passed(handle)
      },
      control: (words, start, length) => {
        const message = Message.decode(words, start, length)!
        worker.said.push(message._tag)
        this.#hear(worker, message)
      }
    }
  }

  #hear(worker: Worker, message: Message.Message): void {
    switch (message._tag) {
      case "listen": {
        worker.listener = Handle.make<Handle.ListenerHandle>(worker.start.info.worker, 1)
        worker.send({ _tag: "bound", request: message.request, listener: worker.listener, local: message.endpoint })
        return
      }
      case "unlisten":
        return worker.send({ _tag: "unlistened", request: message.request, listener: message.listener })
      case "connect":
        return this.#offer(worker, message.request)
      case "end":
        return this.#end(message.session)
      case "close":
        return this.#close(message.session)
      case "abort":
        return this.#finish(message.session, "the connection was given up", "the peer reset the connection")
      case "release":
        return this.#released(message.session)
    }
  }

  #link(from: Worker, to: Worker): number {
    const known = from.links.get(to)
    if (known !== undefined) return known
    const [mine, theirs] = Bells.pairUnsafe()
    const announce = (worker: Worker, peer: Worker, bell: DoorbellShape): number => {
      const number = worker.nextLink++
      worker.handedLinks.set(number, { inbox: peer.inbox, bell })
      worker.send({ _tag: "addLink", link: number })
      return number
    }
    const number = announce(from, to, mine)
    to.links.set(from, announce(to, from, theirs))
    from.links.set(to, number)
    return number
  }

  #side(worker: Worker, buffer: SharedArrayBuffer, slot: number): Side {
    const segment = worker.nextSegment++
    const handle = Handle.make<Handle.SessionHandle>(this.#handles++, 1)
    worker.handedSegments.set(segment, { buffer, hostBytes: buffer.byteLength })
    worker.send({ _tag: "addSegment", segment })
    const side: Side = { worker, handle, segment, slot, peer: undefined, ended: false, over: false, released: false }
    this.#sides.set(handle, side)
    return side
  }

  #offer(client: Worker, request: number): void {
    const server = this.workers[0]!
    const buffer = new SharedArrayBuffer(CutThroughSegment.byteLength(this.sizes))
    const segment = Segment.make(0, buffer, buffer.byteLength)
    SessionBlock.reset(segment, 0)
    this.made.push(segment)
    this.segments++
    const side = this.#side(server, buffer, server.nextSlot++)
    const clientSlot = client.nextSlot++
    this.#offers.set(side.handle, { client, request, buffer, clientSlot, server: side })
    server.send({
      _tag: "cutThroughAccepted",
      session: side.handle,
      listener: server.listener!,
      segment: side.segment,
      link: this.#link(server, client),
      slot: side.slot,
      peerSlot: clientSlot,
      rxBytes: this.sizes.toServer,
      txBytes: this.sizes.toClient,
      remote: "local://client",
      local: endpoint
    })
  }

  /** Takes back all offers that run. */
  revoke(): void {
    for (const { server } of this.#offers.values()) {
      SessionBlock.endOffer(Segment.make(0, server.worker.handedSegments.get(server.segment)!.buffer, 0), 0, 3)
    }
  }

  #claimed(handle: Handle.SessionHandle): void {
    const { buffer, client, clientSlot, request, server } = this.#offers.get(handle)!
    this.#offers.delete(handle)
    const side = this.#side(client, buffer, clientSlot)
    side.peer = server
    server.peer = side
    client.send({
      _tag: "cutThroughConnected",
      request,
      session: side.handle,
      segment: side.segment,
      link: this.#link(client, server.worker),
      slot: clientSlot,
      peerSlot: server.slot,
      rxBytes: this.sizes.toClient,
      txBytes: this.sizes.toServer,
      remote: endpoint,
      local: "local://client"
    })
  }

  #passed(handle: Handle.SessionHandle): void {
    const { client, request, server } = this.#offers.get(handle)!
    this.#offers.delete(handle)
    this.#sides.delete(handle)
    server.worker.send({ _tag: "deleteSegment", segment: server.segment })
    this.segments--
    client.send({ _tag: "failed", request, reason: "no-worker", detail: "nobody took it" })
  }

  #end(handle: Handle.SessionHandle): void {
    const side = this.#sides.get(handle)!
    if (side.ended || side.over) return
    side.ended = true
    const { peer } = side
    peer?.worker.send({ _tag: "disconnected", session: peer.handle })
    if (peer?.ended === true) this.#finish(handle)
  }

  #close(handle: Handle.SessionHandle): void {
    const side = this.#sides.get(handle)!
    if (side.over) return
    if (!side.ended) side.peer?.worker.send({ _tag: "disconnected", session: side.peer.handle })
    this.#finish(handle)
  }

  #finish(handle: Handle.SessionHandle, mine?: string, theirs?: string): void {
    const side = this.#sides.get(handle)!
    if (side.over) return
    const close = (one: Side, reset: string | undefined): void => {
      one.over = true
      if (reset !== undefined) one.worker.send({ _tag: "reset", session: one.handle, reason: reset })
      one.worker.send({ _tag: "cleanup", session: one.handle })
    }
    if (side.peer !== undefined) close(side.peer, theirs)
    close(side, mine)
  }

  #released(handle: Handle.SessionHandle): void {
    const side = this.#sides.get(handle)!
    if (side.released || !side.over) throw new Error("a session was released that was not to be, or twice")
    side.released = true
    const { peer } = side
    if (peer?.released !== true) return
    this.segments--
    for (const one of [side, peer]) {
      one.worker.send({ _tag: "deleteSegment", segment: one.segment })
      this.#sides.delete(one.handle)
    }
  }

  /** The worker is gone: whoever it was connected to gets a reset, and its links go. */
  crash(worker: Worker): void {
    worker.loop.detach()
    for (const side of this.#sides.values()) {
      const { peer } = side
      if (side.worker !== worker || side.over || peer === undefined) continue
      side.over = true
      side.released = true
      peer.over = true
      peer.worker.send({ _tag: "reset", session: peer.handle, reason: "the worker has gone" })
      peer.worker.send({ _tag: "cleanup", session: peer.handle })
    }
    for (const peer of this.workers) {
      const link = peer.links.get(worker)
      if (peer === worker || link === undefined) continue
      peer.links.delete(worker)
      peer.send({ _tag: "deleteLink", link })
    }
  }
}

export const make = Effect.fnUntraced(
  function*(options: Options = {}): Effect.fn.Return<LocalHost, never, Scope.Scope> {
    const host = new LocalHost(options.sizes ?? { toServer: 4096, toClient: 4096 })
    for (let index = 0; index < (options.workers ?? 2); index++) {
      const [hostSide, workerSide] = Bells.pairUnsafe()
      const worker = new Worker(index, options.firstSlot ?? 0, [hostSide, workerSide])
      host.workers.push(worker)
      yield* hostSide.listen(() => host.look(worker))
      const run = yield* FiberSet.makeRuntime<never, never, never>()
      const { loop, sessions } = yield* SessionsService.make(worker.start, {
        doorbell: workerSide,
        receive: (segment) => worker.handedSegments.get(segment),
        receiveSocket: () => undefined,
        returnSocket: () => false,
        receiveCertificates: () => [],
        tls: undefined,
        receiveLink: (number, wake) => {
          const link = worker.handedLinks.get(number)!
          const heard = (): void => {
            worker.rings++
            wake()
          }
          const fiber = run(Effect.scoped(Effect.andThen(link.bell.listen(heard), Effect.never)))
          return {
            inbox: link.inbox,
            ring: link.bell.ring,
            close: () => {
              worker.closedLinks.push(number)
              fiber.interruptUnsafe()
            }
          }
        },
        spin: 0,
        stop: () => {},
        report: (error) => void worker.thrown.push(error),
        fault: (detail) => void worker.faults.push(detail)
      })
      worker.loop = loop
      worker.sessions = sessions
      loop.wake()
      host.look(worker)
    }
    yield* Effect.orDie(host.workers[0]!.sessions.listen(endpoint, (session) => host.accept(session)))
    return host
  }
)

/** A session, its edges as they were delivered, and what was there at each. */
export interface Watched {
  readonly session: Session
  readonly edges: Array<string>
}

export const watch = (session: Session): Watched => {
  const edges: Array<string> = []
  session.handler = {
    readable: (session) => void edges.push(`readable ${session.available}`),
    writable: () => void edges.push("writable"),
    ended: () => void edges.push("ended"),
    closed: (_, reset) => void edges.push(reset === undefined ? "closed" : `closed: ${reset}`)
  }
  return { session, edges }
}

/** A session between the first worker, which serves, and another one, watched from the start. */
export const connect = Effect.fnUntraced(function*(host: LocalHost, from = 1) {
  let server: Watched | undefined
  host.accept = (session) => {
    server = watch(session)
  }
  const client = watch(yield* host.workers[from]!.sessions.connect(endpoint))
  yield* settled
  return { server: server!, client, segment: host.made.at(-1)! }
})
