/** Congestion over both layers: every case runs in-process and with a reader on a thread of its own. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/testing/TestClock"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as Mq from "../../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../../src/domain/memory/QueueProducer.ts"
import { QueueProducerShared } from "../../../src/domain/memory/QueueProducerShared.ts"
import * as Segment from "../../../src/domain/memory/Segment.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as Refusal from "../../../src/domain/state/Refusal.ts"
import type { Attachment } from "../../../src/services/Attachment.ts"
import type { Sent } from "../../../src/services/Congestion.ts"
import * as QueuePair from "../../support/QueuePair.ts"
import type { Received } from "../../support/QueueReader.ts"
import * as Random from "../../support/random.ts"

afterAll(QueuePair.stop)

const session = (index: number): Handle.SessionHandle => Handle.make(index, 1)
const listener = (index: number): Handle.ListenerHandle => Handle.make(index, 1)
const always = (): boolean => true
const never = (): boolean => false

const numbered = (segment: number): Message.Message => ({ _tag: "deleteSegment", segment })
type Failed = Message.Of<"failed">
const reasonOf = (request: number): Refusal.Reason => Refusal.Reasons[request % Refusal.Reasons.length]!
const io = (kind: number, handle: Handle.SessionHandle): Received => ({ _tag: "Io", kind, session: handle })
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** A message of each kind that goes to a worker. */
const toWorker: ReadonlyArray<Message.Message> = [
  {
    _tag: "accepted",
    session: session(1),
    listener: listener(2),
    kind: Message.MOVES,
    segment: 3,
    offset: 4096,
    ringsSegment: 3,
    ringsOffset: 4608,
    aboutSegment: 3,
    aboutOffset: 8192,
    aboutBytes: 300,
    remote: "tcp://127.0.0.1:5000",
    local: "tcp://127.0.0.1:80"
  },
  {
    _tag: "connected",
    request: 7,
    session: session(8),
    kind: Message.MAPPED,
    segment: 0,
    offset: 64,
    ringsSegment: 1,
    ringsOffset: 512,
    aboutSegment: 0,
    aboutOffset: 0,
    aboutBytes: 0,
    remote: "tcp://[::1]:80",
    local: ""
  },
  { _tag: "bound", request: 8, listener: listener(3), local: "tcp://0.0.0.0:8080" },
  { _tag: "unlistened", request: 9, listener: listener(3) },
  { _tag: "disconnected", session: session(2 ** 24 - 1) },
  { _tag: "reset", session: session(4), reason: "reset by peer" },
  { _tag: "cleanup", session: session(5) },
  { _tag: "migrated", session: session(6) },
  { _tag: "addSegment", segment: 2 ** 32 - 1 },
  { _tag: "deleteSegment", segment: 9 },
  { _tag: "drain", moves: 0 },
  { _tag: "stop" },
  { _tag: "probe" },
  { _tag: "failed", request: 10, reason: "AlreadyListening", detail: "by app \u201cgreeter\u201d" },
  {
    _tag: "cutThroughAccepted",
    session: session(6),
    listener: listener(2),
    segment: 10,
    link: 1,
    slot: 32767,
    peerSlot: 0,
    rxBytes: 65536,
    txBytes: 4096,
    remote: "local://app0.worker1",
    local: "local://cache"
  },
  {
    _tag: "cutThroughConnected",
    request: 11,
    session: session(7),
    segment: 11,
    link: 2,
    slot: 0,
    peerSlot: 32767,
    rxBytes: 4096,
    txBytes: 65536,
    remote: "local://cache",
    local: "local://app0.worker1"
  },
  { _tag: "addLink", link: 3 },
  { _tag: "deleteLink", link: 3 },
  { _tag: "moved", session: session(9) },
  { _tag: "certificates" }
]
const toHost: ReadonlyArray<Message.Tag> = [
  "listen",
  "unlisten",
  "connect",
  "cancelConnect",
  "end",
  "close",
  "abort",
  "release",
  "segmentMapped",
  "needSegment",
  "segmentUnused",
  "probed",
  "insecure",
  "refused",
  "splice",
  "socketOption"
]

const balanced = ({ congestion, ledger }: QueuePair.QueuePair): void => {
  assert.deepStrictEqual(Ledger.imbalances("worker", { messages: ledger }), [])
  assert.strictEqual(congestion.statistics().postponed, ledger.postponed)
}

const released = ({ ledger }: QueuePair.QueuePair): number => Object.values(ledger.released).reduce((a, b) => a + b)

/** Waits until so many messages are in the queue or have been. */
const delivered = (pair: QueuePair.QueuePair, count: number): Effect.Effect<void> =>
  QueuePair.until(`${count} messages are delivered`, () => pair.ledger.delivered === count)

/** Reads all there is, and what comes after it, until nothing is postponed. */
const readAll = Effect.fnUntraced(function*(pair: QueuePair.QueuePair) {
  const received: Array<Received> = []
  for (;;) {
    const some = yield* pair.read(1 << 20)
    received.push(...some)
    if (some.length > 0) continue
    if (pair.ledger.postponed === 0 && pair.queue.toWorker.depth === 0) return received
    yield* QueuePair.turns(1)
  }
})

/** Whoever delivers has tried and sleeps. */
const asleep = QueuePair.turns(8)

/** Fills the queue, then postpones this many numbered messages. */
const congest = Effect.fnUntraced(function*(pair: QueuePair.QueuePair, fill: number, postponed: number) {
  for (const number of range(0, fill)) assert.strictEqual(QueuePair.sendNumbered(pair, number), "delivered")
  for (const number of range(fill, fill + postponed)) {
    assert.strictEqual(QueuePair.sendNumbered(pair, number), "postponed")
  }
  yield* asleep
})

const enqueues = (pair: QueuePair.QueuePair, from = 0) =>
  pair.steps.slice(from).filter((step) => step._tag === "enqueue")

