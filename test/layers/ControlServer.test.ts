import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as ControlClient from "../../src/layers/ControlClient.ts"
import * as ControlPath from "../../src/layers/ControlPath.ts"
import * as ControlServer from "../../src/layers/ControlServer.ts"
import type { ControlError } from "../../src/services/ControlApi.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import * as Random from "../support/random.ts"
import * as Reports from "../support/Reports.ts"
import * as TempDirectory from "../support/TempDirectory.ts"

const report = Reports.host({ apps: [Reports.app()], sessions: 3 })

const sessionLayer = Layer.succeed(SessionLayer, {
  attach: () => Effect.die("unused"),
  find: () => Effect.die("unused"),
  drain: Effect.void,
  report: Effect.succeed(report)
})

const serve = (path: string) => Layer.build(ControlServer.layer(path).pipe(Layer.provide(sessionLayer)))

const newPath = Effect.map(TempDirectory.make, (directory) => Path.join(directory, "control.sock"))

const listening = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer().listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

/** The socket of a server that has gone without removing it. */
const leaveStale = (path: string) =>
  Effect.gen(function*() {
    yield* Effect.scoped(Effect.gen(function*() {
      yield* listening(`${path}.live`)
      // a second name of the socket, which the server does not know of
      Fs.linkSync(`${path}.live`, path)
    }))
    assert.isTrue(Fs.lstatSync(path).isSocket())
  })

/** What a peer gets for its bytes until it is cut off; it stays open unless it is told to end. */
const speak = (path: string, bytes: Uint8Array | string, options: { readonly end: boolean }) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = Net.connect({ path, allowHalfOpen: true }, () => {
      if (options.end) socket.end(bytes)
      else socket.write(bytes)
    })
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("end", () => socket.end())
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

const failure = <A, R>(effect: Effect.Effect<A, ControlError, R>) => Effect.flip(effect)

describe("ControlServer", () => {
  it.live("answers with the host's report", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("lets nobody but its user connect, whatever the umask", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const before = process.umask(0)
      yield* serve(path).pipe(Effect.ensuring(Effect.sync(() => process.umask(before))))
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
    }))

  it.live("leaves the umask as it was", () =>
    Effect.gen(function*() {
      const before = process.umask()
      yield* serve(yield* newPath)
      assert.strictEqual(process.umask(), before)
    }))

  it.live("has that mode from its first moment: there is none in which others could connect", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { listen } = Net.Server.prototype
      let first: number | undefined
      Net.Server.prototype.listen = function(this: Net.Server, ...args: Array<any>) {
        const result = listen.apply(this, args as never)
        first = Fs.statSync(path).mode & 0o777
        return result
      } as typeof listen
      yield* serve(path).pipe(Effect.ensuring(Effect.sync(() => {
        Net.Server.prototype.listen = listen
      })))
      assert.strictEqual(first, 0o600)
    }))

  it.live("replaces the socket of a host that is gone", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* leaveStale(path)
      yield* serve(path)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("leaves a host alone that answers, and says what to do", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const error = yield* failure(Effect.scoped(serve(path)))
      assert.strictEqual(error.reason, "InUse")
      assert.strictEqual(error.message, `a host already answers on ${path}; give another path with --control`)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("leaves a file alone that is no socket", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      Fs.writeFileSync(path, "precious")
      const error = yield* failure(Effect.scoped(serve(path)))
      assert.strictEqual(error.message, `${path} exists and is no socket; give another path with --control`)
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "precious")
    }))

  it.live("says when the directory does not exist, or the path is too long", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const inside = Path.join(path, "no", "such")
      const missing = yield* failure(Effect.scoped(serve(inside)))
      assert.strictEqual(
        missing.message,
        `the directory of the control socket ${inside} does not exist; create it, or give another path with --control`
      )
      const long = yield* failure(Effect.scoped(serve(path + "x".repeat(200))))
      assert.strictEqual(long.reason, "InvalidPath")
      assert.include(long.message, "bytes long")
    }))

  it.live("removes its file when it closes", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* Effect.scoped(serve(path))
      assert.isFalse(Fs.existsSync(path))
      yield* serve(path)
    }))

  it.live("closes although a peer is in the middle of a request", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const peer = yield* Effect.scoped(Effect.gen(function*() {
        yield* serve(path)
        const connected = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect({ path }, () => {
            socket.write("GET /v1/host HTTP/1.1\r\nHost: x\r\nX-Half", () => resume(Effect.succeed(socket)))
          })
          socket.on("error", () => {})
        })
        // it has been seen by the server once the server answers a later one
        yield* ControlClient.report(path)
        return connected
      }))
      peer.destroy()
      assert.isFalse(Fs.existsSync(path))
    }))

  it.live("survives nonsense", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const random = Random.make(7)
      for (let i = 0; i < 100; i++) {
        const bytes = Uint8Array.from({ length: 1 + random(2000) }, () => random(256))
        const answer = yield* speak(path, bytes, { end: true })
        if (answer !== "") assert.match(answer, /^HTTP\/1\.1 400 /)
      }
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("refuses a head that is too large, and what it does not have", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const head = `GET /v1/host HTTP/1.1\r\nHost: x\r\nX-Large: ${"x".repeat(1 << 20)}\r\n\r\n`
      assert.match(yield* speak(path, head, { end: false }), /^HTTP\/1\.1 431 /)
      const other = "GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      assert.match(yield* speak(path, other, { end: false }), /^HTTP\/1\.1 404 /)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("cuts off whoever says nothing, or only half of it", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const half = "GET /v1/host HTTP/1.1\r\nHost: x\r\nX-Ha"
      const body = "POST /v1/host HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
      yield* Effect.forEach(["", half, body], (bytes) => speak(path, bytes, { end: false }), { concurrency: 3 })
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))
})

