/** What a host exports by OTLP, as a collector gets it; and the metrics of `HostMetrics`, which it reads. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Flusher } from "effect/observability/OtlpExporter"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Net from "node:net"
import * as MetricsText from "../../../src/domain/report/MetricsText.ts"
import * as NodeApps from "../../../src/layers/adapters/node/NodeApps.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as HostMetrics from "../../../src/layers/telemetry/HostMetrics.ts"
import * as Telemetry from "../../../src/layers/telemetry/Telemetry.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Exposition from "../../support/Exposition.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import * as Reports from "../../support/Reports.ts"
import { endOf } from "../../support/TcpClient.ts"
import { until } from "../../support/until.ts"

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Point {
  readonly attributes: ReadonlyArray<Attribute>
  readonly asDouble?: number
  readonly count?: number
  readonly sum?: number
}

interface SentMetric {
  readonly name: string
  readonly unit: string
  readonly sum?: { readonly dataPoints: ReadonlyArray<Point>; readonly isMonotonic: boolean }
  readonly gauge?: { readonly dataPoints: ReadonlyArray<Point> }
  readonly histogram?: { readonly dataPoints: ReadonlyArray<Point> }
}

/** What a collector got, as the protocol has it in JSON. */
interface Sent {
  readonly resourceLogs?: ReadonlyArray<
    { readonly scopeLogs: ReadonlyArray<{ readonly logRecords: ReadonlyArray<{ readonly body: Attribute["value"] }> }> }
  >
  readonly resourceSpans?: ReadonlyArray<
    { readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<{ readonly name: string }> }> }
  >
  readonly resourceMetrics?: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<Attribute> }
    readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<SentMetric> }>
  }>
}

const labelsOf = (attributes: ReadonlyArray<Attribute>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

const keyOf = (name: string, labels: Readonly<Record<string, unknown>>): string =>
  `${name} ${JSON.stringify(Object.entries(labels).sort())}`

/** A collector that takes everything. */
const collector = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly got: Array<readonly [path: string, sent: Sent]> }>((resume) => {
    const got: Array<readonly [string, Sent]> = []
    const server = Http.createServer((request, response) => {
      const parts: Array<Buffer> = []
      request.on("data", (part: Buffer) => parts.push(part)).on("end", () => {
        got.push([
          `${request.method} ${request.url} ${request.headers["x-key"]}`,
          JSON.parse(String(Buffer.concat(parts)))
        ])
        response.end("{}")
      })
    })
    server.listen(
      0,
      "127.0.0.1",
      () => resume(Effect.succeed({ port: (server.address() as AddressInfo).port, got, server }))
    )
  }),
  (all) => Effect.sync(() => "server" in all && (all.server as Http.Server).close())
)

const settings = (port: number) => ({
  environment: {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=1"
  },
  serviceName: "shop"
})

/** What changes while nothing happens. */
const isOfTime = (name: string): boolean => /uptime|last_progress|_(?:bucket|sum|count)$/.test(name)

