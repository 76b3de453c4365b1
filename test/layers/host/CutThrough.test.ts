/** Cut-through sessions at the host: from a local connect until nothing is left at either worker (W16, W20). */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import { BroadcastChannel } from "node:worker_threads"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as SessionBlock from "../../../src/domain/memory/SessionBlock.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import * as Host from "../../../src/layers/Host.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { ConnectOptions, Session } from "../../../src/services/Sessions.ts"
import { channelName, type Config, type Outcome } from "../../fixtures/transfer.ts"
import * as Long from "../../support/long.ts"
import * as Pattern from "../../support/pattern.ts"
import * as Random from "../../support/random.ts"
import type { RawWorker } from "../../support/RawWorker.ts"
import {
  accepting,
  Actor,
  assertNothingLeft,
  attachRaw,
  type Behaviour,
  echoing,
  endpoint,
  handleOf,
  recorded,
  type Run,
  scenario,
  type Stage
} from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

const KiB = 1024
const service = "local://service"
const local = { scope: { local: true } } as const
const tiny = { indexQueue: 1, ioRing: 1, controlRing: 1 } as const

/** Moves the clock and lets what follows happen. */
const adjust = (millis: number) => Effect.andThen(TestClock.adjust(millis), settled)

const serverOptions = (options: AppOptionsInput = {}): AppOptionsInput => ({
  name: "server",
  listen: [service],
  ...local,
  ...options
})

const clientOptions = (options: AppOptionsInput = {}): AppOptionsInput => ({
  name: "client",
  listen: [],
  ...local,
  ...options
})

/** An application that serves, and one that connects to it. */
const attachPair = Effect.fnUntraced(function*(stage: Stage, options: {
  readonly accept?: Behaviour["accept"]
  readonly server?: AppOptionsInput
  readonly client?: AppOptionsInput
} = {}) {
  const server = new Actor(options.accept === undefined ? {} : { accept: options.accept })
  const client = new Actor()
  yield* stage.attach(server, serverOptions(options.server))
  yield* stage.attach(client, clientOptions(options.client))
  return { server, client }
})

/** Connects, and lives until it is closed or the test is over. */
const connect = Effect.fnUntraced(function*(actor: Actor, uri: string = service, options?: ConnectOptions, worker = 0) {
  const run = actor.run(worker)
  const session = yield* run.sessions.connect(uri, options)
  recorded(session, run)
  return session
})

/** The edges of a worker's sessions, without their handles. */
const edges = (run: Run): ReadonlyArray<string> => run.edges.map((edge) => edge.replace(/ [\d.]+$/, ""))

const bytesOf = (session: Session): string => Buffer.from(session.read() ?? []).toString()

/** No cut-through session is left, nor anything that there was for one. */
const assertNoLocals = Effect.fnUntraced(function*({ host }: Stage) {
  yield* settled
  const { connects, sessions } = yield* host.locals
  assert.deepStrictEqual({ connects, sessions }, { connects: [], sessions: [] })
  assert.deepStrictEqual(yield* host.sessions({ transport: "local" }), [])
  assert.deepStrictEqual((yield* host.segments).filter(({ kind }) => kind === "local"), [])
  assert.strictEqual((yield* host.report).sessions, 0)
  assert.deepStrictEqual((yield* host.report).imbalances, [])
})

/** What a raw worker was offered. */
const offers = (raw: RawWorker) => raw.all("cutThroughAccepted").map((message) => ({ ...message, offset: 0 }))

describe("a local listener", () => {
  scenario(
    "W16 another application that wants the very same endpoint is told AddressInUse",
    (stage) =>
      Effect.gen(function*() {
        const first = new Actor()
        const second = new Actor()
        yield* stage.attach(first, serverOptions({ name: "first" }))
        yield* stage.attach(second, serverOptions({ name: "second", listen: [] }))
        const before = yield* stage.host.locals
        assert.deepStrictEqual(before.listeners.map(({ app, endpoint }) => [app, endpoint]), [["first", service]])
        const run = second.run()
        const error = yield* Effect.flip(run.sessions.listen(service, accepting(run)))
        assert.strictEqual(error.reason._tag, "AddressInUse")
        assert.strictEqual(error.detail, `application first listens on ${service}`)
        assert.deepStrictEqual(yield* stage.host.locals, before)
        // an application of both scopes, too: a local endpoint is no transport's
        const third = new Actor()
        yield* stage.attach(third, { name: "third", listen: [], scope: { local: true, global: true } })
        const both = yield* Effect.flip(third.run().sessions.listen(service, () => {}))
        assert.strictEqual(both.reason._tag, "AddressInUse")
        yield* stage.host.detach((yield* stage.host.find("first")).handle)
        yield* run.sessions.listen(service, accepting(run))
      })
  )

  scenario(
    "W16 two applications of both scopes are in each other's way there as well",
    (stage) =>
      Effect.gen(function*() {
        const both = { scope: { local: true, global: true } }
        const second = new Actor()
        yield* stage.attach(new Actor(), serverOptions({ name: "first", ...both }))
        yield* stage.attach(second, serverOptions({ name: "second", listen: [], ...both }))
        const error = yield* Effect.flip(second.run().sessions.listen(service, () => {}))
        assert.strictEqual(error.reason._tag, "AddressInUse")
      })
  )
})

