/**
 * Doorbells of both kinds, within a thread and over a port, and links between workers of all kinds: what is told apart is
 * which end a worker holds, a port or a doorbell.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { MessageChannel, MessagePort } from "node:worker_threads"
import * as Bells from "../../../src/layers/stack/Bells.ts"
import type { LinkBell } from "../../../src/services/Attachment.ts"
import type { WorkerInfo } from "../../../src/services/Sessions.ts"
import * as QueuePair from "../../support/QueuePair.ts"
import { settled, until } from "../../support/until.ts"

afterAll(QueuePair.stop)

const port = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new MessageChannel()),
    ({ port1, port2 }) =>
      Effect.sync(() => {
        port1.close()
        port2.close()
      })
  ),
  ({ port1, port2 }) => [Bells.ofPort(port1), Bells.ofPort(port2)] as const
)

const latches = Effect.sync(Bells.pairUnsafe)

/** More turns of the loop than a ring takes. */
const quiet = QueuePair.turns(30)

for (const [kind, makePair] of [["latch", latches], ["port", port]] as const) {
  describe(`Doorbell, ${kind}`, () => {
    it.effect("each side hears the other one's rings, and not its own", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        const heard = { a: 0, b: 0 }
        yield* a.listen(() => void heard.a++)
        yield* b.listen(() => void heard.b++)
        a.ring()
        yield* QueuePair.until("b has heard", () => heard.b === 1)
        b.ring()
        yield* QueuePair.until("a has heard", () => heard.a === 1)
        yield* quiet
        assert.deepStrictEqual(heard, { a: 1, b: 1 })
      }))

    it.effect("a ring wakes nobody inside the call, nor before the work at hand is done", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        let heard = 0
        yield* b.listen(() => void heard++)
        yield* quiet
        a.ring()
        assert.strictEqual(heard, 0)
        yield* Effect.promise(() => Promise.resolve())
        assert.strictEqual(heard, 0)
        yield* QueuePair.until("it is heard", () => heard === 1)
      }))

    it.effect("a ring before anybody listens is heard once somebody does", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        a.ring()
        yield* quiet
        let heard = 0
        yield* b.listen(() => void heard++)
        yield* QueuePair.until("it is heard", () => heard === 1)
      }))

    it.effect("a ring that comes while another one is heard is heard as well", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        let heard = 0
        yield* b.listen(() => {
          if (++heard < 5) a.ring()
        })
        a.ring()
        yield* QueuePair.until("all are heard", () => heard === 5)
        yield* quiet
        assert.strictEqual(heard, 5)
      }))

    it.effect("rings that come together are heard at least once, and no more often than they were rung", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        let heard = 0
        yield* b.listen(() => void heard++)
        for (let i = 0; i < 10; i++) a.ring()
        yield* quiet
        assert.isAtLeast(heard, 1)
        assert.isAtMost(heard, 10)
        const before = heard
        a.ring()
        yield* QueuePair.until("the next one is heard", () => heard > before)
      }))

    it.effect("nothing is heard after the scope has closed, and ringing does no harm", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        let heard = 0
        const scope = yield* Scope.make()
        yield* Scope.provide(b.listen(() => void heard++), scope)
        a.ring()
        yield* QueuePair.until("it is heard", () => heard === 1)
        yield* Scope.close(scope, Exit.void)
        a.ring()
        yield* quiet
        assert.strictEqual(heard, 1)
      }))

    it.effect("the sides do not tire: 10000 rings to and fro", () =>
      Effect.gen(function*() {
        const [a, b] = yield* makePair
        let heard = 0
        yield* b.listen(b.ring)
        yield* a.listen(() => {
          if (++heard < 10_000) a.ring()
        })
        a.ring()
        yield* QueuePair.until("all are heard", () => heard === 10_000)
      }))
  })
}

