/**
 * 10,000 connections at once over TLS that is ended in the host, with two thread workers that echo: opened some at a
 * time from several source addresses, each exchanges a line, and all are held open together. Compared with a bare `tls`
 * server.
 *
 * Goal: none fails, all are sessions at once, and with the last of them every counter is where it was. Needs some
 * 10,100 open files per process (`ulimit -n`). `node bench/tls.ts`: about a minute.
 */
import * as Fs from "node:fs"
import type * as Report from "../src/domain/report/Report.ts"
import * as Bench from "./support/Bench.ts"

const CONNECTIONS = 10_000
const CLIENTS = 4
const WARM_UP = 1000
const AT_A_TIME = 16
const OPEN_FILES = CONNECTIONS + 100

interface Held {
  readonly failures: number
  /** Milliseconds. */
  readonly took: number
}

/** Opens this many connections; the answer is for their end. */
const hold = async (port: number, connections: number): Promise<() => Promise<ReadonlyArray<Held>>> => {
  const clients = Array.from(
    { length: CLIENTS },
    (_, i) =>
      Bench.startClient<Held>("support/tls-holder.ts", port, connections / CLIENTS, `127.0.0.${i + 2}`, AT_A_TIME)
  )
  await Promise.all(clients.map(({ ready }) => ready))
  return () => {
    for (const client of clients) client.finish()
    return Promise.all(clients.map(({ result }) => result))
  }
}

const measure = async <A>(server: Bench.Server, during: () => Promise<A>) => {
  const warm = await hold(server.port, WARM_UP)
  await warm()
  const before = await Bench.settle(server)
  const cpuBefore = Bench.cpuSeconds(server.pid)
  const end = await hold(server.port, CONNECTIONS)
  const cpu = Bench.cpuSeconds(server.pid) - cpuBefore
  const after = await Bench.settle(server)
  const found = await during()
  const held = await end()
  return {
    found,
    perConnection: (after - before) / CONNECTIONS,
    cpu: cpu / CONNECTIONS,
    failures: held.reduce((sum, { failures }) => sum + failures, 0),
    perSecond: CONNECTIONS / Math.max(...held.map(({ took }) => took)) * 1000
  }
}

const { stdout: limit } = await Bench.run("sh", ["-c", "ulimit -Hn"])
if (Number(limit) < OPEN_FILES) {
  console.log(
    `a process may have ${limit.trim()} open files here, and ${OPEN_FILES} are needed: ulimit -n ${OPEN_FILES}`
  )
  process.exit(1)
}

const read = (name: string): string =>
  Fs.readFileSync(new URL(`../test/fixtures/certificates/${name}`, import.meta.url), "utf8")
const certificates = [{ certificate: read("chain.pem"), key: read("chain.key") }]
const sluice = await Bench.startInspected(
  "support/host.ts",
  "../test/fixtures/echo.ts",
  "2",
  JSON.stringify({ listen: ["tls://127.0.0.1:0"], certificates })
)

/** What must be as before once all are gone. */
const counters = ({ apps, sessions }: Report.HostReport) => ({
  sessions,
  underWay: apps[0]!.listeners[0]!.sessions,
  used: apps[0]!.workers.map(({ segments }) => segments.used)
})

await (await hold(sluice.port, WARM_UP))()
const before = counters(await Bench.reportWhen(sluice, ({ sessions }) => sessions === 0))
const ours = await measure(sluice, async () => (await Bench.report(sluice)).sessions)
const last = await Bench.reportWhen(sluice, (report) => JSON.stringify(counters(report)) === JSON.stringify(before))
const after = counters(last)
const handles = await Bench.resources(sluice)
await Bench.stop(sluice)
const net = await Bench.startInspected("apps/tls-net.ts")
const bare = await measure(net, () => Promise.resolve())
await Bench.stop(net)

Bench.header("tls")
const KiB = (bytes: number) => (bytes / 1024).toFixed(2)
const compare = (what: string, a: number, b: number, print: (value: number) => string) =>
  Bench.line(what, print(a), print(b), a / b, "")
console.log(`${CONNECTIONS} connections over TLS at once; sessions in the host at that time: ${ours.found}`)
compare("  memory per connection, KiB", ours.perConnection, bare.perConnection, KiB)
compare("  CPU per connection, ms", ours.cpu * 1000, bare.cpu * 1000, (ms) => ms.toFixed(2))
compare("  connections a second", ours.perSecond, bare.perSecond, (n) => n.toFixed(0))
console.log(`before: ${JSON.stringify(before)}`)
console.log(`after:  ${JSON.stringify(after)}; main thread: ${JSON.stringify(handles)}`)
console.log(`refused: ${JSON.stringify(last.ledger.arrivals.refused)}`)
Bench.expect(ours.failures === 0, `${ours.failures} connections failed`)
Bench.expect(ours.found === CONNECTIONS, `${ours.found} sessions at once, not ${CONNECTIONS}`)
Bench.expect(JSON.stringify(after) === JSON.stringify(before), "something is left behind")
