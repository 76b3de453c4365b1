import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Report from "../src/domain/report/Report.ts"
import { version } from "../src/domain/report/Version.ts"
import * as Cli from "./support/Cli.ts"
import * as TempDirectory from "./support/TempDirectory.ts"

/** A failure: its code, one line on stderr that says all, and nothing else. */
const fails = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  expected: { readonly code: 1 | 2; readonly says: string | RegExp },
  options?: Cli.Options
) {
  const { code, signal, stderr, stdout } = yield* Cli.run(args, options)
  assert.deepStrictEqual({ code, signal, stdout }, { code: expected.code, signal: null, stdout: "" }, stderr)
  const lines = stderr.trimEnd().split("\n")
  const line = lines.find((line) => line.startsWith("sluice: ")) ?? stderr
  if (typeof expected.says === "string") assert.strictEqual(line, `sluice: ${expected.says}`)
  else assert.match(line, expected.says)
  assert.notInclude(stderr, "    at ")
  return lines
})

const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port }, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const echoed = (socket: Net.Socket, text: string) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const onData = (chunk: Buffer) => {
      answer += chunk.toString()
      if (answer.length < text.length) return
      socket.off("data", onData)
      resume(Effect.succeed(answer))
    }
    socket.on("data", onData)
    socket.write(text)
  })

const show = (control: string, ...args: ReadonlyArray<string>) =>
  Cli.run(["show", "app", "--control", control, ...args])

const reportOf = Effect.fnUntraced(function*(control: string) {
  const { stdout } = yield* show(control, "--json")
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Report.HostReport))(stdout)
})

/** That a signal ends a host in good order: with 0, and with its socket gone. */
const endsInGoodOrder = Effect.fnUntraced(function*(serving: Cli.Serving, signal: NodeJS.Signals) {
  yield* serving.kill(signal)
  const { code, stderr } = yield* serving.result
  assert.strictEqual(code, 0, stderr)
  assert.isFalse(Fs.existsSync(serving.control))
})

describe("sluice", () => {
  it.live("says what it can do", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* Cli.run(["--help"])
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
      assert.match(stdout, /serve +Serve an application/)
      assert.match(stdout, /show +Look into a running host/)
      assert.strictEqual((yield* Cli.run([])).stdout, stdout)
    }))

  it.live("says which version it is", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* Cli.run(["--version"])
      assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: `sluice v${version}\n` })
    }))

  it.live("explains each setting of serve", () =>
    Effect.gen(function*() {
      const { stdout } = yield* Cli.run(["serve", "--help"])
      for (const flag of ["--listen <uri>", "--workers <number>", "--in-process", "--rx-fifo-size <size>"]) {
        assert.include(stdout, flag)
      }
      assert.match(stdout, /--revoke-after <time> .*default: 5 ms/)
    }))

  it.live("refuses a subcommand that it does not know", () =>
    Effect.gen(function*() {
      yield* fails(["srve"], {
        code: 2,
        says: "Unknown subcommand \"srve\" for \"sluice\"; did you mean serve? (see: sluice --help)"
      })
      yield* fails(["show", "nothing"], {
        code: 2,
        says: "Unknown subcommand \"nothing\" for \"sluice show\" (see: sluice show --help)"
      })
    }))

  it.live("refuses a flag that it does not know, and one without its value", () =>
    Effect.gen(function*() {
      yield* fails(["serve", "--wrokers", "2"], {
        code: 2,
        says: "Unrecognized flag: --wrokers in command sluice serve; did you mean --workers? (see: sluice serve --help)"
      })
      yield* fails(["serve", "--listen"], { code: 2, says: /^sluice: Missing value for flag --listen/ })
    }))
})

describe("sluice show app", () => {
  it.live("says what to do when no host answers", () =>
    Effect.gen(function*() {
      const path = Path.join(yield* TempDirectory.make, "none.sock")
      const says = `no host answers on ${path}; start one with: sluice serve`
      yield* fails(["show", "app", "--control", path], { code: 1, says })
      yield* fails(["show", "app"], { code: 1, says }, { env: { SLUICE_CONTROL: path } })
    }))
})

/** What a command of a host's prints, if it succeeds. */
const prints = Effect.fnUntraced(function*(control: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* Cli.run([...args, "--control", control])
  assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" }, args.join(" "))
  return stdout.trimEnd()
})

