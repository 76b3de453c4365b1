import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Affinity from "../../../src/domain/admission/Affinity.ts"

const choose = (key: string | number, workers: ReadonlyArray<number>): number => {
  const hash = Affinity.hash(key)
  return workers.reduce((best, worker) => Affinity.weight(hash, worker) > Affinity.weight(hash, best) ? worker : best)
}

const keys = Array.from({ length: 500 }, (_, i) => `10.${i % 7}.${i >> 8}.${i & 255}`)

const Workers = Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 32 }))
const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))

describe("Affinity", () => {
  it.effect.prop(
    "a worker that comes takes its share from the others, and moves no other key",
    { count: Workers },
    ({ count }) =>
      Effect.sync(() => {
        const workers = Array.from({ length: count }, (_, i) => i)
        const from = new Set<number>()
        let moved = 0
        for (const key of keys) {
          const before = choose(key, workers)
          const after = choose(key, [...workers, count])
          if (after === before) continue
          assert.strictEqual(after, count)
          from.add(before)
          moved++
        }
        const share = keys.length / (count + 1)
        assert.isAbove(moved, share * 0.3)
        assert.isBelow(moved, share * 2.2)
        assert.isAbove(from.size, Math.min(count, share) / 4)
      })
  )

  it.effect.prop(
    "a worker that goes leaves its keys to the others, and moves no other key",
    { count: Workers },
    ({ count }) =>
      Effect.sync(() => {
        const workers = Array.from({ length: count }, (_, i) => i)
        const gone = count >> 1
        const left = workers.filter((worker) => worker !== gone)
        for (const key of keys) {
          const before = choose(key, workers)
          if (before !== gone) assert.strictEqual(choose(key, left), before)
        }
      })
  )

  it.effect.prop(
    "keys are spread evenly, whatever they look like",
    { count: Workers, seed: Seed },
    ({ count, seed }) =>
      Effect.sync(() => {
        const workers = Array.from({ length: count }, (_, i) => i)
        for (const name of [(i: number) => seed + i, (i: number) => `[2001:db8::${(seed + i).toString(16)}]`]) {
          const shares = workers.map(() => 0)
          for (let i = 0; i < 100 * count; i++) shares[choose(name(i), workers)]!++
          for (const share of shares) {
            assert.isAbove(share, 40)
            assert.isBelow(share, 190)
          }
        }
      })
  )

  for (
    const [remote, source] of [
      ["tcp://10.0.0.1:4711", "10.0.0.1"],
      ["tls://[2001:db8::1]:4711", "[2001:db8::1]"],
      ["udp://[fe80::1%eth0]:53", "[fe80::1%eth0]"],
      ["unix://", undefined],
      ["local://app", undefined],
      ["", undefined]
    ] as const
  ) {
    it(`the source of ${JSON.stringify(remote)} is ${source ?? "none"}`, () => {
      assert.strictEqual(Affinity.source({ remote }), source)
    })
  }
})
