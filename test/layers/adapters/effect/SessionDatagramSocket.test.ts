import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type * as DatagramSocket from "effect/socket/DatagramSocket"
import * as SessionDatagramSocket from "../../../../src/layers/adapters/effect/SessionDatagramSocket.ts"
import * as SessionDatagrams from "../../../../src/layers/worker/SessionDatagrams.ts"
import { type Session, Sessions } from "../../../../src/services/Sessions.ts"
import * as LocalHost from "../../../support/LocalHost.ts"
import * as SessionPair from "../../../support/SessionPair.ts"
import { settled } from "../../../support/until.ts"

const endpoint = "udp://127.0.0.1:5353"

const makeNet = (bound?: number) =>
  SessionPair.makeNet({ transport: "udp", endpoints: ["tcp://127.0.0.1:80", endpoint], bound })

const open = Effect.fnUntraced(function*(net: SessionPair.Net, options?: SessionDatagramSocket.DatagramListenOptions) {
  const socket = yield* Effect.provideService(SessionDatagramSocket.listen(options), Sessions, net.sessions)
  return { reader: yield* socket.reader, writer: yield* socket.writer }
})

const text = (datagram: DatagramSocket.Datagram | undefined): string => Buffer.from(datagram!.payload).toString()

const send = (session: Session, payload: string) => SessionDatagrams.send(session, Buffer.from(payload))

const received = (session: Session): Array<string> => {
  const all: Array<string> = []
  for (let one = SessionDatagrams.receive(session); one !== undefined; one = SessionDatagrams.receive(session)) {
    all.push(Buffer.from(one).toString())
  }
  return all
}

