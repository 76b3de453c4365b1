/** Connects at the host: from the request to a session, or to the reason why there is none (W14, M7). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { ConnectFailure, Peer } from "../../../src/layers/testing/TransportMemory.ts"
import { ConnectFailed, type ConnectOptions } from "../../../src/services/Sessions.ts"
import * as Random from "../../support/random.ts"
import { Actor, attachRaw, handleOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

const remote = "tcp://10.0.0.1:443"

/** Nothing of any connect is left: no session, nothing half-open. */
const assertNone = Effect.fnUntraced(function*({ host }: Stage) {
  yield* settled
  assert.deepStrictEqual(yield* host.connects, [])
  assert.deepStrictEqual(yield* host.sessions({}), [])
  assert.strictEqual((yield* host.report).sessions, 0)
})

/** A worker that listens nowhere. */
const client = Effect.fnUntraced(function*(stage: Stage, options: Parameters<Stage["attach"]>[1] = {}) {
  const actor = new Actor()
  yield* stage.attach(actor, { listen: [], ...options })
  return actor.run().sessions
})

/** Connects, in the background, and is half-open when this is done. */
const halfOpen = Effect.fnUntraced(function*(
  stage: Stage,
  sessions: Effect.Success<ReturnType<typeof client>>,
  uri = remote,
  options?: ConnectOptions
) {
  const fiber = yield* Effect.forkChild(sessions.connect(uri, options))
  yield* settled
  assert.isUndefined(fiber.pollUnsafe())
  assert.include((yield* stage.host.connects).map(({ endpoint }) => endpoint), uri)
  return fiber
})

describe("a connect that succeeds", () => {
  scenario("W14 is a session at once, and carries bytes and both ends", (stage) =>
    Effect.gen(function*() {
      const sessions = yield* client(stage)
      const peers: Array<Peer> = []
      stage.network.listen(remote, (peer) => peers.push(peer))
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(sessions.connect(remote), scope)
      assert.isFalse(session.cutThrough)
      assert.strictEqual(session.remote, remote)
      assert.strictEqual(session.local, peers[0]!.remote)
      assert.strictEqual(peers[0]!.local, remote)
      const [report] = yield* stage.host.sessions({})
      assert.strictEqual(report!.kind, "connected")
      assert.isNull(report!.listener)
      assert.strictEqual(report!.state, "READY")
      assert.deepStrictEqual(yield* stage.host.connects, [])
      session.write(Buffer.from("hello"))
      yield* until("bytes", () => peers[0]!.received().toString() === "hello")
      peers[0]!.send("welcome")
      yield* until("bytes", () => session.available === 7)
      peers[0]!.end()
      yield* until("the peer's end", () => session.ended)
      session.write(Buffer.from(" and goodbye"))
      session.end()
      yield* until("the end", () => peers[0]!.closed)
      assert.strictEqual(peers[0]!.received().toString(), "hello and goodbye")
      assert.isUndefined(peers[0]!.broken)
      session.read()
      yield* assertNone(stage)
      yield* Scope.close(scope, Exit.void)
    }))

  scenario("W14 comes from the address and the port that were asked for", (stage) =>
    Effect.gen(function*() {
      const sessions = yield* client(stage)
      const peers: Array<Peer> = []
      stage.network.listen(remote, (peer) => peers.push(peer))
      const session = yield* sessions.connect(remote, { source: "tcp://10.0.0.9:4711" })
      assert.strictEqual(session.local, "tcp://10.0.0.9:4711")
      assert.strictEqual(peers[0]!.remote, "tcp://10.0.0.9:4711")
      const any = yield* sessions.connect(remote, { source: "tcp://10.0.0.9:0" })
      assert.match(any.local, /^tcp:\/\/10\.0\.0\.9:[1-9]\d+$/)
      assert.strictEqual(peers[1]!.remote, any.local)
      // the very same way at the same time there is none
      const error = yield* Effect.flip(sessions.connect(remote, { source: "tcp://10.0.0.9:4711" }))
      assert.strictEqual(error.reason._tag, "AddressInUse")
      assert.include(error.detail, "tcp://10.0.0.9:4711")
    }))

  scenario("W14 by name shows the address that it went to", (stage) =>
    Effect.gen(function*() {
      const sessions = yield* client(stage)
      stage.network.listen("tcp://127.0.0.1:443", () => {})
      const session = yield* sessions.connect("tcp://localhost:443")
      assert.strictEqual(session.remote, "tcp://127.0.0.1:443")
    }))
})

