/**
 * A worker as the host holds it.
 *
 * {@link WorkerSlot} is the worker over all its starts: its numbers, its state, its ledger. {@link LiveWorker} is one
 * start: the services of its stack and its sessions. When a start ends, everything that belonged to it ends with it;
 * the slot stays for the next one. The two share a file because each leads to the other.
 *
 * A worker that is replaced while it serves (X2) has a slot for each of its generations, with the same numbers and the
 * same ledger: the successor starts beside the current one, takes its place, and the former one finishes what it has.
 *
 * What the worker says is read by {@link WorkerReader}.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import { Concurrency } from "../../domain/admission/Concurrency.ts"
import { Lag } from "../../domain/admission/Lag.ts"
import { Sojourn } from "../../domain/admission/Sojourn.ts"
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Inbox from "../../domain/memory/Inbox.ts"
import { LOOK_INTERVAL } from "../../domain/memory/QueueMemory.ts"
import type { QueueOutlet } from "../../domain/memory/QueueProducer.ts"
import type { AppOptions } from "../../domain/options/AppOptions.ts"
import type * as Report from "../../domain/report/Report.ts"
import type { Whereabouts } from "../../domain/report/Whereabouts.ts"
import { CrashLoop, DEATHS } from "../../domain/state/CrashLoop.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import { INTERVAL as SILENCE_INTERVAL, type QueueHead, Silence } from "../../domain/state/Silence.ts"
import { WorkerTimes } from "../../domain/state/Times.ts"
import { HeapPatience } from "../../domain/state/Wear.ts"
import { noRestarts, type RestartCounts } from "../../domain/state/WorkerEnd.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import { WorkerExit, type WorkerMeter } from "../../services/AppWorker.ts"
import type { HandOver } from "../../services/Attachment.ts"
import { type Congestion, Unresponsive } from "../../services/Congestion.ts"
import type { MessageQueue } from "../../services/MessageQueue.ts"
import type { SegmentManager } from "../../services/SegmentManager.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import { Announcements } from "./Announcements.ts"
import type { CongestionEvents } from "./CongestionEvents.ts"
import type { HalfOpen } from "./HalfOpen.ts"
import type { HostSession } from "./HostSession.ts"
import type { SharedSession } from "./SharedSession.ts"
import { type HostRequests, WorkerReader } from "./WorkerReader.ts"

/** The most edges that are held back before the worker hears of them. */
const GATHER = 16

/** Milliseconds in which a few deaths are a loop, at the least: with long waits between them, it is longer. */
const LOOP_WITHIN = 60_000

/** Why a worker goes that is told to. */
export type LeaveReason = Extract<Report.MoveReason, "reload" | "restart" | "delete">

/** What a worker's slot knows of its application. */
export interface SlotApp {
  readonly handle: Handle.AppHandle
  readonly index: Handle.AppIndex
  readonly name: string
  readonly client: string
  readonly options: AppOptions
  /** Sessions of all its workers, not counting offers that were taken back; and the most that there were. */
  sessions: number
  sessionsHighest: number
}

