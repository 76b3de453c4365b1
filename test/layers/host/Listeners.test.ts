/** Listen and unlisten at the host: who shares what, what is undone, what waits for whom (W8, W9, W10). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Handle from "../../../src/domain/state/Handle.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import {
  accepting,
  Actor,
  assertNothingLeft,
  attachRaw,
  echoing,
  endpoint,
  handleOf,
  type Run,
  scenario,
  type Stage
} from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

const other = "tcp://127.0.0.1:81"

/** What listening changes. */
const state = ({ host, network }: Stage) =>
  Effect.gen(function*() {
    const { apps } = yield* host.report
    return {
      listening: network.listening,
      locals: (yield* host.locals).listeners,
      managers: (yield* host.segments).map(({ manager, users }) => ({ manager, users })),
      apps: apps.map(({ listeners, name, workers }) => ({
        name,
        listeners: listeners.map(({ endpoint, handle, workers }) => ({ endpoint, handle, workers })),
        workers: workers.map(({ segments }) => segments)
      }))
    }
  })

const listen = (run: Run, uri = endpoint, accept?: (session: Session, run: Run) => void) =>
  run.sessions.listen(uri, accepting(run, accept))

/** Listens in a scope of its own. */
const listenIn = Effect.fnUntraced(function*(run: Run, uri = endpoint, accept?: (session: Session, run: Run) => void) {
  const scope = yield* Scope.make()
  const listener = yield* Scope.provide(listen(run, uri, accept), scope)
  return { listener, close: Scope.close(scope, Exit.void) }
})

