/**
 * What a host reports of its sessions, and which of them it is asked for (W21).
 */
import * as Schema from "effect/Schema"
import * as AddressPattern from "../net/AddressPattern.ts"
import * as Endpoint from "../net/Endpoint.ts"
import { shownStates } from "../state/SessionState.ts"
import { Placement } from "./ListenerReport.ts"
import { Count, OfWorker } from "./ReportFields.ts"
import * as SessionOrder from "./SessionOrder.ts"

/**
 * What a session's bytes go over: a connection, or memory that two workers share.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionTransport = Schema.Literals(Endpoint.transports)

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
  /** Bytes from its peer and to it, since its present worker has had it; null where the host does not see them. */
  bytesIn: Schema.NullOr(Count),
  bytesOut: Schema.NullOr(Count),
  /** How many of its datagrams were dropped. */
  dropped: Count
})
export type SessionReport = typeof SessionReport.Type

/**
 * A page of sessions, in the order of their slots, or in the one that was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionsReport = Schema.Struct({
  /**
   * How many the filter lets pass in all, for which the host looks at each of them: on the first page, and on every page
   * where they are sorted.
   */
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
 * A listener's handle, as `2.0`.
 *
 * @category models
 * @since 0.1.0
 */
export const ListenerFilter = Schema.String.check(
  Schema.isPattern(/^(?:0|[1-9]\d{0,7})\.(?:0|[1-9]\d{0,8})$/, { expected: `a listener's handle, such as "2.0"` })
)

/** Characters. */
const LONGEST_SEARCH = 256

/**
 * Which sessions to report: those that all given fields let pass. `SessionFilter.compile` decides.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionFilter = Schema.Struct({
  appIndex: Schema.optional(Count),
  worker: Schema.optional(WorkerFilter),
  /** Handle of the listener that it came from. */
  listener: Schema.optional(ListenerFilter),
  state: Schema.optional(Schema.Literals(shownStates)),
  transport: Schema.optional(SessionTransport),
  local: Schema.optional(AddressPattern.Text),
  remote: Schema.optional(AddressPattern.Text),
  /** A part of its handle, of its application and worker (`http 3`), of its addresses or its state, in either case. */
  search: Schema.optional(Schema.String.check(Schema.isMaxLength(LONGEST_SEARCH)))
})
export type SessionFilter = typeof SessionFilter.Type

/**
 * Which page of sessions.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionPage = Schema.Struct({
  /** The `next` of the page before, in the same order; without it, the first page is meant. */
  after: Schema.optional(Schema.String.check(
    Schema.isPattern(/^(?:[a-z]+:)?(?:0|[1-9]\d{0,7})(?::.{1,400})?$/su, {
      expected: "what `next` was on the page before"
    })
  )),
  /** The most sessions on the page. Default: 100. */
  limit: Schema.optional(Schema.Int.check(Schema.isGreaterThan(0))),
  /** By what they are sorted, over all pages; see `SessionOrder`. Default: by their slots. */
  sort: Schema.optional(SessionOrder.SessionSorting),
  /** The other way round. */
  reversed: Schema.optional(Schema.Boolean)
})
export type SessionPage = typeof SessionPage.Type
