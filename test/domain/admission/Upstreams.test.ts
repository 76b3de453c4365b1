import { assert, describe, it } from "@effect/vitest"
import * as Upstreams from "../../../src/domain/admission/Upstreams.ts"
import * as Random from "../../support/random.ts"

const times: Upstreams.Times = { backoffBase: 100, backoffMax: 1000, trial: 5000 }
const none: ReadonlySet<number> = new Set()

/** The upstreams as some workers have them. */
const make = (count: number, workers = 1) => {
  const table = Upstreams.allocate(count)
  return Array.from({ length: workers }, (_, worker) => {
    const upstreams = new Upstreams.Upstreams(table, count, worker, times)
    upstreams.begin()
    return upstreams
  }) as [Upstreams.Upstreams, ...Array<Upstreams.Upstreams>]
}

const all = (upstreams: Upstreams.Upstreams, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => upstreams.sessions(i))

/** Takes an upstream down that is the only one. */
const down = (upstreams: Upstreams.Upstreams, now: number): Upstreams.Choice => {
  const choice = upstreams.choose(now, none)!
  upstreams.failed(choice, now)
  upstreams.left(choice)
  return choice
}

describe("Upstreams", () => {
  it("tells when one that is down is tried again, and bears what a worker may have written over it", () => {
    const table = Upstreams.allocate(2)
    const upstreams = new Upstreams.Upstreams(table, 2, 0, times)
    upstreams.begin()
    const choice = upstreams.choose(50, none)!
    assert.strictEqual(upstreams.failed(choice, 50), 100)
    assert.deepStrictEqual([50, 149, 151].map((now) => upstreams.retryAfter(choice.upstream, now)), [100, 1, 0])
    for (const word of [-1, 2 ** 31 - 1, -(2 ** 31)]) {
      new Int32Array(table).fill(word)
      assert.isTrue(Number.isFinite(upstreams.sessions(0)) && Number.isFinite(upstreams.retryAfter(0, 0)))
    }
  })

  it("whatever a worker has written over it, each upstream gets sessions again, and the counts are right", () => {
    const random = Random.make(7)
    for (let round = 0; round < 200; round++) {
      const table = Upstreams.allocate(3)
      const words = new Int32Array(table)
      const upstreams = new Upstreams.Upstreams(table, 3, 0, times)
      upstreams.begin()
      const before = upstreams.choose(0, none)!
      for (let left = 1 + random(4); left > 0; left--) {
        // the row of another worker is its own to put right
        words[random(4 + 3 * 4 + 3)] = random(2) === 0 ? random(2 ** 32) | 0 : random(9) - 4
      }
      const counts = [0, 0, 0]
      counts[before.upstream]!++
      for (let i = 0; i < 30; i++) {
        const choice = upstreams.choose(10_000 * i, none)
        assert.isDefined(choice)
        upstreams.connected(choice)
        counts[choice.upstream]!++
      }
      assert.isAtLeast(Math.min(...counts), 5, `round ${round}: ${counts}`)
      assert.deepStrictEqual(all(upstreams, 3), counts)
    }
  })

  it("W18 a session goes to the upstream that has the least, over all workers", () => {
    const workers = make(3, 4)
    const random = Random.make(1)
    const open: Array<[Upstreams.Upstreams, Upstreams.Choice]> = []
    for (let i = 0; i < 2000; i++) {
      const worker = workers[random(4)]!
      if (open.length > 0 && random(5) < 2) {
        const [of, choice] = open.splice(random(open.length), 1)[0]!
        of.left(choice)
        continue
      }
      const before = all(worker, 3)
      const choice = worker.choose(0, none)!
      assert.strictEqual(before[choice.upstream], Math.min(...before))
      open.push([worker, choice])
    }
    const expected = [0, 1, 2].map((i) => open.filter(([, { upstream }]) => upstream === i).length)
    for (const worker of workers) assert.deepStrictEqual(all(worker, 3), expected)
    for (const [of, choice] of open) of.left(choice)
    assert.deepStrictEqual(all(workers[0], 3), [0, 0, 0])
  })

  it("W18 of equals the next one is chosen, whichever worker asks", () => {
    const workers = make(3, 2)
    const chosen = Array.from({ length: 9 }, (_, i) => {
      const worker = workers[i % 2]!
      const choice = worker.choose(0, none)!
      worker.left(choice)
      return choice.upstream
    })
    assert.deepStrictEqual(chosen, [0, 1, 2, 0, 1, 2, 0, 1, 2])
  })

  it("W18 what a session has tried is not chosen for it again", () => {
    const [upstreams] = make(3)
    const tried = new Set<number>()
    for (let i = 0; i < 3; i++) tried.add(upstreams.choose(0, tried)!.upstream)
    assert.deepStrictEqual([...tried].toSorted(), [0, 1, 2])
    assert.isUndefined(upstreams.choose(0, tried))
  })

  it("W18 one that has failed is left alone for a backoff that doubles up to its bound", () => {
    const [upstreams] = make(1)
    let now = 0
    for (const [i, backoff] of [100, 200, 400, 800, 1000, 1000].entries()) {
      const choice = upstreams.choose(now, none)!
      assert.strictEqual(choice.failures, i)
      assert.strictEqual(upstreams.failed(choice, now), backoff)
      upstreams.left(choice)
      assert.isUndefined(upstreams.choose(now + backoff - 1, none))
      now += backoff
    }
    for (let i = 0; i < 100; i++) down(upstreams, now += 1000)
    assert.isUndefined(upstreams.choose(now + 999, none))
    assert.isDefined(upstreams.choose(now + 1000, none))
  })

  it("W18 sessions go to the others meanwhile, and to the one that is due before all others", () => {
    const [upstreams] = make(2)
    const first = upstreams.choose(0, none)!
    assert.strictEqual(upstreams.failed(first, 0), 100)
    // its session lingers: it would be the one with the most
    for (let now = 0; now < 100; now += 10) {
      const choice = upstreams.choose(now, none)!
      assert.notStrictEqual(choice.upstream, first.upstream)
      upstreams.left(choice)
    }
    const trial = upstreams.choose(100, none)!
    assert.strictEqual(trial.upstream, first.upstream)
    // one at a time
    assert.notStrictEqual(upstreams.choose(100, none)!.upstream, first.upstream)
    assert.isTrue(upstreams.connected(trial))
    assert.isFalse(upstreams.connected(trial))
    assert.strictEqual(upstreams.failures(first.upstream), 0)
  })

  it("W18 a trial that fails doubles the backoff, one that is cancelled lets another try, one that is lost runs out", () => {
    const workers = make(1, 2)
    const [mine, others] = workers as unknown as readonly [Upstreams.Upstreams, Upstreams.Upstreams]
    down(mine, 0)
    const cancelled = mine.choose(100, none)!
    assert.isUndefined(others.choose(100, none))
    mine.cancelled(cancelled)
    const lost = others.choose(100, none)!
    assert.isUndefined(mine.choose(100 + times.trial - 1, none))
    const trial = mine.choose(100 + times.trial, none)!
    // who has lost it says nothing any more
    others.cancelled(lost)
    assert.isUndefined(others.choose(100 + times.trial, none))
    assert.strictEqual(mine.failed(trial, 100 + times.trial), 200)
  })

  it("W18 connects that fail together are one failure, and one that succeeds late does not hide it", () => {
    const [upstreams] = make(1)
    const choices = Array.from({ length: 50 }, () => upstreams.choose(0, none)!)
    assert.strictEqual(upstreams.failed(choices[0]!, 7), 100)
    for (const choice of choices.slice(1, 40)) assert.isUndefined(upstreams.failed(choice, 50))
    for (const choice of choices.slice(40)) assert.isFalse(upstreams.connected(choice))
    assert.strictEqual(upstreams.failures(0), 1)
    assert.isUndefined(upstreams.choose(106, none))
    assert.isDefined(upstreams.choose(107, none))
  })

  it("W18 times far beyond 32 bits are right", () => {
    const [upstreams] = make(1)
    const now = 1.9e12
    down(upstreams, now)
    assert.isUndefined(upstreams.choose(now + 99, none))
    assert.isDefined(upstreams.choose(now + 2 ** 31 + 5, none))
  })

  it("W18 what a worker had counted goes when it begins again, and nothing of the others", () => {
    const table = Upstreams.allocate(2)
    const start = (worker: number) => {
      const upstreams = new Upstreams.Upstreams(table, 2, worker, times)
      upstreams.begin()
      return upstreams
    }
    const first = start(0)
    const second = start(255)
    for (let i = 0; i < 10; i++) first.choose(0, none)
    for (let i = 0; i < 4; i++) second.choose(0, none)
    assert.deepStrictEqual(all(second, 2), [7, 7])
    const again = start(0)
    assert.deepStrictEqual(all(again, 2), [2, 2])
    assert.deepStrictEqual(all(second, 2), [2, 2])
  })

  it("counts the sessions for which there was no upstream", () => {
    const [mine, others] = make(1, 2) as [Upstreams.Upstreams, Upstreams.Upstreams]
    mine.refuse()
    others.refuse()
    assert.strictEqual(mine.refused, 2)
  })
})
