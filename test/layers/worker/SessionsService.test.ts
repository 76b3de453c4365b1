import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Inbox from "../../../src/domain/memory/Inbox.ts"
import * as Message from "../../../src/domain/memory/Message.ts"
import { QueueConsumer } from "../../../src/domain/memory/QueueConsumer.ts"
import * as Mq from "../../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../../src/domain/memory/QueueProducer.ts"
import * as Segment from "../../../src/domain/memory/Segment.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Refusal from "../../../src/domain/state/Refusal.ts"
import * as Bells from "../../../src/layers/stack/Bells.ts"
import * as SessionsService from "../../../src/layers/worker/SessionsService.ts"
import type { WorkerInfo } from "../../../src/services/Sessions.ts"
import { settled } from "../../support/until.ts"

const geometry: Mq.Geometry = { indexQueue: 64, ioRing: 64, controlRing: 64 }
const BYTES = 256 * 1024
const endpoint = "tcp://127.0.0.1:1"
const listener = Handle.make<Handle.ListenerHandle>(1, 1)

/** A worker, and the host's ends of its queues. */
const make = Effect.gen(function*() {
  const buffer = new ArrayBuffer(BYTES)
  const queues = Segment.queues(buffer, geometry)
  const [hostSide, workerSide] = Bells.pairUnsafe()
  const toWorker = new QueueProducer(queues.toWorker, geometry, hostSide.ring)
  const toHost = new QueueConsumer(queues.toHost, geometry)
  const faults: Array<string> = []
  const { loop, sessions } = yield* SessionsService.make({
    info: {
      app: "app",
      appIndex: 0 as WorkerInfo["appIndex"],
      workerIndex: 0 as WorkerInfo["workerIndex"],
      worker: 0 as WorkerInfo["worker"],
      kind: "in-process",
      restarts: 0
    },
    endpoints: [],
    config: undefined,
    geometry,
    buffer,
    hostBytes: Segment.firstHostBytes(BYTES, queues.bytes),
    inbox: new SharedArrayBuffer(Inbox.INBOX_BYTES),
    memoryLimit: BYTES,
    rxFifoSize: 4096,
    txFifoSize: 4096,
    times: { listener: Options.defaults.listener, listeners: {} },
    trimInterval: 1000
  }, {
    doorbell: workerSide,
    receive: () => undefined,
    receiveSocket: () => undefined,
    returnSocket: () => false,
    receiveCertificates: () => [],
    receiveLink: () => undefined,
    tls: undefined,
    spin: 0,
    stop: () => {},
    report: () => {},
    fault: (detail) => void faults.push(detail)
  })
  loop.wake()
  const words = new Int32Array(Mq.CONTROL_WORDS)
  const send = (message: Message.Message, spoil?: (words: Int32Array) => void): void => {
    const length = Message.encode(message, words)
    spoil?.(words)
    toWorker.control(words, length)
  }
  /** The request that the worker has sent last. */
  const asked = Effect.gen(function*() {
    yield* settled
    let request: number | undefined
    toHost.drain(64, {
      io: () => {},
      control: (words, start, length) => {
        const message = Message.decode(words, start, length)
        if (message !== undefined && "request" in message) request = message.request
      }
    })
    return request!
  })
  return { loop, sessions, faults, send, asked }
})

type Worker = Effect.Success<typeof make>

const operations = {
  listen: ({ sessions }: Worker) => Effect.scoped(sessions.listen(endpoint, () => {})),
  unlisten: ({ sessions }: Worker) => sessions.unlisten(listener),
  connect: ({ sessions }: Worker) => Effect.scoped(sessions.connect(endpoint))
}

/** What each operation can end with. */
const reasons: Readonly<Record<keyof typeof operations, ReadonlyArray<Refusal.Reason>>> = {
  listen: Refusal.ListenReasons,
  unlisten: Refusal.UnlistenReasons,
  connect: [...Refusal.ConnectReasons, ...Refusal.Whys]
}

