/**
 * Sends a line over one connection and waits for it to come back, 200 times a second: `pinger.ts <port> <seconds>`.
 * Prints the round trips in milliseconds.
 */
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const [port, seconds] = process.argv.slice(2).map(Number) as [number, number]
const socket = Net.connect(port, "127.0.0.1").setNoDelay(true)
const latencies: Array<number> = []
const end = performance.now() + seconds * 1000
while (performance.now() < end) {
  const begin = performance.now()
  socket.write("ping\n")
  await new Promise<void>((resolve) => void socket.once("data", () => resolve()))
  latencies.push(performance.now() - begin)
  await sleep(Math.max(0, 5 - latencies.at(-1)!))
}
socket.destroy()
console.log(JSON.stringify({ latencies }))
