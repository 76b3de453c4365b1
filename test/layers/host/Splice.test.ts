/** Two sessions of a worker that the host joins: on a network in memory, and over sockets with both kinds of worker. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Crypto from "node:crypto"
import * as Events from "node:events"
import * as Net from "node:net"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Host from "../../../src/layers/Host.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session, WorkerInfo } from "../../../src/services/Sessions.ts"
import * as Random from "../../support/random.ts"
import { Actor, assertNothingLeft, endpoint, recorded, type Run, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const remote = "tcp://127.0.0.1:6379"
const KiB = 1024
const MiB = 1024 * KiB

const sha256 = (bytes: Uint8Array): string => Crypto.createHash("sha256").update(bytes).digest("hex")

/** A client of the host, a server that the host has connected to, and the worker's sessions with them. */
interface Sides {
  readonly client: Peer
  readonly server: Peer
  readonly toClient: Session
  readonly toServer: Session
  readonly run: Run
}

const apart = Effect.fnUntraced(function*(stage: Stage, options?: AppOptionsInput): Effect.fn.Return<
  Sides,
  unknown,
  Scope.Scope
> {
  const servers: Array<Peer> = []
  const listener = stage.network.listen(remote, (peer) => servers.push(peer))
  const actor = new Actor({
    start: Effect.fnUntraced(function*(run) {
      const scope = yield* Effect.scope
      const fork = yield* FiberSet.makeRuntime<never, void, never>()
      const take = (session: Session): void => {
        run.accepted.push(session)
        recorded(session, run)
      }
      yield* run.sessions.listen(endpoint, (session) => {
        take(session)
        void fork(run.sessions.connect(remote).pipe(Effect.map(take), Scope.provide(scope), Effect.orDie))
      })
    })
  })
  yield* stage.attach(actor, options)
  const client = yield* stage.dial()
  const run = actor.run()
  yield* until("both sessions", () => run.accepted.length === 2 && servers.length === 1)
  listener.close()
  const [toClient, toServer] = run.accepted as [Session, Session]
  return { client, server: servers[0]!, toClient, toServer, run }
})

/** The same, joined; what is done before that is given. */
const joined = Effect.fnUntraced(function*(
  stage: Stage,
  before: {
    readonly options?: AppOptionsInput
    readonly peers?: (sides: Sides) => void
    readonly sessions?: (sides: Sides) => void
  } = {}
) {
  const sides = yield* apart(stage, before.options)
  before.peers?.(sides)
  yield* settled
  before.sessions?.(sides)
  assert.isTrue(sides.toClient.splice(sides.toServer))
  yield* settled
  return sides
})

/** What the worker has heard of a session, in order. */
const heard = (run: Run, session: Session): ReadonlyArray<string> => {
  const end = ` ${Handle.format(session.handle)}`
  return run.edges.filter((edge) => edge.endsWith(end)).map((edge) => edge.slice(0, -end.length))
}

/** Both ways of a pair of sides. */
const ways = [
  { from: "client", to: "server", near: "toClient", far: "toServer" },
  { from: "server", to: "client", near: "toServer", far: "toClient" }
] as const