describe("a connect that fails", () => {
  const invalid: ReadonlyArray<{
    readonly what: string
    readonly uri?: string
    readonly options?: ConnectOptions
    readonly reason: ConnectFailed["reason"]["_tag"]
    readonly detail: RegExp
  }> = [
    { what: "nobody listens", reason: "ConnectionRefused", detail: /^nobody listens there$/ },
    {
      what: "there is no such host",
      uri: "tcp://nowhere.example:443",
      reason: "Unreachable",
      detail: /^no host named nowhere\.example was found$/
    },
    { what: "no endpoint", uri: "nowhere", reason: "InvalidEndpoint", detail: /^endpoint "nowhere": / },
    { what: "nothing", uri: "", reason: "InvalidEndpoint", detail: /^endpoint "": / },
    { what: "a password", uri: "tcp://u:secret@h:1", reason: "InvalidEndpoint", detail: /^(?!.*secret)/ },
    { what: "port 0", uri: "tcp://10.0.0.1:0", reason: "InvalidEndpoint", detail: /needs a port from 1 to 65535$/ },
    { what: "any port", uri: "tcp://0.0.0.0:*", reason: "InvalidEndpoint", detail: /needs a port from 1 to 65535$/ },
    {
      what: "a port too high",
      uri: "tcp://10.0.0.1:65536",
      reason: "InvalidEndpoint",
      detail: /'65536' is not a port/
    },
    {
      what: "a transport that is not known",
      uri: "quic://10.0.0.1:53",
      reason: "InvalidEndpoint",
      detail: /'quic' is not a known transport|'quic'/
    },
    {
      what: "a local endpoint without local scope",
      uri: "local://service",
      reason: "OutOfScope",
      detail: /^local endpoints are for applications with local scope/
    },
    {
      what: "a source that is none",
      options: { source: "here" },
      reason: "InvalidSource",
      detail: /^source: endpoint "here": /
    },
    {
      what: "a source without an address",
      options: { source: "local://me" },
      reason: "InvalidSource",
      detail: /^source: it must be an address and a port$/
    },
    {
      what: "a source with any port",
      options: { source: "tcp://0.0.0.0:*" },
      reason: "InvalidSource",
      detail: /^source: it must be an address and a port$/
    },
    {
      what: "a source of the other family",
      options: { source: "tcp://[::1]:0" },
      reason: "AddressNotAvailable",
      detail: /\[::1\]:0/
    },
    {
      what: "a source that somebody listens on",
      options: { source: "tcp://127.0.0.1:99" },
      reason: "AddressInUse",
      detail: /^source tcp:\/\/127\.0\.0\.1:99 is in use/
    }
  ]

  for (const { detail, options, reason, uri = remote, what } of invalid) {
    scenario(`W14 ${what}: ${reason}, and nothing of it is left`, (stage) =>
      Effect.gen(function*() {
        const sessions = yield* client(stage)
        stage.network.listen("tcp://127.0.0.1:99", () => {})
        const before = (yield* stage.worker()).segments
        const error = yield* Effect.flip(sessions.connect(uri, options))
        assert.instanceOf(error, ConnectFailed)
        assert.strictEqual(error.reason._tag, reason)
        assert.match(error.detail, detail)
        assert.strictEqual(error.message, `can't connect to ${uri}: ${error.detail}`)
        yield* assertNone(stage)
        assert.deepStrictEqual((yield* stage.worker()).segments, before)
        // and the next one does
        stage.network.listen(remote, () => {})
        yield* sessions.connect(remote)
      }))
  }

  const outside: ReadonlyArray<readonly [failure: ConnectFailure, detail: string]> = [
    ["Reset", "the peer reset the connection"],
    ["TimedOut", "the host did not answer"],
    ["Unreachable", "there is no route to that host"]
  ]
  for (const [failure, detail] of outside) {
    scenario(`W14 ${failure} while half-open is told as such`, (stage) =>
      Effect.gen(function*() {
        const sessions = yield* client(stage)
        const listener = stage.network.listen(remote, () => {})
        listener.hold()
        const fiber = yield* halfOpen(stage, sessions)
        listener.fail(failure)
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error.reason._tag, failure)
        assert.strictEqual(error.detail, detail)
        yield* assertNone(stage)
      }))
  }

  scenario("W14 no way to a host is told at once", (stage) =>
    Effect.gen(function*() {
      const sessions = yield* client(stage)
      const end = stage.network.unreachable("tcp://10.0.0.1:0")
      stage.network.listen(remote, () => {})
      assert.strictEqual((yield* Effect.flip(sessions.connect(remote))).reason._tag, "Unreachable")
      end()
      yield* sessions.connect(remote)
    }))
})

