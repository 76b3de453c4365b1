/**
 * Metrics in Prometheus' text format, version 0.0.4.
 *
 * Written here, and not by way of a registry of Effect's metrics and its exporter, since a scrape takes the loop that moves
 * the bytes: this way it takes a third of the time.
 */
import * as Metrics from "./Metrics.ts"
import type { HistogramReport, HostReport } from "./Report.ts"

/** What an answer with this text says of its type. */
export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\"": "\\\"", "\n": "\\n" }

const labelsOf = (labels: Metrics.Labels): string =>
  Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (one) => ESCAPES[one]!)}"`)
    .join(",")

const series = (name: string, labels: string): string => labels === "" ? name : `${name}{${labels}}`

const numbers = ({ name, samples }: Metrics.NumberMetric, report: HostReport): ReadonlyArray<string> =>
  samples(report).map(([labels, value]) => `${series(name, labelsOf(labels))} ${value}`)

const histograms = ({ ends, name, samples }: Metrics.HistogramMetric, report: HostReport): ReadonlyArray<string> =>
  samples(report).flatMap(([labels, histogram]) => histogramLines(name, labelsOf(labels), ends, histogram))

const histogramLines = (
  name: string,
  labels: string,
  ends: ReadonlyArray<number>,
  histogram: HistogramReport
): ReadonlyArray<string> => {
  const bucket = (end: number | string, count: number): string => `${name}_bucket{${labels},le="${end}"} ${count}`
  return [
    ...Metrics.cumulated(ends, histogram).map(([end, count]) => bucket(end, count)),
    bucket("+Inf", histogram.count),
    `${series(`${name}_sum`, labels)} ${histogram.sumMillis / 1000}`,
    `${series(`${name}_count`, labels)} ${histogram.count}`
  ]
}

/** All metrics of a report. A metric without series is told all the same, so that whoever looks knows that there is one. */
export const format = (report: HostReport): string =>
  Metrics.all.flatMap((metric) => [
    `# HELP ${metric.name} ${metric.help}`,
    `# TYPE ${metric.name} ${metric.kind}`,
    ...(metric.kind === "histogram" ? histograms(metric, report) : numbers(metric, report))
  ]).join("\n") + "\n"
