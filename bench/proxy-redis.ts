/**
 * Redis through the proxy: all tests of redis-benchmark, with one request at a time on each of 50 connections, and with
 * 16; compared with a bare Node proxy, HAProxy in one thread, and no proxy.
 *
 * Goal: at least the requests a second of the bare proxy, as the geometric mean over the tests, and no error.
 * Needs redis-server and redis-benchmark. `node bench/proxy-redis.ts`: about seven minutes.
 */
import * as Bench from "./support/Bench.ts"
import * as Proxies from "./support/Proxies.ts"

const ROUNDS = 3
const PIPELINED = 16

/** All of redis-benchmark's tests, and how many requests of each make a run of half a second or more. */
const groups: ReadonlyArray<{ readonly tests: string; readonly requests: Readonly<Record<number, number>> }> = [
  {
    tests: "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,mset",
    requests: { 1: 50_000, [PIPELINED]: 400_000 }
  },
  { tests: "lrange", requests: { 1: 10_000, [PIPELINED]: 20_000 } }
]

/** Requests a second by test. */
const run = async (command: string, way: Proxies.Way, pipeline: number): Promise<Proxies.Run> => {
  const figures: Record<string, number> = {}
  let work = 0
  for (const { requests, tests } of groups) {
    const args = ["-p", String(way.port), "-n", String(requests[pipeline]!), "-P", String(pipeline), "-t", tests]
    const { stderr, stdout } = await Bench.run(command, [...args, "--csv"], { maxBuffer: 1 << 24 })
    if (/error/i.test(stderr + stdout)) throw new Error(`through ${way.name}: ${stderr}${stdout}`)
    for (const [, name, rate] of stdout.matchAll(/^"([^"]*)","([\d.]+)"/gm)) {
      work += requests[pipeline]!
      if (!name!.includes("needed")) figures[name!] = Number(rate)
    }
  }
  return { figures, work }
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
  for (const way of ways) await run(benchmark, way, PIPELINED)
  const compare = async (pipeline: number): Promise<number> =>
    Proxies.table(
      `requests/s, ${pipeline} at a time`,
      "request",
      ways,
      await Proxies.measure(ways, ROUNDS, (way) => run(benchmark, way, pipeline))
    )
  const one = await compare(1)
  const many = await compare(PIPELINED)
  for (const way of ways) await way.stop()
  await redis.stop()
  Bench.expect(one >= 1, `${one.toFixed(2)} of the bare proxy's requests, one at a time: less than 1.00`)
  Bench.expect(many >= 1, `${many.toFixed(2)} of the bare proxy's requests, ${PIPELINED} at a time: less than 1.00`)
}
