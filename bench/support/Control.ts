/** What a benchmark asks a host on its control socket. */
import * as Http from "node:http"
import * as Readline from "node:readline"
import type { HostEvent } from "../../src/domain/events/HostEvent.ts"

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

/** The events of a host from now on, and those that it keeps, as they come: one reader, which costs next to nothing. */
export const follow = (control: string): ReadonlyArray<HostEvent> => {
  const told: Array<HostEvent> = []
  const request = Http.get({ socketPath: control, path: "/v1/events", agent: false }, (response) => {
    // the host ends, and the answer with it
    const lines = Readline.createInterface({ input: response.on("error", () => {}) }).on("error", () => {})
    lines.on("line", (line) => {
      if (line.startsWith("data: ")) told.push(JSON.parse(line.slice("data: ".length)) as HostEvent)
    })
  })
  request.on("error", () => {})
  return told
}
