/**
 * What a host reports of the queues between itself and its workers (M1).
 */
import * as Schema from "effect/Schema"
import { Count, nextPage, OfWorker } from "./ReportFields.ts"

/**
 * Slots of a part of a queue: how many are in use, the most that the host has seen in use, and how many there are.
 *
 * @category models
 * @since 0.1.0
 */
export const Ring = Schema.Struct({ used: Count, highest: Count, size: Count })
export type Ring = typeof Ring.Type

/**
 * A queue in one direction. The sums count from the worker's present start.
 *
 * @category models
 * @since 0.1.0
 */
export const Direction = Schema.Struct({
  index: Ring,
  io: Ring,
  control: Ring,
  /** Sums: messages put in, and messages taken out. */
  enqueued: Count,
  drained: Count,
  /** Whether its reader sleeps and wants its doorbell rung. */
  idle: Schema.Boolean
})
export type Direction = typeof Direction.Type

/**
 * The queues of a running worker (M1).
 *
 * @category models
 * @since 0.1.0
 */
export const QueueReport = Schema.Struct({
  ...OfWorker,
  congested: Schema.Boolean,
  postponed: Count,
  toWorker: Direction,
  toHost: Direction
})
export type QueueReport = typeof QueueReport.Type

/**
 * A page of queues.
 *
 * @category models
 * @since 0.1.0
 */
export const QueuesReport = Schema.Struct({ queues: Schema.Array(QueueReport), ...nextPage })
export type QueuesReport = typeof QueuesReport.Type
