/**
 * Workers that die under load: four of them, 100 times in all, while 64 kept-alive connections ask ten times a second,
 * half of them by a POST with a body of 16 KiB in two parts, and 500 connections a second ask once.
 *
 * Goal: what fails is what the workers had in hand, connection by connection: each one that was ended is one that the
 * host says it has lost with its worker. No connection is refused.
 * `node bench/crash.ts [deaths] [new connections a second]`: about two minutes with 100 deaths.
 */
import * as Bench from "./support/Bench.ts"
import type { Lost } from "./support/host.ts"
import type { Ended, Seen } from "./support/persistent.ts"

const [DEATHS = 100, PER_SECOND = 500] = process.argv.slice(2).map(Number)
const WORKERS = 4
/** The most connections that are printed. */
const SHOWN = 20

process.env["DEATHS"] = String(DEATHS / WORKERS)
process.env["LIFE"] = "4000"
// on a machine that is busy with other things, all workers may be starting for a while
const options = JSON.stringify({
  admission: { holdTime: "1 minute" },
  worker: { backoffBase: "10 millis", backoffMax: "20 millis" }
})
const host = await Bench.start("support/host.ts", "apps/dying-app.ts", String(WORKERS), options)
const client = Bench.startClient<Seen>("support/persistent.ts", host.port, 64, PER_SECOND)
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
const lost = JSON.parse(await Bench.ask(host, "lost", "lost")) as ReadonlyArray<Lost>
await Bench.stop(host)

/** A port is used again: what the client sees, maybe late, comes after what the host tells. Both have the same clock. */
const isBefore = (event: Lost, ended: Ended): boolean => event.time - event.withinMillis < ended.time + 1000
const [single, together] = [
  lost.filter(({ peer }) => peer !== undefined),
  lost.filter(({ peer }) => peer === undefined)
]
const left = Map.groupBy(single, ({ peer }) => Number(peer!.split(":").at(-1)))
// in a flood, the host tells how many there were in a second
const counted = together.map((event) => ({ ...event }))

/** Takes what accounts for the end of a connection: a session that the host has told of, or counted. */
const accountFor = (ended: Ended): "told" | "counted" | "not in hand" => {
  const there = left.get(ended.port) ?? []
  const at = there.findIndex((event) => isBefore(event, ended))
  if (at >= 0) {
    there.splice(at, 1)
    return "told"
  }
  const among = counted.find((event) => event.count > 0 && isBefore(event, ended))
  if (among === undefined) return "not in hand"
  among.count--
  return "counted"
}
const by = Map.groupBy(seen.ended.toSorted((a, b) => a.time - b.time), accountFor)
const unexplained = by.get("not in hand") ?? []
const unseen = [...left.values()].flat().length + counted.reduce((sum, { count }) => sum + count, 0)

const { arrivals, offers } = report.ledger
const told = lost.reduce((sum, { count }) => sum + count, 0)
const refused = Object.entries(arrivals.refused).filter(([, count]) => count > 0)
console.log(`workers that died: ${deaths(report)}`)
console.log(`requests answered: ${seen.answered}, the slowest after ${seen.longest.toFixed(0)} ms`)
console.log(
  `requests that failed: ${seen.failed}; connections closed between two requests: ${seen.closed}, behind the last: ${seen.late}`
)
console.log(`sessions that a worker had in hand when it died: ${arrivals.lost}; that moved on: ${offers.moved}`)
console.log(
  `connections that were ended: ${seen.ended.length}; of them told as in hand, by their ports: ${
    by.get("told")?.length ?? 0
  }, in a count: ${by.get("counted")?.length ?? 0}, not in hand: ${unexplained.length}`
)
console.log(`sessions that were in hand, and whose peer had all it had asked for: ${unseen}`)
for (const { port, time, when } of unexplained.slice(0, SHOWN)) {
  console.log(`  not in hand: local port ${port}, ended at ${new Date(time).toISOString()} ${when}`)
}
console.log(`refused: ${refused.map(([reason, count]) => `${count} ${reason}`).join(", ") || "none"}`)
Bench.expect(deaths(report) >= DEATHS, `${DEATHS} workers were to die`)
Bench.expect(told === arrivals.lost, `the ledger counts ${arrivals.lost} lost sessions, and ${told} were told`)
Bench.expect(unexplained.length === 0, `${unexplained.length} connections were ended that no worker had in hand`)
Bench.expect(refused.length === 0 && seen.refused === 0, `${seen.refused} connections could not be opened`)
Bench.expect(seen.wrong === 0, `${seen.wrong} answers were wrong`)
Bench.expect(report.imbalances.length === 0, report.imbalances.join("; "))