describe("Doorbell", () => {
  it.effect("a latch goes on after what it woke has failed", () =>
    Effect.gen(function*() {
      const [a, b] = yield* latches
      let heard = 0
      yield* b.listen(() => {
        if (++heard === 1) throw new Error("this listener throws")
      })
      a.ring()
      yield* QueuePair.until("it is heard", () => heard === 1)
      yield* quiet
      a.ring()
      yield* QueuePair.until("the next one is heard", () => heard === 2)
    }))

  it.effect("a port leaves what is no ring to others", () =>
    Effect.gen(function*() {
      const { port1, port2 } = new MessageChannel()
      const others: Array<unknown> = []
      port2.on("message", (message) => others.push(message))
      let heard = 0
      yield* Bells.ofPort(port2).listen(() => void heard++)
      for (const message of [{ segment: 1 }, null, "0", 1, false]) port1.postMessage(message)
      port1.postMessage(0)
      yield* QueuePair.until("the ring is heard", () => heard > 0)
      assert.strictEqual(heard, 1)
      assert.deepStrictEqual(others, [{ segment: 1 }, null, "0", 1, false, 0])
      port1.close()
    }))

  it.effect("a port that is closed takes rings without a word", () =>
    Effect.gen(function*() {
      const { port1, port2 } = new MessageChannel()
      port2.close()
      yield* QueuePair.turns(5)
      const ring = () => Bells.ofPort(port1).ring()
      assert.doesNotThrow(ring)
      port1.close()
      assert.doesNotThrow(ring)
    }))

  it.live("a thread is woken by every ring that it sleeps for", () =>
    Effect.gen(function*() {
      const pair = yield* QueuePair.make("thread", { trace: false })
      yield* pair.run({ max: 64, keep: false })
      for (let number = 0; number < 2000; number++) {
        QueuePair.sendNumbered(pair, number)
        yield* QueuePair.until(`message ${number} is read`, () => pair.queue.toWorker.depth === 0)
      }
      assert.strictEqual((yield* pair.report).report.count, 2000)
    }))
})

const kinds: ReadonlyArray<readonly [WorkerInfo["kind"], WorkerInfo["kind"]]> = [
  ["in-process", "in-process"],
  ["in-process", "thread"],
  ["thread", "in-process"],
  ["thread", "thread"]
]

/** Listens to an end as its worker does; how often it was rung, and how it is rung from there. */
const hold = Effect.fnUntraced(function*(bell: LinkBell) {
  const heard = { rings: 0 }
  const doorbell = Bells.ofLink(bell)
  yield* doorbell.listen(() => void heard.rings++)
  return { heard, ring: doorbell.ring }
})

for (const [a, b] of kinds) {
  describe(`Links, ${a} to ${b}`, () => {
    it("W16 a worker on a thread gets a port, which can be handed over, and one on the host's loop a doorbell", () => {
      const pair = Bells.linkPair(a, b)
      assert.deepStrictEqual(pair.map((end) => end instanceof MessagePort), [a === "thread", b === "thread"])
      pair.forEach(Bells.closeLink)
    })

    it.live("W16 each end rings the other, and not from inside the ring", () =>
      Effect.gen(function*() {
        const pair = Bells.linkPair(a, b)
        const one = yield* hold(pair[0])
        const two = yield* hold(pair[1])
        one.ring()
        assert.strictEqual(two.heard.rings, 0)
        yield* until("the other end hears", () => two.heard.rings === 1)
        two.ring()
        yield* until("this end hears", () => one.heard.rings === 1)
        yield* settled
        assert.deepStrictEqual([one.heard.rings, two.heard.rings], [1, 1])
      }).pipe(Effect.scoped))

    it.live("W16 a ring before the other worker has its end is heard when it has", () =>
      Effect.gen(function*() {
        const pair = Bells.linkPair(a, b)
        const one = yield* hold(pair[0])
        one.ring()
        yield* settled
        const two = yield* hold(pair[1])
        yield* until("the other end hears", () => two.heard.rings === 1)
      }).pipe(Effect.scoped))

    it.live("W12 an end whose worker has gone rings nobody, and does no harm", () =>
      Effect.gen(function*() {
        const pair = Bells.linkPair(a, b)
        const one = yield* hold(pair[0])
        const scope = yield* Scope.make()
        const two = yield* Scope.provide(hold(pair[1]), scope)
        yield* Scope.close(scope, Exit.void)
        one.ring()
        yield* settled
        one.ring()
        two.ring()
        yield* settled
        assert.strictEqual(two.heard.rings, 0)
        pair.forEach(Bells.closeLink)
        pair.forEach(Bells.closeLink)
      }).pipe(Effect.scoped))
  })
}
