/**
 * What the schemas of options are made of: numeric fields and choices, and the words that belong to each field.
 *
 * The text of a rule is written once, as the {@link FieldInfo} in the annotations of the option's schema: messages and
 * documentation are both made from it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { mostLike } from "./Likeness.ts"
import { meantText, print, read, textOf, type Unit, type UnitInput } from "./OptionUnits.ts"

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
  /** What was probably meant by a value that is not right, worded to follow the message. */
  readonly hint: ((given: unknown) => string | undefined) | undefined
  /** For a record of groups of options: the options of each group. */
  readonly inner: ReadonlyMap<string, FieldInfo> | undefined
  /** The option in a JSON file: what an editor is told of it. */
  readonly json: Schema.Codec<unknown>
}

interface Spec<U extends Unit> {
  readonly unit: U
  readonly min: number
  readonly max: number
  readonly description: string
  /** Row of the requirements that the option or its bound comes from. */
  readonly requirement?: string
  readonly powerOfTwo?: boolean
  /** What 0 means, for an option that allows it below `min`; where it is `off`, that word may be given for it. */
  readonly zero?: string
}

interface NumberSpec<U extends Unit> extends Spec<U> {
  readonly default: number
}

const powersOfTwo = (min: number, max: number): ReadonlyArray<number> => {
  const powers: Array<number> = []
  for (let power = 1; power <= max; power *= 2) if (power >= min) powers.push(power)
  return powers
}

const kindOf = (spec: Spec<Unit>): string => {
  switch (spec.unit) {
    case "bytes":
      return spec.powerOfTwo === true ? "a power of two in bytes" : "a size in whole bytes"
    case "milliseconds":
      return "a time in milliseconds"
    default:
      return spec.powerOfTwo === true ? "a power of two" : "a whole number"
  }
}

/** The word that may be given for 0. */
const OFF = "off"

const textForms: Partial<Record<Unit, string>> = {
  bytes: `, or text such as "64KiB"`,
  milliseconds: `, or text such as "5 millis" or "5ms"`
}

const hintOf = (spec: Spec<Unit>) => (given: unknown): string | undefined => {
  const meant = meantText(spec.unit, given)
  if (meant !== undefined) return `did you mean "${meant}"?`
  const value = spec.powerOfTwo === true ? read(spec.unit, given) : undefined
  if (value === undefined) return undefined
  const powers = powersOfTwo(spec.min, spec.max)
  const next = powers.includes(value) ? undefined : powers.find((power) => power > value)
  return next === undefined ? undefined : `the next one is ${print(spec.unit, next)}`
}

const rightOf = (spec: Spec<Unit>): string => {
  const zero = spec.zero === undefined ? "" : spec.zero === OFF ? `"${OFF}" (0), or ` : `0 (${spec.zero}), or `
  const range = `from ${print(spec.unit, spec.min)} to ${print(spec.unit, spec.max)}`
  return `${zero}${kindOf(spec)} ${range}${textForms[spec.unit] ?? ""}`
}

const valueNames: Partial<Record<Unit, string>> = { bytes: "size", milliseconds: "time", percent: "percent" }

const infoOf = (spec: Spec<Unit>, byDefault: string): FieldInfo => ({
  description: spec.description,
  form: "text",
  value: valueNames[spec.unit] ?? "number",
  unit: spec.unit,
  right: rightOf(spec),
  default: byDefault,
  requirement: spec.requirement,
  shown: "value",
  hint: hintOf(spec),
  inner: undefined,
  json: Schema.Union([
    decodedNumber(spec),
    ...(spec.zero === OFF ? [Schema.Literal(OFF)] : []),
    Schema.String.check(Schema.isPattern(textOf(spec.unit)))
  ])
})

const decodedNumber = (spec: Spec<Unit>): Schema.Codec<number> => {
  if (spec.powerOfTwo === true) return Schema.Literals(powersOfTwo(spec.min, spec.max))
  const bounded = Schema.Finite.check(Schema.isBetween({ minimum: spec.min, maximum: spec.max }))
  const whole = spec.unit === "milliseconds" ? bounded : bounded.check(Schema.isInt())
  return spec.zero === undefined ? whole : Schema.Union([Schema.Literal(0), whole])
}

/** Where {@link FieldInfo} is kept in a field's annotations. */
const INFO = "sluice/option"

/** Where the fields of a group are kept in the annotations of the field that holds the group. */
const GROUP = "sluice/group"

