import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as CutThroughSegment from "../../../src/domain/memory/CutThroughSegment.ts"
import * as Fifo from "../../../src/domain/memory/Fifo.ts"
import { FifoConsumer } from "../../../src/domain/memory/FifoConsumer.ts"
import type { FifoProducer } from "../../../src/domain/memory/FifoProducer.ts"
import * as Segment from "../../../src/domain/memory/Segment.ts"
import * as SessionBlock from "../../../src/domain/memory/SessionBlock.ts"
import { Bell } from "../../support/Bell.ts"
import type { Setup } from "../../support/fifoThread.ts"
import * as Long from "../../support/long.ts"
import * as Pattern from "../../support/pattern.ts"
import * as Random from "../../support/random.ts"
import * as Threads from "../../support/threads.ts"

const CANARY = 0x5c
const sides = ["server", "client"] as const
const ints = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
/** Positions to start from: most of them so that the run passes 2^32 or 2^31. */
const At = Schema.Literals([0, -1, -5, -5000, 0x7fff_ffff, 0x7fff_f000, -0x8000_0000, 12_345])
const Bound = Schema.Literals([4, 8, 64, 4096, 65_536])

/** A fresh segment whose fifos begin at a position, with room after the rings that is not theirs. */
const make = (sizes: CutThroughSegment.Sizes, at = 0) => {
  const buffer = new SharedArrayBuffer(CutThroughSegment.byteLength(sizes) + 64)
  const segment = Segment.make(7, buffer, buffer.byteLength)
  segment.bytes.fill(CANARY, SessionBlock.SESSION_BLOCK_BYTES)
  SessionBlock.reset(segment, 0)
  for (const fifo of [SessionBlock.rx(segment, 0), SessionBlock.tx(segment, 0)]) {
    segment.words[fifo.producer] = at
    segment.words[fifo.consumer] = at
  }
  return segment
}

const ends = (segment: Segment.Segment, side: SessionBlock.Side, sizes: CutThroughSegment.Sizes) => ({
  rx: CutThroughSegment.rx(segment, side, sizes),
  tx: CutThroughSegment.tx(segment, side, sizes)
})