describe("a local connect", () => {
  scenario(
    "W16 to a worker of this process is a session at once, with one segment for both rings",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, {
          server: { segment: { rxFifoSize: "16KiB", txFifoSize: "64KiB" } },
          client: { segment: { rxFifoSize: "4KiB", txFifoSize: "4KiB" } }
        })
        const segments = (yield* stage.app("client")).workers[0]!.segments
        const session = yield* connect(client)
        const [other] = server.run().accepted
        assert.isTrue(session.cutThrough && other!.cutThrough)
        // the sizes are those of the application that serves
        assert.deepStrictEqual([other!.rxBound, other!.txBound], [16 * KiB, 64 * KiB])
        assert.deepStrictEqual([session.rxBound, session.txBound], [64 * KiB, 16 * KiB])
        assert.strictEqual(session.remote, service)
        assert.strictEqual(other!.local, service)
        assert.strictEqual(other!.remote, session.local)
        const locals = yield* stage.host.locals
        assert.strictEqual(locals.sessions.length, 1)
        assert.strictEqual(locals.sessions[0]!.segmentBytes, SessionBlock.SESSION_BLOCK_BYTES + 80 * KiB)
        assert.strictEqual(handleOf(locals.sessions[0]!.server.session), other!.handle)
        assert.strictEqual(handleOf(locals.sessions[0]!.client.session), session.handle)
        assert.deepStrictEqual(locals.connects, [])
        assert.deepStrictEqual(
          (yield* stage.host.sessions({})).map(({ app, kind, rx, state }) => [app, kind, state, rx]),
          [["server", "cut-through server", "READY", null], ["client", "cut-through client", "READY", null]]
        )
        assert.deepStrictEqual(
          (yield* stage.host.segments).filter(({ kind }) => kind === "local").map(({ app, bytes, count }) => [
            app,
            count,
            bytes
          ]),
          [["server", 1, SessionBlock.SESSION_BLOCK_BYTES + 80 * KiB], ["client", 1, 0]]
        )
        // what connections have is not touched
        assert.deepStrictEqual((yield* stage.app("client")).workers[0]!.segments, segments)
        assert.strictEqual(session.write(Buffer.from("ping")), 4)
        yield* until("bytes", () => other!.available === 4)
        yield* settled
        assert.strictEqual(bytesOf(other!), "ping")
        other!.write(Buffer.from("pong"))
        yield* until("bytes", () => session.available === 4)
        yield* settled
        assert.strictEqual(bytesOf(session), "pong")
        assert.deepStrictEqual(edges(server.run()), ["readable"])
        assert.deepStrictEqual(edges(client.run()), ["readable"])
        session.close()
        yield* assertNoLocals(stage)
      })
  )

  scenario(
    "W16 W20 the server is told first, and the client of nothing before the server has accepted",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [server] } = yield* attachRaw(stage, serverOptions())
        const { raws: [client] } = yield* attachRaw(stage, clientOptions())
        server!.said.length = 0
        client!.said.length = 0
        client!.send({ _tag: "connect", request: 7, endpoint: service, source: "", timeout: 0 })
        yield* until("the offer", () => offers(server!).length === 1)
        yield* settled
        // the segment and the link first
        assert.deepStrictEqual(server!.said.toSorted(), ["addLink", "addSegment", "cutThroughAccepted"])
        assert.strictEqual(server!.said.at(-1), "cutThroughAccepted")
        assert.notInclude(client!.said, "cutThroughConnected")
        assert.notInclude(client!.said, "addSegment")
        const connects = yield* stage.host.locals
        assert.deepStrictEqual(connects.connects.map(({ endpoint, scope }) => [endpoint, scope]), [[service, "local"]])
        assert.strictEqual((yield* stage.worker(0, "server")).offers.pending, 1)
        assert.isTrue(server!.claim(offers(server!)[0]!))
        yield* until("the session", () => client!.all("cutThroughConnected").length === 1)
        assert.deepStrictEqual(client!.said.toSorted(), ["addLink", "addSegment", "cutThroughConnected"])
        assert.strictEqual(client!.said.at(-1), "cutThroughConnected")
        const [accepted] = server!.all("cutThroughAccepted")
        const [connected] = client!.all("cutThroughConnected")
        assert.strictEqual(connected!.request, 7)
        assert.deepStrictEqual([connected!.slot, connected!.peerSlot], [accepted!.peerSlot, accepted!.slot])
        assert.deepStrictEqual([connected!.rxBytes, connected!.txBytes], [accepted!.txBytes, accepted!.rxBytes])
        // it is one memory
        const words = (raw: RawWorker, segment: number) => raw.segments.get(segment)!.buffer
        assert.strictEqual(words(server!, accepted!.segment), words(client!, connected!.segment))
        assert.instanceOf(words(server!, accepted!.segment), SharedArrayBuffer)
      })
  )

  scenario("W16 both sides gone, the segment is withdrawn from each, once", (stage) =>
    Effect.gen(function*() {
      const { raws: [server] } = yield* attachRaw(stage, serverOptions())
      const { raws: [client] } = yield* attachRaw(stage, clientOptions())
      client!.send({ _tag: "connect", request: 1, endpoint: service, source: "", timeout: 0 })
      yield* until("the offer", () => offers(server!).length === 1)
      server!.claim(offers(server!)[0]!)
      yield* until("the session", () => client!.all("cutThroughConnected").length === 1)
      const [accepted] = server!.all("cutThroughAccepted")
      const [connected] = client!.all("cutThroughConnected")
      client!.send({ _tag: "close", session: connected!.session })
      yield* until("both to be told", () => [client!, server!].every((raw) => raw.all("cleanup").length === 1))
      assert.deepStrictEqual(server!.said.slice(-2), ["disconnected", "cleanup"])
      client!.send({ _tag: "release", session: connected!.session })
      yield* settled
      // the other one reads on
      assert.deepStrictEqual([client!, server!].map((raw) => raw.all("deleteSegment").length), [0, 0])
      server!.send({ _tag: "release", session: accepted!.session })
      yield* settled
      assert.deepStrictEqual(client!.all("deleteSegment").map(({ segment }) => segment), [connected!.segment])
      assert.deepStrictEqual(server!.all("deleteSegment").map(({ segment }) => segment), [accepted!.segment])
      // said twice it is nothing
      client!.send({ _tag: "release", session: connected!.session })
      server!.send({ _tag: "release", session: accepted!.session })
      yield* assertNoLocals(stage)
      assert.deepStrictEqual([client!, server!].map((raw) => raw.all("deleteSegment").length), [1, 1])
    }))

  scenario(
    "W14 W16 a server that gives up at once what a client had taken back before leaves the host as it was",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [server] } = yield* attachRaw(stage, serverOptions())
        const { raws: [client] } = yield* attachRaw(stage, clientOptions())
        for (const [request, how] of (["close", "abort", "end"] as const).entries()) {
          client!.send({ _tag: "connect", request, endpoint: service, source: "", timeout: 0 })
          yield* until("the offer", () => offers(server!).length === request + 1)
          const offer = offers(server!).at(-1)!
          assert.isTrue(server!.take(offer))
          client!.send({ _tag: "cancelConnect", request })
          yield* settled
          // the host reads both at once
          server!.sendIo(Message.Claimed, offer.session)
          server!.send({ _tag: how, session: offer.session })
          yield* until("the end", () => server!.all("cleanup").length === request + 1)
          server!.send({ _tag: "abort", session: offer.session })
          server!.send({ _tag: "release", session: offer.session })
          yield* assertNoLocals(stage)
        }
        assert.strictEqual(server!.all("cleanup").length, 3)
        assert.strictEqual((yield* stage.worker(0, "server")).state, "RUNNING")
      })
  )

  scenario(
    "W16 the memory of a session is used again by the next of the same two workers, and by no others",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [server] } = yield* attachRaw(stage, serverOptions())
        const { raws } = yield* attachRaw(stage, clientOptions(), 2)
        /** A session from its connect to its end; the memory that it had. */
        const session = Effect.fnUntraced(function*(client: RawWorker, request: number) {
          const before = client.all("cutThroughConnected").length
          client.send({ _tag: "connect", request, endpoint: service, source: "", timeout: 0 })
          yield* until("the offer", () => offers(server!).length === request)
          server!.claim(offers(server!).at(-1)!)
          yield* until("the session", () => client.all("cutThroughConnected").length > before)
          const accepted = server!.all("cutThroughAccepted").at(-1)!
          const { session } = client.all("cutThroughConnected").at(-1)!
          const { buffer } = server!.segments.get(accepted.segment)!
          client.send({ _tag: "close", session })
          yield* until("both to be told", () => server!.all("cleanup").length === request)
          client.send({ _tag: "release", session })
          server!.send({ _tag: "release", session: accepted.session })
          yield* settled
          return buffer
        })
        const [one, other] = [raws[0]!, raws[1]!]
        const first = yield* session(one, 1)
        const second = yield* session(other, 2)
        assert.notStrictEqual(second, first)
        assert.strictEqual(yield* session(one, 3), first)
        assert.strictEqual(yield* session(other, 4), second)
        yield* assertNoLocals(stage)
      })
  )

  scenario(
    "W15 W16 what the server writes at once is announced to the client, as over a connection",
    (stage) =>
      Effect.gen(function*() {
        const greeting = (session: Session) => void session.write(Buffer.from("hello"))
        const { client } = yield* attachPair(stage, { accept: greeting })
        const session = yield* connect(client)
        yield* until("the edge", () => client.run().edges.length > 0)
        assert.deepStrictEqual(edges(client.run()), ["readable"])
        assert.strictEqual(bytesOf(session), "hello")
      })
  )

  scenario("W16 of a worker to itself, and to another worker of its application", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ accept: echoing })
      yield* stage.attach(actor, serverOptions({ name: "app", workers: 2 }))
      const talk = Effect.fnUntraced(function*(worker: number) {
        const session = yield* connect(actor, service, {}, worker)
        session.write(Buffer.from("hello"))
        yield* until("the echo", () => session.available === 5)
        assert.strictEqual(bytesOf(session), "hello")
        return session
      })
      const sessions = yield* Effect.forEach([0, 0, 1, 1], talk)
      // the rotor goes over both, whoever asks
      assert.deepStrictEqual(actor.counts(2), [2, 2])
      for (const session of sessions) session.end()
      yield* until("the ends", () => sessions.every(({ closed }) => closed))
      assert.isTrue(sessions.every(({ reset }) => reset === undefined))
      yield* assertNoLocals(stage)
      // the worker's end takes both sides of what it has with itself
      const own = yield* talk(0)
      stage.script(0).crash()
      yield* settled
      assert.isTrue(own.closed)
      yield* assertNoLocals(stage)
    }))
})

