/** X1: what may not be parked is not, and a worker that says of its parked sessions what can't be is given up. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { FifoProducer } from "../../../src/domain/memory/FifoProducer.ts"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as SessionBlock from "../../../src/domain/memory/SessionBlock.ts"
import type * as Refusal from "../../../src/domain/state/Refusal.ts"
import { FifoSession } from "../../../src/layers/worker/FifoSession.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import { opened } from "../../support/Parking.ts"
import type { RawWorker } from "../../support/RawWorker.ts"
import { inMemory, quiet } from "../../support/Scribble.ts"
import { Actor, attachRaw, endpoint, handleOf, optionsOf, type Run, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

/** Words of a session's block. */
const OFFER = 32
const STATE = 39

/** Keeps its sessions, and says with each message what came along with them. */
const keeping = (session: Session, run: Run): void => {
  session.handler = {
    readable: () => run.edges.push("readable"),
    ended: () => run.edges.push("ended"),
    closed: () => run.edges.push("closed"),
    moved: () => run.edges.push("moved")
  }
}

/** What the next worker is given along when a session is taken from worker 0. */
const movesWith = Effect.fnUntraced(function*(stage: Stage, actor: Actor, peer: { send: (text: string) => void }) {
  const before = actor.run(1).accepted.length
  stage.script(0).block()
  peer.send("x")
  yield* settled
  yield* TestClock.adjust(5)
  yield* until("the session to move", () => actor.run(1).accepted.length === before + 1)
  const session = actor.run(1).accepted.at(-1)!
  yield* until("its bytes", () => session.available > 0)
  return { given: Buffer.from(session.about.state ?? []).toString(), read: Buffer.from(session.read()!).toString() }
})

