/**
 * What looking at a host costs its connections: the round trip of a line over one session, while 5000 and then 19,500
 * others are open and idle, without readers of the control API and with 16 that read all sessions over and over.
 *
 * Goal: with readers the median is at most 10 ms and p99 at most 40 ms. Needs some 19,600 open files per process
 * (`ulimit -n`). `node bench/readers.ts`: about a minute.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Bench from "./support/Bench.ts"

const READERS = 16
const SECONDS = 8

interface Readings {
  readonly readings: number
  readonly found: number
}

const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "sluice-bench-"))
const control = Path.join(directory, "control.sock")

const ping = async (port: number): Promise<ReadonlyArray<number>> =>
  (await Bench.client<{ readonly latencies: ReadonlyArray<number> }>("support/pinger.ts", port, SECONDS)).latencies

const figures = (latencies: ReadonlyArray<number>): string =>
  [0.5, 0.99, 1].map((part) => Bench.percentile(latencies, part).toFixed(1).padStart(8)).join("")

const server = await Bench.start("support/controlled.ts", "../test/fixtures/echo.ts", control)
console.log(`sessions  readers     p50     p99     max  (ms)   all read`)
const holders: Array<ReturnType<typeof Bench.startClient>> = []
for (const [sessions, more] of [[5000, 5000], [19_500, 14_500]] as const) {
  holders.push(Bench.startClient("support/holder.ts", server.port, more))
  await holders.at(-1)!.ready
  await ping(server.port)
  console.log(`${String(sessions).padStart(8)}        0${figures(await ping(server.port))}`)
  const reading = Bench.client<Readings>("support/reader.ts", control, READERS, SECONDS + 2)
  const latencies = await ping(server.port)
  const { found, readings } = await reading
  console.log(
    `${String(sessions).padStart(8)}       ${READERS}${figures(latencies)}         ${readings} times, ${found} found`
  )
  Bench.expect(Bench.percentile(latencies, 0.5) <= 10, "the median is more than 10 ms")
  Bench.expect(Bench.percentile(latencies, 0.99) <= 40, "p99 is more than 40 ms")
}
for (const holder of holders) holder.finish()
await Promise.all(holders.map(({ result }) => result))
await Bench.stop(server)
Fs.rmSync(directory, { recursive: true })
