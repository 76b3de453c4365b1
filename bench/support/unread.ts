/**
 * A client process that asks for a large response on each of its connections and reads nothing of any:
 * `unread.ts <port> <connections> <which of several such processes>`. Says `ready` when all have asked. When its stdin
 * ends it prints how many connections were lost.
 */
import * as Net from "node:net"

const [port, connections, which] = process.argv.slice(2).map(Number) as [number, number, number]
/** Connects that are under way at a time: fewer than a listener's backlog. */
const CONCURRENCY = 250
/** Connections from one address: an address has 28,000 ports, and other programs want some. */
const FROM_ONE = 5000

let lost = 0
const ask = (index: number): Promise<void> =>
  new Promise((resolve) => {
    const localAddress = `127.0.${which + 1}.${1 + Math.floor(index / FROM_ONE)}`
    const socket = Net.connect({ port, host: "127.0.0.1", localAddress })
    socket.pause()
    socket.on("connect", () => socket.write("GET /large HTTP/1.1\r\nHost: bench\r\n\r\n", () => resolve()))
    socket.on("error", () => {})
    socket.on("close", () => {
      lost++
      resolve()
    })
  })

let next = 0
const walk = async (): Promise<void> => {
  while (next < connections) await ask(next++)
}
await Promise.all(Array.from({ length: CONCURRENCY }, walk))
console.log("ready")

process.stdin.on("end", () => {
  console.log(JSON.stringify({ lost }))
  process.exit(0)
})
process.stdin.resume()