describe("what may not be parked", () => {
  scenario(
    "X1 a session with bytes to read, or with too much to give along, stays as it is",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer, session } = yield* opened(stage, keeping)
        const said: Array<Refusal.ParkRefusal | undefined> = []
        said.push(session.park(Buffer.from("kept")))
        said.push(session.park(new Uint8Array(SessionBlock.STATE_BYTES + 1)))
        // bytes that nobody has read: the session stays parked, and its worker does not come to them
        stage.script(0).block()
        peer.send("a")
        yield* until("bytes", () => session.available === 1)
        said.push(session.park(Buffer.from("not kept")))
        assert.deepStrictEqual(said, [undefined, "state-too-large", "unread"])
        // those bytes have waited since they came
        yield* TestClock.adjust(5)
        yield* until("the session to move", () => actor.run(1).accepted.length === 1)
        const moved = actor.run(1).accepted[0]!
        yield* until("its bytes", () => moved.available === 1)
        assert.strictEqual(Buffer.from(moved.about.state!).toString(), "kept")
        stage.script(0).release()
        yield* until("its worker to hear of it", () => session.closed)
        assert.deepStrictEqual([session.park(), session.available], ["ended", 0])
      })
  )

  scenario(
    "X1 a session with bytes to read that was not parked is not, and what comes is not lost",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer, session } = yield* opened(stage, keeping)
        assert.strictEqual(session.write(Buffer.from("hello")), 5)
        peer.send("a")
        yield* until("bytes", () => session.available === 1)
        assert.strictEqual(session.park(), "unread")
        yield* TestClock.adjust(50)
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        assert.strictEqual(Buffer.from(session.read()!).toString(), "a")
        assert.isUndefined(session.park())
      })
  )

  scenario(
    "X1 bytes that have come since its application last looked don't keep a session from being parked",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer, session } = yield* opened(stage, keeping)
        peer.send("a")
        yield* until("bytes", () => session.available === 1)
        assert.strictEqual(Buffer.from(session.read()!).toString(), "a")
        assert.strictEqual(session.write(Buffer.from("answer")), 6)
        yield* settled
        // while its worker is busy, the next message comes
        stage.script(0).block()
        peer.send("b")
        yield* settled
        assert.isUndefined(session.park(Buffer.from("a")))
        yield* settled
        yield* TestClock.adjust("4999 micros")
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        yield* TestClock.adjust("1 micros")
        yield* until("the session to move", () => actor.run(1).accepted.length === 1)
        const moved = actor.run(1).accepted[0]!
        yield* until("its bytes", () => moved.available === 1)
        assert.strictEqual(Buffer.from(moved.about.state!).toString(), "a")
        assert.strictEqual(peer.received().toString(), "answer")
      })
  )

  scenario(
    "X1 a session that is parked with bytes of the next message hears of them from its own worker, too",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: keeping })
        yield* stage.attach(actor, { workers: 1 })
        const peer = yield* stage.dialOpen()
        const session = actor.run(0).accepted[0]!
        session.write(Buffer.from("answer"))
        stage.script(0).block()
        peer.send("b")
        yield* settled
        assert.isUndefined(session.park())
        stage.script(0).release()
        yield* until("the edge", () => actor.run(0).edges.includes("readable"))
        assert.strictEqual(Buffer.from(session.read()!).toString(), "b")
      })
  )

  scenario(
    "X1 bytes that its application was told of and leaves are no reason for a session to go to another worker",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer, session } = yield* opened(stage, keeping)
        // it waits for something else before it reads
        peer.send("a")
        yield* until("the edge", () => actor.run(0).edges.includes("readable"))
        yield* settled
        yield* TestClock.adjust(1000)
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        assert.strictEqual(session.park(), "unread")
        assert.strictEqual(Buffer.from(session.read()!).toString(), "a")
        assert.isUndefined(session.park())
      })
  )

  scenario(
    "X1 a session that is parked for code which comes back to its next bytes does not wait for them",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer, session } = yield* opened(stage, keeping)
        assert.strictEqual(session.write(Buffer.from("answer")), 6)
        peer.send("a")
        yield* until("bytes", () => session.available === 1)
        yield* TestClock.adjust(50)
        stage.script(0).block()
        assert.instanceOf(session, FifoSession)
        if (session instanceof FifoSession) session.parkUnread()
        yield* settled
        yield* TestClock.adjust("4999 micros")
        yield* settled
        assert.deepStrictEqual(actor.counts(2), [1, 0])
        yield* TestClock.adjust("1 micros")
        yield* until("the session to move", () => actor.run(1).accepted.length === 1)
        const moved = actor.run(1).accepted[0]!
        yield* until("its bytes", () => moved.available === 1)
        assert.strictEqual(peer.received().toString(), "answer")
      })
  )

  scenario(
    "X1 a session that is parked again goes on with what was given along last, of which all that fits",
    (stage) =>
      Effect.gen(function*() {
        const { actor, peer, session } = yield* opened(stage, keeping)
        const largest = "x".repeat(SessionBlock.STATE_BYTES)
        for (const state of ["a", "bc", "", largest]) assert.isUndefined(session.park(Buffer.from(state)))
        assert.deepStrictEqual(yield* movesWith(stage, actor, peer), { given: largest, read: "x" })
      })
  )

  scenario("X1 a session whose write waits for room is not parked", (stage) =>
    Effect.gen(function*() {
      const { peer, session } = yield* opened(stage, keeping, { workers: 1, segment: { txFifoSize: "4KiB" } })
      peer.stop()
      for (let taken = 4096; taken === 4096;) {
        taken = session.write(new Uint8Array(4096))
        yield* settled
      }
      assert.strictEqual(session.park(), "unsent")
      peer.read()
      yield* settled
      assert.isUndefined(session.park())
    }))

  scenario(
    "X1 a session that has ended, or was ended, closed or joined, is not parked",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: keeping })
        yield* stage.attach(actor)
        const ends: ReadonlyArray<(session: Session) => void> = [
          (session) => session.end(),
          (session) => session.close(),
          (session) => session.abort(),
          (session) => void session.splice(actor.run().accepted[0]!)
        ]
        yield* stage.dialOpen()
        for (const end of ends) {
          yield* stage.dialOpen()
          const session = actor.run().accepted.at(-1)!
          assert.isUndefined(session.park())
          end(session)
          assert.strictEqual(session.park(), "ended")
        }
        const peer = yield* stage.dialOpen()
        const session = actor.run().accepted.at(-1)!
        peer.end()
        yield* until("the end", () => session.ended)
        assert.strictEqual(session.park(), "ended")
      })
  )

  scenario(
    "X1 a session that its worker has asked for, or whose peer is another worker, is not parked",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor({ accept: keeping })
        yield* stage.attach(actor, { listen: [endpoint, "local://service"], scope: { local: true, global: true } })
        const client = new Actor()
        yield* stage.host.attach(
          optionsOf({ name: "client", listen: [], scope: { local: true, global: true } }),
          client.module
        )
        const { sessions } = client.run()
        const cutThrough = yield* sessions.connect("local://service")
        const connected = yield* sessions.connect(endpoint)
        yield* until("both", () => actor.run().accepted.length === 2)
        const served = actor.run().accepted.find((session) => session.cutThrough)!
        assert.deepStrictEqual(
          [cutThrough.park(), served.park(), connected.park()],
          ["not-accepted", "not-accepted", "not-accepted"]
        )
      })
  )
})

