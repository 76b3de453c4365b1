import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Dgram from "node:dgram"
import type * as Net from "node:net"
import * as Datagram from "../../../src/domain/memory/Datagram.ts"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import type { ListenerOptions } from "../../../src/domain/options/ListenerOptions.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import * as Transports from "../../../src/layers/transport/Transports.ts"
import * as TransportUdp from "../../../src/layers/transport/TransportUdp.ts"
import { type SharedConnection, Transport } from "../../../src/services/Transport.ts"
import { AppEnd, sharedOf } from "../../support/AppEnd.ts"
import * as Pattern from "../../support/pattern.ts"
import * as SystemTimers from "../../support/SystemTimers.ts"
import { endpointOf, hasIPv6, inetOf, listenOptions } from "../../support/TransportWorlds.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { settled, turn, until } from "../../support/until.ts"

const KiB = 1024

const layer = (options?: TransportUdp.UdpOptions) => Transports.layer({ udp: TransportUdp.make(options) })

const listen = Effect.fnUntraced(function*(
  endpoint = "udp://127.0.0.1:0",
  options: Partial<ListenerOptions> & { readonly ipv6Only?: boolean } = {}
) {
  const transport = yield* Transport
  const connections: Array<SharedConnection> = []
  const dropped: Array<string> = []
  const { ipv6Only = false, ...listener } = options
  const bound = yield* transport.listen(endpointOf(endpoint), {
    ...listenOptions,
    ipv6Only,
    listener: { ...Options.defaults.listener, ...listener },
    accept: (connection) => connections.push(sharedOf(connection)),
    dropped: (reason) => dropped.push(reason)
  })
  // before the socket is retired
  yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.abort())))
  return { local: Endpoint.format(bound), connections, dropped }
})

/** Datagrams as they lie in a fifo. */
const framed = (...datagrams: ReadonlyArray<Uint8Array | string>): Buffer =>
  Buffer.concat(datagrams.flatMap((datagram) => {
    const bytes = Buffer.from(datagram)
    return [Datagram.writeLength(new Uint8Array(Datagram.HEADER), bytes.length), bytes]
  }))

/** The datagrams that are in the app's fifo. */
const take = (app: AppEnd): Array<Buffer> => {
  const all: Array<Buffer> = []
  while (app.rx.size > 0) all.push(app.read(Datagram.readLength(app.read(Datagram.HEADER))))
  return all
}

const texts = (datagrams: ReadonlyArray<Uint8Array>): ReadonlyArray<string> =>
  datagrams.map((datagram) => Buffer.from(datagram).toString())

/** A listener, a peer, and the session that its first datagram made, opened over fifos of `bound` bytes. */
const open = Effect.fnUntraced(function*(bound = 64 * KiB, options: Partial<ListenerOptions> = {}) {
  const listener = yield* listen(undefined, options)
  const peer = yield* UdpPeer.make(listener.local)
  peer.send("first")
  yield* until("a session", () => listener.connections.length === 1)
  const app = new AppEnd(listener.connections[0]!, bound).open()
  yield* until("the datagram", () => app.rx.size > 0)
  assert.deepStrictEqual(texts(take(app)), ["first"])
  return { ...listener, peer, app }
})

const test = (
  title: string,
  body: () => Effect.Effect<void, unknown, Transport | Scope.Scope>,
  needs = true
): void => it.live.runIf(needs)(title, () => body().pipe(Effect.scoped, Effect.provide(layer())))

