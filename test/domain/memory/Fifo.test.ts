import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Arena } from "../../../src/domain/memory/Arena.ts"
import * as Fifo from "../../../src/domain/memory/Fifo.ts"
import { FifoConsumer } from "../../../src/domain/memory/FifoConsumer.ts"
import { FifoProducer, type Wait } from "../../../src/domain/memory/FifoProducer.ts"
import { Bell } from "../../support/Bell.ts"
import type { Setup } from "../../support/fifoThread.ts"
import * as Long from "../../support/long.ts"
import * as Pattern from "../../support/pattern.ts"
import * as Random from "../../support/random.ts"
import * as Threads from "../../support/threads.ts"

// the layout of the module's header
const TAIL = 0
const EPOCH = 1
const EPOCHS = 3
const EPOCH_WORDS = 3

/** Bytes of the ring that each fifo here has of its own, unless its bound is smaller. */
const RING = 256

const CANARY = 0x5ca1ab1e
const PRODUCER = 4
const CONSUMER = PRODUCER + Fifo.PRODUCER_WORDS + 4
const FLAGS = CONSUMER + Fifo.CONSUMER_WORDS + 4
const WORDS = FLAGS + Fifo.FLAG_WORDS + 4

const ints = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const seeds = ints(0, 0x7fff_ffff)
/** Positions to start from: most of them so that the run passes 2^32 or 2^31. */
const At = Schema.Literals([0, -1, -5, -5000, -100_000, 0x7fff_ffff, 0x7fff_f000, -0x8000_0000, 12_345])

const make = (
  bound: number,
  at = 0,
  refuses: () => boolean = () => false,
  isTooLarge: (bytes: number) => boolean = () => false
) => {
  const words = new Int32Array(WORDS).fill(CANARY)
  const places: Fifo.Words = { words, producer: PRODUCER, consumer: CONSUMER, flags: FLAGS }
  Fifo.reset(places)
  words[PRODUCER + TAIL] = at
  words[CONSUMER] = at
  const lent = Math.max(4096, 4 * bound)
  const memory = new Uint8Array(lent + RING).fill(0xcc)
  const arena = new Arena(0, lent)
  const live = new Map<number, number>()
  const held = () => [...live.values()].reduce((sum, size) => sum + size, 0)
  let peak = 0
  const blocks: Fifo.Blocks = {
    allocate: (bytes) => {
      assert.strictEqual(bytes & (bytes - 1), 0)
      if (refuses() || isTooLarge(bytes)) return undefined
      const offset = arena.allocate(bytes)
      if (offset < 0) return undefined
      live.set(offset, bytes)
      peak = Math.max(peak, held())
      return { segment: 3, offset }
    },
    free: ({ segment, offset }) => {
      assert.strictEqual(segment, 3)
      // whoever still reads here reads nonsense
      memory.fill(0xee, offset, offset + live.get(offset)!)
      live.delete(offset)
      arena.free(offset)
    },
    view: () => memory
  }
  const ring = Fifo.block(3, memory, lent, Math.min(RING, bound))
  const producer = new FifoProducer(places, bound, ring, blocks)
  const view: Fifo.View = (segment) => segment === 3 ? memory : undefined
  const consume = () => new FifoConsumer(places, bound, view)
  const intact = () =>
    words.every((word, i) =>
      word === CANARY || (i >= PRODUCER && i < PRODUCER + Fifo.PRODUCER_WORDS) ||
      (i >= CONSUMER && i < CONSUMER + Fifo.CONSUMER_WORDS) || (i >= FLAGS && i < FLAGS + Fifo.FLAG_WORDS)
    ) && [0, PRODUCER, CONSUMER, FLAGS, WORDS].every((end) => end === 0 || words[end - 1] === CANARY)
  return { words, memory, arena, producer, consumer: consume(), consume, held, peak: () => peak, intact }
}

/** Calls `interfere` in the midst of `body`: before or after its n-th look at or change of `words`. */
const interrupted = <A>(
  words: Int32Array,
  point: number,
  before: boolean,
  interfere: () => void,
  body: () => A
): { readonly answer: A; readonly interfered: boolean } => {
  const original = {
    load: Atomics.load,
    store: Atomics.store,
    exchange: Atomics.exchange,
    compareExchange: Atomics.compareExchange
  }
  let passed = 0
  let interfered = false
  const act = () => {
    Object.assign(Atomics, original)
    interfered = true
    interfere()
  }
  const hooked = (name: keyof typeof original) => (array: Int32Array, ...rest: ReadonlyArray<number>) => {
    const call = () => (original[name] as (...all: ReadonlyArray<unknown>) => number)(array, ...rest)
    if (array !== words || passed++ !== point) return call()
    if (before) act()
    const answer = call()
    if (!before) act()
    return answer
  }
  Object.assign(Atomics, {
    load: hooked("load"),
    store: hooked("store"),
    exchange: hooked("exchange"),
    compareExchange: hooked("compareExchange")
  })
  try {
    return { answer: body(), interfered }
  } finally {
    Object.assign(Atomics, original)
  }
}

