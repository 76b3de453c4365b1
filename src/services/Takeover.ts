/**
 * Takeover (X4): a running host starts the one that follows it, which serves the same sockets, and then ends. Neither a
 * connection nor a count is lost by it, and a successor that does not come up changes nothing.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * What a successor is started with. Each part that is absent is as this process was started.
 *
 * @category models
 * @since 0.1.0
 */
export const SuccessorCommand = Schema.Struct({
  /** The file of Node, and its own arguments. */
  node: Schema.optional(Schema.NonEmptyString),
  flags: Schema.optional(Schema.Array(Schema.String)),
  /** The program's file, and its arguments. */
  args: Schema.optional(Schema.NonEmptyArray(Schema.String)),
  /** The directory that it runs in; absolute. */
  directory: Schema.optional(Schema.NonEmptyString),
  environment: Schema.optional(Schema.Record(Schema.String, Schema.String))
})
export type SuccessorCommand = typeof SuccessorCommand.Type

/**
 * The host that has taken over.
 *
 * @category models
 * @since 0.1.0
 */
export const TakenOver = Schema.Struct({
  /** Its process. */
  pid: Schema.Int,
  /** How many sessions the host before it had then: they go over as soon as they can, or finish there. */
  sessions: Schema.Int
})
export type TakenOver = typeof TakenOver.Type

/**
 * Another host could not take over, and this one goes on as before.
 *
 * **Details**
 *
 * - `NotOffered`: the program that this host is part of can't be taken over.
 * - `NotPermitted`: this process may not start others (`--permission` without `--allow-child-process`).
 * - `UnderWay`: another takeover is, or has been.
 * - `TooMany`: as many hosts before this one as there may be have not ended yet.
 * - `Draining`: this host is shutting down.
 * - `NoDescriptor`: a socket can't be handed on: the runtime does not tell its number.
 * - `NotStarted`: there was no process.
 * - `Failed`: the successor said why it gave up.
 * - `Gone`: it ended, or its channel did.
 * - `TooLate`: it did not answer in time, and has been ended.
 * - `Nonsense`: it said what it must not say, and has been ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class TakeoverError extends Schema.TaggedError<TakeoverError>()("TakeoverError", {
  reason: Schema.Literals([
    "NotOffered",
    "NotPermitted",
    "UnderWay",
    "TooMany",
    "Draining",
    "NoDescriptor",
    "NotStarted",
    "Failed",
    "Gone",
    "TooLate",
    "Nonsense"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return `no takeover: ${this.detail}`
  }
}

/**
 * @category services
 * @since 0.1.0
 */
export class Takeover extends Context.Service<Takeover, {
  /**
   * Has another host take over, and succeeds when it has: it listens in place of this one, which is to drain then. An
   * interruption before that changes nothing.
   */
  readonly upgrade: (command?: SuccessorCommand) => Effect.Effect<TakenOver, TakeoverError>
  /** Whether this host was started to follow another one. */
  readonly follows: boolean
  /** Completes when another host has taken over: drain, and end. */
  readonly over: Effect.Effect<TakenOver>
  /** Says that this host serves all that it is to serve. If it is a successor, it takes over then; else nothing happens. */
  readonly up: Effect.Effect<void, TakeoverError>
  /** Says why this host does not come up, if it is a successor. */
  readonly failed: (why: string) => Effect.Effect<void>
  /** How the control socket at this path is taken: from the host before, if it has it. */
  readonly control: (path: string) => ControlHandOver | undefined
}>()("sluice/services/Takeover") {}

/**
 * The control socket of the host before: the one of this host waits out of sight until it is moved to the path.
 *
 * @category models
 * @since 0.1.0
 */
export interface ControlHandOver {
  readonly waits: (socket: { readonly born: string; readonly settle: () => void }) => void
}