describe("listeners", () => {
  scenario(
    "W10 three workers on three endpoints: each listener goes round over its own workers",
    (stage) =>
      Effect.gen(function*() {
        const uris = [endpoint, other, "tcp://127.0.0.1:82"] as const
        const members: ReadonlyArray<ReadonlyArray<number>> = [[0, 1, 2], [0, 2], [1]]
        const actor = new Actor({
          start: (run) =>
            Effect.forEach(uris, (uri, at) =>
              members[at]!.includes(run.info.worker) ? Effect.asVoid(listen(run, uri)) : Effect.void, { discard: true })
        })
        yield* stage.attach(actor, { listen: uris, workers: 3 })
        const { listeners } = yield* stage.app()
        for (const [at, uri] of uris.entries()) {
          assert.deepStrictEqual(
            listeners.find(({ endpoint }) =>
              endpoint === uri
            )!.workers,
            members[at]
          )
        }
        const served = (at: number) =>
          Effect.map(stage.dialOpen(uris[at]!), () =>
            actor.runs.find(({ accepted }) =>
              accepted.splice(0).length > 0
            )!.info.worker as number)
        const orders: ReadonlyArray<Array<number>> = [[], [], []]
        for (const at of [0, 1, 0, 2, 1, 0, 2, 1, 0, 0]) {
          orders[at]!.push(yield* served(at))
        }
        assert.deepStrictEqual(orders, [[0, 1, 2, 0, 1], [0, 2, 0], [1, 1]])
      })
  )

  scenario(
    "W10 two workers that ask for a new endpoint at the same moment share it",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 3 })
        stage.listens.hold()
        const fibers = yield* Effect.forEach([0, 1, 2], (worker) => Effect.forkChild(listen(actor.run(worker))))
        yield* settled
        // the transport was asked once
        assert.strictEqual(stage.listens.waiting(), 1)
        assert.deepStrictEqual((yield* stage.app()).listeners, [])
        stage.listens.answer()
        const listeners = yield* Effect.forEach(fibers, Fiber.join)
        assert.strictEqual(new Set(listeners.map(({ handle }) => handle)).size, 1)
        assert.deepStrictEqual((yield* stage.listener).workers.toSorted(), [0, 1, 2])
      })
  )

  scenario("W10 where the first of them fails, the others try for themselves", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [], workers: 2 })
      const taken = stage.network.listen(endpoint, () => {})
      stage.listens.hold()
      const before = yield* state(stage)
      const fibers = yield* Effect.forEach([0, 1], (worker) => Effect.forkChild(Effect.flip(listen(actor.run(worker)))))
      yield* settled
      stage.listens.answer()
      for (const fiber of fibers) assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "AddressInUse")
      assert.deepStrictEqual(yield* state(stage), before)
      taken.close()
      yield* listen(actor.run(1))
      yield* listen(actor.run(0))
      assert.deepStrictEqual((yield* stage.listener).workers, [0, 1])
    }))

  scenario(
    "W8 a listen that takes its time delays no other, of the same worker or of others",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const neighbour = new Actor()
        yield* stage.attach(actor, { listen: [] })
        yield* stage.attach(neighbour, { name: "neighbour", listen: [] })
        stage.listens.hold()
        const slow = yield* Effect.forkChild(listen(actor.run()))
        yield* settled
        yield* listen(actor.run(), other)
        yield* listen(neighbour.run(), "tcp://127.0.0.1:82")
        assert.isTrue((yield* stage.dialOpen(other)).opened)
        assert.isUndefined(slow.pollUnsafe())
        // who wants the same endpoint is told at once
        assert.strictEqual((yield* Effect.flip(listen(neighbour.run()))).reason._tag, "AlreadyListening")
        stage.listens.answer()
        yield* Fiber.join(slow)
        assert.isTrue((yield* stage.dialOpen()).opened)
      })
  )

  scenario(
    "W8 W12 a worker that goes while its listen is under way leaves nothing of it",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [] })
        stage.listens.hold()
        const before = yield* state(stage)
        const listening = yield* Effect.forkChild(Effect.flip(listen(actor.run())))
        yield* settled
        assert.strictEqual(stage.listens.waiting(), 1)
        stage.script().crash()
        assert.strictEqual((yield* Fiber.join(listening)).reason._tag, "Detached")
        yield* settled
        assert.strictEqual(stage.listens.waiting(), 0)
        yield* TestClock.adjust(100)
        yield* settled
        assert.deepStrictEqual(yield* state(stage), before)
        // nor does what has come too late
        stage.listens.answer()
        yield* settled
        assert.deepStrictEqual(yield* state(stage), before)
        yield* listen(actor.run())
      })
  )

  scenario(
    "W8 W10 where another worker waits for the same listen, that one gets it",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 2 })
        stage.listens.hold()
        yield* Effect.forkChild(Effect.flip(listen(actor.run(0))))
        yield* settled
        const waiting = yield* Effect.forkChild(listen(actor.run(1)))
        yield* settled
        stage.script(0).crash()
        yield* settled
        assert.strictEqual(stage.listens.waiting(), 1)
        stage.listens.answer()
        yield* Fiber.join(waiting)
        assert.deepStrictEqual((yield* stage.listener).workers, [1])
        assert.isTrue((yield* stage.dialOpen()).opened)
      })
  )

  scenario(
    "W8 W13 a detach does not wait for a listen that is under way, and the endpoint is free at once",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ start: (run) => Effect.asVoid(Effect.forkScoped(Effect.ignore(listen(run)))) })
        const { handle } = yield* stage.attach(actor)
        stage.listens.hold()
        const second = yield* stage.host.addWorker(handle)
        assert.strictEqual(second.mapIndex, 1)
        const listening = yield* Effect.forkChild(Effect.flip(listen(actor.run(), other)))
        stage.listens.hold(other)
        yield* settled
        const detaching = yield* Effect.forkChild(stage.host.detach(handle))
        yield* settled
        yield* TestClock.adjust(2000)
        yield* Fiber.join(detaching)
        yield* Fiber.join(listening)
        yield* assertNothingLeft(stage)
        stage.listens.letPass(other)
        const next = new Actor()
        yield* stage.attach(next, { name: "next", listen: [other] })
        assert.isTrue((yield* stage.dialOpen(other)).opened)
      })
  )

  scenario(
    "W8 a listen of an endpoint that is being closed waits for that, and succeeds",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 2 })
        for (let i = 0; i < 20; i++) {
          const { close } = yield* listenIn(actor.run(0))
          const closing = yield* Effect.forkChild(close)
          for (let turns = 0; turns < i % 5; turns++) yield* turn
          const again = yield* listenIn(actor.run(1))
          yield* Fiber.join(closing)
          assert.deepStrictEqual(stage.network.listening, [endpoint])
          yield* again.close
          assert.deepStrictEqual(stage.network.listening, [])
        }
      })
  )
})

