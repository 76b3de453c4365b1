/**
 * What clients of Node's servers see of a worker that is to stop while others go on: where connections can't move, and
 * where their sockets have moved to the worker (X1).
 */
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

const connectionsOf = (server: Http.Server): number => (server as Http.Server & { _connections: number })._connections

const secure = Pem.pair("named")
const https = () => Https.createServer({ cert: secure.certificate, key: secure.key }, answering)

describe("a worker that is to stop while others go on", () => {
  it.live("X2 an idle HTTP connection whose TLS ends in the worker is answered once more, with Connection: close", () =>
    onHost(Effect.gen(function*() {
      const server = https()
      const { port, restart } = yield* serve(server)
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

  it.live("X2 an idle HTTP connection whose TLS ends in the worker is closed by the server's keepAliveTimeout", () =>
    onHost(Effect.gen(function*() {
      const server = Object.assign(https(), { keepAliveTimeout: 50, keepAliveTimeoutBuffer: 0 })
      const { port, restart } = yield* serve(server)
      const client = dial(server, port)
      client.socket.write(REQUEST)
      yield* until("an answer", () => client.answers === 1)
      const restarted = yield* restart
      yield* until("the end", () => client.ended)
      client.socket.end()
      yield* Fiber.join(restarted)
    })))

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

  // ---- sockets that have moved to the worker

  const transfer = { listener: { placement: "transfer" } } as const
  /** How often the only session has moved. */
  const moves = (host: SessionLayer["Service"]): number => Effect.runSync(host.sessions({}))[0]?.moves ?? 0

  it.live("X1 an idle HTTP connection whose socket has moved to the worker goes on with another one", () =>
    onHost(Effect.gen(function*() {
      const server = Http.createServer(answering)
      const { host, port, restart } = yield* serve(server, transfer)
      const client = dial(server, port)
      for (const times of [1, 2, 3]) {
        client.socket.write(REQUEST)
        yield* until("an answer", () => client.answers === times)
        const restarted = yield* restart
        yield* until("the move", () => moves(host) === times)
        yield* Fiber.join(restarted)
      }
      assert.isFalse(client.ended)
      assert.notInclude(client.said, "Connection: close")
      const [session] = yield* host.sessions({})
      assert.deepInclude(session, { placement: "transfer", moved: "restart" })
      assert.strictEqual(connectionsOf(server), 1)
      assert.deepStrictEqual((yield* host.report).imbalances, [])
      client.socket.end()
    })))

  it.live("X1 a connection whose socket has moved to the worker, and that has sent nothing yet, goes on, too", () =>
    onHost(Effect.gen(function*() {
      const server = Http.createServer(answering)
      const { host, port, restart } = yield* serve(server, transfer)
      const client = dial(server, port)
      yield* until("its session", () => connectionsOf(server) === 1)
      const restarted = yield* restart
      yield* until("the move", () => moves(host) === 1)
      client.socket.write(REQUEST)
      yield* until("an answer", () => client.answers === 1)
      assert.notInclude(client.said, "Connection: close")
      client.socket.end()
      yield* Fiber.join(restarted)
    })))

  it.live("X1 a request in hand is answered first, and what has come of the next one is read by the next worker", () =>
    onHost(Effect.gen(function*() {
      const waiting: Array<Http.ServerResponse> = []
      const server = Http.createServer((_, response) => void waiting.push(response))
      const { host, port, restart } = yield* serve(server, transfer)
      const client = dial(server, port)
      client.socket.write(REQUEST)
      yield* until("the request", () => waiting.length === 1)
      const restarted = yield* restart
      yield* settled
      assert.strictEqual(moves(host), 0)
      waiting[0]!.end("all of it")
      yield* until("the move", () => moves(host) === 1)
      client.socket.write(REQUEST.slice(0, 7))
      client.socket.write(REQUEST.slice(7))
      yield* until("the next request", () => waiting.length === 2)
      waiting[1]!.end("all of it")
      yield* until("both answers", () => client.answers === 2)
      assert.notInclude(client.said, "Connection: close")
      client.socket.end()
      yield* Fiber.join(restarted)
    })))

  it.live("X1 a request of which a part has come stays with its worker, and the connection goes on behind it", () =>
    onHost(Effect.gen(function*() {
      const server = Http.createServer(answering)
      const { host, port, restart } = yield* serve(server, transfer)
      const client = dial(server, port)
      const connections: Array<Net.Socket> = []
      server.on("connection", (connection: Net.Socket) => connections.push(connection))
      client.socket.write(REQUEST.slice(0, 7))
      yield* until("a part", () => connections[0]?.bytesRead === 7)
      const restarted = yield* restart
      yield* settled
      client.socket.write(REQUEST.slice(7))
      yield* until("an answer", () => client.answers === 1)
      yield* until("the move", () => moves(host) === 1)
      client.socket.end()
      yield* Fiber.join(restarted)
    })))

  it.live("X1 a connection that has gone on so, and says nothing more, is closed by the next worker's keepAliveTimeout", () =>
    onHost(Effect.gen(function*() {
      const server = Http.createServer(answering)
      const { host, port, restart } = yield* serve(server, transfer)
      const client = dial(server, port)
      client.socket.write(REQUEST)
      yield* until("an answer", () => client.answers === 1)
      // the connection has its time in this worker already
      Object.assign(server, { keepAliveTimeout: 50, keepAliveTimeoutBuffer: 0 })
      const restarted = yield* restart
      yield* until("the end", () => client.ended)
      assert.strictEqual((yield* host.report).apps[0]!.listeners[0]!.arrivals.moved, 1)
      client.socket.end()
      yield* Fiber.join(restarted)
    })))

  it.live("X1 a connection whose socket has moved to the worker, and that was upgraded, stays there", () =>
    onHost(Effect.gen(function*() {
      const upgraded: Array<Net.Socket> = []
      const server = Http.createServer(answering).on("upgrade", (_, socket: Net.Socket) => {
        upgraded.push(socket)
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: it\r\n\r\n")
      })
      const { host, port, restart } = yield* serve(server, transfer)
      const client = dial(server, port)
      client.socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: it\r\n\r\n")
      yield* until("the switch", () => client.said.includes("101"))
      const restarted = yield* restart
      yield* settled
      assert.strictEqual(moves(host), 0)
      upgraded[0]!.end("bye")
      yield* until("the end", () => client.ended)
      assert.include(client.said, "bye")
      client.socket.end()
      yield* Fiber.join(restarted)
    })))
})
