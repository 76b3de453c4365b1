/**
 * The `OTEL_…` variables of OpenTelemetry's standard, as far as a host heeds them: where logs, metrics and traces go, how
 * often, and what is said of where they come from.
 *
 * | variable | |
 * |---|---|
 * | `OTEL_SDK_DISABLED` | `true`: nothing is exported |
 * | `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` | `otlp` or `none` |
 * | `OTEL_EXPORTER_OTLP_[signal_]ENDPOINT` | URL; to the one for all signals, `/v1/<signal>` is added |
 * | `OTEL_EXPORTER_OTLP_[signal_]HEADERS` | `name=value,…`, percent-encoded |
 * | `OTEL_EXPORTER_OTLP_[signal_]PROTOCOL` | `http/protobuf` (default) or `http/json` |
 * | `OTEL_EXPORTER_OTLP_[signal_]COMPRESSION` | `none` (default) or `gzip` |
 * | `OTEL_EXPORTER_OTLP_[signal_]TIMEOUT` | milliseconds for one export with all its tries, 10000 |
 * | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative` (default) or `delta` |
 * | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BLRP_SCHEDULE_DELAY` | milliseconds between exports: of metrics, 60000; of traces, 5000; of logs, 1000 |
 * | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | what the telemetry is about |
 *
 * A signal is exported where an endpoint for it is named, unless its exporter is `none`; or where its exporter is named
 * `otlp`, to `http://localhost:4318` unless an endpoint is named. So without variables nothing is exported.
 *
 * As the standard has it, an empty variable is as one that is absent, and a wrong one is told and ignored: a host serves
 * whatever its telemetry is.
 */

/** What is exported. */
export type Signal = "logs" | "metrics" | "traces"

/** Where a signal goes. */
export interface OtlpDestination {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: "http/protobuf" | "http/json"
  readonly compression: "gzip" | "none"
  /** Milliseconds for one export, with all its tries. */
  readonly timeout: number
  /** Milliseconds between two exports. */
  readonly interval: number
}

/** What a host exports. */
export interface OtelSettings {
  readonly logs: OtlpDestination | undefined
  readonly metrics: OtlpDestination | undefined
  readonly traces: OtlpDestination | undefined
  readonly temporality: "cumulative" | "delta"
  readonly serviceName: string
  /** What else is said of where the telemetry comes from. */
  readonly attributes: Readonly<Record<string, string>>
  /** What is ignored, a sentence each. */
  readonly warnings: ReadonlyArray<string>
}

/** What a variable's text stands for; `undefined` when it is wrong. */
type Read<A> = (text: string) => A | undefined

const oneOf = <const A extends string>(...values: ReadonlyArray<A>): Read<A> => (text) =>
  values.find((value) => value === text.toLowerCase())

/** Milliseconds; the most that a timer takes. */
const millis = (least: number): Read<number> => (text) => {
  const number = Number(text)
  return Number.isInteger(number) && number >= least && number <= 2 ** 31 - 1 ? number : undefined
}

/** The least milliseconds between two exports: the host has better things to do. */
const LEAST_INTERVAL = 100

const url: Read<URL> = (text) => {
  const parsed = URL.parse(text)
  return parsed !== null && /^https?:$/.test(parsed.protocol) ? parsed : undefined
}

/** What stands behind percent signs, which may be wrong. */
const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text.trim())
  } catch {
    return undefined
  }
}

/** `name=value,…`; all of it is wrong when a part is. */
const pairs = (isName: (name: string) => boolean): Read<Readonly<Record<string, string>>> => (text) => {
  const all: Record<string, string> = {}
  for (const part of text.split(",")) {
    if (part.trim() === "") continue
    const [before, ...after] = part.split("=")
    const name = decoded(before!)
    const value = decoded(after.join("="))
    if (after.length === 0 || name === undefined || value === undefined || !isName(name)) return undefined
    all[name] = value
  }
  return all
}

const attributePairs = pairs((name) => name !== "")

