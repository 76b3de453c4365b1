/**
 * Preloaded into a server (`--expose-gc --import`): on SIGUSR2 it collects the garbage of every thread that has this
 * module and prints `resources {...}`, the main thread's active resources by kind. An application on a worker thread
 * imports it by itself.
 *
 * The collection is the one that also gives pages back to the system: what a start leaves behind would otherwise be
 * filled first, and a growth of resident memory would look smaller than it is.
 */
import { isMainThread } from "node:worker_threads"

const { gc } = globalThis as { readonly gc?: (options: object) => void }
const collect = (): void => gc?.({ type: "major", execution: "sync", flavor: "last-resort" })
const channel = new BroadcastChannel("bench-collect") as BroadcastChannel & { readonly unref: () => void }

if (isMainThread) {
  process.on("SIGUSR2", () => {
    channel.postMessage("collect")
    collect()
    const counts: Record<string, number> = {}
    for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
    console.log(`resources ${JSON.stringify(counts)}`)
  })
} else channel.addEventListener("message", collect)
channel.unref()
