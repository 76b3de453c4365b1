/**
 * What the host reports about itself: the data behind `show` and its `--json` (W21, M12, M14).
 *
 * Times are in milliseconds and sizes in bytes; counts are of what there is now, unless they are said to be sums.
 * Applications are named and numbered (`app`, `appIndex`); a worker is given by its number within its application.
 * Whatever an operation can be done on has its handle, as `index.generation`.
 *
 * It is a long file of short definitions: the reports refer to each other, and a reader of one finds its parts here.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as AddressPattern from "../net/AddressPattern.ts"
import { Warning } from "../net/Certificate.ts"
import * as Endpoint from "../net/Endpoint.ts"
import { DropReasons, EndReasons, RefuseReasons, ReleaseReasons } from "../state/Ledger.ts"
import { sessionStates, shownStates } from "../state/SessionState.ts"
import { workerStates } from "../state/WorkerState.ts"

const Count = Schema.Int

const countsOf = <K extends string>(keys: ReadonlyArray<K>) =>
  Schema.Struct(Object.fromEntries(keys.map((key) => [key, Count])) as Record<K, typeof Count>)

/**
 * @category models
 * @since 0.1.0
 */
export const MessageCounts = Schema.Struct({
  sent: Count,
  delivered: Count,
  postponed: Count,
  released: countsOf(ReleaseReasons)
})

/**
 * @category models
 * @since 0.1.0
 */
export const OfferCounts = Schema.Struct({
  offered: Count,
  claimed: Count,
  /** Refused by the application. */
  refused: Count,
  revoked: Count,
  withdrawn: Count,
  pending: Count,
  /** Of those that were claimed: parked, and then moved on to another worker. */
  moved: Count
})

/**
 * @category models
 * @since 0.1.0
 */
export const ArrivalCounts = Schema.Struct({
  arrived: Count,
  claimed: Count,
  withdrawn: Count,
  /** Sent to another application's listener by a session rule. */
  redirected: Count,
  held: Count,
  offered: Count,
  /** How often a session was moved on to another worker. */
  moved: Count,
  /** Sessions that were reset because their worker had them in hand when it went away. */
  lost: Count,
  refused: countsOf(RefuseReasons),
  /** Datagrams that were dropped, by reason. */
  dropped: countsOf(DropReasons),
  /** Sessions that were ended by neither their peers nor the application, by reason. */
  ended: countsOf(EndReasons)
})

/**
 * Where an application listens and connects: within its namespace, with the transport, or both (W17).
 *
 * @category models
 * @since 0.1.0
 */
export const Scope = Schema.Literals(["local", "global"])

/**
 * Slots in use, and all slots.
 *
 * @category models
 * @since 0.1.0
 */
export const Depth = Schema.Struct({ used: Count, size: Count })

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
   * let an offer run out and has not passed it yet.
   */
  congested: Schema.Boolean,
  /**
   * What keeps it from new sessions: nothing (`sessions`: it takes them), that it is `congested`, that it is `full`
   * (`maxSessionsPerWorker`), that there is no memory for another one (`no-memory`), or that it does not run, or is being
   * drained (`nothing`). Where several do, the first in this order: `nothing`, `congested`, `full`, `no-memory`.
   */
  takes: Schema.Literals(["sessions", "congested", "full", "no-memory", "nothing"]),
  sessions: Count,
  restarts: Count,
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
  /** Why the worker last went away, if it did. */
  lastFailure: Schema.NullOr(Schema.String),
  /** Where in the application that was: a stack with many lines, as the application's thread gave it. */
  lastFailureStack: Schema.NullOr(Schema.String),
  queue: Schema.Struct({ index: Depth, io: Depth, control: Depth }),
  postponed: Schema.Struct({ now: Count, bytes: Count, highest: Count }),
  /** How often messages were postponed for it; `behind` has the other part of congestion. */
  timesCongested: Count,
  /** For how long messages were postponed, in total. */
  congestedMillis: Schema.Finite,
  /** Offers taken back that the worker has not passed yet; how often there were any, and for how long in total. */
  behind: Schema.Struct({ offers: Count, times: Count, millis: Schema.Finite }),
  /** Time since the worker last took a message from its queue, or since it had none to take. */
  lastProgressMillis: Schema.Finite,
  segments: Schema.Struct({ count: Count, bytes: Count, hostBytes: Count, used: Count }),
  /**
   * `ample`: fifos are lent what they ask for, `short`: no segment is added for them any more, `none`: there was no
   * memory for the last session that was to be offered.
   */
  memory: Schema.Literals(["ample", "short", "none"]),
  /** How often there was no memory for a session. */
  sessionsRefused: Count,
  messages: MessageCounts,
  offers: OfferCounts
})
export type WorkerReport = typeof WorkerReport.Type

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
  /** Numbers of the workers that serve it. */
  workers: Schema.Array(Count),
  /** Which segment manager of each running worker the sessions come from (W7). */
  managers: Schema.Array(Schema.Struct({ worker: Count, manager: Count })),
  sessions: Count,
  arrivals: ArrivalCounts
})
export type ListenerReport = typeof ListenerReport.Type

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
  workers: Schema.Array(WorkerReport),
  listeners: Schema.Array(ListenerReport)
})
export type AppReport = typeof AppReport.Type

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
  apps: Schema.Array(AppReport),
  /** Sums over all workers and listeners that there have ever been. */
  ledger: Schema.Struct({ messages: MessageCounts, offers: OfferCounts, arrivals: ArrivalCounts }),
  /** What does not add up; empty on a sound host. */
  imbalances: Schema.Array(Schema.String)
})
export type HostReport = typeof HostReport.Type

