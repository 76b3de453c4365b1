/**
 * Whether all that counts says the same (X5, M14): 100,000 short sessions by TCP, while workers die, the application is
 * reloaded, some clients leave, and some come from a source that is denied. Then the ledger, the metrics of a scrape, the
 * sums of all events, and what the clients have seen are compared.
 *
 * Goal: no difference. `node bench/ledger.ts [sessions] [deaths of each worker] [ms between reloads]`: some two minutes.
 */
import * as Http from "node:http"
import * as Timers from "node:timers/promises"
import type * as Report from "../src/domain/report/Report.ts"
import * as Exposition from "../test/support/Exposition.ts"
import * as LedgerMetrics from "../test/support/LedgerMetrics.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"
import type { Outcome } from "./support/shortly.ts"

const [SESSIONS = 100_000, DEATHS = 12, RELOAD_EVERY = 5000] = process.argv.slice(2).map(Number)
const AT_A_TIME = 32
const control = `/tmp/sluice-ledger-${process.pid}.sock`

process.env["DEATHS"] = String(DEATHS)
process.env["LIFE"] = "3000"
process.env["LOG"] = "none"
const app = new URL("apps/dying-app.ts", import.meta.url).pathname
const host = await Bench.start("support/command.ts", control, "serve", app, "--name", "bench", "--hold-time", "1m")
await Control.ask(control, "POST", "/v1/denied", { source: "127.0.0.2" })

/** What has been told by events, by kind and reason. */
const told = new Map<string, number>()
let events = 0
let missed = 0
const count = (line: string): void => {
  if (!line.startsWith("data: ")) return
  const event = JSON.parse(line.slice("data: ".length)) as
    & { readonly kind: string }
    & Partial<Record<"reason", string> & Record<"count" | "missed", number>>
  events++
  if (event.kind === "gap") missed += event.missed ?? 1
  const key = `${event.kind} ${event.reason ?? ""}`
  told.set(key, (told.get(key) ?? 0) + (event.count ?? 1))
}
const reader = Http.get({ socketPath: control, path: "/v1/events?after=0", agent: false }, (response) => {
  let rest = ""
  response.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop()!
    lines.forEach(count)
  })
})

const scrape = (): Promise<string> =>
  new Promise((resolve, reject) => {
    Http.get({ socketPath: control, path: "/metrics", agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => text += part).on("end", () => resolve(text))
    }).on("error", reject)
  })

let reloaded = 0
const reload = (): void =>
  void Control.ask(control, "POST", "/v1/apps/bench/reload").then(() => void reloaded++, () => {})
const client = Bench.startClient<Outcome>("support/shortly.ts", host.port, SESSIONS, AT_A_TIME)
const reloads = setInterval(reload, RELOAD_EVERY)
const begun = performance.now()
const seen = await client.result
const seconds = (performance.now() - begun) / 1000
clearInterval(reloads)

// until the last session is over, and what was counted in its second has been told
const settled = async (): Promise<Report.HostReport> => {
  for (const until = performance.now() + 30_000;; await Timers.setTimeout(200)) {
    const report = await Control.ask<Report.HostReport>(control, "GET", "/v1/host")
    const quiet = report.sessions === 0 && report.apps[0]!.workers.every(({ state }) => state === "RUNNING")
    if (quiet || performance.now() > until) return report
  }
}
await settled()
await Timers.setTimeout(1500)
const [text, report] = [await scrape(), await settled()]
await Timers.setTimeout(200)
reader.destroy()
await Bench.stop(host)

const { arrivals, offers } = report.ledger
const differences = [...LedgerMetrics.differences(report, Exposition.parse(text))]
const compare = (what: string, found: number, counted: number): void => {
  if (found !== counted) differences.push(`${what}: ${found}, and ${counted} in the ledger`)
}
const sumOf = (kind: string): number =>
  [...told].reduce((sum, [key, count]) => key.startsWith(`${kind} `) ? sum + count : sum, 0)
for (
  const [kind, counts] of Object.entries({
    "session-refused": arrivals.refused,
    "session-ended": arrivals.ended,
    "datagram-dropped": arrivals.dropped
  })
) {
  for (const [reason, counted] of Object.entries(counts)) {
    compare(`events ${kind} ${reason}`, told.get(`${kind} ${reason}`) ?? 0, counted)
  }
}
compare("events session-moved", sumOf("session-moved"), arrivals.moved)
compare("events session-lost", sumOf("session-lost"), arrivals.lost)
compare("events offer-revoked", sumOf("offer-revoked"), offers.revoked)
compare("events that were missed", missed, 0)
const restarts = (reason: string): number =>
  report.apps[0]!.workers.reduce(
    (sum, { restartsBy }) => sum + (Object.entries(restartsBy).find(([key]) => key === reason)?.[1] ?? 0),
    0
  )
for (const reason of Object.keys(report.apps[0]!.workers[0]!.restartsBy)) {
  compare(
    `sluice_worker_restarts_total ${reason}`,
    Exposition.sum(Exposition.parse(text), "sluice_worker_restarts_total", { reason }),
    restarts(reason)
  )
}
compare("events app-reloaded", sumOf("app-reloaded"), report.apps[0]!.reloads.reloaded)
compare("events app-reload-failed", sumOf("app-reload-failed"), report.apps[0]!.reloads.failed)
compare("connections that clients have opened", seen.opened, arrivals.arrived)

const some = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).filter(([, count]) => count > 0).map(([reason, count]) => `${count} ${reason}`).join(", ")
console.log(
  `sessions: ${seen.opened} in ${
    seconds.toFixed(0)
  } s; ${seen.answered} answered, ${seen.left} left, ${seen.reset} reset`
)
console.log(
  `ledger: ${arrivals.arrived} arrived, ${arrivals.claimed} claimed, ${offers.revoked} revoked, ${arrivals.moved} moved, `
    + `${arrivals.lost} lost, ${arrivals.withdrawn} withdrawn; refused: ${some(arrivals.refused)}`
)
console.log(
  `workers that died: ${restarts("Crashed") + restarts("Exited")}; reloads: ${reloaded}; events: ${events}`
)
for (const difference of differences) console.log(`  ${difference}`)
Bench.expect(differences.length === 0, `${differences.length} counts differ`)
Bench.expect(seen.unanswered === 0, `${seen.unanswered} requests were not answered within a minute`)
Bench.expect(seen.unopened === 0, `${seen.unopened} connections could not be opened`)
