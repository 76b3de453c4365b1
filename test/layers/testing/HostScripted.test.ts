/** What a test can tell workers to do, in one line each, and when exactly it takes effect. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import type * as TransportMemory from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { layerAccept, Sessions } from "../../../src/services/Sessions.ts"

const endpoint = "tcp://127.0.0.1:80"

const app = AppWorker.fromUrl(new URL("../../fixtures/misbehaving.ts", import.meta.url))

interface Stage extends Pick<HostScripted.HostScripted["Service"], "advance" | "network" | "script" | "settled"> {
  readonly host: SessionLayer["Service"]
  /** A client that has said a line. */
  readonly ask: (line: string) => TransportMemory.Peer
  readonly worker: (number: number) => Effect.Effect<Report.WorkerReport>
}

/** A test on an application with some workers, at whose end the ledger balances. */
const scenario = (
  title: string,
  options: AppOptionsInput,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>,
  module = app
): void =>
  it.effect(title, () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      const { advance, network, script, settled } = yield* HostScripted.HostScripted
      yield* host.attach({ name: "app", listen: [endpoint], ...options }, module)
      yield* body({
        host,
        advance,
        network,
        script,
        settled,
        ask: (line) => {
          const peer = network.dial(endpoint)
          peer.send(`${line}\n`)
          return peer
        },
        worker: (number) => Effect.map(host.report, ({ apps }) => apps[0]!.workers[number]!)
      })
      assert.deepStrictEqual((yield* host.report).imbalances, [])
    }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))

const inProcess = (workers: number): AppOptionsInput => ({ workers, worker: { kind: "in-process" } })

const textOf = (peer: TransportMemory.Peer): string => peer.received().toString()