const jsonOf = <A>(schema: Schema.Codec<A>, control: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(prints(control, ...args, "--json"), Schema.decodeUnknownEffect(Schema.fromJsonString(schema)))

/** How a connection ends, or has ended. */
const endOf = (socket: Net.Socket) =>
  Effect.callback<string>((resume) => {
    const over = () => resume(Effect.succeed((socket.errored as NodeJS.ErrnoException | null)?.code ?? "closed"))
    socket.on("error", () => {})
    if (socket.closed) return over()
    socket.on("close", over).resume()
  })

describe("sluice show", () => {
  it.live("W21 has a table for each thing, of a host that does nothing yet", () =>
    Effect.gen(function*() {
      const { control, port } = yield* Cli.serve([Cli.fixture("echo")])
      const uri = `tcp://127.0.0.1:${port}`
      assert.match(
        yield* prints(control, "show", "app", "echo"),
        /^App +Name +Client +Namespace\n0 +echo +- +default\n/
      )
      assert.match(yield* prints(control, "show", "listeners"), new RegExp(`\n0\\.0 +${uri} +echo +global +0-1 `))
      assert.strictEqual(yield* prints(control, "show", "sessions"), "no sessions")
      assert.strictEqual(yield* prints(control, "show", "connects"), "no connects")
      assert.strictEqual(
        yield* prints(control, "show", "local"),
        "no local listeners\n\nno local sessions\n\nno local connects"
      )
      assert.match(yield* prints(control, "show", "segments"), /^App .*\necho +0 +0 +listener \S+ +1 +4 MiB/)
      assert.match(yield* prints(control, "show", "mq", "--verbose"), /^echo, worker 0 \(0\.0\), not congested/)
      const [app, segments, queues] = yield* Effect.all([
        jsonOf(Report.AppReport, control, "show", "app", "0"),
        jsonOf(Schema.Array(Report.SegmentManagerReport), control, "show", "segments"),
        jsonOf(Schema.Array(Report.QueueReport), control, "show", "mq")
      ])
      assert.strictEqual(app.listeners[0]?.endpoint, uri)
      assert.deepStrictEqual([segments, queues].map((rows) => rows.map(({ worker }) => worker)), [[0, 1], [0, 1]])
    }))

  it.live("W21 cuts nothing where it prints to no terminal", () =>
    Effect.gen(function*() {
      const name = "an-application-whose-name-takes-more-columns-than-a-terminal-has"
      const { control, port } = yield* Cli.serve([Cli.fixture("echo"), "--name", name, "--workers", "1"])
      yield* echoed(yield* connect(port), "hello")
      assert.match(yield* prints(control, "show", "app"), new RegExp(`^0 +${name} +- +default$`, "m"))
      assert.match(
        yield* prints(control, "show", "sessions"),
        new RegExp(`^\\S+ +${name} +0 +READY +tcp://127\\.0\\.0\\.1:${port} +tcp://127\\.0\\.0\\.1:\\d+ +\\d.*$`, "m")
      )
      const tag = "a tag whose words take more columns than are left in this table"
      yield* prints(control, "rules", "add", "--action", "deny", "--remote", "192.0.2.0/24", "--tag", tag)
      assert.include(yield* prints(control, "rules", "list"), tag)
    }))

  it.live("W21 shows the sessions that all filters let pass", () =>
    Effect.gen(function*() {
      const { control, port } = yield* Cli.serve([Cli.fixture("echo"), "--workers", "1"])
      const sockets = [yield* connect(port), yield* connect(port)]
      for (const socket of sockets) assert.strictEqual(yield* echoed(socket, "hello"), "hello")
      const [first = 0, second = 0] = sockets.map((socket) => socket.localPort)
      const remotes = Effect.fnUntraced(function*(...filters: ReadonlyArray<string>) {
        const { sessions, total } = yield* jsonOf(Report.SessionsReport, control, "show", "sessions", ...filters)
        assert.isAtLeast(total, sessions.length)
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
        yield* prints(control, "show", "sessions", "--limit", "1"),
        /\n\n1 of 2 sessions; --limit shows more$/
      )
      yield* fails(["show", "sessions", "--app", "other", "--control", control], {
        code: 1,
        says: "no application other"
      })
      yield* fails(["show", "sessions", "--worker", "0.9", "--control", control], { code: 1, says: "no worker 0.9" })
    }))

  it.live("says when there is no such app", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([Cli.fixture("echo")])
      yield* fails(["show", "app", "other", "--control", control], { code: 1, says: "no application other" })
    }))

  it.live("refuses filters that are none", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [
          ["--local", "a b"],
          /^sluice: Invalid value for flag --local: "a b"\. Expected: a host, a host and a port, or/
        ],
        [["--remote", ":80"], /^sluice: Invalid value for flag --remote: ":80"/],
        [["--worker", "one"], /^sluice: Invalid value for flag --worker: "one"\. Expected: a worker's number/],
        [["--state", "OPEN"], /^sluice: Invalid value for flag --state/],
        [["--limit", "0"], /^sluice: Invalid value for flag --limit/]
      ]
      for (const [args, says] of bad) yield* fails(["show", "sessions", ...args], { code: 2, says })
    }))
})

