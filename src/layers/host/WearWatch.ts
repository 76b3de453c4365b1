/**
 * Looks whether one start of a worker has served for long enough to be replaced by a new one ({@link HeapUse},
 * `maxHeap`, `maxSessionsPerStart`), and has it replaced as a restart does (X6): the new start takes its place first, and
 * then it drains.
 */
import { HeapUse, sessionsOf } from "../../domain/state/Wear.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"

/** Milliseconds after which it is tried again, where the new start has not come up. */
const AGAIN = 10_000

/**
 * Milliseconds for which a start serves at the least before its sessions count as enough: those that move over from one that
 * is replaced count, too, and must not have the next one replaced at once.
 */
const LEAST = 60_000

/** A sample that is older says nothing new. */
const FRESH = 600

/** What the watch needs of its host. */
export interface WearHost {
  readonly tables: { readonly now: () => number }
  /** Starts the worker's next generation, which takes its place; nothing happens where one is on its way. */
  readonly renew: (slot: WorkerSlot, why: "heap" | "sessions") => void
}

export class WearWatch {
  readonly #live: Pick<LiveWorker, "slot" | "meter">
  readonly #host: WearHost
  readonly #heap = new HeapUse()
  /** Claims when this generation had got the worker's place. */
  #before: number | undefined
  #since: number
  #again = -Infinity

  constructor(live: Pick<LiveWorker, "slot" | "meter">, host: WearHost) {
    this.#live = live
    this.#host = host
    this.#since = host.tables.now()
    if (live.slot.role === "current") this.#before = this.#claims
  }

  readonly look = (): void => {
    const { slot } = this.#live
    if (slot.kind !== "thread" || slot.role !== "current" || !WorkerState.takesSessions(slot.state)) return
    const now = this.#host.tables.now()
    const isLarge = this.#isLarge(now)
    const isDone = this.#isDone(now)
    if (now < this.#again) return
    if (isLarge && slot.patience.may(now)) {
      slot.patience.replaced(now)
      this.#renew("heap", now)
    } else if (isDone) this.#renew("sessions", now)
  }

  #renew(why: "heap" | "sessions", now: number): void {
    this.#again = now + AGAIN
    this.#host.renew(this.#live.slot, why)
  }

  #isLarge(now: number): boolean {
    const { meter, slot } = this.#live
    const { maxHeap } = slot.app.options.worker
    const use = maxHeap === undefined ? undefined : meter?.use
    if (maxHeap === undefined || use === undefined || use.ageMillis > FRESH) return false
    const least = this.#heap.look(now, use.heapUsed)
    return least !== undefined && least >= maxHeap
  }

  /** Claims of all of the worker's generations: of one that has its place, those since it got it are its own. */
  get #claims(): number {
    const { claimed, unclaimed } = this.#live.slot.offers
    return claimed + unclaimed
  }

  #isDone(now: number): boolean {
    const { app, generation, mapIndex } = this.#live.slot
    this.#before ??= this.#claims
    const { maxSessionsPerStart } = app.options.worker
    if (maxSessionsPerStart === undefined || now - this.#since < LEAST) return false
    return this.#claims - this.#before >= sessionsOf(maxSessionsPerStart, mapIndex, generation)
  }
}
