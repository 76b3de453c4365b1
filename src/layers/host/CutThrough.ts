/**
 * Cut-through sessions as the host sees them (W16): two workers, one segment, and nobody in between.
 *
 * A local connect arrives at the listener like any connection: as the {@link ServerEnd} of a {@link CutThrough}. With
 * each offer goes a segment of its own. When a worker has claimed the offer its segment becomes the client's too, and
 * the client is told that it is connected; so the server always comes first. From there on the two workers move bytes
 * and wake each other without the host, over a link that each pair of workers has. The host passes on how it ends:
 *
 * | what one side does | what the other one hears |
 * |---|---|
 * | `end` | the end of that side; when both have ended, the connection is over |
 * | `close` | the end of that side, and the end of the connection; what was written before can still be read |
 * | `abort`, or `close` with unread bytes | a reset |
 * | its worker goes away | a reset |
 *
 * The segment goes, on both sides and once, when both sessions are free.
 *
 * @since 0.1.0
 */
import * as CutThroughSegment from "../../domain/memory/CutThroughSegment.ts"
import type * as Fifo from "../../domain/memory/Fifo.ts"
import type * as Message from "../../domain/memory/Message.ts"
import type { Segment } from "../../domain/memory/Segment.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { ListenerHandle } from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { Connection, ConnectionEnd } from "../../services/Transport.ts"
import * as Links from "../stack/Links.ts"
import type { HostSession, Origin } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker } from "./Worker.ts"

/** Why a connect did not become a session. */
export type Failure = Refusal.Refusal<Refusal.ConnectReason | Refusal.Why>

/** What became of a connect: `undefined` when it is a session. */
export type Outcome = Failure | undefined

/** The segment that goes with one offer. */
interface Offered {
  readonly session: HostSession
  readonly segment: Segment
  readonly slot: number
  /** Its number among the client's segments, once it has been given to the client. */
  clientSegment: number | undefined
  /** Sessions that use it. */
  users: number
}

/** How a worker is called in the addresses of cut-through sessions. */
const nameOf = ({ slot }: LiveWorker): string =>
  Endpoint.format({ _tag: "local", name: `app${slot.app.index}.worker${slot.mapIndex}` })

/** Where sessions of connects come from: nothing was ever on offer. */
export const connectOrigin: Origin = {
  listener: undefined,
  claimed: ({ worker }) => worker.fault("the worker claimed a session that it had asked for itself"),
  passed: () => {},
  insecure: () => false,
  takeBack: () => {},
  sessionFreed: () => {}
}

/** One side of a cut-through session, in the place of a connection. Bytes never come here. */
class End implements Connection {
  readonly remote: string
  readonly local: string
  readonly cutThrough = true
  onGone: (() => void) | undefined
  protected session: ConnectionEnd | undefined
  #ended = false
  #over = false
  peer: End | undefined

  constructor(local: string, remote: string) {
    this.local = local
    this.remote = remote
  }

  open(end: ConnectionEnd): void {
    this.session = end
  }
  resume(): void {}
  send(): void {}

