/**
 * The session layer of a host: applications, their workers, their listeners and sessions.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AppOptionsInput } from "../domain/options/AppOptions.ts"
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
import { type AppModule, StackLayer } from "./AppWorker.ts"
import { NoSuchNamespace, WrongSecret } from "./Namespaces.ts"
import type { WorkerInfo } from "./Sessions.ts"

/** Neither a name nor a client was given, or an option can't be what it is. */
export class InvalidValue extends Schema.TaggedError<InvalidValue>()("InvalidValue", {
  option: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.detail}`
  }
}

/** The host can't serve this configuration. */
export class UnsupportedConfig extends Schema.TaggedError<UnsupportedConfig>()("UnsupportedConfig", {
  option: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.detail}`
  }
}

/** An application of this name or client is attached. */
export class AlreadyAttached extends Schema.TaggedError<AlreadyAttached>()("AlreadyAttached", {
  name: Schema.String
}) {
  override get message(): string {
    return `an application called ${this.name} is attached already`
  }
}

/** A worker did not come up. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  worker: Schema.Int,
  detail: Schema.String,
  /** The layer of the worker's stack that could not be built, where that is why. */
  layer: Schema.optionalKey(StackLayer)
}) {
  override get message(): string {
    return `worker ${this.worker} did not start: ${this.detail}`
  }
}

