/**
 * Workers that come and go by need (X8): for each application whose number of workers is a range, the load is looked at
 * twice a second, from what the host's tables have, and `WorkerNeed` says what follows from it. No worker is asked
 * anything, and an application with a fixed number costs nothing.
 *
 * A worker that is added is waited for, and nothing else is decided meanwhile. One that is taken away finishes what it
 * has, however long that takes, and what it parks goes on with the others; the next change does not wait for it.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as WorkerNeed from "../../domain/admission/WorkerNeed.ts"
import * as WorkerRoom from "../../domain/admission/WorkerRoom.ts"
import type { WorkerRange } from "../../domain/options/WorkerCount.ts"
import type { Histogram } from "../../domain/state/Histogram.ts"
import type { RefuseReason } from "../../domain/state/Ledger.ts"
import type { NeedLimit } from "../../domain/state/NeedReason.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import type { Machine } from "../system/Machine.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"
import type { WorkerOperations } from "./WorkerOperations.ts"

/** Milliseconds between two looks. */
const LOOK_INTERVAL = 500

/** Milliseconds for which a worker takes nothing, though messages wait, before it counts as stuck and not as loaded. */
const STUCK = 1_000

/** Refusals that one worker more might have spared. */
const SPARED: ReadonlyArray<RefuseReason> = ["congested", "no-worker", "hold-full", "hold-time", "worker-limit"]

/** What one start of a worker had done by the last look. */
class LoadGauge {
  readonly #live: LiveWorker
  #at: number
  #congested: number
  #active = 0
  #idle = 0
  readonly #claims: Histogram

  constructor(live: LiveWorker) {
    this.#live = live
    this.#at = live.now()
    this.#congested = this.#congestedMillis
    this.#claims = live.slot.times.claim.copy()
    this.#busy()
  }

