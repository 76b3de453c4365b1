/**
 * What it costs to look at a host: 10,000 idle sessions over two workers, a scrape and an overview each second, and a
 * reader of events; and how long a scrape takes, also while all workers are blocked: in a synchronous
 * call, and in endless loops, which leave the host only its part of the processors. Whatever else is to be asked each
 * second is given as URLs; of an answer that does not end, one reader is opened.
 *
 * Goal: at most 1 % of one processor more than without; 99 of 100 scrapes within 10 ms, also with blocked workers, as long as a processor is free.
 * Needs some 20,100 open files (`ulimit -n`). `node bench/scrape.ts [sessions] [seconds] [url…]`: about a minute.
 */
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { availableParallelism } from "node:os"
import * as Timers from "node:timers/promises"
import type * as Report from "../src/domain/report/Report.ts"
import * as Bench from "./support/Bench.ts"
import * as Control from "./support/Control.ts"

const [SESSIONS = 10_000, SECONDS = 20] = process.argv.slice(2, 4).map(Number)
const urls = process.argv.slice(4)
const ROUNDS = 3
const SCRAPES = 200
const EVERY_MILLIS = 25
const BLOCK_MILLIS = 15_000
const control = `/tmp/sluice-scrape-${process.pid}.sock`

process.env["LOG"] = "error"
const app = new URL("apps/blockable-app.ts", import.meta.url).pathname
const host = await Bench.start("support/command.ts", control, "serve", app, "--hold-time", "1m", "--stuck-after", "off")
const { pid } = await Control.ask<Report.HostReport>(control, "GET", "/v1/host")

/** Nanoseconds of processor time that the host's threads have taken. */
const cpuNanos = (): number =>
  Fs.readdirSync(`/proc/${pid}/task`).reduce(
    (sum, thread) => sum + Number(Fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]),
    0
  )

const agent = new Http.Agent({ keepAlive: true })

/** Asks, and gives the milliseconds until all of the answer was there, and its bytes. */
const ask = (path: string): Promise<{ readonly millis: number; readonly bytes: number }> =>
  new Promise((resolve, reject) => {
    const begun = performance.now()
    const options = path.startsWith("http") ? path : { socketPath: control, path, agent }
    Http.get(options, (response) => {
      let bytes = 0
      response.on("data", (part: Buffer) => bytes += part.length)
      response.on("end", () => resolve({ millis: performance.now() - begun, bytes }))
      response.on("error", reject)
    }).on("error", reject)
  })

/** Percent of one processor that the host takes, while it is looked at or not. */
const share = async (looks: boolean): Promise<number> => {
  const readers: Array<Http.ClientRequest> = []
  let timer: NodeJS.Timeout | undefined
  if (looks) {
    readers.push(Http.get({ socketPath: control, path: "/v1/events", agent: false }, (response) => response.resume()))
    const busy = new Set<string>()
    timer = setInterval(() => {
      for (const path of ["/metrics", "/v1/overview", ...urls]) {
        // a stream: it is read by the one that was opened first
        if (busy.has(path)) continue
        busy.add(path)
        ask(path).then(() => busy.delete(path), () => busy.delete(path))
      }
    }, 1000)
    await Timers.setTimeout(1500)
  }
  const [begun, before] = [performance.now(), cpuNanos()]
  await Timers.setTimeout(SECONDS * 1000)
  const percent = (cpuNanos() - before) / (performance.now() - begun) / 1e4
  clearInterval(timer)
  for (const reader of readers) reader.on("error", () => {}).destroy()
  return percent
}

/** How long scrapes take, one after another. */
const scrapes = async (): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let i = 0; i < SCRAPES; i++) {
    times.push((await ask("/metrics")).millis)
    await Timers.setTimeout(EVERY_MILLIS)
  }
  return times
}

/** Blocks each worker: a new connection goes to one that is not. */
const blockAll = async (how: "wait" | "burn"): Promise<void> => {
  for (let i = 0; i < 2; i++) {
    const socket = Net.connect(host.port, "127.0.0.1", () => socket.write(`${how} ${BLOCK_MILLIS}`))
    socket.on("error", () => {})
    await Timers.setTimeout(500)
  }
}

const holder = Bench.startClient("support/holder.ts", host.port, SESSIONS)
await holder.ready
await Timers.setTimeout(2000)
const without: Array<number> = []
const withLooks: Array<number> = []
for (let round = 0; round < ROUNDS; round++) {
  without.push(await share(false))
  withLooks.push(await share(true))
}
const { bytes } = await ask("/metrics")
const quiet = await scrapes()
await blockAll("wait")
const waiting = await scrapes()
const { apps, sessions } = await Control.ask<Report.HostReport>(control, "GET", "/v1/host")
const areBlocked = apps[0]!.workers.every(({ behind }) => behind.nowMillis > 1000)
await Timers.setTimeout(BLOCK_MILLIS)
await blockAll("burn")
const burning = await scrapes()
holder.finish()
await holder.result
await Bench.stop(host)

const more = Bench.median(withLooks) - Bench.median(without)
const times = (millis: ReadonlyArray<number>): string =>
  `p50 ${Bench.percentile(millis, 0.5).toFixed(1)}, p99 ${Bench.percentile(millis, 0.99).toFixed(1)} ms`
console.log(`${sessions} sessions, ${bytes} bytes a scrape (Node ${process.version})`)
console.log(
  `processor: ${Bench.median(without).toFixed(2)} % of one without, ${
    Bench.median(withLooks).toFixed(2)
  } % with a scrape, `
    + `an overview and a reader of events each second: ${more.toFixed(2)} % more`
)
console.log(`scrapes: ${times(quiet)}; with all workers in a synchronous call: ${times(waiting)}`)
console.log(`scrapes with two endless loops on ${availableParallelism()} processors: ${times(burning)}`)
Bench.expect(more <= 1, `looking costs ${more.toFixed(2)} % of a processor, more than 1 %`)
Bench.expect(Bench.percentile(quiet, 0.99) <= 10, "a scrape takes more than 10 ms")
Bench.expect(Bench.percentile(waiting, 0.99) <= 10, "a scrape takes more than 10 ms while workers are blocked")
Bench.expect(areBlocked, "the workers were not blocked")
process.exit()
