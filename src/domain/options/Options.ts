/**
 * Options: what can be set, in which unit, within which bounds, and what holds when nothing is set (W4).
 *
 * Each group is a schema. It decodes from what a host has at hand: a number in the option's unit, or text as it comes
 * from a flag, a file or the environment.
 *
 * | kind    | decoded to          | text, beside the plain number          |
 * |---------|---------------------|----------------------------------------|
 * | bytes   | bytes, whole        | `"64KiB"`, `"4 MiB"`, `"1.5 MB"`       |
 * | time    | milliseconds        | `"5ms"`, `"5 millis"`, `"1.5 s"`, `"2 minutes"` |
 * | slots   | a power of two      | –                                      |
 * | others  | a whole number      | –                                      |
 *
 * Decoded values are plain numbers in plain readonly objects, so that synchronous code reads them without a detour and
 * a host may spread from {@link defaults}. Spreading checks nothing: what comes from outside goes through
 * {@link decodeApp}.
 *
 * {@link decode} collects every problem before it fails, and each names the option by its path, the value given and
 * what would be right. A key that is no option is a problem too, with the option that was probably meant.
 *
 * Fields, units and their words come from `OptionFields.ts`, messages from `OptionProblems.ts`.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Certificate from "../net/Certificate.ts"
import * as Endpoint from "../net/Endpoint.ts"
import * as AppConfig from "./AppConfig.ts"
import { ListenerOptions } from "./ListenerOptions.ts"
import {
  described,
  GiB,
  group,
  HOUR,
  infosOf,
  KiB,
  MiB,
  MINUTE,
  number,
  optionalNumber,
  print,
  SECOND
} from "./OptionFields.ts"
import type { Unit } from "./OptionFields.ts"
import * as OptionProblems from "./OptionProblems.ts"
import { TlsClientOptions } from "./TlsClientOptions.ts"

export type { Unit } from "./OptionFields.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Groups
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The event queue of one worker and what waits for it.
 *
 * **Details**
 *
 * - `indexQueue`, `ioRing`, `controlRing`: slots, powers of two from 1 to 65536; 2048, 2048 and 512 (M1).
 * - `retryInterval`: milliseconds, 0.1 to 10000; 10 (M4).
 * - `batch`: messages, 1 to 32; 32 (M4).
 * - `postponedMessages`: messages, 1 to 1048576; 65536 (M9).
 * - `postponedBytes`: bytes, 1 KiB to 1 GiB; 16 MiB (M9).
 *
 * @category models
 * @since 0.1.0
 */
export const QueueOptions = Schema.Struct({
  indexQueue: number({
    unit: "slots",
    min: 1,
    max: 65536,
    default: 2048,
    powerOfTwo: true,
    requirement: "M1",
    description: "Slots of a worker's index queue: messages that may wait in its event queue"
  }),
  ioRing: number({
    unit: "slots",
    min: 1,
    max: 65536,
    default: 2048,
    powerOfTwo: true,
    requirement: "M1",
    description: "Slots of a worker's IO ring: rx and tx events among the waiting messages"
  }),
  controlRing: number({
    unit: "slots",
    min: 1,
    max: 65536,
    default: 512,
    powerOfTwo: true,
    requirement: "M1",
    description: "Slots of a worker's control ring: all other messages among the waiting ones"
  }),
  retryInterval: number({
    unit: "milliseconds",
    min: 0.1,
    max: 10 * SECOND,
    default: 10,
    requirement: "M4",
    description: "Time after which postponed messages are tried again without a signal from the worker"
  }),
  batch: number({
    unit: "messages",
    min: 1,
    max: 32,
    default: 32,
    requirement: "M4",
    description: "Postponed messages delivered at most in one batch"
  }),
  postponedMessages: number({
    unit: "messages",
    min: 1,
    max: 1_048_576,
    default: 65536,
    requirement: "M9",
    description: "Messages that may be postponed for one worker before it is declared unresponsive"
  }),
  postponedBytes: number({
    unit: "bytes",
    min: KiB,
    max: GiB,
    default: 16 * MiB,
    requirement: "M9",
    description: "Bytes that may be postponed for one worker before it is declared unresponsive"
  })
})
export type QueueOptions = typeof QueueOptions.Type

