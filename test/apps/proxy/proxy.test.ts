/** The proxy, on a network in memory. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Crypto from "node:crypto"
import * as ProxyConfig from "../../../src/apps/proxy/ProxyConfig.ts"
import type * as Upstreams from "../../../src/domain/admission/Upstreams.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type { Peer, PeerListener } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import { Actor, echoing, scenario, type Stage } from "../../support/Stage.ts"
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
