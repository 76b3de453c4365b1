import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import * as Transports from "../../../src/layers/transport/Transports.ts"
import * as TransportUnix from "../../../src/layers/transport/TransportUnix.ts"
import { type SharedConnection, Transport } from "../../../src/services/Transport.ts"
import { AppEnd, sharedOf } from "../../support/AppEnd.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { listenOptions } from "../../support/TransportWorlds.ts"
import { unprivileged } from "../../support/unprivileged.ts"
import { settled, until } from "../../support/until.ts"

const layer = Transports.layer({ unix: TransportUnix.make() })

const endpointOf = (path: string): Endpoint.TransportEndpoint =>
  Result.getOrThrow(Endpoint.parseTransport(`unix://${path}`))

const listen = Effect.fnUntraced(function*(path: string, unixMode = 0o600) {
  const transport = yield* Transport
  const connections: Array<SharedConnection> = []
  const bound = yield* transport.listen(endpointOf(path), {
    ...listenOptions,
    listener: { ...Options.defaults.listener, unixMode },
    accept: (connection) => connections.push(sharedOf(connection))
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.abort())))
  return { local: Endpoint.format(bound), connections }
})

const dial = (path: string): Effect.Effect<Net.Socket, NodeJS.ErrnoException, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, NodeJS.ErrnoException>((resume) => {
      const socket = Net.connect({ path })
      socket.once("error", (error) => resume(Effect.fail(error)))
      socket.once("connect", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** A socket's file whose owner is gone: another name of a socket that has been closed. */
const leave = (path: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const server = Net.createServer()
    server.listen(`${path}.old`, () => {
      Fs.linkSync(`${path}.old`, path)
      server.close(() => resume(Effect.void))
    })
  })

const isSocket = (path: string): boolean => Fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true

const test = (
  title: string,
  body: (directory: string) => Effect.Effect<void, unknown, Transport | Scope.Scope>
): void => it.live(title, () => Effect.flatMap(TempDirectory.make, body).pipe(Effect.scoped, Effect.provide(layer)))

describe("TransportUnix", () => {
  test("a listener has its path, with nothing beside it, and takes the path away with it", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      const scope = yield* Scope.make()
      const { connections, local } = yield* Scope.provide(listen(path), scope)
      assert.strictEqual(local, `unix://${path}`)
      assert.deepStrictEqual(Fs.readdirSync(directory), ["x.sock"])
      yield* dial(path)
      yield* until("a connection", () => connections.length === 1)
      assert.strictEqual(connections[0]!.local, `unix://${path}`)
      assert.strictEqual(connections[0]!.remote, "unix://")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(Fs.readdirSync(directory), [])
    }))

  for (const mode of [0o600, 0o660, 0o666, 0o777, 0o000]) {
    test(`the file has mode ${mode.toString(8)}, whatever the process's mask`, (directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "x.sock")
        const mask = process.umask(0o077)
        yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(mask)))
        yield* listen(path, mode)
        assert.strictEqual(Fs.statSync(path).mode & 0o777, mode)
      }))
  }

  test("until the path is there nobody else has a way to the socket, and then it has its mode", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      const mask = process.umask(0)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(mask)))
      const seen = new Set<string>()
      const look = (): void => {
        for (const name of Fs.readdirSync(directory)) {
          const mode = Fs.lstatSync(Path.join(directory, name)).mode & 0o777
          seen.add(`${name === "x.sock" ? name : "another"} ${mode.toString(8)}`)
        }
      }
      const listening = yield* Effect.forkChild(listen(path, 0o620), { startImmediately: true })
      look()
      yield* Fiber.join(listening)
      look()
      assert.deepStrictEqual([...seen].sort(), ["another 700", "x.sock 620"])
    }))

  test("a socket that nobody answers was left behind, and is taken over", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      yield* leave(path)
      assert.isTrue(isSocket(path))
      const { connections } = yield* listen(path)
      yield* dial(path)
      yield* until("a connection", () => connections.length === 1)
      assert.deepStrictEqual(Fs.readdirSync(directory), ["x.sock"])
    }))

  test("a socket that answers is in use, and goes on", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      const first = yield* listen(path)
      const error = yield* Effect.flip(listen(path))
      assert.strictEqual(error.reason, "AddressInUse")
      assert.match(error.message, /^listen unix:\/\/\/.*: another program listens there/)
      const before = first.connections.length
      yield* dial(path)
      yield* until("a connection", () => first.connections.length > before)
      assert.deepStrictEqual(Fs.readdirSync(directory), ["x.sock"])
    }))

  for (
    const [what, make] of [
      ["file", (path: string) => Fs.writeFileSync(path, "precious")],
      ["directory", (path: string) => Fs.mkdirSync(path)],
      ["link to a file", (path: string) => {
        Fs.writeFileSync(`${path}.target`, "precious")
        Fs.symlinkSync(`${path}.target`, path)
      }],
      ["link to nowhere", (path: string) => Fs.symlinkSync("nowhere", path)]
    ] as const
  ) {
    test(`a ${what} is in use, and is left alone`, (directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "x.sock")
        make(path)
        const before = Fs.lstatSync(path)
        const error = yield* Effect.flip(listen(path))
        assert.strictEqual(error.reason, "AddressInUse")
        assert.match(error.message, /is not a socket, and is left alone/)
        assert.strictEqual(Fs.lstatSync(path).ino, before.ino)
        assert.isFalse(Fs.readdirSync(directory).some((name) => name.startsWith(".sluice")))
      }))
  }

  test("of many that want a path that was left behind, one has it, and it answers", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      for (let round = 0; round < 20; round++) {
        yield* leave(path)
        yield* Effect.scoped(Effect.gen(function*() {
          const results = yield* Effect.all(Array.from({ length: 8 }, () => Effect.result(listen(path))), {
            concurrency: "unbounded"
          })
          const won = results.filter(Result.isSuccess)
          assert.strictEqual(won.length, 1)
          for (const result of results) {
            if (Result.isFailure(result)) assert.strictEqual(result.failure.reason, "AddressInUse")
          }
          const before = won[0]!.success.connections.length
          yield* dial(path)
          yield* until("a connection", () => won[0]!.success.connections.length > before)
        }))
        assert.deepStrictEqual(Fs.readdirSync(directory), [])
      }
    }))

  test("a file that is not the listener's any more stays when it ends", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      const scope = yield* Scope.make()
      yield* Scope.provide(listen(path), scope)
      Fs.unlinkSync(path)
      const other = yield* listen(path)
      yield* Scope.close(scope, Exit.void)
      yield* dial(path)
      yield* until("a connection", () => other.connections.length === 1)
    }))

  test("one whose file is gone already ends as well", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      const scope = yield* Scope.make()
      yield* Scope.provide(listen(path), scope)
      Fs.unlinkSync(path)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(Fs.readdirSync(directory), [])
    }))

  for (const bytes of [100, 107]) {
    test(`a path of ${bytes} bytes is one like any other, fresh or left behind`, (directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "x".repeat(bytes - Buffer.byteLength(directory) - 1))
        assert.strictEqual(Buffer.byteLength(path), bytes)
        const { connections } = yield* Effect.scoped(listen(path))
        assert.deepStrictEqual(connections, [])
        // its short name is needed to leave one behind
        const short = Path.join(directory, "short")
        yield* leave(short)
        Fs.renameSync(short, path)
        const again = yield* listen(path)
        yield* dial(path)
        yield* until("a connection", () => again.connections.length === 1)
        assert.deepStrictEqual(Fs.readdirSync(directory), [Path.basename(path)])
      }))
  }

  test("a directory that is not there is told", (directory) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(listen(Path.join(directory, "none/x.sock")))
      assert.strictEqual(error.reason, "AddressNotAvailable")
      assert.include(error.message, `there is no directory ${directory}/none`)
    }))

  test("a directory that may not be written to is told", (directory) =>
    Effect.gen(function*() {
      Fs.chmodSync(directory, 0o555)
      const error = yield* unprivileged(Effect.flip(listen(Path.join(directory, "x.sock"))))
      assert.strictEqual(error.reason, "PermissionDenied")
    }))

  describe("a connect", () => {
    const connect = Effect.fnUntraced(function*(path: string) {
      const transport = yield* Transport
      return yield* Effect.acquireRelease(
        transport.connect(endpointOf(path)),
        (connection) => Effect.sync(() => connection.abort())
      )
    })

    test("has its path for the peer, and no name of its own", (directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "x.sock")
        const { connections } = yield* listen(path)
        const connection = yield* connect(path)
        assert.strictEqual(connection.remote, `unix://${path}`)
        assert.strictEqual(connection.local, "unix://")
        yield* until("a connection", () => connections.length === 1)
        const app = new AppEnd(connection, 4096).open()
        const peer = new AppEnd(connections[0]!, 4096).open()
        app.write(Buffer.from("hello"))
        yield* until("bytes", () => peer.rx.size === 5)
        peer.call((connection) => connection.abort())
        yield* until("the end", () => app.said.includes("ended") || app.over !== undefined)
      }))

    for (
      const [what, make, reason, detail] of [
        ["where nothing is", () => Effect.void, "ConnectionRefused", /there is no such socket/],
        ["to a socket that was left behind", leave, "ConnectionRefused", /nobody listens there/],
        [
          "to a file",
          (path: string) => Effect.sync(() => Fs.writeFileSync(path, "")),
          "ConnectionRefused",
          /what is there is not a socket/
        ]
      ] as const
    ) {
      test(`${what} is refused`, (directory) =>
        Effect.gen(function*() {
          const path = Path.join(directory, "x.sock")
          yield* make(path)
          const error = yield* Effect.flip(connect(path))
          assert.strictEqual(error.reason, reason)
          assert.match(error.message, detail)
        }))
    }

    test("to a socket without permission is told", (directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "x.sock")
        yield* listen(path, 0)
        // it is the socket that lets nobody in, not its directory
        Fs.chmodSync(directory, 0o755)
        const error = yield* unprivileged(Effect.flip(connect(path)))
        assert.strictEqual(error.reason, "PermissionDenied")
      }))
  })

  test("a peer that vanishes ends its connection, and no other", (directory) =>
    Effect.gen(function*() {
      const path = Path.join(directory, "x.sock")
      const { connections } = yield* listen(path)
      const gone = yield* dial(path)
      const stays = yield* dial(path)
      yield* until("both", () => connections.length === 2)
      const apps = connections.map((connection) => new AppEnd(connection, 4096).open())
      apps[0]!.write(Buffer.from("unread"))
      yield* settled
      gone.destroy()
      yield* until("the end", () => apps[0]!.said.includes("ended") || apps[0]!.over !== undefined)
      stays.write("still here")
      yield* until("bytes", () => apps[1]!.rx.size === 10)
    }))
})