describe("the time that a connect has", () => {
  const timed = Effect.fnUntraced(function*(stage: Stage, millis: number, options?: ConnectOptions) {
    const sessions = yield* client(stage, { admission: { connectTimeout: 3000 } })
    const listener = stage.network.listen(remote, () => {})
    listener.hold()
    const fiber = yield* halfOpen(stage, sessions, remote, options)
    const [report] = yield* stage.host.connects
    assert.strictEqual(report!.timeoutMillis, millis)
    yield* TestClock.adjust(millis - 1)
    yield* settled
    assert.strictEqual((yield* stage.host.connects)[0]!.ageMillis, millis - 1)
    assert.isUndefined(fiber.pollUnsafe())
    yield* TestClock.adjust(1)
    const error = yield* Effect.flip(Fiber.join(fiber))
    assert.strictEqual(error.reason._tag, "TimedOut")
    assert.strictEqual(error.detail, `no answer within ${millis} ms`)
    assert.strictEqual(listener.waiting, 0)
    yield* assertNone(stage)
    // an answer that comes too late is nobody's
    listener.answer()
    yield* assertNone(stage)
  })

  scenario("W14 is the application's connectTimeout, to the millisecond", (stage) => timed(stage, 3000))
  scenario("W14 is what the connect says where it is less", (stage) => timed(stage, 20, { timeout: 20 }))
  scenario("W14 is what the connect says where it is more", (stage) => timed(stage, 60_000, { timeout: "1 minute" }))
  scenario("W14 is a millisecond at least", (stage) => timed(stage, 1, { timeout: 0 }))
  scenario("W14 is some 49 days at most, and not less where more is asked for", (stage) =>
    Effect.gen(function*() {
      const sessions = yield* client(stage)
      stage.network.listen(remote, () => {}).hold()
      for (const timeout of ["60 days", 2 ** 32 + 5, Infinity] as const) {
        const fiber = yield* halfOpen(stage, sessions, remote, { timeout })
        assert.deepStrictEqual((yield* stage.host.connects).map(({ timeoutMillis }) => timeoutMillis), [2 ** 32 - 1])
        yield* Fiber.interrupt(fiber)
        yield* assertNone(stage)
      }
    }))
})