for (const form of QueuePair.forms) {
  const make = (options?: QueuePair.Options) => QueuePair.make(form, options)
  const attached = (segment: Segment.Segment): Attachment => ({ _tag: "Segment", segment })
  const segmentOf = (index: number): Segment.Segment =>
    Segment.make(index, form === "thread" ? new SharedArrayBuffer(512) : new ArrayBuffer(512), 512)
  const announcement = ({ index }: Segment.Segment): Message.Message => ({ _tag: "addSegment", segment: index })

  describe(`M13 Congestion, ${form}`, () => {
    describe("full", () => {
      const sends: ReadonlyArray<
        readonly [what: string, geometry: Mq.Geometry, fill: ReadonlyArray<"io" | "control">]
      > = [
        ["index queue", { indexQueue: 2, ioRing: 4, controlRing: 4 }, ["io", "control"]],
        ["IO ring", { indexQueue: 8, ioRing: 2, controlRing: 4 }, ["io", "io"]],
        ["control ring", { indexQueue: 8, ioRing: 4, controlRing: 2 }, ["control", "control"]]
      ]
      for (const [what, geometry, fill] of sends) {
        for (const next of ["io", "control"] as const) {
          const fits = what !== "index queue" && !fill.includes(next)
          it.effect(`M1 the ${what} is full: ${next} is ${fits ? "delivered" : "postponed"}`, () =>
            Effect.gen(function*() {
              const pair = yield* make({ geometry })
              const send = (kind: "io" | "control", number: number): Sent =>
                kind === "io"
                  ? pair.congestion.sendIo(Message.Rx, session(number), always)
                  : pair.congestion.send({ message: numbered(number) })
              for (const [number, kind] of fill.entries()) assert.strictEqual(send(kind, number), "delivered")
              assert.isFalse(pair.congestion.congested())
              assert.strictEqual(send(next, 2), fits ? "delivered" : "postponed")
              assert.strictEqual(pair.congestion.congested(), !fits)
              assert.strictEqual(enqueues(pair)[2]!.result, fits ? Mq.Enqueued : Mq.Full)
              balanced(pair)
              assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [0, 1, 2])
              assert.isFalse(pair.congestion.congested())
              balanced(pair)
            }))
        }
      }

      it.effect("M1 a closed queue is not a full one: the message is released", () =>
        Effect.gen(function*() {
          const pair = yield* make()
          pair.queue.toWorker.close()
          assert.strictEqual(pair.congestion.send({ message: numbered(0) }), "released")
          assert.strictEqual(pair.congestion.sendIo(Message.Rx, session(1), always), "released")
          assert.strictEqual(pair.ledger.released["worker-gone"], 2)
          // only the worker can have closed it: it is given up, and nothing is offered to it until then
          assert.isTrue(pair.congestion.congested())
          assert.strictEqual((yield* Effect.flip(pair.congestion.unresponsive)).reason, "queue-closed")
          balanced(pair)
        }))

      it.effect("M1 a queue that is closed while messages are postponed has them released", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 3)
          pair.queue.toWorker.close()
          yield* TestClock.adjust(10)
          assert.strictEqual(pair.ledger.released["worker-gone"], 3)
          assert.strictEqual(pair.congestion.statistics().postponed, 0)
          balanced(pair)
        }))
    })

    describe("one path", () => {
      const ring = { indexQueue: 1, ioRing: 1, controlRing: 1 }

      it.effect("M2 messages of all kinds take one path, and keep their order while the worker is congested", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: ring })
          const expected: Array<Received> = []
          for (const [at, message] of toWorker.entries()) {
            pair.congestion.send({ message })
            pair.congestion.sendIo(at % 2 === 0 ? Message.Rx : Message.Room, session(at), always)
            expected.push(message, io(at % 2 === 0 ? Message.Rx : Message.Room, session(at)))
          }
          assert.isTrue(pair.congestion.congested())
          assert.strictEqual(pair.ledger.delivered, 1)
          assert.deepStrictEqual(yield* readAll(pair), expected)
          assert.isFalse(pair.congestion.congested())
          balanced(pair)
        }))

      for (const message of toWorker) {
        it.effect(`M2 ${message._tag} is postponed and delivered as it was`, () =>
          Effect.gen(function*() {
            const pair = yield* make({ geometry: ring })
            pair.congestion.send({ message: numbered(0) })
            assert.strictEqual(pair.congestion.send({ message }), "postponed")
            assert.deepStrictEqual(yield* readAll(pair), [numbered(0), message])
          }))
      }
    })

    describe("postponed", () => {
      it.effect("M3 what the sender does with a message after sending it changes nothing", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 1 } })
          const message: { -readonly [F in keyof Failed]: Failed[F] } = {
            _tag: "failed",
            request: 0,
            reason: "Reset",
            detail: ""
          }
          const outgoing: { message: Message.Message; live?: () => boolean } = { message }
          for (const request of range(0, 40)) {
            message.request = request
            message.reason = reasonOf(request)
            message.detail = "x".repeat(request)
            pair.congestion.send(outgoing)
          }
          message.detail = "reused"
          outgoing.message = numbered(1)
          outgoing.live = never
          assert.deepStrictEqual(
            yield* readAll(pair),
            range(0, 40).map((request) => ({
              _tag: "failed",
              request,
              reason: reasonOf(request),
              detail: "x".repeat(request)
            }))
          )
        }))

      it.effect("M3 everything behind a postponed message is postponed, though it would fit", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 8, ioRing: 8, controlRing: 1 } })
          const { congestion } = pair
          assert.strictEqual(congestion.send({ message: numbered(0) }), "delivered")
          assert.strictEqual(congestion.send({ message: numbered(1) }), "postponed")
          const before = pair.steps.length
          for (const number of range(2, 6)) {
            assert.strictEqual(congestion.sendIo(Message.Rx, session(number), always), "postponed")
          }
          assert.strictEqual(pair.steps.length, before)
          yield* asleep
          assert.strictEqual(pair.queue.toWorker.depth, 1)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), range(0, 6))
        }))

      it.effect("M3 who is told of congestion and sends at once comes behind", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* SubscriptionRef.changes(pair.congestion.state).pipe(
            Stream.runForEach((state) =>
              Effect.sync(() => void (state._tag === "Congested" && QueuePair.sendNumbered(pair, 3)))
            ),
            Effect.forkChild({ startImmediately: true })
          )
          yield* QueuePair.turns(4)
          for (const number of range(0, 3)) QueuePair.sendNumbered(pair, number)
          assert.strictEqual(pair.congestion.statistics().postponed, pair.ledger.postponed)
          yield* QueuePair.turns(4)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), range(0, 4))
        }))

      it.effect("M3 keeps the order with a queue of one slot and a reader that reads at once", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 1, ioRing: 1, controlRing: 1 } })
          yield* pair.run({ max: 1 })
          const random = Random.make(11)
          for (let number = 0; number < 3000;) {
            for (let burst = 1 + random(6); burst > 0 && number < 3000; burst--) QueuePair.sendNumbered(pair, number++)
            yield* QueuePair.turns(random(4))
            if (random(8) === 0) yield* QueuePair.until("it is clear", () => !pair.congestion.congested())
          }
          yield* delivered(pair, 3000)
          yield* QueuePair.until("all is read", () => pair.queue.toWorker.depth === 0)
          const { report } = yield* pair.report
          assert.deepStrictEqual(QueuePair.numbers(report.received), range(0, 3000))
          assert.isAbove(pair.congestion.statistics().timesCongested, 10)
          balanced(pair)
        }))
    })

    describe("delivery", () => {
      const wide = { indexQueue: 128, ioRing: 128, controlRing: 128 }

      for (const batch of [1, 5, 32]) {
        it.effect(`M4 at most ${batch} messages go in a batch`, () =>
          Effect.gen(function*() {
            const pair = yield* make({ geometry: wide, queue: { batch } })
            yield* congest(pair, 128, 100)
            const before = pair.steps.length
            yield* pair.read(128)
            yield* delivered(pair, 228)
            const batches = new Map<number, number>()
            for (const { result, turn } of enqueues(pair, before)) {
              assert.strictEqual(result, Mq.Enqueued)
              batches.set(turn, (batches.get(turn) ?? 0) + 1)
            }
            const rest = 100 % batch
            assert.deepStrictEqual(
              [...batches.values()],
              [...Array.from({ length: Math.floor(100 / batch) }, () => batch), ...(rest > 0 ? [rest] : [])]
            )
            assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(200)), range(128, 228))
          }))
      }

      it.effect("M4 messages that are released count in the batch", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: wide })
          yield* congest(pair, 128, 1)
          let asked = 0
          const counts: Array<number> = []
          const live = () => {
            if (asked++ === 0) counts.push(0)
            counts[counts.length - 1]!++
            queueMicrotask(() => asked = 0)
            return false
          }
          for (const number of range(0, 40)) pair.congestion.sendIo(Message.Rx, session(number), live)
          yield* pair.read(128)
          yield* QueuePair.until("all are released", () => pair.ledger.released["session-gone"] === 40)
          assert.deepStrictEqual(counts, [31, 9])
          balanced(pair)
        }))

      it.effect("M4 the first message that does not fit stops the batch, and stays the first", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 16, ioRing: 16, controlRing: 2 } })
          const { congestion } = pair
          for (const number of range(0, 2)) congestion.send({ message: numbered(number) })
          for (const number of range(2, 6)) congestion.send({ message: numbered(number) })
          for (const number of range(6, 10)) congestion.sendIo(Message.Rx, session(number), always)
          yield* asleep
          assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(1)), [0])
          yield* delivered(pair, 3)
          yield* asleep
          assert.strictEqual(pair.ledger.delivered, 3)
          assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(16)), [1, 2])
          yield* delivered(pair, 5)
          yield* asleep
          assert.strictEqual(pair.ledger.delivered, 5)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [3, 4, 5, 6, 7, 8, 9])
        }))

      it.effect("M4 the worker is congested until the last postponed message has gone", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          const { congestion } = pair
          yield* congest(pair, 2, 5)
          for (const left of [4, 3, 2, 1]) {
            yield* pair.read(1)
            yield* delivered(pair, 7 - left)
            yield* asleep
            assert.strictEqual(congestion.statistics().postponed, left)
            assert.isTrue(congestion.congested())
            assert.strictEqual(SubscriptionRef.getUnsafe(congestion.state)._tag, "Congested")
          }
          yield* pair.read(1)
          yield* delivered(pair, 7)
          yield* asleep
          assert.isFalse(congestion.congested())
          assert.strictEqual(SubscriptionRef.getUnsafe(congestion.state)._tag, "Clear")
        }))

      it.effect("M4 goes on when the worker says that there is room, before the retry interval has passed", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 4 }, queue: { retryInterval: 60_000 } })
          yield* congest(pair, 4, 9)
          const numbers: Array<number> = []
          while (numbers.length < 13) {
            numbers.push(...QueuePair.numbers(yield* pair.read(3)))
            yield* delivered(pair, Math.min(13, numbers.length + 4))
          }
          assert.deepStrictEqual(numbers, range(0, 13))
        }))

      it.effect("M4 goes on when the retry interval has passed, without a word from the worker", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 4 }, queue: { retryInterval: 10 } })
          yield* congest(pair, 4, 3)
          assert.strictEqual((yield* pair.read(2, "quiet")).length, 2)
          yield* QueuePair.turns(50)
          yield* TestClock.adjust(9.5)
          assert.strictEqual(pair.ledger.delivered, 4)
          yield* TestClock.adjust(0.5)
          assert.strictEqual(pair.ledger.delivered, 6)
          yield* pair.read(1, "quiet")
          yield* TestClock.adjust(10)
          assert.strictEqual(pair.ledger.delivered, 7)
          assert.isFalse(pair.congestion.congested())
        }))

      it.effect("M4 room that is made before it is asked for is seen", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          const { toWorker } = pair.queue
          toWorker.wantRoom = () => {
            Effect.runFork(pair.read(2, "quiet"))
            const limit = performance.now() + 5000
            while (toWorker.depth > 0 && performance.now() < limit);
            QueueProducer.prototype.wantRoom.call(toWorker)
          }
          for (const number of range(0, 4)) QueuePair.sendNumbered(pair, number)
          yield* asleep
          assert.strictEqual(pair.ledger.delivered, 4)
          assert.isFalse(pair.congestion.congested())
        }))

      it.effect("M4 never spins: two looks at a time, and then asleep until a signal or the retry interval", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 4 }, queue: { retryInterval: 10 } })
          yield* congest(pair, 4, 3)
          const tries = () => enqueues(pair).length
          // four that went, one that did not, and the two looks
          assert.strictEqual(tries(), 7)
          yield* QueuePair.turns(300)
          assert.strictEqual(tries(), 7)
          for (const interval of range(1, 50)) {
            yield* TestClock.adjust(10)
            yield* QueuePair.turns(3)
            assert.strictEqual(tries(), 7 + 2 * interval)
          }
          // a ring that is not about room is none
          for (const _ of range(0, 20)) pair.congestion.room()
          yield* QueuePair.turns(3)
          assert.strictEqual(tries(), 7 + 2 * 49)
          const before = tries()
          yield* pair.read(1)
          yield* delivered(pair, 5)
          yield* asleep
          // one that went, one that did not, and the second look
          assert.strictEqual(tries(), before + 3)
        }))

      it.effect("M4 room that was asked for is granted once, and shown until it is used", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 2)
          assert.isTrue(pair.queue.toWorker.roomWanted)
          assert.isFalse(pair.congestion.roomGranted())
          yield* pair.read(1)
          yield* QueuePair.until("room is used", () => pair.ledger.delivered === 3)
          assert.isFalse(pair.congestion.roomGranted())
          yield* readAll(pair)
        }))

      it.effect("M4 a delivery that dies is started again with the same message, and nothing is lost", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 4 } })
          yield* congest(pair, 4, 2)
          let dies = 3
          const live = () => {
            if (dies-- > 0) throw new Error("this live() throws")
            return true
          }
          assert.strictEqual(pair.congestion.sendIo(Message.Rx, session(6), live), "postponed")
          QueuePair.sendNumbered(pair, 7)
          assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(4)), range(0, 4))
          yield* delivered(pair, 6)
          balanced(pair)
          for (const left of [2, 1, 0]) {
            yield* asleep
            assert.strictEqual(dies, left)
            assert.strictEqual(pair.ledger.delivered, 6)
            balanced(pair)
            yield* TestClock.adjust(10)
          }
          assert.strictEqual(pair.ledger.delivered, 8)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), range(4, 8))
          assert.isFalse(pair.congestion.congested())
          balanced(pair)
        }))

      it.effect("M4 a delivery that dies over the last message leaves no worker congested", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 1)
          let cleaned = 0
          const cleanUp = () => {
            cleaned++
            throw new Error("this cleanUp() throws")
          }
          pair.congestion.send({ message: numbered(3), live: never, cleanUp })
          yield* pair.read(2)
          yield* QueuePair.until("it is released", () => cleaned === 1)
          assert.strictEqual(pair.congestion.statistics().postponed, 0)
          yield* asleep
          yield* TestClock.adjust(10)
          assert.isFalse(pair.congestion.congested())
          assert.strictEqual(SubscriptionRef.getUnsafe(pair.congestion.state)._tag, "Clear")
          assert.strictEqual(cleaned, 1)
          balanced(pair)
          assert.strictEqual(QueuePair.sendNumbered(pair, 4), "delivered")
        }))
    })

    describe("segments", () => {
      const order = (pair: QueuePair.QueuePair) =>
        pair.steps.flatMap((step) =>
          step._tag === "hand-over"
            ? [`hand over ${step.segment}`]
            : step.what === "addSegment"
            ? [step.result === Mq.Enqueued ? "enqueued" : "full"]
            : []
        )

      it.effect("M5 a segment is handed over before its message is visible", () =>
        Effect.gen(function*() {
          const pair = yield* make()
          const segment = segmentOf(5)
          assert.strictEqual(
            pair.congestion.send({ message: announcement(segment), attachment: attached(segment) }),
            "delivered"
          )
          assert.deepStrictEqual(order(pair), ["hand over 5", "enqueued"])
          assert.deepStrictEqual(yield* pair.read(9), [announcement(segment)])
          const { report, unused } = yield* pair.report
          assert.strictEqual(report.withoutSegment, 0)
          assert.strictEqual(unused, 0)
        }))

      it.effect("M5 a postponed message hands its segment over when it is delivered, once, and no sooner", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 2)
          for (const index of [5, 6]) {
            const segment = segmentOf(index)
            assert.strictEqual(
              pair.congestion.send({ message: announcement(segment), attachment: attached(segment) }),
              "postponed"
            )
          }
          yield* asleep
          yield* TestClock.adjust(100)
          assert.deepStrictEqual(order(pair), [])
          for (const count of range(3, 7)) {
            yield* pair.read(1)
            yield* delivered(pair, count)
            yield* TestClock.adjust(100)
          }
          assert.deepStrictEqual(order(pair), ["hand over 5", "enqueued", "hand over 6", "enqueued"])
          yield* readAll(pair)
          const { report, unused } = yield* pair.report
          assert.strictEqual(report.withoutSegment, 0)
          assert.strictEqual(unused, 0)
        }))

      it.effect("M5 a message that is the first not to fit keeps its segment until it does", () =>
        Effect.gen(function*() {
          for (const geometry of [{ indexQueue: 2 }, { controlRing: 2 }]) {
            const pair = yield* make({ geometry })
            for (const number of range(0, 2)) pair.congestion.send({ message: numbered(number) })
            const segment = segmentOf(5)
            assert.strictEqual(
              pair.congestion.send({ message: announcement(segment), attachment: attached(segment) }),
              "postponed"
            )
            yield* asleep
            yield* TestClock.adjust(100)
            assert.deepStrictEqual(order(pair), [])
            assert.strictEqual((yield* readAll(pair)).length, 3)
            assert.deepStrictEqual(order(pair), ["hand over 5", "enqueued"])
            assert.strictEqual((yield* pair.report).unused, 0)
          }
        }))

      it.effect("M5 a segment that has gone before its turn is not handed over", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 1)
          const segment = segmentOf(5)
          pair.congestion.send({ message: announcement(segment), attachment: attached(segment), live: never })
          yield* readAll(pair)
          assert.deepStrictEqual(order(pair), [])
          assert.strictEqual(pair.ledger.released["segment-gone"], 1)
          balanced(pair)
        }))

      it.effect("M5 W20 a segment that can't be handed over ends the worker: direct", () =>
        Effect.gen(function*() {
          const pair = yield* make({ reachable: never })
          const { congestion } = pair
          const unresponsive = yield* Effect.forkChild(Effect.flip(congestion.unresponsive))
          const segment = segmentOf(5)
          let cleaned = 0
          const cleanUp = () => void cleaned++
          assert.strictEqual(
            congestion.send({ message: announcement(segment), attachment: attached(segment), cleanUp }),
            "released"
          )
          assert.strictEqual((yield* Fiber.join(unresponsive)).reason, "hand-over-failed")
          assert.strictEqual(cleaned, 1)
          assert.strictEqual(pair.ledger.released["hand-over-failed"], 1)
          assert.deepStrictEqual(yield* pair.read(9), [])
          assert.strictEqual(QueuePair.sendNumbered(pair, 0), "released")
          assert.isTrue(congestion.congested())
          balanced(pair)
        }))

      it.effect("M5 W20 a segment that can't be handed over ends the worker: postponed", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 4 }, reachable: never })
          const { congestion } = pair
          const unresponsive = yield* Effect.forkChild(Effect.flip(congestion.unresponsive))
          yield* congest(pair, 4, 2)
          const segment = segmentOf(5)
          const cleaned: Array<string> = []
          congestion.send({
            message: announcement(segment),
            attachment: attached(segment),
            cleanUp: () => void cleaned.push("segment")
          })
          congestion.send({ message: numbered(7), cleanUp: () => void cleaned.push("behind") })
          assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(4)), range(0, 4))
          assert.strictEqual((yield* Fiber.join(unresponsive)).reason, "hand-over-failed")
          assert.deepStrictEqual(cleaned, ["segment"])
          yield* TestClock.adjust(100)
          // what is behind may be about the segment: it does not go
          assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(9)), [4, 5])
          yield* TestClock.adjust(100)
          assert.strictEqual(congestion.statistics().postponed, 1)
          assert.isTrue(congestion.congested())
          balanced(pair)
          yield* congestion.close
          assert.deepStrictEqual(cleaned, ["segment", "behind"])
          assert.deepStrictEqual(yield* pair.read(9), [])
          balanced(pair)
        }))

      it.effect("M5 nothing goes behind a segment that can't be handed over, though its clean-up throws", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 4 }, reachable: never })
          yield* congest(pair, 4, 0)
          const segment = segmentOf(5)
          let cleaned = 0
          const cleanUp = () => {
            cleaned++
            throw new Error("this cleanUp() throws")
          }
          pair.congestion.send({ message: announcement(segment), attachment: attached(segment), cleanUp })
          QueuePair.sendNumbered(pair, 4)
          yield* pair.read(4)
          yield* Effect.flip(pair.congestion.unresponsive)
          yield* TestClock.adjust(100)
          assert.deepStrictEqual(yield* pair.read(9), [])
          assert.strictEqual(cleaned, 1)
          assert.strictEqual(pair.congestion.statistics().postponed, 1)
          balanced(pair)
        }))
    })

    describe("IO events", () => {
      it.effect("M8 of 1000 rx and 1000 room events raised while congested one of each waits", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          const { congestion } = pair
          const raise = () => {
            for (const _ of range(0, 1000)) {
              for (const kind of [Message.Rx, Message.Room] as const) {
                for (const one of [1001, 1002]) {
                  assert.strictEqual(congestion.sendIo(kind, session(one), always), "postponed")
                }
              }
            }
          }
          const waiting = [Message.Rx, Message.Room].flatMap((kind) =>
            [1001, 1002].map((one) => io(kind, session(one)))
          )
          yield* congest(pair, 2, 1)
          raise()
          assert.strictEqual(congestion.statistics().postponed, 5)
          balanced(pair)
          yield* asleep
          // one of them is taken out to be delivered, and does not fit: it still waits
          yield* pair.read(1)
          yield* delivered(pair, 3)
          yield* asleep
          raise()
          assert.strictEqual(congestion.statistics().postponed, 4)
          // once it has gone, it can be raised again, and only it
          yield* pair.read(1)
          yield* delivered(pair, 4)
          raise()
          assert.strictEqual(congestion.statistics().postponed, 4)
          balanced(pair)
          const received = yield* readAll(pair)
          assert.deepStrictEqual(received.slice(1), [...waiting, waiting[0]!])
          assert.strictEqual(congestion.sendIo(Message.Rx, session(1001), always), "delivered")
          balanced(pair)
        }))

      it.effect("M8 an event that was released can be raised again", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          const { congestion } = pair
          yield* congest(pair, 2, 1)
          congestion.sendIo(Message.Rx, session(50), never)
          QueuePair.sendNumbered(pair, 3)
          yield* pair.read(2)
          yield* delivered(pair, 4)
          yield* asleep
          yield* congest(pair, 0, 0)
          QueuePair.sendNumbered(pair, 4)
          assert.isTrue(congestion.congested())
          congestion.sendIo(Message.Rx, session(50), always)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [2, 3, 4, 50])
          balanced(pair)
        }))

      it.effect("M8 sessions and generations are told apart", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 1 } })
          const { congestion } = pair
          congestion.send({ message: numbered(0) })
          const handles = [Handle.make<Handle.SessionHandle>(1, 1), Handle.make<Handle.SessionHandle>(1, 2), session(2)]
          for (const handle of [...handles, ...handles]) congestion.sendIo(Message.Rx, handle, always)
          assert.deepStrictEqual((yield* readAll(pair)).slice(1), handles.map((handle) => io(Message.Rx, handle)))
        }))
    })

    describe("bounds", () => {
      it.effect("M9 at the bound of messages the worker is given up with a typed error, and nothing is dropped", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 }, queue: { postponedMessages: 5 } })
          const { congestion, ledger } = pair
          const unresponsive = yield* Effect.forkChild(Effect.flip(congestion.unresponsive))
          yield* congest(pair, 2, 5)
          assert.isUndefined(unresponsive.pollUnsafe())
          let cleaned = 0
          const cleanUp = () => void cleaned++
          assert.strictEqual(congestion.send({ message: numbered(7), cleanUp }), "released")
          const error = yield* Fiber.join(unresponsive)
          assert.strictEqual(error.reason, "postponed-messages")
          assert.strictEqual(error.limit, 5)
          assert.strictEqual(
            error.message,
            "the worker does not read its queue: 5 messages are postponed, which is the limit"
          )
          assert.strictEqual(cleaned, 1)
          assert.strictEqual(ledger.released.unresponsive, 1)
          assert.strictEqual(congestion.send({ message: numbered(8), cleanUp }), "released")
          assert.strictEqual(congestion.sendIo(Message.Rx, session(9), always), "released")
          assert.strictEqual(ledger.released["worker-gone"], 2)
          assert.strictEqual(cleaned, 2)
          assert.strictEqual(congestion.statistics().postponed, 5)
          balanced(pair)
          // those that wait are still delivered to a worker that reads after all
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), range(0, 7))
          assert.isTrue(congestion.congested())
          assert.strictEqual(QueuePair.sendNumbered(pair, 7), "released")
          balanced(pair)
        }))

      it.effect("M9 at the bound of bytes too", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 }, queue: { postponedBytes: 1024 } })
          const { congestion, ledger } = pair
          yield* congest(pair, 2, 0)
          const message: Message.Message = { _tag: "reset", session: session(1), reason: "x".repeat(196) }
          const bytes = 4 * Message.encode(message, new Int32Array(Mq.CONTROL_WORDS))
          assert.strictEqual(bytes, 212)
          for (const count of range(1, 5)) {
            assert.strictEqual(congestion.send({ message }), "postponed")
            assert.strictEqual(congestion.statistics().postponedBytes, count * bytes)
          }
          for (const number of range(0, 11)) {
            assert.strictEqual(congestion.sendIo(Message.Rx, session(number), always), "postponed")
          }
          assert.strictEqual(congestion.statistics().postponedBytes, 1024)
          assert.strictEqual(congestion.sendIo(Message.Room, session(1), always), "released")
          const error = yield* Effect.flip(congestion.unresponsive)
          assert.strictEqual(error.reason, "postponed-bytes")
          assert.strictEqual(error.limit, 1024)
          assert.strictEqual(ledger.released.unresponsive, 1)
          balanced(pair)
          assert.strictEqual((yield* readAll(pair)).length, 17)
          assert.strictEqual(congestion.statistics().postponedBytes, 0)
          balanced(pair)
        }))

      it.effect("M9 who hears that the worker is given up may close everything at once", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 }, queue: { postponedMessages: 3 } })
          const { congestion, ledger } = pair
          const over = yield* congestion.unresponsive.pipe(
            Effect.ignore,
            Effect.andThen(congestion.close),
            Effect.forkChild({ startImmediately: true })
          )
          yield* congest(pair, 2, 3)
          assert.strictEqual(QueuePair.sendNumbered(pair, 5), "released")
          // not inside the call: the sender goes on as if nothing were
          assert.strictEqual(congestion.statistics().postponed, 3)
          balanced(pair)
          yield* Fiber.join(over)
          assert.deepInclude(ledger.released, { unresponsive: 1, "worker-gone": 3 })
          assert.strictEqual(congestion.statistics().postponed, 0)
          balanced(pair)
        }))
    })

    describe("release", () => {
      it.effect("M10 what a message is about is asked for again at delivery; if it has gone the message is released", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          const { congestion, ledger } = pair
          yield* congest(pair, 2, 1)
          const gone = new Set<number>()
          const cleaned: Array<number> = []
          for (const number of range(3, 9)) {
            const live = () => !gone.has(number)
            if (number % 2 === 0) congestion.sendIo(Message.Rx, session(number), live)
            else congestion.send({ message: numbered(number), live, cleanUp: () => void cleaned.push(number) })
          }
          yield* asleep
          for (const number of [4, 5, 7]) gone.add(number)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [0, 1, 2, 3, 6, 8])
          assert.deepStrictEqual(cleaned, [5, 7])
          assert.strictEqual(ledger.released["session-gone"], 3)
          assert.strictEqual(ledger.delivered, 6)
          balanced(pair)
        }))

      it.effect("M10 is asked for again when a message did not fit before", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 0)
          let gone = false
          pair.congestion.sendIo(Message.Rx, session(9), () => !gone)
          yield* asleep
          yield* TestClock.adjust(30)
          gone = true
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [0, 1])
          assert.strictEqual(pair.ledger.released["session-gone"], 1)
        }))

      for (const kind of ["io", "control"] as const) {
        it.effect(`M10 M3 released for want of a session, ${kind} leaves the worker congested until there is room`, () =>
          Effect.gen(function*() {
            const pair = yield* make({ geometry: { indexQueue: 8, ioRing: 2, controlRing: 2 } })
            const { congestion, ledger } = pair
            let gone = false
            const send = (number: number, live: () => boolean): Sent =>
              kind === "io"
                ? congestion.sendIo(Message.Rx, session(number), live)
                : congestion.send({ message: numbered(number), live })
            for (const number of range(0, 2)) assert.strictEqual(send(number, always), "delivered")
            assert.strictEqual(send(2, () => !gone), "postponed")
            gone = true
            yield* TestClock.adjust(30)
            assert.strictEqual(ledger.released["session-gone"], 1)
            assert.deepStrictEqual([congestion.congested(), congestion.statistics().postponed], [true, 0])
            // what comes now waits for its turn, and is no second congestion
            assert.strictEqual(send(3, always), "postponed")
            assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [0, 1, 3])
            yield* TestClock.adjust(30)
            assert.deepStrictEqual([congestion.congested(), congestion.statistics().timesCongested], [false, 1])
            balanced(pair)
          }))
      }

      it.effect("M11 closing releases all that waits, and each clean-up runs once, whatever another one throws", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          const { congestion, ledger } = pair
          yield* congest(pair, 2, 3)
          const cleaned: Array<number> = []
          for (const number of range(0, 10)) {
            congestion.send({
              message: numbered(number),
              cleanUp: () => {
                cleaned.push(number)
                if (number % 3 === 0) throw new Error("this cleanUp() throws")
                // what a clean-up sends is released like the rest
                assert.strictEqual(congestion.send({ message: numbered(100) }), "released")
              }
            })
          }
          yield* asleep
          yield* congestion.close
          assert.deepStrictEqual(cleaned, range(0, 10))
          assert.strictEqual(ledger.released["worker-gone"], 13 + 6)
          assert.strictEqual(congestion.statistics().postponed, 0)
          assert.strictEqual(congestion.statistics().postponedBytes, 0)
          assert.strictEqual(SubscriptionRef.getUnsafe(congestion.state)._tag, "Clear")
          assert.strictEqual(
            congestion.send({ message: numbered(11), cleanUp: () => void cleaned.push(11) }),
            "released"
          )
          assert.strictEqual(congestion.sendIo(Message.Rx, session(12), always), "released")
          assert.strictEqual(cleaned.at(-1), 11)
          assert.isTrue(congestion.congested())
          balanced(pair)
          yield* congestion.close
          yield* pair.end
          assert.strictEqual(cleaned.length, 11)
          balanced(pair)
          // what was in the queue can still be read
          assert.deepStrictEqual(QueuePair.numbers(yield* pair.read(9)), [0, 1])
        }))

      it.effect("M11 closing the layer releases all that waits", () =>
        Effect.gen(function*() {
          const pair = yield* make({ geometry: { indexQueue: 2 } })
          yield* congest(pair, 2, 3)
          let cleaned = 0
          pair.congestion.send({ message: numbered(9), cleanUp: () => void cleaned++ })
          yield* asleep
          yield* pair.end
          assert.strictEqual(cleaned, 1)
          assert.strictEqual(pair.ledger.released["worker-gone"], 4)
          assert.strictEqual(pair.writer.io(Message.Rx, 1, 1, 0), Mq.Closed)
          balanced(pair)
        }))
    })

    it.effect("M12 counts times and time in congestion, and the most that waited", () =>
      Effect.gen(function*() {
        const pair = yield* make({ geometry: { indexQueue: 2 }, queue: { retryInterval: 10_000 } })
        const { congestion } = pair
        const seen = yield* SubscriptionRef.changes(congestion.state).pipe(
          Stream.take(5),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        yield* QueuePair.turns(4)
        const counted = { postponed: 0, postponedBytes: 0, highest: 0, timesCongested: 0, congestedMillis: 0 }
        assert.deepStrictEqual(congestion.statistics(), counted)
        yield* TestClock.adjust(1000)
        yield* congest(pair, 2, 7)
        yield* TestClock.adjust(40)
        assert.deepStrictEqual(congestion.statistics(), {
          postponed: 7,
          // numbers 2 to 8: two control messages of two words, five IO events
          postponedBytes: 5 * 16 + 2 * 4 * 2,
          highest: 7,
          timesCongested: 1,
          congestedMillis: 40
        })
        yield* readAll(pair)
        yield* TestClock.adjust(500)
        const cleared = { postponed: 0, postponedBytes: 0, highest: 7, timesCongested: 1, congestedMillis: 40 }
        assert.deepStrictEqual(congestion.statistics(), cleared)
        yield* congest(pair, 2, 3)
        yield* TestClock.adjust(5)
        yield* readAll(pair)
        assert.deepStrictEqual(congestion.statistics(), { ...cleared, timesCongested: 2, congestedMillis: 45 })
        assert.deepStrictEqual([...(yield* Fiber.join(seen))], [
          { _tag: "Clear" },
          { _tag: "Congested", since: 1000 },
          { _tag: "Clear" },
          { _tag: "Congested", since: 1540 },
          { _tag: "Clear" }
        ])
      }))

    describe("several producers", () => {
      const LOCK = 48
      const lockOf = ({ memory, queue }: QueuePair.QueuePair) => {
        const words = Mq.words(memory, queue.geometry)
        return { hold: () => Atomics.store(words, LOCK, 9), release: () => Atomics.store(words, LOCK, 0) }
      }

      it.effect("M1 M3 a message that finds the lock held is postponed, in order, and goes at the next try", () =>
        Effect.gen(function*() {
          const pair = yield* make({ lockTries: 5, queue: { retryInterval: 10 } })
          const lock = lockOf(pair)
          assert.strictEqual(QueuePair.sendNumbered(pair, 0), "delivered")
          lock.hold()
          assert.strictEqual(QueuePair.sendNumbered(pair, 1), "postponed")
          assert.strictEqual(enqueues(pair)[1]!.result, Mq.Locked)
          yield* asleep
          lock.release()
          assert.strictEqual(QueuePair.sendNumbered(pair, 2), "postponed")
          yield* TestClock.adjust(10)
          assert.deepStrictEqual(QueuePair.numbers(yield* readAll(pair)), [0, 1, 2])
          assert.isFalse(pair.congestion.congested())
          balanced(pair)
        }))

      it.effect("M5 what goes with a message that finds the lock held is handed over once", () =>
        Effect.gen(function*() {
          const pair = yield* make({ lockTries: 5, queue: { retryInterval: 10 } })
          const lock = lockOf(pair)
          const segment = segmentOf(7)
          lock.hold()
          const sent = pair.congestion.send({ message: announcement(segment), attachment: attached(segment) })
          assert.strictEqual(sent, "postponed")
          yield* TestClock.adjust(30)
          lock.release()
          yield* TestClock.adjust(10)
          assert.deepStrictEqual(yield* readAll(pair), [announcement(segment)])
          assert.strictEqual(pair.steps.filter(({ _tag }) => _tag === "hand-over").length, 1)
          assert.strictEqual((yield* pair.report).unused, 0)
          balanced(pair)
        }))

      it.effect("M1 what another producer enqueues comes in between, and takes none of the host's messages away", () =>
        Effect.gen(function*() {
          const pair = yield* make({ lockTries: 5 })
          const other = new QueueProducerShared(pair.memory, pair.queue.geometry, pair.queue.doorbell.ring, {
            id: 2,
            tries: 5
          })
          const handle = session(1000)
          for (const number of range(0, 20)) {
            QueuePair.sendNumbered(pair, 2 * number)
            assert.strictEqual(other.io(Message.Rx, Handle.index(handle), Handle.generation(handle), 0), Mq.Enqueued)
          }
          assert.strictEqual(pair.queue.toWorker.depth, 40)
          const read = yield* readAll(pair)
          assert.strictEqual(read.filter((one) => one._tag === "Io" && one.session === handle).length, 20)
          const mine = read.filter((one) => one._tag !== "Io" || one.session !== handle)
          assert.deepStrictEqual(QueuePair.numbers(mine), range(0, 20).map((number) => 2 * number))
          balanced(pair)
        }))
    })

    describe("conservation", () => {
      const slots = Schema.Literals([1, 1, 2, 4, 16])
      const count = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))
      const key = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
      const steps = Schema.Array(Schema.Union([
        Schema.Struct({ do: Schema.Literal("send"), count }),
        Schema.Struct({ do: Schema.Literal("io"), key }),
        Schema.Struct({ do: Schema.Literal("io"), key }),
        Schema.Struct({ do: Schema.Literal("gone"), key }),
        Schema.Struct({ do: Schema.Literal("read"), count }),
        Schema.Struct({ do: Schema.Literal("read quietly"), count }),
        Schema.Struct({ do: Schema.Literal("time"), count }),
        Schema.Struct({ do: Schema.Literal("turns"), count })
      ])).check(Schema.isMaxLength(80))

      it.effect.prop(
        "M14 the ledger balances at every step, and all arrives once and in order, as a plain model says",
        { geometry: Schema.Struct({ indexQueue: slots, ioRing: slots, controlRing: slots }), steps, batch: count },
        ({ batch, geometry, steps }) =>
          Effect.gen(function*() {
            const pair = yield* make({ geometry, queue: { batch } })
            const { congestion, ledger } = pair
            /** All that has been sent and not been found to wait already, in order. */
            const entries: Array<{ readonly io: boolean; readonly id: string; readonly alive: () => boolean }> = []
            const read: Array<string> = []
            const dead = new Set<Handle.SessionHandle>()
            /** What went past delivery: in the queue, read, or released. */
            const past = () => ledger.delivered + released(pair)
            /** What is in the queue. Those that had died before their turn are not among them. */
            let taken: Array<(typeof entries)[number]> = []
            let seen = 0
            const look = () => {
              for (; seen < past(); seen++) if (entries[seen]!.alive()) taken.push(entries[seen]!)
            }
            const idOf = (one: Received): string =>
              one._tag === "Io"
                ? `io ${one.kind} ${one.session}`
                : one._tag === "deleteSegment"
                ? `numbered ${one.segment}`
                : one._tag
            const generations = [1, 1, 1, 1, 1, 1]
            const handle = (key: number): Handle.SessionHandle => Handle.make(key, generations[key]!)

            /** With messages that wait it is congested; without, only where one that did not fit was released. */
            const assertCongested = (postponed: number): boolean => {
              const congested = congestion.congested()
              assert.isTrue(postponed > 0 ? congested : !congested || ledger.released["session-gone"] > 0)
              assert.strictEqual(SubscriptionRef.getUnsafe(congestion.state)._tag, congested ? "Congested" : "Clear")
              return congested
            }

            const send = (isIo: boolean, id: string, alive: () => boolean, go: () => Sent) => {
              look()
              const full = taken.length >= geometry.indexQueue ||
                taken.filter((one) => one.io === isIo).length >= (isIo ? geometry.ioRing : geometry.controlRing)
              const waits = entries.slice(past()).some((one) => isIo && one.id === id)
              const congested = assertCongested(entries.length - past())
              const { sent } = ledger
              const result = go()
              assert.strictEqual(ledger.sent, waits ? sent : sent + 1, id)
              assert.strictEqual(result, congested || full ? "postponed" : "delivered", id)
              // a message that goes directly is not asked about
              if (!waits) entries.push({ io: isIo, id, alive: result === "delivered" ? always : alive })
            }
            const take = (received: ReadonlyArray<Received>) => {
              look()
              const ids = received.map(idOf)
              assert.deepStrictEqual(ids, taken.slice(0, ids.length).map(({ id }) => id))
              taken = taken.slice(ids.length)
              read.push(...ids)
            }

            let number = 0
            for (const step of steps) {
              switch (step.do) {
                case "send":
                  for (const _ of range(0, step.count)) {
                    const mine = number++
                    send(false, `numbered ${mine}`, always, () => congestion.send({ message: numbered(mine) }))
                  }
                  break
                case "io": {
                  const mine = handle(step.key)
                  const kind = number % 2 === 0 ? Message.Rx : Message.Room
                  // its own answer, for ever: whether it was there when it was asked about
                  let answer: boolean | undefined
                  const live = () => answer = !dead.has(mine)
                  send(true, `io ${kind} ${mine}`, () => answer ?? true, () => congestion.sendIo(kind, mine, live))
                  break
                }
                case "gone":
                  dead.add(handle(step.key))
                  generations[step.key]!++
                  break
                case "read":
                  take(yield* pair.read(step.count))
                  break
                case "read quietly":
                  take(yield* pair.read(step.count, "quiet"))
                  break
                case "time":
                  yield* TestClock.adjust(step.count)
                  break
                case "turns":
                  yield* QueuePair.turns(step.count)
              }
              balanced(pair)
              const { postponed } = congestion.statistics()
              assert.strictEqual(entries.length, past() + postponed)
              assertCongested(postponed)
            }
            for (let quiet = 0; quiet < 3;) {
              const some = yield* pair.read(7)
              take(some)
              quiet = some.length === 0 && ledger.postponed === 0 ? quiet + 1 : 0
              yield* TestClock.adjust(10)
            }
            look()
            assert.isFalse(congestion.congested())
            assert.deepStrictEqual(taken, [])
            assert.strictEqual(read.length, ledger.delivered)
            assert.strictEqual(ledger.released["session-gone"], entries.filter((one) => !one.alive()).length)
            assert.strictEqual(ledger.sent, entries.length)
            balanced(pair)
          }),
        { arbitrary: { runs: form === "thread" ? 60 : 200, size: 80 } }
      )

      it.effect.prop(
        "M14 nothing is lost, repeated or overtaken with a reader that reads whatever comes",
        {
          geometry: Schema.Struct({ indexQueue: slots, ioRing: slots, controlRing: slots }),
          max: count,
          bursts: Schema.Array(Schema.Struct({ count, turns: key })).check(Schema.isMaxLength(60))
        },
        ({ bursts, geometry, max }) =>
          Effect.gen(function*() {
            const pair = yield* make({ geometry })
            yield* pair.run({ max })
            let number = 0
            for (const burst of bursts) {
              for (const _ of range(0, burst.count)) QueuePair.sendNumbered(pair, number++)
              balanced(pair)
              yield* QueuePair.turns(burst.turns)
              balanced(pair)
            }
            yield* delivered(pair, number)
            yield* QueuePair.until("all is read", () => pair.queue.toWorker.depth === 0)
            const { report } = yield* pair.report
            assert.deepStrictEqual(QueuePair.numbers(report.received), range(0, number))
            yield* QueuePair.until("it is not congested", () => !pair.congestion.congested())
            balanced(pair)
          }),
        { arbitrary: { runs: form === "thread" ? 60 : 200, size: 60 } }
      )
    })
  })
}