describe("sluice at run time", () => {
  it.live("says what to do when no host answers", () =>
    Effect.gen(function*() {
      const path = Path.join(yield* TempDirectory.make, "none.sock")
      const says = `no host answers on ${path}; start one with: sluice serve`
      for (const args of [["worker", "delete", "1.0"], ["rules", "list"], ["app", "detach", "echo"]]) {
        yield* fails([...args, "--control", path], { code: 1, says })
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
        yield* fails(args, {
          code: 2,
          says: /^sluice: Invalid value for argument <.*Expected: a handle such as "12\.3"/
        })
      }
      yield* fails(["deny", "add", "10.0.0.1/8"], {
        code: 2,
        says: /argument <prefix>: .* Expected: 10\.0\.0\.0\/8, or/
      })
      yield* fails(["rules", "add", "--action", "perhaps"], {
        code: 2,
        says: /flag --action: "perhaps"\. Expected: "allow"/
      })
      yield* fails(["rules", "add"], { code: 2, says: /^sluice: Missing required flag: --action/ })
    }))

  it.live("W11 adds, restarts and deletes workers", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([Cli.fixture("echo"), "--workers", "1"])
      const workers = Effect.map(jsonOf(Report.AppReport, control, "show", "app", "echo"), ({ listeners, workers }) => [
        ...workers.map(({ handle, kind, state }) => `${handle} ${kind} ${state}`),
        ...listeners.map(({ workers }) => workers.join())
      ])
      assert.strictEqual(yield* prints(control, "worker", "add", "echo"), "worker 1.0 added to echo: number 1, thread")
      assert.match(yield* prints(control, "worker", "add", "0", "--kind", "in-process", "--json"), /"handle": "2\.0"/)
      assert.deepStrictEqual(yield* workers, [
        "0.0 thread RUNNING",
        "1.0 thread RUNNING",
        "2.0 in-process RUNNING",
        "0,1,2"
      ])
      assert.strictEqual(yield* prints(control, "worker", "restart", "1.0"), "worker 1.0 restarted")
      assert.strictEqual(yield* prints(control, "worker", "delete", "1.0", "--now"), "worker 1.0 deleted")
      assert.deepStrictEqual(yield* workers, ["0.0 thread RUNNING", "2.0 in-process RUNNING", "0,2"])
      yield* fails(["worker", "delete", "1.0", "--control", control], {
        code: 1,
        says: "can't delete the worker: no worker 1.0"
      })
      yield* fails(["worker", "delete", "0.0", "--control", control], {
        code: 1,
        says: /^sluice: can't delete the worker: the default worker of echo can't be deleted while others live/
      })
      yield* fails(["worker", "add", "other", "--control", control], { code: 1, says: "no application other" })
    }))

  it.live("closes and resets sessions, closes listeners, and detaches apps", () =>
    Effect.gen(function*() {
      const { control, port } = yield* Cli.serve([Cli.fixture("echo"), "--workers", "1"])
      const open = Effect.fnUntraced(function*() {
        const socket = yield* connect(port)
        assert.strictEqual(yield* echoed(socket, "hello"), "hello")
        const remote = `tcp://127.0.0.1:${socket.localPort}`
        const { sessions } = yield* jsonOf(Report.SessionsReport, control, "show", "sessions", "--remote", remote)
        return { socket, handle: sessions[0]!.handle }
      })
      const closed = yield* open()
      assert.strictEqual(
        yield* prints(control, "session", "close", closed.handle),
        `session ${closed.handle} is closing`
      )
      assert.strictEqual(yield* endOf(closed.socket), "closed")
      const reset = yield* open()
      assert.strictEqual(yield* prints(control, "session", "reset", reset.handle), `session ${reset.handle} reset`)
      assert.strictEqual(yield* endOf(reset.socket), "ECONNRESET")
      yield* fails(["session", "reset", closed.handle, "--control", control], {
        code: 1,
        says: `no session ${closed.handle}`
      })

      const last = yield* open()
      const [listener] = yield* jsonOf(Schema.Array(Report.ListenerReport), control, "show", "listeners")
      assert.strictEqual(
        yield* prints(control, "listener", "close", listener!.handle),
        `listener ${listener!.handle} closed`
      )
      yield* fails(["listener", "close", listener!.handle, "--control", control], {
        code: 1,
        says: `no listener ${listener!.handle}`
      })
      assert.strictEqual(yield* prints(control, "show", "listeners"), "no active listeners")
      const late = Net.connect({ host: "127.0.0.1", port })
      assert.strictEqual(yield* endOf(late), "ECONNREFUSED")
      assert.strictEqual(yield* echoed(last.socket, "still there"), "still there")

      yield* fails(["app", "detach", "echo\u001b[31m", "--control", control], {
        code: 1,
        says: "no application echo [31m"
      })
      assert.strictEqual(yield* prints(control, "app", "detach", "echo"), "application echo detached")
      assert.strictEqual(yield* endOf(last.socket), "ECONNRESET")
    }))

  for (
    const [how, args] of [["detached", ["app", "detach", "echo"]], ["deleted", ["worker", "delete", "0.0"]]] as const
  ) {
    it.live(`ends by itself, and says why, when its application is ${how}`, () =>
      Effect.gen(function*() {
        const { control, result } = yield* Cli.serve([Cli.fixture("echo"), "--workers", "1"])
        yield* prints(control, ...args)
        const { code, stderr } = yield* result
        assert.strictEqual(code, 0, stderr)
        assert.match(stderr, /echo is detached: there is nothing left to serve\n$/)
        assert.isFalse(Fs.existsSync(control))
      }))
  }

  it.live("denies connections by rule and by source, until it is told not to", () =>
    Effect.gen(function*() {
      const { control, port } = yield* Cli.serve([Cli.fixture("echo"), "--workers", "1"])
      const refused = Effect.fnUntraced(function*(reason: string) {
        const socket = Net.connect({ host: "127.0.0.1", port })
        assert.strictEqual(yield* endOf(socket), "ECONNRESET", reason)
        assert.include(yield* prints(control, "show", "listeners"), `\n  ${reason}`)
      })
      assert.strictEqual(yield* prints(control, "rules", "list"), "no session rules")
      assert.strictEqual(
        yield* prints(control, "rules", "add", "--action", "deny", "--on", "accept", "--remote", "127.0.0.0/8"),
        "rule 0.0 added"
      )
      assert.match(
        yield* prints(control, "rules", "list"),
        /^Rule +On .*\n0\.0 +accept +any +127\.0\.0\.0\/8 +deny +- +-$/
      )
      yield* refused("rule-denied 1")
      assert.strictEqual(yield* prints(control, "rules", "remove", "0.0"), "rule 0.0 removed")
      yield* fails(["rules", "remove", "0.0", "--control", control], { code: 1, says: "no rule 0.0" })
      assert.strictEqual(yield* echoed(yield* connect(port), "hello"), "hello")

      assert.strictEqual(yield* prints(control, "deny", "list"), "no denied sources")
      assert.strictEqual(yield* prints(control, "deny", "add", "127.0.0.1"), "127.0.0.1 denied")
      assert.strictEqual(yield* prints(control, "deny", "list"), "Source\n127.0.0.1")
      yield* refused("source-denied 1, rule-denied 1")
      assert.strictEqual(yield* prints(control, "deny", "remove", "127.0.0.1"), "127.0.0.1 denied no more")
      assert.strictEqual(yield* echoed(yield* connect(port), "hello"), "hello")
    }))
})

