/**
 * What the benchmarks share: servers in processes of their own, what they cost, and tables.
 *
 * Machines are noisy, so a figure is measured next to its peer's in the same run, in turn, several times over, and the
 * medians are printed with their ratio.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Util from "node:util"

const CLOCK_TICKS = 100

export interface Server {
  readonly process: ChildProcess
  readonly port: number
  readonly pid: number
}

/** Starts a server script under the Node that runs the benchmark; it prints `port N` when it listens. */
export const start = (script: string, ...args: ReadonlyArray<string>): Promise<Server> =>
  new Promise((resolve, reject) => {
    const url = new URL(`../${script}`, import.meta.url)
    const child = spawn(process.execPath, [url.pathname, ...args], { stdio: ["pipe", "pipe", "inherit"] })
    child.once("exit", (code) => reject(new Error(`${script} exited with ${code}`)))
    let text = ""
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString()
      const port = /^port (\d+)$/m.exec(text)?.[1]
      if (port !== undefined) resolve({ process: child, port: Number(port), pid: child.pid! })
    })
  })

export const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.process.removeAllListeners("exit")
    server.process.once("exit", () => resolve())
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

/** One wrk run: requests a second. Throws when wrk saw errors. */
export const wrk = async (port: number, options: { connections: number; seconds: number; path?: string }) => {
  const { stdout } = await run("wrk", [
    "-t1",
    `-c${options.connections}`,
    `-d${options.seconds}s`,
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
  console.log(`${what.padEnd(34)} ${sluice.padStart(12)} ${peer.padStart(12)} ${ratio.toFixed(2).padStart(7)}   ${goal}`)

export const header = (peer: string): void =>
  console.log(`${"".padEnd(34)} ${"sluice".padStart(12)} ${peer.padStart(12)} ${"ratio".padStart(7)}   goal (Node ${process.version})`)
