/**
 * What a host measures of itself, as metrics with names, units and labels: all of it is read from one report, so a scrape
 * costs the data plane nothing.
 *
 * - Names begin with `sluice_`, or as OpenTelemetry's conventions have it, and end in their unit; what only goes up ends in `_total`. Times are in seconds.
 * - `app` is an application's name, `worker` a worker's number within it, `listener` the endpoint where it listens. There is
 *   no label by session or address, so there are as many series as were configured.
 * - Series of workers and listeners end with these. Those that begin with `sluice_host_` are sums over all that there have
 *   ever been, and are the ledger's.
 * - A counter goes up by claims, also by those that became refusals later or moved on: claimed, moved and unclaimed of the
 *   ledger.
 */
import { ends } from "../state/Histogram.ts"
import * as Ledger from "../state/Ledger.ts"
import type { AppReport } from "./AppReport.ts"
import type { ListenerReport } from "./ListenerReport.ts"
import type { HistogramReport, HostReport, WorkerReport } from "./Report.ts"

export type Labels = Readonly<Record<string, string>>

/** One series of a metric, at one time. */
export type Sample<V = number> = readonly [labels: Labels, value: V]

interface Described {
  readonly name: string
  /** A sentence for people, without its full stop. */
  readonly help: string
  /** As UCUM writes it; absent for a number of things. */
  readonly unit?: "s" | "By" | undefined
}

export interface NumberMetric extends Described {
  readonly kind: "counter" | "gauge"
  readonly samples: (report: HostReport) => ReadonlyArray<Sample>
}

export interface HistogramMetric extends Described {
  readonly kind: "histogram"
  /** Where the buckets end that are told, in milliseconds: ends of the buckets that are counted. */
  readonly ends: ReadonlyArray<number>
  readonly samples: (report: HostReport) => ReadonlyArray<Sample<HistogramReport>>
}

export type HostMetric = NumberMetric | HistogramMetric

// ---- whose a series is

const each = (counts: Readonly<Record<string, number>>, label: string, common: Labels = {}): ReadonlyArray<Sample> =>
  Object.entries(counts).map(([reason, count]) => [{ ...common, [label]: reason }, count])

const ofWorkers =
  <V>(of: (worker: WorkerReport, labels: Labels) => ReadonlyArray<Sample<V>>) =>
  ({ apps }: HostReport): ReadonlyArray<Sample<V>> =>
    apps.flatMap(({ name, workers }) =>
      workers.flatMap((worker) => of(worker, { app: name, worker: String(worker.mapIndex) }))
    )

type ThreadReport = NonNullable<WorkerReport["thread"]>

const ofThreads = (of: (thread: ThreadReport, labels: Labels) => ReadonlyArray<Sample>) =>
  ofWorkers(({ thread }, labels) => thread === null ? [] : of(thread, labels))

const ofListeners =
  <V>(of: (listener: ListenerReport, labels: Labels) => ReadonlyArray<Sample<V>>) =>
  ({ apps }: HostReport): ReadonlyArray<Sample<V>> =>
    apps.flatMap(({ listeners, name }) =>
      listeners.flatMap((listener) => of(listener, { app: name, listener: listener.endpoint }))
    )

const worker = <V>(value: (worker: WorkerReport) => V) => ofWorkers((one, labels) => [[labels, value(one)]])
const listener = <V>(value: (listener: ListenerReport) => V) => ofListeners((one, labels) => [[labels, value(one)]])
const host = (value: (report: HostReport) => number) => (report: HostReport): ReadonlyArray<Sample> => [
  [{}, value(report)]
]

const seconds = (millis: number): number => millis / 1000

// ---- what the ledger counts

/** What became of connections, by result, and of those that were refused by reason. */
const connections = (
  arrivals: ListenerReport["arrivals"],
  labels: Labels
): ReadonlyArray<Sample> => [
  [{ ...labels, result: "claimed", reason: "" }, Ledger.claimsOf(arrivals)],
  [{ ...labels, result: "withdrawn", reason: "" }, arrivals.withdrawn],
  [{ ...labels, result: "redirected", reason: "" }, arrivals.redirected],
  ...each(arrivals.refused, "reason", { ...labels, result: "refused" })
]

const offers = (
  counts: WorkerReport["offers"],
  labels: Labels
): ReadonlyArray<Sample> => {
  const { offered, refused, revoked, withdrawn } = counts
  return each({ offered, claimed: Ledger.claimedOffers(counts), refused, revoked, withdrawn }, "result", labels)
}

