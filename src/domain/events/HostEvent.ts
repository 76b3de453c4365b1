/**
 * What happens in a host, as data (X5): one union, which is closed. An event is told where what it tells of is counted,
 * and its reason is from the list by which that is counted.
 *
 * Each event has a serial number, by which a reader goes on, the time of day for people, and the monotonic time for
 * arithmetic. In a program, what it is about has handles; as JSON, handles are texts (`12.3`).
 *
 * **Counted events** What peers can bring about as often as they please has a `count`. Each is an event of its own, with
 * its session and its peer, as long as there are few. In a flood the rest of each second is one event for each kind,
 * listener, worker and reason. So the sum of the counts is what the ledger says, and a flood leaves the other events
 * where they are (`EventSeries`).
 *
 * | count of the ledger | events, by the sum of their counts |
 * |---|---|
 * | `arrivals.refused`, by reason | `session-refused` |
 * | `arrivals.moved`, `offers.moved` | `session-moved` |
 * | `arrivals.ended`, by reason | `session-ended` |
 * | `arrivals.lost` | `session-lost` |
 * | `arrivals.dropped`, by reason | `datagram-dropped` |
 * | `offers.revoked` | `offer-revoked` |
 *
 * It is one union, and therefore one file.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { RuleHandle } from "../admission/SessionRule.ts"
import { MoveReason, Placement } from "../report/Report.ts"
import { CodePlace, UnplacedReasons } from "../report/Whereabouts.ts"
import type { CertificateHandle, ListenerHandle, SessionHandle, WorkerHandle } from "../state/Handle.ts"
import { HandleFromString } from "../state/HandleText.ts"
import { DropReasons, EndReasons, RefuseReasons } from "../state/Ledger.ts"
import { NeedReasons } from "../state/NeedReason.ts"
import { ExitReasons, ReplaceReasons, StuckKept, UnresponsiveReasons } from "../state/WorkerEnd.ts"

/** All events have these. */
const stamp = {
  /** 1, 2, 3, …: in the order of the events, over all of a host's life. */
  serial: Schema.Int,
  /** Milliseconds since the epoch, by the wall clock: for people. */
  time: Schema.Finite,
  /** Milliseconds of `MonotonicTime`: for differences. */
  at: Schema.Finite
}

const inApp = { app: Schema.String }

/** A worker: its number within its application, its handle, and which of its generations it is. */
const ofWorker = {
  ...inApp,
  worker: Schema.Int,
  workerHandle: HandleFromString<WorkerHandle>(),
  generation: Schema.Int
}

/** A listener, by its handle and where it listens. */
const atListener = { ...inApp, listener: HandleFromString<ListenerHandle>(), endpoint: Schema.String }

/** How often it has happened; where that is once, to which connection. */
const often = {
  count: Schema.Int,
  /** The milliseconds in which it has happened: 0 for once. */
  withinMillis: Schema.Finite,
  /** The session, where there was one. */
  session: Schema.optionalKey(HandleFromString<SessionHandle>()),
  /** A number for the connection: the same in all events about it, whichever worker has its session. */
  connection: Schema.optionalKey(Schema.Int),
  /** The connection's other end, as a URI. */
  peer: Schema.optionalKey(Schema.String)
}

/** As {@link often}, and the worker, where one had it. */
const toConnection = {
  ...atListener,
  ...often,
  worker: Schema.optionalKey(ofWorker.worker),
  workerHandle: Schema.optionalKey(ofWorker.workerHandle)
}

/** The same, where a worker always has it. */
const toSession = { ...toConnection, worker: ofWorker.worker, workerHandle: ofWorker.workerHandle }

/** Where the code of a worker is, or why that is not known. */
const whereabouts = {
  place: Schema.NullOr(CodePlace),
  unplaced: Schema.NullOr(Schema.Literals(UnplacedReasons))
}

const kind = <const K extends string, const F extends Schema.Struct.Fields>(kind: K, fields: F) =>
  Schema.Struct({ ...stamp, kind: Schema.Literal(kind), ...fields })

/**
 * Why one generation of a worker takes the place of another.
 *
 * @category models
 * @since 0.1.0
 */
