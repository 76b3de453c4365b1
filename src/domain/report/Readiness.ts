/**
 * Whether a host is ready: whether a connection that comes now will be served, as far as the host can know.
 *
 * A host is ready when it accepts connections and each of its applications has a worker that runs. A congested worker
 * counts: congestion comes and goes within milliseconds, connections are held for it, and a balancer that takes a host
 * away because it has much to do gives its work to others that have as much. A worker that stays congested is given up
 * by the host, and then no longer counts.
 */
import * as Schema from "effect/Schema"
import type { WorkerState } from "../state/WorkerState.ts"

/** What is answered to somebody who asks whether the host is ready, and in one sentence why it is or is not. */
export const Readiness = Schema.Struct({ ready: Schema.Boolean, reason: Schema.String })
export type Readiness = typeof Readiness.Type

/** An application, and the states of its workers. */
export interface ReadinessApp {
  readonly name: string
  readonly workers: ReadonlyArray<WorkerState>
  /** How many of them die again and again. */
  readonly crashing: number
}

const runs = (state: WorkerState): boolean => state === "RUNNING"

/** What the workers that do not run are doing: `1 STARTING, 2 BACKOFF`. */
const others = (workers: ReadonlyArray<WorkerState>): string =>
  [...new Set(workers)].map((state) => `${workers.filter((other) => other === state).length} ${state}`).join(", ")

const sentenceOf = ({ crashing, name, workers }: ReadinessApp): string => {
  const running = workers.filter(runs).length
  const loops = crashing === 0 ? "" : `, ${crashing} of them ${crashing === 1 ? "dies" : "die"} again and again`
  if (running === 0) {
    return `${name}: no worker takes sessions${workers.length === 0 ? "" : ` (${others(workers)})`}${loops}`
  }
  return `${name}: ${running} of ${workers.length} ${
    workers.length === 1 ? "worker takes" : "workers take"
  } sessions${loops}`
}

/** A host that finishes what it has. */
export const draining: Readiness = { ready: false, reason: "draining: nothing new is accepted" }

/** Whether a host with these applications is ready. Those that are not are the reason. */
export const of = (apps: ReadonlyArray<ReadinessApp>): Readiness => {
  if (apps.length === 0) return { ready: false, reason: "no application is attached" }
  const without = apps.filter(({ workers }) => !workers.some(runs))
  return { ready: without.length === 0, reason: (without.length === 0 ? apps : without).map(sentenceOf).join("; ") }
}
