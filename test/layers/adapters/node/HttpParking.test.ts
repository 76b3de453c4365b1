/** X1: a connection of an HTTP server is parked between two requests, and at no other time. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Http from "node:http"
import type * as Net from "node:net"
import { NodeServer } from "../../../../src/layers/adapters/node/NodeServer.ts"
import type { Peer } from "../../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { Sessions } from "../../../../src/services/Sessions.ts"
import { handleOf, scenario, type Stage } from "../../../support/Stage.ts"
import { settled, turn, until } from "../../../support/until.ts"

const HOST = "Host: a\r\n"
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`

type Listener = (request: Http.IncomingMessage, response: Http.ServerResponse, worker: number) => void

/** Answers with the worker's number. */
const answering: Listener = (request, response, worker) => {
  request.resume()
  response.end(`of ${worker}`)
}

interface Behaviour {
  readonly listener?: Listener
  readonly options?: Http.ServerOptions
  readonly prepare?: (server: Http.Server) => void
  readonly workers?: number
}

/** A server of Node's in each worker. */
const attach = Effect.fnUntraced(function*(
  stage: Stage,
  { listener = answering, options = {}, prepare, workers = 2 }: Behaviour = {}
) {
  const servers: Array<Http.Server> = []
  const sockets: Array<Net.Socket> = []
  const errors: Array<Error> = []
  const module = AppWorker.fromLayer(Layer.effectDiscard(Effect.gen(function*() {
    const sessions = yield* Sessions
    const { worker } = sessions.worker
    const server = Http.createServer(options, (request, response) => listener(request, response, worker))
    servers[worker] = server
    server.on("connection", (socket: Net.Socket) => {
      sockets.push(socket)
      socket.on("error", (error) => errors.push(error))
    })
    prepare?.(server)
    yield* new NodeServer(server, sessions).listenScoped()
  })))
  yield* stage.attach(module, { workers })
  return { servers, sockets, errors }
})

const text = (peer: Peer): string => peer.received().toString()
const answers = (peer: Peer): ReadonlyArray<string> => text(peer).match(/of \d/g) ?? []
const answered = (peer: Peer, count: number) => until(`${count} answers`, () => answers(peer).length === count)

const parked = (stage: Stage) => Effect.map(stage.host.sessions({}), ([session]) => session?.parked)

const untilParked = Effect.fnUntraced(function*(stage: Stage) {
  for (const end = performance.now() + 10_000; (yield* parked(stage)) !== true;) {
    assert.isBelow(performance.now(), end, "it is never parked")
    yield* turn
  }
})

/** Worker 0 blocks, and the bytes go to the other one. */
const moves = Effect.fnUntraced(function*(stage: Stage, peer: Peer, bytes: string) {
  stage.script(0).block()
  peer.send(bytes)
  yield* settled
  yield* TestClock.adjust(5)
})

