/**
 * The session layer of a host: applications, their workers, their listeners and sessions.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { EventFilter } from "../domain/events/EventFilter.ts"
import type { ToldEvent } from "../domain/events/HostEvent.ts"
import type { AppOptionsInput } from "../domain/options/AppOptions.ts"
import { MOST_WORKERS } from "../domain/options/WorkerCount.ts"
import type { Overview } from "../domain/overview/Overview.ts"
import type { Readiness } from "../domain/report/Readiness.ts"
import type * as Report from "../domain/report/Report.ts"
import type {
  AppHandle,
  AppIndex,
  ListenerHandle,
  SessionHandle,
  WorkerHandle,
  WorkerIndex,
  WorkerMapIndex
} from "../domain/state/Handle.ts"
import type { AppModule } from "./AppWorker.ts"
import type {
  AttachFailed,
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  ReloadFailed,
  WorkerOperationFailed
} from "./SessionLayerErrors.ts"
import type { WorkerInfo } from "./Sessions.ts"

export {
  AlreadyAttached,
  AttachFailed,
  DefaultWorker,
  Draining,
  InvalidValue,
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  NoSuchWorker,
  NotListening,
  ReloadFailed,
  Reloading,
  RunsInProcess,
  TooFewWorkers,
  TooManyWorkers,
  UnsupportedConfig,
  WorkerFailed,
  WorkerOperationFailed
} from "./SessionLayerErrors.ts"

/**
 * The most workers that an application may have.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_WORKERS = MOST_WORKERS

/**
 * A running worker (W11).
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker {
  readonly handle: WorkerHandle
  readonly index: WorkerIndex
  /** The worker's number within its application. */
  readonly mapIndex: WorkerMapIndex
  readonly kind: WorkerInfo["kind"]
  /** Bytes of its first segment, and of the event queue in it. */
  readonly firstSegmentBytes: number
  readonly eventQueueBytes: number
}

/**
 * An attached application.
 *
 * @category models
 * @since 0.1.0
 */
export interface Application {
  readonly handle: AppHandle
  readonly index: AppIndex
  readonly name: string
  /** Completes when the application has been detached, whoever asked for that, and nothing is left of it. */
  readonly gone: Effect.Effect<void>
  /** Bytes of the default worker's first segment, and of the event queue in it. */
  readonly firstSegmentBytes: number
  readonly eventQueueBytes: number
}

/**
 * An application that was reloaded (X2).
 *
 * @category models
 * @since 0.1.0
 */
export interface Reloaded {
  /** How many workers were replaced. */
  readonly workers: number
  /** The time that it took until all of them served. */
  readonly millis: number
}

/**
 * What an application has besides its options.
 *
 * @category models
 * @since 0.1.0
 */
export interface AttachExtras {
  /**
   * What the application shows of itself: the rows of a table, as of a `MonotonicTime` in whole milliseconds. It is
   * called whenever somebody looks, so it should be cheap; what it says of workers comes from memory shared with them.
   */
  readonly status?: ((now: number) => Report.Status) | undefined
  /**
   * Endpoint URIs to serve when the options name none; empty by default. A program that listens by itself on a worker's
   * thread keeps to the endpoints that it names.
   */
  readonly listen?: ReadonlyArray<string> | undefined
  /**
   * Called with the URL of each file that a worker's thread loads as a module, apart from those in `node_modules`, and
   * before the file is read: whoever watches these files knows when to reload.
   */
  readonly loaded?: ((url: string) => void) | undefined
}

/**
 * Which events a reader wants.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventsWanted {
  /** The serial number of the last event that the reader has had; by default it begins with the oldest that is kept. */
  readonly after?: number | undefined
  readonly filter?: EventFilter | undefined
  /** Whether the stream goes on with what comes, which is the default, or ends with what is there. */
  readonly follow?: boolean | undefined
}

/**
 * @category services
 * @since 0.1.0
 */
