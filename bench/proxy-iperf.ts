/**
 * Bulk bytes through the proxy: iperf3 to the server, from it (`-R`), and over four connections; next to a bare Node
 * proxy, HAProxy in one thread, and no proxy.
 *
 * Goal: at least the rate of the bare proxy.
 * Needs iperf3. `node bench/proxy-iperf.ts`: about two minutes.
 */
import * as Bench from "./support/Bench.ts"
import * as Proxies from "./support/Proxies.ts"

const ROUNDS = 4
const SECONDS = 3

/** What is asked of iperf3, by the name of the figure. */
const loads: Readonly<Record<string, ReadonlyArray<string>>> = {
  "to the server": [],
  "from the server": ["-R"],
  "to the server, 4 connections": ["-P", "4"],
  "from the server, 4 connections": ["-P", "4", "-R"]
}

/** Gigabytes a second that came at the other end. */
const run = async (command: string, way: Proxies.Way, args: ReadonlyArray<string>): Promise<number> => {
  const { stdout } = await Bench.run(
    command,
    ["-c", "127.0.0.1", "-p", String(way.port), "-t", String(SECONDS), "-J", ...args],
    { maxBuffer: 1 << 26 }
  )
  const result = JSON.parse(stdout) as {
    readonly error?: string
    readonly end: { readonly sum_received: { readonly bits_per_second: number } }
  }
  if (result.error !== undefined) throw new Error(`through ${way.name}: ${result.error}`)
  return result.end.sum_received.bits_per_second / 8e9
}

const iperf = Proxies.find("iperf3")
if (iperf !== undefined) {
  const port = await Proxies.freePort()
  const server = await Proxies.startProgram(iperf, ["-s", "-B", "127.0.0.1", "-p", String(port)], port)
  const ways = await Proxies.ways(port)
  const results = await Proxies.measure(ways, ROUNDS, async (way) => {
    const figures: Record<string, number> = {}
    for (const [name, args] of Object.entries(loads)) figures[name] = await run(iperf, way, args)
    return figures
  })
  Proxies.table("gigabytes/s", ways, results, 2)
  for (const way of ways) await way.stop()
  await server.stop()
  for (const [name, figure] of Object.entries(results.get("sluice")!.best)) {
    const ratio = figure / results.get("pipe")!.best[name]!
    Bench.expect(ratio >= 1, `${name}: ${ratio.toFixed(2)} of the bare proxy's rate, less than 1.00`)
  }
}
