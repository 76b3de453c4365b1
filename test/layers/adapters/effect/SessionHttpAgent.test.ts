/** Requests over sessions: Node's and Effect's clients, to Effect's server on sessions of the same worker. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Tls from "node:tls"
import { WebSocket } from "ws"
import { SessionHttpAgent, SessionHttpsAgent } from "../../../../src/layers/adapters/effect/SessionHttpAgent.ts"
import * as Agents from "../../../../src/layers/adapters/effect/SessionHttpAgent.ts"
import * as SessionHttpServer from "../../../../src/layers/adapters/effect/SessionHttpServer.ts"
import { SessionDuplex } from "../../../../src/layers/adapters/node/SessionDuplex.ts"
import { Sessions } from "../../../../src/services/Sessions.ts"
import * as Pem from "../../../support/Pem.ts"
import * as SessionPair from "../../../support/SessionPair.ts"
import { settled } from "../../../support/until.ts"

const endpoint = "tcp://127.0.0.1:8080"
const url = "http://127.0.0.1:8080"

const routes = HttpRouter.use((router) =>
  Effect.gen(function*() {
    yield* router.add("GET", "/hello", Effect.succeed(HttpServerResponse.text("hello")))
    yield* router.add(
      "POST",
      "/echo",
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        Effect.map(request.text, (text) => HttpServerResponse.text(text)))
    )
    yield* router.add("GET", "/slow", Effect.never)
    yield* router.add(
      "GET",
      "/upper",
      Effect.gen(function*() {
        const socket = yield* (yield* HttpServerRequest.HttpServerRequest).upgrade
        const pull = yield* Socket.readerString(socket)
        const writer = yield* socket.writer
        return yield* Effect.forever(Effect.flatMap(pull, (texts) =>
          Effect.forEach(texts, (text) =>
            writer.write(text.toUpperCase()))))
      }).pipe(
        Effect.scoped,
        Effect.catchTag("SocketError", () =>
          Effect.succeed(HttpServerResponse.empty()))
      )
    )
  })
)

const serve = (options?: SessionHttpServer.LayerOptions) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(SessionHttpServer.layer(options))
  )

/** A worker that serves the routes on all its endpoints. */
const serving = Effect.fnUntraced(function*(bound?: number) {
  const net = SessionPair.makeNet({ bound, endpoints: [endpoint, "local://routes"] })
  yield* Layer.build(Layer.provide(serve(), Layer.succeed(Sessions, net.sessions)))
  return net
})

const clientOf = (net: SessionPair.Net, options?: Agents.SessionHttpAgentOptions) =>
  Layer.provide(Agents.layerClient(options), Layer.succeed(Sessions, net.sessions))

const get = (agent: Http.Agent, path: string, options?: Https.RequestOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const { request } = agent instanceof Https.Agent ? Https : Http
    request({ host: "127.0.0.1", port: 8080, path, agent, ...options }, (response) => {
      let text = ""
      response.on("data", (chunk: Buffer) => text += chunk.toString())
      response.on("end", () => resolve(text))
      response.on("error", reject)
    }).on("error", reject).end()
  })

