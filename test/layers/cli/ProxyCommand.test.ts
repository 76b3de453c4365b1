/** `sluice proxy`, between real sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Cli from "../../support/Cli.ts"
import type * as CliOutput from "../../support/CliOutput.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

const MiB = 1024 * 1024

const sha256 = (bytes: Uint8Array): string => Crypto.createHash("sha256").update(bytes).digest("hex")

const server = (onSocket: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {})
        onSocket(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

const uriOf = (server: Net.Server): string => `tcp://127.0.0.1:${(server.address() as Net.AddressInfo).port}`

/** Proxies with a way to start the command. */
const proxyWith = <Result>(
  start: (args: ReadonlyArray<string>) => Effect.Effect<CliOutput.Running<Result>, never, Scope.Scope>
) =>
  Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
    const control = Path.join(yield* TempDirectory.make, "control.sock")
    const running = yield* start(["proxy", ...args, "--listen", "tcp://127.0.0.1:0", "--control", control])
    const [line, port] = yield* running.printed("stdout", /^sluice: .* listening on tcp:\/\/127\.0\.0\.1:(\d+) .*$/m)
    return { ...running, port: Number(port), control, line }
  })

const proxy = proxyWith(Cli.start)

/** What comes back for some bytes and an end. */
const ask = (port: number, bytes: Uint8Array | string) =>
  Effect.callback<Buffer>((resume) => {
    const parts: Array<Buffer> = []
    const socket = Net.connect(port, "127.0.0.1", () => socket.end(bytes))
    socket.on("data", (part: Buffer) => void parts.push(part))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(Buffer.concat(parts))))
  })

