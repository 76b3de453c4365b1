/**
 * The two queues of a worker, as the host holds them: the one it fills and the one it empties.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { QueueConsumer } from "../domain/memory/QueueConsumer.ts"
import type { Geometry } from "../domain/memory/QueueMemory.ts"
import type { QueueOutlet, QueueWriter } from "../domain/memory/QueueProducer.ts"
import type { DoorbellShape } from "./Doorbell.ts"

/**
 * @category services
 * @since 0.1.0
 */
export class MessageQueue extends Context.Service<MessageQueue, {
  readonly geometry: Geometry
  /** The queue to the worker: how full it is, and when it shows what was written. Its writer is apart from it. */
  readonly toWorker: QueueOutlet
  /**
   * Takes the writer of the worker's queue. It can be taken once: `Congestion` takes it when it is built, and is the
   * only way to the worker from then on (M2). Throws when the writer has been taken already.
   */
  readonly takeWriter: () => QueueWriter
  readonly toHost: QueueConsumer
  /** Where other workers say that a cut-through session has something to look at; they write it, the worker reads. */
  readonly inbox: SharedArrayBuffer
  /** The host's side of the doorbell. */
  readonly doorbell: DoorbellShape
}>()("sluice/services/MessageQueue") {}
