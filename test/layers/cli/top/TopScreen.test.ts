/** `top` on a screen whose keys a test presses: what it shows, what it asks the host for, and when it ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Path from "node:path"
import * as Signals from "../../../../src/layers/cli/Signals.ts"
import { FullScreen } from "../../../../src/layers/cli/top/FullScreen.ts"
import * as TopScreen from "../../../../src/layers/cli/top/TopScreen.ts"
import * as ControlServer from "../../../../src/layers/control/ControlServer.ts"
import * as SessionRulesMemory from "../../../../src/layers/stores/SessionRulesMemory.ts"
import { DefaultWorker, WorkerOperationFailed } from "../../../../src/services/SessionLayer.ts"
import type { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import * as FakeSessionLayer from "../../../support/FakeSessionLayer.ts"
import { LogLines } from "../../../support/LogLines.ts"
import * as Reports from "../../../support/Reports.ts"
import { ScriptedScreen } from "../../../support/ScriptedScreen.ts"
import * as TempDirectory from "../../../support/TempDirectory.ts"
import { at } from "../../../support/TopFrames.ts"
import { until } from "../../../support/until.ts"

/** A host that is looked at. */
class Looked {
  looks = 0
  fails: string | undefined
  readonly look = Effect.suspend(() =>
    this.fails === undefined ? Effect.succeed(at(++this.looks)) : Effect.fail({ message: this.fails })
  )
}

const start = Effect.fnUntraced(function*(path = "/nowhere", interval = 1000) {
  const screen = yield* ScriptedScreen.make
  const host = new Looked()
  const signal = Deferred.makeUnsafe<NodeJS.Signals>()
  const top = yield* TopScreen.show({ path, control: path, app: undefined, interval, look: host.look }, at(0)).pipe(
    Effect.provideService(FullScreen, screen.source),
    Effect.provideService(Signals.Signals, {
      ending: Effect.succeed(Deferred.await(signal)),
      hangup: Effect.succeed(Effect.never),
      reload: Effect.succeed(Effect.never)
    }),
    Effect.forkScoped
  )
  const shows = (what: RegExp) => until(`the screen shows ${what}`, () => what.test(screen.rows.join("\n")))
  yield* shows(/● live/)
  return { screen, host, signal, shows, ended: Fiber.join(top) }
})

