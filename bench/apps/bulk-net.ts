/** Bulk on a bare `net` server. */
import * as Net from "node:net"

const chunk = Buffer.alloc(65536, "sluice")

const send = (socket: Net.Socket, count: number): void => {
  let left = count
  const fill = (): void => {
    while (left > 0) {
      const bytes = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= bytes.length
      if (!socket.write(bytes)) return
    }
    socket.off("drain", fill)
    socket.end()
  }
  socket.on("drain", fill)
  fill()
}

const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.setNoDelay(true)
  socket.on("error", () => {})
  socket.once("data", (first: Buffer) => {
    const end = first.indexOf("\n")
    const [direction, count] = first.toString("latin1", 0, end).split(" ")
    if (direction === "up") {
      let got = first.length - end - 1
      socket.on("data", (bytes: Buffer) => got += bytes.length)
      socket.on("end", () => socket.end(String(got)))
    } else {
      socket.resume()
      send(socket, Number(count))
    }
  })
})
server.listen(0, "127.0.0.1", () => console.log(`port ${(server.address() as Net.AddressInfo).port}`))
process.on("SIGTERM", () => process.exit(0))
