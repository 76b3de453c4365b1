/** A plain Node program that answers with how many bytes came: what is served in the comparison of reloads. */
import * as Http from "node:http"

Http.createServer((request, response) => {
  let bytes = 0
  request.on("data", (chunk: Buffer) => bytes += chunk.length)
  request.on("end", () => {
    const text = `${bytes}\n`
    response.writeHead(200, { "content-type": "text/plain", "content-length": text.length }).end(text)
  })
}).listen(Number(process.env.PORT ?? 0), "127.0.0.1")