describe("top on a screen", () => {
  it.effect("shows what is new at each look, and says when the host does not answer, and when it is back", () =>
    Effect.gen(function*() {
      const { ended, host, screen, shows } = yield* start()
      yield* shows(/conn\/s +- /)
      yield* TestClock.adjust(1000)
      yield* shows(/conn\/s +148 /)
      host.fails = "no host answers on /nowhere"
      yield* TestClock.adjust(1000)
      yield* shows(/○ stale 1 s/)
      yield* TestClock.adjust(3000)
      yield* shows(/○ stale 4 s/)
      yield* shows(/^STALE: the host does not answer.*\n? *.*no host answers on/m)
      yield* shows(/STUCK/)
      host.fails = undefined
      yield* TestClock.adjust(1000)
      yield* shows(/● live/)
      screen.press("q")
      yield* ended
      assert.isFalse(screen.taken)
    }))

  it.effect("draws all of it on a screen of another size, and on one that was empty", () =>
    Effect.gen(function*() {
      const { screen, shows } = yield* start()
      screen.resize(100, 30)
      yield* until("30 rows", () => screen.rows.length === 30)
      screen.empty()
      yield* until("all of them again", () => screen.rows.length === 30)
      yield* shows(/● live/)
      // nothing is new, so nothing is written
      const { writes } = screen
      screen.press("z")
      yield* TestClock.adjust(500)
      assert.strictEqual(screen.writes, writes)
    }))

  it.effect("ends by a signal, without keys, and without a terminal, and leaves it", () =>
    Effect.gen(function*() {
      const ends = [
        ({ signal }) => Deferred.doneUnsafe(signal, Effect.succeed("SIGTERM" as const)),
        ({ screen }) => screen.closeKeys(),
        ({ screen }) => {
          screen.gone = true
          screen.press("?")
        }
      ] satisfies ReadonlyArray<(top: Effect.Success<ReturnType<typeof start>>) => void>
      for (const end of ends) {
        const top = yield* start()
        assert.isTrue(top.screen.taken)
        end(top)
        yield* top.ended
        assert.isFalse(top.screen.taken)
      }
    }))

  it.live("X5 W11 asks before it does anything, does it, and says in a sentence what came of it", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const does: Partial<SessionLayer["Service"]> = {
        restartWorker: () => Effect.sync(() => void asked.push("restart")),
        deleteWorker: () =>
          Effect.suspend(() => {
            asked.push("delete")
            return Effect.fail(
              new WorkerOperationFailed({ operation: "delete", reason: new DefaultWorker({ app: "api" }) })
            )
          }),
        sessionPage: ({ worker }) =>
          Effect.sync(() => {
            asked.push(`sessions of ${worker}`)
            return { total: 1, sessions: [Reports.session({ remote: "tcp://10.0.0.7:4711" })] }
          }),
        report: Effect.succeed(Reports.host({ apps: [Reports.app({ workers: [Reports.worker({ handle: "0.1" })] })] })),
        endSession: (_, how) => Effect.sync(() => void asked.push(how))
      }
      const path = Path.join(yield* TempDirectory.make, "c.sock")
      yield* Layer.build(
        ControlServer.layer(path).pipe(
          Layer.provide(FakeSessionLayer.layer(does)),
          Layer.provide(SessionRulesMemory.layer),
          Layer.provide(new LogLines().layer)
        )
      )
      const { screen, shows } = yield* start(path, 60_000)
      screen.press("j", "R")
      yield* shows(/the same as: sluice worker restart 0\.1 --control /)
      assert.deepStrictEqual(asked, [])
      screen.press("n")
      yield* shows(/worker 0\.1 was not restarted/)
      assert.deepStrictEqual(asked, [])
      screen.press("R", "y")
      yield* shows(/^worker 0\.1 restarted$/m)
      screen.press("d", "y")
      yield* shows(/default worker/)
      screen.press("s")
      yield* shows(/10\.0\.0\.7:4711/)
      screen.press("j", "c", "y")
      yield* shows(/^session 7\.2 is closing$/m)
      assert.deepStrictEqual(asked.filter((what) => what !== "sessions of 0.1"), ["restart", "delete", "close"])
      assert.include(asked, "sessions of 0.1")
    }))

  it.live("W21 has the host find and sort sessions, and shows the page that somebody wants of all of them", () =>
    Effect.gen(function*() {
      const path = Path.join(yield* TempDirectory.make, "c.sock")
      const sessionPage: SessionLayer["Service"]["sessionPage"] = ({ search = "" }, { after, reversed, sort } = {}) =>
        Effect.succeed({
          total: 9502,
          sessions: [Reports.session({ remote: `tcp://${sort}${reversed ? "-reversed" : ""}-${search}-${after}:1` })],
          ...(after === undefined ? { next: "age:7:12" } : {})
        })
      yield* Layer.build(
        ControlServer.layer(path).pipe(
          Layer.provide(FakeSessionLayer.layer({ sessionPage })),
          Layer.provide(SessionRulesMemory.layer),
          Layer.provide(new LogLines().layer)
        )
      )
      const { screen, shows } = yield* start(path, 60_000)
      screen.press("s")
      yield* shows(/^ 1 of 9,502 sessions, by age, n shows more/m)
      yield* shows(/ age--undefined:1 /)
      screen.press("n")
      yield* shows(/ age--age:7:12:1 /)
      yield* shows(/^ 101 to 101 of 9,502 sessions, by age/m)
      screen.press("O")
      yield* shows(/ age-reversed--undefined:1 /)
      screen.press("/", "x", "y", "return")
      yield* shows(/ age-reversed-xy-undefined:1 /)
      yield* shows(/sessions with "xy", by age, the other way round/)
      screen.press("escape")
      yield* shows(/ age-reversed--undefined:1 /)
    }))
})
