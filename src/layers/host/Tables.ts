/**
 * What a host holds: applications, workers, listeners and sessions, each in a table whose handles carry generations,
 * and a local table per namespace.
 *
 * Plain data. The modules around it act on it, and `Reports` reports on it.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { LocalTable } from "../../domain/admission/LocalTable.ts"
import type { WorkerNeed } from "../../domain/admission/WorkerNeed.ts"
import * as AboutText from "../../domain/memory/AboutText.ts"
import type * as Fifo from "../../domain/memory/Fifo.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as Priority from "../../domain/options/Priority.ts"
import type { WorkerRange } from "../../domain/options/WorkerCount.ts"
import * as Readiness from "../../domain/report/Readiness.ts"
import type * as Report from "../../domain/report/Report.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import type { AppModule } from "../../services/AppWorker.ts"
import type { Connection } from "../../services/Transport.ts"
import type { EventLog } from "../telemetry/EventLog.ts"
import type { AboutPlace, ConnectionSession } from "./ConnectionSession.ts"
import type { Departures } from "./Departures.ts"
import type { HostSession, Origin, SessionHome } from "./HostSession.ts"
import type { HostListener } from "./Listener.ts"
import type { Moves } from "./Moves.ts"
import { Quarantine } from "./Quarantine.ts"
import { SharedSession } from "./SharedSession.ts"
import { TransferSession } from "./TransferSession.ts"
import type { LiveWorker, SlotApp, WorkerSlot } from "./Worker.ts"

/** An application, its workers, and the fibers that keep them. */
export interface AttachedApp extends SlotApp {
  readonly module: AppModule
  /** What it shows about itself, at a time in milliseconds. */
  readonly status: (now: number) => Report.Status
  /** Endpoint URIs to serve when its options name none. */
  readonly fallback: ReadonlyArray<string>
  /** Is told which files its workers load as modules. */
  readonly loaded: ((url: string) => void) | undefined
  readonly slots: Map<Handle.WorkerMapIndex, WorkerSlot>
  readonly supervisors: Map<WorkerSlot, Fiber.Fiber<void>>
  /** The scope of its membership of its namespace. */
  readonly namespace: Scope.Closeable
  /** Done when nothing is left of it; and the wait for that. */
  readonly gone: Deferred.Deferred<void>
  readonly whenGone: Effect.Effect<void>
  detaching: boolean
  /** Its workers are being replaced, one after the other or at once (X2). */
  reloading: boolean
  /** How often that was done, and how often it could not be. */
  readonly reloads: { reloaded: number; failed: number }
  /** How many workers it may have, where their number follows the load, and what rules it then (X8). */
  readonly range: WorkerRange | undefined
  need: WorkerNeed | undefined
}

export class Tables {
  readonly apps = new Handle.Pool<Handle.AppHandle, AttachedApp>()
  readonly workers = new Handle.Pool<Handle.WorkerHandle, WorkerSlot>()
  readonly listeners = new Handle.Pool<Handle.ListenerHandle, HostListener>()
  readonly sessions = new Handle.Pool<Handle.SessionHandle, HostSession>()
  /** Open while no application has a session. */
  readonly noSessions = Latch.makeUnsafe(true)
  /** Listeners that are closed, as long as they have sessions, of which they go on counting. */
  readonly closed = new Set<HostListener>()
  /** Of listeners with idle sessions that go on once a worker has claimed what it was offered, there or elsewhere. */
  readonly idleMoves = new Set<Moves>()
  /** The counts of workers and listeners that are gone. */
  readonly past: Ledger.LedgerTotals = Ledger.makeTotals()
  /** What hosts before this one have counted (X4). */
  predecessors: Ledger.LedgerTotals = Ledger.makeTotals()
  /** Which host it is in the line of hosts (X4), from 1 on; and for how long those before it were there, in milliseconds. */
  generation = 1
  upBefore = 0
  /** When the host has begun, in milliseconds of {@link now}. */
  readonly startedAt: number
  /** Whether this host follows another one (X4). */
  follows = false
  /** Those of them that have not ended yet; and a latch that is open while there are none. */
  formerHosts: ReadonlyArray<Report.FormerHost> = []
  readonly noFormerHosts = Latch.makeUnsafe(true)
  /** What goes over to the host that follows this one, once there is one (X4). */
  departures: Departures | undefined
  /** Done when the host is to end, and no other one goes on with what it has. */
  readonly ends = Deferred.makeUnsafe<void>()
  /** Another host is being started, to follow this one (X4). */
  isFollowed = false
  /** The host accepts nothing new. */
  draining = false
  /** When it ends, whatever it has then: in milliseconds of {@link now}, once it has begun to finish. */
  endsAt: number | undefined
  /** Milliseconds of `MonotonicTime`. */
  readonly now: () => number
  /** What happens in the host (X5). */
  readonly events: EventLog
  /** Threads that are to end and do not (X6). */
  readonly quarantine: Quarantine
  readonly #locals = new Map<string, LocalTable<HostListener>>()