export const ReplaceReason = Schema.Literals(ReplaceReasons)
export type ReplaceReason = typeof ReplaceReason.Type

/**
 * Why a generation of a worker that was replaced has ended: it had `finished`, or there were more of them than may drain.
 *
 * @category models
 * @since 0.1.0
 */
export const FormerReason = Schema.Literals(["finished", "generations"])
export type FormerReason = typeof FormerReason.Type

/**
 * Why an application has a worker more, or one less: what its other workers were like, or somebody has `asked` for it.
 *
 * @category models
 * @since 0.1.0
 */
export const AddReason = Schema.Literals([...NeedReasons, "asked"])
export type AddReason = typeof AddReason.Type

/**
 * @category models
 * @since 0.1.0
 */
export const RetireReason = Schema.Literals(["quiet", "asked"])
export type RetireReason = typeof RetireReason.Type

/** How many workers the application has from now on, and for how long the reason held; null for what was asked for. */
const inNumber = { workers: Schema.Int, forMillis: Schema.NullOr(Schema.Finite) }

/**
 * Every event there is. What each means is in `docs/production.md`.
 *
 * @category models
 * @since 0.1.0
 */
export const HostEvent = Schema.Union([
  // ---- the host
  kind("host-draining", { sessions: Schema.Int }),
  kind("host-drained", { sessions: Schema.Int, left: Schema.Int, tookMillis: Schema.Finite }),
  kind("takeover-begun", {}),
  kind("takeover-abandoned", {}),
  kind("takeover-settled", {}),
  kind("takeover-ended", { detail: Schema.NullOr(Schema.String) }),
  kind("takeover-followed", {}),
  kind("ledger-imbalance", { detail: Schema.String }),
  // ---- applications
  kind("app-attached", { ...inApp, workers: Schema.Int }),
  kind("app-reloading", { ...inApp, workers: Schema.Int, because: Schema.NullOr(Schema.String) }),
  kind("app-reloaded", {
    ...inApp,
    workers: Schema.Int,
    tookMillis: Schema.Finite,
    because: Schema.NullOr(Schema.String)
  }),
  kind("app-reload-failed", { ...inApp, detail: Schema.String, stack: Schema.NullOr(Schema.String) }),
  kind("app-detached", inApp),
  // ---- workers
  kind("worker-up", { ...ofWorker, tookMillis: Schema.Finite, restarts: Schema.Int }),
  kind("worker-behind", { ...ofWorker, count: often.count, withinMillis: often.withinMillis }),
  kind("worker-congested", { ...ofWorker, count: often.count, withinMillis: often.withinMillis }),
  kind("worker-delayed", { ...ofWorker, count: often.count, withinMillis: often.withinMillis }),
  kind("worker-clear", {
    ...ofWorker,
    count: often.count,
    withinMillis: often.withinMillis,
    /** How long it was behind, congested or delayed, in total. */
    afterMillis: Schema.Finite
  }),
  kind("worker-silent", { ...ofWorker, silentMillis: Schema.Finite, ...whereabouts }),
  kind("worker-responds", { ...ofWorker, afterMillis: Schema.Finite }),
  kind("worker-stuck", {
    ...ofWorker,
    silentMillis: Schema.Finite,
    ...whereabouts,
    sessions: Schema.Int,
    /** Why it is not replaced; null when it is. */
    keptBecause: Schema.NullOr(Schema.Literals(StuckKept))
  }),
  kind("worker-gone", {
    ...ofWorker,
    reason: Schema.Literals([...ExitReasons, ...UnresponsiveReasons]),
    detail: Schema.String,
    stack: Schema.NullOr(Schema.String),
    /** When it starts again; null for a generation that had been replaced. */
    againMillis: Schema.NullOr(Schema.Finite)
  }),
  kind("worker-added", { ...ofWorker, reason: AddReason, ...inNumber }),
  kind("worker-add-failed", {
    ...ofWorker,
    detail: Schema.String,
    stack: Schema.NullOr(Schema.String),
    /** When another one is tried, if it is needed then. */
    againMillis: Schema.Finite
  }),
  kind("worker-retired", { ...ofWorker, reason: RetireReason, ...inNumber }),
  kind("worker-crash-loop", { ...ofWorker, deaths: Schema.Int, withinMillis: Schema.Finite }),
  kind("worker-quarantined", {
    ...ofWorker,
    /** Bytes of the memory that its thread may still write to. */
    bytes: Schema.Int
  }),
  kind("worker-quarantine-ended", { ...ofWorker, afterMillis: Schema.Finite }),
  kind("worker-draining", { ...ofWorker, sessions: Schema.Int }),
  kind("worker-restarting", ofWorker),
  kind("worker-replaced", { ...ofWorker, reason: ReplaceReason, sessions: Schema.Int }),
  kind("worker-former-ended", { ...ofWorker, reason: FormerReason, sessions: Schema.Int }),
  kind("worker-stopped", ofWorker),
  // ---- listeners
  kind("listener-opened", { ...atListener, placement: Placement }),
  kind("listener-closed", atListener),
  // ---- connections, and the sessions that they become
  kind("session-held", toConnection),
  kind("session-refused", { ...toConnection, reason: Schema.Literals(RefuseReasons) }),
  kind("offer-revoked", {
    ...toSession,
    /** How long the offers stood, in total. */
    afterMillis: Schema.Finite
  }),
  kind("session-claimed", toSession),
  kind("session-moved", { ...toSession, reason: MoveReason }),
  kind("session-ended", { ...toSession, reason: Schema.Literals(EndReasons) }),
  kind("session-lost", toSession),
  kind("session-closing", {
    ...ofWorker,
    session: HandleFromString<SessionHandle>(),
    how: Schema.Literals(["close", "reset"])
  }),
  kind("datagram-dropped", { ...toConnection, reason: Schema.Literals(DropReasons) }),
  // ---- what is set at run time
  kind("rule-added", { rule: HandleFromString<RuleHandle>(), text: Schema.String }),
  kind("rule-removed", { rule: HandleFromString<RuleHandle>(), text: Schema.String }),
  kind("source-denied", { source: Schema.String }),
  kind("source-allowed", { source: Schema.String }),
  kind("certificate-added", { ...inApp, certificate: HandleFromString<CertificateHandle>(), subject: Schema.String }),
  kind("certificate-replaced", {
    ...inApp,
    certificate: HandleFromString<CertificateHandle>(),
    subject: Schema.String
  }),
  kind("certificate-removed", { ...inApp, certificate: HandleFromString<CertificateHandle>(), subject: Schema.String })
])
export type HostEvent = typeof HostEvent.Type

