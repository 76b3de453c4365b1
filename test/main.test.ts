/** The `sluice` command as a process: what only a process has, which is arguments, streams, signals and an exit code. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import * as Report from "../src/domain/report/Report.ts"
import { version } from "../src/domain/report/Version.ts"
import * as Signals from "../src/layers/cli/Signals.ts"
import * as Cli from "./support/Cli.ts"
import * as CliProcess from "./support/CliProcess.ts"
import { has } from "./support/programs.ts"
import { control as findControl, root } from "./support/serving.ts"
import * as TcpClient from "./support/TcpClient.ts"
import * as TempDirectory from "./support/TempDirectory.ts"

const main = Path.join(root, "src/main.ts")
const echo = CliProcess.fixture("echo")

/** What a command prints as a process, if it succeeds. */
const prints = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const { code, signal, stderr, stdout } = yield* CliProcess.run(args)
  assert.deepStrictEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" }, args.join(" "))
  return stdout
})

/** Milliseconds for which a process of Linux has used a processor. */
const cpuMillis = (pid: number | undefined): number => {
  const [, , ...rest] = Fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(/\) | /)
  return 10 * (Number(rest[11]) + Number(rest[12]))
}

describe("sluice as a process", () => {
  it.live("prints what it can do, the whole of it, into a pipe", () =>
    Effect.gen(function*() {
      const help = yield* prints("--help")
      assert.match(help, /serve +Serve an application/)
      assert.match(help, /show +Look into a running host/)
      assert.strictEqual((yield* Cli.run([])).stdout, help)
    }))

  it.live("ends with 2 when it is called wrongly", () =>
    Effect.gen(function*() {
      const result = yield* CliProcess.run(["srve"])
      assert.isNull(result.signal)
      Cli.saysWhy(result, {
        code: 2,
        says: "Unknown subcommand \"srve\" for \"sluice\"; did you mean serve? (see: sluice --help)"
      })
    }))

  it.live("ends with 1, and leaves no thread behind, when its application's module throws", () =>
    Effect.gen(function*() {
      const result = yield* CliProcess.run(["serve", CliProcess.fixture("throws")])
      assert.isNull(result.signal)
      Cli.saysWhy(result, { code: 1, says: /the moon is in the wrong phase/ })
    }))

  it.live("W21 cuts nothing where it prints to no terminal", () =>
    Effect.gen(function*() {
      const name = "an-application-whose-name-takes-more-columns-than-a-terminal-has"
      const { control, port } = yield* Cli.serve([echo, "--name", name, "--workers", "1"])
      yield* TcpClient.echoed(yield* TcpClient.connect(port), "hello")
      const tag = "a tag whose words take more columns than are left in this table"
      yield* Cli.prints(control, "rules", "add", "--action", "deny", "--remote", "192.0.2.0/24", "--tag", tag)
      const [app, sessions, rules] = yield* Effect.all([
        prints("show", "app", "--control", control),
        prints("show", "sessions", "--control", control),
        prints("rules", "list", "--control", control)
      ])
      assert.match(app, new RegExp(`^0 +${name} +- +default$`, "m"))
      assert.match(
        sessions,
        new RegExp(`^\\S+ +${name} +0 +READY +tcp://127\\.0\\.0\\.1:${port} +tcp://127\\.0\\.0\\.1:\\d+ +\\d.*$`, "m")
      )
      assert.include(rules, tag)
    }))

  it.live("serves a module, says so in one line, is shown, and ends in good order at a signal", () =>
    Effect.gen(function*() {
      const serving = yield* CliProcess.serve([echo])
      const { control, line, port } = serving
      assert.strictEqual(
        line,
        `sluice: echo listening on tcp://127.0.0.1:${port} (2 thread workers), control at ${control}`
      )
      const socket = yield* TcpClient.connect(port)
      assert.strictEqual(yield* TcpClient.echoed(socket, "hello"), "hello")

      const plain = yield* Cli.prints(control, "show", "app")
      assert.match(plain, /^0 +echo +- +default$/m)
      assert.match(plain, new RegExp(`^ +0\\.0 +tcp://127\\.0\\.0\\.1:${port} +0-1 +1 +0 +0$`, "m"))
      assert.match(yield* Cli.prints(control, "show", "app", "--verbose"), /^ +queues +index 0\/2048/m)
      const report = yield* Cli.jsonOf(Report.HostReport, control, "show", "app")
      assert.strictEqual(report.version, version)
      assert.strictEqual(report.sessions, 1)
      assert.deepStrictEqual(report.imbalances, [])

      socket.destroy()
      yield* serving.kill("SIGTERM")
      const { code, stderr, stdout } = yield* serving.result
      assert.strictEqual(code, 0, stderr)
      assert.isFalse(Fs.existsSync(control))
      assert.strictEqual(stdout, `${line}\n`)
    }))

  it.live("has workers with the flags of its process", () =>
    Effect.gen(function*() {
      const { port } = yield* CliProcess.serve([CliProcess.fixture("flags"), "--workers", "1"], {
        flags: ["--max-http-header-size=4321", "--import", "data:text/javascript,globalThis.preloaded=true"],
        env: { NODE_OPTIONS: "--disable-warning=ExperimentalWarning" }
      })
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`))
      assert.deepStrictEqual(yield* Effect.promise(() => response.json()), [4321, true])
    }))

  it.live("takes flags before the environment before the file", () =>
    Effect.gen(function*() {
      const file = Path.join(yield* TempDirectory.make, "sluice.json")
      Fs.writeFileSync(file, JSON.stringify({ workers: 3, name: "from-file", rxFifoSize: "8KiB" }))
      const { control, line } = yield* CliProcess.serve([echo, "--config", file, "--in-process", "--workers", "1"], {
        env: { SLUICE_WORKERS: "2", SLUICE_NAME: "from-environment" }
      })
      assert.match(line, /^sluice: from-environment listening on .* \(1 in-process worker\), control at /)
      const { apps: [app] } = yield* Cli.jsonOf(Report.HostReport, control, "show", "app")
      assert.strictEqual(app?.rxFifoSize, 8192)
      assert.deepStrictEqual(app?.workers.map(({ kind }) => kind), ["in-process"])
    }))

  it.live("serves on when nobody reads what it prints: a log line is lost, and nothing else", () =>
    Effect.gen(function*() {
      const { control, kill, port, result, unread } = yield* CliProcess.serve([CliProcess.fixture("misbehaving")])
      yield* unread
      // each death of a worker is logged
      for (const died of [1, 2]) {
        const socket = yield* TcpClient.connect(port)
        socket.write("throw\n")
        assert.strictEqual(yield* TcpClient.endOf(socket), "ECONNRESET", `death ${died}`)
      }
      const socket = yield* TcpClient.connect(port)
      assert.strictEqual(yield* TcpClient.echoed(socket, "hello\n"), "hello\n")
      const { apps: [app] } = yield* Cli.jsonOf(Report.HostReport, control, "show", "app")
      assert.isAtLeast(app!.workers.reduce((sum, { restarts }) => sum + restarts, 0), 1)
      // a drain would wait for it
      socket.destroy()
      yield* kill("SIGTERM")
      const { code, signal } = yield* result
      assert.deepStrictEqual({ code, signal }, { code: 0, signal: null })
    }))

  for (
    const [what, redirections] of [
      ["its log goes to a disk that is full", "2>/dev/full"],
      ["its standard output and error are closed", ">&- 2>&-"]
    ] as const
  ) {
    it.live.runIf(Fs.existsSync("/dev/full"))(`serves on, and is idle, when ${what}`, () =>
      Effect.gen(function*() {
        const control = findControl()
        const args = ["serve", echo, "--workers", "1", "--listen", "tcp://127.0.0.1:0", "--control", control]
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => spawn("sh", ["-c", `exec "$0" "$@" ${redirections}`, process.execPath, main, ...args])),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
        const asked = Cli.run(["show", "app", "--control", control])
        yield* Effect.repeat(asked, { until: ({ stdout }) => stdout.includes("tcp://127.0.0.1:") })
        // one that tries again and again to write never has such a while
        let used = Infinity
        for (let tries = 0; used > 50; tries++) {
          assert.isBelow(tries, 50)
          const before = cpuMillis(child.pid)
          yield* Effect.sleep(200)
          used = cpuMillis(child.pid) - before
        }
        yield* Cli.prints(control, "worker", "add", "echo")
        child.kill("SIGTERM")
        assert.strictEqual(yield* Effect.promise(() => ended), 0)
      }))
  }

  it.runIf(Fs.existsSync("/dev/full"))(
    "ends with 1 when what it prints can't be written, and with 0 when enough was read",
    () => {
      const run = (redirection: string) =>
        spawnSync("sh", ["-c", `"$0" "$@" ${redirection}`, process.execPath, main, "serve", "--help"], {
          encoding: "utf8"
        })
      const full = run(">/dev/full")
      assert.match(full.stderr, /^sluice: the output was not written: .*ENOSPC/)
      assert.strictEqual(full.status, 1)
      const head = run("| head -1; exit 0")
      assert.deepStrictEqual([head.stdout, head.stderr], ["DESCRIPTION\n", ""])
    }
  )

  it.live("ends by itself, and says why, when its application is detached", () =>
    Effect.gen(function*() {
      const { control, result } = yield* CliProcess.serve([echo, "--workers", "1"])
      yield* Cli.prints(control, "app", "detach", "echo")
      const { code, stderr } = yield* result
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /echo is detached: there is nothing left to serve\n/)
      assert.isFalse(Fs.existsSync(control))
    }))

  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    it.live(`ends at once at a later ${signal}, with ${code}, while two together count as one`, () =>
      Effect.gen(function*() {
        const serving = yield* CliProcess.serve([echo, "--workers", "1", "--drain-timeout", "1 h"])
        const socket = yield* TcpClient.connect(serving.port)
        assert.strictEqual(yield* TcpClient.echoed(socket, "hello"), "hello")
        yield* serving.kill(signal)
        yield* serving.printed("stderr", new RegExp(`${signal}: stopping`))
        yield* serving.kill(signal)
        assert.strictEqual(yield* TcpClient.echoed(socket, "still here"), "still here")
        yield* Effect.sleep(Signals.AS_ONE)
        yield* serving.kill(signal)
        const result = yield* serving.result
        assert.deepStrictEqual({ code: result.code, signal: result.signal }, { code, signal: null })
      }))
  }

  it.runIf(has("npm"))("npm start hands a signal on, and waits for the drain", async () => {
    const control = findControl()
    const args = ["start", "--", "--listen", "tcp://127.0.0.1:0", "--workers", "1", "--control", control]
    // a group of its own, of which only npm gets the signal
    const child = spawn("npm", args, { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] })
    const said = Promise.all([text(child.stdout), text(child.stderr)])
    const listening = new Promise<void>((resolve) =>
      child.stdout.on("data", (chunk: Buffer) => chunk.includes("listening on") ? resolve() : undefined)
    )
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
    await listening
    child.kill("SIGTERM")
    assert.strictEqual(await ended, 0)
    assert.match((await said).join(""), /SIGTERM: stopping/)
    assert.isFalse(Fs.existsSync(control))
  })

  it("as process 1, which no signal ends by itself, hears of a signal that comes while it is being loaded", () => {
    const early = `import { registerHooks } from "node:module"
      const { pid } = process
      Object.defineProperty(process, "pid", { value: 1 })
      registerHooks({
        resolve: (name, context, next) => {
          if (name.startsWith("./command.")) process.kill(pid, "SIGTERM")
          return next(name, context)
        }
      })`
    const told = ["serve", "--listen", "tcp://127.0.0.1:0", "--in-process", "--control", findControl()]
    const { signal, status } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(early)}`, main, ...told]
    )
    // it drains if the command was quick to handle signals
    assert.deepStrictEqual({ signal, ends: status === 0 || status === 143 }, { signal: null, ends: true })
  })

  it("says so, and ends with 2, on a Node that is too old, which can't even load the rest of it", () => {
    const old = "Object.defineProperty(process,\"versions\",{value:{...process.versions,node:\"24.20.1\"}})"
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(old)}`, main, "--help"],
      { encoding: "utf8" }
    )
    assert.deepStrictEqual({ status, stdout, stderr }, {
      status: 2,
      stdout: "",
      stderr: "sluice: this is Node 24.20.1; sluice needs Node 24.21 or a later one\n"
    })
    const imports = [...Fs.readFileSync(main, "utf8").matchAll(/^(?:import|export) .*from "(.*)"$/gm)]
    assert.deepStrictEqual(imports.map(([, path]) => path), ["./domain/report/Version.ts"])
    assert.notInclude(Fs.readFileSync(Path.join(root, "src/domain/report/Version.ts"), "utf8"), "import")
  })
})
