/**
 * Reloads under load: 20 in 60 s, with 64 kept-alive connections that ask ten times a second, half of them by a POST with
 * a body of 16 KiB in two parts, and 500 new connections a second. Compared with a rolling restart of `node:cluster`, and
 * with `pm2 reload`, of the same program on two workers.
 *
 * Node keeps what it has compiled (`NODE_COMPILE_CACHE`), for all three alike, as `docs/production.md` advises.
 *
 * Goal: no request fails, the server closes no connection, and p99 is at most 5 ms more than in a run without reloads.
 *
 * `node bench/reload.ts [seconds] [reloads] [--install-pm2]`: about 4 minutes. pm2 is taken from the `PATH`; with
 * `--install-pm2`, npm installs it in a directory that is removed afterwards; without either it is left out.
 */
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Timers from "node:timers/promises"
import * as Util from "node:util"
import * as Bench from "./support/Bench.ts"

const CONNECTIONS = 64
const EVERY_MILLIS = 100
const PER_SECOND = 500
const ADDED_MILLIS = 5

const numbers = process.argv.slice(2).map(Number).filter((value) => value > 0)
const [seconds = 60, reloads = 20] = numbers
const installs = process.argv.includes("--install-pm2")
const run = Util.promisify(execFile)

/** A server that can be told to reload; resolves when it says that it has. */
interface Subject extends AsyncDisposable {
  readonly port: number
  readonly reload: () => Promise<unknown>
}

interface Kept {
  readonly requests: number
  readonly failed: number
  readonly closed: number
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

interface Visited {
  readonly failures: number
  /** Milliseconds. */
  readonly latencies: ReadonlyArray<number>
}

interface Result {
  readonly requests: number
  readonly failed: number
  readonly closed: number
  readonly reloads: number
  readonly latencies: ReadonlyArray<number>
}

/** A server script that reloads at a line on its standard input, and says `reloaded`. */
const scripted = async (script: string): Promise<Subject> => {
  const server = await Bench.start(script)
  return {
    port: server.port,
    reload: () =>
      new Promise<void>((resolve) => {
        let text = ""
        const onData = (chunk: Buffer): void => {
          text += chunk.toString()
          if (!/^reloaded ok$/m.test(text)) return
          server.process.stdout!.off("data", onData)
          resolve()
        }
        server.process.stdout!.on("data", onData)
        server.process.stdin!.write("\n")
      }),
    [Symbol.asyncDispose]: () => Bench.stop(server)
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = Net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      server.close(() => resolve(port))
    })
  })

/** The program under pm2, with a home of its own; `undefined` where there is no pm2. */
const pm2 = async (): Promise<Subject | undefined> => {
  const home = Fs.mkdtempSync(Path.join(Os.tmpdir(), "reload-pm2-"))
  const remove = (): void => Fs.rmSync(home, { recursive: true, force: true })
  if (installs) await run("npm", ["install", "--silent", "--no-audit", "--no-fund", "--prefix", home, "pm2"])
  const port = await freePort()
  const env = { ...process.env, PM2_HOME: Path.join(home, "home"), PORT: String(port) }
  const PATH = [Path.join(home, "node_modules/.bin"), Path.dirname(process.execPath), process.env.PATH].join(":")
  const call = (...args: ReadonlyArray<string>) => run("pm2", args, { env: { ...env, PATH } })
  try {
    await call("--version")
  } catch {
    remove()
    return undefined
  }
  await call("start", new URL("apps/reload-program.ts", import.meta.url).pathname, "-i", "2", "--name", "bench")
  return {
    port,
    reload: () => call("reload", "bench"),
    [Symbol.asyncDispose]: async () => {
      await call("kill")
      remove()
    }
  }
}

/** One run with so many reloads, at equal distances. */
const measure = async ({ port, reload }: Subject, seconds: number, reloads: number): Promise<Result> => {
  const clients = Promise.all([
    Bench.client<Kept>("support/keeper.ts", port, CONNECTIONS, EVERY_MILLIS, seconds),
    Bench.client<Visited>("support/visitor.ts", port, PER_SECOND, seconds)
  ])
  const start = performance.now()
  let done = 0
  for (let i = 1; i <= reloads; i++) {
    // none in the last moment
    await Timers.setTimeout(Math.max(0, start + (i - 0.5) * seconds / reloads * 1000 - performance.now()))
    if (performance.now() - start > seconds * 1000) break
    await reload()
    done++
  }
  const [kept, visited] = await clients
  return {
    requests: kept.requests + visited.latencies.length + visited.failures,
    failed: kept.failed + visited.failures,
    closed: kept.closed,
    reloads: done,
    latencies: [...kept.latencies, ...visited.latencies]
  }
}

const p99 = ({ latencies }: Result): number => Bench.percentile(latencies, 0.99)
const columns = ["requests", "reloads", "failed", "closed", "p99 before", "p99", "max"]
const row = (name: string, cells: ReadonlyArray<string | number>): void =>
  console.log(`${name.padEnd(14)}${cells.map((cell) => String(cell).padStart(12)).join("")}`)

const compare = async (name: string, start: () => Promise<Subject | undefined>) => {
  await using subject = await start()
  if (subject === undefined) return void console.log(`${name}: left out, since it is not installed (--install-pm2)`)
  // the first connections load code
  await measure(subject, 2, 0)
  const before = await measure(subject, Math.ceil(seconds / 4), 0)
  const result = await measure(subject, seconds, reloads)
  const { closed, failed, latencies, requests } = result
  const millis = [p99(before), p99(result), Math.max(...latencies)].map((time) => `${time.toFixed(1)} ms`)
  row(name, [requests, result.reloads, failed, closed, ...millis])
  return { before, result }
}

const compiled = Fs.mkdtempSync(Path.join(Os.tmpdir(), "reload-compiled-"))
process.env["NODE_COMPILE_CACHE"] = compiled
process.on("exit", () => Fs.rmSync(compiled, { recursive: true, force: true }))

console.log(
  `${reloads} reloads in ${seconds} s; ${CONNECTIONS} kept connections, ${PER_SECOND} new ones a second (Node ${process.version})`
)
row("", columns)
const sluice = await compare("sluice", () => scripted("apps/reload-sluice.ts"))
await compare("node:cluster", () => scripted("apps/reload-cluster.ts"))
await compare("pm2 reload", pm2)

const { before, result } = sluice!
const added = p99(result) - p99(before)
Bench.expect(result.reloads === reloads, `${result.reloads} of ${reloads} reloads were done in time`)
Bench.expect(result.failed === 0, `${result.failed} requests failed`)
Bench.expect(result.closed === 0, `the server closed ${result.closed} connections`)
Bench.expect(
  added <= ADDED_MILLIS,
  `p99 is ${added.toFixed(1)} ms more than without reloads, more than ${ADDED_MILLIS}`
)
