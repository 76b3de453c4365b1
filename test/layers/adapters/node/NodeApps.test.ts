/** Node programs as applications: real packages, real sockets, on threads and on the host's loop. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { buffer, text } from "node:stream/consumers"
import * as Tls from "node:tls"
import { BroadcastChannel } from "node:worker_threads"
import { WebSocket } from "ws"
import type { WorkerHandle } from "../../../../src/domain/state/Handle.ts"
import * as HandleText from "../../../../src/domain/state/HandleText.ts"
import * as NodeApps from "../../../../src/layers/adapters/node/NodeApps.ts"
import * as Host from "../../../../src/layers/Host.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import { settled, turn, until } from "../../../support/until.ts"

interface Where {
  readonly kind: "thread" | "in-process"
  readonly workers: number
}

const places: ReadonlyArray<Where> = [{ kind: "thread", workers: 2 }, { kind: "in-process", workers: 2 }]

const attach = Effect.fnUntraced(function*(file: string, { kind, workers }: Where) {
  const host = yield* SessionLayer
  const application = yield* host.attach(
    {
      name: file,
      listen: ["tcp://127.0.0.1:0"],
      workers,
      worker: { kind, drainTimeout: "20 seconds" },
      // in turn, however long a thread that has just begun takes to claim a connection
      admission: { revokeAfter: "10 seconds" }
    },
    AppWorker.fromUrl(new URL(`../../../fixtures/node/${file}`, import.meta.url))
  )
  const { apps } = yield* host.report
  const { endpoint } = apps.find(({ index }) => index === application.index)!.listeners[0]!
  return { host, application, port: Number(endpoint.split(":").at(-1)) }
})

/** Agents whose connections are counted and, at the end, closed. */
const agent = (Agent: typeof Http.Agent = Http.Agent, options: Https.AgentOptions = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ...options })
      const sockets = new Set<Net.Socket>()
      const request = (port: number, path: string, options: Http.RequestOptions = {}): Http.ClientRequest =>
        (Agent === Http.Agent ? Http : Https).request({ host: "127.0.0.1", port, path, agent, ...options })
          .on("socket", (socket: Net.Socket) => sockets.add(socket))
      const ask = async (port: number, path: string, body?: Uint8Array) => {
        const asked = request(port, path, { method: body === undefined ? "GET" : "POST" })
        asked.end(body)
        const [response]: [Http.IncomingMessage] = await once(asked, "response") as [Http.IncomingMessage]
        return { status: response.statusCode, headers: response.headers, body: await buffer(response) }
      }
      return { agent, sockets, request, ask }
    }),
    ({ agent }) => Effect.sync(() => agent.destroy())
  )

/** A client of the program in a file. */
const client = (file: string) => file === "https.ts" ? agent(Https.Agent, { rejectUnauthorized: false }) : agent()

const gone = (sockets: ReadonlySet<Net.Socket>) =>
  until("its connections end", () => [...sockets].every((socket) => socket.destroyed))

/** Waits for what the host is asked about. */
const eventually = (what: string, holds: Effect.Effect<boolean, never, SessionLayer>) =>
  Effect.gen(function*() {
    const end = performance.now() + 20_000
    while (!(yield* holds)) {
      assert.isBelow(performance.now(), end, what)
      yield* turn
    }
  })

const balanced = Effect.gen(function*() {
  const host = yield* SessionLayer
  assert.deepStrictEqual((yield* host.report).imbalances, [])
})

const programs = ["handler.ts", "server.ts", "express.ts", "fastify.ts", "commonjs.cjs"]

const onHost = <A, E>(test: Effect.Effect<A, E, SessionLayer | Scope.Scope>) =>
  test.pipe(Effect.scoped, Effect.provide(Host.layer))

