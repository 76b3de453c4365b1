import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as Report from "../../../src/domain/report/Report.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import { AttachFailed } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Random from "../../support/random.ts"
import {
  accepting,
  Actor,
  assertBalanced,
  assertNothingLeft,
  echoing,
  endpoint,
  scenario,
  type Stage
} from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

const KiB = 1024

/** A queue that holds one message. */
const tiny = { indexQueue: 1, ioRing: 1, controlRing: 1 } as const

const text = (peer: Peer): string => peer.received().toString()

/** Opens `count` sessions, one after the other. */
const dialMany = (stage: Stage, count: number) => Effect.forEach(Array(count), () => stage.dialOpen())

/** Attaches raw workers that listen, and gives the listener's handle of each. */
const attachRaw = Effect.fnUntraced(function*(stage: Stage, options: Parameters<Stage["attach"]>[1] = {}, workers = 1) {
  const raws = Array.from({ length: workers }, (_, worker) => stage.raw(worker, options?.name))
  yield* stage.attach(new Actor(), { ...options, workers, worker: { kind: "in-process", ...options?.worker } })
  for (const raw of raws) {
    raw.send({ _tag: "listen", request: 1, endpoint: options?.listen?.[0] ?? endpoint, backlog: 0, flags: 0 })
    yield* until("bound", () => raw.all("bound").length === 1)
  }
  return raws
})

const attachFailure = Effect.fnUntraced(function*(effect: Effect.Effect<unknown, AttachFailed, Scope.Scope>) {
  const error = yield* Effect.flip(effect)
  assert.instanceOf(error, AttachFailed)
  return error.reason
})

describe("attach", () => {
  scenario(
    "W2 an application is found by its name, its client and its index, and not after it is detached",
    (stage) =>
      Effect.gen(function*() {
        const { host } = stage
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(
          stage.attach(new Actor(), { name: "first", client: "shop", listen: [] }),
          scope
        )
        const second = yield* stage.attach(new Actor(), { name: "second", listen: [] })
        assert.strictEqual(first.index, 0)
        assert.strictEqual(second.index, 1)
        assert.deepStrictEqual(yield* host.find("first"), first)
        assert.deepStrictEqual(yield* host.find({ client: "shop" }), first)
        assert.deepStrictEqual(yield* host.find(first.index), first)
        assert.deepStrictEqual(yield* host.find("second"), second)
        // an application without a client has none to be found by
        assert.strictEqual((yield* Effect.flip(host.find({ client: "" })))._tag, "NoSuchApp")

        yield* Scope.close(scope, Exit.void)
        for (const wanted of ["first", { client: "shop" }, first.index] as const) {
          const error = yield* Effect.flip(host.find(wanted))
          assert.strictEqual(error._tag, "NoSuchApp")
        }
        assert.strictEqual((yield* Effect.flip(host.find("first"))).message, "no application first")
        assert.deepStrictEqual(yield* host.find("second"), second)

        // the slot's next owner is another application: the old handle is not its
        const third = yield* stage.attach(new Actor(), { name: "third", listen: [] })
        assert.strictEqual(third.index, first.index)
        assert.notStrictEqual(third.handle, first.handle)
        assert.strictEqual((yield* Effect.flip(host.find("first")))._tag, "NoSuchApp")
      })
  )

  scenario("W2 an application without a name is called after its index", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { name: "first", listen: [] })
      const app = yield* stage.attach(new Actor(), { name: undefined, client: "shop", listen: [] })
      assert.strictEqual(app.name, "builtin-1")
      assert.deepStrictEqual(yield* stage.host.find("builtin-1"), app)
    }))

  scenario("W3 neither name nor client is an invalid value", (stage) =>
    Effect.gen(function*() {
      const reason = yield* attachFailure(stage.attach(new Actor(), { name: undefined }))
      assert.strictEqual(reason._tag, "InvalidValue")
      assert.strictEqual(reason.message, "name: give the application a name or a client")
    }))

  scenario("W3 an application of the same name or client is attached already", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { name: "one", client: "shop" })
      for (const options of [{ name: "one" }, { name: "two", client: "shop" }, { name: undefined, client: "shop" }]) {
        const reason = yield* attachFailure(stage.attach(new Actor(), { ...options, listen: [] }))
        assert.strictEqual(reason._tag, "AlreadyAttached")
      }
      assert.strictEqual((yield* stage.report).apps.length, 1)
    }))

  scenario(
    "W3 a failed attach leaves nothing behind, and the same attach may follow at once",
    (stage) =>
      Effect.gen(function*() {
        let fail = true
        const actor: Actor = new Actor({
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run))
              if (fail) return yield* Effect.fail(new Error("no database"))
            })
        })
        const reason = yield* attachFailure(stage.attach(actor))
        assert.strictEqual(reason._tag, "WorkerFailed")
        assert.match(reason.message, /^worker 0 did not start: the application failed: no database \(.*:\d+:\d+\)$/)
        yield* assertNothingLeft(stage)
        fail = false
        const app = yield* stage.attach(actor)
        assert.strictEqual(app.index, 0)
        assert.isTrue((yield* stage.dialOpen()).opened)
      })
  )

  scenario("W3 returns the size of the first segment and of the event queue in it", (stage) =>
    Effect.gen(function*() {
      const app = yield* stage.attach(new Actor(), { segment: { firstSegmentSize: "1MiB" }, queue: tiny })
      assert.strictEqual(app.firstSegmentBytes, 1024 * KiB)
      assert.strictEqual(app.eventQueueBytes, 2 * (4 + 16 + 512) + 64 * KiB)
    }))

  scenario("W4 options that are wrong are refused by name, and nothing has changed", (stage) =>
    Effect.gen(function*() {
      const wrong = [
        [{ queue: { indexQueue: 3 } }, "InvalidValue", "queue.indexQueue"],
        [{ admission: { revokeAfter: 0 } }, "InvalidValue", "admission.revokeAfter"],
        [{ workers: 0 }, "InvalidValue", "workers"],
        [{ listen: ["tcp://nowhere"] }, "InvalidValue", "listen"],
        [{ proxiedTransports: ["tcp"] }, "UnsupportedConfig", "proxiedTransports"],
        [{ tlsEngine: "own" }, "UnsupportedConfig", "tlsEngine"],
        [{ worker: { kind: "thread" } }, "UnsupportedConfig", "worker.kind"]
      ] as const
      for (const [options, tag, option] of wrong) {
        const reason = yield* attachFailure(stage.attach(new Actor().module, options as object))
        assert.strictEqual(reason._tag, tag, option)
        assert.strictEqual((reason as { readonly option: string }).option, option)
        assert.isTrue(reason.message.startsWith(`${option}: `), reason.message)
      }
      yield* assertNothingLeft(stage)
    }))

  scenario("W5 every worker of an application has its segment properties", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { workers: 3, segment: { firstSegmentSize: "1MiB" } })
      const { workers } = yield* stage.app()
      assert.deepStrictEqual(workers.map(({ segments }) => segments.bytes), [1024 * KiB, 1024 * KiB, 1024 * KiB])
      assert.strictEqual(new Set(workers.map(({ segments }) => segments.hostBytes)).size, 1)
    }))

  scenario("W6 a start that fails half-way undoes what the other workers did", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({
        start: (run) =>
          Effect.gen(function*() {
            yield* run.sessions.listen(endpoint, accepting(run))
            if (run.info.worker === 2) {
              // the other two serve already
              yield* settled
              return yield* Effect.fail(new Error("no third"))
            }
          })
      })
      const reason = yield* attachFailure(stage.attach(actor, { workers: 3 }))
      assert.match(reason.message, /^worker 2 did not start: the application failed: no third \(.*:\d+:\d+\)$/)
      assert.strictEqual(actor.runs.length, 3)
      yield* assertNothingLeft(stage)
    }))

  scenario("W6 a worker that does not come up in time is given up", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ start: () => Effect.never })
      const attached = yield* Effect.forkChild(Effect.flip(stage.attach(actor, { worker: { startTimeout: 500 } })))
      yield* settled
      yield* TestClock.adjust(499)
      assert.isUndefined(attached.pollUnsafe())
      yield* TestClock.adjust(1)
      const error = yield* Fiber.join(attached)
      assert.strictEqual(
        error.message,
        "can't attach the application: worker 0 did not start: the application was not ready within 500 ms"
      )
      yield* assertNothingLeft(stage)
    }))
})

