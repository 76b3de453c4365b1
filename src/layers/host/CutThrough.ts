/**
 * A cut-through session as the host sees it (W16): two workers, one segment, and nobody in between.
 *
 * ```
 * connect ── the server's end arrives at the listener ── offer: a session and a segment for that worker ── claimed
 *                                    ▲                        │ taken back                                   │
 *                                    └────────────────────────┘               the client's session, connected
 * ```
 *
 * Each offer has a segment of its own. When a worker has claimed the offer, the segment becomes the client's too, and
 * the client is told that it is connected; so the server always comes first. From there on the two workers move bytes
 * and wake each other without the host, over the link between them. The host passes on how the session ends: see
 * {@link CutThroughEnd}. The segment is freed once, on both sides, when both sessions are free.
 */
import { constVoid } from "effect/Function"
import * as CutThroughSegment from "../../domain/memory/CutThroughSegment.ts"
import type * as Message from "../../domain/memory/Message.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { ListenerHandle } from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import { CutThroughEnd, CutThroughHostSession, type EndOwner } from "./CutThroughEnd.ts"
import type { CutThroughs } from "./CutThroughs.ts"
import type { HostSession, Origin } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { LiveWorker } from "./Worker.ts"

/** Why a connect did not become a session. */
export type Failure = Refusal.Refusal<Refusal.ConnectReason | Refusal.Why>

/** What became of a connect: `undefined` when it is a session. */
export type Outcome = Failure | undefined

/** The origin of sessions that belong to connects: they were never on offer. */
export const connectOrigin: Origin = {
  times: undefined,
  listener: undefined,
  moves: undefined,
  claimed: ({ worker }) => worker.fault("the worker claimed a session that it had asked for itself"),
  passed: () => {},
  insecure: () => false,
  unmoved: constVoid,
  refused: () => false,
  takeBack: () => {},
  giveUp: () => {},
  ended: () => {},
  lost: () => {},
  sessionFreed: () => {}
}

/** A worker's name in the addresses of cut-through sessions. */
const nameOf = ({ slot }: LiveWorker): string =>
  Endpoint.format({ _tag: "local", name: `app${slot.app.index}.worker${slot.mapIndex}` })

/** The rings' sizes are those of the application that serves (W4, W5). */
const sizesOf = ({ slot }: LiveWorker): CutThroughSegment.Sizes => {
  const { rxFifoSize, txFifoSize } = slot.app.options.segment
  return { toServer: rxFifoSize, toClient: txFifoSize }
}

/** A connect to a listener in local scope, and the two sessions that come of it, until both are free. */
export class CutThrough implements EndOwner {
  readonly endpoint: string
  readonly since: number
  /** Its number among those that were connected, in that order. */
  serial = 0
  readonly #all: CutThroughs
  readonly #worker: LiveWorker
  readonly #slot: number
  readonly #request: number
  readonly #ends: ReturnType<typeof CutThroughEnd.makeBoth>
  readonly #done: (outcome: Outcome) => void
  /** The session that is on offer, and later the one that was claimed. */
  #server: CutThroughHostSession | undefined
  #client: CutThroughHostSession | undefined
  #settled = false

  /** `slot`: the place of the client's session in its worker's inbox. `done` hears the outcome, once. */
  constructor(
    all: CutThroughs,
    worker: LiveWorker,
    slot: number,
    request: number,
    endpoint: string,
    done: (outcome: Outcome) => void
  ) {
    this.#all = all
    this.#worker = worker
    this.#slot = slot
    this.#request = request
    this.endpoint = endpoint
    this.#done = done
    this.since = all.tables.now()
    this.#ends = CutThroughEnd.makeBoth(nameOf(worker), endpoint, this)
  }

  /** Both sessions, once the client is connected. */
  get sessions(): { readonly client: CutThroughHostSession; readonly server: CutThroughHostSession } | undefined {
    const client = this.#client
    const server = this.#server
    return client === undefined || server === undefined ? undefined : { client, server }
  }

  /** Bytes of the segment that the two sessions share. */
  static segmentBytes(server: HostSession): number {
    return CutThroughSegment.byteLength(sizesOf(server.worker))
  }

  // ---- before it is connected

