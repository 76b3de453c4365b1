/** `overload-program.ts` under `node:cluster`, with two workers. */
import cluster from "node:cluster"

const WORKERS = 2

cluster.setupPrimary({ exec: new URL("overload-program.ts", import.meta.url).pathname })
let listening = 0
cluster.on("listening", (_, { port }) => {
  if (++listening === WORKERS) console.log(`port ${port}`)
})
for (let i = 0; i < WORKERS; i++) cluster.fork()
process.on("SIGTERM", () => {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGKILL")
  process.exit(0)
})