const kinds = new Long.Kinds([
  "refuse",
  "enqueue all",
  "enqueue some",
  "enqueue none",
  "reserve",
  "reserve none",
  "commit",
  "commit nothing",
  "drop some",
  "drop all",
  "peek nothing",
  "read some",
  "read nothing",
  "trim",
  "trim in vain",
  "wait: ready",
  "wait for some room",
  "wait for any room",
  "told",
  "move"
])

/** A run of random steps against positions in the pattern: what was written and not read is what is in the fifo. */
const simulate = (bound: number, at: number, seed: number, steps: number, refusal: number) => {
  const random = Random.make(seed)
  let refusing = refusal
  const fifo = make(bound, at, () => random(10) < refusing)
  const { producer } = fifo
  let consumer = fifo.consumer
  let written = 0
  let read = 0
  let reserved: Uint8Array | undefined
  /** What the producer waits for: room for so many bytes, 0 when it only was promised to be told in time. */
  let waiting: number | undefined
  const sizes = () => 1 + random([3, 300, bound, 2 * bound][random(4)]!)
  const told = (tell: boolean) => {
    const room = bound - (written - read)
    if (waiting === undefined) return
    if (tell) kinds.did("told")
    if (waiting > 0) assert.strictEqual(tell, room >= waiting, `told at ${room} bytes of room, wanted ${waiting}`)
    // at the latest when there is nothing left to read
    else assert.isTrue(tell || written > read, "was never told")
    if (tell) waiting = undefined
  }
  const wait = () => {
    const free = random(3) === 0 ? random(2 * bound) : random(3)
    const size = written - read
    const answer = producer.wait(free)
    waiting = undefined
    if (answer === "ready") kinds.did("wait: ready")
    if (answer === "ready") {
      assert.isBelow(size, bound)
      assert.strictEqual(producer.enqueue(Pattern.at(written, 1)), 1, "it was ready and took nothing")
      written++
    } else {
      assert.isAbove(size, 0, "nobody will read an empty fifo")
      kinds.did(size === bound ? "wait for some room" : "wait for any room")
      if (size === bound) waiting = Math.max(1, Math.min(free, bound))
      else {
        assert.isTrue(refusal > 0, "nothing but memory is in the way of a fifo below its bound")
        waiting = 0
      }
    }
  }
  for (let step = 0; step < steps; step++) {
    const kind = random(20)
    if (kind === 0) {
      refusing = random(2) * refusal
      if (refusing > 0) kinds.did("refuse")
    }
    if (kind < 5 && reserved === undefined) {
      const length = sizes()
      const taken = producer.enqueue(Pattern.at(written, length))
      kinds.did(taken === 0 ? "enqueue none" : taken < length ? "enqueue some" : "enqueue all")
      assert.isAtMost(taken, Math.min(length, bound - (written - read)))
      // without refusals it is short for the bound's sake only, whatever was read
      if (refusal === 0) assert.strictEqual(taken, Math.min(length, bound - (written - read)))
      written += taken
      if (taken > 0) waiting = undefined
    } else if (kind < 7 && reserved === undefined) {
      const length = sizes()
      reserved = producer.reserve(length)
      kinds.did(reserved === undefined ? "reserve none" : "reserve")
      if (reserved !== undefined) {
        assert.isTrue(reserved.length >= 1 && reserved.length <= Math.min(length, bound - (written - read)))
      }
    } else if (kind < 9 && reserved !== undefined) {
      const length = random(4) === 0 ? 0 : 1 + random(reserved.length)
      kinds.did(length === 0 ? "commit nothing" : "commit")
      reserved.set(Pattern.at(written, length))
      producer.commit(length)
      reserved = undefined
      written += length
      if (length > 0) waiting = undefined
    } else if (kind < 12) {
      const max = sizes()
      const bytes = consumer.peek(max)
      assert.strictEqual(bytes === undefined, written === read)
      if (bytes === undefined) kinds.did("peek nothing")
      if (bytes !== undefined) {
        assert.isTrue(bytes.length >= 1 && bytes.length <= Math.min(max, written - read))
        assert.isTrue(Pattern.isAt(bytes, read), "peek found other bytes")
        const dropped = random(3) === 0 ? bytes.length : 1 + random(bytes.length)
        kinds.did(dropped === bytes.length ? "drop all" : "drop some")
        read += dropped
        told(consumer.drop(dropped))
      }
    } else if (kind < 14) {
      const target = new Uint8Array(random(3) === 0 ? bound : sizes()).fill(0xaa)
      const from = random(2) * Math.min(2, target.length)
      const answer = consumer.read(target, from)
      kinds.did(answer.bytes === 0 ? "read nothing" : "read some")
      assert.strictEqual(answer.bytes, Math.min(target.length - from, written - read))
      assert.isTrue(Pattern.isAt(target.subarray(from, from + answer.bytes), read), "read found other bytes")
      read += answer.bytes
      if (answer.bytes > 0) told(answer.tell)
    } else if (kind < 16) {
      const trimmed = producer.trim()
      kinds.did(trimmed ? "trim" : "trim in vain")
      assert.strictEqual(trimmed, producer.memory === 0)
      if (reserved === undefined && written === read) assert.isTrue(trimmed)
      if (trimmed) assert.strictEqual(fifo.held(), 0)
    } else if (kind < 19) {
      if (reserved === undefined) wait()
    } else {
      // the session has moved: another thread reads on
      consumer = fifo.consume()
      kinds.did("move")
    }
    assert.strictEqual(producer.size, written - read)
    assert.strictEqual(consumer.size, written - read)
    assert.strictEqual(producer.room, bound - (written - read))
    assert.strictEqual(fifo.held(), producer.memory)
  }
  if (reserved !== undefined) producer.commit(0)
  const rest = new Uint8Array(bound)
  assert.strictEqual(consumer.read(rest).bytes, written - read)
  assert.isTrue(Pattern.isAt(rest.subarray(0, written - read), read))
  assert.isTrue(producer.trim())
  assert.deepStrictEqual([producer.memory, fifo.held(), fifo.arena.used], [0, 0, 0])
  assert.isBelow(fifo.peak(), (refusal === 0 ? 1.5 : 2) * bound + 1)
  assert.isTrue(fifo.intact())
}