describe("listeners", () => {
  scenario("W8 a listen that fails says why and leaves nothing behind", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      const before = (yield* stage.worker()).segments
      const taken = stage.network.listen(endpoint, () => {})
      const { sessions } = actor.run()
      const used = yield* Effect.flip(sessions.listen(endpoint, () => {}))
      assert.strictEqual(used.reason._tag, "AddressInUse")
      assert.strictEqual(used.message, `can't listen on ${endpoint}: another listener has this endpoint`)
      const invalid = yield* Effect.flip(sessions.listen("tcp://nowhere", () => {}))
      assert.strictEqual(invalid.reason._tag, "InvalidEndpoint")
      assert.deepStrictEqual((yield* stage.app()).listeners, [])
      assert.deepStrictEqual((yield* stage.worker()).segments, before)
      taken.close()
      // the same listen may follow at once
      const listener = yield* sessions.listen(endpoint, () => {})
      assert.strictEqual(listener.local, endpoint)
    }))

  scenario("W8 port 0 is answered with the port that was given", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      const listener = yield* actor.run().sessions.listen("tcp://127.0.0.1:0", accepting(actor.run()))
      assert.deepStrictEqual(stage.network.listening, [listener.local])
      yield* stage.dialOpen(listener.local)
      assert.strictEqual(actor.run().accepted[0]!.local, listener.local)
    }))

  scenario(
    "W9 established sessions survive an unlisten, new connections do not come",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [] })
        const run = actor.run()
        const scope = yield* Scope.make()
        yield* Scope.provide(run.sessions.listen(endpoint, accepting(run, echoing)), scope)
        const peer = yield* stage.dialOpen()
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(stage.network.listening, [])
        peer.send("still here")
        yield* until("the echo", () => text(peer) === "still here")
        const late = yield* stage.dial()
        assert.isTrue(late.refused)
        assert.strictEqual((yield* stage.report).sessions, 1)
        peer.end()
        yield* until("the end", () => peer.closed)
        assert.isUndefined(peer.broken)
      })
  )

  scenario(
    "W9 an unlisten is refused to another application, and for a listener that is gone",
    (stage) =>
      Effect.gen(function*() {
        const [mine] = yield* attachRaw(stage, { name: "mine" })
        const [other] = yield* attachRaw(stage, { name: "other", listen: ["tcp://127.0.0.1:81"] })
        const { listener } = mine!.all("bound")[0]!
        other!.send({ _tag: "unlisten", request: 7, listener })
        yield* until("the answer", () => other!.all("failed").length === 1)
        assert.strictEqual(other!.all("failed")[0]!.reason, "NotOwner")
        assert.include(stage.network.listening, endpoint)
        mine!.send({ _tag: "unlisten", request: 8, listener })
        yield* until("the answer", () => mine!.all("unlistened").length === 1)
        assert.notInclude(stage.network.listening, endpoint)
        mine!.send({ _tag: "unlisten", request: 9, listener })
        yield* until("the answer", () => mine!.all("failed").length === 1)
        assert.strictEqual(mine!.all("failed")[0]!.reason, "NoSuchListener")
      })
  )

  scenario("W9 an offer that runs when its worker leaves goes to another one", (stage) =>
    Effect.gen(function*() {
      const [first, second] = yield* attachRaw(stage, {}, 2)
      const { listener } = first!.all("bound")[0]!
      const peer = yield* stage.dial()
      assert.strictEqual(first!.all("accepted").length, 1)
      first!.send({ _tag: "unlisten", request: 2, listener })
      yield* until("the offer", () => second!.all("accepted").length === 1)
      assert.isTrue(second!.claim(second!.all("accepted")[0]!))
      yield* until("the claim", () => peer.opened)
      assert.isFalse(first!.claim(first!.all("accepted")[0]!))
      yield* settled
      assert.deepStrictEqual((yield* stage.worker(0)).offers, {
        offered: 1,
        claimed: 0,
        refused: 0,
        revoked: 0,
        withdrawn: 1,
        pending: 0,
        moved: 0,
        unclaimed: 0
      })
    }))

  scenario(
    "W10 sessions go round over the workers of a listener, the next after the last",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 3 })
        const order: Array<number> = []
        for (let i = 0; i < 7; i++) {
          const before = actor.counts(3)
          yield* stage.dialOpen()
          order.push(actor.counts(3).findIndex((count, worker) => count > before[worker]!))
        }
        assert.deepStrictEqual(order, [0, 1, 2, 0, 1, 2, 0])
        assert.deepStrictEqual((yield* stage.listener).workers, [0, 1, 2])
      })
  )

  scenario(
    "W10 the same worker twice, and another application, are told AlreadyListening",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const other = new Actor()
        yield* stage.attach(actor)
        yield* stage.attach(other, { name: "other", listen: [] })
        for (const { run } of [actor, other].map((actor) => ({ run: actor.run() }))) {
          const error = yield* Effect.flip(run.sessions.listen(endpoint, () => {}))
          assert.strictEqual(error.reason._tag, "AlreadyListening")
        }
        assert.deepStrictEqual(stage.network.listening, [endpoint])
      })
  )

  scenario("W10 a listener closes with its last worker", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [], workers: 2 })
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      for (const worker of [0, 1] as const) {
        const run = actor.run(worker)
        yield* Scope.provide(run.sessions.listen(endpoint, accepting(run)), scopes[worker])
      }
      yield* Scope.close(scopes[0], Exit.void)
      assert.deepStrictEqual(stage.network.listening, [endpoint])
      yield* stage.dialOpen()
      yield* stage.dialOpen()
      assert.deepStrictEqual(actor.counts(2), [0, 2])
      yield* Scope.close(scopes[1], Exit.void)
      assert.deepStrictEqual(stage.network.listening, [])
    }))

  scenario(
    "W10 a seat that a worker does not take again after its restart is given up, and with the last the listener",
    (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage, {})
        raw!.send({ _tag: "listen", request: 5, endpoint: "tcp://127.0.0.1:81", backlog: 0, flags: 0 })
        yield* until("the second listener", () => stage.network.listening.length === 2)
        raw!.send({ _tag: "deleteSegment", segment: 0 })
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
        const held = yield* stage.dial()
        assert.isFalse(held.closed)
        yield* TestClock.adjust(100)
        yield* until("the listeners to go", () => stage.network.listening.length === 0)
        assert.strictEqual(raw!.starts, 2)
        yield* until("the refusal", () => held.refused)
      })
  )

  scenario(
    "W7 W9 a second listener has segments of its own, which go with its last session",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor)
        const run = actor.run()
        const second = "tcp://127.0.0.1:81"
        const scope = yield* Scope.make()
        yield* Scope.provide(run.sessions.listen(second, accepting(run)), scope)
        assert.strictEqual((yield* stage.worker()).segments.count, 1)
        const kept = yield* stage.dialOpen()
        // its memory is made for the first connection, which waits for it
        const peer = yield* stage.dialOpen(second)
        assert.strictEqual((yield* stage.worker()).segments.count, 2)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* stage.worker()).segments.count, 2)
        peer.send("still here")
        yield* until("bytes", () => run.accepted[1]!.available === 10)
        peer.reset()
        yield* settled
        assert.strictEqual((yield* stage.worker()).segments.count, 1)
        assert.isFalse(kept.closed)
      })
  )
})

