/**
 * Twice as much as two workers can do, each request on a connection of its own: an open loop asks at 90 % of what they can do,
 * then at twice that, then at 90 % again. The time of a request counts from when it was due (`support/openloop.ts`).
 * Compared with `node:cluster`, and with fastify with `@fastify/under-pressure` under `node:cluster`, in the same run.
 *
 * Goal: while twice as much comes, at least 90 % of the peak is served; the p99 of what is served is at most twice that at 90 %;
 * and 200 ms later all is as before.
 *
 * Kept-alive sessions, on which the same load comes by 64 connections, are measured for comparison. Admission decides about
 * connections, so nothing is refused there: a request waits for its worker, or for its session to move to the other one.
 *
 * At last, what a refusal costs the host: the processor time of its process, for connections that are answered 503 since the
 * listener has all the sessions that it may have, beside that of servers with nothing around them. Goal: at most 50 us.
 *
 * `node bench/overload.ts [seconds] [--install] [--alone] [--refusals]`: 60 s of overload, about 9 minutes in all; with
 * `--alone`, Sluice without the others; with `--refusals`, the cost of refusals alone, a minute. `--install` has npm install
 * @fastify/under-pressure in a directory that is removed afterwards; without it, that one is left out.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Bench from "./support/Bench.ts"
import type { Outcome } from "./support/openloop.ts"
import * as Refusals from "./support/refusals.ts"

const [seconds = 60] = process.argv.slice(2).map(Number).filter((value) => value > 0)
const NORMAL = 0.9
const OVER = 2
const KEPT = 64
const BACK_MILLIS = 200
const OFTEN = 4000
/** Microseconds. */
const GOAL = 50

const HTTP = JSON.stringify({ listener: { refuseWith: "http" } })

const served = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<number> =>
  outcomes.flatMap(([, took]) => took >= 0 ? [took] : [])
const count = (outcomes: ReadonlyArray<Outcome>, what: number): number =>
  outcomes.filter(([, took]) => took === what).length

/** Milliseconds after which, for half a second, nothing is refused and 99 of 100 take no longer than `limit`. */
const backAfter = (outcomes: ReadonlyArray<Outcome>, limit: number): number => {
  const WINDOW = 500
  const sorted = outcomes.toSorted(([a], [b]) => a - b)
  for (let at = 0; at < sorted.at(-1)![0] - WINDOW; at += 10) {
    const within = sorted.filter(([due]) => due >= at && due < at + WINDOW)
    const good = within.filter(([, took]) => took >= 0 && took <= limit)
    if (good.length >= 0.99 * within.length) return at
  }
  return Infinity
}

interface Result {
  /** Served in a second: the peak, and under twice that. */
  readonly peak: number
  readonly goodput: number
  readonly before: number
  readonly during: number
  readonly back: number
}

const columns = ["peak/s", "served/s", "part", "503", "reset", "late", "p99 90 %", "p99 200 %", "back after"]
const row = (name: string, cells: ReadonlyArray<string | number>): void =>
  console.log(`${name.padEnd(26)}${cells.map((cell) => String(cell).padStart(11)).join("")}`)

const measure = async (name: string, { port }: Bench.Server, connections: number): Promise<Result> => {
  // the first requests load and warm code
  await Bench.client("support/openloop.ts", port, connections, "0:2")
  const [top] = await Bench.client<Array<Array<Outcome>>>("support/openloop.ts", port, connections, "0:3")
  const peak = served(top!).length / 3
  const normal = Math.floor(NORMAL * peak)
  const phases = [`${normal}:${Math.ceil(seconds / 4)}`, `${Math.floor(OVER * peak)}:${seconds}`, `${normal}:3`]
  const [before, during, after] = await Bench.client<[Array<Outcome>, Array<Outcome>, Array<Outcome>]>(
    "support/openloop.ts",
    port,
    connections,
    ...phases
  )
  const p99 = (outcomes: ReadonlyArray<Outcome>): number =>
    served(outcomes).length === 0 ? Infinity : Bench.percentile(served(outcomes), 0.99)
  const result = {
    peak,
    goodput: served(during).length / seconds,
    before: p99(before),
    during: p99(during),
    back: backAfter(after, 2 * p99(before))
  }
  row(name, [
    peak.toFixed(0),
    result.goodput.toFixed(0),
    `${(100 * result.goodput / peak).toFixed(0)} %`,
    count(during, -1),
    count(during, -2),
    count(during, -3),
    `${result.before.toFixed(1)} ms`,
    `${result.during.toFixed(1)} ms`,
    `${result.back} ms`
  ])
  return result
}

