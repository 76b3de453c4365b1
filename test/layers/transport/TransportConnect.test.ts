/** What every network of this package promises of connecting, and what each has besides. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as DiagnosticsChannel from "node:diagnostics_channel"
import Dns from "node:dns"
import type * as Net from "node:net"
import * as TransportMemory from "../../../src/layers/testing/TransportMemory.ts"
import * as TransportTcp from "../../../src/layers/transport/TransportTcp.ts"
import { type SharedConnection, Transport, type TransportError } from "../../../src/services/Transport.ts"
import { AppEnd } from "../../support/AppEnd.ts"
import * as HalfOpen from "../../support/halfOpen.ts"
import { DONE, GO } from "../../support/tcpWords.ts"
import * as Threads from "../../support/threads.ts"
import {
  hasIPv6,
  inetOf as endpointOf,
  listen,
  memoryWorld,
  tcpWorld,
  type World
} from "../../support/TransportWorlds.ts"
import { settled, turn, until } from "../../support/until.ts"

/** Connects, and gives the connection up when the scope closes. */
const connect = Effect.fnUntraced(function*(to: string, source?: string) {
  const transport = yield* Transport
  const connection = yield* transport.connect(
    endpointOf(to),
    source === undefined ? undefined : { source: endpointOf(source) }
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => connection.abort()))
  return connection
})

const whyNot = (
  to: string,
  source?: string
): Effect.Effect<TransportError, SharedConnection, Transport | Scope.Scope> => Effect.flip(connect(to, source))

/** An endpoint of this machine that somebody had a moment ago. */
const freed = (world: World, endpoint = "tcp://127.0.0.1:0"): Effect.Effect<string> =>
  Effect.scoped(Effect.map(world.listen(endpoint), ({ local }) => local))

const portOf = (uri: string): number => endpointOf(uri).port