describe("Fifo", () => {
  it.prop(
    "agrees with a plain list of bytes for every small bound, over the ends of its 32-bit positions",
    [Schema.Literals([1, 2, 4, 8, 64, 1024]), At, seeds],
    ([bound, at, seed]) => simulate(bound, at, seed, 300, 0),
    Long.runs(200)
  )

  it.prop(
    "agrees with a plain list of bytes while it grows by blocks, over the ends of its 32-bit positions",
    [Schema.Literals([4096, 8192, 16_384, 65_536, 262_144]), At, seeds],
    ([bound, at, seed]) => simulate(bound, at, seed, 200, 0),
    Long.runs(200)
  )

  it.prop(
    "agrees with a plain list of bytes when memory is refused at random, and every wait ends",
    [Schema.Literals([1, 4, 64, 4096, 8192, 16_384, 65_536]), At, seeds, ints(1, 10)],
    ([bound, at, seed, refusal]) => simulate(bound, at, seed, 300, refusal),
    Long.runs(300)
  )

  it("the runs above did every kind of step, with every answer that there is", () => {
    assert.deepStrictEqual(kinds.left, [])
  })

  it("is lent nothing for what its ring holds, a small block for more, and the larger the more is in it", () => {
    const { producer, consumer, held } = make(65_536)
    assert.strictEqual(producer.memory, 0)
    producer.enqueue(Pattern.at(0, RING))
    assert.deepStrictEqual([producer.memory, held()], [0, 0])
    assert.isTrue(producer.trim())
    producer.enqueue(Pattern.at(RING, 100))
    assert.strictEqual(producer.memory, Fifo.FIRST_BLOCK)
    producer.enqueue(Pattern.at(RING + 100, 8092))
    // the bytes of the epochs before are still to be read where they are
    assert.strictEqual(producer.memory, 4096 + 16_384)
    const bytes = new Uint8Array(RING + 8192)
    consumer.read(bytes)
    assert.isTrue(Pattern.isAt(bytes, 0))
    assert.strictEqual(producer.size, 0)
    assert.strictEqual(producer.memory, 16_384)
    assert.isTrue(producer.trim())
    assert.deepStrictEqual([producer.memory, held()], [0, 0])
  })

  it("reaches its bound whatever the sizes of the pieces, unread, in few blocks and with no byte moved", () => {
    for (const bound of [4096, 65_536, 524_288, 4_194_304]) {
      for (const piece of [1, 200, 204, 4096, 16_384, 65_536, 300_000]) {
        if (piece === 1 && bound > 65_536) continue
        const { producer, consumer, arena, held } = make(bound, -1000)
        let written = 0
        for (let taken = -1; taken !== 0; written += taken) {
          taken = producer.enqueue(Pattern.at(written, piece))
          if (written + taken < bound) assert.strictEqual(taken, piece)
        }
        assert.strictEqual(written, bound)
        assert.isAtMost(arena.blocks, Fifo.EPOCH_PLACES)
        assert.isAtMost(held(), 1.5 * bound)
        for (let read = 0; read < bound;) {
          const bytes = consumer.peek(300_000)!
          assert.isTrue(Pattern.isAt(bytes, read))
          read += bytes.length
          consumer.drop(bytes.length)
        }
        assert.isTrue(producer.trim())
        assert.strictEqual(held(), 0)
      }
    }
  })

  it("takes messages of any size until the next one is more than what is left to the bound", () => {
    for (const message of [204, 3000, 65_511, 200_000]) {
      const { producer } = make(524_288)
      for (let count = Math.floor(524_288 / message); count > 0; count--) {
        assert.strictEqual(producer.waitWhole(message), "ready")
        assert.strictEqual(producer.enqueue(Pattern.at(0, message)), message)
      }
      assert.strictEqual(producer.waitWhole(message), "consumer")
    }
  })

  it("reads what was written before it grew from where it was, one epoch after the other", () => {
    const { producer, consumer } = make(65_536, -3)
    producer.enqueue(Pattern.at(0, 4000))
    producer.enqueue(Pattern.at(4000, 5000))
    assert.isTrue(producer.memory > 8192)
    assert.isFalse(producer.trim())
    const first = consumer.peek()!
    assert.isAtMost(first.length, 4000)
    assert.isTrue(Pattern.isAt(first, 0))
    const rest = new Uint8Array(9000)
    assert.strictEqual(consumer.read(rest).bytes, 9000)
    assert.isTrue(Pattern.isAt(rest, 0))
  })

  it("keeps a reserved stretch where it is whatever happens before it is committed", () => {
    const { producer, consumer } = make(16_384)
    producer.enqueue(Pattern.at(0, 4000))
    const stretch = producer.reserve(96)!
    assert.strictEqual(stretch.length, 96)
    consumer.drop(consumer.peek()!.length)
    assert.isFalse(producer.trim())
    assert.strictEqual(producer.wait(16_384), "ready")
    assert.isFalse(producer.trim())
    const again = producer.reserve(16_384)!
    assert.strictEqual(again.byteOffset, stretch.byteOffset)
    stretch.set(Pattern.at(4000, 96))
    producer.commit(96)
    assert.isTrue(Pattern.isAt(consumer.peek()!, 4000))
  })

  it("shows what is there in two parts at most, where all of it is in one block", () => {
    const { consumer, producer } = make(16_384)
    const random = Random.make(7)
    let parts = 0
    for (let head = 0, tail = 0; tail < 2_000_000;) {
      tail += producer.enqueue(Pattern.at(tail, 1 + random(5000)))
      const first = consumer.peek()!
      const rest = consumer.rest(first.length)
      assert.isTrue(Pattern.isAt(first, head))
      if (rest !== undefined) {
        parts++
        assert.isTrue(Pattern.isAt(rest, head + first.length))
        assert.strictEqual(first.length + rest.length, tail - head)
        assert.isUndefined(consumer.rest(first.length + rest.length))
      }
      const dropped = random(3) === 0 ? random(first.length) : first.length + (rest?.length ?? 0)
      consumer.drop(dropped)
      head += dropped
    }
    assert.isAbove(parts, 100)
  })

  it("shows no rest that is in the next block", () => {
    const { consumer, producer } = make(65_536)
    producer.enqueue(Pattern.at(0, 4096))
    consumer.drop(consumer.peek(4000)!.length)
    // into the block's end, and the rest, which needs a larger one
    producer.enqueue(Pattern.at(4096, 10_000))
    const first = consumer.peek()!
    assert.isBelow(first.length, consumer.size)
    assert.isUndefined(consumer.rest(first.length))
    consumer.drop(first.length)
    assert.isTrue(Pattern.isAt(consumer.peek()!, 4000 + first.length))
  })

  it("gives all memory back when it is freed, read or not", () => {
    const { producer, held, arena } = make(65_536)
    producer.enqueue(Pattern.at(0, 4096))
    producer.enqueue(Pattern.at(4096, 9000))
    assert.isAbove(held(), 4096)
    producer.free()
    assert.deepStrictEqual([held(), producer.memory, arena.used], [0, 0, 0])
  })

  it("finds its bytes after any number of gigabytes in one epoch, a consumer that begins then too", () => {
    for (const grows of [true, false]) {
      const block = 1 << 20
      let refuses = false
      const fifo = make(grows ? block : 4 * block, 0, () => refuses)
      const { producer } = fifo
      let consumer = fifo.consumer
      assert.strictEqual(producer.reserve(block)!.length, block)
      producer.commit(0)
      // a block smaller than the bound: how much of it is taken must be known to the byte
      refuses = true
      for (let step = 0; step < 5 * 1024; step++) {
        let written = 0
        for (let target; (target = producer.reserve(block)) !== undefined; written += target.length) {
          target.set([step & 0xff, step >>> 8, target.length & 0xff])
          producer.commit(target.length)
        }
        assert.strictEqual(written, block)
        if (step % 16 === 0) consumer = fifo.consume()
        for (let bytes; (bytes = consumer.peek()) !== undefined;) {
          assert.deepStrictEqual([...bytes.subarray(0, 3)], [step & 0xff, step >>> 8, bytes.length & 0xff])
          consumer.drop(bytes.length)
        }
      }
      assert.strictEqual(fifo.words[PRODUCER + EPOCH], 2)
    }
  })
})

