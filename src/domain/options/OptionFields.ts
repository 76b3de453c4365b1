/**
 * What the schemas of options are made of: units, numeric fields, and the words that belong to each field.
 *
 * The text of a rule is written once, as the {@link FieldInfo} in the annotations of the option's schema: messages and
 * documentation are both made from it.
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE

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
  | "datagrams"
  | "percent"
  | "connections"
  | "connects"
  | "sessions"
  | "pairs"
  | "workers"
  | "port"
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
export const print = (unit: Unit, value: number): string => {
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

/**
 * How a value is written after a flag or in the environment: as one text, as several, or as a switch.
 *
 * @category models
 * @since 0.1.0
 */
export type Form = "text" | "list" | "switch"

/** What an option is, apart from its schema: the source of its messages, of help texts and of its documentation. */
export interface FieldInfo {
  readonly description: string
  readonly form: Form
  /** What one value is called in a help text: `size`, `uri`, `hold|refuse`. */
  readonly value: string
  readonly unit: Unit | undefined
  /** What a right value is, worded to follow "must be". */
  readonly right: string
  readonly default: string
  readonly requirement: string | undefined
  /** What a message may show of the value given, which may contain secrets. */
  readonly shown: "value" | "kind" | "nothing"
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

const valueNames: Partial<Record<Unit, string>> = { bytes: "size", milliseconds: "time", percent: "percent" }

const infoOf = (spec: Spec, byDefault: string): FieldInfo => ({
  description: spec.description,
  form: "text",
  value: valueNames[spec.unit] ?? "number",
  unit: spec.unit,
  right: rightOf(spec),
  default: byDefault,
  requirement: spec.requirement,
  shown: "value",
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

/** Where {@link FieldInfo} is kept in a field's annotations. */
const INFO = "sluice/option"

/** Where the fields of a group are kept in the annotations of the field that holds the group. */
const GROUP = "sluice/group"

/** A numeric option without a default: its key may be absent. */
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

/** A numeric option with a default. */
export const number = (spec: NumberSpec) =>
  numeric(spec).pipe(
    Schema.withDecodingDefaultType(Effect.succeed(spec.default))
  ).annotate({
    description: spec.description,
    default: spec.default,
    [INFO]: infoOf(spec, print(spec.unit, spec.default))
  })

/** A numeric option that may be absent; `absent` says what holds then. */
export const optionalNumber = (spec: Spec & { readonly absent: string }) =>
  Schema.optional(numeric(spec)).annotate({ description: spec.description, [INFO]: infoOf(spec, spec.absent) })

/** The annotations of an option that is not numeric. */
export const described = (
  info:
    & Pick<FieldInfo, "description" | "right" | "default">
    & Partial<Pick<FieldInfo, "form" | "value" | "requirement" | "shown">>
) => ({
  description: info.description,
  [INFO]: {
    form: "text",
    value: "text",
    requirement: undefined,
    shown: "value",
    ...info,
    unit: undefined,
    nextPowerOfTwo: undefined
  } satisfies FieldInfo
})

/** Words to choose from, as a sentence has them: `"a", "b" or "c"`. */
const eitherOf = (words: ReadonlyArray<string>): string =>
  words.map((word) => `"${word}"`).join(", ").replace(/, ([^,]*)$/, " or $1")

const literals = <const Word extends string>(words: ReadonlyArray<Word>): Schema.Codec<Word> => Schema.Literals(words)

/** An option that is one of a few words. */
export const choice = <const Word extends string>(
  spec: Pick<FieldInfo, "description"> & {
    readonly words: ReadonlyArray<Word>
    readonly default: NoInfer<Word>
    readonly requirement?: string
  }
) =>
  literals(spec.words).pipe(
    Schema.withDecodingDefaultType(Effect.succeed(spec.default))
  ).annotate(described({
    description: spec.description,
    value: spec.words.join("|"),
    right: eitherOf(spec.words),
    default: `"${spec.default}"`,
    ...(spec.requirement === undefined ? {} : { requirement: spec.requirement })
  }))

/** A rule between options; `right` follows "must be" in the message about the option at `path`. */
export const rule = (holds: boolean, path: ReadonlyArray<string>, right: string): Schema.FilterOutput =>
  holds ? undefined : { path, issue: right }

/** A group as a field: when it is absent, its defaults hold. */
export const group = <A, I>(schema: Schema.Codec<A, I>, fields: Schema.Struct.Fields) =>
  schema.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(Schema.decodeUnknownSync(schema)({})))
  ).annotate({ [GROUP]: fields })

/** Every option among some fields, with its path, groups included. */
export const infosOf = (fields: Schema.Struct.Fields, prefix = ""): Array<[string, FieldInfo]> =>
  Object.entries(fields).flatMap(([key, field]) => {
    const annotations = Schema.resolveAnnotations(field)
    const inner = annotations?.[GROUP] as Schema.Struct.Fields | undefined
    if (inner !== undefined) return infosOf(inner, `${prefix}${key}.`)
    const info = annotations?.[INFO] as FieldInfo | undefined
    return info === undefined ? [] : [[`${prefix}${key}`, info]]
  })
