/**
 * What the benchmarks share: servers in processes of their own, what they cost, and tables.
 *
 * Machines are noisy, so a figure and the one it is compared with are measured in turn, several times over, in the same
 * run, and the medians are printed with their ratio.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Timers from "node:timers/promises"
import * as Util from "node:util"
import type * as Report from "../../src/domain/report/Report.ts"

const CLOCK_TICKS = 100

/** Servers and clients that run; none outlives the benchmark. */
const running = new Set<ChildProcess>()
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")))

const launch = (args: ReadonlyArray<string>): ChildProcess => {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
  running.add(child)
  child.once("exit", () => running.delete(child))
  return child
}

const pathOf = (script: string): string => new URL(`../${script}`, import.meta.url).pathname

export interface Server {
  readonly process: ChildProcess
  readonly port: number
  readonly pid: number
}

/** Starts a server script under the Node that runs the benchmark; it prints `port N` when it listens. */
export const start = (script: string, ...args: ReadonlyArray<string>): Promise<Server> => startWith([], script, ...args)

/** As {@link start}, with options for Node. */
export const startWith = (
  nodeOptions: ReadonlyArray<string>,
  script: string,
  ...args: ReadonlyArray<string>
): Promise<Server> =>
  new Promise((resolve, reject) => {
    const child = launch([...nodeOptions, pathOf(script), ...args])
    child.once("exit", (code) => reject(new Error(`${script} exited with ${code}`)))
    let text = ""
    child.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString()
      const port = /^port (\d+)$/m.exec(text)?.[1]
      if (port !== undefined) resolve({ process: child, port: Number(port), pid: child.pid! })
    })
  })

/** As {@link start}; the server can be {@link settle}d and its {@link resources} asked for. */
export const startInspected = (script: string, ...args: ReadonlyArray<string>): Promise<Server> =>
  startWith(["--expose-gc", "--import", pathOf("support/inspect.ts")], script, ...args)

/** The next line of the server's output that begins with `word`, without it. `ask` makes the server write it. */
const nextLine = (server: Server, word: string, ask: () => void): Promise<string> =>
  new Promise((resolve) => {
    let text = ""
    const onData = (chunk: Buffer): void => {
      text += chunk.toString()
      const found = new RegExp(`^${word}(?: (.*))?\n`, "m").exec(text)
      if (found === null) return
      server.process.stdout!.off("data", onData)
      resolve(found[1] ?? "")
    }
    server.process.stdout!.on("data", onData)
    ask()
  })

/** Writes a line to the server, and returns the line that it answers with, behind the word with which that begins. */
export const ask = (server: Server, line: string, word: string): Promise<string> =>
  nextLine(server, word, () => server.process.stdin!.write(`${line}\n`))

/** What a host started with `support/host.ts` says of itself. */
export const report = async (host: Server): Promise<Report.HostReport> =>
  JSON.parse(await nextLine(host, "report", () => host.process.stdin!.write("\n"))) as Report.HostReport

/** Asks the host until its report is as wanted, at most `seconds`, and returns the last report. */
export const reportWhen = async (
  host: Server,
  wanted: (report: Report.HostReport) => boolean,
  seconds = 10
): Promise<Report.HostReport> => {
  for (const until = performance.now() + seconds * 1000;; await Timers.setTimeout(50)) {
    const last = await report(host)
    if (wanted(last) || performance.now() > until) return last
  }
}

/** Active resources of the server's main thread by kind, after its garbage has been collected in every thread. */
export const resources = async (server: Server): Promise<Readonly<Record<string, number>>> =>
  JSON.parse(await nextLine(server, "resources", () => server.process.kill("SIGUSR2"))) as Record<string, number>

/** Waits until the server has given back what it does not use, and returns its resident memory. */
export const settle = async (server: Server): Promise<number> => {
  let least = Infinity
  for (let i = 0; i < 4; i++) {
    await resources(server)
    await Timers.setTimeout(700)
    least = Math.min(least, residentBytes(server.pid))
  }
  return least
}

/** Runs a client script to its end and returns what it prints, which is JSON. */
export const client = <A>(script: string, ...args: ReadonlyArray<string | number>): Promise<A> =>
  startClient<A>(script, ...args).result

/** A client script that runs: `result` is what it prints at its end. */
export interface Client<A> {
  /** Done when the client has printed a line `ready`. */
  readonly ready: Promise<void>
  readonly result: Promise<A>
  /** Closes the client's stdin, which it waits for. */
  readonly finish: () => void
}

/** Starts a client script that says `ready`, and waits for the end of its stdin before it ends itself. */
export const startClient = <A>(script: string, ...args: ReadonlyArray<string | number>): Client<A> => {
  const child = launch([pathOf(script), ...args.map(String)])
  const ready = Promise.withResolvers<void>()
  const result = Promise.withResolvers<A>()
  ready.promise.catch(() => {})
  let text = ""
  child.stdout!.on("data", (chunk: Buffer) => {
    text += chunk.toString()
    if (text.startsWith("ready\n")) ready.resolve()
  })
  child.once("close", (code) => {
    const error = new Error(`${script} exited with ${code}`)
    ready.reject(error)
    if (code !== 0) result.reject(error)
    else result.resolve(JSON.parse(text.replace("ready\n", "")) as A)
  })
  return { ready: ready.promise, result: result.promise, finish: () => void child.stdin!.end() }
}

/** Prints that a goal is missed and lets the benchmark exit with 1; says nothing of one that is met. */
export const expect = (met: boolean, goal: string): void => {
  if (met) return
  console.log(`MISSED: ${goal}`)
  process.exitCode = 1
}

export const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    if (server.process.exitCode !== null || server.process.signalCode !== null) return resolve()
    server.process.removeAllListeners("exit")
    server.process.once("exit", () => {
      running.delete(server.process)
      resolve()
    })
    server.process.kill("SIGTERM")
  })

/** Seconds of processor time that the process, with all its threads, has taken. */
export const cpuSeconds = (pid: number): number => {
  const fields = Fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS
}

/** Bytes of resident memory. */
export const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024

export const run = Util.promisify(execFile)

export interface WrkOptions {
  readonly connections: number
  readonly seconds: number
  readonly path?: string
  /** Whether each request has a connection of its own. */
  readonly close?: boolean
}

/** One wrk run: requests a second. Throws when wrk saw errors. */
export const wrk = async (port: number, options: WrkOptions) => {
  const { stdout } = await run("wrk", [
    "-t1",
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    ...(options.close === true ? ["-H", "Connection: close"] : []),
    `http://127.0.0.1:${port}${options.path ?? "/"}`
  ])
  if (/Socket errors|Non-2xx/.test(stdout)) throw new Error(stdout)
  const requests = Number(/(\d+) requests in/.exec(stdout)![1])
  return { perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)![1]), requests }
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const percentile = (values: ReadonlyArray<number>, part: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!
}

/** Prints a line of a comparison: two figures, their ratio, and the goal that it is held against. */
export const line = (what: string, sluice: string, peer: string, ratio: number, goal: string): void =>
  console.log(
    `${what.padEnd(34)} ${sluice.padStart(12)} ${peer.padStart(12)} ${ratio.toFixed(2).padStart(7)}   ${goal}`
  )

export const header = (peer: string): void =>
  console.log(
    `${"".padEnd(34)} ${"sluice".padStart(12)} ${peer.padStart(12)} ${
      "ratio".padStart(7)
    }   goal (Node ${process.version})`
  )
