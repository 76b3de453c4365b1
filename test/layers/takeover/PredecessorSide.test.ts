/** A host and successors that fail, at each step: real processes, which do what the test tells them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import type { TakeoverError } from "../../../src/services/Takeover.ts"
import * as Cli from "../../support/Cli.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import { settled, until } from "../../support/until.ts"

const echo = Cli.fixture("echo")
const successor = Cli.fixture("successor")

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

describe("a host whose successor fails (X4)", () => {
  const cases: ReadonlyArray<{ readonly steps: ReadonlyArray<string>; readonly is: readonly [string, RegExp] }> = [
    { steps: ["exit"], is: ["Gone", /^no takeover: the successor ended with code 3$/] },
    { steps: [READY, "hear:Serve", "exit"], is: ["Gone", /ended with code 3$/] },
    { steps: [READY, "hear:Serve", SERVING, "hear:Connection", "exit"], is: ["Gone", /ended with code 3$/] },
    {
      steps: [
        READY,
        "hear:Serve",
        SERVING,
        "hear:Connection",
        "say:{\"_tag\":\"Declined\",\"id\":0}",
        "hear:Settle",
        "exit"
      ],
      is: ["Gone", /ended with code 3$/]
    },
    { steps: ["say:{\"_tag\":\"Failed\",\"detail\":\"no luck\"}", "hang"], is: ["Failed", /^no takeover: no luck$/] },
    { steps: ["close", "hang"], is: ["Gone", /closed its channel$/] },
    { steps: ["say:{\"_tag\":\"Settled\"}", "hang"], is: ["Nonsense", /said "Settled" where nobody expects it$/] },
    { steps: ["say:[1]", "hang"], is: ["Nonsense", /can't be read: /] },
    {
      steps: [READY, "hear:Serve", SERVING, "hear:Connection", "say:{\"_tag\":\"Taken\",\"id\":5}", "hang"],
      is: ["Nonsense", /said "Taken" where nobody expects it$/]
    }
  ]

  it.live(
    "X4 goes on as if there had been none, whatever it does, and has what was on its way",
    () =>
      Effect.gen(function*() {
        const { control, port } = yield* Cli.serve([echo, "--workers", "2", "--in-process"])
        // parked from its claim on: it is what goes over
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
    "X4 reads nothing of a connection that is on its way, and all of it when it comes back",
    () =>
      Effect.gen(function*() {
        const { control, port } = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
        const waiting = yield* TcpClient.connect(port)
        const meeting = yield* Effect.acquireRelease(
          Effect.callback<Net.Server>((resume) => {
            const server = Net.createServer()
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const sent = Effect.callback<Net.Socket>((resume) => {
          meeting.once("connection", (socket) => waiting.write("mean", () => resume(Effect.succeed(socket))))
        }).pipe(
          Effect.tap(() => settled),
          Effect.map((socket) => socket.resume().end())
        )
        const { port: at } = meeting.address() as Net.AddressInfo
        const steps = [READY, "hear:Serve", SERVING, "hear:Connection", `meet:${at}`, "exit"]
        const [[reason]] = yield* Effect.all([failure(control, ...steps), sent], { concurrency: 2 })
        assert.strictEqual(reason, "Gone")
        let answer = ""
        waiting.on("data", (chunk: Buffer) => void (answer += chunk.toString()))
        waiting.write("while")
        yield* until("all comes back", () => answer === "meanwhile")
      }),
    30_000
  )

  it.live("X4 is told in one sentence that another takeover is under way", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([echo, "--workers", "1", "--in-process"])
      const hangs = Effect.flip(upgrade(control, READY, "hear:Serve", "hang"))
      // one of the two is first, and waits
      const { message } = yield* Effect.raceFirst(hangs, hangs)
      assert.match(message, /^no takeover: process \d+ is taking over already$/)
    }), 20_000)

  it.live("X4 is told in one sentence that it listens where nobody can follow", () =>
    Effect.gen(function*() {
      const { control } = yield* Cli.serve([echo, "--workers", "1", "--in-process", "--listen", "udp://127.0.0.1:0"])
      const [reason, message] = yield* failure(control, "exit")
      assert.strictEqual(reason, "NoDescriptor")
      assert.match(message, /^no takeover: the socket of udp:\/\/127\.0\.0\.1:\d+ can't be handed on$/)
    }))
})
