/** X5: what a host tells of what happens in it. Each kind of event is reached here, and what is told is what is counted. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { KEPT } from "../../../src/domain/events/EventStore.ts"
import * as EventText from "../../../src/domain/events/EventText.ts"
import { type EventKind, eventKinds, type ToldEvent } from "../../../src/domain/events/HostEvent.ts"
import * as Story from "../../../src/domain/events/Story.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import { eventsOf } from "../../support/EventSums.ts"
import { answering, ask, text } from "../../support/Parking.ts"
import * as Pem from "../../support/Pem.ts"
import { accepting, Actor, endpoint, handleOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

type Body = (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>

const tiny = { indexQueue: 4, ioRing: 4, controlRing: 4, postponedMessages: 64 }

/** Applications whose workers are threads by their options, so that they can be replaced, and whose sessions park. */
const attachThreads = (stage: Stage, options: AppOptionsInput = {}, fails: () => boolean = () => false) => {
  const accept = answering({ name: ({ info: { restarts, worker } }) => `${worker}.${restarts}` })
  const actor = new Actor({
    accept,
    start: (run) =>
      fails() ? Effect.die(new Error("no such luck")) : run.sessions.listen(endpoint, accepting(run, accept))
  })
  return stage.attach(actor, { ...options, worker: { handOver: 0, ...options.worker, kind: "thread" } })
}

const workerHandle = (stage: Stage) => Effect.map(stage.worker(), ({ handle }) => handleOf<never>(handle))

const rules: Body = ({ rules }) =>
  Effect.gen(function*() {
    const rule = yield* rules.add({ action: "deny", remote: "192.0.2.0/24" })
    yield* rules.remove(rule)
    yield* rules.denySource("198.51.100.0/24")
    yield* rules.allowSource("198.51.100.0/24")
  })

const certificates: Body = (stage) =>
  Effect.gen(function*() {
    const { handle } = yield* stage.attach(new Actor())
    const certificate = yield* stage.certificates.add(handle, Pem.pair("exact"))
    yield* stage.certificates.replace(certificate, Pem.pair("rsa"))
    yield* stage.certificates.remove(certificate)
  })

const takeover: Body = ({ succession }) =>
  Effect.gen(function*() {
    succession.record("begun")
    succession.record("abandoned")
    succession.depart(new Set()).end()
    yield* settled
  })

const reload: Body = (stage) =>
  Effect.gen(function*() {
    let fails = false
    const { handle } = yield* attachThreads(stage, { worker: { generationsMax: 2 } }, () => fails)
    yield* stage.host.reload(handle, { because: "it was changed" })
    yield* settled
    for (let i = 0; i < 2; i++) {
      const peer = yield* stage.dialOpen()
      peer.send("stay")
      yield* until("an answer", () => text(peer) !== "")
      yield* stage.host.reload(handle)
      yield* settled
    }
    fails = true
    yield* Effect.flip(stage.host.reload(handle))
  })

/** Workers that are all full, and one that is too many. */
const byNeed: Body = (stage) =>
  Effect.gen(function*() {
    let fails = true
    yield* attachThreads(
      stage,
      { workers: "1..2", worker: { retireAfter: "1 second" }, admission: { maxSessionsPerWorker: 2 } },
      () => fails && stage.script(0).starts > 0 && stage.script(1).starts > 0
    )
    const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
    yield* stage.pass(3000)
    fails = false
    yield* stage.pass(12_000)
    for (const peer of peers) peer.end()
    yield* stage.pass(3000)
  })

const restart: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor(), { workers: 2 })
    const second = handleOf<never>((yield* stage.worker(1)).handle)
    yield* stage.host.restartWorker(second)
    yield* stage.host.deleteWorker(second)
  })

const blocked: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor(), { admission: { holdTime: "1 minute" } })
    stage.script().block()
    yield* stage.dial()
    yield* TestClock.adjust(5)
    yield* settled
    stage.script().release()
    yield* settled
  })

/** A worker takes nothing for a second, and later for longer than it may. */
const stuck: Body = (stage) =>
  Effect.gen(function*() {
    yield* attachThreads(stage)
    stage.script().block()
    yield* stage.dial()
    yield* TestClock.adjust(1000)
    yield* settled
    stage.script().release()
    yield* settled
    yield* TestClock.adjust(1000)
    yield* settled
    stage.script().block()
    yield* stage.dial()
    yield* TestClock.adjust(11_000)
    yield* settled
  })

const congested: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor(), { queue: tiny, admission: { revokeAfter: "10 seconds" } })
    stage.script().block()
    for (let i = 0; i < 8; i++) yield* stage.dial()
    stage.script().release()
    yield* settled
    yield* TestClock.adjust(1000)
    yield* settled
  })