describe("Fifo, waiting", () => {
  it("W15 the event flag says so on 0 to 1 only, until the consumer clears it", () => {
    const { producer, consumer } = make(64)
    assert.deepStrictEqual([producer.raiseEvent(), producer.raiseEvent(), producer.raiseEvent()], [true, false, false])
    consumer.clearEvent()
    assert.deepStrictEqual([producer.raiseEvent(), producer.raiseEvent()], [true, false])
  })

  it("tells a waiting producer once, when so much has been read as it waits for", () => {
    const { producer, consumer } = make(64)
    producer.enqueue(Pattern.at(0, 64))
    assert.strictEqual(producer.wait(32), "consumer")
    assert.deepStrictEqual([consumer.drop(16), consumer.drop(15), consumer.drop(1), consumer.drop(1)], [
      false,
      false,
      true,
      false
    ])
    assert.strictEqual(producer.wait(64), "ready")
    assert.isFalse(consumer.drop(1))
  })

  it("waits for at least a byte of a full fifo, however little is asked for, and for no more than its bound", () => {
    for (const [free, needed] of [[-5, 1], [0, 1], [1, 1], [64, 64], [1000, 64]] as const) {
      const { producer, consumer } = make(64)
      producer.enqueue(Pattern.at(0, 64))
      assert.strictEqual(producer.wait(free), "consumer")
      const answers = Array.from({ length: 64 }, () => consumer.drop(1))
      assert.strictEqual(answers.indexOf(true), needed - 1)
    }
  })

  it("without memory goes on in its ring, a ring's length at a time", () => {
    const { producer, consumer } = make(65_536, -10_000, () => true)
    let read = 0
    for (let written = 0; written < 20_000;) {
      const taken = producer.enqueue(Pattern.at(written, 5000))
      assert.isAbove(taken, 0)
      written += taken
      assert.strictEqual(producer.wait(), "consumer")
      const bytes = consumer.peek()!
      assert.isTrue(Pattern.isAt(bytes, read))
      read += bytes.length
      const told = consumer.drop(bytes.length)
      assert.isTrue(told || consumer.drop((read += consumer.peek()!.length, consumer.peek()!.length)))
    }
    assert.strictEqual(producer.memory, 0)
  })

  it("with memory for some of it, waits for the consumer to read a part of the block that it has", () => {
    let refusing = false
    const { producer, consumer } = make(65_536, 0, () => refusing)
    assert.strictEqual(producer.enqueue(Pattern.at(0, 4096)), 4096)
    refusing = true
    // what it has serves as far as it goes
    assert.strictEqual(producer.enqueue(Pattern.at(4096, 10)), 0)
    assert.strictEqual(producer.wait(1), "consumer")
    assert.isTrue(consumer.drop(1))
    assert.strictEqual(producer.wait(1), "ready")
    assert.strictEqual(producer.enqueue(Pattern.at(4096, 10)), 1)
    assert.strictEqual(producer.memory, 4096)
  })

  it("waits until the oldest epoch has been read when only that keeps it from growing again", () => {
    let largest = Infinity
    const { producer, consumer } = make(1 << 20, 0, () => false, (bytes) => bytes > largest)
    producer.enqueue(Pattern.at(0, RING))
    for (const bytes of [4096, 16_384, 65_536]) {
      largest = bytes
      assert.strictEqual(producer.enqueue(Pattern.at(0, bytes)), bytes)
    }
    largest = Infinity
    assert.strictEqual(producer.enqueue(Pattern.at(0, 1)), 0)
    assert.strictEqual(producer.wait(1), "consumer")
    assert.isFalse(consumer.drop(consumer.peek()!.length - 1))
    assert.isTrue(consumer.drop(1))
    assert.strictEqual(producer.wait(16_384), "ready")
    assert.isAbove(producer.enqueue(Pattern.at(0, 200_000)), 199_999)
  })

  it("goes on elsewhere, for free, from a block that it took and wrote nothing to", () => {
    const { producer, consumer, held } = make(1 << 20)
    producer.enqueue(Pattern.at(0, 100))
    for (let wanted = 4096; wanted <= 1 << 19; wanted *= 2) {
      assert.isAbove(producer.reserve(wanted)!.length, 0)
      producer.commit(0)
    }
    assert.strictEqual(held(), 1 << 20)
    producer.enqueue(Pattern.at(100, 500_000))
    const read = new Uint8Array(500_100)
    assert.strictEqual(consumer.read(read).bytes, 500_100)
    assert.isTrue(Pattern.isAt(read, 0))
  })

  it("loses no wake-up to bytes that are read at any point of going to wait", () => {
    for (const refusing of [false, true]) {
      for (const read of [1, 2, 32, 64]) {
        for (const before of [true, false]) {
          for (let point = 0; point < 8; point++) {
            let refuses = false
            const { producer, consumer, words } = make(64, -7, () => refuses)
            producer.enqueue(Pattern.at(0, 64))
            refuses = refusing
            let told = false
            const { answer } = interrupted(words, point, before, () => {
              consumer.peek()
              told = consumer.drop(read)
            }, () => producer.wait(32))
            assert.notStrictEqual(answer, "memory")
            if (answer === "ready") assert.strictEqual(producer.enqueue(Pattern.at(64, 1)), 1)
            else {
              for (let left = consumer.size; left > 0; left--) told = consumer.drop(1) || told
              assert.isTrue(told, `lost at point ${point} with ${read} bytes read`)
            }
          }
        }
      }
    }
  })

  it("loses no wake-up to a producer that goes to wait at any point of reading", () => {
    for (const read of [16, 32, 64]) {
      for (const before of [true, false]) {
        for (let point = 0; point < 6; point++) {
          const { producer, consumer, words } = make(64, -7)
          producer.enqueue(Pattern.at(0, 64))
          let answer: Wait | undefined
          const dropped = interrupted(words, point, before, () => {
            answer = producer.wait(32)
          }, () => consumer.drop(read))
          if (!dropped.interfered) continue
          let told = dropped.answer
          if (answer === "ready") assert.strictEqual(producer.enqueue(Pattern.at(64, 1)), 1)
          else {
            for (let left = consumer.size; left > 0; left--) told = consumer.drop(1) || told
            assert.isTrue(told, `lost at point ${point} with ${read} bytes read`)
          }
        }
      }
    }
  })
})

