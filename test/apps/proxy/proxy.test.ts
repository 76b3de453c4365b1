/** The proxy: on a network in memory with the application itself, and as a command over sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as ProxyConfig from "../../../src/apps/proxy/ProxyConfig.ts"
import type * as Upstreams from "../../../src/domain/admission/Upstreams.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type { Peer, PeerListener } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Cli from "../../support/Cli.ts"
import { Actor, echoing, scenario, type Stage } from "../../support/Stage.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { settled, until } from "../../support/until.ts"

const module = AppWorker.fromUrl(new URL("../../../src/apps/proxy/proxy.ts", import.meta.url))
const KiB = 1024
const MiB = 1024 * KiB
const CONNECT_TIMEOUT = 3000

const uris = ["tcp://10.0.0.1:6379", "tcp://10.0.0.2:6379", "tcp://10.0.0.3:6379"] as const

const sha256 = (bytes: Uint8Array): string => Crypto.createHash("sha256").update(bytes).digest("hex")

interface Proxied {
  /** Peers that came to each upstream, in order. */
  readonly came: ReadonlyArray<Array<Peer>>
  readonly listeners: ReadonlyArray<PeerListener>
  readonly upstreams: Upstreams.Upstreams
  /** What was logged. */
  readonly log: Array<string>
}

/** A proxy to some upstreams of the network. */
const proxied = Effect.fnUntraced(function*(
  stage: Stage,
  to: ReadonlyArray<string>,
  { admission, ...options }: AppOptionsInput = {}
): Effect.fn.Return<Proxied, unknown, Scope.Scope> {
  const config = ProxyConfig.make(
    Result.getOrThrow(ProxyConfig.decodeOptions({ to }, ["tcp://127.0.0.1:80"])),
    CONNECT_TIMEOUT
  )
  const log: Array<string> = []
  const logger = Logger.make(({ message }) => void log.push(String(message)))
  const came = to.map((): Array<Peer> => [])
  const listeners = to.filter((uri) => uri.startsWith("tcp")).map((uri, i) =>
    stage.network.listen(uri, (peer) => came[i]!.push(peer))
  )
  yield* stage.attach(module, {
    name: "proxy",
    config,
    admission: { connectTimeout: CONNECT_TIMEOUT, ...admission },
    ...options
  }).pipe(Effect.provide(Logger.layer([logger])))
  return { came, listeners, upstreams: ProxyConfig.upstreamsOf(config, 0), log }
})

/** A client of the proxy, once its connect to the upstream has had its chance. */
const dial = Effect.fnUntraced(function*(stage: Stage) {
  const client = yield* stage.dialOpen()
  yield* settled
  return client
})

const adjust = (millis: number) => Effect.andThen(TestClock.adjust(millis), settled)

const sessionsOf = ({ came, upstreams }: Proxied) => came.map((_, i) => upstreams.sessions(i))

