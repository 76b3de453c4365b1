/**
 * Workers by need: what a step of the load from half of what a worker can do to 1.8 times as much brings about, a minute at
 * that load, and what follows when it is gone. Each connection asks once, and its answer blocks its worker for 5 ms.
 *
 * Goal: from the step on, the next worker has its first session within 2 s of the window in which all workers must be near
 * their limit, that is within 4.5 s; then, at a load that does not change, the number of workers does not change.
 * `node bench/workers.ts [seconds at the load]`: about 90 s.
 */
import * as Timers from "node:timers/promises"
import { COOLDOWN, WINDOW } from "../src/domain/admission/WorkerNeed.ts"
import * as Bench from "./support/Bench.ts"

const [SECONDS = 60] = process.argv.slice(2).map(Number)
const MILLIS_EACH = 5
/** The connections a second that one worker can serve. */
const ONE = 1000 / MILLIS_EACH
const RETIRE_AFTER = 5_000
/** Milliseconds between two looks at the host. */
const LOOK = 50

interface Visited {
  readonly failures: number
  readonly reasons: Readonly<Record<string, number>>
  readonly latencies: ReadonlyArray<number>
}

process.env["BLOCK_MILLIS"] = String(MILLIS_EACH)
const host = await Bench.start(
  "support/host.ts",
  "apps/waiting-app.ts",
  "1..2",
  JSON.stringify({ worker: { retireAfter: RETIRE_AFTER } })
)
const visit = (workersWorth: number, seconds: number): Promise<Visited> =>
  Bench.client("support/visitor.ts", host.port, workersWorth * ONE, seconds)

/** When the number of workers changed, and to what, in milliseconds since the beginning. */
const changes: Array<readonly [millis: number, workers: number]> = []
/** When the second worker first had a session. */
let served: number | undefined
const begun = performance.now()
const watch = { ends: false }
const look = async (): Promise<void> => {
  let before = 1
  for (; !watch.ends; await Timers.setTimeout(LOOK)) {
    const { workers } = (await Bench.report(host)).apps[0]!
    const now = performance.now() - begun
    if (workers.length !== before) changes.push([now, workers.length])
    before = workers.length
    if ((workers[1]?.offers.claimed ?? 0) > 0) served ??= now
  }
}
const looking = look()
const since = (from: number, at: number | undefined): string =>
  at === undefined ? "never" : `${(at - from).toFixed(0)} ms`

await visit(0.5, 5)
const step = performance.now() - begun
const beforeStep = changes.length
const visited = await visit(1.8, SECONDS)
const gone = performance.now() - begun
const inLoad = changes.slice(beforeStep)
const [added] = inLoad
// it may have been added a moment ago
await visit(0.3, (COOLDOWN + 2 * RETIRE_AFTER) / 1000)
watch.ends = true
await looking
const retired = changes.find(([at]) => at > gone)
const report = await Bench.report(host)
await Bench.stop(host)

console.log(`before the step: ${beforeStep} changes at half of a worker's worth`)
console.log(`from the step to the decision: ${since(step, added?.[0])}; its window: ${WINDOW} ms`)
console.log(`from the step to the first session of the new worker: ${since(step, served)}`)
console.log(
  `changes in ${SECONDS} s at 1.8 workers' worth: ${inLoad.map(([, workers]) => `to ${workers}`).join(", ") || "none"}`
)
console.log(
  `from the end of the load to one worker less: ${since(gone, retired?.[0])}; retireAfter: ${RETIRE_AFTER} ms`
)
console.log(
  `answers: ${visited.latencies.length}, p50 ${Bench.percentile(visited.latencies, 0.5).toFixed(1)} ms, p99 ${
    Bench.percentile(visited.latencies, 0.99).toFixed(1)
  } ms; failed: ${visited.failures} ${JSON.stringify(visited.reasons)}`
)
Bench.expect(beforeStep === 0, "at half of a worker's worth there is one worker")
Bench.expect(
  served !== undefined && served - step <= WINDOW + 2500,
  "the next worker has its first session within 4.5 s"
)
Bench.expect(inLoad.length <= 1, "at a load that does not change, the number of workers changes once")
Bench.expect(retired?.[1] === 1, "when the load is gone, one worker is left")
Bench.expect(report.imbalances.length === 0, report.imbalances.join("; "))
