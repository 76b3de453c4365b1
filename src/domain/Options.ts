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
 * The text of a rule is written once, in the annotations of the option's schema: messages and {@link documentation}
 * are both made from it.
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Endpoint from "./Endpoint.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Units
// ---------------------------------------------------------------------------------------------------------------------

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/**
 * Units of the numeric options.
 *
 * @category models
 * @since 0.1.0
 */
export type Unit =
  | "bytes"
  | "milliseconds"
  | "slots"
  | "messages"
  | "percent"
  | "connections"
  | "sessions"
  | "pairs"
  | "workers"
  | "MiB"

const SHORT_UNITS: Readonly<Record<string, Duration.Unit>> = {
  ns: "nanos",
  us: "micros",
  ms: "millis",
  s: "seconds",
  sec: "seconds",
  m: "minutes",
  min: "minutes",
  h: "hours"
}

const NUMBER = /^[+-]?\d+(?:\.\d+)?$/
const QUANTITY = /^([+-]?\d+(?:\.\d+)?)\s*([a-z]+)$/

const parseText = (unit: Unit, text: string): number | undefined => {
  const trimmed = text.trim()
  if (NUMBER.test(trimmed)) return Number(trimmed)
  if (unit === "bytes") return Option.getOrUndefined(Option.flatMap(ByteSize.fromString(trimmed), ByteSize.toNumber))
  const match = unit === "milliseconds" ? QUANTITY.exec(trimmed) : null
  if (match === null) return undefined
  const [, quantity, name = ""] = match
  const input = `${quantity} ${SHORT_UNITS[name] ?? name}` as Duration.Input
  return Option.getOrUndefined(Option.map(Duration.fromInput(input), Duration.toMillis))
}

const largestUnit = (value: number, units: ReadonlyArray<readonly [number, string]>): string => {
  for (const [factor, name] of units) {
    if (value >= factor && Number.isInteger(value / factor)) return `${value / factor} ${name}`
  }
  return String(value)
}