/** A worker over all its starts, from one replacement to the next. */
export class WorkerSlot {
  readonly handle: Handle.WorkerHandle
  readonly index: Handle.WorkerIndex
  readonly mapIndex: Handle.WorkerMapIndex
  readonly app: SlotApp
  readonly kind: WorkerInfo["kind"]
  /** Which of the worker's generations it is, from 1 on. */
  readonly generation: number
  /** The same for all generations, so that counts add up. */
  readonly messages: Ledger.MessageLedger
  readonly offers: Ledger.OfferLedger
  readonly times: WorkerTimes
  readonly restartsBy: RestartCounts
  /** The generations before the current one that have not finished, oldest first; the same for all generations. */
  readonly formers: Set<WorkerSlot>
  /** Whether it has the worker's place, is to have it, or had it. */
  role: "current" | "successor" | "former"
  /** The generation that is to take its place. */
  successor: WorkerSlot | undefined
  /** When it lost its place, in milliseconds of `MonotonicTime`. */
  retired = 0
  /** Done when the worker is to stop and not to be started again. */
  readonly stop = Deferred.makeUnsafe<void>()
  /** Done when it has been replaced, and is to finish whether its successor has warmed up or not. */
  readonly finish = Deferred.makeUnsafe<void>()
  /** Done when the worker is to stop and to be started again; a new one with each start. */
  restart = Deferred.makeUnsafe<void>()
  /** Done when the present start has succeeded or failed; a new one with each start that was asked for. */
  started = Deferred.makeUnsafe<void, WorkerExit>()
  /** It is being deleted: from here on it can't be found. */
  deleting = false
  /** It is deleted because it is not needed (X8): its sessions take the time that they take. */
  unneeded = false
  /** Why it goes, once it is told to. */
  leaves: LeaveReason = "delete"
  /** It was replaced, and is ended before it has finished: there are more generations than may drain. */
  cutShort = false
  /** Whether any of its starts has succeeded. */
  hasRun = false
  #state: WorkerState.WorkerState = "STARTING"
  restarts: number
  /** When it may be replaced for its heap; the same for all generations. */
  readonly patience: HeapPatience
  /** How often it has died of late; the same for all generations. */
  readonly crashes: CrashLoop
  /** Why it last went away by itself, and where in the application that began. */
  lastFailure: { readonly detail: string; readonly stack: string | undefined } | undefined
  live: LiveWorker | undefined
  /** The most sessions that one start of this generation had at one time. */
  sessionsHighest = 0

  constructor(
    handle: Handle.WorkerHandle,
    mapIndex: Handle.WorkerMapIndex,
    app: SlotApp,
    kind: WorkerInfo["kind"] = app.options.worker.kind,
    predecessor?: WorkerSlot
  ) {
    this.handle = handle
    this.index = Handle.WorkerIndex(Handle.index(handle))
    this.mapIndex = mapIndex
    this.app = app
    this.kind = kind
    this.generation = (predecessor?.generation ?? 0) + 1
    this.messages = predecessor?.messages ?? new Ledger.MessageLedger()
    this.offers = predecessor?.offers ?? new Ledger.OfferLedger()
    this.times = predecessor?.times ?? new WorkerTimes()
    this.restartsBy = predecessor?.restartsBy ?? noRestarts()
    const { backoffMax } = app.options.worker
    this.patience = predecessor?.patience ?? new HeapPatience()
    this.crashes = predecessor?.crashes ?? new CrashLoop(Math.max(LOOP_WITHIN, DEATHS * 2 * backoffMax))
    this.formers = predecessor?.formers ?? new Set()
    this.role = predecessor === undefined ? "current" : "successor"
    this.restarts = predecessor === undefined ? 0 : predecessor.restarts + 1
  }

  /** A slot for the generation that is to take this one's place. */
  succeed(): WorkerSlot {
    const { app, handle, kind, mapIndex } = this
    return this.successor = new WorkerSlot(handle, mapIndex, app, kind, this)
  }

  /** All generations of the worker that are there, oldest first. To be asked of the current one. */
  get generations(): ReadonlyArray<WorkerSlot> {
    return [...this.formers, this, ...(this.successor === undefined ? [] : [this.successor])]
  }

  get state(): WorkerState.WorkerState {
    return this.#state
  }

  /** The only place where the state changes. An event that can't happen in the state is a defect. */
  move(event: WorkerState.WorkerEvent): void {
    this.#state = WorkerState.next(this.#state, event)
  }

  /** Whether its listeners keep its seat when it stops. */
  get restarting(): boolean {
    return this.leaves === "restart"
  }

