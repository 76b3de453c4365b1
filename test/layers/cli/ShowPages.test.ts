/** `sluice show` of what is many pages long, and changes from one page to the next. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Path from "node:path"
import * as Report from "../../../src/domain/report/Report.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as ControlServer from "../../../src/layers/control/ControlServer.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Cli from "../../support/Cli.ts"
import * as Random from "../../support/random.ts"
import { Actor, scenario, type Stage } from "../../support/Stage.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { settled } from "../../support/until.ts"

/** Entries that are there all the while, and as many that come and go. */
const ENTRIES = 150
const service = "local://service"
const remote = "tcp://10.0.0.1:5000"

/** What comes and goes: how one comes, with its name, and how it goes. */
interface Coming<R> {
  readonly come: (
    n: number
  ) => Effect.Effect<{ readonly name: string; readonly go: Effect.Effect<void, never, R> }, never, R>
}

/** Entries of which half stay; between two pages, some of the others go and others come. */
const churning = Effect.fnUntraced(function*<R>({ come }: Coming<R>) {
  const random = Random.make(3)
  let n = 0
  const stays: Array<string> = []
  const others: Array<Effect.Effect<void, never, R>> = []
  for (let i = 0; i < ENTRIES; i++) {
    stays.push((yield* come(n++)).name)
    others.push((yield* come(n++)).go)
  }
  yield* settled
  const churn = Effect.gen(function*() {
    for (let left = 1 + random(20); left > 0; left--) {
      yield* others.splice(random(others.length), 1)[0]!
      others.push((yield* come(n++)).go)
    }
    yield* settled
  })
  return { stays, churn }
})

/** Serves the stage's host, on which something happens before each page. */
const serve = Effect.fnUntraced(function*(
  { host }: Stage,
  churn: Effect.Effect<void, never, Scope.Scope>
) {
  const path = Path.join(yield* TempDirectory.make, "control.sock")
  const scope = yield* Effect.scope
  let pages = 0
  const before =
    <Args extends ReadonlyArray<unknown>, A>(page: (...args: Args) => Effect.Effect<A>) => (...args: Args) =>
      Effect.suspend(() => {
        pages++
        return Effect.andThen(Scope.provide(churn, scope), page(...args))
      })
  yield* Layer.build(
    ControlServer.layer(path).pipe(
      Layer.provide(SessionRulesMemory.layer),
      Layer.provide(Layer.succeed(SessionLayer, {
        ...host,
        sessionPage: before(host.sessionPage),
        connectPage: before(host.connectPage),
        localPage: before(host.localPage)
      }))
    )
  )
  return { path, pages: () => pages }
})

const assertOnce = (shown: ReadonlyArray<string>, stays: ReadonlyArray<string>, pages: number): void => {
  assert.isAbove(pages, 2)
  assert.strictEqual(new Set(shown).size, shown.length, "one is shown twice")
  const all = new Set(shown)
  assert.deepStrictEqual(stays.filter((name) => !all.has(name)), [], "one that was there is missing")
}

describe("sluice show, page by page", () => {
  scenario(
    "W21 shows once each session that is there all the while, whatever comes and goes",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(
          new Actor({ accept: (session) => void (session.handler = { ended: () => session.close() }) })
        )
        const { churn, stays } = yield* churning({
          come: () =>
            Effect.sync(() => {
              const peer = stage.network.dial("tcp://127.0.0.1:80")
              return { name: peer.local, go: Effect.sync(() => peer.reset()) }
            })
        })
        const { pages, path } = yield* serve(stage, churn)
        const { sessions, total } = yield* Cli.jsonOf(Report.SessionsReport, path, "show", "sessions")
        assertOnce(sessions.map(({ remote }) => remote), stays, pages())
        assert.strictEqual(total, sessions.length)
        // up to a limit, and on from there
        const first = yield* Cli.jsonOf(Report.SessionsReport, path, "show", "sessions", "--limit", "120")
        assert.deepStrictEqual([first.sessions.length, first.total], [120, 2 * ENTRIES])
        const rest = yield* Cli.jsonOf(Report.SessionsReport, path, "show", "sessions", "--after", first.next!)
        assertOnce([...first.sessions, ...rest.sessions].map(({ remote }) => remote), stays, pages())
        assert.match(
          yield* Cli.prints(path, "show", "sessions", "--limit", "120"),
          /\n\n120 of 300 sessions; --limit shows more$/
        )
        assert.match(
          yield* Cli.prints(path, "show", "sessions", "--limit", "20", "--after", first.next!),
          /\n\n20 sessions, and there are more; --limit shows more$/
        )
      })
  )

  scenario("W21 shows once each connect that is under way all the while", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor()
      yield* stage.attach(actor, { admission: { maxHalfOpen: 1000 } })
      const listener = stage.network.listen(remote, () => {})
      listener.hold()
      const { sessions } = actor.run()
      const { churn, stays } = yield* churning({
        come: (n) =>
          Effect.gen(function*() {
            const name = `tcp://10.0.0.2:${1000 + n}`
            const fiber = yield* Effect.forkScoped(Effect.ignore(sessions.connect(remote, { source: name })))
            return { name, go: Effect.asVoid(Effect.forkScoped(Fiber.interrupt(fiber))) }
          })
      })
      const { pages, path } = yield* serve(stage, churn)
      const shown = yield* Cli.jsonOf(Schema.Array(Report.ConnectReport), path, "show", "connects")
      assertOnce(shown.map(({ source }) => source!), stays, pages())
    }))

  scenario("W21 shows once each local session that is there all the while", (stage) =>
    Effect.gen(function*() {
      const actor = new Actor({ accept: (session) => void (session.handler = { ended: () => session.close() }) })
      yield* stage.attach(actor, {
        listen: [service],
        scope: { local: true },
        segment: { rxFifoSize: "4KiB", txFifoSize: "4KiB" }
      })
      const client = new Actor()
      yield* stage.attach(client, { name: "client", listen: [], scope: { local: true } })
      const { churn, stays } = yield* churning({
        come: () =>
          Effect.map(Effect.orDie(client.run().sessions.connect(service)), (session) => ({
            name: Handle.format(session.handle),
            go: Effect.sync(() => session.abort())
          }))
      })
      const { pages, path } = yield* serve(stage, churn)
      const shown = yield* Cli.jsonOf(Report.LocalsReport, path, "show", "local")
      assertOnce(shown.sessions.map(({ client }) => client.session), stays, pages())
      assert.deepStrictEqual(shown.listeners.map(({ endpoint }) => endpoint), [service])
      assert.deepStrictEqual((yield* stage.host.locals).connects, [])
    }))
})
