import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { QueueConsumer, type Sink } from "../../../src/domain/memory/QueueConsumer.ts"
import * as QueueMemory from "../../../src/domain/memory/QueueMemory.ts"
import {
  Closed,
  CONTROL_WORDS,
  Corrupt,
  Enqueued,
  Full,
  INDEX_SLOT,
  Locked
} from "../../../src/domain/memory/QueueMemory.ts"
import type { Geometry } from "../../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../../src/domain/memory/QueueProducer.ts"
import { QueueProducerShared } from "../../../src/domain/memory/QueueProducerShared.ts"
import { Bell } from "../../support/Bell.ts"
import * as Long from "../../support/long.ts"
import type { Setup as Sharer } from "../../support/queueSharer.ts"
import type { Setup as Traffic } from "../../support/queueTraffic.ts"
import * as Random from "../../support/random.ts"
import * as Threads from "../../support/threads.ts"

// the layout of the module's header
const TAIL = 0
const IO_TAIL = 1
const CONTROL_TAIL = 2
const HEAD = 16
const IO_HEAD = 17
const CONTROL_HEAD = 18
const IDLE = 32
const LOCK = 48
const INDEX = 64

const CANARY = 0x5ca1ab1e
const MARGIN = 64

const ints = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Slots = Schema.Literals([1, 2, 4, 8])
/** Positions to start from: most of them so that the run passes 2^32 or 2^31. */
const At = Schema.Literals([0, -1, -2, -3, -9, -50, 0x7fff_ffff, 0x7fff_fff0, -0x8000_0000, 12_345])

interface Options {
  readonly at?: number
  readonly ioAt?: number
  readonly controlAt?: number
  readonly tries?: number
}

/** A queue in the middle of a buffer of canaries. */
const make = (geometry: Geometry, { at = 0, ioAt = at, controlAt = at, tries = 0 }: Options = {}) => {
  const bytes = QueueMemory.byteLength(geometry)
  const buffer = new SharedArrayBuffer(bytes + 2 * MARGIN)
  const all = new Int32Array(buffer)
  const words = new Int32Array(buffer, MARGIN, bytes / 4)
  all.fill(CANARY)
  words.fill(0)
  for (const [word, value] of [[TAIL, at], [HEAD, at], [IO_TAIL, ioAt], [IO_HEAD, ioAt]] as const) words[word] = value
  for (const word of [CONTROL_TAIL, CONTROL_HEAD]) words[word] = controlAt
  const memory = { buffer, byteOffset: MARGIN }
  const rings = { count: 0 }
  const ring = () => {
    rings.count++
  }
  const share = (id: number) => new QueueProducerShared(memory, geometry, ring, { id, tries })
  const producer = tries === 0 ? new QueueProducer(memory, geometry, ring) : share(1)
  const consumer = new QueueConsumer(memory, geometry)
  const received: Array<ReadonlyArray<number>> = []
  const sink: Sink = {
    io: (kind, index, generation, argument) => received.push([kind, index, generation, argument]),
    control: (found, start, length) => received.push([...found.subarray(start, start + length)])
  }
  const intact = () =>
    all.subarray(0, MARGIN / 4).every((word) => word === CANARY) &&
    all.subarray((MARGIN + bytes) / 4).every((word) => word === CANARY)
  return { memory, words, producer, share, consumer, received, sink, rings, intact }
}

const one: Geometry = { indexQueue: 1, ioRing: 1, controlRing: 1 }
const some: Geometry = { indexQueue: 8, ioRing: 8, controlRing: 8 }

describe("peekControl", () => {
  it("shows the control messages that wait, wherever the rings stand, and takes none", () => {
    for (const at of [0, -3, 0x7fff_fffe]) {
      const { consumer, producer, received, sink } = make(some, { at, ioAt: at + 1, controlAt: at + 2 })
      const seen: Array<ReadonlyArray<number>> = []
      const peek = (from: number) =>
        consumer.peekControl(from, (words, start, length) => seen.push([...words.subarray(start, start + length)]))
      assert.strictEqual(peek(0), 0)
      producer.control(Int32Array.of(7, 1), 2)
      producer.io(1, 2, 3, 4)
      assert.strictEqual(peek(0), 2)
      producer.control(Int32Array.of(8), 1)
      assert.strictEqual(peek(2), 3)
      assert.deepStrictEqual(seen, [[7, 1], [8]])
      // in the middle of a drain, it shows what comes after the message in hand
      const nested: Array<number> = []
      consumer.drain(1, { ...sink, control: () => nested.push(consumer.peekControl(0, () => nested.push(0))) })
      assert.deepStrictEqual(nested, [0, 2])
      consumer.drain(8, sink)
      assert.deepStrictEqual(received, [[1, 2, 3, 4], [8]])
    }
  })
})