  constructor(now: () => number, events: EventLog) {
    this.now = now
    this.startedAt = now()
    this.events = events
    this.quarantine = new Quarantine(events, now)
  }

  /** Who goes on with what workers park while the host drains; `undefined` while it does not. */
  get heirs(): "host" | "nobody" | undefined {
    if (!this.draining) return undefined
    return this.departures?.isOpen === true ? "host" : "nobody"
  }

  /** Milliseconds since the host has begun. */
  get upMillis(): number {
    return this.now() - this.startedAt
  }

  /** Which host it is, and the milliseconds since the first of the line has begun. */
  get lineage(): { readonly generation: number; readonly upMillis: number } {
    return { generation: this.generation, upMillis: this.upBefore + this.upMillis }
  }

  /** Milliseconds that the host has to finish what it has in hand. */
  get drainTime(): number {
    if (this.endsAt !== undefined) return this.endsAt - this.now()
    let longest = 0
    for (const { app } of this.generations()) longest = Math.max(longest, app.options.worker.drainTimeout)
    return longest
  }

  /** The workers, each with all its generations that are there, from an index on. */
  *generations(from = 0): IterableIterator<WorkerSlot> {
    for (const worker of this.workers.from(from)) yield* worker.generations
  }

  /** All that was counted: here, by what is there and by what is gone, and by the hosts before. */
  get totals(): Ledger.LedgerTotals {
    const totals = Ledger.makeTotals()
    const add = (counted: Partial<Ledger.LedgerTotals>): void => {
      if (counted.messages !== undefined) Ledger.add(totals.messages, counted.messages)
      if (counted.offers !== undefined) Ledger.add(totals.offers, counted.offers)
      if (counted.arrivals !== undefined) Ledger.add(totals.arrivals, counted.arrivals)
    }
    add(this.predecessors)
    add(this.past)
    for (const { messages, offers } of this.workers) add({ messages, offers })
    for (const { admission: { arrivals } } of this.listeners) add({ arrivals })
    for (const { admission: { arrivals } } of this.closed) add({ arrivals })
    return totals
  }

  /** What does not balance (M14). */
  get imbalances(): ReadonlyArray<string> {
    const imbalances: Array<string> = []
    for (const { app, mapIndex, messages, offers } of this.workers) {
      imbalances.push(...Ledger.imbalances(`worker ${mapIndex} of ${app.name}`, { messages, offers }))
    }
    for (const { admission: { arrivals }, boundUri } of [...this.listeners, ...this.closed]) {
      imbalances.push(...Ledger.imbalances(`listener ${boundUri}`, { arrivals }))
    }
    return [...imbalances, ...Ledger.imbalances("host", this.totals)]
  }

  /** Adds up what closed listeners have counted, once they have no sessions. */
  settle(): void {
    for (const listener of this.closed) {
      if (listener.admission.sessions > 0) continue
      this.closed.delete(listener)
      Ledger.add(this.past.arrivals, listener.admission.arrivals)
    }
  }

  /** The local table of a namespace. */
  locals(namespace: string): LocalTable<HostListener> {
    let table = this.#locals.get(namespace)
    if (table === undefined) this.#locals.set(namespace, table = new LocalTable())
    return table
  }