describe("a listen that fails", () => {
  const both = { global: true, local: true }

  scenario("W8 in the transport: what was entered in the local table is taken out", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [], scope: both })
      const before = yield* state(stage)
      const taken = stage.network.listen(endpoint, () => {})
      const error = yield* Effect.flip(listen(actor.run()))
      assert.strictEqual(error.reason._tag, "AddressInUse")
      assert.match(error.message, /^can't listen on tcp:\/\/127.0.0.1:80: another listener has this endpoint$/)
      assert.deepStrictEqual(yield* state(stage), before)
      taken.close()
      yield* listen(actor.run())
    }))

  scenario("W8 in the local table: the transport is not asked", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(new Actor(), { name: "first", scope: { local: true } })
      yield* stage.attach(actor, { listen: [], scope: both })
      const before = yield* state(stage)
      stage.listens.hold()
      const error = yield* Effect.flip(listen(actor.run()))
      assert.strictEqual(error.reason._tag, "AddressInUse")
      assert.strictEqual(error.detail, `application first listens on ${endpoint}`)
      assert.strictEqual(stage.listens.waiting(), 0)
      assert.deepStrictEqual(yield* state(stage), before)
    }))

  scenario(
    "W8 in the local table, after the transport gave a port: it stops listening there",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const first = new Actor()
        yield* stage.attach(first, { name: "first", listen: [], scope: { local: true } })
        yield* stage.attach(actor, { listen: [], scope: both })
        // the port that the network gives next
        const probe = yield* listenIn(actor.run(), "tcp://127.0.0.1:0")
        const next = Number(probe.listener.local.split(":").at(-1)) + 1
        yield* probe.close
        yield* listen(first.run(), `tcp://127.0.0.1:${next}`)
        const before = yield* state(stage)
        const error = yield* Effect.flip(listen(actor.run(), "tcp://127.0.0.1:0"))
        assert.strictEqual(error.reason._tag, "AddressInUse")
        assert.strictEqual(
          error.detail,
          `another listener has tcp://127.0.0.1:${next} in the local scope of namespace default`
        )
        assert.deepStrictEqual(yield* state(stage), before)
        const listener = yield* listen(actor.run(), "tcp://127.0.0.1:0")
        assert.strictEqual(listener.local, `tcp://127.0.0.1:${next + 1}`)
      })
  )

  scenario(
    "W8 before anything was done: what is no endpoint, or not the application's to listen on",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const local = new Actor()
        yield* stage.attach(actor, { listen: [] })
        yield* stage.attach(local, { name: "local", listen: [], scope: { local: true } })
        const before = yield* state(stage)
        const wrong = [
          [actor, "tcp://nowhere", "InvalidEndpoint", /^endpoint "tcp:\/\/nowhere": the port is missing/],
          [actor, "", "InvalidEndpoint", /^endpoint "": it must start with a transport/],
          [actor, "quic://127.0.0.1:443", "InvalidEndpoint", /there is no transport 'quic'/],
          [actor, "local://service", "OutOfScope", /^local endpoints are for applications with local scope/],
          [actor, "tcp://0.0.0.0:*", "OutOfScope", /^any port is for proxies/],
          [local, "tcp://[::]:*", "OutOfScope", /^any port is for proxies/],
          [local, "tcp://127.0.0.1:0", "AddressNotAvailable", /^port 0 is for the system to choose/]
        ] as const
        for (const [who, uri, reason, detail] of wrong) {
          const error = yield* Effect.flip(listen(who.run(), uri))
          assert.strictEqual(error.reason._tag, reason, uri)
          assert.match(error.detail, detail)
          assert.strictEqual(error.endpoint, uri)
        }
        assert.deepStrictEqual(yield* state(stage), before)
      })
  )

  scenario(
    "W10 the same worker twice, or another application: AlreadyListening, and nothing has changed",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const neighbour = new Actor()
        yield* stage.attach(actor, { workers: 2 })
        yield* stage.attach(neighbour, { name: "neighbour", listen: [] })
        const before = yield* state(stage)
        const twice = yield* Effect.flip(listen(actor.run(1)))
        assert.strictEqual(twice.reason._tag, "AlreadyListening")
        assert.strictEqual(twice.detail, `this worker listens on ${endpoint} already`)
        const foreign = yield* Effect.flip(listen(neighbour.run()))
        assert.strictEqual(foreign.reason._tag, "AlreadyListening")
        assert.strictEqual(foreign.detail, `application app listens on ${endpoint}`)
        assert.deepStrictEqual(yield* state(stage), before)
        // port 0 is a port of its own for each application, and one for the workers of one
        const zero = "tcp://127.0.0.1:0"
        const given = [
          yield* listen(actor.run(0), zero),
          yield* listen(actor.run(1), zero),
          yield* listen(neighbour.run(), zero)
        ]
        assert.strictEqual(given[0]!.handle, given[1]!.handle)
        assert.notStrictEqual(given[0]!.local, given[2]!.local)
      })
  )
})

