/** Effect's `Socket` over sessions: the contract, held by Effect's own sockets too, and what is sessions' own. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SessionSocket from "../../../../src/layers/adapters/effect/SessionSocket.ts"
import { ConnectFailed, type Session, Sessions } from "../../../../src/services/Sessions.ts"
import * as Pattern from "../../../support/pattern.ts"
import * as Pem from "../../../support/Pem.ts"
import * as SessionPair from "../../../support/SessionPair.ts"
import { type Role, socketCases } from "../../../support/socketCases.ts"
import { assertSaid } from "../../../support/socketServerCases.ts"
import * as SocketWorlds from "../../../support/SocketWorlds.ts"
import { settled, until } from "../../../support/until.ts"

for (const [name, world] of Object.entries(SocketWorlds.worlds)) {
  layer(world, { timeout: 30_000, excludeTestServices: true })(name, (it) => {
    for (const role of ["server", "client"] satisfies Array<Role>) {
      for (const { peer, role: only = role, says, title } of socketCases) {
        if (only !== role) continue
        it.effect(`as a ${role}: ${title}`, () =>
          Effect.gen(function*() {
            const said = yield* SocketWorlds.play(title, role, async (wire, dial, client) => {
              if (role === "client") return peer(await client)
              return peer(await dial(Number((await wire.hear(/^port \d+$/)).slice(5))))
            })
            assertSaid(said, role === "server" ? ["port", ...says] : says)
          }))
      }
    }
  })
}

const word = (error: Socket.SocketError): string =>
  error.reason._tag === "SocketCloseError" ? `close ${error.reason.code}` : error.reason._tag

describe("SessionSocket", () => {
  it.effect("pulls all that is there in one batch of chunks", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make({ bound: 200_000 })
      client.write(Pattern.at(0, 150_000))
      const reader = yield* SessionSocket.fromSession(server).reader
      const batch = yield* reader.pull
      assert.deepStrictEqual(batch.map(({ length }) => length), [65_536, 65_536, 18_928])
      assert.isTrue(Pattern.isAt(Buffer.concat(batch as ReadonlyArray<Uint8Array>), 0))
    }).pipe(Effect.scoped))

  for (const bound of [1, 7, 4096]) {
    it.effect(`bytes go both ways at once through fifos of ${bound}`, () =>
      Effect.gen(function*() {
        const { client, server } = SessionPair.make({ bound })
        const total = Math.min(20_000, bound * 500)
        const both = (session: Session) =>
          Effect.gen(function*() {
            const socket = SessionSocket.fromSession(session)
            const reader = yield* socket.reader
            let received = 0
            const reading = Effect.forever(Effect.map(reader.pull, (batch) => {
              for (const chunk of batch as ReadonlyArray<Uint8Array>) {
                assert.isTrue(Pattern.isAt(chunk, received))
                received += chunk.length
              }
            }))
            const writing = Effect.scoped(Effect.flatMap(socket.writer, (writer) =>
              Effect.forEach(Array.from({ length: total / 100 }, (_, n) => n), (n) =>
                writer.write(Pattern.at(n * 100, 100)), { discard: true })))
            const [why] = yield* Effect.all([Effect.flip(reading), writing], { concurrency: "unbounded" })
            return [received, word(why)]
          }).pipe(Effect.scoped)
        const ends = yield* Effect.all([both(client), both(server)], { concurrency: "unbounded" })
        assert.deepStrictEqual(ends, [[total, "close 1000"], [total, "close 1000"]])
        yield* settled
        assert.deepStrictEqual([client.gone, server.gone], [true, true])
      }))
  }

  it.effect("pulls that wait at the same time are served in their order, and all fail with the scope", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make()
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(SessionSocket.fromSession(server).reader, scope)
      const pull = Effect.match(reader.pull, { onFailure: word, onSuccess: String })
      const pulls = yield* Effect.forEach(Array(4), () => Effect.forkChild(pull, { startImmediately: true }))
      client.write(Buffer.from("a"))
      yield* settled
      client.write(Buffer.from("b"))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Effect.forEach(pulls, Fiber.join), ["a", "b", "close 1006", "close 1006"])
    }))

  it.effect("a write after the end of the connection fails, and one that waits when it ends", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make({ bound: 10 })
      const socket = SessionSocket.fromSession(server)
      yield* socket.reader
      const writer = yield* socket.writer
      const waits = yield* Effect.forkChild(Effect.flip(writer.write(new Uint8Array(11))), { startImmediately: true })
      yield* settled
      assert.isUndefined(waits.pollUnsafe())
      client.abort()
      assert.strictEqual(word(yield* Fiber.join(waits)), "SocketWriteError")
      assert.strictEqual(word(yield* Effect.flip(writer.write("late"))), "SocketWriteError")
    }).pipe(Effect.scoped))

  it.effect("a write after the writer's release fails, on the same connection", () =>
    Effect.gen(function*() {
      const { server } = SessionPair.make()
      const socket = SessionSocket.fromSession(server)
      yield* socket.reader
      yield* Effect.scoped(socket.writer)
      const writer = yield* socket.writer
      assert.strictEqual(word(yield* Effect.flip(writer.write("late"))), "SocketWriteError")
      assert.deepStrictEqual(server.calls, ["end"])
    }).pipe(Effect.scoped))

  it.effect("the release of a writer ends the session's side when what waits is on its way, and not before", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make({ bound: 10 })
      const socket = SessionSocket.fromSession(server)
      yield* socket.reader
      const writer = yield* socket.writer
      yield* Effect.forkChild(writer.write("0123456789abcdef"), { startImmediately: true })
      yield* Effect.scoped(socket.writer)
      yield* settled
      assert.deepStrictEqual([server.calls, client.ended], [[], false])
      assert.strictEqual(String(client.read()), "0123456789")
      yield* settled
      assert.strictEqual(String(client.read()), "abcdef")
      assert.deepStrictEqual([server.calls, client.ended], [["end"], true])
    }).pipe(Effect.scoped))

  it.effect("the end of the reader's scope closes the session when what waits is on its way, and not before", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make({ bound: 10 })
      const socket = SessionSocket.fromSession(server)
      const scope = yield* Scope.make()
      yield* Scope.provide(socket.reader, scope)
      const writer = yield* socket.writer
      const writing = yield* Effect.forkChild(writer.write("0123456789abcdef"), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(server.calls, [])
      assert.strictEqual(String(client.read()), "0123456789")
      yield* Fiber.join(writing)
      assert.strictEqual(String(client.read()), "abcdef")
      yield* settled
      assert.isTrue(client.ended)
      assert.deepStrictEqual(server.calls, ["close"])
    }).pipe(Effect.scoped))

  it.effect("a session has one reader, once", () =>
    Effect.gen(function*() {
      const { server } = SessionPair.make()
      const socket = SessionSocket.fromSession(server)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* socket.reader
        assert.strictEqual(word(yield* Effect.flip(socket.reader)), "SocketOpenError")
      }))
      assert.strictEqual(word(yield* Effect.flip(socket.reader)), "close 1000")
    }).pipe(Effect.scoped))

  it.effect("a session that broke before is an open error; what an ended one has left can be read", () =>
    Effect.gen(function*() {
      const broken = SessionPair.make()
      broken.client.abort()
      yield* settled
      const error = yield* Effect.flip(SessionSocket.fromSession(broken.server).reader)
      assert.strictEqual(word(error), "SocketOpenError")
      const over = SessionPair.make()
      over.client.write(Buffer.from("left"))
      over.client.end()
      over.server.end()
      yield* settled
      const reader = yield* SessionSocket.fromSession(over.server).reader
      assert.strictEqual(String(yield* reader.pull), "left")
      assert.strictEqual(word(yield* Effect.flip(reader.pull)), "close 1000")
    }).pipe(Effect.scoped))

  it.effect("connects anew with each reader, and the writer goes along", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      const endpoint = "tcp://127.0.0.1:80"
      const heard: Array<string> = []
      yield* net.sessions.listen(endpoint, (session) => {
        session.handler = { readable: () => void heard.push(String(session.read())), ended: () => session.close() }
      })
      const socket = yield* Effect.provideService(SessionSocket.connect(endpoint), Sessions, net.sessions)
      const writer = yield* socket.writer
      for (const text of ["one", "two"]) {
        const writing = yield* Effect.forkChild(writer.write(text), { startImmediately: true })
        assert.isUndefined(writing.pollUnsafe())
        yield* Effect.scoped(Effect.andThen(socket.reader, Fiber.join(writing)))
        yield* settled
      }
      assert.deepStrictEqual(heard, ["one", "two"])
      assert.strictEqual(yield* net.sessions.open, 0)
    }).pipe(Effect.scoped))

  it.effect("a connect that fails is an open error with the reason, and a timeout is said to be one", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      const provide = Effect.provideService(Sessions, {
        ...net.sessions,
        connect: (endpoint) =>
          endpoint === "tcp://127.0.0.1:81"
            ? Effect.fail(new ConnectFailed({ endpoint, reason: { _tag: "TimedOut", detail: "no answer" } }))
            : net.sessions.connect(endpoint)
      })
      const reasonOf = Effect.fnUntraced(function*(endpoint: string) {
        const socket = yield* provide(SessionSocket.connect(endpoint))
        return (yield* Effect.flip(Effect.scoped(socket.reader))).reason
      })
      const refused = yield* reasonOf("tcp://127.0.0.1:80")
      assert.isTrue(refused._tag === "SocketOpenError" && refused.kind === "Unknown")
      assert.instanceOf((refused as Socket.SocketOpenError).cause, ConnectFailed)
      const late = yield* reasonOf("tcp://127.0.0.1:81")
      assert.isTrue(late._tag === "SocketOpenError" && late.kind === "Timeout")
    }))

  it.effect("a connect under way is taken back when it is interrupted", () =>
    Effect.gen(function*() {
      let taken = 0
      const { sessions } = SessionPair.makeNet()
      const connect = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void taken++))
      const socket = yield* Effect.provideService(SessionSocket.connect("tcp://127.0.0.1:80"), Sessions, {
        ...sessions,
        connect
      })
      const opening = yield* Effect.forkChild(Effect.scoped(socket.reader), { startImmediately: true })
      yield* Fiber.interrupt(opening)
      assert.strictEqual(taken, 1)
    }))

  it.live("an upgrade waits for the plain bytes before it, and leaves no session behind", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make({ bound: 100 })
      const { certificate: cert, key } = Pem.pair("rsa")
      const serving = Effect.gen(function*() {
        const socket = SessionSocket.fromSession(server)
        const reader = yield* socket.reader
        const writer = yield* socket.writer
        yield* Effect.forkChild(writer.write("p".repeat(1000)), { startImmediately: true })
        yield* reader.upgrade({ key: Redacted.make(key), cert })
        yield* writer.write("secret")
        yield* Effect.flip(reader.pull)
      }).pipe(Effect.scoped)
      const asking = Effect.gen(function*() {
        const socket = SessionSocket.fromSession(client, { tlsServer: false })
        const reader = yield* socket.reader
        for (let plain = 0; plain < 1000;) plain += (yield* reader.pull).reduce((sum, { length }) => sum + length, 0)
        yield* reader.upgrade({ ca: cert, servername: "rsa.test" })
        assert.strictEqual(String(yield* reader.pull), "secret")
      }).pipe(Effect.scoped)
      yield* Effect.all([serving, asking], { concurrency: "unbounded" })
      yield* until("both ends gone", () => client.gone && server.gone)
    }))

  it.live("the end of the reader's scope ends an upgrade that never gets an answer", () =>
    Effect.gen(function*() {
      const { client, server } = SessionPair.make()
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(SessionSocket.fromSession(server, { tlsServer: false }).reader, scope)
      const upgrading = yield* Effect.forkChild(Effect.flip(reader.upgrade()), { startImmediately: true })
      yield* settled
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(word(yield* Fiber.join(upgrading)), "SocketUpgradeError")
      yield* until("the peer hears of it", () => client.ended || client.gone)
    }))
})
