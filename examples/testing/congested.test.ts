// No worker can take a connection. How many connections wait, for how long, and what happens to the others?
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AppWorker, SessionLayer } from "sluice"
import { HostScripted } from "sluice/testing"

const listen = "tcp://127.0.0.1:7000"
const app = AppWorker.fromUrl(new URL("./lines.ts", import.meta.url))

it.effect("while all workers are congested three connections wait, for a second, and the others are refused", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { advance, network, script, settled } = yield* HostScripted.HostScripted
    yield* host.attach({
      name: "lines",
      listen: [listen],
      workers: 2,
      admission: { policy: "hold", holdMax: 3, holdTime: "1 second" }
    }, app)
    const dial = () => {
      const client = network.dial(listen)
      client.send("hello\n")
      return client
    }
    const arrivals = Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!.arrivals)

    for (const worker of [0, 1]) script(worker).block()
    const clients = Array.from({ length: 5 }, dial)
    // the offers to both run out, and so does the one that went from worker 0 to worker 1: three are held, two have no room
    yield* advance("10 millis")
    assert.isTrue((yield* host.report).apps[0]!.workers.every(({ congested }) => congested))
    assert.strictEqual((yield* arrivals).held, 3)
    assert.strictEqual((yield* arrivals).refused["hold-full"], 2)
    assert.strictEqual(clients.filter(({ refused }) => refused).length, 2)

    // a client that waits gives up, so there is room for another
    clients.find(({ closed }) => !closed)!.reset()
    yield* settled
    const late = dial()
    // the others have been held since their offers ran out, 5 ms after the beginning
    yield* advance("994 millis")
    assert.strictEqual((yield* arrivals).held, 3)
    yield* advance("1 millis")
    assert.strictEqual((yield* arrivals).refused["hold-time"], 2)
    assert.strictEqual((yield* arrivals).held, 1)

    // the client that still waits is served as soon as a worker can take it
    script(1).release()
    yield* settled
    assert.strictEqual(late.received().toString(), "1.0 hello\n")

    const { claimed, held, offered, withdrawn } = yield* arrivals
    assert.deepStrictEqual({ claimed, held, offered, withdrawn }, { claimed: 1, held: 0, offered: 0, withdrawn: 1 })
    assert.deepStrictEqual((yield* host.report).imbalances, [])
  }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))

it.effect("or nobody waits, and each is refused with the reason", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { advance, network, script } = yield* HostScripted.HostScripted
    const admission = { policy: "refuse" } as const
    yield* host.attach({ name: "lines", listen: [listen], workers: 1, admission }, app)

    script(0).block("1 second")
    const clients = Array.from({ length: 4 }, () => network.dial(listen))
    yield* advance("5 millis")
    assert.isTrue(clients.every(({ refused }) => refused))
    const { refused } = (yield* host.report).ledger.arrivals
    assert.strictEqual(refused.congested, 4)
  }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