describe("a proxy", () => {
  scenario("W18 passes bytes and ends on, both ways", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 1))
      const client = yield* stage.dialOpen()
      client.send("request")
      yield* settled
      const server = proxy.came[0]![0]!
      assert.strictEqual(server.received().toString(), "request")
      server.send("answer")
      client.end()
      yield* settled
      assert.strictEqual(client.received().toString(), "answer")
      assert.isTrue(server.ended)
      assert.deepStrictEqual(sessionsOf(proxy), [1])
      server.end()
      yield* settled
      assert.isTrue(client.closed && server.closed)
      assert.isUndefined(client.broken ?? server.broken)
      assert.deepStrictEqual(sessionsOf(proxy), [0])
      assert.deepStrictEqual(proxy.log, [])
    }))

  scenario(
    "W18 gives each session to the upstream with the least, over all its workers",
    (stage) =>
      Effect.gen(function*() {
        const proxy = yield* proxied(stage, uris, { workers: 2 })
        const clients = yield* Effect.forEach(Array(12), () => dial(stage))
        assert.deepStrictEqual(sessionsOf(proxy), [4, 4, 4])
        const workers = (yield* stage.app("proxy")).workers.map(({ sessions }) => sessions)
        assert.deepStrictEqual(workers, [12, 12])
        // two go from the second one, and the next two come to it
        const [first, second] = proxy.came[1]!
        first!.reset()
        second!.end()
        second!.reset()
        yield* settled
        assert.strictEqual(clients.filter(({ broken }) => broken !== undefined).length, 2)
        assert.deepStrictEqual(sessionsOf(proxy), [4, 2, 4])
        yield* dial(stage)
        yield* dial(stage)
        assert.deepStrictEqual(sessionsOf(proxy), [4, 4, 4])
      })
  )

  scenario(
    "W18 tries the next upstream for the same session at once when one can't be reached",
    (stage) =>
      Effect.gen(function*() {
        const proxy = yield* proxied(stage, uris.slice(0, 2))
        proxy.listeners[0]!.close()
        const clients = yield* Effect.forEach(Array(6), () =>
          Effect.gen(function*() {
            const client = yield* stage.dialOpen()
            client.send("early")
            yield* settled
            return client
          }))
        assert.isFalse(clients.some(({ closed }) => closed))
        assert.deepStrictEqual(proxy.came[1]!.map((peer) => peer.received().toString()), Array(6).fill("early"))
        assert.deepStrictEqual(sessionsOf(proxy), [0, 6])
        assert.deepStrictEqual(proxy.log, [
          "upstream tcp://10.0.0.1:6379 is down and is tried again in 100 ms: nobody listens there"
        ])
      })
  )

  scenario("W18 says once that an upstream is down, and once that it is back", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 2))
      proxy.listeners[0]!.close()
      yield* dial(stage)
      yield* dial(stage)
      for (const backoff of [100, 200, 400]) {
        yield* adjust(backoff - 1)
        yield* dial(stage)
        assert.strictEqual(proxy.came[0]!.length, 0)
        yield* adjust(1)
        yield* dial(stage)
      }
      assert.strictEqual(proxy.log.length, 1)
      const again: Array<Peer> = []
      stage.network.listen(uris[0], (peer) => again.push(peer))
      yield* adjust(799)
      yield* dial(stage)
      assert.strictEqual(again.length, 0)
      yield* adjust(1)
      yield* dial(stage)
      assert.strictEqual(again.length, 1)
      yield* dial(stage)
      assert.strictEqual(again.length, 2)
      assert.deepStrictEqual(proxy.log.slice(1), ["upstream tcp://10.0.0.1:6379 is up again"])
    }))

  scenario("W18 tries an upstream that was down with one session at a time", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 2), { workers: 2 })
      const [listener] = proxy.listeners
      listener!.close()
      yield* dial(stage)
      yield* dial(stage)
      const held = stage.network.listen(uris[0], () => {})
      held.hold()
      yield* adjust(100)
      for (let i = 0; i < 5; i++) yield* dial(stage)
      assert.strictEqual(held.waiting, 1)
      assert.strictEqual(proxy.came[1]!.length, 6)
    }))

  scenario("W18 resets a session for which there is no upstream, and counts it", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 2))
      for (const listener of proxy.listeners) listener.close()
      for (let i = 1; i <= 3; i++) {
        const client = yield* dial(stage)
        assert.strictEqual(client.broken, "the host reset the connection")
        assert.strictEqual(proxy.upstreams.refused, i)
      }
      assert.deepStrictEqual(sessionsOf(proxy), [0, 0])
      assert.strictEqual(proxy.log.length, 2)
    }))

  scenario(
    "W18 gives a connect up that takes too long, and tries the next upstream",
    (stage) =>
      Effect.gen(function*() {
        const proxy = yield* proxied(stage, uris.slice(0, 2))
        proxy.listeners[0]!.hold()
        const client = yield* dial(stage)
        yield* adjust(CONNECT_TIMEOUT - 1)
        assert.deepStrictEqual(sessionsOf(proxy), [1, 0])
        yield* adjust(1)
        assert.deepStrictEqual(sessionsOf(proxy), [0, 1])
        assert.strictEqual(proxy.listeners[0]!.waiting, 0)
        assert.isFalse(client.closed)
        assert.match(proxy.log[0]!, /^upstream tcp:\/\/10\.0\.0\.1:6379 is down .*: no answer within 3000 ms$/)
      })
  )

  scenario(
    "W18 cancels the connect when its client goes away, and the upstream is none the worse",
    (stage) =>
      Effect.gen(function*() {
        const proxy = yield* proxied(stage, uris.slice(0, 1))
        proxy.listeners[0]!.hold()
        const client = yield* dial(stage)
        assert.strictEqual(proxy.listeners[0]!.waiting, 1)
        client.reset()
        yield* settled
        assert.strictEqual(proxy.listeners[0]!.waiting, 0)
        assert.deepStrictEqual(sessionsOf(proxy), [0])
        assert.strictEqual((yield* stage.worker(0, "proxy")).sessions, 0)
        proxy.listeners[0]!.answer()
        yield* dial(stage)
        assert.deepStrictEqual(sessionsOf(proxy), [1])
        assert.deepStrictEqual(proxy.log, [])
      })
  )

  scenario("W18 a trial whose client goes away lets the next session try", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 1))
      proxy.listeners[0]!.close()
      yield* dial(stage)
      const held = stage.network.listen(uris[0], () => {})
      held.hold()
      yield* adjust(100)
      const client = yield* dial(stage)
      client.reset()
      yield* settled
      yield* dial(stage)
      assert.strictEqual(held.waiting, 1)
      assert.strictEqual(proxy.upstreams.refused, 1)
    }))

  scenario(
    "M7 W18 waits while the host has no room for another session, at most as long as a connect may take",
    (stage) =>
      Effect.gen(function*() {
        const proxy = yield* proxied(stage, uris.slice(0, 1), { admission: { maxSessions: 3 } })
        const first = yield* dial(stage)
        const second = yield* dial(stage)
        second.send("patience")
        yield* adjust(1000)
        assert.isFalse(second.closed)
        assert.strictEqual(proxy.came[0]!.length, 1)
        first.reset()
        yield* adjust(100)
        assert.strictEqual(proxy.came[0]![1]!.received().toString(), "patience")
        const third = yield* dial(stage)
        yield* adjust(CONNECT_TIMEOUT - 200)
        assert.isFalse(third.closed)
        yield* adjust(200)
        assert.isDefined(third.broken)
        assert.strictEqual(proxy.upstreams.refused, 1)
        // it says nothing of the upstream
        assert.deepStrictEqual(proxy.log, [])
        assert.strictEqual(proxy.upstreams.failures(0), 0)
      })
  )

  scenario("W18 forgets what a worker has counted that died", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 2), { workers: 2 })
      const clients = yield* Effect.forEach(Array(8), () => dial(stage))
      stage.script(0, "proxy").crash()
      yield* settled
      assert.strictEqual(clients.filter(({ broken }) => broken !== undefined).length, 4)
      yield* adjust(100)
      yield* until("a restart", () => sessionsOf(proxy).reduce((sum, count) => sum + count) === 4)
      for (let i = 0; i < 4; i++) yield* dial(stage)
      assert.deepStrictEqual(sessionsOf(proxy), [4, 4])
    }))

  scenario("W18 drains: takes no more, and ends when its sessions have", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, uris.slice(0, 1))
      const client = yield* dial(stage)
      const fiber = yield* Effect.forkChild(stage.host.drain)
      yield* settled
      assert.isTrue((yield* stage.dial()).closed)
      client.send("last")
      client.end()
      yield* settled
      assert.isUndefined(fiber.pollUnsafe())
      assert.strictEqual(proxy.came[0]![0]!.received().toString(), "last")
      proxy.came[0]![0]!.end()
      yield* settled
      assert.isDefined(fiber.pollUnsafe())
      assert.isUndefined(client.broken)
    }))
})