  /** Asks the listener for a session. */
  arrive(listener: HostListener): void {
    listener.intake.arrive(this.#ends.server)
  }

  offerTo(worker: LiveWorker, origin: Origin): HostSession | undefined {
    const slot = worker.takeSlot()
    if (slot === undefined) return undefined
    const { cutThrough } = worker.segments
    const segment = cutThrough.create(CutThroughSegment.byteLength(sizesOf(worker)), this.#worker)
    if (segment !== undefined) SessionBlock.reset(segment, 0)
    const session = segment === undefined ? undefined : this.#enter(worker, origin, "server", segment.index, slot)
    if (session !== undefined) return this.#server = session
    worker.freeSlot(slot)
    if (segment !== undefined) cutThrough.free(segment.index)
    return undefined
  }

  #enter(
    worker: LiveWorker,
    origin: Origin,
    side: "client" | "server",
    segment: number,
    slot: number
  ): CutThroughHostSession | undefined {
    const { tables } = this.#all
    const home = { worker, origin, place: { segment, offset: 0 }, since: tables.now() }
    return tables.enter((handle) => new CutThroughHostSession(handle, home, this.#ends[side], slot))
  }

  offerMessage(session: CutThroughHostSession, listener: ListenerHandle): Message.Of<"cutThroughAccepted"> {
    const { toClient, toServer } = sizesOf(session.worker)
    const { local, remote } = this.#ends.server
    return {
      _tag: "cutThroughAccepted",
      session: session.handle,
      listener,
      segment: session.place.segment,
      link: this.#all.link(session.worker, this.#worker),
      slot: session.slot,
      peerSlot: this.#slot,
      rxBytes: toServer,
      txBytes: toClient,
      remote,
      local
    }
  }

  refused(reason: Ledger.RefuseReason, detail: string): void {
    this.#fail({ reason, detail })
  }

  /** The client has withdrawn its request. */
  cancel(): void {
    if (this.#settled) return
    this.#settled = true
    this.#worker.freeSlot(this.#slot)
    const { onGone } = this.#ends.server
    if (onGone !== undefined) onGone()
    else this.#server?.origin.giveUp(this.#server)
  }

  #fail(why: Failure): void {
    if (this.#settled) return
    this.#settled = true
    this.#worker.freeSlot(this.#slot)
    this.#done(why)
  }

  // ---- connected

  /** The server has claimed the session: now the client is told. */
  claimed(): string | undefined {
    const worker = this.#worker
    const server = this.#server
    if (this.#settled || server === undefined) return "the client has given up"
    const why = this.#all.whyNoConnect(worker)
    if (why !== undefined) {
      this.#fail(why)
      return `the client can't have it: ${why.reason}: ${why.detail}`
    }
    const { cutThrough } = worker.segments
    const segment = cutThrough.adopt(server.segment.buffer)
    const session = this.#enter(worker, connectOrigin, "client", segment.index, this.#slot)
    if (session === undefined) {
      cutThrough.free(segment.index)
      this.#fail({ reason: "host-limit", detail: "the host has no room for another session" })
      return "the client can't have it"
    }
    this.#client = session
    this.#settled = true
    this.serial = this.#all.made++
    this.#all.connected.add(this)
    session.connected(this.#connectedMessage(session, server))
    session.open()
    this.#done(undefined)
    return undefined
  }

  #connectedMessage(client: CutThroughHostSession, server: CutThroughHostSession): Message.Of<"cutThroughConnected"> {
    const { toClient, toServer } = sizesOf(server.worker)
    const { local, remote } = this.#ends.client
    return {
      _tag: "cutThroughConnected",
      request: this.#request,
      session: client.handle,
      segment: client.place.segment,
      link: this.#all.link(client.worker, server.worker),
      slot: client.slot,
      peerSlot: server.slot,
      rxBytes: toClient,
      txBytes: toServer,
      remote,
      local
    }
  }

  // ---- the end

  /** A session is free. Its segment is freed with it, unless the session at the other end still uses it. */
  freed(session: CutThroughHostSession): void {
    const server = this.#server
    const client = this.#client
    if (session !== server && session !== client) return this.#freeSegment(session)
    if (server?.state !== "TRANSPORT_DELETED" || client !== undefined && client.state !== "TRANSPORT_DELETED") return
    this.#freeSegment(server)
    if (client === undefined) return
    this.#freeSegment(client)
    this.#all.connected.delete(this)
  }

  #freeSegment({ place, worker }: CutThroughHostSession): void {
    // the client may need a segment of that size again, if the client is still there
    const keep = this.#worker.slot.live === this.#worker
    if (worker.slot.live === worker) worker.segments.cutThrough.free(place.segment, keep)
  }
}