describe("admission", () => {
  scenario("W16 W14 nobody there: the reason is ConnectionRefused", (stage) =>
    Effect.gen(function*() {
      const client = new Actor()
      yield* stage.attach(client, clientOptions())
      for (const uri of [service, endpoint]) {
        const error = yield* Effect.flip(connect(client, uri))
        assert.strictEqual(error.reason._tag, "ConnectionRefused")
        assert.match(error.detail, /^nobody listens there/)
      }
      yield* assertNoLocals(stage)
    }))

  scenario(
    "W16 M6 a congested server: the connect is held, and goes on when the server has caught up",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, { server: { queue: tiny } })
        // offers that run out make it one that is behind
        stage.script(0, "server").block()
        const first = yield* Effect.forkChild(connect(client))
        yield* adjust(5)
        assert.isTrue((yield* stage.worker(0, "server")).congested)
        const second = yield* Effect.forkChild(connect(client))
        yield* settled
        assert.deepStrictEqual((yield* stage.host.locals).connects.length, 2)
        const [listener] = (yield* stage.app("server")).listeners
        assert.strictEqual(listener!.arrivals.held, 2)
        stage.script(0, "server").release()
        yield* Fiber.join(first)
        yield* Fiber.join(second)
        assert.strictEqual(server.run().accepted.length, 2)
        assert.deepStrictEqual((yield* stage.host.locals).connects, [])
      })
  )

  const refusals: ReadonlyArray<{
    readonly what: string
    readonly server: AppOptionsInput
    readonly reason: string
    /** Behaves until the connect is refused. */
    readonly block?: boolean
  }> = [
    { what: "congested", server: { admission: { policy: "refuse" } }, reason: "congested", block: true },
    {
      what: "at its worker's limit",
      server: { admission: { policy: "refuse", maxSessionsPerWorker: 1 } },
      reason: "worker-limit"
    },
    { what: "at its listener's limit", server: { admission: { maxSessionsPerListener: 1 } }, reason: "listener-limit" },
    { what: "at its application's limit", server: { admission: { maxSessions: 1 } }, reason: "host-limit" },
    { what: "without room to hold it", server: { admission: { holdMax: 0 } }, reason: "hold-full", block: true },
    {
      what: "at its memory limit",
      server: {
        admission: { policy: "refuse" },
        segment: { memoryLimit: "5632KiB", rxFifoSize: "512KiB", txFifoSize: "256KiB" }
      },
      reason: "no-memory"
    }
  ]

  for (const { block = false, reason, server, what } of refusals) {
    scenario(`W16 M6 a server that is ${what}: Refused, with the reason ${reason}`, (stage) =>
      Effect.gen(function*() {
        const { client } = yield* attachPair(stage, { server })
        const script = stage.script(0, "server")
        const first = block ? undefined : yield* connect(client)
        if (block) {
          script.block()
          yield* Effect.forkChild(Effect.exit(connect(client)))
          yield* adjust(5)
        }
        const error = yield* Effect.flip(connect(client))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.strictEqual(error.detail, `${reason}: ${service} takes no session now`)
        const { listeners: [listener] } = yield* stage.app("server")
        assert.isAbove(listener!.arrivals.refused[reason as "congested"], 0)
        // and when it may, it does
        script.release()
        first?.close()
        yield* settled
        yield* connect(client)
      }))
  }

  scenario("W16 M6 held no longer than the hold time", (stage) =>
    Effect.gen(function*() {
      const { client } = yield* attachPair(stage, { server: { admission: { holdTime: 700 } } })
      stage.script(0, "server").block()
      const fiber = yield* Effect.forkChild(Effect.flip(connect(client)))
      yield* adjust(5)
      yield* adjust(699)
      assert.isUndefined(fiber.pollUnsafe())
      yield* adjust(1)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.detail, `hold-time: ${service} takes no session now`)
      stage.script(0, "server").release()
      yield* assertNoLocals(stage)
    }))

  scenario(
    "W16 the client's own limits count when the server has accepted, which then hears of a reset",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, { client: { admission: { maxSessions: 1 } } })
        stage.script(0, "server").mute()
        // both pass the check before, and one of them the second one
        const fibers = [
          yield* Effect.forkChild(Effect.exit(connect(client))),
          yield* Effect.forkChild(Effect.exit(connect(client)))
        ]
        yield* settled
        stage.script(0, "server").unmute()
        const exits = yield* Effect.forEach(fibers, Fiber.join)
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false])
        const error = yield* Effect.flip(exits[1]!)
        assert.strictEqual(error.reason._tag, "Refused")
        assert.strictEqual(error.detail, "host-limit: the application has all the sessions it may have")
        yield* settled
        assert.deepStrictEqual(edges(server.run()), [
          "closed (the client can't have it: host-limit: the application has all the sessions it may have)"
        ])
        assert.strictEqual((yield* stage.host.locals).sessions.length, 1)
      })
  )

  scenario(
    "W16 M7 a client that is congested when the server has accepted gets Refused, congested",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, { client: { queue: tiny, listen: ["local://other"] } })
        const sessions = yield* Effect.forEach(Array(3), () => connect(server, "local://other"))
        stage.script(0, "server").mute()
        const fiber = yield* Effect.forkChild(Effect.flip(connect(client)))
        yield* settled
        stage.script(0, "client").block()
        for (const session of sessions) yield* stage.host.endSession(session.handle, "close")
        yield* settled
        assert.isTrue((yield* stage.worker(0, "client")).congested)
        stage.script(0, "server").unmute()
        yield* settled
        stage.script(0, "client").release()
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason._tag, "Refused")
        assert.strictEqual(error.detail, "congested: the worker is behind with its queue")
      })
  )

  scenario(
    "W16 M15 an offer that is not claimed in time goes to another worker, with a segment of its own",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [slow, next] } = yield* attachRaw(stage, serverOptions(), 2)
        const client = new Actor()
        yield* stage.attach(client, clientOptions())
        const fiber = yield* Effect.forkChild(connect(client))
        yield* until("the offer", () => offers(slow!).length === 1)
        yield* adjust(5)
        assert.strictEqual(offers(next!).length, 1)
        const late = offers(slow!)[0]!
        const offer = offers(next!)[0]!
        assert.notStrictEqual(late.session, offer.session)
        assert.notStrictEqual(slow!.segments.get(late.segment)!.buffer, next!.segments.get(offer.segment)!.buffer)
        assert.isTrue(next!.claim(offer))
        yield* Fiber.join(fiber)
        // the old one is there until the worker has come past it
        assert.deepStrictEqual(slow!.all("deleteSegment"), [])
        assert.isFalse(slow!.claim(late))
        yield* until("the withdrawal", () => slow!.all("deleteSegment").length === 1)
        assert.strictEqual(slow!.all("deleteSegment")[0]!.segment, late.segment)
        assert.deepStrictEqual(next!.all("deleteSegment"), [])
        assert.deepStrictEqual(
          (yield* stage.app("server")).workers.map((
            { offers: { claimed, pending, revoked } }
          ) => [claimed, revoked, pending]),
          [[0, 1, 0], [1, 0, 0]]
        )
      })
  )

  scenario("W16 M15 bytes go to whoever has it in the end", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* attachPair(stage, { accept: echoing, server: { workers: 2 } })
      stage.script(0, "server").block()
      const fiber = yield* Effect.forkChild(connect(client))
      yield* adjust(5)
      const session = yield* Fiber.join(fiber)
      session.write(Buffer.from("hello"))
      yield* until("the echo", () => session.available === 5)
      stage.script(0, "server").release()
      yield* settled
      assert.deepStrictEqual(server.counts(2), [0, 1])
      assert.strictEqual(bytesOf(session), "hello")
      session.close()
      yield* assertNoLocals(stage)
    }))

  scenario(
    "W14 W16 a local connect has the time of any connect, to the millisecond",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [server] } = yield* attachRaw(stage, serverOptions({ admission: { revokeAfter: 10_000 } }))
        const client = new Actor()
        yield* stage.attach(client, clientOptions({ admission: { connectTimeout: 3000 } }))
        for (const [options, millis] of [[{}, 3000], [{ timeout: 40 }, 40]] as const) {
          const before = offers(server!).length
          const fiber = yield* Effect.forkChild(Effect.flip(connect(client, service, options)))
          yield* until("the offer", () => offers(server!).length === before + 1)
          yield* adjust(millis - 1)
          assert.strictEqual((yield* stage.host.locals).connects[0]!.timeoutMillis, millis)
          assert.isUndefined(fiber.pollUnsafe())
          yield* adjust(1)
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.reason._tag, "TimedOut")
          assert.strictEqual(error.detail, `no answer within ${millis} ms`)
          // the server finds it taken back
          assert.isFalse(server!.claim(offers(server!)[before]!))
          yield* assertNoLocals(stage)
          assert.strictEqual(server!.all("deleteSegment").length, before + 1)
        }
        const { arrivals, offers: counted } = (yield* stage.report).ledger
        assert.deepStrictEqual([arrivals.withdrawn, counted.withdrawn], [2, 2])
      })
  )
})