describe("sluice serve refuses", () => {
  const bad: ReadonlyArray<readonly [string, ReadonlyArray<string>, string | RegExp]> = [
    [
      "a URI that is none",
      ["--listen", "localhost:80"],
      /^sluice: --listen: endpoint "localhost:80": it must start with/
    ],
    [
      "a transport that it does not have",
      ["--listen", "quic://127.0.0.1:53"],
      /^sluice: --listen: .*'quic'/
    ],
    ["a number that is none", ["--workers", "two"], "--workers: got \"two\"; it must be a whole number from 1 to 256"],
    [
      "a unit that is none",
      ["--revoke-after", "5 parsecs"],
      /^sluice: --revoke-after: got "5 parsecs"; it must be a time/
    ],
    ["a file that is not there", ["--config", "none.json"], "configuration file none.json does not exist"]
  ]
  for (const [what, args, says] of bad) {
    it.live(what, () => fails(["serve", ...args], { code: 2, says }))
  }

  it.live("a bad variable, by its name", () =>
    fails(["serve"], {
      code: 2,
      says: "SLUICE_WORKERS: got \"two\"; it must be a whole number from 1 to 256"
    }, { env: { SLUICE_WORKERS: "two" } }))

  it.live("an unknown key of the file, by its name", () =>
    Effect.gen(function*() {
      const file = Path.join(yield* TempDirectory.make, "sluice.json")
      Fs.writeFileSync(file, `{ "wrokers": 2 }`)
      const says = `wrokers in ${file}: there is no such setting; did you mean workers?`
      yield* fails(["serve", "--config", file], { code: 2, says })
    }))

  it.live("a module that does not exist, or is no file", () =>
    Effect.gen(function*() {
      yield* fails(["serve", "./none.ts"], { code: 1, says: "app module ./none.ts does not exist" })
      yield* fails(["serve", "."], { code: 1, says: "app module . is not a file" })
    }))

  for (const mode of [[], ["--in-process"]]) {
    const how = mode.length === 0 ? "thread" : "in-process"
    it.live(`a module that throws, fails to start, or is no app (${how} workers)`, () =>
      Effect.gen(function*() {
        yield* fails(["serve", Cli.fixture("throws"), ...mode], { code: 1, says: /the moon is in the wrong phase/ })
        yield* fails(["serve", Cli.fixture("fails"), ...mode], { code: 1, says: /no such database/ })
        yield* fails(["serve", Cli.fixture("no-app"), ...mode], {
          code: 1,
          says: /no-app\.ts exports something else as its default; export as its default an Effect Layer/
        })
      }))
  }

  it.live("a port in use, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const port = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      ).pipe(Effect.map((server) => (server.address() as Net.AddressInfo).port))
      const uri = `tcp://127.0.0.1:${port}`
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      yield* fails(["serve", Cli.fixture("echo"), "--listen", uri, "--control", control], {
        code: 1,
        says: new RegExp(`can't listen on ${uri}: another program listens there`)
      })
      assert.isFalse(Fs.existsSync(control))
    }))

  it.live("a control socket on which a host answers", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([Cli.fixture("echo")])
      yield* fails(["serve", Cli.fixture("echo"), "--control", control], {
        code: 1,
        says: `a host already answers on ${control}; give another path with --control`
      })
    }))
})

