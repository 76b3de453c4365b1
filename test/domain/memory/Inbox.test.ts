import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Inbox from "../../../src/domain/memory/Inbox.ts"
import { Bell } from "../../support/Bell.ts"
import type { Setup as Receiving } from "../../support/inboxReceiver.ts"
import type { Setup as Sending } from "../../support/inboxSender.ts"
import * as Random from "../../support/random.ts"
import * as Threads from "../../support/threads.ts"

// the layout of the module's header
const IDLE = 0
const SUMMARY = 16
const BITS = 64

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff }))
/** Slots of all corners: first and last of words, of summary words, and of the inbox. */
const corners = [0, 1, 30, 31, 32, 63, 1022, 1023, 1024, 1055, 31 * 1024, 32_735, 32_736, 32_766, 32_767]

const make = () => {
  const inbox = new SharedArrayBuffer(Inbox.INBOX_BYTES)
  let rings = 0
  const sender = () => new Inbox.Sender(inbox, () => rings++)
  const receiver = new Inbox.Receiver(inbox)
  const drained = (): Array<number> => {
    const slots: Array<number> = []
    const count = receiver.drain((slot) => slots.push(slot))
    assert.strictEqual(count, slots.length)
    return slots
  }
  return { words: new Int32Array(inbox), sender, receiver, drained, rings: () => rings }
}

/** Calls `interfere` before the n-th step of `body` that looks at or changes `words`. */
const interrupted = <A>(words: Int32Array, point: number, interfere: () => void, body: () => A): [A, boolean] => {
  const names = ["load", "store", "or", "exchange", "compareExchange"] as const
  const original = Object.fromEntries(names.map((name) => [name, Atomics[name]]))
  let passed = 0
  let interfered = false
  for (const name of names) {
    Object.assign(Atomics, {
      [name]: (array: Int32Array, ...rest: ReadonlyArray<number>) => {
        if (array.buffer === words.buffer && passed++ === point) {
          Object.assign(Atomics, original)
          interfered = true
          interfere()
        }
        return (original[name] as (...all: ReadonlyArray<unknown>) => number)(array, ...rest)
      }
    })
  }
  try {
    return [body(), interfered]
  } finally {
    Object.assign(Atomics, original)
  }
}