/** A rule between options; `right` follows "must be" in the message of the option at `path`. */
const rule = (holds: boolean, path: ReadonlyArray<string>, right: string): Schema.FilterOutput =>
  holds ? undefined : { path, issue: right }

/**
 * Segments and fifos. They belong to the application and hold for each of its workers (W5).
 *
 * **Details**
 *
 * - `firstSegmentSize`: bytes, 512 KiB to 1 GiB; 4 MiB. It holds the event queue, see {@link queueSegmentSize}.
 * - `addSegmentSize`: bytes, 0 for no growth, else 256 KiB to 1 GiB; 4 MiB.
 * - `rxFifoSize`, `txFifoSize`: bytes, powers of two from 4 KiB to 4 MiB; 512 KiB.
 * - `preallocFifoPairs`: pairs, 0 to 65536; 0.
 * - `memoryLimit`: bytes per worker, at least `firstSegmentSize`, at most 64 GiB; 256 MiB.
 * - `trimInterval`: milliseconds, 10 to 3600000; 1000.
 * - `highWatermark`: percent, 1 to 100; 80.
 * - `lowWatermark`: percent, 0 to 99, below `highWatermark`; 50.
 *
 * @category models
 * @since 0.1.0
 */
export const SegmentOptions = Schema.Struct({
  firstSegmentSize: number({
    unit: "bytes",
    min: 512 * KiB,
    max: GiB,
    default: 4 * MiB,
    requirement: "W4",
    description: "Size of a worker's first segment, which holds its event queue and is never removed"
  }),
  addSegmentSize: number({
    unit: "bytes",
    min: 256 * KiB,
    max: GiB,
    default: 4 * MiB,
    zero: "no growth",
    requirement: "W4",
    description: "Size of each segment that is added when the others are full"
  }),
  rxFifoSize: number({
    unit: "bytes",
    min: 4 * KiB,
    max: 4 * MiB,
    default: 512 * KiB,
    powerOfTwo: true,
    requirement: "W4",
    description: "Bytes received that may wait in one session"
  }),
  txFifoSize: number({
    unit: "bytes",
    min: 4 * KiB,
    max: 4 * MiB,
    default: 512 * KiB,
    powerOfTwo: true,
    requirement: "W4",
    description: "Bytes to be sent that may wait in one session"
  }),
  preallocFifoPairs: number({
    unit: "pairs",
    min: 0,
    max: 65536,
    default: 0,
    requirement: "W4",
    description: "Pairs of fifos made when a worker starts, before the first session needs one"
  }),
  memoryLimit: number({
    unit: "bytes",
    min: 512 * KiB,
    max: 64 * GiB,
    default: 256 * MiB,
    requirement: "W4",
    description: "Segment memory that one worker may hold, its first segment included"
  }),
  trimInterval: number({
    unit: "milliseconds",
    min: 10,
    max: HOUR,
    default: SECOND,
    description: "How often the fifos of idle sessions give their memory back"
  }),
  highWatermark: number({
    unit: "percent",
    min: 1,
    max: 100,
    default: 80,
    description: "Use of segment memory from which on a worker counts as short of memory"
  }),
  lowWatermark: number({
    unit: "percent",
    min: 0,
    max: 99,
    default: 50,
    description: "Use of segment memory below which a worker counts as recovered"
  })
}).check(
  Schema.makeFilter(({ firstSegmentSize, memoryLimit }) =>
    rule(
      memoryLimit >= firstSegmentSize,
      ["memoryLimit"],
      `at least firstSegmentSize, which is ${print("bytes", firstSegmentSize)}`
    )
  ),
  Schema.makeFilter(({ highWatermark, lowWatermark }) =>
    rule(
      lowWatermark < highWatermark,
      ["lowWatermark"],
      `below highWatermark, which is ${print("percent", highWatermark)}`
    )
  )
)
export type SegmentOptions = typeof SegmentOptions.Type

/**
 * What happens to a connection when it comes in (M6, M15), and how much a worker may connect (W14).
 *
 * **Details**
 *
 * - `revokeAfter`: milliseconds, 1 to 10000; 5 (M15).
 * - `policy`: `"hold"` or `"refuse"`, when every worker is congested; `"hold"` (M6).
 * - `holdMax`: connections, 0 to 65536; 1024 (M6).
 * - `holdTime`: milliseconds, 1 to 300000; 5000 (M6).
 * - `maxSessionsPerWorker`, `maxSessionsPerListener`, `maxSessions`: sessions, 1 to 16777216; 16384, 65536 and 65536.
 * - `backlog`: connections that the system holds for the listener, 1 to 65535; 511.
 * - `connectTimeout`: milliseconds, 1 to 600000; 10000 (W14).
 * - `maxHalfOpen`: connects per worker, 1 to 65536; 1024 (W14).
 *
 * @category models
 * @since 0.1.0
 */
