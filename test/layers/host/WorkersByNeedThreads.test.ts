/** X8 with threads: how busy a loop is can be seen from outside, and a worker that is added takes sessions. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Net from "node:net"
import * as Host from "../../../src/layers/Host.ts"
import { Machine } from "../../../src/layers/system/Machine.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { eventsOf } from "../../support/EventSums.ts"
import { until } from "../../support/until.ts"

/** Connections that each keep a worker's loop busy for a while, and are followed by the next ones. */
class Callers {
  readonly #sockets = new Set<Net.Socket>()
  readonly #port: number
  answered = 0

  constructor(port: number, count: number) {
    this.#port = port
    for (let i = 0; i < count; i++) this.#call()
  }

  #call(): void {
    const socket = Net.connect(this.#port, "127.0.0.1", () => socket.write("block 30"))
    this.#sockets.add(socket)
    socket.on("error", () => {}).resume().once("close", () => {
      this.answered++
      if (this.#sockets.delete(socket)) this.#call()
    })
  }

  stop(): void {
    for (const socket of this.#sockets) {
      this.#sockets.delete(socket)
      socket.destroy()
    }
  }
}

describe("workers by need, on threads", () => {
  it.effect(
    "X8 a thread whose loop is busy for two seconds of the host gets another one beside it, which takes sessions",
    () =>
      Effect.gen(function*() {
        const machine = Layer.succeed(Machine, {
          processors: () => 8,
          memory: () => ({ total: 2 ** 37, free: 2 ** 36 })
        })
        const host = Context.get(yield* Layer.build(Layer.provide(Host.layer, machine)), SessionLayer)
        yield* host.attach(
          {
            name: "app",
            workers: "1..2",
            listen: ["tcp://127.0.0.1:0"],
            // time goes in steps here, in which no offer is to run out
            admission: { revokeAfter: "10 seconds", sojournTarget: 0 }
          },
          AppWorker.fromUrl(new URL("../../fixtures/blocks.ts", import.meta.url))
        )
        const app = Effect.map(host.report, ({ apps }) => apps[0]!)
        const callers = new Callers(Number((yield* app).listeners[0]!.endpoint.split(":").at(-1)), 4)
        yield* Effect.addFinalizer(() => Effect.sync(() => callers.stop()))
        for (let steps = 0; (yield* app).workers.length === 1; steps++) {
          assert.isBelow(steps, 100)
          const before = callers.answered
          yield* until("answers", () => callers.answered >= before + 2)
          yield* TestClock.adjust(500)
        }
        for (let claimed = 0; claimed === 0;) {
          const before = callers.answered
          yield* until("an answer", () => callers.answered > before)
          claimed = (yield* app).workers[1]!.offers.claimed
        }
        const reasons = (yield* eventsOf(host)).flatMap((event) => event.kind === "worker-added" ? [event.reason] : [])
        assert.deepStrictEqual(reasons, ["busy"])
        callers.stop()
      }),
    60_000
  )
})
