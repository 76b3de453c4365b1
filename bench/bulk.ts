/**
 * Bulk bytes: a client process sends 2 GiB over one connection, and over four, to an application on one thread worker
 * that drops everything, with fifos of the default size and of 64 KiB; compared with a bare `net` server that counts
 * what comes. The server says at the end of each connection how much it got. For information the other way round as
 * well.
 *
 * Goal: an upload with the default fifos at least 0.8 times as fast as to the bare server.
 * `node bench/bulk.ts`: about a minute.
 */
import * as Options from "../src/domain/options/Options.ts"
import * as Bench from "./support/Bench.ts"

const ROUNDS = 3
const BYTES = 2 * 1024 ** 3
const SMALL = 65536
const SMALL_FIFOS = JSON.stringify({ segment: { rxFifoSize: SMALL, txFifoSize: SMALL } })

type Direction = "up" | "down"

/** Bytes a second, and seconds of the server's processor time for the whole. */
interface Figures {
  readonly rate: number
  readonly cpu: number
}

const transfer = async (
  server: Bench.Server,
  direction: Direction,
  connections: number,
  bytes = BYTES
): Promise<Figures> => {
  const before = Bench.cpuSeconds(server.pid)
  const result = await Bench.client<{ bytes: number; millis: number }>(
    "support/carrier.ts",
    server.port,
    direction,
    connections,
    bytes
  )
  if (result.bytes !== bytes) throw new Error(`${result.bytes} of ${bytes} bytes arrived`)
  return { rate: bytes / result.millis * 1000, cpu: Bench.cpuSeconds(server.pid) - before }
}

const servers = {
  default: await Bench.start("support/host.ts", "apps/bulk-app.ts", "1"),
  small: await Bench.start("support/host.ts", "apps/bulk-app.ts", "1", SMALL_FIFOS),
  net: await Bench.start("apps/bulk-net.ts")
}
type Name = keyof typeof servers
const names = Object.keys(servers) as Array<Name>
for (const name of names) {
  await transfer(servers[name], "up", 1, BYTES / 8)
  await transfer(servers[name], "down", 1, BYTES / 8)
}

/** The ratios of rates to the bare server's. */
const compare = async (direction: Direction, connections: number, rounds: number, goal: string) => {
  const runs: Record<Name, Array<Figures>> = { default: [], small: [], net: [] }
  for (let i = 0; i < rounds; i++) {
    for (const name of names) runs[name].push(await transfer(servers[name], direction, connections))
  }
  const median = (name: Name, figure: keyof Figures) => Bench.median(runs[name].map((run) => run[figure]))
  const ratio = (name: Name, figure: keyof Figures) =>
    Bench.median(runs[name].map((run, i) => run[figure] / runs.net[i]![figure]))
  const how = `${direction}load, ${connections} conn.`
  for (const [name, fifo] of [["default", Options.defaults.segment.rxFifoSize], ["small", SMALL]] as const) {
    const rate = (server: Name) => (median(server, "rate") / 1e6).toFixed(0)
    Bench.line(
      `${how}, ${fifo / 1024} KiB, MB/s`,
      rate(name),
      rate("net"),
      ratio(name, "rate"),
      name === "default" ? goal : ""
    )
    const cpu = (server: Name) => median(server, "cpu").toFixed(2)
    Bench.line("  processor seconds", cpu(name), cpu("net"), ratio(name, "cpu"), "")
  }
  return ratio("default", "rate")
}

Bench.header("net")
const one = await compare("up", 1, ROUNDS, "at least 0.80")
const four = await compare("up", 4, ROUNDS, "at least 0.80")
await compare("down", 1, 1, "")
await Promise.all(names.map((name) => Bench.stop(servers[name])))
Bench.expect(one >= 0.8, `one connection uploads at ${one.toFixed(2)} of the bare server's rate, less than 0.80`)
Bench.expect(four >= 0.8, `four connections upload at ${four.toFixed(2)} of the bare server's rate, less than 0.80`)