describe("a client that gives up", () => {
  const GIVEN_UP = "closed (the client has given up)"

  scenario(
    "W16 M6 while it is on offer: who waits for its place under the listener's limit gets it at once",
    (stage) =>
      Effect.gen(function*() {
        const client = new Actor()
        const raws = [stage.raw(0, "server"), stage.raw(1, "server")]
        for (const raw of raws) {
          const begin = raw.begin.bind(raw)
          raw.begin = (options) => {
            begin(options)
            raw.send({ _tag: "listen", request: 1, endpoint: service, backlog: 0, flags: 0 })
          }
        }
        yield* stage.attach(
          new Actor(),
          serverOptions({
            workers: 2,
            worker: { backoffBase: 100 },
            admission: { maxSessionsPerListener: 1, revokeAfter: 10_000 }
          })
        )
        yield* stage.attach(client, clientOptions())
        yield* settled
        // both are held while the workers start again, and the first is offered to a worker that does not look
        for (const raw of raws) raw.onStop()
        yield* settled
        const first = yield* Effect.forkChild(connect(client))
        yield* settled
        const second = yield* Effect.forkChild(connect(client))
        yield* settled
        for (const raw of raws) raw.held = true
        yield* adjust(100)
        const arrivals = Effect.map(stage.app("server"), ({ listeners }) => listeners[0]!.arrivals)
        assert.deepInclude(yield* arrivals, { arrived: 2, held: 1, offered: 1 })
        yield* Fiber.interrupt(first)
        yield* settled
        assert.deepInclude(yield* arrivals, { arrived: 2, withdrawn: 1, held: 0, offered: 1 })
        yield* Fiber.interrupt(second)
      })
  )

  scenario("W16 while it is held: nobody hears of it", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* attachPair(stage)
      stage.script(0, "server").block()
      const first = yield* Effect.forkChild(connect(client))
      yield* adjust(5)
      const held = yield* Effect.forkChild(connect(client))
      yield* settled
      assert.strictEqual((yield* stage.app("server")).listeners[0]!.arrivals.held, 2)
      yield* Fiber.interrupt(held)
      yield* settled
      assert.strictEqual((yield* stage.app("server")).listeners[0]!.arrivals.held, 1)
      stage.script(0, "server").release()
      const session = yield* Fiber.join(first)
      yield* settled
      assert.strictEqual(server.run().accepted.length, 1)
      session.close()
      yield* assertNoLocals(stage)
    }))

  scenario(
    "W16 while it is on offer: the offer is taken back, and nobody else gets it",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, { server: { workers: 2 } })
        stage.script(0, "server").block()
        const fiber = yield* Effect.forkChild(connect(client))
        yield* settled
        yield* Fiber.interrupt(fiber)
        yield* adjust(5)
        stage.script(0, "server").release()
        yield* settled
        assert.deepStrictEqual(server.counts(2), [0, 0])
        assert.strictEqual((yield* stage.report).ledger.arrivals.withdrawn, 1)
        yield* assertNoLocals(stage)
        yield* connect(client)
      })
  )

  scenario(
    "W16 when it is claimed, and the host has not read so: the server hears of a reset",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage)
        stage.script(0, "server").mute()
        const fiber = yield* Effect.forkChild(connect(client))
        yield* settled
        assert.strictEqual(server.run().accepted.length, 1)
        yield* Fiber.interrupt(fiber)
        // its place is taken by another one, which hears nothing of it
        const next = yield* Effect.forkChild(connect(client))
        yield* settled
        stage.script(0, "server").unmute()
        const session = yield* Fiber.join(next)
        yield* settled
        assert.deepStrictEqual(edges(server.run()), [GIVEN_UP])
        assert.strictEqual((yield* stage.host.locals).sessions.length, 1)
        session.write(Buffer.from("hello"))
        yield* until("bytes", () => server.run().accepted[1]!.available === 5)
        bytesOf(server.run().accepted[1]!)
        session.close()
        yield* assertNoLocals(stage)
      })
  )

  scenario("W16 at whatever moment it is interrupted, nothing of it is left", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* attachPair(stage, { server: { workers: 2 } })
      let finished = 0
      for (let turns = 0; finished < 3; turns++) {
        assert.isBelow(turns, 100)
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(connect(client), Effect.never)))
        for (let i = 0; i < turns; i++) yield* turn
        if ((yield* stage.host.locals).sessions.length > 0) finished++
        yield* Fiber.interrupt(fiber)
        yield* assertNoLocals(stage)
      }
      assert.isTrue(server.runs.every(({ accepted }) => accepted.every(({ closed }) => closed)))
    }))
})