/** A directory with the plugin, for as long as the benchmark runs; `undefined` where it is not to be installed. */
const underPressure = async (): Promise<string | undefined> => {
  if (!process.argv.includes("--install")) return undefined
  const home = Fs.mkdtempSync(Path.join(Os.tmpdir(), "overload-"))
  process.on("exit", () => Fs.rmSync(home, { recursive: true, force: true }))
  await Bench.run("npm", [
    "install",
    "--silent",
    "--no-audit",
    "--no-fund",
    "--prefix",
    home,
    "@fastify/under-pressure"
  ])
  return `${home}/`
}

const cluster = async (name: string, connections: number): Promise<Result> => {
  const server = await Bench.start("apps/overload-cluster.ts")
  const result = await measure(name, server, connections)
  await Bench.stop(server)
  return result
}

const sluice = async (name: string, connections: number): Promise<Result> => {
  const server = await Bench.start("support/host.ts", "apps/overload-program.ts", "2", HTTP)
  const result = await measure(name, server, connections)
  const { ledger } = await Bench.report(server)
  const refused = Object.entries(ledger.arrivals.refused).filter(([, count]) => count > 0)
  console.log(
    `  refused: ${refused.map(([reason, count]) => `${reason} ${count}`).join(", ")}; revoked: ${ledger.offers.revoked}`
  )
  await Bench.stop(server)
  return result
}

/** What a refusal costs, as it is and at the least. */
const refusals = async (): Promise<void> => {
  const show = (name: string, { all, system }: Refusals.Cost): void =>
    console.log(
      `${name.padEnd(56)}${all.toFixed(0).padStart(5)} us, of which the system's ${system.toFixed(0).padStart(3)}`
    )
  console.log("processor time for each connection that is refused, with its accept and its end")
  const floor = await Refusals.bare("handle", "answer")
  const cost = await Refusals.sluice("http")
  show("sluice, 503", cost)
  show("a bare handle, 503, closed when its request has come", floor)
  show(`sluice, 503, ${OFTEN} a second and not 2000`, await Refusals.sluice("http", OFTEN))
  show("the same by the bare handle", await Refusals.bare("handle", "answer", OFTEN))
  show("a bare handle, 503, closed when the peer ends", await Refusals.bare("handle", "listen"))
  show("net.createServer, 503", await Refusals.bare("server", "answer"))
  show("sluice, reset", await Refusals.sluice("reset"))
  show("a bare handle, reset", await Refusals.bare("handle", "reset"))
  show("net.createServer, reset", await Refusals.bare("server", "reset"))
  Bench.expect(
    cost.all <= GOAL,
    `a refusal costs ${cost.all.toFixed(0)} us, more than ${GOAL}; the bare handle costs ${floor.all.toFixed(0)}`
  )
}

if (process.argv.includes("--refusals")) {
  await refusals()
  process.exit()
}

console.log(`${seconds} s of twice the peak, two workers, 2 ms of work for each request (Node ${process.version})`)
row("", columns)
const ours = await sluice("sluice", 0)
if (!process.argv.includes("--alone")) {
  await cluster("node:cluster", 0)
  const home = await underPressure()
  if (home === undefined) console.log("fastify, under-pressure: left out (--install)")
  else {
    process.env.UNDER_PRESSURE = home
    await cluster("fastify, under-pressure", 0)
    delete process.env.UNDER_PRESSURE
  }
  await sluice(`sluice, ${KEPT} kept alive`, KEPT)
  await cluster(`node:cluster, ${KEPT} kept`, KEPT)
}
await refusals()

const part = ours.goodput / ours.peak
Bench.expect(part >= 0.9, `${(100 * part).toFixed(0)} % of the peak is served, less than 90`)
Bench.expect(
  ours.during <= 2 * ours.before,
  `p99 is ${(ours.during / ours.before).toFixed(1)} times that at 90 %, more than 2`
)
Bench.expect(ours.back <= BACK_MILLIS, `back to normal after ${ours.back} ms, more than ${BACK_MILLIS}`)
