/**
 * Bulk bytes through the proxy: iperf3 to the server, from it (`-R`), and over four connections; compared with a bare
 * Node proxy, HAProxy in one thread, and no proxy.
 *
 * Goal: at least the rate of the bare proxy.
 * Needs iperf3. `node bench/proxy-iperf.ts`: about two minutes.
 */
import * as Timers from "node:timers/promises"
import * as Bench from "./support/Bench.ts"
import * as Proxies from "./support/Proxies.ts"

const ROUNDS = 5
const SECONDS = 2
/** How often a server that has not ended the run before is asked again. */
const TRIES = 50

/** What is asked of iperf3, by the name of the figure. */
const loads: Readonly<Record<string, ReadonlyArray<string>>> = {
  "to the server": [],
  "from the server": ["-R"],
  "to the server, 4 connections": ["-P", "4"],
  "from the server, 4 connections": ["-P", "4", "-R"]
}

interface Result {
  readonly error?: string
  readonly end: { readonly sum_received: { readonly bits_per_second: number } }
}

/** Gigabytes a second that came at the other end. */
const run = async (command: string, way: Proxies.Way, args: ReadonlyArray<string>): Promise<number> => {
  const all = ["-c", "127.0.0.1", "-p", String(way.port), "-t", String(SECONDS), "-J", ...args]
  for (let tries = 1;; tries++) {
    // it exits with 1 and tells of the error as JSON
    const { stdout } = await Bench.run(command, all, { maxBuffer: 1 << 26 }).catch((error: { stdout: string }) => error)
    const { end, error } = JSON.parse(stdout) as Result
    if (error === undefined) return end.sum_received.bits_per_second / 8e9
    if (tries === TRIES || !error.includes("busy")) throw new Error(`through ${way.name}: ${error}`)
    await Timers.setTimeout(100)
  }
}

const iperf = Proxies.find("iperf3")
if (iperf !== undefined) {
  const port = await Proxies.freePort()
  const server = await Proxies.startProgram(iperf, ["-s", "-B", "127.0.0.1", "-p", String(port)], port)
  const ways = await Proxies.ways(port)
  const results = await Proxies.measure(ways, ROUNDS, async (way) => {
    const figures: Record<string, number> = {}
    for (const [name, args] of Object.entries(loads)) figures[name] = await run(iperf, way, args)
    return { figures, work: Object.values(figures).reduce((sum, rate) => sum + rate * SECONDS, 0) * 1000 }
  })
  Proxies.table("gigabytes/s", "megabyte", ways, results, 2)
  for (const way of ways) await way.stop()
  await server.stop()
  for (const [name, figure] of Object.entries(results.get("sluice")!.best)) {
    const ratio = figure / results.get("pipe")!.best[name]!
    Bench.expect(ratio >= 1, `${name}: ${ratio.toFixed(2)} of the bare proxy's rate, less than 1.00`)
  }
}