/**
 * The name of a kind of event: what it is about, and what has happened.
 *
 * @category models
 * @since 0.1.0
 */
export type EventKind = HostEvent["kind"]

/**
 * The kinds of events.
 *
 * @category constants
 * @since 0.1.0
 */
export const eventKinds: ReadonlyArray<EventKind> = HostEvent.members.map(({ fields }) => fields.kind.literal)

/**
 * The event of a kind.
 *
 * @category models
 * @since 0.1.0
 */
export type EventOf<K extends EventKind> = Extract<HostEvent, { readonly kind: K }>

type Unstamped<E> = E extends HostEvent ? Omit<E, keyof typeof stamp> : never

/**
 * An event without what it is stamped with when it is told.
 *
 * @category models
 * @since 0.1.0
 */
export type EventFacts = Unstamped<HostEvent>

/**
 * What a reader has missed: it was too slow, or asked for events that are no longer kept. `missed`: how many; null when
 * nobody knows, since the serial number it gave is not one of this host.
 *
 * @category models
 * @since 0.1.0
 */
export const Gap = Schema.Struct({
  kind: Schema.Literal("gap"),
  /** That of the last event that is missing. */
  serial: Schema.Int,
  missed: Schema.NullOr(Schema.Int)
})
export type Gap = typeof Gap.Type

/**
 * What a reader of events gets.
 *
 * @category models
 * @since 0.1.0
 */
export const ToldEvent = Schema.Union([HostEvent, Gap])
export type ToldEvent = typeof ToldEvent.Type
