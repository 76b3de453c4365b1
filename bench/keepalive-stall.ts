/**
 * Kept-alive connections while one of two workers blocks its event loop for 1 s in every 2 s: 64 of them, each with a
 * request every 10 ms, for 10 s. Compared with `node:cluster` with two workers, the same handler and the same blocking.
 *
 * Goal: no failures, p99 at most 10 ms, none over 40 ms. `node bench/keepalive-stall.ts`: about 25 s.
 */
import * as Bench from "./support/Bench.ts"

const CONNECTIONS = 64
const EVERY_MILLIS = 10
const SECONDS = 10

interface Result {
  readonly failures: number
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

const measure = async (server: Bench.Server): Promise<Result> => {
  // the first connections load code
  await Bench.client<Result>("support/asker.ts", server.port, CONNECTIONS, EVERY_MILLIS, 1)
  return await Bench.client<Result>("support/asker.ts", server.port, CONNECTIONS, EVERY_MILLIS, SECONDS)
}

process.env.BLOCK = "1"
const sluice = await Bench.start("support/host.ts", "apps/http-app.ts", "2")
const a = await measure(sluice)
const { ledger } = await Bench.report(sluice)
await Bench.stop(sluice)
const cluster = await Bench.start("apps/http-cluster.ts")
const b = await measure(cluster)
await Bench.stop(cluster)

Bench.header("cluster")
const compare = (what: string, figure: (result: Result) => number, goal: string) =>
  Bench.line(what, figure(a).toFixed(1), figure(b).toFixed(1), figure(a) / figure(b), goal)
const p50 = ({ latencies }: Result) => Bench.percentile(latencies, 0.5)
const p99 = ({ latencies }: Result) => Bench.percentile(latencies, 0.99)
const max = ({ latencies }: Result) => Math.max(...latencies)
console.log(`${CONNECTIONS} kept-alive connections, one of two workers blocked for 1 s in every 2 s`)
console.log(
  `requests: ${a.latencies.length}, failures: ${a.failures} (goal: 0); cluster: ${b.latencies.length}, ${b.failures}`
)
compare("  p50, ms", p50, "")
compare("  p99, ms", p99, "at most 10 ms")
compare("  max, ms", max, "at most 40 ms")
console.log(`sessions moved: ${ledger.offers.moved}`)
Bench.expect(a.failures === 0, "a request failed")
Bench.expect(p99(a) <= 10, `p99 is ${p99(a).toFixed(1)} ms, more than 10`)
Bench.expect(max(a) <= 40, `the longest took ${max(a).toFixed(1)} ms, more than 40`)
