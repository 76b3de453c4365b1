import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { MessageChannel } from "node:worker_threads"
import * as Inbox from "../../../src/domain/memory/Inbox.ts"
import { Enqueued, type EnqueueResult } from "../../../src/domain/memory/QueueMemory.ts"
import type { QueueWriter } from "../../../src/domain/memory/QueueProducer.ts"
import { defaults } from "../../../src/domain/options/Options.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as SessionLayerHost from "../../../src/layers/host/SessionLayerHost.ts"
import * as Bells from "../../../src/layers/stack/Bells.ts"
import * as MessageQueueSegment from "../../../src/layers/stack/MessageQueueSegment.ts"
import * as SegmentManagerMemory from "../../../src/layers/stack/SegmentManagerMemory.ts"
import * as WorkerStack from "../../../src/layers/stack/WorkerStack.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import * as TransportMemory from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import type { LinkBell } from "../../../src/services/Attachment.ts"
import { Congestion } from "../../../src/services/Congestion.ts"
import { Doorbell } from "../../../src/services/Doorbell.ts"
import { MessageQueue } from "../../../src/services/MessageQueue.ts"
import { SegmentManager } from "../../../src/services/SegmentManager.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { WorkerInfo } from "../../../src/services/Sessions.ts"
import { WorkerPlan } from "../../../src/services/WorkerPlan.ts"
import { worker } from "../../support/SessionPair.ts"
import { Actor, endpoint, optionsOf } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

/** The services of a worker that runs, and how a link is handed over to it. */
const make = Effect.fnUntraced(function*(kind: WorkerInfo["kind"]) {
  const stack = Context.get(yield* Layer.build(WorkerStack.layerDefault), WorkerStack.WorkerStack)
  const services = yield* stack.build({
    info: { ...worker, kind },
    app: { ...defaults, name: "app" },
    endpoints: [],
    suggested: false,
    module: AppWorker.fromUrl(new URL("../../fixtures/echo.ts", import.meta.url)),
    ledger: new Ledger.MessageLedger()
  })
  const congestion = Context.get(services, Congestion)
  const { toWorker } = Context.get(services, MessageQueue)
  yield* Context.get(services, AppWorker.AppWorker).ready
  return {
    congestion,
    inbox: Context.get(services, MessageQueue).inbox,
    send: (bell: LinkBell) =>
      congestion.send({
        message: { _tag: "addLink", link: 4 },
        attachment: { _tag: "Link", link: { number: 4, inbox: new SharedArrayBuffer(Inbox.INBOX_BYTES), bell } }
      }),
    taken: until("the worker has taken it", () => toWorker.depth === 0)
  }
})

describe("WorkerStack", () => {
  it.live("W16 each worker has an inbox of its own", () =>
    Effect.gen(function*() {
      const inboxes = [(yield* make("thread")).inbox, (yield* make("in-process")).inbox]
      assert.deepStrictEqual(inboxes.map((inbox) => inbox.byteLength), [Inbox.INBOX_BYTES, Inbox.INBOX_BYTES])
      assert.notStrictEqual(inboxes[0], inboxes[1])
    }).pipe(Effect.scoped))

  it.live("M5 W16 a link is handed over to a thread with its message, and the port goes with it", () =>
    Effect.gen(function*() {
      const { send, taken } = yield* make("thread")
      const { port1, port2 } = new MessageChannel()
      assert.strictEqual(send(port1), "delivered")
      let closed = false
      port2.on("close", () => void (closed = true))
      yield* taken
      // it is the thread's now
      port1.close()
      yield* settled
      assert.isFalse(closed)
      port2.close()
    }).pipe(Effect.scoped))

  it.live("M5 W16 a link whose other end has gone meanwhile costs the thread nothing", () =>
    Effect.gen(function*() {
      const { congestion, send, taken } = yield* make("thread")
      const { port1 } = new MessageChannel()
      port1.close()
      assert.strictEqual(send(port1), "delivered")
      yield* taken
      assert.isFalse(congestion.congested())
    }).pipe(Effect.scoped))

  it.live("M5 W20 a thread that is given a link which it can't hold is given up", () =>
    Effect.gen(function*() {
      const { congestion, send } = yield* make("thread")
      assert.strictEqual(send(Bells.pairUnsafe()[0]), "released")
      const gone = yield* Effect.flip(congestion.unresponsive)
      assert.strictEqual(gone.reason, "hand-over-failed")
    }).pipe(Effect.scoped))

  it.live("W12 a port that an in-process worker was given, taken by it or not, is closed with it", () =>
    Effect.gen(function*() {
      for (const held of [true, false]) {
        const { port1, port2 } = new MessageChannel()
        let closed = false
        port2.on("close", () => void (closed = true))
        yield* Effect.gen(function*() {
          const { send, taken } = yield* make("in-process")
          send(port1)
          if (held) yield* taken
        }).pipe(Effect.scoped)
        yield* until("the other end is closed", () => closed)
      }
    }))
})

