/**
 * A million messages to an in-process worker that reads at random times, through a queue of 64 slots, under
 * `TestClock`: the same seed twice, and every event of both runs in one digest each. Nothing may be lost, repeated or
 * out of order, and the two runs must be the same to the last event.
 *
 * `node bench/replay.ts [seed]`: about a minute.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/testing/TestClock"
import * as Crypto from "node:crypto"
import * as Ledger from "../src/domain/state/Ledger.ts"
import * as QueuePair from "../test/support/QueuePair.ts"
import * as Random from "../test/support/random.ts"
import * as Bench from "./support/Bench.ts"

const MESSAGES = 1_000_000
const SLOTS = 64
/** Messages that are postponed when the sender begins to wait. */
const HIGH = 1024

const run = (seed: number) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clockWith(Effect.succeed)
    const pair = yield* QueuePair.make("in-process", {
      geometry: { indexQueue: SLOTS, ioRing: SLOTS, controlRing: SLOTS },
      queue: { postponedMessages: 4 * HIGH },
      trace: false
    })
    const { congestion, ledger } = pair
    const chance = Random.make(seed)
    const digest = Crypto.createHash("sha256")
    let events = 0
    const say = (what: string): void => {
      events++
      digest.update(`${clock.currentTimeMillisUnsafe()} ${what}\n`)
    }
    let read = 0
    let wrong = 0
    const reader = Effect.gen(function*() {
      while (read < MESSAGES) {
        const some = QueuePair.numbers(yield* pair.read(1 + chance(SLOTS), chance(8) === 0 ? "quiet" : undefined))
        for (const number of some) if (number !== read++) wrong++
        say(`read ${some.join()}`)
        yield* chance(50) === 0 ? Effect.sleep(chance(40)) : Effect.yieldNow
      }
    })
    const sender = Effect.gen(function*() {
      for (let number = 0; number < MESSAGES;) {
        for (let burst = chance(300); burst > 0 && number < MESSAGES; burst--) {
          say(`send ${number} ${QueuePair.sendNumbered(pair, number++)}`)
        }
        yield* Effect.yieldNow
        while (congestion.statistics().postponed > HIGH) yield* Effect.sleep(1 + chance(20))
      }
    })
    yield* SubscriptionRef.changes(congestion.state).pipe(
      Stream.runForEach((state) => Effect.sync(() => say(state._tag))),
      Effect.forkScoped
    )
    const both = yield* Effect.forkScoped(Effect.all([reader, sender], { concurrency: 2 }))
    while (both.pollUnsafe() === undefined) yield* TestClock.adjust(1)
    const { highest, timesCongested } = congestion.statistics()
    const imbalances = Ledger.imbalances("worker", { messages: ledger })
    return { read, wrong, events, highest, timesCongested, imbalances, digest: digest.digest("hex") }
  }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

const seed = Number(process.argv[2] ?? 1)
const first = await Effect.runPromise(run(seed))
const second = await Effect.runPromise(run(seed))
for (const { digest, events, highest, read, timesCongested, wrong } of [first, second]) {
  console.log(
    `read: ${read}, lost, repeated or out of order: ${wrong}, congested ${timesCongested} times, at most ${highest} `
      + `postponed, ${events} events, digest ${digest.slice(0, 16)}`
  )
}
for (const { imbalances, read, wrong } of [first, second]) {
  Bench.expect(read === MESSAGES && wrong === 0 && imbalances.length === 0, "messages did not arrive once and in order")
}
Bench.expect(first.digest === second.digest, "the two runs differ")
await QueuePair.stop()
