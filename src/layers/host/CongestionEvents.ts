/**
 * What one start of a worker tells of its congestion: that it is behind with an offer, that its queue is full, and that
 * neither is so any longer.
 */
import { ofWorker } from "./EventSubjects.ts"
import type { Tables } from "./Tables.ts"
import type { WorkerSlot } from "./Worker.ts"

export class CongestionEvents {
  readonly #slot: WorkerSlot
  readonly #tables: Tables
  #behind = false
  #congested = false
  #since = 0

  constructor(slot: WorkerSlot, tables: Tables) {
    this.#slot = slot
    this.#tables = tables
  }

  /** Whether it has let an offer run out that it has not passed yet. */
  readonly behind = (is: boolean): void => {
    const was = this.#behind || this.#congested
    if (is === this.#behind) return
    this.#behind = is
    this.#turned(was, is, "worker-behind")
  }

  /** Whether messages for it are postponed. */
  readonly congested = (is: boolean): void => {
    const was = this.#behind || this.#congested
    if (is === this.#congested) return
    this.#congested = is
    this.#turned(was, is, "worker-congested")
  }

  #turned(was: boolean, begins: boolean, kind: "worker-behind" | "worker-congested"): void {
    const { now } = this.#tables
    if (!was) this.#since = now()
    if (begins) this.#tell(kind, 0)
    else if (!this.#behind && !this.#congested) this.#tell("worker-clear", now() - this.#since)
  }

  #tell(kind: "worker-behind" | "worker-congested" | "worker-clear", millis: number): void {
    const { events } = this.#tables
    const slot = this.#slot
    const key = `${kind} ${slot.handle} ${slot.generation}`
    const series = events.series(key) ?? events.begin(key, ({ count, withinMillis }, afterMillis) => {
      const facts = { ...ofWorker(slot), count, withinMillis }
      return kind === "worker-clear" ? { kind, ...facts, afterMillis } : { kind, ...facts }
    })
    events.often(series, undefined, undefined, millis)
  }
}