/** Counts the tries for the lock that happen in `body`. */
const triesIn = (body: () => void): number => {
  const original = Atomics.compareExchange
  let tries = 0
  Atomics.compareExchange =
    ((...[array, index, expected, value]: [Int32Array<SharedArrayBuffer>, number, number, number]) => {
      if (index === LOCK && expected === 0) tries++
      return original(array, index, expected, value)
    }) as typeof original
  try {
    body()
  } finally {
    Atomics.compareExchange = original
  }
  return tries
}

describe("MessageQueue", () => {
  const kinds = new Long.Kinds([
    "io Enqueued",
    "io Full",
    "io Closed",
    "control Enqueued",
    "control Full",
    "control Closed",
    "drain some",
    "drain nothing",
    "cork",
    "uncork",
    "sleep",
    "stay awake",
    "wake",
    "ring",
    "want room",
    "grant room",
    "grant nothing",
    "close"
  ])

  it.prop(
    "M1 agrees with a plain list for every geometry from one slot, over the ends of its 32-bit positions",
    [Slots, Slots, Slots, At, At, At, Schema.Literals([0, 1]), ints(0, 0x7fff_ffff)],
    ([indexQueue, ioRing, controlRing, at, ioAt, controlAt, tries, seed]) => {
      const geometry = { indexQueue, ioRing, controlRing }
      const queue = make(geometry, { at, ioAt, controlAt, tries })
      const { producer, consumer, received, sink } = queue
      const random = Random.make(seed)
      const message = new Int32Array(CONTROL_WORDS)
      const waiting: Array<{ readonly io: boolean; readonly words: ReadonlyArray<number> }> = []
      let visible = 0
      let corked = 0
      let rings = 0
      let idle = false
      let wanted = false
      let closed = false
      const publish = () => {
        if (corked > 0) return
        visible = waiting.length
        if (idle) {
          rings++
          kinds.did("ring")
        }
        idle = false
      }
      for (let step = 0; step < 300; step++) {
        const kind = random(20)
        if (kind < 9) {
          const io = kind < 6
          const words = Array.from({ length: io ? 4 : 1 + random(CONTROL_WORDS) }, () => random(2 ** 32) | 0)
          const ofRing = waiting.filter((entry) => entry.io === io).length
          const isFull = waiting.length >= indexQueue || ofRing >= (io ? ioRing : controlRing)
          message.set(words)
          const result = io
            ? producer.io(words[0]!, words[1]!, words[2]!, words[3]!)
            : producer.control(message, words.length)
          message.fill(-1)
          assert.strictEqual(result, closed ? Closed : isFull ? Full : Enqueued)
          kinds.did(`${io ? "io" : "control"} ${closed ? "Closed" : isFull ? "Full" : "Enqueued"}`)
          if (result === Enqueued) {
            waiting.push({ io, words })
            publish()
          }
        } else if (kind < 14) {
          const max = 1 + random(4)
          const count = Math.min(max, visible)
          kinds.did(count > 0 ? "drain some" : "drain nothing")
          assert.strictEqual(consumer.drain(max, sink), count)
          assert.deepStrictEqual(received.splice(0), waiting.splice(0, count).map((entry) => entry.words))
          visible -= count
        } else if (kind === 14 && tries === 0) {
          producer.cork()
          corked++
          kinds.did("cork")
        } else if (kind === 15 && corked > 0) {
          producer.uncork()
          kinds.did("uncork")
          if (--corked === 0 && visible < waiting.length) publish()
        } else if (kind === 16) {
          assert.strictEqual(consumer.sleep(), visible === 0)
          idle = visible === 0
          kinds.did(idle ? "sleep" : "stay awake")
        } else if (kind === 17) {
          consumer.wake()
          idle = false
          kinds.did("wake")
        } else if (kind === 18) {
          if (random(2) === 0) {
            producer.wantRoom()
            wanted = true
            kinds.did("want room")
          } else {
            assert.strictEqual(consumer.grantRoom(), wanted)
            kinds.did(wanted ? "grant room" : "grant nothing")
            wanted = false
          }
        } else if (kind === 19 && step > 250) {
          producer.close()
          closed = true
          kinds.did("close")
        }
        assert.strictEqual(consumer.depth, visible)
        assert.strictEqual(producer.depth, waiting.length)
        assert.strictEqual(producer.ioDepth, waiting.filter((entry) => entry.io).length)
        assert.strictEqual(producer.controlDepth, waiting.filter((entry) => !entry.io).length)
        assert.strictEqual(producer.roomWanted, wanted)
        assert.strictEqual(queue.rings.count, rings)
        assert.strictEqual(producer.enqueued - consumer.drained, waiting.length)
      }
      while (corked-- > 0) producer.uncork()
      consumer.drain(100, sink)
      assert.deepStrictEqual(received, waiting.map((entry) => entry.words))
      assert.isTrue(queue.intact())
    },
    Long.runs(250)
  )

  it("M1 the runs above did every kind of step, with every answer that there is", () => {
    assert.deepStrictEqual(kinds.left, [])
  })

  it("M1 is full when its index queue is, its IO ring is, or its control ring is, whichever the message needs", () => {
    const message = Int32Array.of(1)
    const index = make({ indexQueue: 2, ioRing: 4, controlRing: 4 })
    assert.deepStrictEqual([index.producer.io(1, 0, 0, 0), index.producer.control(message, 1)], [Enqueued, Enqueued])
    assert.deepStrictEqual([index.producer.io(1, 0, 0, 0), index.producer.control(message, 1)], [Full, Full])
    const io = make({ indexQueue: 4, ioRing: 1, controlRing: 4 })
    assert.deepStrictEqual([io.producer.io(1, 0, 0, 0), io.producer.io(1, 0, 0, 0)], [Enqueued, Full])
    assert.strictEqual(io.producer.control(message, 1), Enqueued)
    const control = make({ indexQueue: 4, ioRing: 4, controlRing: 1 })
    assert.deepStrictEqual([control.producer.control(message, 1), control.producer.control(message, 1)], [
      Enqueued,
      Full
    ])
    assert.strictEqual(control.producer.io(1, 0, 0, 0), Enqueued)
  })

  it("M1 tells enqueued, locked, full and closed apart", () => {
    const { share, words, consumer, received, sink } = make(one, { tries: 3 })
    const producer = share(1)
    assert.strictEqual(new Set([Enqueued, Locked, Full, Closed]).size, 4)
    words[LOCK] = 9
    assert.strictEqual(producer.io(1, 2, 3, 4), Locked)
    words[LOCK] = 0
    assert.strictEqual(producer.io(1, 2, 3, 4), Enqueued)
    assert.strictEqual(producer.io(5, 6, 7, 8), Full)
    consumer.close()
    assert.strictEqual(producer.io(5, 6, 7, 8), Closed)
    assert.strictEqual(words[LOCK], 0)
    consumer.drain(1, sink)
    assert.deepStrictEqual(received, [[1, 2, 3, 4]])
    assert.strictEqual(producer.io(5, 6, 7, 8), Closed)
    assert.deepStrictEqual([producer.enqueued, producer.locked], [1, 1])
  })

  it("M1 tries a held lock as often as it is told and no more", () => {
    for (const tries of [1, 2, 5, 75]) {
      const { producer, words } = make(some, { tries })
      words[LOCK] = 9
      assert.strictEqual(triesIn(() => assert.strictEqual(producer.io(1, 0, 0, 0), Locked)), tries)
      assert.strictEqual(words[LOCK], 9)
    }
  })

  it("M1 a full or closed queue ends the tries at once and leaves the lock free", () => {
    const { producer, words } = make(one, { tries: 5 })
    producer.io(1, 0, 0, 0)
    assert.strictEqual(triesIn(() => assert.strictEqual(producer.io(1, 0, 0, 0), Full)), 1)
    assert.strictEqual(words[LOCK], 0)
    producer.close()
    assert.strictEqual(triesIn(() => assert.strictEqual(producer.io(1, 0, 0, 0), Closed)), 1)
    assert.strictEqual(words[LOCK], 0)
  })

  it("M1 takes no lock when it has one producer", () => {
    const { producer, words } = make(one)
    words[LOCK] = 9
    assert.strictEqual(triesIn(() => assert.strictEqual(producer.io(1, 0, 0, 0), Enqueued)), 0)
  })

  it("shows corked messages at the outermost uncork, together, and rings once", () => {
    const { producer, consumer, received, sink, rings } = make(some)
    assert.isTrue(consumer.sleep())
    producer.cork()
    producer.io(1, 0, 0, 0)
    producer.cork()
    producer.io(2, 0, 0, 0)
    producer.uncork()
    assert.deepStrictEqual([consumer.depth, producer.depth, rings.count], [0, 2, 0])
    producer.uncork()
    assert.deepStrictEqual([consumer.depth, rings.count], [2, 1])
    consumer.drain(8, sink)
    assert.deepStrictEqual(received.map(([kind]) => kind), [1, 2])
  })

  it("does not ring for a cork with nothing in it, nor for an uncork too many", () => {
    const { producer, consumer, rings } = make(some)
    consumer.sleep()
    producer.cork()
    producer.uncork()
    producer.uncork()
    assert.strictEqual(rings.count, 0)
    producer.io(1, 0, 0, 0)
    assert.strictEqual(rings.count, 1)
  })

  it("several producers can't cork, since the lock must not be held meanwhile", () => {
    const { producer, consumer } = make(some, { tries: 5 })
    producer.cork()
    producer.io(1, 0, 0, 0)
    assert.strictEqual(consumer.depth, 1)
  })

  it("rings once per sleep, and not at all while the consumer is awake", () => {
    const { producer, consumer, sink, rings } = make(some)
    producer.io(1, 0, 0, 0)
    assert.isFalse(consumer.sleep())
    assert.strictEqual(rings.count, 0)
    consumer.drain(8, sink)
    assert.isTrue(consumer.sleep())
    producer.io(1, 0, 0, 0)
    producer.io(1, 0, 0, 0)
    assert.strictEqual(rings.count, 1)
    consumer.drain(8, sink)
    assert.isTrue(consumer.sleep())
    consumer.wake()
    producer.io(1, 0, 0, 0)
    assert.strictEqual(rings.count, 1)
  })

  it("loses no wake-up to a message that comes at any point of going to sleep", () => {
    // the consumer's reads and writes of shared words are the only points at which the producer can be noticed
    const original = { load: Atomics.load, store: Atomics.store, compareExchange: Atomics.compareExchange }
    for (let point = 0; point < 8; point++) {
      for (const before of [true, false]) {
        const { producer, consumer, sink, rings, memory } = make(some)
        let passed = 0
        const hooked = (name: keyof typeof original) => (array: Int32Array, ...rest: ReadonlyArray<number>) => {
          const call = () => (original[name] as (...all: ReadonlyArray<unknown>) => number)(array, ...rest)
          if (array.buffer !== memory.buffer || passed++ !== point) return call()
          restore()
          if (before) producer.io(1, 0, 0, 0)
          const answer = call()
          if (!before) producer.io(1, 0, 0, 0)
          return answer
        }
        const restore = () => Object.assign(Atomics, original)
        Object.assign(Atomics, {
          load: hooked("load"),
          store: hooked("store"),
          compareExchange: hooked("compareExchange")
        })
        let asleep = false
        try {
          asleep = consumer.sleep()
        } finally {
          restore()
        }
        const came = producer.enqueued === 1
        if (came && asleep) assert.strictEqual(rings.count, 1, `asleep without a ring, point ${point}`)
        if (came && !asleep) assert.strictEqual(consumer.drain(1, sink), 1)
      }
    }
  })

  it("M4 grants room once to a producer that asked for it, and room made before is found by its next try", () => {
    const { producer, consumer, sink } = make(one)
    assert.isFalse(consumer.grantRoom())
    producer.io(1, 0, 0, 0)
    assert.strictEqual(producer.io(2, 0, 0, 0), Full)
    // the consumer drains between the failed try and the request: no grant is to come for that
    consumer.drain(1, sink)
    assert.isFalse(consumer.grantRoom())
    producer.wantRoom()
    assert.isTrue(producer.roomWanted)
    assert.strictEqual(producer.io(2, 0, 0, 0), Enqueued)
    consumer.drain(1, sink)
    assert.isTrue(consumer.grantRoom())
    assert.isFalse(consumer.grantRoom())
    assert.isFalse(producer.roomWanted)
  })

  it("knows which messages the consumer has passed, over the end of the positions", () => {
    const { producer, consumer, sink } = make(some, { at: -2 })
    const positions = [1, 2, 3, 4].map(() => {
      producer.io(1, 0, 0, 0)
      return producer.position
    })
    for (let passed = 0; passed <= 4; passed++) {
      assert.deepStrictEqual(
        positions.map((position) => producer.passed(position)),
        positions.map((_, i) => i < passed)
      )
      consumer.drain(1, sink)
    }
  })

  it("hands over at most as many messages as asked for, and what is in a closed queue too", () => {
    const { producer, consumer, received, sink } = make(some)
    for (let i = 0; i < 5; i++) producer.io(i, 0, 0, 0)
    producer.close()
    assert.deepStrictEqual([consumer.drain(0, sink), consumer.drain(3, sink), consumer.drain(3, sink)], [0, 3, 2])
    assert.deepStrictEqual(received.map(([kind]) => kind), [0, 1, 2, 3, 4])
  })

  it("a sink that throws loses its own message only", () => {
    const { producer, consumer, received, sink } = make(some)
    for (let i = 0; i < 3; i++) producer.io(i, 0, 0, 0)
    const throwing = {
      ...sink,
      io: () => {
        throw new Error("no")
      }
    }
    assert.throws(() => consumer.drain(8, throwing), "no")
    assert.strictEqual(consumer.drain(8, sink), 2)
    assert.deepStrictEqual(received.map(([kind]) => kind), [1, 2])
    for (let i = 0; i < 8; i++) assert.strictEqual(producer.io(i, 0, 0, 0), Enqueued)
  })
})