describe("Fifo, all or nothing", () => {
  it.prop(
    "takes what it says fits, and a wait for room for all of something ends when there is",
    [Schema.Literals([4, 64, 4096, 8192, 65_536]), At, seeds, ints(0, 5)],
    ([bound, at, seed, refusal]) => {
      const random = Random.make(seed)
      let refusing = refusal
      const fifo = make(bound, at, () => random(10) < refusing)
      const { consumer, producer } = fifo
      let written = 0
      let read = 0
      let waiting: number | undefined
      for (let step = 0; step < 200; step++) {
        if (random(10) === 0) refusing = random(2) * refusal
        const length = random([4, bound >> 1, bound, bound + 1][random(4)]!)
        switch (random(4)) {
          case 0: {
            const fits = producer.fits(length)
            if (length > bound - (written - read)) assert.isFalse(fits)
            if (!fits) break
            assert.strictEqual(producer.enqueue(Pattern.at(written, length)), length)
            written += length
            waiting = undefined
            break
          }
          case 1: {
            const answer = producer.waitWhole(length)
            waiting = undefined
            if (answer === "ready") {
              assert.strictEqual(producer.enqueue(Pattern.at(written, length)), length)
              written += length
            } else if (answer === "consumer") {
              assert.isAbove(written, read, "nobody will read an empty fifo")
              assert.isTrue(producer.waiting)
              waiting = length
            } else assert.isAbove(refusal, 0)
            break
          }
          default: {
            if (written === read) break
            const dropped = Math.min(1 + random(bound), consumer.peek()!.length)
            read += dropped
            const told = consumer.drop(dropped)
            if (waiting === undefined) break
            if (told) {
              assert.isFalse(producer.waiting)
              waiting = undefined
            } else {
              assert.isAbove(written, read, "was never told")
              // where memory is not in the way it is told as soon as there is room
              if (refusal === 0 && producer.memory === bound) assert.isAbove(waiting, bound - (written - read))
            }
          }
        }
      }
      assert.isTrue(fifo.intact())
    },
    { arbitrary: { runs: 300 } }
  )

  it("waits for memory where there is none for all of it, and takes less meanwhile", () => {
    let refuses = false
    const { producer, consumer } = make(16_384, 0, () => refuses)
    producer.enqueue(Pattern.at(0, RING))
    producer.enqueue(Pattern.at(0, 100))
    consumer.drop(consumer.peek()!.length)
    refuses = true
    assert.strictEqual(producer.waitWhole(5000), "memory")
    assert.isTrue(producer.fits(3000))
    assert.strictEqual(producer.waitWhole(4096), "consumer")
    assert.isTrue(consumer.drop(100))
    assert.strictEqual(producer.waitWhole(4096), "ready")
    refuses = false
    assert.strictEqual(producer.waitWhole(5000), "ready")
  })

  it("loses no wake-up to a reader that reads at any point of going to wait", () => {
    for (const read of [16, 32, 64]) {
      for (const before of [true, false]) {
        for (let point = 0; point < 6; point++) {
          const { producer, consumer, words } = make(64, -7)
          producer.enqueue(Pattern.at(0, 64))
          let told = false
          const { answer } = interrupted(words, point, before, () => {
            consumer.peek()
            told = consumer.drop(read)
          }, () => producer.waitWhole(40))
          if (answer === "ready") assert.strictEqual(producer.enqueue(Pattern.at(64, 40)), 40)
          else {
            for (let left = consumer.size; left > 0; left--) told = consumer.drop(1) || told
            assert.isTrue(told, `lost at point ${point} with ${read} bytes read`)
          }
        }
      }
    }
  })
})

