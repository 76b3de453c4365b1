// An ordinary node:http program. Thread 1 can be told to block its event loop; other threads make the client ask again.
import { execSync } from "node:child_process"
import { createServer } from "node:http"
import { threadId } from "node:worker_threads"

createServer(({ url }, response) => {
  const [, seconds] = /^\/block\/(\d+)$/.exec(url) ?? []
  if (seconds === undefined) return response.end(`hello from thread ${threadId}`)
  if (threadId !== 1) return response.writeHead(307, { location: url, connection: "close" }).end()
  // the answer goes out first
  response.end(`thread 1 is blocked for ${seconds} s\n`, () => execSync(`sleep ${seconds}`))
}).listen(process.env.PORT ?? 8080, "127.0.0.1")