const headerPairs: typeof attributePairs = (text) => {
  const all = pairs((name) => /^[\w!#$%&'*+.^`|~-]+$/.test(name))(text)
  return all !== undefined && Object.values(all).every((value) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value))
    ? all
    : undefined
}

/** The exporters that may be named; several are separated by commas. */
const exporters: Read<boolean> = (text) => {
  const names = text.toLowerCase().split(",").map((name) => name.trim())
  return names.every((name) => name === "otlp" || name === "none") ? names.includes("otlp") : undefined
}

const INTERVALS = {
  logs: ["OTEL_BLRP_SCHEDULE_DELAY", 1000],
  metrics: ["OTEL_METRIC_EXPORT_INTERVAL", 60_000],
  traces: ["OTEL_BSP_SCHEDULE_DELAY", 5000]
} as const satisfies Readonly<Record<Signal, readonly [name: string, millis: number]>>

const TIMEOUT = 10_000
const ENDPOINT = "http://localhost:4318"

type Environment = Readonly<Record<string, string | undefined>>

/** Reads variables, and keeps what is to be said of the wrong ones. */
class Variables {
  readonly #environment: Environment
  readonly warnings = new Set<string>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** The value of a variable. `right`: what it should be; `shown`: whether its text may be. */
  get<A>(name: string, read: Read<A>, right: string, shown = true): A | undefined {
    const text = this.#environment[name]?.trim() ?? ""
    if (text === "") return undefined
    const value = read(text)
    if (value === undefined) {
      this.warnings.add(`${name} is ignored: ${shown ? `${JSON.stringify(text)} is` : "it is"} not ${right}`)
    }
    return value
  }

  /** The same, of an exporter: for the signal, or else for all. */
  ofExporter<A>(signal: Signal, name: string, read: Read<A>, right: string, shown = true): A | undefined {
    return this.get(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`, read, right, shown)
      ?? this.get(`OTEL_EXPORTER_OTLP_${name}`, read, right, shown)
  }

  destination(signal: Signal): OtlpDestination | undefined {
    const named = this.get(`OTEL_${signal.toUpperCase()}_EXPORTER`, exporters, "otlp or none, the exporters of a host")
    const URL_ = "an http or https URL"
    const own = this.get(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`, url, URL_, false)
    const common = this.get("OTEL_EXPORTER_OTLP_ENDPOINT", url, URL_, false)
    if (!(named ?? (own ?? common) !== undefined)) return undefined
    const [interval, byDefault] = INTERVALS[signal]
    const { authorization, url: at } = withoutCredentials(own ?? below(common ?? new URL(ENDPOINT), `v1/${signal}`))
    return {
      url: at.href,
      headers: {
        ...authorization,
        ...this.ofExporter(signal, "HEADERS", headerPairs, "name=value,… with percent-encoding", false)
      },
      protocol: this.ofExporter(signal, "PROTOCOL", oneOf("http/protobuf", "http/json"), "http/protobuf or http/json")
        ?? "http/protobuf",
      compression: this.ofExporter(signal, "COMPRESSION", oneOf("gzip", "none"), "gzip or none") ?? "none",
      timeout: this.ofExporter(signal, "TIMEOUT", millis(1), "a number of milliseconds") ?? TIMEOUT,
      interval: this.get(interval, millis(LEAST_INTERVAL), `a number of milliseconds from ${LEAST_INTERVAL} on`)
        ?? byDefault
    }
  }
}

/** What stands before the @ of a URL goes as a header: clients take no such URL, and might show it. */
const withoutCredentials = (url: URL) => {
  const { password, username } = url
  if (username === "" && password === "") return { url, authorization: {} }
  const bare = new URL(url)
  bare.username = bare.password = ""
  const credentials = `${decoded(username) ?? username}:${decoded(password) ?? password}`
  return { url: bare, authorization: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` } }
}

const below = (base: URL, path: string): URL => {
  const whole = new URL(base)
  whole.pathname += `${whole.pathname.endsWith("/") ? "" : "/"}${path}`
  return whole
}

/** What the program that exports says of itself, where the variables don't. */
export interface OtelDefaults {
  readonly serviceName: string
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

/** What is exported with this environment. */
export const read = (environment: Environment, defaults: OtelDefaults): OtelSettings => {
  const variables = new Variables(environment)
  const disabled = variables.get("OTEL_SDK_DISABLED", oneOf("true", "false"), "true or false") === "true"
  const destination = (signal: Signal) => disabled ? undefined : variables.destination(signal)
  const [logs, metrics, traces] = [destination("logs"), destination("metrics"), destination("traces")]
  const temporality = metrics === undefined
    ? undefined
    : variables.get(
      "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
      oneOf("cumulative", "delta"),
      "cumulative or delta"
    )
  const given = disabled
    ? undefined
    : variables.get("OTEL_RESOURCE_ATTRIBUTES", attributePairs, "name=value,… with percent-encoding")
  const { "service.name": named, ...attributes } = { ...defaults.attributes, ...given }
  return {
    logs,
    metrics,
    traces,
    temporality: temporality ?? "cumulative",
    serviceName: variables.get("OTEL_SERVICE_NAME", (text) => text, "a name") ?? (named || defaults.serviceName),
    attributes,
    warnings: [...variables.warnings]
  }
}
