/** A host and successors that fail, at each step: real processes, which do what the test tells them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Net from "node:net"
import * as Path from "node:path"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import type { TakeoverError } from "../../../src/services/Takeover.ts"
import * as Cli from "../../support/Cli.ts"
import { root } from "../../support/serving.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { until } from "../../support/until.ts"

const echo = Cli.fixture("echo")
const successor = Cli.fixture("successor")
const main = Path.join(root, "src/main.ts")

const upgrade = (control: string, ...steps: ReadonlyArray<string>) =>
  ControlClient.ask(
    control,
    (client) => client.host.upgrade({ payload: { flags: [], args: [successor, ...steps] } }),
    { patient: true }
  )

/** The reason and the sentence of a takeover that fails. */
const failure = Effect.fnUntraced(function*(control: string, ...steps: ReadonlyArray<string>) {
  const error = yield* Effect.flip(upgrade(control, ...steps))
  assert.strictEqual(error._tag, "TakeoverError", error.message)
  const { message, reason } = error as TakeoverError
  return [reason, message] as const
})

const READY = "say:{\"_tag\":\"Ready\"}"
const SERVING = "say:{\"_tag\":\"Serving\",\"listeners\":[\"0.0\"]}"
const SETTLED = "say:{\"_tag\":\"Settled\"}"

