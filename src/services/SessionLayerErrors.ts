/**
 * Why the session layer did not do what it was asked to do: one error for each operation or look-up, with a tagged
 * reason where there are several.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { StackLayers } from "./AppWorker.ts"
import { NoSuchNamespace, WrongSecret } from "./Namespaces.ts"

/**
 * Neither a name nor a client was given, or the value of an option is not valid.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidValue extends Schema.TaggedError<InvalidValue>()("InvalidValue", {
  option: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.detail}`
  }
}

/**
 * The host can't serve this configuration.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedConfig extends Schema.TaggedError<UnsupportedConfig>()("UnsupportedConfig", {
  option: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.detail}`
  }
}

/**
 * An application of this name or client is already attached.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyAttached extends Schema.TaggedError<AlreadyAttached>()("AlreadyAttached", {
  name: Schema.String
}) {
  override get message(): string {
    return `an application called ${this.name} is already attached`
  }
}

/**
 * A worker did not come up.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  worker: Schema.Int,
  detail: Schema.String,
  /** Where the application failed, as a stack with many lines. */
  trace: Schema.optionalKey(Schema.String),
  /** The layer of the worker's stack that could not be built, if that is the reason. */
  layer: Schema.optionalKey(Schema.Literals(StackLayers))
}) {
  override get message(): string {
    return `worker ${this.worker} did not start: ${this.detail}`
  }
}

/**
 * The application is to be a proxy (`proxiedTransports`), and none of its workers takes the sessions (W18).
 *
 * @category errors
 * @since 0.1.0
 */
export class NotListening extends Schema.TaggedError<NotListening>()("NotListening", {
  /** The endpoints on which nobody listens. */
  endpoints: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `its workers started, but none of them listens on ${this.endpoints.join(", ")}, `
      + "as a proxy has to (proxiedTransports): listen on all of the session client's `endpoints`"
  }
}

/**
 * The host is draining and accepts no more applications.
 *
 * @category errors
 * @since 0.1.0
 */
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
    NotListening,
    Draining
  ])
}) {
  override get message(): string {
    return `can't attach the application: ${this.reason.message}`
  }
}

/**
 * No application answers to this name, client or index (W2).
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchApp extends Schema.TaggedError<NoSuchApp>()("NoSuchApp", {
  wanted: Schema.String
}) {
  override get message(): string {
    return `no application ${this.wanted}`
  }
}

/**
 * The handle is not that of an existing worker: there never was one, or it is gone.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchWorker extends Schema.TaggedError<NoSuchWorker>()("NoSuchWorker", {
  worker: Schema.String
}) {
  override get message(): string {
    return `no worker ${this.worker}`
  }
}

/**
 * The handle is not that of an existing listener.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchListener extends Schema.TaggedError<NoSuchListener>()("NoSuchListener", {
  listener: Schema.String
}) {
  override get message(): string {
    return `no listener ${this.listener}`
  }
}

/**
 * The handle is not that of an existing session.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchSession extends Schema.TaggedError<NoSuchSession>()("NoSuchSession", {
  session: Schema.String
}) {
  override get message(): string {
    return `no session ${this.session}`
  }
}

/**
 * The default worker, number 0, can only be deleted last (W11).
 *
 * @category errors
 * @since 0.1.0
 */
export class DefaultWorker extends Schema.TaggedError<DefaultWorker>()("DefaultWorker", {
  app: Schema.String
}) {
  override get message(): string {
    return `the default worker of ${this.app} can't be deleted while others live; delete them first, or detach ${this.app}`
  }
}

/**
 * The application has as many workers as it may have.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyWorkers extends Schema.TaggedError<TooManyWorkers>()("TooManyWorkers", {
  app: Schema.String,
  limit: Schema.Int
}) {
  override get message(): string {
    return `${this.app} has ${this.limit} workers, which is the limit`
  }
}

/**
 * The application has as few workers as it may have: its range says so (X8).
 *
 * @category errors
 * @since 0.1.0
 */
export class TooFewWorkers extends Schema.TaggedError<TooFewWorkers>()("TooFewWorkers", {
  app: Schema.String,
  /** The range, as it is written. */
  range: Schema.String
}) {
  override get message(): string {
    return `${this.app} has as few workers as it may have (workers: ${this.range}); detach ${this.app} to end them all`
  }
}

/**
 * The application, or this worker of it, is being replaced by new starts already (X2).
 *
 * @category errors
 * @since 0.1.0
 */
export class Reloading extends Schema.TaggedError<Reloading>()("Reloading", {
  app: Schema.String,
  worker: Schema.optionalKey(Schema.Int)
}) {
  override get message(): string {
    return this.worker === undefined
      ? `${this.app} is being reloaded already`
      : `worker ${this.worker} of ${this.app} is being restarted already`
  }
}

/**
 * A worker that runs on the host's own loop can't have new code: Node keeps the modules that a process has loaded (X2).
 *
 * @category errors
 * @since 0.1.0
 */
export class RunsInProcess extends Schema.TaggedError<RunsInProcess>()("RunsInProcess", {
  app: Schema.String,
  worker: Schema.Int
}) {
  override get message(): string {
    return `worker ${this.worker} of ${this.app} runs in-process, and Node keeps the modules that a process has loaded: `
      + "give it a thread (worker.kind), or restart the host"
  }
}

/**
 * An application was not reloaded, or not all of it (X2). Workers that were replaced before the failure keep the new
 * code; all others go on as if nothing had happened.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReloadFailed extends Schema.TaggedError<ReloadFailed>()("ReloadFailed", {
  app: Schema.String,
  /** How many of the workers run the new code. */
  replaced: Schema.Int,
  workers: Schema.Int,
  reason: Schema.Union([NoSuchApp, Reloading, RunsInProcess, WorkerFailed, Draining])
}) {
  override get message(): string {
    const { app, outcome, reason } = this
    return `can't reload ${app}: ${reason.message}${outcome}`
  }

  /** What has become of the workers, to follow the reason; nothing when there was nothing to do. */
  get outcome(): string {
    const { app, reason, replaced, workers } = this
    if (reason._tag === "NoSuchApp" || reason._tag === "Reloading") return ""
    return replaced === 0
      ? `; the workers of ${app} go on as they were`
      : `; ${replaced} of ${workers} workers of ${app} run the new code, the others go on as they were`
  }
}

/**
 * A worker could not be added, deleted or restarted. Nothing has changed, except when a worker that was ended before its
 * next start, because it runs in-process or was not to drain, did not start: it is tried again, like one that crashed.
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
    TooFewWorkers,
    UnsupportedConfig,
    WorkerFailed,
    Reloading,
    Draining
  ])
}) {
  override get message(): string {
    return `can't ${this.operation} the worker: ${this.reason.message}`
  }
}
