/**
 * A running app worker: the application's module on a thread or on the host's loop.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Whereabouts } from "../domain/report/Whereabouts.ts"
import type { ExitReason } from "../domain/state/WorkerEnd.ts"
import type { Sessions } from "./Sessions.ts"

/**
 * What runs in every worker of an application: a module that exports one Effect layer as its default, by URL, or, for
 * in-process workers only, the layer itself.
 *
 * @category models
 * @since 0.1.0
 */
export type AppModule =
  | { readonly _tag: "Url"; readonly url: string }
  | { readonly _tag: "Layer"; readonly layer: Layer.Layer<never, unknown, Sessions> }

/**
 * The application is a module, given by its URL: it runs in workers of either kind.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromUrl = (url: URL | string): AppModule => ({ _tag: "Url", url: String(url) })

/**
 * The application is a layer of this program: it runs in in-process workers only.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromLayer = (layer: Layer.Layer<never, unknown, Sessions>): AppModule => ({ _tag: "Layer", layer })

/**
 * The layers of a worker's stack that can be replaced, each named by the service that it provides.
 *
 * @category constants
 * @since 0.1.0
 */
export const StackLayers = ["SegmentManager", "Doorbell", "MessageQueue", "Congestion", "AppWorker"] as const

/**
 * One of {@link StackLayers}.
 *
 * @category models
 * @since 0.1.0
 */
export type StackLayer = typeof StackLayers[number]

/**
 * Why a worker is gone, or has never run.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerExit extends Data.TaggedError("WorkerExit")<{
  readonly reason: ExitReason
  readonly detail: string
  /** Where the application failed: a stack with many lines, bounded, and written by whoever wrote the application. */
  readonly trace?: string
  /** With `LayerFailed`: which layer of the worker's stack could not be built. */
  readonly layer?: StackLayer
}> {
  override get message(): string {
    return this.detail
  }

  /** The end of a worker by something that was thrown, as `Thrown` tells it. */
  static of(
    reason: WorkerExit["reason"],
    what: string,
    { sentence, stack }: { readonly sentence?: string; readonly stack: string | undefined }
  ): WorkerExit {
    return new WorkerExit({
      reason,
      detail: sentence === undefined ? what : `${what}: ${sentence}`,
      ...(stack === undefined ? {} : { trace: stack })
    })
  }
}

/**
 * What a worker's thread uses.
 *
 * @category models
 * @since 0.1.0
 */
export interface ThreadUse {
  /** For how long its loop was busy, and for how long it waited, since it began. */
  readonly activeMillis: number
  readonly idleMillis: number
  /** Which part of the time it was busy between the last two looks: from 0 to 1. */
  readonly utilization: number
  /** Processor time of the thread, in the program and in the system. */
  readonly cpuUserMillis: number
  readonly cpuSystemMillis: number
  /** Bytes of its heap that are in use, and that it may have: `heapLimitMiB`, or less where V8 is told to allow less. */
  readonly heapUsed: number
  readonly heapLimit: number
  /** How old the last four are. */
  readonly ageMillis: number
}

/**
 * Reads what a worker's thread uses, without its help.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerMeter {
  /** Asks for what takes a while to know; to be called at intervals. */
  look(): void
  /** What is known; `undefined` while nothing is. */
  readonly use: ThreadUse | undefined
  /**
   * The bytes of its heap in use that would be left if it were collected now, as the collections before say; `undefined`
   * while nothing is known, and where `maxHeap` is not set.
   */
  readonly heapRetained: number | undefined
  /**
   * For how many milliseconds, since it began, the thread had nothing to do, or was ready to run and got no processor. On
   * other systems than Linux, the latter is not known and not part of it.
   */
  readonly away: number
  /** Where the thread's JavaScript is: it is stopped for a moment to see that. */
  readonly locate: Effect.Effect<Whereabouts>
}

/**
 * @category services
 * @since 0.1.0
 */
export class AppWorker extends Context.Service<AppWorker, {
  /** Completes when the application's layer is built. */
  readonly ready: Effect.Effect<void, WorkerExit>
  /** Fails when the worker is gone, whether it was asked to stop or not. */
  readonly exit: Effect.Effect<never, WorkerExit>
  /** What its thread uses; absent for a worker that has no thread of its own. */
  readonly meter?: WorkerMeter | undefined
}>()("sluice/services/AppWorker") {}
