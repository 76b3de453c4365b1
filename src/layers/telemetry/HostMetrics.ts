/**
 * The metrics of a host as series of `effect/Metric`, for whatever exporter a program has.
 *
 * Nothing is counted here: a series has its value when it is read. Those who read all series do so in one go, so the first
 * one that is read has a report made, and all take their values from it. The report also says which series there are: those
 * of a worker or listener that is new appear with the next reading, or a second after the event that tells of it.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import type { EventKind } from "../../domain/events/HostEvent.ts"
import * as Metrics from "../../domain/report/Metrics.ts"
import type { HistogramReport, HostReport } from "../../domain/report/Report.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"

/** How long after an event the series are looked at again, in milliseconds: its worker's thread is then known, too. */
const SETTLED = 1000

/** What changes which series there are. */
const CHANGES = [
  "app-attached",
  "app-detached",
  "worker-up",
  "worker-stopped",
  "listener-opened",
  "listener-closed"
] as const satisfies ReadonlyArray<EventKind>

/** How the units are called that exporters of Effect know, by the attribute `unit`. */
const UNITS = { s: "seconds", By: "bytes" } as const

/** A series that is registered, and what it was when it was last read. */
class Registered<V> {
  value: V
  readonly registration: Metric.Registration

  constructor(value: V, register: (value: () => V) => Metric.Registration) {
    this.value = value
    this.registration = register(() => this.value)
  }
}

const stateOf = (ends: ReadonlyArray<number>, times: HistogramReport): Metric.HistogramState => ({
  buckets: [...Metrics.cumulated(ends, times).map(([end, count]): [number, number] => [end, count]), [
    Infinity,
    times.count
  ]],
  count: times.count,
  // the end of its bucket: too large by no more than a seventh
  min: Math.min(times.buckets[0]?.toMillis ?? times.maxMillis, times.maxMillis) / 1000,
  max: times.maxMillis / 1000,
  sum: times.sumMillis / 1000
})

class HostSeries {
  readonly #context: Context.Context<never>
  readonly #report: () => HostReport
  readonly #numbers = new Map<string, Registered<number>>()
  readonly #histograms = new Map<string, Registered<HistogramReport>>()
  #isFresh = false

  constructor(context: Context.Context<never>, report: () => HostReport) {
    this.#context = context
    this.#report = report
  }

  /** Takes all values from one report, unless that was done in this turn; and has the series that the report has. */
  readonly refresh = (): void => {
    if (this.#isFresh) return
    this.#isFresh = true
    queueMicrotask(() => this.#isFresh = false)
    const report = this.#report()
    const gone = new Set([...this.#numbers.keys(), ...this.#histograms.keys()])
    for (const metric of Metrics.all) {
      if (metric.kind === "histogram") {
        take(this.#histograms, metric.name, metric.samples(report), gone, this.#histogram(metric))
      } else take(this.#numbers, metric.name, metric.samples(report), gone, this.#number(metric))
    }
    for (const key of gone) this.#remove(key)
  }

  #read<A>(value: () => A): A {
    this.refresh()
    return value()
  }

  #number({ help: description, kind, name, unit }: Metrics.NumberMetric) {
    return (labels: Metrics.Labels, value: () => number): Metric.Registration => {
      const options = { description, attributes: unit === undefined ? labels : { ...labels, unit: UNITS[unit] } }
      return kind === "counter"
        ? this.#register(Metric.counter(name, { ...options, incremental: true }), () => ({
          count: this.#read(value),
          incremental: true
        }))
        : this.#register(Metric.gauge(name, options), () => ({ value: this.#read(value) }))
    }
  }

  #histogram({ ends, help: description, name }: Metrics.HistogramMetric) {
    const boundaries = ends.map((end) => end / 1000)
    return (labels: Metrics.Labels, value: () => HistogramReport): Metric.Registration =>
      this.#register(
        Metric.histogram(name, { description, boundaries, attributes: { ...labels, unit: UNITS.s } }),
        () => stateOf(ends, this.#read(value))
      )
  }

  #register<Input, State>(metric: Metric.Metric<Input, State>, get: () => State): Metric.Registration {
    return Metric.registerUnsafe(metric, this.#context, { get, update: () => {}, modify: () => {} })
  }

  #remove(key: string): void {
    for (const series of [this.#numbers, this.#histograms]) {
      series.get(key)?.registration.remove()
      series.delete(key)
    }
  }

  removeAll(): void {
    for (const key of [...this.#numbers.keys(), ...this.#histograms.keys()]) this.#remove(key)
  }
}

/** Has each series that a report has of a metric take its value, those that are new registered; none of them is gone. */
const take = <V>(
  series: Map<string, Registered<V>>,
  name: string,
  samples: ReadonlyArray<Metrics.Sample<V>>,
  gone: Set<string>,
  register: (labels: Metrics.Labels, value: () => V) => Metric.Registration
): void => {
  for (const [labels, value] of samples) {
    const key = `${name} ${JSON.stringify(labels)}`
    gone.delete(key)
    const known = series.get(key)
    if (known === undefined) series.set(key, new Registered(value, (value) => register(labels, value)))
    else known.value = value
  }
}

/**
 * Registers the metrics of the program's host, those of `GET /metrics`, in the registry that the program's exporters read,
 * until the scope closes.
 *
 * **When to use** Use when the program has an exporter of its own. `Telemetry.layer` has this in it.
 *
 * **Gotchas** A registry holds the metrics of one host: a second one would replace them.
 *
 * **Example** (The host's metrics beside the program's own, for Prometheus)
 *
 * ```ts
 * const layer = Layer.mergeAll(HostMetrics.layer, PrometheusMetrics.layerHttp()).pipe(Layer.provide(Host.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, SessionLayer> = Layer.effectDiscard(Effect.gen(function*() {
  const { events, report } = yield* SessionLayer
  const context = yield* Effect.context<never>()
  const series = new HostSeries(context, () => Effect.runSyncWith(context)(report))
  yield* Effect.addFinalizer(() => Effect.sync(() => series.removeAll()))
  yield* Effect.sync(series.refresh)
  yield* events({ filter: { kinds: CHANGES } }).pipe(
    Stream.debounce(SETTLED),
    Stream.runForEach(() => Effect.sync(series.refresh)),
    Effect.forkScoped
  )
}))
