/** The responder on `node:cluster` with two workers; with `BLOCK_BY=timer`, the second one blocks its event loop. */
import cluster from "node:cluster"
import * as Net from "node:net"
import { block } from "./blocking.ts"
import { respond } from "./responder.ts"

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
  const server = Net.createServer((socket) => {
    socket.setNoDelay(true)
    socket.on("error", () => {})
    socket.on("data", (bytes: Buffer) => {
      const response = respond(bytes, 0)
      if (response !== undefined) socket.write(response)
    })
  })
  server.listen(0, "127.0.0.1")
  if (process.env.BLOCK_BY === "timer" && cluster.worker!.id === WORKERS) block()
}
