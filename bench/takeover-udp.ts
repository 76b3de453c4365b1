/**
 * Takeovers under datagrams: a host is followed by another one, five times, while 200 clients send a datagram every 10 ms,
 * each of which is answered. Once with an application that parks its sessions behind each answer: these go over. Once
 * without: each old host keeps its sessions for its drain timeout, and the new one reads for them.
 *
 * Goal: nothing lost, nothing answered twice, no answer after a later one. Each socket has room for some 270 datagrams: on
 * a machine that is too busy to read them, the system drops some, which is told. `takeover-udp.ts [takeovers] [sessions] [interval in ms] [drain timeout in s]`: about 30 s; with
 * a longer drain timeout, there are several old hosts at once.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Timers from "node:timers/promises"
import type * as Report from "../src/domain/report/Report.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"

const [takeovers = 5, sessions = 200, interval = 10, drainSeconds = 1] = process.argv.slice(2).map(Number)
const PAUSE_MILLIS = 500

interface Result {
  readonly sent: number
  readonly answered: number
  /** Dropped by the system, since nobody read them in time. */
  readonly overrun: number
  readonly twice: number
  /** Answered after a later one of the same client. */
  readonly late: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "sluice-takeover-"))
process.on("exit", () => Fs.rmSync(directory, { recursive: true, force: true }))

const measure = async (parks: boolean): Promise<void> => {
  const control = Path.join(directory, `${parks}.sock`)
  const ask = <A>(method: string, path: string, body?: unknown) => Control.ask<A>(control, method, path, body)
  if (parks) process.env["PARK"] = "1"
  else delete process.env["PARK"]
  await Bench.start(
    "support/command.ts",
    control,
    "serve",
    new URL("apps/datagrams-app.ts", import.meta.url).pathname,
    "--listen",
    "udp://127.0.0.1:0",
    "--drain-timeout",
    `${drainSeconds}s`
  )
  const { apps } = await ask<Report.HostReport>("GET", "/v1/host")
  const uri = apps[0]!.listeners.find(({ endpoint }) => endpoint.startsWith("udp:"))!.endpoint
  const pinger = Bench.startClient<Result>("support/udp-pinger.ts", uri.split(":").at(-1)!, sessions, interval)
  await pinger.ready
  const took: Array<number> = []
  while (took.length < takeovers) {
    await Timers.setTimeout(PAUSE_MILLIS)
    const since = performance.now()
    try {
      await ask("POST", "/v1/upgrade", {})
      took.push(performance.now() - since)
    } catch (error) {
      // those before still finish
      if (!/ha(?:s|ve) not ended yet/.test(String(error))) throw error
    }
  }
  // the last old host has its time
  await Timers.setTimeout(drainSeconds * 1000 + PAUSE_MILLIS)
  pinger.finish()
  const { answered, late, max, overrun, p50, p99, sent, twice } = await pinger.result
  const end = await ask<Report.HostReport>("GET", "/v1/host")
  process.kill(end.pid, "SIGTERM")
  const lost = sent - answered - overrun
  const { arrived, dropped } = end.ledger.arrivals
  console.log(
    `${parks ? "parked" : "not parked"}: ${took.length} takeovers, ${took.map((ms) => ms.toFixed(0)).join(", ")} ms`
  )
  console.log(
    `  ${sent} datagrams sent, ${answered} answered, ${lost} lost, ${overrun} dropped by the system, ${twice} answered twice, ${late} after a later one`
  )
  console.log(`  p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`)
  console.log(
    `  ${arrived} sessions of ${sessions} clients; dropped ${
      JSON.stringify(dropped)
    }; ${end.imbalances.length} imbalances`
  )
  Bench.expect(twice === 0, "a datagram was answered twice")
  Bench.expect(late === 0, "an answer came after a later one")
  Bench.expect(lost <= 0, "a datagram was lost")
  Bench.expect(end.imbalances.length === 0, `the ledger does not balance: ${end.imbalances.join("; ")}`)
}

await measure(true)
await measure(false)
process.exit()
