/**
 * What events cost (X5). An A/B comparison of rates would have to show half a percent, which is less than the noise of any
 * machine, so it is counted instead: how many events a host has told while kept-alive requests and short connections went
 * through it, how long telling one takes, and how much of the processor time of a request and of a connection that is.
 *
 * Goal: at most 0.5 % of the processor time of a kept-alive request. Needs wrk. `node bench/events.ts [seconds]`: about 15 s.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Timers from "node:timers/promises"
import type { HostReport } from "../src/domain/report/Report.ts"
import * as Handle from "../src/domain/state/Handle.ts"
import { NoticeLog } from "../src/layers/log/NoticeLog.ts"
import { EventLog, type OftenFacts } from "../src/layers/telemetry/EventLog.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"

const SECONDS = Number(process.argv[2] ?? 4)
const CONNECTIONS = 64
const CALLS = 200_000
const ROUNDS = 7
const control = `/tmp/sluice-events-${process.pid}.sock`

// ---- one event

/** Nanoseconds of processor time of a call, of `CALLS` in a row. */
const nanosOf = (call: () => void): number => {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const begun = process.cpuUsage()
    for (let i = 0; i < CALLS; i++) call()
    const { system, user } = process.cpuUsage(begun)
    return (system + user) / CALLS * 1000
  })
  return Bench.median(rounds)
}

const session = {
  app: "bench",
  listener: Handle.make<Handle.ListenerHandle>(0, 0),
  endpoint: "tcp://127.0.0.1:8080",
  worker: 0,
  workerHandle: Handle.make<Handle.WorkerHandle>(0, 0)
} as const
const facts = (often: OftenFacts) => ({ kind: "session-held", ...session, ...often }) as const
const [told, counted] = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const log = yield* EventLog.make(yield* NoticeLog.make)
  const connection = { remote: "tcp://10.0.0.1:1234" }
  const one = nanosOf(() => log.record(facts({ count: 1, withinMillis: 0, peer: connection.remote })))
  // in a flood: what a series lets through is the rest of these
  const often = nanosOf(() => {
    const key = `session-held ${session.listener} `
    log.often(log.series(key) ?? log.begin(key, facts), connection)
  })
  return [one, often] as const
})))

// ---- what a host tells

process.env["LOG"] = "error"
const app = new URL("apps/http-app.ts", import.meta.url).pathname
const host = await Bench.start("support/command.ts", control, "serve", app)
const { pid } = await Control.ask<HostReport>(control, "GET", "/v1/host")

/** Seconds of processor time of the host's own thread. */
const hostSeconds = (): number =>
  Number(Fs.readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e9

/** What has happened to sessions and workers: the events of it, and how often it was counted without one. */
interface Happened {
  readonly events: number
  readonly counted: number
}

const happened = (): Promise<Happened> =>
  new Promise((resolve, reject) => {
    const path = "/v1/events?follow=false&kind=session,offer,worker"
    Http.get({ socketPath: control, path, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => text += part)
      response.on("end", () => {
        const counts = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) =>
          (JSON.parse(data!) as { readonly count?: number }).count ?? 1
        )
        resolve({ events: counts.length, counted: counts.reduce((sum, count) => sum + count - 1, 0) })
      })
    }).on("error", reject)
  })

interface Measured extends Happened {
  readonly requests: number
  /** Of the host's own thread, for each. */
  readonly nanos: number
}

const measure = async (close: boolean): Promise<Measured> => {
  const [before, seconds] = [await happened(), hostSeconds()]
  const { requests } = await Bench.wrk(host.port, { connections: CONNECTIONS, seconds: SECONDS, close })
  const nanos = (hostSeconds() - seconds) / requests * 1e9
  // what was counted is told within a second
  await Timers.setTimeout(1200)
  const after = await happened()
  return { requests, nanos, events: after.events - before.events, counted: after.counted - before.counted }
}

await measure(false)
const kept = await measure(false)
const short = await measure(true)
await Bench.stop(host)

const shareOf = ({ counted: times, events, nanos, requests }: Measured): number =>
  (events * told + times * counted) / (requests * nanos)
const tell = (what: string, measured: Measured): void =>
  console.log(
    `${what.padEnd(20)} ${String(measured.requests).padStart(8)} ${String(measured.events).padStart(8)} `
      + `${String(measured.counted).padStart(8)} ${(measured.nanos / 1000).toFixed(1).padStart(10)} us   `
      + `${(shareOf(measured) * 100).toFixed(3)} %`
  )
console.log(
  `an event: ${told.toFixed(0)} ns; one that is counted in a flood: ${counted.toFixed(0)} ns (Node ${process.version})`
)
console.log(
  `${"".padEnd(20)} ${"number".padStart(8)} ${"events".padStart(8)} ${"counted".padStart(8)} ${
    "host, each".padStart(13)
  }`
    + "   share of events"
)
tell("kept-alive requests", kept)
tell("connections", short)
console.log(
  `a connection with an event: ${(told / short.nanos * 100).toFixed(2)} % more; in a flood: ${
    (counted / short.nanos * 100).toFixed(2)
  } %`
)
Bench.expect(shareOf(kept) <= 0.005, `events take ${(shareOf(kept) * 100).toFixed(2)} % of a kept-alive request`)
