/**
 * App workers on threads of their own (`node:worker_threads`).
 *
 * The thread is given the worker's first segment, a port (see `WorkerPort`), and the application's module. It says once
 * that it is ready, or why it is not; what becomes of the thread later is seen from outside.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Url from "node:url"
import { Worker } from "node:worker_threads"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import { AppWorker, WorkerExit } from "../../services/AppWorker.ts"
import type { MessageQueue } from "../../services/MessageQueue.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import type { SegmentManager } from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as LogStyle from "../log/LogStyle.ts"
import * as TlsStart from "../transport/TlsStart.ts"
import { ThreadMeter } from "./ThreadMeter.ts"
import { isThreadStatus } from "./ThreadStatus.ts"
import { WorkerChannel } from "./WorkerChannel.ts"
import type { ThreadData } from "./WorkerPort.ts"
import * as WorkerStart from "./WorkerStart.ts"

/**
 * The module that each worker's thread begins with: `sluice/thread`.
 *
 * **When to use** In a host that a bundler has put into one file with this package: the bundler makes a file of
 * `sluice/thread`, too, and the host says where that is.
 *
 * @category references
 * @since 0.1.0
 */
export const ThreadModule = Context.Reference<URL>("sluice/ThreadModule", {
  defaultValue: () => new URL(`../../thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)
})

/** The main module of this process. */
const mainUrl = process.argv[1] === undefined ? undefined : Url.pathToFileURL(process.argv[1]).href

const crashed = (error: unknown, heapLimitMiB: number | undefined): WorkerExit => {
  if (SystemError.codeOf(error) === "ERR_WORKER_OUT_OF_MEMORY") {
    const limit = heapLimitMiB === undefined ? "" : `: its heap may grow to ${heapLimitMiB} MiB (heapLimitMiB)`
    return new WorkerExit({ reason: "OutOfMemory", detail: `the worker ran out of memory${limit}` })
  }
  return WorkerExit.of("Crashed", "the worker crashed", Thrown.of(error))
}

/** Milliseconds within which a thread ends, unless it is in native code. */
const ENDS_WITHIN = 1000

/** Ends the thread. One that is in native code does not end before that has: it is waited for by nobody. */
const ending = (thread: Worker, lingers: WorkerPlan["Service"]["lingers"]): Effect.Effect<void> =>
  Effect.suspend(() => {
    const ended = thread.terminate()
    return Effect.promise(() => ended).pipe(
      Effect.timeoutOrElse({
        duration: ENDS_WITHIN,
        orElse: () =>
          Effect.sync(() => {
            thread.unref()
            lingers?.(ended)
          })
      }),
      Effect.asVoid
    )
  })

/**
 * Runs the worker of a plan on a thread of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<AppWorker, WorkerExit, WorkerPlan | WorkerChannel | SegmentManager | MessageQueue> =
  Layer.effect(
    AppWorker,
    Effect.gen(function*() {
      const { app: options, info: { app, worker }, lingers, loaded, module } = yield* WorkerPlan
      const { heapLimitMiB, maxHeap } = options.worker
      const { ticketKeys: tickets } = TlsStart.resumptionOf(options)
      const { worker: side } = yield* WorkerChannel
      const start = yield* WorkerStart.make
      const bootstrap = yield* ThreadModule
      const log = { style: yield* LogStyle.Current, level: yield* References.MinimumLogLevel }
      if (module._tag !== "Url" || side.place !== "thread") {
        const detail = "a thread needs the URL of a module, and a channel that leads to it"
        return yield* new WorkerExit({ reason: "LayerFailed", detail, layer: "AppWorker" })
      }
      const { url } = module
      const { port } = side
      const ready = yield* Deferred.make<void, WorkerExit>()
      const exit = yield* Deferred.make<never, WorkerExit>()
      /** Where the application called `process.exit`. */
      let leaving: string | undefined
      const gone = (error: WorkerExit): void => {
        Deferred.doneUnsafe(ready, Effect.fail(error))
        Deferred.doneUnsafe(exit, Effect.fail(error))
      }
      const now = yield* MonotonicTime.reader
      const { meter } = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const thread = new Worker(bootstrap, {
            name: `${app}-${worker}`,
            // a program that runs this host in its main module, and its workers in the same one, asks which of the two it is
            workerData: {
              start,
              url,
              isMain: url !== mainUrl,
              tellsLoaded: loaded !== undefined,
              tellsHeap: maxHeap !== undefined,
              tickets,
              port,
              log
            } satisfies ThreadData,
            transferList: [port],
            ...(heapLimitMiB === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapLimitMiB } })
          })
          const meter = new ThreadMeter(thread, now, heapLimitMiB)
          thread.on("message", (status: unknown) => {
            if (!isThreadStatus(status)) return
            switch (status._tag) {
              case "Ready":
                return void Deferred.doneUnsafe(ready, Effect.void)
              case "Runs":
                meter.task = status.task
                return
              case "Loaded":
                return loaded?.(status.url)
              case "Collected":
                return meter.collected(status.heapUsed)
              case "Leaving":
                leaving = status.trace
                return
              case "Failed": {
                const { _tag, ...exit } = status
                gone(new WorkerExit(exit))
              }
            }
          })
          thread.on("error", (error) => gone(crashed(error, heapLimitMiB)))
          thread.on(
            "exit",
            (code) => gone(WorkerExit.of("Exited", `the worker's thread exited with code ${code}`, { stack: leaving }))
          )
          return { thread, meter }
        }),
        ({ thread }) => ending(thread, lingers)
      )
      return AppWorker.of({ ready: Deferred.await(ready), exit: Deferred.await(exit), meter })
    })
  )
