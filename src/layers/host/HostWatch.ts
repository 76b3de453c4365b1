/**
 * Looks at workers and listeners once a second, and logs what has changed since.
 *
 * Congestion and held connections begin and end as often as peers please. Their events say each time; a log wants to know
 * of spells, and how often these are told is for the clock to decide. What was counted of events that came often is told
 * here, too, and that the ledger does not balance.
 */
import * as Notice from "../../domain/report/Notice.ts"
import { Spell } from "../../domain/report/Spell.ts"
import type { NoticeLog } from "../log/NoticeLog.ts"
import type { HostListener } from "./Listener.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker } from "./Worker.ts"

/** Milliseconds between two looks. */
export const LOOK_INTERVAL = 1000

/** Milliseconds of congestion that are not worth a line. */
const SHORT = 100

/** What has been told of one start of a worker. */
class WorkerWatch {
  readonly #live: LiveWorker
  readonly #tell: NoticeLog["tell"]
  readonly #congestion = new Spell(Notice.INTERVAL)
  /** How often it was congested, and for how many milliseconds, when that was last told. */
  #times = 0
  #millis = 0

  constructor(live: LiveWorker, tell: NoticeLog["tell"]) {
    this.#live = live
    this.#tell = tell
  }

  get #name(): Notice.NoticeWorker {
    const { app, mapIndex } = this.#live.slot
    return { app: app.name, worker: mapIndex }
  }

  look(now: number): void {
    const { behindMillis, congested, congestion, lag } = this.#live
    const { congestedMillis, postponed, timesCongested } = congestion.statistics()
    const times = timesCongested + lag.times
    const millis = congestedMillis + behindMillis
    const lasted = this.#congestion.lasted(now)
    switch (this.#congestion.look(congested, now)) {
      case "begin":
        this.#tell(Notice.workerCongested(this.#name, postponed))
        break
      case "end":
        this.#tell(Notice.workerClear(this.#name, lasted))
        break
      default:
        // it was congested between two looks, or so soon after the last line that the beginning was not told
        if (congested || times === this.#times || !this.#congestion.mayBegin(now)) return
        if (millis - this.#millis >= SHORT) {
          this.#tell(Notice.workerWasCongested(this.#name, times - this.#times, millis - this.#millis))
          this.#congestion.told(now)
        }
    }
    this.#times = times
    this.#millis = millis
  }
}

/** What has been told of a listener. */
class ListenerWatch {
  readonly #listener: HostListener
  readonly #tell: NoticeLog["tell"]
  readonly #holding = new Spell(Notice.INTERVAL)

  constructor(listener: HostListener, tell: NoticeLog["tell"]) {
    this.#listener = listener
    this.#tell = tell
  }

  look(now: number): void {
    const { admission: { arrivals }, app, boundUri } = this.#listener
    const listener: Notice.NoticeListener = { app: app.name, uri: boundUri }
    const lasted = this.#holding.lasted(now)
    switch (this.#holding.look(arrivals.held > 0, now)) {
      case "begin":
        return this.#tell(Notice.held(listener, arrivals.held))
      case "end":
        return this.#tell(Notice.noneHeld(listener, lasted))
    }
  }
}

export class HostWatch {
  readonly #tables: Tables
  readonly #tell: NoticeLog["tell"]
  readonly #workers = new Map<LiveWorker, WorkerWatch>()
  readonly #listeners = new Map<HostListener, ListenerWatch>()
  /** What did not balance at the last look. */
  #imbalances: ReadonlyArray<string> = []

  constructor(tables: Tables, { tell }: NoticeLog) {
    this.#tables = tables
    this.#tell = tell
  }

  /** Tells what has changed. A listener that is gone is looked at once more. */
  look(): void {
    const now = this.#tables.now()
    for (const { live } of this.#tables.generations()) {
      if (live !== undefined && !this.#workers.has(live)) this.#workers.set(live, new WorkerWatch(live, this.#tell))
    }
    for (const listener of this.#tables.listeners) {
      if (!this.#listeners.has(listener)) this.#listeners.set(listener, new ListenerWatch(listener, this.#tell))
    }
    for (const [live, watch] of this.#workers) {
      if (live.slot.live === live) watch.look(now)
      else this.#workers.delete(live)
    }
    for (const [listener, watch] of this.#listeners) {
      watch.look(now)
      if (listener.state === "CLOSED") this.#listeners.delete(listener)
    }
    this.#tables.events.tellCounts()
    this.#lookAtLedger()
    this.#tables.settle()
  }

  #lookAtLedger(): void {
    const { imbalances } = this.#tables
    for (const detail of imbalances) {
      if (!this.#imbalances.includes(detail)) this.#tables.events.record({ kind: "ledger-imbalance", detail })
    }
    this.#imbalances = imbalances
  }
}
