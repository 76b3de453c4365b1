/** The examples of the README and of docs/ are files that run: as they stand there, and on the package as it is published. */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"
import * as Endpoint from "../src/domain/net/Endpoint.ts"
import * as Setting from "../src/layers/cli/Setting.ts"
import * as Settings from "../src/layers/cli/Settings.ts"
import { has, isInstalled } from "./support/programs.ts"
import { control, findPort, root, serving } from "./support/serving.ts"

const read = (path: string): string => Fs.readFileSync(Path.join(root, path), "utf8")
const pages = ["README.md", ...Fs.readdirSync(Path.join(root, "docs")).map((name) => `docs/${name}`)].map(read)
const examples = Fs.readdirSync(Path.join(root, "examples"), { recursive: true, encoding: "utf8" })
  .filter((name) => !name.endsWith(".md") && Fs.statSync(Path.join(root, "examples", name)).isFile())

const shouting = [
  ["express.ts", "Express", "text/plain", "all of it"],
  ["fastify.ts", "Fastify", "application/json", `{"words":"all of it"}`]
] as const

describe("examples", () => {
  for (const name of examples) {
    it(`${name} stands in the README or in docs/ as it is`, () => {
      const fenced = `\n${read(`examples/${name}`).trimEnd()}\n\`\`\``
      assert.isTrue(pages.some((page) => page.includes(fenced)))
    })
  }

  it("the README has at most 150 lines", () => {
    assert.isAtMost(pages[0]!.trimEnd().split("\n").length, 150)
  })

  it.effect("production/sluice.json is a configuration of serve, and each of its settings holds", () =>
    Effect.gen(function*() {
      const file = "examples/production/sluice.json"
      const { app, decoded } = yield* Settings.resolve({}, Path.join(root, file)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} })))
      )
      assert.strictEqual(app, "app.js")
      const { admission, name, segment, worker, workers } = decoded
      const listen = decoded.listen.map(Endpoint.format)
      const held = { ...admission, ...segment, ...worker, listen, name, workers, app }
      const { $schema, ...written } = JSON.parse(read(file)) as Record<string, unknown>
      assert.strictEqual($schema, "./node_modules/sluice/schema/serve.json")
      const units: Record<string, number> = {
        "5 millis": 5,
        "5 seconds": 5000,
        "10 seconds": 10_000,
        "256 MiB": 2 ** 28
      }
      for (const [key, value] of Object.entries(written)) {
        assert.deepStrictEqual(held[key as keyof typeof held], units[value as string] ?? value, key)
      }
    }))

  it.effect("the units and the manifest in production/ say what the command knows, and what sluice.json says", () =>
    Effect.gen(function*() {
      const { decoded } = yield* Settings.resolve({}, Path.join(root, "examples/production/sluice.json")).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} })))
      )
      const [service, socket, dockerfile, manifest] = ["shop.service", "shop.socket", "Dockerfile", "kubernetes.yaml"]
        .map(
          (name) => read(`examples/production/${name}`)
        ) as [string, string, string, string]
      const all = service + dockerfile + manifest
      // what there is: variables and flags of serve, and commands
      const variables = [...all.matchAll(/SLUICE_\w+/g)].map(([name]) => name)
      assert.includeMembers(Setting.settings.map(({ variable }) => variable), variables)
      const flags = [...all.matchAll(/--([a-z][a-z-]*)/g)].map(([, name]) => name).filter((name) => name !== "omit")
      assert.includeMembers(["config", ...Setting.settings.map(({ flag }) => flag)], flags)
      const commands = [...service.matchAll(/main\.js (\w+)/g)].map(([, name]) => name)
      assert.deepStrictEqual(commands, ["serve", "reload"])
      const paths = [...service.matchAll(/(\S+main\.js)/g), ...dockerfile.matchAll(/"(\S+main\.js)"/g)].map((
        [, path]
      ) => path)
      assert.deepStrictEqual([...new Set(paths)], ["node_modules/sluice/dist/main.js"])
      // the socket is the one that is asked for
      const [, address] = /ListenStream=(\S+)/.exec(socket)!
      assert.deepStrictEqual(decoded.listen.map(Endpoint.format), [`tcp://${address}`])
      const port = address!.slice(address!.lastIndexOf(":") + 1)
      assert.include(dockerfile, `EXPOSE ${port}\n`)
      assert.include(manifest, `name: http, containerPort: ${port}`)
      // the health port is the one that is probed
      const health = /SLUICE_HEALTH, value: "[^"]*:(\d+)"/.exec(manifest)?.[1]
      assert.include(manifest, `name: health, containerPort: ${health}`)
      // nothing is killed while it drains
      const secondsOf = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1])
      const drain = decoded.worker.drainTimeout / 1000
      assert.isAbove(secondsOf(service, /TimeoutStopSec=(\d+)/), drain + 1)
      assert.isAbove(
        secondsOf(manifest, /terminationGracePeriodSeconds: (\d+)/),
        drain + 1 + secondsOf(manifest, /sleep, "(\d+)"/)
      )
    }))

  it.runIf(isInstalled("systemd-analyze"))("systemd has nothing against the units", () => {
    const units = ["shop.service", "shop.socket"].map((name) => Path.join(root, "examples/production", name))
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...units], { encoding: "utf8" })
    const faults = stderr.split("\n").filter((line) => line.includes("shop.") && !line.includes("is not executable"))
    assert.deepStrictEqual(faults, [], `${status}`)
  })

  it("composed.ts serves hello.ts with two workers", async () => {
    const port = await findPort()
    const child = spawn(process.execPath, ["examples/composed.ts", `tcp://127.0.0.1:${port}`], { cwd: root })
    const ended = new Promise((resolve) => child.once("exit", resolve))
    try {
      const said = new Set<string>()
      for (let tries = 0; said.size < 2; tries++) {
        assert.isBelow(tries, 500)
        assert.isNull(child.exitCode)
        const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })
          .catch(() => undefined)
        if (response === undefined) await sleep(50)
        else said.add(await response.text())
      }
      assert.deepStrictEqual([...said].toSorted(), ["hello from thread 1\n", "hello from thread 2\n"])
    } finally {
      child.kill("SIGTERM")
      await ended
    }
  })

  const workers = 2
  const serve = (file: string, test: (port: number) => Promise<void>) =>
    serving([
      "dist/main.js",
      "serve",
      `examples/${file}`,
      "--listen",
      "tcp://127.0.0.1:0",
      "--workers",
      String(workers),
      // in turn, however long a thread that has just begun takes to claim a connection
      "--revoke-after",
      "10s",
      "--control",
      control()
    ], test)

  for (const [file, framework, type, body] of shouting) {
    it(`${file} answers, on each of its workers`, () =>
      serve(file, async (port) => {
        const threads = new Set<number>()
        for (let i = 0; i < 2 * workers; i++) {
          const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })
          const said = await response.json() as { readonly hello: string; readonly thread: number }
          assert.strictEqual(said.hello, `from ${framework}`)
          threads.add(said.thread)
        }
        assert.strictEqual(threads.size, workers)
        const init = { method: "POST", body, headers: { "content-type": type } }
        assert.strictEqual(await (await fetch(`http://127.0.0.1:${port}/shout`, init)).text(), "ALL OF IT")
      }))
  }

  it("echo.ts sends back what it gets, on each of its workers", () =>
    serve("echo.ts", async (port) => {
      for (let i = 0; i < 2 * workers; i++) {
        const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
        socket.end("all of it ".repeat(100_000))
        assert.strictEqual(await text(socket), "all of it ".repeat(100_000))
      }
    }))

  it("plain.ts serves express.ts on three threads, and ends when it is told to", async () => {
    const ended = await serving(["examples/plain.ts", "tcp://127.0.0.1:0"], async (port) => {
      const threads = new Set<string>()
      // a thread that has just begun may be too slow for an offer now and then
      for (let tries = 0; threads.size < 3; tries++) {
        assert.isBelow(tries, 500)
        threads.add(await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })).text())
      }
    })
    assert.strictEqual(ended, 0)
  })

  it("stack.ts serves upper.ts on threads with layers of its own, and has counted the messages to them", async () => {
    const port = await findPort()
    const child = spawn(process.execPath, ["examples/stack.ts", `tcp://127.0.0.1:${port}`], { cwd: root })
    const ended = new Promise((resolve) => child.once("close", resolve))
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => said += chunk.toString())
    child.stderr.on("data", (chunk: Buffer) => said += chunk.toString())
    const ask = (words: string): Promise<string | undefined> => {
      const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      socket.end(words)
      return text(socket).catch(() => undefined)
    }
    try {
      for (let tries = 0; await ask("ready?") === undefined; tries++) {
        assert.isBelow(tries, 500, said)
        assert.isNull(child.exitCode, said)
        await sleep(50)
      }
      for (let i = 0; i < 4; i++) {
        assert.strictEqual(await ask("all of it ".repeat(10_000)), "ALL OF IT ".repeat(10_000))
      }
    } finally {
      child.kill("SIGTERM")
      await ended
    }
    // of each session at least its offer, its bytes, its end, and that it is gone
    assert.isAtLeast(Number(/enqueued: (\d+)/.exec(said)?.[1]), 20, said)
  })

  it("W16 local.ts: one application asks another by name", async () => {
    const child = spawn(process.execPath, ["examples/local.ts"], { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => said += chunk.toString())
    child.stderr.on("data", (chunk: Buffer) => said += chunk.toString())
    try {
      for (let tries = 0; !said.includes("HELLO"); tries++) {
        assert.isBelow(tries, 580, said)
        await sleep(50)
      }
      // besides what the host logs
      assert.strictEqual(said.replaceAll(/^\[.*\n/gm, ""), "from local://upper: HELLO\n\n")
    } finally {
      child.kill("SIGTERM")
      // what the runtime says of a program that was told to end
      assert.strictEqual(await ended, 130)
    }
  })

  it("upper.ts answers in upper case, whatever the size, and ends with its peer", () =>
    serving(
      ["dist/main.js", "serve", "examples/upper.ts", "--listen", "tcp://127.0.0.1:0", "--control", control()],
      async (port) => {
        const text = "all of it ".repeat(100_000)
        const answer = await new Promise<string>((resolve, reject) => {
          const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(text))
          let answer = ""
          socket.on("data", (chunk) => answer += chunk.toString())
          socket.on("end", () => resolve(answer))
          socket.on("error", reject)
        })
        assert.strictEqual(answer.length, text.length)
        assert.strictEqual(answer, text.toUpperCase())
      }
    ))

  it("X1 parking.ts: a session whose worker blocks goes on with another one, which knows what was said before", () =>
    serving(
      `dist/main.js serve examples/parking.ts --listen tcp://127.0.0.1:0 --workers 2 --control ${control()}`.split(" "),
      async (port) => {
        const socket = Net.connect({ port, host: "127.0.0.1" }).setEncoding("latin1")
        let said = ""
        socket.on("data", (text) => said += text)
        const ask = async (line: string): Promise<RegExpExecArray> => {
          said = ""
          socket.write(`${line}\n`)
          for (let tries = 0; !said.endsWith("\n"); tries++) {
            assert.isBelow(tries, 1000, said)
            await sleep(10)
          }
          return /^(\w+), thread (\d+)\n$/.exec(said)!
        }
        assert.strictEqual((await ask("who"))[1], "nobody")
        const [, , thread] = await ask("name ada")
        // on a machine that is busy, the block may be over before the line is there
        const before = performance.now()
        let answer: RegExpExecArray
        do {
          await ask("block 1000")
          answer = await ask("who")
        } while (answer[2] === thread && performance.now() - before < 10_000)
        assert.strictEqual(answer[1], "ada")
        assert.notStrictEqual(answer[2], thread)
        socket.destroy()
      }
    ))

  it("refusing.ts takes two sessions of an address, resets the third, and takes another when one has ended", () =>
    serving(
      `dist/main.js serve examples/refusing.ts --listen tcp://127.0.0.1:0 --workers 1 --control ${control()}`.split(
        " "
      ),
      async (port) => {
        const said = (socket: Net.Socket): Promise<string> =>
          new Promise((resolve) => {
            socket.on("data", (bytes) => resolve(bytes.toString()))
            socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""))
            socket.write("hello")
          })
        const open = () => Net.connect({ port, host: "127.0.0.1" })
        const two = [open(), open()]
        assert.deepStrictEqual(await Promise.all(two.map(said)), ["HELLO", "HELLO"])
        assert.strictEqual(await said(open()), "ECONNRESET")
        two[0]!.end()
        let answer: string
        do {
          const next = open()
          answer = await said(next)
          next.destroy()
        } while (answer === "ECONNRESET")
        assert.strictEqual(answer, "HELLO")
        two[1]!.destroy()
      }
    ))
})

