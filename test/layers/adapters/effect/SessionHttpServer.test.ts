import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import { once } from "node:events"
import * as Http from "node:http"
import { pipeline } from "node:stream/promises"
import { serve, SessionHttpServer } from "../../../../src/layers/adapters/effect/SessionHttpServer.ts"
import { SessionDuplex } from "../../../../src/layers/adapters/node/SessionDuplex.ts"
import { ListenFailed, Sessions } from "../../../../src/services/Sessions.ts"
import { Agent, answer, ask, bytes, immediate, response, settled } from "../../../support/SessionHttp.ts"
import * as SessionPair from "../../../support/SessionPair.ts"

const endpoint = "tcp://127.0.0.1:8080"

interface Setup {
  readonly net: SessionPair.Net
  readonly server: SessionHttpServer
  readonly dial: () => SessionPair.End
  readonly agent: Agent
  readonly open: () => number
}

/** A server that listens, for as long as `use` takes. Afterwards nothing of it is left. */
const withServer = async (
  options: Http.ServerOptions & { readonly bound?: number },
  listener: Http.RequestListener | undefined,
  use: (setup: Setup) => Promise<void>
) => {
  const net = SessionPair.makeNet({ bound: options.bound })
  const server = new SessionHttpServer(net.sessions, options, listener)
  server.listen(8080, "127.0.0.1")
  await once(server, "listening")
  const dial = () => net.dial(endpoint)
  const agent = new Agent(dial)
  try {
    await use({ net, server, dial, agent, open: () => net.accepted.filter((end) => !end.gone).length })
  } finally {
    agent.destroy()
    const closed = once(server, "close")
    server.close()
    for (const end of net.accepted) end.peer.close()
    await closed
    await settled()
    assert.deepStrictEqual(net.listening, [])
    for (const end of net.accepted) {
      assert.isTrue(end.closed)
      assert.isUndefined(end.handler)
      assert.deepStrictEqual(end.thrown, [])
    }
    assert.strictEqual(vi.getTimerCount(), 0)
  }
}

const hello: Http.RequestListener = (request, response) => {
  response.end(`hello ${request.url}`)
}

const echo: Http.RequestListener = (request, response) => {
  void pipeline(request, response).catch(() => {})
}