export const AdmissionOptions = Schema.Struct({
  revokeAfter: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * SECOND,
    default: 5,
    requirement: "M15",
    description: "Time a worker has to claim a session offered to it before another worker gets the offer"
  }),
  policy: Schema.Literals(["hold", "refuse"]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed("hold"))
  ).annotate(described({
    description: "What a listener does with a connection when every worker is congested",
    right: `"hold" or "refuse"`,
    default: `"hold"`,
    requirement: "M6"
  })),
  holdMax: number({
    unit: "connections",
    min: 0,
    max: 65536,
    default: 1024,
    requirement: "M6",
    description: "Connections that one listener holds at most"
  }),
  holdTime: number({
    unit: "milliseconds",
    min: 1,
    max: 5 * MINUTE,
    default: 5 * SECOND,
    requirement: "M6",
    description: "Time for which a connection is held at most"
  }),
  maxSessionsPerWorker: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 16384,
    description: "Open sessions of one worker at most"
  }),
  maxSessionsPerListener: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 65536,
    description: "Open sessions of one listener at most"
  }),
  maxSessions: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 65536,
    description: "Open sessions of the application at most"
  }),
  backlog: number({
    unit: "connections",
    min: 1,
    max: 65535,
    default: 511,
    description: "Connections that the system holds until the listener accepts them"
  }),
  connectTimeout: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * MINUTE,
    default: 10 * SECOND,
    requirement: "W14",
    description: "Time a connect has to succeed before it fails"
  }),
  maxHalfOpen: number({
    unit: "connects",
    min: 1,
    max: 65536,
    default: 1024,
    requirement: "W14",
    description: "Connects of one worker that have not succeeded or failed yet at most"
  })
})
export type AdmissionOptions = typeof AdmissionOptions.Type

/**
 * The workers of an application and how they are started, restarted and stopped.
 *
 * **Details**
 *
 * - `kind`: `"thread"` or `"in-process"`; `"thread"`.
 * - `startTimeout`: milliseconds, 100 to 600000; 30000.
 * - `backoffBase`: milliseconds, 1 to 60000, at most `backoffMax`; 100.
 * - `backoffMax`: milliseconds, 1 to 3600000; 10000.
 * - `drainTimeout`: milliseconds, 0 to 3600000; 10000.
 * - `heapLimitMiB`: MiB, 16 to 1048576; when absent, what Node chooses. It becomes
 *   `resourceLimits.maxOldGenerationSizeMb` of a worker thread.
 *
 * @category models
 * @since 0.1.0
 */
export const WorkerOptions = Schema.Struct({
  kind: Schema.Literals(["thread", "in-process"]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed("thread"))
  ).annotate(described({
    description: "Whether a worker has a thread of its own or runs on the host's event loop",
    right: `"thread" or "in-process"`,
    default: `"thread"`
  })),
  startTimeout: number({
    unit: "milliseconds",
    min: 100,
    max: 10 * MINUTE,
    default: 30 * SECOND,
    description: "Time a worker has from its start until it is ready"
  }),
  backoffBase: number({
    unit: "milliseconds",
    min: 1,
    max: MINUTE,
    default: 100,
    description: "Wait before the first restart of a crashed worker; it doubles with each crash that follows"
  }),
  backoffMax: number({
    unit: "milliseconds",
    min: 1,
    max: HOUR,
    default: 10 * SECOND,
    description: "Longest wait before a restart"
  }),
  drainTimeout: number({
    unit: "milliseconds",
    min: 0,
    max: HOUR,
    default: 10 * SECOND,
    description: "Time a draining worker has to end its sessions before they are closed"
  }),
  heapLimitMiB: optionalNumber({
    unit: "MiB",
    min: 16,
    max: 1_048_576,
    absent: "none: what Node chooses",
    description: "Heap of one worker thread at most"
  })
}).check(
  Schema.makeFilter(({ backoffBase, backoffMax }) =>
    rule(
      backoffBase <= backoffMax,
      ["backoffBase"],
      `at most backoffMax, which is ${print("milliseconds", backoffMax)}`
    )
  )
)
export type WorkerOptions = typeof WorkerOptions.Type

