// A worker crashes. Which clients are cut off, which are not, and when is the worker back?
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AppWorker, SessionLayer } from "sluice"
import { HostScripted } from "sluice/testing"

const listen = "tcp://127.0.0.1:7000"
const app = AppWorker.fromUrl(new URL("./lines.ts", import.meta.url))

it.effect("a crash resets the worker's sessions, moves its offers, and is over after the backoff", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer.SessionLayer
    const { advance, network, script, settled } = yield* HostScripted.HostScripted
    yield* host.attach({
      name: "lines",
      listen: [listen],
      workers: 2,
      worker: { backoffBase: "100 millis", backoffMax: "10 seconds" }
    }, app)
    const say = (line: string) => {
      const client = network.dial(listen)
      client.send(`${line}\n`)
      return client
    }
    const states = Effect.map(host.report, ({ apps }) => apps[0]!.workers.map(({ state }) => state))

    const [zero, one] = [say("a"), say("b")]
    yield* settled
    assert.strictEqual(zero.received().toString(), "0.0 a\n")
    assert.strictEqual(one.received().toString(), "1.0 b\n")

    // the next message to worker 1 offers it a connection: the worker crashes on it, and worker 0 gets the connection
    script(1).crashAtNextMessage("a bug")
    const moved = [say("c"), say("d")]
    yield* settled
    assert.deepStrictEqual(moved.map((client) => client.received().toString()), ["0.0 c\n", "0.0 d\n"])
    assert.isDefined(one.broken)
    assert.isFalse(zero.closed)
    assert.deepStrictEqual(yield* states, ["RUNNING", "BACKOFF"])

    yield* advance("99 millis")
    assert.deepStrictEqual(yield* states, ["RUNNING", "BACKOFF"])
    yield* advance("1 millis")
    assert.deepStrictEqual(yield* states, ["RUNNING", "RUNNING"])
    const again = [say("e"), say("f")]
    yield* settled
    assert.deepStrictEqual(again.map((client) => client.received().toString()), ["1.1 e\n", "0.0 f\n"])

    // after a second crash the wait is twice as long
    script(1).crash()
    yield* advance("199 millis")
    assert.deepStrictEqual(yield* states, ["RUNNING", "BACKOFF"])
    yield* advance("1 millis")
    assert.deepStrictEqual(yield* states, ["RUNNING", "RUNNING"])
    assert.strictEqual(script(1).starts, 3)

    const { apps, imbalances } = yield* host.report
    assert.strictEqual(apps[0]!.workers[1]!.lastFailure, "the worker crashed: it was told to")
    assert.deepStrictEqual(apps[0]!.workers.map(({ offers }) => [offers.offered, offers.claimed, offers.withdrawn]), [
      [4, 4, 0],
      [3, 2, 1]
    ])
    assert.deepStrictEqual(imbalances, [])
  }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