describe("sessions", () => {
  scenario(
    "W15 bytes, ends and closes reach the app, and what it writes reaches the peer",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor)
        const peer = yield* stage.dialOpen()
        const [session] = actor.run().accepted
        assert.strictEqual(session!.remote, peer.local)
        assert.strictEqual(session!.local, endpoint)
        peer.send("ping")
        yield* until("bytes", () => session!.available === 4)
        yield* settled
        assert.strictEqual(Buffer.from(session!.read()!).toString(), "ping")
        assert.strictEqual(session!.write(Buffer.from("pong")), 4)
        yield* until("the answer", () => text(peer) === "pong")
        peer.end()
        yield* until("the end", () => session!.ended)
        session!.write(Buffer.from("!"))
        session!.end()
        yield* until("the close", () => peer.closed)
        assert.strictEqual(text(peer), "pong!")
        yield* until("the last edge", () => actor.run().edges.length === 3)
        assert.deepStrictEqual(actor.run().edges, ["readable 0.0", "ended 0.0", "closed 0.0"])
        yield* until("the slot to be free", () => session!.closed)
        yield* settled
        assert.strictEqual((yield* stage.report).sessions, 0)
      })
  )

  scenario(
    "a session that the app did not read keeps its bytes after the connection is gone",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor)
        const peer = yield* stage.dialOpen()
        const [session] = actor.run().accepted
        peer.send("to the end")
        peer.end()
        session!.end()
        yield* until("the close", () => session!.closed)
        assert.strictEqual((yield* stage.report).sessions, 1)
        assert.strictEqual(Buffer.from(session!.read()!).toString(), "to the end")
        yield* settled
        assert.strictEqual((yield* stage.report).sessions, 0)
      })
  )

  scenario("close and abort may come twice, and after each other", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor)
      const peers = yield* dialMany(stage, 3)
      const [closed, aborted, both] = actor.run().accepted as [Session, Session, Session]
      closed.close()
      closed.close()
      aborted.abort()
      aborted.abort()
      both.end()
      both.close()
      both.abort()
      yield* until("the ends", () => peers[0]!.ended && peers[1]!.closed && peers[2]!.ended)
      assert.strictEqual(closed.write(Buffer.from("late")), -1)
      assert.isUndefined(peers[0]!.broken)
      assert.isDefined(peers[1]!.broken)
      for (const peer of peers) peer.end()
      yield* until("all to be gone", () => peers.every(({ closed }) => closed))
      yield* settled
      assert.strictEqual((yield* stage.report).sessions, 0)
    }))

  scenario("a handler that throws ends its session with a reset, and no other", (stage) =>
    Effect.gen(function*() {
      const fail = () => {
        throw new Error("a bug")
      }
      const actor = new Actor({
        accept: (session, run) => {
          const number = run.accepted.length
          if (number === 1) fail()
          if (number === 2) session.handler = { readable: fail }
          else if (number === 3) session.handler = { ended: fail, closed: fail }
          else echoing(session)
        }
      })
      yield* stage.attach(actor)
      const peers: Array<Peer> = []
      for (let i = 0; i < 4; i++) peers.push(yield* stage.dial())
      yield* until("the first to be reset", () => peers[0]!.closed)
      for (const peer of peers.slice(1)) peer.send("hello")
      yield* until("the second to be reset", () => peers[1]!.closed)
      peers[2]!.end()
      yield* until("the third to be reset", () => peers[2]!.closed)
      for (const peer of peers.slice(0, 3)) assert.isDefined(peer.broken)
      yield* until("the fourth to be served", () => text(peers[3]!) === "hello")
      yield* settled
      assert.strictEqual((yield* stage.report).sessions, 1)
      assert.strictEqual((yield* stage.worker()).restarts, 0)
    }))

  scenario(
    "W1 a late event for a freed session is dropped, also when its slot has another owner",
    (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage)
        const old = yield* stage.dial()
        const { session: stale } = raw!.all("accepted")[0]!
        raw!.claim(raw!.all("accepted")[0]!)
        yield* until("the claim", () => old.opened)
        old.reset()
        yield* until("the last message", () => raw!.all("cleanup").length === 1)
        raw!.send({ _tag: "release", session: stale })
        yield* settled
        const peer = yield* stage.dial()
        const { session } = raw!.all("accepted")[1]!
        assert.strictEqual(Handle.index(session), Handle.index(stale))
        assert.notStrictEqual(session, stale)
        raw!.claim(raw!.all("accepted")[1]!)
        yield* until("the claim", () => peer.opened)

        for (const kind of [Message.Tx, Message.Drained, Message.Claimed, Message.Passed]) raw!.sendIo(kind, stale)
        for (const _tag of ["end", "close", "abort", "release"] as const) raw!.send({ _tag, session: stale })
        yield* settled
        peer.send("hello")
        yield* until("bytes", () => raw!.rx(raw!.all("accepted")[1]!).size === 5)
        assert.isFalse(peer.ended)
        assert.isFalse(peer.closed)
        const worker = yield* stage.worker()
        assert.strictEqual(worker.sessions, 1)
        assert.strictEqual(worker.restarts, 0)
        assert.isNull(worker.lastFailure)
      })
  )

  scenario(
    "W1 a worker that speaks of another one's session is given up, and the other does not notice",
    (stage) =>
      Effect.gen(function*() {
        const [first, second] = yield* attachRaw(stage, {}, 2)
        const peers = [yield* stage.dial(), yield* stage.dial()]
        for (const raw of [first!, second!]) raw.claim(raw.all("accepted")[0]!)
        yield* until("the claims", () => peers.every(({ opened }) => opened))
        first!.send({ _tag: "abort", session: second!.all("accepted")[0]!.session })
        yield* until("the first to be given up", () => peers[0]!.closed)
        yield* settled
        assert.isFalse(peers[1]!.closed)
        const [gone, other] = (yield* stage.app()).workers
        assert.strictEqual(gone!.state, "BACKOFF")
        assert.strictEqual(
          gone!.lastFailure,
          `the worker sent a message about session ${
            Handle.format(second!.all("accepted")[0]!.session)
          }, which is another worker's`
        )
        assert.strictEqual(other!.state, "RUNNING")
      })
  )

  for (
    const [what, write] of [
      ["an IO event that there is none of", (raw) => raw.sendIo(77, raw.all("accepted")[0]!.session)],
      ["a message that only the host sends", (raw) => raw.send({ _tag: "deleteSegment", segment: 0 })],
      ["a claim of what was not offered", (raw) => {
        raw.sendIo(Message.Claimed, raw.all("accepted")[0]!.session)
        raw.sendIo(Message.Claimed, raw.all("accepted")[0]!.session)
      }],
      ["a release of an open session", (raw) => {
        raw.claim(raw.all("accepted")[0]!)
        raw.send({ _tag: "release", session: raw.all("accepted")[0]!.session })
      }]
    ] as ReadonlyArray<readonly [string, (raw: ReturnType<Stage["raw"]>) => void]>
  ) {
    scenario(`a worker that writes nonsense is given up: ${what}`, (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage)
        yield* stage.dial()
        write(raw!)
        yield* settled
        const worker = yield* stage.worker()
        assert.strictEqual(worker.state, "BACKOFF")
        assert.strictEqual(worker.sessions, 0)
        assert.isNotNull(worker.lastFailure)
      }))
  }

  scenario("a worker that writes nonsense into a fifo is given up", (stage) =>
    Effect.gen(function*() {
      const [raw] = yield* attachRaw(stage)
      const peer = yield* stage.dial()
      const offer = raw!.all("accepted")[0]!
      raw!.claim(offer)
      yield* until("the claim", () => peer.opened)
      raw!.segments.get(offer.segment)!.words[offer.offset / 4 + 16] = 0x7fff_0000
      raw!.sendIo(Message.Tx, offer.session)
      yield* until("the reset", () => peer.closed)
      yield* settled
      assert.match((yield* stage.worker()).lastFailure!, /^session memory is corrupt: /)
    }))

  scenario("W15 rx is not signalled again while the event flag is set", (stage) =>
    Effect.gen(function*() {
      const [raw] = yield* attachRaw(stage)
      const peer = yield* stage.dial()
      const offer = raw!.all("accepted")[0]!
      raw!.claim(offer)
      yield* until("the claim", () => peer.opened)
      const before = (yield* stage.worker()).messages.sent
      for (let i = 0; i < 5; i++) {
        peer.send("more")
        yield* settled
      }
      assert.strictEqual((yield* stage.worker()).messages.sent, before + 1)
      assert.deepStrictEqual(raw!.io, [{ kind: Message.Rx, session: offer.session }])
      const rx = raw!.rx(offer)
      assert.strictEqual(rx.size, 20)
      rx.clearEvent()
      peer.send("again")
      yield* settled
      assert.strictEqual((yield* stage.worker()).messages.sent, before + 2)
      assert.strictEqual(rx.size, 25)
    }))

  scenario("W15 a fifo that is full stops the peer until the app has read", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { segment: { rxFifoSize: 4096, txFifoSize: 4096 } })
      const peer = yield* stage.dialOpen()
      const [session] = actor.run().accepted
      const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, i) => i % 251))
      peer.send(bytes)
      yield* until("a full fifo", () => session!.available === 4096)
      yield* settled
      assert.strictEqual(peer.unsent, bytes.length - 4096)
      const parts: Array<Uint8Array> = []
      while (parts.reduce((sum, part) => sum + part.length, 0) < bytes.length) {
        const part = session!.read(1000)
        if (part === undefined) yield* settled
        else parts.push(part)
      }
      assert.isTrue(Buffer.concat(parts).equals(bytes))
      // and the other way round
      peer.stop()
      assert.strictEqual(session!.write(bytes), 4096)
      yield* settled
      assert.isFalse(actor.run().edges.includes("writable 0.0"))
      peer.read()
      yield* until("room", () => actor.run().edges.includes("writable 0.0"))
      assert.strictEqual(session!.write(bytes, 4096), 4096)
    }))

  scenario(
    "W20 a segment is announced before anything refers to it, and withdrawn after the last",
    (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage, {
          queue: { indexQueue: 64, ioRing: 64, controlRing: 64 },
          segment: { firstSegmentSize: "512KiB", addSegmentSize: "256KiB", rxFifoSize: "256KiB", txFifoSize: "256KiB" }
        })
        const announced = () => raw!.all("addSegment").length
        const peers: Array<Peer> = []
        while (announced() === 0) {
          const peer = yield* stage.dial()
          raw!.claim(raw!.all("accepted").at(-1)!)
          yield* until("the claim", () => peer.opened)
          peer.send(Buffer.alloc(64 * KiB, peers.length))
          yield* settled
          peers.push(peer)
          assert.isBelow(peers.length, 10)
        }
        assert.isTrue(raw!.segments.has(1))
        // the worker has not said that it has the segment: nothing is in it, and there is no more
        const waiting = peers.filter(({ unsent }) => unsent > 0)
        yield* settled
        assert.deepStrictEqual(peers.filter(({ unsent }) => unsent > 0), waiting)
        raw!.send({ _tag: "segmentMapped", segment: 1 })
        yield* until("all bytes", () => peers.every(({ unsent }) => unsent === 0))
        for (let i = peers.length; i < 8; i++) {
          const peer = yield* stage.dial()
          raw!.claim(raw!.all("accepted").at(-1)!)
          yield* until("the claim", () => peer.opened)
          peer.send(Buffer.alloc(1000, i))
          yield* until("bytes", () => peer.unsent === 0)
          peers.push(peer)
        }
        // a fifo whose block is in a segment that the worker does not know would throw here
        for (const [i, offer] of raw!.all("accepted").entries()) {
          const rx = raw!.rx(offer)
          const bytes = Buffer.alloc(rx.size)
          rx.read(bytes)
          assert.isTrue(bytes.every((byte) => byte === i))
        }
        assert.strictEqual((yield* stage.worker()).segments.count, 2)
        for (const peer of peers) peer.reset()
        yield* until("the last messages", () => raw!.all("cleanup").length === peers.length)
        assert.strictEqual(raw!.all("deleteSegment").length, 0)
        for (const { session } of raw!.all("accepted")) raw!.send({ _tag: "release", session })
        yield* until("the withdrawal", () => raw!.all("deleteSegment").length === 1)
        assert.strictEqual((yield* stage.worker()).segments.count, 1)
      })
  )
})