describe("SessionHttpServer.layer", () => {
  for (const bound of [64, 65_536]) {
    it.live(`an HttpRouter answers an HttpClient, with fifos of ${bound}`, () =>
      Effect.gen(function*() {
        const net = yield* serving(bound)
        yield* Effect.gen(function*() {
          const client = yield* HttpClient.HttpClient
          assert.strictEqual(yield* (yield* client.get(`${url}/hello`)).text, "hello")
          const body = "much of it ".repeat(10_000)
          const response = yield* client.post(`${url}/echo`, {
            body: HttpClientRequest.bodyText(HttpClientRequest.post(""), body).body
          })
          assert.strictEqual(yield* response.text, body)
        }).pipe(Effect.provide(clientOf(net)))
      }).pipe(Effect.scoped))
  }

  it.live("a WebSocket is upgraded: Effect's client, and that of ws", () =>
    Effect.gen(function*() {
      const net = yield* serving(256)
      const agent = new SessionHttpAgent(net.sessions)
      const connect = () => new WebSocket("ws://127.0.0.1:8080/upper", { agent })
      const said = yield* Effect.promise(() =>
        new Promise<string>((resolve, reject) => {
          const socket = connect()
          socket.on("open", () => socket.send("from ws"))
          socket.on("message", (text: Buffer) => {
            resolve(text.toString())
            socket.close(1000)
          })
          socket.on("error", reject)
        })
      )
      assert.strictEqual(said, "FROM WS")
      yield* Effect.scoped(Effect.gen(function*() {
        const socket = yield* Socket.fromWebSocket(
          Effect.acquireRelease(Effect.sync(connect), (socket) => Effect.sync(() => socket.close()))
        )
        const pull = yield* Socket.readerString(socket)
        const writer = yield* socket.writer
        yield* writer.write("x".repeat(10_000))
        assert.deepStrictEqual(yield* pull, ["X".repeat(10_000)])
      }))
      agent.destroy()
    }).pipe(Effect.scoped))

  it.live("listens where it is told, and says so; what can't be is a ServeError", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: [endpoint] })
      const sessions = Layer.succeed(Sessions, net.sessions)
      yield* Layer.build(Layer.provide(serve({ endpoint: "tcp://127.0.0.1:9090" }), sessions))
      assert.deepStrictEqual(net.listening, ["tcp://127.0.0.1:9090"])
      const error = yield* Effect.flip(
        Layer.build(Layer.provide(serve({ endpoint: "tcp://127.0.0.1:9090" }), sessions))
      )
      assert.strictEqual(error._tag, "ServeError")
      assert.match(String(error.cause), /EADDRINUSE/)
    }).pipe(Effect.scoped))

  it.live("after a drain what is left is closed at once, WebSockets too", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: [endpoint] })
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(Layer.provide(serve(), Layer.succeed(Sessions, net.sessions)), scope)
      const agent = new SessionHttpAgent(net.sessions)
      const socket = new WebSocket("ws://127.0.0.1:8080/upper", { agent })
      yield* Effect.promise(() => new Promise<void>((resolve) => socket.on("open", resolve)))
      socket.on("error", () => {})
      const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()))
      const slow = get(agent, "/slow").then(() => "answered", () => "closed")
      net.drain()
      yield* settled
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* Effect.promise(() => closed)
      assert.strictEqual(yield* Effect.promise(() => slow), "closed")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(net.listening, [])
      agent.destroy()
    }).pipe(Effect.scoped))
})

