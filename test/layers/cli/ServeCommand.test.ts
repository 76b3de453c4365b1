/** `sluice serve`: what it refuses, and how it ends. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestConsole from "effect/testing/TestConsole"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Report from "../../../src/domain/report/Report.ts"
import * as Sluice from "../../../src/layers/cli/Sluice.ts"
import * as CertificatesMemory from "../../../src/layers/stores/CertificatesMemory.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { AttachFailed, Draining } from "../../../src/services/SessionLayer.ts"
import { Takeover } from "../../../src/services/Takeover.ts"
import * as Cli from "../../support/Cli.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

/** A host that no other one takes over. */
const noTakeover = Layer.succeed(Takeover, {
  upgrade: () => Effect.never,
  follows: false,
  over: Effect.never,
  up: Effect.void,
  failed: () => Effect.void,
  control: () => undefined
})

const echo = Cli.fixture("echo")

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
    [
      "a number that is none",
      ["--workers", "two"],
      "--workers: got \"two\"; it must be a whole number from 1 to 256, a range of them such as \"2..8\", or \"auto\""
    ],
    [
      "a unit that is none",
      ["--revoke-after", "5 parsecs"],
      /^sluice: --revoke-after: got "5 parsecs"; it must be a time/
    ],
    ["a file that is not there", ["--config", "none.json"], "configuration file none.json does not exist"]
  ]
  for (const [what, args, says] of bad) {
    it.live(what, () => Cli.fails(["serve", ...args], { code: 2, says }))
  }

  it.live("a bad variable, by its name", () =>
    Cli.fails(["serve"], {
      code: 2,
      says:
        "SLUICE_WORKERS: got \"two\"; it must be a whole number from 1 to 256, a range of them such as \"2..8\", or \"auto\""
    }, { env: { SLUICE_WORKERS: "two" } }))

  it.live("an unknown key of the file, by its name", () =>
    Effect.gen(function*() {
      const file = Path.join(yield* TempDirectory.make, "sluice.json")
      Fs.writeFileSync(file, `{ "wrokers": 2 }`)
      const says = `wrokers in ${file}: there is no such setting; did you mean workers?`
      yield* Cli.fails(["serve", "--config", file], { code: 2, says })
    }))

  it.live("what can't be attached, in one sentence, with the setting to change", () =>
    Effect.gen(function*() {
      const one = [echo, "--workers", "1"]
      yield* Cli.fails(["serve", ...one, "--listen", "tls://127.0.0.1:0"], {
        code: 1,
        says: "can't listen on tls://127.0.0.1:0: the application has no certificate; give it one (certificates, or "
          + "--tls-cert and --tls-key) before it listens (--listen)"
      })
      yield* Cli.fails(["serve", ...one, "--namespace", "blue"], {
        code: 1,
        says: "--namespace: no namespace \"blue\"; this host has \"default\" and no other, so leave it out"
      })
      yield* Cli.fails(["serve", ...one], {
        code: 1,
        says:
          "SLUICE_SECRET, or secret in the configuration file: wrong secret for namespace \"default\"; leave it out if "
          + "it has none"
      }, { env: { SLUICE_SECRET: "hush" } })
    }))

  it.live("a module that does not exist, or is no file", () =>
    Effect.gen(function*() {
      yield* Cli.fails(["serve", "./none.ts"], { code: 2, says: /app module \.\/none\.ts does not exist/ })
      yield* Cli.fails(["serve", "."], { code: 2, says: /app module \. is not a file/ })
    }))

  for (const mode of [[], ["--in-process"]]) {
    const how = mode.length === 0 ? "thread" : "in-process"
    it.live(`a module that throws, fails to start, or is no app (${how} workers)`, () =>
      Effect.gen(function*() {
        const refuses = (name: string, says: RegExp) =>
          Cli.fails(["serve", Cli.fixture(name), "--workers", "1", ...mode], { code: 1, says })
        yield* refuses("throws", /the moon is in the wrong phase/)
        yield* refuses("fails", /no such database/)
        yield* refuses(
          "no-app",
          /no-app\.ts exports something else as its default; export as its default an Effect Layer/
        )
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
      yield* Cli.fails(["serve", echo, "--listen", uri, "--control", control], {
        code: 1,
        says:
          `can't listen on ${uri}: another program listens there; choose another port, or port 0 for a free one (--listen)`
      })
      assert.isFalse(Fs.existsSync(control))
    }))

  it.live("a control socket on which a host answers", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([echo, "--in-process"])
      yield* Cli.fails(["serve", echo, "--control", control], {
        code: 1,
        says: `a host already answers on ${control}; give another path with --control`
      })
    }))
})