describe("joined sessions", () => {
  for (const seed of [1, 2, 3]) {
    scenario(
      `W18 bytes of any sizes go both ways whole and in order (seed ${seed})`,
      (stage) =>
        Effect.gen(function*() {
          const random = Random.make(seed)
          const sizes = { segment: { rxFifoSize: 4 * KiB << random(4), txFifoSize: 4 * KiB } }
          const sides = yield* joined(stage, { options: sizes })
          const sent = { client: [] as Array<Buffer>, server: [] as Array<Buffer> }
          for (let i = 0; i < 60; i++) {
            for (const { from, to } of ways) {
              if (random(3) > 0) {
                const bytes = Crypto.randomBytes(1 + random([10, 3000, 40_000][random(3)]!))
                sent[from].push(bytes)
                sides[from].send(bytes)
              }
              if (random(4) === 0) sides[to].stop()
              if (random(3) === 0) sides[to].read(random(50_000))
            }
            if (random(2) === 0) yield* settled
          }
          for (const { from, to } of ways) {
            sides[to].read()
            sides[from].end()
          }
          yield* settled
          for (const { from, to } of ways) {
            assert.strictEqual(sha256(sides[to].received()), sha256(Buffer.concat(sent[from])))
            assert.isTrue(sides[to].ended)
            assert.isTrue(sides[to].closed)
            assert.isUndefined(sides[to].broken)
          }
        })
    )
  }

  scenario(
    "W18 what had come before they were joined goes on first, without what the worker has read",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* joined(stage, {
          peers: ({ client, server }) => {
            client.send("who: me\nrequest")
            server.send("banner")
          },
          sessions: ({ toClient }) => assert.strictEqual(Buffer.from(toClient.read(8)!).toString(), "who: me\n")
        })
        client.send(" and more")
        yield* settled
        assert.strictEqual(server.received().toString(), "request and more")
        assert.strictEqual(client.received().toString(), "banner")
      })
  )

  scenario(
    "W18 what the worker had written goes out first, also where the peer takes it later",
    (stage) =>
      Effect.gen(function*() {
        const prefix = Crypto.randomBytes(20_000)
        const { client, server } = yield* joined(stage, {
          peers: ({ client, server }) => {
            server.stop()
            client.send("request")
            server.send("banner")
          },
          sessions: ({ toClient, toServer }) => {
            assert.strictEqual(toServer.write(prefix), prefix.length)
            toClient.write(Buffer.from("hello: "))
          }
        })
        client.send(" and more")
        yield* settled
        assert.strictEqual(client.received().toString(), "hello: banner")
        for (let read = 0; read < prefix.length; read += 7000) {
          server.read(7000)
          yield* settled
        }
        server.read()
        yield* settled
        assert.strictEqual(sha256(server.received()), sha256(Buffer.concat([prefix, Buffer.from("request and more")])))
      })
  )

  for (const { far, from, near, to } of ways) {
    scenario(
      `W18 the ${from}'s end comes to the ${to} after its last byte, and the other way goes on`,
      (stage) =>
        Effect.gen(function*() {
          const sides = yield* joined(stage)
          const bytes = Crypto.randomBytes(3 * MiB)
          sides[to].stop()
          sides[from].send(bytes)
          sides[from].end()
          yield* settled
          assert.isFalse(sides[to].ended)
          sides[to].read()
          yield* settled
          assert.strictEqual(sha256(sides[to].received()), sha256(bytes))
          assert.isTrue(sides[to].ended)
          assert.isFalse(sides[from].ended)
          assert.isTrue(sides[near].ended)
          assert.deepStrictEqual(heard(sides.run, sides[near]), ["ended"])
          assert.deepStrictEqual(heard(sides.run, sides[far]), [])
          sides[to].send("goodbye")
          sides[to].end()
          yield* settled
          assert.strictEqual(sides[from].received().toString(), "goodbye")
          for (const side of [sides.client, sides.server]) {
            assert.isTrue(side.closed)
            assert.isUndefined(side.broken)
          }
          assert.deepStrictEqual(heard(sides.run, sides[near]), ["ended", "closed"])
          assert.deepStrictEqual(heard(sides.run, sides[far]), ["ended", "closed"])
          assert.strictEqual((yield* stage.worker()).sessions, 0)
        })
    )

    scenario(`W18 a reset of the ${from} is a reset of the ${to}`, (stage) =>
      Effect.gen(function*() {
        const sides = yield* joined(stage)
        sides[from].send("bytes")
        yield* settled
        sides[from].reset()
        yield* settled
        assert.strictEqual(sides[to].broken, "the host reset the connection")
        assert.deepStrictEqual(heard(sides.run, sides[near]), ["closed (the peer reset the connection)"])
        assert.deepStrictEqual(heard(sides.run, sides[far]), ["closed (the connection was given up)"])
        assert.strictEqual((yield* stage.worker()).sessions, 0)
      }))

    scenario(
      `W18 a ${to} that does not read stops the ${from}, and what waits is bounded`,
      (stage) =>
        Effect.gen(function*() {
          const rxFifoSize = 64 * KiB
          const sides = yield* joined(stage, { options: { segment: { rxFifoSize } } })
          const { segments: before } = yield* stage.worker()
          const bytes = Crypto.randomBytes(2 * MiB)
          sides[to].stop()
          sides[from].send(bytes)
          yield* settled
          assert.strictEqual(sides[from].unsent, bytes.length - rxFifoSize)
          const { segments } = yield* stage.worker()
          assert.isAtMost(segments.used - before.used, 2 * rxFifoSize)
          sides[to].read(rxFifoSize / 2)
          yield* settled
          assert.strictEqual(sides[from].unsent, bytes.length - 3 * rxFifoSize / 2)
          sides[to].read()
          yield* settled
          assert.strictEqual(sha256(sides[to].received()), sha256(bytes))
        })
    )

    scenario(
      `W18 what a ${from} has sent comes to a slow ${to} when its own connection is long over`,
      (stage) =>
        Effect.gen(function*() {
          const sides = yield* joined(stage)
          const bytes = Crypto.randomBytes(200 * KiB)
          sides[to].stop()
          sides[to].end()
          yield* settled
          sides[from].send(bytes)
          sides[from].end()
          yield* settled
          assert.isTrue(sides[from].closed)
          assert.isUndefined(sides[from].broken)
          // its memory is in use, so the worker is not told to let go of it yet
          assert.deepStrictEqual(heard(sides.run, sides[near]), ["ended"])
          for (let i = 0; i < 10; i++) {
            sides[to].read(20 * KiB)
            yield* settled
          }
          assert.strictEqual(sha256(sides[to].received()), sha256(bytes))
          assert.isTrue(sides[to].closed)
          assert.isUndefined(sides[to].broken)
          assert.deepStrictEqual(heard(sides.run, sides[near]), ["ended", "closed"])
        })
    )

    scenario(
      `W18 an end of the ${from} from before they were joined comes to the ${to}, after its bytes`,
      (stage) =>
        Effect.gen(function*() {
          const sides = yield* joined(stage, {
            peers: (sides) => {
              sides[from].send("all")
              sides[from].end()
            }
          })
          assert.strictEqual(sides[to].received().toString(), "all")
          assert.isTrue(sides[to].ended)
          assert.isFalse(sides[from].closed)
        })
    )

    for (const how of ["close", "abort"] as const) {
      scenario(`W18 the worker's ${how} of its session with the ${from} ends both`, (stage) =>
        Effect.gen(function*() {
          const sides = yield* joined(stage)
          sides[from].send("last words")
          yield* settled
          sides[near][how]()
          yield* settled
          for (const side of [sides.client, sides.server]) {
            if (how === "abort") assert.strictEqual(side.broken, "the host reset the connection")
            else {
              assert.isTrue(side.ended)
              side.end()
            }
          }
          yield* settled
          assert.strictEqual(sides[to].received().toString(), "last words")
          assert.isTrue(sides.client.closed && sides.server.closed)
          assert.strictEqual((yield* stage.worker()).sessions, 0)
        }))
    }
  }

  scenario(
    "W18 the worker neither reads nor writes them any more, and hears of no bytes",
    (stage) =>
      Effect.gen(function*() {
        const { client, run, server, toClient, toServer } = yield* joined(stage, {
          peers: ({ client }) => client.send("early"),
          sessions: ({ run, toServer }) => {
            // a write that is cut short, so that there is something to hear of
            toServer.write(Buffer.alloc(2 * MiB))
            run.edges.length = 0
          }
        })
        client.send("late")
        server.send("answer")
        yield* settled
        assert.deepStrictEqual(run.edges, [])
        for (const session of [toClient, toServer]) {
          assert.strictEqual(session.available, 0)
          assert.isUndefined(session.peek())
          assert.isUndefined(session.read())
          assert.isFalse(session.writable)
          assert.strictEqual(session.write(Buffer.from("x")), -1)
          assert.isFalse(session.closed)
          session.drop(1)
          session.end()
        }
        yield* settled
        assert.isFalse(client.ended || server.ended)
        assert.strictEqual(server.received().toString().replaceAll("\0", ""), "earlylate")
        assert.strictEqual(client.received().toString(), "answer")
      })
  )

  scenario(
    "W18 a session is joined with one other that is open, and else nothing happens",
    (stage) =>
      Effect.gen(function*() {
        const { client, server, toClient, toServer } = yield* apart(stage)
        assert.isFalse(toClient.splice(toClient))
        assert.isTrue(toClient.splice(toServer))
        assert.isFalse(toClient.splice(toServer))
        assert.isFalse(toServer.splice(toClient))
        client.send("through")
        yield* settled
        assert.strictEqual(server.received().toString(), "through")
        toClient.abort()
        yield* settled
        assert.isFalse(toClient.splice(toServer))
      })
  )

  for (const how of ["end", "close", "abort"] as const) {
    scenario(`W18 a session that the worker has called ${how} of is not joined`, (stage) =>
      Effect.gen(function*() {
        const { toClient, toServer } = yield* apart(stage)
        toClient[how]()
        assert.isFalse(toClient.splice(toServer))
        assert.isFalse(toServer.splice(toClient))
        assert.isTrue(toServer.writable)
      }))
  }

  scenario(
    "W18 both connections are broken when their worker dies, and all memory comes back",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* joined(stage)
        client.send(Buffer.alloc(MiB))
        server.stop()
        yield* settled
        stage.script().crash()
        yield* settled
        assert.isDefined(client.broken)
        assert.isDefined(server.broken)
        assert.strictEqual((yield* stage.report).sessions, 0)
        yield* TestClock.adjust(100)
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      })
  )

  scenario("W18 both connections end when their application is detached", (stage) =>
    Effect.gen(function*() {
      const sides = yield* Effect.scoped(joined(stage))
      yield* settled
      assert.deepStrictEqual([sides.client.closed, sides.server.closed], [true, true])
    }))

  scenario("W18 they give idle memory back, and take some again", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* joined(stage, { options: { segment: { trimInterval: 1000 } } })
      const { segments: idle } = yield* stage.worker()
      const total = { client: 0, server: 0 }
      for (let i = 0; i < 3; i++) {
        client.send(Buffer.alloc(300 * KiB, i))
        server.send(Buffer.alloc(100 * KiB, i))
        yield* settled
        assert.isAbove((yield* stage.worker()).segments.used, idle.used)
        yield* TestClock.adjust(2000)
        yield* settled
        assert.strictEqual((yield* stage.worker()).segments.used, idle.used)
        total.server += 300 * KiB
        total.client += 100 * KiB
        assert.strictEqual(server.receivedBytes, total.server)
        assert.strictEqual(client.receivedBytes, total.client)
      }
    }))
})

