/**
 * Hosts that follow each other over UDP, while datagrams come, and sessions end and move. Sockets, sessions, relays and
 * messages are real; the system's queue, the channels and what is done with sessions are the test's.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Dgram from "node:dgram"
import { EventEmitter } from "node:events"
import * as Datagram from "../../../src/domain/memory/Datagram.ts"
import * as Address from "../../../src/domain/net/Address.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as TakeoverMessage from "../../../src/domain/takeover/TakeoverMessage.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { DatagramRelays } from "../../../src/layers/takeover/DatagramRelays.ts"
import { KeptDatagrams } from "../../../src/layers/takeover/KeptDatagrams.ts"
import { PredecessorSide, type SuccessorProcess } from "../../../src/layers/takeover/PredecessorSide.ts"
import { UdpSocket } from "../../../src/layers/transport/UdpSocket.ts"
import { SessionRules } from "../../../src/services/SessionRules.ts"
import { Succession } from "../../../src/services/Succession.ts"
import type { Connection, SharedConnection } from "../../../src/services/Transport.ts"
import { AppEnd, sharedOf } from "../../support/AppEnd.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { listenOptions } from "../../support/TransportWorlds.ts"
import { turn } from "../../support/until.ts"

const LISTENER = "0.0"
const PORTS = [1, 2, 3, 4, 5]
const MOST_HOSTS = 4
/** Bytes of a session's memory: there are hundreds of sessions, in a process that other tests have filled. */
const MEMORY = 64 << 10

/** What the system has for the socket, and what sessions have got, by the ports of their peers. */
interface Desk {
  readonly queue: Array<{ readonly port: number; readonly text: string }>
  readonly got: Map<number, Array<number>>
  dropped: number
}

class Host {
  readonly desk: Desk
  readonly before: Host | undefined
  readonly socket = new UdpSocket(Dgram.createSocket("udp4"))
  readonly sessions = new Map<SharedConnection, AppEnd>()
  /** Messages to the host before, and to the one that follows. */
  readonly up: Array<unknown> = []
  readonly down: Array<unknown> = []
  readonly #relays = new DatagramRelays((message) => this.up.push(TakeoverMessage.encodeToPredecessor(message)))
  #kept: KeptDatagrams | undefined
  reads: boolean
  #onTheirWay = new Map<number, SharedConnection>()
  #ids = 0

  constructor(desk: Desk, before: Host | undefined) {
    this.desk = desk
    this.before = before
    this.reads = before === undefined
    this.socket.serve({
      ...listenOptions,
      listener: { ...listenOptions.listener, udpPending: 1000 },
      dropped: () => void desk.dropped++,
      accept: (connection) => this.#open(connection)
    })
    before?.leave()
  }