describe("how it ends", () => {
  const RESET = "closed (the peer reset the connection)"
  const GIVEN_UP = "closed (the connection was given up)"

  for (const [who, other] of [["client", "server"], ["server", "client"]] as const) {
    const start = Effect.fnUntraced(function*(stage: Stage) {
      const pair = yield* attachPair(stage)
      const client = yield* connect(pair.client)
      const [server] = pair.server.run().accepted
      const sessions = { client, server: server! }
      return {
        mine: sessions[who],
        theirs: sessions[other],
        myEdges: () => edges(pair[who].run()),
        theirEdges: () => edges(pair[other].run())
      }
    })

    scenario(
      `W16 the ${who} ends its side: the ${other} may still write, and when it ends too it is over`,
      (stage) =>
        Effect.gen(function*() {
          const { mine, myEdges, theirEdges, theirs } = yield* start(stage)
          mine.write(Buffer.from("question"))
          mine.end()
          yield* settled
          assert.deepStrictEqual(theirEdges(), ["readable", "ended"])
          assert.isTrue(theirs.ended)
          assert.isFalse(theirs.closed || mine.closed)
          assert.strictEqual(mine.write(Buffer.from("more")), -1)
          assert.strictEqual(bytesOf(theirs), "question")
          assert.strictEqual(theirs.write(Buffer.from("answer")), 6)
          yield* settled
          assert.strictEqual(bytesOf(mine), "answer")
          theirs.end()
          yield* settled
          assert.deepStrictEqual(myEdges(), ["readable", "ended", "closed"])
          assert.deepStrictEqual(theirEdges(), ["readable", "ended", "closed"])
          yield* assertNoLocals(stage)
        })
    )

    scenario(
      `W16 the ${who} closes: what it wrote can still be read by the ${other}`,
      (stage) =>
        Effect.gen(function*() {
          const { mine, myEdges, theirEdges, theirs } = yield* start(stage)
          mine.write(Buffer.from("last words"))
          mine.close()
          yield* settled
          assert.deepStrictEqual(myEdges(), ["closed"])
          assert.deepStrictEqual(theirEdges(), ["readable", "ended", "closed"])
          assert.strictEqual(theirs.write(Buffer.from("too late")), -1)
          // it is there as long as that is unread
          assert.strictEqual((yield* stage.host.sessions({ transport: "local" })).length, 1)
          assert.strictEqual(bytesOf(theirs), "last words")
          yield* assertNoLocals(stage)
        })
    )

    scenario(`W16 the ${who} aborts: the ${other} hears of a reset`, (stage) =>
      Effect.gen(function*() {
        const { mine, myEdges, theirEdges } = yield* start(stage)
        mine.abort()
        mine.abort()
        mine.close()
        yield* settled
        assert.deepStrictEqual(myEdges(), [GIVEN_UP])
        assert.deepStrictEqual(theirEdges(), [RESET])
        yield* assertNoLocals(stage)
      }))

    scenario(
      `W16 the ${who} closes with bytes that it has not read: the ${other} hears of a reset`,
      (stage) =>
        Effect.gen(function*() {
          const { mine, theirEdges, theirs } = yield* start(stage)
          theirs.write(Buffer.from("nobody reads this"))
          yield* settled
          mine.close()
          yield* settled
          assert.deepStrictEqual(theirEdges(), [RESET])
          yield* assertNoLocals(stage)
        })
    )

    scenario(
      `W16 the ${other} aborts after the ${who} has ended: the end came first, then the reset`,
      (stage) =>
        Effect.gen(function*() {
          const { mine, myEdges, theirs } = yield* start(stage)
          mine.end()
          yield* settled
          theirs.abort()
          yield* settled
          assert.deepStrictEqual(myEdges(), [RESET])
          yield* assertNoLocals(stage)
        })
    )

    scenario(
      `W16 the ${who}'s side is ended by the host: with close, or with reset`,
      (stage) =>
        Effect.gen(function*() {
          const first = yield* start(stage)
          first.mine.write(Buffer.from("last words"))
          yield* stage.host.endSession(first.mine.handle, "close")
          yield* settled
          assert.deepStrictEqual(first.theirEdges(), ["readable", "ended", "closed"])
          assert.strictEqual(bytesOf(first.theirs), "last words")
          assert.deepStrictEqual(first.myEdges(), ["closed"])
          yield* assertNoLocals(stage)
        })
    )

    scenario(`W16 the ${who}'s side is reset by the host`, (stage) =>
      Effect.gen(function*() {
        const { mine, myEdges, theirEdges } = yield* start(stage)
        yield* stage.host.endSession(mine.handle, "reset")
        yield* settled
        assert.deepStrictEqual(theirEdges(), [RESET])
        assert.deepStrictEqual(myEdges(), [GIVEN_UP])
        yield* assertNoLocals(stage)
      }))

    for (const how of ["open", "half-closed", "half-closed by the other", "with unread bytes", "closing"] as const) {
      scenario(
        `W12 W16 the ${who}'s worker goes while it is ${how}: the ${other} hears of a reset, or of the end`,
        (stage) =>
          Effect.gen(function*() {
            const { mine, theirEdges, theirs } = yield* start(stage)
            if (how === "half-closed") mine.end()
            if (how === "half-closed by the other") theirs.end()
            if (how === "with unread bytes") {
              mine.write(Buffer.alloc(1000))
              theirs.write(Buffer.alloc(1000))
            }
            if (how === "closing") mine.close()
            yield* settled
            stage.script(0, who).crash()
            yield* settled
            assert.strictEqual(theirEdges().at(-1), how === "closing" ? "closed" : RESET)
            assert.isTrue(theirs.closed)
            yield* assertNoLocals(stage)
            // and the next start of it is connected like the first
            yield* adjust(100)
            assert.strictEqual((yield* stage.worker(0, who)).state, "RUNNING")
          })
      )
    }
  }

  scenario("W16 both sides close in the same moment, or one of them and its worker", (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* attachPair(stage)
      const ends = ["end", "close", "abort"] as const
      for (const one of ends) {
        for (const two of ends) {
          const session = yield* connect(client)
          const other = server.run().accepted.at(-1)!
          session[one]()
          other[two]()
          yield* settled
          assert.isTrue(session.closed && other.closed, `${one} and ${two}`)
          yield* assertNoLocals(stage)
        }
      }
    }))
})

