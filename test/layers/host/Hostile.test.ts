/** A host among workers that write nonsense, throw anything, and say things at the wrong time. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as SessionLayerHost from "../../../src/layers/host/SessionLayerHost.ts"
import * as WorkerStack from "../../../src/layers/stack/WorkerStack.ts"
import * as TransportMemory from "../../../src/layers/testing/TransportMemory.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { Actor, endpoint, optionsOf, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const attachRaw = Effect.fnUntraced(function*(stage: Stage, workers = 1) {
  const raws = Array.from({ length: workers }, (_, worker) => stage.raw(worker))
  yield* stage.attach(new Actor(), { workers })
  for (const raw of raws) {
    raw.send({ _tag: "listen", request: 1, endpoint, backlog: 0, flags: 0 })
    yield* until("bound", () => raw.all("bound").length === 1)
  }
  return raws
})

describe("a hostile worker", () => {
  scenario(
    "M9 that closes its own queue is given up, and its connection waits for its next start",
    (stage) =>
      Effect.gen(function*() {
        const [raw] = yield* attachRaw(stage)
        raw!.segments.get(0)!.words[49] = 1
        const peer = yield* stage.dial()
        yield* settled
        const { lastFailure, offers, state } = yield* stage.worker()
        assert.strictEqual(state, "BACKOFF")
        assert.strictEqual(lastFailure, "the worker has closed its queue")
        assert.strictEqual(offers.pending, 0)
        assert.isFalse(peer.closed)
      })
  )

  scenario(
    "M6 M14 that closes its own queue when a held connection is offered to it: the connection waits on, for its next start",
    (stage) =>
      Effect.gen(function*() {
        const raw = stage.raw()
        const begin = raw.begin.bind(raw)
        raw.begin = (options) => {
          begin(options)
          raw.send({ _tag: "listen", request: 1, endpoint, backlog: 0, flags: 0 })
        }
        yield* stage.attach(new Actor(), { admission: { maxSessionsPerWorker: 1 } })
        yield* until("bound", () => raw.all("bound").length === 1)
        const first = yield* stage.dial()
        const second = yield* stage.dial()
        const [offer] = raw.all("accepted")
        raw.claim(offer!)
        first.reset()
        yield* until("the end", () => raw.all("cleanup").length === 1)
        assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        raw.segments.get(0)!.words[49] = 1
        // makes room for the one that is held
        raw.send({ _tag: "release", session: offer!.session })
        yield* settled
        assert.strictEqual((yield* stage.worker()).state, "BACKOFF")
        assert.strictEqual((yield* stage.listener).arrivals.held, 1)
        yield* TestClock.adjust(100)
        yield* until("the offer", () => raw.all("accepted").length === 2)
        assert.isTrue(raw.claim(raw.all("accepted")[1]!))
        yield* until("the claim", () => second.opened)
        assert.deepInclude((yield* stage.listener).arrivals, { arrived: 2, claimed: 2, held: 0, offered: 0 })
      })
  )

  scenario("W9 an unlisten that races its claim costs the worker nothing", (stage) =>
    Effect.gen(function*() {
      const [raw] = yield* attachRaw(stage)
      raw!.held = true
      yield* stage.dial()
      raw!.send({ _tag: "unlisten", request: 2, listener: raw!.all("bound")[0]!.listener })
      raw!.look()
      const offer = raw!.all("accepted")[0]!
      assert.isTrue(raw!.take(offer))
      raw!.held = false
      yield* until("unlistened", () => raw!.all("unlistened").length === 1)
      raw!.sendIo(Message.Claimed, offer.session)
      yield* settled
      const { offers, state } = yield* stage.worker()
      assert.strictEqual(state, "RUNNING")
      assert.strictEqual(offers.claimed, 1)
    }))

  scenario(
    "M15 the end of a session whose offer was revoked does not end another worker's",
    (stage) =>
      Effect.gen(function*() {
        const [first, second] = yield* attachRaw(stage, 2)
        const peer = yield* stage.dial()
        const stale = first!.all("accepted")[0]!
        yield* TestClock.adjust(5)
        yield* settled
        second!.claim(second!.all("accepted")[0]!)
        yield* until("a claim", () => peer.opened)
        first!.send({ _tag: "end", session: stale.session })
        yield* settled
        assert.isFalse(peer.ended)
      })
  )

  scenario("W1 a corrupt fifo is found when idle memory is looked for, too", (stage) =>
    Effect.gen(function*() {
      const [raw] = yield* attachRaw(stage)
      const peer = yield* stage.dial()
      const offer = raw!.all("accepted")[0]!
      raw!.claim(offer)
      yield* until("a claim", () => peer.opened)
      peer.send("hello")
      yield* settled
      raw!.segments.get(offer.segment)!.words[offer.offset / 4 + 31] = 0x7fff_0000
      yield* TestClock.adjust(60_000)
      yield* settled
      assert.include((yield* stage.worker()).lastFailure, "session memory is corrupt")
    }))

  const throws = (name: string, failure: RegExp, others: number) =>
    it.live(`the host outlives a thread that ${name}`, () =>
      Effect.gen(function*() {
        const host = yield* SessionLayer
        process.env.SLUICE_TEST_HOSTILE = name
        yield* host.attach(
          { name: "hostile", workers: 1, worker: { backoffBase: 60_000, backoffMax: 60_000 } },
          AppWorker.fromUrl(new URL("../../fixtures/hostile.ts", import.meta.url))
        )
        for (let tries = 0; tries < 500; tries++) {
          const { lastFailure } = (yield* host.report).apps[0]!.workers[0]!
          if (lastFailure !== null || others > 0 && tries > 20) {
            assert.match(lastFailure ?? "", failure)
            assert.deepStrictEqual((yield* host.report).imbalances, [])
            return
          }
          yield* Effect.sleep(20)
        }
        assert.fail("the worker was not found to be gone")
      }).pipe(Effect.scoped, Effect.provide(Host.layer)))

  throws("throws null", /the worker crashed/, 0)
  throws("posts what is no status", /^$/, 1)
})

describe("a start", () => {
  it.effect("that the runtime refuses is a worker that did not start, not an attach that never ends", () =>
    Effect.gen(function*() {
      const network = new TransportMemory.Network()
      const refused = Layer.effect(AppWorker.AppWorker, Effect.die(new Error("no more threads")))
      const services = yield* Layer.build(
        SessionLayerHost.layerStack.pipe(
          Layer.provide(WorkerStack.layer({ appWorker: refused })),
          Layer.provide(TransportMemory.layer(network)),
          Layer.provide(Host.layerSettings)
        )
      )
      const host = Context.get(services, SessionLayer)
      const error = yield* Effect.flip(host.attach(optionsOf(), new Actor().module))
      assert.strictEqual(
        error.reason.message,
        "worker 0 did not start: the AppWorker layer of its stack failed: no more threads"
      )
    }).pipe(Effect.scoped))
})

describe("a detach", () => {
  scenario(
    "W12 with an offer that runs answers the peer, and leaves nothing behind",
    (stage) =>
      Effect.gen(function*() {
        let peer: Peer | undefined
        yield* Effect.scoped(Effect.gen(function*() {
          yield* attachRaw(stage)
          peer = yield* stage.dial()
        }))
        yield* settled
        assert.isTrue(peer!.closed)
        const { arrivals } = (yield* stage.report).ledger
        assert.strictEqual(arrivals.offered, 0)
        assert.strictEqual(arrivals.held, 0)
      })
  )
})