describe("connects", () => {
  const remote = "tcp://10.0.0.1:443"

  scenario("W14 a connect becomes a session, which closes with its scope", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      const peers: Array<Peer> = []
      stage.network.listen(remote, (peer) => peers.push(peer))
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* actor.run().sessions.connect(remote)
        assert.strictEqual(session.remote, remote)
        session.write(Buffer.from("hello"))
        yield* until("bytes", () => text(peers[0]!) === "hello")
        peers[0]!.send("welcome")
        yield* until("bytes", () => session.available === 7)
      }))
      yield* until("the end", () => peers[0]!.ended)
      peers[0]!.end()
      yield* until("the close", () => peers[0]!.closed)
      assert.isUndefined(peers[0]!.broken)
    }))

  scenario("W14 a connect that fails says why", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      const { sessions } = actor.run()
      const refused = yield* Effect.flip(sessions.connect(remote))
      assert.strictEqual(refused.reason._tag, "ConnectionRefused")
      assert.strictEqual(refused.message, `can't connect to ${remote}: nobody listens there`)
      assert.strictEqual((yield* Effect.flip(sessions.connect("tcp://nowhere"))).reason._tag, "InvalidEndpoint")
      assert.strictEqual((yield* stage.report).sessions, 0)
    }))

  scenario("W14 a connect that is half open is cancelled by an interruption", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      const peers: Array<Peer> = []
      const listener = stage.network.listen(remote, (peer) => peers.push(peer))
      listener.hold()
      const fiber = yield* Effect.forkChild(actor.run().sessions.connect(remote))
      yield* until("half open", () => listener.waiting === 1)
      yield* Fiber.interrupt(fiber)
      yield* until("the cancellation", () => listener.waiting === 0)
      listener.answer()
      yield* settled
      assert.strictEqual(peers.length, 0)
      assert.strictEqual((yield* stage.report).sessions, 0)
    }))

  scenario(
    "W14 half-open connects are cancelled with their worker, and the app is told",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [] })
        const listener = stage.network.listen(remote, () => {})
        listener.hold()
        const fiber = yield* Effect.forkChild(Effect.flip(actor.run().sessions.connect(remote)))
        yield* until("half open", () => listener.waiting === 1)
        stage.script().crash()
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason._tag, "Detached")
        assert.strictEqual(listener.waiting, 0)
      })
  )

  scenario("M7 a congested worker opens no further sessions", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { queue: tiny })
      stage.network.listen(remote, () => {})
      const peers = yield* dialMany(stage, 3)
      stage.script().block()
      for (const peer of peers) peer.send("x")
      yield* settled
      assert.isTrue((yield* stage.worker()).congested)
      const fiber = yield* Effect.forkChild(Effect.flip(actor.run().sessions.connect(remote)))
      yield* settled
      stage.script().release()
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "Refused")
      assert.match(error.detail, /^congested: /)
      // and when it has caught up, it does
      yield* settled
      assert.isFalse((yield* stage.worker()).congested)
      yield* actor.run().sessions.connect(remote)
    }))

  scenario(
    "a connect is refused when the worker or the application has all the sessions it may",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, {
          listen: [],
          workers: 2,
          admission: { maxSessionsPerWorker: 1, maxSessions: 2 }
        })
        stage.network.listen(remote, () => {})
        yield* actor.run(0).sessions.connect(remote)
        assert.match((yield* Effect.flip(actor.run(0).sessions.connect(remote))).detail, /^worker-limit: /)
        yield* actor.run(1).sessions.connect(remote)
        assert.match((yield* Effect.flip(actor.run(1).sessions.connect(remote))).detail, /^host-limit: /)
      })
  )

  scenario(
    "W7 a connect of a worker that listens has memory of its own, and waits until it is there",
    (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage)
        const peers: Array<Peer> = []
        stage.network.listen(remote, (peer) => peers.push(peer))
        yield* stage.dial()
        raw!.claim(raw!.all("accepted")[0]!)
        raw!.send({ _tag: "connect", request: 2, endpoint: remote, source: "", timeout: 0 })
        yield* until("the segment", () => raw!.all("addSegment").length === 1)
        yield* settled
        assert.strictEqual(raw!.all("connected").length, 0)
        assert.isFalse(peers[0]!.closed)
        raw!.send({ _tag: "segmentMapped", segment: 1 })
        yield* until("the session", () => raw!.all("connected").length === 1)
        assert.strictEqual(raw!.all("connected")[0]!.segment, 1)
        // the next one finds it there
        raw!.send({ _tag: "connect", request: 3, endpoint: remote, source: "", timeout: 0 })
        yield* until("the session", () => raw!.all("connected").length === 2)
      })
  )

  scenario(
    "W14 a connect that waits for memory ends with the hold time, or is cancelled",
    (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage, { admission: { holdTime: 300 } })
        const peers: Array<Peer> = []
        stage.network.listen(remote, (peer) => peers.push(peer))
        raw!.send({ _tag: "connect", request: 2, endpoint: remote, source: "", timeout: 0 })
        raw!.send({ _tag: "connect", request: 3, endpoint: remote, source: "", timeout: 0 })
        yield* until("the segment", () => raw!.all("addSegment").length === 1)
        raw!.send({ _tag: "cancelConnect", request: 2 })
        yield* until("the cancellation", () => peers.some(({ closed }) => closed))
        yield* TestClock.adjust(299)
        assert.strictEqual(raw!.all("failed").length, 0)
        yield* TestClock.adjust(1)
        yield* until("the answer", () => raw!.all("failed").length === 1)
        assert.deepStrictEqual(raw!.all("failed")[0], {
          _tag: "failed",
          request: 3,
          reason: "no-memory",
          detail: "the worker's segments are full"
        })
        yield* until("both connections to be gone", () => peers.every(({ closed }) => closed))
      })
  )

  scenario("connects that run at the same time do not get past a limit together", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [], admission: { maxSessionsPerWorker: 2 } })
      const peers: Array<Peer> = []
      stage.network.listen(remote, (peer) => peers.push(peer))
      const results = yield* Effect.forEach(
        Array(5),
        () => Effect.exit(actor.run().sessions.connect(remote)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter(Exit.isSuccess).length, 2)
      yield* until("the others to be gone", () => peers.filter(({ closed }) => !closed).length === 2)
    }))
})