const reasonOf = <A, R>(effect: Effect.Effect<A, DatagramSocket.DatagramSocketError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("SessionDatagramSocket", () => {
  it.effect("gives the datagrams of all its sessions, with the address of each, and answers go to the right one", () =>
    Effect.gen(function*() {
      const net = makeNet()
      const { reader, writer } = yield* open(net)
      assert.strictEqual(NetAddress.formatInet(reader.address), "127.0.0.1:5353")
      const [one, two] = [net.dial(endpoint), net.dial(endpoint)]
      send(one, "first")
      send(one, "")
      send(two, "from two")
      yield* settled
      const datagrams = yield* reader.pull
      assert.deepStrictEqual(datagrams.map(text), ["first", "", "from two"])
      assert.deepStrictEqual(
        datagrams.map(({ address }) => `udp://${NetAddress.formatInet(address)}`),
        [one.local, one.local, two.local]
      )
      yield* writer.write({ payload: "to two", address: datagrams[2]! })
      yield* writer.writeAll([
        { payload: "to one", address: datagrams[0]!.address },
        { payload: "and again", address: datagrams[1]! }
      ])
      // a whole datagram is sent back as it came
      yield* writer.write(datagrams[0]!)
      yield* settled
      assert.deepStrictEqual(received(one), ["to one", "and again", "first"])
      assert.deepStrictEqual(received(two), ["to two"])
    }).pipe(Effect.scoped))

  it.effect("a write to somebody who has no session here fails with Unreachable", () =>
    Effect.gen(function*() {
      const { writer } = yield* open(makeNet())
      const address = NetAddress.inetAddressFromIpStringUnsafe("127.0.0.1", 9)
      const reason = yield* reasonOf(writer.write({ payload: "hello?", address }))
      assert.strictEqual(reason._tag === "DatagramSocketWriteError" && reason.kind, "Unreachable")
      assert.strictEqual(reason._tag === "DatagramSocketWriteError" && reason.address, address)
    }).pipe(Effect.scoped))

  it.effect("a datagram that never fits fails with MessageTooLarge", () =>
    Effect.gen(function*() {
      const net = makeNet(4096)
      const { reader, writer } = yield* open(net)
      send(net.dial(endpoint), "hello")
      const [address] = yield* reader.pull
      const reason = yield* reasonOf(writer.write({ payload: new Uint8Array(4093), address }))
      assert.strictEqual(reason._tag === "DatagramSocketWriteError" && reason.kind, "MessageTooLarge")
      yield* writer.write({ payload: new Uint8Array(4092), address })
    }).pipe(Effect.scoped))

  it.effect("a datagram that has no room now waits for it, and those after it too", () =>
    Effect.gen(function*() {
      const net = makeNet(4096)
      const { reader, writer } = yield* open(net)
      const peer = net.dial(endpoint)
      send(peer, "hello")
      const [address] = yield* reader.pull
      yield* writer.write({ payload: Buffer.alloc(4000, "a"), address })
      const big = yield* Effect.forkChild(writer.write({ payload: Buffer.alloc(3000, "b"), address }), {
        startImmediately: true
      })
      const small = yield* Effect.forkChild(writer.write({ payload: "c", address }), { startImmediately: true })
      yield* settled
      assert.isUndefined(big.pollUnsafe())
      assert.isUndefined(small.pollUnsafe())
      assert.deepStrictEqual(received(peer).map(({ length }) => length), [4000])
      yield* settled
      yield* Fiber.join(big)
      yield* Fiber.join(small)
      assert.deepStrictEqual(received(peer).map(({ length }) => length), [3000, 1])
    }).pipe(Effect.scoped))

  it.effect("what waits for room fails with Unreachable when its session goes", () =>
    Effect.gen(function*() {
      const net = makeNet(4096)
      const { reader, writer } = yield* open(net)
      const peer = net.dial(endpoint)
      send(peer, "hello")
      const [address] = yield* reader.pull
      yield* writer.write({ payload: Buffer.alloc(4000), address })
      const waits = yield* Effect.forkChild(reasonOf(writer.write({ payload: Buffer.alloc(4000), address })), {
        startImmediately: true
      })
      peer.abort()
      const reason = yield* Fiber.join(waits)
      assert.strictEqual(reason._tag === "DatagramSocketWriteError" && reason.kind, "Unreachable")
      const later = yield* reasonOf(writer.write({ payload: "late", address }))
      assert.strictEqual(later._tag === "DatagramSocketWriteError" && later.kind, "Unreachable")
    }).pipe(Effect.scoped))

  it.effect("more than the queue holds is dropped, and counted", () =>
    Effect.gen(function*() {
      const net = makeNet()
      const { reader } = yield* open(net, { receiveBuffer: { capacity: 2 } })
      const peer = net.dial(endpoint)
      for (const word of ["one", "two", "three"]) send(peer, word)
      yield* settled
      assert.deepStrictEqual((yield* reader.pull).map(text), ["one", "two"])
      assert.strictEqual(reader.dropped(), 1)
    }).pipe(Effect.scoped))

  it.effect("a session whose peer ends, or breaks, is let go of", () =>
    Effect.gen(function*() {
      const net = makeNet()
      const { reader } = yield* open(net)
      const [ends, breaks, talksNonsense] = [net.dial(endpoint), net.dial(endpoint), net.dial(endpoint)]
      send(ends, "last words")
      ends.end()
      breaks.abort()
      talksNonsense.write(Uint8Array.of(255, 255, 255, 255))
      yield* settled
      assert.deepStrictEqual((yield* reader.pull).map(text), ["last words"])
      assert.deepStrictEqual(net.accepted.map((end) => end.closed && end.handler === undefined), [true, true, true])
    }).pipe(Effect.scoped))

  it.effect("the end of the reader's scope fails the pull that waits, stops the listener and ends the sessions", () =>
    Effect.gen(function*() {
      const net = makeNet()
      const scope = yield* Scope.make()
      const { reader } = yield* Scope.provide(open(net), scope)
      const peer = net.dial(endpoint)
      const pulling = yield* Effect.forkChild(reasonOf(reader.pull), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(pulling))._tag, "DatagramSocketClosedError")
      yield* settled
      assert.deepStrictEqual(net.listening, [])
      assert.isTrue(peer.ended)
    }).pipe(Effect.scoped))

  it.effect("a listener that can't be is an open error that says why", () =>
    Effect.gen(function*() {
      const net = makeNet()
      yield* open(net)
      const twice = yield* reasonOf(open(net))
      assert.strictEqual(twice._tag === "DatagramSocketOpenError" && twice.kind, "AddressInUse")
      const nowhere = yield* reasonOf(open(SessionPair.makeNet()))
      assert.match(String(nowhere._tag === "DatagramSocketOpenError" && nowhere.cause), /given no endpoint/)
    }).pipe(Effect.scoped))

  it.effect("multicast is said not to be supported", () =>
    Effect.gen(function*() {
      const { reader } = yield* open(makeNet())
      const group = NetAddress.ipv4FromBytesUnsafe(Uint8Array.of(239, 1, 2, 3))
      if (!NetAddress.isMulticast(group)) return assert.fail("an address for groups")
      const reason = yield* reasonOf(Effect.scoped(reader.joinMulticast({ group })))
      assert.strictEqual(reason._tag, "DatagramSocketUnsupportedError")
    }).pipe(Effect.scoped))

  it.effect("W16 between workers: a client's socket and a server's, whose peers have no address", () =>
    Effect.gen(function*() {
      const host = yield* LocalHost.make({ workers: 3 })
      const [server, one, two] = host.workers.map(({ sessions }) => sessions)
      const listening = yield* Effect.provideService(
        SessionDatagramSocket.listen({ endpoint: LocalHost.endpoint }),
        Sessions,
        server!
      )
      const reader = yield* listening.reader
      const writer = yield* listening.writer
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.flatMap(
            reader.pull,
            (batch) =>
              Effect.forEach(
                batch,
                (datagram) => writer.write({ payload: text(datagram).toUpperCase(), address: datagram }),
                { discard: true }
              )
          )
        )
      )
      for (const [sessions, word] of [[one!, "hello"], [two!, "there"]] as const) {
        const socket = yield* Effect.provideService(
          SessionDatagramSocket.connect(LocalHost.endpoint),
          Sessions,
          sessions
        )
        const answers = yield* socket.reader
        const asks = yield* socket.writer
        yield* asks.write({ payload: word })
        const [answer] = yield* answers.pull
        assert.strictEqual(text(answer), word.toUpperCase())
      }
    }).pipe(Effect.scoped))
})
