/** The request listener on `node:cluster` with two workers; with `BLOCK` set, the second one blocks its event loop. */
import cluster from "node:cluster"
import * as Http from "node:http"
import { block } from "./blocking.ts"
import { handler } from "./http-handler.ts"

const WORKERS = 2

if (cluster.isPrimary) {
  let listening = 0
  cluster.on("listening", (_, { port }) => {
    if (++listening === WORKERS) console.log(`port ${port}`)
  })
  for (let i = 0; i < WORKERS; i++) cluster.fork()
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGKILL")
    process.exit(0)
  })
} else {
  Http.createServer(handler).listen(0, "127.0.0.1")
  if (process.env.BLOCK !== undefined && cluster.worker!.id === WORKERS) block()
}
