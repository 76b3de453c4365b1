import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Arena } from "../../../src/domain/memory/Arena.ts"
import type { BlockPlace } from "../../../src/domain/memory/Fifo.ts"
import * as Lending from "../../../src/domain/memory/Lending.ts"
import { QueueConsumer } from "../../../src/domain/memory/QueueConsumer.ts"
import type * as Mq from "../../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../../src/domain/memory/QueueProducer.ts"
import * as Segment from "../../../src/domain/memory/Segment.ts"
import { defaults, type SegmentOptions } from "../../../src/domain/options/Options.ts"
import * as SegmentManagerMemory from "../../../src/layers/stack/SegmentManagerMemory.ts"
import { type Manager, SegmentManager } from "../../../src/services/SegmentManager.ts"

const KiB = 1024
const geometry: Mq.Geometry = { indexQueue: 4, ioRing: 4, controlRing: 2 }
const queueBytes = Segment.queues(new ArrayBuffer(0), geometry).bytes

/** Bytes of the host's arena in the first segment, and of an added segment. */
const FIRST = 16 * KiB
const ADDED = 8 * KiB

const optionsOf = (options: Partial<SegmentOptions>): SegmentOptions => ({
  ...defaults.segment,
  firstSegmentSize: queueBytes + 2 * FIRST,
  addSegmentSize: ADDED,
  memoryLimit: queueBytes + 2 * FIRST + 100 * ADDED,
  highWatermark: 80,
  lowWatermark: 50,
  ...options
})

/** A worker's segments, and what its worker hears of them. */
const make = (options: Partial<SegmentOptions> = {}, layer = SegmentManagerMemory.layerPrivate) =>
  Effect.map(Layer.build(layer(optionsOf(options), geometry)), (services) => {
    const segments = Context.get(services, SegmentManager)
    const events: Array<string> = []
    const announced: Array<Segment.Segment> = []
    segments.connect({
      announce: (segment) => {
        announced.push(segment)
        events.push(`announce ${segment.index}`)
      },
      withdraw: ({ index }) => {
        assert.isUndefined(segments.segment(index))
        events.push(`withdraw ${index}`)
      },
      available: () => void events.push("available")
    })
    /** What has been heard since the last time, once microtasks have run. */
    const heard = Effect.map(Effect.promise(() => Promise.resolve()), () => events.splice(0))
    return { segments, heard, events, announced }
  })

const allocate = (manager: Manager, bytes: number): BlockPlace => {
  const place = manager.allocate(bytes)
  assert.isDefined(place)
  return place!
}

const fill = (manager: Manager, blocks: number, bytes: number): Array<BlockPlace> =>
  Array.from({ length: blocks }, () => allocate(manager, bytes))

for (const kind of ["shared", "private"] as const) {
  const layer = kind === "shared" ? SegmentManagerMemory.layerShared : SegmentManagerMemory.layerPrivate

  describe(`SegmentManager, ${kind} memory`, () => {
    it.effect("W6 the first segment holds the queues, then the host's arena, then the worker's", () =>
      Effect.gen(function*() {
        const { segments } = yield* make({}, layer)
        const { first, queues } = segments
        assert.strictEqual(first.index, 0)
        assert.strictEqual(segments.segment(0), first)
        assert.strictEqual(first.buffer instanceof SharedArrayBuffer, kind === "shared")
        assert.strictEqual(first.buffer.byteLength, queueBytes + 2 * FIRST)
        assert.strictEqual(first.hostBytes, queueBytes + FIRST)
        for (const memory of [queues.toWorker, queues.toHost]) assert.strictEqual(memory.buffer, first.buffer)
        const aboutMemory = 64
        assert.strictEqual(queues.toHost.byteOffset, (queueBytes - aboutMemory) / 2)
        assert.strictEqual(queues.lendable * 4, queueBytes - aboutMemory)
        const manager = segments.acquire("listener")
        const places = fill(manager, FIRST / 256, 256)
        const offsets = places.map(({ offset }) => offset).sort((a, b) => a - b)
        assert.deepStrictEqual(offsets, Array.from({ length: FIRST / 256 }, (_, i) => queueBytes + 256 * i))
        assert.isTrue(places.every(({ segment }) => segment === 0))
      }))

    it.effect("W6 the queues work in it and no block lies over them", () =>
      Effect.gen(function*() {
        const { segments } = yield* make({}, layer)
        const producer = new QueueProducer(segments.queues.toWorker, geometry, () => {})
        const consumer = new QueueConsumer(segments.queues.toWorker, geometry)
        const back = new QueueProducer(segments.queues.toHost, geometry, () => {})
        for (let kind = 0; kind < 4; kind++) {
          producer.io(kind, 7, 8, 9)
          back.io(kind, 7, 8, 9)
        }
        const manager = segments.acquire("listener")
        for (let place = manager.allocate(256); place !== undefined; place = manager.allocate(256)) {
          if (place.segment === 0) manager.view(0).fill(0xff, place.offset, place.offset + 256)
        }
        segments.first.bytes.fill(0xff, segments.first.hostBytes)
        for (const reader of [consumer, new QueueConsumer(segments.queues.toHost, geometry)]) {
          const kinds: Array<number> = []
          reader.drain(9, { io: (...event) => kinds.push(...event), control: () => assert.fail() })
          assert.deepStrictEqual(kinds, [0, 1, 2, 3].flatMap((kind) => [kind, 7, 8, 9]))
        }
      }))

    it.effect("W5 every worker's memory is made from its application's options, and is its own", () =>
      Effect.gen(function*() {
        const workers = [yield* make({}, layer), yield* make({}, layer)]
        const [one, two] = workers.map(({ segments }) => segments.first)
        assert.strictEqual(one!.buffer.byteLength, two!.buffer.byteLength)
        assert.notStrictEqual(one!.buffer, two!.buffer)
        for (const { announced, segments } of workers) {
          fill(segments.acquire("listener"), 1, FIRST)
          assert.deepStrictEqual(announced.map(({ buffer }) => buffer.byteLength), [ADDED])
          assert.strictEqual(announced[0]!.buffer instanceof SharedArrayBuffer, kind === "shared")
        }
      }))
  })
}

