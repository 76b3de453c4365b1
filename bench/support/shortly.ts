/**
 * A client process: `shortly.ts <port> <sessions> <at a time>`. Each session asks once and reads to its end; every 50th
 * leaves as soon as it has asked, and every 100th comes from 127.0.0.2. Says `ready` at once, and prints what has become
 * of them when all are over, see {@link Outcome}.
 */
import * as Net from "node:net"

export interface Outcome {
  /** Connections that were opened; of them those whose answer was whole, that left, and that were reset. */
  readonly opened: number
  readonly answered: number
  readonly left: number
  readonly reset: number
  /** Those that had not been answered after a minute. */
  readonly unanswered: number
  /** Those that could not be opened. */
  readonly unopened: number
}

const [port, sessions, atATime] = process.argv.slice(2).map(Number) as [number, number, number]
const seen = { opened: 0, answered: 0, left: 0, reset: 0, unanswered: 0, unopened: 0 }
const PATIENCE_MILLIS = 60_000
const REQUEST = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"

let next = 0
const one = (number: number): Promise<void> =>
  new Promise((resolve) => {
    const localAddress = number % 100 === 1 ? "127.0.0.2" : "127.0.0.1"
    const socket = Net.connect({ host: "127.0.0.1", port, localAddress })
    let text = ""
    let isOpen = false
    let leaves = false
    let isLate = false
    socket.setTimeout(PATIENCE_MILLIS, () => {
      isLate = true
      socket.destroy()
    })
    socket.on("connect", () => {
      isOpen = true
      seen.opened++
      leaves = number % 50 === 0
      socket.write(REQUEST, () => leaves && socket.resetAndDestroy())
    })
    socket.on("data", (chunk: Buffer) => text += chunk.toString("latin1"))
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      // it was opened, and reset before anybody had looked
      if (isOpen || code !== "ECONNRESET") return
      isOpen = true
      seen.opened++
    })
    socket.on("close", () => {
      if (!isOpen) seen.unopened++
      else if (leaves) seen.left++
      else if (isLate) seen.unanswered++
      else if (text.startsWith("HTTP/1.1 200 ")) seen.answered++
      else seen.reset++
      resolve()
    })
  })

const walk = async (): Promise<void> => {
  while (next < sessions) await one(next++)
}

console.log("ready")
await Promise.all(Array.from({ length: atATime }, walk))
console.log(JSON.stringify(seen))
process.exit(0)
