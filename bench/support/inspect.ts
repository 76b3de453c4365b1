/**
 * Preloaded into a server (`--expose-gc --import`): on SIGUSR2 it collects the garbage of every thread that has this
 * module and prints `resources {...}`, the main thread's active resources by kind. An application on a worker thread
 * imports it by itself.
 */
import { isMainThread } from "node:worker_threads"

const collect = (globalThis as { readonly gc?: () => void }).gc ?? (() => {})
const channel = new BroadcastChannel("bench-collect") as BroadcastChannel & { readonly unref: () => void }

if (isMainThread) {
  process.on("SIGUSR2", () => {
    channel.postMessage("collect")
    collect()
    const counts: Record<string, number> = {}
    for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
    console.log(`resources ${JSON.stringify(counts)}`)
  })
} else channel.onmessage = () => collect()
channel.unref()