describe("Congestion", () => {
  it("M2 the kinds of messages that go to a worker are the ones that were tried here", () => {
    assert.deepStrictEqual([...toWorker.map(({ _tag }) => _tag), ...toHost], [...Message.tags])
  })

  it.effect("M2 nobody else writes to a worker's queue: what writes to it can't be had twice", () =>
    Effect.gen(function*() {
      const { queue } = yield* QueuePair.make("in-process")
      assert.throws(() => queue.takeWriter(), /has one owner/)
      // @ts-expect-error: the side that everybody has does not write
      void queue.toWorker.io
      // @ts-expect-error: the same
      void queue.toWorker.control
    }))

  /** A run with a reader that stalls at random, in virtual time: everything that happens, in order. */
  const run = (seed: number) =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const clock = yield* Effect.clockWith(Effect.succeed)
      const say = (what: string) => void events.push(`${clock.currentTimeMillisUnsafe()} ${what}`)
      const pair = yield* QueuePair.make("in-process", { queue: { postponedMessages: 4096 } })
      const { congestion } = pair
      const chance = Random.make(seed)
      let read = 0
      const reader = Effect.gen(function*() {
        while (read < 20_000) {
          const some = QueuePair.numbers(yield* pair.read(1 + chance(64), chance(8) === 0 ? "quiet" : undefined))
          for (const number of some) assert.strictEqual(number, read++)
          say(`read ${some.join()}`)
          if (chance(4) === 0) yield* Effect.sleep(chance(40))
          else yield* Effect.yieldNow
        }
      })
      const sender = Effect.gen(function*() {
        for (let number = 0; number < 20_000;) {
          for (let burst = chance(300); burst > 0 && number < 20_000; burst--) {
            say(`send ${number} ${QueuePair.sendNumbered(pair, number++)}`)
          }
          const { congestedMillis, postponed } = congestion.statistics()
          say(`postponed ${postponed}, congested for ${congestedMillis}`)
          yield* Effect.yieldNow
          if (postponed > 512) { while (congestion.congested()) yield* Effect.sleep(chance(20)) }
        }
      })
      const states = SubscriptionRef.changes(congestion.state).pipe(
        Stream.runForEach((state) => Effect.sync(() => say(state._tag)))
      )
      yield* Effect.forkScoped(states)
      const both = yield* Effect.forkScoped(Effect.all([reader, sender], { concurrency: 2 }))
      while (both.pollUnsafe() === undefined) yield* TestClock.adjust(1)
      assert.isTrue(Exit.isSuccess(both.pollUnsafe()!))
      for (const step of pair.steps) {
        events.push(
          step._tag === "enqueue" ? `${step.turn} ${step.what} ${step.result}` : `${step.turn} segment ${step.segment}`
        )
      }
      balanced(pair)
      assert.isAbove(congestion.statistics().timesCongested, 5)
      assert.isAtMost(congestion.statistics().highest, 512 + 300)
      return events
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

  it.live(
    "M14 a run in-process under virtual time is the same to the last event when it is repeated",
    () =>
      Effect.gen(function*() {
        const first = yield* run(4711)
        const second = yield* run(4711)
        assert.isAbove(first.length, 40_000)
        assert.strictEqual(second.length, first.length)
        for (const [at, event] of first.entries()) assert.strictEqual(second[at], event, `event ${at}`)
        assert.notDeepEqual(yield* run(4712), first)
      }),
    60_000
  )

  it.live(
    "M14 of 200000 messages to a thread that stalls at random none is lost, repeated or overtaken",
    () =>
      Effect.gen(function*() {
        const pair = yield* QueuePair.make("thread", { trace: false, queue: { postponedMessages: 2048 } })
        const unresponsive = yield* Effect.forkChild(Effect.flip(pair.congestion.unresponsive))
        yield* pair.run({ max: 64, keep: false, stall: { seed: 99, oneIn: 150, millis: 3 } })
        yield* QueuePair.pump(pair, 0, 200_000, 1024)
        yield* delivered(pair, 200_000)
        yield* QueuePair.until("all is read", () => pair.queue.toWorker.depth === 0)
        const { report } = yield* pair.report
        assert.deepInclude(report, { count: 200_000, lost: 0, duplicated: 0, outOfOrder: 0 })
        const { highest, timesCongested } = pair.congestion.statistics()
        assert.isAtMost(highest, 1024)
        assert.isAbove(timesCongested, 20)
        assert.isUndefined(unresponsive.pollUnsafe())
        balanced(pair)
      }),
    60_000
  )
})