describe("a raw worker", () => {
  /** A raw worker with two sessions that it has claimed. */
  const attached = Effect.fnUntraced(function*(stage: Stage, worker = 0) {
    const raw = stage.raw(worker)
    raw.send({ _tag: "listen", request: 1, endpoint: `tcp://127.0.0.1:${80 + worker}`, backlog: 0, flags: 0 })
    yield* until("bound", () => raw.all("bound").length === 1)
    const peers = yield* Effect.forEach([0, 1], () => stage.dial(`tcp://127.0.0.1:${80 + worker}`))
    const offers = raw.all("accepted")
    for (const offer of offers) raw.claim(offer)
    yield* until("claims", () => peers.every(({ opened }) => opened))
    const [first, second] = offers.map(({ session }) => session) as [Handle.SessionHandle, Handle.SessionHandle]
    return { raw, peers: peers as [Peer, Peer], first, second }
  })
  const attach = (stage: Stage, workers = 1) => {
    for (let worker = 0; worker < workers; worker++) stage.raw(worker)
    return stage.attach(new Actor(), { workers })
  }

  scenario("W18 that joins a session with itself is given up", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage)
      const { first, peers, raw } = yield* attached(stage)
      raw.send({ _tag: "splice", session: first, other: first })
      yield* settled
      assert.match((yield* stage.worker()).lastFailure!, /joined session 0\.0 with itself/)
      assert.isTrue(peers.every(({ closed }) => closed))
    }))

  scenario("W18 that joins sessions twice is given up", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage)
      const { first, peers, raw, second } = yield* attached(stage)
      raw.send({ _tag: "splice", session: first, other: second })
      yield* settled
      assert.isFalse(peers.some(({ closed }) => closed))
      raw.send({ _tag: "splice", session: second, other: first })
      yield* settled
      assert.match((yield* stage.worker()).lastFailure!, /joined session 1\.0, which is joined already/)
      assert.isTrue(peers.every(({ closed }) => closed))
    }))

  scenario("W18 that joins a session that it has ended is given up", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage)
      const { first, raw, second } = yield* attached(stage)
      raw.send({ _tag: "end", session: second })
      raw.send({ _tag: "splice", session: first, other: second })
      yield* settled
      assert.match((yield* stage.worker()).lastFailure!, /joined session 1\.0, which it had ended/)
    }))

  scenario("W18 that joins a session that it has not claimed is given up", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage)
      const { first, raw } = yield* attached(stage)
      const peer = yield* stage.dial()
      const offer = raw.all("accepted").at(-1)!
      raw.send({ _tag: "splice", session: first, other: offer.session })
      yield* settled
      assert.match((yield* stage.worker()).lastFailure!, /joined session 2\.0, which the host can't join/)
      assert.isFalse(peer.closed)
    }))

  scenario(
    "W18 that joins a session with another worker's is given up, and no other notices",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, 2)
        const mine = yield* attached(stage, 0)
        const others = yield* attached(stage, 1)
        mine.raw.send({ _tag: "splice", session: mine.first, other: others.first })
        yield* settled
        assert.match((yield* stage.worker(0)).lastFailure!, /which is another worker's/)
        assert.isTrue(mine.peers.every(({ closed }) => closed))
        assert.strictEqual((yield* stage.worker(1)).state, "RUNNING")
        assert.isFalse(others.peers.some(({ closed }) => closed))
      })
  )

  scenario(
    "W18 that has not heard of a reset yet: the session that it joins with that one is broken too",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage)
        const { first, peers, raw, second } = yield* attached(stage)
        raw.held = true
        peers[0].reset()
        yield* settled
        raw.send({ _tag: "splice", session: first, other: second })
        yield* settled
        assert.strictEqual(peers[1].broken, "the host reset the connection")
        raw.held = false
        raw.look()
        assert.strictEqual(raw.all("cleanup").length, 2)
        assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      })
  )

  scenario(
    "W18 that joins a session with one that was dropped meanwhile: the session is broken",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage)
        const { first, peers, raw, second } = yield* attached(stage)
        peers[0].reset()
        yield* until("its cleanup", () => raw.all("cleanup").length === 1)
        raw.send({ _tag: "release", session: first })
        raw.send({ _tag: "splice", session: first, other: second })
        yield* settled
        assert.strictEqual(peers[1].broken, "the host reset the connection")
        assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      })
  )

  scenario(
    "W18 that lets go of memory which the other connection still sends from is given up",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage)
        const { first, peers: [client, server], raw, second } = yield* attached(stage)
        raw.send({ _tag: "splice", session: first, other: second })
        yield* settled
        server.stop()
        server.end()
        client.send("bytes")
        client.end()
        yield* until("the end of its connection", () => client.closed)
        yield* settled
        assert.strictEqual(raw.all("cleanup").length, 0)
        raw.send({ _tag: "release", session: first })
        yield* settled
        assert.match((yield* stage.worker()).lastFailure!, /released session 0\.0 while it was open/)
      })
  )

  scenario("W18 that writes nonsense into the fifo of a joined session is given up", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage)
      const { first, peers: [client, server], raw, second } = yield* attached(stage)
      raw.send({ _tag: "splice", session: first, other: second })
      client.send("bytes")
      yield* settled
      assert.strictEqual(server.received().toString(), "bytes")
      const offer = raw.all("accepted")[0]!
      raw.segments.get(offer.segment)!.words[offer.offset / 4 + 31] = 0x7fff_0000
      client.send("more")
      yield* settled
      assert.include((yield* stage.worker()).lastFailure, "session memory is corrupt")
      assert.isTrue(client.closed && server.closed)
    }))
})