describe("ControlClient", () => {
  it.live("says what to do when no host answers: no socket, or nobody on it", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const expected = `no host answers on ${path}; start one with: sluice serve`
      assert.strictEqual((yield* failure(ControlClient.report(path))).message, expected)
      yield* leaveStale(path)
      assert.strictEqual((yield* failure(ControlClient.report(path))).message, expected)
    }))

  it.live("says so when what answers is no host", () =>
    Effect.gen(function*() {
      for (const answer of ["", "hello\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"]) {
        const path = yield* newPath
        const server = yield* listening(path)
        server.on("connection", (socket) => {
          socket.on("error", () => {})
          socket.once("data", () => socket.end(answer))
        })
        const error = yield* failure(ControlClient.report(path))
        assert.strictEqual(error.reason, "NotAHost", answer)
        assert.include(error.message, `what answers on ${path} is not a host of this version: `)
      }
    }))
})

describe("ControlPath", () => {
  const withEnv = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
  const temporary = Path.join(Os.tmpdir(), `sluice-${process.getuid?.() ?? -1}`)

  it.live("is in the runtime directory if that is the user's", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      const path = yield* ControlPath.defaultPath.pipe(Effect.provide(withEnv({ XDG_RUNTIME_DIR: directory })))
      assert.strictEqual(path, Path.join(directory, "sluice.sock"))
    }))

  it.live("is in a directory of its own without one", () =>
    Effect.gen(function*() {
      for (const env of [{}, { XDG_RUNTIME_DIR: "" }, { XDG_RUNTIME_DIR: "run" }, { XDG_RUNTIME_DIR: "/no/such" }]) {
        const path = yield* ControlPath.defaultPath.pipe(Effect.provide(withEnv(env as Record<string, string>)))
        assert.strictEqual(path, Path.join(temporary, "sluice.sock"))
      }
    }))

  const inTemporary = Effect.gen(function*() {
    const directory = yield* TempDirectory.make
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const before = process.env.TMPDIR
        process.env.TMPDIR = directory
        return before
      }),
      (before) =>
        Effect.sync(() => {
          if (before === undefined) delete process.env.TMPDIR
          else process.env.TMPDIR = before
        })
    )
    return Path.join(directory, `sluice-${process.getuid?.() ?? -1}`)
  })
  const noRuntime = withEnv({})

  it.live("makes its own directory, for its user only, and closes one that is open to others", () =>
    Effect.gen(function*() {
      const directory = yield* inTemporary
      const path = yield* ControlPath.defaultPath.pipe(Effect.provide(noRuntime))
      yield* Effect.scoped(serve(path))
      assert.strictEqual(Fs.statSync(directory).mode & 0o777, 0o700)
      Fs.chmodSync(directory, 0o777)
      const error = yield* failure(ControlClient.report(path))
      assert.include(error.message, `others may enter ${directory}`)
      yield* serve(path)
      assert.strictEqual(Fs.statSync(directory).mode & 0o777, 0o700)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("refuses a directory that another user has put there, on both sides", () =>
    Effect.gen(function*() {
      const directory = yield* inTemporary
      const path = yield* ControlPath.defaultPath.pipe(Effect.provide(noRuntime))
      const refused = Effect.fnUntraced(function*(words: string) {
        for (const attempt of [Effect.asVoid(Effect.scoped(serve(path))), Effect.asVoid(ControlClient.report(path))]) {
          const error = yield* failure(attempt)
          assert.strictEqual(error.reason, "ForeignDirectory")
          assert.include(error.message, words)
        }
        Fs.rmSync(directory, { recursive: true })
      })
      Fs.symlinkSync("/", directory)
      yield* refused("is no directory")
      // only root can make what belongs to somebody else
      if (process.getuid?.() !== 0) return
      Fs.mkdirSync(directory, { mode: 0o700 })
      Fs.chownSync(directory, 12345, 12345)
      yield* refused(`another user owns ${directory}`)
    }))
})
