/** The commands that change what a running host does: `worker`, `session`, `listener`, `app`, `rules` and `deny`. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Report from "../../../src/domain/report/Report.ts"
import * as Cli from "../../support/Cli.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const serveEcho = Cli.serve([Cli.fixture("echo"), "--in-process", "--workers", "1"])

describe("sluice at run time", () => {
  it.live("says what to do when no host answers", () =>
    Effect.gen(function*() {
      const path = Path.join(yield* TempDirectory.make, "none.sock")
      const says = `no host answers on ${path}; start one with: sluice serve`
      for (const args of [["worker", "delete", "1.0"], ["rules", "list"], ["app", "detach", "echo"]]) {
        yield* Cli.fails([...args, "--control", path], { code: 1, says })
      }
    }))

  it.live("W1 refuses handles and prefixes that are none, before it asks a host", () =>
    Effect.gen(function*() {
      for (
        const args of [
          ["worker", "delete", "1"],
          ["session", "reset", "1.x"],
          ["listener", "close", "16777216.0"],
          ["rules", "remove", "01.0"]
        ]
      ) {
        yield* Cli.fails(args, {
          code: 2,
          says: /^sluice: <\w+>: got ".*"; it must be a handle such as "12\.3"/
        })
      }
      yield* Cli.fails(["deny", "add", "10.0.0.1/8"], {
        code: 2,
        says: /<prefix>: got .*; it must be 10\.0\.0\.0\/8, or/
      })
      yield* Cli.fails(["rules", "add", "--action", "perhaps"], {
        code: 2,
        says: /--action: got "perhaps"; it must be "allow"/
      })
      yield* Cli.fails(["rules", "add"], { code: 2, says: /^sluice: Missing required flag: --action/ })
    }))

  it.live("W11 X2 adds, restarts, reloads and deletes workers", () =>
    Effect.gen(function*() {
      const { control, kill, printed } = yield* Cli.serve([Cli.fixture("echo"), "--workers", "1"])
      const prints = (...args: ReadonlyArray<string>) => Cli.prints(control, "worker", ...args)
      const fails = (args: ReadonlyArray<string>, says: string | RegExp) =>
        Cli.fails(["worker", ...args, "--control", control], { code: 1, says })
      const workers = Effect.map(
        Cli.jsonOf(Report.AppReport, control, "show", "app", "echo"),
        ({ listeners, workers }) => [
          ...workers.map(({ handle, kind, state }) => `${handle} ${kind} ${state}`),
          ...listeners.map(({ workers }) => workers.join())
        ]
      )
      assert.strictEqual(yield* prints("add", "echo"), "worker 1.0 added to echo: number 1, thread")
      assert.match(yield* prints("add", "0", "--kind", "in-process", "--json"), /"handle": "2\.0"/)
      assert.deepStrictEqual(yield* workers, [
        "0.0 thread RUNNING",
        "1.0 thread RUNNING",
        "2.0 in-process RUNNING",
        "0,1,2"
      ])
      assert.strictEqual(yield* prints("restart", "1.0"), "worker 1.0 restarted")
      yield* Cli.fails(["reload", "--control", control], {
        code: 1,
        says: /^sluice: can't reload echo: worker 2 of echo runs in-process, and Node keeps the modules/
      })
      assert.strictEqual(yield* prints("delete", "1.0", "--now"), "worker 1.0 deleted")
      assert.deepStrictEqual(yield* workers, ["0.0 thread RUNNING", "2.0 in-process RUNNING", "0,2"])
      yield* fails(["delete", "1.0"], "can't delete the worker: no worker 1.0")
      yield* fails(
        ["delete", "0.0"],
        /^sluice: can't delete the worker: the default worker of echo can't be deleted while others live/
      )
      yield* fails(["add", "other"], "no application other")
      yield* prints("delete", "2.0", "--now")
      assert.match(yield* Cli.prints(control, "reload"), /^application echo reloaded: 1 worker in /)
      yield* kill("SIGUSR2")
      yield* printed("stderr", /INFO {2}\[echo\] reloaded in .*, 1 worker\n[^]*\[echo\] reloaded in .*, 1 worker\n/)
      yield* Cli.fails(["reload", "other", "--control", control], { code: 1, says: "no application other" })
    }))

  it.live("W11 says of a worker that did not start what serve would say, and nothing before it", () =>
    Effect.gen(function*() {
      const module = Path.join(yield* TempDirectory.make, "app.mjs")
      Fs.writeFileSync(module, "export default (request, response) => response.end()\n")
      const { control } = yield* Cli.serve([module, "--workers", "1"])
      Fs.writeFileSync(module, "\nthrow new Error(\"no more\")\n")
      const { code, stderr } = yield* Cli.run(["worker", "add", "app", "--control", control])
      assert.strictEqual(code, 1)
      assert.strictEqual(
        stderr,
        `sluice: app module ${module} failed to load: no more (${module}:2:7)\n`
          + `  Error: no more\n      at file://${module}:2:7\n`
      )
    }))

  it.live("closes and resets sessions, closes listeners, and detaches apps", () =>
    Effect.gen(function*() {
      const { control, port } = yield* serveEcho
      const prints = (...args: ReadonlyArray<string>) => Cli.prints(control, ...args)
      const fails = (args: ReadonlyArray<string>, says: string) =>
        Cli.fails([...args, "--control", control], { code: 1, says })
      const open = Effect.fnUntraced(function*() {
        const socket = yield* TcpClient.connect(port)
        assert.strictEqual(yield* TcpClient.echoed(socket, "hello"), "hello")
        const remote = `tcp://127.0.0.1:${socket.localPort}`
        const { sessions } = yield* Cli.jsonOf(
          Report.SessionsReport,
          control,
          "show",
          "sessions",
          "--remote",
          remote
        )
        return { socket, handle: sessions[0]!.handle }
      })
      const closed = yield* open()
      assert.strictEqual(yield* prints("session", "close", closed.handle), `session ${closed.handle} is closing`)
      assert.strictEqual(yield* TcpClient.endOf(closed.socket), "closed")
      const reset = yield* open()
      assert.strictEqual(yield* prints("session", "reset", reset.handle), `session ${reset.handle} reset`)
      assert.strictEqual(yield* TcpClient.endOf(reset.socket), "ECONNRESET")
      yield* fails(["session", "reset", closed.handle], `no session ${closed.handle}`)

      const last = yield* open()
      const [listener] = yield* Cli.jsonOf(Schema.Array(Report.ListenerReport), control, "show", "listeners")
      assert.strictEqual(yield* prints("listener", "close", listener!.handle), `listener ${listener!.handle} closed`)
      yield* fails(["listener", "close", listener!.handle], `no listener ${listener!.handle}`)
      assert.strictEqual(yield* prints("show", "listeners"), "no active listeners")
      assert.strictEqual(yield* TcpClient.refusal(port), "ECONNREFUSED")
      assert.strictEqual(yield* TcpClient.echoed(last.socket, "still there"), "still there")

      yield* fails(["app", "detach", "echo\u001b[31m"], "no application echo [31m")
      assert.strictEqual(yield* prints("app", "detach", "echo"), "application echo detached")
      assert.strictEqual(yield* TcpClient.endOf(last.socket), "ECONNRESET")
    }))

  it.live("a host ends by itself, and says why, when the last worker of its application is deleted", () =>
    Effect.gen(function*() {
      const { control, result } = yield* serveEcho
      yield* Cli.prints(control, "worker", "delete", "0.0")
      const { code, stderr } = yield* result
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /echo is detached: there is nothing left to serve\n/)
      assert.isFalse(Fs.existsSync(control))
    }))

  it.live("denies connections by rule and by source, until it is told not to", () =>
    Effect.gen(function*() {
      const { control, port } = yield* serveEcho
      const prints = (...args: ReadonlyArray<string>) => Cli.prints(control, ...args)
      const isRefused = Effect.fnUntraced(function*(reason: string) {
        assert.strictEqual(yield* TcpClient.refusal(port), "ECONNRESET", reason)
        assert.include(yield* prints("show", "listeners"), `\n  ${reason}`)
      })
      const isServed = Effect.gen(function*() {
        assert.strictEqual(yield* TcpClient.echoed(yield* TcpClient.connect(port), "hello"), "hello")
      })
      assert.strictEqual(yield* prints("rules", "list"), "no session rules")
      assert.strictEqual(
        yield* prints("rules", "add", "--action", "deny", "--on", "accept", "--remote", "127.0.0.0/8"),
        "rule 0.0 added"
      )
      assert.match(
        yield* prints("rules", "list"),
        /^Rule +On .*\n0\.0 +accept +any +127\.0\.0\.0\/8 +deny +- +-$/
      )
      yield* isRefused("rule-denied 1")
      assert.strictEqual(yield* prints("rules", "remove", "0.0"), "rule 0.0 removed")
      yield* Cli.fails(["rules", "remove", "0.0", "--control", control], { code: 1, says: "no rule 0.0" })
      yield* isServed

      assert.strictEqual(yield* prints("deny", "list"), "no denied sources")
      assert.strictEqual(yield* prints("deny", "add", "127.0.0.1"), "127.0.0.1 denied")
      assert.strictEqual(yield* prints("deny", "list"), "Source\n127.0.0.1")
      yield* isRefused("source-denied 1, rule-denied 1")
      assert.strictEqual(yield* prints("deny", "remove", "127.0.0.1"), "127.0.0.1 no longer denied")
      yield* isServed
    }))
})