describe("MessageQueue, words that make no sense", () => {
  const message = Int32Array.of(1, 2, 3)

  it("says Corrupt to a tail that is behind the head or too far ahead", () => {
    for (const tail of [-1, 9, 1000, -0x8000_0000]) {
      const { words, consumer, sink, received } = make(some)
      words[TAIL] = tail
      assert.throws(() => consumer.drain(32, sink), QueueMemory.QueueCorrupt)
      assert.deepStrictEqual(received, [])
    }
  })

  it("says Corrupt to an index entry outside its ring", () => {
    for (const entry of [8, 1000, 0x7fff_ffff, -0x8000_0000 | 8, -1]) {
      const { words, producer, consumer, sink } = make(some)
      producer.io(1, 0, 0, 0)
      words[INDEX] = entry
      assert.throws(() => consumer.drain(32, sink), QueueMemory.QueueCorrupt)
    }
  })

  it("says Corrupt to a control message without words or with more than a slot has", () => {
    for (const length of [0, -1, CONTROL_WORDS + 1, 0x7fff_ffff]) {
      const { words, producer, consumer, sink } = make(some)
      producer.control(message, 3)
      words[INDEX + 8 * INDEX_SLOT + 8 * 4] = length
      assert.throws(() => consumer.drain(32, sink), QueueMemory.QueueCorrupt)
    }
  })

  it("a head that is past the tail, or goes back, is Corrupt for good: what is in the queue is not written over", () => {
    for (const tries of [0, 5]) {
      for (const word of [HEAD, IO_HEAD]) {
        const { words, producer } = make(one, { tries })
        producer.io(1, 0, 0, 0)
        words[word] = 100
        words[word === HEAD ? IO_HEAD : HEAD] = 1
        assert.strictEqual(producer.io(2, 0, 0, 0), Corrupt)
        assert.throws(() => producer.look(), QueueMemory.QueueCorrupt)
        words[word] = 0
        assert.strictEqual(producer.io(2, 0, 0, 0), Corrupt)
      }
    }
  })

  it.prop(
    "says Corrupt to a message of which any one word was written over, and hands on those before it",
    [Slots, At, ints(0, 0x7fff_ffff)],
    ([slots, at, seed]) => {
      const random = Random.make(seed)
      const { words, producer, consumer, sink, received } = make(
        { indexQueue: 8, ioRing: slots, controlRing: slots },
        { at, controlAt: at + 5 }
      )
      const kinds: Array<boolean> = []
      while (kinds.filter(Boolean).length < slots && kinds.filter((io) => !io).length < slots && kinds.length < 8) {
        const isIo = random(2) === 0
        if (isIo) producer.io(kinds.length, random(100), random(100), 0)
        else producer.control(Int32Array.of(kinds.length, random(100)), 2)
        kinds.push(isIo)
      }
      const spoilt = random(kinds.length)
      const before = kinds.slice(0, spoilt)
      const index = INDEX + ((at + spoilt) & 7) * INDEX_SLOT
      const io = INDEX + 8 * INDEX_SLOT
      const slot = kinds[spoilt]!
        ? io + ((at + before.filter(Boolean).length) & (slots - 1)) * 4
        : io + slots * 4 + ((at + 5 + before.filter((io) => !io).length) & (slots - 1)) * 128
      // the entry, its check; the four words of an event; the length and the words of a message
      const word = [index, index + 1, slot, slot + 1, slot + 2, ...(kinds[spoilt]! ? [slot + 3] : [])]
      words[word[random(word.length)]!]! ^= 1 + random(0xffff_ffff)
      assert.throws(() => consumer.drain(32, sink), QueueMemory.QueueCorrupt)
      assert.deepStrictEqual(received.map(([kind]) => kind), before.map((_, kind) => kind))
    },
    { arbitrary: { runs: 300 } }
  )

  it("a tail that is too far ahead shows no message of an earlier round, nor one in memory that is all zeros", () => {
    for (const rounds of [0, 1, 3]) {
      const { words, producer, consumer, sink, received } = make(some)
      for (let i = 0; i < 8 * rounds; i++) {
        producer.io(1, 2, 3, 4)
        consumer.drain(1, sink)
      }
      received.length = 0
      words[TAIL]!++
      assert.throws(() => consumer.drain(32, sink), QueueMemory.QueueCorrupt)
      assert.deepStrictEqual(received, [])
    }
  })

  it.prop(
    "throws nothing but Corrupt and touches nothing outside its memory, whatever the other side wrote",
    [Slots, Slots, Slots, ints(0, 0x7fff_ffff)],
    ([indexQueue, ioRing, controlRing, seed]) => {
      const geometry = { indexQueue, ioRing, controlRing }
      const random = Random.make(seed)
      const queue = make(geometry, { tries: random(2) })
      const { words, producer, consumer } = queue
      const sink: Sink = {
        io: () => {},
        control: (found, start, length) => assert.isTrue(length >= 1 && start + length <= found.length)
      }
      for (let step = 0; step < 50; step++) {
        for (let spoilt = random(4); spoilt > 0; spoilt--) {
          const at = random(2) === 0 ? random(words.length) : [TAIL, IO_TAIL, HEAD, IO_HEAD, INDEX][random(5)]!
          if (at !== LOCK) words[at] = random(3) === 0 ? random(2 ** 32) : random(12)
        }
        producer.io(1, 2, 3, 4)
        producer.control(message, 3)
        queue.share(2).recoverLock(7)
        try {
          assert.isAtMost(consumer.drain(4, sink), 4)
        } catch (error) {
          assert.instanceOf(error, QueueMemory.QueueCorrupt)
        }
      }
      assert.isTrue(queue.intact())
    },
    { arbitrary: { runs: 300 } }
  )
})

