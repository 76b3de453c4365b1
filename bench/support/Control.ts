/** What a benchmark asks a host on its control socket. */
import * as Http from "node:http"

export const ask = <A>(control: string, method: string, path: string, body?: unknown): Promise<A> =>
  new Promise((resolve, reject) => {
    const request = Http.request({ socketPath: control, method, path, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => text += part)
      // an operation that has nothing to say answers with an empty 204
      response.on(
        "end",
        () => response.statusCode! < 300 ? resolve(JSON.parse(text || "null") as A) : reject(new Error(text))
      )
    })
    request.on("error", reject)
    request.setHeader("content-type", "application/json")
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
