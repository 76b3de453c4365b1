/**
 * A client process: `asker.ts <port> <connections> <interval in ms> <seconds>`. Each connection is kept, and asks once in
 * every interval, if its last answer has come. Prints `{ failures, latencies }`, the milliseconds from a request to the
 * last byte of its answer.
 */
import * as Net from "node:net"

const [port, connections, interval, seconds] = process.argv.slice(2).map(Number) as [number, number, number, number]
const REQUEST = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
const latencies: Array<number> = []
let failures = 0
let open = 0

/** Bytes of the response whose head is in `text`, once it is there. */
const lengthOf = (text: string): number => {
  const body = text.indexOf("\r\n\r\n") + 4
  return body < 4 ? Infinity : body + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Infinity)
}

const converse = (): void => {
  let asked: number | undefined
  let text = ""
  let isOver = false
  const socket = Net.connect(port, "127.0.0.1")
  socket.setNoDelay(true)
  const timer = setInterval(() => {
    if (asked !== undefined || isOver) return
    asked = performance.now()
    socket.write(REQUEST)
  }, interval)
  setTimeout(() => {
    isOver = true
    if (asked === undefined) socket.end()
  }, seconds * 1000)
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1")
    if (text.length < lengthOf(text)) return
    latencies.push(performance.now() - asked!)
    asked = undefined
    text = ""
    if (isOver) socket.end()
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    clearInterval(timer)
    if (!isOver || asked !== undefined) failures++
    if (--open === 0) console.log(JSON.stringify({ failures, latencies }))
  })
}

for (; open < connections; open++) converse()
