/** What every network of this package promises of listening, accepting and moving bytes: in memory, over TCP and over Unix sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Util from "node:util"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as TransportTcp from "../../../src/layers/transport/TransportTcp.ts"
import { type SharedConnection, Transport, type TransportListenOptions } from "../../../src/services/Transport.ts"
import { AppEnd, sharedOf } from "../../support/AppEnd.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import * as SystemTimers from "../../support/SystemTimers.ts"
import {
  endpointOf,
  hasIPv6,
  inetOf,
  listen,
  listenOptions,
  memoryWorld,
  tcpWorld,
  unixWorld,
  uriOf,
  type World
} from "../../support/TransportWorlds.ts"
import { settled, until } from "../../support/until.ts"

const KiB = 1024
const MiB = 1024 * KiB
/** More than the buffers of the system take. */
const MUCH = Long.steps({ short: 8, long: 16 }) * MiB

// ---- what tests share

/** A connection that has been accepted and not opened yet. */
const accepted = Effect.fnUntraced(function*(
  world: World,
  listener: Partial<TransportListenOptions["listener"]> = {}
) {
  const { connections, local } = yield* listen(world.free(), {
    listener: { ...listenOptions.listener, ...listener }
  })
  const peer = world.dial(local)
  yield* until("accept", () => connections.length > 0)
  return { peer, connection: connections[0]!, local }
})

/** A connection that has been accepted and opened over fifos of `bound` bytes. */
const open = Effect.fnUntraced(function*(
  world: World,
  bound = 64 * KiB,
  listener: Partial<TransportListenOptions["listener"]> = {}
) {
  const { connection, peer } = yield* accepted(world, listener)
  return { peer, app: new AppEnd(connection, bound).open() }
})

/** Bytes of each seed, made once. */
const patterns = new Map<number, Buffer>()

/** Bytes that are no others', 16 MiB at most, to be read only. */
const pattern = (size: number, seed = 1): Buffer => {
  let bytes = patterns.get(seed)
  if (bytes === undefined) {
    const random = Random.make(seed)
    const words = Uint32Array.from({ length: 4 * MiB }, () => random(2 ** 32))
    bytes = Buffer.from(words.buffer)
    patterns.set(seed, bytes)
  }
  assert.isAtMost(size, bytes.length)
  return bytes.subarray(0, size)
}

const digest = (bytes: Uint8Array): string => Crypto.createHash("sha256").update(bytes).digest("hex")

const assertBytes = (actual: Uint8Array, expected: Uint8Array): void => {
  assert.strictEqual(actual.length, expected.length)
  assert.strictEqual(digest(actual), digest(expected))
}

/** Reads whatever comes, in pieces of changing size. */
const collect = (app: AppEnd, seed = 7): { readonly bytes: () => Buffer; readonly length: () => number } => {
  const random = Random.make(seed)
  const parts: Array<Buffer> = []
  let length = 0
  let waiting = false
  const read = (): void => {
    waiting = false
    const part = app.read(1 + random(2 * app.rx.bound))
    parts.push(part)
    length += part.length
    if (app.rx.size > 0) again()
  }
  const again = (): void => {
    if (waiting) return
    waiting = true
    setImmediate(read)
  }
  app.onReceived = again
  if (app.rx.size > 0) again()
  return { bytes: () => Buffer.concat(parts), length: () => length }
}

// ---- the suite

