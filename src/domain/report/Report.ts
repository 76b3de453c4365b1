/**
 * What the host reports about itself: the data behind `show` and its `--json` (W21, M12, M14).
 *
 * Times are in milliseconds and sizes in bytes; counts are of what there is now, unless they are said to be sums.
 * Applications are named and numbered (`app`, `appIndex`); a worker is given by its number within its application.
 * Whatever an operation can be done on has its handle, as `index.generation`.
 *
 * Each kind of thing has a file of its own: `WorkerReport.ts`, `SessionReport.ts`, and so on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { AppReport } from "./AppReport.ts"
import { ArrivalCounts, MessageCounts, OfferCounts } from "./CountsReport.ts"
import { FormerHost } from "./FormerHost.ts"
import { Count } from "./ReportFields.ts"

export { AppReport, CertificateReport, Status } from "./AppReport.ts"
export { ArrivalCounts, MessageCounts, OfferCounts } from "./CountsReport.ts"
export { FormerHost } from "./FormerHost.ts"
export { ListenerReport, ListenersReport, Placement, Scope } from "./ListenerReport.ts"
export {
  ConnectReport,
  ConnectsReport,
  LocalEnd,
  LocalListenerReport,
  LocalSessionReport,
  LocalsPage,
  LocalsReport
} from "./LocalReport.ts"
export { Direction, QueueReport, QueuesReport, Ring } from "./QueueReport.ts"
export { ListPage } from "./ReportFields.ts"
export { SegmentManagerReport, SegmentReport, SegmentsReport } from "./SegmentReport.ts"
export { SessionSorting } from "./SessionOrder.ts"
export {
  FifoReport,
  ListenerFilter,
  MoveReason,
  SessionFilter,
  SessionKind,
  SessionPage,
  SessionReport,
  SessionsReport,
  SessionTransport,
  WorkerFilter
} from "./SessionReport.ts"
export { HistogramReport, ListenerTimesReport, WorkerTimesReport } from "./TimesReport.ts"
export { CongestionRule, Depth, ThreadReport, WorkerReport } from "./WorkerReport.ts"

/**
 * @category models
 * @since 0.1.0
 */
export const HostReport = Schema.Struct({
  pid: Count,
  version: Schema.String,
  uptimeMillis: Schema.Finite,
  draining: Schema.Boolean,
  sessions: Count,
  /** The hosts before this one that have not ended yet, the latest one first. */
  formerHosts: Schema.Array(FormerHost),
  apps: Schema.Array(AppReport),
  /** Sums over all workers and listeners that there have ever been. */
  ledger: Schema.Struct({ messages: MessageCounts, offers: OfferCounts, arrivals: ArrivalCounts }),
  /** What does not add up; empty on a sound host. */
  imbalances: Schema.Array(Schema.String)
})
export type HostReport = typeof HostReport.Type
