/** The responder on a bare `net` server. */
import * as Net from "node:net"
import { respond } from "./responder.ts"

const micros = Number(process.env.BURN_MICROS ?? 0)
const server = Net.createServer((socket) => {
  socket.setNoDelay(true)
  socket.on("error", () => {})
  socket.on("data", (bytes: Buffer) => {
    const response = respond(bytes, micros)
    if (response !== undefined) socket.write(response)
  })
})
server.listen(0, "127.0.0.1", () => console.log(`port ${(server.address() as Net.AddressInfo).port}`))
process.on("SIGTERM", () => process.exit(0))