describe("a host whose successor fails (X4)", () => {
  const cases: ReadonlyArray<{ readonly steps: ReadonlyArray<string>; readonly is: readonly [string, RegExp] }> = [
    { steps: ["exit"], is: ["Gone", /^no takeover: the successor ended with code 3$/] },
    { steps: [READY, "hear:Serve", "exit"], is: ["Gone", /ended with code 3$/] },
    { steps: [READY, "hear:Serve", SERVING, "exit"], is: ["Gone", /ended with code 3$/] },
    { steps: [READY, "hear:Serve", SERVING, "hear:Settle", "exit"], is: ["Gone", /ended with code 3$/] },
    { steps: [READY, "hear:Serve", SERVING, "hear:Settle", "kill"], is: ["Gone", /ended by SIGKILL$/] },
    { steps: ["say:{\"_tag\":\"Failed\",\"detail\":\"no luck\"}", "hang"], is: ["Failed", /^no takeover: no luck$/] },
    { steps: ["close", "hang"], is: ["Gone", /closed its channel$/] },
    { steps: [SETTLED, "hang"], is: ["Nonsense", /said "Settled" where nobody expects it$/] },
    { steps: ["say:[1]", "hang"], is: ["Nonsense", /can't be read: /] },
    {
      steps: [READY, "hear:Serve", SERVING, "hear:Settle", "say:{\"_tag\":\"Taken\",\"id\":0}", "hang"],
      is: ["Nonsense", /said "Taken" where nobody expects it$/]
    }
  ]

  it.live(
    "X4 goes on as if there had been none, whatever it does before it is the host",
    () =>
      Effect.gen(function*() {
        const { control, port } = yield* Cli.serve([echo, "--workers", "2", "--in-process"])
        const waiting = yield* TcpClient.connect(port)
        for (const { is: [reason, says], steps } of cases) {
          const [failed, message] = yield* failure(control, ...steps)
          assert.strictEqual(failed, reason, `${steps.join(" ")}: ${message}`)
          assert.match(message, says)
          yield* TcpClient.echoed(yield* TcpClient.connect(port), "a new one")
        }
        yield* TcpClient.echoed(waiting, "there all the time")
        const report = yield* ControlClient.report(control)
        assert.deepStrictEqual(report.imbalances, [])
        assert.isFalse(report.draining)
        assert.strictEqual(report.ledger.arrivals.arrived, 1 + cases.length)
      }),
    30_000
  )

  it.live(
    "X4 finishes alone what it has, once the successor is the host and dies, and ends what is on its way",
    () =>
      Effect.gen(function*() {
        const host = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
        const { control, port } = host
        const first = yield* TcpClient.connect(port)
        const second = yield* TcpClient.connect(port)
        const busy = yield* TcpClient.connect(port)
        yield* TcpClient.echoed(busy, "in hand")
        const steps = [READY, "hear:Serve", SERVING, "hear:Settle", SETTLED, "hear:Connection", "kill"]
        assert.strictEqual((yield* upgrade(control, ...steps)).sessions, 3)
        assert.strictEqual(yield* TcpClient.endOf(first), "closed")
        yield* TcpClient.echoed(second, "with the old one")
        yield* TcpClient.echoed(busy, "with the old one")
        second.end()
        busy.end()
        assert.strictEqual((yield* host.result).code, 0)
      }),
    20_000
  )

  it.live(
    "X4 does not send a connection again that its successor does not want, and ends it",
    () =>
      Effect.gen(function*() {
        const host = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
        const waiting = yield* TcpClient.connect(host.port)
        const steps = [READY, "hear:Serve", SERVING, "hear:Settle", SETTLED, "hear:Connection"]
        yield* upgrade(host.control, ...steps, "say:{\"_tag\":\"Declined\",\"id\":0}", "hear:Connection", "hang")
        assert.strictEqual(yield* TcpClient.endOf(waiting), "closed")
        assert.strictEqual((yield* host.result).code, 0)
      }),
    20_000
  )

  it.live(
    "X4 is told in one sentence that it is shutting down, before and while the successor comes up",
    () =>
      Effect.gen(function*() {
        const host = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
        const { control, port } = host
        const busy = yield* TcpClient.connect(port)
        yield* TcpClient.echoed(busy, "in hand")
        const meeting = yield* Effect.acquireRelease(
          Effect.callback<Net.Server>((resume) => {
            const server = Net.createServer()
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port: at } = meeting.address() as Net.AddressInfo
        const comes = yield* Effect.forkChild(failure(control, READY, "hear:Serve", `meet:${at}`))
        const socket = yield* Effect.callback<Net.Socket>((resume) => {
          meeting.once("connection", (socket) => resume(Effect.succeed(socket.on("error", () => {}))))
        })
        yield* host.kill("SIGTERM")
        for (const [reason, message] of [yield* Fiber.join(comes), yield* failure(control, "exit")]) {
          assert.deepStrictEqual([reason, message], ["Draining", "no takeover: this host is shutting down"])
        }
        socket.destroy()
        busy.end()
        assert.strictEqual((yield* host.result).code, 0)
      }),
    20_000
  )

  it.live("X4 hears in the successor's own words why that one does not come up", () =>
    Effect.gen(function*() {
      const other = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
      const host = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
      const third = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
      const fails = (control: string, app: string, ...options: ReadonlyArray<string>) => {
        const args = [main, "serve", app, "--control", control, ...options] as const
        return Effect.flip(ControlClient.ask(
          control,
          (client) => client.host.upgrade({ payload: { flags: [], args } }),
          { patient: true }
        ))
      }
      const taken = ["--in-process", "--workers", "1", "--listen", `tcp://127.0.0.1:${other.port}`]
      const [module, options, port] = yield* Effect.all([
        fails(third.control, Cli.fixture("throws"), "--in-process", "--workers", "1"),
        fails(host.control, echo, "--workers", "banana"),
        fails(other.control, echo, ...taken, "--listen", `tcp://127.0.0.1:${host.port}`)
      ], { concurrency: 3 })
      assert.match(module.message, /^no takeover: .*the moon is in the wrong phase/)
      assert.strictEqual(
        options.message,
        "no takeover: --workers: got \"banana\"; it must be a whole number from 1 to 256, a range of them such as \"2..8\", or \"auto\""
      )
      assert.match(port.message, /^no takeover: can't listen on tcp:\S+: another program listens there/)
      for (const { port } of [host, other, third]) yield* TcpClient.echoed(yield* TcpClient.connect(port), "goes on")
    }), 30_000)

  it.live("X4 is told in one sentence that another takeover is under way", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
      const hangs = Effect.flip(upgrade(control, READY, "hear:Serve", "hang"))
      // one of the two is first, and waits
      const { message } = yield* Effect.raceFirst(hangs, hangs)
      assert.match(message, /^no takeover: process \d+ is taking over already$/)
    }), 20_000)

  describe("and that listens on UDP", () => {
    const listening = Effect.gen(function*() {
      const args = [Cli.fixture("datagrams"), "--workers", "1", "--in-process", "--listen", "udp://127.0.0.1:0"]
      const { control } = yield* Cli.serve(args)
      const { apps } = yield* ControlClient.report(control)
      const { endpoint, handle } = apps[0]!.listeners.find(({ endpoint }) => endpoint.startsWith("udp:"))!
      const peer = yield* UdpPeer.make(endpoint)
      const answers = () => peer.received.map(String).filter((text) => text !== "kept")
      const serving = `say:{"_tag":"Serving","listeners":["${handle}"]}`
      return { control, peer, answers, steps: [READY, "hear:Serve", serving, "hear:Settle"] }
    })

    it.live("X4 reads all along, if its successor fails", () =>
      Effect.gen(function*() {
        const { answers, control, peer, steps } = yield* listening
        peer.send("one")
        peer.send("count")
        yield* until("an answer", () => answers().length === 1)
        const [reason] = yield* failure(control, ...steps, "exit")
        assert.strictEqual(reason, "Gone")
        peer.send("count")
        yield* until("another one", () => answers().length === 2)
        assert.deepStrictEqual(answers(), ["1", "1"])
        assert.deepStrictEqual((yield* ControlClient.report(control)).imbalances, [])
      }), 20_000)

    it.live("X4 reads again, for the sessions that it has, if its successor is gone", () =>
      Effect.gen(function*() {
        const { answers, control, peer, steps } = yield* listening
        peer.send("keep")
        peer.send("one")
        peer.send("count")
        yield* until("an answer", () => answers().length === 1)
        yield* upgrade(control, ...steps, SETTLED, "hear:Peers", "hear:Read", "exit")
        peer.send("count")
        yield* until("another one", () => answers().length === 2)
        assert.deepStrictEqual(answers(), ["1", "1"])
      }), 20_000)
  })
})
