/** Placement `transfer`: the connection itself moves to the worker that has claimed it. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { MessageChannel, Worker } from "node:worker_threads"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as SessionDuplex from "../../../src/layers/adapters/node/SessionDuplex.ts"
import * as Host from "../../../src/layers/Host.ts"
import { HandOverPort } from "../../../src/layers/stack/HandOver.ts"
import * as TcpMovable from "../../../src/layers/transport/TcpMovable.ts"
import * as SocketSession from "../../../src/layers/worker/SocketSession.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as HalfOpen from "../../support/halfOpen.ts"
import { Actor, assertNothingLeft, type Behaviour, echoing } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const KiB = 1024

/** The other end of a connection. */
class Peer {
  readonly socket: Net.Socket
  ended = false
  closed = false
  error: string | undefined
  readonly #parts: Array<Buffer> = []

  constructor(port: number) {
    this.socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    this.socket.on("data", (bytes: Buffer) => this.#parts.push(bytes))
    this.socket.on("end", () => this.ended = true)
    this.socket.on("error", (error: NodeJS.ErrnoException) => this.error = error.code)
    this.socket.on("close", () => this.closed = true)
  }
  get received(): Buffer {
    return Buffer.concat(this.#parts)
  }
  get text(): string {
    return this.received.toString()
  }
}

interface Stage {
  readonly host: SessionLayer["Service"]
  readonly actor: Actor
  readonly report: () => Report.HostReport
  readonly port: number
  readonly dial: () => Peer
  /** A peer, and its session in the worker. */
  readonly open: Effect.Effect<readonly [Peer, Session]>
  readonly edges: () => ReadonlyArray<string>
}

const shown = (session: Session): string => Handle.format(session.handle)

const only = <A>(values: ReadonlyArray<A>): A => {
  assert.strictEqual(values.length, 1)
  return values[0]!
}

/** A test with a worker on the host's loop and real sockets, at whose end nothing may be left, no socket either. */
const scenario = (
  title: string,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>,
  { accept, ...options }: AppOptionsInput & Behaviour = {}
): void =>
  it.live(title, () =>
    Effect.gen(function*() {
      const before = HalfOpen.sockets()
      const peers: Array<Peer> = []
      yield* Effect.gen(function*() {
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        const report = (): Report.HostReport => Effect.runSync(host.report)
        const actor = new Actor(accept === undefined ? {} : { accept })
        yield* Effect.gen(function*() {
          yield* host.attach({
            name: "app",
            listen: ["tcp://127.0.0.1:0"],
            listener: { placement: "transfer" },
            workers: 1,
            ...options,
            worker: { kind: "in-process", ...options.worker }
          }, actor.module)
          const port = Number(new URL(report().apps[0]!.listeners[0]!.endpoint).port)
          const dial = (): Peer => {
            const peer = new Peer(port)
            peers.push(peer)
            return peer
          }
          const open = Effect.suspend(() => {
            const { accepted } = actor.run()
            const count = accepted.length
            const peer = dial()
            return Effect.map(
              until("a session", () => accepted.length > count),
              () => [peer, accepted[count]!] as const
            )
          })
          yield* body({ host, actor, report, port, dial, open, edges: () => actor.run().edges })
          assert.deepStrictEqual(report().imbalances, [])
        }).pipe(Effect.scoped)
        yield* until("all peers to be told", () => peers.every(({ closed, ended }) => closed || ended))
        yield* assertNothingLeft({ host, network: { listening: [] } })
      }).pipe(Effect.scoped)
      for (const { socket } of peers) socket.destroy()
      yield* until("all sockets to be closed", () => HalfOpen.sockets() <= before)
    }), 30_000)

describe("a session whose connection has moved", () => {
  scenario(
    "reads and writes, and half-closes in either direction",
    ({ edges, open, report }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        assert.strictEqual(report().apps[0]!.listeners[0]!.placement, "transfer")
        assert.instanceOf(session, SocketSession.SocketSession)
        assert.strictEqual(session.remote, `tcp://127.0.0.1:${peer.socket.localPort}`)
        assert.strictEqual(session.local, report().apps[0]!.listeners[0]!.endpoint)
        peer.socket.write("hello ")
        peer.socket.end("world")
        yield* until("the end", () => session.ended)
        assert.strictEqual(session.available, 11)
        assert.strictEqual(Buffer.from(session.peek(5)!).toString(), "hello")
        session.drop(3)
        assert.strictEqual(Buffer.from(session.read()!).toString(), "lo world")
        assert.isUndefined(session.read())
        assert.isUndefined(session.peek())
        assert.isTrue(session.writable)
        const bytes = Buffer.from("answer")
        assert.strictEqual(session.write(bytes, 1), 5)
        // the bytes are the caller's again
        bytes.fill(0)
        assert.strictEqual(session.writeWhole([Buffer.from("1"), Buffer.from("2")]), 2)
        session.end()
        session.end()
        assert.strictEqual(session.write(bytes), -1)
        yield* until("the peer to be told", () => peer.closed)
        assert.strictEqual(peer.text, "nswer12")
        yield* until("the last edge", () => session.closed)
        const handle = shown(session)
        const first = edges()[0]
        assert.strictEqual(first, `readable ${handle}`)
        assert.deepStrictEqual(edges().filter((edge) => edge !== first), [`ended ${handle}`, `closed ${handle}`])
        assert.isUndefined(session.reset)
        yield* until("the host to hear of it", () => report().sessions === 0)
      })
  )

  scenario(
    "M14 counts as any other, and is shown with its placement",
    ({ host, open, report }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        yield* until("the move", () => report().apps[0]!.workers[0]!.offers.claimed === 1)
        assert.deepInclude(only(yield* host.sessions({})), {
          handle: shown(session),
          state: "READY",
          transport: "tcp",
          placement: "transfer",
          kind: "accepted",
          remote: session.remote,
          rx: null,
          tx: null
        })
        assert.strictEqual(report().sessions, 1)
        assert.strictEqual(report().apps[0]!.listeners[0]!.sessions, 1)
        session.close()
        peer.socket.end()
        yield* until("its end", () => report().sessions === 0)
      })
  )

  scenario(
    "a peer that does not read stops its writes, and one that is not read from is stopped",
    ({ edges, open }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        peer.socket.pause()
        const chunk = Buffer.alloc(64 * KiB, "x")
        let sent = 0
        for (let taken = chunk.length; taken === chunk.length; sent += taken) taken = session.write(chunk)
        assert.strictEqual(session.write(chunk), 0)
        assert.isAtLeast(sent, session.txBound)
        assert.throws(() => session.writeWhole([new Uint8Array(session.txBound + 1)]), RangeError)
        assert.strictEqual(session.writeWhole([chunk]), 0)
        const writable = `writable ${shown(session)}`
        assert.notInclude(edges(), writable)
        peer.socket.resume()
        yield* until("room", () => edges().includes(writable))
        assert.strictEqual(session.writeWhole([chunk, chunk]), 2 * chunk.length)
        sent += 2 * chunk.length
        yield* until("all to arrive", () => peer.received.length === sent)

        const bytes = 16 * 1024 * KiB
        peer.socket.write(Buffer.alloc(bytes, "y"))
        yield* until("a full session", () => session.available >= session.rxBound)
        yield* settled
        // one read of the socket goes over the bound at most
        assert.isBelow(session.available, session.rxBound + 64 * KiB)
        let read = 0
        while (read < bytes) {
          yield* until("more", () => session.available > 0)
          read += session.read()!.length
        }
        assert.strictEqual(read, bytes)
      })
  )