describe("a connection of an HTTP server", () => {
  scenario(
    "X1 is parked before its first request and after each one, and goes on with another worker",
    (stage) =>
      Effect.gen(function*() {
        const { errors, sockets } = yield* attach(stage)
        const peer = yield* stage.dialOpen()
        yield* untilParked(stage)
        for (let i = 1; i <= 3; i++) {
          peer.send(GET)
          yield* answered(peer, i)
          yield* untilParked(stage)
        }
        yield* moves(stage, peer, GET)
        yield* answered(peer, 4)
        assert.deepStrictEqual(answers(peer), ["of 0", "of 0", "of 0", "of 1"])
        stage.script(0).release()
        yield* until("the first socket to close", () => sockets[0]!.closed)
        assert.deepStrictEqual([sockets[0]!.errored, errors, peer.closed], [null, [], false])
      })
  )

  scenario(
    "X1 is not parked while a request is in the parser, however little of it",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage)
        const peer = yield* stage.dialOpen()
        // lines between two requests are none of them
        peer.send(`${GET}\r\n`)
        yield* answered(peer, 1)
        yield* untilParked(stage)
        peer.send("G")
        yield* until("the byte to be read", () => peer.unsent === 0)
        yield* settled
        assert.isFalse(yield* parked(stage))
        peer.send(GET.slice(1))
        yield* answered(peer, 2)
        yield* untilParked(stage)
      })
  )

  scenario("X1 is not parked before the last of several requests has been answered", (stage) =>
    Effect.gen(function*() {
      const waiting: Array<() => void> = []
      yield* attach(stage, {
        listener: (_, response, worker) => void waiting.push(() => response.end(`of ${worker}`))
      })
      const peer = yield* stage.dialOpen()
      peer.send(`${GET}${GET}${GET.slice(0, 9)}`)
      yield* until("two requests", () => waiting.length === 2)
      for (const [at, answer] of waiting.entries()) {
        answer()
        yield* answered(peer, at + 1)
        yield* settled
        assert.isFalse(yield* parked(stage))
      }
      peer.send(GET.slice(9))
      yield* until("the third request", () => waiting.length === 3)
      waiting[2]!()
      yield* untilParked(stage)
    }))

  scenario(
    "X1 whose response came before the end of its request is parked once that has come",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, { listener: (_, response, worker) => void response.end(`of ${worker}`) })
        const peer = yield* stage.dialOpen()
        peer.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nhello`)
        yield* answered(peer, 1)
        yield* settled
        assert.isFalse(yield* parked(stage))
        peer.send("there")
        yield* untilParked(stage)
        yield* moves(stage, peer, GET)
        yield* answered(peer, 2)
        assert.deepStrictEqual(answers(peer), ["of 0", "of 1"])
      })
  )

  scenario(
    "X1 whose application read nothing, or only a part, of a request that has come is parked",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, {
          listener: (request, response, worker) =>
            void request.once("readable", () => {
              request.read(2)
              response.end(`of ${worker}`)
            })
        })
        const peer = yield* stage.dialOpen()
        peer.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nhellothere`)
        yield* answered(peer, 1)
        yield* untilParked(stage)
      })
  )

  scenario(
    "X1 whose client waits for `100 Continue` is not parked until the request is answered",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage)
        const peer = yield* stage.dialOpen()
        peer.send(`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
        yield* until("its answer", () => text(peer).includes("100 Continue"))
        yield* settled
        assert.isFalse(yield* parked(stage))
        peer.send("hello")
        yield* answered(peer, 1)
        yield* untilParked(stage)
      })
  )

  for (
    const [what, request, event] of [
      ["was upgraded", `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: own\r\n\r\n`, "upgrade"],
      ["is a tunnel", `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`, "connect"]
    ] as const
  ) {
    scenario(`X1 that ${what} stays with its worker`, (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, {
          prepare: (server) =>
            server.on(event, (_: Http.IncomingMessage, socket: Net.Socket) => {
              socket.write("HTTP/1.1 200 OK\r\n\r\n")
              socket.on("data", () => socket.write("of 0;"))
            })
        })
        const peer = yield* stage.dialOpen()
        peer.send(GET)
        yield* answered(peer, 1)
        peer.send(request)
        yield* until("its answer", () => text(peer).includes("200 OK\r\n\r\n"))
        yield* settled
        assert.isFalse(yield* parked(stage))
        yield* moves(stage, peer, "more")
        yield* TestClock.adjust(100)
        yield* settled
        assert.deepStrictEqual(answers(peer), ["of 0"])
        stage.script(0).release()
        yield* answered(peer, 2)
        peer.reset()
      }))
  }

  scenario(
    "X1 with a large answer that its client does not take yet moves on when the client has taken it",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, {
          listener: (_, response, worker) => void response.end(`${"x".repeat(1_000_000)} of ${worker}`)
        })
        const peer = yield* stage.dialOpen()
        peer.stop()
        peer.send(GET)
        yield* settled
        peer.read(1_000_000)
        yield* settled
        yield* moves(stage, peer, GET)
        yield* TestClock.adjust(50)
        yield* settled
        assert.deepStrictEqual(answers(peer), [])
        peer.read()
        stage.script(0).release()
        yield* answered(peer, 2)
        assert.strictEqual(peer.receivedBytes > 2_000_000, true)
      })
  )

  scenario(
    "X1 of a server with `maxRequestsPerSocket` has that many in each worker",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, { prepare: (server) => void (server.maxRequestsPerSocket = 2) })
        const peer = yield* stage.dialOpen()
        peer.send(GET)
        yield* answered(peer, 1)
        yield* untilParked(stage)
        yield* moves(stage, peer, GET)
        yield* answered(peer, 2)
        yield* untilParked(stage)
        peer.send(GET)
        yield* answered(peer, 3)
        // as Node does it: the client is told, and closes
        assert.strictEqual(text(peer).split("Connection: close").length, 2)
        assert.match(text(peer), /Connection: close[^]*of 1$/)
      })
  )

  scenario(
    "X1 that has moved is idle in its new worker for `keepAliveTimeout`, and no timer of the old one ends it",
    (stage) =>
      Effect.gen(function*() {
        const { errors, servers, sockets } = yield* attach(stage, {
          options: { keepAliveTimeout: 200, keepAliveTimeoutBuffer: 0, connectionsCheckingInterval: 5 }
        })
        // a parked session moves without bytes when its worker drains
        const peer = yield* stage.dialOpen()
        peer.send(GET)
        yield* answered(peer, 1)
        servers[1]!.keepAliveTimeout = 500
        let began = Infinity
        servers[1]!.once("connection", () => began = performance.now())
        const { workers } = yield* stage.app()
        yield* Effect.forkChild(stage.host.restartWorker(handleOf(workers[0]!.handle)))
        yield* until("the next worker's socket", () => sockets.length === 2)
        const [first, second] = sockets
        yield* until("the first socket to close", () => first!.closed)
        assert.strictEqual(second!.timeout, 500)
        yield* until("the end", () => peer.ended || peer.closed)
        // neither 408 nor the time of the first worker
        assert.isAtLeast(performance.now() - began, 400)
        assert.deepStrictEqual([answers(peer), text(peer).includes("408"), errors], [["of 0"], false, []])
      })
  )

  scenario(
    "X1 that has moved is closed before its new worker's `headersTimeout` is over, with no answer to no request",
    (stage) =>
      Effect.gen(function*() {
        const { sockets } = yield* attach(stage, { options: { headersTimeout: 500, connectionsCheckingInterval: 10 } })
        const peer = yield* stage.dialOpen()
        peer.send(GET)
        yield* answered(peer, 1)
        const { workers } = yield* stage.app()
        yield* Effect.forkChild(stage.host.restartWorker(handleOf(workers[0]!.handle)))
        yield* until("the next worker's socket", () => sockets.length === 2)
        yield* until("the end", () => peer.ended || peer.closed)
        assert.isFalse(text(peer).includes("408"))
      })
  )

  scenario(
    "X1 that has moved has the server's own timeout once a request has begun",
    (stage) =>
      Effect.gen(function*() {
        const { sockets } = yield* attach(stage, { prepare: (server) => void (server.timeout = 12_345) })
        const peer = yield* stage.dialOpen()
        peer.send(GET)
        yield* answered(peer, 1)
        yield* untilParked(stage)
        yield* moves(stage, peer, "G")
        yield* until("the next worker's socket", () => sockets.length === 2)
        yield* until("the server's timeout", () => sockets[1]!.timeout === 12_345)
        peer.send(GET.slice(1))
        yield* answered(peer, 2)
      })
  )
})