describe("sluice proxy", () => {
  for (const kind of ["thread", "in-process"] as const) {
    it.live(`W18 serves with a worker of kind ${kind}, is shown, and ends in good order`, () =>
      Effect.gen(function*() {
        const echo = yield* server((socket) => socket.pipe(socket))
        const gone = yield* Effect.scoped(Effect.map(server(() => {}), uriOf))
        const args = kind === "thread" ? ["--no-in-process"] : ["--in-process"]
        // what a thread logs goes to the standard error of its process
        const start = kind === "thread" ? CliProcess.start : Cli.start
        const running = yield* proxyWith<CliOutput.Printed & { readonly code: number | null }>(start)(
          ["--to", gone, "--to", uriOf(echo), "--workers", "2", ...args]
        )
        assert.include(running.line, `proxy listening on`)
        assert.include(running.line, `(2 ${kind} workers)`)
        const bytes = Crypto.randomBytes(MiB)
        for (let i = 0; i < 6; i++) assert.strictEqual(sha256(yield* ask(running.port, bytes)), sha256(bytes))
        const show = Cli.run(["show", "app", "proxy", "--verbose", "--control", running.control])
        // the last client knows of its end before the workers do
        const idle = new RegExp(`^ +${uriOf(echo)} +up +0 +0 +-$`, "m")
        const { stdout } = yield* Effect.repeat(show, { until: ({ stdout }) => idle.test(stdout) })
        assert.match(stdout, /^0 +proxy /m)
        assert.match(stdout, /^ +Upstream +State +Sessions +Failures +Retry millis$/m)
        assert.match(stdout, new RegExp(`^ +${gone} +down +0 +[1-9] +\\d+$`, "m"))
        yield* running.kill("SIGTERM")
        const { code, stderr, stdout: said } = yield* running.result
        assert.strictEqual(code, 0, stderr)
        assert.match(stderr, /upstream \S+ is down and is tried again in 100 ms: nobody listens there/)
        assert.strictEqual(said.trim(), running.line)
      }))
  }

  it.live("W18 lets its sessions finish when it is told to stop, and takes no more", () =>
    Effect.gen(function*() {
      const sockets: Array<Net.Socket> = []
      const upstream = yield* server((socket) => sockets.push(socket.pipe(socket)))
      const running = yield* proxy(["--to", uriOf(upstream)])
      const client = Net.connect(running.port, "127.0.0.1")
      let got = ""
      client.on("data", (bytes) => void (got += bytes.toString()))
      client.write("one")
      yield* until("an echo", () => got === "one")
      yield* running.kill("SIGTERM")
      yield* running.printed("stderr", /SIGTERM: stopping/)
      client.write("two")
      yield* until("an echo", () => got === "onetwo")
      const refused = Net.connect(running.port, "127.0.0.1").on("error", () => {})
      yield* until("a refusal", () => refused.destroyed)
      client.end()
      assert.strictEqual((yield* running.result).code, 0)
    }))

  it.live("W18 says at its end how many sessions it had no upstream for", () =>
    Effect.gen(function*() {
      const gone = yield* Effect.scoped(Effect.map(server(() => {}), uriOf))
      const running = yield* proxy(["--to", gone])
      yield* ask(running.port, "")
      yield* ask(running.port, "")
      yield* running.kill("SIGTERM")
      assert.match((yield* running.result).stderr, /sessions that were reset because no upstream could be reached: 2/)
    }))

  it.live("takes its settings from a file and from the environment, too", () =>
    Effect.gen(function*() {
      const echo = yield* server((socket) => socket.pipe(socket))
      const file = Path.join(yield* TempDirectory.make, "proxy.json")
      Fs.writeFileSync(file, JSON.stringify({ to: [uriOf(echo)], listen: ["tcp://127.0.0.1:0"], workers: 3 }))
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      const args = ["proxy", "--config", file, "--control", control]
      const running = yield* Cli.start(args, { env: { SLUICE_IN_PROCESS: "false" } })
      const [, port] = yield* running.printed("stdout", /127\.0\.0\.1:(\d+) \(3 thread workers\)/)
      assert.strictEqual((yield* ask(Number(port), "echo")).toString(), "echo")
      const { code, stderr } = yield* Cli.run(args, { env: { SLUICE_UPSTREAM_BACKOFF_MAX: "soon" } })
      assert.strictEqual(code, 2)
      assert.match(stderr, /^sluice: SLUICE_UPSTREAM_BACKOFF_MAX: got "soon"; it must be a time in milliseconds/)
      Fs.writeFileSync(file, JSON.stringify({ upstreams: [], config: {} }))
      const unknown = yield* Cli.run(args)
      assert.match(
        unknown.stderr,
        /^sluice: upstreams in \S+: there is no such setting; .*\nsluice: config in \S+: there is/
      )
    }))

  const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, says: string]> = [
    [["--listen", "tcp://127.0.0.1:0"], "to (--to): give at least one, such as --to tcp://127.0.0.1:6379"],
    [["--to", "tcp://127.0.0.1:1"], "listen (--listen): give at least one, such as --listen tcp://127.0.0.1:8080"],
    [
      ["--listen", "tcp://0.0.0.0:80", "--to", "tcp://127.0.0.1:80"],
      "--to: tcp://127.0.0.1:80 is where the proxy itself listens"
    ],
    [
      ["--listen", "tcp://127.0.0.1:80", "--to", "tcp://127.0.0.1:0"],
      "--to: got [\"tcp://127.0.0.1:0\"]; it must be a list of 1 to 256 endpoints with a port that is not 0, or with a "
      + "local name"
    ],
    [
      ["--listen", "tcp://127.0.0.1:80", "--to", "127.0.0.1:1"],
      "--to: endpoint \"127.0.0.1:1\": it must start with a transport, for example \"tcp://127.0.0.1:8080\""
    ],
    [
      ["--listen", "tcp://127.0.0.1:80", "--to", "tcp://127.0.0.1:1", "--upstream-backoff-base", "20s"],
      "--upstream-backoff-base: got \"20s\"; it must be at most upstreamBackoffMax, which is 10 s"
    ]
  ]
  for (const [args, says] of wrong) {
    it.live(`refuses ${args.join(" ")}`, () => Cli.fails(["proxy", ...args], { code: 2, says }))
  }

  it.live("tells an upstream where a connection comes from, before its first byte", () =>
    Effect.gen(function*() {
      const received: Array<Buffer> = []
      const upstream = yield* server((socket) =>
        void socket.on("data", (bytes: Buffer) => {
          received.push(bytes)
          socket.write("answer")
        })
      )
      const { port } = yield* proxy(["--to", uriOf(upstream), "--send-proxy", "v1"])
      const socket = yield* TcpClient.connect(port)
      let answer = ""
      socket.on("data", (bytes: Buffer) => answer += bytes.toString())
      socket.write("request")
      yield* until("the answer", () => answer.includes("answer") && Buffer.concat(received).includes("request"))
      assert.strictEqual(
        Buffer.concat(received).toString(),
        `PROXY TCP4 127.0.0.1 127.0.0.1 ${socket.localPort} ${port}\r\nrequest`
      )
      const args = ["proxy", "--listen", "tcp://127.0.0.1:0", "--to", "tls://127.0.0.1:443", "--send-proxy", "v2"]
      yield* Cli.fails(args, {
        code: 2,
        says: `--send-proxy: got "v2"; it must be "none" where an upstream is over TLS`
      })
    }))
})
