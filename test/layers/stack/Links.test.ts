/** Links between workers of all kinds: what is told apart is which end a worker holds, a port or a doorbell. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { MessagePort } from "node:worker_threads"
import * as Bells from "../../../src/layers/stack/Bells.ts"
import type { LinkBell } from "../../../src/services/Attachment.ts"
import type { WorkerInfo } from "../../../src/services/Sessions.ts"
import { settled, until } from "../../support/until.ts"

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