describe("congestion", () => {
  /** Blocks a worker and sends to its sessions until it is congested. */
  const congest = Effect.fnUntraced(function*(stage: Stage, peers: ReadonlyArray<Peer>, worker = 0) {
    stage.script(worker).block()
    for (const peer of peers) peer.send("x")
    yield* settled
    assert.isTrue((yield* stage.worker(worker)).congested)
  })

  scenario("M6 M13 a congested worker gets no sessions, the next one does", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { queue: tiny, workers: 3 })
      const peers = yield* dialMany(stage, 9)
      yield* congest(stage, [peers[0]!, peers[3]!, peers[6]!])
      yield* dialMany(stage, 4)
      assert.deepStrictEqual(actor.counts(3), [3, 5, 5])
      stage.script().release()
      yield* settled
      assert.isFalse((yield* stage.worker()).congested)
      yield* dialMany(stage, 3)
      assert.deepStrictEqual(actor.counts(3), [4, 6, 6])
    }))

  scenario(
    "M6 when all are congested connections are held, unread, and placed in order when one has caught up",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { queue: tiny })
        const peers = yield* dialMany(stage, 3)
        yield* congest(stage, peers)
        const held = [yield* stage.dial(), yield* stage.dial(), yield* stage.dial()]
        for (const [i, peer] of held.entries()) peer.send(`held ${i}`)
        yield* settled
        for (const peer of held) {
          assert.isFalse(peer.opened)
          assert.isFalse(peer.closed)
          assert.strictEqual(peer.unsent, 6)
        }
        assert.strictEqual((yield* stage.listener).arrivals.held, 3)
        yield* TestClock.adjust(4999)
        assert.isTrue(held.every(({ closed }) => !closed))
        stage.script().release()
        yield* until("all to be open", () => held.every(({ opened }) => opened))
        yield* until("their bytes", () => actor.run().accepted.slice(3).every(({ available }) => available === 6))
        const order = actor.run().accepted.slice(3).map((session) => Buffer.from(session.read()!).toString())
        assert.deepStrictEqual(order, ["held 0", "held 1", "held 2"])
        assert.strictEqual((yield* stage.listener).arrivals.held, 0)
        yield* TestClock.adjust(10_000)
        assert.isTrue(held.every(({ closed }) => !closed))
      })
  )

  scenario(
    "M6 the hold is bounded in number and in time, and each refusal has its reason",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { queue: tiny, admission: { holdMax: 2, holdTime: 300 } })
        yield* congest(stage, yield* dialMany(stage, 3))
        const first = yield* stage.dial()
        yield* TestClock.adjust(100)
        const second = yield* stage.dial()
        const third = yield* stage.dial()
        assert.isTrue(third.refused)
        assert.isFalse(first.closed)
        yield* TestClock.adjust(199)
        assert.isFalse(first.closed)
        yield* TestClock.adjust(1)
        yield* until("the first to be refused", () => first.refused)
        assert.isFalse(second.closed)
        yield* TestClock.adjust(100)
        yield* until("the second to be refused", () => second.refused)
        const { held, refused } = (yield* stage.listener).arrivals
        assert.strictEqual(held, 0)
        assert.strictEqual(refused["hold-full"], 1)
        assert.strictEqual(refused["hold-time"], 2)
      })
  )

  scenario(
    "M6 a held connection that goes away is withdrawn, and its place is free",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { queue: tiny, admission: { holdMax: 1 } })
        yield* congest(stage, yield* dialMany(stage, 3))
        const first = yield* stage.dial()
        first.reset()
        yield* settled
        const second = yield* stage.dial()
        assert.isFalse(second.closed)
        const { held, refused, withdrawn } = (yield* stage.listener).arrivals
        assert.deepStrictEqual({ held, withdrawn, full: refused["hold-full"] }, { held: 1, withdrawn: 1, full: 0 })
        stage.script().release()
        yield* until("the second to be open", () => second.opened)
        assert.strictEqual(actor.run().accepted.length, 4)
      })
  )

  scenario("M6 by the policy refuse nobody waits, and the reason is told", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { queue: tiny, admission: { policy: "refuse" } })
      yield* congest(stage, yield* dialMany(stage, 3))
      assert.strictEqual((yield* stage.app()).workers[0]!.takes, "congested")
      const peer = yield* stage.dial()
      assert.isTrue(peer.refused)
      assert.strictEqual((yield* stage.listener).arrivals.refused.congested, 1)
      assert.strictEqual((yield* stage.listener).arrivals.held, 0)
    }))

  scenario(
    "M9 a worker that has come to the bound is given up and started again, its sessions closed, others not",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { queue: { ...tiny, postponedMessages: 4 }, workers: 2 })
        const peers = yield* dialMany(stage, 14)
        const mine = peers.filter((_, i) => i % 2 === 0)
        stage.script(0).block()
        // one in the queue, four postponed: that is the bound
        for (const peer of mine.slice(0, 5)) peer.send("x")
        yield* settled
        const before = yield* stage.worker(0)
        assert.strictEqual(before.postponed.now, 4)
        assert.strictEqual(before.state, "RUNNING")
        mine[5]!.send("x")
        yield* until("its sessions to be closed", () => mine.every(({ closed }) => closed))
        yield* settled
        const given = yield* stage.worker(0)
        assert.strictEqual(given.state, "BACKOFF")
        assert.strictEqual(
          given.lastFailure,
          "the worker does not read its queue: 4 messages are postponed, which is the limit"
        )
        assert.isTrue(mine.every(({ broken }) => broken !== undefined))
        assert.isTrue(peers.every(({ closed }, i) => i % 2 === 0 || !closed))
        yield* assertBalanced(stage)
        // everything goes to the other one until it is there again
        yield* dialMany(stage, 2)
        assert.strictEqual(actor.run(1).accepted.length, 9)
        yield* TestClock.adjust(100)
        yield* until("a second start", () => stage.script(0).starts === 2)
        yield* settled
        assert.strictEqual((yield* stage.worker(0)).state, "RUNNING")
        assert.strictEqual((yield* stage.worker(0)).restarts, 1)
        yield* dialMany(stage, 2)
        assert.strictEqual(actor.run(0).accepted.length, 1)
      })
  )

  scenario("M9 offers that a given-up worker had not claimed go to another one", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, {
        queue: { indexQueue: 4, ioRing: 4, controlRing: 4, postponedMessages: 1 },
        workers: 2,
        admission: { revokeAfter: 1000 }
      })
      const peers = yield* dialMany(stage, 12)
      stage.script(0).block()
      const offered = yield* stage.dial()
      assert.isFalse(offered.opened)
      for (const [i, peer] of peers.entries()) if (i % 2 === 0) peer.send("x")
      yield* until("the offer to move", () => offered.opened)
      assert.strictEqual(actor.run(1).accepted.length, 7)
      assert.strictEqual((yield* stage.worker(0)).offers.withdrawn, 1)
    }))

  scenario(
    "M11 a worker that goes away releases what is postponed, and clean-ups run",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { queue: tiny })
        const peers = yield* dialMany(stage, 3)
        stage.script().block()
        for (const peer of peers) peer.reset()
        yield* settled
        const before = yield* stage.worker()
        assert.strictEqual(before.postponed.now, 5)
        assert.strictEqual(before.sessions, 3)
        stage.script().crash()
        yield* settled
        const after = yield* stage.worker()
        assert.strictEqual(after.sessions, 0)
        assert.strictEqual(after.messages.postponed, 0)
        assert.strictEqual(after.messages.released["worker-gone"], 5)
        assert.strictEqual((yield* stage.report).sessions, 0)
      })
  )

  scenario("M10 what is postponed for a session that is gone meanwhile is released", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { queue: tiny })
      const peers = yield* dialMany(stage, 2)
      stage.script().block()
      for (const peer of peers) peer.send("x")
      yield* settled
      // offered and postponed, then revoked: nothing tells the worker of it any more
      const late = yield* stage.dial()
      assert.isFalse(late.opened)
      late.reset()
      stage.script().release()
      yield* settled
      assert.strictEqual(actor.run().accepted.length, 2)
    }))

  scenario(
    "M12 W21 a report tells of every worker how it is, and agrees with its schema",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, {
          client: "shop",
          queue: { indexQueue: 1, ioRing: 2, controlRing: 4 },
          segment: { rxFifoSize: "8KiB", txFifoSize: "16KiB", addSegmentSize: "1MiB" },
          workers: 2
        })
        yield* stage.attach(new Actor(), { name: "other", listen: [] })
        const peers = yield* dialMany(stage, 6)
        yield* congest(stage, [peers[0]!, peers[2]!, peers[4]!])
        yield* TestClock.adjust(2500)
        const report = Schema.decodeUnknownSync(Report.HostReport)(yield* stage.report)
        assert.strictEqual(report.sessions, 6)
        assert.deepStrictEqual(report.apps.map(({ name }) => name), ["app", "other"])
        const [app] = report.apps
        assert.deepStrictEqual(
          {
            index: app!.index,
            client: app!.client,
            namespace: app!.namespace,
            first: app!.firstSegmentSize,
            add: app!.addSegmentSize,
            rx: app!.rxFifoSize,
            tx: app!.txFifoSize
          },
          { index: 0, client: "shop", namespace: "default", first: 4096 * KiB, add: 1024 * KiB, rx: 8192, tx: 16384 }
        )
        const [first, second] = app!.workers
        assert.deepStrictEqual(
          [first, second].map((worker) => [worker!.workerIndex, worker!.appIndex, worker!.mapIndex, worker!.client]),
          [[0, 0, 0, "shop"], [1, 0, 1, "shop"]]
        )
        assert.strictEqual(report.apps[1]!.workers[0]!.workerIndex, 2)
        assert.strictEqual(report.apps[1]!.workers[0]!.mapIndex, 0)
        assert.deepStrictEqual(first!.queue, {
          index: { used: 1, size: 1 },
          io: { used: 1, size: 2 },
          control: { used: 0, size: 4 }
        })
        assert.isTrue(first!.congested)
        assert.deepStrictEqual(first!.postponed, { now: 2, bytes: 32, highest: 2 })
        assert.isAtLeast(first!.timesCongested, 1)
        assert.strictEqual(first!.congestedMillis, 2500)
        assert.isAtLeast(first!.lastProgressMillis, 2000)
        assert.strictEqual(first!.kind, "in-process")
        assert.strictEqual(first!.state, "RUNNING")
        assert.strictEqual(first!.sessions, 3)
        assert.isFalse(second!.congested)
        assert.strictEqual(second!.lastProgressMillis, 0)
        assert.strictEqual(second!.segments.count, 1)
        assert.isAbove(second!.segments.used, 0)
        const [listener] = app!.listeners
        assert.deepStrictEqual(
          { endpoint: listener!.endpoint, workers: listener!.workers, sessions: listener!.sessions },
          { endpoint, workers: [0, 1], sessions: 6 }
        )
        assert.strictEqual(listener!.arrivals.claimed, 6)
        assert.strictEqual(report.uptimeMillis, 2500)
      })
  )

  scenario("W21 a host without applications says so", (stage) =>
    Effect.gen(function*() {
      const report = Schema.decodeUnknownSync(Report.HostReport)(yield* stage.report)
      assert.deepStrictEqual(report.apps, [])
      assert.isFalse(report.draining)
    }))

  scenario("M6 nobody overtakes those who wait, whenever they come", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { queue: tiny })
      const all = yield* dialMany(stage, 3)
      yield* congest(stage, all)
      for (let i = 0; i < 3; i++) all.push(yield* stage.dial())
      stage.script().release()
      for (let i = 0; i < 30; i++) {
        all.push(stage.network.dial(endpoint))
        yield* turn
      }
      yield* until("all to be open", () => all.every(({ opened }) => opened))
      assert.deepStrictEqual(actor.run().accepted.map(({ remote }) => remote), all.map(({ local }) => local))
    }))
})

