/**
 * A client process that moves bulk: `carrier.ts <port> up|down <connections> <bytes>`, where `bytes` is the sum over
 * the connections. The first line on each connection says what is to come. Prints `{ bytes, millis }`: the bytes that
 * the server says it got, or that came from it, and the time from the connect to the last end.
 */
import * as Net from "node:net"

const port = Number(process.argv[2])
const direction = process.argv[3]
const [connections, total] = process.argv.slice(4).map(Number) as [number, number]
const each = total / connections
const chunk = Buffer.alloc(262144, "sluice")

const upload = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect(port, "127.0.0.1", () => {
      socket.write("up\n")
      let left = each
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
    })
    let answer = ""
    socket.on("data", (bytes: Buffer) => answer += bytes.toString())
    socket.on("error", reject)
    socket.on("close", () => resolve(Number(answer)))
  })

const download = (): Promise<number> =>
  new Promise((resolve, reject) => {
    let got = 0
    const onread: Net.OnReadOpts = {
      buffer: chunk,
      callback: (bytes) => {
        got += bytes
        return true
      }
    }
    const socket = Net.connect({ port, host: "127.0.0.1", onread }, () => socket.write(`down ${each}\n`))
    socket.on("error", reject)
    socket.on("close", () => resolve(got))
  })

const since = performance.now()
const counts = await Promise.all(Array.from({ length: connections }, direction === "up" ? upload : download))
const millis = performance.now() - since
console.log(JSON.stringify({ bytes: counts.reduce((sum, count) => sum + count, 0), millis }))