describe("what the host says no to", () => {
  for (const [name, operation] of Object.entries(operations)) {
    it.effect(`${name} fails with the very reason that the host gave, whichever it is`, () =>
      Effect.gen(function*() {
        const worker = yield* make
        for (const reason of reasons[name as keyof typeof operations]) {
          const fiber = yield* Effect.forkChild(
            Effect.flip<unknown, { readonly reason: unknown }, never>(operation(worker))
          )
          const request = yield* worker.asked
          worker.send({ _tag: "failed", request, reason, detail: "a sentence" })
          const error = yield* Fiber.join(fiber)
          assert.deepStrictEqual(
            error.reason,
            Refusal.isWhy(reason)
              ? { _tag: "Refused", why: reason, detail: "a sentence" }
              : { _tag: reason, detail: "a sentence" }
          )
        }
        assert.deepStrictEqual(worker.faults, [])
      }).pipe(Effect.scoped))

    it.effect(`${name} takes a reason that it can't have for a fault, not for another reason`, () =>
      Effect.gen(function*() {
        const worker = yield* make
        const known = reasons[name as keyof typeof operations]
        for (const reason of Refusal.Reasons.filter((reason) => !known.includes(reason))) {
          const fiber = yield* Effect.forkChild(Effect.exit<unknown, unknown, never>(operation(worker)))
          const request = yield* worker.asked
          worker.send({ _tag: "failed", request, reason, detail: "a sentence" })
          const exit = yield* Fiber.join(fiber)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), reason)
        }
      }).pipe(Effect.scoped))

    it.effect(`${name} is told that the worker is detached`, () =>
      Effect.gen(function*() {
        const worker = yield* make
        const fiber = yield* Effect.forkChild(
          Effect.flip<unknown, { readonly reason: unknown }, never>(operation(worker))
        )
        yield* worker.asked
        worker.loop.detach()
        const before = yield* Fiber.join(fiber)
        const after = yield* Effect.flip<unknown, { readonly reason: unknown }, never>(operation(worker))
        for (const { reason } of [before, after]) {
          assert.deepStrictEqual(reason, { _tag: "Detached", detail: "the host has given this worker up" })
        }
      }).pipe(Effect.scoped))
  }

  it.effect("a refused connect says why in its sentence", () =>
    Effect.gen(function*() {
      const worker = yield* make
      const fiber = yield* Effect.forkChild(Effect.flip(operations.connect(worker)))
      const request = yield* worker.asked
      worker.send({ _tag: "failed", request, reason: "congested", detail: "the worker is behind" })
      const { message } = yield* Fiber.join(fiber)
      assert.strictEqual(message, `can't connect to ${endpoint}: congested: the worker is behind`)
    }).pipe(Effect.scoped))
})

describe("a host that writes what no host writes", () => {
  const wrong: ReadonlyArray<readonly [what: string, message: Message.Message, spoil: (words: Int32Array) => void]> = [
    ["a kind that there is not", { _tag: "cleanup", session: Handle.make(1, 1) }, (words) => void (words[0] = 99)],
    [
      "a reason that there is not",
      { _tag: "failed", request: 0, reason: "Reset", detail: "" },
      (words) => void (words[2] = Refusal.Reasons.length)
    ],
    ["a message of a worker", { _tag: "needSegment", bytes: 1 }, () => {}]
  ]
  for (const [what, message, spoil] of wrong) {
    it.effect(`${what}: the worker says so once, and reads no more`, () =>
      Effect.gen(function*() {
        const worker = yield* make
        const fiber = yield* Effect.forkChild(Effect.exit(operations.connect(worker)))
        const request = yield* worker.asked
        worker.send(message, spoil)
        yield* settled
        assert.strictEqual(worker.faults.length, 1)
        worker.send(message, spoil)
        worker.send({ _tag: "failed", request, reason: "Reset", detail: "" })
        yield* settled
        assert.strictEqual(worker.faults.length, 1)
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.scoped))
  }

  const connected: Omit<Message.Of<"connected">, "request"> = {
    _tag: "connected",
    session: Handle.make(1, 1),
    kind: 0,
    segment: 0,
    offset: BYTES / 2,
    ringsSegment: 0,
    ringsOffset: BYTES / 2 + 256,
    aboutSegment: 0,
    aboutOffset: 0,
    aboutBytes: 0,
    remote: endpoint,
    local: endpoint
  }
  const unreadable: ReadonlyArray<readonly [what: string, wrong: Partial<typeof connected>, why: RegExp]> = [
    ["what is known of it is no text of the host's", { aboutBytes: 8 }, /what is known of a session can't be read/],
    ["what is known of it is nowhere", { aboutSegment: 7, aboutBytes: 8 }, /where there is no memory/],
    ["its block is nowhere", { segment: 7 }, /in segment 7, which is not here/]
  ]
  for (const [what, wrong, why] of unreadable) {
    it.effect(`W1 a session that a connect has led to, and ${what}: the worker is given up, and the connect fails`, () =>
      Effect.gen(function*() {
        const worker = yield* make
        const fiber = yield* Effect.forkChild(Effect.flip(operations.connect(worker)))
        worker.send({ ...connected, ...wrong, request: yield* worker.asked })
        yield* settled
        assert.strictEqual(worker.faults.length, 1)
        assert.match(worker.faults[0]!, why)
        assert.strictEqual(fiber.pollUnsafe() === undefined, false, "the connect still waits")
        assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Detached")
        // the reply of a connect that has been withdrawn is looked at, too
        const other = yield* make
        const withdrawn = yield* Effect.forkChild(operations.connect(other))
        const request = yield* other.asked
        yield* Fiber.interrupt(withdrawn)
        other.send({ ...connected, ...wrong, request })
        yield* settled
        assert.match(String(other.faults), why)
      }).pipe(Effect.scoped))
  }
})
