/**
 * Admission: what becomes of a connection between its arrival and its claim by a worker (M6, M15).
 *
 * ```
 * arrive ─ rules ─ limits ─┬─ offer to the next worker that takes offers ─┬─ claimed
 *                          │                       ▲                      ├─ not claimed in time: revoked, and again ─┐
 *                          │                       └──────────────────────┼───────────────────────────────────────────┤
 *                          └─ nobody takes offers ─┬─ hold ───────────────┘  (bounded number, bounded time)           │
 *                                                  └─ refuse (reset)  ◄───────────────────────────────────────────────┘
 * ```
 *
 * A worker that let an offer run out is behind by at least that offer, so it is offered nothing more until it has come
 * past it: only the first connection that meets a blocked worker waits for the revocation.
 *
 * **Affinity** Connections of one key prefer the worker that {@link Affinity} gives the key, and of those that are left
 * the next best: one that takes no offers is passed over as ever (M6). A connection that was held, or whose offer was
 * taken back, is matched again with the workers that there are then.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Affinity from "../../domain/admission/Affinity.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import type { AdmissionOptions } from "../../domain/options/AdmissionOptions.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import type { Arriving, HostSession, Origin } from "./HostSession.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"

/** A connection that waits for a worker. */
interface Held {
  readonly connection: Arriving
  /** Time of `MonotonicTime` at which it is refused. */
  readonly until: number
  over: boolean
}

/** An offer that runs. */
interface Running {
  readonly session: HostSession
  readonly until: number
}

/** A worker's seat at a listener. */
export interface Member {
  readonly slot: WorkerSlot
  /** The start of the worker that listens; `undefined` between two starts. */
  live: LiveWorker | undefined
}

/** What session rules make of a connection that arrives: nothing, a refusal, or another application's listener. */
export type Verdict = undefined | Ledger.RefuseReason | HostListener

/** What a listener needs of the host. */
export interface ListenerHost {
  /** What the session rules say. */
  readonly judge: (connection: Arriving) => Verdict
  /** A session for the connection in the worker's memory, if there is room for one. */
  readonly createSession: (
    worker: LiveWorker,
    listener: HostListener,
    connection: Arriving
  ) => HostSession | undefined
  /** Whether the application has as many sessions as it may. */
  readonly isFull: () => boolean
  readonly draining: () => boolean
  /** Which connections go to the same worker. */
  readonly affinity: ListenerOptions["affinity"]
  readonly warn: (message: string) => void
}

export class HostListener implements Origin {
  readonly handle: Handle.ListenerHandle
  /** The URI that was asked for: by it other workers join. */
  readonly requested: string
  readonly appIndex: number
  /** The URI with the port that was given. */
  local = ""
  /** The workers that serve it. One that is to be started again keeps its seat, which is empty meanwhile. */
  readonly members = new Map<Handle.WorkerMapIndex, Member>()
  readonly arrivals = new Ledger.Arrivals()
  sessions = 0
  readonly #host: ListenerHost
  readonly #options: AdmissionOptions
  readonly #clock: () => number
  readonly #offers: Queue.Queue<Running>
  readonly #holds: Queue.Queue<Held>
  #held: Array<Held> = []
  #last = -1
  /** Hashes of the keys of connections that are not claimed yet: each is asked for once. */
  readonly #keys = new WeakMap<Arriving, number | undefined>()
  #warned = false

  constructor(
    handle: Handle.ListenerHandle,
    requested: string,
    appIndex: number,
    options: AdmissionOptions,
    host: ListenerHost,
    clock: () => number,
    queues: Queues
  ) {
    this.handle = handle
    this.requested = requested
    this.appIndex = appIndex
    this.#options = options
    this.#host = host
    this.#clock = clock
    this.#offers = queues.offers
    this.#holds = queues.holds
  }

  get listener(): Handle.ListenerHandle {
    return this.handle
  }

  /** The listener's name as a user of segment managers. */
  get user(): string {
    return `listener ${Handle.format(this.handle)}`
  }

  // ---- arrival

