import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { threadId } from "node:worker_threads"
import app from "../../src/apps/http.ts"
import { type Session, Sessions } from "../../src/services/Sessions.ts"
import { Agent, answer, ask, response, settled } from "../support/SessionHttp.ts"
import * as SessionPair from "../support/SessionPair.ts"

const endpoint = "tcp://127.0.0.1:8080"

interface Setup {
  readonly net: SessionPair.Net
  readonly agent: Agent
}

/** The application over sessions with fifos of `bound`, and a client of it. */
const setup = (bound?: number): Effect.Effect<Setup, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const net = SessionPair.makeNet({ bound, endpoints: [endpoint] })
    yield* Layer.build(Layer.provide(app, Layer.succeed(Sessions, net.sessions)))
    const agent = new Agent(() => net.dial(endpoint))
    yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
    return { net, agent }
  })

const test = (name: string, use: (setup: Setup) => Promise<void>, bound?: number) =>
  it.live(name, () => Effect.scoped(Effect.flatMap(setup(bound), (made) => Effect.promise(() => use(made)))))

const sha = (of: Uint8Array) => Crypto.createHash("sha256").update(of).digest("hex")

/** What `/bytes` promises. */
const pattern = (n: number) => Buffer.from(Uint8Array.from({ length: n }, (_, i) => i % 251))