describe("CutThrough", () => {
  const kinds = new Long.Kinds([
    "write all",
    "write some",
    "write nothing",
    "peek",
    "peek nothing",
    "told",
    "not told",
    "read all",
    "read some",
    "read nothing",
    "trim"
  ])

  it.prop(
    "W16 both rings agree with a plain list of bytes, over the ends of their 32-bit positions",
    [Bound, Bound, At, ints(0, 0x7fff_ffff)],
    ([toServer, toClient, at, seed]) => {
      const random = Random.make(seed)
      const sizes = { toServer, toClient }
      const segment = make(sizes, at)
      const both = { server: ends(segment, "server", sizes), client: ends(segment, "client", sizes) }
      // `until`: the bytes that must have been read before the writer is told
      const way = (tx: FifoProducer, rx: FifoConsumer, bound: number, from: number) => ({
        tx,
        rx,
        bound,
        from,
        written: 0,
        read: 0,
        until: Infinity
      })
      const ways = [
        way(both.client.tx, both.server.rx, toServer, 0),
        way(both.server.tx, both.client.rx, toClient, 500_000)
      ]
      for (let step = 0; step < 300; step++) {
        const way = ways[random(2)]!
        const { bound, from, rx, tx } = way
        const size = way.written - way.read
        const length = 1 + random([3, 300, bound, 2 * bound][random(4)]!)
        switch (random(5)) {
          case 0:
          case 1: {
            assert.strictEqual(tx.fits(length), length <= bound - size)
            // there is always memory for what the bound allows
            const taken = tx.enqueue(Pattern.at(from + way.written, length))
            assert.strictEqual(taken, Math.min(length, bound - size))
            way.written += taken
            kinds.did(taken === length ? "write all" : taken > 0 ? "write some" : "write nothing")
            if (taken === length) break
            assert.strictEqual(tx.wait(length), "consumer")
            assert.isTrue(tx.waiting)
            way.until = way.written - bound + Math.min(length, bound)
            break
          }
          case 2: {
            const part = rx.peek(length)
            assert.strictEqual(part === undefined, size === 0)
            kinds.did(part === undefined ? "peek nothing" : "peek")
            if (part === undefined) break
            assert.isTrue(part.length <= Math.min(length, size) && Pattern.isAt(part, from + way.read))
            const dropped = 1 + random(part.length)
            way.read += dropped
            const told = rx.drop(dropped)
            assert.strictEqual(told, way.read >= way.until)
            kinds.did(told ? "told" : "not told")
            if (told) way.until = Infinity
            break
          }
          case 3: {
            const target = new Uint8Array(length)
            const { bytes: got, tell } = rx.read(target)
            assert.strictEqual(got, Math.min(length, size))
            kinds.did(got === 0 ? "read nothing" : got < size ? "read some" : "read all")
            assert.isTrue(Pattern.isAt(target.subarray(0, got), from + way.read))
            way.read += got
            assert.strictEqual(tell, got > 0 && way.read >= way.until)
            if (tell) way.until = Infinity
            break
          }
          default:
            // none of its memory comes or goes
            assert.isTrue(tx.trim())
            tx.free()
            assert.strictEqual(tx.trim(), true)
            kinds.did("trim")
        }
        assert.strictEqual(tx.size, way.written - way.read)
        assert.strictEqual(rx.size, way.written - way.read)
        assert.strictEqual(tx.waiting, way.until < Infinity)
      }
      assert.isTrue(segment.bytes.subarray(CutThroughSegment.byteLength(sizes)).every((byte) => byte === CANARY))
    },
    Long.runs(200)
  )

  it("W16 the runs above did every kind of step, with every answer that there is", () => {
    assert.deepStrictEqual(kinds.left, [])
  })

  it("W16 the rings fill their segment and do not overlap", () => {
    const sizes = { toServer: 4096, toClient: 8192 }
    assert.strictEqual(CutThroughSegment.byteLength(sizes), SessionBlock.SESSION_BLOCK_BYTES + 4096 + 8192)
    const segment = make(sizes)
    const both = { server: ends(segment, "server", sizes), client: ends(segment, "client", sizes) }
    const block = segment.words.slice(0, SessionBlock.SESSION_BLOCK_BYTES / 4)
    assert.strictEqual(both.client.tx.enqueue(Pattern.at(0, 10_000)), 4096)
    assert.strictEqual(both.server.tx.enqueue(Pattern.at(70_000, 10_000)), 8192)
    assert.isTrue(Pattern.isAt(both.server.rx.peek()!, 0))
    assert.isTrue(Pattern.isAt(both.client.rx.peek()!, 70_000))
    assert.strictEqual(both.server.rx.peek()!.length + both.client.rx.peek()!.length, 12_288)
    const changed = segment.words.subarray(0, block.length).reduce(
      (sum, word, i) => sum + (word === block[i] ? 0 : 1),
      0
    )
    assert.strictEqual(changed, 2, "other words of the block than the two tails were written")
  })

  it("W16 the sides share the session's block: the client stands where the host stands", () => {
    const sizes = { toServer: 64, toClient: 64 }
    const segment = make(sizes)
    const { rx, tx } = ends(segment, "client", sizes)
    const view: Fifo.View = () => segment.bytes
    tx.enqueue(Pattern.at(0, 8))
    assert.isTrue(Pattern.isAt(new FifoConsumer(SessionBlock.rx(segment, 0), 64, view).peek()!, 0))
    assert.isTrue(tx.raiseEvent())
    assert.isFalse(tx.raiseEvent())
    const server = ends(segment, "server", sizes)
    assert.isTrue(server.rx.takeEvent())
    assert.isFalse(server.rx.takeEvent())
    assert.isTrue(tx.raiseEvent())
    assert.isFalse(rx.takeEvent())
    assert.isTrue(SessionBlock.endOffer(segment, 0, SessionBlock.CLAIMED))
  })

  it("W16 a segment that can't hold the rings is refused", () => {
    const segment = make({ toServer: 64, toClient: 64 })
    for (const side of sides) {
      assert.throws(() => CutThroughSegment.tx(segment, side, { toServer: 64, toClient: 256 }), Fifo.FifoCorrupt)
      assert.throws(() => CutThroughSegment.tx(segment, side, { toServer: 256, toClient: 64 }), Fifo.FifoCorrupt)
    }
  })

  const TOTAL = Long.steps({ short: 2 ** 24, long: 2 ** 26 })

  it(`W16 over threads none of ${TOTAL / 2 ** 20} MiB is lost, repeated or spoiled, and no wake-up either way`, async () => {
    const words = new Int32Array(new SharedArrayBuffer(4 * 48))
    // the positions pass 2^32 half-way
    words[0] = -TOTAL / 2
    words[16] = -TOTAL / 2
    const setup = {
      words,
      segment: new SharedArrayBuffer(65_536),
      bound: 65_536,
      whole: true,
      total: TOTAL,
      seed: 11,
      eventBell: Bell.memory(),
      roomBell: Bell.memory()
    }
    const [produced, consumed] = await Threads.run<Record<string, number | boolean>>([
      Threads.start("fifoThread.ts", { ...setup, side: "producer" } satisfies Setup),
      Threads.start("fifoThread.ts", { ...setup, side: "consumer" } satisfies Setup)
    ])
    assert.strictEqual(consumed!.at, TOTAL)
    assert.deepStrictEqual([produced!.trimmed, produced!.memory, produced!.allocated], [true, 0, 0])
    for (const count of ["events", "waits"]) assert.isAbove(produced![count] as number, 0, count)
  })
})