const suite = (name: string, makeWorld: () => World): void => {
  describe(name, () => {
    const test = (
      title: string,
      body: (world: World) => Effect.Effect<void, unknown, Transport | Scope.Scope>,
      timeout?: number
    ): void =>
      it.live(title, () => {
        const world = makeWorld()
        return body(world).pipe(Effect.scoped, Effect.provide(world.layer))
      }, timeout)

    const { isInet } = makeWorld()
    /** What holds for connections that have ports and can be reset; a Unix socket's have a test of their own. */
    const testInet: typeof test = isInet ? test : () => {}

    test("bytes go both ways", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        peer.send("ping")
        yield* until("bytes for the app", () => app.rx.size === 4)
        assert.strictEqual(app.read().toString(), "ping")
        assert.strictEqual(app.write(Buffer.from("pong")), 4)
        yield* until("bytes for the peer", () => peer.receivedBytes === 4)
        assert.strictEqual(peer.received().toString(), "pong")
        assert.deepStrictEqual(app.said, ["received"])
        assert.deepStrictEqual(app.inside, [])
      }))

    testInet("both ends know each other's address", (world) =>
      Effect.gen(function*() {
        const { connection, local } = yield* accepted(world)
        assert.strictEqual(connection.local, local)
        assert.match(connection.remote, /^tcp:\/\/127\.0\.0\.1:\d+$/)
        assert.notStrictEqual(connection.remote, connection.local)
      }))

    for (const [how, listening] of [["its own", "127.0.0.1"], ["any", "0.0.0.0"]] as const) {
      testInet(
        `a connection that broke is still known by its addresses, at a listener on ${how} address`,
        (world) =>
          Effect.gen(function*() {
            const { connections, local } = yield* listen(`tcp://${listening}:0`)
            const at = local.replace("0.0.0.0", "127.0.0.1")
            const peer = world.dial(at)
            yield* until("accept", () => connections.length > 0)
            const connection = connections[0]!
            const { remote } = connection
            assert.match(remote, /^tcp:\/\/127\.0\.0\.1:\d+$/)
            const known = connection.local
            const app = new AppEnd(connection, 4 * KiB).open()
            peer.reset()
            yield* until("the end", () => app.over !== undefined)
            assert.deepStrictEqual([connection.remote, connection.local], [remote, known])
          })
      )
    }

    test("X1 a connection that is suspended right after it was opened keeps what comes for its next session", (world) =>
      Effect.gen(function*() {
        const { connection, peer } = yield* accepted(world)
        new AppEnd(connection, 4 * KiB).open()
        sharedOf(connection).suspend(undefined)
        peer.send("ping")
        yield* settled
        const app = new AppEnd(connection, 4 * KiB).open()
        peer.send("pong")
        yield* until("bytes for the app", () => app.rx.size === 8)
        assert.strictEqual(app.read().toString(), "pingpong")
        assert.strictEqual(app.counted.received, 8)
      }))

    test("nothing is read from a connection before it is opened", (world) =>
      Effect.gen(function*() {
        const { connection, peer } = yield* accepted(world)
        const bytes = pattern(16 * MiB)
        peer.send(bytes)
        yield* settled
        assert.isAbove(peer.unsent, 0)
        const app = new AppEnd(connection, 64 * KiB).open()
        const collected = collect(app)
        yield* until("all bytes", () => collected.length() === bytes.length)
        assertBytes(collected.bytes(), bytes)
        assert.deepStrictEqual(app.inside, [])
      }))

    test("a full rx fifo pauses the peer, and room lets it go on", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world, 4 * KiB)
        const bytes = pattern(64 * KiB)
        peer.send(bytes)
        yield* until("a full fifo", () => app.rx.size === 4 * KiB)
        yield* settled
        assert.strictEqual(app.rx.size, 4 * KiB)
        const first = app.read(2 * KiB)
        yield* until("the fifo full again", () => app.rx.size === 4 * KiB)
        const collected = collect(app)
        yield* until("all bytes", () => first.length + collected.length() === bytes.length)
        assertBytes(Buffer.concat([first, collected.bytes()]), bytes)
        assert.deepStrictEqual(app.said, ["received"])
        assert.deepStrictEqual(app.inside, [])
      }))

    test("a full tx fifo waits for the peer, and says so when there is room", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world, 64 * KiB)
        peer.stop()
        const bytes = pattern(16 * MiB)
        const { written } = app.writeAll(bytes)
        let before = -1
        while (before !== written()) {
          before = written()
          yield* settled
        }
        assert.isBelow(written(), bytes.length)
        assert.isAbove(app.tx.size, 0)
        peer.read()
        yield* until("all bytes", () => peer.receivedBytes === bytes.length)
        assert.strictEqual(written(), bytes.length)
        assertBytes(peer.received(), bytes)
        assert.deepStrictEqual(app.said, ["room"])
        assert.deepStrictEqual(app.inside, [])
      }))

    test("the peer ends first: the host still writes, then ends", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        peer.send("last words")
        peer.end()
        yield* until("the peer's end", () => app.said.includes("ended"))
        assert.strictEqual(app.read().toString(), "last words")
        app.write(Buffer.from("an answer"))
        yield* until("the answer", () => peer.receivedBytes === 9)
        assert.isFalse(peer.ended)
        app.call((connection) => connection.end())
        yield* until("the end of all", () => app.over !== undefined && peer.closed)
        assert.isTrue(peer.ended)
        assert.isFalse(peer.broken)
        assert.deepStrictEqual(app.said, ["received", "ended", "closed"])
        assert.deepStrictEqual(app.inside, [])
      }))

    test("the host ends first: the peer still sends, then ends", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        app.write(Buffer.from("a question"))
        app.call((connection) => connection.end())
        yield* until("the host's end", () => peer.ended)
        assert.strictEqual(peer.received().toString(), "a question")
        assert.isUndefined(app.over)
        peer.send("an answer")
        yield* until("the answer", () => app.rx.size === 9)
        peer.end()
        yield* until("the end of all", () => app.over !== undefined && peer.closed)
        assert.strictEqual(app.read().toString(), "an answer")
        assert.isFalse(peer.broken)
        assert.deepStrictEqual(app.said, ["received", "ended", "closed"])
        assert.deepStrictEqual(app.inside, [])
      }))

    test("both end at once", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        app.write(Buffer.from("bye"))
        app.call((connection) => connection.end())
        peer.send("bye")
        peer.end()
        yield* until("the end of all", () => app.over !== undefined && peer.closed)
        assert.strictEqual(app.read().toString(), "bye")
        assert.strictEqual(peer.received().toString(), "bye")
        assert.deepStrictEqual(app.said, ["received", "ended", "closed"])
      }))

    test("an end is told after the last byte, however long the fifo stays full", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world, 4 * KiB)
        app.call((connection) => connection.end())
        const bytes = pattern(10 * KiB + 1)
        peer.send(bytes)
        peer.end()
        yield* until("a full fifo", () => app.rx.size === 4 * KiB)
        yield* settled
        assert.deepStrictEqual(app.said, ["received"])
        const collected = collect(app)
        yield* until("the end of all", () => app.over !== undefined)
        yield* until("all bytes", () => collected.length() === bytes.length)
        assertBytes(collected.bytes(), bytes)
        assert.deepStrictEqual(app.said, ["received", "ended", "closed"])
        assert.deepStrictEqual(app.inside, [])
      }))

    testInet("the peer's reset is the last event, with a sentence", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        peer.send("before")
        yield* until("bytes", () => app.rx.size === 6)
        peer.reset()
        yield* until("the reset", () => app.over !== undefined)
        assert.strictEqual(app.over?.reset, "the peer reset the connection")
        assert.strictEqual(app.read().toString(), "before")
        // late calls do nothing
        app.write(Buffer.from("late"))
        app.call((connection) => connection.resume())
        app.call((connection) => connection.end())
        app.call((connection) => connection.close())
        app.call((connection) => connection.abort())
        yield* settled
        assert.deepStrictEqual(app.said, ["received", "closed: the peer reset the connection"])
        assert.deepStrictEqual(app.inside, [])
      }))

    testInet("the host's abort is a reset for the peer", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        peer.send("before")
        yield* until("bytes", () => app.rx.size === 6)
        app.call((connection) => connection.abort())
        app.call((connection) => connection.abort())
        yield* until("the reset", () => app.over !== undefined && peer.closed)
        assert.isTrue(peer.broken)
        assert.isFalse(peer.ended)
        assert.deepStrictEqual(app.said, ["received", "closed: the connection was given up"])
        assert.deepStrictEqual(app.inside, [])
      }))

    for (const how of ["end", "close"] as const) {
      test(`an abort right after ${how} still breaks the connection`, (world) =>
        Effect.gen(function*() {
          const { app, peer } = yield* open(world)
          app.call((connection) => connection[how]())
          app.call((connection) => connection.abort())
          yield* until("the end", () => app.over !== undefined)
          assert.deepStrictEqual(app.said, ["closed: the connection was given up"])
          peer.send("late")
          yield* until("the peer's close", () => peer.closed)
        }))

      testInet(
        `an abort while the rest of what was written waits for ${how} breaks the connection`,
        (world) =>
          Effect.gen(function*() {
            const { app, peer } = yield* open(world)
            peer.stop()
            app.writeAll(pattern(16 * MiB))
            yield* settled
            app.call((connection) => connection[how]())
            yield* settled
            app.call((connection) => connection.abort())
            yield* until("the end", () => app.over !== undefined)
            peer.read()
            yield* until("the peer's close", () => peer.closed)
            assert.isTrue(peer.broken)
            assert.isFalse(peer.ended)
          })
      )
    }

    test("close sends what was written, then ends, and drops what comes in", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world)
        peer.stop()
        const bytes = pattern(60 * KiB)
        assert.strictEqual(app.write(bytes), bytes.length)
        app.call((connection) => connection.close())
        app.call((connection) => connection.close())
        peer.send(pattern(4 * MiB))
        yield* until("all that the peer sent to be gone", () => peer.unsent === 0)
        peer.read()
        yield* until("the host's end", () => peer.ended)
        assertBytes(peer.received(), bytes)
        // the session is over before the peer has ended, which may take its time
        yield* until("the end of the session", () => app.over !== undefined)
        assert.strictEqual(app.rx.size, 0)
        peer.end()
        yield* until("the end of all", () => peer.closed)
        assert.isFalse(peer.broken)
        assert.deepStrictEqual(app.said, ["closed"])
        assert.deepStrictEqual(app.inside, [])
      }))

    test("close of a connection whose rx fifo is full does not wait for room", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world, 4 * KiB)
        peer.send(pattern(8 * MiB))
        peer.end()
        yield* until("a full fifo", () => app.rx.size === 4 * KiB)
        app.write(Buffer.from("enough"))
        app.call((connection) => connection.close())
        yield* until("the end of all", () => app.over !== undefined && peer.closed)
        assert.strictEqual(peer.received().toString(), "enough")
        assert.isTrue(peer.ended)
        assert.isFalse(peer.broken)
        assert.deepStrictEqual(app.said, ["received", "closed"])
      }))

    test("without memory the connection goes on in its ring, and loses nothing", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world, 16 * KiB)
        app.refuse = true
        const bytes = pattern(40 * KiB)
        peer.send(bytes)
        peer.end()
        yield* until("bytes", () => app.said.includes("received"))
        yield* settled
        assert.isTrue(app.rx.size > 0 && app.rx.size <= 256)
        assert.isFalse(app.said.includes("ended"))
        const collected = collect(app)
        yield* until("all bytes", () => collected.length() === bytes.length)
        assertBytes(collected.bytes(), bytes)
        yield* until("the end", () => app.said.includes("ended"))
        assert.deepStrictEqual(app.inside, [])
      }))

    testInet("a fifo whose other side writes nonsense breaks the connection", (world) =>
      Effect.gen(function*() {
        const { app, peer } = yield* open(world, 4 * KiB)
        peer.send("some")
        yield* until("bytes", () => app.rx.size === 4)
        // a head past its tail, in every place where it could be
        app.words.fill(0x7000_0000, 31, 32)
        peer.send("more")
        yield* until("the error", () => app.error !== undefined && peer.closed)
        assert.isTrue(peer.broken)
        assert.isFalse(peer.ended)
        assert.deepStrictEqual(app.inside, [])
      }))

    testInet(
      "a connection that is gone before it was opened says so when it is opened",
      (world) =>
        Effect.gen(function*() {
          const { connection, peer } = yield* accepted(world)
          peer.send("lost")
          peer.reset()
          yield* until("the peer's own close", () => peer.closed)
          yield* settled
          const app = new AppEnd(connection, 4 * KiB).open()
          yield* until("the reset", () => app.over !== undefined)
          assert.strictEqual(app.over?.reset, "the peer reset the connection")
          assert.deepStrictEqual(app.inside, [])
        })
    )

    testInet(
      "a connection that is given up before it was opened tells onGone, and is a reset for the peer",
      (world) =>
        Effect.gen(function*() {
          const { connection, peer } = yield* accepted(world)
          let gone = 0
          connection.onGone = () => gone++
          connection.abort()
          assert.strictEqual(gone, 0)
          yield* until("the reset", () => gone === 1 && peer.closed)
          assert.isTrue(peer.broken)
          const app = new AppEnd(connection, 4 * KiB).open()
          yield* until("the last event", () => app.over !== undefined)
          assert.deepStrictEqual(app.said, ["closed: the connection was given up"])
          assert.deepStrictEqual(app.inside, [])
        })
    )

    test("a connect reaches a listener, and bytes go both ways", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen(world.free())
        const transport = yield* Transport
        const connection = yield* transport.connect(endpointOf(local))
        assert.strictEqual(connection.remote, local)
        yield* until("the peer", () => peers.length === 1)
        const peer = peers[0]!
        const app = new AppEnd(connection, 16 * KiB)
        // nothing is read before it is opened here either
        const bytes = pattern(256 * KiB)
        peer.send(bytes)
        yield* settled
        app.open()
        const collected = collect(app)
        app.writeAll(bytes)
        yield* until("all bytes", () => collected.length() === bytes.length && peer.receivedBytes === bytes.length)
        assertBytes(collected.bytes(), bytes)
        assertBytes(peer.received(), bytes)
        assert.deepStrictEqual(app.counted, { received: bytes.length, sent: bytes.length })
        peer.end()
        app.call((connection) => connection.end())
        yield* until("the end of all", () => app.over !== undefined)
        assert.deepStrictEqual(app.over, { reset: undefined })
        assert.deepStrictEqual(app.inside, [])
      }))

    test("a connect to where nobody listens is refused", (world) =>
      Effect.gen(function*() {
        // an endpoint that was somebody's
        const local = yield* Effect.scoped(Effect.map(world.listen(world.free()), ({ local }) => local))
        const transport = yield* Transport
        const error = yield* Effect.flip(transport.connect(endpointOf(local)))
        assert.strictEqual(error.operation, "connect")
        assert.strictEqual(error.reason, "ConnectionRefused")
        assert.strictEqual(
          error.message,
          `connect ${local}: ${isInet ? "nobody listens there" : "there is no such socket; start what listens there"}`
        )
      }))

    test("a connect that is interrupted leaves no connection", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen(world.free())
        const transport = yield* Transport
        const fiber = yield* Effect.forkChild(transport.connect(endpointOf(local)), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        yield* settled
        for (const peer of peers) yield* until("the peer's end", () => peer.ended || peer.closed)
      }))

    testInet(
      "port 0 gives a port of its own, and a taken endpoint is refused until it is free",
      () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const first = yield* Scope.provide(listen(), scope)
          const second = yield* listen()
          assert.notStrictEqual(first.local, second.local)
          assert.notStrictEqual(inetOf(first.local).port, 0)
          const error = yield* Effect.flip(listen(first.local))
          assert.strictEqual(error.operation, "listen")
          assert.strictEqual(error.reason, "AddressInUse")
          yield* Scope.close(scope, Exit.void)
          yield* settled
          assert.strictEqual((yield* listen(first.local)).local, first.local)
        })
    )

    test("a listener that has ended accepts nothing, and its connections go on", (world) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const transport = yield* Transport
        const connections: Array<SharedConnection> = []
        const endpoint = yield* Scope.provide(
          transport.listen(endpointOf(world.free()), {
            ...listenOptions,
            accept: (connection) => connections.push(sharedOf(connection))
          }),
          scope
        )
        const peer = world.dial(Endpoint.format(endpoint))
        yield* until("accept", () => connections.length === 1)
        const app = new AppEnd(connections[0]!, 4 * KiB).open()
        yield* Scope.close(scope, Exit.void)
        peer.send("still here")
        yield* until("bytes", () => app.rx.size === 10)
        const late = world.dial(Endpoint.format(endpoint))
        yield* until("the refusal", () => late.closed)
        assert.isTrue(late.broken)
        assert.strictEqual(connections.length, 1)
        app.call((connection) => connection.abort())
        yield* until("the end", () => peer.closed || peer.ended)
      }))

    const testIPv6 = isInet ? it.live.runIf(hasIPv6) : () => {}
    testIPv6("IPv6 endpoints are listened on and connected to", () => {
      const world = makeWorld()
      return Effect.gen(function*() {
        const { connections, local } = yield* listen("tcp://[::1]:0")
        assert.match(local, /^tcp:\/\/\[::1\]:\d+$/)
        const peer = world.dial(local)
        yield* until("accept", () => connections.length === 1)
        assert.match(connections[0]!.remote, /^tcp:\/\/\[::1\]:\d+$/)
        const app = new AppEnd(connections[0]!, 4 * KiB).open()
        peer.send("six")
        yield* until("bytes", () => app.rx.size === 3)
        const { local: own, remote } = connections[0]!
        assert.strictEqual(own, local)
        peer.reset()
        yield* until("the end", () => app.over !== undefined)
        assert.deepStrictEqual([connections[0]!.remote, connections[0]!.local], [remote, own])
        const theirs = yield* world.listen("tcp://[::1]:0")
        const transport = yield* Transport
        const connection = yield* transport.connect(endpointOf(theirs.local))
        assert.strictEqual(connection.remote, theirs.local)
        connection.abort()
      }).pipe(Effect.scoped, Effect.provide(world.layer))
    })

    for (const bound of [4 * KiB, 64 * KiB]) {
      test(
        `${MUCH / MiB} MiB go both ways at once through fifos of ${bound / KiB} KiB`,
        (world) =>
          Effect.gen(function*() {
            const { app, peer } = yield* open(world, bound)
            const up = pattern(MUCH, 3)
            const down = pattern(MUCH, 4)
            const collected = collect(app)
            const random = Random.make(5)
            for (let at = 0; at < up.length;) {
              const size = 1 + random(256 * KiB)
              peer.send(up.subarray(at, at + size))
              at += size
            }
            peer.end()
            const { written } = app.writeAll(down)
            yield* until("all to be written", () => written() === down.length)
            app.call((connection) => connection.end())
            yield* until("all bytes", () => collected.length() === up.length && peer.receivedBytes === down.length)
            yield* until("the end of all", () => app.over !== undefined && peer.closed)
            assertBytes(collected.bytes(), up)
            assertBytes(peer.received(), down)
            assert.deepStrictEqual(app.over, { reset: undefined })
            assert.deepStrictEqual(app.inside, [])
          }),
        60_000
      )
    }
  })
}