const suite = (name: string, makeWorld: () => World): void => {
  describe(name, () => {
    const test = (
      title: string,
      body: (world: World) => Effect.Effect<void, unknown, Transport | Scope.Scope>,
      needs = true
    ): void =>
      it.live.runIf(needs)(title, () => {
        const world = makeWorld()
        return body(world).pipe(Effect.scoped, Effect.provide(world.layer))
      })

    // ---- where a connect goes and comes from

    test("both ends of a connect know each other's address", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const connection = yield* connect(local)
        yield* until("the peer", () => peers.length === 1)
        assert.strictEqual(connection.remote, local)
        assert.strictEqual(connection.local, peers[0]!.remote)
        assert.match(connection.local, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/)
      }))

    test("a connect by name knows the addresses that came of it", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const connection = yield* connect(`tcp://localhost:${portOf(local)}`)
        yield* until("the peer", () => peers.length === 1)
        assert.strictEqual(connection.remote, local)
        assert.strictEqual(connection.local, peers[0]!.remote)
      }))

    test("a connection that is gone still knows its addresses", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const connection = yield* connect(local)
        const app = new AppEnd(connection, 4096).open()
        yield* until("the peer", () => peers.length === 1)
        peers[0]!.reset()
        yield* until("the reset", () => app.over !== undefined)
        assert.strictEqual(connection.remote, local)
        assert.strictEqual(connection.local, peers[0]!.remote)
      }))

    test("a connect to any address reaches this machine's own", (world) =>
      Effect.gen(function*() {
        const { local } = yield* world.listen("tcp://127.0.0.1:0")
        const connection = yield* connect(`tcp://0.0.0.0:${portOf(local)}`)
        assert.strictEqual(connection.remote, local)
      }))

    test("a connect comes from its source address and port", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const source = yield* freed(world, "tcp://127.0.0.2:0")
        const connection = yield* connect(local, source)
        yield* until("the peer", () => peers.length === 1)
        assert.strictEqual(connection.local, source)
        assert.strictEqual(connection.remote, local)
        assert.strictEqual(peers[0]!.remote, source)
      }))

    test("a source with port 0 has its address and any port", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const connection = yield* connect(local, "tcp://127.0.0.3:0")
        yield* until("the peer", () => peers.length === 1)
        assert.match(connection.local, /^tcp:\/\/127\.0\.0\.3:[1-9]\d*$/)
        assert.strictEqual(peers[0]!.remote, connection.local)
      }))

    test("a source of any address has its port and the address that leads there", (world) =>
      Effect.gen(function*() {
        const { local } = yield* world.listen("tcp://127.0.0.1:0")
        const port = portOf(yield* freed(world))
        assert.strictEqual((yield* connect(local, `tcp://0.0.0.0:${port}`)).local, `tcp://127.0.0.1:${port}`)
        assert.match((yield* connect(local, "tcp://0.0.0.0:0")).local, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/)
      }))

    test("a connect by name comes from its source too", (world) =>
      Effect.gen(function*() {
        const { local } = yield* world.listen("tcp://127.0.0.1:0")
        const connection = yield* connect(`tcp://localhost:${portOf(local)}`, "tcp://127.0.0.4:0")
        assert.match(connection.local, /^tcp:\/\/127\.0\.0\.4:/)
        assert.strictEqual(connection.remote, local)
      }))

    test("an IPv6 source leads to an IPv6 endpoint", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://[::1]:0")
        const source = yield* freed(world, "tcp://[::1]:0")
        assert.strictEqual((yield* connect(local, source)).local, source)
        yield* until("the peer", () => peers.length === 1)
        assert.strictEqual(peers[0]!.remote, source)
      }), hasIPv6)

    test("two connects from one source go to two endpoints, and a third to the first finds the source in use", (world) =>
      Effect.gen(function*() {
        const one = yield* world.listen("tcp://127.0.0.1:0")
        const other = yield* world.listen("tcp://127.0.0.1:0")
        const source = yield* freed(world)
        const connection = yield* connect(one.local, source)
        assert.strictEqual((yield* connect(other.local, source)).local, source)
        const error = yield* whyNot(one.local, source)
        assert.strictEqual(error.reason, "AddressInUse")
        assert.strictEqual(
          error.message,
          `connect ${one.local}: source ${source} is in use; choose another port, or port 0 for a free one`
        )
        // the one that has it goes on
        const app = new AppEnd(connection, 4096).open()
        one.peers[0]!.send("still")
        yield* until("bytes", () => app.rx.size === 5)
      }))

    test("a source is free again when its connection is gone", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const source = yield* freed(world)
        const first = yield* connect(local, source)
        yield* until("the peer", () => peers.length === 1)
        first.abort()
        yield* until("the reset", () => peers[0]!.closed)
        assert.strictEqual((yield* connect(local, source)).local, source)
      }))

    for (const where of ["the very source", "any address"] as const) {
      test(`a source whose port a listener on ${where} has is in use`, (world) =>
        Effect.gen(function*() {
          const { local } = yield* world.listen("tcp://127.0.0.1:0")
          const taken = yield* listen(where === "any address" ? "tcp://0.0.0.0:0" : "tcp://127.0.0.1:0")
          const source = `tcp://127.0.0.1:${portOf(taken.local)}`
          const error = yield* whyNot(local, source)
          assert.strictEqual(error.reason, "AddressInUse")
          assert.include(error.detail, `source ${source} is in use`)
        }))
    }

    test("a source that is a name is refused with a reason", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const error = yield* whyNot(local, "tcp://localhost:0")
        assert.strictEqual(error.operation, "connect")
        assert.strictEqual(error.endpoint, local)
        assert.strictEqual(error.reason, "AddressNotAvailable")
        assert.include(error.detail, "source tcp://localhost:0 is a name")
        yield* settled
        assert.strictEqual(peers.length, 0)
      }))

    for (
      const [to, source, from] of [
        ["tcp://127.0.0.1:9", "tcp://[::1]:0", "IPv6"],
        ["tcp://127.0.0.1:9", "tcp://[::]:0", "IPv6"],
        ["tcp://[::1]:9", "tcp://127.0.0.1:0", "IPv4"]
      ] as const
    ) {
      test(`a source of the other family, ${source} for ${to}, is refused with a reason`, () =>
        Effect.gen(function*() {
          const error = yield* whyNot(to, source)
          assert.strictEqual(error.reason, "AddressNotAvailable")
          assert.include(error.detail, `source ${source} is an ${from} address and the host an `)
        }))
    }

    test("a connect from an endpoint to itself, where nobody listens, is refused", (world) =>
      Effect.gen(function*() {
        const local = yield* freed(world)
        const error = yield* whyNot(local, local)
        assert.strictEqual(error.reason, "ConnectionRefused")
        // and the port is nobody's again
        assert.strictEqual((yield* listen(local)).local, local)
      }))

    // ---- half-open

    test("W14 a connect that nobody answers is half-open until it is interrupted", (world) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(connect(yield* world.halfOpen), { startImmediately: true })
        yield* settled
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.hasInterrupts(fiber.pollUnsafe()!))
        yield* settled
      }))

    test("W14 a hundred half-open connects are cancelled at once, and nothing of them is left", (world) =>
      Effect.gen(function*() {
        const endpoint = yield* world.halfOpen
        const fibers = yield* Effect.forEach(
          Array(100),
          () => Effect.forkChild(connect(endpoint), { startImmediately: true })
        )
        yield* settled
        assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() === undefined))
        if (world.isReal) yield* until("the system's sockets", () => HalfOpen.count(portOf(endpoint)) === 100)
        yield* Fiber.interruptAll(fibers)
        yield* until("no socket", () => HalfOpen.count(portOf(endpoint)) === 0)
      }))

    test("W14 a connect that is cancelled before it has begun reaches nobody", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const fiber = yield* Effect.forkChild(connect(local), { startImmediately: true })
        fiber.interruptUnsafe()
        yield* settled
        assert.strictEqual(peers.length, 0)
      }))

    test("W14 a connect that is cancelled as it succeeds leaves no connection", (world) =>
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const before = HalfOpen.sockets()
        for (let round = 0; round < 20; round++) {
          const held = Effect.scoped(Effect.andThen(connect(local), Effect.never))
          const fiber = yield* Effect.forkChild(held, { startImmediately: true })
          // what comes after a tick: the system has connected, and the fiber may have heard of it or not
          yield* Effect.promise(() => new Promise<void>((resolve) => process.nextTick(resolve)))
          fiber.interruptUnsafe()
          yield* turn
        }
        yield* settled
        yield* until("all to be gone", () => peers.every((peer) => peer.ended || peer.closed))
        for (const peer of peers) peer.end()
        yield* until("no socket", () => HalfOpen.sockets() <= before)
      }))

    test("W14 a refusal that is under way when its connect is cancelled is heard by nobody", (world) =>
      Effect.gen(function*() {
        const local = yield* freed(world)
        const fibers = yield* Effect.forEach([0, 1, 2, 3, 4], (turns) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.forkChild(connect(local), { startImmediately: true })
            for (let i = 0; i < turns; i++) yield* Effect.promise(() => Promise.resolve())
            fiber.interruptUnsafe()
            return fiber
          }))
        yield* settled
        // each is over, by the one or the other, and none by a defect
        const exits = fibers.map((fiber) => fiber.pollUnsafe() ?? assert.fail("it hangs"))
        assert.isTrue(Exit.hasInterrupts(exits[0]!))
        for (const exit of exits) assert.isTrue(Exit.hasInterrupts(exit) !== Exit.hasFails(exit))
      }))

    test("W14 the source of a half-open connect is in use until it is cancelled", (world) =>
      Effect.gen(function*() {
        const endpoint = yield* world.halfOpen
        const source = yield* freed(world)
        const fiber = yield* Effect.forkChild(connect(endpoint, source), { startImmediately: true })
        yield* settled
        assert.strictEqual((yield* whyNot(endpoint, source)).reason, "AddressInUse")
        yield* Fiber.interrupt(fiber)
        const again = yield* Effect.forkChild(connect(endpoint, source), { startImmediately: true })
        yield* settled
        assert.isUndefined(again.pollUnsafe())
        yield* Fiber.interrupt(again)
      }))

    // ---- listen

    test(
      "any IPv6 address takes IPv4 connections too, and writes their address as IPv4",
      (world) =>
        Effect.gen(function*() {
          const { connections, local } = yield* listen("tcp://[::]:0")
          assert.match(local, /^tcp:\/\/\[::\]:\d+$/)
          world.dial(`tcp://127.0.0.1:${portOf(local)}`)
          yield* until("accept of IPv4", () => connections.length === 1)
          assert.match(connections[0]!.remote, /^tcp:\/\/127\.0\.0\.1:\d+$/)
          assert.strictEqual(connections[0]!.local, `tcp://127.0.0.1:${portOf(local)}`)
          world.dial(`tcp://[::1]:${portOf(local)}`)
          yield* until("accept of IPv6", () => connections.length === 2)
          assert.match(connections[1]!.remote, /^tcp:\/\/\[::1\]:\d+$/)
        }),
      hasIPv6
    )

    test(
      "any IPv6 address with ipv6Only takes no IPv4 connection, and leaves their port free",
      (world) =>
        Effect.gen(function*() {
          const { connections, local } = yield* listen("tcp://[::]:0", { ipv6Only: true })
          const four = `tcp://127.0.0.1:${portOf(local)}`
          const refused = world.dial(four)
          yield* until("the refusal", () => refused.closed)
          assert.isTrue(refused.broken)
          const other = yield* listen(`tcp://0.0.0.0:${portOf(local)}`)
          world.dial(four)
          world.dial(`tcp://[::1]:${portOf(local)}`)
          yield* until("both", () => connections.length === 1 && other.connections.length === 1)
          assert.match(connections[0]!.remote, /^tcp:\/\/\[::1\]:\d+$/)
        }),
      hasIPv6
    )

    for (
      const [first, second, ipv6] of [
        ["0.0.0.0", "127.0.0.1", false],
        ["127.0.0.1", "0.0.0.0", false],
        ["[::]", "127.0.0.1", true],
        ["[::]", "0.0.0.0", true],
        ["0.0.0.0", "[::]", true],
        ["[::1]", "[::]", true]
      ] as const
    ) {
      test(`while one listens on ${first}, the same port of ${second} is in use`, () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const { local } = yield* Scope.provide(listen(`tcp://${first}:0`), scope)
          const wanted = `tcp://${second}:${portOf(local)}`
          const error = yield* Effect.flip(listen(wanted))
          assert.strictEqual(error.operation, "listen")
          assert.strictEqual(error.endpoint, wanted)
          assert.strictEqual(error.reason, "AddressInUse")
          yield* Scope.close(scope, Exit.void)
          yield* settled
          assert.strictEqual((yield* listen(wanted)).local, wanted)
        }), !ipv6 || hasIPv6)
    }

    test("a port is listened on again at once after its listener and its sessions have ended", (world) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { connections, local } = yield* Scope.provide(listen(), scope)
        const peer = world.dial(local)
        yield* until("accept", () => connections.length === 1)
        const app = new AppEnd(connections[0]!, 4096).open()
        // the side that ends first keeps the port for minutes
        app.call((connection) => connection.end())
        yield* until("the host's end", () => peer.ended)
        peer.end()
        yield* until("the end of all", () => app.over !== undefined && peer.closed)
        assert.deepStrictEqual(app.over, { reset: undefined })
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* listen(local)).local, local)
      }))
  })
}

