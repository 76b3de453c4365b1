/**
 * What a proxy is told: on the command line, and in each of its workers.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isSharedArrayBuffer } from "node:util/types"
import * as Upstreams from "../../domain/admission/Upstreams.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { EndpointFromString } from "../../domain/net/EndpointSchema.ts"
import { choice, described, number } from "../../domain/options/OptionFields.ts"
import * as Options from "../../domain/options/Options.ts"
import { HOUR, print, SECOND } from "../../domain/options/OptionUnits.ts"
import type * as Report from "../../domain/report/Report.ts"

/** The most upstreams that a proxy may have. */
const MOST_UPSTREAMS = 256

/** What `sendProxy` may be. */
const headers = ["none", "v1", "v2"] as const

const isUpstream = (endpoint: Endpoint.Endpoint): boolean =>
  endpoint._tag === "local" || ((endpoint._tag === "tcp" || endpoint._tag === "tls") && endpoint.port > 0)

/**
 * Options of a proxy, besides those of an application.
 */
export const ProxyOptions = Schema.Struct({
  /** Endpoints to connect to, 1 to 256. */
  to: Schema.Array(EndpointFromString).check(
    Schema.isBetweenLength(1, MOST_UPSTREAMS),
    Schema.makeFilter((endpoints) => endpoints.every(isUpstream))
  ).annotate(described({
    description: "Endpoint to connect to",
    form: "list",
    value: "uri",
    right: `a list of 1 to ${MOST_UPSTREAMS} endpoints with a port that is not 0, or with a local name`,
    default: "none"
  })),
  /**
   * Version of the PROXY protocol header that goes to an upstream before anything else, with the addresses of the
   * client's connection; `"none"`. Not for upstreams over TLS.
   */
  sendProxy: choice({
    words: headers,
    default: "none",
    description: "Version of the PROXY protocol in which upstreams are told where a connection comes from"
  }),
  /**
   * Time that an endpoint which could not be reached is left alone: 1 ms to 1 h, no more than `upstreamBackoffMax`;
   * 100 ms. It doubles with each failure.
   */
  upstreamBackoffBase: number({
    unit: "milliseconds",
    min: 1,
    max: HOUR,
    default: 100,
    description: "Time that an endpoint which could not be reached is left alone; it doubles with each failure"
  }),
  /** The longest time that such an endpoint is left alone: 1 ms to 1 h; 10 s. */
  upstreamBackoffMax: number({
    unit: "milliseconds",
    min: 1,
    max: HOUR,
    default: 10 * SECOND,
    description: "The longest time that such an endpoint is left alone"
  })
}).check(
  Schema.makeFilter(({ upstreamBackoffBase, upstreamBackoffMax }) =>
    upstreamBackoffBase <= upstreamBackoffMax
      ? undefined
      : {
        path: ["upstreamBackoffBase"],
        issue: `at most upstreamBackoffMax, which is ${print("milliseconds", upstreamBackoffMax)}`
      }
  ),
  // a header goes before the handshake, which is over when a session is there to write to
  Schema.makeFilter(({ sendProxy, to }) =>
    sendProxy === "none" || to.every(({ _tag }) => _tag !== "tls")
      ? undefined
      : { path: ["sendProxy"], issue: `"none" where an upstream is over TLS` }
  )
)
export type ProxyOptions = typeof ProxyOptions.Type

const decodeFields = Options.decode(ProxyOptions)

const loopback = /^(?:127\.\d+\.\d+\.\d+|::1|localhost|0\.0\.0\.0|::)$/i

/** Whether a connect to `to` would come in at `listen`. */
const reaches = (to: Endpoint.Endpoint, listen: Endpoint.Endpoint): boolean => {
  if (!Endpoint.isInet(to) || !Endpoint.isInet(listen) || to._tag !== listen._tag) {
    return Endpoint.format(to) === Endpoint.format(listen)
  }
  if (to.port !== listen.port) return false
  return to.host === listen.host || (Endpoint.isAnyHost(listen.host) && loopback.test(to.host))
}