/** Says things on a connection byte by byte, and hears what comes back. */
const raw = (end: SessionPair.End) => {
  const duplex = new SessionDuplex(end)
  let heard = ""
  duplex.on("data", (chunk: Buffer) => heard += chunk.toString("latin1"))
  const events: Array<string> = []
  for (const name of ["end", "close"]) duplex.on(name, () => events.push(name))
  duplex.on("error", (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`))
  return {
    duplex,
    events,
    get heard() {
      return heard
    },
    until: async (text: string) => {
      while (!heard.includes(text)) {
        assert.isFalse(duplex.destroyed, `gone without "${text}": ${heard}`)
        await immediate()
      }
      return heard
    }
  }
}

const sha = (of: Uint8Array) => Crypto.createHash("sha256").update(of).digest("hex")
const get = (path: string, ...headers: ReadonlyArray<string>) =>
  [`GET ${path} HTTP/1.1`, "Host: sluice.test", ...headers, "", ""].join("\r\n")

describe("SessionHttpServer", () => {
  // the server's own looks come when a test wants them; Node's timers are not these
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }))
  afterEach(() => void vi.useRealTimers())

  describe("serves", () => {
    for (const bound of [7, 65_536]) {
      it(`many requests on one connection, with fifos of ${bound}`, () =>
        withServer({ bound }, hello, async ({ agent, net }) => {
          for (let i = 0; i < 10; i++) {
            const { body, headers, status } = await ask(agent, `/${i}`)
            assert.strictEqual(status, 200)
            assert.strictEqual(headers.connection, "keep-alive")
            assert.strictEqual(body.toString(), `hello /${i}`)
          }
          assert.strictEqual(net.accepted.length, 1)
        }))

      it(`pipelined requests in order, with fifos of ${bound}`, () => {
        // the first is answered last
        const late: Http.RequestListener = (request, response) => {
          const answer = () => response.end(`[${request.url}]`)
          if (request.url === "/0") setTimeout(answer, 5)
          else answer()
        }
        return withServer({ bound }, late, async ({ dial }) => {
          const client = raw(dial())
          client.duplex.write([0, 1, 2, 3, 4].map((i) => get(`/${i}`)).join(""))
          const heard = await client.until("[/4]")
          assert.deepStrictEqual(heard.match(/\[\/\d\]/g), ["[/0]", "[/1]", "[/2]", "[/3]", "[/4]"])
          client.duplex.destroy()
        })
      })

      it(`chunked bodies both ways, with fifos of ${bound}`, () =>
        withServer({ bound }, echo, async ({ agent }) => {
          const request = Http.request({ host: "sluice.test", agent, path: "/", method: "POST" })
          const answered = answer(request)
          let sent = ""
          for (let i = 0; i < 50; i++) {
            const part = String(i).repeat(i + 1)
            sent += part
            request.write(part)
            if (i % 7 === 0) await immediate()
          }
          request.end()
          const { body, headers } = await answered
          assert.strictEqual(headers["transfer-encoding"], "chunked")
          assert.strictEqual(body.toString(), sent)
        }))
    }

    it("8 MiB back and forth unchanged", () =>
      withServer({}, echo, async ({ agent }) => {
        const sent = Crypto.randomBytes(8 << 20)
        for (let i = 0; i < 2; i++) {
          const { body } = await ask(agent, "/", { method: "POST", body: sent })
          assert.strictEqual(sha(body), sha(sent))
        }
      }))

    it("a body no faster than it is read", () => {
      let produced = 0
      const endless: Http.RequestListener = (_request, response) => {
        const more = () => {
          while (!response.destroyed) {
            produced += 10_000
            if (!response.write("x".repeat(10_000))) return void response.once("drain", more)
          }
        }
        more()
      }
      return withServer({ bound: 4096 }, endless, async ({ agent }) => {
        const request = Http.request({ host: "sluice.test", agent, path: "/" })
        request.end()
        const message = await response(request)
        const stalled = async () => {
          for (let before = -1; produced !== before;) {
            before = produced
            for (let i = 0; i < 20; i++) await settled()
          }
        }
        await stalled()
        const before = produced
        await settled()
        assert.strictEqual(produced, before)
        let read = 0
        for await (const chunk of message) {
          read += chunk.length
          if (read > 1_000_000) break
        }
        assert.isAbove(produced, 1_000_000)
        request.destroy()
      })
    })

    it("HEAD without a body, and the next request on the same connection", () =>
      withServer({}, (_request, response) => {
        response.setHeader("Content-Length", 5)
        response.end("12345")
      }, async ({ agent, net }) => {
        const head = await ask(agent, "/", { method: "HEAD" })
        assert.strictEqual(head.headers["content-length"], "5")
        assert.strictEqual(head.body.length, 0)
        assert.strictEqual((await ask(agent, "/")).body.toString(), "12345")
        assert.strictEqual(net.accepted.length, 1)
      }))

    it("100 Continue before the body is sent", () =>
      withServer({ bound: 16 }, echo, async ({ agent }) => {
        const request = Http.request({
          host: "sluice.test",
          agent,
          method: "POST",
          headers: { Expect: "100-continue", "Content-Length": 4 }
        })
        request.flushHeaders()
        await once(request, "continue")
        request.end("body")
        assert.strictEqual((await answer(request)).body.toString(), "body")
      }))

    it("an upgraded connection to its new owner, with the bytes that came along", () =>
      withServer({ bound: 11 }, hello, async ({ dial, server }) => {
        server.on("upgrade", (request, socket, head) => {
          assert.strictEqual(request.headers.upgrade, "loud")
          assert.instanceOf(socket, SessionDuplex)
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: loud\r\n\r\n")
          if (head.length > 0) socket.unshift(head)
          socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()))
          socket.on("end", () => socket.end("BYE"))
        })
        const client = raw(dial())
        client.duplex.write(`${get("/", "Connection: Upgrade", "Upgrade: loud")}first words `)
        await client.until("FIRST WORDS")
        client.duplex.write("and more")
        await client.until("AND MORE")
        client.duplex.end()
        await client.until("BYE")
        await settled()
        assert.deepStrictEqual(client.events, ["end", "close"])
      }))

    it("answers nonsense with 400, and the answer arrives", () =>
      withServer({}, hello, async ({ dial }) => {
        const client = raw(dial())
        client.duplex.write("this is not HTTP\r\n\r\n")
        assert.match(await client.until("\r\n\r\n"), /^HTTP\/1\.1 400 Bad Request/)
        await settled()
        assert.deepStrictEqual(client.events, ["end"])
        client.duplex.destroy()
      }))
  })

  describe("clients that go away", () => {
    it("abort a request in the middle of its body: the request says so, the server lives", () => {
      const aborted: Array<string> = []
      return withServer({ bound: 64 }, (request, response) => {
        request.on("error", (error: NodeJS.ErrnoException) => aborted.push(`request ${error.code}`))
        response.on("close", () => aborted.push(`response ${response.writableFinished}`))
        request.resume().on("end", () => response.end("all"))
      }, async ({ agent, dial, open }) => {
        const client = raw(dial())
        client.duplex.write("POST / HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 1000\r\n\r\nnot all")
        await settled()
        client.duplex.resetAndDestroy()
        await settled()
        assert.deepStrictEqual(aborted.toSorted(), ["request ECONNRESET", "response false"])
        assert.strictEqual((await ask(agent, "/")).body.toString(), "all")
        assert.strictEqual(open(), 1)
      })
    })

    it("abort while a response is on its way: the response is closed, the server lives", () => {
      let closed = 0
      return withServer({ bound: 64 }, (_request, response) => {
        response.on("close", () => closed++)
        response.write("x".repeat(100_000))
      }, async ({ dial, open }) => {
        const client = raw(dial())
        client.duplex.write(get("/"))
        await client.until("xxx")
        client.duplex.resetAndDestroy()
        await settled()
        assert.strictEqual(closed, 1)
        assert.strictEqual(open(), 0)
      })
    })

    it("abort while the listener is still at work: what it writes later goes nowhere", () => {
      let answering: () => void = () => {}
      return withServer({}, (_request, response) => {
        answering = () => response.end("too late")
      }, async ({ dial, open }) => {
        const client = raw(dial())
        client.duplex.write(get("/"))
        await settled()
        client.duplex.resetAndDestroy()
        await settled()
        answering()
        await settled()
        assert.strictEqual(open(), 0)
      })
    })

    it("end their side before the response: with httpAllowHalfOpen they get it", () =>
      withServer({}, (_request, response) => void setImmediate(() => response.end("whole answer")), async (setup) => {
        Object.assign(setup.server, { httpAllowHalfOpen: true })
        const client = raw(setup.dial())
        client.duplex.end(get("/"))
        await client.until("whole answer")
        await settled()
        assert.deepStrictEqual(client.events, ["end", "close"])
      }))

    it("end their side before the response: otherwise the connection ends, as it does on a socket", () =>
      withServer({}, (_request, response) => void setTimeout(() => response.end("late"), 50), async ({ dial }) => {
        const client = raw(dial())
        client.duplex.end(get("/"))
        await settled()
        assert.strictEqual(client.heard, "")
        assert.deepStrictEqual(client.events, ["end", "close"])
      }))

    it("break after an upgrade that nobody looks after: the worker lives", () =>
      withServer({}, hello, async ({ agent, dial, server }) => {
        server.on("upgrade", (_request, socket) => void socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n"))
        const client = raw(dial())
        client.duplex.write(get("/", "Connection: Upgrade", "Upgrade: x"))
        await client.until("101")
        client.duplex.resetAndDestroy()
        await settled()
        assert.strictEqual((await ask(agent, "/still")).body.toString(), "hello /still")
      }))
  })

  describe("timeouts of Node's server", () => {
    it("keepAliveTimeout closes an idle connection in order", () =>
      withServer({ keepAliveTimeout: 5 }, hello, async ({ dial, server }) => {
        server.keepAliveTimeoutBuffer = 0
        const client = raw(dial())
        client.duplex.write(get("/"))
        await client.until("hello /")
        await once(client.duplex, "end")
        assert.deepStrictEqual(client.events, ["end"])
        client.duplex.destroy()
      }))

    it("headersTimeout answers 408 to a head that does not end", () =>
      withServer({ headersTimeout: 20, connectionsCheckingInterval: 10 }, hello, async ({ dial }) => {
        const client = raw(dial())
        client.duplex.write("GET / HTTP/1.1\r\nHost:")
        await once(client.duplex, "end")
        assert.match(client.heard, /^HTTP\/1\.1 408 /)
        client.duplex.destroy()
      }))

    it("requestTimeout answers 408 to a body that does not end", () =>
      withServer(
        { requestTimeout: 20, headersTimeout: 20, connectionsCheckingInterval: 10 },
        (request) => void request.on("error", () => {}),
        async ({ dial }) => {
          const client = raw(dial())
          client.duplex.write("POST / HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 10\r\n\r\n123")
          await once(client.duplex, "end")
          assert.match(client.heard, /^HTTP\/1\.1 408 /)
          client.duplex.destroy()
        }
      ))

    it("server.timeout closes a connection on which nothing happens", () =>
      withServer({}, () => {}, async ({ dial, server }) => {
        server.timeout = 10
        const client = raw(dial())
        client.duplex.write(get("/"))
        await once(client.duplex, "end")
        assert.strictEqual(client.heard, "")
        client.duplex.destroy()
      }))
  })

  describe("stops", () => {
    it("close: idle connections are closed in order, then it says close", () =>
      withServer({}, hello, async ({ dial, server, open }) => {
        const client = raw(dial())
        client.duplex.write(get("/"))
        await client.until("hello /")
        await settled()
        let closes = 0
        server.on("close", () => closes++)
        const closed = new Promise<unknown>((resolve) => void server.close(resolve))
        assert.isFalse(server.listening)
        assert.isUndefined(await closed)
        assert.strictEqual(closes, 1)
        assert.strictEqual(open(), 1)
        await settled()
        assert.deepStrictEqual(client.events, ["end"])
        client.duplex.destroy()
        await settled()
        // `withServer` closes it once more
      }))

    it("close: a connection that is busy is closed when it goes idle, before that it is not", () => {
      let finish: () => void = () => {}
      return withServer({}, (_request, response) => {
        response.write("begun ")
        finish = () => response.end("done")
      }, async ({ dial, server }) => {
        const client = raw(dial())
        client.duplex.write(get("/"))
        await client.until("begun ")
        let closed = false
        server.close(() => closed = true)
        await settled()
        assert.isFalse(closed)
        assert.deepStrictEqual(client.events, [])
        finish()
        await client.until("done")
        await settled()
        assert.isTrue(closed)
        // its head had said keep-alive
        assert.include(client.heard, "Connection: keep-alive")
        assert.deepStrictEqual(client.events, ["end"])
        client.duplex.destroy()
      })
    })

    it("close: a request that has come in and was not looked at yet is answered", () =>
      withServer({}, hello, async ({ dial, server }) => {
        const client = raw(dial())
        client.duplex.write(get("/1"))
        await client.until("hello /1")
        await settled()
        // `close` comes before the edge of these bytes
        client.duplex.session.write(Buffer.from(get("/2")))
        server.close()
        const heard = await client.until("hello /2")
        assert.include(heard, "Connection: close")
        await settled()
        assert.deepStrictEqual(client.events, ["end"])
        client.duplex.destroy()
      }))

    it("close: it does not say close before its listener is gone", async () => {
      const net = SessionPair.makeNet()
      let unlistened: () => void = () => {}
      const server = new SessionHttpServer({
        ...net.sessions,
        listen: (uri, accept) =>
          Effect.acquireRelease(
            net.sessions.listen(uri, accept),
            () => Effect.callback<void>((resume) => void (unlistened = () => resume(Effect.void)))
          )
      })
      server.listen(8080)
      await once(server, "listening")
      let closed = false
      server.close(() => closed = true)
      await settled()
      assert.isFalse(closed)
      unlistened()
      await settled()
      assert.isTrue(closed)
    })

    it("close of a server that does not listen says so, as Node's does", async () => {
      const server = new SessionHttpServer(SessionPair.makeNet().sessions)
      const error = await new Promise<unknown>((resolve) => void server.close(resolve))
      assert.strictEqual((error as NodeJS.ErrnoException).code, "ERR_SERVER_NOT_RUNNING")
    })

    it("close twice: the second says that it was closed already, and both when it is done", () =>
      withServer({}, hello, async ({ server }) => {
        const codes: Array<unknown> = []
        await Promise.all([1, 2].map(() =>
          new Promise<void>((resolve) =>
            void server.close((error) => {
              codes.push((error as NodeJS.ErrnoException | undefined)?.code)
              resolve()
            })
          )
        ))
        assert.deepStrictEqual(codes, [undefined, "ERR_SERVER_NOT_RUNNING"])
      }))

    it("listens again after close", () =>
      withServer({}, hello, async ({ agent, server }) => {
        await new Promise((resolve) => void server.close(resolve))
        server.listen(8080, "127.0.0.1")
        await once(server, "listening")
        assert.strictEqual((await ask(agent, "/again")).body.toString(), "hello /again")
      }))

    it("drain: idle connections are closed, later responses say Connection: close", () => {
      let finish: () => void = () => {}
      return withServer({}, (request, response) => {
        if (request.url !== "/slow") return void hello(request, response)
        finish = () => response.end("slow")
      }, async ({ dial, net, server }) => {
        const [idle, busy] = [raw(dial()), raw(dial())]
        idle.duplex.write(get("/"))
        busy.duplex.write(get("/slow"))
        await idle.until("hello /")
        await settled()
        net.drain()
        await settled()
        assert.isTrue(server.stopping)
        assert.isTrue(server.listening)
        assert.deepStrictEqual(idle.events, ["end"])
        assert.deepStrictEqual(busy.events, [])
        // begun before the drain, its head written after it
        finish()
        await busy.until("slow")
        assert.include(busy.heard, "Connection: close")
        await settled()
        assert.deepStrictEqual(busy.events, ["end"])
        // one that was claimed before the host knew
        const late = raw(dial())
        late.duplex.write(get("/late"))
        assert.include(await late.until("hello /late"), "Connection: close")
        await settled()
        assert.deepStrictEqual(late.events, ["end"])
        for (const { duplex } of [idle, busy, late]) duplex.destroy()
      })
    })

    it("drain: a response that is made on `checkContinue` says Connection: close too", () =>
      withServer({}, hello, async ({ agent, net, server }) => {
        server.on("checkContinue", (request, response) => {
          response.writeContinue()
          request.resume().on("end", () => hello(request, response))
        })
        net.drain()
        await settled()
        const request = Http.request({
          host: "sluice.test",
          agent,
          method: "POST",
          headers: { Expect: "100-continue", "Content-Length": 2 }
        })
        const answered = answer(request)
        request.flushHeaders()
        await once(request, "continue")
        request.end("ok")
        assert.strictEqual((await answered).headers.connection, "close")
      }))

    it("drain: an app that insists on keep-alive is closed when it is done", () =>
      withServer({}, (_request, response) => {
        response.writeHead(200, { Connection: "keep-alive" })
        response.end("insists")
      }, async ({ dial, net }) => {
        net.drain()
        await settled()
        const client = raw(dial())
        client.duplex.write(get("/"))
        await client.until("insists")
        await settled()
        assert.deepStrictEqual(client.events, ["end"])
        client.duplex.destroy()
      }))

    it("drain: a connection that says nothing is closed at the second look, one that speaks is served", () =>
      withServer({}, hello, async ({ dial, net }) => {
        const [silent, speaking] = [raw(dial()), raw(dial())]
        await settled()
        net.drain()
        await settled()
        assert.deepStrictEqual(silent.events, [])
        vi.advanceTimersByTime(1999)
        await settled()
        assert.deepStrictEqual(silent.events, [])
        speaking.duplex.write(get("/"))
        await speaking.until("hello /")
        // claimed before the host knew
        const late = raw(dial())
        vi.advanceTimersByTime(1)
        await settled()
        assert.deepStrictEqual(silent.events, ["end"])
        assert.deepStrictEqual(late.events, [])
        vi.advanceTimersByTime(1000)
        await settled()
        assert.deepStrictEqual(late.events, ["end"])
        for (const { duplex } of [silent, speaking, late]) duplex.destroy()
        await settled()
        assert.strictEqual(vi.getTimerCount(), 0)
        const last = raw(dial())
        vi.advanceTimersByTime(2000)
        await settled()
        assert.deepStrictEqual(last.events, ["end"])
        last.duplex.destroy()
      }))

    it("counts its connections", () =>
      withServer({}, hello, async ({ agent, server }) => {
        const count = () => new Promise((resolve) => void server.getConnections((_error, n) => resolve(n)))
        assert.strictEqual(await count(), 0)
        await ask(agent, "/")
        assert.strictEqual(await count(), 1)
        agent.destroy()
        await settled()
        assert.strictEqual(await count(), 0)
      }))
  })

  describe("listens", () => {
    const listening = async (endpoints: ReadonlyArray<string>, ...args: ReadonlyArray<unknown>) => {
      const net = SessionPair.makeNet({ endpoints })
      const server = new SessionHttpServer(net.sessions, {}, hello)
      assert.isNull(server.address())
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject)
        server.listen(...args, resolve)
      })
      const found = { endpoints: server.endpoints, address: server.address(), listening: server.listening }
      assert.deepStrictEqual(found.endpoints, net.listening)
      await new Promise((resolve) => void server.close(resolve))
      assert.deepStrictEqual(net.listening, [])
      assert.isNull(server.address())
      return found
    }
    const all = ["tcp://127.0.0.1:1", "tcp://[::1]:2"]

    it("on all endpoints of the application when it is told none", async () => {
      const { address, endpoints, listening: does } = await listening(all)
      assert.deepStrictEqual(endpoints, all)
      assert.deepStrictEqual(address, { address: "127.0.0.1", port: 1, family: "IPv4" })
      assert.isTrue(does)
    })

    it("on a port, a port and a host, options, an endpoint", async () => {
      assert.deepStrictEqual((await listening(all, 80)).endpoints, ["tcp://0.0.0.0:80"])
      assert.deepStrictEqual((await listening(all, "80")).endpoints, ["tcp://0.0.0.0:80"])
      const six = await listening(all, 80, "::1")
      assert.deepStrictEqual(six.endpoints, ["tcp://[::1]:80"])
      assert.deepStrictEqual(six.address, { address: "::1", port: 80, family: "IPv6" })
      assert.deepStrictEqual((await listening(all, { port: 80, host: "10.0.0.1" })).endpoints, ["tcp://10.0.0.1:80"])
      assert.deepStrictEqual((await listening(all, "tcp://10.0.0.2:99")).endpoints, ["tcp://10.0.0.2:99"])
      const free = await listening(all, { port: 0 })
      assert.match(free.endpoints[0]!, /^tcp:\/\/0\.0\.0\.0:4\d{4}$/)
    })

    it("fails with Node's code and the reason, and undoes what it had", async () => {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:1", "tcp://127.0.0.1:1"] })
      const server = new SessionHttpServer(net.sessions)
      const failed = once(server, "error")
      server.listen()
      const [error] = await failed
      assert.strictEqual(error.code, "EADDRINUSE")
      assert.strictEqual(error.syscall, "listen")
      assert.instanceOf(error.cause, ListenFailed)
      assert.include(error.message, "can't listen on tcp://127.0.0.1:1")
      assert.isFalse(server.listening)
      await settled()
      assert.deepStrictEqual(net.listening, [])
      server.listen("tcp://127.0.0.1:1")
      await once(server, "listening")
      await new Promise((resolve) => void server.close(resolve))
    })

    it("fails when there is no endpoint at all", async () => {
      const server = new SessionHttpServer(SessionPair.makeNet().sessions)
      const failed = once(server, "error")
      server.listen()
      assert.include((await failed)[0].message, "no endpoint to serve")
    })

    it("refuses to listen twice", () =>
      withServer({}, hello, async ({ server }) => {
        assert.throws(() => server.listen(1), /listening already/)
      }))

    it("serves a session that comes before it says `listening`, under its timeouts", async () => {
      const net = SessionPair.makeNet()
      const server = new SessionHttpServer(net.sessions, { headersTimeout: 20, connectionsCheckingInterval: 10 })
      server.listen(8080, "127.0.0.1")
      const client = raw(net.dial(endpoint))
      client.duplex.write("GET /")
      assert.strictEqual(net.accepted[0]!.handler, undefined)
      await once(client.duplex, "end")
      assert.match(client.heard, /^HTTP\/1\.1 408 /)
      client.duplex.destroy()
      await new Promise((resolve) => void server.close(resolve))
    })

    it("says nothing of a failure that comes after close", async () => {
      const net = SessionPair.makeNet()
      const server = new SessionHttpServer({
        ...net.sessions,
        listen: (uri) =>
          Effect.callback((resume) => {
            const failed = new ListenFailed({ endpoint: uri, reason: { _tag: "AddressInUse", detail: "late" } })
            server.once("close", () => setImmediate(() => resume(Effect.fail(failed))))
          })
      })
      server.on("error", () => assert.fail("said error"))
      server.listen(8080)
      await new Promise((resolve) => void server.close(resolve))
      await settled()
      assert.isFalse(server.listening)
    })

    it("resets the sessions that came to one endpoint when another one fails", async () => {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:1", "tcp://127.0.0.1:1"] })
      let client: SessionPair.End | undefined
      const server = new SessionHttpServer({
        ...net.sessions,
        listen: (uri, accept) =>
          Effect.suspend(() => {
            if (net.listening.length > 0) client = net.dial(uri)
            return net.sessions.listen(uri, accept)
          })
      })
      const failed = once(server, "error")
      server.listen()
      await failed
      await settled()
      assert.strictEqual(client?.reset, "reset by peer")
    })

    it("does not say `listening` after a close that came first", async () => {
      const net = SessionPair.makeNet()
      const server = new SessionHttpServer(net.sessions)
      server.on("listening", () => assert.fail("said listening"))
      server.listen(8080)
      await new Promise((resolve) => void server.close(resolve))
      await settled()
      assert.deepStrictEqual(net.listening, [])
    })
  })

  describe("serve", () => {
    const built = Effect.fnUntraced(function*(net: SessionPair.Net, layer: Layer.Layer<never, ListenFailed, Sessions>) {
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(Layer.provide(layer, Layer.succeed(Sessions, net.sessions)), scope)
      return scope
    })

    it.live("is a layer that listens on all endpoints until its scope closes", () =>
      Effect.gen(function*() {
        const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"] })
        const scope = yield* built(net, serve(hello))
        for (const uri of net.sessions.endpoints) {
          const agent = new Agent(() => net.dial(uri))
          const { body } = yield* Effect.promise(() => ask(agent, "/layer"))
          assert.strictEqual(body.toString(), "hello /layer")
        }
        yield* Scope.close(scope, Exit.void)
        yield* Effect.promise(settled)
        assert.deepStrictEqual(net.listening, [])
        assert.isTrue(net.accepted.every((end) => end.closed))
      }))

    it.live("takes an endpoint, and options of Node's server", () =>
      Effect.gen(function*() {
        const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:1"] })
        const scope = yield* built(net, serve({ handler: hello, keepAlive: true, maxHeaderSize: 300 }, { endpoint }))
        assert.deepStrictEqual(net.listening, [endpoint])
        const agent = new Agent(() => net.dial(endpoint))
        const { status } = yield* Effect.promise(() => ask(agent, `/${"x".repeat(400)}`))
        assert.strictEqual(status, 431)
        yield* Scope.close(scope, Exit.void)
      }))

    it.effect("fails with ListenFailed, and leaves no listener behind", () =>
      Effect.gen(function*() {
        const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:1", "tcp://127.0.0.1:1"] })
        const error = yield* Effect.flip(
          Effect.scoped(Layer.build(Layer.provide(serve(hello), Layer.succeed(Sessions, net.sessions))))
        )
        assert.instanceOf(error, ListenFailed)
        assert.strictEqual(error.reason._tag, "AlreadyListening")
        assert.deepStrictEqual(net.listening, [])
      }))

    it.live("lets what is in hand finish when the scope closes, and waits for it", () =>
      Effect.gen(function*() {
        let finish: () => void = () => {}
        const net = SessionPair.makeNet({ endpoints: [endpoint] })
        const scope = yield* built(
          net,
          serve((_request, response) => {
            finish = () => response.end("finished")
          })
        )
        const asked = ask(new Agent(() => net.dial(endpoint)), "/")
        yield* Effect.promise(settled)
        setTimeout(() => finish(), 10)
        yield* Scope.close(scope, Exit.void)
        const { body, headers } = yield* Effect.promise(() => asked)
        assert.strictEqual(body.toString(), "finished")
        assert.strictEqual(headers.connection, "close")
      }))

    it.live("closes what has not finished in time when the scope closes", () =>
      Effect.gen(function*() {
        const net = SessionPair.makeNet({ endpoints: [endpoint] })
        const scope = yield* built(net, serve(() => {}, { closeWithin: 10 }))
        const client = raw(net.dial(endpoint))
        client.duplex.write(get("/"))
        yield* Effect.promise(settled)
        yield* Scope.close(scope, Exit.void)
        yield* Effect.promise(settled)
        assert.isTrue(net.accepted[0]!.closed)
        client.duplex.destroy()
      }))

    it.effect("closes what is left at once when the scope closes after a drain", () =>
      // the clock stands still: a wait would never end
      Effect.gen(function*() {
        const net = SessionPair.makeNet({ endpoints: [endpoint] })
        const scope = yield* built(net, serve(() => {}))
        const client = raw(net.dial(endpoint))
        client.duplex.write(get("/"))
        yield* Effect.promise(settled)
        net.drain()
        yield* Effect.promise(settled)
        assert.isFalse(net.accepted[0]!.closed)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(net.accepted[0]!.closed)
        assert.deepStrictEqual(net.listening, [])
        client.duplex.destroy()
      }))

    it.live("is what NodeHttpServer needs: an Effect HTTP app runs on sessions", () =>
      Effect.gen(function*() {
        const net = SessionPair.makeNet()
        let server: SessionHttpServer | undefined
        const routes = HttpRouter.use((router) =>
          router.add("GET", "/effect", Effect.succeed(HttpServerResponse.text("from Effect")))
        )
        const layer = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(
            NodeHttpServer.layer(() => server = new SessionHttpServer(net.sessions), { port: 8080, host: "127.0.0.1" })
          )
        )
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(layer, scope)
        const { body } = yield* Effect.promise(() => ask(new Agent(() => net.dial(endpoint)), "/effect"))
        assert.strictEqual(body.toString(), "from Effect")
        yield* Scope.close(scope, Exit.void)
        assert.isFalse(server?.listening)
        assert.deepStrictEqual(net.listening, [])
      }))
  })

  it("keeps nothing of the connections it had", () =>
    withServer({}, hello, async ({ dial, net, server }) => {
      for (let i = 0; i < 50; i++) {
        const agent = new Agent(dial)
        await ask(agent, "/")
        if (i % 2 === 0) agent.destroy()
        else net.accepted.at(-1)!.peer.abort()
      }
      await settled()
      assert.isTrue(net.accepted.every((end) => end.closed && end.handler === undefined))
      const count = await new Promise((resolve) => void server.getConnections((_error, n) => resolve(n)))
      assert.strictEqual(count, 0)
      const rest = await bytes(new SessionDuplex(net.accepted[0]!)).catch((error: unknown) => error)
      assert.instanceOf(rest, Error)
    }))
})