  scenario("a reset by the peer is told, and one by the worker arrives", ({ edges, open }) =>
    Effect.gen(function*() {
      const [peer, session] = yield* open
      peer.socket.write("unread")
      yield* until("bytes", () => session.available === 6)
      peer.socket.resetAndDestroy()
      yield* until("the reset", () => session.closed)
      assert.strictEqual(session.reset, "the peer reset the connection")
      assert.strictEqual(session.available, 0)
      assert.strictEqual(edges().at(-1), `closed (the peer reset the connection) ${shown(session)}`)
      const [other, mine] = yield* open
      mine.abort()
      yield* until("the reset", () => other.closed)
      assert.strictEqual(other.error, "ECONNRESET")
    }))

  scenario(
    "one that was given up sends what was written, and drops what comes",
    ({ open, report }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        const last = Buffer.alloc(300 * KiB, "z")
        assert.strictEqual(session.write(last), last.length)
        session.close()
        assert.isTrue(session.closed)
        peer.socket.end("too late")
        yield* until("its end", () => peer.closed && report().sessions === 0)
        assert.isUndefined(peer.error)
        assert.deepStrictEqual(peer.received, last)
        assert.strictEqual(session.available, 0)
      })
  )

  scenario(
    "the command line's session close and session reset reach it",
    ({ host, open, report }) =>
      Effect.gen(function*() {
        const [closed, first] = yield* open
        first.write(Buffer.from("bye"))
        yield* host.endSession(first.handle, "close")
        assert.strictEqual(only(yield* host.sessions({})).state, "CLOSING")
        yield* until("the end", () => closed.ended)
        assert.strictEqual(closed.text, "bye")
        closed.socket.end()
        yield* until("the session's end", () => report().sessions === 0)
        assert.isUndefined(first.reset)
        const [broken, second] = yield* open
        yield* host.endSession(second.handle, "reset")
        yield* until("the reset", () => broken.closed && report().sessions === 0)
        assert.strictEqual(broken.error, "ECONNRESET")
        assert.strictEqual(second.reset, "the connection was given up")
      })
  )

  scenario(
    "a detach breaks what is open, and the application hears of it",
    ({ actor, host, open, report }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        yield* host.detach((yield* host.find("app")).handle)
        yield* until("the reset", () => peer.closed)
        assert.strictEqual(session.reset, "the worker was detached")
        assert.strictEqual(actor.run().edges.at(-1)?.slice(0, 6), "closed")
        assert.strictEqual(report().sessions, 0)
      })
  )

  scenario("a drain waits for it", ({ host, open, report }) =>
    Effect.gen(function*() {
      const [peer] = yield* open
      const drained = yield* Effect.forkChild(host.drain)
      yield* settled
      assert.isUndefined(drained.pollUnsafe())
      peer.socket.end()
      yield* until("the drain to end", () => drained.pollUnsafe() !== undefined)
      assert.strictEqual(report().sessions, 0)
    }), { accept: echoing })

  scenario("one whose handler throws is broken, and nothing else is", ({ open, report }) =>
    Effect.gen(function*() {
      const [peer] = yield* open
      const [other] = yield* open
      peer.socket.write("throw")
      yield* until("the reset", () => peer.closed)
      assert.strictEqual(peer.error, "ECONNRESET")
      other.socket.write("well?")
      yield* until("an answer", () => other.text === "well?")
      yield* until("the host to hear of the end", () => report().sessions === 1)
    }), {
    accept: (session) => {
      session.handler = {
        readable: () => {
          const bytes = Buffer.from(session.read()!)
          if (bytes.toString() === "throw") throw new Error("a bug")
          session.write(bytes)
        }
      }
    }
  })

  scenario("is not joined with another", ({ open }) =>
    Effect.gen(function*() {
      const [, first] = yield* open
      const [, second] = yield* open
      assert.isFalse(first.splice(second))
      assert.isTrue(first.writable)
    }))

  scenario(
    "M6 limits hold: a connection over them is held until another one ends",
    ({ dial, open, report }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        const held = dial()
        yield* until("a held connection", () => report().apps[0]!.listeners[0]!.arrivals.held === 1)
        held.socket.write("me?")
        session.close()
        peer.socket.end()
        yield* until("its turn", () => held.text === "me?")
      }),
    { accept: echoing, admission: { maxSessionsPerWorker: 1 } }
  )

  scenario("M6 a connection that is refused is reset", ({ dial, open, report }) =>
    Effect.gen(function*() {
      yield* open
      const refused = dial()
      yield* until("the reset", () => refused.closed)
      assert.strictEqual(report().apps[0]!.listeners[0]!.arrivals.refused["worker-limit"], 1)
    }), { admission: { maxSessionsPerWorker: 1, policy: "refuse" } })
})