describe("the default application", () => {
  test("GET / greets and lists the routes", async ({ agent }) => {
    const { body, headers, status } = await ask(agent, "/")
    assert.strictEqual(status, 200)
    assert.strictEqual(headers["content-type"], "text/plain; charset=utf-8")
    const text = body.toString()
    assert.include(text, "greeter")
    for (const route of ["/whoami", "/bytes", "/echo", "/block"]) assert.include(text, route)
    assert.isAtMost(text.trim().split("\n").length, 2)
  })

  test("GET /whoami tells application, worker, session, process and thread", async ({ agent }) => {
    const first = await ask(agent, "/whoami")
    assert.match(first.headers["content-type"]!, /^application\/json/)
    const said = { app: "greeter", worker: 2, session: "0.1", pid: process.pid, thread: threadId }
    assert.deepStrictEqual(JSON.parse(first.body.toString()), said)
    agent.destroy()
    await settled()
    assert.deepStrictEqual(JSON.parse((await ask(agent, "/whoami")).body.toString()), { ...said, session: "1.1" })
  })

  it.live("GET /whoami knows of no session for a socket that belongs to none", () =>
    Effect.scoped(Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: [endpoint] })
      let accept = (_: Session): void => {}
      const listen: typeof net.sessions.listen = (uri, given, options) => {
        accept = given
        return net.sessions.listen(uri, given, options)
      }
      yield* Layer.build(Layer.provide(app, Layer.succeed(Sessions, { ...net.sessions, listen })))
      yield* Effect.promise(async () => {
        const server = Net.createServer((socket) =>
          accept(Object.assign(SessionPair.make().server, { takeSocket: () => socket }))
        ).listen(0, "127.0.0.1")
        await once(server, "listening")
        const { port } = server.address() as Net.AddressInfo
        const said = await fetch(`http://127.0.0.1:${port}/whoami`, { headers: { connection: "close" } })
        assert.strictEqual((await said.json() as { readonly session: unknown }).session, null)
        server.close()
      })
    })))

  for (const n of [0, 1, 250, 251, 252, 65_535, 65_536, 65_537, 3_000_000]) {
    test(`GET /bytes?n=${n} sends so many bytes of the pattern`, async ({ agent }) => {
      const { body, headers, status } = await ask(agent, `/bytes?n=${n}`)
      assert.strictEqual(status, 200)
      assert.strictEqual(headers["content-length"], String(n))
      assert.strictEqual(body.length, n)
      assert.strictEqual(sha(body), sha(pattern(n)))
    })
  }

  test("GET /bytes is right through the smallest fifos too", async ({ agent }) => {
    const { body } = await ask(agent, "/bytes?n=10000")
    assert.strictEqual(sha(body), sha(pattern(10_000)))
  }, 7)

  test("GET /bytes sends no faster than it is read, however much was asked for", async ({ agent, net }) => {
    const request = Http.request({ host: "sluice.test", agent, path: `/bytes?n=${2 ** 40}` })
    request.end()
    const message = await response(request)
    assert.strictEqual(message.headers["content-length"], "1099511627776")
    let received = 0
    for await (const chunk of message) {
      received += chunk.length
      if (received > 5_000_000) break
    }
    request.destroy()
    await settled()
    assert.isTrue(net.accepted[0]!.closed)
    assert.isUndefined(net.accepted[0]!.handler)
  })

  for (
    const query of ["", "?n=", "?n=-1", "?n=1.5", "?n=1e3", "?n= 5", "?n=0x10", "?n=x", "?n=1099511627777", "?N=5"]
  ) {
    test(`GET /bytes${query} is refused with the range`, async ({ agent }) => {
      const { body, status } = await ask(agent, `/bytes${query.replace(" ", "%20")}`)
      assert.strictEqual(status, 400)
      assert.strictEqual(
        body.toString(),
        "n must be a whole number from 0 to 1099511627776, as in /bytes?n=1048576.\n"
      )
    })
  }

  test("POST /echo sends 8 MiB back unchanged, with their content type", async ({ agent }) => {
    const sent = Crypto.randomBytes(8 << 20)
    const { body, headers, status } = await ask(agent, "/echo", {
      method: "POST",
      headers: { "Content-Type": "image/x-noise" },
      body: sent
    })
    assert.strictEqual(status, 200)
    assert.strictEqual(headers["content-type"], "image/x-noise")
    assert.strictEqual(sha(body), sha(sent))
  })

  test("POST /echo sends back while it still receives", async ({ agent }) => {
    const request = Http.request({ host: "sluice.test", agent, path: "/echo", method: "POST" })
    request.write("first")
    const message = await response(request)
    const [first] = await once(message, "data")
    assert.strictEqual(first.toString(), "first")
    request.end("second")
    let rest = ""
    for await (const chunk of message) rest += chunk
    assert.strictEqual(rest, "second")
  }, 32)

  test("POST /echo of nothing is nothing", async ({ agent }) => {
    const { body, headers } = await ask(agent, "/echo", { method: "POST" })
    assert.strictEqual(body.length, 0)
    assert.strictEqual(headers["content-type"], "application/octet-stream")
  })

  test("POST /echo honours Expect: 100-continue", async ({ agent }) => {
    const request = Http.request({
      host: "sluice.test",
      agent,
      path: "/echo",
      method: "POST",
      headers: { Expect: "100-continue", "Content-Length": 7 }
    })
    const answered = answer(request)
    request.flushHeaders()
    await once(request, "continue")
    request.end("on I go")
    const { body, headers } = await answered
    assert.strictEqual(body.toString(), "on I go")
    assert.strictEqual(headers["content-length"], "7")
  })

  test("POST /echo survives a client that leaves half-way", async ({ agent, net }) => {
    const request = Http.request({ host: "sluice.test", agent, path: "/echo", method: "POST" })
    request.on("error", () => {})
    request.write("half")
    await response(request)
    request.destroy()
    await settled()
    assert.isTrue(net.accepted[0]!.closed)
    assert.strictEqual((await ask(agent, "/")).status, 200)
  })

  test("GET /block blocks the event loop and says for how long", async ({ agent }) => {
    let last = performance.now()
    let longest = 0
    const turn = (): void => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
      next = setImmediate(turn)
    }
    let next = setImmediate(turn)
    const { body } = await ask(agent, "/block?ms=60")
    clearImmediate(next)
    assert.strictEqual(body.toString(), "blocked 60 ms\n")
    assert.isAtLeast(longest, 60)
  })

  for (const query of ["", "?ms=60001", "?ms=-1", "?ms=soon"]) {
    test(`GET /block${query} is refused with the range`, async ({ agent }) => {
      const { body, status } = await ask(agent, `/block${query}`)
      assert.strictEqual(status, 400)
      assert.strictEqual(body.toString(), "ms must be a whole number from 0 to 60000, as in /block?ms=1000.\n")
    })
  }

  for (const path of ["/", "/whoami", "/bytes?n=1000", "/block?ms=0"]) {
    test(`HEAD ${path} has the head of GET and no body`, async ({ agent, net }) => {
      const head = await ask(agent, path, { method: "HEAD" })
      const get = await ask(agent, path)
      assert.strictEqual(head.status, 200)
      assert.strictEqual(head.body.length, 0)
      for (const name of ["content-type", "content-length"]) {
        assert.strictEqual(head.headers[name], get.headers[name], name)
      }
      assert.strictEqual(net.accepted.length, 1)
    })
  }

  const wrong: ReadonlyArray<readonly [string, string, string]> = [
    ["POST", "/", "GET, HEAD"],
    ["PUT", "/whoami", "GET, HEAD"],
    ["DELETE", "/bytes?n=1", "GET, HEAD"],
    ["OPTIONS", "/block?ms=60000", "GET, HEAD"],
    ["GET", "/echo", "POST"],
    ["PATCH", "/echo", "POST"]
  ]
  for (const [method, path, allowed] of wrong) {
    test(`${method} ${path} is refused, and told what is allowed`, async ({ agent }) => {
      const { body, headers, status } = await ask(agent, path, {
        method,
        headers: { "content-length": 11 },
        body: "left unread"
      })
      assert.strictEqual(status, 405)
      assert.strictEqual(headers.allow, allowed)
      assert.include(body.toString(), `not ${method}.`)
      // the connection is still good
      assert.strictEqual((await ask(agent, "/")).status, 200)
    })
  }

  for (const path of ["/nothing", "/bytes/", "//", "/whoami/x", "/%2e"]) {
    test(`GET ${path} is not found, and says where to look`, async ({ agent }) => {
      const { body, status } = await ask(agent, path)
      assert.strictEqual(status, 404)
      assert.strictEqual(body.toString(), "There is nothing here; GET / lists what there is.\n")
    })
  }

  test("a request line with a whole URL finds its path", async ({ agent }) => {
    const { body } = await ask(agent, "http://sluice.test/bytes?n=3")
    assert.deepStrictEqual([...body], [0, 1, 2])
  })

  it.effect("stops listening when its scope closes", () =>
    Effect.gen(function*() {
      const { net } = yield* Effect.scoped(setup())
      assert.deepStrictEqual(net.listening, [])
    }))
})
