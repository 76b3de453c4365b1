/**
 * A client process that uploads over one connection: `uploader.ts <port> <bytes>`. The server answers at the end with
 * two numbers, which are printed as `{ most, bytes }`.
 */
import * as Events from "node:events"
import * as Net from "node:net"
import * as Stream from "node:stream/promises"

const [port, total] = process.argv.slice(2).map(Number) as [number, number]
const chunk = Buffer.alloc(65536, "sluice")

const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
let answer = ""
socket.on("data", (bytes: Buffer) => answer += bytes.toString())
const answered = Events.once(socket, "end")
await Stream.pipeline(
  function*() {
    for (let left = total; left > 0; left -= chunk.length) yield left < chunk.length ? chunk.subarray(0, left) : chunk
  },
  socket
)
await answered
const [most, bytes] = answer.split(" ").map(Number)
console.log(JSON.stringify({ most, bytes }))
