/** X7: what a peer that speaks HTTP is told by the host when its connection is refused, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Host from "../../../src/layers/Host.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import { Actor } from "../../support/Stage.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

/** Where a peer connects to. */
type Where = { readonly port: number } | { readonly path: string }

const isTls = (uri: string): boolean => uri.startsWith("tls:")

const connect = (uri: string, where: Where, alpn?: string): Net.Socket =>
  isTls(uri)
    ? Tls.connect({ ...where, rejectUnauthorized: false, ...(alpn !== undefined && { ALPNProtocols: [alpn] }) })
    : Net.connect(where)

const whereOf = (uri: string): Where =>
  uri.startsWith("unix:") ? { path: new URL(uri).pathname } : { port: Number(new URL(uri).port) }

interface Answer {
  readonly status: number | undefined
  readonly retryAfter: string | undefined
  readonly body: string
}

/** Posts a body that no buffer of the system holds, and reads the whole answer. */
const post = (uri: string, where: Where) =>
  Effect.callback<Answer, Error>((resume) => {
    const options = { ...("path" in where ? { socketPath: where.path } : where), method: "POST", agent: false }
    const request = isTls(uri)
      ? Https.request({ ...options, rejectUnauthorized: false })
      : Http.request(options)
    request.on("error", (error) => resume(Effect.fail(error)))
    request.on("response", (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (part: string) => body += part)
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode, retryAfter: response.headers["retry-after"], body })))
    })
    request.end(Buffer.alloc(1 << 20))
    return Effect.sync(() =>
      request.destroy()
    )
  })

/** A listener that may have one session, and has it. */
const serving = Effect.fnUntraced(function*(uri: string, options: AppOptionsInput = {}) {
  const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
  const actor = new Actor()
  yield* host.attach({
    name: "app",
    listen: [uri],
    certificates: isTls(uri) ? [Pem.pair("chain")] : [],
    ...options,
    listener: { refuseWith: "http", alpn: ["h2", "http/1.1"], ...options.listener },
    admission: { maxSessionsPerListener: 1, revokeAfter: "10 seconds" },
    worker: { kind: "in-process" },
    workers: 1
  }, actor.module)
  const report = Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!)
  const where = whereOf((yield* report).endpoint)
  const first = yield* Effect.acquireRelease(
    Effect.sync(() => connect(uri, where).on("error", () => {})),
    (socket) => Effect.sync(() => socket.destroy())
  )
  yield* until("a session", () => actor.runs.some(({ accepted }) => accepted.length === 1))
  return { where, report, first }
})

describe("X7 a listener that speaks HTTP", () => {
  const kinds: ReadonlyArray<readonly [string, (directory: string) => string, AppOptionsInput]> = [
    ["TCP", () => "tcp://127.0.0.1:0", {}],
    ["TCP that would move to a worker", () => "tcp://127.0.0.1:0", { listener: { placement: "transfer" } }],
    ["TLS", () => "tls://127.0.0.1:0", {}],
    ["a Unix socket", (directory) => `unix://${Path.join(directory, "a.sock")}`, {}]
  ]
  for (const [name, uriOf, options] of kinds) {
    it.live(`X7 refuses with 503 over ${name}, and the peer has the answer though it sends much`, () =>
      Effect.gen(function*() {
        const uri = uriOf(yield* TempDirectory.make)
        const { report, where } = yield* serving(uri, options)
        const answer = yield* post(uri, where)
        assert.deepInclude(answer, { status: 503, retryAfter: "1" })
        assert.match(answer.body, /^The connection is refused: .+ \(listener-limit\)\.\n$/)
        assert.strictEqual((yield* report).arrivals.refused["listener-limit"], 1)
      }).pipe(Effect.scoped))
  }

  it.live("X7 answers a peer that ends without a word, and resets one that has agreed on HTTP/2", () =>
    Effect.gen(function*() {
      const uri = "tls://127.0.0.1:0"
      const plain = yield* serving("tcp://127.0.0.1:0")
      let text = ""
      const quiet = connect("tcp:", plain.where).on("data", (bytes: Buffer) => text += bytes.toString())
      quiet.on("error", () => {}).end()
      yield* until("the answer", () => text.startsWith("HTTP/1.1 503 ") && text.endsWith(".\n"))
      const { where } = yield* serving(uri)
      let error: string | undefined
      let heard = 0
      const other = connect(uri, where, "h2").on("data", (bytes: Buffer) => heard += bytes.length)
      other.on("error", (fault: NodeJS.ErrnoException) => error = fault.code)
      yield* until("the reset", () => other.closed)
      assert.deepStrictEqual([error, heard], ["ECONNRESET", 0])
    }).pipe(Effect.scoped))
})