describe("a proxy to an application of its host", () => {
  const service = "local://service"
  const scope = { local: true, global: true }

  /** A proxy to an application that takes sessions as it is told. */
  const pumped = Effect.fnUntraced(function*(stage: Stage, accept?: (session: Session) => void) {
    const sessions: Array<Session> = []
    const actor = new Actor({
      accept: (session) => {
        sessions.push(session)
        accept?.(session)
      }
    })
    yield* stage.attach(actor, { name: "service", listen: [service], scope })
    const proxy = yield* proxied(stage, [service], { scope, segment: { rxFifoSize: 64 * KiB, txFifoSize: 64 * KiB } })
    const client = yield* dial(stage)
    yield* until("the session", () => sessions.length === 1)
    return { proxy, client, server: sessions[0]! }
  })

  const readAll = (session: Session): Buffer => {
    const parts: Array<Uint8Array> = []
    for (let bytes = session.read(); bytes !== undefined; bytes = session.read()) parts.push(bytes)
    return Buffer.concat(parts)
  }

  scenario("W16 W18 passes bytes on, both ways, and the end of either side", (stage) =>
    Effect.gen(function*() {
      const { client } = yield* pumped(stage, echoing)
      const bytes = Crypto.randomBytes(MiB)
      client.send(bytes)
      yield* until("the echo", () => client.receivedBytes === bytes.length)
      assert.strictEqual(sha256(client.received()), sha256(bytes))
      client.end()
      yield* until("the end", () => client.closed)
      assert.isUndefined(client.broken)
      yield* settled
      assert.strictEqual((yield* stage.report).sessions, 0)
    }))

  scenario("W16 W18 a client that has ended still gets an answer", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* pumped(stage)
      client.send("question")
      client.end()
      yield* until("the end", () => server.ended)
      assert.strictEqual(readAll(server).toString(), "question")
      assert.isFalse(client.ended)
      server.write(Buffer.from("answer"))
      server.close()
      yield* until("the end", () => client.closed)
      assert.strictEqual(client.received().toString(), "answer")
      assert.isUndefined(client.broken)
    }))

  scenario(
    "W16 W18 an application that gives a session up ends it, after what it has written",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* pumped(stage)
        server.write(Buffer.from("goodbye"))
        server.close()
        yield* until("the end", () => client.ended)
        assert.strictEqual(client.received().toString(), "goodbye")
        // nobody wants it, and it is in nobody's way
        client.send(Buffer.alloc(MiB))
        yield* settled
        assert.strictEqual(client.unsent, 0)
        client.end()
        yield* settled
        assert.isUndefined(client.broken)
        assert.strictEqual((yield* stage.report).sessions, 0)
      })
  )

  scenario("W16 W18 a reset of one side is a reset of the other", (stage) =>
    Effect.gen(function*() {
      const first = yield* pumped(stage)
      first.client.reset()
      yield* until("the reset", () => first.server.reset !== undefined)
      yield* settled
      assert.strictEqual((yield* stage.report).sessions, 0)
    }))

  scenario("W16 W18 an abort of the application is a reset of the client", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* pumped(stage)
      server.abort()
      yield* until("the reset", () => client.broken !== undefined)
      yield* settled
      assert.strictEqual((yield* stage.report).sessions, 0)
    }))

  scenario(
    "W16 W18 an application that does not read stops the client, and gets all of it later",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* pumped(stage)
        const bytes = Crypto.randomBytes(2 * MiB)
        client.send(bytes)
        yield* settled
        const waiting = client.unsent
        assert.isAbove(waiting, MiB)
        yield* settled
        assert.strictEqual(client.unsent, waiting)
        const parts: Array<Buffer> = []
        const take = (): void => void parts.push(readAll(server))
        server.handler = { readable: take }
        take()
        yield* until("all of it", () => parts.reduce((sum, { length }) => sum + length, 0) === bytes.length)
        assert.strictEqual(sha256(Buffer.concat(parts)), sha256(bytes))
      })
  )

  scenario(
    "W16 W18 a client that does not read stops the application, and gets all of it later",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* pumped(stage)
        const bytes = Crypto.randomBytes(2 * MiB)
        client.stop()
        let at = 0
        const write = (): void => {
          const written = server.write(bytes, at)
          if (written > 0) at += written
          if (at === bytes.length) server.end()
        }
        server.handler = { writable: write }
        write()
        yield* settled
        assert.isBelow(at, MiB)
        client.read()
        yield* until("the end", () => client.ended)
        assert.strictEqual(sha256(client.received()), sha256(bytes))
      })
  )

  scenario("W16 W18 what has come before the session is there is passed on first", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor({ accept: echoing }), { name: "service", listen: [service], scope })
      yield* proxied(stage, [service], { scope })
      const client = stage.network.dial("tcp://127.0.0.1:80")
      client.send("early")
      yield* until("the echo", () => client.receivedBytes === 5)
      client.send("late")
      yield* until("the echo", () => client.received().toString() === "earlylate")
    }))

  scenario("W18 an application that nobody serves is an upstream that is down", (stage) =>
    Effect.gen(function*() {
      const proxy = yield* proxied(stage, [service], { scope })
      const client = yield* dial(stage)
      assert.isDefined(client.broken)
      assert.deepStrictEqual(proxy.log, [
        "upstream local://service is down and is tried again in 100 ms: nobody listens there"
      ])
    }))
})

