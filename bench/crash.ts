/**
 * Workers that die under load: four of them, 100 times in all, while 64 kept-alive clients ask every 10 ms, every second
 * one with a body, and 200 connections a second ask once.
 *
 * Goal: what fails is what the workers had in hand, by the host's ledger, connection by connection; no connection is
 * refused. `node bench/crash.ts`: about two minutes; `node bench/crash.ts 20` for fewer deaths.
 */
import * as Bench from "./support/Bench.ts"
import type { Seen } from "./support/persistent.ts"

const DEATHS = Number(process.argv[2] ?? 100)
const WORKERS = 4

process.env["DEATHS"] = String(DEATHS / WORKERS)
process.env["LIFE"] = "4000"
// on a machine that is busy with other things, all workers may be starting for a while
const options = JSON.stringify({
  admission: { holdTime: "1 minute" },
  worker: { backoffBase: "10 millis", backoffMax: "20 millis" }
})
const host = await Bench.start("support/host.ts", "apps/dying-app.ts", String(WORKERS), options)
const client = Bench.startClient<Seen>("support/persistent.ts", host.port, 64, 200)
await client.ready
const deaths = ({ apps }: Awaited<ReturnType<typeof Bench.report>>) =>
  apps[0]!.workers.reduce((sum, { restarts }) => sum + restarts, 0)
await Bench.reportWhen(
  host,
  (report) => deaths(report) >= DEATHS && report.apps[0]!.workers.every(({ state }) => state === "RUNNING"),
  600
)
client.finish()
const seen = await client.result
const report = await Bench.report(host)
await Bench.stop(host)

const { arrivals, offers } = report.ledger
const refused = Object.entries(arrivals.refused).filter(([, count]) => count > 0)
const refusals = refused.reduce((sum, [, count]) => sum + count, 0)
// a connection that is refused has been asked on, too
const ended = seen.failed + seen.closed + seen.late - refusals
console.log(`workers that died: ${deaths(report)}`)
console.log(`requests answered: ${seen.answered}, the slowest after ${seen.longest.toFixed(0)} ms`)
console.log(
  `requests that failed: ${seen.failed}; connections closed between two requests: ${seen.closed}, behind the last: ${seen.late}`
)
console.log(`sessions that a worker had in hand when it died: ${arrivals.lost}; that moved on: ${offers.moved}`)
console.log(`refused: ${refused.map(([reason, count]) => `${count} ${reason}`).join(", ") || "none"}`)
Bench.expect(deaths(report) >= DEATHS, `${DEATHS} workers were to die`)
Bench.expect(ended <= arrivals.lost, `${ended} connections were closed, and ${arrivals.lost} were in hand`)
Bench.expect(refused.length === 0 && seen.refused === 0, "a connection was refused")
Bench.expect(seen.wrong === 0, `${seen.wrong} answers were wrong`)
Bench.expect(report.imbalances.length === 0, report.imbalances.join("; "))
