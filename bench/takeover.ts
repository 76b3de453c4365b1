/**
 * Takeovers under load: a host is followed by another one, ten times, while 64 clients keep their connections and ask
 * every 10 ms, and a client process opens 1000 connections a second, each for one request.
 *
 * Goal: no failures, no connection closed by a host, counters that go on and count each connection once.
 * `node bench/takeover.ts`: about 40 s. `takeover.ts [takeovers] [connections a second]`, with `SECONDS` of load, for a
 * machine that can't accept as many while a process starts: then the system drops connections that nobody has accepted,
 * which are reported as "not connected in time".
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Timers from "node:timers/promises"
import type * as Report from "../src/domain/report/Report.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"

const [takeovers = 10, perSecond = 1000] = process.argv.slice(2).map(Number)
const CONNECTIONS = 64
const EVERY_MILLIS = 10
/** Between two takeovers, and at the least for one. */
const PAUSE_MILLIS = 500
const SECONDS = Number(process.env["SECONDS"] ?? takeovers * 3 + 4)

interface Result {
  readonly failures: number
  readonly reasons?: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "sluice-takeover-"))
process.on("exit", () => Fs.rmSync(directory, { recursive: true, force: true }))
const control = Path.join(directory, "control.sock")

/** Asks the host on the control socket. */
const ask = <A>(method: string, path: string, body?: unknown) => Control.ask<A>(control, method, path, body)

const host = await Bench.start(
  "support/command.ts",
  control,
  "serve",
  new URL("apps/http-app.ts", import.meta.url).pathname
)
// the first connections load code
await Bench.client<Result>("support/asker.ts", host.port, CONNECTIONS, EVERY_MILLIS, 1)

const begun = performance.now()
const asker = Bench.startClient<Result>("support/asker.ts", host.port, CONNECTIONS, EVERY_MILLIS, SECONDS)
const visitor = Bench.startClient<Result>("support/visitor.ts", host.port, perSecond, SECONDS)
const took: Array<number> = []
let left = 0
let last = await ask<Report.HostReport>("GET", "/v1/host")
const backwards: Array<string> = []
for (let i = 0; i < takeovers;) {
  await Timers.setTimeout(PAUSE_MILLIS)
  const since = performance.now()
  try {
    const { sessions } = await ask<{ readonly sessions: number }>("POST", "/v1/upgrade", {})
    took.push(performance.now() - since)
    left += sessions
    i++
  } catch (error) {
    // too many of those before still finish
    if (!/have not ended yet/.test(String(error))) throw error
    continue
  }
  const now = await ask<Report.HostReport>("GET", "/v1/host")
  if (now.ledger.arrivals.arrived < last.ledger.arrivals.arrived) backwards.push(`takeover ${i}`)
  last = now
}
const over = (performance.now() - begun) / 1000
const [kept, visited] = await Promise.all([asker.result, visitor.result])
await Timers.setTimeout(1500)
const end = await ask<Report.HostReport>("GET", "/v1/host")
process.kill(end.pid, "SIGTERM")

const { claimed, offered, pending, refused, revoked, withdrawn } = end.ledger.offers
const percentile = (part: number, { latencies }: Result): string => Bench.percentile(latencies, part).toFixed(1)
console.log(
  `${took.length} takeovers in ${over.toFixed(0)} s: ${
    took.map((ms) => ms.toFixed(0)).join(", ")
  } ms; the hosts before had ${left} sessions, which went over or finished there`
)
console.log(
  `kept-alive: ${kept.latencies.length} requests over ${CONNECTIONS} connections, ${kept.failures} connections failed or were closed (goal: 0)`
)
console.log(`  p50 ${percentile(0.5, kept)} ms, p99 ${percentile(0.99, kept)} ms, max ${percentile(1, kept)} ms`)
console.log(
  `new: ${visited.latencies.length} connections, ${
    (visited.latencies.length / SECONDS).toFixed(0)
  } a second, ${visited.failures} failed (goal: 0) ${JSON.stringify(visited.reasons)}`
)
console.log(
  `  p50 ${percentile(0.5, visited)} ms, p99 ${percentile(0.99, visited)} ms, max ${percentile(1, visited)} ms`
)
console.log(
  `counters: arrived ${end.ledger.arrivals.arrived}, of ${
    2 * CONNECTIONS + visited.latencies.length + visited.failures
  } that the clients opened`
)
console.log(
  `  offered ${offered} = claimed ${claimed} + refused ${refused} + revoked ${revoked} + withdrawn ${withdrawn} + pending ${pending}; ${end.imbalances.length} imbalances`
)
Bench.expect(kept.failures === 0, "a kept connection failed")
Bench.expect(visited.failures === 0, "a new connection failed")
Bench.expect(backwards.length === 0, `the counters went backwards: ${backwards.join(", ")}`)
Bench.expect(
  end.ledger.arrivals.arrived === 2 * CONNECTIONS + visited.latencies.length + visited.failures,
  "connections were counted twice, or not at all"
)
Bench.expect(end.imbalances.length === 0, `the ledger does not balance: ${end.imbalances.join("; ")}`)
process.exit()