/** A raw worker with a session that it has claimed and parked. */
const parking = Effect.fnUntraced(function*(stage: Stage, workers = 1) {
  const { raws } = yield* attachRaw(stage, {}, workers)
  const raw = raws[0]!
  const peer = yield* stage.dial()
  const [offer] = raw.all("accepted")
  raw.claim(offer!)
  yield* until("the claim", () => peer.opened)
  const segment = raw.segments.get(offer!.segment)!
  assert.isTrue(SessionBlock.park(segment, offer!.offset, undefined))
  return { raw, raws, peer, offer: offer!, segment }
})

type Parking = Effect.Success<ReturnType<typeof parking>>

const failure = (stage: Stage) => Effect.map(stage.worker(), ({ lastFailure }) => lastFailure)

describe("a worker that says it has parked a session", () => {
  const messages: ReadonlyArray<readonly [string, (raw: RawWorker, session: Parking["offer"]["session"]) => void]> = [
    ["ends it", (raw, session) => raw.send({ _tag: "end", session })],
    ["closes it", (raw, session) => raw.send({ _tag: "close", session })],
    ["breaks it", (raw, session) => raw.send({ _tag: "abort", session })],
    ["joins it", (raw, session) => raw.send({ _tag: "splice", session, other: session })]
  ]
  for (const [what, send] of messages) {
    scenario(`X1 and ${what} is given up`, (stage) =>
      Effect.gen(function*() {
        const { offer, raw } = yield* parking(stage)
        send(raw, offer.session)
        yield* settled
        assert.match(String(yield* failure(stage)), /the worker ended or joined session .*, which it says is parked/)
      }))
  }

  /** The worker's end of the tx fifo, without taking the session up. */
  const txOf = ({ offer, raw, segment }: Parking): FifoProducer => {
    const rings = { segment: offer.ringsSegment, offset: offer.ringsOffset }
    const ring = SessionBlock.txRing(rings, (index) => raw.segments.get(index)?.bytes, 4096)!
    return new FifoProducer({ ...SessionBlock.tx(segment, offer.offset), start: 0 }, 4096, ring)
  }

  scenario(
    "X1 and writes while there is something to read is given up, and the connection goes on elsewhere",
    (stage) =>
      Effect.gen(function*() {
        const parked = yield* parking(stage)
        const { offer, peer, raw } = parked
        const tx = txOf(parked)
        const write = (): void => {
          tx.enqueue(Buffer.from("w"))
          raw.sendIo(Message.Tx, offer.session)
        }
        // with nothing to read it may have been taken up in between
        for (let i = 0; i < 3; i++) {
          write()
          yield* TestClock.adjust(500)
          yield* settled
        }
        assert.isNull(yield* failure(stage))
        peer.send("a")
        yield* settled
        yield* TestClock.adjust(500)
        yield* settled
        assert.isNull(yield* failure(stage))
        write()
        yield* TestClock.adjust(500)
        yield* settled
        assert.match(String(yield* failure(stage)), /a session that is said to be parked was written to/)
      })
  )

  scenario(
    "X1 and has said what else it wants before it was taken up, is as if it had not spoken",
    (stage) =>
      Effect.gen(function*() {
        const { offer, peer, raw, raws } = yield* parking(stage, 2)
        raw.held = true
        peer.send("a")
        yield* settled
        yield* TestClock.adjust(5)
        yield* until("another offer", () => raws[1]!.all("accepted").length === 1)
        raw.sendIo(Message.Tx, offer.session)
        raw.sendIo(Message.Drained, offer.session)
        raw.sendIo(Message.Parked, offer.session)
        raw.send({ _tag: "close", session: offer.session })
        yield* settled
        assert.isNull(yield* failure(stage))
        assert.isFalse(peer.closed)
        raw.held = false
        raw.look()
        assert.deepStrictEqual(raw.all("migrated").map(({ session }) => session), [offer.session])
        raw.send({ _tag: "release", session: offer.session })
        yield* settled
        assert.isNull(yield* failure(stage))
      })
  )
})