describe("MessageQueue, words that are possible and wrong", () => {
  it("a consumer that sleeps, and is not marked as idle, is rung at the second look", () => {
    for (const idle of [0, 2, -1]) {
      const { words, producer, consumer, sink, received, rings } = make(some)
      assert.isTrue(consumer.sleep())
      words[IDLE] = idle
      producer.io(1, 2, 3, 4)
      producer.look()
      assert.strictEqual(rings.count, 0)
      producer.look()
      assert.strictEqual(rings.count, 1)
      consumer.drain(1, sink)
      assert.deepStrictEqual(received, [[1, 2, 3, 4]])
    }
  })

  it("a consumer that stands still is rung ever more rarely, one that goes on or has nothing to read not at all", () => {
    const { producer, consumer, sink, rings } = make(some)
    for (let i = 0; i < 100; i++) producer.look()
    for (let i = 0; i < 100; i++) {
      producer.io(1, 2, 3, 4)
      producer.io(1, 2, 3, 4)
      consumer.drain(1, sink)
      producer.look()
      consumer.drain(1, sink)
    }
    assert.strictEqual(rings.count, 0)
    producer.io(1, 2, 3, 4)
    for (let i = 0; i < 1 + 2 ** 10; i++) producer.look()
    assert.strictEqual(rings.count, 11)
  })

  it("a look states the tails and the heads again, and shows nothing that is corked", () => {
    const { words, producer, consumer, sink, received } = make(some)
    producer.io(1, 2, 3, 4)
    producer.cork()
    producer.io(5, 6, 7, 8)
    for (const word of [TAIL, IO_TAIL, CONTROL_TAIL]) words[word] = 0
    assert.strictEqual(consumer.drain(32, sink), 0)
    producer.look()
    assert.strictEqual(consumer.drain(32, sink), 1)
    assert.deepStrictEqual(received, [[1, 2, 3, 4]])
    for (const word of [HEAD, IO_HEAD, CONTROL_HEAD]) words[word] = 77
    consumer.look()
    assert.deepStrictEqual([words[HEAD], words[IO_HEAD], words[CONTROL_HEAD]], [1, 1, 0])
    producer.look()
  })

  it("what was corked is published, whatever the tail in memory says by then", () => {
    for (const publish of ["uncork", "flush"] as const) {
      const { words, producer, consumer, sink, received, rings } = make(some)
      assert.isTrue(consumer.sleep())
      producer.cork()
      producer.io(1, 2, 3, 4)
      words[TAIL] = 1
      producer[publish]()
      assert.strictEqual(rings.count, 1)
      producer.look()
      assert.strictEqual(consumer.drain(32, sink), 1)
      assert.deepStrictEqual(received, [[1, 2, 3, 4]])
    }
  })

  it("M1 a queue of several producers that goes back behind what was published is Corrupt at the next look", () => {
    const { producer, share, words } = make(some, { tries: 2, at: -1 })
    producer.io(1, 2, 3, 4)
    share(2).io(5, 6, 7, 8)
    producer.look()
    words[TAIL]!--
    assert.throws(() => producer.look(), QueueMemory.QueueCorrupt, /went back from 1 to 0/)
  })

  it("M1 a lock that one producer does not release is Corrupt at the second look; one that changes hands is not", () => {
    const { producer, consumer, sink, share, words, rings } = make(some, { tries: 2 })
    for (let i = 0; i < 4; i++) {
      words[LOCK] = 9
      producer.look()
      words[LOCK] = 0
      // the queue goes on, or the lock was free
      if (i === 1) share(9).io(1, 2, 3, 4)
      else producer.look()
      consumer.drain(1, sink)
    }
    words[LOCK] = 9
    producer.look()
    assert.throws(() => producer.look(), QueueMemory.QueueCorrupt)
    assert.strictEqual(rings.count, 0)
  })
})

