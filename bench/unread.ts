/**
 * What clients that read nothing do to others: many ask for a response of 8 MiB and read none of it, while others ask
 * for a small one, 100 a second, as the many come and once they are there. With one worker and its defaults, through
 * `sluice proxy`, and on a bare node:http server.
 *
 * Goal: all others are answered, and half of them within 50 ms once the many are there; no session is lost.
 * Needs as many open files as clients, and twice as many for the proxy (`ulimit -n`): sizes that don't fit are cut.
 * `node bench/unread.ts [clients …]`: about 30 s for each size and way; 2500, 3000, 4000 and 20,000 by default.
 */
import { execFileSync } from "node:child_process"
import * as Timers from "node:timers/promises"
import type * as Report from "../src/domain/report/Report.ts"
import * as Bench from "./support/Bench.ts"
import * as Proxies from "./support/Proxies.ts"

const SIZES = [2500, 3000, 4000, 20_000]
const PER_SECOND = 100
const SECONDS = 6
/** Clients in one process of their own. */
const IN_ONE = 5000
/** Open files of a server besides those of its clients. */
const SPARE = 600

interface Visits {
  readonly failures: number
  readonly latencies: ReadonlyArray<number>
}

interface Way {
  readonly name: string
  readonly files: number
  readonly start: () => Promise<Started>
}

interface Started {
  readonly port: number
  readonly pid: number
  readonly app: () => Promise<Report.AppReport | undefined>
  readonly stop: () => Promise<void>
}

const main = new URL("../src/main.ts", import.meta.url).pathname
const most = ["--max-sessions-per-worker", "65536", "--log-level", "error"]

/** A command of ours that serves, with its control socket. */
const command = async (name: string, args: ReadonlyArray<string>): Promise<Started> => {
  const port = await Proxies.freePort()
  const control = `${Proxies.temporary()}/control.sock`
  const listen = `tcp://127.0.0.1:${port}`
  const started = await Proxies.startProgram(
    process.execPath,
    [main, name, ...args, "--listen", listen, "--control", control, "--drain-timeout", "0", ...most],
    port
  )
  const app = async (): Promise<Report.AppReport | undefined> => {
    const { stdout } = await Bench.run(process.execPath, [main, "show", "app", "--json", "--control", control], {
      maxBuffer: 1 << 24
    })
    return (JSON.parse(stdout) as Report.HostReport).apps[0]
  }
  return { port, ...started, app }
}

const bare = async (): Promise<Started> => {
  const server = await Bench.start("apps/unread.ts", "listen")
  return { port: server.port, pid: server.pid, app: async () => undefined, stop: () => Bench.stop(server) }
}

const module = new URL("./apps/unread.ts", import.meta.url).pathname

const ways: ReadonlyArray<Way> = [
  { name: "node:http", files: 1, start: bare },
  { name: "sluice", files: 1, start: () => command("serve", [module, "--workers", "1"]) },
  {
    name: "transfer",
    files: 1,
    start: () => command("serve", [module, "--workers", "1", "--placement", "transfer"])
  },
  {
    name: "proxy",
    files: 2,
    start: async () => {
      const upstream = await bare()
      const proxy = await command("proxy", ["--to", `tcp://127.0.0.1:${upstream.port}`, "--workers", "1"])
      return { ...proxy, stop: () => Promise.all([proxy.stop(), upstream.stop()]).then(() => undefined) }
    }
  }
]

const visits = (port: number): Promise<Visits> => Bench.client("support/visitor.ts", port, PER_SECOND, SECONDS)

const figures = ({ failures, latencies }: Visits): string =>
  [
    `${latencies.length}/${failures + latencies.length}`,
    ...[0.5, 0.99].map((part) => latencies.length === 0 ? "-" : Bench.percentile(latencies, part).toFixed(1))
  ].map((text) => text.padStart(8)).join("")

const limit = Number(execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }))

const run = async ({ files, name, start }: Way, wanted: number): Promise<void> => {
  const clients = Math.min(wanted, Math.floor((limit - SPARE) / files))
  const server = await start()
  // code that has not run yet is slow, in servers of either kind
  await Bench.client("support/visitor.ts", server.port, 500, 4)
  const spent = Bench.cpuSeconds(server.pid)
  const since = performance.now()
  const coming = visits(server.port)
  const holders = Array.from(
    { length: Math.ceil(clients / IN_ONE) },
    (_, which) =>
      Bench.startClient<{ readonly lost: number }>(
        "support/unread.ts",
        server.port,
        Math.min(IN_ONE, clients - which * IN_ONE),
        which
      )
  )
  await Promise.all(holders.map(({ ready }) => ready))
  const ramp = (performance.now() - since) / 1000
  const before = await coming
  const cpu = Bench.cpuSeconds(server.pid) - spent
  await Timers.setTimeout(1000)
  const after = await visits(server.port)
  const app = await server.app()
  const memory = Bench.residentBytes(server.pid) / 1024 ** 2
  for (const { finish } of holders) finish()
  const lost = (await Promise.all(holders.map(({ result }) => result))).reduce((sum, { lost }) => sum + lost, 0)
  await server.stop()
  const [worker] = app?.workers ?? []
  const refused = Object.entries(app?.listeners[0]?.arrivals.refused ?? {}).filter(([, count]) => count > 0)
  console.log(
    `${name.padEnd(10)}${String(clients).padStart(8)}${ramp.toFixed(1).padStart(7)}${cpu.toFixed(1).padStart(6)}${
      figures(before)
    } ${figures(after)}`
      + `${String(lost).padStart(7)}${memory.toFixed(0).padStart(8)}   ${
        worker === undefined
          ? ""
          : `${worker.state}, ${worker.congested ? "congested" : "clear"}, memory ${worker.memory}, ${
            (worker.segments.bytes / 1024 ** 2).toFixed(0)
          } MiB, ${worker.offers.revoked} of ${worker.offers.offered} offers revoked${
            refused.map(([reason, count]) => `, ${count} refused: ${reason}`).join("")
          }`
      }`
  )
  Bench.expect(after.failures === 0, `${after.failures} others were not answered (${name}, ${clients} clients)`)
  Bench.expect(Bench.percentile(after.latencies, 0.5) <= 50, `the median of others is more than 50 ms (${name})`)
  Bench.expect(lost === 0, `${lost} sessions were lost (${name}, ${clients} clients)`)
}

const [only] = process.argv.slice(2).filter((text) => !/^\d+$/.test(text))
const sizes = process.argv.slice(2).filter((text) => /^\d+$/.test(text)).map(Number)
console.log(
  `way        clients ramp,s cpu,s  others as they come     others then          lost     MiB   show app (${process.version})`
)
for (const size of sizes.length === 0 ? SIZES : sizes) {
  for (const way of ways) if (only === undefined || way.name === only) await run(way, size)
}