/** Twice at least 100 ms apart, and not too late for the offer's own deadline. */
const delayed: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor(), { admission: { revokeAfter: "1 second" } })
    yield* stage.dialLate(2)
  })

const crash: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor({ accept: answering() }), { workers: 2 })
    const parked = yield* stage.dialOpen()
    yield* ask(parked, "park", "0:park;")
    yield* stage.dialOpen()
    const inHand = yield* stage.dialOpen()
    inHand.send("stay")
    yield* until("an answer", () => text(inHand) !== "")
    stage.script(0).crash()
    yield* settled
    yield* TestClock.adjust(5000)
    yield* settled
  })

/** A worker dies three times, the first time in native code. */
const loop: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor())
    const end = stage.script().linger()
    for (let i = 0; i < 3; i++) {
      stage.script().crash()
      yield* settled
      yield* TestClock.adjust(5000)
      yield* settled
    }
    end()
    yield* settled
  })

const idle: Body = (stage) =>
  Effect.gen(function*() {
    yield* stage.attach(new Actor(), { listener: { idleTimeout: "1 second" } })
    yield* stage.dialOpen()
    for (let i = 0; i < 30; i++) {
      yield* TestClock.adjust(100)
      yield* settled
    }
  })

/** A body in which each of these kinds of events happens. */
const bodies: { readonly [K in EventKind]: Body } = {
  "host-draining": (stage) => stage.host.drain,
  "host-drained": (stage) => stage.host.drain,
  "takeover-begun": takeover,
  "takeover-abandoned": takeover,
  "takeover-settled": takeover,
  "takeover-ended": takeover,
  "takeover-followed": ({ succession }) => Effect.sync(() => succession.inherit(Ledger.makeTotals(), [])),
  "ledger-imbalance": (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor())
      stage.messages().sent++
      yield* TestClock.adjust(1000)
      stage.messages().sent--
    }),
  "app-attached": (stage) => Effect.asVoid(stage.attach(new Actor())),
  "app-reloading": reload,
  "app-reloaded": reload,
  "app-reload-failed": reload,
  "app-detached": (stage) => Effect.flatMap(stage.attach(new Actor()), ({ handle }) => stage.host.detach(handle)),
  "worker-up": (stage) => Effect.asVoid(stage.attach(new Actor())),
  "worker-behind": blocked,
  "worker-congested": congested,
  "worker-delayed": delayed,
  "worker-clear": blocked,
  "worker-silent": stuck,
  "worker-responds": stuck,
  "worker-stuck": stuck,
  "worker-gone": crash,
  "worker-added": byNeed,
  "worker-add-failed": byNeed,
  "worker-retired": byNeed,
  "worker-crash-loop": loop,
  "worker-quarantined": loop,
  "worker-quarantine-ended": loop,
  "worker-draining": restart,
  "worker-restarting": restart,
  "worker-replaced": reload,
  "worker-former-ended": reload,
  "worker-stopped": restart,
  "listener-opened": (stage) => Effect.asVoid(stage.attach(new Actor())),
  "listener-closed": (stage) => Effect.flatMap(stage.attach(new Actor()), ({ handle }) => stage.host.detach(handle)),
  "session-held": blocked,
  "session-refused": (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor(), { admission: { maxSessions: 1, policy: "refuse" } })
      yield* stage.dialOpen()
      yield* stage.dial()
    }),
  "offer-revoked": blocked,
  "session-claimed": blocked,
  "session-moved": crash,
  "session-ended": idle,
  "session-lost": crash,
  "session-closing": (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor())
      yield* stage.dialOpen()
      const [session] = yield* stage.host.sessions({})
      yield* stage.host.endSession(handleOf(session!.handle), "close")
    }),
  "datagram-dropped": (stage) =>
    Effect.andThen(stage.attach(new Actor()), Effect.sync(() => stage.listens.latest!.dropped("no-room"))),
  "rule-added": rules,
  "rule-removed": rules,
  "source-denied": rules,
  "source-allowed": rules,
  "certificate-added": certificates,
  "certificate-replaced": certificates,
  "certificate-removed": certificates
}

const kindsOf = (events: ReadonlyArray<ToldEvent>): ReadonlySet<string> => new Set(events.map(({ kind }) => kind))

