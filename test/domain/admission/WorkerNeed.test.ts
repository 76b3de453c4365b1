/** X8: when a worker is added and taken away, under numbers. */
import { assert, describe, it } from "@effect/vitest"
import * as Need from "../../../src/domain/admission/WorkerNeed.ts"
import * as WorkerRoom from "../../../src/domain/admission/WorkerRoom.ts"

const MINUTE = 60_000
const LOOK = 500

const calm: Need.WorkerLoad = { busy: 0.2, congested: 0, claims: 20, claimMillis: 0.2, sessions: 10 }
const worker = (load: Partial<Need.WorkerLoad> = {}): Need.WorkerLoad => ({ ...calm, ...load })
const all = (workers: number, load: Partial<Need.WorkerLoad> = {}): Partial<Need.AppLoad> => ({
  workers,
  loads: Array.from({ length: workers }, () => worker(load))
})

/** An application whose load a test says, looked at twice a second. */
class Run {
  now = 1000
  readonly need: Need.WorkerNeed
  /** What was to be done, and when it was: milliseconds from the beginning. */
  readonly changes: Array<readonly [number, Need.Change["reason"]]> = []

  constructor(options: Partial<Need.NeedOptions> = {}) {
    this.need = new Need.WorkerNeed({ least: 1, quiet: MINUTE, revokeAfter: 5, sessions: 100, ...options }, this.now)
  }

  look(load: Partial<Need.AppLoad>): Need.Change | undefined {
    this.now += LOOK
    return this.need.look(
      { workers: 1, loads: [], isChanging: false, isWaiting: false, limit: () => undefined, ...load },
      this.now
    )
  }

  /** What is to be done within so many milliseconds of the same load, and after how many of them. */
  within(millis: number, load: Partial<Need.AppLoad>): readonly [number, Need.Change["reason"]] | undefined {
    for (let passed = LOOK; passed <= millis; passed += LOOK) {
      const change = this.look(load)
      if (change !== undefined) return [passed, change.reason]
    }
    return undefined
  }
}

