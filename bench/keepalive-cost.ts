/**
 * What it costs that an HTTP server parks its connections between two requests: HTTP keep-alive through one thread
 * worker, compared with the same server whose connections the application gives it itself, and nothing parks.
 *
 * Needs wrk. `node bench/keepalive-cost.ts [starts] [rounds] [seconds]`: about two minutes. Goal: at least 0.97 of the
 * rate. A process keeps what its compiler made of the first requests, and one differs from the next by some percent: so
 * both are started several times, and the ratio is the median of all rounds.
 */
import * as Bench from "./support/Bench.ts"

const STARTS = Number(process.argv[2] ?? 5)
const ROUNDS = Number(process.argv[3] ?? 10)
const SECONDS = Number(process.argv[4] ?? 1)
const CONNECTIONS = 64

const measure = async ({ port }: Bench.Server): Promise<number> =>
  (await Bench.wrk(port, { connections: CONNECTIONS, seconds: SECONDS })).perSecond

const a: Array<number> = []
const b: Array<number> = []
for (let start = 0; start < STARTS; start++) {
  const parking = await Bench.start("support/host.ts", "apps/http-app.ts", "1")
  const without = await Bench.start("support/host.ts", "apps/http-unparked.ts", "1")
  await measure(parking)
  await measure(without)
  for (let round = 0; round < ROUNDS; round++) {
    // whatever the machine does besides, it does to both: so each goes first in every other round
    const [first, second] = round % 2 === 0 ? [parking, without] : [without, parking]
    const rates = new Map<Bench.Server, number>()
    rates.set(first!, await measure(first!))
    rates.set(second!, await measure(second!))
    a.push(rates.get(parking)!)
    b.push(rates.get(without)!)
  }
  await Promise.all([Bench.stop(parking), Bench.stop(without)])
}

Bench.header("not parking")
const ratio = Bench.median(a.map((rate, i) => rate / b[i]!))
const rate = (rates: ReadonlyArray<number>): string => Bench.median(rates).toFixed(0)
Bench.line("keep-alive, 1 worker, requests/s", rate(a), rate(b), ratio, "at least 0.97")
const starts = Array.from({ length: STARTS }, (_, i) => {
  const rounds = a.slice(i * ROUNDS, (i + 1) * ROUNDS).map((rate, j) => rate / b[i * ROUNDS + j]!)
  return Bench.median(rounds).toFixed(3)
})
console.log(`  the ratio of each start: ${starts.join(", ")}`)
Bench.expect(ratio >= 0.97, `the ratio is ${ratio.toFixed(3)}, less than 0.97`)
