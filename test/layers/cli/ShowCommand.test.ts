/** `sluice show`, asked of hosts that run. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Path from "node:path"
import * as Report from "../../../src/domain/report/Report.ts"
import * as Cli from "../../support/Cli.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const echo = Cli.fixture("echo")

describe("sluice show", () => {
  it.live("says what to do when no host answers", () =>
    Effect.gen(function*() {
      const path = Path.join(yield* TempDirectory.make, "none.sock")
      const says = `no host answers on ${path}; start one with: sluice serve`
      yield* Cli.fails(["show", "app", "--control", path], { code: 1, says })
      yield* Cli.fails(["show", "app"], { code: 1, says }, { env: { SLUICE_CONTROL: path } })
    }))

  it.live("W21 has a table for each thing, of a host that does nothing yet", () =>
    Effect.gen(function*() {
      const { control, port } = yield* Cli.serve([echo])
      const uri = `tcp://127.0.0.1:${port}`
      const prints = (...args: ReadonlyArray<string>) => Cli.prints(control, "show", ...args)
      assert.match(yield* prints("app", "echo"), /^App +Name +Client +Namespace\n0 +echo +- +default\n/)
      assert.match(yield* prints("listeners"), new RegExp(`\n0\\.0 +${uri} +echo +global +0-1 `))
      assert.strictEqual(yield* prints("sessions"), "no sessions")
      assert.strictEqual(yield* prints("connects"), "no connects")
      assert.strictEqual(yield* prints("local"), "no local listeners\n\nno local sessions\n\nno local connects")
      assert.match(yield* prints("segments"), /^App .*\necho +0 +0 +listener \S+ +1 +4 MiB/)
      assert.match(yield* prints("mq", "--verbose"), /^echo, worker 0 \(0\.0\), not congested/)
      const [app, segments, queues] = yield* Effect.all([
        Cli.jsonOf(Report.AppReport, control, "show", "app", "0"),
        Cli.jsonOf(Schema.Array(Report.SegmentManagerReport), control, "show", "segments"),
        Cli.jsonOf(Schema.Array(Report.QueueReport), control, "show", "mq")
      ])
      assert.strictEqual(app.listeners[0]?.endpoint, uri)
      assert.deepStrictEqual([segments, queues].map((rows) => rows.map(({ worker }) => worker)), [[0, 1], [0, 1]])
      yield* Cli.fails(["show", "app", "other", "--control", control], { code: 1, says: "no application other" })
    }))

  it.live("W21 shows the sessions that all filters let pass", () =>
    Effect.gen(function*() {
      const { control, port } = yield* Cli.serve([echo, "--in-process", "--workers", "1"])
      const sockets = [yield* TcpClient.connect(port), yield* TcpClient.connect(port)]
      for (const socket of sockets) assert.strictEqual(yield* TcpClient.echoed(socket, "hello"), "hello")
      const [first = 0, second = 0] = sockets.map((socket) => socket.localPort)
      const remotes = Effect.fnUntraced(function*(...filters: ReadonlyArray<string>) {
        const { sessions, total } = yield* Cli.jsonOf(Report.SessionsReport, control, "show", "sessions", ...filters)
        assert.isAtLeast(total!, sessions.length)
        return sessions.map(({ remote }) => remote).sort()
      })
      const both = [first, second].map((port) => `tcp://127.0.0.1:${port}`).sort()
      assert.deepStrictEqual(yield* remotes("--app", "echo", "--local", "127.0.0.1", "--state", "READY"), both)
      assert.deepStrictEqual(yield* remotes("--worker", "0.0", "--remote", `127.0.0.1:${second}`), [
        `tcp://127.0.0.1:${second}`
      ])
      assert.deepStrictEqual(yield* remotes("--transport", "local"), [])
      assert.strictEqual((yield* remotes("--limit", "1")).length, 1)
      assert.match(
        yield* Cli.prints(control, "show", "sessions", "--limit", "1"),
        /\n\n1 of 2 sessions; --limit shows more$/
      )
      // sorted are all of them, and not only those that are shown
      const oldest = yield* Cli.jsonOf(
        Report.SessionsReport,
        control,
        "show",
        "sessions",
        "--sort",
        "age",
        "--limit",
        "1"
      )
      assert.deepStrictEqual(oldest.sessions.map(({ remote }) => remote), [`tcp://127.0.0.1:${first}`])
      const sorted = ["--sort", "age", "--after", oldest.next!]
      assert.deepStrictEqual(yield* remotes(...sorted), [`tcp://127.0.0.1:${second}`])
      assert.deepStrictEqual(yield* remotes("--sort", "age", "--reversed", "--limit", "1"), [
        `tcp://127.0.0.1:${second}`
      ])
      const [{ listener }] = oldest.sessions as [Report.SessionReport]
      assert.deepStrictEqual(yield* remotes("--listener", listener!, "--search", `:${second}`), [
        `tcp://127.0.0.1:${second}`
      ])
      const refused = (filter: string, value: string, says: string) =>
        Cli.fails(["show", "sessions", filter, value, "--control", control], { code: 1, says })
      yield* refused("--app", "other", "no application other")
      yield* refused("--worker", "0.9", "no worker 0.9")
      yield* refused(
        "--after",
        "in:0:5",
        "\"in:0:5\" is not where a page in this order ends: take the \"next\" of one that has the same sort"
      )
    }))

  it.live("refuses filters that are none", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [
          ["--local", "a b"],
          /^sluice: --local: got "a b"; it must be a host, a host and a port, or/
        ],
        [["--remote", ":80"], /^sluice: --remote: got ":80"/],
        [["--worker", "one"], /^sluice: --worker: got "one"; it must be a worker's number/],
        [["--state", "OPEN"], /^sluice: --state: got "OPEN"/],
        [["--sort", "size"], /^sluice: --sort: got "size"/],
        [["--listener", "1"], /^sluice: --listener: got "1"; it must be a listener's handle/],
        [["--limit", "0"], /^sluice: --limit: got "0"/]
      ]
      for (const [args, says] of bad) yield* Cli.fails(["show", "sessions", ...args], { code: 2, says })
    }))
})
