/**
 * What one look at a host shows, from its tables and from nothing else: no worker is asked, and no session is looked at.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Os from "node:os"
import * as Changes from "../../domain/overview/Changes.ts"
import type * as Overview from "../../domain/overview/Overview.ts"
import * as Verdict from "../../domain/overview/Verdict.ts"
import { version } from "../../domain/report/Version.ts"
import * as Whereabouts from "../../domain/report/Whereabouts.ts"
import * as Handle from "../../domain/state/Handle.ts"
import { Histogram } from "../../domain/state/Histogram.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import type { HostListener } from "./Listener.ts"
import { grown, OverviewMarks } from "./OverviewMarks.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"
import { takesOf } from "./WorkerReports.ts"

/** How many changes are shown, and how many events they are looked for in. */
const CHANGES = 20
const EVENTS = 500

/** Thousandths of a millisecond are as much as the clock is good for. */
const rounded = (value: number): number => Math.round(value * 1000) / 1000

const briefOf = (times: Histogram): Overview.Brief => ({
  count: times.count,
  p50Millis: rounded(times.quantile(0.5)),
  p99Millis: rounded(times.quantile(0.99)),
  maxMillis: rounded(times.max)
})

const briefsOf = (all: Histogram, recent: Histogram): Overview.Briefs => ({
  recent: briefOf(recent),
  all: briefOf(all)
})

const sum = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number => all.reduce((sum, one) => sum + of(one), 0)

const sumOfCounts = (counts: Readonly<Record<string, number>>): number => sum(Object.values(counts), (count) => count)

/** Counts by reason, added up. */
const added = (all: ReadonlyArray<Readonly<Record<string, number>>>): Record<string, number> => {
  const sums: Record<string, number> = {}
  for (const counts of all) {
    for (const [reason, count] of Object.entries(counts)) sums[reason] = (sums[reason] ?? 0) + count
  }
  return sums
}

/** A gauge of the whole host, of which the parts are known, and the most that was seen of all at once. */
const whole = (parts: ReadonlyArray<Overview.Gauge>, seen: number): Overview.Gauge => {
  const now = sum(parts, ({ now }) => now)
  return {
    now,
    highest: parts.reduce((most, { highest }) => Math.max(most, highest), Math.max(seen, now)),
    limit: sum(parts, ({ limit }) => limit)
  }
}

/** What is found out of a listener besides its view, to be added up. */
interface ListenerSums {
  readonly view: Overview.ListenerView
  readonly recentClaim: Histogram
  readonly recentHold: Histogram
  readonly recentLost: number
}

export class Overviews {
  readonly #tables: Tables
  readonly #marks: OverviewMarks

  constructor(tables: Tables) {
    this.#tables = tables
    this.#marks = new OverviewMarks(tables)
  }

  /** Notes what it takes to tell of the last seconds; to be called once a second. */
  look(): void {
    this.#marks.look()
  }

  /** The overview of now. */
  get overview(): Effect.Effect<Overview.Overview> {
    return Effect.map(Clock.currentTimeMillis, (time) => this.#make(time))
  }

  #make(time: number): Overview.Overview {
    const facts = this.#facts(time)
    const findings = Verdict.of(facts)
    return { ...facts, verdict: findings[0]!, findings }
  }

  #facts(time: number): Overview.OverviewFacts {
    const tables = this.#tables
    const now = tables.now()
    const { arrivals, offers } = tables.totals
    const listeners = [...tables.listeners].filter(({ state }) => state !== "BINDING").map((one) =>
      this.#listener(one, now)
    )
    const views = listeners.map(({ view }) => view)
    const attached = [...tables.apps]
    const apps = attached.map((app) => this.#app(app))
    const workers = attached.flatMap((app) => [...app.slots.values()].map((slot) => this.#worker(slot, now)))
    const all = (of: (listener: HostListener) => Histogram) =>
      [...tables.listeners].reduce((all, one) => all.add(of(one)), new Histogram())
    const recent = (of: (sums: ListenerSums) => Histogram) =>
      listeners.reduce((all, one) => all.add(of(one)), new Histogram())
    const { peaks } = this.#marks
    return {
      at: rounded(now),
      time,
      host: this.#host(),
      totals: {
        arrived: arrivals.arrived,
        claimed: Ledger.claimsOf(arrivals),
        refused: sumOfCounts(arrivals.refused),
        revoked: offers.revoked,
        moved: arrivals.moved,
        lost: arrivals.lost,
        bytesIn: sum(workers, ({ bytesIn }) => bytesIn),
        bytesOut: sum(workers, ({ bytesOut }) => bytesOut)
      },
      refused: { recent: added(views.map(({ refused }) => refused.recent)), all: grown(arrivals.refused) },
      lost: { recent: sum(listeners, ({ recentLost }) => recentLost), all: arrivals.lost },
      claim: briefsOf(all(({ admission }) => admission.times.claim), recent(({ recentClaim }) => recentClaim)),
      hold: briefsOf(all(({ admission }) => admission.times.hold), recent(({ recentHold }) => recentHold)),
      sessions: whole(apps.map(({ sessions }) => sessions), peaks.sessions.highest),
      held: whole(views.map(({ held }) => held), peaks.held.highest),
      memory: whole(workers.map(({ memory }) => memory), peaks.memory.highest),
      imbalances: tables.imbalances,
      apps,
      workers,
      listeners: views,
      events: Changes.of(tables.events.latest(EVENTS), CHANGES)
    }
  }

  #host(): Overview.HostView {
    const { draining, formerHosts, lineage, upMillis } = this.#tables
    return {
      machine: Os.hostname(),
      pid: process.pid,
      version,
      generation: lineage.generation,
      upMillis: Math.round(upMillis),
      allUpMillis: Math.round(lineage.upMillis),
      draining,
      formers: formerHosts.length,
      formerSessions: sum(formerHosts, ({ sessions }) => sessions)
    }
  }

  #app({ index, name, options, reloading, sessions, sessionsHighest, slots }: AttachedApp): Overview.AppView {
    const workers = [...slots.values()]
    return {
      name,
      index,
      generation: workers.reduce((latest, { generation }) => Math.max(latest, generation), 1),
      reloading,
      workers: workers.length,
      running: sum(workers, ({ state }) => Number(state === "RUNNING")),
      sessions: { now: sessions, highest: sessionsHighest, limit: options.admission.maxSessions }
    }
  }