suite("TransportMemory", memoryWorld)
suite("TransportTcp, reading into the fifos", tcpWorld({ reading: "onread" }))
suite("TransportTcp, reading by copy", tcpWorld({ reading: "copy" }))

describe("TransportMemory", () => {
  const onNetwork = <A, E>(
    body: (network: TransportMemory.Network) => Effect.Effect<A, E, Transport | Scope.Scope>
  ): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const network = new TransportMemory.Network()
      return body(network).pipe(Effect.scoped, Effect.provide(TransportMemory.layer(network)))
    })

  for (const reason of ["Reset", "TimedOut", "Unreachable"] as const) {
    it.effect(`W14 connects that are held fail with ${reason} when the test says so, and later ones are held`, () =>
      onNetwork(Effect.fnUntraced(function*(network) {
        const peers: Array<TransportMemory.Peer> = []
        const listener = network.listen("tcp://127.0.0.1:0", (peer) => peers.push(peer))
        listener.hold()
        const fork = Effect.forkChild(Effect.flip(connect(listener.local)), { startImmediately: true })
        const one = yield* fork
        const other = yield* fork
        const cancelled = yield* fork
        yield* settled
        assert.strictEqual(listener.waiting, 3)
        listener.fail(reason)
        cancelled.interruptUnsafe()
        for (const fiber of [one, other]) {
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.operation, "connect")
          assert.strictEqual(error.endpoint, listener.local)
          assert.strictEqual(error.reason, reason)
        }
        assert.isTrue(Exit.hasInterrupts(cancelled.pollUnsafe()!))
        assert.strictEqual(listener.waiting, 0)
        const later = yield* Effect.forkChild(connect(listener.local), { startImmediately: true })
        yield* settled
        assert.strictEqual(listener.waiting, 1)
        assert.strictEqual(peers.length, 0)
        listener.answer()
        assert.strictEqual((yield* Fiber.join(later)).remote, listener.local)
        assert.strictEqual(peers.length, 1)
      })))
  }

  it.effect("W14 a held connect that is cancelled as it is answered reaches nobody", () =>
    onNetwork(Effect.fnUntraced(function*(network) {
      const peers: Array<TransportMemory.Peer> = []
      const listener = network.listen("tcp://127.0.0.1:0", (peer) => peers.push(peer))
      listener.hold()
      const fiber = yield* Effect.forkChild(connect(listener.local), { startImmediately: true })
      yield* settled
      listener.answer()
      fiber.interruptUnsafe()
      yield* settled
      assert.strictEqual(peers.length, 0)
    })))

  it.effect("W14 a connect that is cancelled while its peer is told of it is reset for the peer", () =>
    onNetwork(Effect.fnUntraced(function*(network) {
      let cancel = (): void => {}
      const peers: Array<TransportMemory.Peer> = []
      const { local } = network.listen("tcp://127.0.0.1:0", (peer) => {
        peers.push(peer)
        cancel()
      })
      const fiber = yield* Effect.forkChild(connect(local), { startImmediately: true })
      cancel = () => fiber.interruptUnsafe()
      yield* settled
      assert.isTrue(Exit.hasInterrupts(fiber.pollUnsafe()!))
      assert.deepStrictEqual(peers.map(({ closed, refused }) => ({ closed, refused })), [{
        closed: true,
        refused: true
      }])
    })))

  it.effect("held connects are refused when their listener closes", () =>
    onNetwork(Effect.fnUntraced(function*(network) {
      const listener = network.listen("tcp://127.0.0.1:0", () => {})
      listener.hold()
      const fiber = yield* Effect.forkChild(Effect.flip(connect(listener.local)), { startImmediately: true })
      yield* settled
      listener.close()
      assert.strictEqual((yield* Fiber.join(fiber)).reason, "ConnectionRefused")
    })))

  it.effect("there is no way to an unreachable endpoint until that ends, and with port 0 to none of its host", () =>
    onNetwork(Effect.fnUntraced(function*(network) {
      const { local } = network.listen("tcp://10.0.0.1:80", () => {})
      const other = network.listen("tcp://10.0.0.1:81", () => {})
      const reachable = network.unreachable(local)
      const error = yield* whyNot(local)
      assert.strictEqual(error.reason, "Unreachable")
      assert.strictEqual(error.message, `connect ${local}: there is no route to that host`)
      assert.strictEqual((yield* connect(other.local)).remote, other.local)
      reachable()
      assert.strictEqual((yield* connect(local)).remote, local)
      const back = network.unreachable("tcp://10.0.0.1:0")
      assert.strictEqual((yield* whyNot(local)).reason, "Unreachable")
      assert.strictEqual((yield* whyNot(other.local)).reason, "Unreachable")
      back()
      assert.strictEqual((yield* connect(other.local)).remote, other.local)
    })))

  it.effect("a name is found while somebody listens on it", () =>
    onNetwork(Effect.fnUntraced(function*(network) {
      const error = yield* whyNot("tcp://db.example:5432")
      assert.strictEqual(error.reason, "Unreachable")
      assert.include(error.detail, "db.example")
      const { local } = network.listen("tcp://db.example:5432", () => {})
      assert.strictEqual((yield* connect(local)).remote, local)
      assert.strictEqual((yield* whyNot("tcp://db.example:1")).reason, "ConnectionRefused")
    })))

  it.effect("a listener of the network on any IPv6 address takes connects to IPv4 addresses", () =>
    onNetwork(Effect.fnUntraced(function*(network) {
      const peers: Array<TransportMemory.Peer> = []
      const { local } = network.listen("tcp://[::]:80", (peer) => peers.push(peer))
      assert.strictEqual((yield* connect("tcp://10.0.0.1:80")).remote, "tcp://10.0.0.1:80")
      assert.strictEqual((yield* connect(local)).remote, "tcp://[::1]:80")
      assert.deepStrictEqual(peers.map(({ local }) => local), ["tcp://10.0.0.1:80", "tcp://[::1]:80"])
    })))
})