  get #congestedMillis(): number {
    const { behindMillis, congestion, now, sojourn } = this.#live
    return congestion.statistics().congestedMillis + behindMillis + sojourn.millis(now())
  }

  /** Which part of the time since the last look its loop was busy. */
  #busy(): number | undefined {
    const use = this.#live.meter?.use
    if (use === undefined) return undefined
    const active = use.activeMillis - this.#active
    const all = active + use.idleMillis - this.#idle
    this.#active = use.activeMillis
    this.#idle = use.idleMillis
    return all <= 0 ? undefined : active / all
  }

  look(now: number): WorkerNeed.WorkerLoad {
    const { slot: { times }, sessionCount } = this.#live
    const millis = Math.max(1, now - this.#at)
    const congestedMillis = this.#congestedMillis
    const claims = times.claim.since(this.#claims)
    const load = {
      busy: this.#busy(),
      // the ways of being congested may come together
      congested: Math.min(1, (congestedMillis - this.#congested) / millis),
      claims: claims.count,
      claimMillis: claims.quantile(0.5),
      sessions: sessionCount
    }
    this.#at = now
    this.#congested = congestedMillis
    this.#claims.add(claims)
    return load
  }
}

/** What is seen of an application at each look. */
class AppGauge {
  readonly #app: AttachedApp
  readonly #range: WorkerRange
  readonly #tables: Tables
  readonly #machine: Machine
  readonly #workers = new Map<LiveWorker, LoadGauge>()
  #refused = 0

  constructor(app: AttachedApp, range: WorkerRange, tables: Tables, machine: Machine) {
    this.#app = app
    this.#range = range
    this.#tables = tables
    this.#machine = machine
  }

  look(now: number): WorkerNeed.AppLoad {
    const { slots } = this.#app
    const staying = [...slots.values()].filter(({ deleting }) => !deleting)
    const isWaiting = this.#isWaiting()
    return {
      workers: staying.length,
      loads: this.#loads(staying, now),
      isChanging: this.#isChanging(staying),
      isWaiting,
      limit: () => this.#limit()
    }
  }

  #loads(staying: ReadonlyArray<WorkerSlot>, now: number): ReadonlyArray<WorkerNeed.WorkerLoad> {
    const loads: Array<WorkerNeed.WorkerLoad> = []
    const there = new Set<LiveWorker>()
    for (const { live, state } of staying) {
      if (live === undefined || !WorkerState.takesSessions(state)) continue
      there.add(live)
      const gauge = this.#workers.get(live) ?? new LoadGauge(live)
      this.#workers.set(live, gauge)
      const load = gauge.look(now)
      if (live.sinceProgress < STUCK) loads.push(load)
    }
    for (const live of this.#workers.keys()) if (!there.has(live)) this.#workers.delete(live)
    return loads
  }

  #isChanging(staying: ReadonlyArray<WorkerSlot>): boolean {
    const { draining, isFollowed } = this.#tables
    return this.#app.reloading || draining || isFollowed
      || staying.some(({ hasRun, state, successor }) => !hasRun || successor !== undefined || state === "DRAINING")
  }

  #isWaiting(): boolean {
    let held = 0
    let refused = 0
    for (const { admission: { arrivals }, app } of this.#tables.listeners) {
      if (app !== this.#app) continue
      held += arrivals.held
      for (const reason of SPARED) refused += arrivals.refused[reason]
    }
    const before = this.#refused
    this.#refused = refused
    return held > 0 || refused > before
  }

  #limit(): NeedLimit | undefined {
    const { options, slots } = this.#app
    let threads = 0
    for (const { kind } of this.#tables.generations()) if (kind === "thread") threads++
    let heap = 0
    for (const { live } of slots.values()) heap = Math.max(heap, live?.meter?.use?.heapUsed ?? 0)
    const { free, total } = this.#machine.memory()
    return WorkerRoom.limitOf({
      workers: slots.size,
      most: this.#range.most,
      threads,
      processors: this.#machine.processors(),
      memory: total,
      free,
      heap,
      shared: options.segment.firstSegmentSize
    })
  }
}

/** The worker that is missed least: never the default one, and of the others the one with the fewest sessions. */
const leastMissed = ({ slots }: AttachedApp): WorkerSlot | undefined => {
  let least: WorkerSlot | undefined
  for (const slot of slots.values()) {
    if (slot.mapIndex === 0 || slot.deleting) continue
    const sessions = slot.live?.sessionCount ?? 0
    if (least === undefined || sessions <= (least.live?.sessionCount ?? 0)) least = slot
  }
  return least
}

export class WorkersByNeed {
  readonly #tables: Tables
  readonly #operations: WorkerOperations
  readonly #machine: Machine
  /** The host's scope. */
  readonly #scope: Scope.Scope

  constructor(tables: Tables, operations: WorkerOperations, machine: Machine, scope: Scope.Scope) {
    this.#tables = tables
    this.#operations = operations
    this.#machine = machine
    this.#scope = scope
  }

  /** Looks after the application from now on, until it is gone, if the number of its workers is a range. */
  follow(app: AttachedApp): Effect.Effect<void> {
    const { options: { admission, worker }, range } = app
    if (range === undefined) return Effect.void
    return Effect.suspend(() => {
      const need = new WorkerNeed.WorkerNeed({
        least: range.least,
        quiet: worker.retireAfter,
        revokeAfter: admission.revokeAfter,
        sessions: admission.maxSessionsPerWorker
      }, this.#tables.now())
      app.need = need
      const gauge = new AppGauge(app, range, this.#tables, this.#machine)
      const look = Effect.suspend(() => {
        const now = this.#tables.now()
        return this.#act(app, need.look(gauge.look(now), now))
      })
      return look.pipe(
        Effect.catchDefect((error) => Effect.logError("looking after the number of workers has failed", error)),
        Effect.repeat(Schedule.spaced(LOOK_INTERVAL)),
        Effect.raceFirst(app.whenGone),
        Effect.forkIn(this.#scope),
        Effect.asVoid
      )
    })
  }

  #act(app: AttachedApp, change: WorkerNeed.Change | undefined): Effect.Effect<void> {
    if (change === undefined || app.detaching) return Effect.void
    const { forMillis, reason } = change
    if (reason !== "quiet") {
      // what fails is told where it does
      return Effect.ignore(this.#operations.grow(app, app.options.worker.kind, { reason, forMillis }))
    }
    const slot = leastMissed(app)
    if (slot === undefined) return Effect.void
    return Effect.asVoid(Effect.forkIn(this.#operations.retire(app, slot, forMillis), this.#scope))
  }
}
