import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import * as Net from "node:net"
import * as NodeApps from "../../../src/layers/adapters/node/NodeApps.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as RestMemory from "../../../src/layers/worker/RestMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { until } from "../../support/until.ts"

describe("what sessions that were given up still have to send", () => {
  it("is copied in one piece, up to the bound in all, and again once it was given back", () => {
    const parts = [Buffer.from("one, "), Buffer.from("two")]
    const copy = RestMemory.copy(parts)!
    parts[0]!.fill(0)
    assert.strictEqual(Buffer.from(copy).toString(), "one, two")
    const rest = RestMemory.copy([Buffer.alloc(RestMemory.BOUND - copy.length)])!
    assert.isUndefined(RestMemory.copy([Buffer.alloc(1)]))
    assert.isDefined(RestMemory.copy([]))
    RestMemory.free(copy)
    RestMemory.free(rest)
    const whole = RestMemory.copy([Buffer.alloc(RestMemory.BOUND)])
    assert.isDefined(whole)
    RestMemory.free(whole!)
  })

  it.live("costs no more than the bound, however many peers do not read, and is whole where there was memory", () =>
    Effect.gen(function*() {
      const large = Buffer.alloc(24 * 1024 ** 2, "x")
      let destroyed = 0
      const server = Net.createServer((socket) => {
        socket.on("error", () => {})
        socket.write(large, () => destroyed++)
        setImmediate(() => socket.destroy())
      })
      const host = yield* SessionLayer
      yield* host.attach(
        { name: "app", listen: ["tcp://127.0.0.1:0"], workers: 1, worker: { kind: "in-process" } },
        AppWorker.fromLayer(NodeApps.layer(server))
      )
      const { port } = server.address() as Net.AddressInfo
      const before = process.memoryUsage().arrayBuffers
      const clients = Array.from({ length: 5 }, () => Net.connect({ port, host: "127.0.0.1" }).pause())
      yield* Effect.addFinalizer(() => Effect.sync(() => clients.forEach((client) => client.destroy())))
      yield* until("all are destroyed", () => destroyed === clients.length)
      assert.isAtMost(process.memoryUsage().arrayBuffers - before, RestMemory.BOUND + 32 * 1024 ** 2)
      const read = yield* Effect.promise(() =>
        Promise.all(clients.map(async (client) => {
          await once(client.resume(), "end")
          return client.bytesRead
        }))
      )
      const whole = read.filter((bytes) => bytes === large.length).length
      assert.isAtLeast(whole, 2)
      assert.isBelow(whole, clients.length)
      // those have given their memory back
      yield* until("it is free", () => {
        const copy = RestMemory.copy([large, large])
        if (copy !== undefined) RestMemory.free(copy)
        return copy !== undefined
      })
    }).pipe(Effect.scoped, Effect.provide(Host.layer)))
})
