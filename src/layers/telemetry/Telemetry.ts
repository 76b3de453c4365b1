/**
 * Logs, metrics and traces of a host, sent to OpenTelemetry's collectors by OTLP over HTTP, as the standard `OTEL_…`
 * variables say. `docs/operate.md` lists those that are heeded.
 *
 * ```
 *         metrics ── read the host
 *            │
 *          host  ── logs, and makes spans
 *            │
 *      logs, traces
 * ```
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { randomUUID } from "node:crypto"
import * as Os from "node:os"
import { type OtelSettings, type OtlpDestination, read, type Signal } from "../../domain/options/OtelVariables.ts"
import * as Metrics from "../../domain/report/Metrics.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import { Collectors } from "./Collectors.ts"
import * as HostMetrics from "./HostMetrics.ts"

/** For how long the end of a program may wait for what is still to be sent, in milliseconds: for metrics, and for the rest. */
const FLUSH = 1000

/**
 * @category options
 * @since 0.1.0
 */
export interface TelemetryOptions {
  /** What the telemetry is about, where neither `OTEL_SERVICE_NAME` nor `OTEL_RESOURCE_ATTRIBUTES` says it; `sluice` by default. */
  readonly serviceName?: string | undefined
  /** The variables; those of the process by default. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

const serializations = {
  "http/json": OtlpSerialization.layerJson,
  "http/protobuf": OtlpSerialization.layerProtobuf
} as const satisfies Record<OtlpDestination["protocol"], unknown>

/** The units of the host's metrics, by name: those that have none are not ratios, which "1" would say. */
const units = new Map(Metrics.all.map(({ name, unit }) => [name, unit ?? ""]))

/** Metrics with their units where the protocol has them, and not as an attribute, where the exporter leaves them, too. */
const withUnits = Layer.effect(
  OtlpSerialization.OtlpSerialization,
  Effect.map(OtlpSerialization.OtlpSerialization, (inner) => ({
    ...inner,
    metrics: ({ resourceMetrics }) =>
      inner.metrics({
        resourceMetrics: resourceMetrics.map(({ scopeMetrics, ...resource }) => ({
          ...resource,
          scopeMetrics: scopeMetrics.map(({ metrics, ...scope }) => ({
            ...scope,
            metrics: metrics.map((metric) => {
              const unit = units.get(metric.name)
              if (unit === undefined) return metric
              const points = metric.gauge?.dataPoints ?? metric.sum?.dataPoints ?? metric.histogram?.dataPoints ?? []
              for (const point of points) point.attributes = point.attributes?.filter(({ key }) => key !== "unit") ?? []
              return { ...metric, unit }
            })
          }))
        }))
      })
  }))
)

type Needs = HttpClient.HttpClient | OtlpSerialization.OtlpSerialization

/** The layer of a signal, with its client and its protocol; nothing where the signal goes nowhere. */
const exporter = (
  collectors: Collectors,
  signal: Signal,
  destination: OtlpDestination | undefined,
  layer: (destination: OtlpDestination) => Layer.Layer<OtlpExporter.Flusher, never, Needs>
): Layer.Layer<never> => {
  if (destination === undefined) return Layer.empty
  const bounded = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, collectors.client(signal, destination))
  )
  return layer(destination).pipe(
    Layer.provide(Layer.provide(withUnits, serializations[destination.protocol])),
    Layer.provide(Layer.provide(bounded, FetchHttpClient.layer)),
    // the variables have been read
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
  )
}

const exporters = ({ logs, metrics, temporality, traces, ...settings }: OtelSettings) => {
  const collectors = new Collectors()
  const resource = { serviceName: settings.serviceName, attributes: settings.attributes }
  const common = ({ compression, headers, interval, url }: OtlpDestination) =>
    ({ url, headers, compression, resource, exportInterval: interval, shutdownTimeout: FLUSH }) as const
  return {
    below: Layer.merge(
      exporter(collectors, "logs", logs, (to) => OtlpLogger.layer(common(to))),
      exporter(collectors, "traces", traces, (to) => OtlpTracer.layer(common(to)))
    ),
    above: metrics === undefined ? Layer.empty : Layer.provideMerge(
      exporter(collectors, "metrics", metrics, (to) => OtlpMetrics.layer({ ...common(to), temporality })),
      HostMetrics.layer
    )
  }
}

/** What is exported where, and what is ignored. */
const announce = ({ warnings, ...settings }: OtelSettings): Effect.Effect<void> => {
  const told = (["logs", "metrics", "traces"] as const).flatMap((signal) => {
    const destination = settings[signal]
    if (destination === undefined) return []
    const { host, pathname, protocol } = new URL(destination.url)
    return [`${signal} to ${protocol}//${host}${pathname}`]
  })
  return Effect.andThen(
    Effect.forEach(warnings, (warning) => Effect.logWarning(warning), { discard: true }),
    told.length === 0 ? Effect.void : Effect.logInfo(`telemetry: ${told.join(", ")}`)
  )
}

/**
 * A host that exports what the `OTEL_…` variables say; the same host where they say nothing.
 *
 * **When to use** Use around the layer of a host, so that its spans and its log go through what is exported, and its
 * metrics are those of this host. Exporters that are provided above a host get no spans and no logs of it.
 *
 * **Details** Metrics are those of `GET /metrics`, read from the host at each export, besides the program's own of
 * `effect/Metric`. A collector that is down or slow costs neither memory nor time: what it does not take is dropped. At
 * the end of the scope, what is left is sent within a second each for metrics and for the rest; `Flusher` sends it before.
 *
 * **Example** (A host with its telemetry)
 *
 * ```ts
 * const layer = Telemetry.layer(Host.layer, { serviceName: "shop" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R>(
  host: Layer.Layer<A | SessionLayer, E, R>,
  { environment, serviceName = "sluice" }: TelemetryOptions = {}
): Layer.Layer<A | SessionLayer | OtlpExporter.Flusher, E, R> =>
  Layer.unwrap(Effect.sync(() => {
    const settings = read(environment ?? process.env, {
      serviceName,
      attributes: {
        "host.name": Os.hostname(),
        "process.pid": String(process.pid),
        "service.instance.id": randomUUID()
      }
    })
    const { above, below } = exporters(settings)
    return Layer.provideMerge(above, host).pipe(
      Layer.provideMerge(Layer.effectDiscard(announce(settings))),
      Layer.provideMerge(below),
      Layer.provideMerge(OtlpExporter.layerFlusher)
    )
  }))
