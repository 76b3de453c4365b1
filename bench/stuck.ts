/**
 * What happens to workers that do not come back, and to those that are merely busy.
 *
 * `node bench/stuck.ts`: one of two workers is sent into an endless loop, while a client opens 100 connections a second; then
 * all workers are, as many as there are processors, and twice as many. Goals: function and line are named within 1 s of the
 * flag, a worker is replaced within 1 s after `--stuck-after`, no connection fails, and the host answers within 100 ms all
 * the while. About 40 s.
 *
 * `node bench/stuck.ts answers`: all workers are in an endless loop, first as many as there are processors and then twice as
 * many. Goal: whatever is asked of the host is answered within 100 ms. About 40 s.
 *
 * `node bench/stuck.ts load [seconds]`: twice as many connections a second as two workers can serve. Goal: no worker is told
 * of as one that does not respond, and none is replaced.
 */
import * as Http from "node:http"
import * as Net from "node:net"
import { availableParallelism } from "node:os"
import * as Timers from "node:timers/promises"
import type { HostEvent } from "../src/domain/events/HostEvent.ts"
import type * as Report from "../src/domain/report/Report.ts"
import * as Whereabouts from "../src/domain/report/Whereabouts.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"

const STUCK_AFTER = 5000
const PER_SECOND = 100
const ASKED = 50
const TOPS = 10
const control = `/tmp/sluice-stuck-${process.pid}.sock`
const main = new URL("../src/main.ts", import.meta.url).pathname
const app = new URL("apps/stuck-app.ts", import.meta.url).pathname

interface Visits {
  readonly failures: number
  readonly reasons: Readonly<Record<string, number>>
  readonly latencies: ReadonlyArray<number>
}
const visit = (port: number, perSecond: number, seconds: number): Promise<Visits> =>
  Bench.client<Visits>("support/visitor.ts", port, perSecond, seconds)

const p99 = ({ latencies }: Visits): number => Bench.percentile(latencies, 0.99)

const start = (...args: ReadonlyArray<string>): Promise<Bench.Server> => {
  process.env["LOG"] ??= "none"
  return Bench.start("support/command.ts", control, "serve", app, ...args)
}

type Kind<K extends HostEvent["kind"]> = Extract<HostEvent, { readonly kind: K }>

const isKind = <K extends HostEvent["kind"]>(kind: K) => (event: HostEvent): event is Kind<K> => event.kind === kind

/** The events of a kind, once there are as many, or the time is over. */
const find = async <K extends HostEvent["kind"]>(
  events: ReadonlyArray<HostEvent>,
  kind: K,
  count: number,
  seconds: number
): Promise<ReadonlyArray<Kind<K>>> => {
  for (const until = performance.now() + seconds * 1000;; await Timers.setTimeout(100)) {
    const found = events.filter(isKind(kind))
    if (found.length >= count || performance.now() > until) return found
  }
}

const loop = async (port: number): Promise<void> => {
  const response = await fetch(`http://127.0.0.1:${port}/loop`, { headers: { connection: "close" } })
  await response.text()
}

const ms = (millis: number): string => `${millis.toFixed(0)} ms`

// ---- asking

/** Milliseconds until all of an answer was there. */
const timed = async (ask: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now()
  await ask()
  return performance.now() - begun
}

const get = (options: Http.RequestOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    Http.get({ ...options, agent: false }, (response) => response.resume().on("end", resolve)).on("error", reject)
  })

const times = (took: ReadonlyArray<number>): string => {
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => Bench.percentile(took, part).toFixed(1).padStart(7))
  return `p50 ${p50}  p99 ${p99}  max ${max} ms, of ${took.length}`
}

const overview = (): Promise<void> => get({ socketPath: control, path: "/v1/overview" })

// ---- replaced

/** Tells when the limit was over, by the host's own count, and when the worker's next start served. */
const tellReplaced = (stuck: Kind<"worker-stuck">, replaced: Kind<"worker-replaced">, at: number): void => {
  const limit = stuck.time - at - (stuck.silentMillis - STUCK_AFTER)
  const late = replaced.time - at - limit
  console.log(`  silent for ${ms(STUCK_AFTER)} after   ${ms(limit)}, replaced after ${ms(late)} more`)
  Bench.expect(late <= 1000, "it is replaced within 1 s after the limit")
}

/** All workers of a host in an endless loop at once. */
const allLoop = async (workers: number): Promise<void> => {
  const server = await start("--workers", String(workers), "--stuck-after", `${STUCK_AFTER}ms`, "--hold-time", "1m")
  const events = Control.follow(control)
  await visit(server.port, PER_SECOND, 1)
  console.log(`${workers} workers on ${availableParallelism()} processors, all in an endless loop`)
  const at = Date.now()
  for (let i = 0; i < workers; i++) await loop(server.port)
  const took: Array<number> = []
  const asking = setInterval(() => void timed(overview).then((millis) => took.push(millis), () => {}), 100)
  const waiting = Array.from({ length: 5 * workers }, () => fetch(`http://127.0.0.1:${server.port}/`))
  const late = await find(events, "worker-replaced", workers, (STUCK_AFTER / 1000) * workers + 10)
  for (const replaced of late) {
    const stuck = events.filter(isKind("worker-stuck")).find(({ worker }) => worker === replaced.worker)
    if (stuck !== undefined) tellReplaced(stuck, replaced, at)
  }
  Bench.expect(late.length === workers, "all are replaced")
  const failures = (await Promise.allSettled(waiting)).filter(({ status }) => status === "rejected").length
  console.log(`  of ${waiting.length} requests that waited meanwhile, ${failures} failed`)
  clearInterval(asking)
  console.log(`  an overview all the while: ${times(took)}`)
  Bench.expect(failures === 0, "what waits meanwhile is served")
  Bench.expect(Math.max(...took) <= 100, "an overview is answered within 100 ms all the while")
  await Bench.stop(server)
}

