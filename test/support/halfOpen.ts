/**
 * Real connects that stay half-open, without leaving the machine.
 *
 * A thread listens with the shortest accept queue and then stands still. Connections fill the queue; from then on the
 * system drops what comes to open another, and whoever connects hears nothing.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import type { Worker } from "node:worker_threads"
import type { Setup } from "./tcpWords.ts"
import * as Threads from "./threads.ts"

/** Milliseconds in which this machine answers itself. There is no signal for an answer that does not come. */
const ANSWER_TIME = 200
/** No queue is as long as this. */
const MOST = 64

/** A thread that is one side of TCP. */
export const thread = (
  setup: Partial<Setup> & Pick<Setup, "role">
): { readonly worker: Worker; readonly words: Int32Array } => {
  const words = new Int32Array(new SharedArrayBuffer(8))
  return { worker: Threads.start("tcpThread.ts", { words, port: 0, count: 0, ...setup }), words }
}

const isAnswered = async (socket: Net.Socket): Promise<boolean> => {
  const end = performance.now() + ANSWER_TIME
  // each turn of the loop hears of the sockets, however late it is
  do await new Promise<void>((resolve) => setImmediate(resolve))
  while (socket.connecting && performance.now() < end)
  return !socket.connecting && !socket.destroyed
}

const fill = async (port: number): Promise<ReadonlyArray<Net.Socket>> => {
  const sockets: Array<Net.Socket> = []
  while (sockets.length < MOST) {
    // what is in the queue when it goes is reset
    const socket = Net.connect({ host: "127.0.0.1", port }).on("error", () => {})
    if (await isAnswered(socket)) sockets.push(socket)
    else {
      socket.destroy()
      return sockets
    }
  }
  throw new Error("the queue of connections is never full")
}

/** An endpoint where connects stay half-open until the scope closes; they are refused then. */
export const open = Effect.acquireRelease(
  Effect.promise(async () => {
    const { worker } = thread({ role: "stand" })
    const port = await Threads.result<number>(worker)
    return { worker, sockets: await fill(port), local: `tcp://127.0.0.1:${port}` }
  }),
  ({ sockets, worker }) =>
    Effect.promise(async () => {
      for (const socket of sockets) socket.destroy()
      await worker.terminate()
    })
)

/** How many connects to this port of 127.0.0.1 are half-open. */
export const count = (port: number): number => {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`
  const lines = Fs.readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
  return lines.filter((fields) => fields[2] === remote && fields[3] === "02").length
}

/** How many sockets this process has. */
export const sockets = (): number => {
  const kinds = Fs.readdirSync("/proc/self/fd").map((fd) => {
    try {
      return Fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // the one that the directory was read through
      return ""
    }
  })
  return kinds.filter((kind) => kind.startsWith("socket:")).length
}
