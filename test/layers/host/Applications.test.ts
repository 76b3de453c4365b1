/** Applications of a host as others see them: handles, names, attaches that fail, and the detach (W1, W2, W3, W13). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Message from "../../../src/domain/memory/Message.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import { AttachFailed } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import {
  accepting,
  Actor,
  assertNothingLeft,
  attachRaw,
  echoing,
  endpoint,
  handleOf,
  scenario,
  Spans,
  type Stage
} from "../../support/Stage.ts"
import { settled, turn, until } from "../../support/until.ts"

const remote = "tcp://10.0.0.1:443"

/** Attaches in a scope of its own, which is given with the application. */
const attachIn = Effect.fnUntraced(function*(stage: Stage, actor: Actor, options: AppOptionsInput = {}) {
  const scope = yield* Scope.make()
  const app = yield* Scope.provide(stage.attach(actor, options), scope)
  return { app, close: Scope.close(scope, Exit.void) }
})

/** What must be as before when something has failed. */
const state = ({ host, namespaces, network }: Stage) =>
  Effect.gen(function*() {
    const { apps, sessions } = yield* host.report
    return {
      sessions,
      apps: apps.map(({ listeners, workers, ...app }) => ({
        ...app,
        workers: workers.map(({ handle, state }) => ({ handle, state })),
        listeners: listeners.map(({ endpoint, handle, workers }) => ({ endpoint, handle, workers }))
      })),
      locals: yield* host.locals,
      connects: yield* host.connects,
      listening: network.listening,
      namespaces: yield* namespaces.list
    }
  })