// ---- over sockets

interface Real {
  readonly client: Net.Socket
  readonly server: Net.Socket
  readonly worker: () => Effect.Effect<{ readonly used: number; readonly sessions: number; readonly restarts: number }>
}

const listening = Effect.acquireRelease(
  Effect.callback<Net.Server>((resume) => {
    const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

/** What the socket gets until its end. */
const collect = (socket: Net.Socket) => {
  const hash = Crypto.createHash("sha256")
  const got = { bytes: 0, ended: false, broken: false, digest: () => hash.copy().digest("hex") }
  socket.on("data", (bytes: Buffer) => {
    got.bytes += bytes.length
    hash.update(bytes)
  })
  socket.on("end", () => got.ended = true)
  socket.on("error", () => got.broken = true)
  socket.resume()
  return got
}

for (const kind of ["thread", "in-process"] as const satisfies ReadonlyArray<WorkerInfo["kind"]>) {
  describe(`joined sessions of a worker of kind ${kind}, over sockets`, () => {
    const module = AppWorker.fromUrl(new URL("../../fixtures/joins.ts", import.meta.url))

    const live = (
      title: string,
      body: (real: Real) => Effect.Effect<void, unknown, Scope.Scope>,
      fifoSize = 64 * KiB
    ): void =>
      it.live(title, () =>
        Effect.gen(function*() {
          const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
          yield* Effect.gen(function*() {
            const upstream = yield* listening
            const { port } = upstream.address() as Net.AddressInfo
            yield* host.attach({
              name: "app",
              listen: ["tcp://127.0.0.1:0"],
              config: `tcp://127.0.0.1:${port}`,
              segment: { rxFifoSize: fifoSize, txFifoSize: fifoSize },
              workers: 1,
              worker: { kind, backoffBase: 10 }
            }, module)
            const { apps } = yield* host.report
            const connected = Events.once(upstream, "connection") as Promise<[Net.Socket]>
            const client = yield* Effect.acquireRelease(
              Effect.sync(() =>
                Net.connect({
                  port: Number(new URL(apps[0]!.listeners[0]!.endpoint).port),
                  host: "127.0.0.1",
                  allowHalfOpen: true
                })
              ),
              (socket) => Effect.sync(() => socket.destroy())
            )
            const [server] = yield* Effect.promise(() => connected)
            yield* Effect.addFinalizer(() => Effect.sync(() => server.destroy()))
            const worker = () =>
              Effect.map(host.report, ({ apps }) => {
                const { restarts, segments, sessions } = apps[0]!.workers[0]!
                return { used: segments.used, sessions, restarts }
              })
            yield* body({ client, server, worker })
          }).pipe(Effect.scoped)
          assert.deepStrictEqual((yield* host.report).imbalances, [])
          yield* assertNothingLeft({ host, network: { listening: [] } })
        }).pipe(Effect.scoped), 30_000)

    live(
      "W18 megabytes go both ways at once, and the ends after them",
      ({ client, server, worker }) =>
        Effect.gen(function*() {
          const up = Crypto.randomBytes(9 * MiB + 1)
          const down = Crypto.randomBytes(7 * MiB + 3)
          const [atClient, atServer] = [collect(client), collect(server)]
          client.end(up)
          server.end(down)
          yield* until("both ends", () => atClient.ended && atServer.ended)
          assert.strictEqual(atServer.digest(), sha256(up))
          assert.strictEqual(atClient.digest(), sha256(down))
          yield* until("no session to be left", () => Effect.runSync(worker()).sessions === 0)
          assert.isFalse(atClient.broken || atServer.broken)
        })
    )

    live(
      "W18 bursts that are larger than a fifo go through without another one to push them",
      ({ client, server }) =>
        Effect.gen(function*() {
          const [atClient, atServer] = [collect(client), collect(server)]
          for (let i = 1; i <= 20; i++) {
            client.write(Buffer.alloc(60_000))
            server.write(Buffer.alloc(9_000))
            yield* until("the bursts", () => atServer.bytes === i * 60_000 && atClient.bytes === i * 9_000)
          }
        }),
      4 * KiB
    )

    for (const first of ["client", "server"] as const) {
      live(
        `W18 the ${first} ends first and still gets an answer; its reset is the other's`,
        (real) =>
          Effect.gen(function*() {
            const near = real[first]
            const far = first === "client" ? real.server : real.client
            const [atNear, atFar] = [collect(near), collect(far)]
            near.end("question")
            yield* until("the end", () => atFar.ended)
            assert.strictEqual(atFar.digest(), sha256(Buffer.from("question")))
            assert.isFalse(atNear.ended)
            far.write("answer")
            yield* until("the answer", () => atNear.bytes === 6)
            far.resetAndDestroy()
            yield* until("the reset", () => atNear.broken)
          })
      )

      live(`W18 a reset of the ${first} is the other's`, (real) =>
        Effect.gen(function*() {
          const far = first === "client" ? real.server : real.client
          const atFar = collect(far)
          collect(real[first])
          real[first].write("bytes")
          yield* until("bytes", () => atFar.bytes === 5)
          real[first].resetAndDestroy()
          yield* until("the reset", () => atFar.broken)
        }))

      live(
        `W18 where nobody reads, the ${first} can't send on, and memory stays bounded`,
        (real) =>
          Effect.gen(function*() {
            const near = real[first]
            const far = first === "client" ? real.server : real.client
            collect(near)
            far.pause()
            const chunk = Crypto.randomBytes(MiB)
            let sent = 0
            // 64 MiB are more than the system's buffers take
            for (; sent < 64; sent++) near.write(chunk)
            let queued = near.writableLength
            for (let still = 0; still < 25; still++) {
              yield* Effect.sleep(10)
              if (near.writableLength !== queued) still = 0
              queued = near.writableLength
            }
            assert.isAbove(queued, 16 * MiB)
            assert.isAtMost(far.bytesRead, MiB)
            assert.isBelow((yield* real.worker()).used, MiB)
            const atFar = collect(far)
            yield* until("all of it", () => atFar.bytes === sent * MiB)
          })
      )
    }
  })
}

describe("a thread worker that dies", () => {
  it.live("W18 breaks the connections that it has joined", () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const upstream = yield* listening
      const { port } = upstream.address() as Net.AddressInfo
      yield* host.attach({
        name: "app",
        listen: ["tcp://127.0.0.1:0", "tcp://[::1]:0"],
        config: `tcp://127.0.0.1:${port}`,
        workers: 1,
        worker: { backoffBase: 10 }
      }, AppWorker.fromUrl(new URL("../../fixtures/joins.ts", import.meta.url)))
      const { apps } = yield* host.report
      const connected = Events.once(upstream, "connection") as Promise<[Net.Socket]>
      const client = Net.connect(Number(new URL(apps[0]!.listeners[0]!.endpoint).port), "127.0.0.1")
      const [server] = yield* Effect.promise(() => connected)
      const ends = [collect(client), collect(server)]
      client.write("bytes")
      yield* until("bytes", () => ends[1]!.bytes === 5)
      // the second listener's sessions make the worker throw
      const killer = Net.connect(Number(new URL(apps[0]!.listeners[1]!.endpoint).port), "::1")
      killer.on("error", () => {})
      yield* until("both to be broken", () => ends.every(({ broken }) => broken))
      yield* until("a restart", () => Effect.runSync(host.report).apps[0]!.workers[0]!.restarts === 1)
      killer.destroy()
    }).pipe(Effect.scoped), 30_000)
})