describe("half-open connects", () => {
  scenario(
    "W14 are counted and shown with their worker, and gone when they are not",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], client: "shop", workers: 2 })
        const listener = stage.network.listen(remote, () => {})
        const second = stage.network.listen("tcp://10.0.0.2:443", () => {})
        listener.hold()
        second.hold()
        const first = yield* halfOpen(stage, actor.run(0).sessions)
        yield* TestClock.adjust(30)
        const other = yield* halfOpen(stage, actor.run(1).sessions, "tcp://10.0.0.2:443", {
          source: "tcp://10.0.0.9:4711",
          timeout: 500
        })
        yield* TestClock.adjust(12)
        const { workers } = yield* stage.app()
        assert.deepStrictEqual(yield* stage.host.connects, [
          {
            app: "app",
            appIndex: 0,
            worker: 0,
            workerHandle: workers[0]!.handle,
            request: 0,
            endpoint: remote,
            source: null,
            scope: "global",
            ageMillis: 42,
            timeoutMillis: 10_000
          },
          {
            app: "app",
            appIndex: 0,
            worker: 1,
            workerHandle: workers[1]!.handle,
            request: 0,
            endpoint: "tcp://10.0.0.2:443",
            source: "tcp://10.0.0.9:4711",
            scope: "global",
            ageMillis: 12,
            timeoutMillis: 500
          }
        ])
        assert.strictEqual((yield* stage.report).sessions, 0)
        listener.answer()
        yield* Fiber.join(first)
        assert.deepStrictEqual((yield* stage.host.connects).map(({ worker }) => worker), [1])
        second.fail("Reset")
        yield* Effect.flip(Fiber.join(other))
        assert.deepStrictEqual(yield* stage.host.connects, [])
      })
  )

  scenario(
    "W11 W14 a worker that drains waits for them, and no longer than the drain timeout",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 3, worker: { drainTimeout: 5000 } })
        const workers = Effect.map(stage.app(), (app) => app.workers)
        const left = Effect.map(workers, (all) => all.map(({ mapIndex, state }) => `${mapIndex} ${state}`))
        const listener = stage.network.listen(remote, () => {})
        const silent = stage.network.listen("tcp://10.0.0.2:443", () => {})
        listener.hold()
        silent.hold()
        const answered = yield* Effect.forkChild(Effect.scoped(actor.run(1).sessions.connect(remote)))
        yield* halfOpen(stage, actor.run(2).sessions, "tcp://10.0.0.2:443", { timeout: 60_000 })
        for (const { handle } of (yield* workers).slice(1)) {
          yield* Effect.forkChild(stage.host.deleteWorker(handleOf(handle), { drain: true }))
        }
        yield* settled
        yield* TestClock.adjust(4998)
        yield* settled
        assert.deepStrictEqual(yield* left, ["0 RUNNING", "1 DRAINING", "2 DRAINING"])
        listener.answer()
        yield* Fiber.join(answered)
        yield* TestClock.adjust(1)
        yield* settled
        // the session has come to its end with the scope of its connect
        assert.deepStrictEqual(yield* left, ["0 RUNNING", "2 DRAINING"])
        yield* TestClock.adjust(1)
        yield* settled
        assert.deepStrictEqual(yield* left, ["0 RUNNING"])
        yield* assertNone(stage)
      })
  )

  scenario(
    "W14 a worker has maxHalfOpen of them at most, and each that ends makes room for one",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], admission: { maxHalfOpen: 3 }, workers: 2 })
        const { sessions } = actor.run(0)
        const listener = stage.network.listen(remote, () => {})
        listener.hold()
        const fibers = yield* Effect.forEach(Array(3), () => Effect.forkChild(Effect.exit(sessions.connect(remote))))
        yield* settled
        const error = yield* Effect.flip(sessions.connect(remote))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.strictEqual(error.detail, "half-open-limit: the worker has all the connects under way that it may have")
        assert.strictEqual((yield* stage.host.connects).length, 3)
        // the limit is the worker's
        yield* halfOpen(stage, actor.run(1).sessions)
        // an interruption makes room, an answer, a failure
        yield* Fiber.interrupt(fibers[0]!)
        yield* settled
        fibers[0] = yield* Effect.forkChild(Effect.exit(sessions.connect(remote)))
        yield* settled
        assert.strictEqual((yield* stage.host.connects).length, 4)
        listener.fail("Reset")
        for (const fiber of fibers) assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
        listener.answer()
        const opened = yield* Effect.forEach(Array(10), () => sessions.connect(remote))
        assert.strictEqual(opened.length, 10)
      })
  )

  scenario(
    "W14 a hundred at once are cancelled by interruptions, and no answer finds anybody",
    (stage) =>
      Effect.gen(function*() {
        const sessions = yield* client(stage)
        const peers: Array<Peer> = []
        const listener = stage.network.listen(remote, (peer) => peers.push(peer))
        listener.hold()
        const fibers = yield* Effect.forEach(Array(100), () => Effect.forkChild(sessions.connect(remote)))
        yield* until("all to be half-open", () => listener.waiting === 100)
        assert.strictEqual((yield* stage.host.connects).length, 100)
        yield* Fiber.interruptAll(fibers)
        yield* until("all to be cancelled", () => listener.waiting === 0)
        listener.answer()
        yield* assertNone(stage)
        assert.deepStrictEqual(peers, [])
      })
  )

  scenario(
    "W14 interrupted at whatever moment, a connect leaves no session that nobody has",
    (stage) =>
      Effect.gen(function*() {
        const sessions = yield* client(stage)
        const peers: Array<Peer> = []
        stage.network.listen(remote, (peer) => peers.push(peer))
        let finished = 0
        for (let turns = 0; finished < 3; turns++) {
          assert.isBelow(turns, 100)
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(sessions.connect(remote), Effect.never)))
          for (let i = 0; i < turns; i++) yield* turn
          if ((yield* stage.host.sessions({})).some(({ state }) => state === "READY")) finished++
          yield* Fiber.interrupt(fiber)
          yield* settled
          for (const peer of peers) if (!peer.closed) peer.end()
          yield* assertNone(stage)
        }
      })
  )

  scenario(
    "W12 W14 are cancelled with their worker, on the network too, and only those of that worker",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 2 })
        const listener = stage.network.listen(remote, () => {})
        listener.hold()
        const mine = yield* Effect.forEach(
          Array(20),
          () => Effect.forkChild(Effect.flip(actor.run(0).sessions.connect(remote)))
        )
        const theirs = yield* halfOpen(stage, actor.run(1).sessions)
        stage.script(0).crash()
        for (const fiber of mine) assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Detached")
        yield* settled
        assert.strictEqual(listener.waiting, 1)
        assert.deepStrictEqual((yield* stage.host.connects).map(({ worker }) => worker), [1])
        listener.answer()
        yield* Fiber.join(theirs)
      })
  )
})

