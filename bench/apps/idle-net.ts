/** Keeps its connections, on a bare `net` server. */
import * as Net from "node:net"

const onError = (): void => {}
const onData = (): void => {}
const server = Net.createServer((socket) => {
  socket.setNoDelay(true)
  socket.on("error", onError)
  socket.on("data", onData)
})
server.listen(0, "127.0.0.1", () => console.log(`port ${(server.address() as Net.AddressInfo).port}`))
process.on("SIGTERM", () => process.exit(0))
