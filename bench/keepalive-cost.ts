/**
 * What it costs that an HTTP server parks its connections between two requests: HTTP keep-alive through one thread
 * worker, compared with the same server whose connections the application gives it itself, and nothing parks.
 *
 * Needs wrk. `node bench/keepalive-cost.ts [rounds] [seconds]`: about 40 s. Goal: at least 0.97 of the rate.
 */
import * as Bench from "./support/Bench.ts"

const ROUNDS = Number(process.argv[2] ?? 10)
const SECONDS = Number(process.argv[3] ?? 2)
const CONNECTIONS = 64

const parking = await Bench.start("support/host.ts", "apps/http-app.ts", "1")
const without = await Bench.start("support/host.ts", "apps/http-unparked.ts", "1")

const measure = async ({ port }: Bench.Server): Promise<number> =>
  (await Bench.wrk(port, { connections: CONNECTIONS, seconds: SECONDS })).perSecond

await measure(parking)
await measure(without)
const a: Array<number> = []
const b: Array<number> = []
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

Bench.header("not parking")
const ratio = Bench.median(a.map((rate, i) => rate / b[i]!))
const rate = (rates: ReadonlyArray<number>): string => Bench.median(rates).toFixed(0)
Bench.line("keep-alive, 1 worker, requests/s", rate(a), rate(b), ratio, "at least 0.97")
Bench.expect(ratio >= 0.97, `the ratio is ${ratio.toFixed(3)}, less than 0.97`)