describe("a scripted worker", () => {
  scenario(
    "is blocked for as long as it was told, to the millisecond",
    inProcess(1),
    (stage) =>
      Effect.gen(function*() {
        const peer = stage.ask("first")
        yield* stage.settled
        stage.script(0).block("3 seconds")
        peer.send("second\n")
        yield* stage.advance(2999)
        assert.strictEqual(textOf(peer), "first\n")
        yield* stage.advance(1)
        assert.strictEqual(textOf(peer), "first\nsecond\n")
      })
  )

  scenario("is blocked for as long as it was told last", inProcess(1), (stage) =>
    Effect.gen(function*() {
      const peer = stage.ask("first")
      yield* stage.settled
      stage.script(0).block(10)
      yield* stage.advance(5)
      stage.script(0).block(10)
      peer.send("second\n")
      yield* stage.advance(9)
      assert.strictEqual(textOf(peer), "first\n")
      yield* stage.advance(1)
      assert.strictEqual(textOf(peer), "first\nsecond\n")
      stage.script(0).block(10)
      stage.script(0).release()
      stage.script(0).block()
      peer.send("third\n")
      yield* stage.advance(50)
      assert.strictEqual(textOf(peer), "first\nsecond\n")
    }))

  scenario("that is slow takes its time for each message, one after the other", {
    ...inProcess(1),
    admission: { revokeAfter: "1 second" }
  }, (stage) =>
    Effect.gen(function*() {
      const peers = [stage.ask("a"), stage.ask("b"), stage.ask("c")]
      yield* stage.settled
      stage.script(0).slow("10 millis")
      for (const [i, peer] of peers.entries()) peer.send(`${i}\n`)
      const seen: Array<string> = []
      for (let i = 0; i < 4; i++) {
        seen.push(peers.map(textOf).join("").replaceAll("\n", ""))
        yield* stage.advance(9)
        seen.push(peers.map(textOf).join("").replaceAll("\n", ""))
        yield* stage.advance(1)
      }
      assert.deepStrictEqual(seen, ["abc", "abc", "a0bc", "a0bc", "a0b1c", "a0b1c", "a0b1c2", "a0b1c2"])
      // it has gone idle: the next one takes its time from when it comes
      yield* stage.advance(5)
      peers[0]!.send("late\n")
      yield* stage.advance(9)
      assert.notInclude(textOf(peers[0]!), "late")
      yield* stage.advance(1)
      assert.include(textOf(peers[0]!), "late")
      stage.script(0).slow(0)
      peers[0]!.send("now\n")
      yield* stage.settled
      assert.include(textOf(peers[0]!), "now")
    }))

  scenario(
    "that is slow and blocked does nothing until it is released",
    inProcess(1),
    (stage) =>
      Effect.gen(function*() {
        const peers = [stage.ask("a"), stage.ask("b")]
        yield* stage.settled
        stage.script(0).slow(10)
        for (const peer of peers) peer.send("x\n")
        yield* stage.advance(15)
        assert.deepStrictEqual(peers.map(textOf), ["a\nx\n", "b\n"])
        stage.script(0).block()
        peers[0]!.send("y\n")
        yield* stage.advance(100)
        assert.deepStrictEqual(peers.map(textOf), ["a\nx\n", "b\n"])
        stage.script(0).release()
        yield* stage.advance(10)
        assert.deepStrictEqual(peers.map(textOf), ["a\nx\ny\n", "b\nx\n"])
      })
  )

  scenario("that is greedy claims its share and reads nothing, until it behaves", {
    ...inProcess(2),
    segment: { rxFifoSize: 4096 }
  }, (stage) =>
    Effect.gen(function*() {
      stage.script(0).greedy()
      const peers = [stage.ask("a"), stage.ask("b"), stage.ask("c"), stage.ask("d")]
      yield* stage.settled
      assert.deepStrictEqual(peers.map(textOf), ["", "b\n", "", "d\n"])
      assert.isTrue(peers.every(({ opened }) => opened))
      assert.strictEqual((yield* stage.worker(0)).offers.claimed, 2)
      // its backpressure reaches the peer
      peers[0]!.send(`${"x".repeat(10_000)}\n`)
      peers[2]!.end()
      yield* stage.advance(1000)
      assert.isAbove(peers[0]!.unsent, 5000)
      assert.isFalse(peers[2]!.closed)
      stage.script(0).behave()
      yield* stage.settled
      assert.strictEqual(textOf(peers[0]!), `a\n${"x".repeat(10_000)}\n`)
      assert.strictEqual(textOf(peers[2]!), "c\n")
      assert.isTrue(peers[2]!.closed)
      const next = [stage.ask("e"), stage.ask("f")]
      yield* stage.settled
      assert.deepStrictEqual(next.map(textOf), ["e\n", "f\n"])
    }))

  scenario(
    "that was greedy hears of the connections that it has lost",
    inProcess(1),
    (stage) =>
      Effect.gen(function*() {
        stage.script(0).greedy()
        const peer = stage.ask("a")
        yield* stage.settled
        peer.reset()
        yield* stage.settled
        stage.script(0).behave()
        yield* stage.settled
        assert.deepStrictEqual(told, ["accepted", "closed: the peer reset the connection"])
        assert.strictEqual((yield* stage.host.report).sessions, 0)
      }),
    AppWorker.fromLayer(layerAccept((session) => {
      told.push("accepted")
      session.handler = { closed: (_, reset) => void told.push(`closed: ${reset}`) }
    }))
  )
  const told: Array<string> = []

  scenario("that crashes at its next message does not see it, and starts again after its backoff", {
    workers: 2,
    worker: { kind: "in-process", backoffBase: 100 }
  }, (stage) =>
    Effect.gen(function*() {
      const peers = [stage.ask("who"), stage.ask("who")]
      yield* stage.settled
      stage.script(1).crashAtNextMessage("a bug")
      yield* stage.advance(50)
      assert.strictEqual((yield* stage.worker(1)).state, "RUNNING")
      peers[1]!.send("who\n")
      yield* stage.settled
      assert.deepStrictEqual(peers.map(({ broken }) => broken !== undefined), [false, true])
      assert.strictEqual(textOf(peers[1]!), "1.0\n")
      const { lastFailure, state } = yield* stage.worker(1)
      assert.deepStrictEqual([state, lastFailure], ["BACKOFF", "a bug"])
      yield* stage.advance(99)
      assert.strictEqual(stage.script(1).starts, 1)
      yield* stage.advance(1)
      assert.strictEqual(stage.script(1).starts, 2)
      const next = [stage.ask("who"), stage.ask("who")]
      yield* stage.settled
      assert.deepStrictEqual(next.map(textOf).toSorted(), ["0.0\n", "1.1\n"])
    }))

  scenario("that is mute is not heard until it is unmuted", inProcess(2), (stage) =>
    Effect.gen(function*() {
      stage.script(0).mute()
      const peer = stage.ask("who")
      yield* stage.advance(100)
      // it has claimed the session, so no other worker can have it
      assert.isFalse(peer.opened)
      stage.script(0).behave()
      yield* stage.settled
      assert.strictEqual(textOf(peer), "0.0\n")
    }))

  scenario("forgets what it was told when it starts again", {
    workers: 1,
    worker: { kind: "in-process", backoffBase: 100 }
  }, (stage) =>
    Effect.gen(function*() {
      const script = stage.script(0)
      script.block()
      script.greedy()
      script.slow(1000)
      script.crashAtNextMessage()
      script.crash()
      yield* stage.advance(100)
      const peer = stage.ask("who")
      yield* stage.settled
      assert.strictEqual(textOf(peer), "0.1\n")
    }))
})

it.effect("a worker of no application has no script", () =>
  Effect.gen(function*() {
    const { script } = yield* HostScripted.HostScripted
    assert.throws(() => script(0), /attach an application first/)
  }).pipe(Effect.provide(HostScripted.layer)))

it.effect("code that asks the session client for a value is tested with that value alone", () =>
  Effect.gen(function*() {
    const { config } = yield* Sessions
    assert.deepStrictEqual(config, { greeting: "hello" })
  }).pipe(Effect.provide(Layer.mock(Sessions, {
    worker: {
      app: "mine",
      appIndex: Handle.AppIndex(0),
      workerIndex: Handle.WorkerIndex(0),
      worker: Handle.WorkerMapIndex(0),
      kind: "in-process",
      restarts: 0
    },
    endpoints: [],
    config: { greeting: "hello" }
  }))))
