/** `sluice top` as a command: once as text and as JSON, and on a real terminal, which it leaves as it was. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import * as Url from "node:url"
import { Overview } from "../../../src/domain/overview/Overview.ts"
import { FullScreen } from "../../../src/layers/cli/top/FullScreen.ts"
import * as ControlServer from "../../../src/layers/control/ControlServer.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import * as Cli from "../../support/Cli.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { at } from "../../support/TopFrames.ts"
import { until } from "../../support/until.ts"

/** The control socket of a host that has this to show. */
const serving = Effect.gen(function*() {
  const directory = yield* TempDirectory.make
  const path = Path.join(directory, "c.sock")
  yield* Layer.build(
    ControlServer.layer(path).pipe(
      Layer.provide(FakeSessionLayer.layer({ overview: Effect.sync(() => at(12)) })),
      Layer.provide(SessionRulesMemory.layer)
    )
  )
  return { path, directory }
})

/** There is no terminal, or one that can't move its cursor. */
const withoutScreen = Effect.provideService(FullScreen, {
  capabilities: Effect.succeed({ isScreen: false, colours: false }),
  open: Effect.die(new Error("the terminal was taken"))
})

describe("sluice top", () => {
  it.live("X5 prints the same facts as text and as JSON, and as text where there is no terminal", () =>
    Effect.gen(function*() {
      const { path } = yield* serving
      const told = yield* Cli.jsonOf(Overview, path, "top")
      assert.deepStrictEqual(told, at(12))
      const once = yield* Cli.prints(path, "top", "--once")
      assert.match(once, /^sluice 0\.3\.0 {2}web-1 4711/)
      assert.match(
        once,
        /^BAD: worker 0\.1 \(api 0\) is stuck in renderInvoice \(invoice\.ts:88\) for 3\.2 s; 1 other serves$/m
      )
      assert.strictEqual(yield* Cli.prints(path, "top"), once)
    }).pipe(withoutScreen))

  it.live("shows one application, and says when there is no such thing, in one sentence", () =>
    Effect.gen(function*() {
      const { directory, path } = yield* serving
      const { workers } = yield* Cli.jsonOf(Overview, path, "top", "--app", "0")
      assert.strictEqual(workers.length, 2)
      const control = ["--control", path]
      yield* Cli.fails(["top", "--app", "shop", ...control], { code: 1, says: /^sluice: .*shop/ })
      yield* Cli.fails(["top", "--interval", "1ms", ...control], { code: 2, says: /from 100 ms to 1 h/ })
      yield* Cli.fails(["top", "--control", Path.join(directory, "none")], { code: 1, says: /no host answers on/ })
    }).pipe(withoutScreen))

  // a terminal for a program, which comes with every Linux
  const script = ChildProcess.spawnSync("script", ["--version"]).status === 0

  it.live.skipIf(!script)(
    "takes the terminal as a whole, takes keys one by one, and leaves it as it was",
    () =>
      Effect.gen(function*() {
        const { directory, path } = yield* serving
        const main = Url.fileURLToPath(new URL("../../../src/main.ts", import.meta.url))
        const command = [process.execPath, main, "top", "--control", path].map((word) => `'${word}'`).join(" ")
        let shown = ""
        let code: number | null | undefined
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            ChildProcess.spawn("script", ["-qec", `stty cols 100 rows 30; ${command}; stty -a`, "/dev/null"], {
              env: { ...CliProcess.environment(directory), TERM: "xterm", SHELL: "/bin/sh" }
            })
          ),
          (child) => Effect.sync(() => void child.kill("SIGKILL"))
        )
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          shown += text
        })
        child.once("close", (status) => {
          code = status
        })
        yield* until("the screen", () => shown.includes("● live"))
        assert.include(shown, "\u001b[?1049h")
        // a letter without a new line
        child.stdin.write("?")
        yield* until("help", () => shown.includes("Ctrl-Z"))
        child.stdin.write("qq")
        yield* until("the end", () => code !== undefined)
        assert.strictEqual(code, 0)
        const [before, after = ""] = shown.split("\u001b[?1049l")
        // lines wrap again, and there is a cursor
        assert.isTrue(before!.endsWith("\u001b[?7h\u001b[?25h"))
        // lines are read as lines again, and shown as they are typed
        assert.match(after, / icanon/)
        assert.match(after, / echo /)
      })
  )
})
