/**
 * App workers on threads of their own (`node:worker_threads`).
 *
 * The thread is given the worker's first segment, a port for doorbells and segments, and the application's module. It
 * says once that it is ready, or why it is not; what becomes of it later is seen from outside.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type MessagePort, Worker } from "node:worker_threads"
import { AppWorker, WorkerExit } from "../../services/AppWorker.ts"
import type { PostedCertificate } from "../../services/Congestion.ts"
import * as AppModules from "../adapters/node/AppModules.ts"
import type * as WorkerLoop from "../worker/WorkerLoop.ts"
import type { HandedSockets } from "./HandOver.ts"

/** What the thread finds in `workerData`. */
export interface ThreadData {
  readonly start: WorkerLoop.WorkerStart
  readonly url: string
  readonly port: MessagePort
}

/** What goes over the port to a thread beside a message: a segment, a link, sockets, or certificates. */
export type HandedOver =
  | { readonly segment: number; readonly buffer: ArrayBufferLike; readonly hostBytes: number }
  | HandedSockets
  | { readonly certificates: ReadonlyArray<PostedCertificate> }
  | { readonly link: number; readonly inbox: SharedArrayBuffer; readonly bell: MessagePort | undefined }

/** What the thread says of its start. */
export const ThreadStatus = Schema.Union([
  Schema.TaggedStruct("Ready", {}),
  Schema.TaggedStruct("Failed", { reason: WorkerExit.fields.reason, detail: Schema.String })
])
export type ThreadStatus = typeof ThreadStatus.Type

const isThreadStatus = Schema.is(ThreadStatus)

export interface ThreadOptions {
  readonly start: WorkerLoop.WorkerStart
  readonly url: string
  /** The thread's end of the channel. */
  readonly port: MessagePort
  /** MiB of heap at most; `undefined`: the runtime's own bound. */
  readonly heapLimit: number | undefined
}

const bootstrap = new URL(`../../thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

const crashed = (error: unknown): WorkerExit =>
  AppModules.codeOf(error) === "ERR_WORKER_OUT_OF_MEMORY"
    ? new WorkerExit({ reason: "OutOfMemory", detail: "the worker ran out of memory" })
    : new WorkerExit({ reason: "Crashed", detail: `the worker crashed: ${AppModules.sentence(error)}` })

export const layer = (options: ThreadOptions): Layer.Layer<AppWorker> =>
  Layer.effect(
    AppWorker,
    Effect.gen(function*() {
      const ready = yield* Deferred.make<void, WorkerExit>()
      const exit = yield* Deferred.make<never, WorkerExit>()
      const gone = (error: WorkerExit): void => {
        Deferred.doneUnsafe(ready, Effect.fail(error))
        Deferred.doneUnsafe(exit, Effect.fail(error))
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const { heapLimit, port, start, url } = options
          const { app, worker } = start.info
          const thread = new Worker(bootstrap, {
            name: `${app}-${worker}`,
            workerData: { start, url, port } satisfies ThreadData,
            transferList: [port],
            execArgv: [],
            ...(heapLimit === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapLimit } })
          })
          thread.on("message", (status: unknown) => {
            // what else the application posts there is not for us
            if (!isThreadStatus(status)) return
            if (status._tag === "Ready") Deferred.doneUnsafe(ready, Effect.void)
            else gone(new WorkerExit({ reason: status.reason, detail: status.detail }))
          })
          thread.on("error", (error) => gone(crashed(error)))
          thread.on("exit", (code) =>
            gone(new WorkerExit({ reason: "Exited", detail: `the worker's thread exited with code ${code}` })))
          return thread
        }),
        (thread) =>
          Effect.promise(() => thread.terminate())
      )
      return AppWorker.of({ ready: Deferred.await(ready), exit: Deferred.await(exit) })
    })
  )
