/** Takeovers between two hosts, each a process of its own as the `sluice` command starts it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import * as Cli from "../../support/Cli.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import { isInstalled } from "../../support/programs.ts"
import { root } from "../../support/serving.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { until } from "../../support/until.ts"

const echo = CliProcess.fixture("echo")

const { hostOf, isThere } = CliProcess

/** A service manager that writes down what it is told, by the program that tells it. */
const serviceManager = Effect.map(TempDirectory.make, (directory) => {
  const told = Path.join(directory, "told")
  const program = `#!/bin/sh\necho "$*" >> "${told}"\n`
  Fs.writeFileSync(Path.join(directory, "systemd-notify"), program, { mode: 0o755 })
  return {
    env: { PATH: `${directory}:${process.env["PATH"]}`, NOTIFY_SOCKET: Path.join(directory, "nobody") },
    told: () => Fs.existsSync(told) ? Fs.readFileSync(told, "utf8") : ""
  }
})

const freePort = Effect.callback<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Waits until the health port says so. */
const ready = (address: string, reason: string) =>
  Effect.tryPromise(() => fetch(`http://${address}/ready`).then((response) => response.json())).pipe(
    Effect.flatMap((body) => Effect.try(() => assert.deepStrictEqual(body, { ready: true, reason }))),
    Effect.retry({ schedule: Schedule.spaced(10), times: 2000 })
  )

const options = (control: string, ...more: ReadonlyArray<string>) => [
  "serve",
  echo,
  "--in-process",
  "--listen",
  "tcp://127.0.0.1:0",
  "--control",
  control,
  ...more
]