const failing = Effect.fail(new Error("the quota is used up"))

/** Each layer of the stack, failing by an error and by a defect. */
const broken = {
  segmentManager: ["SegmentManager", Layer.effect(SegmentManager, failing), Layer.effect(SegmentManager, defect())],
  doorbell: ["Doorbell", Layer.effect(Doorbell, failing), Layer.effect(Doorbell, defect())],
  messageQueue: ["MessageQueue", Layer.effect(MessageQueue, failing), Layer.effect(MessageQueue, defect())],
  congestion: ["Congestion", Layer.effect(Congestion, failing), Layer.effect(Congestion, defect())],
  appWorker: ["AppWorker", Layer.effect(AppWorker.AppWorker, failing), Layer.effect(AppWorker.AppWorker, defect())]
} as const

function defect() {
  return Effect.die(new Error("a bug"))
}

/** A host with this stack, on a network in memory. */
const hostOf = <E, R>(stack: Layer.Layer<WorkerStack.WorkerStack, E, R>) =>
  Effect.map(
    Layer.build(SessionLayerHost.layerStack.pipe(
      Layer.provide(stack),
      Layer.provide(TransportMemory.layer(new TransportMemory.Network())),
      Layer.provideMerge(Host.layerSettings)
    )),
    (services) => Context.get(services, SessionLayer)
  )

