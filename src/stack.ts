/**
 * The stack of layers that a host starts a worker from, for programs that replace or wrap some of them. What each layer
 * promises, and how to replace or wrap one, is in `docs/layers.md`.
 *
 * - `WorkerStack.layer` takes the layers; `Host.layerStack` of `sluice` takes the stack.
 * - `SegmentManager`, `MessageQueue`, `Congestion`, `AppWorker` and `Doorbell` are the services of the stack, and
 *   `SegmentManagerMemory`, `MessageQueueSegment`, `CongestionQueue`, `AppWorkerThread`, `AppWorkerInProcess` and
 *   `WorkerChannel` are the layers that provide these services unless they are replaced.
 * - `WorkerPlan` and `Attachment.HandOver` are what these layers find in the stack besides each other.
 *
 * @since 0.1.0
 */
export * as QueueConsumer from "./domain/memory/QueueConsumer.ts"
export * as QueueMemory from "./domain/memory/QueueMemory.ts"
export * as QueueProducer from "./domain/memory/QueueProducer.ts"
export * as QueueProducerShared from "./domain/memory/QueueProducerShared.ts"
export * as AppWorkerInProcess from "./layers/stack/AppWorkerInProcess.ts"
export * as AppWorkerThread from "./layers/stack/AppWorkerThread.ts"
export * as Bells from "./layers/stack/Bells.ts"
export * as CongestionQueue from "./layers/stack/CongestionQueue.ts"
export * as MessageQueueSegment from "./layers/stack/MessageQueueSegment.ts"
export * as SegmentManagerMemory from "./layers/stack/SegmentManagerMemory.ts"
export * as WorkerChannel from "./layers/stack/WorkerChannel.ts"
export * as WorkerStack from "./layers/stack/WorkerStack.ts"
export * as AppWorker from "./services/AppWorker.ts"
export * as Attachment from "./services/Attachment.ts"
export * as Congestion from "./services/Congestion.ts"
export * as Doorbell from "./services/Doorbell.ts"
export * as MessageQueue from "./services/MessageQueue.ts"
export * as SegmentManager from "./services/SegmentManager.ts"
export * as WorkerPlan from "./services/WorkerPlan.ts"