  readonly arrive = (connection: Arriving): void => {
    this.arrivals.arrived++
    const verdict = this.#host.judge(connection)
    if (verdict === undefined) return this.take(connection)
    if (typeof verdict === "string") return this.#refuse(connection, verdict)
    this.arrivals.redirected++
    verdict.arrivals.arrived++
    verdict.take(connection)
  }

  /** Counts a peer that was sent away before it became a connection. */
  turnAway(reason: Ledger.RefuseReason): void {
    this.arrivals.arrived++
    this.arrivals.refused[reason]++
  }

  /** Takes a connection that no rule forbids. */
  take(connection: Arriving): void {
    const limit = this.#host.draining() ? "draining" : this.#limit
    if (limit !== undefined) this.#refuse(connection, limit)
    // those that wait came first
    else if (this.#held.length > 0 || !this.#place(connection)) this.#hold(connection)
  }

  /** Which limit allows no further session. */
  get #limit(): Ledger.RefuseReason | undefined {
    if (this.#host.isFull()) return "host-limit"
    return this.sessions >= this.#options.maxSessionsPerListener ? "listener-limit" : undefined
  }

  /** Offers the connection to the next worker that takes offers; `false` when there is none, or a limit is reached. */
  #place(connection: Arriving): boolean {
    if (this.#limit !== undefined) return false
    const key = this.#host.affinity === "none" ? undefined : this.#keyOf(connection)
    const tried = new Set<LiveWorker>()
    // one that has no memory, or none yet, leaves it to the next
    for (let tries = this.members.size; tries > 0; tries--) {
      const worker = key === undefined ? this.#next() : this.#preferred(key, tried)
      if (worker === undefined) return false
      const session = this.#host.createSession(worker, this, connection)
      if (session === undefined) continue
      this.#offer(session)
      return true
    }
    return false
  }

  #offer(session: HostSession): void {
    const { slot } = session.worker
    this.sessions++
    slot.offers.offered++
    slot.offers.pending++
    this.arrivals.offered++
    session.offer(this.handle, () => this.undelivered(session))
    Queue.offerUnsafe(this.#offers, { session, until: this.#clock() + this.#options.revokeAfter })
  }

  /** The rotor: the next member after the last one that takes offers. */
  #next(): LiveWorker | undefined {
    const members = [...this.members.values()]
    for (let i = 1; i <= members.length; i++) {
      const at = (this.#last + i) % members.length
      const { live, slot } = members[at]!
      if (live !== undefined && live === slot.live && slot.takesOffers) {
        this.#last = at
        return live
      }
    }
    return undefined
  }

  /** The member that the key prefers of those that take offers and were not tried. */
  #preferred(key: number, tried: Set<LiveWorker>): LiveWorker | undefined {
    let preferred: LiveWorker | undefined
    let most = -1
    for (const { live, slot } of this.members.values()) {
      if (live === undefined || live !== slot.live || !slot.takesOffers || tried.has(live)) continue
      const weight = Affinity.weight(key, slot.mapIndex)
      if (weight <= most) continue
      most = weight
      preferred = live
    }
    if (preferred !== undefined) tried.add(preferred)
    return preferred
  }

  /** The hash of the connection's key; `undefined` when it has none and goes to the next worker. */
  #keyOf(connection: Arriving): number | undefined {
    if (this.#keys.has(connection)) return this.#keys.get(connection)
    const key = this.#askKey(connection)
    const hash = key === undefined ? undefined : Affinity.hash(key)
    this.#keys.set(connection, hash)
    return hash
  }