const LONGEST_NAME = 64

/**
 * A name of an application, a client or a namespace: 1 to 64 characters, without control characters and outer spaces.
 *
 * @category models
 * @since 0.1.0
 */
export const Name = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(LONGEST_NAME),
  Schema.isTrimmed(),
  Schema.makeFilter((text) => !/\p{Cc}/u.test(text))
)
/**
 * What is right for a {@link Name}, to follow "must be".
 *
 * @category constants
 * @since 0.1.0
 */
export const NAME_RIGHT = `a text of 1 to ${LONGEST_NAME} characters, without control characters and outer spaces`

const Secret = Schema.Union([Schema.Redacted(Schema.String), Schema.String]).pipe(
  Schema.decodeTo(
    Schema.Redacted(Schema.NonEmptyString),
    SchemaTransformation.transform({
      decode: (given: Redacted.Redacted | string) => typeof given === "string" ? Redacted.make(given) : given,
      encode: (secret: Redacted.Redacted): Redacted.Redacted | string => secret
    })
  )
)

const scopeFlag = (name: string, byDefault: string) =>
  described({
    description: `Whether the application listens and connects in ${name} scope`,
    right: "true or false",
    default: byDefault,
    requirement: "W17"
  })

const ScopeFlags = Schema.Struct({
  global: Schema.optional(Schema.Boolean).annotate(scopeFlag("global", "true unless scope.local is true")),
  local: Schema.optional(Schema.Boolean).annotate(scopeFlag("local", "false"))
})

/**
 * The scopes in which an application listens and connects (W17).
 *
 * **Details**
 *
 * A flag that is not given is off, and when neither is given `global` is on. Both given as off is an error.
 *
 * @category models
 * @since 0.1.0
 */
export const ScopeOptions = ScopeFlags.pipe(
  Schema.decodeTo(
    Schema.Struct({ global: Schema.Boolean, local: Schema.Boolean }).check(
      Schema.makeFilter((scope) => rule(scope.global || scope.local, ["global"], "true unless scope.local is true"))
    ),
    SchemaTransformation.transform({
      decode: ({ global, local }: typeof ScopeFlags.Type) => ({
        global: global ?? local !== true,
        local: local ?? false
      }),
      encode: (scope): typeof ScopeFlags.Type => scope
    })
  )
)
export type ScopeOptions = typeof ScopeOptions.Type

const SLOT_BYTES = { indexQueue: 4, ioRing: 16, controlRing: 512 }
const QUEUE_OVERHEAD = 64 * KiB

/**
 * The bytes that a first segment must have for an event queue: its slots in both directions (index 4 B, IO 16 B,
 * control 512 B each) and 64 KiB for headers and first fifos.
 *
 * @category getters
 * @since 0.1.0
 */
export const queueSegmentSize = (queue: Pick<QueueOptions, "indexQueue" | "ioRing" | "controlRing">): number =>
  2 * (
      queue.indexQueue * SLOT_BYTES.indexQueue +
      queue.ioRing * SLOT_BYTES.ioRing +
      queue.controlRing * SLOT_BYTES.controlRing
    ) + QUEUE_OVERHEAD

const inOneSpelling = <A>(byEndpoint: { readonly [endpoint: string]: A }): { readonly [endpoint: string]: A } =>
  Object.fromEntries(
    Object.entries(byEndpoint).map(([text, options]) => [
      Result.match(Endpoint.parse(text), { onFailure: () => text, onSuccess: Endpoint.format }),
      options
    ])
  )

/** Looked at when it is decoded, which takes the time of the day. */
const CertificateInput = Schema.declare(
  (_: unknown): _ is Certificate.Input => true,
  { expected: "an object with certificate and key" }
)

