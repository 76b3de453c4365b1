/** What clients of Node's servers see of a worker that is to stop while others go on, where connections can't move. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { once } from "node:events"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import * as Tls from "node:tls"
import type { AppOptionsInput } from "../../../../src/domain/options/Options.ts"
import * as NodeApps from "../../../../src/layers/adapters/node/NodeApps.ts"
import * as Host from "../../../../src/layers/Host.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import * as Pem from "../../../support/Pem.ts"
import { handleOf } from "../../../support/Stage.ts"
import { settled, turn, until } from "../../../support/until.ts"

const serve = Effect.fnUntraced(function*(server: Net.Server, options: AppOptionsInput = {}) {
  const host = yield* SessionLayer
  yield* host.attach(
    {
      name: "app",
      listen: ["tcp://127.0.0.1:0"],
      workers: 2,
      worker: { kind: "in-process", drainTimeout: "20 seconds" },
      ...options
    },
    AppWorker.fromLayer(NodeApps.layer(server))
  )
  const port = (server.address() as Net.AddressInfo).port
  const report = Effect.map(host.report, ({ apps }) => apps[0]!)
  /** The worker of the only session is started again, after it has been drained. */
  const restart = Effect.gen(function*() {
    const [session] = yield* host.sessions({})
    const fiber = yield* Effect.forkChild(host.restartWorker(handleOf(session!.workerHandle)))
    while ((yield* report).workers[session!.worker]!.state !== "DRAINING") yield* turn
    return fiber
  })
  return { host, port, restart }
})

const onHost = <E>(effect: Effect.Effect<void, E, Effect.Services<ReturnType<typeof serve>>>) =>
  effect.pipe(Effect.scoped, Effect.provide(Host.layer))

const answering: Http.RequestListener = (_, response) => void response.end("all of it")
const REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

/** A client that keeps its connection. */
class Client {
  readonly socket: Net.Socket
  said = ""
  ended = false

  constructor(socket: Net.Socket) {
    this.socket = socket.setEncoding("latin1")
    socket.on("data", (text) => this.said += text)
    socket.on("end", () => this.ended = true)
  }

  get answers(): number {
    return this.said.split("all of it").length - 1
  }
}

const dial = (server: Net.Server, port: number): Client => {
  const at = { port, host: "127.0.0.1" }
  return new Client(server instanceof Tls.Server ? Tls.connect({ ...at, rejectUnauthorized: false }) : Net.connect(at))
}

const secure = Pem.pair("named")
const kinds = [
  ["whose socket has moved to the worker", () => Http.createServer(answering), { listener: { placement: "transfer" } }],
  [
    "whose TLS ends in the worker",
    () => Https.createServer({ cert: secure.certificate, key: secure.key }, answering),
    {}
  ]
] as const satisfies ReadonlyArray<readonly [string, () => Net.Server, AppOptionsInput]>

describe("a worker that is to stop while others go on", () => {
  for (const [what, make, options] of kinds) {
    it.live(`X2 an idle HTTP connection ${what} is answered once more, with Connection: close`, () =>
      onHost(Effect.gen(function*() {
        const server = make()
        const { port, restart } = yield* serve(server, options)
        const client = dial(server, port)
        client.socket.write(REQUEST)
        yield* until("an answer", () => client.answers === 1)
        assert.notInclude(client.said, "Connection: close")
        const restarted = yield* restart
        yield* settled
        assert.isFalse(client.ended)
        client.socket.write(REQUEST)
        yield* until("another answer", () => client.answers === 2)
        assert.include(client.said, "Connection: close")
        yield* until("the end", () => client.ended)
        client.socket.end()
        yield* Fiber.join(restarted)
      })))

    it.live(`X2 an idle HTTP connection ${what} that says nothing more is closed by the server's keepAliveTimeout`, () =>
      onHost(Effect.gen(function*() {
        const server = Object.assign(make(), { keepAliveTimeout: 50, keepAliveTimeoutBuffer: 0 })
        const { port, restart } = yield* serve(server, options)
        const client = dial(server, port)
        client.socket.write(REQUEST)
        yield* until("an answer", () => client.answers === 1)
        const restarted = yield* restart
        yield* until("the end", () => client.ended)
        client.socket.end()
        yield* Fiber.join(restarted)
      })))
  }

  it.live("X2 a connection of HTTP/2 is told to go away, its streams are answered, and then it ends", () =>
    onHost(Effect.gen(function*() {
      const waiting: Array<Http2.Http2ServerResponse> = []
      const { port, restart } = yield* serve(Http2.createServer((_, response) => void waiting.push(response)))
      const client = Http2.connect(`http://127.0.0.1:${port}`)
      let wentAway = false
      let closed = false
      client.on("goaway", () => wentAway = true)
      client.on("close", () => closed = true)
      const stream = client.request({ ":path": "/" })
      yield* until("the request", () => waiting.length === 1)
      const restarted = yield* restart
      yield* until("the word", () => wentAway)
      assert.isFalse(closed)
      waiting[0]!.end("all of it")
      const [answer] = yield* Effect.promise(() => Promise.all([text(stream), once(stream, "close")]))
      assert.strictEqual(answer, "all of it")
      yield* until("the end", () => closed)
      yield* Fiber.join(restarted)
    })))
})