export class SessionLayer extends Context.Service<SessionLayer, {
  /**
   * Attaches an application and starts its workers; it is detached when the scope closes. Succeeds when every worker
   * runs. A failed attach leaves nothing behind (W3).
   *
   * `options` is decoded with `Options.decodeApp`.
   */
  readonly attach: (
    options: AppOptionsInput,
    module: AppModule,
    extras?: AttachExtras
  ) => Effect.Effect<Application, AttachFailed, Scope.Scope>
  /** Looks an application up by name, by client, or by index (W2). */
  readonly find: (wanted: string | { readonly client: string } | AppIndex) => Effect.Effect<Application, NoSuchApp>
  /**
   * Detaches an application before the scope of its attach closes; succeeds when nothing is left of it (W13). `drain`: its
   * workers get nothing new, and have their drain timeout to finish what they have; false.
   */
  readonly detach: (
    app: AppHandle,
    options?: { readonly drain?: boolean | undefined }
  ) => Effect.Effect<void, NoSuchApp>
  /**
   * Starts one more worker of the application, on a thread or in-process, whatever the others are (W11). The worker
   * takes the lowest free number and listens where its module says, so it joins the application's listeners.
   */
  readonly addWorker: (
    app: AppHandle,
    options?: { readonly kind?: WorkerInfo["kind"] | undefined }
  ) => Effect.Effect<Worker, WorkerOperationFailed>
  /**
   * Deletes a worker: by default after it has finished its sessions, or once the application's drain timeout is over.
   * The default worker goes last, and the application with it (W11).
   */
  readonly deleteWorker: (
    worker: WorkerHandle,
    options?: { readonly drain?: boolean | undefined }
  ) => Effect.Effect<void, WorkerOperationFailed>
  /**
   * Starts a worker again. By default its next start comes up beside it and takes its place; then the sessions that it
   * has parked move on, and the others may finish until the application's drain timeout is over (X2). Succeeds when the
   * new start serves; when it does not come up, nothing has changed.
   *
   * **Details** A worker that runs in-process, whose modules Node loads only once, finishes its sessions first. With
   * `drain: false` a worker is ended at once. Until such a worker runs again, other workers serve its listeners; where
   * there is no other, connections are held.
   */
  readonly restartWorker: (
    worker: WorkerHandle,
    options?: { readonly drain?: boolean | undefined }
  ) => Effect.Effect<void, WorkerOperationFailed>
  /**
   * Replaces all workers of an application by new starts, whose threads load its modules anew (X2). Each new start comes
   * up beside the worker whose place it takes: then the worker's parked sessions move on, and the others may finish
   * until the application's drain timeout is over, which nobody waits for.
   *
   * **Details** By default one worker is replaced after the other, and the first that does not come up ends the reload:
   * those before it keep the new code. With `atOnce` all new starts come up together, none serves before all are ready,
   * and if one fails, nothing has changed; meanwhile there are twice as many threads. No more than `generationsMax`
   * generations of a worker are there at once: the oldest is ended. `because` stands in the log.
   */
  readonly reload: (
    app: AppHandle,
    options?: { readonly atOnce?: boolean | undefined; readonly because?: string | undefined }
  ) => Effect.Effect<Reloaded, ReloadFailed>
  /** Closes a listener for all workers that serve it. Established sessions go on (W9). */
  readonly unlisten: (listener: ListenerHandle) => Effect.Effect<void, NoSuchListener>
  /** Ends a session as its worker would: `close` still sends what was written, `reset` shows the peer a reset. */
  readonly endSession: (session: SessionHandle, how: "close" | "reset") => Effect.Effect<void, NoSuchSession>
  /**
   * Stops listening, asks every worker to finish what it has, and waits for the sessions to end, but no longer than the
   * longest drain timeout of all applications. Sessions that are left are reset when their application is detached.
   */
  readonly drain: Effect.Effect<void>
  /** Whether a connection that comes now will be served: cheap, for whoever asks often. */
  readonly readiness: Effect.Effect<Readiness>
  /**
   * What happens in the host (X5), from the oldest event that is kept on: some 10,000 are. A reader that is slow costs
   * the host nothing; what it misses is told by a `gap`.
   */
  readonly events: (wanted?: EventsWanted) => Stream.Stream<ToldEvent>
  /** What one look shows: is all well, and if not, why. Its cost does not grow with the number of sessions. */
  readonly overview: Effect.Effect<Overview>
  readonly report: Effect.Effect<Report.HostReport>
  /** All sessions that a filter lets pass (W21). Where there are many, {@link streamSessions} holds fewer at a time. */
  readonly sessions: (filter: Report.SessionFilter) => Effect.Effect<ReadonlyArray<Report.SessionReport>>
  /** A page of them: the first one, or the one after another. */
  readonly sessionPage: (
    filter: Report.SessionFilter,
    page?: Report.SessionPage
  ) => Effect.Effect<Report.SessionsReport>
  /** What is behind the other tables of `show` (W21). */
  readonly connects: Effect.Effect<ReadonlyArray<Report.ConnectReport>>
  readonly locals: Effect.Effect<Report.LocalsReport>
  readonly segments: Effect.Effect<ReadonlyArray<Report.SegmentManagerReport>>
  readonly queues: Effect.Effect<ReadonlyArray<Report.QueueReport>>
  /** The same and the listeners, page by page. */
  readonly connectPage: (page?: Report.ListPage) => Effect.Effect<Report.ConnectsReport>
  readonly localPage: (page?: Report.ListPage) => Effect.Effect<Report.LocalsPage>
  readonly segmentPage: (page?: Report.ListPage) => Effect.Effect<Report.SegmentsReport>
  readonly queuePage: (page?: Report.ListPage) => Effect.Effect<Report.QueuesReport>
  readonly listenerPage: (page?: Report.ListPage) => Effect.Effect<Report.ListenersReport>
}>()("sluice/services/SessionLayer") {}

/**
 * The sessions that a filter lets pass, page by page: each page is made when it is asked for.
 *
 * @category streams
 * @since 0.1.0
 */
export const streamSessions = (
  filter: Report.SessionFilter
): Stream.Stream<Report.SessionReport, never, SessionLayer> =>
  Stream.paginate(undefined, (after: string | undefined) =>
    Effect.map(
      SessionLayer.use((host) => host.sessionPage(filter, { after })),
      ({ next, sessions }) => [sessions, next === undefined ? Option.none() : Option.some(next)] as const
    ))

/**
 * An application as a layer: it is attached while the layer lives.
 *
 * `options` is decoded with `Options.decodeApp`, as in {@link SessionLayer}'s `attach`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerApp = (
  options: AppOptionsInput,
  module: AppModule,
  extras?: AttachExtras
): Layer.Layer<never, AttachFailed, SessionLayer> =>
  Layer.effectDiscard(Effect.flatMap(SessionLayer, (host) => host.attach(options, module, extras)))