const messages = (
  { delivered, released, sent }: WorkerReport["messages"],
  labels: Labels
): ReadonlyArray<Sample> => [
  [{ ...labels, result: "sent", reason: "" }, sent],
  [{ ...labels, result: "delivered", reason: "" }, delivered],
  ...each(released, "reason", { ...labels, result: "released" })
]

const CONNECTIONS =
  "Connections, by what became of them; a session that moves is claimed once more, and a claim that is refused later counts as both"
const OFFERS = "Offers of sessions, by what became of them"
const MESSAGES = "Messages to workers, by what became of them"
const MOVED = "How often a session was moved on to another worker"
const LOST = "Sessions that were reset because their worker had them in hand when it went away"
const ENDED = "Sessions that were ended by neither their peer nor the application"
const DROPPED = "Datagrams that were dropped"

// ---- histograms

const isRound = (millis: number): boolean => /^(?:1|2\.5|5)e/.test(millis.toExponential())
/** The ends at 1, 2.5 and 5 of each decade between two times, in milliseconds. */
const between = (least: number, most: number): ReadonlyArray<number> =>
  [...ends].filter((end) => end >= least && end <= most && isRound(end))

/** For what takes fractions of a second; and for what takes minutes and hours. */
const SHORT = between(0.1, 10_000)
const LONG = between(10, 1e8)

const histogram = (
  name: string,
  help: string,
  samples: HistogramMetric["samples"],
  ends = SHORT
): HistogramMetric => ({ kind: "histogram", name, help, unit: "s", ends, samples })

const CLAIM = "Time from when a session was offered until the host had heard that it was claimed"
const ANSWER = "Time from a claim until the first byte from the application was on its way to the peer"
const SESSION = "Time from a claim until the session was over, or had moved on"

// ---- the metrics

const gauge = (
  name: string,
  help: string,
  samples: NumberMetric["samples"],
  unit?: Described["unit"]
): NumberMetric => ({ kind: "gauge", name, help, unit, samples })

const counter = (
  name: string,
  help: string,
  samples: NumberMetric["samples"],
  unit?: Described["unit"]
): NumberMetric => ({ kind: "counter", name, help, unit, samples })

const ofHost: ReadonlyArray<HostMetric> = [
  gauge("sluice_info", "The host's version", ({ version }) => [[{ version }, 1]]),
  gauge("sluice_uptime_seconds", "Time since the host has started", host((all) => seconds(all.uptimeMillis)), "s"),
  gauge("sluice_draining", "Whether the host takes nothing new", host(({ draining }) => Number(draining))),
  gauge("sluice_former_hosts", "Hosts before this one that have not ended", host((all) => all.formerHosts.length)),
  gauge("sluice_imbalances", "Sums of the ledger that do not add up", host((all) => all.imbalances.length)),
  counter("sluice_host_connections_total", CONNECTIONS, ({ ledger }) => connections(ledger.arrivals, {})),
  counter("sluice_host_offers_total", OFFERS, ({ ledger }) => offers(ledger.offers, {})),
  counter("sluice_host_messages_total", MESSAGES, ({ ledger }) => messages(ledger.messages, {})),
  counter("sluice_host_sessions_moved_total", MOVED, host(({ ledger }) => ledger.arrivals.moved)),
  counter("sluice_host_sessions_lost_total", LOST, host(({ ledger }) => ledger.arrivals.lost)),
  counter("sluice_host_sessions_ended_total", ENDED, ({ ledger }) => each(ledger.arrivals.ended, "reason")),
  counter("sluice_host_datagrams_dropped_total", DROPPED, ({ ledger }) => each(ledger.arrivals.dropped, "reason"))
]

const ofApps = (of: (app: AppReport) => number) => ({ apps }: HostReport): ReadonlyArray<Sample> =>
  apps.map((app) => [{ app: app.name }, of(app)])

const ofEachApp: ReadonlyArray<HostMetric> = [
  gauge(
    "sluice_quarantined_threads",
    "Threads of workers that are gone, which are in native code and do not end",
    ofApps(({ quarantined }) => quarantined.length)
  ),
  gauge(
    "sluice_quarantined_bytes",
    "Memory that is kept for threads which do not end",
    ofApps(({ quarantined }) => quarantined.reduce((sum, { bytes }) => sum + bytes, 0)),
    "By"
  ),
  counter(
    "sluice_reloads_total",
    "How often the application's workers were to be given new code, by what became of it",
    ({ apps }) => apps.flatMap(({ name, reloads }) => each({ ...reloads }, "result", { app: name }))
  )
]

