/**
 * What the host says of itself: the data behind `show app` and its `--json` (W21, M12, M14).
 *
 * Times are milliseconds, sizes bytes.
 */
import * as Schema from "effect/Schema"
import { RefuseReasons, ReleaseReasons } from "./Ledger.ts"
import { workerStates } from "./WorkerState.ts"

const Count = Schema.Int

const countsOf = <K extends string>(keys: ReadonlyArray<K>) =>
  Schema.Struct(Object.fromEntries(keys.map((key) => [key, Count])) as Record<K, typeof Count>)

export const Messages = Schema.Struct({
  sent: Count,
  delivered: Count,
  postponed: Count,
  released: countsOf(ReleaseReasons)
})

export const Offers = Schema.Struct({
  offered: Count,
  claimed: Count,
  revoked: Count,
  withdrawn: Count,
  pending: Count
})

export const Arrivals = Schema.Struct({
  arrived: Count,
  claimed: Count,
  withdrawn: Count,
  held: Count,
  offered: Count,
  refused: countsOf(RefuseReasons)
})

/** Slots in use and slots there are. */
export const Depth = Schema.Struct({ used: Count, size: Count })

export const Worker = Schema.Struct({
  workerIndex: Count,
  appIndex: Count,
  /** Number of the worker within its application. */
  mapIndex: Count,
  client: Schema.String,
  kind: Schema.Literals(["thread", "in-process"]),
  state: Schema.Literals(workerStates),
  /** Whether it has fallen behind: messages are postponed, or it let an offer run out and has not come past it. */
  congested: Schema.Boolean,
  sessions: Count,
  restarts: Count,
  /** Why the worker last went away, if it did. */
  lastFailure: Schema.NullOr(Schema.String),
  queue: Schema.Struct({ index: Depth, io: Depth, control: Depth }),
  postponed: Schema.Struct({ now: Count, bytes: Count, highest: Count }),
  timesCongested: Count,
  /** Time in congestion, in total. */
  congestedMillis: Schema.Finite,
  /** Offers taken back that the worker has not come past, how often there were any, and for how long in total. */
  behind: Schema.Struct({ offers: Count, times: Count, millis: Schema.Finite }),
  /** Time since the worker last took a message from its queue, or since it had none to take. */
  lastProgressMillis: Schema.Finite,
  segments: Schema.Struct({ count: Count, bytes: Count, hostBytes: Count, used: Count }),
  messages: Messages,
  offers: Offers
})
export type Worker = typeof Worker.Type

export const Listener = Schema.Struct({
  /** Index and generation, as `index.generation`. */
  handle: Schema.String,
  endpoint: Schema.String,
  /** Numbers of the workers that serve it. */
  workers: Schema.Array(Count),
  sessions: Count,
  arrivals: Arrivals
})
export type Listener = typeof Listener.Type

export const App = Schema.Struct({
  index: Count,
  name: Schema.String,
  client: Schema.String,
  namespace: Schema.String,
  firstSegmentSize: Count,
  addSegmentSize: Count,
  rxFifoSize: Count,
  txFifoSize: Count,
  workers: Schema.Array(Worker),
  listeners: Schema.Array(Listener)
})
export type App = typeof App.Type

export const Host = Schema.Struct({
  pid: Count,
  version: Schema.String,
  uptimeMillis: Schema.Finite,
  draining: Schema.Boolean,
  sessions: Count,
  apps: Schema.Array(App),
  /** Sums over all workers and listeners that there have been. */
  ledger: Schema.Struct({ messages: Messages, offers: Offers, arrivals: Arrivals }),
  /** What does not add up; empty on a sound host. */
  imbalances: Schema.Array(Schema.String)
})
export type Host = typeof Host.Type
