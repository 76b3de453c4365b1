/**
 * All options of an application: single ones, and the groups.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Certificate from "../net/Certificate.ts"
import * as Endpoint from "../net/Endpoint.ts"
import { EndpointFromString } from "../net/EndpointSchema.ts"
import { AdmissionOptions } from "./AdmissionOptions.ts"
import * as AppConfig from "./AppConfig.ts"
import { ListenerOptions } from "./ListenerOptions.ts"
import { Name, NAME_JSON, NAME_RIGHT } from "./Name.ts"
import { described, eitherOf, group, infosOf, jsonOfFields, rule } from "./OptionFields.ts"
import { print } from "./OptionUnits.ts"
import { QueueOptions, queueSegmentSize } from "./QueueOptions.ts"
import { ScopeFlags, ScopeOptions } from "./ScopeOptions.ts"
import { largestFifo, mostFifoPairs, SegmentOptions } from "./SegmentOptions.ts"
import { TlsClientOptions } from "./TlsClientOptions.ts"
import { workerCount } from "./WorkerCount.ts"
import { WorkerOptions } from "./WorkerOptions.ts"

const Secret = Schema.Union([Schema.Redacted(Schema.String), Schema.String]).pipe(
  Schema.decodeTo(
    Schema.Redacted(Schema.NonEmptyString),
    SchemaTransformation.transform({
      decode: (given: Redacted.Redacted | string) => typeof given === "string" ? Redacted.make(given) : given,
      encode: (secret: Redacted.Redacted): Redacted.Redacted | string => secret
    })
  )
)

const inOneSpelling = <A>(byEndpoint: { readonly [endpoint: string]: A }): { readonly [endpoint: string]: A } =>
  Object.fromEntries(
    Object.entries(byEndpoint).map(([text, options]) => [
      Result.match(Endpoint.parse(text), { onFailure: () => text, onSuccess: Endpoint.format }),
      options
    ])
  )

/** Takes anything: a certificate is looked at when it is decoded, which needs the time of day. */
const CertificateInput = Schema.declare(
  (_: unknown): _ is Certificate.Input => true,
  { expected: "an object with certificate and key" }
)

/**
 * An application: its name, where it may listen and connect, and the groups of options.
 *
 * The schema says what is well formed. {@link decodeApp} also checks what this runtime can serve.
 *
 * @category models
 * @since 0.1.0
 */
