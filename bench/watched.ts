/**
 * What it costs the requests that a host is looked at: keep-alive HTTP as in `bench/http.ts`, on one host that has metrics,
 * a page and a control socket, while nobody asks for them, and while they are asked for as by an operator: each second a
 * scrape and what `sluice top` shows, the page's stream, and a reader of events.
 *
 * Goal: within noise. Noise is how much two measurements without a look differ, in the same rounds.
 * Needs wrk. `node bench/watched.ts [rounds]`: about two minutes.
 */
import * as Http from "node:http"
import * as Bench from "./support/Bench.ts"

const [rounds = 10] = process.argv.slice(2).map(Number)
const SECONDS = 3

const portOf = async (): Promise<number> => {
  const server = Http.createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const { port } = server.address() as { readonly port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const control = `/tmp/sluice-watched-${process.pid}.sock`
const [metrics, page] = [await portOf(), await portOf()]
const app = new URL("apps/responder-app.ts", import.meta.url).pathname
const host = await Bench.start(
  "support/command.ts",
  control,
  "serve",
  app,
  "--workers",
  "1",
  "--metrics",
  `127.0.0.1:${metrics}`,
  "--dashboard",
  `127.0.0.1:${page}`
)

/** How many answers, and parts of a stream, have come. */
const seen = { scrapes: 0, overviews: 0, page: 0, events: 0 }

const agent = new Http.Agent({ keepAlive: true })
const get = (what: keyof typeof seen, options: Http.RequestOptions): Http.ClientRequest =>
  Http.get(options, (response) => {
    if (response.statusCode !== 200) throw new Error(`${what}: ${response.statusCode}`)
    response.on("data", () => {
      if (what === "page" || what === "events") seen[what]++
    })
    response.on("end", () => seen[what]++)
    response.on("error", () => {})
  })

/** Looks as an operator does, until it is told to stop. */
const look = (): () => void => {
  const streams = [
    get("events", { socketPath: control, path: "/v1/events", agent: false }),
    get("page", {
      port: page,
      host: "127.0.0.1",
      path: "/v1/overview",
      agent: false,
      headers: { accept: "text/event-stream" }
    })
  ]
  const timer = setInterval(() => {
    get("scrapes", { port: metrics, host: "127.0.0.1", path: "/metrics", agent })
    get("overviews", { socketPath: control, path: "/v1/overview", agent })
  }, 1000)
  return () => {
    clearInterval(timer)
    for (const stream of streams) stream.on("error", () => {}).destroy()
  }
}

const rate = async (looks: boolean): Promise<number> => {
  const stop = looks ? look() : undefined
  const { perSecond } = await Bench.wrk(host.port, { connections: 64, seconds: SECONDS })
  stop?.()
  return perSecond
}

await rate(false)
const ratios = { watched: [] as Array<number>, noise: [] as Array<number> }
const rates: Array<number> = []
for (let round = 0; round < rounds; round++) {
  const first = await rate(false)
  const watched = await rate(true)
  const second = await rate(false)
  const unwatched = (first + second) / 2
  rates.push(unwatched)
  ratios.watched.push(watched / unwatched)
  ratios.noise.push(Math.abs(first - second) / unwatched)
}
await Bench.stop(host)

const ratio = Bench.median(ratios.watched)
const noise = Bench.median(ratios.noise)
console.log(
  `keep-alive, one worker, ${Bench.median(rates).toFixed(0)} requests/s while nobody looks (Node ${process.version})`
)
console.log(`seen: ${JSON.stringify(seen)}`)
console.log(
  `looked at: ${ratio.toFixed(3)} of that; two measurements without a look differ by ${(100 * noise).toFixed(1)} %`
)
Bench.expect(1 - ratio <= Math.max(noise, 0.01), `${(100 * (1 - ratio)).toFixed(1)} % less while it is looked at`)