describe("handles", () => {
  scenario(
    "W1 W2 handles of what is gone are nobody's, although all its slots have new owners",
    (stage) =>
      Effect.gen(function*() {
        const { host } = stage
        const first = yield* attachIn(stage, new Actor(), { name: "first" })
        yield* stage.dialOpen()
        const old = (yield* stage.report).apps[0]!
        const [session] = yield* host.sessions({})
        yield* first.close
        yield* settled

        const actor = new Actor({ accept: echoing })
        const second = yield* stage.attach(actor, { name: "second" })
        const peer = yield* stage.dialOpen()
        const now = (yield* stage.report).apps[0]!
        // the very same slots
        for (
          const [before, after] of [
            [Handle.format(first.app.handle), Handle.format(second.handle)],
            [old.workers[0]!.handle, now.workers[0]!.handle],
            [old.listeners[0]!.handle, now.listeners[0]!.handle],
            [session!.handle, (yield* host.sessions({}))[0]!.handle]
          ] as const
        ) {
          assert.strictEqual(before.split(".")[0], after.split(".")[0])
          assert.notStrictEqual(before, after)
        }

        const before = yield* state(stage)
        const app = first.app.handle
        const worker = handleOf<Handle.WorkerHandle>(old.workers[0]!.handle)
        const listener = handleOf<Handle.ListenerHandle>(old.listeners[0]!.handle)
        const stale = handleOf<Handle.SessionHandle>(session!.handle)
        assert.strictEqual((yield* Effect.flip(host.detach(app))).message, `no application ${Handle.format(app)}`)
        for (
          const [operation, effect] of [
            ["add", host.addWorker(app)],
            ["delete", host.deleteWorker(worker)],
            ["restart", host.restartWorker(worker)]
          ] as const
        ) {
          const error = yield* Effect.flip(effect)
          assert.strictEqual(error.operation, operation)
          assert.strictEqual(error.reason._tag, operation === "add" ? "NoSuchApp" : "NoSuchWorker")
        }
        assert.strictEqual((yield* Effect.flip(host.unlisten(listener)))._tag, "NoSuchListener")
        assert.strictEqual((yield* Effect.flip(host.endSession(stale, "close")))._tag, "NoSuchSession")
        assert.strictEqual((yield* Effect.flip(host.endSession(stale, "reset")))._tag, "NoSuchSession")
        const unlisten = yield* Effect.flip(actor.run().sessions.unlisten(listener))
        assert.strictEqual(unlisten.reason._tag, "NoSuchListener")
        assert.strictEqual((yield* Effect.flip(stage.certificates.of(app)))._tag, "CertificateError")

        yield* settled
        assert.deepStrictEqual(yield* state(stage), before)
        peer.send("still here")
        yield* until("the echo", () => peer.received().toString() === "still here")
      })
  )

  scenario("W1 handles that never were are nobody's either", (stage) =>
    Effect.gen(function*() {
      const { host } = stage
      yield* stage.attach(new Actor())
      for (const handle of [Handle.make(0, 7), Handle.make(99, 0), -1, 0.5, NaN]) {
        assert.strictEqual((yield* Effect.flip(host.detach(handle as Handle.AppHandle)))._tag, "NoSuchApp")
        const error = yield* Effect.flip(host.restartWorker(handle as Handle.WorkerHandle))
        assert.strictEqual(error.reason._tag, "NoSuchWorker")
        assert.strictEqual((yield* Effect.flip(host.unlisten(handle as Handle.ListenerHandle)))._tag, "NoSuchListener")
        const session = yield* Effect.flip(host.endSession(handle as Handle.SessionHandle, "reset"))
        assert.strictEqual(session._tag, "NoSuchSession")
      }
    }))

  /** Everything that a worker can say of a session. */
  const words = [
    (session: Handle.SessionHandle) => ({ _tag: "end", session }),
    (session: Handle.SessionHandle) => ({ _tag: "close", session }),
    (session: Handle.SessionHandle) => ({ _tag: "abort", session }),
    (session: Handle.SessionHandle) => ({ _tag: "release", session })
  ] as const satisfies ReadonlyArray<(session: Handle.SessionHandle) => Message.Message>
  const events = [Message.Claimed, Message.Passed, Message.Tx, Message.Drained]

  for (const owner of ["the same worker's", "another worker's"] as const) {
    scenario(
      `W1 late events of a freed session never reach the slot's next owner, who is ${owner}`,
      (stage) =>
        Effect.gen(function*() {
          const { raws: [raw, other] } = yield* attachRaw(stage, {}, 2)
          const peer = yield* stage.dial()
          const [gone] = raw!.all("accepted")
          assert.isTrue(raw!.claim(gone!))
          peer.reset()
          yield* until("the last word", () => raw!.all("cleanup").length === 1)
          raw!.send({ _tag: "release", session: gone!.session })
          yield* settled
          assert.strictEqual((yield* stage.report).sessions, 0)

          // the rotor goes on to the other one
          if (owner === "the same worker's") {
            const between = yield* stage.dial()
            assert.isTrue(other!.claim(other!.all("accepted")[0]!))
            between.reset()
            yield* until("the last word", () => other!.all("cleanup").length === 1)
            other!.send({ _tag: "release", session: other!.all("accepted")[0]!.session })
            yield* settled
          }
          const next = yield* stage.dial()
          const heir = owner === "the same worker's" ? raw! : other!
          const offer = heir.all("accepted").at(-1)!
          assert.strictEqual(Handle.index(offer.session), Handle.index(gone!.session))
          assert.notStrictEqual(offer.session, gone!.session)
          const late = Effect.gen(function*() {
            for (const word of words) raw!.send(word(gone!.session))
            raw!.send({ _tag: "splice", session: gone!.session, other: gone!.session })
            for (const kind of events) raw!.sendIo(kind, gone!.session)
            yield* settled
          })
          yield* late
          // still on offer
          assert.isFalse(next.opened || next.closed)
          assert.isTrue(heir.claim(offer))
          yield* until("the claim", () => next.opened)
          yield* late
          next.send("hello")
          yield* until("bytes", () =>
            heir.io.some(({ kind, session }) => kind === Message.Rx && session === offer.session))
          yield* late
          assert.isFalse(next.ended || next.closed)
          assert.strictEqual((yield* stage.report).sessions, 1)
          assert.deepStrictEqual((yield* stage.app()).workers.map(({ restarts, state }) => [state, restarts]), [
            ["RUNNING", 0],
            ["RUNNING", 0]
          ])
        })
    )
  }

  scenario(
    "W1 a worker that speaks of another worker's session is given up, and that session is not touched",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw, other] } = yield* attachRaw(stage, {}, 2)
        yield* stage.dial()
        assert.isTrue(raw!.claim(raw!.all("accepted")[0]!))
        const peer = yield* stage.dial()
        const [theirs] = other!.all("accepted")
        assert.isTrue(other!.claim(theirs!))
        raw!.send({ _tag: "abort", session: theirs!.session })
        yield* settled
        const [first, second] = (yield* stage.app()).workers
        assert.strictEqual(first!.state, "BACKOFF")
        assert.match(first!.lastFailure!, /which is another worker's$/)
        assert.strictEqual(second!.state, "RUNNING")
        assert.isFalse(peer.closed)
      })
  )
})

