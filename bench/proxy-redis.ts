/**
 * Redis through the proxy: all tests of redis-benchmark, with one request at a time on each of 50 connections, and with
 * 16; next to a bare Node proxy, HAProxy in one thread, and no proxy.
 *
 * Goal: at least the requests a second of the bare proxy, as the geometric mean over the tests, and no error.
 * Needs redis-server and redis-benchmark. `node bench/proxy-redis.ts`: about four minutes.
 */
import * as Bench from "./support/Bench.ts"
import * as Proxies from "./support/Proxies.ts"

const ROUNDS = 3
const REQUESTS = 20_000
const PIPELINED = 16

/** Requests a second by test. */
const run = async (command: string, way: Proxies.Way, requests: number, pipeline: number): Promise<Proxies.Figures> => {
  const args = ["-p", String(way.port), "-n", String(requests), "-P", String(pipeline), "--csv"]
  const { stderr, stdout } = await Bench.run(command, args, { maxBuffer: 1 << 24 })
  if (/error/i.test(stderr + stdout)) throw new Error(`through ${way.name}: ${stderr}${stdout}`)
  const rows = stdout.trim().split("\n").map((line) => /^"([^"]*)","([\d.]+)"/.exec(line)).filter((row) => row !== null)
  return Object.fromEntries(
    rows.flatMap(([, name, rps]) => Number(rps) > 0 ? [[name!, Number(rps)]] : [])
  )
}

const server = Proxies.find("redis-server")
const benchmark = Proxies.find("redis-benchmark")
if (server !== undefined && benchmark !== undefined) {
  const port = await Proxies.freePort()
  const folder = Proxies.temporary()
  const redis = await Proxies.startProgram(
    server,
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder],
    port
  )
  const ways = await Proxies.ways(port)
  for (const way of ways) await run(benchmark, way, 5000, 1)
  const one = Proxies.table(
    "requests/s, one at a time",
    ways,
    await Proxies.measure(ways, ROUNDS, (way) => run(benchmark, way, REQUESTS, 1))
  )
  const many = Proxies.table(
    `requests/s, ${PIPELINED} at a time`,
    ways,
    await Proxies.measure(ways, ROUNDS, (way) => run(benchmark, way, 4 * REQUESTS, PIPELINED))
  )
  for (const way of ways) await way.stop()
  await redis.stop()
  Bench.expect(one >= 1, `${one.toFixed(2)} of the bare proxy's requests, one at a time: less than 1.00`)
  Bench.expect(many >= 1, `${many.toFixed(2)} of the bare proxy's requests, ${PIPELINED} at a time: less than 1.00`)
}
