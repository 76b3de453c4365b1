/** X6: what takes the place of a worker that is stuck, and when, in time that the test moves. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { answering, ask, text } from "../../support/Parking.ts"
import { accepting, Actor, type Behaviour, endpoint, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const accept = answering({ name: ({ info: { restarts, worker } }) => `${worker}.${restarts}` })

const attach = (stage: Stage, start: Behaviour["start"]) =>
  stage.attach(new Actor({ accept, ...start === undefined ? {} : { start } }), {
    worker: { kind: "thread", stuckAfter: "1 second" }
  })

/** Listens, and a second later it serves. */
const slowly: Behaviour["start"] = (run) =>
  Effect.andThen(
    run.sessions.listen(endpoint, accepting(run, accept)),
    run.info.restarts === 0 ? Effect.void : Effect.sleep(1000)
  )

/** What has happened to workers, in the order in which it has. */
const told = (stage: Stage) =>
  Stream.runCollect(stage.host.events({ follow: false })).pipe(
    Effect.map((events) =>
      [...events].flatMap((event) =>
        event.kind === "worker-gone"
          ? [`gone ${event.reason}, again ${event.againMillis}`]
          : event.kind === "worker-replaced"
          ? [`replaced ${event.reason}`]
          : event.kind === "worker-stuck" || event.kind === "worker-up" || event.kind === "worker-former-ended"
          ? [event.kind.slice("worker-".length)]
          : []
      )
    )
  )

/** A worker with a session in hand and one that it has parked is blocked, and messages wait for it. */
const blocked = Effect.fnUntraced(function*(stage: Stage) {
  const [inHand, parked] = [yield* stage.dialOpen(), yield* stage.dialOpen()]
  yield* ask(inHand, "stay", "0.0:stay;")
  yield* ask(parked, "a", "0.0:a;")
  stage.script().block()
  inHand.send("b")
  parked.send("b")
  return { inHand, parked }
})

describe("a worker that is stuck", () => {
  scenario(
    "X6 is given up at the limit while its next start begins, which then has its place",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, slowly)
        const { inHand, parked } = yield* blocked(stage)
        yield* stage.pass(1100, 100)
        yield* until("the end of what it has in hand", () => inHand.closed)
        const { state, successor } = yield* stage.worker()
        assert.deepStrictEqual([state, successor], ["BACKOFF", { generation: 2, state: "STARTING" }])
        // longer than after a crash: the worker is not started beside its successor
        yield* stage.pass(700, 100)
        assert.deepStrictEqual(yield* told(stage), ["up", "stuck", "gone stuck, again null"])
        assert.isFalse(parked.closed)
        yield* stage.pass(300, 100)
        yield* until("an answer to what it had parked", () => text(parked) === "0.0:a;0.1:b;")
        const { crashLoop, formers, generation, restartsBy, state: now } = yield* stage.worker()
        assert.deepStrictEqual([now, generation, formers, crashLoop], ["RUNNING", 2, [], null])
        assert.deepInclude(restartsBy, { stuck: 1, restart: 0 })
        assert.deepStrictEqual(yield* told(stage), ["up", "stuck", "gone stuck, again null", "replaced stuck"])
      })
  )

  scenario(
    "X6 is started again in its own place where its next start does not come up",
    (stage) =>
      Effect.gen(function*() {
        let fails = true
        yield* attach(stage, (run) =>
          run.info.restarts > 0 && fails
            ? Effect.andThen(Effect.sleep(300), Effect.fail("no database"))
            : run.sessions.listen(endpoint, accepting(run, accept)))
        const { inHand, parked } = yield* blocked(stage)
        yield* stage.pass(1100, 100)
        yield* until("the end of what it has in hand", () => inHand.closed)
        yield* stage.pass(200, 100)
        fails = false
        yield* stage.pass(300, 100)
        yield* until("an answer to what it had parked", () => text(parked) === "0.0:a;0.1:b;")
        const { generation, restartsBy, successor } = yield* stage.worker()
        assert.deepStrictEqual([generation, successor], [1, null])
        assert.deepInclude(restartsBy, { stuck: 1 })
        assert.deepStrictEqual(yield* told(stage), ["up", "stuck", "gone stuck, again null", "up"])
      })
  )

  scenario(
    "X6 is replaced by the reload that is under way, and not started again beside it",
    (stage) =>
      Effect.gen(function*() {
        const { handle } = yield* attach(stage, (run) =>
          Effect.andThen(
            run.sessions.listen(endpoint, accepting(run, accept)),
            run.info.restarts === 0 ? Effect.void : Effect.sleep(3000)
          ))
        const { inHand, parked } = yield* blocked(stage)
        const reloading = yield* Effect.forkChild(stage.host.reload(handle))
        yield* stage.pass(1100, 100)
        yield* until("the end of what it has in hand", () => inHand.closed)
        yield* stage.pass(1900, 100)
        yield* TestClock.adjust(100)
        yield* Fiber.join(reloading)
        yield* until("an answer to what it had parked", () => text(parked) === "0.0:a;0.1:b;")
        yield* settled
        assert.deepStrictEqual((yield* stage.worker()).generation, 2)
        assert.deepStrictEqual(yield* told(stage), ["up", "stuck", "gone stuck, again null", "replaced reload"])
      })
  )
})
