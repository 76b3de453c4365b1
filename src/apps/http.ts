/**
 * The application that is served when no other is named: something to send requests to. An ordinary `node:http`
 * listener on sessions, and an example of one. It keeps no state.
 *
 * | route | answer |
 * |---|---|
 * | `GET /` | a greeting and this list |
 * | `GET /whoami` | JSON: application, worker, session, process, thread |
 * | `GET /bytes?n=N` | N bytes, 0 to 2^40; byte i is i mod 251, so that a client can tell what it should get |
 * | `POST /echo` | the request's body as it comes, with its content type |
 * | `GET /block?ms=N` | blocks the worker's event loop for N milliseconds, 0 to 60000, and says so |
 *
 * `HEAD` works where `GET` does. A wrong method is answered with 405 and `Allow`, a wrong parameter with 400, any other
 * path with 404; each says in a sentence what would be right.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Http from "node:http"
import { pipeline } from "node:stream"
import { threadId } from "node:worker_threads"
import * as Handle from "../domain/state/Handle.ts"
import { serve } from "../layers/adapters/effect/SessionHttpServer.ts"
import * as SessionDuplex from "../layers/adapters/node/SessionDuplex.ts"
import { type ListenFailed, Sessions, type WorkerInfo } from "../services/Sessions.ts"

const MAX_BYTES = 2 ** 40
const MAX_BLOCK = 60_000
const CHUNK = 65_536
/** Prime, so that a byte that is lost or doubled shows. */
const PERIOD = 251

/** A chunk of the pattern is a part of this, at whichever phase it begins. */
const PATTERN = Uint8Array.from({ length: CHUNK + PERIOD }, (_, i) => i % PERIOD)

const wholeUpTo = (maximum: number) =>
  Schema.decodeUnknownOption(
    Schema.String.check(Schema.isPattern(/^\d{1,16}$/)).pipe(
      Schema.decodeTo(Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum })))
    )
  )
const decodeBytes = wholeUpTo(MAX_BYTES)
const decodeBlock = wholeUpTo(MAX_BLOCK)

interface Asked {
  readonly worker: WorkerInfo
  readonly query: URLSearchParams
  readonly request: Http.IncomingMessage
  readonly response: Http.ServerResponse
}

interface Route {
  readonly method: "GET" | "POST"
  readonly answer: (asked: Asked) => void
}

const send = (response: Http.ServerResponse, status: number, type: string, body: string): void => {
  response.statusCode = status
  response.setHeader("Content-Type", `${type}; charset=utf-8`)
  // Node leaves the body out of the answer to a HEAD
  response.setHeader("Content-Length", Buffer.byteLength(body))
  response.end(body)
}

const say = (response: Http.ServerResponse, status: number, ...lines: ReadonlyArray<string>): void =>
  send(response, status, "text/plain", `${lines.join("\n")}\n`)

const greet = ({ response, worker }: Asked): void =>
  say(
    response,
    200,
    `Hello from ${worker.app}, worker ${worker.worker}.`,
    "Routes: GET /whoami, GET /bytes?n=N, POST /echo, GET /block?ms=N."
  )

const whoami = ({ request, response, worker }: Asked): void => {
  const session = SessionDuplex.sessionOf(request.socket)
  const said = {
    app: worker.app,
    worker: worker.worker,
    session: session === undefined ? null : Handle.format(session.handle),
    pid: process.pid,
    thread: threadId
  }
  send(response, 200, "application/json", `${JSON.stringify(said)}\n`)
}

const bytes = ({ query, request, response }: Asked): void => {
  const n = Option.getOrUndefined(decodeBytes(query.get("n")))
  if (n === undefined) {
    return say(response, 400, `n must be a whole number from 0 to ${MAX_BYTES}, as in /bytes?n=1048576.`)
  }
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": n })
  if (request.method === "HEAD") return void response.end()
  let at = 0
  const more = (): void => {
    while (at < n) {
      const from = at % PERIOD
      const length = Math.min(CHUNK, n - at)
      at += length
      if (!response.write(PATTERN.subarray(from, from + length))) return
    }
    response.off("drain", more)
    response.end()
  }
  response.on("drain", more)
  more()
}

const echo = ({ request, response }: Asked): void => {
  response.setHeader("Content-Type", request.headers["content-type"] ?? "application/octet-stream")
  const length = request.headers["content-length"]
  if (length !== undefined) response.setHeader("Content-Length", length)
  // an error is the connection's: it has ended both, and there is nobody left to tell
  pipeline(request, response, () => {})
}

const block = ({ query, response }: Asked): void => {
  const ms = Option.getOrUndefined(decodeBlock(query.get("ms")))
  if (ms === undefined) {
    return say(response, 400, `ms must be a whole number from 0 to ${MAX_BLOCK}, as in /block?ms=1000.`)
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  say(response, 200, `blocked ${ms} ms`)
}

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["/", { method: "GET", answer: greet }],
  ["/whoami", { method: "GET", answer: whoami }],
  ["/bytes", { method: "GET", answer: bytes }],
  ["/echo", { method: "POST", answer: echo }],
  ["/block", { method: "GET", answer: block }]
])

/** A request line names a path, or a whole URL when it was meant for a proxy. */
const split = (target: string): { readonly path: string; readonly query: URLSearchParams } => {
  const url = target.startsWith("/") ? null : URL.parse(target)
  if (url !== null) return { path: url.pathname, query: url.searchParams }
  const at = target.indexOf("?")
  return at < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, at), query: new URLSearchParams(target.slice(at + 1)) }
}

const listener = (worker: WorkerInfo): Http.RequestListener => (request, response) => {
  const { path, query } = split(request.url ?? "/")
  const route = routes.get(path)
  if (route === undefined) return say(response, 404, "There is nothing here; GET / lists what there is.")
  const { answer, method } = route
  if (request.method !== method && !(request.method === "HEAD" && method === "GET")) {
    const allowed = method === "GET" ? "GET, HEAD" : method
    response.setHeader("Allow", allowed)
    return say(response, 405, `${path} takes ${allowed.replace(", ", " and ")}, not ${request.method}.`)
  }
  answer({ worker, query, request, response })
}

/** The application, on all endpoints that the host was told to serve with it. */
const app: Layer.Layer<never, ListenFailed, Sessions> = Layer.unwrap(
  Effect.map(Sessions, ({ worker }) => serve(listener(worker)))
)

export default app