  #worker(slot: WorkerSlot, now: number): Overview.WorkerView {
    const { app, formers, live, offers, times } = slot
    const { admission, queue, segment } = app.options
    const segments = live?.segments.statistics()
    const congestion = live?.congestion.statistics()
    const memory = segments?.bytes ?? 0
    const place = live?.stuckAt?.place
    return {
      app: app.name,
      appIndex: app.index,
      worker: slot.mapIndex,
      handle: Handle.format(slot.handle),
      kind: slot.kind,
      generation: slot.generation,
      state: slot.state,
      takes: takesOf(slot),
      congested: live?.congested ?? false,
      behindMillis: Math.round(live?.behind ?? 0),
      stuckAt: place === undefined || place === null ? null : Whereabouts.brief(place),
      congestedMillis: Math.round((congestion?.congestedMillis ?? 0) + (live?.behindMillis ?? 0)),
      lastProgressMillis: Math.round(live?.sinceProgress ?? 0),
      claim: briefsOf(times.claim, times.claim.since(this.#marks.claim(slot, now))),
      thread: live === undefined ? null : this.#thread(live),
      sessions: {
        now: live?.sessionCount ?? 0,
        highest: slot.sessionsHighest,
        limit: admission.maxSessionsPerWorker
      },
      memory: {
        now: memory,
        highest: Math.max(memory, this.#marks.memoryOf(slot).highest),
        limit: segment.memoryLimit
      },
      memoryState: segments?.memory ?? "ample",
      queue: {
        now: live?.queue.toWorker.depth ?? 0,
        highest: Math.max(live?.highest.toWorker.index ?? 0, live?.queue.toWorker.depth ?? 0),
        limit: queue.indexQueue
      },
      postponed: {
        now: congestion?.postponed ?? 0,
        bytes: congestion?.postponedBytes ?? 0,
        highest: congestion?.highest ?? 0
      },
      offered: offers.offered,
      claimed: Ledger.claimedOffers(offers),
      revoked: offers.revoked,
      restarts: slot.restarts,
      lastFailure: slot.lastFailure?.detail ?? null,
      successor: slot.successor === undefined
        ? null
        : { generation: slot.successor.generation, state: slot.successor.state },
      formers: formers.size,
      formerSessions: sum([...formers], ({ live }) => live?.sessionCount ?? 0),
      bytesIn: times.bytesIn,
      bytesOut: times.bytesOut
    }
  }

  #thread(live: LiveWorker): Overview.ThreadView | null {
    const use = live.meter?.use
    if (use === undefined) return null
    return {
      utilization: rounded(use.utilization),
      processors: rounded(this.#marks.processors(live)),
      heapUsed: use.heapUsed,
      heapLimit: use.heapLimit,
      ageMillis: Math.round(use.ageMillis)
    }
  }

  #listener(listener: HostListener, now: number): ListenerSums {
    const { admission, app, boundUri, handle, placement } = listener
    const { arrivals, marks, times } = admission
    const { holdMax, maxSessionsPerListener } = app.options.admission
    const earlier = this.#marks.listener(listener, now)
    const recentClaim = times.claim.since(earlier.claim)
    const recentHold = times.hold.since(earlier.hold)
    return {
      recentClaim,
      recentHold,
      recentLost: arrivals.lost - earlier.lost,
      view: {
        app: app.name,
        appIndex: app.index,
        handle: Handle.format(handle),
        endpoint: boundUri,
        placement,
        workers: admission.seats.size,
        arrived: arrivals.arrived,
        offered: marks.offers,
        claimed: Ledger.claimsOf(arrivals),
        revoked: marks.revoked,
        moved: arrivals.moved,
        lost: arrivals.lost,
        refused: { recent: grown(arrivals.refused, earlier.refused), all: grown(arrivals.refused) },
        sessions: { now: admission.sessions, highest: marks.sessionsHighest, limit: maxSessionsPerListener },
        held: { now: arrivals.held, highest: marks.heldHighest, limit: holdMax },
        claim: briefsOf(times.claim, recentClaim),
        hold: briefsOf(times.hold, recentHold),
        imbalances: Ledger.imbalances("", { arrivals }),
        bytesIn: times.bytesIn,
        bytesOut: times.bytesOut
      }
    }
  }
}
