/**
 * A client process: `udp-pinger.ts <port> <sockets> <interval in ms>`. Until its stdin is closed, each socket sends a datagram
 * with its next number in every interval, and hears its answers. Prints how many were sent, answered, answered twice, and
 * answered after a later one, how many the system dropped before anybody read them, and the milliseconds to an answer.
 */
import * as Dgram from "node:dgram"
import * as Fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import * as Bench from "./Bench.ts"

const [port, sockets, interval] = process.argv.slice(2).map(Number) as [number, number, number]
/** Milliseconds after which an answer is lost. */
const PATIENCE = 2000

let answered = 0
let twice = 0
let late = 0
const peers: Array<{ readonly socket: Dgram.Socket; next: number; readonly open: Map<number, number> }> = []
const latencies: Array<number> = []

for (let i = 0; i < sockets; i++) {
  const socket = Dgram.createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) })
  const peer = { socket, next: 0, open: new Map<number, number>() }
  let last = -1
  socket.on("message", (bytes) => {
    const number = bytes.readUInt32BE(0)
    const sent = peer.open.get(number)
    if (sent === undefined) return void twice++
    peer.open.delete(number)
    answered++
    latencies.push(performance.now() - sent)
    if (number < last) late++
    else last = number
  })
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  peers.push(peer)
}

let sent = 0
const over = new AbortController()
process.stdin.resume().once("end", () => over.abort())
console.log("ready")
const begin = performance.now()
for (let round = 0; !over.signal.aborted; round++) {
  for (const peer of peers) {
    const bytes = Buffer.alloc(64)
    bytes.writeUInt32BE(peer.next)
    peer.open.set(peer.next++, performance.now())
    sent++
    peer.socket.send(bytes, port, "127.0.0.1")
  }
  await sleep(Math.max(0, begin + (round + 1) * interval - performance.now()))
}
await sleep(PATIENCE)

const ports = new Set([port, ...peers.map(({ socket }) => socket.address().port)])
/** What the system dropped at the sockets of these ports, since each socket was made. */
const overrun = Fs.readFileSync("/proc/self/net/udp", "latin1").trim().split("\n").slice(1).reduce((sum, line) => {
  const columns = line.trim().split(/\s+/)
  return ports.has(Number.parseInt(columns[1]!.split(":")[1]!, 16)) ? sum + Number(columns.at(-1)) : sum
}, 0)
const [p50, p99, max] = [0.5, 0.99, 1].map((part) => Bench.percentile(latencies, part))
console.log(JSON.stringify({ sent, answered, overrun, twice, late, p50, p99, max }))
process.exit()