describe("the stream of a session", () => {
  scenario("is the socket itself, with what has not been read", ({ open }) =>
    Effect.gen(function*() {
      const [peer, session] = yield* open
      peer.socket.write("early bytes")
      yield* until("bytes", () => session.available === 11)
      session.drop(6)
      const stream = SessionDuplex.fromSession(session)
      assert.instanceOf(stream, Net.Socket)
      let text = ""
      stream.on("data", (bytes: Buffer) => text += bytes.toString())
      stream.resume()
      yield* until("what was left", () => text === "bytes")
      peer.socket.end(" and more")
      yield* until("the rest", () => text === "bytes and more")
      stream.end("answer")
      yield* until("the end", () => peer.closed && session.closed)
      assert.strictEqual(peer.text, "answer")
    }))
})

describe("sockets between threads", () => {
  scenario(
    "is broken at once when it is aborted, however much its peer has not read, and whether it had ended or not",
    ({ open, report }) =>
      Effect.gen(function*() {
        for (const ended of [false, true]) {
          const [peer, session] = yield* open
          peer.socket.pause()
          const bytes = Buffer.alloc(256 * KiB)
          for (let idle = 0; idle < 3; yield* Effect.sleep("20 millis")) {
            if (session.write(bytes) > 0) idle = 0
            else idle++
          }
          if (ended) session.end()
          session.abort()
          yield* until("the session to be gone", () => report().apps[0]!.workers[0]!.sessions === 0)
          peer.socket.destroy()
        }
      })
  )

  it.live("M5 one that is in the port of a worker that ends is closed with it", () =>
    Effect.gen(function*() {
      const before = HalfOpen.sockets()
      const server = Net.createServer({ pauseOnConnect: true, allowHalfOpen: true })
      const arrived: Array<TcpMovable.TcpMovable> = []
      server.on("connection", (socket) => arrived.push(new TcpMovable.TcpMovable(socket, "tcp", 0)))
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
      const peer = new Peer((server.address() as Net.AddressInfo).port)
      yield* until("the connection", () => arrived.length === 1)
      const { port1, port2 } = new MessageChannel()
      const worker = new Worker("for (;;);", { eval: true, workerData: port2, transferList: [port2] })
      yield* Effect.promise(() => new Promise((resolve) => worker.once("online", resolve)))
      const post = new HandOverPort(port1)
      post.give({ _tag: "Socket", session: Handle.make(0, 0), socket: arrived[0]!.take()! })
      post.flush()
      assert.isFalse(peer.closed)
      yield* Effect.promise(() => worker.terminate())
      yield* until("the peer to be told", () => peer.ended || peer.closed)
      peer.socket.destroy()
      server.close()
      port1.close()
      yield* until("all sockets to be closed", () => HalfOpen.sockets() <= before)
    }))
})

describe("where connections can't move", () => {
  const said: Array<string> = []
  const recording = Logger.layer([Logger.make<unknown, void>(({ message }) => void said.push(String(message)))])

  it.live("the listener shares, and says why, once", () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const actor = new Actor({ accept: echoing })
      yield* host.attach({
        name: "app",
        listen: ["tcp://127.0.0.1:0"],
        listener: { placement: "transfer", proxyTrust: ["10.0.0.0/8"] },
        workers: 2,
        worker: { kind: "in-process" }
      }, actor.module)
      const listener = (yield* host.report).apps[0]!.listeners[0]!
      assert.strictEqual(listener.placement, "shared")
      assert.deepStrictEqual(said.filter((line) => line.includes("stay in the host")), [
        `the connections of tcp://127.0.0.1:0 stay in the host (placement "shared" instead of "transfer"): ` +
        "the host reads PROXY protocol headers (proxyTrust)"
      ])
    }).pipe(Effect.scoped, Effect.provide(recording)))
})