describe("names", () => {
  scenario("W2 an index that was never used, or is free again, is not found", (stage) =>
    Effect.gen(function*() {
      const { host } = stage
      const { app, close } = yield* attachIn(stage, new Actor())
      for (const index of [1, 7, -1, 2 ** 24]) {
        const error = yield* Effect.flip(host.find(Handle.AppIndex(index)))
        assert.strictEqual(error.message, `no application ${index}`)
      }
      yield* close
      assert.strictEqual((yield* Effect.flip(host.find(app.index))).message, "no application 0")
      assert.strictEqual(
        (yield* Effect.flip(host.find({ client: "shop" }))).message,
        "no application of client shop"
      )
    }))

  scenario("W2 the name after the index goes with the slot to its next owner", (stage) =>
    Effect.gen(function*() {
      const { host } = stage
      const first = yield* attachIn(stage, new Actor(), { name: undefined, client: "one" })
      assert.strictEqual(first.app.name, "builtin-0")
      yield* first.close
      assert.strictEqual((yield* Effect.flip(host.find("builtin-0")))._tag, "NoSuchApp")
      const second = yield* stage.attach(new Actor(), { name: undefined, client: "two" })
      assert.strictEqual(second.name, "builtin-0")
      assert.strictEqual((yield* host.find("builtin-0")).handle, second.handle)
      assert.strictEqual((yield* Effect.flip(host.find({ client: "one" })))._tag, "NoSuchApp")
    }))

  scenario(
    "W2 W3 no two applications have one name, though one of them was not given it",
    (stage) =>
      Effect.gen(function*() {
        const { host } = stage
        yield* stage.attach(new Actor(), { name: "builtin-1", listen: [] })
        const nameless = { name: undefined, client: "shop", listen: [] }
        const before = yield* state(stage)
        const error = yield* Effect.flip(stage.attach(new Actor(), nameless))
        assert.strictEqual(error.reason.message, "an application called builtin-1 is already attached")
        assert.deepStrictEqual(yield* state(stage), before)
        // nor the other way round
        yield* stage.attach(new Actor(), { name: "other", listen: [] })
        const third = yield* stage.attach(new Actor(), nameless)
        assert.strictEqual(third.name, "builtin-2")
        const taken = yield* Effect.flip(stage.attach(new Actor(), { name: "builtin-2", listen: [] }))
        assert.strictEqual(taken.reason._tag, "AlreadyAttached")
        assert.strictEqual((yield* host.find("builtin-2")).handle, third.handle)
      })
  )
})