/** A value as a person would write it: `64 KiB`, `5 ms`, `2048`. */
const print = (unit: Unit, value: number): string => {
  switch (unit) {
    case "bytes":
      return largestUnit(value, [[GiB, "GiB"], [MiB, "MiB"], [KiB, "KiB"], [1, "B"]])
    case "milliseconds":
      return value < 1 ? `${value} ms` : largestUnit(value, [[HOUR, "h"], [MINUTE, "min"], [SECOND, "s"], [1, "ms"]])
    case "percent":
      return `${value} %`
    case "MiB":
      return `${value} MiB`
    default:
      return String(value)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Fields
// ---------------------------------------------------------------------------------------------------------------------

/** What an option is, apart from its schema: the source of its messages and of its documentation. */
interface Info {
  readonly description: string
  readonly unit: Unit | undefined
  /** What a right value is, to follow "must be". */
  readonly right: string
  readonly default: string
  readonly requirement: string | undefined
  readonly nextPowerOfTwo: ((given: unknown) => string | undefined) | undefined
}

interface Spec {
  readonly unit: Unit
  readonly min: number
  readonly max: number
  readonly description: string
  /** Row of the requirements that the option or its bound comes from. */
  readonly requirement?: string
  readonly powerOfTwo?: boolean
  /** What 0 means, for an option that allows it below `min`. */
  readonly zero?: string
}

interface NumberSpec extends Spec {
  readonly default: number
}

const powersOfTwo = (min: number, max: number): ReadonlyArray<number> => {
  const powers: Array<number> = []
  for (let power = 1; power <= max; power *= 2) if (power >= min) powers.push(power)
  return powers
}

const kindOf = (spec: Spec): string => {
  switch (spec.unit) {
    case "bytes":
      return spec.powerOfTwo === true ? "a power of two in bytes" : "a size in whole bytes"
    case "milliseconds":
      return "a time in milliseconds"
    default:
      return spec.powerOfTwo === true ? "a power of two" : "a whole number"
  }
}

const textForms: Partial<Record<Unit, string>> = {
  bytes: `, or text such as "64KiB"`,
  milliseconds: `, or text such as "5 millis" or "5ms"`
}

const rightOf = (spec: Spec): string => {
  const zero = spec.zero === undefined ? "" : `0 (${spec.zero}), or `
  const range = `from ${print(spec.unit, spec.min)} to ${print(spec.unit, spec.max)}`
  return `${zero}${kindOf(spec)} ${range}${textForms[spec.unit] ?? ""}`
}

const infoOf = (spec: Spec, byDefault: string): Info => ({
  description: spec.description,
  unit: spec.unit,
  right: rightOf(spec),
  default: byDefault,
  requirement: spec.requirement,
  nextPowerOfTwo: spec.powerOfTwo !== true ? undefined : (given) => {
    const value = typeof given === "string" ? parseText(spec.unit, given) : given
    const powers = powersOfTwo(spec.min, spec.max)
    if (typeof value !== "number" || powers.includes(value)) return undefined
    const next = powers.find((power) => power > value)
    return next === undefined ? undefined : print(spec.unit, next)
  }
})

const decodedNumber = (spec: Spec): Schema.Codec<number> => {
  if (spec.powerOfTwo === true) return Schema.Literals(powersOfTwo(spec.min, spec.max))
  const minimum = spec.zero === undefined ? spec.min : 0
  const bounded = Schema.Finite.check(Schema.isBetween({ minimum, maximum: spec.max }))
  const whole = spec.unit === "milliseconds" ? bounded : bounded.check(Schema.isInt())
  return spec.zero === undefined ? whole : whole.check(Schema.makeFilter((n) => n === 0 || n >= spec.min))
}

/** Where {@link Info} is kept in a field's annotations. */
const INFO = "sluice/option"

/** Where the fields of a group are kept in the annotations of the field that holds the group. */
const GROUP = "sluice/group"

/** A numeric option without a default: the key may be there or not. */
const numeric = (spec: Spec) =>
  Schema.Union([Schema.Finite, Schema.String]).pipe(
    Schema.decodeTo(
      decodedNumber(spec),
      SchemaTransformation.transformEffect({
        decode: (given: number | string, options) => {
          const value = typeof given === "number" ? given : parseText(spec.unit, given)
          return value === undefined
            ? Effect.fail(new SchemaIssue.InvalidValue({ expected: rightOf(spec) }, given, options))
            : Effect.succeed(value)
        },
        encode: (value: number): Effect.Effect<number | string> => Effect.succeed(value)
      })
    )
  )

const number = (spec: NumberSpec) =>
  numeric(spec).pipe(
    Schema.withDecodingDefaultType(Effect.succeed(spec.default))
  ).annotate({
    description: spec.description,
    default: spec.default,
    [INFO]: infoOf(spec, print(spec.unit, spec.default))
  })

const optionalNumber = (spec: Spec & { readonly absent: string }) =>
  Schema.optional(numeric(spec)).annotate({ description: spec.description, [INFO]: infoOf(spec, spec.absent) })

const described = (
  info: Pick<Info, "description" | "right" | "default"> & { readonly requirement?: string }
) => ({
  description: info.description,
  [INFO]: { requirement: undefined, ...info, unit: undefined, nextPowerOfTwo: undefined } satisfies Info
})

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
 * What happens to a connection when it comes in (M6, M15).
 *
 * **Details**
 *
 * - `revokeAfter`: milliseconds, 1 to 10000; 5 (M15).
 * - `policy`: `"hold"` or `"refuse"`, when every worker is congested; `"hold"` (M6).
 * - `holdMax`: connections, 0 to 65536; 1024 (M6).
 * - `holdTime`: milliseconds, 1 to 300000; 5000 (M6).
 * - `maxSessionsPerWorker`, `maxSessionsPerListener`, `maxSessions`: sessions, 1 to 16777216; 16384, 65536 and 65536.
 * - `backlog`: connections that the system holds for the listener, 1 to 65535; 511.
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
  })
})
export type AdmissionOptions = typeof AdmissionOptions.Type