describe("Fifo, words that make no sense", () => {
  const filled = () => {
    const fifo = make(64, 100)
    fifo.producer.enqueue(Pattern.at(0, 40))
    return fifo
  }

  it("says Corrupt to a head that goes back or past the tail", () => {
    for (const head of [99, 141, 0, -1, 100 - 0x8000_0000]) {
      const { producer, words } = filled()
      words[CONSUMER] = head
      assert.throws(() => producer.size, Fifo.FifoCorrupt)
      assert.throws(() => producer.room, Fifo.FifoCorrupt)
      assert.throws(() => producer.reserve(1), Fifo.FifoCorrupt)
      assert.throws(() => producer.wait(1), Fifo.FifoCorrupt)
      assert.throws(() => producer.trim(), Fifo.FifoCorrupt)
    }
    const { producer, consumer, words } = filled()
    consumer.drop(20)
    assert.strictEqual(producer.size, 20)
    words[CONSUMER] = 110
    assert.throws(() => producer.size, Fifo.FifoCorrupt)
  })

  it("says Corrupt to a tail behind the head or more than the bound ahead", () => {
    for (const tail of [99, 165, -1, 100 - 0x8000_0000]) {
      const { consumer, words } = filled()
      words[PRODUCER + TAIL] = tail
      assert.throws(() => consumer.size, Fifo.FifoCorrupt)
      assert.throws(() => consumer.peek(), Fifo.FifoCorrupt)
    }
  })

  it("says Corrupt to a block in an unknown segment, outside of its segment or of no proper size", () => {
    const start = PRODUCER + EPOCHS + EPOCH_WORDS
    // a block of 64 bytes is 6 as a binary logarithm
    for (
      const [at, value] of [[1, 4], [1, -1], [2, -64 + 6], [2, 4352 + 6], [2, 4096 + 9], [2, 30], [2, 31]] as const
    ) {
      const { consumer, words } = filled()
      words[start + at] = value
      assert.throws(() => consumer.peek(), Fifo.FifoCorrupt)
    }
    const { consumer, words } = filled()
    words[PRODUCER + EPOCH] = 0
    assert.throws(() => consumer.peek(), Fifo.FifoCorrupt)
  })

  it.prop(
    "throws nothing but Corrupt and writes nowhere but into its blocks, whatever the other side wrote",
    [Schema.Literals([1, 8, 64, 4096, 16_384]), seeds],
    ([bound, seed]) => {
      const random = Random.make(seed)
      const { words, producer, consumer, intact } = make(bound)
      const attempt = (body: () => void) => {
        try {
          body()
        } catch (error) {
          assert.instanceOf(error, Fifo.FifoCorrupt)
        }
      }
      const target = new Uint8Array(bound)
      for (let step = 0; step < 60; step++) {
        if (random(3) === 0) {
          const producers = random(2) === 0
          const at = producers ? PRODUCER + random(Fifo.PRODUCER_WORDS) : random(2) === 0 ? CONSUMER : FLAGS + random(3)
          words[at] = random(2) === 0 ? random(2 ** 32) : words[at]! + random(2 * bound) - bound
        }
        attempt(() => producer.enqueue(Pattern.at(0, 1 + random(bound))))
        attempt(() => {
          const bytes = consumer.peek(1 + random(bound))
          if (bytes === undefined) return
          assert.isTrue(bytes.length >= 1 && bytes.length <= bound)
          if (random(2) === 0) consumer.drop(bytes.length)
        })
        attempt(() => consumer.read(target, random(bound)))
        attempt(() => producer.wait(random(bound)))
        attempt(() => producer.waitWhole(random(bound)))
        attempt(() => producer.trim())
      }
      assert.isTrue(intact())
    },
    { arbitrary: { runs: 300 } }
  )
})

