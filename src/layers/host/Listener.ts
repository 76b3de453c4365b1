/**
 * A listener of a host: where it listens, its state, and its workers' seats.
 *
 * What becomes of the connections that arrive is the {@link Intake}'s; of sessions that leave their workers, that of
 * {@link Moves}; and of what another host has to do with, that of {@link ListenerSuccession}.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type * as ListenerOptions from "../../domain/options/ListenerOptions.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as ListenerState from "../../domain/state/ListenerState.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type { ListeningSocket } from "../../services/Transport.ts"
import type { NoticeLog } from "../log/NoticeLog.ts"
import type { InheritedSocket } from "../system/InheritedSockets.ts"
import { Intake } from "./Intake.ts"
import { ListenerEvents } from "./ListenerEvents.ts"
import { ListenerMember } from "./ListenerMember.ts"
import { ListenerSuccession } from "./ListenerSuccession.ts"
import { Moves } from "./Moves.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker, SlotApp, WorkerSlot } from "./Worker.ts"

/** What listeners need of their host. */
export interface ListenerHost {
  readonly tables: Tables
  readonly rules: SessionRules["Service"]
  readonly notices: NoticeLog
  /** Runs an effect for the host's life. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly scope: Scope.Scope
}

export class HostListener {
  readonly handle: Handle.ListenerHandle
  readonly app: SlotApp
  /** The worker that first asked for the listener. */
  readonly opener: LiveWorker
  /** The endpoint that was asked for, by which other workers join; and its URI. */
  readonly requested: Endpoint.Endpoint
  readonly requestedUri: string
  /** The endpoint it listens on, the same but for the port that was assigned; and its URI. */
  bound: Endpoint.Endpoint
  boundUri: string
  /** Where the sockets of its connections are, once that is known. */
  placement: ListenerOptions.ListenerOptions["placement"] = "shared"
  /** Whether its peers speak HTTP/1, as the worker says that was the last to take its seat. */
  speaksHttp: boolean
  /** The listener's name as a user of segment managers. */
  readonly user: string
  /** What is told of its connections. */
  readonly events: ListenerEvents
  readonly intake: Intake
  readonly moves: Moves
  readonly succession: ListenerSuccession
  readonly scope: Scope.Closeable
  /** The transport's part, which ends first: at unlisten, and when the host drains. */
  readonly transport: Scope.Closeable
  /** Done when the listener is no longer binding, and when nothing is left of it. */
  readonly settled = Deferred.makeUnsafe<void>()
  readonly closed = Deferred.makeUnsafe<void>()
  /** Its socket, where the transport has one that another process can have; and whether this process was born with it. */
  socket: ListeningSocket | undefined
  inherited: InheritedSocket | undefined
  #state: ListenerState.ListenerState = "BINDING"

  constructor(
    handle: Handle.ListenerHandle,
    opener: LiveWorker,
    requested: Endpoint.Endpoint,
    speaksHttp: boolean,
    host: ListenerHost
  ) {
    const { app } = opener.slot
    this.handle = handle
    this.app = app
    this.opener = opener
    this.speaksHttp = speaksHttp
    this.requested = this.bound = requested
    this.requestedUri = this.boundUri = Endpoint.format(requested)
    this.user = `listener ${Handle.format(handle)}`
    this.scope = Scope.forkUnsafe(host.scope)
    this.transport = Scope.forkUnsafe(this.scope)
    this.events = new ListenerEvents(this, host.tables)
    this.intake = new Intake(this, host)
    this.moves = new Moves(this, host.tables)
    this.succession = new ListenerSuccession(this, host.tables)
  }

  get admission(): Intake["admission"] {
    return this.intake.admission
  }

  get state(): ListenerState.ListenerState {
    return this.#state
  }

  /** The only place where the state changes. An event that can't happen in the state is a defect. */
  move(event: ListenerState.ListenerEvent): void {
    this.#state = ListenerState.next(this.#state, event)
  }

  // ---- workers

  /** This start of the worker takes its seat. A successor has it behind the worker whose place it is to take. */
  join(worker: LiveWorker, speaksHttp: boolean): void {
    worker.segments.acquire(this.user)
    const member = new ListenerMember(worker, speaksHttp, this.user)
    if (worker.slot.role === "successor") return this.admission.seats.joinNext(member)
    this.admission.seats.join(member)
    this.speaksHttp = speaksHttp
  }

  /** The worker leaves its seat, which may be kept for its next start; `false` when it had no seat here. */
  leave({ app, mapIndex, role }: WorkerSlot, keep: boolean): boolean {
    if (this.app !== app || role === "former") return false
    return role === "successor"
      ? this.admission.seats.leaveNext(mapIndex)
      : this.admission.seats.leave(mapIndex, keep)
  }

  /** The worker's successor takes its seat, or the seat is gone; `false` when there was none. */
  promote({ app, mapIndex }: WorkerSlot): boolean {
    if (this.app !== app || !this.admission.seats.promote(mapIndex)) return false
    this.speaksHttp = this.admission.seats.member(mapIndex)?.speaksHttp ?? this.speaksHttp
    return true
  }

  /** Whether the worker had its seat before it was started this time. */
  wasKeptFor({ mapIndex }: WorkerSlot): boolean {
    return this.admission.seats.isKept(mapIndex)
  }

  /** All workers leave at once; returns which. */
  dissolve(): ReadonlyArray<LiveWorker> {
    return this.admission.seats.dissolve().map(({ worker }) => worker)
  }

  /** Whether no seat is left. */
  get isVacant(): boolean {
    return this.admission.seats.size === 0
  }

  /** Whether this start of the worker has a seat. */
  has(worker: LiveWorker): boolean {
    const { app, mapIndex } = worker.slot
    return this.app === app
      && (this.memberOf(worker) !== undefined || this.admission.seats.successor(mapIndex)?.worker === worker)
  }

  /** This start of a worker as a member of the listener, if it has its seat. */
  memberOf(worker: LiveWorker): ListenerMember | undefined {
    const member = this.admission.seats.member(worker.slot.mapIndex)
    return member?.worker === worker ? member : undefined
  }
}
