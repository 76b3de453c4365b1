/** A server with a large response and a small one; as a module that exports it, or with a port to listen on by itself. */
import * as Http from "node:http"
import type * as Net from "node:net"

const large = Buffer.alloc(8 << 20, "sluice")
const small = "hello, world\n"

const server = Http.createServer((request, response) => {
  const body = request.url === "/large" ? large : small
  response.writeHead(200, { "content-length": body.length })
  response.end(body)
})

if (process.argv[2] === "listen") {
  server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () => {
    console.log(`port ${(server.address() as Net.AddressInfo).port}`)
  })
}

export default server
