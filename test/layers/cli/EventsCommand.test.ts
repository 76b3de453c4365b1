/** `sluice events` and `sluice why`, with a host of their own. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Cli from "../../support/Cli.ts"

describe("sluice events", () => {
  it.live("X5 prints what has happened and what happens, as lines and as JSON, and the story of a worker", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([Cli.fixture("echo"), "--in-process", "--workers", "1"])
      const lines = (...args: ReadonlyArray<string>) =>
        Effect.map(Cli.prints(control, ...args), (text) => text.split("\n"))
      yield* Cli.prints(control, "deny", "add", "192.0.2.1")
      const all = yield* lines("events")
      assert.match(all[0]!, /^\d\d:\d\d:\d\d\.\d{3} {2}echo: listener opened: tcp:\/\/127\.0\.0\.1:\d+$/)
      assert.match(all[1]!, /^\d\d:\d\d:\d\d\.\d{3} {2}echo 0: the worker is up after \d+(\.\d)? m?s$/)
      assert.match(all.at(-1)!, / {2}host: 192\.0\.2\.1 added to the deny list$/)
      const json = (yield* lines("events", "--json", "--kind", "source", "--since", "0")).map((line) =>
        JSON.parse(line)
      )
      assert.deepStrictEqual(json.map(({ kind, source }) => [kind, source]), [["source-denied", "192.0.2.1"]])
      assert.deepStrictEqual(yield* lines("events", "--since", `${json[0].serial}`), [""])

      const following = yield* Cli.start(["events", "-f", "--kind", "source-allowed", "--control", control])
      yield* Cli.prints(control, "deny", "remove", "192.0.2.1")
      yield* following.printed("stdout", /192\.0\.2\.1 taken off the deny list/)

      yield* Cli.prints(control, "worker", "restart", "0.0")
      assert.deepStrictEqual(
        (yield* lines("why", "worker", "0.0")).map((line) =>
          line.slice(14).replace(/after [\d.]+ m?s/, "after a while")
        ),
        [
          "echo 0: the worker is up after a while",
          "echo 0: the worker drains: it gets nothing new, and 0 sessions may finish",
          "echo 0: the worker is being restarted, as it was asked for",
          "echo 0: the worker is up after a while, restart 1"
        ]
      )
      assert.match(
        (yield* lines("why", "session", "7.7")).join(),
        /^nothing is known of this session since [\d:.]+ UTC: what goes as it should has no events$/
      )
      assert.match((yield* lines("why", "connection", "192.0.2.9")).join(), /^nothing is known of such a connection/)
      yield* Cli.fails(["events", "--app", "other", "--control", control], { code: 1, says: "no application other" })
    }))

  it.live("X5 says in a sentence what makes no sense, before it asks a host", () =>
    Effect.gen(function*() {
      yield* Cli.fails(["events", "--kind", "worker-upp"], {
        code: 2,
        says: /^sluice: --kind: no kind of events is "worker-upp"; it must be .*; did you mean "worker-up"\?$/
      })
      yield* Cli.fails(["events", "--worker", "x"], {
        code: 2,
        says: /^sluice: --worker: got "x"; it must be a worker's/
      })
      yield* Cli.fails(["events", "--since", "-1"], { code: 2, says: /--since/ })
      yield* Cli.fails(["why", "session", "1"], { code: 2, says: /<session>: got "1"; it must be a handle/ })
      yield* Cli.fails(["why", "connection", "a b"], { code: 2, says: /<peer>: got "a b"; it must be/ })
    }))
})
