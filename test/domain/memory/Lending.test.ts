/** Who gets memory when there is little: the rule of `Lending`, with real fifos of any mix of sessions. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Arena } from "../../../src/domain/memory/Arena.ts"
import * as Fifo from "../../../src/domain/memory/Fifo.ts"
import { FifoConsumer } from "../../../src/domain/memory/FifoConsumer.ts"
import { FifoProducer } from "../../../src/domain/memory/FifoProducer.ts"
import * as Lending from "../../../src/domain/memory/Lending.ts"
import * as Pattern from "../../support/pattern.ts"
import * as Random from "../../support/random.ts"

const KiB = 1024
const MiB = 1024 * KiB
const RING = 256
const WORDS = 64

const ints = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Sessions that share memory as those of a worker do: each with its ring, and the rest by the rule. */
const makeShared = (bytes: number, bound: number) => {
  const arena = new Arena(0, bytes)
  const memory = new Uint8Array(arena.capacity)
  const blocks: Fifo.Blocks = {
    allocate: (size, held = 0) => {
      if (!Lending.lends(size, held, arena.capacity - arena.used, arena.used)) return undefined
      const offset = arena.allocate(size)
      return offset < 0 ? undefined : { segment: 0, offset }
    },
    free: ({ offset }) => arena.free(offset),
    view: () => memory
  }
  const session = () => {
    const words = new Int32Array(WORDS)
    const places = { words, producer: 0, consumer: 15, flags: 32 }
    const ring = new Uint8Array(RING)
    const view: Fifo.View = (segment) => segment === 0 ? memory : ring
    return {
      written: 0,
      read: 0,
      producer: new FifoProducer(places, bound, Fifo.block(1, ring, 0, RING), blocks),
      consumer: new FifoConsumer(places, bound, view)
    }
  }
  return { arena, session }
}

type Session = ReturnType<ReturnType<typeof makeShared>["session"]>

const write = (session: Session, length: number): number => {
  const taken = session.producer.enqueue(Pattern.at(session.written, length))
  session.written += taken
  return taken
}

const read = (session: Session, max: number): number => {
  const bytes = session.consumer.peek(max)
  if (bytes === undefined) return 0
  assert.isTrue(Pattern.isAt(bytes, session.read))
  session.read += bytes.length
  session.consumer.drop(bytes.length)
  return bytes.length
}

describe("Lending", () => {
  it.prop(
    "M6 every session whose reader is willing moves bytes at each step, whatever the others hold",
    [
      Schema.Literals([4 * KiB, 64 * KiB, MiB, 8 * MiB]),
      Schema.Literals([4 * KiB, 64 * KiB, 512 * KiB]),
      ints(1, 2 ** 31)
    ],
    ([bytes, bound, seed]) => {
      const random = Random.make(seed)
      const { arena, session } = makeShared(bytes, bound)
      /** Those that never read, those that read a byte now and then, and those that read. */
      const sessions = Array.from({ length: 1 + random(60) }, () => ({ kind: random(3), session: session() }))
      for (let step = 0; step < 30; step++) {
        for (const { kind, session } of sessions) {
          const size = [1, 200, 5000, 70_000, bound][random(5)]!
          if (kind < 2) {
            write(session, size)
            if (kind === 1 && random(4) === 0) read(session, 1)
          } else {
            assert.isAbove(write(session, size), 0)
            while (read(session, Infinity) > 0);
            if (random(3) === 0) session.producer.trim()
          }
        }
      }
      for (const { session } of sessions) {
        while (read(session, Infinity) > 0);
        assert.strictEqual(session.read, session.written)
        assert.isTrue(session.producer.trim())
      }
      assert.strictEqual(arena.used, 0)
    },
    { arbitrary: { runs: 60 } }
  )

  it("a session that comes later is lent its first block, however few or many have taken all that they could", () => {
    for (const [hogs, piece] of [[3, 512 * KiB], [40, 512 * KiB], [300, 70_000], [1500, 4096], [1500, 200]] as const) {
      const { arena, session } = makeShared(32 * MiB, 512 * KiB)
      for (let hog = 0; hog < hogs; hog++) {
        const greedy = session()
        for (let taken = 1; taken > 0;) taken = write(greedy, piece)
      }
      const late = session()
      write(late, 4000)
      assert.strictEqual(late.producer.memory, Fifo.FIRST_BLOCK, `${hogs} in pieces of ${piece}, ${arena.used} lent`)
    }
  })

  it("lends what is asked for while more than half is free", () => {
    assert.isTrue(Lending.lends(512 * KiB, 36 * KiB, 200 * MiB, 100 * MiB))
    assert.isFalse(Lending.lends(512 * KiB, 36 * KiB, 100 * MiB, 101 * MiB))
    assert.isTrue(Lending.lends(16 * KiB, 4 * KiB, 100 * MiB, 101 * MiB))
    assert.isFalse(Lending.lends(16 * KiB, 4 * KiB, 79 * MiB, 101 * MiB))
    assert.isTrue(Lending.lends(4 * KiB, 0, 4 * KiB, 101 * MiB))
    assert.isFalse(Lending.lends(4 * KiB, 0, 4 * KiB - 1, 0))
  })
})