  #askKey(connection: Arriving): string | number | undefined {
    const { affinity } = this.#host
    const { about, local, remote } = connection
    if (typeof affinity !== "function") return Affinity.source({ remote })
    try {
      const key: unknown = affinity({ remote, local, serverName: about?.tls?.serverName })
      if (key === undefined || typeof key === "string" || typeof key === "number") return key
      this.#warn(`it answered with ${key === null ? "null" : `a value of type ${typeof key}`}`)
    } catch (error) {
      this.#warn(error instanceof Error ? error.message : String(error))
    }
    return undefined
  }

  #warn(fault: string): void {
    if (this.#warned) return
    this.#warned = true
    this.#host.warn(
      `the affinity function of ${this.local} gives no text and no number: ${fault}; `
        + "such connections go to the next worker, and this is said once"
    )
  }

  /** Nobody takes offers: the listener's policy decides (M6). A connection that waited before goes to the front. */
  #hold(connection: Arriving, front = false): void {
    if (this.#options.policy === "refuse" && !this.#isGrowing) return this.#refuse(connection, this.#whyNobody())
    if (this.arrivals.held >= this.#options.holdMax) return this.#refuse(connection, "hold-full")
    const held: Held = { connection, until: this.#clock() + this.#options.holdTime, over: false }
    connection.onGone = () => {
      if (held.over) return
      this.#unhold(held)
      this.arrivals.withdrawn++
      // those behind the first that waits go with it: they count for no bound, and may be many
      while (this.#held[0]?.over === true) this.#held.shift()
    }
    this.arrivals.held++
    if (front) this.#held.unshift(held)
    else this.#held.push(held)
    Queue.offerUnsafe(this.#holds, held)
  }

  #unhold(held: Held): void {
    held.over = true
    held.connection.onGone = undefined
    this.arrivals.held--
  }

  /** Whether memory is on its way to a member that would take the connection: that is worth a wait by any policy. */
  get #isGrowing(): boolean {
    if (this.#limit !== undefined) return false
    return [...this.members.values()].some(({ live, slot }) =>
      live !== undefined && live === slot.live && slot.takesOffers && live.segments.acquire(this.user).growing
    )
  }

  /** Why no member takes offers, for who is refused. */
  #whyNobody(): Ledger.RefuseReason {
    if (this.#limit !== undefined) return this.#limit
    const running = [...this.members.values()].filter(({ live, slot }) =>
      live !== undefined && slot.state === "RUNNING"
    )
    if (running.length === 0) return "no-worker"
    if (running.every(({ slot }) => slot.isFull)) return "worker-limit"
    return running.some(({ live }) => live!.congested) ? "congested" : "no-memory"
  }

  #refuse(connection: Arriving, reason: Ledger.RefuseReason): void {
    this.arrivals.refused[reason]++
    if (connection._tag === "CutThrough") connection.refuse(reason)
    else connection.abort()
  }

  /** Places held connections, first come first served, while there is a worker for them. */
  admit(): void {
    while (this.#held.length > 0) {
      const held = this.#held[0]!
      if (held.over) {
        this.#held.shift()
        continue
      }
      // it waits no more before it is placed: an offer that comes back at once is held anew, in front of it
      const { onGone } = held.connection
      this.#unhold(held)
      if (this.#place(held.connection)) continue
      held.connection.onGone = onGone
      held.over = false
      this.arrivals.held++
      return
    }
  }

  /** Refuses a held connection whose time is over. */
  expire(held: Held): void {
    if (held.over) return
    this.#unhold(held)
    this.#held = this.#held.filter((other) => other !== held)
    this.#refuse(held.connection, this.#host.draining() ? "draining" : "hold-time")
  }

  // ---- the offer's end

  /** The worker has it. Bytes move from here on. */
  claimed(session: HostSession): void {
    session.forgetAbout()
    if (session.claimCounted) session.claimCounted = false
    else this.#claim(session)
  }

  #claim(session: HostSession): void {
    if (!session.claimed()) return session.worker.fault("the worker claimed a session that was not on offer to it")
    session.worker.slot.offers.pending--
    session.worker.slot.offers.claimed++
    this.arrivals.offered--
    this.arrivals.claimed++
    session.open()
  }

  /** A session that was claimed did not become one in its worker; `false` when that can't be. */
  insecure(session: HostSession, reason: Refusal.HandshakeReason): boolean {
    if (!session.insecure()) return false
    this.arrivals.claimed--
    this.arrivals.refused[reason]++
    return true
  }

  /** The revoke time is over: another worker gets the connection, unless this one has claimed it. */
  expireOffer(session: HostSession): void {
    if (session.state === "ACCEPTING") this.revoke(session)
  }

  /** Takes the offer back and finds the connection another worker; `false` when the worker had claimed it. */
  revoke(session: HostSession): boolean {
    if (!session.endOffer(SessionBlock.REVOKED)) return false
    session.late = true
    session.worker.fellBehind()
    session.worker.slot.offers.revoked++
    this.#offerElsewhere(session)
    return true
  }

  /** Takes the offer back because the worker is not to have it any more; `false` when it had claimed it. */
  #withdraw(session: HostSession): boolean {
    if (!session.endOffer(SessionBlock.WITHDRAWN)) return false
    session.worker.slot.offers.withdrawn++
    this.#offerElsewhere(session)
    return true
  }

  /** Whoever connected wants it no more: the offer is taken back, and nobody else gets it. */
  giveUp(session: HostSession): void {
    if (session.state !== "ACCEPTING" || !session.endOffer(SessionBlock.WITHDRAWN)) return
    session.worker.slot.offers.withdrawn++
    session.worker.slot.offers.pending--
    this.arrivals.offered--
    this.arrivals.withdrawn++
    // it took a place in the limits, which somebody may wait for
    this.admit()
  }

  #offerElsewhere({ connection, worker }: HostSession): void {
    worker.slot.offers.pending--
    this.arrivals.offered--
    if (this.#host.draining()) this.#refuse(connection, "draining")
    else if (!this.#place(connection)) this.#hold(connection, true)
  }

  /** The worker takes no offers here any more: one that runs goes to another, unless the worker has claimed it. */
  takeBack(session: HostSession): void {
    if (session.state !== "ACCEPTING" || this.#withdraw(session)) return
    // the worker's word of it has not been read: count it as what it is
    this.#claim(session)
    session.claimCounted = true
  }

  /** The worker has come past an offer that was taken back, or it will never see it: the slot is free. */
  passed(session: HostSession): void {
    // a worker that does not know the listener any more comes past an offer that still runs
    if (session.state === "ACCEPTING") this.#withdraw(session)
    if (session.state !== "REVOKED") return
    if (session.late) session.worker.caughtUp()
    session.pass()
  }

  /** The offer's message was released undelivered. */
  undelivered(session: HostSession): void {
    this.passed(session)
  }

  sessionFreed(): void {
    this.sessions--
  }

  /** Refuses whoever waits: the listener is closing. */
  refuseHeld(reason: Ledger.RefuseReason): void {
    for (const held of this.#held) {
      if (held.over) continue
      this.#unhold(held)
      this.#refuse(held.connection, reason)
    }
    this.#held = []
  }
}

/** Calls `over` for each entry whose time has come, in order; entries are queued in the order of their times. */
const watch = <A extends { readonly until: number }>(
  queue: Queue.Queue<A>,
  clock: () => number,
  isOver: (entry: A) => boolean,
  over: (entry: A) => void
): Effect.Effect<never> =>
  Queue.take(queue).pipe(
    Effect.flatMap((entry) => {
      const left = entry.until - clock()
      if (isOver(entry)) return Effect.void
      const end = Effect.sync(() => over(entry))
      return left > 0 ? Effect.delay(end, left) : end
    }),
    Effect.forever
  )

/** The queues that a listener's timers read. */
export const makeQueues = Effect.all({ offers: Queue.unbounded<Running>(), holds: Queue.unbounded<Held>() })
export type Queues = Effect.Success<typeof makeQueues>

/** Ends offers and holds whose time is over, for the scope's life. */
export const runTimers = Effect.fnUntraced(function*(
  listener: HostListener,
  { holds, offers }: Queues
): Effect.fn.Return<void, never, Scope.Scope> {
  const now = yield* MonotonicTime.reader
  const expireOffer = ({ session }: Running) => listener.expireOffer(session)
  yield* Effect.forkScoped(watch(offers, now, ({ session }) => session.state !== "ACCEPTING", expireOffer))
  yield* Effect.forkScoped(watch(holds, now, (held) => held.over, (held) => listener.expire(held)))
})