describe("a worker that goes", () => {
  scenario(
    "W12 W16 the server's, with the connect held: it is kept for the next start",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage)
        stage.script(0, "server").block()
        const fiber = yield* Effect.forkChild(connect(client))
        yield* adjust(5)
        stage.script(0, "server").crash()
        yield* settled
        assert.isUndefined(fiber.pollUnsafe())
        yield* adjust(100)
        yield* Fiber.join(fiber)
        assert.strictEqual(server.run().info.restarts, 1)
        assert.strictEqual(server.run().accepted.length, 1)
      })
  )

  scenario(
    "W12 W16 the server's, with the connect on offer: it goes to another worker",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, { server: { workers: 2 } })
        stage.script(0, "server").block()
        const fiber = yield* Effect.forkChild(connect(client))
        yield* settled
        stage.script(0, "server").crash()
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(server.counts(2), [0, 1])
      })
  )

  for (const state of ["held", "on offer"] as const) {
    scenario(
      `W16 the server's for good, with the connect ${state}: the connect fails with Refused`,
      (stage) =>
        Effect.gen(function*() {
          const server = new Actor()
          const client = new Actor()
          const { handle } = yield* stage.attach(server, serverOptions())
          yield* stage.attach(client, clientOptions())
          stage.script(0, "server").block()
          const fiber = yield* Effect.forkChild(Effect.flip(connect(client)))
          yield* state === "held" ? adjust(5) : settled
          const detaching = yield* Effect.forkChild(stage.host.detach(handle))
          yield* adjust(2000)
          yield* Fiber.join(detaching)
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.reason._tag, "Refused")
          assert.strictEqual(error.detail, `no-worker: ${service} takes no session now`)
          yield* assertNoLocals(stage)
        })
    )
  }

  scenario(
    "W12 W16 the server's, when it has claimed and the host has not read so: the client hears of a reset",
    (stage) =>
      Effect.gen(function*() {
        const { client } = yield* attachPair(stage)
        stage.script(0, "server").mute()
        const fiber = yield* Effect.forkChild(connect(client))
        yield* settled
        stage.script(0, "server").crash()
        const session = yield* Fiber.join(fiber)
        yield* until("the reset", () => session.closed)
        assert.isDefined(session.reset)
        yield* assertNoLocals(stage)
      })
  )

  for (const state of ["held", "on offer", "claimed"] as const) {
    scenario(
      `W12 W16 the client's, with its connect ${state}: nothing of it is left`,
      (stage) =>
        Effect.gen(function*() {
          const { client, server } = yield* attachPair(stage)
          const script = stage.script(0, "server")
          if (state === "claimed") script.mute()
          else script.block()
          const fiber = yield* Effect.forkChild(Effect.flip(connect(client)))
          yield* state === "held" ? adjust(5) : settled
          stage.script(0, "client").crash()
          assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Detached")
          yield* settled
          script.unmute()
          script.release()
          yield* assertNoLocals(stage)
          assert.deepStrictEqual(edges(server.run()), state === "claimed" ? ["closed (the client has given up)"] : [])
          yield* adjust(100)
          yield* connect(client)
        })
    )
  }

  scenario(
    "W16 W20 its links go with it: others are told, and get new ones with its next start",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw] } = yield* attachRaw(stage, clientOptions({ name: "raw" }))
        const { server } = yield* attachPair(stage)
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 2; i++) {
            raw!.send({ _tag: "connect", request: 10 * round + i, endpoint: service, source: "", timeout: 0 })
            yield* until("the session", () => raw!.all("cutThroughConnected").length === 2 * round + i + 1)
          }
          // one for all sessions of the two
          assert.strictEqual(raw!.all("addLink").length, round + 1)
          stage.script(0, "server").crash()
          yield* settled
          assert.deepStrictEqual(
            raw!.all("deleteLink").map(({ link }) => link),
            raw!.all("addLink").map(({ link }) => link)
          )
          for (const { session } of raw!.all("cleanup")) raw!.send({ _tag: "release", session })
          yield* adjust(100 * 2 ** round)
        }
        assert.strictEqual(server.runs.length, 4)
        yield* assertNoLocals(stage)
      })
  )
})

describe("what a worker says of it", () => {
  scenario(
    "W16 a claim of what it was not offered, or a word about the other side's session, costs the worker",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [server] } = yield* attachRaw(stage, serverOptions())
        const client = new Actor()
        yield* stage.attach(client, clientOptions())
        const fiber = yield* Effect.forkChild(connect(client))
        yield* until("the offer", () => offers(server!).length === 1)
        server!.claim(offers(server!)[0]!)
        const session = yield* Fiber.join(fiber)
        server!.send({ _tag: "abort", session: session.handle })
        yield* settled
        assert.strictEqual((yield* stage.worker(0, "server")).state, "BACKOFF")
        assert.isTrue(session.closed)
        assert.strictEqual((yield* stage.worker(0, "client")).state, "RUNNING")
        yield* assertNoLocals(stage)
      })
  )

  scenario(
    "W16 a splice with a cut-through session is refused, and costs nothing else",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage)
        const one = yield* connect(client)
        const two = yield* connect(client)
        assert.isFalse(one.splice(two))
        one.write(Buffer.from("x"))
        yield* until("bytes", () => server.run().accepted[0]!.available === 1)
      })
  )
})

