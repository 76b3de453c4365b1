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
import type { AppHandle, AppIndex } from "../domain/Handle.ts"
import type * as Report from "../domain/Report.ts"
import type { AppModule } from "./AppWorker.ts"

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
  detail: Schema.String
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
  reason: Schema.Union([InvalidValue, UnsupportedConfig, AlreadyAttached, WorkerFailed, Draining])
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
  /** Bytes of the default worker's first segment, and of the event queue in it. */
  readonly firstSegmentBytes: number
  readonly eventQueueBytes: number
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
  readonly attach: (options: unknown, module: AppModule) => Effect.Effect<Application, AttachFailed, Scope.Scope>
  /** Looks an application up by name, by client, or by index (W2). */
  readonly find: (wanted: string | { readonly client: string } | AppIndex) => Effect.Effect<Application, NoSuchApp>
  /**
   * Stops listening, asks every worker to finish what it has, and waits for the sessions to end, at most the
   * application's drain timeout. Sessions that are left are reset when their application is detached.
   */
  readonly drain: Effect.Effect<void>
  readonly report: Effect.Effect<Report.Host>
}>()("sluice/services/SessionLayer") {}

/**
 * An application as a layer: attached while the layer lives.
 *
 * `options` is decoded with `Options.decodeApp`, as in {@link SessionLayer}'s `attach`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerApp = (options: unknown, module: AppModule): Layer.Layer<never, AttachFailed, SessionLayer> =>
  Layer.effectDiscard(Effect.flatMap(SessionLayer, (host) => host.attach(options, module)))