describe("MessageQueue, several producers", () => {
  it("M1 a producer that slept while the others went round all positions still sees what is full", () => {
    for (const [indexQueue, ioRing] of [[8, 16], [16, 8]] as const) {
      for (const at of [0x7fff_ffff, -0x8000_0000, -3, -4, -7, 0, 1]) {
        const geometry = { ...some, indexQueue, ioRing }
        const { words, share, memory } = make(geometry, { tries: 5 })
        const sleeper = share(2)
        for (const word of [TAIL, HEAD, IO_TAIL, IO_HEAD]) words[word] = at
        const consumer = new QueueConsumer(memory, geometry)
        const other = share(3)
        for (let i = 0; i < 8; i++) assert.strictEqual(other.io(1, 0, 0, 0), Enqueued)
        assert.strictEqual(sleeper.io(2, 0, 0, 0), Full)
        assert.strictEqual(sleeper.depth, 8)
        consumer.drain(1, { io: () => {}, control: () => {} })
        assert.strictEqual(sleeper.io(2, 0, 0, 0), Enqueued)
        assert.strictEqual(sleeper.io(2, 0, 0, 0), Full)
      }
    }
  })

  it("M1 the lock of a dead producer is freed, by its id only", () => {
    const { share, words } = make(some, { tries: 2 })
    const producer = share(1)
    words[LOCK] = 9
    assert.isFalse(producer.recoverLock(8))
    assert.strictEqual(producer.io(1, 0, 0, 0), Locked)
    assert.isTrue(producer.recoverLock(9))
    assert.strictEqual(words[LOCK], 0)
    assert.strictEqual(producer.io(1, 0, 0, 0), Enqueued)
    assert.isFalse(producer.recoverLock(9))
  })

  it.prop(
    "M1 what a producer wrote that died before publishing is not seen and takes no room",
    [Slots, Slots, Slots, At, At, ints(0, 0x7fff_ffff)],
    ([indexQueue, ioRing, controlRing, at, ringAt, seed]) => {
      const geometry = { indexQueue, ioRing, controlRing }
      const queue = make(geometry, { at, ioAt: ringAt, controlAt: ringAt, tries: 1 })
      const { words, consumer, received, sink } = queue
      const producer = queue.share(1)
      const random = Random.make(seed)
      const waiting: Array<number> = []
      let io = 0
      let control = 0
      let sequence = 0
      for (let step = 0; step < 60; step++) {
        const isIo = random(2) === 0
        if (random(3) === 0) {
          const count = consumer.drain(1 + random(3), sink)
          assert.deepStrictEqual(received.splice(0).map(([kind]) => kind), waiting.splice(0, count))
          io = waiting.filter((kind) => (kind & 1) === 0).length
          control = waiting.length - io
        } else if (random(2) === 0) {
          const isFull = waiting.length >= indexQueue || (isIo ? io >= ioRing : control >= controlRing)
          const kind = sequence++ * 2 + (isIo ? 0 : 1)
          const result = isIo ? producer.io(kind, 0, 0, 0) : producer.control(Int32Array.of(kind), 1)
          assert.strictEqual(result, isFull ? Full : Enqueued)
          if (isFull) continue
          waiting.push(kind)
          if (isIo) io++
          else control++
        } else if (waiting.length < indexQueue && (isIo ? io < ioRing : control < controlRing)) {
          // as far as the dying producer comes: the lock, the slot, the index entry, the ring's tail
          const ring = isIo ? IO_TAIL : CONTROL_TAIL
          const size = isIo ? ioRing : controlRing
          const position = words[ring]!
          const start = INDEX + indexQueue * INDEX_SLOT + (isIo ? 0 : ioRing * 4)
          words[LOCK] = 9
          words.fill(
            -77,
            start + (position & (size - 1)) * (isIo ? 4 : 128),
            start + (position & (size - 1)) * (isIo ? 4 : 128) + 4
          )
          words[INDEX + (words[TAIL]! & (indexQueue - 1)) * INDEX_SLOT] = (isIo ? 0 : 0x8000_0000) |
            (position & 0x7fff_ffff)
          if (random(2) === 0) words[ring] = position + 1
          assert.isTrue(producer.recoverLock(9))
        }
      }
      assert.isTrue(queue.intact())
    },
    { arbitrary: { runs: 300 } }
  )

  it("M1 a producer that died after publishing leaves its message, and the recovery rings for it", () => {
    const { share, words, consumer, received, sink, rings } = make(one, { tries: 1 })
    const producer = share(1)
    producer.io(1, 2, 3, 4)
    assert.isTrue(rings.count === 0)
    words[IDLE] = 1
    words[LOCK] = 9
    assert.isTrue(producer.recoverLock(9))
    assert.strictEqual(rings.count, 1)
    consumer.drain(1, sink)
    assert.deepStrictEqual(received, [[1, 2, 3, 4]])
    assert.strictEqual(producer.io(5, 6, 7, 8), Enqueued)
  })
})

