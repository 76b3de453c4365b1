/** Takeovers between two hosts, each a process of its own as the `sluice` command starts it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import * as Cli from "../../support/Cli.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import { until } from "../../support/until.ts"

const echo = CliProcess.fixture("echo")

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** The process that is the host there now, which the scope's end kills if it still is: nobody here has started it. */
const hostOf = (control: string) =>
  Effect.acquireRelease(
    Effect.map(ControlClient.report(control), ({ pid }) => pid),
    (pid) =>
      Effect.sync(() => {
        if (isThere(pid)) process.kill(pid, "SIGKILL")
      })
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
        const old = yield* CliProcess.serve([echo, "--workers", "1", "--in-process"])
        const { control, port } = old
        const before = yield* ControlClient.report(control)
        const waiting = yield* TcpClient.connect(port)
        const busy = yield* TcpClient.connect(port)
        yield* TcpClient.echoed(busy, "in hand")
        yield* Cli.prints(control, "rules", "add", "--action", "deny", "--remote", "192.0.2.0/24")
        yield* Cli.prints(control, "deny", "add", "198.51.100.0/24")

        // code that does not start changes nothing
        const broken = yield* CliProcess.run([
          "serve",
          CliProcess.fixture("throws"),
          "--takeover",
          "--control",
          control
        ])
        Cli.saysWhy(broken, { code: 1, says: /^sluice: no takeover: .*the moon is in the wrong phase/ })
        assert.strictEqual((yield* ControlClient.report(control)).pid, before.pid)

        const taken = yield* CliProcess.run(options(control, "--workers", "2", "--takeover"))
        const pid = yield* hostOf(control)
        assert.deepInclude(taken, { code: 0, stdout: `process ${pid} has taken over, with 1 connection\n` })
        assert.notStrictEqual(pid, before.pid)

        yield* TcpClient.echoed(waiting, "with the new host")
        yield* TcpClient.echoed(busy, "finishes with the old one")
        yield* Effect.scoped(Effect.flatMap(TcpClient.connect(port), (socket) => TcpClient.echoed(socket, "a new one")))
        // what the old one counts reaches the new one each second
        const report = yield* Effect.repeat(ControlClient.report(control), {
          until: ({ ledger }) => ledger.arrivals.arrived === 3
        })
        assert.strictEqual(report.apps[0]!.workers.length, 2)
        assert.deepStrictEqual(report.imbalances, [])
        assert.match(yield* Cli.prints(control, "rules", "list"), /192\.0\.2\.0\/24/)
        assert.match(yield* Cli.prints(control, "deny", "list"), /198\.51\.100\.0\/24/)

        // not before the old one has ended
        const { message } = yield* Effect.flip(
          ControlClient.ask(control, (client) => client.host.upgrade({ payload: {} }))
        )
        assert.match(message, /^no takeover: the host before, process \d+, has not ended yet/)
        busy.end()
        yield* until("the old host ends", () => !isThere(before.pid))
        assert.strictEqual((yield* ControlClient.report(control)).ledger.arrivals.arrived, 3)
        waiting.destroy()
        process.kill(pid, "SIGTERM")
        yield* until("the new host ends", () => !isThere(pid))
        assert.strictEqual((yield* old.result).code, 0)
      }),
    60_000
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
    }), 60_000)
})
