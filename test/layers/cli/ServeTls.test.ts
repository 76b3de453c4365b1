/** `sluice serve` over TLS, with the clients that everybody has. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Cli from "../../support/Cli.ts"
import type * as CliOutput from "../../support/CliOutput.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import * as Pem from "../../support/Pem.ts"
import { has } from "../../support/programs.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { authority, TlsClient } from "../../support/Tls.ts"
import { until } from "../../support/until.ts"

/** What a program prints that gets `input` first, and its end only once its output has matched `until`. */
const run = (program: string, args: ReadonlyArray<string>, input = "", end?: RegExp) =>
  Effect.callback<string>((resume) => {
    const child = ChildProcess.spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] })
    let output = ""
    const onData = (bytes: Buffer): void => {
      output += bytes.toString("latin1")
      if (end?.test(output) === true) child.stdin.end()
    }
    child.stdout.on("data", onData)
    child.stderr.on("data", onData)
    child.stdin.on("error", () => {})
    child.stdin.write(input)
    if (end === undefined) child.stdin.end()
    child.on("close", () => resume(Effect.succeed(output)))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

interface Files {
  readonly directory: string
  readonly cert: string
  readonly key: string
  readonly ca: string
}

const write = Effect.fnUntraced(function*({ cert, key }: Files, name: "chain" | "rsa" | "wildcard") {
  const pair = Pem.pair(name)
  yield* Effect.promise(() => Promise.all([Fs.writeFile(cert, pair.certificate), Fs.writeFile(key, pair.key)]))
})

const files = Effect.gen(function*() {
  const directory = yield* TempDirectory.make
  const at = (name: string): string => Path.join(directory, name)
  const files: Files = { directory, cert: at("cert.pem"), key: at("key.pem"), ca: at("ca.pem") }
  yield* write(files, "chain")
  yield* Effect.promise(() => Fs.writeFile(files.ca, authority))
  return files
})

/** Serves over TLS with a way to start the command. */
const servingWith = <Result>(
  start: (args: ReadonlyArray<string>) => Effect.Effect<CliOutput.Running<Result>, never, Scope.Scope>
) =>
  Effect.fnUntraced(function*({ cert, directory, key }: Files, args: ReadonlyArray<string> = []) {
    const control = Path.join(directory, "control.sock")
    const command = ["serve", "--listen", "tls://127.0.0.1:0", "--tls-cert", cert, "--tls-key", key]
    const running = yield* start([...command, "--control", control, ...args])
    const [, port] = yield* running.printed("stdout", /listening on tls:\/\/127\.0\.0\.1:(\d+) /)
    return { ...running, port: Number(port), control }
  })

const serve = servingWith(Cli.start)

/** The subject of the certificate that is shown. */
const shown = (port: number) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new TlsClient(port, { rejectUnauthorized: false })),
    (client) =>
      Effect.map(
        until("the handshake", () => client.over),
        () => client.socket.getPeerX509Certificate()?.subject.split("\n", 1)[0]
      ),
    ({ below, socket }) => Effect.sync(() => (socket.destroy(), below.destroy()))
  )

