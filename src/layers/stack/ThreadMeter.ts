/**
 * What a worker's thread uses, read from outside: the thread takes no part in it, and may be blocked.
 *
 * How busy its loop is can be read at any time. Its heap and its processor time are told by its isolate, between any two
 * instructions of its JavaScript: so they are asked for at intervals, and what is known is as old as it is. While the thread
 * is in a native call, no new answer comes, and nothing more is asked.
 */
import type { Worker } from "node:worker_threads"
import type { ThreadUse, WorkerMeter } from "../../services/AppWorker.ts"

/** Microseconds in a millisecond. */
const MICROS = 1000

export class ThreadMeter implements WorkerMeter {
  readonly #thread: Worker
  readonly #now: () => number
  #loop: ReturnType<Worker["performance"]["eventLoopUtilization"]>
  #utilization = 0
  #told: Pick<ThreadUse, "cpuUserMillis" | "cpuSystemMillis" | "heapUsed" | "heapLimit"> | undefined
  #toldAt = 0
  #asking = false

  /** `now` in milliseconds of `MonotonicTime`. */
  constructor(thread: Worker, now: () => number) {
    this.#thread = thread
    this.#now = now
    this.#loop = thread.performance.eventLoopUtilization()
  }

  look(): void {
    const loop = this.#thread.performance.eventLoopUtilization()
    this.#utilization = this.#thread.performance.eventLoopUtilization(loop, this.#loop).utilization
    this.#loop = loop
    if (!this.#asking) void this.#ask()
  }

  async #ask(): Promise<void> {
    this.#asking = true
    try {
      const [{ heap_size_limit: heapLimit, used_heap_size: heapUsed }, { system, user }] = await Promise.all([
        this.#thread.getHeapStatistics(),
        this.#thread.cpuUsage()
      ])
      this.#toldAt = this.#now()
      this.#told = { heapUsed, heapLimit, cpuUserMillis: user / MICROS, cpuSystemMillis: system / MICROS }
    } catch {
      // the thread is not there yet, or not any more: it is asked again as long as it is looked at
    } finally {
      this.#asking = false
    }
  }

  get use(): ThreadUse | undefined {
    if (this.#told === undefined) return undefined
    const { active, idle } = this.#thread.performance.eventLoopUtilization()
    return {
      activeMillis: active,
      idleMillis: idle,
      utilization: this.#utilization,
      ...this.#told,
      ageMillis: this.#now() - this.#toldAt
    }
  }
}