describe("a worker that is congested", () => {
  const tiny = { indexQueue: 1, ioRing: 1, controlRing: 1 } as const

  scenario(
    "M7 when the answer comes opens no session: Refused, and the connection is broken",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { queue: tiny })
        const peers: Array<Peer> = []
        const listener = stage.network.listen(remote, (peer) => peers.push(peer))
        listener.hold()
        const dialled = yield* Effect.forEach(Array(3), () => stage.dialOpen())
        const fiber = yield* halfOpen(stage, actor.run().sessions)
        stage.script().block()
        for (const peer of dialled) peer.send("x")
        yield* settled
        assert.isTrue((yield* stage.worker()).congested)
        listener.answer()
        yield* until("the connection to be broken", () => peers[0]?.broken !== undefined)
        assert.deepStrictEqual(yield* stage.host.connects, [])
        // it hears of it when it listens again
        stage.script().release()
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.strictEqual(error.detail, "congested: the worker is behind with its queue")
      })
  )

  scenario(
    "M7 W14 hears of every result in the end, in the order in which they came",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw] } = yield* attachRaw(stage, { listen: [], queue: { ...tiny, postponedMessages: 100 } })
        raw!.held = true
        for (let request = 0; request < 50; request++) {
          raw!.send({ _tag: "connect", request, endpoint: remote, source: "", timeout: 0 })
          // its own queue has room for one, too
          yield* settled
        }
        assert.isTrue((yield* stage.worker()).congested)
        assert.deepStrictEqual(yield* stage.host.connects, [])
        raw!.held = false
        raw!.look()
        yield* settled
        yield* until("all", () => raw!.all("failed").length === 50)
        assert.deepStrictEqual(
          raw!.all("failed").map(({ request }) => request),
          Array.from({ length: 50 }, (_, i) => i)
        )
        assert.deepStrictEqual([...new Set(raw!.all("failed").map(({ reason }) => reason))], [
          "ConnectionRefused",
          "congested"
        ])
      })
  )
})