/**
 * An application: who it is, where it may listen and connect, and the groups above.
 *
 * **Details**
 *
 * - `name`, `client`: 1 to 64 characters; none. Attaching needs one of them (W3), decoding does not.
 * - `namespace`: 1 to 64 characters; `"default"` (W3).
 * - `secret`: of the namespace, text or `Redacted`; none. It is decoded to `Redacted` and never shown (W3).
 * - `scope`: see {@link ScopeOptions}; global.
 * - `proxiedTransports`: transports for which this application is a proxy; none (W18).
 * - `tlsEngine`: name of a TLS engine; none (W4).
 * - `listen`: endpoints in their text form; none. The application is told of them and listens itself.
 * - `listener`: see `ListenerOptions`; how its listeners take connections in.
 * - `listeners`: by endpoint in its text form, what holds there instead of `listener`, the whole group; none.
 * - `certificates`: for its TLS listeners, each a `Certificate.Input`, in the order of preference; none (W19). They are
 *   read when the application is attached, into its store, where they can be changed.
 * - `tlsClient`: see `TlsClientOptions`; how its connects over TLS are made.
 * - `workers`: how many it starts with, 1 to 256; 2. What they are and how they are started is in `worker`.
 * - `config`: what the application's module is told, see `AppConfig`; `null`.
 *
 * The schema says what is well formed. {@link decodeApp} also says what this runtime can serve.
 *
 * @category models
 * @since 0.1.0
 */
export const AppOptions = Schema.Struct({
  name: Schema.optional(Name).annotate(described({
    description: "Name of the application, by which others find it",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W2"
  })),
  client: Schema.optional(Name).annotate(described({
    description: "Client that the application belongs to, by which it is looked up",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W2"
  })),
  namespace: Name.pipe(
    Schema.withDecodingDefaultType(Effect.succeed("default"))
  ).annotate(described({
    description: "Namespace that the application attaches to",
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
    right: `a list of different transports, each one of ${Endpoint.transports.map((name) => `"${name}"`).join(", ")}`,
    default: "none",
    requirement: "W18"
  })),
  tlsEngine: Schema.optional(Name).annotate(described({
    description: "TLS engine that ends the application's TLS connections",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W4"
  })),
  listen: Schema.Array(Endpoint.EndpointFromString).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Endpoints that the application is told to serve",
    right: "a list of endpoint URIs such as \"tcp://127.0.0.1:8080\"",
    default: "none",
    requirement: "W4"
  })),
  workers: number({
    unit: "workers",
    min: 1,
    max: 256,
    default: 2,
    description: "Workers that the application starts with"
  }),
  config: AppConfig.AppConfig.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(null))
  ).annotate(described({
    description: "What the application's module is told",
    right: AppConfig.APP_CONFIG_RIGHT,
    default: "null",
    shown: "kind"
  })),
  listener: group(ListenerOptions, ListenerOptions.fields),
  listeners: Schema.Record(Schema.String, ListenerOptions).check(
    Schema.makeFilter((listeners) => {
      const stray = Object.keys(listeners).find((text) => Result.isFailure(Endpoint.parse(text)))
      return rule(stray === undefined, [], `listener options by endpoint URI, and "${stray}" is none`)
    })
  ).pipe(
    Schema.decodeTo(
      Schema.Record(Schema.String, Schema.toType(ListenerOptions)),
      SchemaTransformation.transform({ decode: inOneSpelling, encode: inOneSpelling })
    ),
    Schema.withDecodingDefaultType(Effect.succeed({}))
  ).annotate(described({
    description: "Options of single listeners, by endpoint, in place of those for all",
    right: "listener options by endpoint URI",
    default: "none",
    shown: "kind"
  })),
  certificates: Schema.Array(CertificateInput).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Certificates and keys for TLS listeners",
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
 * What {@link AppOptions} decode from, for a host that writes them in TypeScript.
 *
 * @category models
 * @since 0.1.0
 */
export type AppOptionsInput = typeof AppOptions.Encoded

// ---------------------------------------------------------------------------------------------------------------------
// Documentation
// ---------------------------------------------------------------------------------------------------------------------

/**
 * One row of the table of options.
 *
 * @category models
 * @since 0.1.0
 */
export interface Documentation {
  /** Path of the option, for example `queue.indexQueue`. */
  readonly option: string
  readonly description: string
  readonly unit: Unit | undefined
  /** What a right value is, with its bounds. */
  readonly range: string
  readonly default: string
  /** Row of the requirements that the option or its bound comes from. */
  readonly requirement: string | undefined
}

/**
 * Every option of an application, for help texts and tables.
 *
 * @category constants
 * @since 0.1.0
 */
