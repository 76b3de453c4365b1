import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Notice from "../../../src/domain/report/Notice.ts"
import { NoticeLog } from "../../../src/layers/log/NoticeLog.ts"
import { LogLines } from "../../support/LogLines.ts"

const listener = { app: "shop", uri: "tcp://127.0.0.1:80" }

const refused = (uri: string, reason: string): Notice.Notice => ({
  level: "Warn",
  text: `a connection to ${uri} was refused: ${reason}`,
  app: "shop",
  kind: `refused ${uri} ${reason}`
})

const logged = <A, E>(test: (log: NoticeLog, told: LogLines) => Effect.Effect<A, E>) => () => {
  const told = new LogLines()
  return NoticeLog.make.pipe(
    Effect.flatMap((log) => test(log, told)),
    Effect.scoped,
    Effect.provide(told.layer)
  )
}

describe("NoticeLog", () => {
  it.effect(
    "tells at once what has no kind, with its level, application and worker",
    logged((log, told) =>
      Effect.sync(() => {
        log.tell(Notice.workerClear({ app: "shop", worker: 2 }, 1234))
        log.tell(Notice.changed("control socket", "process 7 has taken over"))
        assert.deepStrictEqual(told.take(), [
          "INFO [shop 2] the worker is clear again, after 1.2 s",
          "INFO by the control socket: process 7 has taken over"
        ])
      })
    )
  )

  it.effect(
    "X5 tells the first of a kind, then a count every ten seconds, and then it is a first again",
    logged((log, told) =>
      Effect.gen(function*() {
        const notice = refused(listener.uri, "congested")
        for (let i = 0; i < 100_000; i++) log.tell(notice)
        assert.deepStrictEqual(told.take(), ["WARN [shop] a connection to tcp://127.0.0.1:80 was refused: congested"])
        yield* TestClock.adjust(9_999)
        assert.deepStrictEqual(told.take(), [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(told.take(), [
          "WARN [shop] a connection to tcp://127.0.0.1:80 was refused: congested (99999 more in 10 s)"
        ])
        log.tell(notice, 3)
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(told.take(), [
          "WARN [shop] a connection to tcp://127.0.0.1:80 was refused: congested (3 more in 10 s)"
        ])
        yield* TestClock.adjust(60_000)
        assert.deepStrictEqual(told.take(), [])
        log.tell(notice)
        assert.strictEqual(told.take().length, 1)
      })
    )
  )

  it.effect(
    "keeps kinds apart: each reason and each listener has its first",
    logged((log, told) =>
      Effect.sync(() => {
        for (let i = 0; i < 3; i++) {
          log.tell(refused(listener.uri, "congested"))
          log.tell(refused(listener.uri, "hold-full"))
          log.tell(refused("tcp://127.0.0.1:81", "congested"))
        }
        assert.strictEqual(told.take().length, 3)
      })
    )
  )

  it.effect("tells the counts that are left when its scope closes", () => {
    const told = new LogLines()
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const log = yield* Scope.provide(NoticeLog.make, scope)
      const failed = Notice.acceptFailed(listener, "EMFILE", "too many open files")
      log.tell(failed, 5)
      yield* TestClock.adjust(2000)
      told.take()
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(told.take(), [
        "WARN [shop] accept on tcp://127.0.0.1:80 failed and is tried again: EMFILE (too many open files) "
        + "(4 more in 2 s)"
      ])
    }).pipe(Effect.provide(told.layer))
  })

  it.effect(
    "shows what a terminal or the reader of a log would obey",
    logged((log, told) =>
      Effect.sync(() => {
        log.tell(Notice.handlerThrew(
          { app: "a\u001bb", worker: 0 },
          { sentence: "no\n2026-01-01 ERROR forged \u001b[31m\u202e", stack: "Error\n\tat \u0007x" }
        ))
        assert.deepStrictEqual(told.take(), [
          "ERROR [a\\u001bb 0] an application's session handler threw: "
          + "no\\n2026-01-01 ERROR forged \\u001b[31m\\u202e"
        ])
        assert.deepStrictEqual(told.stacks, ["Error\n  at \\u0007x"])
      })
    )
  )
})