/** The host is draining and takes no applications. */
export class Draining extends Schema.TaggedError<Draining>()("Draining", {}) {
  override get message(): string {
    return "the host is shutting down"
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export class AttachFailed extends Schema.TaggedError<AttachFailed>()("AttachFailed", {
  reason: Schema.Union([
    InvalidValue,
    UnsupportedConfig,
    AlreadyAttached,
    NoSuchNamespace,
    WrongSecret,
    WorkerFailed,
    Draining
  ])
}) {
  override get message(): string {
    return `can't attach the application: ${this.reason.message}`
  }
}

/** No application answers to this name, client or index (W2). */
export class NoSuchApp extends Schema.TaggedError<NoSuchApp>()("NoSuchApp", {
  wanted: Schema.String
}) {
  override get message(): string {
    return `no application ${this.wanted}`
  }
}

/** The handle is of no worker that there is: it was never one, or the worker is gone. */
export class NoSuchWorker extends Schema.TaggedError<NoSuchWorker>()("NoSuchWorker", {
  worker: Schema.String
}) {
  override get message(): string {
    return `no worker ${this.worker}`
  }
}

/** The handle is of no listener that there is. */
export class NoSuchListener extends Schema.TaggedError<NoSuchListener>()("NoSuchListener", {
  listener: Schema.String
}) {
  override get message(): string {
    return `no listener ${this.listener}`
  }
}

/** The handle is of no session that there is. */
export class NoSuchSession extends Schema.TaggedError<NoSuchSession>()("NoSuchSession", {
  session: Schema.String
}) {
  override get message(): string {
    return `no session ${this.session}`
  }
}

/** The default worker, number 0, goes last (W11). */
export class DefaultWorker extends Schema.TaggedError<DefaultWorker>()("DefaultWorker", {
  app: Schema.String
}) {
  override get message(): string {
    return `the default worker of ${this.app} can't be deleted while others live; delete them first, or detach ${this.app}`
  }
}

/** The application has as many workers as it may. */
export class TooManyWorkers extends Schema.TaggedError<TooManyWorkers>()("TooManyWorkers", {
  app: Schema.String,
  limit: Schema.Int
}) {
  override get message(): string {
    return `${this.app} has ${this.limit} workers, which is the limit`
  }
}

/**
 * A worker could not be added, deleted or restarted. Nothing has changed, but for a worker that was to be restarted and
 * did not start: that one is tried again, as one that crashed.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerOperationFailed extends Schema.TaggedError<WorkerOperationFailed>()("WorkerOperationFailed", {
  operation: Schema.Literals(["add", "delete", "restart"]),
  reason: Schema.Union([
    NoSuchApp,
    NoSuchWorker,
    DefaultWorker,
    TooManyWorkers,
    UnsupportedConfig,
    WorkerFailed,
    Draining
  ])
}) {
  override get message(): string {
    return `can't ${this.operation} the worker: ${this.reason.message}`
  }
}

/** Workers of an application at most. */
export const MAX_WORKERS = 256

/**
 * A worker that runs (W11).
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker {
  readonly handle: WorkerHandle
  readonly index: WorkerIndex
  /** Its number within its application. */
  readonly mapIndex: WorkerMapIndex
  readonly kind: WorkerInfo["kind"]
  /** Bytes of its first segment, and of the event queue in it. */
  readonly firstSegmentBytes: number
  readonly eventQueueBytes: number
}

/**
 * An application that is attached.
 *
 * @category models
 * @since 0.1.0
 */
export interface Application {
  readonly handle: AppHandle
  readonly index: AppIndex
  readonly name: string
  /** Completes when it is detached, by whomever, and nothing is left of it. */
  readonly gone: Effect.Effect<void>
  /** Bytes of the default worker's first segment, and of the event queue in it. */
  readonly firstSegmentBytes: number
  readonly eventQueueBytes: number
}

/**
 * What an application has beside its options.
 *
 * @category models
 * @since 0.1.0
 */
export interface AttachExtras {
  /**
   * What the application shows of itself: rows of a table, at a time of `MonotonicTime` in whole milliseconds. It is asked whenever
   * somebody looks, so it should be cheap; what it tells of its workers it has from memory that it shares with them.
   */
  readonly status?: ((now: number) => Report.Status) | undefined
  /**
   * Endpoint URIs to serve when the options name none; none by default. A program that listens by itself on a worker's
   * thread keeps to the endpoints that it names.
   */
  readonly listen?: ReadonlyArray<string> | undefined
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
  /** Detaches an application before the scope of its attach closes; succeeds when nothing is left of it (W13). */
  readonly detach: (app: AppHandle) => Effect.Effect<void, NoSuchApp>
  /**
   * Starts one more worker of the application, on a thread or in-process, whatever the others are (W11). It takes the
   * lowest free number and listens where its module says, so it joins the application's listeners.
   */
  readonly addWorker: (
    app: AppHandle,
    options?: { readonly kind?: WorkerInfo["kind"] | undefined }
  ) => Effect.Effect<Worker, WorkerOperationFailed>
  /**
   * Deletes a worker: by default after it has finished its sessions, at most the application's drain timeout. The
   * default worker goes last, and the application with it (W11).
   */
  readonly deleteWorker: (
    worker: WorkerHandle,
    options?: { readonly drain?: boolean | undefined }
  ) => Effect.Effect<void, WorkerOperationFailed>
  /**
   * Ends a worker and starts it again: by default after it has finished its sessions, at most the application's drain
   * timeout. Other workers serve its listeners meanwhile; where there are none, connections are held. Succeeds when it
   * runs again.
   */
  readonly restartWorker: (
    worker: WorkerHandle,
    options?: { readonly drain?: boolean | undefined }
  ) => Effect.Effect<void, WorkerOperationFailed>
  /** Closes a listener for all workers that serve it. Established sessions go on (W9). */
  readonly unlisten: (listener: ListenerHandle) => Effect.Effect<void, NoSuchListener>
  /** Ends a session as its worker would: what was written is still sent with `close`, the peer sees a reset with `reset`. */
  readonly endSession: (session: SessionHandle, how: "close" | "reset") => Effect.Effect<void, NoSuchSession>
  /**
   * Stops listening, asks every worker to finish what it has, and waits for the sessions to end, at most the
   * application's drain timeout. Sessions that are left are reset when their application is detached.
   */
  readonly drain: Effect.Effect<void>
  readonly report: Effect.Effect<Report.HostReport>
  /** The sessions that a filter lets pass, and what is behind the other tables of `show` (W21). */
  readonly sessions: (filter: Report.SessionFilter) => Effect.Effect<ReadonlyArray<Report.SessionReport>>
  readonly connects: Effect.Effect<ReadonlyArray<Report.ConnectReport>>
  readonly locals: Effect.Effect<Report.LocalsReport>
  readonly segments: Effect.Effect<ReadonlyArray<Report.SegmentManagerReport>>
  readonly queues: Effect.Effect<ReadonlyArray<Report.QueueReport>>
}>()("sluice/services/SessionLayer") {}

/**
 * An application as a layer: attached while the layer lives.
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
