/**
 * A worker's queues, in the first segment of its memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Inbox from "../../domain/memory/Inbox.ts"
import { QueueConsumer } from "../../domain/memory/QueueConsumer.ts"
import type { Geometry, QueueMemory } from "../../domain/memory/QueueMemory.ts"
import { type QueueOutlet, QueueProducer, type QueueWriter } from "../../domain/memory/QueueProducer.ts"
import { LOCK_TRIES, QueueProducerShared } from "../../domain/memory/QueueProducerShared.ts"
import { WorkerExit } from "../../services/AppWorker.ts"
import { Doorbell } from "../../services/Doorbell.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"

/**
 * Makes the host's end of the queue to the worker.
 *
 * @category models
 * @since 0.1.0
 */
export type MakeProducer = (memory: QueueMemory, geometry: Geometry, ring: () => void) => QueueWriter & QueueOutlet

/** The host is the only producer. */
const single: MakeProducer = (memory, geometry, ring) => new QueueProducer(memory, geometry, ring)

/**
 * The host is one of several producers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shared =
  ({ id = 1, lockTries: tries = LOCK_TRIES }: SharedOptions = {}): MakeProducer => (memory, geometry, ring) =>
    new QueueProducerShared(memory, geometry, ring, { id, tries })

/** Gives the writing end away, once. */
const once = (writer: QueueWriter): () => QueueWriter => {
  let taken = false
  return () => {
    if (taken) throw new Error("the writing end of the worker's queue has been taken: it has one owner")
    taken = true
    return writer
  }
}

/**
 * The host's ends of queues with this geometry. Closing the layer closes both queues: a later enqueue is told so.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFrom = (
  geometry: Geometry,
  produce: MakeProducer = single
): Layer.Layer<MessageQueue, never, SegmentManager | Doorbell> =>
  Layer.effect(
    MessageQueue,
    Effect.gen(function*() {
      const { queues } = yield* SegmentManager
      const doorbell = yield* Doorbell
      const toWorker = produce(queues.toWorker, geometry, doorbell.ring)
      const toHost = new QueueConsumer(queues.toHost, geometry)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          toWorker.close()
          toHost.close()
        })
      )
      return MessageQueue.of({
        geometry,
        toWorker,
        takeWriter: once(toWorker),
        toHost,
        inbox: new SharedArrayBuffer(Inbox.INBOX_BYTES),
        doorbell
      })
    })
  )

const planned = (produce: MakeProducer) =>
  Layer.unwrap(
    Effect.map(WorkerPlan, ({ app: { queue: { controlRing, indexQueue, ioRing } } }) =>
      layerFrom({ indexQueue, ioRing, controlRing }, produce))
  )

/**
 * The host's ends of queues as large as the application's options say. The host is the only producer of the queue to
 * the worker, so no lock is taken.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<MessageQueue, never, SegmentManager | Doorbell | WorkerPlan> = planned(single)

/**
 * How the host takes the lock of a queue that has other producers too (M1).
 *
 * @category models
 * @since 0.1.0
 */
export const SharedOptions = Schema.Struct({
  /** Which of the producers the host is: 1 to 2^31 - 1, and no other producer's. Default: 1. */
  id: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 31 - 1 }))),
  /**
   * How often a lock that is held is tried, about 1 us apart, 1 to 1000. Default: 5. When all tries have failed, the
   * message is postponed like one that did not fit.
   */
  lockTries: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })))
})
export type SharedOptions = typeof SharedOptions.Type

/**
 * The same for a queue to the worker that has several producers: the host is one of them, and takes the lock for every
 * message. The others are `QueueProducerShared`s over the same memory, `queues.toWorker` of the `SegmentManager`.
 *
 * **Errors** Options out of their ranges fail the layer, and with it the worker's start.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = (
  options: SharedOptions = {}
): Layer.Layer<MessageQueue, WorkerExit, SegmentManager | Doorbell | WorkerPlan> =>
  Schema.decodeEffect(SharedOptions)(options).pipe(
    Effect.map((decoded) => planned(shared(decoded))),
    Effect.mapError(({ message }) =>
      new WorkerExit({ reason: "LayerFailed", detail: message.replaceAll(/\s*\n\s*/g, " "), layer: "MessageQueue" })
    ),
    Layer.unwrap
  )
