/**
 * What is left of 10,000 connections and 20 worker crashes: connections with `Connection: close` are opened 100 at a
 * time, and now and then one makes its worker throw an exception that nobody catches, or exit. Afterwards every counter
 * must be where it was before, and only connections may have failed that were under way at a crash. "Before" is after a
 * first run of the same.
 *
 * Goal: sessions 0, segments and handles as before, no imbalances, resident memory grown by less than 40 MiB, every
 * worker running. Only if the memory has grown by more is the run repeated, at most twice: a leak would grow on.
 * `node bench/connections.ts`: about 20 s, at most 60 s.
 */
import * as Net from "node:net"
import type * as Report from "../src/domain/report/Report.ts"
import * as Bench from "./support/Bench.ts"

const CONNECTIONS = 10_000
const CONCURRENCY = 100
const CRASHES = 20
const WORKERS = 2
/** A connection that failed must have been open within this time of a crash. */
const AROUND_CRASH_MILLIS = 250
const RSS = "resident memory, MiB"
const RSS_GROWTH = 40
const ROUNDS = 3
/** Timers that happen to run when they are counted. */
const TIMERS = 3

interface Visit {
  readonly path: string
  readonly from: number
  readonly to: number
  readonly whole: boolean
  readonly error: string | undefined
}

