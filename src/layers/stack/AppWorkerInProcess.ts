/**
 * App workers on the host's own loop: the same module and the same client as on a thread, joined by latches.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Notice from "../../domain/report/Notice.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import { type AppModule, AppWorker, WorkerExit } from "../../services/AppWorker.ts"
import type { Link } from "../../services/Attachment.ts"
import type { MessageQueue } from "../../services/MessageQueue.ts"
import type { SegmentManager } from "../../services/SegmentManager.ts"
import { Sessions } from "../../services/Sessions.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as AppModules from "../adapters/node/AppModules.ts"
import { NoticeLog } from "../log/NoticeLog.ts"
import * as SessionsService from "../worker/SessionsService.ts"
import type * as WorkerPlace from "../worker/WorkerPlace.ts"
import { WorkerTls } from "../worker/WorkerTls.ts"
import * as AppFailure from "./AppFailure.ts"
import * as Bells from "./Bells.ts"
import { WorkerChannel } from "./WorkerChannel.ts"
import * as WorkerStart from "./WorkerStart.ts"

/**
 * What a worker on the host's loop is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface InProcessOptions {
  readonly start: WorkerPlace.WorkerStart
  readonly module: AppModule
  readonly place:
    & Pick<
      WorkerPlace.WorkerPlace,
      "doorbell" | "receive" | "pace" | "looks" | "receiveCertificates" | "receiveSocket" | "returnSocket"
    >
    & {
      /** A link that the host has handed over. */
      readonly link: (number: number) => Pick<Link, "inbox" | "bell"> | undefined
    }
  /** Makes what the application is given in place of the session client, where that is not the client itself. */
  readonly between?: (sessions: Sessions["Service"]) => Sessions["Service"]
}

const crashed = (cause: Cause.Cause<unknown>): WorkerExit => {
  const error = Cause.squash(cause)
  return error instanceof WorkerExit
    ? error
    : AppFailure.exitOf(cause)
}

/**
 * Runs the worker.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFrom = (options: InProcessOptions): Layer.Layer<AppWorker> =>
  Layer.effect(
    AppWorker,
    Effect.gen(function*() {
      const ready = yield* Deferred.make<void, WorkerExit>()
      const exit = yield* Deferred.make<never, WorkerExit>()
      const stop = yield* Deferred.make<void, WorkerExit>()
      const notices = yield* NoticeLog.make
      let detach = (): void => {}

      const app = Effect.gen(function*() {
        const { link, ...place } = options.place
        const listening = yield* FiberSet.makeRuntime<never, never, never>()
        const receiveLink = (number: number, wake: () => void): WorkerPlace.ReceivedLink | undefined => {
          const handed = link(number)
          if (handed === undefined) return undefined
          const bell = Bells.ofLink(handed.bell)
          const fiber = listening(Effect.scoped(Effect.andThen(bell.listen(wake), Effect.never)))
          return { inbox: handed.inbox, ring: bell.ring, close: () => fiber.interruptUnsafe() }
        }
        const { loop, sessions } = yield* SessionsService.make(options.start, {
          ...place,
          receiveLink,
          tls: options.start.tls && new WorkerTls(options.start.tls),
          spin: 0,
          stop: () => void Deferred.doneUnsafe(stop, Effect.void),
          report: (error) => notices.tell(Notice.handlerThrew(options.start.info, Thrown.of(error))),
          // at once: the application may take its time to end
          fault: (detail) => void Deferred.doneUnsafe(exit, Exit.fail(new WorkerExit({ reason: "Crashed", detail })))
        })
        detach = () => loop.detach()
        loop.wake()
        const app = yield* AppModules.load(options.module)
        yield* Layer.build(Layer.provide(app, Layer.succeed(Sessions, options.between?.(sessions) ?? sessions)))
        yield* Deferred.succeed(ready, undefined)
        yield* Deferred.await(stop)
      }).pipe(
        Effect.scoped,
        Effect.matchCause({
          onFailure: crashed,
          onSuccess: () => new WorkerExit({ reason: "Exited", detail: "the worker has stopped" })
        }),
        Effect.flatMap((error) => Effect.andThen(Deferred.fail(ready, error), Deferred.fail(exit, error)))
      )
      // what an application logs through Effect carries its worker
      yield* Effect.forkScoped(
        Effect.annotateLogs(app, { app: options.start.info.app, worker: options.start.info.worker })
      )
      // before the application ends: the host, which has given this worker up, would not answer what it still asks
      yield* Effect.addFinalizer(() => Effect.sync(() => detach()))
      return AppWorker.of({ ready: Deferred.await(ready), exit: Deferred.await(exit) })
    })
  )

/**
 * Runs the worker of a plan by `run`, which is given what the worker is made of.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (
  run: (options: InProcessOptions) => Layer.Layer<AppWorker>
): Layer.Layer<AppWorker, WorkerExit, WorkerPlan | WorkerChannel | SegmentManager | MessageQueue> =>
  Layer.unwrap(Effect.gen(function*() {
    const { module } = yield* WorkerPlan
    const { worker } = yield* WorkerChannel
    const start = yield* WorkerStart.make
    if (worker.place !== "in-process") {
      return yield* new WorkerExit({
        reason: "LayerFailed",
        detail: "its channel leads to a thread",
        layer: "AppWorker"
      })
    }
    const { doorbell, handedOver } = worker
    return run({
      start,
      module,
      place: {
        doorbell,
        receive: handedOver.segment,
        link: handedOver.link,
        receiveCertificates: handedOver.certificates,
        receiveSocket: (session) => handedOver.socket(session)?.take(),
        returnSocket: handedOver.giveBack
      }
    })
  }))

/**
 * Runs the worker of a plan on the host's own loop.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = layerWith(layerFrom)