describe("SessionHttpAgent", () => {
  it.live("keeps a connection for the next request", () =>
    Effect.gen(function*() {
      const net = yield* serving()
      const agent = new SessionHttpAgent(net.sessions)
      yield* Effect.promise(async () => {
        for (let i = 0; i < 5; i++) assert.strictEqual(await get(agent, "/hello"), "hello")
      })
      assert.strictEqual(net.accepted.length, 1)
      assert.isFalse(net.accepted[0]!.closed)
      agent.destroy()
      yield* Effect.sleep(0)
      assert.isTrue(net.accepted[0]!.ended)
    }).pipe(Effect.scoped))

  it.live("has no more connections than maxSockets", () =>
    Effect.gen(function*() {
      const net = yield* serving()
      const agent = new SessionHttpAgent(net.sessions, { maxSockets: 2 })
      yield* Effect.promise(() => Promise.all(Array.from({ length: 10 }, () => get(agent, "/hello"))))
      assert.strictEqual(net.accepted.length, 2)
      agent.destroy()
    }).pipe(Effect.scoped))

  it.live("goes where `endpoint` says: W16 to another application without a socket", () =>
    Effect.gen(function*() {
      const net = yield* serving()
      const agent = new SessionHttpAgent(net.sessions, {
        endpoint: ({ host }) => host === "routes.internal" ? "local://routes" : undefined
      })
      const text = yield* Effect.promise(() => get(agent, "/hello", { host: "routes.internal", port: 80 }))
      assert.strictEqual(text, "hello")
      assert.strictEqual(net.accepted[0]!.local, "local://routes")
      agent.destroy()
    }).pipe(Effect.scoped))

  it.live("asks for the endpoint of a target: IPv6 in brackets, the default port, a path", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const net = SessionPair.makeNet()
      const sessions = Sessions.of({
        ...net.sessions,
        connect: (endpoint) =>
          Effect.suspend(() => {
            asked.push(endpoint)
            return net.sessions.connect(endpoint)
          })
      })
      const agent = new SessionHttpAgent(sessions)
      const tls = new SessionHttpsAgent(sessions)
      const { port: _port, ...noPort } = { port: undefined }
      yield* Effect.promise(async () => {
        const ignore = (): void => {}
        await get(agent, "/", { host: "::1", port: 81 }).catch(ignore)
        await get(agent, "/", { ...noPort, host: "name.test", port: null }).catch(ignore)
        await get(tls, "/", { host: "name.test", port: null }).catch(ignore)
        await get(agent, "/", { socketPath: "/run/some.sock" }).catch(ignore)
      })
      assert.deepStrictEqual(asked, [
        "tcp://[::1]:81",
        "tcp://name.test:80",
        "tcp://name.test:443",
        "unix:///run/some.sock"
      ])
    }))

  it.live("a connect that fails is the request's error, with Node's code and the reason", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      const error = yield* Effect.promise(() =>
        get(new SessionHttpAgent(net.sessions), "/").then(() => assert.fail("an answer"), (error: Error) => error)
      )
      assert.strictEqual((error as NodeJS.ErrnoException).code, "ECONNREFUSED")
      assert.match(error.message, /nobody listens there/)
      assert.strictEqual((error.cause as { readonly _tag: string })._tag, "ConnectFailed")
      const { reason } = yield* Effect.flip(HttpClient.get(url)).pipe(Effect.provide(clientOf(net)))
      assert.strictEqual(reason._tag, "TransportError")
    }))

  it.live("destroy takes back what is being connected to", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      let taken = 0
      const sessions = Sessions.of({
        ...net.sessions,
        connect: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void taken++))
      })
      const agent = new SessionHttpAgent(sessions)
      const failed = get(agent, "/").then(() => "answered", (error: Error) => error.message)
      agent.destroy()
      assert.match(yield* Effect.promise(() => failed), /the agent was destroyed/)
      assert.strictEqual(taken, 1)
    }))

  it.live("the layer's agents go with its scope", () =>
    Effect.gen(function*() {
      const net = yield* serving()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        Layer.provide(Agents.layer(), Layer.succeed(Sessions, net.sessions)),
        scope
      )
      const { http } = yield* Effect.provide(NodeHttpClient.HttpAgent, context)
      yield* Effect.promise(() => get(http, "/hello"))
      yield* Scope.close(scope, Exit.void)
      yield* Effect.sleep(0)
      assert.isTrue(net.accepted[0]!.ended)
    }).pipe(Effect.scoped))
})

describe("SessionHttpsAgent", () => {
  it.live("speaks TLS over the session, and takes up TLS sessions again", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      const { certificate: cert, key } = Pem.pair("rsa")
      const reused: Array<boolean> = []
      const server = Https.createServer({ key, cert }, (request, response) => {
        reused.push((request.socket as Tls.TLSSocket).isSessionReused())
        response.end("hello")
      })
      yield* net.sessions.listen(endpoint, (session) => void server.emit("connection", new SessionDuplex(session)))
      const agent = new SessionHttpsAgent(net.sessions, { ca: cert, servername: "rsa.test" })
      yield* Effect.promise(async () => {
        assert.strictEqual(await get(agent, "/", { headers: { connection: "close" } }), "hello")
        assert.strictEqual(await get(agent, "/"), "hello")
      })
      assert.deepStrictEqual(reused, [false, true])
      assert.strictEqual(net.accepted.length, 2)
      const distrusts = new SessionHttpsAgent(net.sessions, { servername: "rsa.test" })
      const error = yield* Effect.promise(() =>
        get(distrusts, "/").then(() => assert.fail("an answer"), (error: Error) => error)
      )
      assert.match(error.message, /self-signed/)
      agent.destroy()
      distrusts.destroy()
    }).pipe(Effect.scoped))
})
