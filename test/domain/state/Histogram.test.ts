import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { ends, Histogram } from "../../../src/domain/state/Histogram.ts"

const of = (millis: ReadonlyArray<number>): Histogram => {
  const histogram = new Histogram()
  for (const time of millis) histogram.record(time)
  return histogram
}

const facts = ({ buckets, count, max }: Histogram) => ({ buckets, count, max })

/** The time of the rank that a quantile stands for. */
const exact = (millis: ReadonlyArray<number>, share: number): number =>
  millis.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(share * millis.length)) - 1]!

const times = Schema.Array(Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 1e8 })))

describe("a histogram", () => {
  it("has buckets that end at preferred numbers, each no more than a seventh above the one before", () => {
    assert.strictEqual(ends.length, 201)
    assert.strictEqual(ends[0], 0.01)
    assert.strictEqual(ends.at(-1), 1e8)
    for (const end of [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 1000]) assert.include([...ends], end)
    for (let at = 1; at < ends.length; at++) {
      assert.isAbove(ends[at]!, ends[at - 1]!)
      assert.isBelow(ends[at]! / ends[at - 1]!, 1.1429)
    }
  })

  it("counts a time in the bucket that ends there, or after it", () => {
    assert.deepStrictEqual(of([5, 5.000001, 4.5, 0, 1e9]).buckets, [
      [0.01, 1],
      [4.5, 1],
      [5, 1],
      [5.6, 1],
      [Infinity, 1]
    ])
  })

  it("is empty at first", () => {
    const empty = of([])
    assert.deepStrictEqual({ ...facts(empty), sum: empty.sum }, { buckets: [], count: 0, max: 0, sum: 0 })
    assert.strictEqual(empty.quantile(0.5), 0)
  })

  it.prop("has quantiles that are too large by no more than a seventh, and never too small", { times }, ({ times }) => {
    if (times.length === 0) return
    const histogram = of(times)
    for (const share of [0, 0.5, 0.9, 0.99, 1]) {
      const right = exact(times, share)
      assert.isAtLeast(histogram.quantile(share), right)
      assert.isAtMost(histogram.quantile(share), right * 1.1429)
    }
    assert.strictEqual(histogram.quantile(1), histogram.max)
  })

  it.prop("adds up: two histograms are as one of all times", { some: times, others: times }, ({ others, some }) => {
    const both = of(some).add(of(others))
    const all = of([...some, ...others])
    assert.deepStrictEqual(facts(both), facts(all))
    assert.approximately(both.sum, all.sum, 1e-6 * all.sum)
  })

  it.prop("tells what was counted since a copy was made", { some: times, others: times }, ({ others, some }) => {
    const histogram = of(some)
    const earlier = histogram.copy()
    for (const time of others) histogram.record(time)
    const since = histogram.since(earlier)
    const expected = of(others)
    assert.deepStrictEqual(since.buckets, expected.buckets)
    assert.strictEqual(since.count, expected.count)
    assert.approximately(since.sum, expected.sum, 1e-6 * histogram.sum)
    assert.isAtLeast(since.max, expected.max)
    assert.isAtMost(since.max, 1.1429 * expected.max)
    assert.strictEqual(earlier.count, some.length)
  })
})
