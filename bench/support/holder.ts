/**
 * A client process that opens connections and keeps them: `holder.ts <port> <connections>`. Says `ready` when all are
 * open, and closes them when its stdin ends.
 */
import * as Net from "node:net"

const [port, connections] = process.argv.slice(2).map(Number) as [number, number]
/** Connects that are under way at a time: fewer than a listener's backlog. */
const CONCURRENCY = 100

const fail = (error: Error): void => {
  console.error(`a connection was lost: ${error.message}`)
  process.exit(1)
}

const sockets: Array<Net.Socket> = []
const open = (): Promise<void> =>
  new Promise((resolve) => {
    const socket = Net.connect(port, "127.0.0.1", resolve)
    socket.on("error", fail)
    socket.on("end", () => fail(new Error("the server ended it")))
    sockets.push(socket)
  })

let left = connections
const walk = async (): Promise<void> => {
  while (left-- > 0) await open()
}
await Promise.all(Array.from({ length: CONCURRENCY }, walk))
console.log("ready")

process.stdin.on("end", () => {
  let closed = 0
  for (const socket of sockets) {
    socket.removeAllListeners("end")
    socket.on("close", () => {
      if (++closed === sockets.length) console.log(JSON.stringify(closed))
    })
    socket.destroy()
  }
})
process.stdin.resume()