describe("Fifo, words that are possible and wrong", () => {
  const bytes = Pattern.at(0, 100)

  it("a consumer that was not told, though its flag says so, is told at the second look; one that has looked is not", () => {
    const { words, producer, consumer } = make(4096)
    assert.isFalse(producer.overdue())
    words[FLAGS + Fifo.EVENT] = 1
    producer.enqueue(bytes)
    assert.isFalse(producer.raiseEvent())
    assert.deepStrictEqual([producer.overdue(), producer.overdue(), producer.overdue()], [false, true, true])
    consumer.clearEvent()
    assert.isFalse(producer.overdue(), "it does not want them yet")
    consumer.drop(10)
    words[FLAGS + Fifo.EVENT] = 1
    assert.deepStrictEqual([producer.overdue(), producer.overdue()], [false, true])
    consumer.drop(90)
    assert.isFalse(producer.overdue())
  })

  it("a tail that was written over is stated again, and the consumer is told", () => {
    const { words, producer, consumer } = make(4096)
    producer.enqueue(bytes)
    words[PRODUCER + TAIL] = 0
    assert.strictEqual(consumer.size, 0)
    assert.isTrue(producer.overdue())
    assert.strictEqual(consumer.size, 100)
  })

  it("room that the producer was not told of is found, once", () => {
    const { words, producer, consumer } = make(4096)
    assert.isFalse(producer.roomCame())
    producer.enqueue(Pattern.at(0, 4096))
    assert.strictEqual(producer.wait(), "consumer")
    words[FLAGS + Fifo.WANT] = 0
    assert.isFalse(consumer.drop(100))
    assert.isFalse(producer.roomCame())
    assert.isFalse(consumer.drop(1000))
    assert.deepStrictEqual([producer.roomCame(), producer.roomCame()], [true, false])
  })

  it("each side tells its owner before it throws", () => {
    const heard: Array<string> = []
    const words = new Int32Array(WORDS)
    const places = { words, producer: PRODUCER, consumer: CONSUMER, flags: FLAGS }
    const onCorrupt = (error: Fifo.FifoCorrupt) => void heard.push(error.message)
    const ring = Fifo.block(0, new Uint8Array(RING), 0, RING)
    const producer = new FifoProducer({ ...places, onCorrupt }, 4096, ring)
    const consumer = new FifoConsumer({ ...places, onCorrupt }, 4096, () => undefined)
    words[CONSUMER] = 1
    words[PRODUCER + TAIL] = -1
    for (const side of [producer, consumer]) assert.throws(() => side.size, Fifo.FifoCorrupt)
    assert.strictEqual(heard.length, 2)
  })
})