const oneLoops = async (): Promise<void> => {
  const server = await start("--stuck-after", `${STUCK_AFTER}ms`, "--hold-time", "1m")
  const events = Control.follow(control)
  await visit(server.port, PER_SECOND, 1)
  const before = await visit(server.port, PER_SECOND, 3)
  const during = visit(server.port, PER_SECOND, STUCK_AFTER / 1000 + 4)
  await Timers.setTimeout(500)
  const at = Date.now()
  await loop(server.port)
  const [silent] = await find(events, "worker-silent", 1, 5)
  const [replaced] = await find(events, "worker-replaced", 1, STUCK_AFTER / 1000 + 10)
  const [stuck] = events.filter(isKind("worker-stuck"))
  const { failures } = await during
  if (silent === undefined || stuck === undefined || replaced === undefined) {
    return Bench.expect(false, "the worker was flagged and replaced")
  }
  console.log(`one of two workers in an endless loop (Node ${process.version})`)
  console.log(`  flagged and named after    ${ms(silent.time - at)}: ${Whereabouts.phrase(silent)}`)
  tellReplaced(stuck, replaced, at)
  console.log(
    `  others, p99 before, during ${p99(before).toFixed(1)}, ${p99(await during).toFixed(1)} ms; failures: ${failures}`
  )
  Bench.expect(silent.place?.functionName === "loopForEver", "the function is named")
  Bench.expect(silent.time - at <= 2000, "it is flagged and named within 2 s of the request")
  Bench.expect(failures === 0, "no connection fails")

  await Bench.stop(server)
}

// ---- answers

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = Net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      server.close(() => resolve(port))
    })
  })

const answers = async (workers: number): Promise<void> => {
  const dashboard = await freePort()
  const server = await start(
    "--workers",
    String(workers),
    "--stuck-after",
    "off",
    "--hold-time",
    "1m",
    "--dashboard",
    `127.0.0.1:${dashboard}`
  )
  const top = (): Promise<unknown> => Bench.run(process.execPath, [main, "top", "--once", "--control", control])
  const asked: ReadonlyArray<readonly [string, number, () => Promise<unknown>]> = [
    ["GET /v1/overview", ASKED, overview],
    ["GET /v1/host", ASKED, () => get({ socketPath: control, path: "/v1/host" })],
    ["GET /metrics", ASKED, () => get({ socketPath: control, path: "/metrics" })],
    ["the page", ASKED, () => get({ port: dashboard, path: "/" })],
    ["sluice top --once", TOPS, top]
  ]
  const measure = async (what: string): Promise<void> => {
    console.log(`${workers} workers on ${availableParallelism()} processors, ${what} (Node ${process.version})`)
    for (const [name, often, ask] of asked) {
      const took: Array<number> = []
      for (let i = 0; i < often; i++, await Timers.setTimeout(10)) took.push(await timed(ask))
      console.log(`  ${name.padEnd(20)} ${times(took)}`)
      if (ask !== top) Bench.expect(Math.max(...took) <= 100, `${name} is answered within 100 ms`)
    }
  }
  await measure("which have nothing to do")
  for (let i = 0; i < workers; i++) await loop(server.port)
  // something has to wait for each, so that it is seen
  for (let i = 0; i < workers; i++) Net.connect(server.port, "127.0.0.1").on("error", () => {})
  await Timers.setTimeout(3000)
  await measure("all in an endless loop")
  const { apps } = await Control.ask<Report.HostReport>(control, "GET", "/v1/host")
  const silent = apps[0]!.workers.filter(({ behind }) => behind.nowMillis > 1000)
  Bench.expect(silent.length === workers, `all ${workers} workers were in the loop`)
  await Bench.stop(server)
}

// ---- no false alarm

const load = async (seconds: number): Promise<void> => {
  process.env["WORK_MICROS"] = "5000"
  const server = await start("--stuck-after", "1s")
  const events = Control.follow(control)
  await visit(server.port, PER_SECOND, 2)
  const begun = performance.now()
  const { latencies } = await visit(server.port, 600, 3)
  const capacity = Math.floor(latencies.length / ((performance.now() - begun) / 1000))
  const { failures, reasons } = await visit(server.port, 2 * capacity, seconds)
  const count = (kind: HostEvent["kind"]): number => events.filter((event) => event.kind === kind).length
  console.log(
    `twice the capacity of ${capacity}/s for ${seconds} s: ${failures} refused or late ${JSON.stringify(reasons)}`
  )
  console.log(`  false flags ${count("worker-silent")}, false replacements ${count("worker-stuck")}, --stuck-after 1 s`)
  Bench.expect(count("worker-silent") === 0, "no false flag")
  Bench.expect(count("worker-stuck") === 0, "no false replacement")
  await Bench.stop(server)
}

const [mode, seconds = "30"] = process.argv.slice(2)
if (mode === "load") await load(Number(seconds))
else if (mode === "answers") { for (const times of [1, 2]) await answers(times * availableParallelism()) }
else {
  await oneLoops()
  for (const times of [1, 2]) await allLoop(times * availableParallelism())
}
process.exit()
