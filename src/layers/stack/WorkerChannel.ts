/**
 * What joins the host to one worker, apart from the memory they share: a doorbell in either direction, and a way to
 * hand attachments over. A message channel for a thread; latches and a shelf for a worker on the host's loop.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MessageChannel, type MessagePort } from "node:worker_threads"
import { HandOver } from "../../services/Attachment.ts"
import { Doorbell, type DoorbellShape } from "../../services/Doorbell.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as Bells from "./Bells.ts"
import { HandOverInProcess, HandOverPort } from "./HandOver.ts"

/**
 * The worker's side of the channel.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkerSide =
  | {
    readonly place: "thread"
    /** The port that goes to the thread; see `WorkerPort` for what is posted over it. */
    readonly port: MessagePort
  }
  | {
    readonly place: "in-process"
    readonly doorbell: DoorbellShape
    readonly handedOver: HandOverInProcess
  }

/**
 * @category services
 * @since 0.1.0
 */
export class WorkerChannel extends Context.Service<WorkerChannel, {
  /** The host's side of the doorbell. */
  readonly doorbell: DoorbellShape
  readonly handOver: HandOver["Service"]
  readonly worker: WorkerSide
}>()("sluice/layers/stack/WorkerChannel") {}

const thread = Effect.gen(function*() {
  const { port1, port2 } = new MessageChannel()
  const handOver = new HandOverPort(port1)
  // the thread's exit is seen by its worker's layer
  yield* Effect.addFinalizer(() => Effect.sync(() => handOver.close()))
  return WorkerChannel.of({
    doorbell: Bells.ofPort(port1),
    handOver,
    worker: { place: "thread", port: port2 }
  })
})

const inProcess = Effect.gen(function*() {
  const [host, worker] = Bells.pairUnsafe()
  const handOver = new HandOverInProcess()
  yield* Effect.addFinalizer(() => Effect.sync(() => handOver.close()))
  return WorkerChannel.of({
    doorbell: host,
    handOver,
    worker: { place: "in-process", doorbell: worker, handedOver: handOver }
  })
})

/**
 * The channel to a worker, by where the worker's plan says that it runs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<WorkerChannel, never, WorkerPlan> = Layer.effect(
  WorkerChannel,
  Effect.flatMap(WorkerPlan, ({ place }) => place === "thread" ? thread : inProcess)
)

/**
 * The host's side of the channel's doorbell.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDoorbell: Layer.Layer<Doorbell, never, WorkerChannel> = Layer.effect(
  Doorbell,
  Effect.map(WorkerChannel, ({ doorbell }) => doorbell)
)

/**
 * The channel's way to hand attachments over.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHandOver: Layer.Layer<HandOver, never, WorkerChannel> = Layer.effect(
  HandOver,
  Effect.map(WorkerChannel, ({ handOver }) => handOver)
)
