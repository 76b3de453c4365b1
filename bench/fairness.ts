/**
 * What one greedy source costs the others, and whether health checks are served under overload. Two workers whose handlers
 * wait 40 ms, with 2 requests in hand each, do 100 a second. Clients come at their times, whatever becomes of those before
 * them (open loop), each from its own loopback address.
 *
 * 1. Ten sources with 4 connections a second each: alone, with one that asks for 10 times its share, and the same with
 *    `sourceSessions: 1`. Goal: p99 of the ten is at most 1.2 times that without the greedy one; medians of 3 rounds.
 * 2. A listener of class `high`, asked 20 times a second, while another one gets 5 times what the workers can do. Goal: the
 *    host adds at most 50 ms to the 40 ms that each answer takes.
 *
 * `node bench/fairness.ts`: about 40 s, on a machine that does nothing else.
 */
import * as Net from "node:net"
import * as Timers from "node:timers/promises"
import * as Bench from "./support/Bench.ts"

const SECONDS = 3
const ROUNDS = 3
const WORKERS = 2
const IN_HAND = 2
const WAIT = 40
const CAPACITY = WORKERS * IN_HAND * 1000 / WAIT
const POLITE = 10
const RATE = 4
const HIGH = "tcp://127.0.0.2:0"

/** Milliseconds until the whole answer has come; `undefined` for a connection that was refused or got none in 6 s. */
const visit = (host: string, port: number, localAddress: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const from = performance.now()
    let text = ""
    const socket = Net.connect({ host, port, localAddress }, () => socket.write("GET / HTTP/1.1\r\n\r\n"))
    socket.on("data", (bytes: Buffer) => text += bytes.toString("latin1"))
    socket.on("error", () => {})
    socket.setTimeout(6000, () => socket.destroy())
    socket.on("close", () => resolve(text === "hello, world\n" ? performance.now() - from : undefined))
  })

/** Connections at a rate, for as long as all others: how long each took. */
const source = async (host: string, port: number, localAddress: string, rate: number) => {
  const visits: Array<Promise<number | undefined>> = []
  const from = performance.now()
  const end = from + SECONDS * 1000
  for (let at = from + 1000 / rate * Math.random(); at < end; at += 1000 / rate) {
    await Timers.setTimeout(Math.max(0, at - performance.now()))
    visits.push(visit(host, port, localAddress))
  }
  return Promise.all(visits)
}

const served = (all: ReadonlyArray<number | undefined>): ReadonlyArray<number> =>
  all.filter((millis) => millis !== undefined)

const start = (more: object) =>
  Bench.start(
    "support/host.ts",
    "apps/slow-app.ts",
    String(WORKERS),
    JSON.stringify({ admission: { maxConcurrent: IN_HAND }, ...more })
  )

const print = (what: string, all: ReadonlyArray<number | undefined>): number => {
  const millis = served(all)
  const p99 = Bench.percentile(millis, 0.99)
  const times = [0.5, 0.99, 1].map((part) => Bench.percentile(millis, part).toFixed(0).padStart(7))
  console.log(
    `${what.padEnd(44)} ${String(all.length).padStart(6)} ${String(millis.length).padStart(7)} ${times.join("")}`
  )
  return p99
}

console.log(
  `${"".padEnd(44)} ${"asked".padStart(6)} ${"served".padStart(7)}     p50    p99    max  ms (Node ${process.version})`
)

/** The ten, and whether there is a greedy one. */
const round = async (what: string, greedy: boolean, listener: object): Promise<number> => {
  const host = await start({ listener })
  const ask = (number: number, rate: number) => source("127.0.0.1", host.port, `127.0.1.${number}`, rate)
  const [others, one] = await Promise.all([
    Promise.all(Array.from({ length: POLITE }, (_, i) => ask(i + 1, RATE))),
    greedy ? ask(100, 10 * CAPACITY / (POLITE + 1)) : []
  ])
  const p99 = print(what, others.flat())
  if (greedy) print("  the greedy one", one)
  await Bench.stop(host)
  return p99
}

const rounds: Array<readonly [alone: number, without: number, limited: number]> = []
for (let i = 0; i < ROUNDS; i++) {
  rounds.push([
    await round("ten sources, alone", false, {}),
    await round("ten sources and a greedy one, no limit", true, {}),
    await round("the same with sourceSessions: 1", true, { sourceSessions: 1 })
  ])
}
const ratio = (which: 1 | 2): number => Bench.median(rounds.map((p99) => p99[which] / p99[0]))
console.log(`p99 of the ten: ${ratio(1).toFixed(2)} of that alone, with the limit ${ratio(2).toFixed(2)}`)
Bench.expect(ratio(2) <= 1.2, `with the limit, p99 is ${ratio(2).toFixed(2)} of that alone, at most 1.2`)

const checked = async (what: string, priority: string): Promise<number> => {
  const host = await start({ listen: ["tcp://127.0.0.1:0", HIGH], listeners: { [HIGH]: { priority } } })
  const { apps } = await Bench.report(host)
  const high = apps[0]!.listeners.find(({ requested }) => requested === HIGH)!
  const port = Number(high.endpoint.split(":").at(-1))
  const [checks, load] = await Promise.all([
    source("127.0.0.2", port, "127.0.0.1", 20),
    source("127.0.0.1", host.port, "127.0.0.1", 5 * CAPACITY)
  ])
  const p99 = print(what, checks)
  print("  the load", load)
  Bench.expect(priority !== "high" || served(checks).length === checks.length, "a check was not served")
  await Bench.stop(host)
  return p99
}

await checked("checks of class normal at 5 times the capacity", "normal")
const added = await checked("checks of class high at 5 times the capacity", "high") - WAIT
Bench.expect(added <= 50, `${added.toFixed(0)} ms are added to a check, at most 50`)