export const documentation: ReadonlyArray<Documentation> = infosOf(AppOptions.fields).map(([option, info]) => ({
  option,
  description: info.description,
  unit: info.unit,
  range: info.right,
  default: info.default,
  requirement: info.requirement
}))

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What is wrong with an option.
 *
 * **Details**
 *
 * - `InvalidValue`: the value is not well formed or out of its bounds, or there is no such option.
 * - `UnsupportedConfig`: the value is right, and this runtime cannot serve it.
 *
 * `option` is a path such as `queue.indexQueue`; `message` names it, the value given and what would be right.
 *
 * @category errors
 * @since 0.1.0
 */
export const OptionsErrorReason = Schema.TaggedUnion({
  InvalidValue: { option: Schema.String, message: Schema.String },
  UnsupportedConfig: { option: Schema.String, message: Schema.String }
})
export type OptionsErrorReason = typeof OptionsErrorReason.Type

/**
 * Options that were not taken: nothing has been changed.
 *
 * **Details**
 *
 * `reason` is the first problem, `more` are the others; the message has a line for each.
 *
 * @category errors
 * @since 0.1.0
 */
export class OptionsError extends Schema.TaggedError<OptionsError>()("OptionsError", {
  reason: OptionsErrorReason,
  more: Schema.Array(OptionsErrorReason)
}) {
  override get message(): string {
    return [this.reason, ...this.more].map((reason) => reason.message).join("\n")
  }
}

const invalid = ({ message, option }: OptionProblems.Told): OptionsErrorReason => ({
  _tag: "InvalidValue",
  option,
  message
})

// ---------------------------------------------------------------------------------------------------------------------
// Decoding
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Decodes options from the outside with a schema of this module: a group alone, or the whole.
 *
 * **Details**
 *
 * All problems are in the error, the first 64 if there are more; those between options are looked at once each option is right by itself. `undefined`
 * is taken as "not given".
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = <A, I>(schema: Schema.Codec<A, I> & { readonly fields: Schema.Struct.Fields }) => {
  const decodeUnknown = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })
  const known = new Map(infosOf(schema.fields))
  return (input: unknown): Result.Result<A, OptionsError> =>
    Result.mapError(decodeUnknown(input), (error) => {
      const [reason = { option: "options", message: error.message }, ...more] = OptionProblems.tell(
        error.issue,
        input,
        known
      )
      return new OptionsError({ reason: invalid(reason), more: more.map(invalid) })
    })
}

const unsupported = (option: string, given: unknown, right: string): OptionsErrorReason => ({
  _tag: "UnsupportedConfig",
  option,
  message: `${option}: got ${OptionProblems.printGiven(given)}; ${right}`
})

const unserved = (app: AppOptions): ReadonlyArray<OptionsErrorReason> => {
  const reasons: Array<OptionsErrorReason> = []
  if (app.proxiedTransports.some((transport) => transport !== "tcp")) {
    reasons.push(unsupported("proxiedTransports", app.proxiedTransports, `this runtime serves proxies of "tcp" only`))
  } else if (app.proxiedTransports.length > 0 && !app.scope.local) {
    // no transport of the system's listens on every port
    reasons.push(
      unsupported(
        "proxiedTransports",
        app.proxiedTransports,
        "a proxy listens on every port, which only local scope can; set scope.local to true"
      )
    )
  }
  if (app.tlsEngine !== undefined) {
    reasons.push(unsupported("tlsEngine", app.tlsEngine, "this runtime serves no TLS engines; leave it out"))
  }
  return reasons
}

const decodeAppOptions = decode(AppOptions)

/**
 * Decodes the options of an application, and refuses those that this runtime cannot serve (W4).
 *
 * **Details**
 *
 * Fails with `InvalidValue` reasons if anything is not well formed, else with `UnsupportedConfig` reasons for proxied
 * transports other than `"tcp"` or without `scope.local` (W18), and a TLS engine. Whether the namespace exists is the
 * host's to say.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeApp = (input: unknown): Result.Result<AppOptions, OptionsError> =>
  Result.flatMap(decodeAppOptions(input), (app) => {
    const [reason, ...more] = unserved(app)
    return reason === undefined ? Result.succeed(app) : Result.fail(new OptionsError({ reason, more }))
  })

/**
 * What holds when nothing is set.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: AppOptions = Result.getOrThrow(decodeApp({}))