describe("SegmentManager", () => {
  describe("managers", () => {
    it.effect("W7 the first user takes the first manager, later ones get their own, the same user the same", () =>
      Effect.gen(function*() {
        const { segments } = yield* make()
        const listener = segments.acquire("listener 1")
        const connects = segments.acquire("connects")
        const other = segments.acquire("listener 2")
        assert.deepStrictEqual([listener.index, connects.index, other.index], [0, 1, 2])
        assert.strictEqual(segments.acquire("listener 1"), listener)
        assert.strictEqual(segments.acquire("connects"), connects)
        assert.strictEqual(segments.statistics().managers, 3)
      }))

    it.effect("W7 W9 the first manager is kept when its user goes, and the next user gets it", () =>
      Effect.gen(function*() {
        const { segments } = yield* make()
        const first = segments.acquire("listener 1")
        const place = allocate(first, 256)
        const second = segments.acquire("listener 2")
        segments.release("listener 1")
        assert.strictEqual(segments.statistics().managers, 2)
        assert.strictEqual(segments.acquire("listener 2"), second)
        assert.strictEqual(segments.acquire("listener 3"), first)
        assert.strictEqual(segments.acquire("listener 1").index, 2)
        first.free(place)
        assert.strictEqual(segments.statistics().managers, 3)
      }))

    it.effect("W9 a manager other than the first goes, with its segments, when its last block is freed", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        segments.acquire("listener 1")
        const manager = segments.acquire("listener 2")
        assert.isUndefined(manager.allocate(256))
        segments.mapped(1)
        const places = fill(manager, 32, 256)
        segments.mapped(2)
        places.push(...fill(manager, 4, 256))
        yield* heard
        segments.release("listener 2")
        assert.deepInclude(segments.statistics(), { managers: 2, count: 3, used: 36 * 256 })
        const last = places.shift()!
        for (const place of places) manager.free(place)
        assert.deepInclude(segments.statistics(), { managers: 2, used: 256 })
        assert.isDefined(segments.segment(last.segment))
        yield* heard
        manager.free(last)
        assert.deepStrictEqual(yield* heard, [`withdraw ${last.segment}`])
        assert.deepInclude(segments.statistics(), {
          managers: 1,
          count: 1,
          bytes: queueBytes + 2 * FIRST,
          hostBytes: FIRST,
          used: 0
        })
      }))

    it.effect("W9 a manager without a block goes with its user, and a segment on its way once it is there", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        segments.acquire("listener 1")
        segments.acquire("unused")
        segments.release("unused")
        assert.strictEqual(segments.statistics().managers, 1)
        const manager = segments.acquire("listener 2")
        assert.isUndefined(manager.allocate(256))
        segments.release("listener 2")
        assert.deepStrictEqual(yield* heard, ["announce 1"])
        assert.deepInclude(segments.statistics(), { managers: 2, count: 2 })
        segments.mapped(1)
        assert.deepStrictEqual((yield* heard).filter((event) => event !== "available"), ["withdraw 1"])
        assert.deepInclude(segments.statistics(), { managers: 1, count: 1 })
      }))

    it.effect("W9 sessions that survive their listener still get memory", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        segments.acquire("listener 1")
        const manager = segments.acquire("listener 2")
        manager.allocate(256)
        segments.mapped(1)
        const places = fill(manager, 1, ADDED / 2)
        segments.release("listener 2")
        // it is half full: nothing is to spare, but nothing of this size fits
        assert.isUndefined(manager.allocate(ADDED))
        segments.mapped(2)
        assert.deepInclude(yield* heard, "available")
        assert.isDefined(segments.segment(2))
        places.push(allocate(manager, ADDED))
        for (const place of places) manager.free(place)
        assert.deepInclude(segments.statistics(), { managers: 1, count: 1 })
      }))

    it.effect("releasing a user that has no manager does nothing", () =>
      Effect.gen(function*() {
        const { segments } = yield* make()
        segments.release("nobody")
        segments.acquire("listener")
        segments.release("listener")
        segments.release("listener")
        assert.deepInclude(segments.statistics(), { managers: 1, count: 1 })
      }))
  })

  describe("growth", () => {
    it.effect("W20 a segment is announced when the watermark is passed, and allocated from once it is mapped", () =>
      Effect.gen(function*() {
        const { announced, heard, segments } = yield* make()
        const manager = segments.acquire("listener")
        const places = fill(manager, 51, 256)
        assert.deepStrictEqual(yield* heard, [])
        // 52 of 64 blocks are more than 80 %
        places.push(...fill(manager, 1, 256))
        assert.deepStrictEqual(yield* heard, ["announce 1"])
        assert.strictEqual(announced[0]!.hostBytes, ADDED)
        assert.strictEqual(announced[0]!.buffer.byteLength, ADDED)
        assert.strictEqual(segments.segment(1), announced[0])
        // one at a time, and nothing from it before the worker has it
        places.push(...fill(manager, 12, 256))
        assert.isUndefined(manager.allocate(256))
        assert.isTrue(places.every(({ segment }) => segment === 0))
        assert.deepStrictEqual(yield* heard, [])
        segments.mapped(1)
        assert.deepStrictEqual(yield* heard, ["available"])
        assert.deepStrictEqual(fill(manager, 4, 256).map(({ segment }) => segment), [1, 1, 1, 1])
        assert.deepInclude(segments.statistics(), {
          count: 2,
          bytes: queueBytes + 2 * FIRST + ADDED,
          hostBytes: FIRST + ADDED,
          used: 68 * 256,
          managers: 1
        })
      }))

    it.effect("a segment is announced when an allocation is refused, however little is used", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        const manager = segments.acquire("listener")
        // every other kibibyte in use: half full, and not a hole of 4 KiB
        const places = fill(manager, 12, KiB).filter(({ offset }, at) => {
          const keep = (offset - queueBytes) / KiB % 2 === 0
          if (!keep) manager.free({ segment: 0, offset })
          return keep && at >= 0
        })
        assert.strictEqual(places.length, 6)
        assert.isDefined(manager.allocate(4 * KiB))
        assert.deepStrictEqual(yield* heard, [])
        assert.isUndefined(manager.allocate(4 * KiB))
        assert.deepStrictEqual(yield* heard, ["announce 1"])
        segments.mapped(1)
        assert.strictEqual(allocate(manager, 4 * KiB).segment, 1)
      }))

    it.effect("no segment is added that would not hold the block", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        const manager = segments.acquire("listener")
        allocate(manager, 256)
        assert.isUndefined(manager.allocate(FIRST))
        assert.isFalse(segments.addForWorker(ADDED + 1))
        assert.deepStrictEqual(yield* heard, [])
        assert.isTrue(segments.addForWorker(ADDED))
        assert.isUndefined(manager.allocate(FIRST))
        assert.strictEqual(segments.statistics().count, 2)
      }))

    it.effect("no segment is added beyond the memory limit, whichever side and manager it is for", () =>
      Effect.gen(function*() {
        const { announced, segments } = yield* make({ memoryLimit: queueBytes + 2 * FIRST + 3 * ADDED - 1 })
        segments.acquire("listener 1")
        const manager = segments.acquire("listener 2")
        assert.isUndefined(manager.allocate(256))
        segments.mapped(1)
        assert.isTrue(segments.addForWorker(256))
        const places = fill(manager, ADDED / 256, 256)
        assert.isUndefined(manager.allocate(256))
        assert.isFalse(segments.addForWorker(256))
        assert.deepStrictEqual(announced.map(({ index }) => index), [1, 2])
        assert.strictEqual(segments.statistics().bytes, queueBytes + 2 * FIRST + 2 * ADDED)
        // what is given back may be had again, under a new number
        segments.unused(2)
        manager.free(places.pop()!)
        places.push(...fill(manager, 1, 256))
        assert.deepStrictEqual(announced.map(({ index }) => index), [1, 2, 3])
      }))

    it.effect("W4 preallocated fifo pairs are room from the start, one segment after the other, and it stays", () =>
      Effect.gen(function*() {
        const pairs = Math.floor((FIRST + 2 * ADDED) / (256 + 4096))
        const { heard, segments } = yield* make({ preallocFifoPairs: pairs })
        assert.deepStrictEqual(yield* heard, ["announce 1"])
        segments.mapped(1)
        assert.include(yield* heard, "announce 2")
        segments.mapped(2)
        yield* heard
        assert.isAtLeast(segments.statistics().hostBytes, FIRST + 2 * ADDED)
        const manager = segments.acquire("listener")
        for (const place of fill(manager, (FIRST + 2 * ADDED) / 4096, 4096)) manager.free(place)
        assert.isAtLeast(segments.statistics().hostBytes, pairs * (256 + 4096))
      }))

    it.effect("W4 the last eighth of the limit is for sessions themselves, and not lent to fifos", () =>
      Effect.gen(function*() {
        const { announced, segments } = yield* make({ memoryLimit: queueBytes + 2 * FIRST + 16 * ADDED })
        const manager = segments.acquire("listener")
        const lent: Array<BlockPlace> = []
        const lend = () => {
          for (let place; (place = manager.allocate(4 * KiB, 0)) !== undefined;) lent.push(place)
        }
        lend()
        for (let mapped = 0; mapped < announced.length; lend()) segments.mapped(announced[mapped++]!.index)
        assert.isAbove(lent.length, 0)
        assert.isUndefined(manager.allocate(4 * KiB, 0))
        assert.isFalse(segments.addForWorker(64))
        assert.isUndefined(segments.cutThrough.create(ADDED))
        assert.strictEqual(Segment.lendable(segments.first, segments.queues, Infinity), 0)
        // what is left is at least the reserve, and all of it is had for sessions
        const before = segments.statistics()
        let sessions = 0
        const admit = () => {
          while (manager.allocate(256) !== undefined) sessions++
        }
        admit()
        for (let mapped = 0; mapped < announced.length; admit()) segments.mapped(announced[mapped++]!.index)
        assert.isAtLeast(sessions * 256, 2 * ADDED)
        assert.isAbove(segments.statistics().bytes, before.bytes)
        assert.strictEqual(segments.statistics().memory, "none")
      }))

    it.effect("W4 with an add-segment size of 0 there is no growth", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make({ addSegmentSize: 0 })
        const manager = segments.acquire("listener")
        const [place] = fill(manager, FIRST / 256, 256)
        assert.isUndefined(manager.allocate(256))
        assert.isFalse(segments.addForWorker(256))
        assert.deepStrictEqual(yield* heard, [])
        assert.strictEqual(segments.statistics().count, 1)
        manager.free(place!)
        assert.deepStrictEqual(yield* heard, ["available"])
        allocate(manager, 256)
      }))

    it.effect("who was refused hears of memory once for all that is freed in one go, and not inside the call", () =>
      Effect.gen(function*() {
        const { events, heard, segments } = yield* make({ addSegmentSize: 0 })
        const manager = segments.acquire("listener")
        const places = fill(manager, FIRST / 256, 256)
        manager.free(places.pop()!)
        assert.deepStrictEqual(yield* heard, [])
        places.push(...fill(manager, 1, 256))
        assert.isUndefined(manager.allocate(256))
        for (const place of places.splice(0, 8)) manager.free(place)
        assert.deepStrictEqual(events, [])
        assert.deepStrictEqual(yield* heard, ["available"])
        for (const place of places.splice(0, 8)) manager.free(place)
        assert.deepStrictEqual(yield* heard, [])
      }))
  })

  describe("shrinking", () => {
    /** The first segment with this many of its 64 blocks in use, and an added one with one block. */
    const grown = Effect.fnUntraced(function*(used: number) {
      const made = yield* make()
      const manager = made.segments.acquire("listener")
      const first = fill(manager, 64, 256)
      made.segments.mapped(1)
      const added = allocate(manager, 256)
      assert.strictEqual(added.segment, 1)
      for (const place of first.splice(used)) manager.free(place)
      yield* made.heard
      return { ...made, manager, first, added }
    })

    it.effect("W20 a segment without a block goes when the rest has room to spare, after its last block", () =>
      Effect.gen(function*() {
        const { added, heard, manager, segments } = yield* grown(32)
        assert.isDefined(segments.segment(1))
        assert.deepStrictEqual(yield* heard, [])
        manager.free(added)
        assert.deepStrictEqual(yield* heard, ["withdraw 1"])
        assert.isUndefined(segments.segment(1))
        assert.throws(() => manager.view(1), "no segment 1")
        assert.deepInclude(segments.statistics(), { count: 1, hostBytes: FIRST, bytes: queueBytes + 2 * FIRST })
      }))

    it.effect("it stays while the rest is more than half full, and goes when that changes", () =>
      Effect.gen(function*() {
        const { added, first, heard, manager, segments } = yield* grown(33)
        manager.free(added)
        assert.deepStrictEqual(yield* heard, [])
        assert.isDefined(segments.segment(1))
        manager.free(first.pop()!)
        assert.deepStrictEqual(yield* heard, ["withdraw 1"])
      }))

    it.effect("a segment that was never used goes as well, and one that is used again stays", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        const manager = segments.acquire("listener")
        const places = fill(manager, 52, 256)
        segments.mapped(1)
        yield* heard
        for (const place of places.splice(33)) manager.free(place)
        const again = allocate(manager, ADDED)
        assert.strictEqual(again.segment, 1)
        for (const place of places) manager.free(place)
        assert.deepStrictEqual(yield* heard, [])
        manager.free(again)
        assert.deepStrictEqual(yield* heard, ["withdraw 1"])
      }))

    it.effect("W6 the first segment stays, however empty", () =>
      Effect.gen(function*() {
        const { added, first, heard, manager, segments } = yield* grown(20)
        for (const place of first) manager.free(place)
        manager.free(added)
        segments.unused(0)
        segments.mapped(0)
        segments.release("listener")
        assert.deepStrictEqual(yield* heard, ["withdraw 1"])
        assert.strictEqual(segments.segment(0), segments.first)
        assert.deepInclude(segments.statistics(), { count: 1, hostBytes: FIRST, used: 0, managers: 1 })
      }))
  })

  describe("the worker's word", () => {
    it.effect("a segment that the worker says it has twice is allocated from once", () =>
      Effect.gen(function*() {
        const { segments } = yield* make()
        const manager = segments.acquire("listener")
        fill(manager, 64, 256)
        for (let i = 0; i < 3; i++) segments.mapped(1)
        fill(manager, 16, 256)
        segments.mapped(1)
        const offsets = [...Array(16)].map(() => allocate(manager, 256).offset)
        assert.strictEqual(new Set(offsets).size, 16)
        assert.deepInclude(segments.statistics(), { hostBytes: FIRST + ADDED, used: FIRST + ADDED })
        assert.isUndefined(manager.allocate(256))
      }))

    it.effect("segments that are not there, or not on their way, can't be said to be mapped or unused", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        const manager = segments.acquire("listener")
        fill(manager, 64, 256)
        yield* heard
        for (const index of [-1, 2, 77, Number.NaN]) {
          segments.mapped(index)
          segments.unused(index)
        }
        // the host's own, used or not
        segments.unused(1)
        segments.mapped(1)
        segments.unused(1)
        assert.isDefined(segments.segment(1))
        assert.deepStrictEqual(yield* heard, ["available"])
      }))

    it.effect("W20 segments for the worker's arena are announced, are not the host's, and go when it says so", () =>
      Effect.gen(function*() {
        const { announced, heard, segments } = yield* make()
        const manager = segments.acquire("listener")
        assert.isTrue(segments.addForWorker(64))
        assert.deepStrictEqual(yield* heard, ["announce 1"])
        assert.strictEqual(announced[0]!.hostBytes, 0)
        assert.strictEqual(Segment.workerArena(announced[0]!).capacity, ADDED)
        segments.mapped(1)
        assert.deepInclude(segments.statistics(), { count: 2, hostBytes: FIRST, managers: 1 })
        assert.isTrue(fill(manager, 64, 256).every(({ segment }) => segment === 0))
        yield* heard
        segments.unused(1)
        assert.deepStrictEqual(yield* heard, ["withdraw 1"])
        segments.unused(1)
        assert.deepStrictEqual(yield* heard, [])
      }))
  })

  describe("segments of cut-through sessions", () => {
    const SIZE = 4 * KiB
    const room = queueBytes + 2 * FIRST
    /** The limit with which this much may be had for other things than sessions themselves. */
    const withReserve = (bytes: number) => {
      let memoryLimit = bytes
      while (memoryLimit - Lending.reserve(optionsOf({ memoryLimit })) < bytes) memoryLimit++
      return memoryLimit
    }

    it.effect("W16 W20 one is announced when it is made, resolved by its number, and withdrawn when its session is gone", () =>
      Effect.gen(function*() {
        const { announced, heard, segments } = yield* make()
        const segment = segments.cutThrough.create(SIZE)!
        assert.deepStrictEqual(yield* heard, [`announce ${segment.index}`])
        assert.strictEqual(announced[0], segment)
        assert.isTrue(segment.buffer instanceof SharedArrayBuffer)
        assert.strictEqual(segment.buffer.byteLength, SIZE)
        // all of it is the host's to say: the worker takes none of it for its arena
        assert.strictEqual(segment.hostBytes, SIZE)
        assert.strictEqual(segments.segment(segment.index), segment)
        assert.deepStrictEqual(segments.cutThrough.statistics(), { count: 1, bytes: SIZE, kept: 0 })
        segments.cutThrough.free(segment.index)
        assert.deepStrictEqual(yield* heard, [`withdraw ${segment.index}`])
        segments.cutThrough.free(segment.index)
        assert.deepStrictEqual(yield* heard, [])
        assert.deepStrictEqual(segments.cutThrough.statistics(), { count: 0, bytes: 0, kept: 0 })
      }))

    it.effect("W16 another worker's segment gets a number here, is the same memory, and does not count for the limit", () =>
      Effect.gen(function*() {
        const server = yield* make({ memoryLimit: withReserve(room + SIZE) })
        const client = yield* make({ memoryLimit: withReserve(room) })
        const segment = server.segments.cutThrough.create(SIZE)!
        assert.isUndefined(client.segments.cutThrough.create(SIZE))
        const adopted = client.segments.cutThrough.adopt(segment.buffer)
        assert.strictEqual(adopted.buffer, segment.buffer)
        assert.deepStrictEqual(yield* client.heard, [`announce ${adopted.index}`])
        assert.deepStrictEqual(client.segments.cutThrough.statistics(), { count: 1, bytes: 0, kept: 0 })
        server.segments.cutThrough.free(segment.index)
        assert.strictEqual(client.segments.segment(adopted.index), adopted)
        client.segments.cutThrough.free(adopted.index)
        assert.deepStrictEqual(client.segments.cutThrough.statistics(), { count: 0, bytes: 0, kept: 0 })
      }))

    it.effect("W20 no number is used twice, whatever kind of segment it is for", () =>
      Effect.gen(function*() {
        const { segments } = yield* make()
        const one = segments.cutThrough.create(SIZE)!.index
        segments.cutThrough.free(one)
        segments.addForWorker(64)
        const two = segments.cutThrough.create(SIZE)!.index
        assert.deepStrictEqual([one, two], [1, 3])
      }))

    it.effect("W16 the memory limit holds for them and for the others together, and who was refused hears of room", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make({ memoryLimit: withReserve(room + ADDED) })
        const one = segments.cutThrough.create(SIZE)!
        const two = segments.cutThrough.create(SIZE)!
        assert.isUndefined(segments.cutThrough.create(64))
        assert.isFalse(segments.addForWorker(64))
        yield* heard
        segments.cutThrough.free(one.index)
        assert.deepStrictEqual(yield* heard, [`withdraw ${one.index}`, "available"])
        assert.isFalse(segments.addForWorker(64))
        segments.cutThrough.free(two.index)
        yield* heard
        assert.isTrue(segments.addForWorker(64))
        assert.isUndefined(segments.cutThrough.create(SIZE))
      }))

    it.effect("W16 a machine that has no more memory is as a limit", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make({ memoryLimit: 2 ** 60 })
        assert.isUndefined(segments.cutThrough.create(2 ** 53))
        assert.deepStrictEqual(yield* heard, [])
        assert.deepStrictEqual(segments.cutThrough.statistics(), { count: 0, bytes: 0, kept: 0 })
      }))

    it.effect("W16 memory that is kept is the same peer's again, and never another's or a segment of another size", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        const [peer, other] = [{}, {}]
        const first = segments.cutThrough.create(SIZE, peer)!
        segments.cutThrough.free(first.index, true)
        assert.deepStrictEqual(yield* heard, [`announce ${first.index}`, `withdraw ${first.index}`])
        assert.deepStrictEqual(segments.cutThrough.statistics(), { count: 0, bytes: 0, kept: SIZE })
        assert.notStrictEqual(segments.cutThrough.create(SIZE, other)!.buffer, first.buffer)
        assert.notStrictEqual(segments.cutThrough.create(SIZE)!.buffer, first.buffer)
        assert.notStrictEqual(segments.cutThrough.create(2 * SIZE, peer)!.buffer, first.buffer)
        const again = segments.cutThrough.create(SIZE, peer)!
        assert.strictEqual(again.buffer, first.buffer)
        assert.notStrictEqual(again.index, first.index)
        assert.notStrictEqual(segments.cutThrough.create(SIZE, peer)!.buffer, first.buffer)
        assert.strictEqual(segments.cutThrough.statistics().kept, 0)
      }))

    it.effect("W16 nothing is kept that is not to be, nor for a peer that is gone", () =>
      Effect.gen(function*() {
        const { segments } = yield* make()
        const peer = {}
        const [one, two] = [segments.cutThrough.create(SIZE, peer)!, segments.cutThrough.create(SIZE, peer)!]
        segments.cutThrough.free(one.index)
        assert.strictEqual(segments.cutThrough.statistics().kept, 0)
        segments.cutThrough.free(two.index, true)
        segments.cutThrough.forget(peer)
        assert.strictEqual(segments.cutThrough.statistics().kept, 0)
        assert.isFalse([one.buffer, two.buffer].includes(segments.cutThrough.create(SIZE, peer)!.buffer))
      }))

    it.effect("W16 what is kept counts for the memory limit, and is given up for those who need it", () =>
      Effect.gen(function*() {
        const { segments } = yield* make({ memoryLimit: withReserve(room + ADDED) })
        const peers = [{}, {}]
        const made = peers.map((peer) => segments.cutThrough.create(SIZE, peer)!)
        for (const { index } of made) segments.cutThrough.free(index, true)
        assert.deepStrictEqual(segments.cutThrough.statistics(), { count: 0, bytes: 0, kept: 2 * SIZE })
        // one of the two goes for another peer, and all that is left for a segment of the worker's
        assert.isDefined(segments.cutThrough.create(SIZE, {}))
        assert.strictEqual(segments.cutThrough.statistics().kept, SIZE)
        assert.isUndefined(segments.cutThrough.create(2 * SIZE, {}))
        assert.strictEqual(segments.cutThrough.statistics().kept, SIZE)
        assert.strictEqual(segments.cutThrough.create(SIZE, peers[1]!)!.buffer, made[1]!.buffer)
        assert.isFalse(segments.addForWorker(64))
      }))

    it.effect("W16 no worker can say of one that it is mapped or unused", () =>
      Effect.gen(function*() {
        const { heard, segments } = yield* make()
        const { index } = segments.cutThrough.create(SIZE)!
        const before = segments.statistics()
        yield* heard
        segments.mapped(index)
        segments.unused(index)
        assert.deepStrictEqual(yield* heard, [])
        assert.deepStrictEqual(segments.statistics(), before)
        assert.deepStrictEqual(segments.cutThrough.statistics(), { count: 1, bytes: SIZE, kept: 0 })
      }))
  })

  const number = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
  const user = Schema.Literals(["a", "b", "c"])
  const allocation = Schema.Struct({
    do: Schema.Literal("allocate"),
    user,
    bytes: Schema.Literals([64, 256, 700, 2048, 9000])
  })
  const freeing = Schema.Struct({ do: Schema.Literal("free"), which: number })
  const mapping = Schema.Struct({ do: Schema.Literal("mapped"), which: number })
  it.effect.prop(
    "W7 W9 W20 does what a plain model does, and no block ever lies over another or in a segment that is not there",
    {
      limit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 })),
      steps: Schema.Array(Schema.Union([
        allocation,
        allocation,
        allocation,
        freeing,
        freeing,
        mapping,
        mapping,
        Schema.Struct({ do: Schema.Literal("free all"), user }),
        Schema.Struct({ do: Schema.Literal("release"), user }),
        Schema.Struct({ do: Schema.Literal("add for worker") }),
        Schema.Struct({ do: Schema.Literal("unused"), which: number })
      ])).check(Schema.isMaxLength(150))
    },
    ({ limit, steps }) =>
      Effect.gen(function*() {
        const first = queueBytes + 2 * FIRST
        const memoryLimit = first + limit * ADDED
        const { events, segments } = yield* make({ memoryLimit })

        interface Block extends BlockPlace {
          readonly manager: Manager
          readonly bytes: number
          readonly tag: number
        }
        const blocks: Array<Block> = []
        /** Added segments by number: whose they are (`undefined`: the worker's), and whether they are mapped. */
        const added = new Map<number, { readonly manager: Manager | undefined; mapped: boolean }>()
        const users = new Map<string, Manager>()
        const ending = new Set<Manager>()
        let next = 1
        let tag = 0

        const used = (manager: Manager | undefined) =>
          blocks.reduce((sum, block) => manager === undefined || block.manager === manager ? sum + block.bytes : sum, 0)
        const mine = (manager: Manager) => [...added].filter(([, one]) => one.manager === manager)
        const capacity = (manager: Manager) =>
          (manager.index === 0 ? FIRST : 0) + ADDED * mine(manager).filter(([, { mapped }]) => mapped).length
        const isGrowing = (manager: Manager) => mine(manager).some(([, { mapped }]) => !mapped)
        const isEmpty = (index: number) => !blocks.some(({ segment }) => segment === index)
        /** Whether one more segment may be added; the last eighth is for sessions, as all blocks here are. */
        const grows = (reserve = 0) => first + (added.size + 1) * ADDED + reserve <= memoryLimit
        /** What has been heard since the last step: so many announcements in order, and segments withdrawn. */
        const expect = (announced: number): ReadonlyArray<number> => {
          const seen = events.splice(0).filter((event) => event !== "available").map((event) => event.split(" "))
          const of = (what: string) => seen.filter(([one]) => one === what).map(([, index]) => Number(index))
          assert.deepStrictEqual(of("announce"), Array.from({ length: announced }, () => next++))
          return of("withdraw")
        }
        /** Of a manager's empty segments those go that may, one by one, and no others. */
        const shrinks = (manager: Manager) => {
          const empty = () => mine(manager).find(([index, { mapped }]) => mapped && isEmpty(index))
          const over = ending.has(manager) && used(manager) === 0
          const may = () => {
            const rest = capacity(manager) - ADDED
            return over || (rest > 0 && used(manager) * 100 <= rest * 50)
          }
          for (const index of expect(0)) {
            assert.isTrue(may() && isEmpty(index))
            assert.deepStrictEqual(added.get(index), { manager, mapped: true })
            added.delete(index)
          }
          assert.isFalse(may() && empty() !== undefined)
          if (over && !isGrowing(manager)) ending.delete(manager)
        }
        const free = (at: number) => {
          const [block] = blocks.splice(at, 1)
          const bytes = block!.manager.view(block!.segment).subarray(block!.offset, block!.offset + block!.bytes)
          assert.isTrue(bytes.every((byte) => byte === block!.tag), "a block was overwritten")
          block!.manager.free(block!)
          shrinks(block!.manager)
        }

        for (const step of steps) {
          switch (step.do) {
            case "allocate": {
              const manager = segments.acquire(step.user)
              if (!users.has(step.user)) {
                const isFirst = ![...users.values()].some(({ index }) => index === 0)
                assert.strictEqual(manager.index === 0, isFirst || limit < 2)
                users.set(step.user, manager)
              }
              assert.strictEqual(users.get(step.user), manager)
              const bytes = Arena.rounded(step.bytes)
              const place = manager.allocate(step.bytes)
              if (place === undefined) {
                // a segment of its own that is empty would have had room
                const free = mine(manager).some(([index, { mapped }]) => mapped && isEmpty(index))
                assert.isFalse(free && bytes <= ADDED)
                assert.isFalse(manager.index === 0 && isEmpty(0))
              } else {
                const owner = place.segment === 0 ? 0 : added.get(place.segment)!.manager!.index
                assert.strictEqual(owner, manager.index)
                if (place.segment > 0) assert.isTrue(added.get(place.segment)!.mapped)
                const view = manager.view(place.segment)
                assert.isAtMost(place.offset + bytes, segments.segment(place.segment)!.hostBytes)
                blocks.push({ ...place, manager, bytes, tag: ++tag & 0xff })
                view.fill(tag & 0xff, place.offset, place.offset + bytes)
              }
              const wanted = place === undefined || used(manager) * 100 > capacity(manager) * 80
              const grown = wanted && !isGrowing(manager) && grows() && (place !== undefined || bytes <= ADDED)
              if (grown) added.set(next, { manager, mapped: false })
              assert.deepStrictEqual(expect(grown ? 1 : 0), [])
              break
            }
            case "free":
              if (blocks.length > 0) free(step.which % blocks.length)
              break
            case "free all": {
              const manager = users.get(step.user)
              for (let at = blocks.length - 1; at >= 0; at--) if (blocks[at]!.manager === manager) free(at)
              break
            }
            case "mapped": {
              const index = step.which % (next + 1)
              const one = added.get(index)
              segments.mapped(index)
              const { manager } = one ?? {}
              if (one === undefined || one.mapped || manager === undefined) assert.deepStrictEqual(expect(0), [])
              else {
                one.mapped = true
                if (ending.has(manager) && used(manager) === 0) shrinks(manager)
                else assert.deepStrictEqual(expect(0), [])
              }
              break
            }
            case "release": {
              const manager = users.get(step.user)
              segments.release(step.user)
              users.delete(step.user)
              if (manager !== undefined && manager.index > 0) {
                ending.add(manager)
                shrinks(manager)
              } else assert.deepStrictEqual(expect(0), [])
              break
            }
            case "add for worker": {
              const reserve = Lending.reserve(optionsOf({ memoryLimit }))
              const empty = [...added].filter(([index, { manager, mapped }]) => manager && mapped && isEmpty(index))
              let given = 0
              while (!grows(reserve - given * ADDED) && given < empty.length) given++
              const grown = grows(reserve - given * ADDED)
              assert.strictEqual(segments.addForWorker(256), grown)
              if (grown) added.set(next, { manager: undefined, mapped: true })
              const withdrawn = expect(grown ? 1 : 0)
              assert.strictEqual(withdrawn.length, grown ? given : 0)
              for (const index of withdrawn) {
                assert.isTrue(empty.some(([one]) => one === index))
                added.delete(index)
              }
              break
            }
            case "unused": {
              const index = step.which % (next + 1)
              const goes = added.has(index) && added.get(index)!.manager === undefined
              segments.unused(index)
              if (goes) added.delete(index)
              assert.deepStrictEqual(expect(0), goes ? [index] : [])
            }
          }
          const statistics = segments.statistics()
          const others = [...new Set([...users.values(), ...ending])].filter(({ index }) => index > 0)
          assert.deepInclude(statistics, {
            count: 1 + added.size,
            bytes: first + ADDED * added.size,
            hostBytes: FIRST + ADDED * [...added.values()].filter(({ manager, mapped }) => manager && mapped).length,
            used: used(undefined),
            managers: 1 + others.length
          })
          assert.isAtMost(statistics.bytes, memoryLimit)
          for (const index of added.keys()) assert.isDefined(segments.segment(index))
          for (const { segment } of blocks) assert.isDefined(segments.segment(segment))
        }

        // and in the end nothing is left but the first segment and what the worker has
        for (const one of ["a", "b", "c"]) segments.release(one)
        while (blocks.length > 0) {
          const { manager, ...place } = blocks.pop()!
          manager.free(place)
        }
        for (let index = 1; index < next; index++) segments.mapped(index)
        const first_ = segments.acquire("again")
        assert.strictEqual(first_.index, 0)
        // the first manager looks for what it can spare when a block is freed
        first_.free(allocate(first_, 256))
        const left = [...added.values()].filter(({ manager }) => manager === undefined).length
        assert.deepInclude(segments.statistics(), {
          count: 1 + left,
          bytes: first + left * ADDED,
          hostBytes: FIRST,
          used: 0,
          managers: 1
        })
      }),
    { arbitrary: { runs: 400, size: 150 } }
  )
})
