/**
 * What one look at a host shows: is all well, is anything refused or lost and why, who is slow since when, how much room is
 * left, what has changed. `sluice top` and the dashboard draw it; `GET /v1/overview` is its JSON.
 *
 * It is made from the host's tables alone, so it is there at once when every worker is blocked, and costs the same however
 * many sessions there are. Counts only go up, unless they are said to be of now; what they do in a second is for
 * whoever has two overviews to say (`Rates`).
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Placement } from "../report/ListenerReport.ts"
import { Count } from "../report/ReportFields.ts"
import { traffic } from "../report/TimesReport.ts"
import { WorkerReport } from "../report/WorkerReport.ts"

/**
 * How grave something is.
 *
 * @category models
 * @since 0.1.0
 */
export const Level = Schema.Literals(["ok", "warning", "bad"])
export type Level = typeof Level.Type

/**
 * Something that an operator wants to know of, in one sentence.
 *
 * @category models
 * @since 0.1.0
 */
export const Finding = Schema.Struct({ level: Level, text: Schema.String })
export type Finding = typeof Finding.Type

/**
 * How much of something is in use: now, the most that ever was, and the most that may be. What is not counted
 * with each change is seen once a second, so a peak between two looks is missed: memory, and slots of queues.
 *
 * @category models
 * @since 0.1.0
 */
export const Gauge = Schema.Struct({ now: Count, highest: Count, limit: Count })
export type Gauge = typeof Gauge.Type

/**
 * Times in brief. Quantiles are too large by no more than a seventh; all are 0 where nothing was counted.
 *
 * @category models
 * @since 0.1.0
 */
export const Brief = Schema.Struct({
  count: Count,
  p50Millis: Schema.Finite,
  p99Millis: Schema.Finite,
  maxMillis: Schema.Finite
})
export type Brief = typeof Brief.Type

/**
 * Times of the last {@link RECENT} milliseconds, and of all.
 *
 * @category models
 * @since 0.1.0
 */
export const Briefs = Schema.Struct({ recent: Brief, all: Brief })
export type Briefs = typeof Briefs.Type

/**
 * How many milliseconds `recent` goes back, give or take a second.
 *
 * @category constants
 * @since 0.1.0
 */
export const RECENT = 10_000

/** Counts by reason, of those that there were. */
const Reasons = Schema.Record(Schema.String, Count)

/**
 * What was refused, by reason: in the last {@link RECENT} milliseconds, and in all.
 *
 * @category models
 * @since 0.1.0
 */
export const Refused = Schema.Struct({ recent: Reasons, all: Reasons })
export type Refused = typeof Refused.Type

/**
 * What the thread of a worker uses.
 *
 * @category models
 * @since 0.1.0
 */
export const ThreadView = Schema.Struct({
  /** Which part of the last half second its loop was busy: from 0 to 1. */
  utilization: Schema.Finite,
  /** Processors in use over the last two seconds: about 1 for a thread that never waits. */
  processors: Schema.Finite,
  /** Bytes in use, and that it may have. */
  heapUsed: Count,
  heapLimit: Count,
  /** How old the last three are: more than a second while the thread is in a native call. */
  ageMillis: Schema.Finite
})
export type ThreadView = typeof ThreadView.Type

const { behind: _, ...fields } = WorkerReport.fields

/**
 * A worker.
 *
 * @category models
 * @since 0.1.0
 */
export const WorkerView = Schema.Struct({
  app: Schema.String,
  appIndex: fields.appIndex,
  /** Its number within its application. */
  worker: Count,
  handle: fields.handle,
  kind: fields.kind,
  generation: fields.generation,
  state: fields.state,
  takes: fields.takes,
  congested: fields.congested,
  /**
   * For how long it has been behind now: since it let an offer run out that it has not passed yet, or since it last
   * took a message while some wait; 0 when it is not.
   */
  behindMillis: Schema.Finite,
  /** Where its JavaScript is, as `render (app.ts:88)`: known only of a worker that is stuck, and not always then. */
  stuckAt: Schema.NullOr(Schema.String),
  /** For how long it was congested or behind with an offer, in total. */
  congestedMillis: Schema.Finite,
  lastProgressMillis: fields.lastProgressMillis,
  claim: Briefs,
  /** null for a worker that has no thread of its own, or of whose thread nothing is known yet. */
  thread: Schema.NullOr(ThreadView),
  sessions: Gauge,
  /** Bytes of its segments. */
  memory: Gauge,
  memoryState: fields.memory,
  /** Slots of the index queue to it. */
  queue: Gauge,
  postponed: fields.postponed,
  offered: Count,
  claimed: Count,
  revoked: Count,
  restarts: fields.restarts,
  lastFailure: fields.lastFailure,
  successor: fields.successor,
  /** How many generations before it have not finished, and their sessions. */
  formers: Count,
  formerSessions: Count,
  ...traffic
})
export type WorkerView = typeof WorkerView.Type