/** Serves an example on a path beside a port, and gives the path. */
const servingAt = (example: string, test: (path: string) => void, ...args: ReadonlyArray<string>) => {
  const socket = control()
  const path = Path.join(Path.dirname(socket), "app.sock")
  const listen = ["--listen", `unix://${path}`, "--listen", "tcp://127.0.0.1:0"]
  return serving(
    ["dist/main.js", "serve", `examples/${example}`, ...listen, "--control", socket, ...args],
    async () => {
      for (let tries = 0; !Fs.existsSync(path); tries++) {
        assert.isBelow(tries, 400)
        await sleep(50)
      }
      test(path)
    }
  )
}

describe("examples over sockets of other kinds", () => {
  it.runIf(has("curl"))(
    "hello.ts answers curl at a Unix socket with the given mode",
    () =>
      servingAt(
        "hello.ts",
        (path) => {
          const { stdout } = spawnSync("curl", ["-s", "--unix-socket", path, "http://localhost/"])
          assert.match(stdout.toString(), /^hello from thread \d\n$/)
          assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o660)
        },
        "--unix-mode",
        "0660"
      )
  )

  it.runIf(has("socat"))(
    "upper.ts answers socat at a Unix socket",
    () =>
      servingAt("upper.ts", (path) => {
        const { stdout } = spawnSync("socat", ["-t", "5", "-", `UNIX-CONNECT:${path}`], { input: "hello\n" })
        assert.strictEqual(stdout.toString(), "HELLO\n")
        assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
      })
  )

  it.runIf(has("socat"))("udp-echo.ts sends socat its datagram back", () =>
    serving(
      ["dist/main.js", "serve", "examples/udp-echo.ts", "--listen", "udp://127.0.0.1:0", "--control", control()],
      async (port) => {
        // it ends a little after its input has, which is once it has said what came back
        const { stdin, stdout } = spawn("socat", ["-t", "0.1", "-", `UDP4:127.0.0.1:${port}`])
        const said = text(stdout.on("data", () => stdin.end()))
        stdin.write("hello\n")
        assert.strictEqual(await said, "hello\n")
      }
    ))
})