export const AppOptions = Schema.Struct({
  /**
   * Name of the application, by which others find it: 1 to 64 characters. An application needs a name or a `client`.
   */
  name: Schema.optional(Name).annotate(described({
    description: "Name of the application, by which others find it",
    value: "name",
    right: NAME_RIGHT,
    json: NAME_JSON,
    default: "none",
    requirement: "W2"
  })),
  /** Client that the application belongs to, by which it is looked up: 1 to 64 characters. */
  client: Schema.optional(Name).annotate(described({
    description: "Client that the application belongs to, by which it is looked up",
    value: "name",
    right: NAME_RIGHT,
    json: NAME_JSON,
    default: "none",
    requirement: "W2"
  })),
  /**
   * Namespace that the application attaches to: 1 to 64 characters; `"default"`. Applications in one namespace find
   * each other in local scope.
   */
  namespace: Name.pipe(
    Schema.withDecodingDefaultType(Effect.succeed("default"))
  ).annotate(described({
    description: "Namespace that the application attaches to",
    value: "name",
    right: NAME_RIGHT,
    json: NAME_JSON,
    default: `"default"`,
    requirement: "W3"
  })),
  /** Secret of the namespace, text or `Redacted`. It is decoded to `Redacted` and never shown. */
  secret: Schema.optional(Secret).annotate(described({
    description: "Secret of the namespace",
    right: "a text that is not empty",
    default: "none",
    requirement: "W3",
    shown: "nothing"
  })),
  /** Where the application listens and connects: through sockets, among the applications of its host, or both. */
  scope: group(ScopeOptions, ScopeFlags.fields),
  /** Transports for which the application is a proxy: it takes, in local scope, the connections to any port; none. */
  proxiedTransports: Schema.UniqueArray(Schema.Literals(Endpoint.transports)).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Transports for which the application is a proxy",
    form: "list",
    value: "transport",
    right: `a list of different transports, each ${eitherOf(Endpoint.transports)}`,
    default: "none",
    requirement: "W18"
  })),
  /** Name of a TLS engine. This runtime has Node's own and no other, so any name is refused. */
  tlsEngine: Schema.optional(Name).annotate(described({
    description: "TLS engine that ends the application's TLS connections; this runtime has Node's own and no other",
    value: "name",
    right: NAME_RIGHT,
    json: NAME_JSON,
    default: "none",
    requirement: "W4"
  })),
  /**
   * Endpoints to serve, such as `"tcp://127.0.0.1:8080"`; none. The application is told of them and listens by
   * itself. `sluice serve` has a default for applications that name no endpoints of their own.
   */
  listen: Schema.Array(EndpointFromString).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Endpoints to serve",
    form: "list",
    value: "uri",
    right: "a list of endpoint URIs such as \"tcp://127.0.0.1:8080\"",
    default: "none",
    requirement: "W4"
  })),
  /**
   * How many workers the application starts with: 1 to 256; 2. With a range, such as `"2..8"`, it starts with the fewest,
   * and more come and go by need; `"auto"` is from 1 to one for each processor. What they are and how they are
   * started is in `worker`.
   */
  workers: workerCount({
    default: 2,
    description: "How many workers the application has, or from how many to how many, by need"
  }),
  /** What the application's module is told: JSON values, and memory that threads share; `null`. */
  config: AppConfig.AppConfig.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(null))
  ).annotate(described({
    description: "What the application's module is told",
    value: "json",
    right: AppConfig.APP_CONFIG_RIGHT,
    json: Schema.Json,
    default: "null",
    shown: "kind"
  })),
  /** How the application's listeners take connections in. */
  listener: group(ListenerOptions, ListenerOptions.fields),
  /** Listener options of single endpoints, by endpoint URI: the whole group holds there instead of `listener`; none. */
  listeners: Schema.Record(Schema.String, ListenerOptions).check(
    Schema.makeFilter((listeners) => {
      const stray = Object.keys(listeners).find((text) => Result.isFailure(Endpoint.parse(text)))
      return rule(stray === undefined, [], `listener options by endpoint URI, which "${stray}" is not`)
    })
  ).pipe(
    Schema.decodeTo(
      Schema.Record(Schema.String, Schema.toType(ListenerOptions)),
      SchemaTransformation.transform({ decode: inOneSpelling, encode: inOneSpelling })
    ),
    Schema.withDecodingDefaultType(Effect.succeed({}))
  ).annotate(described({
    description: "Options of single listeners, by endpoint, in place of those for all",
    value: "json",
    right: "listener options by endpoint URI",
    inner: new Map(infosOf(ListenerOptions.fields)),
    json: Schema.Record(Schema.String, jsonOfFields(ListenerOptions.fields)),
    default: "none",
    shown: "kind"
  })),
  /**
   * Certificates and keys for TLS listeners, in the order of preference; none. They are read when the application is
   * attached, into its store, where they can be changed.
   */
  certificates: Schema.Array(CertificateInput).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Certificates and keys for TLS listeners",
    value: "json",
    right: "a list, each an object with certificate and key, PEM texts",
    json: Schema.Array(
      Schema.Struct({ certificate: Schema.String, key: Schema.String, passphrase: Schema.optionalKey(Schema.String) })
    ),
    default: "none",
    requirement: "W19",
    shown: "kind"
  })),
  /** How connects to `tls:` endpoints are made. */
  tlsClient: group(TlsClientOptions, TlsClientOptions.fields),
  /** The event queue of each worker, and the messages that wait for room in it. */
  queue: group(QueueOptions, QueueOptions.fields),
  /** The memory that the host shares with each worker. */
  segment: group(SegmentOptions, SegmentOptions.fields),
  /** What becomes of connections when they come in, and how much a worker may connect. */
  admission: group(AdmissionOptions, AdmissionOptions.fields),
  /** What workers run on, and how they are started, restarted and stopped. */
  worker: group(WorkerOptions, WorkerOptions.fields)
}).check(
  Schema.makeFilter(({ worker, workers }) =>
    rule(
      worker.kind === "thread" || typeof workers === "number",
      ["workers"],
      "a number where workers run in-process: they share one loop, and more of them do no more (worker.kind)"
    )
  ),
  Schema.makeFilter(({ queue, segment }) => {
    const needed = queueSegmentSize(queue)
    return rule(
      segment.firstSegmentSize >= needed,
      ["segment", "firstSegmentSize"],
      `at least ${print("bytes", needed)} for the event queue (queue.indexQueue, queue.ioRing, queue.controlRing)`
    )
  }),
  Schema.makeFilter(({ queue, segment }) => {
    const needed = queueSegmentSize(queue)
    return rule(
      segment.firstSegmentSize < needed || largestFifo(segment, needed) > 0,
      ["segment", "memoryLimit"],
      "larger, as must be segment.firstSegmentSize or segment.addSegmentSize: beside the event queue "
        + `(${print("bytes", needed)}) there is no room for a fifo`
    )
  }),
  ...(["rxFifoSize", "txFifoSize"] as const).map((fifo) =>
    Schema.makeFilter(({ queue, segment }: { readonly queue: QueueOptions; readonly segment: SegmentOptions }) => {
      const largest = largestFifo(segment, queueSegmentSize(queue))
      return rule(
        largest === 0 || segment[fifo] <= largest,
        ["segment", fifo],
        `at most ${print("bytes", largest)}: no segment has room for more (segment.firstSegmentSize, `
          + "segment.addSegmentSize, segment.memoryLimit)"
      )
    })
  ),
  Schema.makeFilter(({ queue, segment }) => {
    const most = mostFifoPairs(segment, queueSegmentSize(queue))
    return rule(
      segment.preallocFifoPairs <= most,
      ["segment", "preallocFifoPairs"],
      `at most ${most}, for which there is memory (segment.firstSegmentSize, segment.addSegmentSize, `
        + "segment.memoryLimit)"
    )
  })
)
export type AppOptions = typeof AppOptions.Type

/**
 * What {@link AppOptions} are decoded from, for a host that writes them in TypeScript.
 *
 * @category models
 * @since 0.1.0
 */
export type AppOptionsInput = typeof AppOptions.Encoded
