/**
 * What a host reports of a worker (W21).
 */
import * as Schema from "effect/Schema"
import { RestartReasons } from "../state/WorkerEnd.ts"
import { workerStates } from "../state/WorkerState.ts"
import { MessageCounts, OfferCounts } from "./CountsReport.ts"
import { Count, countsOf } from "./ReportFields.ts"
import { traffic, WorkerTimesReport } from "./TimesReport.ts"
import { CodePlace, UnplacedReasons } from "./Whereabouts.ts"

/**
 * Slots in use, and all slots.
 *
 * @category models
 * @since 0.1.0
 */
export const Depth = Schema.Struct({ used: Count, size: Count })

/**
 * By which rule a worker is congested: messages wait for room in its `queue`, an offer has run out by its `deadline` and the
 * worker has not come past it, or all that it was offered of late has waited too long (`sojourn`).
 *
 * @category models
 * @since 0.1.0
 */
export const CongestionRule = Schema.Literals(["queue", "deadline", "sojourn"])
export type CongestionRule = typeof CongestionRule.Type

/**
 * What a worker's thread uses, read from outside. It does not matter whether the thread is blocked.
 *
 * @category models
 * @since 0.1.0
 */
export const ThreadReport = Schema.Struct({
  /** For how long its loop was busy, and for how long it waited, since the worker's present start. */
  activeMillis: Schema.Finite,
  idleMillis: Schema.Finite,
  /** Which part of the last half second its loop was busy: from 0 to 1. */
  utilization: Schema.Finite,
  /** Processor time, in the program and in the system; bytes of the heap in use, and that it may have. */
  cpuUserMillis: Schema.Finite,
  cpuSystemMillis: Schema.Finite,
  heapUsed: Count,
  heapLimit: Count,
  /** How old the last four are: more than a second while the thread is in a native call. */
  ageMillis: Schema.Finite
})

/**
 * @category models
 * @since 0.1.0
 */
export const WorkerReport = Schema.Struct({
  handle: Schema.String,
  workerIndex: Count,
  appIndex: Count,
  /** Number of the worker within its application. */
  mapIndex: Count,
  client: Schema.String,
  kind: Schema.Literals(["thread", "in-process"]),
  state: Schema.Literals(workerStates),
  /**
   * Whether it has fallen behind: messages are postponed, its queue has not had room since the last of them was, or it
   * let an offer run out and has not passed it yet; or a queue stands before it.
   */
  congested: Schema.Boolean,
  /** By which rule; where that is more than one, the first in the order of the list. */
  congestedBy: Schema.NullOr(CongestionRule),
  /**
   * What keeps it from new sessions: nothing (`sessions`: it takes them), that it is `congested`, that it is `full`
   * (`maxSessionsPerWorker`), that it has as much in hand as it may (`busy`: `maxConcurrent`), that there is no memory for another one (`no-memory`), or that it does not run, or is being
   * drained (`nothing`). Where several do, the first in this order: `nothing`, `congested`, `full`, `busy`,
   * `no-memory`.
   */
  takes: Schema.Literals(["sessions", "congested", "full", "busy", "no-memory", "nothing"]),
  sessions: Count,
  restarts: Count,
  /** The same by reason, over all its generations. */
  restartsBy: countsOf(RestartReasons),
  /** Which of its generations serves: 1, and one more with each reload. */
  generation: Count,
  /** The one that is to take its place and starts beside it, if there is one. */
  successor: Schema.NullOr(Schema.Struct({ generation: Count, state: Schema.Literals(workerStates) })),
  /** The generations that were replaced and have not finished, oldest first. */
  formers: Schema.Array(Schema.Struct({
    generation: Count,
    state: Schema.Literals(workerStates),
    sessions: Count,
    /** Time since it was replaced. */
    ageMillis: Count
  })),
  /** How often it has died, in which time, where that is again and again; else null. */
  crashLoop: Schema.NullOr(Schema.Struct({ deaths: Count, withinMillis: Schema.Finite })),
  /** Why the worker last went away, if it did. */
  lastFailure: Schema.NullOr(Schema.String),
  /** Where in the application that was: a stack with many lines, as the application's thread gave it. */
  lastFailureStack: Schema.NullOr(Schema.String),
  queue: Schema.Struct({ index: Depth, io: Depth, control: Depth }),
  postponed: Schema.Struct({ now: Count, bytes: Count, highest: Count }),
  /** How often messages were postponed for it; `behind` and `delayed` have the other parts of congestion. */
  timesCongested: Count,
  /** For how long messages were postponed, in total. */
  congestedMillis: Schema.Finite,
  /**
   * Offers taken back that the worker has not passed yet; how often there were any, and for how long in total.
   * `nowMillis`: for how long it has been behind now, with an offer or with messages of which it takes none.
   */
  behind: Schema.Struct({ offers: Count, times: Count, millis: Schema.Finite, nowMillis: Schema.Finite }),
  /** How often all that it was offered waited too long, and for how long it was congested by that, in total. */
  delayed: Schema.Struct({ times: Count, millis: Schema.Finite }),
  /** Requests that it has in hand, and how many it may have now; null where that has no limit (`maxConcurrent`). */
  inHand: Schema.NullOr(Schema.Struct({ now: Count, limit: Count })),
  /** Time since the worker was first seen to leave the message that it is to take next; 0 when it has none. */
  lastProgressMillis: Schema.Finite,
  /** For how long it has not responded, and where its code is, as far as that is known; null while it responds. */
  silent: Schema.NullOr(Schema.Struct({
    millis: Schema.Finite,
    place: Schema.NullOr(CodePlace),
    unplaced: Schema.NullOr(Schema.Literals(UnplacedReasons))
  })),
  segments: Schema.Struct({ count: Count, bytes: Count, hostBytes: Count, used: Count }),
  /**
   * `ample`: fifos are lent what they ask for, `short`: no segment is added for them any more, `none`: there was no
   * memory for the last session that was to be offered.
   */
  memory: Schema.Literals(["ample", "short", "none"]),
  /** How often there was no memory for a session. */
  sessionsRefused: Count,
  messages: MessageCounts,
  offers: OfferCounts,
  /** What its thread uses, as far as that is known; null for a worker that has no thread of its own. */
  thread: Schema.NullOr(ThreadReport),
  times: WorkerTimesReport,
  ...traffic
})
export type WorkerReport = typeof WorkerReport.Type
