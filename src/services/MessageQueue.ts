/**
 * The two queues of a worker, as the host holds them: the one it fills and the one it empties.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as MessageQueue_ from "../domain/memory/QueueMemory.ts"
import type { DoorbellShape } from "./Doorbell.ts"

/**
 * @category services
 * @since 0.1.0
 */
export class MessageQueue extends Context.Service<MessageQueue, {
  readonly geometry: MessageQueue_.Geometry
  /** Messages to the worker. Only `Congestion` writes to it (M2). */
  readonly toWorker: MessageQueue_.QueueProducer
  readonly toHost: MessageQueue_.QueueConsumer
  /** Where other workers say that a cut-through session has something to look at; theirs to write, the worker's to read. */
  readonly inbox: SharedArrayBuffer
  /** The host's side of the doorbell. */
  readonly doorbell: DoorbellShape
}>()("sluice/services/MessageQueue") {}