  /** Why a session that it has parked moves on, if it does so now. */
  get moveReason(): Report.MoveReason {
    if (WorkerState.takesSessions(this.#state)) return "late"
    return this.#state === "DRAINING" ? this.leaves : "crash"
  }

  /** Whether the worker has as many sessions as it may. */
  get isFull(): boolean {
    return (this.live?.sessions.size ?? 0) >= this.app.options.admission.maxSessionsPerWorker
  }
}

/** One start of a worker. */
export class LiveWorker {
  readonly slot: WorkerSlot
  readonly segments: SegmentManager["Service"]
  readonly queue: MessageQueue["Service"]
  readonly congestion: Congestion["Service"]
  /** What its thread uses; `undefined` where it has none of its own. */
  readonly meter: WorkerMeter | undefined
  readonly handOver: Pick<HandOver["Service"], "takeBack">
  /** The segments and links that the worker is given to keep. */
  readonly announcements: Announcements
  readonly sessions = new Set<HostSession>()
  /** Whether what it parks goes to others, since it drains (X1). */
  handsOver = false
  /** Connects under way, by request. */
  readonly halfOpen = new Map<number, HalfOpen>()
  /** Numbers of its links to other workers, by the worker at the other end (W16). */
  readonly links = new Map<LiveWorker, number>()
  /** Open while the worker has no sessions, and no connects under way. */
  readonly empty = Latch.makeUnsafe(true)
  /** How far behind it is with what listeners have offered it. */
  readonly lag: Lag
  /** How long what listeners offer it waits. */
  readonly sojourn: Sojourn
  /** What it has in hand, where that has a limit (X7). */
  readonly concurrency: Concurrency | undefined
  /** Sessions that hold rx memory. */
  readonly hot = new Set<SharedSession>()
  /** Sessions that wait for rx memory. */
  readonly starved = new Set<SharedSession>()
  /** Opens for a moment whenever memory has become free, for whatever waits for some. */
  readonly memory = Latch.makeUnsafe(false)
  readonly #host: HostRequests
  /** Milliseconds of `MonotonicTime`. */
  readonly now: () => number
  readonly #fault = Deferred.makeUnsafe<never, WorkerExit | Unresponsive>()
  readonly #over = Latch.makeUnsafe(false)
  /** The bytes of a segment of the worker. */
  readonly view: Fifo.View = (segment) => this.segments.segment(segment)?.bytes
  /** For how long it has taken nothing that waits for it (X6). */
  readonly silence: Silence
  /** What is known of it since it does not respond. */
  stuckAt: Whereabouts | undefined
  /** It was stuck, and has been given up. */
  wasStuck = false
  /** Sessions whose offers the host has tried to end, and those that the worker has been asked about. */
  readonly #owing = new Set<HostSession>()
  readonly #asked = new Set<HostSession>()
  /** What is done when the worker comes to the questions that it was asked, in their order. */
  readonly #probes: Array<() => void> = []
  readonly #reader: WorkerReader
  #gathered = 0
  #gatheredAt = 0
  #sessionCount = 0
  #nextLink = 0
  #nextSlot = 0
  readonly #freeSlots: Array<number> = []

  constructor(
    slot: WorkerSlot,
    services: {
      readonly segments: SegmentManager["Service"]
      readonly queue: MessageQueue["Service"]
      readonly congestion: Congestion["Service"]
      readonly meter: WorkerMeter | undefined
      readonly handOver: Pick<HandOver["Service"], "takeBack">
    },
    host: HostRequests,
    now: () => number,
    events: Pick<CongestionEvents, "behind" | "delayed">
  ) {
    this.slot = slot
    this.lag = new Lag(events.behind)
    this.sojourn = new Sojourn(slot.app.options.admission, (is) => {
      events.delayed(is)
      if (is) this.#askForDelay()
      // not from inside what has found it out: whatever waits may go to the worker now
      else queueMicrotask(() => host.available())
    })
    this.concurrency = Concurrency.of(slot.app.options.admission)
    this.segments = services.segments
    this.queue = services.queue
    this.congestion = services.congestion
    this.meter = services.meter
    this.handOver = services.handOver
    this.announcements = new Announcements(services.congestion)
    this.#host = host
    this.now = now
    this.silence = new Silence(slot.kind === "thread" ? SILENCE_INTERVAL : LOOK_INTERVAL, now())
    this.#reader = new WorkerReader(this, host)
    this.segments.connect({
      announce: (segment) =>
        this.announcements.announce(
          { _tag: "addSegment", segment: segment.index },
          { _tag: "Segment", segment },
          () => this.segments.segment(segment.index) !== undefined
        ),
      withdraw: (segment) => this.announcements.withdraw({ _tag: "deleteSegment", segment: segment.index }),
      available: () => this.#feed()
    })
  }

  /** Reads the worker's queue; to be called at every ring. */
  get wake(): () => void {
    return this.#reader.wake
  }

  /** Fails when the worker has written what no worker writes, or is stuck and has been given up. */
  get faulted(): Effect.Effect<never, WorkerExit | Unresponsive> {
    return Deferred.await(this.#fault)
  }

  /** Done when this start of the worker is over. */
  get over(): Effect.Effect<void> {
    return this.#over.await
  }

  fault(detail: string): void {
    // not from inside what has found the fault: whatever hears of it takes all this apart
    queueMicrotask(() => Deferred.doneUnsafe(this.#fault, Exit.fail(new WorkerExit({ reason: "Crashed", detail }))))
  }

  /** It is stuck: it is given up, with what it has in hand. */
  giveUp(): void {
    this.wasStuck = true
    const limit = this.slot.app.options.worker.stuckAfter
    Deferred.doneUnsafe(this.#fault, Exit.fail(new Unresponsive({ reason: "stuck", limit })))
  }

  /** Whether the worker takes no sessions: it has fallen behind, or a queue stands before it. */
  get congested(): boolean {
    return this.isBehind || this.sojourn.isCongested(this.now())
  }

  /** Whether the worker has fallen behind: messages for it are postponed, or it has let an offer run out. */
  get isBehind(): boolean {
    return this.congestion.congested() || this.lag.offers > 0
  }

  /** By which rule it is congested; where that is more than one, the first in the order of the list. */
  get congestedBy(): Report.CongestionRule | null {
    if (this.congestion.congested()) return "queue"
    if (this.lag.offers > 0) return "deadline"
    return this.congested ? "sojourn" : null
  }

  /** Milliseconds, in total, in which the worker was behind with an offer. */
  get behindMillis(): number {
    return this.lag.millis(this.now())
  }

  /** The messages that wait for it, as they are seen in its queue. */
  get #waiting(): QueueHead {
    const { depth, position } = this.queue.toWorker
    return { waits: depth > 0, position: (position - depth) | 0 }
  }

  /** Milliseconds since the worker was first seen to leave the message that it is to take next; 0 when it has none. */
  get sinceProgress(): number {
    return this.silence.waited(this.now(), this.#waiting)
  }

  /**
   * For how many milliseconds the worker has been behind now: since it let an offer run out, or since it was first seen to
   * leave a message; 0 when it is not.
   */
  get behind(): number {
    return Math.max(this.lag.lasting(this.now()), this.sinceProgress)
  }

  /** Looks whether it takes what waits for it, and returns for how many milliseconds it has not. */
  listen(): number {
    return this.silence.look(this.now(), this.#waiting, this.meter)
  }

  /**
   * Holds back what is sent in this turn of the loop, so that all of it becomes visible, and rings, together. Meant for
   * the edges of connections, many of which are ready in one turn.
   */
  gather(): void {
    const { doorbell: { soon }, toWorker } = this.queue
    if (soon === undefined) return
    if (this.#gathered === 0) {
      this.#gatheredAt = this.now()
      toWorker.cork()
      soon(this.#flush)
    } else if (this.#gathered % GATHER === 0) toWorker.flush()
    this.#gathered++
  }

  /** The time, which is read once for all that is gathered in a turn. */
  get turnTime(): number {
    return this.#gathered === 0 ? this.now() : this.#gatheredAt
  }

  readonly #flush = (): void => {
    this.#gathered = 0
    this.queue.toWorker.uncork()
    this.sample()
  }

  /** The most slots of each queue that were seen in use: under load they are looked at once a turn. */
  readonly highest = { toWorker: { index: 0, io: 0, control: 0 }, toHost: { index: 0, io: 0, control: 0 } }

  sample(): void {
    this.#sample(this.highest.toWorker, this.queue.toWorker)
    this.#sample(this.highest.toHost, this.queue.toHost)
  }

  #sample(
    highest: { index: number; io: number; control: number },
    { controlDepth, depth, ioDepth }: Pick<QueueOutlet, "depth" | "ioDepth" | "controlDepth">
  ): void {
    highest.index = Math.max(highest.index, depth)
    highest.io = Math.max(highest.io, ioDepth)
    highest.control = Math.max(highest.control, controlDepth)
  }

  /** Memory has become free: sessions that wait for some read on, and held connections may be placed. */
  #feed(): void {
    const starved = [...this.starved]
    this.starved.clear()
    for (const session of starved) session.resume()
    this.memory.openUnsafe()
    this.memory.closeUnsafe()
    this.#host.available()
  }

  /** Gives back the memory of rx fifos that have received nothing since the last call. */
  trim(): void {
    this.#forHot((session) => {
      if (session.trim()) this.hot.delete(session)
    })
  }

  /**
   * Looks after what is shared with the worker; to be called at intervals. Whatever was lost between the two, because a
   * word in shared memory was written over, is made good here, or found to be a fault.
   */
  look(): void {
    this.#reader.look()
    this.segments.look()
    this.meter?.look()
    this.concurrency?.look()
    const isRead = this.queue.toWorker.depth === 0 && !this.congestion.congested()
    this.#forHot((session) => session.look(isRead))
    this.#lookAtOffers()
  }

  /** The host has ended the session's offer, or found it claimed: the worker is to say what became of it. */
  owes(session: HostSession): void {
    this.#owing.add(session)
  }

  /**
   * Asks a worker that owes answers to answer this first: it answers in order, so what it has not said by then was lost.
   * A worker that is busy with something else has time until it comes to the question.
   */
  #lookAtOffers(): void {
    for (const session of this.#owing) if (session.isAnswered) this.#owing.delete(session)
    if (this.#owing.size === 0 || this.#asked.size > 0) return
    for (const session of this.#owing) this.#asked.add(session)
    this.#probe(() => {
      for (const session of this.#asked) {
        if (!session.isAnswered) return this.fault("the worker does not say what became of an offer")
      }
      this.#asked.clear()
    })
  }

  /** Asks a worker that is offered nothing for as long as its answers wait as offers did. */
  #askForDelay(): void {
    const asked = this.now()
    this.#probe(() => {
      this.sojourn.answered(asked, this.now())
      if (this.sojourn.congested) this.#askForDelay()
    })
  }

  #probe(answered: () => void): void {
    this.#probes.push(answered)
    this.congestion.send({ message: { _tag: "probe" } })
  }