describe("sluice serve", () => {
  it.live("runs an app that listens on nothing", () =>
    Effect.gen(function*() {
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      const running = yield* Cli.start(["serve", Cli.fixture("listens-nowhere"), "--control", control])
      yield* running.printed("stderr", /listens-nowhere runs and listens on nothing/)
      assert.match(yield* Cli.prints(control, "show", "app"), /no active listeners/)
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
      yield* serving.kill("SIGINT")
      const { code, stderr } = yield* serving.result
      assert.strictEqual(code, 0, stderr)
      assert.isFalse(Fs.existsSync(serving.control))
    }))

  it.live("lets a session end that is open when a signal comes, and takes no others", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve([echo])
      const socket = yield* TcpClient.connect(serving.port)
      assert.strictEqual(yield* TcpClient.echoed(socket, "before"), "before")
      yield* serving.kill("SIGTERM")
      yield* serving.printed("stderr", /SIGTERM: stopping/)
      assert.strictEqual(yield* TcpClient.echoed(socket, "after"), "after")
      const { draining, sessions } = yield* Cli.jsonOf(Report.HostReport, serving.control, "show", "app")
      assert.deepStrictEqual({ draining, sessions }, { draining: true, sessions: 1 })
      assert.strictEqual(yield* TcpClient.refusal(serving.port), "ECONNREFUSED")
      socket.end()
      const { code, stderr } = yield* serving.result
      assert.strictEqual(code, 0, stderr)
    }))

  it.live("does not wait for HTTP clients that have nothing under way", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve(["--drain-timeout", "1 h"])
      const idle = yield* TcpClient.connect(serving.port)
      const answered = new Promise((resolve) => idle.once("data", resolve))
      idle.write("GET /whoami HTTP/1.1\r\nhost: x\r\n\r\n")
      yield* Effect.promise(() => answered)
      const silent = yield* TcpClient.connect(serving.port)
      // a listener that closes resets what it has not accepted
      const accepted = Cli.jsonOf(Report.SessionsReport, serving.control, "show", "sessions", "--state", "READY")
      yield* Effect.repeat(accepted, { until: ({ total }) => total === 2 })
      yield* serving.kill("SIGTERM")
      assert.strictEqual(yield* TcpClient.endOf(idle), "closed")
      assert.strictEqual(yield* TcpClient.endOf(silent), "closed")
      assert.strictEqual((yield* serving.result).code, 0)
    }))

  it.live("waits for sessions no longer than the drain timeout", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve([echo, "--drain-timeout", "50ms"])
      const socket = yield* TcpClient.connect(serving.port)
      assert.strictEqual(yield* TcpClient.echoed(socket, "hello"), "hello")
      yield* serving.kill("SIGTERM")
      const { code, stderr } = yield* serving.result
      assert.strictEqual(code, 0, stderr)
      assert.isFalse(Fs.existsSync(serving.control))
    }))
})

/** What the host is told about endpoints by `serve` with these arguments. */
const toldOf = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const control = Path.join(yield* TempDirectory.make, "control.sock")
    let told: unknown
    const host = FakeSessionLayer.layer({
      attach: ({ listen = [] }, _, extras) =>
        Effect.suspend(() => {
          told = { listen, otherwise: extras?.listen }
          return Effect.fail(new AttachFailed({ reason: new Draining() }))
        })
    })
    const run = Sluice.run(Layer.mergeAll(host, SessionRulesMemory.layer, CertificatesMemory.layer, noTakeover))
    assert.strictEqual(yield* run(["serve", ...args, "--control", control]), 1)
    return told
  }).pipe(
    Effect.provide([NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} })), TestConsole.layer])
  )

describe("sluice serve without --listen", () => {
  const byDefault = ["tcp://127.0.0.1:8080"]

  it.effect("has the default endpoint for an application that names none", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* toldOf(echo), { listen: [], otherwise: byDefault })
      const listen = "tcp://127.0.0.1:9090"
      assert.deepStrictEqual(yield* toldOf(echo, "--listen", listen), { listen: [listen], otherwise: byDefault })
    }))

  it.effect("has none for an application in local scope only, where no socket would lead to it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* toldOf(echo, "--scope-local"), { listen: [], otherwise: [] })
      const both = yield* toldOf(echo, "--scope-local", "--scope-global")
      assert.deepStrictEqual(both, { listen: [], otherwise: byDefault })
    }))
})
