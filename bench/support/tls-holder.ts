/**
 * Opens connections over TLS from a source address of its own, some at a time, has each echo a line, and holds them
 * until its stdin ends: `tls-holder.ts <port> <connections> <source> <at a time>`. Prints how many failed, and the
 * milliseconds that opening them took.
 */
import type * as Net from "node:net"
import * as Tls from "node:tls"

const [port, connections, source, concurrency] = process.argv.slice(2) as [string, string, string, string]

const LINE = "a line\n"

const open = (): Promise<Tls.TLSSocket> =>
  new Promise((resolve, reject) => {
    // what `net.connect` takes too, which its type does not know
    const options: Tls.ConnectionOptions & Pick<Net.TcpNetConnectOpts, "localAddress"> = {
      host: "127.0.0.1",
      port: Number(port),
      localAddress: source,
      rejectUnauthorized: false,
      servername: "chain.test"
    }
    const socket = Tls.connect(options)
    let text = ""
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("closed")))
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString()
      if (text === LINE) resolve(socket)
    })
    socket.write(LINE)
  })

const began = performance.now()
const sockets: Array<Tls.TLSSocket> = []
let failures = 0
let left = Number(connections)
await Promise.all(Array.from({ length: Number(concurrency) }, async () => {
  while (left-- > 0) {
    await open().then((socket) => sockets.push(socket), () => failures++)
  }
}))
const took = performance.now() - began
process.stdout.write("ready\n")
process.stdin.on("end", () => {
  const lost = sockets.filter(({ destroyed }) => destroyed).length
  sockets.forEach((socket) => socket.removeAllListeners("close").destroy())
  console.log(JSON.stringify({ failures: failures + lost, took }))
}).resume()