describe("events", () => {
  const reached = new Map<Body, Array<EventKind>>()
  for (const kind of eventKinds) reached.set(bodies[kind], [...reached.get(bodies[kind]) ?? [], kind])
  for (const [body, kinds] of reached) {
    scenario(`X5 tells ${kinds.join(", ")}`, (stage) =>
      Effect.gen(function*() {
        yield* body(stage)
        const told = yield* eventsOf(stage.host)
        const missing = kinds.filter((kind) => !kindsOf(told).has(kind))
        assert.deepStrictEqual(missing, [], JSON.stringify(told))
        assert.deepStrictEqual(told.map(({ serial }) => serial), told.map((_, index) => index + 1))
        for (const event of told) assert.match(EventText.sentence(event), /^[^\n]+$/)
      }))
  }

  scenario(
    "X5 tells the story of a connection that a blocked worker does not claim, in order",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { workers: 2 })
        const before = (yield* eventsOf(stage.host)).length
        stage.script(0).block()
        yield* stage.dial()
        yield* TestClock.adjust(5)
        yield* settled
        stage.script(0).release()
        yield* settled
        const told = yield* eventsOf(stage.host, before)
        assert.deepStrictEqual(
          told.map((event) => `${"worker" in event ? event.worker : ""} ${EventText.sentence(event)}`),
          [
            "0 the connection from tcp://127.0.0.1:1024 was offered to worker 0 and not claimed: revoked after 5 ms, "
            + "session 0.0",
            "0 the worker has let an offer run out, and is offered nothing before it has caught up",
            "1 the connection from tcp://127.0.0.1:1024 was claimed by worker 1, session 1.0",
            "0 the worker is clear again, after 0 ms"
          ].map((line) => line.replace("127.0.0.1:1024", /127\.0\.0\.1:\d+/.exec(EventText.sentence(told[0]!))![0]))
        )
        const events = told.flatMap((event) => event.kind === "gap" ? [] : [event])
        const session = handleOf<never>("1.0")
        const story = Story.of(events, (event) => "session" in event && event.session === session)
        assert.deepStrictEqual(story.map(({ kind }) => kind), ["offer-revoked", "worker-behind", "session-claimed"])
      })
  )

  scenario(
    "X5 a flood is counted, second by second, and what came before it is still there",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { admission: { maxSessions: 1, policy: "refuse" } })
        yield* stage.dialOpen()
        for (let second = 0; second < 10; second++) {
          for (let i = 0; i < 2000; i++) stage.network.dial(endpoint)
          yield* TestClock.adjust(1000)
          yield* settled
        }
        const told = yield* eventsOf(stage.host)
        const refused = told.flatMap((event) => event.kind === "session-refused" ? [event.count] : [])
        assert.strictEqual(refused.reduce((a, b) => a + b), 20_000)
        assert.isAtMost(refused.length, 300)
        assert.strictEqual(told[0]!.serial, 1)
      })
  )

  scenario(
    "X5 a reader goes on from where it was, with what it asks for, and is told what it has missed",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* stage.attach(new Actor())
        const all = yield* eventsOf(stage.host)
        assert.deepStrictEqual(yield* eventsOf(stage.host, 1), all.slice(1))
        const following = yield* Effect.forkChild(
          stage.host.events({ after: all.length, filter: { kinds: ["app-detached"] } }).pipe(
            Stream.take(1),
            Stream.runCollect
          )
        )
        yield* settled
        assert.isUndefined(following.pollUnsafe())
        yield* stage.host.detach(handle)
        assert.deepStrictEqual((yield* Fiber.join(following)).map(({ kind }) => kind), ["app-detached"])
        // many more than are kept
        for (let i = 0; i < 1100; i++) {
          yield* stage.rules.denySource("192.0.2.1")
          yield* stage.rules.allowSource("192.0.2.1")
        }
        const [gap, next, ...more] = yield* eventsOf(stage.host, 3)
        assert.deepStrictEqual(gap, { kind: "gap", serial: next!.serial - 1, missed: next!.serial - 1 - 3 })
        assert.strictEqual(more.length, KEPT.rest - 1)
        assert.deepStrictEqual(yield* eventsOf(stage.host, gap!.serial), [next!, ...more])
        // whoever begins with what is there has missed nothing
        assert.deepStrictEqual(yield* eventsOf(stage.host), [next!, ...more])
        assert.deepStrictEqual((yield* eventsOf(stage.host, 1_000_000))[0], {
          kind: "gap",
          serial: gap!.serial,
          missed: null
        })
      })
  )

  scenario("X5 says for whom it was that a worker was started again", (stage) =>
    Effect.gen(function*() {
      yield* attachThreads(stage)
      yield* stage.host.restartWorker(yield* workerHandle(stage))
      const told = yield* eventsOf(stage.host)
      assert.deepStrictEqual(
        told.flatMap((event) => event.kind === "worker-replaced" ? [[event.reason, event.generation]] : []),
        [["restart", 2]]
      )
    }))
})
