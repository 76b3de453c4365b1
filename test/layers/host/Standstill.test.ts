/** Sessions that stand still for longer than their listener allows, in time that the test moves. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import { Actor, endpoint, optionsOf } from "../../support/Stage.ts"

const told = new LogLines()

/** An application that writes what its peers do not ask for, and goes on whenever it can. */
const writing = () =>
  new Actor({
    accept: (session) => {
      const bytes = new Uint8Array(65_536)
      const write = (): void => {
        while (session.write(bytes) === bytes.length);
      }
      session.handler = { writable: write, readable: () => void session.read() }
      write()
    }
  })

describe("sessions that stand still", () => {
  it.effect("are reset after stallTimeout, which the peer does not put off by what it sends or by taking little", () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const { advance, network } = yield* HostScripted.HostScripted
      const actor = writing()
      yield* host.attach(
        optionsOf({ listener: { stallTimeout: "2 seconds" }, segment: { txFifoSize: "64KiB" } }),
        actor.module
      )
      const peers = Array.from({ length: 4 }, () => network.dial(endpoint))
      const [silent, sending, sipping, reading] = peers
      for (const peer of [silent, sending, sipping]) peer!.stop()
      told.take()
      for (let i = 0; i < 30; i++) {
        sending!.send("still here")
        sipping!.read(1)
        yield* advance("100 millis")
        if (i < 19) assert.deepStrictEqual(peers.map(({ closed }) => closed), [false, false, false, false])
      }
      assert.deepStrictEqual(peers.map(({ broken }) => broken), [
        ...Array.from({ length: 3 }, () => "the host reset the connection"),
        undefined
      ])
      assert.isFalse(reading!.closed)
      assert.deepStrictEqual(
        actor.run().accepted.map(({ reset }) => reset),
        [...Array.from({ length: 3 }, () => "the peer did not take what was sent to it"), undefined]
      )
      const { apps, sessions } = yield* host.report
      assert.deepStrictEqual(apps[0]!.listeners[0]!.arrivals.ended, { idle: 0, stalled: 3, late: 0, stuck: 0 })
      assert.strictEqual(sessions, 1)
      yield* advance("20 seconds")
      assert.deepStrictEqual(told.having("was ended"), [
        "INFO [app] a session of tcp://127.0.0.1:80 was ended: stalled",
        "INFO [app] a session of tcp://127.0.0.1:80 was ended: stalled (2 more in 10 s)"
      ])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(HostScripted.layer, told.layer))))

  it.effect("may have nothing to say, and may have an application that does not read, as long as they like", () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const { advance, network } = yield* HostScripted.HostScripted
      yield* host.attach(optionsOf({ listener: { stallTimeout: "2 seconds" } }), new Actor().module)
      const silent = network.dial(endpoint)
      const unread = network.dial(endpoint)
      unread.send(new Uint8Array(1 << 20))
      yield* advance("1 minute")
      assert.deepStrictEqual([silent.closed, unread.closed], [false, false])
    }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))

  it.effect("are reset when no byte goes for idleTimeout", () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const { advance, network } = yield* HostScripted.HostScripted
      yield* host.attach(optionsOf({ listener: { idleTimeout: "2 seconds" } }), new Actor().module)
      const silent = network.dial(endpoint)
      const sending = network.dial(endpoint)
      for (let i = 0; i < 30; i++) {
        sending.send("x")
        yield* advance("100 millis")
      }
      assert.deepStrictEqual([silent.closed, sending.closed], [true, false])
      const { apps } = yield* host.report
      assert.deepStrictEqual(apps[0]!.listeners[0]!.arrivals.ended, { idle: 1, stalled: 0, late: 0, stuck: 0 })
    }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
})