describe("MessageQueue, over threads", () => {
  const MESSAGES = Long.steps({ short: 200_000, long: 1_000_000 })

  it(`M1 loses, repeats, reorders and spoils none of ${MESSAGES} messages, and no wake-up either way`, async () => {
    const geometry = { indexQueue: 16, ioRing: 8, controlRing: 2 }
    const memory = new SharedArrayBuffer(QueueMemory.byteLength(geometry))
    const words = new Int32Array(memory)
    // every position passes 2^32 on the way
    for (const word of [TAIL, HEAD]) words[word] = -MESSAGES / 2
    for (const word of [IO_TAIL, IO_HEAD]) words[word] = -(2 * MESSAGES) / 5
    for (const word of [CONTROL_TAIL, CONTROL_HEAD]) words[word] = -MESSAGES / 10
    const setup: Traffic = {
      memory,
      geometry,
      doorbell: Bell.memory(),
      roomBell: Bell.memory(),
      messages: MESSAGES,
      seed: 42
    }
    const [consumed, produced] = await Threads.run<Record<string, number>>([
      Threads.start("queueConsumer.ts", setup),
      Threads.start("queueProducer.ts", setup)
    ])
    assert.strictEqual(consumed!.sequence, MESSAGES)
    assert.isAbove(consumed!.sleeps!, 0)
    assert.isAbove(produced!.waits!, 0)
  })

  const geometryOf = (slots: number): Geometry => ({ indexQueue: slots, ioRing: slots, controlRing: slots })

  /** A queue whose consumer is this thread; it checks each producer's numbers. */
  const collector = (geometry: Geometry) => {
    const memory = new SharedArrayBuffer(QueueMemory.byteLength(geometry))
    const place = { buffer: memory, byteOffset: 0 }
    const setup = { memory, geometry, doorbell: Bell.memory(), roomBell: Bell.memory() }
    const doorbell = new Bell(setup.doorbell)
    const roomBell = new Bell(setup.roomBell)
    const consumer = new QueueConsumer(place, geometry)
    const last = new Map<number, number>()
    const take = (id: number, sequence: number, check: number) => {
      assert.strictEqual(check, id ^ sequence)
      assert.strictEqual(sequence, (last.get(id) ?? -1) + 1)
      last.set(id, sequence)
    }
    const sink: Sink = {
      io: (kind, index, generation, argument) => {
        assert.strictEqual(generation, argument)
        take(kind, index, argument)
      },
      control: (words, start) => {
        assert.strictEqual(words[start + 2], words[start + 3])
        take(words[start]!, words[start + 1]!, words[start + 3]!)
      }
    }
    const until = async (done: () => boolean): Promise<void> => {
      while (!done()) {
        const count = doorbell.count
        if (consumer.drain(32, sink) > 0) {
          if (consumer.grantRoom()) roomBell.ring()
        } else if (consumer.sleep()) {
          await doorbell.waitAsync(count)
          consumer.wake()
        }
      }
    }
    const start = (id: number, messages: number) =>
      Threads.start("queueSharer.ts", { ...setup, id, messages } satisfies Sharer)
    return { place, consumer, doorbell, last, until, start }
  }

  it("M1 keeps the order of each of several producers that share the lock", async () => {
    const { consumer, last, until, start } = collector(geometryOf(64))
    const messages = 20_000
    const ended = Threads.run([1, 2, 3].map((id) => start(id, messages)))
    await until(() => [1, 2, 3].every((id) => last.get(id) === messages - 1))
    await ended
    assert.strictEqual(consumer.drained, 3 * messages)
    assert.strictEqual(consumer.depth, 0)
  })

  it("M1 outlives producers that are ended in the middle of their work", async () => {
    const geometry = geometryOf(1)
    const { place, consumer, doorbell, last, until, start } = collector(geometry)
    const survivor = new QueueProducerShared(place, geometry, doorbell.ring, { id: 100, tries: 5 })
    for (let id = 1; id <= 6; id++) {
      const worker = start(id, 2 ** 30)
      await until(() => (last.get(id) ?? 0) > 100 * id)
      await worker.terminate()
      survivor.recoverLock(id)
      const all = consumer.drained + consumer.depth
      await until(() => consumer.drained === all)
      const sequence = id - 1
      assert.strictEqual(survivor.io(100, sequence, 100 ^ sequence, 100 ^ sequence), Enqueued)
      await until(() => last.get(100) === sequence)
    }
  })
})