// ---------------------------------------------------------------------------------------------------------------------
// Sessions
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a session's bytes go over: a connection, or memory that two workers share.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionTransport = Endpoint.TransportName

/**
 * How a session came to be; a cut-through session is two of them, one at each end (W16).
 *
 * @category models
 * @since 0.1.0
 */
export const SessionKind = Schema.Literals(["accepted", "connected", "cut-through server", "cut-through client"])

/**
 * A fifo: bytes in it, bytes that it may hold, and bytes of memory that it has now.
 *
 * @category models
 * @since 0.1.0
 */
export const FifoReport = Schema.Struct({ used: Count, size: Count, memory: Count })

/** Which worker something belongs to. */
const OfWorker = {
  app: Schema.String,
  appIndex: Count,
  worker: Count,
  workerHandle: Schema.String
}

/**
 * Why a parked session moves on to another worker: its worker let it wait for `revokeAfter` (`late`), is replaced with
 * its application (`reload`) or alone (`restart`), is deleted (`delete`), or has died or was given up (`crash`); or the
 * session came from the host that ran before (`takeover`).
 *
 * @category models
 * @since 0.1.0
 */
export const MoveReason = Schema.Literals(["late", "reload", "restart", "delete", "crash", "takeover"])
export type MoveReason = typeof MoveReason.Type

/**
 * @category models
 * @since 0.1.0
 */
export const SessionReport = Schema.Struct({
  handle: Schema.String,
  ...OfWorker,
  /** Handle of the listener that it came from, even if that is gone; null for a session that its worker asked for. */
  listener: Schema.NullOr(Schema.String),
  state: Schema.Literals(shownStates),
  transport: SessionTransport,
  kind: SessionKind,
  /** Who has the connection's socket: with `transfer` it is the worker, once it has claimed the session. */
  placement: Placement,
  local: Schema.String,
  remote: Schema.String,
  ageMillis: Schema.Finite,
  /** Whether its worker has parked it: it stands between two messages, and can move on. */
  parked: Schema.Boolean,
  /** How often its connection has moved on to another worker, and why it did so last; null if it never did. */
  moves: Count,
  moved: Schema.NullOr(MoveReason),
  /** To the application, and from it; null where the host does not see the bytes: cut-through, and `transfer`. */
  rx: Schema.NullOr(FifoReport),
  tx: Schema.NullOr(FifoReport),
  /** How many of its datagrams were dropped. */
  dropped: Count
})
export type SessionReport = typeof SessionReport.Type

/**
 * A page of sessions, in the order of their slots.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionsReport = Schema.Struct({
  /** How many there are in all; on the first page only, since the host looks at each of them to know. */
  total: Schema.optionalKey(Count),
  sessions: Schema.Array(SessionReport),
  /**
   * Where the next page begins; absent on the last one. It stays good while sessions come and go: a session that is there
   * all the while is on one page, and only one that has come meanwhile may be on none.
   */
  next: Schema.optionalKey(Schema.String)
})
export type SessionsReport = typeof SessionsReport.Type

/**
 * A worker's number within its application, as `1`, or its handle, as `3.0`.
 *
 * @category models
 * @since 0.1.0
 */
export const WorkerFilter = Schema.String.check(
  Schema.isPattern(/^(?:0|[1-9]\d{0,7})(?:\.(?:0|[1-9]\d{0,8}))?$/, {
    expected: `a worker's number within its application, or its handle, such as "1" or "3.0"`
  })
)

