/**
 * What a host reports of connects that are half-open (W14), and of what is in local scope (W16, W17).
 */
import * as Schema from "effect/Schema"
import { sessionStates } from "../state/SessionState.ts"
import { Scope } from "./ListenerReport.ts"
import { Count, nextPage, OfWorker } from "./ReportFields.ts"

/**
 * A connect that is half-open: it is neither a session nor given up yet (W14).
 *
 * @category models
 * @since 0.1.0
 */
export const ConnectReport = Schema.Struct({
  ...OfWorker,
  /** The connect's number among the worker's requests. */
  request: Count,
  endpoint: Schema.String,
  /** Where it comes from; null when the system chooses. */
  source: Schema.NullOr(Schema.String),
  scope: Scope,
  ageMillis: Schema.Finite,
  timeoutMillis: Schema.Finite
})
export type ConnectReport = typeof ConnectReport.Type

/**
 * A page of connects, worker by worker, and of each worker the oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export const ConnectsReport = Schema.Struct({ connects: Schema.Array(ConnectReport), ...nextPage })
export type ConnectsReport = typeof ConnectsReport.Type

/**
 * One end of a cut-through session.
 *
 * @category models
 * @since 0.1.0
 */
export const LocalEnd = Schema.Struct({
  ...OfWorker,
  /** Handle of the session at this end. */
  session: Schema.String,
  state: Schema.Literals(sessionStates)
})
export type LocalEnd = typeof LocalEnd.Type

/**
 * A cut-through session: both its ends, and the segment that they share (W16).
 *
 * @category models
 * @since 0.1.0
 */
export const LocalSessionReport = Schema.Struct({
  endpoint: Schema.String,
  server: LocalEnd,
  client: LocalEnd,
  segmentBytes: Count,
  ageMillis: Schema.Finite
})
export type LocalSessionReport = typeof LocalSessionReport.Type

/**
 * An entry of a namespace's local table (W17).
 *
 * @category models
 * @since 0.1.0
 */
export const LocalListenerReport = Schema.Struct({
  namespace: Schema.String,
  endpoint: Schema.String,
  app: Schema.String,
  appIndex: Count,
  /** Handle of the listener. */
  listener: Schema.String
})
export type LocalListenerReport = typeof LocalListenerReport.Type

/**
 * What there is in local scope; `connects` are the connects that wait for a worker of this host.
 *
 * @category models
 * @since 0.1.0
 */
export const LocalsReport = Schema.Struct({
  listeners: Schema.Array(LocalListenerReport),
  sessions: Schema.Array(LocalSessionReport),
  connects: Schema.Array(ConnectReport)
})
export type LocalsReport = typeof LocalsReport.Type

/**
 * A page of what there is in local scope: listeners first, then sessions, then connects.
 *
 * @category models
 * @since 0.1.0
 */
export const LocalsPage = Schema.Struct({ ...LocalsReport.fields, ...nextPage })
export type LocalsPage = typeof LocalsPage.Type
