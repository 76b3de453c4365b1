/**
 * What one start of a worker tells of its congestion: that it is behind with an offer, that its queue is full, that a queue
 * stands before it, and that none of this is so any longer.
 */
import { ofWorker } from "./EventSubjects.ts"
import type { Tables } from "./Tables.ts"
import type { WorkerSlot } from "./Worker.ts"

type Begun = "worker-behind" | "worker-congested" | "worker-delayed"

export class CongestionEvents {
  readonly #slot: WorkerSlot
  readonly #tables: Tables
  /** What it is now. */
  readonly #is = new Set<Begun>()
  #since = 0

  constructor(slot: WorkerSlot, tables: Tables) {
    this.#slot = slot
    this.#tables = tables
  }

  /** Whether it has let an offer run out that it has not passed yet. */
  readonly behind = (is: boolean): void => this.#turned("worker-behind", is)

  /** Whether messages for it are postponed. */
  readonly congested = (is: boolean): void => this.#turned("worker-congested", is)

  /** Whether all that it is offered has to wait. */
  readonly delayed = (is: boolean): void => this.#turned("worker-delayed", is)

  #turned(kind: Begun, is: boolean): void {
    if (is === this.#is.has(kind)) return
    const { now } = this.#tables
    if (is) {
      if (this.#is.size === 0) this.#since = now()
      this.#is.add(kind)
      return this.#tell(kind, 0)
    }
    this.#is.delete(kind)
    if (this.#is.size === 0) this.#tell("worker-clear", now() - this.#since)
  }

  #tell(kind: Begun | "worker-clear", millis: number): void {
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
