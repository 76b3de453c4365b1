/** A bare proxy: `pipe-net.ts <port>` passes connections on to the port of 127.0.0.1 by `pipe`. */
import * as Net from "node:net"

const to = Number(process.argv[2])

const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = Net.connect({ port: to, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
  client.pipe(upstream).pipe(client)
  client.on("error", () => upstream.destroy())
  upstream.on("error", () => client.destroy())
})
server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () => {
  console.log(`port ${(server.address() as Net.AddressInfo).port}`)
})
process.once("SIGTERM", () => process.exit(0))