const visit = (port: number, path: string): Promise<Visit> =>
  new Promise((resolve) => {
    const from = performance.now()
    const socket = Net.connect(port, "127.0.0.1", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n`)
    })
    let text = ""
    let error: string | undefined
    socket.on("data", (bytes: Buffer) => text += bytes.toString("latin1"))
    socket.on("error", (cause: NodeJS.ErrnoException) => error = cause.code ?? cause.message)
    socket.setTimeout(15_000, () => socket.destroy(new Error("no answer")))
    socket.on("close", () => {
      const whole = error === undefined && text.endsWith("\r\n\r\nhello, world\n")
      resolve({ path, from, to: performance.now(), whole, error: whole ? undefined : error ?? "ended early" })
    })
  })

/** Visits, `CONCURRENCY` at a time; at even intervals one of them is a crash. */
const visits = async (port: number, count: number, crashes: number): Promise<ReadonlyArray<Visit>> => {
  const done: Array<Visit> = []
  const every = Math.floor(count / Math.max(1, crashes))
  let next = 0
  const walk = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const crash = crashes > 0 && i % every === every >> 1
      done.push(await visit(port, crash ? (Math.floor(i / every) % 2 === 0 ? "/throw" : "/exit") : "/"))
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, walk))
  return done
}

const isQuiet = ({ apps, sessions }: Report.HostReport): boolean =>
  sessions === 0 && apps.every(({ workers }) => workers.every(({ state }) => state === "RUNNING"))

/** What must be the same afterwards, by name. */
const facts = async (host: Bench.Server): Promise<Readonly<Record<string, string | number>>> => {
  await Bench.reportWhen(host, isQuiet, 20)
  const rss = await Bench.settle(host)
  const { apps, imbalances, sessions } = await Bench.report(host)
  const resources = await Bench.resources(host)
  const [app] = apps
  return {
    sessions,
    "sessions of the listener": app!.listeners[0]!.sessions,
    "connections held": app!.listeners[0]!.arrivals.held,
    "offers pending": app!.workers.reduce((sum, { offers }) => sum + offers.pending, 0),
    "messages postponed": app!.workers.reduce((sum, { messages }) => sum + messages.postponed, 0),
    ...Object.fromEntries(app!.workers.flatMap(({ mapIndex, segments, state }) => [
      [`worker ${mapIndex}: state`, state],
      [`worker ${mapIndex}: segments`, segments.count],
      [`worker ${mapIndex}: segment bytes in use`, segments.used]
    ])),
    imbalances: imbalances.length === 0 ? "none" : imbalances.join("; "),
    ...Object.fromEntries(Object.entries(resources).map(([kind, count]) => [`resources: ${kind}`, count])),
    [RSS]: Math.round(rss / 1024 ** 2)
  }
}

const options = JSON.stringify({ worker: { backoffBase: 10, backoffMax: 50 } })
const host = await Bench.startInspected("support/host.ts", "apps/crash-app.ts", String(WORKERS), options)
// threads that come and go make the memory allocator keep some memory, up to a point: only from there on growth counts
await visits(host.port, CONNECTIONS, CRASHES)
const before = await facts(host)
const { ledger: ledgerBefore } = await Bench.report(host)
const restartsBefore = (await Bench.report(host)).apps[0]!.workers.reduce((sum, worker) => sum + worker.restarts, 0)
const all: Array<Visit> = []
let seconds = 0
let after = before
let growth = Infinity
let rounds = 0
// what the memory allocator keeps of threads that are gone comes and goes by some 60 MiB, and a leak only grows
while (growth > RSS_GROWTH && rounds < ROUNDS) {
  rounds++
  const since = performance.now()
  all.push(...await visits(host.port, CONNECTIONS, CRASHES))
  seconds += (performance.now() - since) / 1000
  after = await facts(host)
  growth = Math.min(growth, Number(after[RSS]) - Number(before[RSS]))
}
const { apps, ledger } = await Bench.report(host)
await Bench.stop(host)

const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
console.log(`${"".padEnd(40)} ${"before".padStart(12)} ${"after".padStart(12)}`)
for (const name of names) {
  console.log(`${name.padEnd(40)} ${String(before[name] ?? 0).padStart(12)} ${String(after[name] ?? 0).padStart(12)}`)
}

const crashes = all.filter(({ path }) => path !== "/")
const failed = all.filter(({ path, whole }) => path === "/" && !whole)
const unexplained = failed.filter(({ error, from, to }) =>
  error === "no answer"
  || crashes.every((crash) => from > crash.to || Math.abs(to - crash.to) > AROUND_CRASH_MILLIS)
)
const restarts = apps[0]!.workers.reduce((sum, worker) => sum + worker.restarts, 0) - restartsBefore
const refused = (counts: typeof ledger.arrivals.refused) => Object.values(counts).reduce((sum, count) => sum + count, 0)
const refusals = refused(ledger.arrivals.refused) - refused(ledgerBefore.arrivals.refused)
const errors = Object.entries(Object.groupBy(failed, ({ error }) => error!)).map(([error, { length } = []]) =>
  `${length} ${error}`
)
console.log(
  `${all.length} connections in ${seconds.toFixed(1)} s, ${crashes.length} of them crashed their worker; `
    + `${restarts} restarts; resident memory grew by ${growth} MiB`
)
console.log(
  `${failed.length} other connections failed${failed.length === 0 ? "" : ` (${errors.join(", ")})`}, `
    + `${unexplained.length} of them at no crash; ${refusals} refused by the host`
)

for (const name of names) {
  if (name === RSS) continue
  const [was, is] = [before[name] ?? 0, after[name] ?? 0]
  const more = name === "resources: Timeout" ? TIMERS : 0
  // what was freed before the warm-up's end may be less afterwards
  Bench.expect(
    typeof was === "number" && typeof is === "number" ? is <= was + more : is === was,
    `${name}: ${was}, then ${is}`
  )
}
Bench.expect(after["imbalances"] === "none", `imbalances: ${after["imbalances"]}`)
Bench.expect(after["sessions"] === 0, `${after["sessions"]} sessions are left`)
Bench.expect(crashes.every(({ whole }) => !whole), "a crash did not happen")
Bench.expect(restarts >= rounds * CRASHES, `${restarts} restarts after ${rounds * CRASHES} crashes`)
Bench.expect(unexplained.length === 0, `${unexplained.length} connections failed that no crash explains`)
Bench.expect(refusals === 0, `${refusals} connections were refused`)
Bench.expect(growth <= RSS_GROWTH, `resident memory grew by ${growth} MiB`)