describe("offers", () => {
  scenario(
    "M15 an offer that is not claimed within 5 ms goes to another worker, and only the first one waits",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 2 })
        stage.script(0).block()
        const peer = yield* stage.dial()
        assert.isFalse(peer.opened)
        yield* TestClock.adjust("4999 micros")
        yield* settled
        assert.isFalse(peer.opened)
        assert.strictEqual((yield* stage.worker(0)).offers.pending, 1)
        yield* TestClock.adjust("1 micros")
        yield* until("the other worker's claim", () => peer.opened)
        assert.deepStrictEqual(actor.counts(2), [0, 1])
        assert.deepStrictEqual((yield* stage.worker(0)).offers, {
          offered: 1,
          claimed: 0,
          refused: 0,
          revoked: 1,
          withdrawn: 0,
          pending: 0,
          moved: 0,
          unclaimed: 0
        })
        // the blocked worker is offered nothing more: nobody else waits
        yield* dialMany(stage, 5)
        assert.deepStrictEqual(actor.counts(2), [0, 6])
        assert.strictEqual((yield* stage.worker(0)).offers.offered, 1)
        assert.isTrue((yield* stage.worker(0)).congested)
        // it comes past the stale offer, which is not delivered, and takes part again
        stage.script(0).release()
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [0, 6])
        yield* dialMany(stage, 2)
        assert.deepStrictEqual(actor.counts(2), [1, 7])
      })
  )

  scenario(
    "M15 an offer that is claimed in time is never revoked, whenever the host hears of it",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 2 })
        stage.script(0).mute()
        const peer = yield* stage.dial()
        yield* until("the claim", () => actor.run(0).accepted.length === 1)
        yield* TestClock.adjust(50)
        yield* settled
        assert.isFalse(peer.opened)
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        stage.script(0).unmute()
        yield* until("the host to hear of it", () => peer.opened)
        assert.strictEqual((yield* stage.worker(0)).offers.revoked, 0)
        assert.strictEqual((yield* stage.worker(0)).offers.claimed, 1)
      })
  )

  scenario(
    "M15 a claim that comes after the revocation fails, and nobody gets the session twice",
    (stage) =>
      Effect.gen(function*() {
        const [first, second] = yield* attachRaw(stage, {}, 2)
        const peer = yield* stage.dial()
        yield* TestClock.adjust(5)
        yield* until("the second offer", () => second!.all("accepted").length === 1)
        assert.isFalse(first!.claim(first!.all("accepted")[0]!))
        assert.isTrue(second!.claim(second!.all("accepted")[0]!))
        yield* until("the claim", () => peer.opened)
        yield* settled
        assert.strictEqual((yield* stage.report).sessions, 1)
        assert.strictEqual((yield* stage.worker(0)).behind.offers, 0)
      })
  )

  scenario(
    "M15 the slot of a revoked offer is not used again before the worker has come past it",
    (stage) =>
      Effect.gen(function*() {
        const [first, second] = yield* attachRaw(stage, {}, 2)
        yield* stage.dial()
        yield* TestClock.adjust(5)
        yield* until("the second offer", () => second!.all("accepted").length === 1)
        const stale = first!.all("accepted")[0]!.session
        second!.claim(second!.all("accepted")[0]!)
        for (let i = 0; i < 3; i++) {
          yield* stage.dial()
          const offer = second!.all("accepted").at(-1)!
          assert.notStrictEqual(Handle.index(offer.session), Handle.index(stale))
          second!.claim(offer)
          yield* settled
        }
        assert.strictEqual(first!.all("accepted").length, 1)
        first!.claim(first!.all("accepted")[0]!)
        yield* settled
        yield* stage.dial()
        const next = first!.all("accepted")[1]!
        assert.strictEqual(Handle.index(next.session), Handle.index(stale))
        assert.notStrictEqual(next.session, stale)
      })
  )

  scenario(
    "M15 M6 a blocked worker whose queue is full is offered nothing more, and nothing is held beyond its time",
    (stage) =>
      Effect.gen(function*() {
        const queue = { indexQueue: 4, ioRing: 4, controlRing: 4 }
        yield* stage.attach(new Actor(), { queue, admission: { holdTime: 100 } })
        const peers = yield* dialMany(stage, 4)
        stage.script().block()
        for (const peer of peers) peer.send(Buffer.from("a"))
        yield* settled
        const late = yield* stage.dial()
        assert.strictEqual((yield* stage.worker()).postponed.now, 1)
        // the offer is taken back, and the message that waits for room goes with it
        for (let millis = 0; millis < 104; millis++) {
          yield* TestClock.adjust(1)
          yield* settled
          assert.isFalse(late.closed)
        }
        const { congested, offers, postponed } = yield* stage.worker()
        assert.deepStrictEqual([offers.offered, postponed.now, congested], [5, 0, true])
        yield* TestClock.adjust(1)
        yield* until("its end", () => late.closed)
        assert.strictEqual((yield* stage.listener).arrivals.refused["hold-time"], 1)
        stage.script().release()
        yield* settled
        assert.isFalse((yield* stage.worker()).congested)
        assert.strictEqual((yield* dialMany(stage, 1)).length, 1)
      })
  )

  scenario(
    "M15 with one worker the connection is held until the worker has caught up",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor)
        stage.script().block()
        const peer = yield* stage.dial()
        yield* TestClock.adjust(5)
        yield* settled
        assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        const second = yield* stage.dial()
        assert.strictEqual((yield* stage.listener).arrivals.held, 2)
        yield* TestClock.adjust(1000)
        stage.script().release()
        yield* until("both to be open", () => peer.opened && second.opened)
        assert.deepStrictEqual(actor.run().accepted.map(({ remote }) => remote), [peer.local, second.local])
      })
  )

  scenario(
    "M15 a connection that goes away while it is on offer is told to the worker after its claim, or not at all",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 2 })
        stage.script(0).block()
        const gone = yield* stage.dial()
        gone.reset()
        yield* settled
        stage.script(0).release()
        yield* settled
        yield* TestClock.adjust(10)
        yield* settled
        const report = yield* stage.report
        assert.strictEqual(report.sessions, 0)
        const { arrivals } = yield* stage.listener
        assert.strictEqual(arrivals.claimed + arrivals.withdrawn, 1)
      })
  )

  scenario(
    "M15 workers that are slower than the revoke time leave the connection to the quick one",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 3, admission: { revokeAfter: 20 } })
        stage.script(0).slow(1000)
        stage.script(1).slow(1000)
        const peer = yield* stage.dial()
        yield* TestClock.adjust(20)
        yield* settled
        assert.isFalse(peer.opened)
        yield* TestClock.adjust(19)
        yield* settled
        assert.isFalse(peer.opened)
        yield* TestClock.adjust(1)
        yield* until("the third worker's claim", () => peer.opened)
        assert.deepStrictEqual(actor.counts(3), [0, 0, 1])
        yield* TestClock.adjust(1000)
        yield* settled
        assert.deepStrictEqual((yield* stage.app()).workers.map(({ behind }) => behind.offers), [0, 0, 0])
      })
  )

  scenario(
    "M15 a connection whose offer ran out stands before those that came after it",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { admission: { maxSessionsPerWorker: 1 } })
        stage.script().block()
        const first = yield* stage.dial()
        const second = yield* stage.dial()
        assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        yield* TestClock.adjust(5)
        yield* settled
        assert.strictEqual((yield* stage.listener).arrivals.held, 2)
        stage.script().release()
        yield* until("one to be open", () => first.opened || second.opened)
        yield* settled
        assert.isTrue(first.opened)
        assert.isFalse(second.opened)
      })
  )
})