describe("attach", () => {
  const failures: ReadonlyArray<{
    readonly what: string
    readonly options: AppOptionsInput
    readonly reason: AttachFailed["reason"]["_tag"]
    readonly message: string
    /** What makes the same attach succeed. */
    readonly mend: (stage: Stage, taken: Effect.Effect<void>) => Effect.Effect<unknown, unknown, Scope.Scope>
    readonly mended?: AppOptionsInput
  }> = [
    {
      what: "neither name nor client",
      options: { name: undefined },
      reason: "InvalidValue",
      message: "name: give the application a name or a client",
      mend: () => Effect.void,
      mended: { name: "app" }
    },
    {
      what: "the name is taken",
      options: { name: "taken" },
      reason: "AlreadyAttached",
      message: "an application called taken is already attached",
      mend: (_, detach) => detach
    },
    {
      what: "the client is taken",
      options: { name: undefined, client: "shop" },
      reason: "AlreadyAttached",
      message: "an application called shop is already attached",
      mend: (_, detach) => detach
    },
    {
      what: "no such namespace",
      options: { namespace: "blue" },
      reason: "NoSuchNamespace",
      message: "no namespace \"blue\"",
      mend: ({ namespaces }) => namespaces.add({ name: "blue" })
    },
    {
      what: "a wrong secret",
      options: { namespace: "locked", secret: "guess" },
      reason: "WrongSecret",
      message: "wrong secret for namespace \"locked\"",
      mend: () => Effect.void,
      mended: { namespace: "locked", secret: "sesame" }
    },
    {
      what: "no secret",
      options: { namespace: "locked" },
      reason: "WrongSecret",
      message: "wrong secret for namespace \"locked\"",
      mend: () => Effect.void,
      mended: { namespace: "locked", secret: "sesame" }
    },
    {
      what: "a secret where there is none",
      options: { secret: "sesame" },
      reason: "WrongSecret",
      message: "wrong secret for namespace \"default\"",
      mend: () => Effect.void,
      mended: {}
    }
  ]

  for (const { mend, mended, message, options, reason, what } of failures) {
    scenario(
      `W3 ${what}: ${reason}, nothing has changed, and the same attach may follow at once`,
      (stage) =>
        Effect.gen(function*() {
          yield* stage.namespaces.add({ name: "locked", secret: "sesame" })
          const taken = yield* attachIn(stage, new Actor(), { name: "taken", client: "shop", listen: [] })
          yield* Effect.addFinalizer(() => taken.close)
          const before = yield* state(stage)
          const actor = new Actor()
          const error = yield* Effect.flip(stage.attach(actor, options))
          assert.instanceOf(error, AttachFailed)
          assert.strictEqual(error.reason._tag, reason)
          assert.strictEqual(error.message, `can't attach the application: ${message}`)
          assert.deepStrictEqual(actor.runs, [])
          assert.deepStrictEqual(yield* state(stage), before)
          yield* mend(stage, taken.close)
          yield* stage.attach(actor, mended ?? options)
          assert.isTrue((yield* stage.dialOpen()).opened)
        })
    )
  }

  scenario("W3 a worker that fails leaves its namespace, too", (stage) =>
    Effect.gen(function*() {
      yield* stage.namespaces.add({ name: "blue" })
      const before = yield* state(stage)
      const actor = new Actor({ start: () => Effect.fail(new Error("no database")) })
      const options = { name: "app", client: "shop", namespace: "blue", scope: { local: true }, workers: 3 }
      const error = yield* Effect.flip(stage.attach(actor, options))
      assert.strictEqual(error.reason._tag, "WorkerFailed")
      assert.deepStrictEqual(yield* state(stage), before)
      yield* assertNothingLeft(stage)
      const { handle } = yield* stage.attach(new Actor(), options)
      assert.deepStrictEqual((yield* state(stage)).namespaces.map(({ applications }) => applications), [0, 1])
      yield* stage.host.detach(handle)
      yield* stage.namespaces.remove("blue")
    }))

  scenario("W3 of two attaches of one name at the same moment exactly one succeeds", (stage) =>
    Effect.gen(function*() {
      const slow = { start: () => settled }
      for (const same of [{ name: "app" }, { name: undefined, client: "shop" }] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const exits = yield* Effect.forEach(
            [new Actor(slow), new Actor(slow), new Actor(slow)],
            (actor) => Effect.exit(stage.attach(actor, { ...same, listen: [] })),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
          for (const exit of exits) {
            if (Exit.isSuccess(exit)) continue
            const error = yield* Effect.flip(exit)
            assert.strictEqual(error.reason._tag, "AlreadyAttached")
          }
          assert.strictEqual((yield* stage.report).apps.length, 1)
        }))
        yield* assertNothingLeft(stage)
      }
    }))

  scenario(
    "W3 a name is free again the moment that the attach which had it has failed",
    (stage) =>
      Effect.gen(function*() {
        const failing = new Actor({ start: () => Effect.andThen(settled, Effect.fail(new Error("no database"))) })
        const first = yield* Effect.forkChild(Effect.flip(stage.attach(failing)))
        yield* turn
        assert.strictEqual((yield* Effect.flip(stage.attach(new Actor()))).reason._tag, "AlreadyAttached")
        assert.strictEqual((yield* Fiber.join(first)).reason._tag, "WorkerFailed")
        yield* stage.attach(new Actor())
      })
  )

  scenario("W3 an attach that is interrupted, at whatever point, leaves nothing", (stage) =>
    Effect.gen(function*() {
      yield* stage.namespaces.add({ name: "blue", secret: "sesame" })
      const options = {
        namespace: "blue",
        secret: "sesame",
        client: "shop",
        scope: { local: true, global: true },
        workers: 2
      }
      const before = yield* state(stage)
      let finished = 0
      for (let turns = 0; finished < 3; turns++) {
        assert.isBelow(turns, 200)
        const actor = new Actor({
          start: (run) =>
            Effect.gen(function*() {
              yield* run.sessions.listen(endpoint, accepting(run))
              yield* Effect.forEach(Array(5), () => turn, { discard: true })
            })
        })
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.asVoid(stage.attach(actor, options))))
        for (let i = 0; i < turns; i++) yield* turn
        if (fiber.pollUnsafe() !== undefined) finished++
        // it ends as soon as its workers have stopped
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* state(stage), before, `interrupted after ${turns} turns`)
        yield* assertNothingLeft(stage)
      }
      yield* stage.attach(new Actor(), options)
    }))

  scenario("W3 an application that is detached while it starts is not attached", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ start: () => Effect.never })
      const fiber = yield* Effect.forkChild(Effect.flip(stage.attach(actor, { workers: 2 })))
      yield* settled
      const { handle } = yield* stage.host.find("app")
      const detaching = yield* Effect.forkChild(stage.host.detach(handle))
      yield* settled
      // who does not come up can't be told to stop
      yield* TestClock.adjust(2000)
      yield* Fiber.join(detaching)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "WorkerFailed")
      assert.match(error.message, /the worker was stopped$/)
      yield* assertNothingLeft(stage)
    }))

  scenario("W3 a host that drains takes no applications", (stage) =>
    Effect.gen(function*() {
      yield* stage.host.drain
      const before = yield* state(stage)
      assert.strictEqual((yield* Effect.flip(stage.attach(new Actor()))).reason._tag, "Draining")
      assert.deepStrictEqual(yield* state(stage), before)
    }))
})

