/**
 * What happens to workers that do not come back, and to those that are merely busy.
 *
 * `node bench/stuck.ts`: one of two workers is sent into an endless loop, while a client opens 100 connections a second; then
 * all workers are. Goals: its function and line are named within 1 s of the flag, it is replaced within 2 s after
 * `--stuck-after`, no connection fails, and `show app` is answered within 100 ms. About 40 s.
 *
 * `node bench/stuck.ts load [seconds]`: twice as many connections a second as two workers can serve. Goal: no worker is told
 * of as one that does not respond, and none is replaced.
 */
import * as Timers from "node:timers/promises"
import type { HostEvent } from "../src/domain/events/HostEvent.ts"
import * as Whereabouts from "../src/domain/report/Whereabouts.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"

const STUCK_AFTER = 5000
const PER_SECOND = 100
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
  process.env["LOG"] ??= "error"
  return Bench.start("support/command.ts", control, "serve", app, ...args)
}

/** All that has happened, as the host tells it. */
const events = async (): Promise<ReadonlyArray<HostEvent>> => {
  const { stdout } = await Bench.run(process.execPath, [main, "events", "--json", "--control", control], {
    maxBuffer: 2 ** 28
  })
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as HostEvent)
}

type Kind<K extends HostEvent["kind"]> = Extract<HostEvent, { readonly kind: K }>

const find = async <K extends HostEvent["kind"]>(kind: K, count: number, seconds: number): Promise<Array<Kind<K>>> => {
  for (const until = performance.now() + seconds * 1000;; await Timers.setTimeout(200)) {
    const found = (await events()).filter((event): event is Kind<K> => event.kind === kind)
    if (found.length >= count || performance.now() > until) return found
  }
}

const loop = async (port: number): Promise<void> => {
  const response = await fetch(`http://127.0.0.1:${port}/loop`, { headers: { connection: "close" } })
  await response.text()
}

/** Milliseconds in which the host answers with all that `show app` shows. */
const show = async (): Promise<number> => {
  const begun = performance.now()
  await Control.ask(control, "GET", "/v1/host")
  return performance.now() - begun
}

const ms = (millis: number): string => `${millis.toFixed(0)} ms`

const loops = async (): Promise<void> => {
  const server = await start("--stuck-after", `${STUCK_AFTER}ms`, "--hold-time", "1m")
  await visit(server.port, PER_SECOND, 1)
  const before = await visit(server.port, PER_SECOND, 3)
  const during = visit(server.port, PER_SECOND, STUCK_AFTER / 1000 + 4)
  const at = Date.now()
  await loop(server.port)
  const [silent] = await find("worker-silent", 1, 5)
  const [replaced] = await find("worker-replaced", 1, STUCK_AFTER / 1000 + 10)
  const { failures } = await during
  if (silent === undefined || replaced === undefined) return Bench.expect(false, "the worker was flagged and replaced")
  console.log(`one of two workers in an endless loop (Node ${process.version})`)
  console.log(`  flagged and named after    ${ms(silent.time - at)}: ${Whereabouts.phrase(silent)}`)
  console.log(`  replaced after             ${ms(replaced.time - at)}, with --stuck-after ${STUCK_AFTER} ms`)
  console.log(
    `  others, p99 before, during ${p99(before).toFixed(1)}, ${p99(await during).toFixed(1)} ms; failures: ${failures}`
  )
  Bench.expect(silent.place?.functionName === "loopForEver", "the function is named")
  Bench.expect(silent.time - at <= 2000, "it is flagged and named within 2 s of the request")
  Bench.expect(replaced.time - at <= STUCK_AFTER + 3000, "it is replaced within 2 s after the limit")
  Bench.expect(failures === 0, "no connection fails")

  await loop(server.port)
  await loop(server.port)
  await Promise.all([visit(server.port, 5, 1), find("worker-silent", 3, 5), Timers.setTimeout(1500)])
  const answers: Array<number> = []
  for (let i = 0; i < 20; i++) answers.push(await show())
  console.log(
    `all workers in an endless loop: show app is answered in ${Math.max(...answers).toFixed(1)} ms at the most`
  )
  Bench.expect(Math.max(...answers) <= 100, "show app is answered within 100 ms")
  await Bench.stop(server)
}

const load = async (seconds: number): Promise<void> => {
  process.env["WORK_MICROS"] = "5000"
  const server = await start("--stuck-after", "1s")
  await visit(server.port, PER_SECOND, 2)
  const begun = performance.now()
  const { latencies } = await visit(server.port, 600, 3)
  const capacity = Math.floor(latencies.length / ((performance.now() - begun) / 1000))
  const { failures, reasons } = await visit(server.port, 2 * capacity, seconds)
  const told = await events()
  const count = (kind: HostEvent["kind"]): number => told.filter((event) => event.kind === kind).length
  console.log(
    `twice the capacity of ${capacity}/s for ${seconds} s: ${failures} refused or late ${JSON.stringify(reasons)}`
  )
  console.log(`  false flags ${count("worker-silent")}, false replacements ${count("worker-stuck")}, --stuck-after 1 s`)
  Bench.expect(count("worker-silent") === 0, "no false flag")
  Bench.expect(count("worker-stuck") === 0, "no false replacement")
  await Bench.stop(server)
}

const [mode, seconds = "30"] = process.argv.slice(2)
await (mode === "load" ? load(Number(seconds)) : loops())