describe("limits", () => {
  const refusedFor = (stage: Stage) => Effect.map(stage.listener, ({ arrivals }) => arrivals.refused)

  scenario(
    "sessions per worker: the next worker gets the connection, and when all are full it is held",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 2, admission: { maxSessionsPerWorker: 2 } })
        const peers = yield* dialMany(stage, 4)
        assert.deepStrictEqual(actor.counts(2), [2, 2])
        const held = yield* stage.dial()
        assert.isFalse(held.opened)
        peers[1]!.reset()
        yield* until("the held one to be placed", () => held.opened)
        assert.deepStrictEqual(actor.counts(2), [2, 3])
      })
  )

  scenario("sessions per worker: by the policy refuse the reason is worker-limit", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { admission: { maxSessionsPerWorker: 1, policy: "refuse" } })
      assert.strictEqual((yield* stage.app()).workers[0]!.takes, "sessions")
      yield* stage.dialOpen()
      assert.strictEqual((yield* stage.app()).workers[0]!.takes, "full")
      assert.isTrue((yield* stage.dial()).refused)
      assert.strictEqual((yield* refusedFor(stage))["worker-limit"], 1)
    }))

  scenario("sessions per listener: more are refused with the reason listener-limit", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { admission: { maxSessionsPerListener: 2 } })
      const peers = yield* dialMany(stage, 2)
      assert.isTrue((yield* stage.dial()).refused)
      assert.strictEqual((yield* refusedFor(stage))["listener-limit"], 1)
      peers[0]!.reset()
      yield* settled
      yield* stage.dialOpen()
    }))

  scenario("sessions in total: more are refused with the reason host-limit", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { admission: { maxSessions: 2 } })
      const peers = yield* dialMany(stage, 2)
      assert.isTrue((yield* stage.dial()).refused)
      assert.strictEqual((yield* refusedFor(stage))["host-limit"], 1)
      peers[0]!.reset()
      yield* settled
      yield* stage.dialOpen()
    }))

  scenario(
    "an offer that was revoked takes no place in the limits from the connection that it was for",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { workers: 2, admission: { maxSessionsPerListener: 2, maxSessions: 2 } })
        stage.script(0).block()
        const first = yield* stage.dial()
        yield* TestClock.adjust(5)
        yield* until("the first to be open", () => first.opened)
        const second = yield* stage.dialOpen()
        assert.isFalse(second.refused)
        assert.strictEqual((yield* stage.listener).sessions, 2)
        assert.strictEqual((yield* stage.report).sessions, 2)
      })
  )

  scenario("connections that were held do not get past a limit", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { admission: { maxSessionsPerListener: 2 } })
      stage.script().crash()
      yield* settled
      const held = [yield* stage.dial(), yield* stage.dial(), yield* stage.dial()]
      yield* TestClock.adjust(100)
      yield* until("two to be open", () => held[0]!.opened && held[1]!.opened)
      yield* settled
      assert.isFalse(held[2]!.opened)
      assert.isFalse(held[2]!.closed)
      held[0]!.reset()
      yield* until("the third to be open", () => held[2]!.opened)
    }))

  scenario("the sessions of one application take no place in the limit of another", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { admission: { maxSessions: 1 } })
      yield* stage.attach(new Actor(), { name: "other", listen: ["tcp://127.0.0.1:81"] })
      yield* stage.dialOpen("tcp://127.0.0.1:81")
      yield* stage.dialOpen()
      assert.isTrue((yield* stage.dial()).refused)
    }))

  scenario(
    "segment memory: without any the connection is held, or refused with the reason no-memory",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, {
          queue: { indexQueue: 64, ioRing: 64, controlRing: 64 },
          segment: { firstSegmentSize: "512KiB", addSegmentSize: 0, rxFifoSize: "32KiB", txFifoSize: "32KiB" },
          admission: { policy: "refuse" }
        })
        const peers: Array<Peer> = []
        let refused: Peer | undefined
        while (refused === undefined) {
          const peer = yield* stage.dial()
          if (peer.closed) refused = peer
          else {
            peer.send(Buffer.alloc(64 * KiB))
            yield* settled
            peers.push(peer)
          }
          assert.isBelow(peers.length, 3000)
        }
        assert.isTrue(refused.refused)
        assert.strictEqual((yield* refusedFor(stage))["no-memory"], 1)
        assert.strictEqual((yield* stage.app()).workers[0]!.takes, "no-memory")
        yield* assertBalanced(stage)
        for (const peer of peers) peer.reset()
        yield* settled
        yield* stage.dialOpen()
      })
  )
})