const invalid = (option: string, message: string): Options.OptionsErrorReason => ({
  _tag: "InvalidValue",
  option,
  message: `${option}: ${message}`
})

/** Decodes the options of a proxy that listens on `listen`. */
export const decodeOptions = (
  input: Readonly<Record<string, unknown>>,
  listen: ReadonlyArray<string>
): Result.Result<ProxyOptions, Options.OptionsError> => {
  const [first, ...more] = [
    ...(listen.length > 0 ? [] : [["listen", "tcp://127.0.0.1:8080"] as const]),
    ...(input.to !== undefined ? [] : [["to", "tcp://127.0.0.1:6379"] as const])
  ].map(([option, example]) => invalid(option, `give at least one, such as --${option} ${example}`))
  if (first !== undefined) return Result.fail(new Options.OptionsError({ reason: first, more }))
  const decoded = decodeFields(input)
  if (Result.isFailure(decoded)) return decoded
  const own = listen.flatMap((uri) =>
    Result.match(Endpoint.parse(uri), { onFailure: () => [], onSuccess: (at) => [at] })
  )
  const loop = decoded.success.to.find((to) => own.some((at) => reaches(to, at)))
  if (loop === undefined) return decoded
  const reason = invalid("to", `${Endpoint.format(loop)} is where the proxy itself listens`)
  return Result.fail(new Options.OptionsError({ reason, more: [] }))
}

/** What the workers of a proxy are told: the `config` of their application. */
export const ProxyConfig = Schema.Struct({
  /** Endpoint URIs. */
  upstreams: Schema.Array(Schema.String),
  /** What the workers share: see `Upstreams`. */
  table: Schema.declare((value): value is SharedArrayBuffer => isSharedArrayBuffer(value)),
  /** Milliseconds: see `Upstreams.Times`. */
  backoffBase: Schema.Finite,
  backoffMax: Schema.Finite,
  trial: Schema.Finite,
  /** The most milliseconds for which a session waits when the host can't take another one. */
  patience: Schema.Finite,
  sendProxy: Schema.Literals(headers)
})
export type ProxyConfig = typeof ProxyConfig.Type

/** Milliseconds beyond the timeout of a connect after which a trial that nobody has reported on is over. */
const SLACK = 1000

/** The configuration of the workers of a proxy whose connects take no longer than `connectTimeout` milliseconds. */
export const make = (
  { sendProxy, to, upstreamBackoffBase, upstreamBackoffMax }: ProxyOptions,
  connectTimeout: number
): ProxyConfig => ({
  upstreams: to.map(Endpoint.format),
  table: Upstreams.allocate(to.length),
  backoffBase: upstreamBackoffBase,
  backoffMax: upstreamBackoffMax,
  trial: connectTimeout + SLACK,
  patience: connectTimeout,
  sendProxy
})

/** The upstreams as a worker has them. */
export const upstreamsOf = (
  { sendProxy: _, table, upstreams, ...times }: ProxyConfig,
  worker: number
): Upstreams.Upstreams => new Upstreams.Upstreams(table, upstreams.length, worker, times)

/**
 * What a proxy shows of itself at the time `now`: its upstreams. Where the last try has failed, `retryMillis` is the
 * time until the next one.
 */
export const statusOf = (config: ProxyConfig): (now: number) => Report.Status => {
  const table = upstreamsOf(config, 0)
  return (now) =>
    config.upstreams.map((upstream, i) => {
      const failures = table.failures(i)
      return {
        upstream,
        state: failures === 0 ? "up" : "down",
        sessions: table.sessions(i),
        failures,
        retryMillis: failures === 0 ? null : table.retryAfter(i, now)
      }
    })
}

/** Reads the configuration in a worker. */
export const decode = (config: unknown): Effect.Effect<ProxyConfig, Schema.SchemaError> =>
  Schema.decodeUnknownEffect(ProxyConfig)(config)