// ---- the command

const server = (onSocket: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {})
        onSocket(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

const uriOf = (server: Net.Server): string => `tcp://127.0.0.1:${(server.address() as Net.AddressInfo).port}`

const proxy = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const control = Path.join(yield* TempDirectory.make, "control.sock")
  const running = yield* Cli.start(["proxy", ...args, "--listen", "tcp://127.0.0.1:0", "--control", control])
  const [line, port] = yield* running.printed("stdout", /^sluice: .* listening on tcp:\/\/127\.0\.0\.1:(\d+) .*$/m)
  return { ...running, port: Number(port), control, line }
})

/** What comes back for some bytes and an end. */
const ask = (port: number, bytes: Uint8Array | string) =>
  Effect.callback<Buffer>((resume) => {
    const parts: Array<Buffer> = []
    const socket = Net.connect(port, "127.0.0.1", () => socket.end(bytes))
    socket.on("data", (part: Buffer) => void parts.push(part))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(Buffer.concat(parts))))
  })

describe("sluice proxy", () => {
  for (const kind of ["thread", "in-process"] as const) {
    it.live(`W18 serves with a worker of kind ${kind}, is shown, and ends in good order`, () =>
      Effect.gen(function*() {
        const echo = yield* server((socket) => socket.pipe(socket))
        const gone = yield* Effect.scoped(Effect.map(server(() => {}), uriOf))
        const args = kind === "thread" ? ["--no-in-process"] : ["--in-process"]
        const running = yield* proxy(["--to", gone, "--to", uriOf(echo), "--workers", "2", ...args])
        assert.include(running.line, `proxy listening on`)
        assert.include(running.line, `(2 ${kind} workers)`)
        const bytes = Crypto.randomBytes(MiB)
        for (let i = 0; i < 6; i++) assert.strictEqual(sha256(yield* ask(running.port, bytes)), sha256(bytes))
        const { stdout } = yield* Cli.run(["show", "app", "proxy", "--verbose", "--control", running.control])
        assert.match(stdout, /^0 +proxy /m)
        assert.match(stdout, /^ +Upstream +State +Sessions +Failures +Retry millis$/m)
        assert.match(stdout, new RegExp(`^ +${uriOf(echo)} +up +0 +0 +-$`, "m"))
        assert.match(stdout, new RegExp(`^ +${gone} +down +0 +[1-9] +\\d+$`, "m"))
        yield* running.kill("SIGTERM")
        const { code, stderr, stdout: said } = yield* running.result
        assert.strictEqual(code, 0, stderr)
        assert.match(stderr, /upstream \S+ is down and is tried again in 100 ms: nobody listens there/)
        assert.strictEqual(said.trim(), running.line)
      }).pipe(Effect.scoped), 30_000)
  }

  it.live("W18 lets its sessions finish when it is told to stop, and takes no more", () =>
    Effect.gen(function*() {
      const sockets: Array<Net.Socket> = []
      const upstream = yield* server((socket) => sockets.push(socket.pipe(socket)))
      const running = yield* proxy(["--to", uriOf(upstream)])
      const client = Net.connect(running.port, "127.0.0.1")
      let got = ""
      client.on("data", (bytes) => void (got += bytes.toString()))
      client.write("one")
      yield* until("an echo", () => got === "one")
      yield* running.kill("SIGTERM")
      yield* running.printed("stderr", /SIGTERM: stopping/)
      client.write("two")
      yield* until("an echo", () => got === "onetwo")
      const refused = Net.connect(running.port, "127.0.0.1").on("error", () => {})
      yield* until("a refusal", () => refused.destroyed)
      client.end()
      assert.strictEqual((yield* running.result).code, 0)
    }).pipe(Effect.scoped), 30_000)

  it.live("W18 says at its end how many sessions it had no upstream for", () =>
    Effect.gen(function*() {
      const gone = yield* Effect.scoped(Effect.map(server(() => {}), uriOf))
      const running = yield* proxy(["--to", gone])
      yield* ask(running.port, "")
      yield* ask(running.port, "")
      yield* running.kill("SIGTERM")
      assert.match((yield* running.result).stderr, /sessions that were reset because no upstream could be reached: 2/)
    }).pipe(Effect.scoped), 30_000)

  it.live("takes its settings from a file and from the environment, too", () =>
    Effect.gen(function*() {
      const echo = yield* server((socket) => socket.pipe(socket))
      const file = Path.join(yield* TempDirectory.make, "proxy.json")
      Fs.writeFileSync(file, JSON.stringify({ to: [uriOf(echo)], listen: ["tcp://127.0.0.1:0"], workers: 3 }))
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      const args = ["proxy", "--config", file, "--control", control]
      const running = yield* Cli.start(args, { env: { SLUICE_IN_PROCESS: "false" } })
      const [, port] = yield* running.printed("stdout", /127\.0\.0\.1:(\d+) \(3 thread workers\)/)
      assert.strictEqual((yield* ask(Number(port), "echo")).toString(), "echo")
      const { code, stderr } = yield* Cli.run(args, { env: { SLUICE_UPSTREAM_BACKOFF_MAX: "soon" } })
      assert.strictEqual(code, 2)
      assert.match(stderr, /^sluice: SLUICE_UPSTREAM_BACKOFF_MAX: got "soon"; it must be a time in milliseconds/)
      Fs.writeFileSync(file, JSON.stringify({ upstreams: [], config: {} }))
      const unknown = yield* Cli.run(args)
      assert.match(
        unknown.stderr,
        /^sluice: upstreams in \S+: there is no such setting; .*\nsluice: config in \S+: there is/
      )
    }).pipe(Effect.scoped), 30_000)

  const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, says: string]> = [
    [["--listen", "tcp://127.0.0.1:0"], "to: give at least one, such as --to tcp://127.0.0.1:6379"],
    [["--to", "tcp://127.0.0.1:1"], "listen: give at least one, such as --listen tcp://127.0.0.1:8080"],
    [
      ["--listen", "tcp://0.0.0.0:80", "--to", "tcp://127.0.0.1:80"],
      "--to: tcp://127.0.0.1:80 is where the proxy itself listens"
    ],
    [
      ["--listen", "tcp://127.0.0.1:80", "--to", "tcp://127.0.0.1:0"],
      "--to: got [\"tcp://127.0.0.1:0\"]; it must be a list of 1 to 256 endpoints with a port that is not 0, or with a "
      + "local name"
    ],
    [
      ["--listen", "tcp://127.0.0.1:80", "--to", "127.0.0.1:1"],
      "--to: endpoint \"127.0.0.1:1\": it must start with a transport, for example \"tcp://127.0.0.1:8080\""
    ],
    [
      ["--listen", "tcp://127.0.0.1:80", "--to", "tcp://127.0.0.1:1", "--upstream-backoff-base", "20s"],
      "--upstream-backoff-base: got \"20s\"; it must be at most upstreamBackoffMax, which is 10 s"
    ]
  ]
  for (const [args, says] of wrong) {
    it.live(`refuses ${args.join(" ")}`, () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* Cli.run(["proxy", ...args])
        assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" })
        assert.strictEqual(stderr.trim(), `sluice: ${says}`)
      }), 30_000)
  }
})