/** A numeric option without a default: its key may be absent. */
const numeric = <U extends Unit>(spec: Spec<U>) =>
  Schema.declare((_: unknown): _ is UnitInput<U> | "off" => true).pipe(
    Schema.decodeTo(
      decodedNumber(spec),
      SchemaTransformation.transformEffect({
        decode: (given: UnitInput<U> | "off", options) => {
          const value = spec.zero === OFF && given === OFF ? 0 : read(spec.unit, given)
          return value === undefined
            ? Effect.fail(new SchemaIssue.InvalidValue({ expected: rightOf(spec) }, given, options))
            : Effect.succeed(value)
        },
        encode: (value: number) => Effect.succeed<UnitInput<U> | "off">(value as UnitInput<U>)
      })
    )
  )

/** A numeric option with a default. */
export const number = <const U extends Unit>(spec: NumberSpec<U>) =>
  numeric(spec).pipe(
    Schema.withDecodingDefaultType(Effect.succeed(spec.default))
  ).annotate({
    description: spec.description,
    default: spec.default,
    [INFO]: infoOf(spec, print(spec.unit, spec.default))
  })

/** A numeric option with a default, or one of a few words. */
export const numberOr = <const U extends Unit, const Word extends string>(
  spec: NumberSpec<U> & { readonly words: ReadonlyArray<Word> }
) => {
  const info = infoOf(spec, print(spec.unit, spec.default))
  return Schema.Union([literals(spec.words), numeric(spec)]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed(spec.default))
  ).annotate({
    description: spec.description,
    default: spec.default,
    [INFO]: {
      ...info,
      value: [info.value, ...spec.words].join("|"),
      right: `${eitherOf(spec.words)}, or ${info.right}`,
      hint: (given) => meantOf(spec.words)(given) ?? info.hint?.(given),
      json: Schema.Union([literals(spec.words), info.json])
    } satisfies FieldInfo
  })
}

/** A numeric option that may be absent; `absent` says what holds then. */
export const optionalNumber = <const U extends Unit>(spec: Spec<U> & { readonly absent: string }) =>
  Schema.optional(numeric(spec)).annotate({ description: spec.description, [INFO]: infoOf(spec, spec.absent) })

/** A value of this form in a JSON file. */
export const jsonOf = (form: Form): Schema.Codec<unknown> => {
  switch (form) {
    case "switch":
      return Schema.Boolean
    case "list":
      return Schema.Array(Schema.String)
    case "text":
      return Schema.String
  }
}

/** The annotations of an option that is not a mere number. */
export const described = (
  info:
    & Pick<FieldInfo, "description" | "right" | "default">
    & Partial<Pick<FieldInfo, "form" | "value" | "unit" | "requirement" | "shown" | "hint" | "inner" | "json">>
) => ({
  description: info.description,
  [INFO]: {
    form: "text",
    value: "text",
    unit: undefined,
    requirement: undefined,
    shown: "value",
    hint: undefined,
    inner: undefined,
    json: jsonOf(info.form ?? "text"),
    ...info
  } satisfies FieldInfo
})

/** Words to choose from, as a sentence has them: `"a", "b" or "c"`. */
export const eitherOf = (words: ReadonlyArray<string>): string =>
  words.map((word) => `"${word}"`).join(", ").replace(/, ([^,]*)$/, " or $1")

/** The word that was probably meant by a text that is none of them, worded to follow a message. */
export const meantOf = (words: ReadonlyArray<string>) => (given: unknown): string | undefined => {
  const meant = typeof given === "string" && !words.includes(given) ? mostLike(given, words) : undefined
  return meant === undefined ? undefined : `did you mean "${meant}"?`
}

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
    hint: meantOf(spec.words),
    json: literals(spec.words),
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

/** What an option is and what holds when it is not given, in one phrase. */
export const phraseOf = ({ default: byDefault, description }: Pick<FieldInfo, "description" | "default">): string =>
  byDefault === "none" ? description : `${description}; default: ${byDefault}`

/** Options in a JSON object, each of which may be left out. */
export const jsonOfFields = (fields: Schema.Struct.Fields): Schema.Codec<unknown> =>
  Schema.Struct(Object.fromEntries(
    infosOf(fields).map(([key, info]) => [
      key,
      Schema.optionalKey(info.json.annotate({ description: phraseOf(info) }))
    ])
  ))
