/**
 * New connections while one of two workers blocks its event loop for 1 s in every 2 s: a client process opens 200 a
 * second for 10 s, each connects, asks once, reads the whole response and closes. The time is from `connect()` to the
 * response's last byte. Compared with `node:cluster` with two workers, the same handler and the same blocking: by a
 * timer of one of the workers, or by a request that either of them may get.
 *
 * Goal: no failures, p99 at most 10 ms, none over 50 ms; none over 100 ms while each processor has a busy loop besides.
 * `node bench/stall.ts [timer|request] [rounds] [busy]`: about 25 s for a round; by default one round of each.
 */
import { spawn } from "node:child_process"
import * as Os from "node:os"
import * as Bench from "./support/Bench.ts"

const PER_SECOND = 200
const SECONDS = 10
const [by, rounds = "1", busy] = process.argv.slice(2)
const kinds = by === undefined ? ["timer", "request"] : [by]
const longest = busy === "busy" ? 100 : 50

interface Result {
  readonly failures: number
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

/** Takes each processor, until it is disposed of. */
const busyLoops = (): Disposable => {
  const loops = Os.cpus().map(() => spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }))
  return { [Symbol.dispose]: () => loops.forEach((loop) => loop.kill("SIGKILL")) }
}

const measure = async (server: Bench.Server, kind: string): Promise<Result> => {
  // the first connections load code
  await Bench.client<Result>("support/visitor.ts", server.port, PER_SECOND, 1)
  const blocks = kind === "request" ? ["blocks"] : []
  return await Bench.client<Result>("support/visitor.ts", server.port, PER_SECOND, SECONDS, ...blocks)
}

const p50 = ({ latencies }: Result) => Bench.percentile(latencies, 0.5)
const p99 = ({ latencies }: Result) => Bench.percentile(latencies, 0.99)
const max = ({ latencies }: Result) => Math.max(...latencies)

const round = async (kind: string): Promise<void> => {
  process.env.BLOCK_BY = kind
  using _ = busy === "busy" ? busyLoops() : { [Symbol.dispose]: () => {} }
  const sluice = await Bench.start("support/host.ts", "apps/stall-app.ts", "2")
  const a = await measure(sluice, kind)
  const { ledger } = await Bench.report(sluice)
  await Bench.stop(sluice)
  const cluster = await Bench.start("apps/stall-cluster.ts")
  const b = await measure(cluster, kind)
  await Bench.stop(cluster)

  const compare = (what: string, figure: (result: Result) => number, goal: string) =>
    Bench.line(what, figure(a).toFixed(1), figure(b).toFixed(1), figure(a) / figure(b), goal)
  console.log(`${PER_SECOND * SECONDS} connections, a worker of two blocked by a ${kind} for 1 s in every 2 s`)
  console.log(`failures: ${a.failures} (goal: 0); cluster: ${b.failures}`)
  compare("  p50, ms", p50, "")
  compare("  p99, ms", p99, busy === "busy" ? "" : "at most 10 ms")
  compare("  max, ms", max, `at most ${longest} ms`)
  console.log(
    `offers revoked: ${ledger.offers.revoked} of ${ledger.offers.offered}, sessions moved: ${ledger.offers.moved}`
  )
  Bench.expect(a.failures === 0, "a connection failed")
  Bench.expect(busy === "busy" || p99(a) <= 10, `p99 is ${p99(a).toFixed(1)} ms, more than 10`)
  Bench.expect(max(a) <= longest, `the longest took ${max(a).toFixed(1)} ms, more than ${longest}`)
}

Bench.header("cluster")
for (const kind of kinds) for (let i = 0; i < Number(rounds); i++) await round(kind)