describe("workers", () => {
  const adjust = Effect.fnUntraced(function*(millis: number) {
    yield* TestClock.adjust(millis)
    yield* settled
  })

  scenario(
    "W12 a worker's crash closes its sessions and no others, and its listeners go on",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: echoing })
        yield* stage.attach(actor, { workers: 2 })
        const peers = yield* dialMany(stage, 4)
        const dead = actor.run(0)
        stage.script(0).crash("the worker crashed: a bug")
        yield* until("its sessions to be closed", () => peers[0]!.closed && peers[2]!.closed)
        yield* settled
        assert.isDefined(peers[0]!.broken)
        for (const session of dead.accepted) {
          assert.isTrue(session.closed)
          assert.strictEqual(session.write(Buffer.from("late")), -1)
        }
        for (const peer of [peers[1]!, peers[3]!]) peer.send("alive")
        yield* until("the others to be served", () => text(peers[1]!) === "alive" && text(peers[3]!) === "alive")
        yield* dialMany(stage, 2)
        assert.strictEqual(actor.run(1).accepted.length, 4)
        const [first, second] = (yield* stage.app()).workers
        assert.strictEqual(first!.state, "BACKOFF")
        assert.strictEqual(first!.lastFailure, "the worker crashed: a bug")
        assert.deepStrictEqual(first!.segments, { count: 0, bytes: 0, hostBytes: 0, used: 0 })
        assert.strictEqual(first!.sessions, 0)
        assert.strictEqual(second!.state, "RUNNING")
        yield* adjust(100)
        assert.strictEqual((yield* stage.worker(0)).state, "RUNNING")
        assert.strictEqual(actor.run(0).info.restarts, 1)
        yield* dialMany(stage, 2)
        assert.strictEqual(actor.run(0).accepted.length, 1)
      })
  )

  scenario(
    "W12 the only worker keeps its listener over a crash: connections are held until it is there again",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor)
        stage.script().crash()
        yield* settled
        assert.deepStrictEqual(stage.network.listening, [endpoint])
        const peer = yield* stage.dial()
        assert.isFalse(peer.closed)
        yield* adjust(100)
        yield* until("the new start to claim it", () => peer.opened)
        assert.strictEqual(actor.run().info.restarts, 1)
      })
  )

  scenario("W12 after a detach every counter, segment and handle is where it was", (stage) =>
    Effect.gen(function*() {
      const snapshot = Effect.map(stage.report, (report) => ({
        sessions: report.sessions,
        listening: stage.network.listening,
        apps: report.apps.map(({ index, listeners, workers }) => ({
          index,
          listeners: listeners.map(({ endpoint, sessions, workers }) => ({ endpoint, sessions, workers })),
          workerIndexes: workers.map(({ workerIndex }) => workerIndex).toSorted(),
          workers: workers.map(({ mapIndex, segments, sessions, state }) => ({
            mapIndex,
            state,
            sessions,
            segments
          }))
        }))
      }))
      const attached = (use: (actor: Actor) => Effect.Effect<void>) =>
        Effect.scoped(Effect.gen(function*() {
          const actor = new Actor()
          yield* stage.attach(actor, { queue: tiny, workers: 2 })
          const before = yield* snapshot
          yield* use(actor)
          return before
        }))
      const first = yield* attached((actor) =>
        Effect.gen(function*() {
          const peers = yield* dialMany(stage, 10)
          for (const peer of peers) peer.send(Buffer.alloc(20_000))
          yield* settled
          for (const session of actor.run().accepted) session.write(Buffer.alloc(20_000))
          peers[0]!.reset()
          peers[1]!.end()
          stage.script(1).crash()
          yield* settled
          yield* adjust(100)
          stage.script(0).block()
          yield* stage.dial()
          yield* stage.dial()
          yield* adjust(10)
          stage.script(0).release()
          yield* settled
        })
      )
      yield* settled
      yield* assertNothingLeft(stage)
      const second = yield* attached(() => Effect.void)
      assert.deepStrictEqual(second, first)
    }))

  scenario("W12 a detach closes what is open, on both sides", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      const scope = yield* Scope.make()
      yield* Scope.provide(stage.attach(actor), scope)
      const peer = yield* stage.dialOpen()
      yield* Scope.close(scope, Exit.void)
      yield* until("the reset", () => peer.closed)
      assert.isDefined(peer.broken)
      assert.isTrue(actor.run().accepted[0]!.closed)
      assert.deepStrictEqual(actor.run().edges, ["closed (the worker was detached) 0.0"])
    }))

  scenario(
    "a worker that keeps crashing is started again after longer and longer waits, up to the bound",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { worker: { backoffBase: 100, backoffMax: 400 } })
        for (const [i, wait] of [100, 200, 400, 400, 400].entries()) {
          stage.script().crash()
          yield* settled
          assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
          yield* adjust(wait - 1)
          assert.strictEqual(stage.script().starts, i + 1)
          yield* adjust(1)
          assert.strictEqual(stage.script().starts, i + 2)
          assert.strictEqual((yield* stage.worker()).state, "RUNNING")
          assert.strictEqual((yield* stage.worker()).restarts, i + 1)
        }
        // who has run well for longer than the longest wait begins from the start
        yield* adjust(401)
        stage.script().crash()
        yield* settled
        yield* adjust(100)
        assert.strictEqual(stage.script().starts, 7)
      })
  )

  scenario("a start that fails later is waited for like a crash", (stage) =>
    Effect.gen(function*() {
      const starts: Array<boolean> = [true, false, false, true]
      let start = 0
      const actor = new Actor({
        start: () => Effect.suspend(() => starts[start++] === true ? Effect.void : Effect.fail(new Error("not yet")))
      })
      yield* stage.attach(actor, { listen: [] })
      stage.script().crash()
      yield* settled
      yield* adjust(100)
      const { lastFailure, lastFailureStack } = yield* stage.worker()
      assert.match(lastFailure!, /^the application failed: not yet \(.*SessionLayerHost\.test\.ts:\d+:\d+\)$/)
      assert.match(lastFailureStack!, /^Error: not yet\n +at .*SessionLayerHost\.test\.ts/)
      yield* adjust(200)
      assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
      yield* adjust(400)
      assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      assert.strictEqual((yield* stage.worker()).restarts, 3)
    }))

  scenario("a worker that waits to be started again can be stopped", (stage) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.provide(stage.attach(new Actor(), { worker: { backoffBase: 60_000, backoffMax: 60_000 } }), scope)
      stage.script().crash()
      yield* settled
      assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
      assert.strictEqual((yield* stage.worker()).takes, "nothing")
      const held = yield* stage.dial()
      yield* Scope.close(scope, Exit.void)
      yield* until("the refusal", () => held.refused)
      assert.strictEqual((yield* stage.report).ledger.arrivals.refused["no-worker"], 1)
      assert.strictEqual(stage.script().starts, 1)
    }))

  scenario(
    "a worker that does not stop when it is told to is ended after two seconds",
    (stage) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Scope.provide(stage.attach(new Actor()), scope)
        const peer = yield* stage.dialOpen()
        stage.script().block()
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* settled
        yield* adjust(1999)
        assert.isUndefined(closing.pollUnsafe())
        yield* adjust(1)
        yield* Fiber.join(closing)
        assert.isTrue(peer.closed)
      })
  )
})

describe("drain", () => {
  scenario(
    "new connections are refused, sessions finish, and the drain is over with the last",
    (stage) =>
      Effect.gen(function*() {
        let told = false
        const actor = new Actor({
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run, echoing))
              yield* Effect.forkScoped(Effect.andThen(run.sessions.draining, Effect.sync(() => told = true)))
            })
        })
        yield* stage.attach(actor)
        const peers = yield* dialMany(stage, 2)
        const drain = yield* Effect.forkChild(stage.host.drain)
        yield* until("the app to hear of it", () => told)
        assert.isTrue((yield* stage.report).draining)
        assert.deepStrictEqual(stage.network.listening, [])
        assert.isTrue((yield* stage.dial()).refused)
        for (const peer of peers) peer.send("last words")
        yield* until("the echo", () => peers.every((peer) => text(peer) === "last words"))
        assert.isUndefined(drain.pollUnsafe())
        for (const peer of peers) peer.end()
        yield* Fiber.join(drain)
        assert.isTrue(peers.every(({ broken, closed }) => closed && broken === undefined))
        const reason = yield* attachFailure(stage.attach(new Actor(), { name: "late" }))
        assert.strictEqual(reason._tag, "Draining")
      })
  )

  scenario(
    "connections that wait, and offers that are taken back, are refused with the reason draining",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { worker: { drainTimeout: 1000 } })
        stage.script().block()
        const offered = yield* stage.dial()
        const held = Effect.gen(function*() {
          yield* TestClock.adjust(5)
          return yield* stage.dial()
        })
        const waiting = yield* held
        const drain = yield* Effect.forkChild(stage.host.drain)
        yield* settled
        assert.isTrue(waiting.refused)
        assert.isTrue(offered.refused)
        assert.strictEqual((yield* stage.listener).arrivals.refused.draining, 2)
        stage.script().release()
        yield* Fiber.join(drain)
      })
  )

  scenario("a drain is bounded by the drain timeout", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { worker: { drainTimeout: 3000 } })
      const peer = yield* stage.dialOpen()
      const drain = yield* Effect.forkChild(stage.host.drain)
      yield* settled
      yield* TestClock.adjust(2999)
      assert.isUndefined(drain.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(drain)
      assert.isFalse(peer.closed)
    }))
})

describe("the ledger", () => {
  for (let seed = 1; seed <= 20; seed++) {
    scenario(`M14 balances at any moment, whatever happens (seed ${seed})`, (stage) =>
      Effect.gen(function*() {
        const random = Random.make(seed)
        const actor = new Actor({
          accept: (session, run) => {
            switch (random(4)) {
              case 0:
                return echoing(session)
              case 1:
                return session.close()
              case 2:
                if (random(4) === 0) throw new Error("a bug")
                session.handler = { readable: () => session.read(100) }
                return
              default:
                session.handler = { readable: () => run.edges.push("readable") }
            }
          }
        })
        yield* stage.attach(actor, {
          queue: { indexQueue: 2, ioRing: 2, controlRing: 2, postponedMessages: 40 },
          admission: {
            holdMax: 3,
            holdTime: 50,
            maxSessionsPerWorker: 12,
            maxSessionsPerListener: 30,
            maxSessions: 25
          },
          workers: 3,
          segment: { rxFifoSize: 4096, txFifoSize: 4096 }
        })
        const peers: Array<Peer> = []
        const any = () => peers[random(Math.max(1, peers.length))]
        for (let step = 0; step < 250; step++) {
          const script = stage.script(random(3))
          switch (random(12)) {
            case 0:
            case 1:
            case 2:
              peers.push(stage.network.dial(endpoint))
              break
            case 3:
            case 4:
              any()?.send(Buffer.alloc(1 + random(6000)))
              break
            case 5:
              any()?.end()
              break
            case 6:
              any()?.reset()
              break
            case 7:
              script.block()
              break
            case 8:
              script.release()
              break
            case 9:
              if (random(6) === 0) script.crash()
              else actor.run(random(3)).accepted[random(10)]?.abort()
              break
            case 10:
              actor.run(random(3)).accepted[random(10)]?.read()
              break
            default:
              yield* TestClock.adjust(random(10) === 0 ? 500 : random(8))
          }
          if (random(3) > 0) yield* settled
          yield* assertBalanced(stage)
        }
        for (const worker of [0, 1, 2]) stage.script(worker).release()
        for (const peer of peers) peer.reset()
        yield* settled
        yield* TestClock.adjust(30_000)
        yield* settled
        const report = yield* stage.report
        assert.strictEqual(
          report.sessions,
          actor.runs.length === 0 ? -1 : report.apps[0]!.workers.reduce((sum, { sessions }) => sum + sessions, 0)
        )
        const { arrivals } = yield* stage.listener
        assert.deepStrictEqual([arrivals.held, arrivals.offered], [0, 0])
        // nothing has been lost on the way: the host serves on
        yield* stage.dial()
        yield* TestClock.adjust(100)
        assert.isTrue((yield* stage.app()).workers.every(({ state }) => state === "RUNNING"))
      }))
  }
})
