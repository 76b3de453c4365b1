/**
 * What a worker's thread uses, read from outside: the thread takes no part in it, and may be blocked.
 *
 * How busy its loop is can be read at any time. Its heap and its processor time are told by its isolate, between any two
 * instructions of its JavaScript: so they are asked for at intervals, and what is known is as old as it is. While the thread
 * is in a native call, no new answer comes, and nothing more is asked. For how long it got no processor is told by the
 * system, where that is Linux. What is left of its heap after a collection, the thread says itself.
 */
import type * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import type { Worker } from "node:worker_threads"
import type { Whereabouts } from "../../domain/report/Whereabouts.ts"
import { HeapUse } from "../../domain/state/Wear.ts"
import type { ThreadUse, WorkerMeter } from "../../services/AppWorker.ts"
import * as ThreadStack from "./ThreadStack.ts"

/** Microseconds, and nanoseconds, in a millisecond. */
const MICROS = 1000
const NANOS = 1e6

const MIB = 2 ** 20

/** A thread by the number of its process and its own. */
const TASK = /^\d+\/task\/\d+$/

export class ThreadMeter implements WorkerMeter, ThreadStack.LocatedThread {
  readonly #thread: Worker
  readonly #now: () => number
  readonly #heapLimit: number
  readonly #heap = new HeapUse()
  #loop: ReturnType<Worker["performance"]["eventLoopUtilization"]>
  #utilization = 0
  #told: Pick<ThreadUse, "cpuUserMillis" | "cpuSystemMillis" | "heapUsed" | "heapLimit"> | undefined
  #toldAt = 0
  #schedule: string | undefined
  #starvedMillis = 0
  #idleMillis = 0
  #asking = false

  /** `now` in milliseconds of `MonotonicTime`; the limit of its heap without the part for new objects, if it has one. */
  constructor(thread: Worker, now: () => number, heapLimitMiB = Infinity) {
    this.#thread = thread
    this.#now = now
    this.#heapLimit = heapLimitMiB * MIB
    this.#loop = thread.performance.eventLoopUtilization()
  }

  /** The thread says which of the system's tasks it is: `pid/task/tid`. */
  set task(task: string) {
    if (TASK.test(task)) this.#schedule = `/proc/${task}/schedstat`
  }

  get away(): number {
    const { idle } = this.#thread.performance.eventLoopUtilization()
    // of a thread that ends, no time is known any longer
    this.#idleMillis = Math.max(this.#idleMillis, idle)
    return this.#idleMillis + this.#starved()
  }

  /** Milliseconds for which the thread was ready to run, and did not. What can't be read stays as it was. */
  #starved(): number {
    if (this.#schedule === undefined) return this.#starvedMillis
    try {
      const [, waited] = Fs.readFileSync(this.#schedule, "latin1").split(" ")
      this.#starvedMillis = Number(waited) / NANOS
    } catch {
      // the thread is gone, or the system does not tell
      this.#schedule = undefined
    }
    return this.#starvedMillis
  }

  get threadId(): number {
    return this.#thread.threadId
  }

  get locate(): Effect.Effect<Whereabouts> {
    return ThreadStack.locate(this)
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
      this.#told = {
        heapUsed,
        heapLimit: Math.min(heapLimit, this.#heapLimit),
        cpuUserMillis: user / MICROS,
        cpuSystemMillis: system / MICROS
      }
    } catch {
      // the thread is not there yet, or not any more: it is asked again as long as it is looked at
    } finally {
      this.#asking = false
    }
  }

  /** All of its heap was collected, and so many bytes are left. */
  collected(heapUsed: number): void {
    this.#heap.collected(this.#now(), heapUsed)
  }

  get heapRetained(): number | undefined {
    return this.#heap.retained(this.#now(), this.#told?.heapUsed ?? 0)
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
