/** The request listener that a Sluice application and a `node:cluster` worker serve in the same comparison. */
import type * as Http from "node:http"

const body = "hello, world\n"

export const handler: Http.RequestListener = (_request, response) => {
  response.writeHead(200, { "content-type": "text/plain", "content-length": body.length })
  response.end(body)
}