/**
 * The workers of an application and how they are started, restarted and stopped.
 *
 * **Details**
 *
 * - `workers`: 1 to 256; 2.
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
  workers: number({
    unit: "workers",
    min: 1,
    max: 256,
    default: 2,
    description: "Workers that the application starts with"
  }),
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

const Name = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(LONGEST_NAME),
  Schema.isTrimmed(),
  Schema.makeFilter((text) => !/\p{Cc}/u.test(text))
)
const NAME_RIGHT = `a text of 1 to ${LONGEST_NAME} characters, without control characters and outer spaces`

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

/** A group as a field: its own defaults when it is absent. */
const group = <A, I>(schema: Schema.Codec<A, I>, fields: Schema.Struct.Fields) =>
  schema.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(Schema.decodeUnknownSync(schema)({})))
  ).annotate({ [GROUP]: fields })

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
    requirement: "W3"
  })),
  scope: group(ScopeOptions, ScopeFlags.fields),
  proxiedTransports: Schema.Array(Endpoint.Transport).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Transports for which the application is a proxy",
    right: `a list of transports, each one of ${Endpoint.transports.map((name) => `"${name}"`).join(", ")}`,
    default: "none",
    requirement: "W18"
  })),
  tlsEngine: Schema.optional(Name).annotate(described({
    description: "TLS engine that ends the application's TLS connections",
    right: NAME_RIGHT,
    default: "none",
    requirement: "W4"
  })),
  listen: Schema.Array(Endpoint.FromString).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Endpoints that the application is told to serve",
    right: "a list of endpoint URIs such as \"tcp://127.0.0.1:8080\"",
    default: "none",
    requirement: "W4"
  })),
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

const infosOf = (fields: Schema.Struct.Fields, prefix = ""): Array<[string, Info]> =>
  Object.entries(fields).flatMap(([key, field]) => {
    const annotations = Schema.resolveAnnotations(field)
    const inner = annotations?.[GROUP] as Schema.Struct.Fields | undefined
    if (inner !== undefined) return infosOf(inner, `${prefix}${key}.`)
    const info = annotations?.[INFO] as Info | undefined
    return info === undefined ? [] : [[`${prefix}${key}`, info]]
  })

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

const invalid = (option: string, message: string): OptionsErrorReason => ({ _tag: "InvalidValue", option, message })

// ---------------------------------------------------------------------------------------------------------------------
// Decoding
// ---------------------------------------------------------------------------------------------------------------------

/** Edits between two words: insert, delete, replace, or swap two neighbours. */
const distance = (a: string, b: string): number => {
  let beforeLast: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
        ? (beforeLast[j - 2] ?? 0) + 1
        : Infinity
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced, swapped))
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** Keys are compared up to this length: a longer one is no slip of the pen. */
const LONGEST_KEY = 40

const lastKey = (option: string): string => option.slice(option.lastIndexOf(".") + 1)

const groupOf = (option: string): string => option.slice(0, option.lastIndexOf(".") + 1)

/** What stands beside an option or a key: options, and groups of them. */
const siblings = (option: string, known: ReadonlyMap<string, Info>): ReadonlyArray<string> => {
  const group = groupOf(option)
  const within = Array.from(known.keys()).filter((name) => name.startsWith(group))
  return Array.from(new Set(within.map((name) => `${group}${name.slice(group.length).split(".")[0]}`)))
}

/** The option most like an unknown one, wherever it is; a group only where it could stand. */
const meant = (unknown: string, known: ReadonlyMap<string, Info>): string | undefined => {
  const key = lastKey(unknown).toLowerCase()
  if (key.length > LONGEST_KEY) return undefined
  let best: string | undefined
  let least = Math.max(1, Math.min(3, Math.floor(key.length / 3))) + 1
  for (const option of new Set([...siblings(unknown, known), ...known.keys()])) {
    const apart = distance(key, lastKey(option).toLowerCase())
    if (apart < least) [best, least] = [option, apart]
  }
  return best
}