describe("detach", () => {
  scenario(
    "W13 goes in order: proxy listeners, workers, certificates, names with the slot",
    (stage) =>
      Effect.gen(function*() {
        const { certificates, host, namespaces } = stage
        yield* namespaces.add({ name: "blue" })
        const spans = new Spans()
        const options = {
          client: "shop",
          namespace: "blue",
          scope: { local: true, global: true },
          proxiedTransports: ["tcp"],
          workers: 2
        } as const
        const scope = yield* Scope.make()
        const app = yield* Scope.provide(spans.record(stage.attach(new Actor(), options)), scope)
        yield* certificates.add(app.handle, Pem.pair("exact"))
        const seen: Array<
          readonly [span: string, proxies: number, workers: number, certificates: number, found: boolean]
        > = []
        spans.watch = (what, name) => {
          if (what === "begin" || !name.startsWith("SessionLayer.detach/")) return
          const { apps, locals } = Effect.runSync(Effect.all({ apps: host.report, locals: host.locals }))
          seen.push([
            name.slice("SessionLayer.detach/".length),
            locals.listeners.filter(({ endpoint }) => endpoint.endsWith(":*")).length,
            apps.apps[0]?.workers.length ?? 0,
            apps.apps[0]?.certificates.length ?? 0,
            apps.apps.length === 1
          ])
        }
        assert.strictEqual((yield* host.locals).listeners.length, 3)
        yield* spans.record(host.detach(app.handle))
        assert.deepStrictEqual(seen, [
          ["proxy-listeners", 0, 2, 1, true],
          ["workers", 0, 0, 1, true],
          ["certificates", 0, 0, 0, true],
          ["slot", 0, 0, 0, false]
        ])
        // both workers were taken apart before the certificates went
        const ended = spans.under("SessionLayer.")
        const slots = ended.flatMap((name, at) => name === "teardown/slot" ? [at] : [])
        assert.strictEqual(slots.length, 2)
        assert.isTrue(slots.every((at) => at < ended.indexOf("detach/workers")))

        // nothing is left of it, though the scope of its attach is still open
        yield* assertNothingLeft(stage)
        for (const wanted of ["app", { client: "shop" }, app.index] as const) {
          assert.strictEqual((yield* Effect.flip(host.find(wanted)))._tag, "NoSuchApp")
        }
        assert.strictEqual((yield* Effect.flip(certificates.of(app.handle)))._tag, "CertificateError")
        assert.deepStrictEqual((yield* namespaces.list)[1], { name: "blue", hasSecret: false, applications: 0 })
        yield* stage.attach(new Actor(), options)
        yield* Scope.close(scope, Exit.void)
        // which is not the scope's to end
        assert.isTrue((yield* stage.dialOpen()).opened)
      })
  )

  scenario(
    "W13 a second detach finds no application, and the first one is not disturbed",
    (stage) =>
      Effect.gen(function*() {
        const { app, close } = yield* attachIn(stage, new Actor(), { workers: 3 })
        const first = yield* Effect.forkChild(stage.host.detach(app.handle), { startImmediately: true })
        const exits = yield* Effect.all([
          Effect.exit(Fiber.join(first)),
          Effect.exit(stage.host.detach(app.handle)),
          Effect.exit(close)
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
        yield* assertNothingLeft(stage)
      })
  )

  scenario("W13 a detach that is interrupted is not left half-way", (stage) =>
    Effect.gen(function*() {
      for (let turns = 0; turns < 10; turns++) {
        const { app } = yield* attachIn(stage, new Actor(), { workers: 2 })
        yield* stage.dialOpen()
        const fiber = yield* Effect.forkChild(stage.host.detach(app.handle))
        for (let i = 0; i < turns; i++) yield* turn
        yield* Fiber.interrupt(fiber)
        // one that had not begun has changed nothing
        if (turns === 0 && (yield* stage.report).apps.length === 1) yield* stage.host.detach(app.handle)
        yield* settled
        yield* assertNothingLeft(stage)
      }
    }))
})

describe("sessions that the host ends", () => {
  scenario(
    "endSession with close lets what was written go out, and tells the worker",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor)
        const peer = yield* stage.dialOpen()
        const [session] = actor.run().accepted
        peer.stop()
        session!.write(Buffer.alloc(100_000, 1))
        yield* settled
        yield* stage.host.endSession(session!.handle, "close")
        yield* settled
        assert.isFalse(peer.ended)
        peer.read()
        yield* until("the end", () => peer.ended)
        assert.strictEqual(peer.receivedBytes, 100_000)
        peer.end()
        yield* until("the close", () => peer.closed)
        assert.isUndefined(peer.broken)
        yield* until("the worker to be told", () => session!.closed)
        assert.deepStrictEqual(actor.run().edges, [`closed ${Handle.format(session!.handle)}`])
        yield* settled
        assert.strictEqual((yield* stage.report).sessions, 0)
        assert.strictEqual(
          (yield* Effect.flip(stage.host.endSession(session!.handle, "close"))).message,
          `no session ${Handle.format(session!.handle)}`
        )
      })
  )

  scenario("endSession with reset breaks the connection, and tells the worker", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { workers: 1 })
      stage.network.listen(remote, () => {})
      const peers = [yield* stage.dialOpen(), yield* stage.dialOpen()]
      const connected = yield* actor.run().sessions.connect(remote)
      const [session, other] = actor.run().accepted
      yield* stage.host.endSession(session!.handle, "reset")
      yield* until("the reset", () => peers[0]!.broken !== undefined)
      yield* until("the worker to be told", () => session!.closed)
      assert.deepStrictEqual(actor.run().edges, [
        `closed (the connection was given up) ${Handle.format(session!.handle)}`
      ])
      assert.isFalse(other!.closed || peers[1]!.closed)
      yield* stage.host.endSession(connected.handle, "reset")
      yield* until("the worker to be told", () => connected.closed)
      assert.strictEqual(connected.reset, "the connection was given up")
      yield* settled
      assert.strictEqual((yield* stage.report).sessions, 1)
    }))

  scenario("endSession finds no session in an offer, claimed or taken back", (stage) =>
    Effect.gen(function*() {
      const { raws: [raw] } = yield* attachRaw(stage)
      yield* stage.dial()
      const [offer] = raw!.all("accepted")
      for (const how of ["close", "reset"] as const) {
        assert.strictEqual((yield* Effect.flip(stage.host.endSession(offer!.session, how)))._tag, "NoSuchSession")
      }
      yield* TestClock.adjust(5)
      yield* settled
      assert.strictEqual((yield* Effect.flip(stage.host.endSession(offer!.session, "reset")))._tag, "NoSuchSession")
      raw!.sendIo(Message.Passed, offer!.session)
      yield* settled
      const again = raw!.all("accepted")[1]!
      assert.isTrue(raw!.claim(again))
      yield* settled
      yield* stage.host.endSession(again.session, "reset")
      yield* until("the last word", () => raw!.all("cleanup").length === 1)
      // as long as its worker has not let go of it, it is there, and ends no second time
      yield* stage.host.endSession(again.session, "close")
      raw!.send({ _tag: "release", session: again.session })
      yield* settled
      assert.strictEqual((yield* Effect.flip(stage.host.endSession(again.session, "reset")))._tag, "NoSuchSession")
    }))
})
