/**
 * The layers of one worker, from its memory up, each of which can be replaced:
 *
 * ```
 * AppWorker        runs the application
 * Congestion       the one way into the worker's queue
 * MessageQueue     the queues in the first segment       Doorbell  wakes their readers
 * SegmentManager   the memory
 * ```
 *
 * Building them starts the worker; closing their scope is the teardown, in reverse order. They are built anew for every
 * start of every worker, so nothing in them is shared unless it comes from outside.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Thrown from "../../domain/report/Thrown.ts"
import { type AppWorker, type StackLayer, WorkerExit } from "../../services/AppWorker.ts"
import type { HandOver } from "../../services/Attachment.ts"
import type { Congestion } from "../../services/Congestion.ts"
import type { Doorbell } from "../../services/Doorbell.ts"
import type { MessageQueue } from "../../services/MessageQueue.ts"
import type { SegmentManager } from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as AppWorkerInProcess from "./AppWorkerInProcess.ts"
import * as AppWorkerThread from "./AppWorkerThread.ts"
import * as CongestionQueue from "./CongestionQueue.ts"
import * as MessageQueueSegment from "./MessageQueueSegment.ts"
import * as SegmentManagerMemory from "./SegmentManagerMemory.ts"
import * as WorkerChannel from "./WorkerChannel.ts"

/**
 * What the host works with.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkerServices = SegmentManager | MessageQueue | Congestion | AppWorker | HandOver

/**
 * What the host says of a worker that is to start. The stack decides where it runs.
 *
 * @category models
 * @since 0.1.0
 */
export type StackPlan = Omit<WorkerPlan["Service"], "place">

/**
 * Starts workers for a host.
 *
 * @category services
 * @since 0.1.0
 */
export class WorkerStack extends Context.Service<WorkerStack, {
  /**
   * Builds the layers of a worker, which runs until the scope closes.
   *
   * **Errors** `WorkerExit` with reason `LayerFailed` and the name of the layer that failed, by an error or a defect.
   */
  readonly build: (plan: StackPlan) => Effect.Effect<Context.Context<WorkerServices>, WorkerExit, Scope.Scope>
}>()("sluice/layers/stack/WorkerStack") {}

// ---------------------------------------------------------------------------------------------------------------------
// What fits
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Layers that take the place of the default ones: by default `SegmentManagerMemory.layer`,
 * `WorkerChannel.layerDoorbell`, `MessageQueueSegment.layer`, `CongestionQueue.layer` and {@link layerAppWorker}.
 *
 * **Details** A layer may use what is below it in the stack, the worker's {@link WorkerPlan}, its channel, and services
 * of the program that it is part of. To wrap a default layer, provide that layer: a layer that uses `MessageQueue` and
 * provides `MessageQueue`, with `Layer.provide(MessageQueueSegment.layer)`. A layer may fail with any error.
 *
 * @category models
 * @since 0.1.0
 */
export type Replacements = { readonly [K in keyof Provided]?: Layer.Layer<any, any, any> }

interface Provided {
  readonly segmentManager: SegmentManager
  readonly doorbell: Doorbell
  readonly messageQueue: MessageQueue
  readonly congestion: Congestion
  readonly appWorker: AppWorker
}

/** What each layer must not use: itself, and what is built after it. */
interface Above {
  readonly segmentManager: SegmentManager | MessageQueue | Congestion | AppWorker
  readonly doorbell: SegmentManager | Doorbell | MessageQueue | Congestion | AppWorker
  readonly messageQueue: MessageQueue | Congestion | AppWorker
  readonly congestion: Congestion | AppWorker
  readonly appWorker: AppWorker
}

/** Everything that the stack has for its layers. */
type Inside = Provided[keyof Provided] | WorkerPlan | WorkerChannel.WorkerChannel | HandOver | Scope.Scope

type Name<Service> = Service extends { readonly key: `sluice/services/${infer Name}` } ? Name : never

/** Why a layer does not fit, as a text; `never` when it does. */
type Misfit<K extends keyof Provided, L> = [Provided[K]] extends [Provides<L>] ? Misuse<K, Extract<Uses<L>, Above[K]>>
  : `${K} must provide ${Name<Provided[K]>}, and this layer does not`

type Misuse<K extends keyof Provided, Wrong> = Wrong extends Provided[K]
  ? `${K} uses ${Name<Wrong>} itself: give it the one that it wraps, with Layer.provide`
  : `${K} uses ${Name<Wrong>}, which is built after it`

/**
 * The layers themselves where they fit, and where they don't, a text that says why not: the compiler shows it.
 *
 * @category models
 * @since 0.1.0
 */