describe("a host that another one follows (X4)", () => {
  it.live(
    "X4 hands on sockets, sessions that wait, rules, counters and its control socket, and ends",
    () =>
      Effect.gen(function*() {
        const { env, told } = yield* serviceManager
        const health = ["--health", `127.0.0.1:${yield* freePort}`]
        const old = yield* CliProcess.serve([echo, "--workers", "1", "--in-process", ...health], { env })
        const { control, port } = old
        const before = yield* ControlClient.report(control)
        const waiting = yield* TcpClient.connect(port)
        const busy = yield* TcpClient.connect(port)
        yield* TcpClient.echoed(busy, "in hand")
        yield* Cli.prints(control, "rules", "add", "--action", "deny", "--remote", "192.0.2.0/24")
        yield* Cli.prints(control, "deny", "add", "198.51.100.0/24")

        // the second one, with other options
        // its directory is there as long as the hosts are, which run in it
        const asks = yield* CliProcess.start(options(control, "--workers", "2", "--takeover", ...health), { env })
        const taken = yield* asks.result
        const second = yield* hostOf(control)
        assert.deepInclude(taken, {
          code: 0,
          stdout: `process ${second} has taken over; the host before had 2 sessions, which go over or finish there\n`
        })
        assert.notStrictEqual(second, before.pid)
        yield* until("the service manager", () => told().includes(`MAINPID=${second} `))
        yield* ready(health[1]!, "echo: 2 of 2 workers take sessions")

        yield* TcpClient.echoed(waiting, "with the new host")
        yield* TcpClient.echoed(busy, "finishes with the old one")
        yield* Effect.scoped(Effect.flatMap(TcpClient.connect(port), (socket) => TcpClient.echoed(socket, "a new one")))
        // what the old one counts reaches the new one each second
        const report = yield* Effect.repeat(ControlClient.report(control), {
          until: ({ formerHosts, ledger }) => ledger.arrivals.arrived === 3 && formerHosts[0]?.sessions === 1
        })
        assert.strictEqual(report.apps[0]!.workers.length, 2)
        assert.deepStrictEqual(report.imbalances, [])
        assert.match(yield* Cli.prints(control, "rules", "list"), /192\.0\.2\.0\/24/)
        assert.match(yield* Cli.prints(control, "deny", "list"), /198\.51\.100\.0\/24/)

        // the third one, while the first one still has a session
        const again = yield* Cli.run(["upgrade", "--control", control])
        const third = yield* hostOf(control)
        assert.deepInclude(again, {
          code: 0,
          stdout: `process ${third} has taken over; the host before had 1 session, which goes over or finishes there\n`
        })
        assert.notStrictEqual(third, second)
        const both = yield* Effect.repeat(ControlClient.report(control), {
          until: ({ formerHosts, ledger }) => ledger.arrivals.arrived === 3 && formerHosts.length === 2
        })
        assert.deepStrictEqual(both.formerHosts.map(({ pid }) => pid), [second, before.pid])
        assert.match(
          yield* Cli.prints(control, "show", "app"),
          new RegExp(`process ${before.pid}, a host before this one, has 1 session left and ends within \\S+ s`)
        )
        // it has been there for as long as the first one
        const { host: { allUpMillis, generation, upMillis } } = yield* ControlClient.ask(
          control,
          (client) => client.host.overview()
        )
        assert.strictEqual(generation, 3)
        assert.isAbove(allUpMillis - upMillis, before.uptimeMillis)
        yield* ready(health[1]!, "echo: 2 of 2 workers take sessions")
        yield* TcpClient.echoed(waiting, "with the second one")
        waiting.end()
        yield* TcpClient.echoed(busy, "with the first one")
        busy.end()
        yield* until("the first host ends", () => !isThere(before.pid))
        yield* until("the second host ends", () => !isThere(second))
        const end = yield* Effect.repeat(ControlClient.report(control), {
          until: ({ formerHosts }) => formerHosts.length === 0
        })
        assert.strictEqual(end.ledger.arrivals.arrived, 3)
        assert.deepStrictEqual(end.imbalances, [])
        process.kill(third, "SIGTERM")
        yield* until("the third host ends", () => !isThere(third))
        assert.strictEqual((yield* old.result).code, 0)
        assert.match(told(), new RegExp(`MAINPID=${third} `))
      }),
    90_000
  )

  it.live(
    "X4 hands on what it listens on over UDP, and its sessions there: parked at once, others as they end",
    () =>
      Effect.gen(function*() {
        const udp = ["--listen", "udp://127.0.0.1:0"]
        const app = CliProcess.fixture("datagrams")
        const old = yield* CliProcess.serve([app, "--workers", "1", "--in-process", ...udp])
        const { control } = old
        const { apps, pid: before } = yield* ControlClient.report(control)
        const { endpoint } = apps[0]!.listeners.find(({ endpoint }) => endpoint.startsWith("udp:"))!
        const [kept, parked, late] = yield* Effect.all([
          UdpPeer.make(endpoint),
          UdpPeer.make(endpoint),
          UdpPeer.make(endpoint)
        ])
        const answers = (peer: UdpPeer.UdpPeer) => peer.received.map(String).filter((text) => text !== "kept")
        const asked = (peer: UdpPeer.UdpPeer, word: string) =>
          Effect.suspend(() => {
            const count = answers(peer).length
            peer.send(word)
            return Effect.as(until(`an answer to ${word}`, () => answers(peer).length > count), undefined)
          }).pipe(Effect.map(() => answers(peer).at(-1)!))
        kept.send("keep")
        assert.strictEqual(yield* asked(kept, "who"), String(before))
        for (const word of ["one", "two", "park"]) parked.send(word)
        assert.strictEqual(yield* asked(parked, "count"), "2")

        const command = ["serve", app, "--in-process", "--listen", "tcp://127.0.0.1:0", ...udp, "--control", control]
        assert.strictEqual((yield* CliProcess.run([...command, "--workers", "1", "--takeover"])).code, 0)
        const pid = yield* hostOf(control)
        assert.notStrictEqual(pid, before)
        assert.strictEqual(yield* asked(late, "who"), String(pid))
        assert.strictEqual(yield* asked(parked, "who"), String(pid))
        assert.strictEqual(yield* asked(parked, "count"), "2")
        assert.strictEqual(yield* asked(kept, "who"), String(before))
        kept.send("close")
        yield* until("the old host ends", () => !isThere(before))
        assert.strictEqual(yield* asked(kept, "who"), String(pid))
        const { imbalances, ledger } = yield* ControlClient.report(control)
        assert.deepStrictEqual(imbalances, [])
        assert.strictEqual(ledger.arrivals.arrived, 4)
        process.kill(pid, "SIGTERM")
        yield* until("the new host ends", () => !isThere(pid))
      }),
    90_000
  )

  it.live.runIf(isInstalled("systemd-socket-activate"))(
    "X4 hands on the sockets of systemd, with their names",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const control = Path.join(directory, "control.sock")
        const port = yield* freePort
        const main = Path.join(root, "src/main.ts")
        const serve = ["serve", echo, "--in-process", "--workers", "1", "--listen", "fd://http", "--control", control]
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => {
            const socket = ["-l", `127.0.0.1:${port}`, "--fdname=http"]
            return ChildProcess.spawn("systemd-socket-activate", [...socket, process.execPath, main, ...serve], {
              env: CliProcess.environment(directory),
              stdio: "ignore"
            })
          }),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        const connects = Effect.callback<string>((resume) => {
          const socket = Net.connect(port, "127.0.0.1", () => socket.write("hello"))
          socket.on("error", (error) => resume(Effect.succeed(error.message)))
          socket.on("data", (answer) => {
            socket.destroy()
            resume(Effect.succeed(answer.toString()))
          })
        })
        // it begins with the first connection, once its program is there
        yield* Effect.repeat(connects, {
          schedule: Schedule.spaced(20),
          until: (answer) => answer === "hello"
        })
        assert.strictEqual((yield* ControlClient.report(control)).pid, child.pid)
        const { stdout } = yield* Cli.run(["upgrade", "--control", control])
        const second = yield* hostOf(control)
        assert.strictEqual(stdout, `process ${second} has taken over\n`)
        assert.notStrictEqual(second, child.pid)
        yield* until("the first host ends", () => child.exitCode !== null)
        assert.strictEqual(yield* connects, "hello")
        process.kill(second, "SIGTERM")
        yield* until("the second host ends", () => !isThere(second))
      }).pipe(Effect.scoped),
    90_000
  )

  it.live("X4 may die on the way: the other one serves on its sockets", () =>
    Effect.gen(function*() {
      const old = yield* CliProcess.serve([echo, "--workers", "1", "--in-process"])
      const { control, port } = old
      const before = yield* ControlClient.report(control)
      yield* Effect.forkScoped(
        Effect.ignore(ControlClient.ask(control, (client) => client.host.upgrade({ payload: {} }), { patient: true }))
      )
      // the successor has its listener, and its worker is about to be up
      yield* old.printed("stderr", /listener opened[^]*listener opened/)
      yield* old.kill("SIGKILL")
      yield* until("the predecessor is gone", () => !isThere(before.pid))
      yield* Effect.scoped(Effect.flatMap(TcpClient.connect(port), (socket) => TcpClient.echoed(socket, "served")))
      const pid = yield* Effect.retry(hostOf(control), { times: 2000 })
      process.kill(pid, "SIGTERM")
      yield* until("the successor ends", () => !isThere(pid))
    }), 90_000)
})
