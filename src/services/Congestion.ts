/**
 * The one way to a worker's queue (M2), and what happens when the worker does not keep up.
 *
 * A message that does not fit is postponed, and the worker is **congested**: everything for it is postponed behind that
 * message, which keeps the order (M3), until a supervised fiber has delivered all of it in batches of up to 32 (M4).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type { IoKind, Message } from "../domain/memory/Message.ts"
import { millis } from "../domain/report/Notice.ts"
import type { SessionHandle } from "../domain/state/Handle.ts"
import type * as Ledger from "../domain/state/Ledger.ts"
import { UnresponsiveReasons } from "../domain/state/WorkerEnd.ts"
import type { Attachment } from "./Attachment.ts"

/**
 * @category models
 * @since 0.1.0
 */
export type CongestionState = Data.TaggedEnum<{
  Clear: {}
  /** `since`: when it began, in milliseconds of `MonotonicTime`. */
  Congested: { readonly since: number }
}>
export const CongestionState = Data.taggedEnum<CongestionState>()

/**
 * A message on its way to the worker.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outgoing {
  readonly message: Message
  /** Handed over before the message becomes visible (M5). */
  readonly attachment?: Attachment | undefined
  /** Whether what the message is about is still there; asked again at delivery (M10). */
  readonly live?: (() => boolean) | undefined
  /** Runs instead when the message is released undelivered (M11). */
  readonly cleanUp?: (() => void) | undefined
}

/**
 * The postponed messages have reached their bound (M9), a segment could not be handed over (M5), the worker has made its
 * queue unusable, or it is stuck (X6).
 *
 * @category errors
 * @since 0.1.0
 */
export class Unresponsive extends Schema.TaggedError<Unresponsive>()("Unresponsive", {
  reason: Schema.Literals(UnresponsiveReasons),
  limit: Schema.Int
}) {
  override get message(): string {
    switch (this.reason) {
      case "postponed-messages":
        return `the worker does not read its queue: ${this.limit} messages are postponed, which is the limit`
      case "postponed-bytes":
        return `the worker does not read its queue: ${this.limit} bytes of messages are postponed, which is the limit`
      case "hand-over-failed":
        return "the worker is gone and can't be given a segment"
      case "queue-closed":
        return "the worker has closed its queue"
      case "queue-corrupt":
        return "the worker's queue is corrupt: its reader's position makes no sense"
      case "stuck":
        return `the worker was stuck: it took nothing for ${millis(this.limit)}, though messages waited (stuckAfter)`
    }
  }
}

/**
 * @category models
 * @since 0.1.0
 */
export type Sent = "delivered" | "postponed" | "released"

/**
 * @category services
 * @since 0.1.0
 */
export class Congestion extends Context.Service<Congestion, {
  /** Sends a control message: when this returns, it is in the queue, postponed, or released. Never waits. */
  readonly send: (outgoing: Outgoing) => Sent
  /** Sends an IO event. While it is postponed, another of its kind for its session counts as the same event (M8). */
  readonly sendIo: (kind: IoKind, session: SessionHandle, live: () => boolean) => Sent
  /** Read on the hot path; {@link state} says the same to those who wait. */
  readonly congested: () => boolean
  readonly state: SubscriptionRef.SubscriptionRef<CongestionState>
  /** The worker has read from its queue, or rung: checks whether it has made room that was asked for. */
  readonly room: () => void
  /** Whether room that was asked for has come and has not been used yet. */
  readonly roomGranted: () => boolean
  /** Fails once the worker is to be given up. */
  readonly unresponsive: Effect.Effect<never, Unresponsive>
  /** Releases what is postponed, and whatever is sent from now on (M11). */
  readonly close: Effect.Effect<void>
  readonly statistics: () => {
    readonly postponed: number
    readonly postponedBytes: number
    readonly highest: number
    readonly timesCongested: number
    readonly congestedMillis: number
  }
  readonly ledger: Ledger.MessageLedger
}>()("sluice/services/Congestion") {}
