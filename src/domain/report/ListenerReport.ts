/**
 * What a host reports of a listener (W21).
 */
import * as Schema from "effect/Schema"
import { ArrivalCounts } from "./CountsReport.ts"
import { Count, nextPage } from "./ReportFields.ts"
import { ListenerTimesReport, traffic } from "./TimesReport.ts"

/**
 * Where an application listens and connects: within its namespace, with the transport, or both (W17).
 *
 * @category models
 * @since 0.1.0
 */
export const Scope = Schema.Literals(["local", "global"])

/**
 * Who has the socket of a connection: the host, or the worker that has claimed it.
 *
 * @category models
 * @since 0.1.0
 */
export const Placement = Schema.Literals(["shared", "transfer"])

/**
 * @category models
 * @since 0.1.0
 */
export const ListenerReport = Schema.Struct({
  handle: Schema.String,
  app: Schema.String,
  appIndex: Count,
  client: Schema.String,
  /** With the port that the system gave it. */
  endpoint: Schema.String,
  /** As it was asked for; port 0 stands for any free one. */
  requested: Schema.String,
  scopes: Schema.Array(Scope),
  /** Where the sockets of its connections are: the placement in force, whichever was asked for. */
  placement: Placement,
  /** What a peer gets that is refused: a reset, or an answer of HTTP (X7). */
  refusesWith: Schema.Literals(["reset", "http"]),
  /** Numbers of the workers that serve it. */
  workers: Schema.Array(Count),
  /** Which segment manager of each running worker the sessions come from (W7). */
  managers: Schema.Array(Schema.Struct({ worker: Count, manager: Count })),
  sessions: Count,
  arrivals: ArrivalCounts,
  times: ListenerTimesReport,
  ...traffic
})
export type ListenerReport = typeof ListenerReport.Type

/**
 * A page of listeners.
 *
 * @category models
 * @since 0.1.0
 */
export const ListenersReport = Schema.Struct({ listeners: Schema.Array(ListenerReport), ...nextPage })
export type ListenersReport = typeof ListenersReport.Type
