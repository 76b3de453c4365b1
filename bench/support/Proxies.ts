/**
 * What the benchmarks of the proxy share: a real server, and the ways to it. Each way is a process of its own, and the
 * same load goes through one after the other, several times over; of each the best run counts, since what disturbs a
 * run on a busy machine only ever makes it slower.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Timers from "node:timers/promises"
import * as Bench from "./Bench.ts"

/** Seconds that a server may take to listen. */
const PATIENCE = 20

export interface Process {
  readonly pid: number
  readonly stop: () => Promise<void>
}

const running = new Set<ChildProcess>()
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")))

export interface SpawnOptions {
  /** Who runs it; by default who runs the benchmark. */
  readonly uid?: number
  readonly gid?: number
  readonly signal?: NodeJS.Signals
}

/** Starts a program and waits until it listens on the port of 127.0.0.1. */
export const startProgram = async (
  command: string,
  args: ReadonlyArray<string>,
  port: number,
  { signal = "SIGTERM", ...options }: SpawnOptions = {}
): Promise<Process> => {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "ignore", "pipe"] })
  running.add(child)
  const gone = new Promise<void>((resolve) =>
    child.once("exit", () => {
      running.delete(child)
      resolve()
    })
  )
  let said = ""
  child.stderr.on("data", (text: Buffer) => said = (said + text.toString()).slice(-4000))
  for (const until = performance.now() + PATIENCE * 1000; !(await listens(port)); await Timers.setTimeout(50)) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`${command} does not listen: ${said}`)
  }
  return {
    pid: child.pid!,
    stop: () => {
      child.kill(signal)
      return gone
    }
  }
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = Net.connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

/** A port of 127.0.0.1 that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = Net.createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      server.close(() => resolve(port))
    })
  })

/** A directory that goes with the benchmark. */
export const temporary = (): string => {
  const path = Fs.mkdtempSync(Path.join(Os.tmpdir(), "sluice-bench-"))
  process.on("exit", () => Fs.rmSync(path, { recursive: true, force: true }))
  return path
}

/** The path of a program; `undefined`, with a message, when the machine has none. */
export const find = (name: string, ...more: ReadonlyArray<string>): string | undefined => {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", ...more]
  const found = folders.map((folder) => Path.join(folder, name)).find((path) => Fs.existsSync(path))
  if (found === undefined) console.log(`${name} is not installed: left out`)
  return found
}

/** One way to the server. */
export interface Way {
  readonly name: string
  readonly port: number
  /** Whoever passes the bytes on; `undefined` on the direct way. */
  readonly pid: number | undefined
  readonly stop: () => Promise<void>
}

const direct = (to: number): Way => ({ name: "direct", port: to, pid: undefined, stop: () => Promise.resolve() })

const pipe = async (to: number): Promise<Way> => {
  const server = await Bench.start("apps/pipe-net.ts", String(to))
  return { name: "pipe", port: server.port, pid: server.pid, stop: () => Bench.stop(server) }
}

const haproxy = async (to: number): Promise<Way | undefined> => {
  const command = find("haproxy")
  if (command === undefined) return undefined
  const port = await freePort()
  const path = Path.join(temporary(), "haproxy.cfg")
  Fs.writeFileSync(
    path,
    `global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1m
  timeout server 1m
listen bench
  bind 127.0.0.1:${port}
  server one 127.0.0.1:${to}
`
  )
  return { name: "haproxy", port, ...(await startProgram(command, ["-db", "-f", path], port, { signal: "SIGKILL" })) }
}

const sluice = async (name: string, to: number, args: ReadonlyArray<string>): Promise<Way> => {
  const port = await freePort()
  const main = new URL("../../src/main.ts", import.meta.url).pathname
  const control = Path.join(temporary(), "control.sock")
  const listen = `tcp://127.0.0.1:${port}`
  const upstream = `tcp://127.0.0.1:${to}`
  const started = await startProgram(
    process.execPath,
    [main, "proxy", "--listen", listen, "--to", upstream, "--control", control, "--drain-timeout", "0", ...args],
    port
  )
  return { name, port, ...started }
}

/**
 * The ways to a server on the port: none in between, a bare proxy, HAProxy in one thread, and ours. `--kinds` compares
 * the two kinds of our workers as well.
 */
export const ways = async (to: number): Promise<ReadonlyArray<Way>> => {
  const all = [
    direct(to),
    await pipe(to),
    await haproxy(to),
    await sluice("sluice", to, []),
    process.argv.includes("--kinds") ? await sluice("threads", to, ["--no-in-process"]) : undefined
  ]
  return all.filter((way) => way !== undefined)
}

/** What a run has shown: figures by name, of which more is better, and how much work that was. */
export interface Run {
  readonly figures: Readonly<Record<string, number>>
  readonly work: number
}

/** The best figures of a way, and the least processor seconds of its proxy for a unit of work. */
export interface Result {
  readonly best: Readonly<Record<string, number>>
  readonly cpu: number
}

/** Runs the load through each way in turn. */
export const measure = async (
  ways: ReadonlyArray<Way>,
  rounds: number,
  load: (way: Way) => Promise<Run>
): Promise<ReadonlyMap<string, Result>> => {
  const results = new Map<string, { best: Record<string, number>; cpu: number }>()
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const result = results.get(way.name) ?? { best: {}, cpu: Infinity }
      results.set(way.name, result)
      const before = way.pid === undefined ? 0 : Bench.cpuSeconds(way.pid)
      const { figures, work } = await load(way)
      for (const [name, figure] of Object.entries(figures)) {
        result.best[name] = Math.max(result.best[name] ?? 0, figure)
      }
      if (way.pid !== undefined) result.cpu = Math.min(result.cpu, (Bench.cpuSeconds(way.pid) - before) / work)
    }
  }
  return results
}

const WIDTH = 11

/**
 * Prints a table of figures with our ratio to the bare proxy, and what the proxies take for a unit of work. Returns the
 * geometric mean of the ratios.
 */
export const table = (
  title: string,
  unit: string,
  ways: ReadonlyArray<Way>,
  results: ReadonlyMap<string, Result>,
  digits = 0
): number => {
  const head = [...ways.map(({ name }) => name), "vs pipe"].map((text) => text.padStart(WIDTH)).join("")
  console.log(`\n${title.padEnd(36)}${head}`)
  const ratios: Array<number> = []
  for (const name of Object.keys(results.get("direct")!.best)) {
    const figure = (way: string) => results.get(way)?.best[name] ?? NaN
    const ratio = figure("sluice") / figure("pipe")
    ratios.push(ratio)
    const cells = ways.map((way) => figure(way.name).toFixed(digits).padStart(WIDTH)).join("")
    console.log(`${name.slice(0, 35).padEnd(36)}${cells}${ratio.toFixed(2).padStart(WIDTH)}`)
  }
  const cpu = ways.map(({ name, pid }) => pid === undefined ? "" : (results.get(name)!.cpu * 1e6).toFixed(1))
  const cpuRatio = results.get("sluice")!.cpu / results.get("pipe")!.cpu
  console.log(
    `${`  processor us per ${unit}`.padEnd(36)}${cpu.map((text) => text.padStart(WIDTH)).join("")}${
      cpuRatio.toFixed(2).padStart(WIDTH)
    }`
  )
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length)
  if (ratios.length > 1) {
    console.log(`${"  geometric mean".padEnd(36)}${"".padEnd(WIDTH * ways.length)}${mean.toFixed(2).padStart(WIDTH)}`)
  }
  return mean
}