for (const where of places) {
  describe(`${where.workers} ${where.kind}`, () => {
    for (const file of programs) {
      it.live(`${file} answers on connections that it keeps; drained, it finishes what it has and keeps none`, () =>
        onHost(Effect.gen(function*() {
          const { host, port } = yield* attach(file, where)
          const [idle, busy, begun] = [yield* agent(), yield* agent(), yield* agent()]
          const bytes = randomBytes(5_000_001)
          yield* Effect.promise(async () => {
            for (let i = 0; i < 5; i++) {
              const { body, headers, status } = await idle.ask(port, "/")
              assert.deepStrictEqual([status, body.toString()], [200, "hello\n"])
              assert.notStrictEqual(headers.connection, "close")
            }
            assert.strictEqual((await idle.ask(port, "/size", bytes)).body.toString(), String(bytes.length))
            assert.isTrue(bytes.equals((await idle.ask(port, "/echo", bytes)).body))
          })
          assert.strictEqual(idle.sockets.size, 1)
          yield* balanced

          // its head has come to the worker when the server says that the client may go on
          const size = busy.request(port, "/size", { method: "POST", headers: { expect: "100-continue" } })
          const echo = begun.request(port, "/echo", { method: "POST" })
          const echoed = yield* Effect.promise(async () => {
            size.flushHeaders()
            await once(size, "continue")
            size.write("half")
            echo.write("half")
            const [response]: [Http.IncomingMessage] = await once(echo, "response") as [Http.IncomingMessage]
            return response
          })
          const draining = yield* Effect.forkChild(host.drain)
          yield* gone(idle.sockets)
          yield* Effect.promise(async () => {
            echo.end(" and half")
            assert.strictEqual(await text(echoed), "half and half")
            size.end(" and half")
            const [response]: [Http.IncomingMessage] = await once(size, "response") as [Http.IncomingMessage]
            assert.strictEqual(response.headers.connection, "close")
            assert.strictEqual(await text(response), "13")
          })
          yield* gone(busy.sockets)
          yield* gone(begun.sockets)
          yield* Fiber.join(draining)
          yield* eventually("no session is left", Effect.map(host.sessions({}), ({ length }) => length === 0))
          yield* balanced
        })))
    }

    for (const file of ["net.ts", "connection.ts"]) {
      it.live(`${file} is given connections, with backpressure and their end`, () =>
        onHost(Effect.gen(function*() {
          const { port } = yield* attach(file, where)
          const bytes = randomBytes(3_000_001)
          for (let i = 0; i < 3; i++) {
            const answer = yield* Effect.promise(async () => {
              const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
              // its peer ends when this side does
              socket.end(bytes)
              return buffer(socket)
            })
            assert.isTrue(bytes.equals(answer))
          }
          yield* balanced
        })))
    }

    it.live("server.ts takes upgrades: a WebSocket on the server, messages of every size", () =>
      onHost(Effect.gen(function*() {
        const { port } = yield* attach("server.ts", where)
        yield* Effect.promise(async () => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}`)
          await once(socket, "open")
          for (const size of [0, 1, 125, 126, 65_536, 1_000_000]) {
            const bytes = randomBytes(size)
            socket.send(bytes)
            const [came] = await once(socket, "message")
            assert.isTrue(bytes.equals(came))
          }
          socket.close()
          await once(socket, "close")
        })
        yield* balanced
      })))

    it.live("https.ts ends TLS in the worker, and closes what is idle when it is drained", () =>
      onHost(Effect.gen(function*() {
        const { host, port } = yield* attach("https.ts", where)
        const { ask, sockets } = yield* agent(Https.Agent, { rejectUnauthorized: false })
        const bytes = randomBytes(1_000_001)
        yield* Effect.promise(async () => {
          assert.strictEqual((await ask(port, "/")).body.toString(), "hello\n")
          assert.isTrue(bytes.equals((await ask(port, "/echo", bytes)).body))
        })
        assert.strictEqual(sockets.size, 1)
        yield* host.drain
        yield* gone(sockets)
      })))

    it.live("handler.ts may fail: it is answered with 500 or cut off, and goes on", () =>
      onHost(Effect.gen(function*() {
        const { port } = yield* attach("handler.ts", where)
        const { ask } = yield* agent()
        yield* Effect.promise(async () => {
          for (const path of ["/throws", "/rejects"]) {
            const { body, headers, status } = await ask(port, path)
            assert.deepStrictEqual([status, body.toString(), headers["x-half"]], [
              500,
              "Internal Server Error\n",
              undefined
            ])
          }
          const cut = await ask(port, "/breaks").then(() => undefined, (error: NodeJS.ErrnoException) => error.code)
          assert.strictEqual(cut, "ECONNRESET")
          assert.strictEqual((await ask(port, "/")).body.toString(), "hello\n")
        })
      })))
  })
}

describe("a server that in-process workers share", () => {
  /** Asks on four connections, two for each worker, and deletes one of the workers. */
  const attachAndDelete = Effect.fnUntraced(function*(
    file: string,
    meanwhile: (agents: ReadonlyArray<Effect.Success<ReturnType<typeof agent>>>, port: number) => Effect.Effect<void> =
      () => Effect.void
  ) {
    const { application, host, port } = yield* attach(file, { kind: "in-process", workers: 2 })
    const agents = yield* Effect.forEach([0, 1, 2, 3], () => client(file))
    yield* Effect.promise(async () => {
      for (const { ask } of agents) await ask(port, "/")
    })
    const worker = (yield* host.report).apps[application.index]!.workers.find(({ mapIndex }) => mapIndex === 1)!
    const deleted = yield* Effect.forkChild(host.deleteWorker(HandleText.parse<WorkerHandle>(worker.handle)!))
    yield* eventually(
      "the worker drains",
      Effect.map(
        host.report,
        ({ apps }) => apps[application.index]!.workers.filter(({ state }) => state === "RUNNING").length < 2
      )
    )
    yield* settled
    yield* meanwhile(agents, port)
    yield* Fiber.join(deleted)
    return { application, host, port, agents }
  })

  /** They are answered on the connections that they have, and a worker that comes takes its part in the same server. */
  const goesOn = Effect.fnUntraced(function*(
    file: string,
    kept: ReadonlyArray<Effect.Success<ReturnType<typeof agent>>>,
    { application, host, port }: Effect.Success<ReturnType<typeof attachAndDelete>>
  ) {
    yield* Effect.promise(async () => {
      for (const { ask, sockets } of kept) {
        assert.strictEqual((await ask(port, "/")).body.toString(), "hello\n")
        assert.strictEqual(sockets.size, 1)
      }
    })
    yield* host.addWorker(application.handle, { kind: "in-process" })
    const fresh = yield* Effect.forEach([0, 1], () => client(file))
    yield* Effect.promise(async () => {
      for (const { ask } of fresh) assert.strictEqual((await ask(port, "/")).body.toString(), "hello\n")
    })
    yield* balanced
  })

  it.live("X1 server.ts is drained for one of them, and the other goes on with the connections of both", () =>
    onHost(Effect.gen(function*() {
      const left = yield* attachAndDelete("server.ts")
      yield* goesOn("server.ts", left.agents, left)
    })))

  it.live("https.ts is drained for one of them, and the other keeps its connections", () =>
    onHost(Effect.gen(function*() {
      // the TLS of these connections is the server's own, and can't go on in another worker: they are answered once more
      const last = new Set<unknown>()
      const left = yield* attachAndDelete("https.ts", (agents, port) =>
        Effect.promise(async () => {
          for (const agent of agents) if ((await agent.ask(port, "/")).headers.connection === "close") last.add(agent)
        }))
      assert.strictEqual(last.size, 2)
      yield* goesOn("https.ts", left.agents.filter((agent) => !last.has(agent)), left)
    })))
})

describe("Fastify", () => {
  it.live("runs its hooks for the end when its thread ends", () =>
    onHost(Effect.gen(function*() {
      const said: Array<unknown> = []
      const channel = new BroadcastChannel("fastify fixture")
      channel.addEventListener("message", (event) => said.push(event.data))
      yield* Effect.addFinalizer(() => Effect.sync(() => channel.close()))
      const { application, host } = yield* attach("fastify.ts", { kind: "thread", workers: 1 })
      yield* host.restartWorker(
        HandleText.parse<WorkerHandle>((yield* host.report).apps[application.index]!.workers[0]!.handle)!
      )
      yield* until("it says so", () => said.length === 1)
    })))

  it.live("serves again after an in-process worker was restarted", () =>
    onHost(Effect.gen(function*() {
      const { application, host, port } = yield* attach("fastify.ts", { kind: "in-process", workers: 1 })
      yield* host.restartWorker(
        HandleText.parse<WorkerHandle>((yield* host.report).apps[application.index]!.workers[0]!.handle)!
      )
      const { ask } = yield* agent()
      assert.strictEqual((yield* Effect.promise(() => ask(port, "/"))).body.toString(), "hello\n")
    })))
})

describe("a program that listens by itself", () => {
  const endpoints = Effect.gen(function*() {
    const { apps } = yield* (yield* SessionLayer).report
    return apps[0]!.listeners.map(({ endpoint, workers }) => [endpoint.replace(/:\d+$/, ""), workers.length])
  })

  it.live("listens where the host was told to; a second server where the program says; an exclusive one is its own", () =>
    onHost(Effect.gen(function*() {
      const { host, port } = yield* attach("listens.ts", { kind: "thread", workers: 3 })
      yield* eventually(
        "its second server listens in each worker",
        Effect.map(endpoints, (endpoints) => endpoints.flatMap(([, workers]) => workers).join() === "3,3")
      )
      assert.deepStrictEqual(yield* endpoints, [["tcp://127.0.0.1", 3], ["tcp://127.0.0.2", 3]])
      const { ask, sockets } = yield* agent()
      const bytes = randomBytes(1_000_001)
      yield* Effect.promise(async () => {
        assert.strictEqual((await ask(port, "/")).body.toString(), "hello\n")
        assert.isTrue(bytes.equals((await ask(port, "/echo", bytes)).body))
      })
      yield* host.drain
      yield* gone(sockets)
      yield* balanced
    })))

  it.live("listens where it says when the host was told nothing, and when it is ready for it", () =>
    onHost(Effect.gen(function*() {
      const host = yield* SessionLayer
      yield* host.attach(
        { name: "late", workers: 2 },
        AppWorker.fromUrl(new URL("../../../fixtures/node/listens-late.cjs", import.meta.url))
      )
      assert.deepStrictEqual(yield* endpoints, [["tcp://127.0.0.1", 2]])
      const { endpoint } = (yield* host.report).apps[0]!.listeners[0]!
      const { ask } = yield* agent()
      const { body } = yield* Effect.promise(() => ask(Number(endpoint.split(":").at(-1)), "/"))
      assert.strictEqual(body.toString(), "hello\n")
    })))

  it.live("listens where it says when the host has only a default, which is for programs that do not listen", () =>
    onHost(Effect.gen(function*() {
      const host = yield* SessionLayer
      const byDefault = { listen: ["tcp://127.0.0.3:0"] }
      const attach = (name: string, listen: ReadonlyArray<string> = []) =>
        host.attach(
          { name: `${name} ${listen.length}`, workers: 1, listen },
          AppWorker.fromUrl(new URL(`../../../fixtures/node/${name}`, import.meta.url)),
          byDefault
        )
      yield* attach("listens-late.cjs")
      yield* attach("handler.ts")
      yield* attach("handler.ts", ["tcp://127.0.0.4:0"])
      const hosts = (yield* host.report).apps.map(({ listeners }) =>
        listeners.map(({ endpoint }) => new URL(endpoint).hostname)
      )
      assert.deepStrictEqual(hosts, [["127.0.0.1"], ["127.0.0.3"], ["127.0.0.4"]])
    })))

  for (const file of ["main.cjs", "main.ts"]) {
    it.live(`listens as the main module: ${file}`, () =>
      onHost(Effect.gen(function*() {
        const { port } = yield* attach(file, { kind: "thread", workers: 1 })
        const { ask } = yield* agent()
        const { body } = yield* Effect.promise(() => ask(port, "/"))
        assert.match(body.toString(), /^(main\n|\d+)$/)
      })))
  }

  it.live("W10 with port 0, the first servers of all workers share a port, and the second ones another", () =>
    onHost(Effect.gen(function*() {
      const host = yield* SessionLayer
      yield* host.attach(
        { name: "twice", workers: 2 },
        AppWorker.fromUrl(new URL("../../../fixtures/node/listens-twice.cjs", import.meta.url))
      )
      assert.deepStrictEqual(yield* endpoints, [["tcp://[::]", 2], ["tcp://[::]", 2]])
      for (const { endpoint } of (yield* host.report).apps[0]!.listeners) {
        const port = endpoint.split(":").at(-1)!
        const said = yield* Effect.promise(() => text(Net.connect(Number(port), "127.0.0.1")))
        assert.strictEqual(said, port)
      }
    })))

  it.live("closes its server in one worker, and the others go on", () =>
    onHost(Effect.gen(function*() {
      const { port } = yield* attach("main.cjs", { kind: "thread", workers: 2 })
      const { ask } = yield* agent()
      const by = (path: string) => Effect.promise(async () => (await ask(port, path)).body.toString())
      const threads = new Set<string>()
      for (let i = 0; i < 50 && threads.size < 2; i++) threads.add(yield* by("/"))
      assert.strictEqual(threads.size, 2)
      const closed = yield* by("/close")
      yield* eventually(
        "one worker is left",
        Effect.map(endpoints, (endpoints) => endpoints.flatMap(([, workers]) => workers).join() === "1")
      )
      for (let i = 0; i < 4; i++) assert.notStrictEqual(yield* by("/"), closed)
      yield* balanced
    })))

  it.live("ends TLS, and each worker knows the tickets that the others gave", () =>
    onHost(Effect.gen(function*() {
      const { port } = yield* attach("tickets.ts", { kind: "thread", workers: 2 })
      const connect = (session?: Buffer) =>
        Effect.promise(async () => {
          const socket = Tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, session })
          let ticket: Buffer | undefined
          socket.on("session", (session) => {
            ticket = session
          })
          return { said: await text(socket), ticket }
        })
      const { said, ticket } = yield* connect()
      const threads = new Set([said.split(" ")[0]])
      for (let i = 0; i < 4; i++) {
        const [thread, reused] = (yield* connect(ticket)).said.split(" ")
        assert.strictEqual(reused, "true")
        threads.add(thread)
      }
      assert.strictEqual(threads.size, 2)
    })))

  it.live("that can't listen does not start", () =>
    onHost(Effect.gen(function*() {
      const host = yield* SessionLayer
      const { message } = yield* Effect.flip(host.attach(
        { name: "nowhere", workers: 1 },
        AppWorker.fromUrl(new URL("../../../fixtures/node/listens-nowhere.ts", import.meta.url))
      ))
      assert.match(message, /worker 0 did not start: .*listen EADDRNOTAVAIL: address not available 192\.0\.2\.1:8080/)
    })))

  it.live("is refused on the host's loop, where it would listen past the host", () =>
    onHost(Effect.gen(function*() {
      const host = yield* SessionLayer
      const server = Http.createServer().listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(server, "listening"))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const exit = yield* Effect.flip(NodeApps.find({ default: server }))
      assert.match(exit, /^exports a server that listens by itself as its default/)
      assert.strictEqual((yield* host.report).apps.length, 0)
    })))
})

describe("what can't be served is refused in one sentence", () => {
  const right =
    /; export as its default an Effect Layer .*, a \(request, response\) handler, .* Fastify instance; or, as/
  for (
    const [file, says] of [
      ["class.ts", /class\.ts exports a class as its default/],
      ["factory.ts", /factory\.ts exports a function without parameters as its default/],
      ["callback.ts", /callback\.ts exports an app whose handler is what its callback\(\) returns as its default/],
      ["answer.ts", /answer\.ts exports nothing as its default/],
      ["rejects.ts", /app module .*rejects\.ts failed to load: no such database \(.*rejects\.ts:\d+:\d+\)$/],
      ["unready.ts", /the application failed: the plugin wants a password \(.*unready\.ts:\d+:\d+\)$/]
    ] as const
  ) {
    it.live(`${file}, on a thread and on the host's loop`, () =>
      onHost(Effect.gen(function*() {
        for (const kind of ["thread", "in-process"] as const) {
          const { message } = yield* Effect.flip(attach(file, { kind, workers: 1 }))
          assert.match(message, says)
          assert.notInclude(message, "\n")
          if (!says.source.includes("exports")) continue
          assert.match(message, right)
          assert.strictEqual(message.endsWith("a program that listens by itself needs threads"), kind === "in-process")
        }
      })))
  }
})
