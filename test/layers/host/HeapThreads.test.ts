/** X6: a worker whose heap only grows, on a real thread. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Net from "node:net"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { until } from "../../support/until.ts"

describe("a heap that only grows", () => {
  it.live("X6 the worker is replaced before it dies of it, and a kept session and new ones are served", () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const replaced: Array<string> = []
      yield* host.events({ filter: { kinds: ["worker-replaced", "worker-gone"] } }).pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => void replaced.push("reason" in event ? event.reason : event.kind))
        ),
        Effect.forkScoped
      )
      yield* host.attach(
        {
          name: "app",
          workers: 1,
          listen: ["tcp://127.0.0.1:0"],
          worker: { heapLimitMiB: 256, maxHeap: "48MiB" }
        },
        AppWorker.fromUrl(new URL("../../fixtures/leaks.ts", import.meta.url))
      )
      const { apps: [app] } = yield* host.report
      const port = Number(app!.listeners[0]!.endpoint.split(":").at(-1))
      const dial = Effect.acquireRelease(
        Effect.sync(() => {
          const socket = Net.connect(port, "127.0.0.1").on("error", () => {})
          const client = { socket, received: 0 }
          socket.on("data", ({ length }) => client.received += length)
          return client
        }),
        ({ socket }) => Effect.sync(() => socket.destroy())
      )
      const kept = yield* dial
      let asked = 0
      // some 140 of its 256 MiB: V8 ends no thread before four fifths
      while (replaced.length === 0 && asked < 60) {
        const anew = asked % 10 === 0 ? yield* dial : kept
        const before = anew.received
        anew.socket.write("a")
        asked++
        yield* until("an answer", () => anew.received > before)
      }
      yield* until("its replacement", () => replaced.length > 0)
      const before = kept.received
      kept.socket.write("b")
      yield* until("an answer of the next start", () => kept.received > before)
      assert.deepStrictEqual(replaced, ["heap"])
      const { apps: [after], imbalances, ledger } = yield* host.report
      assert.deepStrictEqual([after!.workers[0]!.generation, after!.workers[0]!.restartsBy.heap], [2, 1])
      assert.deepStrictEqual([imbalances, ledger.arrivals.lost, ledger.arrivals.refused["hold-time"]], [[], 0, 0])
    }).pipe(Effect.scoped))
})