  end(): void {
    if (this.#ended || this.#over) return
    this.#ended = true
    // never inside the call that caused it
    queueMicrotask(() => {
      if (this.#over) return
      const { peer } = this
      if (peer === undefined) return
      peer.session?.ended()
      if (peer.#ended) this.#finish(undefined, undefined)
    })
  }

  close(): void {
    queueMicrotask(() => {
      if (this.#over) return
      if (!this.#ended) this.peer?.session?.ended()
      this.#finish(undefined, undefined)
    })
  }

  abort(): void {
    queueMicrotask(() => this.#finish("the connection was given up", "the peer reset the connection"))
  }

  /** The connection is over: why, for this side and for the other. */
  #finish(mine: string | undefined, theirs: string | undefined): void {
    if (this.#over) return
    const { peer } = this
    this.#over = true
    if (peer !== undefined) {
      peer.#over = true
      peer.session?.closed(theirs)
    }
    this.session?.closed(mine)
  }
}

/** The server's side, which arrives at a listener. */
export class ServerEnd extends End {
  readonly pair: CutThrough

  constructor(local: string, remote: string, pair: CutThrough) {
    super(local, remote)
    this.pair = pair
  }

  /** A worker has claimed the session. */
  override open(end: ConnectionEnd): void {
    super.open(end)
    const why = this.pair.accepted(end as HostSession)
    if (why !== undefined) queueMicrotask(() => end.closed(why))
  }

  override abort(why?: Ledger.RefuseReason): void {
    // before it was claimed this is the listener's refusal; without a reason, the worker is gone that it was on offer to
    if (this.session === undefined) this.pair.refused(why ?? "no-worker")
    else super.abort()
  }
}

/** Blocks of a cut-through segment are not allocated: freeing the session is what counts. */
const blocksOf = (free: () => void): Fifo.Blocks => ({
  allocate: () => undefined,
  free,
  view: () => {
    throw new Error("the host has no part in the bytes of a cut-through session")
  }
})

/** A cut-through session, from the connect on until both its sides are free. */
export class CutThrough {
  readonly client: LiveWorker
  readonly request: number
  readonly endpoint: string
  readonly since: number
  readonly #host: HostLocal
  readonly #clientSlot: number
  readonly #clientEnd: End
  readonly #serverEnd: ServerEnd
  readonly #done: (outcome: Outcome) => void
  /** The offer that runs, then the one that was claimed. */
  offered: Offered | undefined
  clientSession: HostSession | undefined
  #listener: HostListener | undefined
  #settled = false

  constructor(
    host: HostLocal,
    client: LiveWorker,
    slot: number,
    request: number,
    endpoint: string,
    done: (outcome: Outcome) => void
  ) {
    const name = nameOf(client)
    this.#host = host
    this.client = client
    this.request = request
    this.endpoint = endpoint
    this.since = host.tables.now()
    this.#clientSlot = slot
    this.#done = done
    this.#clientEnd = new End(name, endpoint)
    this.#serverEnd = new ServerEnd(endpoint, name, this)
    this.#clientEnd.peer = this.#serverEnd
    this.#serverEnd.peer = this.#clientEnd
  }

  arrive(listener: HostListener): void {
    listener.arrive(this.#serverEnd)
  }

  /** A session for the offer to this worker, with a segment of its own. */
  offerTo(worker: LiveWorker, origin: HostListener): HostSession | undefined {
    const { tables } = this.#host
    const sizes = CutThrough.sizes(worker)
    const slot = worker.takeSlot()
    if (slot === undefined) return undefined
    const segment = worker.segments.local.create(CutThroughSegment.byteLength(sizes), this.client)
    if (segment === undefined) {
      worker.freeSlot(slot)
      return undefined
    }
    SessionBlock.reset(segment, 0)
    const session = tables.enter(
      worker,
      origin,
      this.#serverEnd,
      blocksOf(() => {
        worker.freeSlot(slot)
        this.#release(offered)
      }),
      { segment: segment.index, offset: 0 }
    )
    if (session === undefined) {
      worker.freeSlot(slot)
      worker.segments.local.free(segment.index)
      return undefined
    }
    const offered: Offered = { session, segment, slot, clientSegment: undefined, users: 1 }
    this.offered = offered
    this.#listener = origin
    return session
  }

  /** The message that offers the session. */
  offerOf(session: HostSession, listener: ListenerHandle): Message.Of<"localAccepted"> {
    const { worker } = session
    const { toClient, toServer } = CutThrough.sizes(worker)
    const { local, remote } = this.#serverEnd
    return {
      _tag: "localAccepted",
      session: session.handle,
      listener,
      segment: session.place.segment,
      link: this.#host.link(worker, this.client),
      slot: this.offered!.slot,
      peerSlot: this.#clientSlot,
      rxBytes: toServer,
      txBytes: toClient,
      remote,
      local
    }
  }

  /** The server has it: now the client is told. Answers why not, when it can't be. */
  accepted(server: HostSession): string | undefined {
    const { client, offered } = this
    if (this.#settled || offered === undefined) return "the client has given up"
    const why = this.#host.whyNoConnect(client)
    if (why !== undefined) {
      this.#settle(why)
      return `the client can't have it: ${why.reason}: ${why.detail}`
    }
    const segment = client.segments.local.adopt(offered.segment.buffer)
    const session = this.#host.tables.enter(
      client,
      connectOrigin,
      this.#clientEnd,
      blocksOf(() => {
        client.freeSlot(this.#clientSlot)
        this.#release(offered)
      }),
      { segment: segment.index, offset: 0 }
    )
    if (session === undefined) {
      client.segments.local.free(segment.index)
      this.#settle({ reason: "host-limit", detail: "the host has no room for another session" })
      return "the client can't have it"
    }
    offered.clientSegment = segment.index
    offered.users++
    this.clientSession = session
    this.#host.pairs.add(this)
    const { toClient, toServer } = CutThrough.sizes(server.worker)
    const { local, remote } = this.#clientEnd
    session.connected({
      _tag: "localConnected",
      request: this.request,
      session: session.handle,
      segment: segment.index,
      link: this.#host.link(client, server.worker),
      slot: this.#clientSlot,
      peerSlot: offered.slot,
      rxBytes: toClient,
      txBytes: toServer,
      remote,
      local
    })
    session.open()
    this.#settled = true
    this.#done(undefined)
    return undefined
  }

  refused(reason: Ledger.RefuseReason): void {
    this.#settle({ reason, detail: `${this.endpoint} takes no session now` })
  }

  /** The client wants it no more. */
  cancel(): void {
    if (this.#settled) return
    this.#settled = true
    this.client.freeSlot(this.#clientSlot)
    if (this.#serverEnd.onGone !== undefined) this.#serverEnd.onGone()
    else if (this.offered !== undefined) this.#listener?.giveUp(this.offered.session)
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    this.client.freeSlot(this.#clientSlot)
    this.#done(outcome)
  }

  /** A session that used the segment is free. */
  #release(offered: Offered): void {
    if (--offered.users > 0) return
    const keep = this.client.slot.live === this.client
    const free = (worker: LiveWorker, segment: number | undefined): void => {
      if (segment !== undefined && worker.slot.live === worker) worker.segments.local.free(segment, keep)
    }
    free(offered.session.worker, offered.segment.index)
    free(this.client, offered.clientSegment)
    if (offered.clientSegment !== undefined) this.#host.pairs.delete(this)
  }

  /** The rings' sizes are those of the application that serves (W4, W5). */
  static sizes({ slot }: LiveWorker): CutThroughSegment.Sizes {
    const { rxFifoSize, txFifoSize } = slot.app.options.segment
    return { toServer: rxFifoSize, toClient: txFifoSize }
  }
}

/** The cut-through sessions of a host, and the links between its workers. */
export class HostLocal {
  readonly tables: Tables
  /** Those that are connected and not free on both sides. */
  readonly pairs = new Set<CutThrough>()
  readonly whyNoConnect: (worker: LiveWorker) => Failure | undefined

  constructor(tables: Tables, whyNoConnect: (worker: LiveWorker) => Failure | undefined) {
    this.tables = tables
    this.whyNoConnect = whyNoConnect
  }

  /**
   * Connects a worker to a listener. `done` hears the outcome, once, unless the connect is cancelled first; how to do so
   * is returned.
   */
  connect(
    client: LiveWorker,
    request: number,
    endpoint: string,
    listener: HostListener,
    done: (outcome: Outcome) => void
  ): () => void {
    const slot = client.takeSlot()
    if (slot === undefined) {
      done({ reason: "no-memory", detail: "the worker has all the cut-through sessions that it may have" })
      return () => {}
    }
    const pair = new CutThrough(this, client, slot, request, endpoint, done)
    pair.arrive(listener)
    return () => pair.cancel()
  }

  /** The number of `from`'s link to `to`, which is made when there is none. */
  link(from: LiveWorker, to: LiveWorker): number {
    const known = from.links.get(to)
    if (known !== undefined) return known
    const [mine, theirs] = Links.makePair(from.slot.kind, to.slot.kind)
    const number = this.#announce(from, to, mine)
    const back = this.#announce(to, from, theirs)
    to.links.set(from, back)
    // a worker that is linked to itself has two numbers for it, and either will do
    from.links.set(to, number)
    return number
  }

  #announce(worker: LiveWorker, peer: LiveWorker, bell: Links.Bell): number {
    const number = worker.nextLink()
    worker.announce(
      { _tag: "addLink", link: number },
      { _tag: "Link", link: { number, inbox: peer.queue.inbox, bell } },
      () => peer.slot.live === peer
    )
    return number
  }

  /** The worker is going: the others are told that their links to it are no more, and keep no memory for it. */
  unlink(worker: LiveWorker): void {
    for (const peer of worker.links.keys()) {
      peer.segments.local.forget(worker)
      const link = peer.links.get(worker)
      if (peer === worker || link === undefined) continue
      peer.links.delete(worker)
      peer.withdraw({ _tag: "deleteLink", link })
    }
    worker.links.clear()
  }
}