const ofEachListener: ReadonlyArray<HostMetric> = [
  counter("sluice_connections_total", CONNECTIONS, ofListeners(({ arrivals }, of) => connections(arrivals, of))),
  gauge("sluice_held", "Connections that wait for a worker now", listener(({ arrivals }) => arrivals.held)),
  gauge("sluice_on_offer", "Connections that are on offer to a worker now", listener((all) => all.arrivals.offered)),
  gauge("sluice_listener_sessions", "Sessions that came from the listener", listener(({ sessions }) => sessions)),
  counter("sluice_sessions_moved_total", MOVED, listener(({ arrivals }) => arrivals.moved)),
  counter("sluice_sessions_lost_total", LOST, listener(({ arrivals }) => arrivals.lost)),
  counter("sluice_sessions_ended_total", ENDED, ofListeners(({ arrivals }, of) => each(arrivals.ended, "reason", of))),
  counter(
    "sluice_datagrams_dropped_total",
    DROPPED,
    ofListeners(({ arrivals }, of) => each(arrivals.dropped, "reason", of))
  ),
  counter(
    "sluice_listener_bytes_total",
    "Bytes from peers and to them, where the host sees them",
    ofListeners(({ bytesIn, bytesOut }, of) => each({ in: bytesIn, out: bytesOut }, "direction", of)),
    "By"
  ),
  histogram("sluice_listener_claim_seconds", CLAIM, listener(({ times }) => times.claim)),
  histogram(
    "sluice_hold_seconds",
    "Time for which a connection waited for a worker, each time that it had to",
    listener(({ times }) => times.hold)
  ),
  histogram("sluice_listener_answer_seconds", ANSWER, listener(({ times }) => times.answer)),
  histogram("sluice_listener_session_seconds", SESSION, listener(({ times }) => times.length), LONG)
]

