/**
 * A million messages to a thread that stalls at random, through a queue of 64 slots: what is lost, duplicated or out of
 * order, the most messages that were postponed, and by how much memory grew. The sender feels backpressure: when a
 * thousand messages are postponed it waits until the worker is no longer congested.
 *
 * Goal: nothing lost, duplicated or out of order; at most 1024 postponed. `node bench/stall-messages.ts [seed]`: about
 * 15 s.
 */
import * as Effect from "effect/Effect"
import * as Ledger from "../src/domain/state/Ledger.ts"
import * as QueuePair from "../test/support/QueuePair.ts"
import * as Bench from "./support/Bench.ts"

const MESSAGES = 1_000_000
const SLOTS = 64
/** Messages that are postponed when the sender begins to wait. */
const HIGH = 1024
const STALL = { oneIn: 60, millis: 10 }

const seed = Number(process.argv[2] ?? 1)
const MiB = 1024 * 1024

const run = Effect.gen(function*() {
  const pair = yield* QueuePair.make("thread", {
    geometry: { indexQueue: SLOTS, ioRing: SLOTS, controlRing: SLOTS },
    queue: { postponedMessages: 2 * HIGH },
    trace: false
  })
  const { congestion, ledger, queue } = pair
  yield* pair.run({ max: SLOTS, keep: false, stall: { seed, ...STALL } })

  const before = process.memoryUsage.rss()
  let peak = before
  const watch = setInterval(() => peak = Math.max(peak, process.memoryUsage.rss()), 20)
  const start = performance.now()
  yield* QueuePair.pump(pair, 0, MESSAGES, HIGH)
  while (ledger.delivered < MESSAGES || queue.toWorker.depth > 0) yield* Effect.sleep(1)
  const seconds = (performance.now() - start) / 1000
  clearInterval(watch)

  const { count, duplicated, lost, outOfOrder } = (yield* pair.report).report
  const { congestedMillis, highest, timesCongested } = congestion.statistics()
  const imbalances = Ledger.imbalances("worker", { messages: ledger })
  console.log(`${MESSAGES} messages, queue of ${SLOTS} slots, seed ${seed}: ${seconds.toFixed(1)} s`)
  console.log(`read: ${count}, lost: ${lost}, duplicated: ${duplicated}, out of order: ${outOfOrder} (goal: 0, 0, 0)`)
  console.log(`congested ${timesCongested} times, for ${(congestedMillis / 1000).toFixed(1)} s`)
  console.log(`most postponed: ${highest} (goal: at most ${HIGH})`)
  console.log(`resident memory peaked ${((peak - before) / MiB).toFixed(1)} MiB above the start`)
  Bench.expect(count === MESSAGES && lost + duplicated + outOfOrder === 0, "messages did not arrive once and in order")
  Bench.expect(highest <= HIGH, `${highest} messages were postponed at a time, more than ${HIGH}`)
  Bench.expect(imbalances.length === 0, imbalances.join("; "))
}).pipe(Effect.scoped, Effect.timeout("60 seconds"))

await Effect.runPromise(run)
await QueuePair.stop()
