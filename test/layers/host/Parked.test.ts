/** X1: sessions that stand between two messages go on with another worker when theirs does not take them up. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as PerTurn from "../../../src/layers/system/PerTurn.ts"
import type { Session, WorkerInfo } from "../../../src/services/Sessions.ts"
import { answering, ask, opened, text } from "../../support/Parking.ts"
import { Actor, endpoint, handleOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

describe("parked sessions", () => {
  scenario(
    "X1 bytes for a parked session go to another worker after exactly the time of an offer",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer } = yield* opened(stage, answering())
        yield* ask(peer, "a", "0:a;")
        stage.script(0).block()
        yield* TestClock.adjust(1000)
        peer.send("b")
        yield* settled
        yield* TestClock.adjust("4999 micros")
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        yield* TestClock.adjust("1 micros")
        yield* until("an answer of the other worker", () => text(peer) === "0:a;1:b;")
        assert.deepStrictEqual(actor.counts(2), [1, 1])
        assert.deepStrictEqual(actor.run(0).edges, ["parked"])
        const sessions = yield* stage.host.sessions({})
        assert.deepStrictEqual(sessions.map(({ moved, moves, parked, worker }) => ({ moved, moves, parked, worker })), [
          { moved: "late", moves: 1, parked: true, worker: 1 }
        ])
        // the worker that was blocked is offered nothing before it has passed the message
        assert.isTrue((yield* stage.worker(0)).congested)
        stage.script(0).release()
        yield* until("the worker to let go", () => actor.run(0).edges.at(-1) === "moved")
        yield* settled
        assert.isFalse((yield* stage.worker(0)).congested)
        yield* ask(peer, "c", "1:c;")
        assert.deepStrictEqual((yield* stage.worker(0)).offers.moved, 1)
        assert.deepStrictEqual((yield* stage.listener).arrivals.moved, 1)
      })
  )

  scenario("X1 a worker that takes its session up in time keeps it", (stage) =>
    Effect.gen(function*() {
      const { actor, peer } = yield* opened(stage, answering())
      for (let i = 1; i <= 5; i++) {
        stage.script(0).block()
        peer.send("a")
        yield* settled
        yield* TestClock.adjust(4)
        stage.script(0).release()
        yield* until("an answer", () => text(peer) === "0:a;".repeat(i))
        yield* TestClock.adjust(4)
      }
      assert.deepStrictEqual(actor.counts(2), [1, 0])
    }))

  scenario(
    "X1 a session that was just claimed moves with its first bytes, and its worker sees no error",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer } = yield* opened(stage, answering())
        stage.script(0).block()
        peer.send("first")
        yield* settled
        yield* TestClock.adjust(5)
        yield* until("an answer", () => text(peer) === "1:first;")
        stage.script(0).release()
        yield* until("the worker to let go", () => actor.run(0).edges.length > 0)
        assert.deepStrictEqual(actor.run(0).edges, ["moved"])
      })
  )

  scenario("X1 what the application gives along is there in the next worker", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ accept: answering({ state: (run) => `<of ${run.info.worker}>` }) })
      yield* stage.attach(actor, { workers: 3 })
      const peer = yield* stage.dialOpen()
      yield* ask(peer, "a", "0:a;")
      stage.script(0).block()
      stage.script(1).block()
      peer.send("b")
      yield* settled
      // the next worker claims it in no time, or lets its offer run out, and the state goes on
      yield* TestClock.adjust(5)
      yield* settled
      yield* TestClock.adjust(5)
      yield* until("an answer", () => text(peer) === "0:a;2<of 0>:b;")
      yield* ask(peer, "c", "2<of 0>:c;")
    }))

  scenario(
    "X1 where no other worker takes it, the session stays, and moves once one does",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer } = yield* opened(stage, answering())
        stage.script(0).block()
        stage.script(1).block()
        const other = yield* stage.dial()
        yield* TestClock.adjust(5)
        yield* settled
        assert.isFalse(other.opened)
        peer.send("a")
        yield* settled
        yield* TestClock.adjust(50)
        yield* settled
        assert.strictEqual(text(peer), "")
        stage.script(1).release()
        yield* until("an answer", () => text(peer) === "1:a;" && other.opened)
        stage.script(0).release()
        yield* settled
        assert.deepStrictEqual(actor.run(0).edges, ["moved"])
      })
  )

  scenario(
    "X1 in a drain, parked sessions go to other workers at once, and the others as soon as they are parked",
    (stage) =>
      Effect.gen(function*() {
        const busy: Array<Session> = []
        const actor = new Actor({
          accept: (session, run) => {
            answering()(session, run)
            if (run.info.worker !== 0 || run.accepted.length !== 2) return
            busy.push(session)
            session.handler = { readable: () => void session.read(), moved: () => run.edges.push("moved late") }
          }
        })
        yield* stage.attach(actor, { workers: 2 })
        const peers = [yield* stage.dialOpen(), yield* stage.dialOpen(), yield* stage.dialOpen()] as const
        for (const peer of peers) peer.send("a")
        yield* until("answers", () => text(peers[0]) === "0:a;" && text(peers[1]) === "1:a;")
        // the third connection is worker 0's, which has not answered yet
        assert.deepStrictEqual(actor.counts(2), [2, 1])
        const { workers } = yield* stage.app()
        const deleted = yield* Effect.forkChild(stage.host.restartWorker(handleOf(workers[0]!.handle)))
        yield* until("the first to move", () => actor.run(1).accepted.length === 2)
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [2, 2])
        busy[0]!.write(Buffer.from("done;"))
        assert.isUndefined(busy[0]!.park())
        yield* settled
        // what was written has to go out first
        yield* TestClock.adjust(5)
        yield* until("the second to move", () => actor.run(1).accepted.length === 3)
        yield* Fiber.join(deleted)
        for (const peer of peers) peer.send("b")
        yield* until("answers", () => text(peers[2]) === "done;1:b;" && text(peers[0]) === "0:a;1:b;")
        assert.isFalse(peers.some(({ closed }) => closed))
      })
  )

  type Why = NonNullable<Report.SessionReport["moved"]>
  type Worker = Parameters<Stage["host"]["deleteWorker"]>[0]
  const reasons: ReadonlyArray<
    readonly [Why, string, WorkerInfo["kind"], (stage: Stage, worker: Worker) => Effect.Effect<unknown, unknown>]
  > = [
    [
      "reload",
      "its application is reloaded",
      "thread",
      ({ host }) => Effect.flatMap(host.find("app"), ({ handle }) => host.reload(handle))
    ],
    ["restart", "is restarted", "thread", ({ host }, worker) => host.restartWorker(worker)],
    ["restart", "is restarted, and ended first", "in-process", ({ host }, worker) => host.restartWorker(worker)],
    ["restart", "is restarted at once", "thread", ({ host }, worker) => host.restartWorker(worker, { drain: false })],
    ["delete", "is deleted", "thread", ({ host }, worker) => host.deleteWorker(worker)],
    ["delete", "is deleted at once", "thread", ({ host }, worker) => host.deleteWorker(worker, { drain: false })],
    ["crash", "crashes", "thread", (stage) => Effect.sync(() => stage.script(1).crash())]
  ]
  for (const [why, what, kind, act] of reasons) {
    scenario(
      `X1 a session says that it has moved for \`${why}\` when its worker ${what}`,
      (stage) =>
        Effect.gen(function*() {
          yield* stage.attach(new Actor({ accept: answering() }), { workers: 2, worker: { kind } })
          yield* stage.dialOpen()
          const peer = yield* stage.dialOpen()
          yield* ask(peer, "a", "1:a;")
          const acting = yield* Effect.forkChild(act(stage, handleOf<Worker>((yield* stage.worker(1)).handle)))
          yield* settled
          yield* TestClock.adjust(2000)
          yield* Fiber.join(acting)
          yield* settled
          const session = (yield* stage.host.sessions({})).find(({ remote }) => remote === peer.local)
          assert.deepInclude(session!, { moved: why, moves: 1 })
          assert.isFalse(peer.closed)
        })
    )
  }

  for (const what of ["is deleted", "crashes"] as const) {
    scenario(
      `X1 X3 a worker that ${what} with many parked sessions keeps no turn of the host for itself`,
      (stage) =>
        Effect.gen(function*() {
          const peers = 100
          yield* stage.attach(new Actor({ accept: answering() }), { workers: 2 })
          for (let i = 0; i < 2 * peers; i++) yield* stage.dialOpen()
          const worker = handleOf<Worker>((yield* stage.worker(1)).handle)
          if (what === "crashes") stage.script(1).crash()
          else yield* Effect.forkScoped(stage.host.deleteWorker(worker))
          for (let before = 0; before < peers;) {
            yield* turn
            const { moved } = (yield* stage.listener).arrivals
            // the host may have had two turns in this one
            assert.isAtMost(moved - before, 2 * PerTurn.PER_TURN)
            before = moved
          }
          yield* until("all to be there", () => Effect.runSync(stage.worker(0)).sessions === 2 * peers)
        })
    )
  }

  scenario(
    "X1 of the sessions for which nothing has come, a worker is given more only as it claims those before",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }), {
          workers: 2,
          admission: { revokeAfter: "10 seconds" }
        })
        const peers = yield* Effect.forEach(Array(24), () => stage.dialOpen())
        for (const peer of peers) {
          peer.send("a")
          yield* until("its answer", () => text(peer) !== "")
        }
        stage.script(0).block()
        yield* Effect.forkScoped(stage.host.deleteWorker(handleOf<Worker>((yield* stage.worker(1)).handle)))
        const { arrivals: before } = yield* stage.listener
        yield* until("its first session", () => Effect.runSync(stage.listener).arrivals.moved > before.moved)
        yield* settled
        assert.strictEqual((yield* stage.listener).arrivals.moved - before.moved, 1)
        stage.script(0).release()
        yield* until("all to be there", () => Effect.runSync(stage.worker(0)).sessions === peers.length)
        for (const peer of peers) yield* ask(peer, "b", "0:b;")
      })
  )

  scenario(
    "X1 one for which nothing has come goes on as its next worker claims what another listener has offered it",
    (stage) =>
      Effect.gen(function*() {
        const other = "tcp://127.0.0.1:81"
        yield* stage.attach(new Actor({ accept: answering() }), {
          workers: 2,
          listen: [endpoint, other],
          admission: { revokeAfter: "10 seconds" }
        })
        const [, peer] = yield* Effect.forEach([0, 1], () => stage.dialOpen(other))
        yield* ask(peer!, "a", "1:a;")
        stage.script(0).block()
        yield* stage.dial()
        yield* Effect.forkScoped(stage.host.deleteWorker(handleOf<Worker>((yield* stage.worker(1)).handle)))
        yield* settled
        assert.strictEqual((yield* stage.worker(1)).sessions, 1)
        stage.script(0).release()
        yield* until("all to be there", () => Effect.runSync(stage.worker(0)).sessions === 3)
        yield* ask(peer!, "b", "0:b;")
      })
  )

  for (const room of [true, false]) {
    scenario(
      `X1 a worker that drains keeps what it has parked while all others are full, and ${
        room ? "it goes as soon as one has room" : "at the drain timeout it waits as if held, and is told"
      }`,
      (stage) =>
        Effect.gen(function*() {
          yield* stage.attach(new Actor({ accept: answering() }), {
            workers: 2,
            admission: { maxSessionsPerWorker: 1, holdTime: "2 seconds" },
            worker: { drainTimeout: "1 second" }
          })
          const other = yield* stage.dialOpen()
          yield* ask(other, "a", "0:a;")
          const peer = yield* stage.dialOpen()
          yield* ask(peer, "a", "1:a;")
          const deleting = yield* Effect.forkChild(
            stage.host.deleteWorker(handleOf<Worker>((yield* stage.worker(1)).handle))
          )
          yield* settled
          // meanwhile its worker answers
          yield* ask(peer, "b", "1:b;")
          yield* TestClock.adjust(900)
          yield* ask(peer, "c", "1:c;")
          yield* TestClock.adjust(99)
          yield* settled
          if (room) {
            other.reset()
            yield* Fiber.join(deleting)
            return yield* ask(peer, "d", "0:d;")
          }
          yield* TestClock.adjust(1)
          yield* Fiber.join(deleting)
          assert.deepStrictEqual([peer.closed, (yield* stage.listener).arrivals.held], [false, 1])
          yield* TestClock.adjust(2000)
          yield* until("its end", () => peer.closed)
          assert.strictEqual((yield* stage.listener).arrivals.refused["hold-time"], 1)
          yield* ask(other, "b", "0:b;")
        })
    )
  }

  scenario(
    "X1 X7 while connections wait for places, a session of a blocked worker has the first one that is free elsewhere",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor({ accept: answering() }), { workers: 2, admission: { maxSessionsPerWorker: 1 } })
        const peer = yield* stage.dialOpen()
        yield* ask(peer, "a", "0:a;")
        const other = yield* stage.dialOpen()
        yield* ask(other, "a", "1:a;")
        const held = yield* stage.dial()
        assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        // a worker that is full is offered nothing, so nothing but this session can tell that it is late
        stage.script(0).block()
        peer.send("b")
        yield* settled
        yield* TestClock.adjust(5)
        yield* settled
        other.reset()
        yield* until("the answer of the other worker", () => text(peer) === "0:a;1:b;")
        stage.script(0).release()
        yield* ask(held, "a", "0:a;")
      })
  )

  scenario(
    "X3 a crash costs no parked session: they go to other workers, or wait for the next start",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: answering() })
        yield* stage.attach(actor, { workers: 1, worker: { backoffBase: "1 second" } })
        const answered = yield* stage.dialOpen()
        const fresh = yield* stage.dialOpen()
        const asking = yield* stage.dialOpen()
        yield* ask(answered, "a", "0:a;")
        stage.script().block()
        asking.send("asked before")
        yield* settled
        stage.script().crash()
        yield* settled
        assert.isFalse([answered, fresh, asking].some(({ closed }) => closed))
        assert.strictEqual((yield* stage.listener).arrivals.held, 3)
        answered.send("b")
        fresh.send("c")
        yield* TestClock.adjust("1 second")
        yield* until(
          "answers of the next start",
          () => text(answered) === "0:a;0:b;" && text(fresh) === "0:c;" && text(asking) === "0:asked before;"
        )
      })
  )

  for (const what of ["crashes", "is restarted", "is restarted when it has finished"]) {
    scenario(
      `X1 X3 one that the host has closed goes to no other worker, and costs no other session when its worker ${what}`,
      (stage) =>
        Effect.gen(function*() {
          const actor = new Actor({ accept: answering() })
          yield* stage.attach(actor, { workers: 2 })
          const closed = yield* stage.dialOpen()
          const other = yield* stage.dialOpen()
          const third = yield* stage.dialOpen()
          yield* ask(third, "a", "0:a;")
          closed.stop()
          closed.send("a")
          yield* settled
          const row = (yield* stage.host.sessions({})).find(({ remote }) => remote === closed.local)
          assert.deepInclude(row!, { parked: true, worker: 0 })
          yield* stage.host.endSession(handleOf(row!.handle), "close")
          const { handle } = yield* stage.worker(0)
          if (what === "crashes") stage.script(0).crash()
          else {
            const drain = what !== "is restarted"
            yield* Effect.forkScoped(stage.host.restartWorker(handleOf(handle), { drain }))
          }
          yield* settled
          const [one, two] = yield* Effect.map(stage.host.sessions({}), (rows) =>
            [other, third].map(({ local }) => rows.find(({ remote }) => remote === local)))
          assert.deepInclude(one!, { worker: 1, moves: 0 })
          assert.deepInclude(two!, { worker: 1, moves: 1 })
          closed.read()
          yield* until("the rest, and the end", () =>
            closed.closed)
          assert.deepStrictEqual([text(closed), closed.broken], ["0:a;", undefined])
        })
    )
  }
})
