/**
 * HTTP keep-alive through a thread worker, compared with a bare `net` responder with the same handler; then the same
 * with 100 us of processor time per request and two workers, compared with one bare process.
 *
 * Needs wrk. `node bench/http.ts`: about a minute.
 */
import * as Bench from "./support/Bench.ts"

const ROUNDS = 5
const SECONDS = 3

const measure = async (server: Bench.Server) => {
  const before = Bench.cpuSeconds(server.pid)
  const { perSecond, requests } = await Bench.wrk(server.port, { connections: 64, seconds: SECONDS })
  return { perSecond, cpuMicros: (Bench.cpuSeconds(server.pid) - before) / requests * 1e6 }
}

const compare = async (workers: number, micros: number) => {
  process.env.BURN_MICROS = String(micros)
  const sluice = await Bench.start("support/host.ts", "apps/responder-app.ts", String(workers))
  const bare = await Bench.start("apps/responder-net.ts")
  const a: Array<{ perSecond: number; cpuMicros: number }> = []
  const b: typeof a = []
  await measure(sluice)
  await measure(bare)
  for (let i = 0; i < ROUNDS; i++) {
    a.push(await measure(sluice))
    b.push(await measure(bare))
  }
  await Promise.all([Bench.stop(sluice), Bench.stop(bare)])
  const rate = (runs: typeof a) => Bench.median(runs.map((run) => run.perSecond))
  const cpu = (runs: typeof a) => Bench.median(runs.map((run) => run.cpuMicros))
  return {
    rate: [rate(a), rate(b), Bench.median(a.map((run, i) => run.perSecond / b[i]!.perSecond))] as const,
    cpu: [cpu(a), cpu(b), Bench.median(a.map((run, i) => run.cpuMicros / b[i]!.cpuMicros))] as const
  }
}

Bench.header("net")
const plain = await compare(1, 0)
const [sluice, bare, ratio] = plain.rate
Bench.line("keep-alive, 1 worker, requests/s", sluice.toFixed(0), bare.toFixed(0), ratio, "at least 0.75")
const [cpuSluice, cpuBare, cpuRatio] = plain.cpu
Bench.line("  processor time per request, us", cpuSluice.toFixed(1), cpuBare.toFixed(1), cpuRatio, "at most 1.40")
const burning = await compare(2, 100)
const [two, one, gain] = burning.rate
Bench.line("100 us of work, 2 workers, req/s", two.toFixed(0), one.toFixed(0), gain, "at least 1.70")
