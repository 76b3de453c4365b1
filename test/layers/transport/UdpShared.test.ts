/** A socket of UDP that two processes have (X4), as each of them sees it: here they are two listeners. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Datagram from "../../../src/domain/memory/Datagram.ts"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import type { RelayedDatagram } from "../../../src/domain/takeover/DatagramRelay.ts"
import * as Transports from "../../../src/layers/transport/Transports.ts"
import * as TransportUdp from "../../../src/layers/transport/TransportUdp.ts"
import { type ListeningSocket, type SharedConnection, Transport } from "../../../src/services/Transport.ts"
import { AppEnd, sharedOf } from "../../support/AppEnd.ts"
import { endpointOf, hasIPv6, inetOf, listenOptions } from "../../support/TransportWorlds.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { settled, until } from "../../support/until.ts"

const KiB = 1024

const listen = Effect.fnUntraced(function*(endpoint = "udp://127.0.0.1:0") {
  const transport = yield* Transport
  const connections: Array<SharedConnection> = []
  const dropped: Array<string> = []
  const sockets: Array<ListeningSocket> = []
  const bound = yield* transport.listen(endpointOf(endpoint), {
    ...listenOptions,
    opened: (socket) => void sockets.push(socket),
    accept: (connection) => connections.push(sharedOf(connection)),
    dropped: (reason) => dropped.push(reason)
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.abort())))
  const socket = sockets[0]!
  return { local: Endpoint.format(bound), connections, dropped, socket, datagrams: socket.datagrams! }
})

/** The peer's name as a socket has it. */
const nameOf = ({ local }: UdpPeer.UdpPeer): string => `${inetOf(local).host} ${inetOf(local).port}`

const take = (app: AppEnd): Array<string> => {
  const all: Array<string> = []
  while (app.rx.size > 0) all.push(app.read(Datagram.readLength(app.read(Datagram.HEADER))).toString())
  return all
}

const test = (title: string, body: () => Effect.Effect<void, unknown, Transport | Scope.Scope>, needs = true): void =>
  it.live.runIf(needs)(
    title,
    () => body().pipe(Effect.scoped, Effect.provide(Transports.layer({ udp: TransportUdp.make() })))
  )