describe("what a worker asks", () => {
  scenario(
    "W14 and takes back in the same breath is not done, and nothing of it is left",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw] } = yield* attachRaw(stage, { listen: [] })
        const listener = stage.network.listen(remote, () => {})
        listener.hold()
        for (let request = 0; request < 10; request++) {
          raw!.send({ _tag: "connect", request, endpoint: remote, source: "", timeout: 0 })
          raw!.send({ _tag: "cancelConnect", request })
        }
        yield* settled
        assert.strictEqual(listener.waiting, 0)
        yield* assertNone(stage)
        // nor does it matter to take back what never was, or is done
        raw!.send({ _tag: "cancelConnect", request: 77 })
        listener.answer()
        raw!.send({ _tag: "connect", request: 5, endpoint: remote, source: "", timeout: 0 })
        yield* until("the session", () => raw!.all("connected").length === 1)
        raw!.send({ _tag: "cancelConnect", request: 5 })
        yield* settled
        assert.strictEqual((yield* stage.host.sessions({})).length, 1)
        assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      })
  )

  scenario(
    "W14 twice at the same time is refused the second time, and the first is not disturbed",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw] } = yield* attachRaw(stage, { listen: [] })
        const listener = stage.network.listen(remote, () => {})
        listener.hold()
        raw!.send({ _tag: "connect", request: 3, endpoint: remote, source: "", timeout: 0 })
        raw!.send({ _tag: "connect", request: 3, endpoint: remote, source: "", timeout: 0 })
        yield* until("the refusal", () => raw!.all("failed").length === 1)
        assert.strictEqual(raw!.all("failed")[0]!.reason, "asked-already")
        assert.strictEqual(raw!.all("failed")[0]!.detail, "the worker has asked for this already")
        assert.strictEqual((yield* stage.host.connects).length, 1)
        listener.answer()
        yield* until("the session", () => raw!.all("connected").length === 1)
      })
  )

  for (const seed of [1, 2, 3]) {
    scenario(
      `W14 is answered, each time and once, whatever comes of it (seed ${seed})`,
      (stage) =>
        Effect.gen(function*() {
          const random = Random.make(seed)
          const sessions = yield* client(stage, {
            admission: { connectTimeout: 500, maxHalfOpen: 40, maxSessions: 60 }
          })
          const uris = [0, 1, 2, 3].map((i) => `tcp://10.0.0.${i}:443`)
          const peers: Array<Peer> = []
          const listeners = uris.slice(1).map((uri) => stage.network.listen(uri, (peer) => peers.push(peer)))
          const reasons = new Map<string, number>()
          const fibers: Array<Fiber.Fiber<void>> = []
          const count = (what: string) => void reasons.set(what, (reasons.get(what) ?? 0) + 1)
          const one = Effect.suspend(() =>
            sessions.connect(uris[random(4)]!, random(3) === 0 ? { timeout: 1 + random(100) } : {})
          ).pipe(
            Effect.andThen((session) => Effect.sync(() => random(2) === 0 ? session.abort() : session.close())),
            Effect.scoped,
            Effect.matchEffect({
              onSuccess: () => Effect.sync(() => count("session")),
              onFailure: ({ reason }) => Effect.sync(() => count(reason._tag))
            }),
            Effect.onInterrupt(() => Effect.sync(() => count("interrupted")))
          )
          for (let i = 0; i < 300; i++) {
            fibers.push(yield* Effect.forkChild(one, { startImmediately: true }))
            const listener = listeners[random(3)]!
            switch (random(8)) {
              case 0:
                listener.hold()
                break
              case 1:
                listener.answer()
                break
              case 2:
                listener.fail((["Reset", "TimedOut", "Unreachable"] as const)[random(3)]!)
                break
              case 3:
                yield* TestClock.adjust(random(60))
                break
              case 4:
                for (const peer of peers.splice(0)) if (!peer.closed) peer.end()
                break
              case 5: {
                const running = fibers.filter((fiber) => fiber.pollUnsafe() === undefined)
                if (running.length > 0) yield* Fiber.interrupt(running[random(running.length)]!)
                break
              }
              default:
                for (let turns = random(6); turns > 0; turns--) yield* turn
            }
            assert.isAtMost((yield* stage.host.connects).length, 40)
            assert.deepStrictEqual((yield* stage.report).imbalances, [])
          }
          yield* TestClock.adjust(600)
          yield* until("all to be answered", () => fibers.every((fiber) => fiber.pollUnsafe() !== undefined))
          assert.strictEqual([...reasons.values()].reduce((a, b) => a + b, 0), 300)
          // all that can come of it has
          for (const what of ["session", "ConnectionRefused", "TimedOut", "Reset", "interrupted"]) {
            assert.isAbove(reasons.get(what) ?? 0, 0, what)
          }
          for (const peer of peers) if (!peer.closed) peer.end()
          yield* assertNone(stage)
        })
    )
  }
})