describe("unlisten", () => {
  scenario(
    "W9 is the owner's: others are told NotOwner, who has gone NoSuchListener, and nothing has changed",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const neighbour = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 2 })
        yield* stage.attach(neighbour, { name: "neighbour", listen: [] })
        const { listener } = yield* listenIn(actor.run(0))
        const before = yield* state(stage)
        const foreign = yield* Effect.flip(neighbour.run().sessions.unlisten(listener.handle))
        assert.strictEqual(foreign.reason._tag, "NotOwner")
        assert.strictEqual(
          foreign.message,
          `can't stop listener ${Handle.format(listener.handle)}: listener ${
            Handle.format(listener.handle)
          } is another application's`
        )
        // a worker of the owner that does not serve it has nothing to leave
        const idle = yield* Effect.flip(actor.run(1).sessions.unlisten(listener.handle))
        assert.strictEqual(idle.reason._tag, "NoSuchListener")
        for (const handle of [Handle.make<Handle.ListenerHandle>(0, 9), Handle.make<Handle.ListenerHandle>(77, 0)]) {
          const error = yield* Effect.flip(actor.run(0).sessions.unlisten(handle))
          assert.strictEqual(error.reason._tag, "NoSuchListener")
        }
        assert.deepStrictEqual(yield* state(stage), before)
        yield* actor.run(0).sessions.unlisten(listener.handle)
        assert.deepStrictEqual(stage.network.listening, [])
        const twice = yield* Effect.flip(actor.run(0).sessions.unlisten(listener.handle))
        assert.strictEqual(twice.reason._tag, "NoSuchListener")
      })
  )

  scenario("W1 W9 a stale handle does not close the listener that has its slot now", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      const neighbour = new Actor()
      yield* stage.attach(actor, { listen: [] })
      yield* stage.attach(neighbour, { name: "neighbour", listen: [] })
      const first = yield* listenIn(actor.run())
      yield* actor.run().sessions.unlisten(first.listener.handle)
      const second = yield* listen(neighbour.run())
      assert.strictEqual(Handle.index(second.handle), Handle.index(first.listener.handle))
      assert.strictEqual(
        (yield* Effect.flip(actor.run().sessions.unlisten(first.listener.handle))).reason._tag,
        "NoSuchListener"
      )
      assert.strictEqual((yield* Effect.flip(stage.host.unlisten(first.listener.handle)))._tag, "NoSuchListener")
      // nor does the end of the scope in which it was made
      yield* first.close
      assert.isTrue((yield* stage.dialOpen()).opened)
    }))

  scenario(
    "W10 the worker whose turn it is gets the next session, though one before it has left",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 4 })
        const [first] = yield* Effect.forEach([0, 1, 2, 3], (worker) => listenIn(actor.run(worker)))
        for (let i = 0; i < 3; i++) yield* stage.dialOpen()
        yield* first!.close
        yield* stage.dialOpen()
        assert.deepStrictEqual(actor.counts(4), [1, 1, 1, 1])
        yield* stage.dialOpen()
        assert.deepStrictEqual(actor.counts(4), [1, 2, 1, 1])
      })
  )

  scenario(
    "W9 one of two workers leaves: its sessions go on, and the other serves alone",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 2 })
        const [first] = yield* Effect.forEach([0, 1], (worker) => listenIn(actor.run(worker), endpoint, echoing))
        const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
        yield* first!.close
        for (let i = 0; i < 3; i++) yield* stage.dialOpen()
        assert.deepStrictEqual(actor.counts(2), [1, 4])
        for (const peer of peers) {
          peer.send("still here")
          yield* until("the echo", () => peer.received().toString() === "still here")
        }
        // and it may come back
        yield* listen(actor.run(0))
        assert.deepStrictEqual((yield* stage.listener).workers, [0, 1])
      })
  )

  scenario(
    "W9 by the host: closes the listener for all its workers; their sessions go on, their offers are refused",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const { raws } = yield* attachRaw(stage, { name: "raw" }, 1)
        const handle = handleOf<Handle.ListenerHandle>((yield* stage.listener).handle)
        yield* stage.attach(actor, { listen: [], workers: 2 })
        const open = yield* stage.dial()
        assert.isTrue(raws[0]!.claim(raws[0]!.all("accepted")[0]!))
        const offered = yield* stage.dial()
        assert.strictEqual(raws[0]!.all("accepted").length, 2)
        yield* stage.host.unlisten(handle)
        yield* settled
        assert.deepStrictEqual(stage.network.listening, [])
        assert.isTrue(offered.refused)
        assert.isFalse(open.closed)
        assert.deepStrictEqual(raws[0]!.all("unlistened").map(({ listener }) => listener), [handle])
        assert.isTrue((yield* stage.dial()).refused)
        const { arrivals, offers } = (yield* stage.report).ledger
        assert.strictEqual(arrivals.refused["no-worker"], 1)
        assert.strictEqual(offers.withdrawn, 1)
        // what it finds taken back, it comes past
        assert.isFalse(raws[0]!.claim(raws[0]!.all("accepted")[1]!))
        yield* settled
        assert.strictEqual((yield* stage.host.sessions({})).length, 1)
        assert.strictEqual((yield* Effect.flip(stage.host.unlisten(handle)))._tag, "NoSuchListener")
        // the endpoint is free
        yield* listen(actor.run())
      })
  )

  scenario(
    "W9 by the host: workers may listen there again, and the old scope ends nothing of it",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { listen: [], workers: 2 })
        const old = yield* Effect.forEach([0, 1], (worker) => listenIn(actor.run(worker)))
        yield* stage.host.unlisten(old[0]!.listener.handle)
        yield* settled
        const again = yield* Effect.forEach([0, 1], (worker) => listen(actor.run(worker)))
        assert.notStrictEqual(again[0]!.handle, old[0]!.listener.handle)
        for (const { close } of old) yield* close
        assert.deepStrictEqual((yield* stage.listener).workers, [0, 1])
        for (let i = 0; i < 4; i++) yield* stage.dialOpen()
        assert.deepStrictEqual(actor.counts(2), [2, 2])
      })
  )

  scenario("W9 by the host and by the worker at the same moment: it is closed once", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      for (let apart = 0; apart < 6; apart++) {
        const { close, listener } = yield* listenIn(actor.run())
        const closing = yield* Effect.forkChild(close)
        for (let i = 0; i < apart; i++) yield* turn
        yield* Effect.exit(stage.host.unlisten(listener.handle))
        yield* Fiber.join(closing)
        yield* settled
        assert.deepStrictEqual(stage.network.listening, [])
        assert.deepStrictEqual((yield* stage.app()).listeners, [])
      }
    }))

  scenario("W9 connections that are held are refused, and counted as no-worker", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { listen: [] })
      const { listener } = yield* listenIn(actor.run())
      stage.script().block()
      yield* stage.dial()
      yield* TestClock.adjust(5)
      const held = yield* stage.dial()
      assert.strictEqual((yield* stage.listener).arrivals.held, 2)
      yield* stage.host.unlisten(listener.handle)
      yield* settled
      assert.isTrue(held.refused)
      stage.script().release()
      yield* settled
      assert.strictEqual((yield* stage.report).ledger.arrivals.refused["no-worker"], 2)
    }))
})

describe("connections that are held", () => {
  scenario(
    "M6 those that went away while nobody could take them leave nothing behind",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: echoing })
        yield* stage.attach(actor, { admission: { holdMax: 3, holdTime: 60_000 } })
        stage.script().block()
        yield* stage.dial()
        yield* TestClock.adjust(5)
        for (let round = 0; round < 5; round++) {
          const peers = [yield* stage.dial(), yield* stage.dial()]
          assert.strictEqual((yield* stage.listener).arrivals.held, 3)
          for (const peer of peers) peer.reset()
          yield* settled
          assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        }
        stage.script().release()
        yield* settled
        assert.strictEqual((yield* stage.listener).arrivals.held, 0)
        // nobody is in the way of who comes next
        assert.isTrue((yield* stage.dialOpen()).opened)
      })
  )
})