describe("telemetry", () => {
  it.live("X5 has logs, spans, and the metrics of a scrape, and a collector gets them", () =>
    Effect.gen(function*() {
      const { got, port } = yield* collector
      const context = yield* Layer.build(Telemetry.layer(Host.layer, settings(port))).pipe(
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
      const report = yield* Effect.gen(function*() {
        const { attach, report } = yield* SessionLayer
        const app = AppWorker.fromLayer(NodeApps.layer(Net.createServer((socket) => socket.end("hello"))))
        yield* attach({ name: "shop", listen: ["tcp://127.0.0.1:0"], workers: 1, worker: { kind: "in-process" } }, app)
        const { endpoint } = (yield* report).apps[0]!.listeners[0]!
        yield* endOf(Net.connect({ host: "127.0.0.1", port: Number(new URL(endpoint).port) }))
        yield* Effect.repeat(report, { until: ({ sessions }) => sessions === 0 })
        const { flush } = yield* Flusher
        // the first one finds the series of what is new
        yield* flush
        yield* flush
        return yield* report
      }).pipe(Effect.provideContext(context))

      assert.sameMembers([...new Set(got.map(([path]) => path))], [
        "POST /v1/logs 1",
        "POST /v1/metrics 1",
        "POST /v1/traces 1"
      ])
      const sent = got.map(([, sent]) => sent)
      const lines = sent.flatMap(({ resourceLogs = [] }) => resourceLogs).flatMap(({ scopeLogs }) => scopeLogs)
        .flatMap(({ logRecords }) => logRecords).map(({ body }) => String(body["stringValue"]))
      assert.isTrue(lines.some((line) => line.startsWith("listener opened: tcp://127.0.0.1:")), lines.join("\n"))
      const spans = sent.flatMap(({ resourceSpans = [] }) => resourceSpans).flatMap(({ scopeSpans }) => scopeSpans)
        .flatMap(({ spans }) => spans).map(({ name }) => name)
      assert.include(spans, "SessionLayer.attach")

      const [{ resource, scopeMetrics }] = sent.flatMap(({ resourceMetrics = [] }) => resourceMetrics).slice(-1) as [
        NonNullable<Sent["resourceMetrics"]>[0]
      ]
      assert.strictEqual(labelsOf(resource.attributes)["service.name"], "shop")
      const metrics = scopeMetrics.flatMap(({ metrics }) => metrics)
      const values = new Map(
        metrics.flatMap(({ gauge, name, sum }) =>
          (gauge ?? sum)?.dataPoints.map(({ asDouble, attributes }) =>
            [keyOf(name, labelsOf(attributes)), asDouble] as const
          ) ?? []
        ).filter(([key]) => !isOfTime(key.split(" ")[0]!))
      )
      const scraped = Exposition.parse(MetricsText.format(report))
      assert.deepStrictEqual(
        values,
        new Map(
          scraped.filter(({ name }) => !isOfTime(name)).map(({ labels, name, value }) => [keyOf(name, labels), value])
        )
      )
      assert.isAbove(values.size, 100)
      assert.strictEqual(values.get("sluice_host_connections_total [[\"reason\",\"\"],[\"result\",\"claimed\"]]"), 1)
      const claims = metrics.find(({ name }) => name === "sluice_claim_seconds")!
      assert.strictEqual(claims.unit, "s")
      assert.deepStrictEqual(claims.histogram!.dataPoints.map(({ count }) => count), [1])
      assert.isTrue(metrics.every(({ name, sum }) => (sum?.isMonotonic ?? false) === name.endsWith("_total")))
    }).pipe(Effect.scoped))

  it.effect("X5 holds up the end of a program for no more than two seconds when a collector does not answer", () =>
    Effect.gen(function*() {
      let asked = 0
      const scope = yield* Scope.make()
      yield* Layer.build(
        Telemetry.layer(
          FakeSessionLayer.layer({ report: Effect.succeed(Reports.host()), events: () => Stream.never }),
          settings(1)
        )
      ).pipe(
        Scope.provide(scope),
        Effect.provideService(FetchHttpClient.Fetch, (_, init) =>
          new Promise((_, reject) => {
            asked++
            init?.signal?.addEventListener("abort", () => reject(init.signal!.reason))
          })),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(0)
      yield* until("an export", () => asked > 0)
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust(1000)
      yield* until("another export", () => asked > 1)
      yield* TestClock.adjust(1000)
      yield* until("the end", () => closing.pollUnsafe() !== undefined)
    }))

  it.effect("X5 is nothing where no variable asks for it", () =>
    Effect.gen(function*() {
      const registry: Metric.MetricRegistry = new Map()
      yield* Layer.build(Telemetry.layer(FakeSessionLayer.layer(), { environment: {} })).pipe(
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      assert.strictEqual(registry.size, 0)
    }).pipe(Effect.scoped))
})

describe("HostMetrics", () => {
  it.effect("X5 reads one report for all series, has those that there are, and leaves none", () =>
    Effect.gen(function*() {
      const registry: Metric.MetricRegistry = new Map()
      let reports = 0
      let report = Reports.host({ apps: [Reports.app({ workers: [Reports.worker()] })] })
      const host = FakeSessionLayer.layer({
        report: Effect.sync(() => (reports++, report)),
        events: () => Stream.never
      })
      const scope = yield* Scope.make()
      const all = Effect.sync(() => Metric.snapshotUnsafe(Context.make(Metric.MetricRegistry, registry)))
      yield* Layer.build(Layer.provide(HostMetrics.layer, host)).pipe(
        Scope.provide(scope),
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      yield* Effect.promise(() => Promise.resolve())
      const before = (yield* all).length
      assert.isAbove(before, 100)
      assert.strictEqual(reports, 2)

      report = Reports.host({ apps: [Reports.app({ workers: [Reports.worker({ sessions: 3 })], listeners: [] })] })
      yield* Effect.promise(() => Promise.resolve())
      const sessions = (yield* all).find(({ id }) => id === "sluice_sessions")
      assert.deepStrictEqual(sessions?.state, { value: 3 })
      assert.strictEqual(reports, 3)
      yield* Effect.promise(() => Promise.resolve())
      assert.isBelow((yield* all).length, before)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(registry.size, 0)
    }))
})