  get namespaces(): Iterable<readonly [name: string, table: LocalTable<HostListener>]> {
    return this.#locals
  }

  /** Sessions of all applications, not counting those whose offers were taken back and whose slots are still in use. */
  get sessionCount(): number {
    let count = 0
    for (const app of this.apps) count += app.sessions
    return count
  }

  /**
   * A session of the worker in the memory that its manager for `user` gives; `undefined` when there is no memory.
   * `state`: what the application of the worker that had parked it has given along.
   */
  createSession(
    worker: LiveWorker,
    user: string,
    origin: Origin,
    connection: Connection,
    state?: Uint8Array
  ): ConnectionSession | undefined {
    const manager = worker.segments.acquire(user)
    const place = manager.allocate(SessionBlock.SESSION_BLOCK_BYTES)
    if (place === undefined) return undefined
    const isMovable = connection._tag === "Movable"
    const hasState = state !== undefined
    const plain = AboutText.encode(connection.about)
    const text = hasState ? AboutText.withState(plain, state) : plain
    const textPlace = text === undefined ? undefined : manager.allocate(text.length)
    const about = text === undefined || textPlace === undefined
      ? undefined
      : { place: textPlace, bytes: text.length, hasState }
    const rings = isMovable ? undefined : manager.allocate(SessionBlock.RINGS_BYTES)
    const home = { worker, origin, place, since: this.now() }
    const session = text !== undefined && about === undefined ?
      undefined :
      this.#make(home, manager, about, connection, rings)
    if (session === undefined) {
      manager.untake(place)
      if (rings !== undefined) manager.untake(rings)
      if (textPlace !== undefined) manager.untake(textPlace)
      return undefined
    }
    SessionBlock.reset(session.segment, place.offset)
    if (text !== undefined && textPlace !== undefined) worker.view(textPlace.segment)!.set(text, textPlace.offset)
    return session
  }

  /** A session for the connection; one whose bytes go through the host needs rings. */
  #make(
    home: SessionHome,
    blocks: Fifo.Blocks,
    about: AboutPlace | undefined,
    connection: Connection,
    rings: Fifo.BlockPlace | undefined
  ): ConnectionSession | undefined {
    if (connection._tag === "Movable") {
      return this.enter((handle) => new TransferSession(handle, home, blocks, about, connection))
    }
    if (rings === undefined) return undefined
    return this.enter((handle) => new SharedSession(handle, home, blocks, about, connection, rings))
  }

  /** Enters a session into the table and with its worker; `undefined` when the table is full. */
  enter<S extends HostSession>(make: (handle: Handle.SessionHandle) => S): S | undefined {
    const session = this.sessions.allocate(make)
    if (session === undefined) return undefined
    session.worker.enter(session)
    this.noSessions.closeUnsafe()
    return session
  }

  /** Whether a connection that comes now will be served. */
  readiness(): Readiness.Readiness {
    const standing = ({ name, slots }: AttachedApp) => ({
      name,
      workers: Array.from(slots.values(), ({ state }) => state),
      crashing: Array.from(slots.values()).filter(({ crashes }) => crashes.at(this.now()) !== undefined).length
    })
    return this.draining ? Readiness.draining : Readiness.of(Array.from(this.apps, standing))
  }

  /** Somebody may take sessions again: held connections get their turn, those of the highest class at all listeners first. */
  admit(): void {
    for (const { moves } of this.listeners) moves.admit()
    for (let rank = Priority.HIGH; rank >= Priority.LOW; rank--) {
      for (const { intake } of this.listeners) intake.admitHeld(rank)
    }
  }

  /** The first listener of an application: rules that name the application lead to it. */
  listenerOf(app: string): HostListener | undefined {
    for (const listener of this.listeners) if (listener.app.name === app && listener.state === "BOUND") return listener
    return undefined
  }

  /** How many workers the application has, not counting those that are going. */
  static countOf({ slots }: AttachedApp): number {
    let count = 0
    for (const { deleting } of slots.values()) if (!deleting) count++
    return count
  }

  static isFull(app: SlotApp): boolean {
    return app.sessions >= app.options.admission.maxSessions
  }
}