  /** The worker has come to a question: it answers them in order. */
  probed(): void {
    this.#probes.shift()?.()
  }

  #forHot(step: (session: SharedSession) => void): void {
    try {
      for (const session of this.hot) step(session)
    } catch (error) {
      if (!(error instanceof Fifo.FifoCorrupt)) throw error
      this.fault(`session memory is corrupt: ${error.message}`)
    }
  }

  /** Sessions that the worker has or may still claim: those whose offers were taken back don't count. */
  get sessionCount(): number {
    return this.#sessionCount
  }

  /** A session of this worker begins. */
  enter(session: HostSession): void {
    this.sessions.add(session)
    const { slot } = this
    this.#sessionCount++
    slot.sessionsHighest = Math.max(slot.sessionsHighest, this.#sessionCount)
    slot.app.sessionsHighest = Math.max(slot.app.sessionsHighest, ++slot.app.sessions)
    this.empty.closeUnsafe()
  }

  /** A slot of the worker's inbox for a cut-through session; `undefined` when all are taken. */
  takeSlot(): number | undefined {
    const slot = this.#freeSlots.pop()
    if (slot !== undefined) return slot
    return this.#nextSlot < Inbox.SLOTS ? this.#nextSlot++ : undefined
  }

  freeSlot(slot: number): void {
    this.#freeSlots.push(slot)
  }

  /** The number of a new link. */
  nextLink(): number {
    return this.#nextLink++
  }

  /** There is one session less. */
  sessionLeft(): void {
    this.#sessionCount--
    this.slot.app.sessions--
    this.#host.left()
  }

  /** It has less in hand than before: held connections get their turn. */
  roomCame(): void {
    this.#host.available()
  }

  /** A session's slot is free. */
  forget(session: HostSession): void {
    this.sessions.delete(session)
    this.#openIfEmpty()
    this.#host.freed(session)
  }

  /** A connect begins. */
  connecting(half: HalfOpen): void {
    this.halfOpen.set(half.request, half)
    this.empty.closeUnsafe()
  }

  /** A connect has been answered, or cancelled. */
  settled(half: HalfOpen): void {
    this.halfOpen.delete(half.request)
    this.#openIfEmpty()
  }

  #openIfEmpty(): void {
    if (this.sessions.size === 0 && this.halfOpen.size === 0) this.empty.openUnsafe()
  }

  /** Stops reading the worker's queue: it is gone, or has been given up. */
  end(): void {
    this.#reader.end()
    this.#over.openUnsafe()
  }
}
