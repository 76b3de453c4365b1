/**
 * A service as a service manager runs it: its sockets are made for it and outlive it, and it says how it does. The
 * manager is a shell that holds the sockets, and `systemd-notify` a program that writes down what it is told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Dgram from "node:dgram"
import * as Events from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { root } from "./support/serving.ts"
import * as TempDirectory from "./support/TempDirectory.ts"
import { until } from "./support/until.ts"

/** Runs a command as often as there are lines on stdin, with descriptors from 3 on, and says each one's pid. */
const MANAGER = `while read -r _; do
  sh -c 'echo "pid $$"; LISTEN_PID=$$ exec "$@"' sh "$@" <&-
  echo "code $?"
done`

const property = (of: unknown, name: string | symbol): unknown =>
  typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined

/** The number of a socket's descriptor, which Node has in its handle, and a socket of UDP in its state. */
const descriptorOf = (socket: Net.Server | Dgram.Socket): number => {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol")
  const handle = property(
    state === undefined ? socket : property(socket, state),
    state === undefined ? "_handle" : "handle"
  )
  return Number(property(handle, "fd"))
}

interface Manager {
  readonly start: () => void
  readonly said: () => string
  readonly pids: () => ReadonlyArray<number>
  readonly told: () => string
}

/** A manager of this command, with these sockets, which are its alone from here on. */
const manage = Effect.fnUntraced(function*(
  directory: string,
  sockets: Readonly<Record<string, Net.Server | Dgram.Socket>>,
  args: ReadonlyArray<string>
): Effect.fn.Return<Manager, never, Scope.Scope> {
  const told = Path.join(directory, "told")
  Fs.writeFileSync(Path.join(directory, "systemd-notify"), "#!/bin/sh\necho \"$*\" >> \"$TOLD\"\n", { mode: 0o755 })
  const env = {
    PATH: `${directory}:${process.env.PATH}`,
    XDG_RUNTIME_DIR: directory,
    TOLD: told,
    NOTIFY_SOCKET: Path.join(directory, "nobody"),
    LISTEN_FDS: String(Object.keys(sockets).length),
    LISTEN_FDNAMES: Object.keys(sockets).join(":")
  }
  let said = ""
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      ChildProcess.spawn("sh", ["-c", MANAGER, "sh", process.execPath, Path.join(root, "src/main.ts"), ...args], {
        cwd: directory,
        env,
        stdio: ["pipe", "pipe", "pipe", ...Object.values(sockets).map(descriptorOf)]
      })
    ),
    (child) =>
      Effect.promise(async () => {
        const last = pids().at(-1)
        if (!/code \d+\n$/.test(said) && last !== undefined) process.kill(last, "SIGKILL")
        child.stdin!.end()
        if (child.exitCode === null) await Events.once(child, "exit")
      })
  )
  for (const socket of Object.values(sockets)) socket.close()
  const pids = (): ReadonlyArray<number> => Array.from(said.matchAll(/^pid (\d+)$/gm), ([, pid]) => Number(pid))
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text: Buffer) => said += text.toString())
  return {
    start: () => void child.stdin!.write("\n"),
    said: () => said,
    pids,
    told: () => Fs.existsSync(told) ? Fs.readFileSync(told, "utf8") : ""
  }
})

const listen = (where: Net.ListenOptions): Effect.Effect<Net.Server> =>
  Effect.callback((resume) => {
    const server = Net.createServer().listen(where, () => resume(Effect.succeed(server)))
  })

const bind = Effect.callback<Dgram.Socket>((resume) => {
  const socket = Dgram.createSocket("udp4")
  socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
})

/** What comes back for these bytes, until the host ends the connection. */
const echoed = (to: Net.NetConnectOpts, bytes: string) =>
  Effect.callback<string>((resume) => {
    let heard = ""
    const socket = Net.connect(to, () => socket.end(bytes))
    socket.on("data", (chunk: Buffer) => heard += chunk.toString())
    socket.on("error", (error) => resume(Effect.succeed(error.message)))
    socket.on("close", () => resume(Effect.succeed(heard)))
    return Effect.sync(() => socket.destroy())
  })