interface Problem {
  readonly path: ReadonlyArray<PropertyKey>
  readonly unknownKey: boolean
  /** What would be right, when a {@link rule} says it; for all others the option's {@link Info} has the words. */
  readonly right: string | undefined
}

const problems = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey> = []): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Filter":
    case "Encoding":
      return problems(issue.issue, path)
    case "Pointer":
      return problems(issue.issue, [...path, ...issue.path])
    case "Composite":
      return issue.issues.flatMap((issue) => problems(issue, path))
    case "AnyOf":
      return issue.issues.length === 0
        ? [{ path, unknownKey: false, right: undefined }]
        : issue.issues.flatMap((issue) => problems(issue, path))
    case "InvalidValue":
      return [{ path, unknownKey: false, right: issue.annotations?.message }]
    default:
      return [{ path, unknownKey: issue._tag === "UnexpectedKey", right: undefined }]
  }
}

const at = (input: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    input
  )

/** Problems told at most: input from the outside does not decide how long a message gets. */
const MOST_REASONS = 64

const LONGEST_GIVEN = 80

const shorten = (text: string): string => text.length > LONGEST_GIVEN ? `${text.slice(0, LONGEST_GIVEN - 1)}…` : text

const printGiven = (given: unknown): string => shorten(Formatter.format(given))

const kindOfValue = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`

const explain = (
  input: unknown,
  { path, right, unknownKey }: Problem,
  known: ReadonlyMap<string, Info>
): OptionsErrorReason => {
  // the value is left out: it may hold the secret
  if (path.length === 0) return invalid("options", `options: got ${kindOfValue(input)}; they must be an object`)
  const option = shorten(path.map(String).join("."))
  if (unknownKey) {
    // the value is left out: it may be a secret under a misspelled key
    const likely = meant(option, known)
    const hint = likely === undefined
      ? `the options here are ${siblings(option, known).map(lastKey).join(", ")}`
      : `did you mean ${likely}?`
    return invalid(option, `${option}: there is no such option; ${hint}`)
  }
  // within an option: an element of a list, the inside of a secret
  let depth = path.length
  while (depth > 1 && !known.has(path.slice(0, depth).map(String).join("."))) depth--
  const name = path.slice(0, depth).map(String).join(".")
  const info = known.get(name)
  if (info === undefined) return invalid(option, `${option}: got ${printGiven(at(input, path))}; it must be an object`)
  const given = at(input, path.slice(0, depth))
  const shown = given === undefined
    ? `the default is ${info.default}`
    : name === "secret"
    ? "got a value that is not shown"
    : `got ${printGiven(given)}`
  const next = info.nextPowerOfTwo?.(given)
  const hint = next === undefined ? "" : `; the next one is ${next}`
  return invalid(name, `${name}: ${shown}; it must be ${right ?? info.right}${hint}`)
}

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
      const reasons = problems(error.issue).slice(0, MOST_REASONS).map((problem) => explain(input, problem, known))
      // an option that breaks two of its own bounds is told of once
      const [reason = invalid("options", error.message), ...more] = Array.from(
        new Map(reasons.map((reason) => [reason.message, reason])).values()
      )
      return new OptionsError({ reason, more })
    })
}

const unsupported = (option: string, given: unknown, right: string): OptionsErrorReason => ({
  _tag: "UnsupportedConfig",
  option,
  message: `${option}: got ${printGiven(given)}; ${right}`
})

const unserved = (app: AppOptions): ReadonlyArray<OptionsErrorReason> => {
  const reasons: Array<OptionsErrorReason> = []
  if (app.namespace !== "default") {
    reasons.push(unsupported("namespace", app.namespace, `this runtime serves only the namespace "default"`))
  }
  if (app.proxiedTransports.length > 0) {
    reasons.push(
      unsupported("proxiedTransports", app.proxiedTransports, "this runtime serves no proxy listeners; leave it empty")
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
 * Fails with `InvalidValue` reasons if anything is not well formed, else with `UnsupportedConfig` reasons for a
 * namespace other than `"default"`, proxied transports and a TLS engine.
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
