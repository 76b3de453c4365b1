/**
 * Looks whether one start of a worker has served for long enough to be replaced by a new one (`maxHeap`, `maxSessionsPerStart`), and has it replaced as a restart does (X6): the new start takes its place first, and
 * then it drains.
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as Ledger from "../../domain/state/Ledger.ts"
import { sessionsOf } from "../../domain/state/Wear.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"

/** Milliseconds after which it is tried again, where the new start has not come up. */
const AGAIN = 10_000

/**
 * Milliseconds for which a start serves at the least before its sessions count as enough: those that move over from one that
 * is replaced count, too, and must not have the next one replaced at once.
 */
const LEAST = 60_000

/** From which part of what a heap may have V8 may end the thread: it does where collecting takes all of its time. */
const FULL = 0.8

const bytes = (count: number): string => ByteSize.format(ByteSize.bytes(count))

/** What the watch needs of its host. */
export interface WearHost {
  readonly tables: { readonly now: () => number }
  /** Starts the worker's next generation, which takes its place; `false` where that is not for now. */
  readonly renew: (slot: WorkerSlot, why: "heap" | "sessions") => boolean
}

export class WearWatch {
  readonly #live: Pick<LiveWorker, "slot" | "meter">
  readonly #host: WearHost
  readonly #run: (effect: Effect.Effect<void>) => void
  #told = false
  /** Claims when this generation had got the worker's place. */
  #before: number | undefined
  #since: number
  #again = -Infinity

  /** `run` runs what is logged. */
  constructor(
    live: Pick<LiveWorker, "slot" | "meter">,
    host: WearHost,
    run: (effect: Effect.Effect<void>) => void
  ) {
    this.#live = live
    this.#host = host
    this.#run = run
    this.#since = host.tables.now()
    if (live.slot.role === "current") this.#before = this.#claims
  }

  readonly look = (): void => {
    const { slot } = this.#live
    if (slot.kind !== "thread" || slot.role !== "current" || !WorkerState.takesSessions(slot.state)) return
    const now = this.#host.tables.now()
    const isLarge = this.#isLarge
    const isDone = this.#isDone(now)
    if (now < this.#again) return
    if (isLarge && slot.patience.may(now)) {
      if (this.#renew("heap", now)) slot.patience.replaced(now)
    } else if (isDone) this.#renew("sessions", now)
  }

  #renew(why: "heap" | "sessions", now: number): boolean {
    const begun = this.#host.renew(this.#live.slot, why)
    if (begun) this.#again = now + AGAIN
    return begun
  }

  get #isLarge(): boolean {
    const { meter, slot } = this.#live
    const { maxHeap } = slot.app.options.worker
    if (maxHeap === undefined || meter === undefined) return false
    if (!this.#told && meter.use !== undefined) this.#tellLimit(maxHeap, meter.use.heapLimit)
    return (meter.heapRetained ?? 0) >= maxHeap
  }

  /** Says once that it may die before it is replaced. */
  #tellLimit(maxHeap: number, limit: number): void {
    this.#told = true
    const { app, generation, mapIndex, restarts } = this.#live.slot
    if (maxHeap < FULL * limit || generation > 1 || restarts > 0) return
    this.#run(
      Effect.logWarning(
        `maxHeap is ${bytes(maxHeap)}, and the heap may have ${
          bytes(limit)
        }: V8 may end the thread when four fifths of that `
          + "are in use, before the worker is replaced; six tenths leave room"
      ).pipe(Effect.annotateLogs({ app: app.name, worker: mapIndex }))
    )
  }

  /** Claims of all of the worker's generations: of one that has its place, those since it got it are its own. */
  get #claims(): number {
    return Ledger.claimedOffers(this.#live.slot.offers)
  }

  #isDone(now: number): boolean {
    const { app, generation, mapIndex } = this.#live.slot
    this.#before ??= this.#claims
    const { maxSessionsPerStart } = app.options.worker
    if (maxSessionsPerStart === undefined || now - this.#since < LEAST) return false
    return this.#claims - this.#before >= sessionsOf(maxSessionsPerStart, mapIndex, generation)
  }
}