describe("many of them", () => {
  scenario(
    "W16 a thousand, opened and closed in all ways, leak no segment, no place and no link",
    (stage) =>
      Effect.gen(function*() {
        const small = { segment: { rxFifoSize: "4KiB", txFifoSize: "4KiB" } } as const
        const { client, server } = yield* attachPair(stage, {
          accept: echoing,
          server: { ...small, workers: 2 },
          client: { ...small, workers: 2 }
        })
        const { raws: [raw] } = yield* attachRaw(stage, clientOptions({ name: "raw", ...small }))
        const round = Effect.fnUntraced(function*(worker: number, at: number) {
          const session = yield* connect(client, service, {}, worker)
          const hello = Buffer.from(`hello ${at}`)
          session.write(hello)
          yield* until("the echo", () => session.available === hello.length)
          if (at % 5 !== 0) assert.strictEqual(bytesOf(session), `hello ${at}`)
          if (at % 3 === 0) session.end()
          else if (at % 3 === 1) session.close()
          else session.abort()
          yield* until("the end", () => session.closed)
          // what is left unread keeps it
          bytesOf(session)
        }, Effect.scoped)
        for (let batch = 0; batch < 10; batch++) {
          yield* Effect.forEach(Array.from({ length: 100 }, (_, i) => i), (i) => round(i % 2, 100 * batch + i), {
            concurrency: "unbounded",
            discard: true
          })
          yield* assertNoLocals(stage)
        }
        assert.strictEqual(server.counts(2).reduce((a, b) => a + b), 1000)
        // places are used again, at both ends
        for (let request = 0; request < 4; request++) {
          raw!.send({ _tag: "connect", request, endpoint: service, source: "", timeout: 0 })
          yield* until("the session", () => raw!.all("cutThroughConnected").length === request + 1)
          const { peerSlot, session, slot } = raw!.all("cutThroughConnected")[request]!
          assert.isBelow(peerSlot, 100)
          assert.strictEqual(slot, 0)
          raw!.send({ _tag: "abort", session })
          yield* until("the last word", () => raw!.all("cleanup").length === request + 1)
          raw!.send({ _tag: "release", session })
          yield* settled
        }
        // one for each worker of the two
        assert.strictEqual(raw!.all("addLink").length, 2)
        // and none of it is known to the workers any more
        for (const actor of [client, server]) {
          for (const run of actor.runs) assert.isAtMost(yield* run.sessions.open, 1)
        }
      })
  )

  scenario(
    "W16 more than the server's memory allows are held, and come when there is room",
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* attachPair(stage, {
          server: {
            segment: { firstSegmentSize: "2MiB", memoryLimit: "3MiB", rxFifoSize: "64KiB", txFifoSize: "64KiB" }
          }
        })
        const fibers = yield* Effect.forEach(Array(20), () => Effect.forkChild(connect(client)))
        yield* settled
        const open = server.run().accepted.length
        assert.isAbove(open, 4)
        assert.isBelow(open, 8)
        for (let served = 0; served < 20; served++) {
          yield* until("the next", () => server.run().accepted.length > served)
          server.run().accepted[served]!.close()
          yield* settled
        }
        for (const fiber of fibers) yield* Fiber.join(fiber)
        yield* assertNoLocals(stage)
      })
  )
})