describe("a socket of UDP that two processes have (X4)", () => {
  test("X4 is read by one of them: what comes meanwhile waits, and comes in order", () =>
    Effect.gen(function*() {
      const { connections, datagrams, local, socket } = yield* listen()
      assert.isAbove(socket.descriptor, 2)
      const peer = yield* UdpPeer.make(local)
      peer.send("1")
      yield* until("a session", () => connections.length === 1)
      const app = new AppEnd(connections[0]!, 4 * KiB).open()
      socket.leave()
      for (const text of ["2", "3"]) peer.send(text)
      const other = yield* UdpPeer.make(local)
      other.send("4")
      yield* settled
      assert.deepStrictEqual([take(app), connections.length], [["1"], 1])
      // it answers over its own descriptor all the while
      app.write(Datagram.join([Buffer.from("answer")]))
      yield* until("an answer", () => peer.received.length === 1)
      datagrams.read()
      assert.lengthOf(connections, 1, "another process reads it")
      datagrams.takeBack()
      yield* until("another session", () => connections.length === 2)
      assert.deepStrictEqual(take(app), ["2", "3"])
    }))

  test("X4 has what it reads for sessions of the other one go there, until these are over", () =>
    Effect.gen(function*() {
      const [old, next] = [yield* listen(), yield* listen()]
      const peer = yield* UdpPeer.make(old.local)
      peer.send("1")
      yield* until("a session", () => old.connections.length === 1)
      const app = new AppEnd(old.connections[0]!, 4 * KiB).open()
      old.socket.leave()
      const over: Array<string> = []
      old.datagrams.onOver = (name) => over.push(name)
      assert.deepStrictEqual([...old.datagrams.peers], [nameOf(peer)])
      const batches: Array<ReadonlyArray<RelayedDatagram>> = []
      const relay = next.datagrams.relay([...old.datagrams.peers], (batch) => void batches.push(batch))
      peer.send("2", next.local)
      yield* until("a batch", () => batches.length === 1)
      for (const { bytes, peer } of batches[0]!) assert.isTrue(old.datagrams.receive(peer, bytes))
      relay.answered([])
      yield* until("all of it", () => app.rx.size === 2 * (Datagram.HEADER + 1))
      assert.deepStrictEqual(take(app), ["1", "2"])

      old.connections[0]!.close()
      assert.deepStrictEqual(over, [nameOf(peer)])
      peer.send("3", next.local)
      yield* until("a batch", () => batches.length === 2)
      const [late] = batches[1]!
      assert.isFalse(old.datagrams.receive(late!.peer, late!.bytes))
      assert.lengthOf(next.connections, 0)
      relay.over(over)
      relay.answered([0])
      assert.lengthOf(next.connections, 1)
      peer.send("4", next.local)
      const begun = new AppEnd(next.connections[0]!, 4 * KiB).open()
      yield* until("a new session", () => begun.rx.size === 2 * (Datagram.HEADER + 1))
      assert.deepStrictEqual(take(begun), ["3", "4"])
      assert.deepStrictEqual([next.connections[0]!.remote, batches.length], [peer.local, 2])
    }))

  test("X4 lends a session that another process is to have, with what has come for it", () =>
    Effect.gen(function*() {
      const [old, next] = [yield* listen(), yield* listen()]
      const peer = yield* UdpPeer.make(old.local)
      for (const text of ["1", "2"]) peer.send(text)
      yield* until("a session", () => old.connections.length === 1)
      const connection = old.connections[0]!
      const app = new AppEnd(connection, 4 * KiB).open()
      yield* until("datagrams", () => app.rx.size === 2 * (Datagram.HEADER + 1))
      assert.isUndefined(connection.isSent, "this process reads the socket")
      old.socket.leave()
      assert.isTrue(connection.isSent)
      assert.isUndefined(connection.lend!(), "it has a session")
      connection.suspend(Datagram.join(take(app).map((text) => Buffer.from(text))))
      assert.isTrue(old.datagrams.receive(nameOf(peer), Buffer.from("3")))
      const { socket, unread } = connection.lend!()!
      assert.isUndefined(socket)
      connection.setOff!()
      assert.isFalse(old.datagrams.receive(nameOf(peer), Buffer.from("4")), "it is on its way")

      const batches: Array<ReadonlyArray<RelayedDatagram>> = []
      const relay = next.datagrams.relay([nameOf(peer)], (batch) => void batches.push(batch))
      peer.send("4", next.local)
      yield* until("a batch", () => batches.length === 1)
      const { about, local, mapped, remote } = connection
      const adopted = next.socket.adopt(undefined, { about, local, mapped, remote, unread })
      assert(adopted !== undefined)
      assert.isUndefined(next.socket.adopt(undefined, { about, local, mapped, remote, unread }), "it is there")
      peer.send("5", next.local)
      yield* settled
      relay.answered([0])
      const moved = new AppEnd(sharedOf(adopted), 4 * KiB).open()
      yield* until("all of them", () => moved.rx.size === 5 * (Datagram.HEADER + 1))
      assert.deepStrictEqual(take(moved), ["1", "2", "3", "4", "5"])
      connection.letGo!()
      moved.write(Datagram.join([Buffer.from("answer")]))
      yield* until("an answer", () => peer.received.length === 1)
      assert.deepStrictEqual([...old.datagrams.peers], [])
      assert.deepStrictEqual([...old.dropped, ...next.dropped], [])
      sharedOf(adopted).abort()
    }))

  test("X4 takes no session of a peer that can't be", () =>
    Effect.gen(function*() {
      const { local, socket } = yield* listen()
      const wrong = ["udp://host:5", "udp://127.0.0.1:0", "udp://127.0.0.1:99999", "127.0.0.1:5", ""]
      for (const remote of wrong) {
        const sent = { remote, local, mapped: false, about: undefined, unread: undefined }
        assert.isUndefined(socket.adopt(undefined, sent), remote)
      }
    }))

  test("X4 knows an IPv4 peer of an IPv6 socket again", () =>
    Effect.gen(function*() {
      const { datagrams, local, socket } = yield* listen("udp://[::]:0")
      const to = `udp://127.0.0.1:${inetOf(local).port}`
      const peer = yield* UdpPeer.make(to)
      const sent = { remote: peer.local, local: to, mapped: true, about: undefined, unread: undefined }
      const adopted = socket.adopt(undefined, sent)
      assert(adopted !== undefined)
      assert.deepStrictEqual([...datagrams.peers], [`::ffff:${nameOf(peer)}`])
      const app = new AppEnd(sharedOf(adopted), 4 * KiB).open()
      peer.send("1")
      yield* until("a datagram", () => app.rx.size > 0)
      app.write(Datagram.join([Buffer.from("answer")]))
      yield* until("an answer", () => peer.received.length === 1)
      sharedOf(adopted).abort()
    }), hasIPv6)

  test("X1 all that a session has written goes out when it moves on, and nothing of it is taken for the next one's", () =>
    Effect.gen(function*() {
      const { connections, dropped, local } = yield* listen()
      const peer = yield* UdpPeer.make(local)
      peer.send("1")
      yield* until("a session", () => connections.length === 1)
      const connection = connections[0]!
      const app = new AppEnd(connection, 64 * KiB).open()
      // more than a socket gives the system at once
      const texts = Array.from({ length: 150 }, (_, number) => `answer ${number}`)
      app.write(Datagram.join(texts.map((text) => Buffer.from(text))))
      connection.suspend(undefined)
      const moved = new AppEnd(connection, 64 * KiB).open()
      moved.write(Datagram.join([Buffer.from("moved")]))
      yield* until("all answers", () => peer.received.length === 151)
      assert.deepStrictEqual(peer.received.map(String), [...texts, "moved"])
      assert.deepStrictEqual(dropped, [])
    }))

  test("what comes from a peer whose session's worker stops begins another session", () =>
    Effect.gen(function*() {
      const { connections, local } = yield* listen()
      const peer = yield* UdpPeer.make(local)
      peer.send("1")
      yield* until("a session", () => connections.length === 1)
      const app = new AppEnd(connections[0]!, 4 * KiB).open()
      connections[0]!.stop!()
      peer.send("2")
      yield* until("another session", () => connections.length === 2)
      assert.deepStrictEqual(take(app), ["1"])
      app.write(Datagram.join([Buffer.from("answer")]))
      yield* until("an answer to what it had", () => peer.received.length === 1)
    }))
})