  #open(connection: Connection): void {
    const shared = sharedOf(connection)
    this.sessions.set(shared, new AppEnd(shared, 16 << 10, MEMORY).open())
  }

  leave(): void {
    this.reads = false
    this.socket.leave()
    this.#kept = new KeptDatagrams(new Map([[LISTENER, this.socket]]), (message) => this.#say(message))
    this.socket.retire()
  }

  #say(message: TakeoverMessage.ToSuccessor): void {
    this.down.push(TakeoverMessage.encodeToSuccessor(message))
  }

  /** Reads all that the system has. */
  read(): void {
    for (const { port, text } of this.reads ? this.desk.queue.splice(0) : []) {
      this.socket.socket.emit("message", Buffer.from(text), { address: "127.0.0.1", port, family: "IPv4", size: 0 })
    }
  }

  /** What its sessions have, goes to their applications. */
  serve(): void {
    for (const [{ remote }, app] of this.sessions) {
      const { port } = Address.hostPort(remote)!
      const got = this.desk.got.get(port)!
      for (const bytes of take(app)) got.push(Number(Buffer.from(bytes)))
    }
  }

  close(connection: SharedConnection): void {
    this.serve()
    this.sessions.delete(connection)
    connection.close()
  }

  /** A session that is parked sets off, with what it has not read. */
  move(connection: SharedConnection): void {
    const unread = take(this.sessions.get(connection)!)
    this.sessions.delete(connection)
    connection.suspend(unread.length === 0 ? undefined : Datagram.join(unread))
    this.#setOff(connection)
  }

  #setOff(connection: SharedConnection): void {
    const lent = connection.lend?.()
    // it was closed
    if (lent === undefined) return connection.abort()
    connection.setOff?.()
    const { local, mapped, remote } = connection
    const id = this.#ids++
    this.#onTheirWay.set(id, connection)
    const { isBehind, unread = new Uint8Array(0) } = lent
    this.#say({ _tag: "Connection", id, listener: LISTENER, remote, local, mapped, unread, isBehind, moves: 0 })
  }

  /** Hears the next message of the host before it. */
  hear(sent: unknown): void {
    const message = Result.getOrThrow(TakeoverMessage.decodeToSuccessor(JSON.parse(JSON.stringify(sent))))
    switch (message._tag) {
      case "Peers":
      case "Over":
      case "Relayed":
      case "Back":
        return assert.isTrue(this.#relays.hear(message, this.socket), JSON.stringify(sent))
      case "Read":
        this.reads = true
        return
      case "Connection": {
        const { id, isBehind, local, mapped, remote, unread } = message
        const adopted = this.socket.adopt(undefined, { remote, local, mapped, about: undefined, unread, isBehind })
        assert(adopted !== undefined, remote)
        this.up.push(TakeoverMessage.encodeToPredecessor({ _tag: "Taken", id }))
        if (this.#kept === undefined) this.#open(adopted)
        else this.#setOff(sharedOf(adopted))
        return
      }
      default:
        return assert.fail(message._tag)
    }
  }

  /** Hears the next message of the host that follows it. */
  hearBack(sent: unknown): void {
    const message = Result.getOrThrow(TakeoverMessage.decodeToPredecessor(JSON.parse(JSON.stringify(sent))))
    if (message._tag === "Datagrams") return assert.isTrue(this.#kept!.take(message))
    assert(message._tag === "Taken")
    this.#onTheirWay.get(message.id)!.letGo!()
    this.#onTheirWay.delete(message.id)
  }

  /** The host before is gone. */
  lost(): void {
    this.#relays.lost()
  }

  end(): void {
    for (const connection of this.sessions.keys()) connection.abort()
    this.lost()
    this.socket.retire()
  }
}

/** A successor's process, which says what the test says. */
class Child extends EventEmitter implements SuccessorProcess {
  readonly pid = 1
  connected = true
  readonly said: Array<string> = []

  say(message: TakeoverMessage.ToPredecessor): void {
    this.emit("message", JSON.parse(JSON.stringify(TakeoverMessage.encodeToPredecessor(message))), undefined)
  }

  send(message: object, _socket: unknown, _options: object, done: (error: Error | null) => void): boolean {
    this.said.push(String(Reflect.get(message, "_tag")))
    done(null)
    return true
  }

  disconnect(): void {
    this.connected = false
    this.emit("disconnect")
  }

  kill(): void {}

  unref(): void {}
}

const take = (app: AppEnd): ReadonlyArray<Uint8Array> => {
  const all: Array<Uint8Array> = []
  while (app.rx.size > 0) all.push(app.read(Datagram.readLength(app.read(Datagram.HEADER))))
  return all
}

describe("hosts that follow each other over UDP (X4)", () => {
  const kinds = new Long.Kinds(["sent", "heard", "heard back", "closed", "moved", "followed", "died"])

  const run = Effect.fnUntraced(function*(seed: number) {
    const random = Random.make(seed)
    const desk: Desk = { queue: [], got: new Map(PORTS.map((port) => [port, []])), dropped: 0 }
    const sent = new Map(PORTS.map((port) => [port, 0]))
    const hosts = [new Host(desk, undefined)]
    const pick = <A>(all: ReadonlyArray<A>): A => all[random(all.length)]!

    const hear = (host: Host): void => {
      if (host.before === undefined || host.before.down.length === 0) return
      kinds.did("heard")
      host.hear(host.before.down.shift())
    }
    const hearBack = (host: Host): void => {
      if (host.before === undefined || host.up.length === 0) return
      kinds.did("heard back")
      host.before.hearBack(host.up.shift())
    }
    const step = (): void => {
      const host = pick(hosts)
      const what = random(100)
      if (what < 40) {
        kinds.did("sent")
        const port = pick(PORTS)
        desk.queue.push({ port, text: String(sent.get(port)!) })
        sent.set(port, sent.get(port)! + 1)
      } else if (what < 65) hear(host)
      else if (what < 90) hearBack(host)
      else if (what < 94) {
        const [connection] = host.sessions.keys()
        if (connection === undefined) return
        kinds.did("closed")
        host.close(connection)
      } else if (what < 98) {
        const [connection] = [...host.sessions.keys()].filter(({ isSent }) => isSent === true)
        if (connection === undefined) return
        kinds.did("moved")
        host.move(connection)
      } else if (hosts.length < MOST_HOSTS && hosts.at(-1)!.reads) {
        kinds.did("followed")
        hosts.push(new Host(desk, hosts.at(-1)))
      }
    }
    const finish = (): void => {
      for (const host of hosts) {
        hear(host)
        hearBack(host)
      }
    }
    for (let i = 0; i < 300; i++) {
      step()
      yield* turn
      for (const host of hosts) host.read()
      // what it has read is in its sessions then
      yield* turn
      for (const host of hosts) host.serve()
    }
    const isLost = seed % 3 === 0 && hosts.length > 1
    if (isLost) {
      kinds.did("died")
      const [first, next] = hosts as [Host, Host]
      // what it has said is heard, and what it was told is not
      while (first.down.length > 0) hear(next)
      next.up.length = 0
      first.end()
      hosts.shift()
      next.lost()
      Reflect.set(next, "before", undefined)
    }
    while (hosts.some(({ down, up }, index) => up.length > 0 || down.length > 0 && index < hosts.length - 1)) {
      finish()
      yield* turn
      for (const host of hosts) host.read()
      // what it has read is in its sessions then
      yield* turn
      for (const host of hosts) host.serve()
    }
    for (const host of hosts) host.read()
    yield* turn
    for (const host of hosts) host.serve()

    for (const [port, got] of desk.got) {
      const all = Array.from({ length: sent.get(port)! }, (_, number) => number)
      if (isLost) assert.deepStrictEqual(got, [...new Set(got)].sort((a, b) => a - b), `seed ${seed}, peer ${port}`)
      else assert.deepStrictEqual(got, all, `seed ${seed}, peer ${port}`)
    }
    if (!isLost) assert.strictEqual(desk.dropped, 0)
    hosts.forEach((host) => host.end())
  })

  it.live(
    "X4 give each datagram to one session, and each peer's in order, whatever ends and moves meanwhile",
    () =>
      Effect.gen(function*() {
        for (let seed = 1; seed <= Long.steps({ short: 10, long: 1000 }); seed++) yield* run(seed)
        assert.deepStrictEqual(kinds.left, [])
      }),
    60_000
  )

  const cases: ReadonlyArray<readonly [title: string, happens: (child: Child) => void, times: number]> = [
    ["X4 read again when the one that reads is gone", (child) => child.emit("exit", 0, null), 1],
    ["X4 read no more when the one that follows has been followed, and is gone", (child) => {
      child.say({ _tag: "Followed" })
      child.emit("exit", 0, null)
    }, 0],
    [
      "X4 read no more while the one that follows is there, whatever it says",
      (child) => child.say({ _tag: "Ready" }),
      0
    ]
  ]
  for (const [title, happens, times] of cases) {
    it.live(title, () =>
      Effect.gen(function*() {
        const rules = yield* SessionRules
        const child = new Child()
        const socket = new UdpSocket(Dgram.createSocket("udp4"))
        let read = 0
        const datagrams = { peers: [], onOver: undefined, onBack: undefined, receive: () => false, read: () => {} }
        const shared = { ...datagrams, takeBack: () => void read++, relay: socket.relay }
        const departures = {
          next: () => undefined,
          onMore: undefined,
          end: () => {},
          datagrams: new Map([["1.0", shared]])
        }
        let settled = 0
        const side = new PredecessorSide(child, {
          succession: Succession.of({
            listeners: () => [],
            record: () => {},
            lineage: () => ({ generation: 1, upMillis: 0 }),
            workers: () => ({}),
            sessions: () => 0,
            ends: Effect.never,
            hosts: () => [],
            totals: Ledger.makeTotals,
            startTime: () => 0,
            depart: () => departures,
            predecessors: Ledger.makeTotals,
            inherit: () => {},
            inherited: () => [],
            datagrams: () => undefined,
            adopt: () => false
          }),
          rules,
          control: undefined,
          startTime: 60_000,
          run: (effect) => void Effect.runFork(effect),
          settled: () => void settled++
        })
        for (const said of [{ _tag: "Ready" }, { _tag: "Serving", listeners: ["1.0"] }, { _tag: "Settled" }] as const) {
          child.say(said)
          yield* turn
        }
        assert.deepStrictEqual(child.said, ["Serve", "Settle", "Read", "Counters"])
        assert.deepStrictEqual([side.state, settled], ["DRAINING", 1])
        happens(child)
        child.disconnect()
        assert.strictEqual(side.state, "ALONE")
        assert.strictEqual(read, times)
        socket.retire()
      }).pipe(Effect.provide(SessionRulesMemory.layer)))
  }
})
