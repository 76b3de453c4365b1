/** What is known of sessions besides their addresses, on a host whose memory for it runs out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as Host from "../../../src/layers/Host.ts"
import { fromLayer } from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { layerAccept } from "../../../src/services/Sessions.ts"
import { until } from "../../support/until.ts"

const HEADER = "PROXY TCP4 192.0.2.1 192.0.2.2 51234 443\r\n"
const CLIENTS = 1200

describe("what is known of sessions", () => {
  it.live("connections for which it finds no memory are held, and the host goes on", () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const abouts = new Set<string>()
      yield* host.attach(
        {
          name: "app",
          listen: ["tcp://127.0.0.1:0"],
          workers: 1,
          worker: { kind: "in-process" },
          queue: { indexQueue: 256, ioRing: 256, controlRing: 64 },
          segment: { firstSegmentSize: "512 KiB", addSegmentSize: 0, rxFifoSize: "32 KiB", txFifoSize: "32 KiB" },
          listener: { proxyTrust: ["127.0.0.1"] }
        },
        fromLayer(layerAccept((session) => {
          abouts.add(`${session.remote} ${session.about.proxy !== undefined}`)
          session.handler = { ended: () => session.close() }
        }))
      )
      const listener = Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!)
      const port = Number(new URL((yield* listener).endpoint).port)
      const clients = Array.from({ length: CLIENTS }, () => {
        const client = Net.connect({ port, host: "127.0.0.1" })
        client.on("error", () => {}).write(HEADER)
        return client
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => clients.forEach((client) => client.destroy())))
      let arrivals = (yield* listener).arrivals
      for (; arrivals.arrived < CLIENTS; arrivals = (yield* listener).arrivals) yield* Effect.sleep("10 millis")
      assert.isAbove(arrivals.claimed, 0)
      assert.isAbove(arrivals.held + arrivals.refused["hold-full"], 0)
      assert.deepStrictEqual([...abouts], ["tcp://192.0.2.1:51234 true"])
      assert.deepStrictEqual((yield* host.report).imbalances, [])
      // memory that comes free is for those that are held
      const { claimed } = arrivals
      clients.slice(0, 100).forEach((client) => client.destroy())
      yield* until("held ones to be claimed", () => Effect.runSync(listener).arrivals.claimed > claimed)
    }).pipe(Effect.scoped, Effect.provide(Host.layer)), 30_000)
})