describe("words of parked sessions that are written over", () => {
  it.effect("X1 W1 where what is given along is, for a session that moves: it is that memory, or the worker is given up", () =>
    Effect.gen(function*() {
      const actor = new Actor({
        accept: (session) => {
          session.handler = { readable: () => void session.read(), moved: () => {} }
          session.park(Buffer.from("state"))
        }
      })
      const { host, memories, network } = yield* inMemory(actor, { workers: 2 })
      const values: ReadonlyArray<readonly [word: number, value: number]> = [
        ...[1, 9, -1, 2 ** 31 - 1].map((value) => [STATE, value] as const),
        ...[-1, 3, 2 ** 30, 2 ** 31 - 1].map((value) => [STATE + 1, value] as const),
        ...[-2, -(2 ** 31), 4097, 2 ** 31 - 1].map((value) => [STATE + 2, value] as const)
      ]
      for (const [word, value] of values) {
        const peer = network.dial(endpoint)
        yield* until("a claim", () => peer.opened)
        const [session] = yield* host.sessions({})
        const worker = session!.worker
        const before = (yield* host.report).apps[0]!.workers.map(({ restarts }) => restarts)
        memories.lastBlock("app", worker)![word] = value
        const { workers } = (yield* host.report).apps[0]!
        yield* Effect.forkChild(host.restartWorker(handleOf(workers[worker]!.handle)))
        yield* TestClock.adjust(2000)
        yield* settled
        peer.send("hello")
        yield* TestClock.adjust(100)
        yield* settled
        // it went on with what the words say, or was broken with the worker
        const told = `word ${word}, ${value}`
        const after = (yield* host.report).apps[0]!.workers
        assert.isTrue(after.every(({ state }) => state === "RUNNING"), told)
        assert.isAbove(after[worker]!.restarts, before[worker]!, told)
        peer.reset()
        yield* settled
      }
    }).pipe(Effect.scoped, quiet))

  it.effect("X1 W1 that a session is parked which the worker has in hand: it may move, and then the worker is given up", () =>
    Effect.gen(function*() {
      const actor = new Actor({ accept: (session) => void (session.handler = {}) })
      const { host, memories, network } = yield* inMemory(actor, { workers: 2 })
      const peer = network.dial(endpoint)
      yield* until("a claim", () => peer.opened)
      const run = actor.runs.find(({ accepted }) => accepted.length === 1)!
      run.accepted[0]!.write(Buffer.from("in hand"))
      yield* settled
      const words = memories.lastBlock("app", run.info.worker)!
      assert.strictEqual(words[OFFER], SessionBlock.CLAIMED)
      words[OFFER] = SessionBlock.PARKED
      peer.send("hello")
      yield* settled
      yield* TestClock.adjust(5)
      yield* settled
      yield* TestClock.adjust(2000)
      yield* settled
      const worker = (yield* host.report).apps[0]!.workers[run.info.worker]!
      assert.match(String(worker.lastFailure), /a session that is in hand was taken away as parked/)
      assert.isFalse(peer.closed)
    }).pipe(Effect.scoped, quiet))
})
