import { assert, describe, it } from "@effect/vitest"
import * as OtelVariables from "../../../src/domain/options/OtelVariables.ts"

const read = (environment: Readonly<Record<string, string>>) =>
  OtelVariables.read(environment, { serviceName: "shop", attributes: { "host.name": "a" } })

const destinations = ({ logs, metrics, traces }: OtelVariables.OtelSettings) =>
  [logs, metrics, traces].map((one) => one?.url)

const at = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }

describe("OTEL variables", () => {
  it.each<readonly [Readonly<Record<string, string>>, ReadonlyArray<string | undefined>]>([
    [{}, [undefined, undefined, undefined]],
    [at, ["http://collector:4318/v1/logs", "http://collector:4318/v1/metrics", "http://collector:4318/v1/traces"]],
    [{ ...at, OTEL_SDK_DISABLED: "TRUE" }, [undefined, undefined, undefined]],
    [{ ...at, OTEL_LOGS_EXPORTER: "none", OTEL_TRACES_EXPORTER: "" }, [
      undefined,
      "http://collector:4318/v1/metrics",
      "http://collector:4318/v1/traces"
    ]],
    [{ OTEL_METRICS_EXPORTER: "otlp" }, [undefined, "http://localhost:4318/v1/metrics", undefined]],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://c/base/", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://other/in" }, [
      "http://other/in",
      "https://c/base/v1/metrics",
      "https://c/base/v1/traces"
    ]]
  ])("X5 say where signals go: %j", (environment, urls) => {
    const settings = read(environment)
    assert.deepStrictEqual(destinations(settings), urls)
    assert.deepStrictEqual(settings.warnings, [])
  })

  it("X5 have defaults of the standard, and for one signal others than for all", () => {
    assert.deepStrictEqual(read(at).metrics, {
      url: "http://collector:4318/v1/metrics",
      headers: {},
      protocol: "http/protobuf",
      compression: "none",
      timeout: 10_000,
      interval: 60_000
    })
    const { logs, metrics, temporality, traces } = read({
      ...at,
      OTEL_EXPORTER_OTLP_HEADERS: "api-key=a%3Db, x = 1 ",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "api-key=c",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
      OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: "500",
      OTEL_METRIC_EXPORT_INTERVAL: "1000",
      OTEL_BLRP_SCHEDULE_DELAY: "200",
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "Delta"
    })
    assert.deepStrictEqual([logs?.headers, traces?.headers], [{ "api-key": "a=b", x: "1" }, { "api-key": "c" }])
    assert.deepStrictEqual([logs?.protocol, metrics?.protocol], ["http/json", "http/protobuf"])
    assert.deepStrictEqual([logs?.timeout, traces?.timeout, traces?.compression], [500, 10_000, "gzip"])
    assert.deepStrictEqual([logs?.interval, metrics?.interval, traces?.interval, temporality], [
      200,
      1000,
      5000,
      "delta"
    ])
  })

  it("X5 have credentials of a URL as a header, unless there is another one", () => {
    const { logs, traces } = read({
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://me:p%40ss@c/",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "authorization=Bearer%20x"
    })
    assert.deepStrictEqual([logs?.url, logs?.headers], [
      "https://c/v1/logs",
      { authorization: `Basic ${Buffer.from("me:p@ss").toString("base64")}` }
    ])
    assert.deepStrictEqual([traces?.url, traces?.headers], ["https://c/v1/traces", { authorization: "Bearer x" }])
  })

  it("X5 say what the telemetry is about", () => {
    const about = (environment: Readonly<Record<string, string>>) => {
      const { attributes, serviceName } = read(environment)
      return [serviceName, attributes]
    }
    assert.deepStrictEqual(about({}), ["shop", { "host.name": "a" }])
    assert.deepStrictEqual(about({ OTEL_RESOURCE_ATTRIBUTES: "service.name=b,env=t%20e,host.name=c" }), [
      "b",
      { "host.name": "c", env: "t e" }
    ])
    assert.deepStrictEqual(about({ OTEL_SERVICE_NAME: "d", OTEL_RESOURCE_ATTRIBUTES: "service.name=b" }), [
      "d",
      { "host.name": "a" }
    ])
  })

  it("X5 that are wrong are told in one sentence each and ignored, without what may be secret", () => {
    const { logs, warnings } = read({
      ...at,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization",
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: "a=secret%0d%0ax: y",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "ftp://me:secret@x",
      OTEL_METRIC_EXPORT_INTERVAL: "1",
      OTEL_EXPORTER_OTLP_TIMEOUT: "1e99",
      OTEL_TRACES_EXPORTER: "jaeger",
      OTEL_RESOURCE_ATTRIBUTES: "%zz=1",
      OTEL_SDK_DISABLED: "yes"
    })
    assert.deepStrictEqual([logs?.url, logs?.headers, logs?.protocol, logs?.timeout], [
      "http://collector:4318/v1/logs",
      {},
      "http/protobuf",
      10_000
    ])
    assert.sameMembers([...warnings], [
      "OTEL_EXPORTER_OTLP_HEADERS is ignored: it is not name=value,… with percent-encoding",
      "OTEL_EXPORTER_OTLP_LOGS_HEADERS is ignored: it is not name=value,… with percent-encoding",
      "OTEL_EXPORTER_OTLP_PROTOCOL is ignored: \"grpc\" is not http/protobuf or http/json",
      "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is ignored: it is not an http or https URL",
      "OTEL_METRIC_EXPORT_INTERVAL is ignored: \"1\" is not a number of milliseconds from 100 on",
      "OTEL_EXPORTER_OTLP_TIMEOUT is ignored: \"1e99\" is not a number of milliseconds",
      "OTEL_TRACES_EXPORTER is ignored: \"jaeger\" is not otlp or none, the exporters of a host",
      "OTEL_RESOURCE_ATTRIBUTES is ignored: \"%zz=1\" is not name=value,… with percent-encoding",
      "OTEL_SDK_DISABLED is ignored: \"yes\" is not true or false"
    ])
  })
})
