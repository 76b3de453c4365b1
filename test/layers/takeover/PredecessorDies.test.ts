/** A host that follows another one, which dies, at each step: two processes each time, and what becomes of the sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import * as Url from "node:url"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as TakeoverMessage from "../../../src/domain/takeover/TakeoverMessage.ts"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const main = Url.fileURLToPath(new URL("../../../src/main.ts", import.meta.url))

/** A host that dies as the steps say, and the one that it has started; the scope's end kills both if they still are. */
const predecessor = Effect.fnUntraced(function*(control: string, steps: ReadonlyArray<string>) {
  const host = [main, CliProcess.fixture("echo"), control, String(TakeoverMessage.PROTOCOL)]
  const args = [CliProcess.fixture("predecessor"), ...host, ...steps]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      ChildProcess.spawn(process.execPath, args, {
        env: CliProcess.environment(Path.dirname(control)),
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const told = yield* Effect.callback<string>((resume) => {
    child.stdout.once("data", (text: Buffer) => resume(Effect.succeed(text.toString())))
  })
  const [port, pid] = told.split(" ").map(Number) as [number, number]
  yield* Effect.addFinalizer(() => Effect.sync(() => CliProcess.isThere(pid) && process.kill(pid, "SIGKILL")))
  return { port, pid }
})

const counted = (): Ledger.LedgerTotals => {
  const totals = Ledger.makeTotals()
  Object.assign(totals.arrivals, { arrived: 5, claimed: 4, held: 1 })
  return totals
}

const { arrivals, messages, offers } = counted()
const rules = { rules: [], denied: ["198.51.100.0/24"] }
const SERVE = `say:${JSON.stringify({ _tag: "Serve", ...rules, totals: { arrivals, messages, offers }, hosts: [] })}`
const SETTLE = `say:${JSON.stringify({ _tag: "Settle", ...rules })}`

describe("a host whose predecessor dies (X4)", () => {
  const cases: ReadonlyArray<{ readonly steps: ReadonlyArray<string>; readonly arrived: number }> = [
    { steps: ["hear:Ready", "kill"], arrived: 0 },
    { steps: ["hear:Ready", SERVE, "exit"], arrived: 5 },
    { steps: ["hear:Ready", SERVE, "hear:Serving", SETTLE, "kill"], arrived: 5 },
    { steps: ["hear:Ready", SERVE, "hear:Serving", SETTLE, "hear:Settled", "send", "kill"], arrived: 6 }
  ]

  it.live(
    "X4 serves alone, at whichever step that was, with what it has been given and told so far",
    () =>
      Effect.forEach(cases, ({ arrived, steps }) =>
        Effect.gen(function*() {
          const control = Path.join(yield* TempDirectory.make, "control.sock")
          const { pid, port } = yield* predecessor(control, steps)
          // comes while the old one is there, and waits
          const early = yield* TcpClient.connect(port)
          const report = yield* Effect.retry(ControlClient.report(control), {
            schedule: Schedule.spaced(20),
            times: 1000
          })
          assert.strictEqual(report.pid, pid)
          yield* TcpClient.echoed(yield* TcpClient.connect(port), "a new one")
          if (steps.includes("send")) yield* TcpClient.echoed(early, "handed over")
          const after = yield* ControlClient.report(control)
          const { ledger } = yield* Effect.repeat(ControlClient.report(control), {
            until: ({ ledger }) => ledger.arrivals.arrived > arrived
          })
          assert.deepStrictEqual(after.imbalances, [])
          assert.deepStrictEqual(after.formerHosts, [])
          // the early one is the old one's, which had it and died, or the new one's
          assert.include([arrived + 1, arrived + 2], ledger.arrivals.arrived)
          const denied = yield* ControlClient.ask(control, (client) => client.denied.list())
          assert.lengthOf(denied, arrived === 0 ? 0 : 1)
        }).pipe(Effect.scoped), { concurrency: "unbounded", discard: true }),
    60_000
  )
})
