/**
 * A host that starts, serves and stops, a thousand times in one process: with workers on threads, TCP, crashes, clients
 * that stay connected, cut-through sessions and starts that are given up (`test/support/lifecycle.ts`). Handles, file
 * descriptors and threads must be as many at the end as after the first runs, and memory may not grow.
 *
 * `node bench/lifecycle.ts [runs]`: some ten minutes.
 */
import * as Effect from "effect/Effect"
import * as Lifecycle from "../test/support/lifecycle.ts"
import * as Bench from "./support/Bench.ts"

const RUNS = Number(process.argv[2] ?? 1000)
/** Runs between two lines, and before the first one: caches fill in them, and code is compiled. */
const EVERY = Math.max(1, Math.floor(RUNS / 10))
/** Bytes that the heap, and what is outside of it, may grow by in a run of the second half. */
const HEAP_PER_RUN = 512
/** MiB of resident memory: the allocator keeps some of what threads had. */
const RESIDENT_GROWTH = 64

const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(2)
const row = (...cells: ReadonlyArray<string | number>): void =>
  console.log(cells.map((cell, i) => String(cell).padStart(i === 6 ? 0 : 12)).join("  "))

row("runs", "heap MiB", "external MiB", "resident MiB", "descriptors", "threads", "resources")
const all: Array<Lifecycle.Facts> = []
const since = performance.now()
for (let i = 1; i <= RUNS; i++) {
  await Effect.runPromise(Lifecycle.live(Lifecycle.kindNames[i % Lifecycle.kindNames.length]!))
  if (i % EVERY !== 0) continue
  const facts = await Lifecycle.settle(all[0])
  all.push(facts)
  const { descriptors, external, heap, resident, resources, threads } = facts
  row(i, mib(heap), mib(external), mib(resident), descriptors, threads, JSON.stringify(resources))
}
const seconds = (performance.now() - since) / 1000
console.log(`${RUNS} runs in ${seconds.toFixed(0)} s, ${(1000 * seconds / RUNS).toFixed(0)} ms each`)

const first = all[0]!
const last = all.at(-1)!
const middle = all[all.length >> 1]!
const runs = EVERY * (all.length - 1 - (all.length >> 1))
for (const sentence of Lifecycle.handlesGrown(first, last)) Bench.expect(false, sentence)
for (const what of ["heap", "external"] as const) {
  const perRun = (last[what] - middle[what]) / Math.max(1, runs)
  Bench.expect(perRun <= HEAP_PER_RUN, `${what}: ${perRun.toFixed(0)} bytes more with each run`)
}
const growth = Number(mib(last.resident - first.resident))
Bench.expect(growth <= RESIDENT_GROWTH, `resident memory grew by ${growth} MiB`)
