/**
 * PostgreSQL through the proxy: pgbench's built-in queries (`-S`) over connections that stay, and with a connection for
 * each transaction (`-C`); compared with a bare Node proxy, HAProxy in one thread, and no proxy.
 *
 * Goal: at least the transactions a second of the bare proxy, and no error.
 * Needs PostgreSQL with pgbench; a server does not run as root, so root runs it as the user `postgres`.
 * `node bench/proxy-postgres.ts`: about four minutes.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Bench from "./support/Bench.ts"
import * as Proxies from "./support/Proxies.ts"

const ROUNDS = 8
const SECONDS = 2
const CLIENTS = 8
const USER = "bench"
const DATABASE = "postgres"

/** Where Debian puts the programs of a server, newest first. */
const folders = Fs.existsSync("/usr/lib/postgresql")
  ? Fs.readdirSync("/usr/lib/postgresql").toSorted((a, b) => Number(b) - Number(a)).map((version) =>
    `/usr/lib/postgresql/${version}/bin`
  )
  : []

/** Who runs the server: root hands over to the server's own user. */
const owner = (): Proxies.SpawnOptions => {
  if (process.getuid?.() !== 0) return {}
  const [, , uid, gid] = /^postgres:.*$/m.exec(Fs.readFileSync("/etc/passwd", "utf8"))?.[0].split(":") ?? []
  if (uid === undefined || gid === undefined) throw new Error("there is no user postgres to run the server")
  return { uid: Number(uid), gid: Number(gid) }
}

/** What is asked of pgbench, by the name of the figure, and what its transactions are called. */
const loads = [
  { name: "queries (-S)", unit: "transaction", args: ["-S"] },
  { name: "a connection for each (-S -C)", unit: "connection", args: ["-S", "-C"] }
]

const pgbench = async (
  command: string,
  way: Proxies.Way,
  name: string,
  args: ReadonlyArray<string>
): Promise<Proxies.Run> => {
  const { stderr, stdout } = await Bench.run(
    command,
    ["-h", "127.0.0.1", "-p", String(way.port), "-U", USER, "-n", "-c", String(CLIENTS), ...args, DATABASE]
  )
  const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1] ?? "0"
  const rate = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1])
  const work = Number(/number of transactions actually processed: (\d+)/.exec(stdout)?.[1])
  if (failed !== "0" || !(rate > 0) || /error|fatal|aborted/i.test(stderr)) {
    throw new Error(`through ${way.name}: ${stderr}${stdout}`)
  }
  return { figures: { [name]: rate }, work }
}

const [initdb, postgres, bench] = ["initdb", "postgres", "pgbench"].map((name) => Proxies.find(name, ...folders))
if (initdb !== undefined && postgres !== undefined && bench !== undefined) {
  const port = await Proxies.freePort()
  const folder = Proxies.temporary()
  const data = Path.join(folder, "data")
  const options = owner()
  if (options.uid !== undefined) Fs.chownSync(folder, options.uid, options.gid!)
  execFileSync(initdb, ["-D", data, "-A", "trust", "-U", USER, "--no-sync"], { ...options, cwd: folder })
  const server = await Proxies.startProgram(
    postgres,
    ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off", "-c", "max_connections=100"],
    port,
    { ...options, signal: "SIGINT" }
  )
  const ways = await Proxies.ways(port)
  await Bench.run(bench, ["-h", "127.0.0.1", "-p", String(port), "-U", USER, "-i", "-q", "-s", "2", DATABASE])
  for (const { args, name, unit } of loads) {
    const load = (way: Proxies.Way) => pgbench(bench, way, name, ["-T", String(SECONDS), ...args])
    // the code of the proxies is compiled as it is used
    for (const way of ways) await load(way)
    const results = await Proxies.measure(ways, ROUNDS, load)
    const ratio = Proxies.table(`transactions/s, ${CLIENTS} clients`, unit, ways, results)
    Bench.expect(ratio >= 1, `${name}: ${ratio.toFixed(2)} of the bare proxy's transactions, less than 1.00`)
  }
  for (const way of ways) await way.stop()
  await server.stop()
}
