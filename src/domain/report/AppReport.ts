/**
 * What a host reports of an application, with its workers and listeners (W21).
 */
import * as Schema from "effect/Schema"
import { Warning } from "../net/Certificate.ts"
import { NeedLimits } from "../state/NeedReason.ts"
import { ListenerReport, Scope } from "./ListenerReport.ts"
import { Count } from "./ReportFields.ts"
import { WorkerReport } from "./WorkerReport.ts"

/**
 * A certificate of an application: what anybody may know about it, and never the key (W19).
 *
 * @category models
 * @since 0.1.0
 */
export const CertificateReport = Schema.Struct({
  handle: Schema.String,
  subject: Schema.String,
  /** Its subject alternative names, DNS names first. */
  names: Schema.Array(Schema.String),
  /** Milliseconds since the epoch. */
  validTo: Schema.Finite,
  /** SHA-256, as `AB:CD:…`. */
  fingerprint: Schema.String,
  /** Why clients refuse it now, if they do. */
  warning: Schema.NullOr(Warning)
})
export type CertificateReport = typeof CertificateReport.Type

/**
 * What an application shows of itself: the rows of a table, whose columns are the fields.
 *
 * @category models
 * @since 0.1.0
 */
export const Status = Schema.Array(
  Schema.Record(Schema.String, Schema.NullOr(Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])))
)
export type Status = typeof Status.Type

/**
 * @category models
 * @since 0.1.0
 */
export const AppReport = Schema.Struct({
  index: Count,
  name: Schema.String,
  client: Schema.String,
  namespace: Schema.String,
  scopes: Schema.Array(Scope),
  /** Transports that it is a proxy for; empty for an application that is not a proxy (W18). */
  proxiedTransports: Schema.Array(Schema.String),
  firstSegmentSize: Count,
  /** 0: segments are not added. */
  addSegmentSize: Count,
  /** The most bytes of segments that each worker may have. */
  memoryLimit: Count,
  rxFifoSize: Count,
  txFifoSize: Count,
  certificates: Schema.Array(CertificateReport),
  /** Empty for an application that shows nothing. */
  status: Status,
  /** How often all its workers were given new code, and how often that failed (X2). */
  reloads: Schema.Struct({ reloaded: Count, failed: Count }),
  /**
   * How many workers it may have, where their number follows the load, and what keeps it from one that it needs now: the
   * most that it may have, or that the machine has no processor, or no memory, for another one. Null where the number is
   * fixed (X8).
   */
  byNeed: Schema.NullOr(
    Schema.Struct({ least: Count, most: Count, limit: Schema.NullOr(Schema.Literals(NeedLimits)) })
  ),
  workers: Schema.Array(WorkerReport),
  /** Threads of workers that are gone, which do not end: they are in native code. Oldest first. */
  quarantined: Schema.Array(Schema.Struct({
    /** Number of the worker within the application, and which of its generations it was. */
    worker: Count,
    generation: Count,
    /** Bytes of memory that are kept for it. */
    bytes: Count,
    ageMillis: Schema.Finite
  })),
  listeners: Schema.Array(ListenerReport)
})
export type AppReport = typeof AppReport.Type