describe("TransportTcp", () => {
  const tcp = <A, E>(
    body: Effect.Effect<A, E, Transport | Scope.Scope>,
    options: TransportTcp.TcpOptions = {}
  ): Effect.Effect<A, E> => body.pipe(Effect.scoped, Effect.provide(TransportTcp.layer(options)))

  const world = tcpWorld({})()

  it.live("a source that is not an address of this machine is refused with a reason", () =>
    tcp(Effect.gen(function*() {
      const { local } = yield* world.listen("tcp://127.0.0.1:0")
      const error = yield* whyNot(local, "tcp://198.51.100.1:0")
      assert.strictEqual(error.reason, "AddressNotAvailable")
      assert.strictEqual(
        error.message,
        `connect ${local}: source tcp://198.51.100.1:0 is not an address of this machine; `
          + "use one that is, or leave the source out"
      )
    })))

  it.live("a listener on an address that is not this machine's is refused with a reason", () =>
    tcp(Effect.gen(function*() {
      const error = yield* Effect.flip(listen("tcp://198.51.100.1:0"))
      assert.strictEqual(error.reason, "AddressNotAvailable")
      assert.include(error.message, "listen tcp://198.51.100.1:0: this machine has no such address")
    })))

  it.live("what the runtime throws for a connect is an error of the connect", () =>
    tcp(Effect.gen(function*() {
      const transport = yield* Transport
      const error = yield* Effect.flip(transport.connect({ _tag: "tcp", host: "127.0.0.1", port: 70_000 }))
      assert.strictEqual(error.reason, "TransportFailed")
      assert.include(error.detail, "70000")
    })))

  // ---- names

  type Found = ReadonlyArray<{ readonly address: string; readonly family: 4 | 6 }>
  type Answer = (error: NodeJS.ErrnoException | null, found: Found) => void

  /** Looks names up in a way of its own; asked for one address it gives the first. */
  const lookup = (answers: (name: string, answer: Answer) => void): TransportTcp.TcpOptions => ({
    lookup: (name, options, callback) =>
      answers(name, (error, found) => {
        if (options.all === true) callback(error, [...found])
        else callback(error, found[0]?.address ?? "", found[0]?.family)
      })
  })

  it.live("of a name's addresses, those that refuse are passed over", () => {
    let found: Found = []
    return tcp(
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        found = [
          { address: "127.0.0.2", family: 4 },
          { address: "::1", family: 6 },
          { address: "127.0.0.1", family: 4 }
        ]
        const connection = yield* connect(`tcp://several.test:${portOf(local)}`)
        assert.strictEqual(connection.remote, local)
        yield* until("the peer", () => peers.length === 1)
        assert.strictEqual(connection.local, peers[0]!.remote)
        // what moves bytes has followed the socket from attempt to attempt
        const app = new AppEnd(connection, 4096).open()
        peers[0]!.send("ping")
        yield* until("bytes", () => app.rx.size === 4)
        app.write(Buffer.from("pong"))
        yield* until("bytes for the peer", () => peers[0]!.receivedBytes === 4)
      }),
      lookup((_name, answer) => answer(null, found))
    )
  })

  it.live("a name none of whose addresses answers fails with the reason of the one that got furthest", () => {
    const options = lookup((_name, answer) =>
      answer(null, [
        // no host is there, by definition
        { address: "255.255.255.255", family: 4 },
        { address: "127.0.0.1", family: 4 },
        { address: "224.0.0.1", family: 4 }
      ])
    )
    return tcp(
      Effect.gen(function*() {
        const port = portOf(yield* freed(world))
        const error = yield* whyNot(`tcp://several.test:${port}`)
        assert.strictEqual(error.reason, "ConnectionRefused")
        assert.strictEqual(error.message, `connect tcp://several.test:${port}: nobody listens there`)
      }),
      options
    )
  })

  it.live("an address of a name that does not answer is passed over after a while", () => {
    const options = lookup((_name, answer) =>
      answer(null, [{ address: "127.0.0.1", family: 4 }, { address: "127.0.0.2", family: 4 }])
    )
    return tcp(
      Effect.gen(function*() {
        const dead = endpointOf(yield* world.halfOpen)
        const { local } = yield* world.listen(`tcp://127.0.0.2:${dead.port}`)
        assert.strictEqual((yield* connect(`tcp://several.test:${dead.port}`)).remote, local)
      }),
      options
    )
  })

  it.live("a name that is not found is unreachable, and the error names it", () =>
    tcp(
      Effect.gen(function*() {
        const error = yield* whyNot("tcp://nowhere.test:80")
        assert.strictEqual(error.reason, "Unreachable")
        assert.strictEqual(error.message, "connect tcp://nowhere.test:80: no host named nowhere.test was found")
        const six = yield* whyNot("tcp://nowhere.test:80", "tcp://[::1]:0")
        assert.strictEqual(six.detail, "no host named nowhere.test with an IPv6 address was found")
      }),
      lookup((name, answer) =>
        answer(Object.assign(new Error(`getaddrinfo ${name}`), { code: "ENOTFOUND", syscall: "getaddrinfo" }), [])
      )
    ))

  it.live("with a source only the addresses of its family are asked for", () => {
    const families: Array<unknown> = []
    return tcp(
      Effect.gen(function*() {
        const { local } = yield* world.listen("tcp://127.0.0.1:0")
        const to = `tcp://one.test:${portOf(local)}`
        for (const source of ["tcp://127.0.0.2:0", "tcp://0.0.0.0:0"]) yield* connect(to, source)
        assert.deepStrictEqual(families, [4, 4])
      }),
      {
        lookup: (_name, options, callback) => {
          families.push(options.family)
          if (options.all === true) callback(null, [{ address: "::1", family: 6 }, { address: "127.0.0.1", family: 4 }])
          else callback(null, "127.0.0.1", 4)
        }
      }
    )
  })

  it.live("W14 a connect that is cancelled while its name is looked up reaches nobody", () => {
    const asked: Array<Answer> = []
    return tcp(
      Effect.gen(function*() {
        const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
        const fiber = yield* Effect.forkChild(connect(`tcp://slow.test:${portOf(local)}`), { startImmediately: true })
        yield* until("the question", () => asked.length === 1)
        yield* Fiber.interrupt(fiber)
        asked[0]!(null, [{ address: "127.0.0.1", family: 4 }])
        yield* settled
        assert.strictEqual(peers.length, 0)
      }),
      lookup((_name, answer) => asked.push(answer))
    )
  })

  // ---- resets

  /** A listener on a thread that resets the one connection it accepts, once `GO` is set. */
  const resetter = Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const { words, worker } = HalfOpen.thread({ role: "reset" })
        return { words, worker, port: await Threads.result<number>(worker) }
      }),
      ({ worker }) => Effect.promise(() => worker.terminate())
    ),
    ({ port, words }) => ({
      endpoint: `tcp://127.0.0.1:${port}`,
      /** Resets the connection; when it returns, the reset has come. */
      reset: (): void => {
        Atomics.store(words, GO, 1)
        Atomics.notify(words, GO)
        Atomics.wait(words, DONE, 0, 10_000)
      }
    })
  )

  it.live("a connect that is reset before anybody has heard of it fails with Reset", () =>
    tcp(Effect.gen(function*() {
      const { endpoint, reset } = yield* resetter
      const fiber = yield* Effect.forkChild(whyNot(endpoint), { startImmediately: true })
      // after the tick that connects, and before the loop hears of it
      process.nextTick(reset)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason, "Reset")
      assert.strictEqual(error.message, `connect ${endpoint}: the peer reset the connection at once; try again`)
    })))

  /** Runs what is given when a socket has connected, before the transport hears of it. */
  const beforeConnected = (step: () => void) => {
    const onSocket = (message: unknown): void => {
      const { socket } = message as { readonly socket: Net.Socket }
      socket.prependOnceListener("connect", step)
    }
    return Effect.acquireRelease(
      Effect.sync(() => DiagnosticsChannel.subscribe("net.client.socket", onSocket)),
      () => Effect.sync(() => DiagnosticsChannel.unsubscribe("net.client.socket", onSocket))
    )
  }

  it.live("a connect that is reset as it is heard of fails with Reset", () =>
    tcp(Effect.gen(function*() {
      const { endpoint, reset } = yield* resetter
      yield* beforeConnected(reset)
      const error = yield* whyNot(endpoint)
      assert.strictEqual(error.reason, "Reset")
    })))

  it.live("W14 a connect that is cancelled as it is heard of leaves no connection", () =>
    tcp(Effect.gen(function*() {
      const { local, peers } = yield* world.listen("tcp://127.0.0.1:0")
      let cancel = (): void => {}
      yield* beforeConnected(() => cancel())
      const fiber = yield* Effect.forkChild(connect(local), { startImmediately: true })
      cancel = () => fiber.interruptUnsafe()
      yield* until("the peer's end", () => peers[0]?.ended === true || peers[0]?.closed === true)
      assert.isTrue(Exit.hasInterrupts(fiber.pollUnsafe()!))
    })))

  // ---- listen

  it.live("a listen that is interrupted while its name is looked up leaves no listener", () =>
    tcp(Effect.gen(function*() {
      const port = portOf(yield* freed(world))
      const asked: Array<(error: null, found: Found) => void> = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const original = Dns.lookup
          Dns.lookup = ((_name: string, _options: object, answer: (error: null, found: Found) => void) =>
            void asked.push(answer)) as unknown as typeof Dns.lookup
          return original
        }),
        (original) =>
          Effect.sync(() => {
            Dns.lookup = original
          })
      )
      const fiber = yield* Effect.forkChild(listen(`tcp://slow.test:${port}`), { startImmediately: true })
      yield* until("the question", () => asked.length === 1)
      yield* Fiber.interrupt(fiber)
      asked[0]!(null, [{ address: "127.0.0.1", family: 4 }])
      yield* settled
      const peer = world.dial(`tcp://127.0.0.1:${port}`)
      yield* until("the refusal", () => peer.closed)
      assert.isTrue(peer.broken)
    })))

  it.live("the backlog bounds the connections that wait to be accepted", () =>
    tcp(Effect.gen(function*() {
      /** How many of eight connections are made while nothing is accepted. */
      const made = Effect.fnUntraced(function*(backlog: number) {
        const { local } = yield* listen("tcp://127.0.0.1:0", { backlog })
        const { words, worker } = HalfOpen.thread({ role: "dial", port: portOf(local), count: 8 })
        Atomics.wait(words, DONE, 0, 10_000)
        yield* Effect.promise(() => worker.terminate())
        return Atomics.load(words, DONE)
      })
      assert.strictEqual(yield* made(16), 8)
      assert.isBelow(yield* made(1), 8)
    })))
})
