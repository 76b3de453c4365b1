/**
 * Looks whether one start of a worker takes what waits for it, and does what is to be done when it does not (X6):
 *
 * ```
 * silent for FLAG ──► where is its code? ──► worker-silent ──► (it takes something) ──► worker-responds
 *        │
 *        └─ silent for stuckAfter ──► worker-stuck ──► its next start begins, and it is given up
 * ```
 *
 * The two happen at once: the start would have to share the processors with the thread that does not come back.
 *
 * That it does not respond is told once in ten seconds, however often it comes and goes: each time, its code is stopped
 * for a moment to see where it is.
 */
import * as Effect from "effect/Effect"
import type { EventOf } from "../../domain/events/HostEvent.ts"
import * as Notice from "../../domain/report/Notice.ts"
import { Spell } from "../../domain/report/Spell.ts"
import type { Whereabouts } from "../../domain/report/Whereabouts.ts"
import { FLAG, flagOf } from "../../domain/state/Silence.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import { ofWorker } from "./EventSubjects.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"

/** Milliseconds after which it is tried again to replace a worker that is stuck. */
const AGAIN = 1000

/** What the watch needs of its host. */
export interface SilenceHost {
  readonly tables: Tables
  /** Starts the worker's next generation, which takes its place; `false` where that is not for now. */
  readonly renew: (slot: WorkerSlot, why: "stuck") => boolean
}

export class SilenceWatch {
  readonly #live: LiveWorker
  readonly #host: SilenceHost
  readonly #run: (effect: Effect.Effect<void>) => void
  readonly #told = new Spell(Notice.INTERVAL)
  /** After how many milliseconds of silence it was told of. */
  #flag = FLAG
  /** It is being found out where its code is; and it has taken something meanwhile, after so many milliseconds. */
  #locating = false
  #responded: number | undefined
  /** When it is tried again to replace it; `undefined` while it is not stuck. */
  #again: number | undefined

  /** `run` runs what takes a while, as long as the start lives. */
  constructor(live: LiveWorker, host: SilenceHost, run: (effect: Effect.Effect<void>) => void) {
    this.#live = live
    this.#host = host
    this.#run = run
  }

  readonly look = (): void => {
    const { now } = this.#host.tables
    const { slot } = this.#live
    const silent = this.#live.listen()
    const flag = flagOf(slot.state)
    if (silent < flag) return this.#responds(now())
    if (this.#told.look(true, now()) === "begin") {
      this.#flag = flag
      this.#run(this.#tell(silent))
    }
    const { stuckAfter } = slot.app.options.worker
    if (slot.kind === "thread" && stuckAfter > 0 && silent >= stuckAfter) this.#stuck(silent, now())
  }

  #responds(now: number): void {
    this.#again = undefined
    const lasted = this.#told.lasted(now)
    if (this.#told.look(false, now) === undefined) return
    this.#live.stuckAt = undefined
    if (this.#locating) this.#responded = this.#flag + lasted
    else this.#tellResponse(this.#flag + lasted)
  }

  #tellResponse(afterMillis: number): void {
    this.#host.tables.events.record({ kind: "worker-responds", ...ofWorker(this.#live.slot), afterMillis })
  }

  /** Where its code is: it is asked of the thread, and not of what runs on it. */
  #tell(silentMillis: number): Effect.Effect<void> {
    const { meter, slot } = this.#live
    const unknown: Whereabouts = { place: null, unplaced: "no-thread" }
    this.#locating = true
    return Effect.map(meter?.locate ?? Effect.succeed(unknown), (where) => {
      this.#locating = false
      this.#host.tables.events.record({ kind: "worker-silent", ...ofWorker(slot), silentMillis, ...where })
      const responded = this.#responded
      this.#responded = undefined
      if (responded === undefined) this.#live.stuckAt = where
      else this.#tellResponse(responded)
    })
  }

  #stuck(silentMillis: number, now: number): void {
    const { slot } = this.#live
    const kept = this.#host.tables.quarantine.isFull(slot.app) ? "quarantine-full" : null
    if (this.#again === undefined) this.#tellStuck(silentMillis, kept)
    if (now < (this.#again ?? now)) return
    this.#again = now + AGAIN
    if (kept !== null) return
    if (slot.state === "STARTING") return
    const serves = slot.role === "current" && WorkerState.takesSessions(slot.state)
    if (serves) this.#host.renew(slot, "stuck")
    this.#live.giveUp()
  }

  #tellStuck(silentMillis: number, keptBecause: EventOf<"worker-stuck">["keptBecause"]): void {
    const { sessionCount: sessions, slot, stuckAt } = this.#live
    const where = stuckAt ?? { place: null, unplaced: "no-answer" }
    this.#host.tables.events.record({
      kind: "worker-stuck",
      ...ofWorker(slot),
      silentMillis,
      ...where,
      sessions,
      keptBecause
    })
  }
}
