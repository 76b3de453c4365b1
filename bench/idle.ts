/**
 * Memory of 10,000 connections that are open and idle: how much a host with two thread workers grows by them, compared
 * with a bare `net` server that keeps them with the same handlers. Both are warmed up and settled before. Then one of
 * the connections uploads 64 MiB to an application that reads nothing until its fifo is full: a busy session among ten
 * thousand idle ones has its whole bound.
 *
 * Goal: at most 1.5 times the bare server's growth, at most 1 KiB of segment memory for each idle session.
 * Needs some 10,100 open files per process (`ulimit -n`). `node bench/idle.ts`: about 30 s.
 */
import * as Options from "../src/domain/options/Options.ts"
import * as Bench from "./support/Bench.ts"

const CONNECTIONS = 10_000
const CLIENTS = 2
const WARM_UP = 1000
const OPEN_FILES = CONNECTIONS + 100
const FIFO = Options.defaults.segment.rxFifoSize
const UPLOAD = 64 * 1024 ** 2

/** Opens this many connections; the answer is for their end. */
const hold = async (port: number, connections: number): Promise<() => Promise<void>> => {
  const clients = Array.from(
    { length: CLIENTS },
    () => Bench.startClient("support/holder.ts", port, connections / CLIENTS)
  )
  await Promise.all(clients.map(({ ready }) => ready))
  return async () => {
    for (const client of clients) client.finish()
    await Promise.all(clients.map(({ result }) => result))
  }
}

/** Bytes that the server grows by, and what `during` finds while the connections are there. */
const growth = async <A>(server: Bench.Server, during: () => Promise<A>): Promise<readonly [number, A]> => {
  const release = await hold(server.port, WARM_UP)
  await release()
  const before = await Bench.settle(server)
  const end = await hold(server.port, CONNECTIONS)
  const after = await Bench.settle(server)
  const found = await during()
  await end()
  return [after - before, found]
}

const { stdout: limit } = await Bench.run("sh", ["-c", "ulimit -Hn"])
if (Number(limit) < OPEN_FILES) {
  console.log(
    `a process may have ${limit.trim()} open files here, and ${OPEN_FILES} are needed: ulimit -n ${OPEN_FILES}`
  )
  process.exit(1)
}

process.env.FIFO_BYTES = String(FIFO)
const sluice = await Bench.startInspected("support/host.ts", "apps/idle-app.ts", "2")
const segmentBytes = async (): Promise<number> =>
  (await Bench.report(sluice)).apps[0]!.workers.reduce((sum, { segments }) => sum + segments.used, 0)
const usedAtStart = await segmentBytes()
const [ours, { busy, perSession, sessions }] = await growth(sluice, async () => {
  const { sessions } = await Bench.report(sluice)
  const perSession = (await segmentBytes() - usedAtStart) / CONNECTIONS
  const busy = await Bench.client<{ most: number; bytes: number }>("support/uploader.ts", sluice.port, UPLOAD)
  return { sessions, perSession, busy }
})
await Bench.stop(sluice)
const net = await Bench.startInspected("apps/idle-net.ts")
const [bare] = await growth(net, () => Promise.resolve())
await Bench.stop(net)

Bench.header("net")
const KiB = (bytes: number) => (bytes / 1024).toFixed(2)
Bench.line(`${CONNECTIONS} idle, growth, MiB`, KiB(ours / 1024), KiB(bare / 1024), ours / bare, "at most 1.50")
Bench.line("  per connection, KiB", KiB(ours / CONNECTIONS), KiB(bare / CONNECTIONS), ours / bare, "")
console.log(
  `sessions open: ${sessions}; segment memory per session: ${perSession.toFixed(0)} bytes (goal: at most 1024)`
)
console.log(
  `one busy session among them: its fifo held up to ${busy.most} of ${FIFO} bytes, and ${busy.bytes} bytes arrived`
)
Bench.expect(sessions === CONNECTIONS, `${sessions} sessions were open, not ${CONNECTIONS}`)
Bench.expect(ours <= 1.5 * bare, `the growth is ${(ours / bare).toFixed(2)} times the bare server's, more than 1.50`)
Bench.expect(
  perSession <= 1024,
  `an idle session holds ${perSession.toFixed(0)} bytes of segment memory, more than 1024`
)
Bench.expect(busy.most === FIFO, `the fifo of the busy session held up to ${busy.most} bytes, not ${FIFO}`)
Bench.expect(busy.bytes === UPLOAD, `${busy.bytes} bytes arrived of ${UPLOAD}`)