describe("the need of workers", () => {
  it.each<readonly [Need.Change["reason"], Partial<Need.WorkerLoad>, Partial<Need.WorkerLoad>]>([
    ["congested", { congested: 0.5 }, { congested: 0.49 }],
    ["late", { claimMillis: 4, busy: 0.5 }, { claimMillis: 3.9, busy: 0.5 }],
    ["late", { claimMillis: 4, busy: undefined }, { claimMillis: 4, claims: 7, busy: undefined }],
    ["late", { claimMillis: 4, busy: 0.5 }, { claimMillis: 40, busy: 0.49 }],
    ["busy", { busy: 0.85 }, { busy: 0.84 }],
    ["full", { sessions: 100 }, { sessions: 99 }]
  ])(
    "X8 all workers that are %s for two seconds need another one, and not while one of them is not",
    (reason, at, below) => {
      assert.deepStrictEqual(new Run().within(MINUTE, all(3, at)), [2000, reason])
      assert.isUndefined(new Run().within(30_000, all(3, below)))
      const mixed = { workers: 3, loads: [worker(at), worker(at), worker(below)] }
      assert.isUndefined(new Run().within(30_000, mixed))
    }
  )

  it("X8 two seconds begin again after a look at which one had room", () => {
    const run = new Run()
    assert.isUndefined(run.within(1500, all(2, { busy: 1 })))
    assert.isUndefined(run.look(all(2, { busy: 0.5 })))
    assert.deepStrictEqual(run.within(MINUTE, all(2, { busy: 1 })), [2000, "busy"])
  })

  it("X8 workers that are near their limit for different reasons need another one for the gravest", () => {
    const loads = [worker({ sessions: 100 }), worker({ busy: 1 }), worker({ congested: 1 })]
    assert.deepStrictEqual(new Run().within(MINUTE, { workers: 3, loads }), [2000, "congested"])
  })

  it("X8 a worker that is stuck or gone is no load: alone it needs nobody, and beside others it is left out", () => {
    assert.isUndefined(new Run().within(MINUTE, { workers: 1, loads: [] }))
    assert.deepStrictEqual(new Run().within(MINUTE, { workers: 2, loads: [worker({ busy: 1 })] }), [2000, "busy"])
    // and what the others could do without it is not known
    assert.isUndefined(new Run().within(2 * MINUTE, { workers: 3, loads: [worker(), worker()] }))
  })

  it("X8 while workers start or are replaced nothing changes, and both times begin again", () => {
    const run = new Run()
    assert.isUndefined(run.within(1500, all(2, { busy: 1 })))
    assert.isUndefined(run.within(MINUTE, { ...all(2, { busy: 1 }), isChanging: true }))
    assert.deepStrictEqual(run.within(MINUTE, all(2, { busy: 1 })), [2000, "busy"])
    assert.isUndefined(run.within(MINUTE - LOOK, all(2)))
    assert.isUndefined(run.look({ ...all(2), isChanging: true }))
    assert.deepStrictEqual(run.within(2 * MINUTE, all(2)), [MINUTE, "quiet"])
  })

  it("X8 a worker goes after a quiet minute: the rest has room for work and sessions, and nobody waits", () => {
    assert.deepStrictEqual(new Run().within(2 * MINUTE, all(3, { busy: 0.39 })), [MINUTE, "quiet"])
    assert.isUndefined(new Run().within(2 * MINUTE, all(3, { busy: 0.41 })))
    assert.deepStrictEqual(new Run().within(2 * MINUTE, all(3, { sessions: 39 })), [MINUTE, "quiet"])
    assert.isUndefined(new Run().within(2 * MINUTE, all(3, { sessions: 41 })))
    assert.isUndefined(new Run({ least: 3 }).within(2 * MINUTE, all(3)))
    assert.isUndefined(new Run().within(2 * MINUTE, { workers: 2, loads: [worker(), worker({ congested: 0.5 })] }))
    const run = new Run()
    assert.isUndefined(run.within(MINUTE - LOOK, all(3)))
    assert.isUndefined(run.look({ ...all(3), isWaiting: true }))
    assert.deepStrictEqual(run.within(2 * MINUTE, all(3)), [MINUTE, "quiet"])
  })

  it("X8 after a change no worker is added for ten seconds, and none taken away before another quiet minute", () => {
    const run = new Run()
    run.need.changed(true, run.now)
    assert.deepStrictEqual(run.within(MINUTE, all(2, { busy: 1 })), [Need.COOLDOWN, "busy"])
    run.within(MINUTE - LOOK, all(2))
    run.need.changed(true, run.now, true)
    assert.deepStrictEqual(run.within(2 * MINUTE, all(2)), [MINUTE, "quiet"])
  })

  it("X8 starts that fail are tried again after ten seconds, then after twice that, up to ten minutes", () => {
    const run = new Run()
    const waits = Array.from({ length: 8 }, () => run.need.failed(run.now))
    assert.deepStrictEqual(waits, [10, 20, 40, 80, 160, 320, 600, 600].map((seconds) => 1000 * seconds))
    assert.deepStrictEqual(run.within(20 * MINUTE, all(2, { busy: 1 })), [Need.LONGEST, "busy"])
    run.need.changed(true, run.now)
    assert.strictEqual(run.need.failed(run.now), Need.RETRY)
  })

  it("X8 says what keeps a worker away, as long as it is needed", () => {
    const run = new Run()
    const needy = { ...all(2, { busy: 1 }), limit: () => "memory" as const }
    run.within(1500, needy)
    assert.isUndefined(run.need.limit)
    assert.isUndefined(run.within(MINUTE, needy))
    assert.strictEqual(run.need.limit, "memory")
    run.look(all(2))
    assert.isUndefined(run.need.limit)
  })
})

/** A number from 0 to 1, by the number of the call: the same in each run. */
const noise = (at: number): number => Math.abs(Math.sin(at * 12.9898) * 43758.5453) % 1

