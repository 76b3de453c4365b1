/**
 * Threads that are to end and do not: they are in native code, which nothing can stop (X6). Each is told of, counted and
 * shown, until it ends at last.
 *
 * A thread that comes back from native code ends before its next instruction. Until then it may write to its memory: that
 * is shared with nobody but the start that is gone, is not used for anything else, and is freed with the thread.
 */
import type { EventLog } from "../telemetry/EventLog.ts"
import { ofWorker } from "./EventSubjects.ts"
import type { SlotApp, WorkerSlot } from "./Worker.ts"

/** With as many threads of an application here, workers of it that are stuck are not replaced: each costs as much. */
export const MOST = 8

/** The thread of a start that is gone. */
export interface LingeringThread {
  readonly slot: WorkerSlot
  /** Bytes of the segments that it had. */
  readonly bytes: number
  /** Milliseconds of `MonotonicTime`. */
  readonly since: number
}

export class Quarantine {
  readonly #events: EventLog
  readonly #now: () => number
  readonly #threads = new Set<LingeringThread>()

  constructor(events: EventLog, now: () => number) {
    this.#events = events
    this.#now = now
  }

  /** The start's thread has not ended in time; `ended` is done when it has. */
  keep(slot: WorkerSlot, bytes: number, ended: Promise<unknown>): void {
    const thread: LingeringThread = { slot, bytes, since: this.#now() }
    this.#threads.add(thread)
    const { record } = this.#events
    record({ kind: "worker-quarantined", ...ofWorker(slot), bytes })
    const over = (): void => {
      this.#threads.delete(thread)
      record({ kind: "worker-quarantine-ended", ...ofWorker(slot), afterMillis: this.#now() - thread.since })
    }
    ended.then(over, over)
  }

  /** Those of an application, oldest first. */
  of(app: SlotApp): ReadonlyArray<LingeringThread> {
    return [...this.#threads].filter(({ slot }) => slot.app === app)
  }

  isFull(app: SlotApp): boolean {
    return this.of(app).length >= MOST
  }
}
