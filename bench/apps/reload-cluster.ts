/**
 * The same program on `node:cluster` with two workers, and a rolling restart at each line on its standard input, as it is
 * done everywhere: fork a new worker, wait until it listens, disconnect an old one, and kill it if it does not end.
 */
import cluster, { type Worker } from "node:cluster"
import { once } from "node:events"

const WORKERS = 2
const GRACE_MILLIS = 10_000

const fork = async (): Promise<number> => {
  const [{ port }] = await once(cluster.fork(), "listening") as [{ readonly port: number }]
  return port
}

const retire = (worker: Worker): void => {
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), GRACE_MILLIS)
  worker.once("exit", () => clearTimeout(timer))
  worker.disconnect()
}

if (cluster.isPrimary) {
  let port = 0
  for (let i = 0; i < WORKERS; i++) port = await fork()
  console.log(`port ${port}`)
  const reload = async (): Promise<void> => {
    const old = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true)
    for (const worker of old) {
      await fork()
      retire(worker!)
    }
    console.log("reloaded ok")
  }
  process.stdin.on("data", () => void reload())
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGKILL")
    process.exit(0)
  })
} else await import("./reload-program.ts")
