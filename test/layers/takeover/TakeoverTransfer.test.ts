/** A takeover where the sockets are in the workers' threads: they come back from there, and go over to the next process. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import { text } from "node:stream/consumers"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import * as Cli from "../../support/Cli.ts"
import * as CliProcess from "../../support/CliProcess.ts"
import { until } from "../../support/until.ts"

/** A client that keeps its only connection, and sends its requests in two parts. */
const client = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const sockets = new Set<Net.Socket>()
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      const begin = () => {
        const request = Http.request({
          port,
          host: "127.0.0.1",
          agent,
          method: "POST",
          headers: { "content-length": 2 }
        })
        request.once("socket", (socket) => sockets.add(socket))
        const answer = new Promise<string>((resolve, reject) => {
          request.once("error", reject).once("response", (response) => resolve(text(response)))
        })
        request.write("a")
        return Effect.promise(() => {
          request.end("b")
          return answer
        }).pipe(Effect.map(Number))
      }
      return { agent, begin, sockets }
    }),
    ({ agent }) => Effect.sync(() => agent.destroy())
  )

it.live(
  "X4 connections whose sockets are in a worker's thread go over: idle ones at once, others when they are answered",
  () =>
    Effect.gen(function*() {
      const app = CliProcess.fixture("process")
      const old = yield* CliProcess.serve([app, "--workers", "1", "--placement", "transfer"])
      const { control, port } = old
      const { pid: first } = yield* ControlClient.report(control)
      const idle = yield* client(port)
      const busy = yield* client(port)
      assert.strictEqual(yield* idle.begin(), first)
      assert.strictEqual(yield* busy.begin(), first)
      const finish = busy.begin()
      yield* until("the request to begin", () => [...busy.sockets].every(({ bytesWritten }) => bytesWritten > 0))

      assert.strictEqual((yield* Cli.run(["upgrade", "--control", control])).code, 0)
      const second = yield* CliProcess.hostOf(control)
      assert.notStrictEqual(second, first)
      yield* Effect.repeat(Effect.suspend(idle.begin), { until: (pid) => pid === second })
      assert.strictEqual(yield* finish, first)
      yield* Effect.repeat(Effect.suspend(busy.begin), { until: (pid) => pid === second })
      for (const { sockets } of [idle, busy]) assert.strictEqual(sockets.size, 1)

      const report = yield* Effect.repeat(ControlClient.report(control), {
        until: ({ formerHosts }) => formerHosts.length === 0
      })
      assert.deepStrictEqual(report.imbalances, [])
      assert.deepStrictEqual([report.ledger.arrivals.arrived, report.ledger.arrivals.lost], [2, 0])
      process.kill(second, "SIGTERM")
      // the second one has the output of the first
      assert.strictEqual((yield* old.result).code, 0)
    }).pipe(Effect.scoped),
  60_000
)