/**
 * A listener.
 *
 * @category models
 * @since 0.1.0
 */
export const ListenerView = Schema.Struct({
  app: Schema.String,
  appIndex: Count,
  handle: Schema.String,
  endpoint: Schema.String,
  placement: Placement,
  /** How many workers serve it. */
  workers: Count,
  arrived: Count,
  offered: Count,
  /** Claims as such, whatever became of the sessions then. */
  claimed: Count,
  revoked: Count,
  moved: Count,
  lost: Count,
  refused: Refused,
  sessions: Gauge,
  held: Gauge,
  claim: Briefs,
  hold: Briefs,
  /** What does not add up of its connections; empty on a sound host. */
  imbalances: Schema.Array(Schema.String),
  ...traffic
})
export type ListenerView = typeof ListenerView.Type

/**
 * An application.
 *
 * @category models
 * @since 0.1.0
 */
export const AppView = Schema.Struct({
  name: Schema.String,
  index: Count,
  /** The highest generation of its workers that serves. */
  generation: Count,
  /** Its workers are being replaced. */
  reloading: Schema.Boolean,
  workers: Count,
  running: Count,
  sessions: Gauge
})
export type AppView = typeof AppView.Type

/**
 * An event, as a sentence.
 *
 * @category models
 * @since 0.1.0
 */
export const EventView = Schema.Struct({
  serial: Schema.Int,
  /** Milliseconds since the epoch. */
  time: Schema.Finite,
  kind: Schema.String,
  app: Schema.NullOr(Schema.String),
  /** The worker's number, where the event is about one. */
  worker: Schema.NullOr(Count),
  text: Schema.String
})
export type EventView = typeof EventView.Type

/**
 * The host itself.
 *
 * @category models
 * @since 0.1.0
 */
export const HostView = Schema.Struct({
  machine: Schema.String,
  pid: Count,
  version: Schema.String,
  /** 1, and one more with each takeover. */
  generation: Count,
  upMillis: Schema.Finite,
  /** Time since the first generation has started. */
  allUpMillis: Schema.Finite,
  draining: Schema.Boolean,
  /** Hosts before this one that have not ended yet, and their sessions. */
  formers: Count,
  formerSessions: Count
})
export type HostView = typeof HostView.Type

/**
 * Sums over all of the host. Counts of connections are of all listeners that there have ever been, and of the generations
 * of the host before; bytes are of the workers that are there.
 *
 * @category models
 * @since 0.1.0
 */
export const Sums = Schema.Struct({
  arrived: Count,
  claimed: Count,
  refused: Count,
  revoked: Count,
  moved: Count,
  lost: Count,
  ...traffic
})
export type Sums = typeof Sums.Type

/**
 * All of it.
 *
 * @category models
 * @since 0.1.0
 */
export const Overview = Schema.Struct({
  /** Milliseconds of the host's monotonic time: for differences. */
  at: Schema.Finite,
  /** Milliseconds since the epoch: for people. */
  time: Schema.Finite,
  host: HostView,
  /** The gravest of the findings, or that all is well. */
  verdict: Finding,
  /** Gravest first. */
  findings: Schema.Array(Finding),
  totals: Sums,
  refused: Refused,
  /** Sessions that were reset because their worker had them in hand when it went away. */
  lost: Schema.Struct({ recent: Count, all: Count }),
  claim: Briefs,
  hold: Briefs,
  /** Over all applications, listeners and workers. The limits are sums, too. */
  sessions: Gauge,
  held: Gauge,
  memory: Gauge,
  /** What does not add up in the host's ledger; empty on a sound host. */
  imbalances: Schema.Array(Schema.String),
  apps: Schema.Array(AppView),
  workers: Schema.Array(WorkerView),
  listeners: Schema.Array(ListenerView),
  /** The latest changes, the newest first: what peers bring about again and again is told together. */
  events: Schema.Array(EventView)
})
export type Overview = typeof Overview.Type

/**
 * What the verdict is found from.
 *
 * @category models
 * @since 0.1.0
 */
export type OverviewFacts = Omit<Overview, "verdict" | "findings">
