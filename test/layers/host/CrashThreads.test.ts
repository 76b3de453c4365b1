/** X3 with threads, sockets and HTTP: workers that die under load. `bench/crash.ts` does it 100 times. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { once } from "node:events"
import * as Http from "node:http"
import { text } from "node:stream/consumers"
import * as MetricsText from "../../../src/domain/report/MetricsText.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as EventSums from "../../support/EventSums.ts"
import * as Exposition from "../../support/Exposition.ts"
import * as LedgerMetrics from "../../support/LedgerMetrics.ts"
import { turn, until } from "../../support/until.ts"

const BODY = Buffer.alloc(20_000, "x")
const CLIENTS = 8

/** A client that asks on one connection, and asks again soon after it is answered. */
class Client {
  readonly #agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
  readonly #port: number
  isOver = false
  answered = 0
  failed = 0
  wrong = 0

  constructor(port: number) {
    this.#port = port
  }

  async ask(path: string, body: Buffer | undefined): Promise<void> {
    const method = body === undefined ? "GET" : "POST"
    const request = Http.request({ host: "127.0.0.1", port: this.#port, path, method, agent: this.#agent })
    try {
      request.end(body)
      const [response] = await once(request, "response") as [Http.IncomingMessage]
      if (await text(response) !== String(body?.length ?? 0)) this.wrong++
      this.answered++
    } catch {
      this.failed++
    }
  }

  askAgain(body: Buffer | undefined): Effect.Effect<void> {
    return Effect.whileLoop({
      while: () => !this.isOver,
      // a pause, or the clients take all the time that the workers need to start
      body: () => Effect.andThen(Effect.promise(() => this.ask("/", body)), Effect.sleep(10)),
      step: () => {}
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

it.live(
  "X3 X5 M14 workers die under kept-alive clients: what fails is what they had in hand, nothing is refused, and ledger, "
    + "metrics and events say the same",
  () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const events = yield* EventSums.follow(host)
      yield* host.attach({
        name: "dying",
        listen: ["tcp://127.0.0.1:0"],
        workers: 2,
        // the clock is that of a machine which may have much else to do
        admission: { holdTime: "1 minute" },
        worker: { kind: "thread", backoffBase: "10 millis" }
      }, AppWorker.fromUrl(new URL("../../fixtures/node/dying.ts", import.meta.url)))
      const [app] = (yield* host.report).apps
      const port = Number(app!.listeners[0]!.endpoint.split(":").at(-1))
      const clients = Array.from({ length: CLIENTS }, () => new Client(port))
      const asking = yield* Effect.forEach(
        clients,
        (client, i) => Effect.forkScoped(client.askAgain(i % 2 === 0 ? BODY : undefined))
      )
      yield* until("answers", () => clients.every(({ answered }) => answered > 1))
      const killer = new Client(port)
      const isUp = Effect.map(host.report, ({ apps }) => apps[0]!.workers.every(({ state }) => state === "RUNNING"))
      for (let deaths = 1; deaths <= 2; deaths++) {
        while (!(yield* isUp)) yield* turn
        yield* Effect.promise(() => killer.ask("/die", undefined))
        const before = clients.map(({ answered }) => answered)
        yield* until(
          "all clients to be answered again",
          () => clients.every(({ answered }, i) => answered > before[i]!)
        )
      }
      for (const client of [...clients, killer]) client.isOver = true
      yield* Effect.forEach(asking, Fiber.join)
      for (const client of [...clients, killer]) client.close()
      const { imbalances, ledger: { arrivals } } = yield* host.report
      const failed = clients.reduce((sum, { failed }) => sum + failed, killer.failed)
      assert.strictEqual(killer.failed, 2)
      assert.isAtMost(failed, arrivals.lost)
      assert.strictEqual(Object.values(arrivals.refused).reduce((a, b) => a + b), 0)
      assert.strictEqual(clients.reduce((sum, { wrong }) => sum + wrong, 0), 0)
      assert.deepStrictEqual(imbalances, [])
      const report = yield* host.report
      assert.deepStrictEqual(LedgerMetrics.differences(report, Exposition.parse(MetricsText.format(report))), [])
      yield* Effect.repeat(Effect.exit(events.addUp), { until: Exit.isSuccess, schedule: Schedule.spaced(10) }).pipe(
        Effect.timeoutOption(10_000),
        Effect.andThen(events.addUp)
      )
    }).pipe(Effect.scoped, Effect.provide(Host.layer)),
  60_000
)
