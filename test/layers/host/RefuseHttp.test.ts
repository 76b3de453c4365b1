/** X7: what a peer that speaks HTTP is told by the host when its connection is refused, over real sockets; also to curl. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as SessionHttpServer from "../../../src/layers/adapters/effect/SessionHttpServer.ts"
import * as NodeApps from "../../../src/layers/adapters/node/NodeApps.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import { has } from "../../support/programs.ts"
import { Actor } from "../../support/Stage.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { turn, until } from "../../support/until.ts"

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

/** Asks for a head, and says how that was answered once nothing more comes. */
const head = (uri: string, where: Where) =>
  Effect.callback<number | undefined, Error>((resume) => {
    const options = { ...("path" in where ? { socketPath: where.path } : where), method: "HEAD", agent: false }
    const request = isTls(uri)
      ? Https.request({ ...options, rejectUnauthorized: false })
      : Http.request(options)
    let status: number | undefined
    request.on("error", (error) => resume(Effect.fail(error)))
    request.on("response", (response) => status = response.resume().statusCode)
    request.on("close", () => resume(Effect.succeed(status)))
    request.end()
    return Effect.sync(() => request.destroy())
  })

/** What curl says of a page: how it ended, the status, when to come again, and the end of the body. */
const curl = (scheme: string, where: Where, ...args: ReadonlyArray<string>) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    const url = "port" in where ? `${scheme}://127.0.0.1:${where.port}/` : `${scheme}://localhost/`
    const format = "%{exitcode} %{http_code} %header{retry-after}"
    execFile("curl", ["-sk", "--max-time", "20", "-w", format, ...args, url], (_, stdout) => {
      const [outcome = "", body = ""] = stdout.trimEnd().split("\n").toReversed()
      resume(Effect.succeed([outcome.trimEnd(), body]))
    })
  })

/** An application that may have one session, and has it; it says by itself what it listens with. */
const full = Effect.fnUntraced(function*(module: AppWorker.AppModule, options: AppOptionsInput = {}) {
  const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
  yield* host.attach({
    name: "app",
    listen: ["tcp://127.0.0.1:0"],
    worker: { kind: "in-process" },
    workers: 1,
    ...options,
    admission: { maxSessionsPerListener: 1, revokeAfter: "10 seconds" }
  }, module)
  const report = Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!)
  const { endpoint, refusesWith } = yield* report
  const where = whereOf(endpoint)
  yield* Effect.acquireRelease(
    Effect.sync(() => connect("tcp:", where).on("error", () => {})),
    (socket) => Effect.sync(() => socket.destroy())
  )
  for (let sessions = 0; sessions === 0; sessions = (yield* report).sessions) yield* turn
  return { where, refusesWith }
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
    it.live(`X7 refuses with 503 over ${name}, and the peer has the answer though it sends much, or asks for a head alone`, () =>
      Effect.gen(function*() {
        const uri = uriOf(yield* TempDirectory.make)
        const { report, where } = yield* serving(uri, options)
        const answer = yield* post(uri, where)
        assert.deepInclude(answer, { status: 503, retryAfter: "1" })
        assert.match(answer.body, /^The connection is refused: .+ \(listener-limit\)\.\n$/)
        assert.strictEqual((yield* report).arrivals.refused["listener-limit"], 1)
        assert.strictEqual(yield* head(uri, where), 503)
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

/** What curl says of an answer of the host's. */
const ANSWERED = [
  "0 503 1",
  "The connection is refused: the listener has as many sessions as it may have (listener-limit)."
]

describe("X7 without the option", () => {
  const answer: Http.RequestListener = (_, response) => void response.end("hello\n")
  const certificate = (name: string) => Fs.readFileSync(new URL(`../../fixtures/certificates/${name}`, import.meta.url))
  const tls = { key: certificate("named.key"), cert: certificate("named.pem") }
  const of = (server: Net.Server) => AppWorker.fromLayer(NodeApps.layer(server))
  const program = AppWorker.fromUrl(new URL("../../fixtures/node/listens.ts", import.meta.url))
  const effect = HttpRouter.add("GET", "/", HttpServerResponse.text("hello")).pipe(
    HttpRouter.serve,
    Layer.provide(SessionHttpServer.layer())
  )
  const raw = () => of(Net.createServer((socket) => void socket.pipe(socket)))
  const http = () => of(Http.createServer(answer))

  const answering: ReadonlyArray<readonly [string, () => AppWorker.AppModule, AppOptionsInput]> = [
    ["a server of Node's", http, {}],
    ["Effect's HttpServer", () => AppWorker.fromLayer(effect), {}],
    ["a program on a thread that listens by itself", () => program, { listen: [], worker: { kind: "thread" } }],
    ["what is told to", raw, { listener: { refuseWith: "http" } }]
  ]
  for (const [name, module, options] of answering) {
    it.live.skipIf(!has("curl"))(`X7 ${name} has its refused peers answered`, () =>
      Effect.gen(function*() {
        const { refusesWith, where } = yield* full(module(), options)
        assert.deepStrictEqual([refusesWith, yield* curl("http", where)], ["http", ANSWERED])
      }).pipe(Effect.scoped))
  }

  const resetting: ReadonlyArray<readonly [string, string, () => AppWorker.AppModule, AppOptionsInput]> = [
    ["a server that does not speak HTTP", "http", raw, {}],
    ["one that ends TLS itself", "https", () => of(Https.createServer(tls, answer)), {}],
    ["one of HTTP that is told to", "http", http, { listener: { refuseWith: "reset" } }]
  ]
  for (const [name, scheme, module, options] of resetting) {
    it.live.skipIf(!has("curl"))(`X7 ${name} has its refused peers reset`, () =>
      Effect.gen(function*() {
        const { refusesWith, where } = yield* full(module(), options)
        const [outcome, body] = yield* curl(scheme, where)
        assert.deepStrictEqual([refusesWith, outcome?.slice(-3), body], ["reset", "000", ""])
        assert.notStrictEqual(outcome, "0 000")
      }).pipe(Effect.scoped))
  }
})
