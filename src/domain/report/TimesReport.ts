/**
 * What a host reports of how long things take, as histograms (M12).
 *
 * All histograms have the same buckets, so whoever reads several reports can add them up, bucket by bucket.
 */
import * as Schema from "effect/Schema"
import type { Histogram } from "../state/Histogram.ts"
import type { ListenerTimes, WorkerTimes } from "../state/Times.ts"
import { Count } from "./ReportFields.ts"

/**
 * @category models
 * @since 0.1.0
 */
export const HistogramReport = Schema.Struct({
  count: Count,
  sumMillis: Schema.Finite,
  maxMillis: Schema.Finite,
  /** Half of the times, and 99 of 100, were no longer than this; too large by no more than a seventh. */
  p50Millis: Schema.Finite,
  p99Millis: Schema.Finite,
  /**
   * The buckets that are not empty, shortest times first: each has the times that are longer than where the bucket before
   * ends, and no longer than `toMillis`, which is null for what is longer than 28 hours.
   */
  buckets: Schema.Array(Schema.Struct({ toMillis: Schema.NullOr(Schema.Finite), count: Count }))
})
export type HistogramReport = typeof HistogramReport.Type

const ofSessions = {
  /** From when an offer was made until the host had read that it was claimed. */
  claim: HistogramReport,
  /** From the claim until the first byte from the application was on its way; not where the host sees no bytes. */
  answer: HistogramReport,
  /** From the claim until the session was over, or had moved on. */
  length: HistogramReport
}

/**
 * How long things take at a worker, over all its starts.
 *
 * @category models
 * @since 0.1.0
 */
export const WorkerTimesReport = Schema.Struct({
  ...ofSessions,
  /** How long messages were postponed that had to be. */
  postponed: HistogramReport
})

/**
 * How long things take at a listener.
 *
 * @category models
 * @since 0.1.0
 */
export const ListenerTimesReport = Schema.Struct({
  ...ofSessions,
  /** How long connections waited for a worker, whatever became of them then; each time that they had to wait. */
  hold: HistogramReport
})

/** Bytes from peers and to them, where the host sees them: neither of cut-through sessions, nor with `transfer`. */
export const traffic = { bytesIn: Count, bytesOut: Count }

/** Thousandths of a millisecond are as much as the clock is good for. */
const rounded = (millis: number): number => Math.round(millis * 1000) / 1000

export const ofHistogram = (times: Histogram): HistogramReport => ({
  count: times.count,
  sumMillis: rounded(times.sum),
  maxMillis: rounded(times.max),
  p50Millis: rounded(times.quantile(0.5)),
  p99Millis: rounded(times.quantile(0.99)),
  buckets: times.buckets.map(([end, count]) => ({ toMillis: Number.isFinite(end) ? end : null, count }))
})

/** The times and bytes of a worker. */
export const ofWorker = ({ answer, bytesIn, bytesOut, claim, length, postponed }: WorkerTimes) => ({
  times: {
    claim: ofHistogram(claim),
    answer: ofHistogram(answer),
    length: ofHistogram(length),
    postponed: ofHistogram(postponed)
  },
  bytesIn,
  bytesOut
})

/** The times and bytes of a listener. */
export const ofListener = ({ answer, bytesIn, bytesOut, claim, hold, length }: ListenerTimes) => ({
  times: {
    claim: ofHistogram(claim),
    answer: ofHistogram(answer),
    length: ofHistogram(length),
    hold: ofHistogram(hold)
  },
  bytesIn,
  bytesOut
})