/** The first datagram that comes back; it is sent again and again, since nobody promises that one arrives. */
const echoedDatagram = (port: number, bytes: string) =>
  Effect.callback<string>((resume) => {
    const socket = Dgram.createSocket("udp4")
    socket.on("message", (message) => resume(Effect.succeed(message.toString())))
    const send = (): void => socket.send(bytes, port, "127.0.0.1")
    // so seldom that they all find room with a worker that is long in coming
    const timer = setInterval(send, 500)
    send()
    return Effect.sync(() => {
      clearInterval(timer)
      socket.close()
    })
  })

const echo = Path.join(root, "test/fixtures/echo.ts")

describe("socket activation", () => {
  it.live(
    "connections wait while a service is away, and nobody hears that it was; the manager is told",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const [bound, path] = ["bound.sock", "x.sock"].map((name) => Path.join(directory, name)) as [string, string]
        const tcp = yield* listen({ host: "127.0.0.1", port: 0 })
        const unix = yield* listen({ path: bound })
        const udp = yield* bind
        const { port } = tcp.address() as Net.AddressInfo
        const datagrams = udp.address().port
        Fs.linkSync(bound, path)
        const sockets = { web: tcp, local: unix, dns: udp }
        const names = Object.keys(sockets).flatMap((name) => ["--listen", `fd://${name}`])
        const own = ["--health", "127.0.0.1:0", "--control", `${directory}/c.sock`, "--udp-idle-timeout", "50ms"]
        const args = ["serve", echo, ...names, ...own, "--in-process", "--workers", "1"]
        const manager = yield* manage(directory, sockets, args)
        // the test's server takes the name away that it knows; this one is the service's to leave alone
        yield* until("a name that is gone", () => !Fs.existsSync(bound))
        Fs.linkSync(path, bound)

        manager.start()
        // these come before anybody in the service listens
        assert.strictEqual(yield* echoed({ host: "127.0.0.1", port }, "one"), "one")
        assert.strictEqual(yield* echoed({ path }, "two"), "two")
        assert.strictEqual(yield* echoedDatagram(datagrams, "three"), "three")
        yield* until("ready", () => manager.told().includes("READY=1 STATUS=echo: 1 of 1 worker takes sessions\n"))
        const healthPort = (): string | undefined => /health at (http:\S+) /.exec(manager.said())?.[1]
        yield* until("a health port", () => healthPort() !== undefined)
        const ready = yield* Effect.promise(() => fetch(`${healthPort()}/ready`))
        assert.strictEqual(ready.status, 200)
        assert.deepStrictEqual(yield* Effect.promise(() => ready.json()), {
          ready: true,
          reason: "echo: 1 of 1 worker takes sessions"
        })
        process.kill(manager.pids()[0]!, "SIGTERM")
        yield* until("its end", () => manager.said().includes("code 0\n"))
        yield* until(
          "its last word",
          () => manager.told().includes("STOPPING=1 STATUS=draining: nothing new is accepted\n")
        )

        const four = yield* Effect.forkScoped(echoed({ host: "127.0.0.1", port }, "four"))
        const five = yield* Effect.forkScoped(echoed({ path }, "five"))
        manager.start()
        assert.strictEqual(yield* Fiber.join(four), "four")
        assert.strictEqual(yield* Fiber.join(five), "five")
        process.kill(manager.pids()[1]!, "SIGTERM")
        yield* until("its end", () => /code 0\n[^]*code 0\n/.test(manager.said()))
        assert.isTrue(Fs.existsSync(bound))
        assert.deepStrictEqual(manager.said().match(/^.* WARN .*$/gm) ?? [], [])
      }).pipe(Effect.scoped),
    60_000
  )
})
