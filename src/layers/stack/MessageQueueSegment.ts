/**
 * A worker's queues, in the first segment of its memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Inbox from "../../domain/memory/Inbox.ts"
import { QueueConsumer } from "../../domain/memory/QueueConsumer.ts"
import type * as Mq from "../../domain/memory/QueueMemory.ts"
import { QueueProducer, type QueueWriter } from "../../domain/memory/QueueProducer.ts"
import type { DoorbellShape } from "../../services/Doorbell.ts"
import { Doorbell } from "../../services/Doorbell.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"

/** The host's ends. Closing the layer closes both queues: whoever enqueues later is told so. */
export const layer = (geometry: Mq.Geometry): Layer.Layer<MessageQueue, never, SegmentManager | Doorbell> =>
  Layer.effect(
    MessageQueue,
    Effect.gen(function*() {
      const { queues } = yield* SegmentManager
      const doorbell = yield* Doorbell
      const toWorker = new QueueProducer(queues.toWorker, geometry, doorbell.ring)
      const toHost = new QueueConsumer(queues.toHost, geometry)
      let writer: QueueWriter | undefined = toWorker
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          toWorker.close()
          toHost.close()
        })
      )
      return MessageQueue.of({
        geometry,
        toWorker,
        takeWriter: () => {
          if (writer === undefined) {
            throw new Error("what writes to the worker's queue has been taken: it has one owner")
          }
          const taken = writer
          writer = undefined
          return taken
        },
        toHost,
        inbox: new SharedArrayBuffer(Inbox.INBOX_BYTES),
        doorbell
      })
    })
  )

/** The worker's ends. */
export const workerEnds = (
  queues: { readonly toWorker: Mq.QueueMemory; readonly toHost: Mq.QueueMemory },
  geometry: Mq.Geometry,
  doorbell: DoorbellShape
): { readonly inbound: QueueConsumer; readonly outbound: QueueProducer } => ({
  inbound: new QueueConsumer(queues.toWorker, geometry),
  outbound: new QueueProducer(queues.toHost, geometry, doorbell.ring)
})