describe("sluice serve", () => {
  it.live("serves a module, says so in one line, and shows it", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve([Cli.fixture("echo")])
      const { control, line, port } = serving
      assert.strictEqual(
        line,
        `sluice: echo listening on tcp://127.0.0.1:${port} (2 thread workers), control at ${control}`
      )
      const socket = yield* connect(port)
      assert.strictEqual(yield* echoed(socket, "hello"), "hello")

      const plain = yield* show(control)
      assert.strictEqual(plain.code, 0, plain.stderr)
      assert.match(plain.stdout, /^0 +echo +- +default$/m)
      assert.match(plain.stdout, new RegExp(`^ +0\\.0 +tcp://127\\.0\\.0\\.1:${port} +0-1 +1 +0 +0$`, "m"))
      assert.match((yield* show(control, "--verbose")).stdout, /^ +queues +index 0\/2048/m)
      const report = yield* reportOf(control)
      assert.strictEqual(report.version, version)
      assert.strictEqual(report.sessions, 1)
      assert.deepStrictEqual(report.imbalances, [])

      socket.destroy()
      yield* endsInGoodOrder(serving, "SIGTERM")
      assert.strictEqual((yield* serving.result).stdout, `${line}\n`)
    }))

  it.live("takes flags before the environment before the file", () =>
    Effect.gen(function*() {
      const file = Path.join(yield* TempDirectory.make, "sluice.json")
      Fs.writeFileSync(file, JSON.stringify({ workers: 3, name: "from-file", rxFifoSize: "8KiB" }))
      const { control, line } = yield* Cli.serve([
        Cli.fixture("echo"),
        "--config",
        file,
        "--in-process",
        "--workers",
        "1"
      ], {
        env: { SLUICE_WORKERS: "2", SLUICE_NAME: "from-environment" }
      })
      assert.match(line, /^sluice: from-environment listening on .* \(1 in-process worker\), control at /)
      const { apps: [app] } = yield* reportOf(control)
      assert.strictEqual(app?.rxFifoSize, 8192)
      assert.deepStrictEqual(app?.workers.map(({ kind }) => kind), ["in-process"])
    }))

  it.live("runs an app that listens on nothing", () =>
    Effect.gen(function*() {
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      const running = yield* Cli.start(["serve", Cli.fixture("listens-nowhere"), "--control", control])
      yield* running.printed("stderr", /listens-nowhere runs and listens on nothing/)
      assert.match((yield* show(control)).stdout, /no active listeners/)
      yield* running.kill("SIGINT")
      const { code, stdout } = yield* running.result
      assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: "" })
    }))

  it.live("serves a small HTTP service without a module", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve()
      assert.match(serving.line, /^sluice: http listening on /)
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${serving.port}/whoami`))
      assert.strictEqual(response.status, 200)
      assert.match(yield* Effect.promise(() => response.text()), /worker/)
      yield* endsInGoodOrder(serving, "SIGINT")
    }))

  it.live("lets a session end that is open when a signal comes, and takes no others", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve([Cli.fixture("echo")])
      const socket = yield* connect(serving.port)
      assert.strictEqual(yield* echoed(socket, "before"), "before")
      yield* serving.kill("SIGTERM")
      yield* serving.printed("stderr", /SIGTERM: stopping/)
      assert.strictEqual(yield* echoed(socket, "after"), "after")
      const { draining, sessions } = yield* reportOf(serving.control)
      assert.deepStrictEqual({ draining, sessions }, { draining: true, sessions: 1 })
      const refused = yield* Effect.callback<string | undefined>((resume) => {
        const late = Net.connect({ host: "127.0.0.1", port: serving.port })
        late.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code)))
        late.on("connect", () => resume(Effect.succeed("connected")))
        return Effect.sync(() => late.destroy())
      })
      assert.strictEqual(refused, "ECONNREFUSED")
      socket.end()
      const { code, stderr } = yield* serving.result
      assert.strictEqual(code, 0, stderr)
    }))

  it.live("does not wait for HTTP clients that have nothing under way", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve(["--drain-timeout", "1 h"])
      const idle = yield* connect(serving.port)
      const answered = new Promise((resolve) => idle.once("data", resolve))
      idle.write("GET /whoami HTTP/1.1\r\nhost: x\r\n\r\n")
      yield* Effect.promise(() => answered)
      const silent = yield* connect(serving.port)
      yield* serving.kill("SIGTERM")
      assert.strictEqual(yield* endOf(idle), "closed")
      assert.strictEqual(yield* endOf(silent), "closed")
      assert.strictEqual((yield* serving.result).code, 0)
    }))

  it.live("waits for sessions no longer than the drain timeout", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve([Cli.fixture("echo"), "--drain-timeout", "50ms"])
      const socket = yield* connect(serving.port)
      assert.strictEqual(yield* echoed(socket, "hello"), "hello")
      yield* endsInGoodOrder(serving, "SIGTERM")
    }))

  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    it.live(`ends at once at a second ${signal}, with ${code}`, () =>
      Effect.gen(function*() {
        const serving = yield* Cli.serve([Cli.fixture("echo"), "--drain-timeout", "1 h"])
        const socket = yield* connect(serving.port)
        assert.strictEqual(yield* echoed(socket, "hello"), "hello")
        yield* serving.kill(signal)
        yield* serving.printed("stderr", new RegExp(`${signal}: stopping`))
        yield* serving.kill(signal)
        const result = yield* serving.result
        assert.deepStrictEqual({ code: result.code, signal: result.signal }, { code, signal: null })
      }))
  }
})