describe("a stack with layers of the program", () => {
  for (const [key, [name, byError, byDefect]] of Object.entries(broken)) {
    for (const [layer, said] of [[byError, "the quota is used up"], [byDefect, "a bug"]] as const) {
      it.effect(`whose ${key} fails at start fails the attach, and says which layer it was: ${said}`, () =>
        Effect.gen(function*() {
          const host = yield* hostOf(WorkerStack.layerInProcessUnsafe({ [key]: layer }))
          const { reason } = yield* Effect.flip(host.attach(optionsOf(), new Actor().module))
          assert.deepInclude(reason, { _tag: "WorkerFailed", layer: name })
          assert.strictEqual(reason.message, `worker 0 did not start: the ${name} layer of its stack failed: ${said}`)
          assert.deepStrictEqual((yield* host.report).apps, [])
        }).pipe(Effect.scoped))
    }
  }

  it.effect("that fails at a later start has the worker started again, and its report says which layer it was", () =>
    Effect.gen(function*() {
      let builds = 0
      const messageQueue = Layer.unwrap(
        Effect.sync(() => builds++ === 1 ? Layer.effect(MessageQueue, failing) : MessageQueueSegment.layer)
      )
      const host = yield* hostOf(WorkerStack.layerInProcess({ messageQueue }))
      yield* host.attach(optionsOf({ worker: { backoffBase: 100 } }), new Actor().module)
      const worker = Effect.map(host.report, ({ apps }) => apps[0]!.workers[0]!)
      const { reason } = yield* Effect.flip(
        host.restartWorker((yield* worker).handle as never, { drain: false })
      )
      assert.deepInclude(reason, { _tag: "WorkerFailed", layer: "MessageQueue" })
      yield* settled
      const { lastFailure, state } = yield* worker
      assert.strictEqual(state, "BACKOFF")
      assert.strictEqual(lastFailure, "the MessageQueue layer of its stack failed: the quota is used up")
      yield* TestClock.adjust(100)
      yield* settled
      assert.strictEqual((yield* worker).state, "RUNNING")
      assert.strictEqual(builds, 3)
    }).pipe(Effect.scoped))

  it.effect("builds its layers anew for each start of each worker", () =>
    Effect.gen(function*() {
      const built: Array<string> = []
      const segmentManager = Layer.effect(
        SegmentManager,
        Effect.gen(function*() {
          const { info } = yield* WorkerPlan
          built.push(`${info.worker}.${info.restarts}`)
          return yield* SegmentManager
        })
      ).pipe(Layer.provide(SegmentManagerMemory.layer))
      const host = yield* hostOf(WorkerStack.layerInProcess({ segmentManager }))
      yield* host.attach(optionsOf({ workers: 2 }), new Actor().module)
      const { apps: [app] } = yield* host.report
      yield* host.restartWorker(app!.workers[1]!.handle as never, { drain: false })
      assert.deepStrictEqual(built, ["0.0", "1.0", "1.1"])
    }).pipe(Effect.scoped))

  it.effect("M2 every message in the queue of a worker went through Congestion, also of one that falls behind", () => {
    let written = 0
    const messageQueue = Layer.effect(
      MessageQueue,
      Effect.map(MessageQueue, (queue) => ({
        ...queue,
        takeWriter: () => {
          const writer = queue.takeWriter()
          const counted = (result: EnqueueResult) => {
            if (result === Enqueued) written++
            return result
          }
          return {
            io: (...event: Parameters<QueueWriter["io"]>) => counted(writer.io(...event)),
            control: (...message: Parameters<QueueWriter["control"]>) => counted(writer.control(...message))
          }
        }
      }))
    ).pipe(Layer.provide(MessageQueueSegment.layer))
    return Effect.gen(function*() {
      const host = yield* SessionLayer
      const { network, script, settled } = yield* HostScripted.HostScripted
      yield* host.attach(optionsOf({ queue: { ioRing: 2 } }), new Actor().module)
      const peers = Array.from({ length: 8 }, () => network.dial(endpoint))
      yield* settled
      script(0).block()
      for (const peer of peers) peer.send("words")
      yield* settled
      assert.isAbove((yield* host.report).ledger.messages.postponed, 0)
      script(0).release()
      yield* settled
      for (const peer of peers) peer.end()
      yield* settled
      const { ledger: { messages }, queues } = { ...yield* host.report, queues: yield* host.queues }
      assert.isAbove(messages.delivered, 24)
      // written by the one writing end, found in the queue, and sent through Congestion: all the same messages
      assert.deepStrictEqual([written, queues[0]!.toWorker.enqueued], [messages.delivered, messages.delivered])
    }).pipe(Effect.scoped, Effect.provide(HostScripted.layerStack({ messageQueue })))
  })

  it.effect("M1 refuses lock tries out of their range, 1 to 1000", () =>
    Effect.gen(function*() {
      for (const lockTries of [0, 1001, 1.5]) {
        const messageQueue = MessageQueueSegment.layerShared({ lockTries })
        const host = yield* hostOf(WorkerStack.layerInProcess({ messageQueue }))
        const { reason } = yield* Effect.flip(host.attach(optionsOf(), new Actor().module))
        assert.deepInclude(reason, { _tag: "WorkerFailed", layer: "MessageQueue" })
        assert.include(reason.message, "lockTries")
      }
      const messageQueue = MessageQueueSegment.layerShared({ lockTries: 1000 })
      const host = yield* hostOf(WorkerStack.layerInProcess({ messageQueue }))
      yield* host.attach(optionsOf(), new Actor().module)
    }).pipe(Effect.scoped))

  it("is refused by the compiler when a layer does not fit, in words that say why", () => {
    type Why<Layers> = WorkerStack.Fits<Layers>[keyof Layers]
    const early = Layer.effect(MessageQueue, Effect.andThen(Congestion, Effect.never))
    const own = Layer.effect(MessageQueue, MessageQueue)
    const texts: readonly [
      Why<{ readonly messageQueue: typeof early }>,
      Why<{ readonly messageQueue: typeof own }>,
      Why<{ readonly segmentManager: typeof MessageQueueSegment.layer }>,
      Why<{ readonly queue: typeof MessageQueueSegment.layer }> extends `there is no queue in the stack; ${string}` ?
        true
        : false
    ] = [
      "messageQueue uses Congestion, which is built after it",
      "messageQueue uses MessageQueue itself: give it the one that it wraps, with Layer.provide",
      "segmentManager must provide SegmentManager, and this layer does not",
      true
    ]
    assert.strictEqual(texts.length, 4)
    // @ts-expect-error: uses what is built after it
    WorkerStack.layer({ messageQueue: early })
    // @ts-expect-error: uses itself
    WorkerStack.layer({ messageQueue: own })
    // @ts-expect-error: provides something else
    WorkerStack.layer({ segmentManager: MessageQueueSegment.layer })
    // @ts-expect-error: is none of the stack's
    WorkerStack.layer({ queue: MessageQueueSegment.layer })
    // what it uses of the program is asked of the program
    const outside = Layer.effect(MessageQueue, Effect.andThen(Quota, Effect.never))
    const stack: Layer.Layer<WorkerStack.WorkerStack, never, Quota> = WorkerStack.layer({ messageQueue: outside })
    assert.isDefined(stack)
  })
})

class Quota extends Context.Service<Quota, { readonly bytes: number }>()("test/Quota") {}