const ofEachWorker: ReadonlyArray<HostMetric> = [
  gauge("sluice_sessions", "Sessions that the worker has, or may still claim", worker(({ sessions }) => sessions)),
  gauge("sluice_worker_running", "Whether the worker runs", worker(({ state }) => Number(state === "RUNNING"))),
  gauge(
    "sluice_worker_takes_sessions",
    "Whether the worker takes sessions: it runs, and is neither congested, full nor out of memory",
    worker(({ takes }) => Number(takes === "sessions"))
  ),
  gauge(
    "sluice_worker_congested",
    "Whether the worker has fallen behind, with messages or with an offer, or all that it is offered waits",
    worker(({ congested }) => Number(congested))
  ),
  counter(
    "sluice_worker_congested_seconds_total",
    "Time for which messages were postponed, since the worker has started",
    worker(({ congestedMillis }) => seconds(congestedMillis)),
    "s"
  ),
  gauge(
    "sluice_worker_behind_offers",
    "Offers that were taken back and that the worker has not passed yet",
    worker(({ behind }) => behind.offers)
  ),
  counter(
    "sluice_worker_behind_seconds_total",
    "Time for which the worker was behind with an offer, since it has started",
    worker(({ behind }) => seconds(behind.millis)),
    "s"
  ),
  counter(
    "sluice_worker_delayed_seconds_total",
    "Time for which the worker was congested by the wait of all that it was offered, since it has started",
    worker(({ delayed }) => seconds(delayed.millis)),
    "s"
  ),
  gauge(
    "sluice_worker_in_hand",
    "Requests that the worker has in hand, where that has a limit",
    ofWorkers(({ inHand }, of) => inHand === null ? [] : [[of, inHand.now]])
  ),
  gauge(
    "sluice_worker_in_hand_limit",
    "How many requests the worker may have in hand now",
    ofWorkers(({ inHand }, of) => inHand === null ? [] : [[of, inHand.limit]])
  ),
  gauge(
    "sluice_worker_last_progress_seconds",
    "Time since the worker last took a message, or had none to take",
    worker(({ lastProgressMillis }) => seconds(lastProgressMillis)),
    "s"
  ),
  gauge(
    "sluice_worker_behind_seconds",
    "For how long the worker has been behind now: with an offer, or with messages of which it takes none",
    worker(({ behind }) => seconds(behind.nowMillis)),
    "s"
  ),
  counter(
    "sluice_worker_restarts_total",
    "How often the worker was started again, by why",
    ofWorkers(({ restartsBy }, of) => each(restartsBy, "reason", of))
  ),
  gauge(
    "sluice_worker_generation",
    "Which of the worker's generations serves: 1, and one more with each reload",
    worker(({ generation }) => generation)
  ),
  counter("sluice_offers_total", OFFERS, ofWorkers(({ offers: counts }, of) => offers(counts, of))),
  counter("sluice_messages_total", MESSAGES, ofWorkers(({ messages: counts }, of) => messages(counts, of))),
  gauge("sluice_postponed_messages", "Messages that are postponed now", worker(({ postponed }) => postponed.now)),
  gauge("sluice_postponed_bytes", "Bytes of messages that are postponed", worker((all) => all.postponed.bytes), "By"),
  gauge(
    "sluice_queue_used",
    "Slots in use of the queue to the worker",
    ofWorkers(({ queue: { control, index, io } }, of) =>
      each({ index: index.used, io: io.used, control: control.used }, "ring", of)
    )
  ),
  gauge(
    "sluice_queue_size",
    "Slots of the queue to the worker",
    ofWorkers(({ queue: { control, index, io } }, of) =>
      each({ index: index.size, io: io.size, control: control.size }, "ring", of)
    )
  ),
  gauge(
    "sluice_memory_bytes",
    "Shared memory: all segments, and the blocks of the host's part in use",
    ofWorkers(({ segments: { bytes, used } }, of) => each({ segments: bytes, used }, "kind", of)),
    "By"
  ),
  counter(
    "sluice_bytes_total",
    "Bytes from peers and to them, where the host sees them",
    ofWorkers(({ bytesIn, bytesOut }, of) => each({ in: bytesIn, out: bytesOut }, "direction", of)),
    "By"
  ),
  gauge(
    "nodejs_eventloop_utilization",
    "Which part of the last half second the loop of the worker's thread was busy",
    ofThreads(({ utilization }, of) => [[of, utilization]])
  ),
  counter(
    "nodejs_eventloop_time_seconds_total",
    "Time for which the loop of the worker's thread was busy, and for which it waited",
    ofThreads(({ activeMillis, idleMillis }, of) =>
      each({ active: seconds(activeMillis), idle: seconds(idleMillis) }, "state", of)
    ),
    "s"
  ),
  counter(
    "sluice_worker_cpu_seconds_total",
    "Processor time of the worker's thread",
    ofThreads(({ cpuSystemMillis, cpuUserMillis }, of) =>
      each({ user: seconds(cpuUserMillis), system: seconds(cpuSystemMillis) }, "mode", of)
    ),
    "s"
  ),
  gauge(
    "v8js_memory_heap_used_bytes",
    "Bytes of the heap of the worker's thread that are in use",
    ofThreads(({ heapUsed }, of) => [[of, heapUsed]]),
    "By"
  ),
  gauge(
    "v8js_memory_heap_limit_bytes",
    "Bytes that the heap of the worker's thread may have",
    ofThreads(({ heapLimit }, of) => [[of, heapLimit]]),
    "By"
  ),
  histogram("sluice_claim_seconds", CLAIM, worker(({ times }) => times.claim)),
  histogram("sluice_answer_seconds", ANSWER, worker(({ times }) => times.answer)),
  histogram("sluice_session_seconds", SESSION, worker(({ times }) => times.length), LONG),
  histogram(
    "sluice_postponed_seconds",
    "Time for which messages were postponed that had to be",
    worker(({ times }) => times.postponed)
  )
]

/** All metrics, in the order in which they are told. */
export const all: ReadonlyArray<HostMetric> = [...ofHost, ...ofEachApp, ...ofEachListener, ...ofEachWorker]

/** A histogram as it is told: where the buckets end, in seconds, and how many times are no longer than that. */
export const cumulated = (
  ends: ReadonlyArray<number>,
  { buckets }: HistogramReport
): ReadonlyArray<readonly [end: number, count: number]> => {
  let at = 0
  let count = 0
  return ends.map((end) => {
    for (; at < buckets.length; at++) {
      const { count: more, toMillis } = buckets[at]!
      if (toMillis === null || toMillis > end) break
      count += more
    }
    return [seconds(end), count]
  })
}