export type Fits<Layers> = {
  readonly [K in keyof Layers]: K extends keyof Provided
    ? [Misfit<K, Layers[K]>] extends [never] ? Layers[K] : Misfit<K, Layers[K]>
    : `there is no ${K & string} in the stack; it has ${keyof Provided}`
}

type Provides<L> = L extends Layer.Layer<infer Out, infer _Error, infer _In> ? Out : never
type Uses<L> = L extends Layer.Layer<infer _Out, infer _Error, infer In> ? In : never

/**
 * What the layers use that is not in the stack: services of the program that the host is part of.
 *
 * @category models
 * @since 0.1.0
 */
export type Outside<Layers> = Exclude<Uses<Layers[keyof Layers]>, Inside>

// ---------------------------------------------------------------------------------------------------------------------
// Building
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Runs the application where the worker's plan says: on a thread, or on the host's own loop.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAppWorker = Layer.unwrap(
  Effect.map(WorkerPlan, ({ place }) => place === "thread" ? AppWorkerThread.layer : AppWorkerInProcess.layer)
)

/** The layer, with failures and defects that name it. */
const named = <Out, R>(name: StackLayer, layer: Layer.Layer<Out, unknown, R>): Layer.Layer<Out, WorkerExit, R> =>
  Layer.catchCause(layer, (cause) =>
    Layer.unwrap(
      Cause.hasInterrupts(cause) ? Effect.interrupt : Effect.fail(
        new WorkerExit({
          reason: "LayerFailed",
          layer: name,
          detail: `the ${name} layer of its stack failed: ${Thrown.sentenceOf(Cause.squash(cause))}`
        })
      )
    ))

/** Layers that fit. */
type Stack = { readonly [K in keyof Provided]?: Layer.Layer<Provided[K], any, any> }

const stackOf = (layers: Stack) =>
  named("AppWorker", layers.appWorker ?? layerAppWorker).pipe(
    Layer.provideMerge(named("Congestion", layers.congestion ?? CongestionQueue.layer)),
    Layer.provideMerge(named("MessageQueue", layers.messageQueue ?? MessageQueueSegment.layer)),
    Layer.provideMerge(named("SegmentManager", layers.segmentManager ?? SegmentManagerMemory.layer)),
    Layer.provideMerge(named("Doorbell", layers.doorbell ?? WorkerChannel.layerDoorbell)),
    Layer.provideMerge(WorkerChannel.layerHandOver),
    Layer.provideMerge(WorkerChannel.layer)
  )

const make = (
  layers: Stack,
  placeOf: (plan: StackPlan) => WorkerPlan["Service"]["place"]
): Layer.Layer<WorkerStack, never, any> =>
  Layer.effect(
    WorkerStack,
    Effect.map(Effect.context<never>(), (outside) => {
      const stack = stackOf(layers)
      return WorkerStack.of({
        build: (plan) => {
          const worker = Layer.provide(stack, Layer.succeed(WorkerPlan, { ...plan, place: placeOf(plan) }))
          return Effect.scope.pipe(
            // a memo map of its own: two workers must not share what the same layer has made for one of them
            Effect.flatMap((scope) => Layer.buildWithMemoMap(worker, Layer.makeMemoMapUnsafe(), scope)),
            Effect.updateContext((context: Context.Context<Scope.Scope>) => Context.merge(outside, context))
          )
        }
      })
    })
  )

/**
 * Workers of the kind that their application asks for, with these layers in the place of the default ones.
 *
 * **Details** Layers that don't fit are a type error, whose text says what is wrong. A layer that fails when a worker
 * starts fails that start: `WorkerFailed` names the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Layers extends Replacements>(
  layers: Layers & Fits<Layers>
): Layer.Layer<WorkerStack, never, Outside<Layers>> =>
  make(layers, ({ info, module }) => info.kind === "thread" && module._tag === "Url" ? "thread" : "in-process")

/**
 * The same, with all workers on the host's own loop, whatever their application asks for.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerInProcess = <const Layers extends Replacements>(
  layers: Layers & Fits<Layers>
): Layer.Layer<WorkerStack, never, Outside<Layers>> => layerInProcessUnsafe(layers)

/**
 * The same without checking whether the layers fit: for callers that have checked.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerInProcessUnsafe = (layers: Stack): Layer.Layer<WorkerStack, never, any> =>
  make(layers, () => "in-process")

/**
 * Workers of the kind that their application asks for, with the default layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDefault: Layer.Layer<WorkerStack> = layer({})