/**
 * A load of so many workers' worth of work, for twenty minutes: each of the workers that there are has its share, more or less,
 * and no more than it can do. Returns the counts that followed one another, and when they changed.
 */
const steady = (load: number, from: number, jitter: number) => {
  const run = new Run()
  let workers = from
  const counts = [workers]
  const times: Array<number> = []
  for (let at = 0; at < 2400; at++) {
    const loads = Array.from({ length: workers }, (_, index) => {
      const share = load / workers * (1 + jitter * (2 * noise(at * 64 + index) - 1))
      return worker({ busy: Math.min(1, share), congested: share > 1 ? 1 : 0 })
    })
    const change = run.look({ workers, loads, limit: () => workers < 12 ? undefined : "most" })
    if (change === undefined) continue
    workers += change.reason === "quiet" ? -1 : 1
    run.need.changed(change.reason !== "quiet", run.now)
    counts.push(workers)
    times.push(run.now)
  }
  return { counts, times, workers }
}

describe("at a load that does not change", () => {
  const loads = Array.from({ length: 33 }, (_, quarter) => quarter / 4)
  it.each([0, 0.15])("X8 the count comes to a value from either side and stands there, jitter %d", (jitter) => {
    for (const load of loads) {
      for (const from of [1, 12]) {
        const { counts, times, workers } = steady(load, from, jitter)
        const what = `load ${load}: ${counts.join(" ")}`
        // it goes in one direction
        const ups = counts.filter((count, at) => at > 0 && count > counts[at - 1]!)
        assert.isTrue(ups.length === 0 || ups.length === counts.length - 1, what)
        // enough, and not many more than enough
        assert.isAtLeast(workers, load, what)
        assert.isAtMost(workers, Math.max(1, Math.ceil(load / Need.ROOM) + 1), what)
        // once it has come there it stands
        assert.isTrue(times.every((time) => time < 13 * MINUTE) || jitter > 0, what)
        for (let at = 1; at < times.length; at++) assert.isAtLeast(times[at]! - times[at - 1]!, Need.COOLDOWN, what)
      }
    }
  })

  it("X8 workers that are late whatever their load is come and go ever more rarely", () => {
    const run = new Run()
    const changes: Array<number> = []
    let workers = 1
    for (let at = 0; at < 7200 * 3; at++) {
      const change = run.look(all(workers, { busy: undefined, claimMillis: workers === 1 ? 5 : 0.1 }))
      if (change === undefined) continue
      workers += change.reason === "quiet" ? -1 : 1
      run.need.changed(change.reason !== "quiet", run.now)
      changes.push(run.now / MINUTE)
    }
    const retired = changes.filter((_, at) => at % 2 === 1)
    const waits = retired.map((time, at) => Math.round(time - changes[2 * at]!))
    assert.deepStrictEqual(waits.slice(0, 7), [1, 2, 4, 8, 16, 32, 32])
  })
})

describe("the room for workers", () => {
  const GiB = 2 ** 30
  const room: WorkerRoom.WorkerRoom = {
    workers: 2,
    most: 8,
    threads: 3,
    processors: 4,
    memory: GiB,
    free: GiB / 2,
    heap: 2 ** 26,
    shared: 2 ** 22
  }
  it.each<readonly [string, Partial<WorkerRoom.WorkerRoom>, ReturnType<typeof WorkerRoom.limitOf>]>([
    ["there is some", {}, undefined],
    ["it has as many as it may have", { workers: 8 }, "most"],
    ["those of all applications have a processor each", { threads: 4 }, "processors"],
    ["a heap like the largest one would leave less than a tenth", { free: 0.1 * GiB + 2 ** 26 }, "memory"],
    ["it would leave a tenth", { free: 0.1 * GiB + 2 ** 26 + 2 ** 24 + 2 ** 22 + 1 }, undefined]
  ])("X8 %s", (_, changes, limit) => {
    assert.strictEqual(WorkerRoom.limitOf({ ...room, ...changes }), limit)
  })
})