describe("Inbox", () => {
  it.prop(
    "W16 is a set of slots: what was signalled since the last look is looked at, once",
    [Seed],
    ([seed]) => {
      const random = Random.make(seed)
      const { drained, receiver, rings, sender, words } = make()
      const senders = [sender(), sender()]
      const slots = Array.from(
        { length: 1 + random(40) },
        () => random(2) === 0 ? random(64) : corners[random(corners.length)]!
      )
      const used = new Set<number>()
      const model = new Set<number>()
      let asleep = false
      let expected = 0
      for (let step = 0; step < 200; step++) {
        const slot = slots[random(slots.length)]!
        if (!used.has(slot)) receiver.use(slot)
        used.add(slot)
        switch (random(5)) {
          case 0:
            assert.deepStrictEqual(drained().sort(), [...model].sort())
            model.clear()
            break
          case 1:
            if (asleep) break
            asleep = receiver.sleep()
            assert.strictEqual(asleep, model.size === 0)
            break
          case 2:
            receiver.wake()
            asleep = false
            break
          default:
            if (asleep) expected++
            asleep = false
            senders[random(2)]!.signal(slot)
            model.add(slot)
        }
        assert.strictEqual(receiver.pending, model.size > 0)
        assert.strictEqual(rings(), expected)
        assert.strictEqual(words[IDLE], asleep ? 1 : 0)
      }
      drained()
      assert.isTrue(words.every((word, at) => at === IDLE || word === 0))
    },
    { arbitrary: { runs: 200 } }
  )

  it("W16 every slot is a bit of its own", () => {
    const { drained, receiver, sender } = make()
    const one = sender()
    receiver.use(Inbox.SLOTS - 1)
    for (let slot = 0; slot < Inbox.SLOTS; slot++) one.signal(slot)
    assert.deepStrictEqual(drained(), Array.from({ length: Inbox.SLOTS }, (_, slot) => slot))
    assert.deepStrictEqual(drained(), [])
  })

  it("W16 a signal that came before its slot was looked at is not lost", () => {
    const { drained, receiver, sender } = make()
    sender().signal(5000)
    receiver.use(3)
    assert.isFalse(receiver.pending)
    assert.deepStrictEqual(drained(), [])
    receiver.use(5000)
    assert.isTrue(receiver.pending)
    assert.isFalse(receiver.sleep())
    assert.deepStrictEqual(drained(), [5000])
  })

  it("W16 a signal given from within a look is for the next one", () => {
    const { drained, receiver, sender } = make()
    const one = sender()
    for (const slot of corners) receiver.use(slot)
    one.signal(31)
    receiver.drain((slot) => one.signal(slot))
    assert.deepStrictEqual(drained(), [31])
  })

  it("W16 no signal is lost, at whatever moment of a look or of going to sleep it comes", () => {
    for (const slot of [3, 40, 1024]) {
      for (let point = 0, reached = true; reached; point++) {
        const { receiver, rings, sender, words } = make()
        for (const used of [3, 40, 1024]) receiver.use(used)
        const one = sender()
        const done = new Map<number, number>()
        const seen = new Map<number, number>()
        const signal = (slot: number) => {
          done.set(slot, (done.get(slot) ?? 0) + 1)
          one.signal(slot)
        }
        const look = (slot: number) => void seen.set(slot, done.get(slot)!)
        signal(3)
        let asleep: boolean
        ;[asleep, reached] = interrupted(words, point, () => signal(slot), () => {
          while (receiver.drain(look) > 0);
          return receiver.sleep()
        })
        if (asleep ? rings() === 1 : receiver.pending) receiver.drain(look)
        assert.deepStrictEqual(seen, done, `slot ${slot}, point ${point}`)
      }
    }
  })

  it("W16 no signal is lost when the owner looks in the midst of it", () => {
    for (let point = 0, reached = true; reached; point++) {
      const { drained, receiver, rings, sender, words } = make()
      receiver.use(40)
      const one = sender()
      const seen: Array<number> = []
      let asleep = false
      ;[, reached] = interrupted(words, point, () => {
        seen.push(...drained())
        asleep = receiver.sleep()
      }, () => one.signal(40))
      if (!reached) break
      if (asleep ? rings() === 1 : receiver.pending) seen.push(...drained())
      assert.deepStrictEqual(seen, [40], `point ${point}`)
    }
  })

  it("W16 a writer that dies at any moment keeps no other from being heard", () => {
    for (const slot of [40, 41]) {
      for (let point = 0, reached = true; reached; point++) {
        const { drained, receiver, sender, words } = make()
        receiver.use(41)
        const [dead, alive] = [sender(), sender()]
        receiver.sleep()
        try {
          ;[, reached] = interrupted(words, point, () => {
            throw new Error("dead")
          }, () => dead.signal(40))
        } catch (error) {
          assert.strictEqual((error as Error).message, "dead")
        }
        if (!reached) break
        // the host tells of its death, which wakes
        receiver.wake()
        drained()
        assert.isTrue(receiver.sleep())
        alive.signal(slot)
        assert.strictEqual(words[IDLE], 0)
        assert.include(drained(), slot)
        assert.isTrue(receiver.sleep())
      }
    }
  })

  it("W16 bits that mean nothing cost a look, and end", () => {
    const { drained, receiver, words } = make()
    receiver.use(0)
    words.fill(-1, SUMMARY)
    assert.strictEqual(drained().length, 1024)
    assert.isTrue(receiver.sleep())
    words[SUMMARY] = -1
    assert.isFalse(receiver.sleep())
    assert.deepStrictEqual(drained(), [])
    assert.isTrue(receiver.sleep())
    assert.isTrue(words.subarray(BITS, BITS + 32).every((word) => word === 0))
  })

  it("W16 between threads no wake-up is lost: two writers, one reader that sleeps", async () => {
    const inbox = new SharedArrayBuffer(Inbox.INBOX_BYTES)
    const done = new Int32Array(new SharedArrayBuffer(4 * Inbox.SLOTS))
    const bell = Bell.memory()
    const signals = 300_000
    const sending = { inbox, bell, done, signals }
    const slots = [[...corners], [0, 7, 33, 1023, 2048, 32_767]]
    const [attempts, ...rings] = await Threads.run<number>([
      Threads.start(
        "inboxReceiver.ts",
        { inbox, bell, done, slots: slots.flat(), total: 2 * signals } satisfies Receiving
      ),
      Threads.start("inboxSender.ts", { ...sending, slots: slots[0]!, seed: 1 } satisfies Sending),
      Threads.start("inboxSender.ts", { ...sending, slots: slots[1]!, seed: 2 } satisfies Sending)
    ])
    assert.isAbove(rings[0]! + rings[1]!, 0)
    assert.isAtMost(rings[0]! + rings[1]!, attempts!)
  })
})