describe("TransportUdp", () => {
  test("each datagram arrives whole and goes back whole, empty ones too", () =>
    Effect.gen(function*() {
      const { app, dropped, peer } = yield* open()
      const sizes = [0, 1, 1200, 0, 9000]
      for (const size of sizes) peer.send(Pattern.at(size, size))
      const arrived: Array<Buffer> = []
      yield* until("all datagrams", () => {
        arrived.push(...take(app))
        return arrived.length === sizes.length
      })
      assert.deepStrictEqual(arrived.map(({ length }) => length), sizes)
      assert.isTrue(arrived.every((datagram) => Pattern.isAt(datagram, datagram.length)))
      app.write(framed(...arrived))
      yield* until("all answers", () => peer.received.length === sizes.length)
      assert.deepStrictEqual(peer.received.map(({ length }) => length), sizes)
      assert.isTrue(peer.received.every((datagram) => Pattern.isAt(datagram, datagram.length)))
      assert.deepStrictEqual(dropped, [])
      assert.deepStrictEqual(app.inside, [])
    }))

  test("a session is what comes from one address, and knows both", () =>
    Effect.gen(function*() {
      const { connections, local } = yield* listen()
      const one = yield* UdpPeer.make(local)
      const other = yield* UdpPeer.make(local)
      one.send("1")
      yield* until("a session", () => connections.length === 1)
      other.send("2")
      one.send("3")
      yield* until("another session", () => connections.length === 2)
      assert.deepStrictEqual(connections.map(({ remote }) => remote), [one.local, other.local])
      assert.deepStrictEqual(connections.map((connection) => connection.local), [local, local])
      const apps = connections.map((connection) => new AppEnd(connection, 4 * KiB).open())
      yield* until("datagrams", () => apps[0]!.rx.size === 10 && apps[1]!.rx.size === 5)
      apps[1]!.write(framed("for two"))
      apps[0]!.write(framed("for one"))
      yield* until("answers", () => one.received.length === 1 && other.received.length === 1)
      assert.deepStrictEqual(texts(one.received), ["for one"])
      assert.deepStrictEqual(texts(other.received), ["for two"])
    }))

  test("what comes before the claim waits, as much as may, and the rest is dropped and counted", () =>
    Effect.gen(function*() {
      const { connections, dropped, local } = yield* listen(undefined, { udpPending: 3 })
      const peer = yield* UdpPeer.make(local)
      for (let i = 0; i < 5; i++) peer.send(`${i}`)
      yield* until("the drops", () => dropped.length === 2)
      assert.strictEqual(connections.length, 1)
      assert.deepStrictEqual(dropped, ["not-claimed", "not-claimed"])
      const app = new AppEnd(connections[0]!, 4 * KiB).open()
      yield* until("what waited", () => app.rx.size === 15)
      assert.deepStrictEqual(texts(take(app)), ["0", "1", "2"])
      peer.send("5")
      yield* until("one more", () => app.rx.size === 5)
      assert.deepStrictEqual(app.inside, [])
      assert.strictEqual(connections[0]!.dropped, 2)
    }))

  test("without room in the fifo as many wait as may, and the rest is dropped and counted; others are not held up", () =>
    Effect.gen(function*() {
      const { app, connections, dropped, local, peer } = yield* open(4 * KiB, { udpPending: 2 })
      const datagram = (i: number) => Pattern.at(i, 1000)
      // four have room, two wait
      for (let i = 0; i < 9; i++) peer.send(datagram(i))
      yield* until("the drops", () => dropped.length === 3)
      assert.deepStrictEqual(dropped, ["no-room", "no-room", "no-room"])
      assert.strictEqual(app.rx.size, 4 * 1004)
      const other = yield* UdpPeer.make(local)
      other.send("other")
      yield* until("another session", () => connections.length === 2)
      const all = take(app)
      yield* until("what waited", () => app.rx.size === 2 * 1004)
      all.push(...take(app))
      assert.isTrue(all.length === 6 && all.every((bytes, i) => bytes.length === 1000 && Pattern.isAt(bytes, i)))
      assert.deepStrictEqual(app.inside, [])
    }))

  test("without memory the session is starved, and what waits comes when there is some", () =>
    Effect.gen(function*() {
      const { connections, local } = yield* listen()
      const peer = yield* UdpPeer.make(local)
      peer.send("fits its ring")
      yield* until("a session", () => connections.length === 1)
      const app = new AppEnd(connections[0]!, 4 * KiB)
      app.refuse = true
      app.open()
      yield* until("a datagram", () => app.rx.size > 0)
      assert.deepStrictEqual(texts(take(app)), ["fits its ring"])
      peer.send(Pattern.at(0, 1000))
      yield* until("starved", () => app.said.includes("starved"))
      assert.strictEqual(app.rx.size, 0)
      app.refuse = false
      app.call((connection) => connection.resume())
      yield* until("the datagram", () => app.rx.size === 1004)
      assert.isTrue(Pattern.isAt(take(app)[0]!, 0))
      assert.deepStrictEqual(app.inside, [])
    }))

  test("a datagram that could never fit is dropped and counted, before and after the claim", () =>
    Effect.gen(function*() {
      const { app, connections, dropped, local, peer } = yield* open(4 * KiB)
      peer.send(Pattern.at(0, 4093))
      peer.send(Pattern.at(0, 4092))
      yield* until("the one that fits", () => app.rx.size === 4096)
      assert.deepStrictEqual(dropped, ["oversized"])
      const other = yield* UdpPeer.make(local)
      other.send(Pattern.at(0, 5000))
      other.send("small")
      yield* until("another session", () => connections.length === 2)
      yield* settled
      const second = new AppEnd(connections[1]!, 4 * KiB).open()
      yield* until("the small one", () => second.rx.size === 9)
      assert.deepStrictEqual(dropped, ["oversized", "oversized"])
    }))

  test("a datagram that UDP can't carry is dropped and counted, and those around it go out", () =>
    Effect.gen(function*() {
      const { app, dropped, peer } = yield* open(256 * KiB)
      app.write(framed("before", Pattern.at(0, 65508), "after", Pattern.at(0, 65507)))
      yield* until("the answers", () => peer.received.length === 3)
      assert.deepStrictEqual(peer.received.map(({ length }) => length), [6, 5, 65507])
      assert.deepStrictEqual(dropped, ["too-large"])
    }))

  test("more than the system takes at once goes out in turns, in order", () =>
    Effect.gen(function*() {
      const { app, dropped, peer } = yield* open()
      const sent = Array.from({ length: 150 }, (_, i) => `datagram ${i}`)
      app.write(framed(...sent))
      yield* until("all", () => peer.received.length === sent.length)
      assert.deepStrictEqual(texts(peer.received), sent)
      assert.deepStrictEqual(dropped, [])
      assert.deepStrictEqual(app.inside, [])
    }))

  test("a datagram in parts is sent when it is whole", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open()
      const bytes = framed("in parts")
      for (let at = 0; at < bytes.length; at++) {
        app.write(bytes.subarray(at, at + 1))
        yield* settled
      }
      app.write(framed(""))
      yield* until("both", () => peer.received.length === 2)
      assert.deepStrictEqual(texts(peer.received), ["in parts", ""])
    }))

  for (const length of [4 * KiB - 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    test(`a worker that claims a datagram of ${length} bytes breaks its session, and no other`, () =>
      Effect.gen(function*() {
        const { app, connections, local, peer } = yield* open(4 * KiB)
        const other = yield* UdpPeer.make(local)
        other.send("other")
        yield* until("another session", () => connections.length === 2)
        const second = new AppEnd(connections[1]!, 4 * KiB).open()
        app.write(Buffer.concat([Datagram.writeLength(new Uint8Array(4), length), Buffer.alloc(1000)]))
        yield* until("the reset", () => app.over !== undefined)
        assert.match(app.over?.reset ?? "", /wrote something other than datagrams/)
        second.write(framed("fine"))
        yield* until("the other's answer", () => other.received.length === 1)
        assert.deepStrictEqual(peer.received, [])
        assert.deepStrictEqual(app.inside, [])
      }))
  }

  test("a fifo whose other side writes nonsense breaks its session", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open(4 * KiB)
      app.words.fill(0x7000_0000, 31, 32)
      peer.send("more")
      yield* until("the error", () => app.error !== undefined)
      app.call((connection) => connection.send())
      yield* settled
      assert.deepStrictEqual(app.inside, [])
    }))

  test("an idle session ends in order, and what comes later is a new one", () =>
    Effect.gen(function*() {
      const { app, connections, peer } = yield* open(4 * KiB, { udpIdleTimeout: 40 })
      yield* until("the end", () => app.said.includes("ended"))
      app.write(framed("last words"))
      app.call((connection) => connection.end())
      yield* until("the end of all", () => app.over !== undefined)
      assert.deepStrictEqual(app.over, { reset: undefined })
      assert.deepStrictEqual(app.said, ["received", "ended", "closed"])
      assert.deepStrictEqual(app.inside, [])
      yield* until("its last words", () => peer.received.length === 1)
      peer.send("again")
      yield* until("a new session", () => connections.length === 2)
    }))

  test("an application that does not end an idle session has it ended for it", () =>
    Effect.gen(function*() {
      const { app } = yield* open(4 * KiB, { udpIdleTimeout: 20 })
      yield* until("the end of all", () => app.over !== undefined)
      assert.deepStrictEqual(app.said, ["received", "ended", "closed"])
    }))

  for (const who of ["peer", "app"] as const) {
    test(`a session is not idle while datagrams of the ${who} pass`, () =>
      Effect.gen(function*() {
        const pass = yield* SystemTimers.fake
        const { app, peer } = yield* open(64 * KiB, { udpIdleTimeout: 400 })
        const before = app.rx.size
        const one = framed("still here")
        for (let count = 1; count <= 4; count++) {
          if (who === "peer") peer.send("still here")
          else app.write(one)
          yield* until(
            "a datagram",
            () => app.rx.size === before + count * one.length || peer.received.length === count
          )
          pass(399)
          assert.isFalse(app.said.includes("ended"))
        }
        pass(1)
        yield* until("the end", () => app.said.includes("ended"))
      }))
  }

  test("an end of the application is not heard of, and the peer's datagrams still come", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open()
      app.write(framed("last"))
      app.call((connection) => connection.end())
      yield* until("the last", () => peer.received.length === 1)
      peer.send("and mine")
      yield* until("the answer", () => app.rx.size > 0)
      assert.deepStrictEqual(texts(take(app)), ["and mine"])
      assert.isUndefined(app.over)
    }))

  test("close sends what was written, and the session is over", () =>
    Effect.gen(function*() {
      const { app, connections, peer } = yield* open()
      app.write(framed(...Array.from({ length: 100 }, (_, i) => `${i}`)))
      app.call((connection) => connection.close())
      app.call((connection) => connection.close())
      yield* until("all of it", () => peer.received.length === 100)
      assert.deepStrictEqual(app.said, ["received", "closed"])
      assert.deepStrictEqual(app.inside, [])
      peer.send("again")
      yield* until("a new session", () => connections.length === 2)
    }))

  test("abort is the last event; late calls do nothing", () =>
    Effect.gen(function*() {
      const { app, peer } = yield* open()
      app.call((connection) => connection.abort())
      app.call((connection) => connection.abort())
      yield* until("the end", () => app.over !== undefined)
      app.write(framed("late"))
      app.call((connection) => connection.resume())
      app.call((connection) => connection.end())
      app.call((connection) => connection.close())
      yield* settled
      assert.deepStrictEqual(app.said, ["received", "closed: the connection was given up"])
      assert.deepStrictEqual(peer.received, [])
    }))

  test("a session that is given up before it was opened says so, and the next datagram is a new one's", () =>
    Effect.gen(function*() {
      const { connections, local } = yield* listen()
      const peer = yield* UdpPeer.make(local)
      peer.send("refused")
      yield* until("a session", () => connections.length === 1)
      let gone = 0
      connections[0]!.onGone = () => gone++
      connections[0]!.abort()
      assert.strictEqual(gone, 0)
      yield* until("its end", () => gone === 1)
      const app = new AppEnd(connections[0]!, 4 * KiB).open()
      yield* until("its last event", () => app.over !== undefined)
      peer.send("again")
      yield* until("another session", () => connections.length === 2)
      const second = new AppEnd(connections[1]!, 4 * KiB).open()
      yield* until("the datagram", () => second.rx.size > 0)
      assert.deepStrictEqual(texts(take(second)), ["again"])
    }))

  test("W9 sessions go on without their listener, whose endpoint is free for the next, and then for anybody", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const transport = yield* Transport
      const connections: Array<SharedConnection> = []
      const listenFor = (accepted: Array<SharedConnection>, endpoint: string) =>
        transport.listen(endpointOf(endpoint), {
          ...listenOptions,
          accept: (connection) => accepted.push(sharedOf(connection))
        })
      const local = Endpoint.format(yield* Scope.provide(listenFor(connections, "udp://127.0.0.1:0"), scope))
      const peer = yield* UdpPeer.make(local)
      peer.send("one")
      yield* until("a session", () => connections.length === 1)
      const app = new AppEnd(connections[0]!, 4 * KiB).open()
      yield* Scope.close(scope, Exit.void)
      peer.send("two")
      yield* until("both", () => app.rx.size === 14)
      app.write(framed("answer"))
      yield* until("the answer", () => peer.received.length === 1)
      const stranger = yield* UdpPeer.make(local)
      stranger.send("nobody listens")
      yield* settled

      const later: Array<SharedConnection> = []
      const second = yield* Scope.make()
      assert.strictEqual(Endpoint.format(yield* Scope.provide(listenFor(later, local), second)), local)
      stranger.send("somebody listens")
      yield* until("its session", () => later.length === 1)
      assert.strictEqual(connections.length, 1)
      later[0]!.abort()
      yield* Scope.close(second, Exit.void)
      app.call((connection) => connection.abort())
      yield* settled
      yield* UdpPeer.make(local, "127.0.0.1", inetOf(local).port)
    }))

  test("port 0 gives a port of its own, and one that is taken is refused", () =>
    Effect.gen(function*() {
      const first = yield* listen()
      const second = yield* listen()
      assert.notStrictEqual(first.local, second.local)
      assert.notStrictEqual(inetOf(first.local).port, 0)
      const mine = yield* Effect.flip(listen(first.local))
      const peer = yield* UdpPeer.make(first.local)
      const theirs = yield* Effect.flip(listen(peer.local))
      for (const error of [mine, theirs]) {
        assert.strictEqual(error.operation, "listen")
        assert.strictEqual(error.reason, "AddressInUse")
      }
    }))

  test("an address that is not this machine's is refused with a reason", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(listen("udp://192.0.2.1:0"))
      assert.strictEqual(error.reason, "AddressNotAvailable")
    }))

  it.live("a name is looked up, and one that is not found is told", () => {
    const lookup: Net.LookupFunction = (host, _, callback) =>
      host === "here.test"
        ? callback(null, "127.0.0.1", 4)
        : callback(Object.assign(new Error("not found"), { code: "ENOTFOUND", syscall: "getaddrinfo" }), "", 0)
    return Effect.gen(function*() {
      const { local } = yield* listen("udp://here.test:0")
      assert.match(local, /^udp:\/\/127\.0\.0\.1:\d+$/)
      const transport = yield* Transport
      const connection = yield* transport.connect(endpointOf(`udp://here.test:${inetOf(local).port}`))
      assert.strictEqual(connection.remote, local)
      connection.abort()
      assert.strictEqual((yield* Effect.flip(listen("udp://nowhere.test:0"))).reason, "AddressNotAvailable")
      const error = yield* Effect.flip(transport.connect(endpointOf("udp://nowhere.test:53")))
      assert.strictEqual(error.reason, "Unreachable")
    }).pipe(Effect.scoped, Effect.provide(layer({ lookup })))
  })

  test("any IPv6 address takes IPv4 peers too, unless it is told not to", () =>
    Effect.gen(function*() {
      const { connections, local } = yield* listen("udp://[::]:0")
      const { port } = inetOf(local)
      const four = yield* UdpPeer.make(`udp://127.0.0.1:${port}`)
      const six = yield* UdpPeer.make(`udp://[::1]:${port}`)
      four.send("four")
      yield* until("a session", () => connections.length === 1)
      six.send("six")
      yield* until("another", () => connections.length === 2)
      assert.deepStrictEqual(connections.map(({ remote }) => remote), [four.local, six.local])
      const apps = connections.map((connection) => new AppEnd(connection, 4 * KiB).open())
      for (const app of apps) app.write(framed("answer"))
      yield* until("the answers", () => four.received.length === 1 && six.received.length === 1)

      const only = yield* listen("udp://[::]:0", { ipv6Only: true })
      four.send("not for you", `udp://127.0.0.1:${inetOf(only.local).port}`)
      six.send("for you", `udp://[::1]:${inetOf(only.local).port}`)
      yield* until("a session", () => only.connections.length === 1)
      assert.strictEqual(only.connections[0]!.remote, six.local)
    }), hasIPv6)

  describe("a connect", () => {
    const connect = Effect.fnUntraced(function*(
      to: string,
      options: { readonly source?: string; readonly listener?: Partial<ListenerOptions> } = {}
    ) {
      const transport = yield* Transport
      const connection = yield* transport.connect(endpointOf(to), {
        listener: { ...Options.defaults.listener, ...options.listener },
        ...(options.source !== undefined && { source: inetOf(options.source) })
      })
      const app = new AppEnd(connection, 16 * KiB).open()
      yield* Effect.addFinalizer(() => Effect.sync(() => connection.abort()))
      return { app, connection }
    })

    test("has datagrams go both ways", () =>
      Effect.gen(function*() {
        const peer = yield* UdpPeer.make("udp://127.0.0.1:1")
        const { app, connection } = yield* connect(peer.local)
        assert.strictEqual(connection.remote, peer.local)
        app.write(framed("ping", ""))
        yield* until("both", () => peer.received.length === 2)
        assert.deepStrictEqual(texts(peer.received), ["ping", ""])
        peer.send("pong", connection.local)
        yield* until("the answer", () => app.rx.size > 0)
        assert.deepStrictEqual(texts(take(app)), ["pong"])
        const stranger = yield* UdpPeer.make(connection.local)
        stranger.send("from somebody else")
        yield* settled
        assert.strictEqual(app.rx.size, 0)
        assert.deepStrictEqual(app.inside, [])
      }))

    test("to where nobody listens breaks when it sends", () =>
      Effect.gen(function*() {
        const gone = yield* Effect.scoped(Effect.map(UdpPeer.make("udp://127.0.0.1:1"), ({ local }) => local))
        const { app } = yield* connect(gone)
        app.write(framed("anybody?"))
        yield* until("the reset", () => {
          if (app.over === undefined) app.write(framed("anybody?"))
          return app.over !== undefined
        })
        assert.strictEqual(app.over?.reset, "nobody listens there")
        assert.deepStrictEqual(app.inside, [])
      }))

    test("comes from its source", () =>
      Effect.gen(function*() {
        const peer = yield* UdpPeer.make("udp://127.0.0.1:1")
        const free = yield* Effect.scoped(Effect.map(UdpPeer.make(peer.local), ({ local }) => local))
        const { connection } = yield* connect(peer.local, { source: free })
        assert.strictEqual(connection.local, free)
        const taken = yield* Effect.flip(connect(peer.local, { source: free }))
        assert.strictEqual(taken.reason, "AddressInUse")
        const foreign = yield* Effect.flip(connect(peer.local, { source: "udp://192.0.2.1:0" }))
        assert.strictEqual(foreign.reason, "AddressNotAvailable")
        const six = yield* Effect.flip(connect(peer.local, { source: "udp://[::1]:0" }))
        assert.strictEqual(six.reason, "AddressNotAvailable")
      }))

    test("that is idle ends in order, and its socket with it", () =>
      Effect.gen(function*() {
        const peer = yield* UdpPeer.make("udp://127.0.0.1:1")
        const { app, connection } = yield* connect(peer.local, { listener: { udpIdleTimeout: 20 } })
        yield* until("the end", () => app.over !== undefined)
        assert.deepStrictEqual(app.said, ["ended", "closed"])
        yield* UdpPeer.make(peer.local, "127.0.0.1", inetOf(connection.local).port)
      }))
  })

  test("what waits in all sessions of a listener is bounded together, and forgotten with them", () =>
    Effect.gen(function*() {
      const { connections, dropped, local } = yield* listen(undefined, { udpPending: 65536 })
      const peer = yield* UdpPeer.make(local)
      const large = Buffer.alloc(60_000)
      // 16 MiB wait together: 279 of these
      for (let sent = 0; dropped.length === 0 && sent < 1000; sent++) {
        peer.send(large)
        yield* turn
      }
      yield* until("a drop", () => dropped.length > 0)
      assert.deepStrictEqual(dropped.slice(0, 1), ["not-claimed"])
      const other = yield* UdpPeer.make(local)
      connections[0]!.abort()
      other.send(large)
      yield* until("another session", () => connections.length === 2)
      const app = new AppEnd(connections[1]!, 128 * KiB).open()
      yield* until("its datagram", () => app.rx.size === 60_004)
    }))
})

describe("TransportUdp's sockets", () => {
  it.live("a socket that fails to bind is closed", () =>
    Effect.gen(function*() {
      const peer = yield* UdpPeer.make("udp://127.0.0.1:1")
      const open = () =>
        (process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<unknown> })._getActiveHandles()
          .filter((handle) => handle instanceof Dgram.Socket)
      const before = new Set(open())
      yield* Effect.flip(listen(peer.local))
      yield* until("no other socket than before", () => open().every((socket) => before.has(socket)))
    }).pipe(Effect.scoped, Effect.provide(layer())))
})
