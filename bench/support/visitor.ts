/**
 * A client process: `visitor.ts <port> <connections a second> <seconds> [blocks]`. Each connection asks once, reads the
 * whole response and closes. Prints `{ failures, reasons, latencies }`: how many failed, and for which reasons, and the
 * milliseconds from `connect()` to the last byte. With
 * `blocks`, one connection more in every two seconds asks for `/block`, and counts for nothing but a failure.
 */
import * as Net from "node:net"

const [port, perSecond, seconds] = process.argv.slice(2).map(Number) as [number, number, number]
const blocks = process.argv[5] === "blocks"
const BLOCK_EVERY_MILLIS = 2000
const TIMEOUT_MILLIS = 10_000
const latencies: Array<number> = []
let failures = 0
const reasons: Record<string, number> = {}
let over = 0
const wanted = perSecond * seconds + (blocks ? Math.ceil(seconds * 1000 / BLOCK_EVERY_MILLIS) : 0)

const finished = (): void => {
  if (++over === wanted) console.log(JSON.stringify({ failures, reasons, latencies }))
}

/** Bytes of the response whose head is in `text`, once it is there. */
const lengthOf = (text: string): number => {
  const body = text.indexOf("\r\n\r\n") + 4
  return body < 4 ? Infinity : body + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Infinity)
}

const visit = (path: "/" | "/block"): void => {
  const since = performance.now()
  const socket = Net.connect(port, "127.0.0.1", () => socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`))
  let text = ""
  let whole = false
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1")
    if (whole || text.length < lengthOf(text)) return
    whole = true
    if (path === "/") latencies.push(performance.now() - since)
    socket.end()
  })
  let reason = "ended"
  socket.setTimeout(TIMEOUT_MILLIS, () => {
    reason = socket.connecting ? "not connected in time" : "no answer in time"
    socket.destroy()
  })
  socket.on("error", (error: NodeJS.ErrnoException) => void (reason = error.code ?? error.message))
  socket.on("close", () => {
    if (!whole) {
      failures++
      reasons[reason] = (reasons[reason] ?? 0) + 1
    }
    finished()
  })
}

const start = performance.now()
let opened = 0
const pace = (): void => {
  const due = Math.min(perSecond * seconds, Math.floor((performance.now() - start) / 1000 * perSecond) + 1)
  for (; opened < due; opened++) visit("/")
  if (opened < perSecond * seconds) setTimeout(pace, Math.max(1, start + opened / perSecond * 1000 - performance.now()))
}
pace()
if (blocks) { for (let at = 0; at < seconds * 1000; at += BLOCK_EVERY_MILLIS) setTimeout(visit, at, "/block") }
