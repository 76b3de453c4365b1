/**
 * PostgreSQL through the proxy: pgbench's built-in queries (`-S`) over connections that stay, and with a connection for
 * each transaction (`-C`); next to a bare Node proxy, HAProxy in one thread, and no proxy.
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

const ROUNDS = 4
const SECONDS = 4
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

const pgbench = async (command: string, way: Proxies.Way, args: ReadonlyArray<string>): Promise<number> => {
  const { stderr, stdout } = await Bench.run(
    command,
    ["-h", "127.0.0.1", "-p", String(way.port), "-U", USER, "-n", ...args, DATABASE]
  )
  const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1] ?? "0"
  const tps = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1])
  if (failed !== "0" || !(tps > 0) || /error|fatal|aborted/i.test(stderr)) {
    throw new Error(`through ${way.name}: ${stderr}${stdout}`)
  }
  return tps
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
  const clients = ["-c", String(CLIENTS), "-T", String(SECONDS)]
  const load = async (way: Proxies.Way): Promise<Proxies.Figures> => ({
    "queries (-S)": await pgbench(bench, way, [...clients, "-S"]),
    "a connection for each (-S -C)": await pgbench(bench, way, [...clients, "-S", "-C"])
  })
  for (const way of ways) await pgbench(bench, way, ["-c", String(CLIENTS), "-t", "200", "-S", "-C"])
  const results = await Proxies.measure(ways, ROUNDS, load)
  Proxies.table(`transactions/s, ${CLIENTS} clients`, ways, results)
  for (const way of ways) await way.stop()
  await server.stop()
  for (const [name, figure] of Object.entries(results.get("sluice")!.best)) {
    const ratio = figure / results.get("pipe")!.best[name]!
    Bench.expect(ratio >= 1, `${name}: ${ratio.toFixed(2)} of the bare proxy's transactions, less than 1.00`)
  }
}