describe("W20", () => {
  /** A raw worker that answers as workers do, and takes its time. */
  class Driven {
    readonly raw: RawWorker
    readonly open: Array<Handle.SessionHandle> = []
    readonly waiting: Array<{ session: Handle.SessionHandle; segment: number; offset: number }> = []
    readonly over: Array<Handle.SessionHandle> = []
    readonly unmapped: Array<number> = []
    #at = 0
    request = 100

    constructor(raw: RawWorker) {
      this.raw = raw
    }

    look(): void {
      for (; this.#at < this.raw.control.length; this.#at++) {
        const message = this.raw.control[this.#at]!
        switch (message._tag) {
          case "accepted":
            this.waiting.push(message)
            break
          case "cutThroughAccepted":
            this.waiting.push({ ...message, offset: 0 })
            break
          case "connected":
          case "cutThroughConnected":
            this.open.push(message.session)
            break
          case "cleanup": {
            const at = this.open.indexOf(message.session)
            if (at >= 0) this.open.splice(at, 1)
            this.over.push(message.session)
            break
          }
          case "addSegment":
            this.unmapped.push(message.segment)
        }
      }
    }

    claim(): void {
      const offer = this.waiting.shift()
      if (offer !== undefined && this.raw.claim(offer)) this.open.push(offer.session)
    }
    release(): void {
      const session = this.over.shift()
      if (session !== undefined) this.raw.send({ _tag: "release", session })
    }
    map(): void {
      const segment = this.unmapped.shift()
      if (segment !== undefined) this.raw.send({ _tag: "segmentMapped", segment })
    }
  }

  /** Whether every message is about what was announced before it and not withdrawn. Returns how many there were of each. */
  const check = (raw: RawWorker): Record<string, number> => {
    const counts: Record<string, number> = {}
    const segments = new Set([0])
    const links = new Set<number>()
    const sessions = new Set<Handle.SessionHandle>()
    const everything = new Set<string>()
    const announce = (what: string, set: Set<number>, number: number): void => {
      const name = `${what} ${number}`
      assert.isFalse(everything.has(name), `${name} is announced once`)
      everything.add(name)
      set.add(number)
    }
    let control = 0
    let io = 0
    for (const word of raw.said) {
      if (word.startsWith("io ")) {
        assert.isTrue(sessions.has(raw.io[io]!.session), `an event of a session that is there: ${word}`)
        io++
        continue
      }
      const message = raw.control[control++]!
      counts[message._tag] = (counts[message._tag] ?? 0) + 1
      switch (message._tag) {
        case "addSegment":
          announce("segment", segments, message.segment)
          break
        case "deleteSegment":
          assert.isTrue(segments.delete(message.segment), `segment ${message.segment} was there to be withdrawn`)
          break
        case "addLink":
          announce("link", links, message.link)
          break
        case "deleteLink":
          assert.isTrue(links.delete(message.link), `link ${message.link} was there to be withdrawn`)
          break
        case "accepted":
        case "connected":
        case "cutThroughAccepted":
        case "cutThroughConnected":
          assert.isTrue(segments.has(message.segment), `${message._tag} in segment ${message.segment}`)
          if ("link" in message) assert.isTrue(links.has(message.link), `${message._tag} over link ${message.link}`)
          sessions.add(message.session)
          break
        case "disconnected":
        case "reset":
          assert.isTrue(sessions.has(message.session), `${message._tag} of a session that is there`)
          break
        case "cleanup":
          assert.isTrue(sessions.delete(message.session), "the last word, said once")
      }
    }
    return counts
  }

  for (const seed of [1, 2, 3, 47, 83, 86, 130]) {
    scenario(
      `W20 no message is about a segment or a link that was not announced, or was withdrawn (seed ${seed})`,
      (stage) =>
        Effect.gen(function*() {
          const random = Random.make(seed)
          const small = {
            scope: { local: true, global: true },
            queue: { indexQueue: 8, ioRing: 4, controlRing: 8 },
            segment: { firstSegmentSize: "512KiB", addSegmentSize: "256KiB", rxFifoSize: "4KiB", txFifoSize: "4KiB" },
            admission: { revokeAfter: 100, holdTime: 200, connectTimeout: 300 }
          } as const
          const remote = "tcp://10.0.0.1:443"
          const { raws } = yield* attachRaw(stage, { name: "raw", listen: ["local://raw"], ...small }, 2)
          const { raws: [second] } = yield* attachRaw(stage, { name: "tcp", ...small })
          for (const raw of raws) {
            raw.send({ _tag: "listen", request: 2, endpoint: "tcp://127.0.0.1:81", backlog: 0, flags: 0 })
          }
          const actor = new Actor({ accept: random(2) === 0 ? echoing : recorded })
          yield* stage.attach(actor, { name: "actor", listen: [service], ...small, workers: 2 })
          const driven = [...raws, second!].map((raw) => new Driven(raw))
          const outside: Array<Peer> = []
          stage.network.listen(remote, (peer) => outside.push(peer))
          for (let step = 0; step < 1500; step++) {
            const one = driven[random(3)]!
            one.look()
            switch (random(18)) {
              case 0:
              case 1:
                outside.push(stage.network.dial([endpoint, "tcp://127.0.0.1:81"][random(2)]!))
                break
              case 2:
              case 3: {
                const uris = [service, "local://raw", remote, endpoint]
                one.raw.send({
                  _tag: "connect",
                  request: one.request++,
                  endpoint: uris[random(uris.length)]!,
                  source: "",
                  timeout: 0
                })
                break
              }
              case 4:
                yield* Effect.forkChild(
                  Effect.exit(Effect.scoped(Effect.andThen(
                    actor.run(random(2)).sessions.connect(["local://raw", endpoint][random(2)]!),
                    (session) =>
                      Effect.andThen(
                        Effect.sync(() => session.write(Buffer.alloc(random(3000)))),
                        Effect.sleep(random(100))
                      )
                  )))
                )
                break
              case 5:
              case 6:
              case 7:
                for (let claims = random(20); claims > 0; claims--) one.claim()
                break
              case 8:
                one.release()
                break
              case 9:
                one.map()
                break
              case 10: {
                const session = one.open[random(Math.max(1, one.open.length))]
                const how = (["end", "close", "abort"] as const)[random(3)]!
                if (session !== undefined) one.raw.send({ _tag: how, session })
                break
              }
              case 11:
                one.raw.held = random(2) === 0
                break
              case 12:
              case 13:
                one.raw.held = false
                one.raw.look()
                break
              case 14: {
                const peer = outside[random(Math.max(1, outside.length))]
                if (peer !== undefined) {
                  const how = random(5)
                  if (how === 0) peer.reset()
                  else if (how === 1) peer.end()
                  else peer.send(Buffer.alloc(random(3000)))
                }
                break
              }
              case 15:
                if (random(4) === 0) stage.script(random(2), "actor").crash()
                break
              case 16:
                yield* TestClock.adjust(random(30))
                break
              default:
                for (let turns = random(4); turns > 0; turns--) yield* turn
            }
          }
          for (let round = 0; round < 200; round++) {
            for (const one of driven) {
              one.raw.held = false
              one.raw.look()
              one.look()
              one.map()
              one.claim()
              one.release()
              for (const session of one.open) one.raw.send({ _tag: "abort", session })
            }
            yield* turn
            if (round % 10 === 0) yield* TestClock.adjust(50)
          }
          const counts = driven.map(({ raw }) => check(raw))
          // it was about something
          const sums: Record<string, number> = {}
          for (const count of counts) for (const [tag, n] of Object.entries(count)) sums[tag] = (sums[tag] ?? 0) + n
          for (
            const tag of [
              "addSegment",
              "deleteSegment",
              "addLink",
              "deleteLink",
              "cutThroughAccepted",
              "cutThroughConnected",
              "connected"
            ]
          ) {
            assert.isAbove(sums[tag] ?? 0, 0, tag)
          }
          const { workers } = yield* stage.app("raw")
          assert.isTrue(workers.some(({ timesCongested }) => timesCongested > 0))
          assert.isTrue(
            workers.every(({ restarts }) => restarts === 0),
            workers.map(({ lastFailure }) => lastFailure).join()
          )
        })
    )
  }
})

describe("between threads", () => {
  const module = AppWorker.fromUrl(new URL("../../fixtures/transfer.ts", import.meta.url))
  const MB = 1024 * KiB
  const BYTES = Long.steps({ short: 2, long: 10 }) * MB
  const digest = (from: number, bytes: number): string => {
    const hash = createHash("sha256")
    for (let at = 0; at < bytes; at += MB / 2) hash.update(Pattern.at(from + at, Math.min(MB / 2, bytes - at)))
    return hash.digest("hex")
  }

  for (
    const [server, client] of [["thread", "thread"], ["thread", "in-process"], ["in-process", "thread"]] as const
  ) {
    it.live(
      `W16 ${BYTES / MB} MB each way, from a ${client} worker to a ${server} one, three times at once`,
      () =>
        Effect.gen(function*() {
          const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
          const outcomes: Array<Outcome> = []
          const channel = yield* Effect.acquireRelease(
            Effect.sync(() => new BroadcastChannel(channelName)),
            (channel) => Effect.sync(() => channel.close())
          )
          channel.addEventListener("message", (event) => void outcomes.push((event as { readonly data: Outcome }).data))
          const bytes = BYTES
          const times = 3
          const attach = (name: string, kind: "thread" | "in-process", listen: ReadonlyArray<string>, config: Config) =>
            host.attach({ name, listen, config, ...local, workers: 1, worker: { kind } }, module)
          yield* Effect.gen(function*() {
            yield* attach("server", server, [service], { from: 1000, bytes })
            yield* attach("client", client, [], { from: 77_000, bytes, connect: { uri: service, times } })
            yield* until("all to be over", () => outcomes.length === 2 * times)
            for (const [side, from] of [["server", 77_000], ["client", 1000]] as const) {
              const mine = outcomes.filter((outcome) => outcome.side === side)
              assert.strictEqual(mine.length, times)
              const expected = { side, bytes, sha256: digest(from, bytes), cutThrough: true, reset: undefined }
              for (const outcome of mine) assert.deepStrictEqual(outcome, expected)
            }
            yield* until("all to be let go of", () => Effect.runSync(host.report).sessions === 0)
            const { sessions } = yield* host.locals
            assert.deepStrictEqual(sessions, [])
            assert.deepStrictEqual((yield* host.segments).filter(({ kind }) => kind === "local"), [])
            assert.deepStrictEqual((yield* host.report).imbalances, [])
          }).pipe(Effect.scoped)
          yield* assertNothingLeft({ host, network: { listening: [] } })
        }).pipe(Effect.scoped),
      60_000
    )
  }
})