suite("TransportMemory", memoryWorld)
suite("TransportTcp, reading into the fifos", tcpWorld({ reading: "onread" }))
suite("TransportTcp, reading by copy", tcpWorld({ reading: "copy" }))
suite("TransportUnix, reading into the fifos", unixWorld({ reading: "onread" }))
suite("TransportUnix, reading by copy", unixWorld({ reading: "copy" }))

describe("TransportTcp", () => {
  /** The servers of this process, whose handles no public interface shows. */
  const servers = (): ReadonlyArray<Net.Server> =>
    (process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<unknown> })._getActiveHandles()
      .filter((handle): handle is Net.Server => handle instanceof Net.Server)

  const serverOn = (local: string): Net.Server =>
    servers().find((server) => server.listening && uriOf(server) === local)!

  const errno = (name: string): number => [...Util.getSystemErrorMap()].find(([, [known]]) => known === name)![0]

  const failures = [
    ["EMFILE", "EMFILE"],
    ["ENFILE", "ENFILE"],
    ["ENOBUFS", "ENOBUFS"],
    ["ENOMEM", "ENOMEM"],
    ["ECONNABORTED", "ECONNABORTED"],
    ["EPERM", "other"]
  ] as const

  const stillAccepts = Effect.fnUntraced(
    function*(
      { connections, local }: { readonly connections: ReadonlyArray<SharedConnection>; readonly local: string }
    ) {
      const before = connections.length
      const peer = tcpWorld({})().dial(local)
      yield* until("accept", () => connections.length === before + 1)
      const app = new AppEnd(connections[before]!, 4 * KiB).open()
      peer.send("served")
      yield* until("bytes", () => app.rx.size === 6)
      app.call((connection) => connection.abort())
      yield* until("the end", () => peer.closed)
    }
  )

  it.live("a failed accept is told by its kind and does not stop the listener, reading into the fifos", () =>
    Effect.gen(function*() {
      const listener = yield* listen()
      const { _handle } = serverOn(listener.local) as unknown as {
        readonly _handle: { readonly onconnection: (status: number, handle: unknown) => void }
      }
      for (const [code] of failures) _handle.onconnection(errno(code), undefined)
      assert.deepStrictEqual(listener.acceptErrors, failures.map(([code, kind]) => `${kind}: ${code}`))
      yield* stillAccepts(listener)
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer({ reading: "onread" }))))

  it.live("a failed accept is told by its kind and does not stop the listener, reading by copy", () =>
    Effect.gen(function*() {
      const listener = yield* listen()
      const server = serverOn(listener.local)
      for (const [code] of failures) server.emit("error", Object.assign(new Error(`accept ${code}`), { code }))
      assert.deepStrictEqual(listener.acceptErrors, failures.map(([code, kind]) => `${kind}: accept ${code}`))
      yield* stillAccepts(listener)
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer({ reading: "copy" }))))

  for (const reading of ["onread", "copy"] as const) {
    it.live(`says once per listener that it reads by ${reading}`, () => {
      const said: Array<string> = []
      return Effect.gen(function*() {
        const listener = yield* listen()
        yield* stillAccepts(listener)
        yield* stillAccepts(listener)
        assert.deepStrictEqual(said, [reading])
      }).pipe(
        Effect.scoped,
        Effect.provide(TransportTcp.layer({ reading, onReading: (reading) => said.push(reading) }))
      )
    })
  }

  /** Hides from now on that a server's handle can be told what to do with a connection, as another runtime might. */
  const hideHandles = Effect.acquireRelease(
    Effect.sync(() => {
      const original = Net.Server.prototype.listen
      const listen = function(this: Net.Server, ...args: ReadonlyArray<never>) {
        this.prependOnceListener("listening", () => {
          const server = this as unknown as { _handle: Record<string, unknown> }
          const handle = server._handle
          server._handle = new Proxy(handle, {
            get: (target, name) => {
              if (name === "onconnection") return undefined
              const value: unknown = Reflect.get(target, name)
              return typeof value === "function" ? value.bind(target) as unknown : value
            }
          })
        })
        return original.apply(this, args as never)
      }
      Net.Server.prototype.listen = listen as never
      return original
    }),
    (original) =>
      Effect.sync(() => {
        Net.Server.prototype.listen = original
      })
  )

  it.live("where the handle does not offer it, connections are read by copy, which is said once", () => {
    const said: Array<string> = []
    return Effect.gen(function*() {
      yield* hideHandles
      const listener = yield* listen()
      yield* stillAccepts(listener)
      yield* stillAccepts(listener)
      assert.deepStrictEqual(said, ["copy"])
    }).pipe(
      Effect.scoped,
      Effect.provide(TransportTcp.layer({ reading: "onread", onReading: (reading) => said.push(reading) }))
    )
  })

  it.live("X5 a connection that was given up is over when all is sent, and closes soon, whatever its peer sends", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open(tcpWorld({})(), 64 * KiB, { closeTimeout: 50 })
      app.write(Buffer.from("bye"))
      app.call((connection) => connection.close())
      yield* until("the end of the session", () => app.over !== undefined)
      assert.isUndefined(app.over?.reset)
      const sending = setInterval(() => peer.send("more"), 5)
      yield* until("the peer's close", () => peer.closed)
      clearInterval(sending)
      assert.strictEqual(peer.received().toString(), "bye")
      assert.isTrue(peer.broken)
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer())))

  it.live("what comes in after a session is over is not read into memory that was the session's", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open(tcpWorld({})(), 512 * KiB, { closeTimeout: 1000 })
      const read = collect(app)
      // large reads go straight into the fifo, so there is a place in it for the next one
      peer.send(pattern(MiB))
      yield* until("all of it", () => read.length() === MiB)
      app.write(Buffer.from("bye"))
      app.call((connection) => connection.close())
      yield* until("the end of the session", () => app.over !== undefined)
      const memory = new Uint8Array(app.words.buffer)
      memory.fill(0x55)
      peer.send(Buffer.alloc(40 * KiB, 0xAA))
      yield* Effect.sleep(50)
      assert.strictEqual(memory.indexOf(0xAA), -1)
    }).pipe(Effect.scoped, Effect.provide(tcpWorld({})().layer)))

  it.live("one that was given up without a word is closed at once", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open(tcpWorld({})(), 64 * KiB)
      app.call((connection) => connection.close())
      yield* until("the host's end", () => app.over !== undefined && peer.ended)
      peer.send("more")
      peer.send("and more")
      yield* until("the peer's close", () => {
        peer.send("still there?")
        return peer.closed
      })
      assert.isTrue(peer.broken)
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer())))

  it.live("one whose peer takes a byte now and then is reset when the time for what is left is over", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open(tcpWorld({})(), 8 * KiB, { closeTimeout: 50 })
      peer.stop()
      // what the system takes, and a fifo full behind it
      app.writeAll(pattern(16 * MiB))
      yield* until("a fifo that stays full", () => app.tx.room === 0)
      app.onRoom = undefined
      const reading = setInterval(() => peer.send("x"), 5)
      app.call((connection) => connection.close())
      yield* until("the end of the session", () => app.over !== undefined)
      clearInterval(reading)
      assert.strictEqual(app.over?.reset, "the peer did not take what was left in time")
      peer.read()
      yield* until("the peer's close", () => peer.closed)
      assert.isTrue(peer.broken)
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer())))

  /** Which timer the system runs for the host's end of a connection: `02` is that of the probes. */
  const timerOf = ({ local, remote }: SharedConnection): string | undefined => {
    const hex = (uri: string): string => inetOf(uri).port.toString(16).toUpperCase().padStart(4, "0")
    return Fs.readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
      .find((fields) => fields[1]?.endsWith(`:${hex(local)}`) === true && fields[2]?.endsWith(`:${hex(remote)}`))
      ?.[5]?.slice(0, 2)
  }

  for (const reading of ["onread", "copy"] as const) {
    it.live.skipIf(process.platform !== "linux")(
      `peers are probed where that is asked for, reading by ${reading}`,
      () =>
        Effect.gen(function*() {
          const asked = yield* open(tcpWorld({})(), 64 * KiB, { keepAlive: 60_000 })
          const not = yield* open(tcpWorld({})())
          assert.strictEqual(timerOf(asked.app.connection), "02")
          assert.strictEqual(timerOf(not.app.connection), "00")
        }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer({ reading })))
    )
  }

  const idleWorlds: ReadonlyArray<readonly [name: string, world: () => World]> = [
    ["TCP, read by onread", tcpWorld({})],
    ["TCP, read by copy", tcpWorld({ reading: "copy" })],
    ["a Unix socket", unixWorld({})]
  ]
  for (const [name, world] of idleWorlds) {
    it.live(`idle time of ${name}: while bytes come, or go, the connection stays; then it is ended`, () =>
      Effect.gen(function*() {
        const place = world()
        const made = yield* Effect.gen(function*() {
          const pass = yield* SystemTimers.fake
          const { app, peer } = yield* open(place, 64 * KiB, { idleTimeout: 200 })
          for (let moves = 1; moves <= 4; moves++) {
            peer.send("x")
            yield* until("a byte from the peer", () => app.rx.size === moves)
            pass(190)
            assert.isUndefined(app.over)
          }
          for (let moves = 1; moves <= 4; moves++) {
            app.write(Buffer.from("y"))
            yield* until("a byte to the peer", () => peer.receivedBytes === moves)
            pass(190)
            assert.isUndefined(app.over)
          }
          // a look each 50 ms has seen it stand still for at least 150 of them
          pass(60)
          yield* until("the end", () => app.over !== undefined)
          yield* until("the peer's end", () => peer.broken || peer.closed || peer.ended)
          return { app }
        }).pipe(Effect.provide(place.layer))
        assert.strictEqual(made.app.over?.reset, "the connection was idle for too long")
        assert.strictEqual(made.app.endedFor, "idle")
      }).pipe(Effect.scoped))
  }

  it.live("X5 a peer that takes nothing is idle, however much waits for it", () =>
    Effect.gen(function*() {
      const pass = yield* SystemTimers.fake
      const { app, peer } = yield* open(tcpWorld({})(), 8 * KiB, { idleTimeout: 200 })
      peer.stop()
      app.writeAll(pattern(16 * MiB))
      yield* until("the end", () => {
        pass(1)
        return app.over !== undefined
      })
      assert.strictEqual(app.over?.reset, "the connection was idle for too long")
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer())))

  for (const [name, world] of idleWorlds) {
    it.live(`stall time of ${name}: a peer that takes what it is sent stays, one that only sends does not`, () =>
      Effect.gen(function*() {
        const place = world()
        yield* Effect.gen(function*() {
          const pass = yield* SystemTimers.fake
          const { app, peer } = yield* open(place, 64 * KiB, { stallTimeout: 200 })
          const reading = app.writeAll(pattern(16 * MiB))
          yield* until("all is written", () => reading.written() === 16 * MiB)
          yield* until("all is read", () => peer.receivedBytes === 16 * MiB)
          pass(1000)
          assert.isUndefined(app.over)
          peer.stop()
          app.writeAll(pattern(16 * MiB))
          yield* until("the end", () => {
            peer.send("x")
            pass(1)
            return app.over !== undefined
          })
          assert.deepStrictEqual(app.over, { reset: "the peer did not take what was sent to it" })
          assert.strictEqual(app.endedFor, "stalled")
        }).pipe(Effect.provide(place.layer))
      }).pipe(Effect.scoped))
  }

  it.live("a connect has no idle time", () =>
    Effect.gen(function*() {
      const pass = yield* SystemTimers.fake
      const { connections, local } = yield* listen("tcp://127.0.0.1:0", {})
      const transport = yield* Transport
      const listener = { ...listenOptions.listener, idleTimeout: 100 }
      const end = new AppEnd(sharedOf(yield* transport.connect(inetOf(local), { listener })), 64 * KiB).open()
      yield* until("accept", () => connections.length > 0)
      pass(3000)
      assert.isUndefined(end.over)
      end.call((connection) => connection.abort())
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer())))

  it.live("one whose peer pushes on takes little of it", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open(tcpWorld({})(), 64 * KiB, { closeTimeout: 300 })
      app.write(Buffer.from("bye"))
      app.call((connection) => connection.close())
      const all = 64 * MiB
      for (let sent = 0; sent < all; sent += MiB) peer.send(Buffer.alloc(MiB))
      let unsent = all
      yield* until("the peer's close", () => {
        if (peer.unsent > 0) unsent = peer.unsent
        return peer.closed
      })
      assert.isTrue(peer.broken)
      assert.isAbove(unsent, all / 2)
    }).pipe(Effect.scoped, Effect.provide(TransportTcp.layer())))
})