describe("Fifo, over threads", () => {
  const TOTAL = Long.steps({ short: 2 ** 24, long: 2 ** 26 })

  it(`loses, repeats and spoils none of ${TOTAL / 2 ** 20} MiB, and no wake-up either way, while it grows and gives memory back`, async () => {
    const shared = (bytes: number) => new Int32Array(new SharedArrayBuffer(bytes))
    const words = shared(4 * 48)
    // the positions pass 2^32 half-way
    words[TAIL] = -TOTAL / 2
    words[16] = -TOTAL / 2
    const setup = {
      words,
      segment: new SharedArrayBuffer(2 ** 18),
      bound: 65_536,
      whole: false,
      total: TOTAL,
      seed: 7,
      eventBell: Bell.memory(),
      roomBell: Bell.memory()
    }
    const [produced, consumed] = await Threads.run<Record<string, number | boolean>>([
      Threads.start("fifoThread.ts", { ...setup, side: "producer" } satisfies Setup),
      Threads.start("fifoThread.ts", { ...setup, side: "consumer" } satisfies Setup)
    ])
    assert.strictEqual(consumed!.at, TOTAL)
    assert.deepStrictEqual([produced!.trimmed, produced!.memory, produced!.used], [true, 0, 0])
    for (const count of ["allocated", "trims", "events", "waits"]) assert.isAbove(produced![count] as number, 0, count)
  })
})