/**
 * Which sessions to report: those that all given fields let pass. `SessionFilter.compile` decides.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionFilter = Schema.Struct({
  appIndex: Schema.optional(Count),
  worker: Schema.optional(WorkerFilter),
  state: Schema.optional(Schema.Literals(shownStates)),
  transport: Schema.optional(SessionTransport),
  local: Schema.optional(AddressPattern.Text),
  remote: Schema.optional(AddressPattern.Text)
})
export type SessionFilter = typeof SessionFilter.Type

/**
 * Which page of sessions.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionPage = Schema.Struct({
  /** The `next` of the page before; without it, the first page is meant. */
  after: Schema.optional(Schema.String.check(
    Schema.isPattern(/^(?:0|[1-9]\d{0,7})$/, { expected: "what `next` was on the page before" })
  )),
  /** The most sessions on the page. Default: 100. */
  limit: Schema.optional(Schema.Int.check(Schema.isGreaterThan(0)))
})
export type SessionPage = typeof SessionPage.Type

/**
 * Which page of another list.
 *
 * @category models
 * @since 0.1.0
 */
export const ListPage = Schema.Struct({
  /** The `next` of the page before; without it, the first page is meant. */
  after: Schema.optional(Schema.String.check(
    Schema.isPattern(/^(?:0|[1-9]\d{0,14})(?:\.(?:0|[1-9]\d{0,14})){0,2}$/, {
      expected: "what `next` was on the page before"
    })
  )),
  /** The most entries on the page, give or take those that are listed together, such as a worker's. Default: 100. */
  limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))
})
export type ListPage = typeof ListPage.Type

/** Where the next page of a list begins; absent on the last one. It stays good while entries come and go. */
const next = { next: Schema.optionalKey(Schema.String) }

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
export const ConnectsReport = Schema.Struct({ connects: Schema.Array(ConnectReport), ...next })
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
export const LocalsPage = Schema.Struct({ ...LocalsReport.fields, ...next })
export type LocalsPage = typeof LocalsPage.Type

// ---------------------------------------------------------------------------------------------------------------------
// Memory and queues
// ---------------------------------------------------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export const SegmentReport = Schema.Struct({
  index: Count,
  bytes: Count,
  /** Where the worker's part begins; the queues and the host's part are before it. */
  hostBytes: Count,
  /** Bytes of the host's part in allocated blocks, and outside them; null where only the worker knows. */
  used: Schema.NullOr(Count),
  free: Schema.NullOr(Count),
  /** Never removed: it holds the event queue (W6). */
  protected: Schema.Boolean
})
export type SegmentReport = typeof SegmentReport.Type

/**
 * The segments of a running worker, and who allocates from them.
 *
 * - `host`: session blocks and rx fifos, for a listener or for connects. Number 0 has the protected first segment.
 * - `worker`: segments that were added for tx fifos. Only the worker knows how full they are.
 * - `local`: segments of cut-through sessions, one for each session. They are counted but not listed.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentManagerReport = Schema.Struct({
  ...OfWorker,
  kind: Schema.Literals(["host", "worker", "local"]),
  /** Number of the manager among the worker's managers; null unless `kind` is `host`. */
  manager: Schema.NullOr(Count),
  /** The users that it serves: `connects`, or `listener` and its handle. */
  users: Schema.Array(Schema.String),
  /** How many segments there are, and how many bytes they have. */
  count: Count,
  bytes: Count,
  segments: Schema.Array(SegmentReport),
  /** Allocated blocks by their size, smallest first: 256 bytes for a session's block, 512 for its rings, more for fifos. */
  blocks: Schema.Array(Schema.Struct({ size: Count, count: Count })),
  /** Percent of the host's parts in use; null where the host does not know. */
  usedPercent: Schema.NullOr(Schema.Finite),
  /** Percent in use above which a segment is added, and up to which an empty one is removed. */
  highWatermark: Schema.Finite,
  lowWatermark: Schema.Finite,
  /** Whether a segment is on its way to the worker. */
  growing: Schema.Boolean
})
export type SegmentManagerReport = typeof SegmentManagerReport.Type

/**
 * A page of segment managers: those of a worker are on one page.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentsReport = Schema.Struct({ managers: Schema.Array(SegmentManagerReport), ...next })
export type SegmentsReport = typeof SegmentsReport.Type

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
export const QueuesReport = Schema.Struct({ queues: Schema.Array(QueueReport), ...next })
export type QueuesReport = typeof QueuesReport.Type

/**
 * A page of listeners.
 *
 * @category models
 * @since 0.1.0
 */
export const ListenersReport = Schema.Struct({ listeners: Schema.Array(ListenerReport), ...next })
export type ListenersReport = typeof ListenersReport.Type