describe("sluice serve over TLS", () => {
  it.live.skipIf(!has("curl"))(
    "curl gets an answer, and none over plain HTTP",
    () =>
      Effect.gen(function*() {
        const at = yield* files
        const { control, port } = yield* serve(at, ["--alpn", "http/1.1"])
        const format = ["-sS", "-w", "\n%{http_version} %{http_code}"]
        const good = yield* run("curl", [...format, "--cacert", at.ca, `https://127.0.0.1:${port}/`])
        assert.match(good, /^Hello from http, worker \d/)
        assert.match(good, /\n1\.1 200$/)
        assert.match(yield* run("curl", [...format, `http://127.0.0.1:${port}/`]), /Empty reply|reset/)
        assert.match(yield* run("curl", [...format, `https://127.0.0.1:${port}/`]), /certificate/)
        const show = Cli.run(["show", "listeners", "--verbose", "--control", control])
        yield* Effect.repeat(show, { until: ({ stdout }) => /tls-failed 2/.test(stdout) })
      })
  )

  describe.skipIf(!has("openssl"))("openssl s_client", () => {
    const client = (port: number, at: Files, args: ReadonlyArray<string>, input?: string, end?: RegExp) =>
      run("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", at.ca, ...args], input, end)
    const kinds = (output: string) => output.match(/^(?:New|Reused)(?=, TLS)/gm)

    it.live("resumes sessions, by tickets and by ids, and over both versions", () =>
      Effect.gen(function*() {
        const at = yield* files
        const { port } = yield* serve(at)
        for (const args of [["-tls1_2"], ["-tls1_2", "-no_ticket"]]) {
          const output = yield* client(port, at, ["-reconnect", ...args])
          assert.deepStrictEqual(kinds(output), ["New", ...Array(5).fill("Reused")], args.join(" "))
        }
        const session = Path.join(at.directory, "session")
        const request = "GET /whoami HTTP/1.1\r\nHost: a\r\n\r\n"
        const first = yield* client(port, at, ["-sess_out", session], request, /200 OK[^]*worker/)
        assert.deepStrictEqual(kinds(first)?.slice(0, 1), ["New"])
        const again = yield* client(port, at, ["-sess_in", session], request, /200 OK[^]*worker/)
        assert.deepStrictEqual(kinds(again)?.slice(0, 1), ["Reused"])
      }))

    it.live("agrees on a protocol, and shows its certificate where one is required", () =>
      Effect.gen(function*() {
        const at = yield* files
        const { port } = yield* serve(at, ["--alpn", "http/1.1", "--client-ca", at.ca])
        const request = "GET /whoami HTTP/1.1\r\nHost: a\r\n\r\n"
        const mine = ["-cert", at.cert, "-key", at.key]
        const good = yield* client(port, at, ["-alpn", "h2,http/1.1", ...mine], request, /200 OK[^]*worker/)
        assert.match(good, /ALPN protocol: http\/1\.1/)
        assert.match(good, /Verify return code: 0 \(ok\)/)
        assert.match(yield* client(port, at, ["-tls1_2"]), /alert|handshake failure/i)
      }))
  })

  it.live("SIGHUP has new certificates in the next handshake, and keeps the old ones where the new are no good", () =>
    Effect.gen(function*() {
      const at = yield* files
      const { kill, port, printed } = yield* servingWith(CliProcess.start)(at)
      assert.strictEqual(yield* shown(port), "CN=Leaf")
      yield* Effect.promise(() => Fs.writeFile(at.cert, Pem.pair("rsa").certificate))
      yield* kill("SIGHUP")
      yield* printed("stderr", /SIGHUP: the old certificate stays: .*key\.pem is not the key of .*cert\.pem/)
      yield* printed("stderr", /WARN {2}\[http\] SIGHUP: certificates read again: 0 of 1/)
      assert.strictEqual(yield* shown(port), "CN=Leaf")
      yield* write(at, "rsa")
      yield* kill("SIGHUP")
      yield* printed("stderr", /INFO {2}\[http\] SIGHUP: certificates read again: 1 of 1/)
      assert.strictEqual(yield* shown(port), "CN=RSA")
      yield* Effect.promise(() => Fs.rm(at.key))
      yield* kill("SIGHUP")
      yield* printed("stderr", /stays: .*key\.pem does not exist/)
      assert.strictEqual(yield* shown(port), "CN=RSA")
    }))

  it.live("says in a sentence what is wrong with a file, and starts nothing", () =>
    Effect.gen(function*() {
      const at = yield* files
      const none = Path.join(at.directory, "none.pem")
      const table: ReadonlyArray<readonly [ReadonlyArray<string>, 1 | 2, RegExp]> = [
        [["--tls-cert", none, "--tls-key", at.key], 2, /^sluice: --tls-cert: .*none\.pem does not exist$/],
        [
          ["--tls-cert", at.cert],
          2,
          /^sluice: --tls-cert: each certificate needs a key, .*; given: 1 certificate, 0 keys$/
        ],
        [
          ["--tls-cert", at.key, "--tls-key", at.key],
          2,
          /^sluice: --tls-cert: .*key\.pem is not taken: there is no PEM block/
        ],
        [
          ["--tls-cert", at.cert, "--tls-key", at.cert],
          2,
          /^sluice: --tls-key: .*cert\.pem is not taken: there is no PEM block/
        ],
        [
          ["--client-ca", at.key],
          2,
          /^sluice: --client-ca: .*key\.pem is not taken: it must be PEM text with one or more/
        ],
        [
          ["--client-certificate", "require"],
          2,
          /^sluice: clientAuthorities \(--client-ca\): .*must be a list that is not empty, as clientCertificate is "require"$/
        ],
        [[], 1, /can't listen on tls:\/\/127\.0\.0\.1:0: the application has no certificate; give it one/]
      ]
      for (const [args, code, says] of table) {
        yield* Cli.fails(["serve", "--listen", "tls://127.0.0.1:0", ...args], { code, says })
      }
    }))
})
