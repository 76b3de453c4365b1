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
import { AdmissionOptions } from "./AdmissionOptions.ts"
import * as AppConfig from "./AppConfig.ts"
import { ListenerOptions } from "./ListenerOptions.ts"
import { Name, NAME_RIGHT } from "./Name.ts"
import { described, group, number, print, rule } from "./OptionFields.ts"
import { QueueOptions, queueSegmentSize } from "./QueueOptions.ts"
import { ScopeFlags, ScopeOptions } from "./ScopeOptions.ts"
import { SegmentOptions } from "./SegmentOptions.ts"
import { TlsClientOptions } from "./TlsClientOptions.ts"
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
 * **Details**
 *
 * - `name`, `client`: 1 to 64 characters; none. Attaching needs one of them (W3); decoding does not.
 * - `namespace`: 1 to 64 characters; `"default"` (W3).
 * - `secret`: that of the namespace, text or `Redacted`; none. It is decoded to `Redacted` and never shown (W3).
 * - `scope`: see {@link ScopeOptions}; global.
 * - `proxiedTransports`: transports for which this application is a proxy; none (W18).
 * - `tlsEngine`: name of a TLS engine; none, which means Node's own. This runtime has no other, so a name is well
 *   formed but can't be served (W4).
 * - `listen`: endpoints in their text form; none. The application is told of them and listens by itself. `sluice serve`
 *   has a default for applications that name no endpoints of their own.
 * - `listener`: see `ListenerOptions`; how its listeners take connections in.
 * - `listeners`: by endpoint in its text form, the whole group that holds there instead of `listener`; none.
 * - `certificates`: for its TLS listeners, each a `Certificate.Input`, in the order of preference; none (W19). They are
 *   read when the application is attached, into its store, where they can be changed.
 * - `tlsClient`: see `TlsClientOptions`; how its connects over TLS are made.
 * - `workers`: how many it starts with, 1 to 256; 2. What they are and how they are started is in `worker`.
 * - `config`: what the application's module is told, see `AppConfig`; `null`.
 *
 * The schema says what is well formed. {@link decodeApp} also checks what this runtime can serve.
 *
 * @category models
 * @since 0.1.0
 */
export const AppOptions = Schema.Struct({
  name: Schema.optional(Name).annotate(described({
    description: "Name of the application, by which others find it",
    value: "name",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W2"
  })),
  client: Schema.optional(Name).annotate(described({
    description: "Client that the application belongs to, by which it is looked up",
    value: "name",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W2"
  })),
  namespace: Name.pipe(
    Schema.withDecodingDefaultType(Effect.succeed("default"))
  ).annotate(described({
    description: "Namespace that the application attaches to",
    value: "name",
    right: NAME_RIGHT,
    default: `"default"`,
    requirement: "W3"
  })),
  secret: Schema.optional(Secret).annotate(described({
    description: "Secret of the namespace",
    right: "a text that is not empty",
    default: "none",
    requirement: "W3",
    shown: "nothing"
  })),
  scope: group(ScopeOptions, ScopeFlags.fields),
  proxiedTransports: Schema.UniqueArray(Endpoint.TransportName).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Transports for which the application is a proxy",
    form: "list",
    value: "transport",
    right: `a list of different transports, each one of ${Endpoint.transports.map((name) => `"${name}"`).join(", ")}`,
    default: "none",
    requirement: "W18"
  })),
  tlsEngine: Schema.optional(Name).annotate(described({
    description: "TLS engine that ends the application's TLS connections; this runtime has Node's own and no other",
    value: "name",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W4"
  })),
  listen: Schema.Array(Endpoint.EndpointFromString).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Endpoints to serve",
    form: "list",
    value: "uri",
    right: "a list of endpoint URIs such as \"tcp://127.0.0.1:8080\"",
    default: "none",
    requirement: "W4"
  })),
  workers: number({
    unit: "workers",
    min: 1,
    max: 256,
    default: 2,
    description: "How many workers the application starts with"
  }),
  config: AppConfig.AppConfig.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(null))
  ).annotate(described({
    description: "What the application's module is told",
    value: "json",
    right: AppConfig.APP_CONFIG_RIGHT,
    default: "null",
    shown: "kind"
  })),
  listener: group(ListenerOptions, ListenerOptions.fields),
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
    default: "none",
    shown: "kind"
  })),
  certificates: Schema.Array(CertificateInput).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Certificates and keys for TLS listeners",
    value: "json",
    right: "a list, each an object with certificate and key, PEM texts",
    default: "none",
    requirement: "W19",
    shown: "kind"
  })),
  tlsClient: group(TlsClientOptions, TlsClientOptions.fields),
  queue: group(QueueOptions, QueueOptions.fields),
  segment: group(SegmentOptions, SegmentOptions.fields),
  admission: group(AdmissionOptions, AdmissionOptions.fields),
  worker: group(WorkerOptions, WorkerOptions.fields)
}).check(
  Schema.makeFilter(({ queue, segment }) => {
    const needed = queueSegmentSize(queue)
    return rule(
      segment.firstSegmentSize >= needed,
      ["segment", "firstSegmentSize"],
      `at least ${print("bytes", needed)} for the event queue (queue.indexQueue, queue.ioRing, queue.controlRing)`
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
