/**
 * Units of the numeric options: how a value is written, as text and in a program, and how it is read.
 *
 * All places where an option can be given share this one grammar: flags, environment, configuration file, and programs.
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

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
  | "bits"
  | "pairs"
  | "workers"
  | "generations"
  | "port"
  | "MiB"

const timeUnits = {
  ns: "nanos",
  nano: "nanos",
  nanos: "nanos",
  nanosecond: "nanos",
  nanoseconds: "nanos",
  us: "micros",
  micro: "micros",
  micros: "micros",
  microsecond: "micros",
  microseconds: "micros",
  ms: "millis",
  msec: "millis",
  msecs: "millis",
  milli: "millis",
  millis: "millis",
  millisecond: "millis",
  milliseconds: "millis",
  s: "seconds",
  sec: "seconds",
  secs: "seconds",
  second: "seconds",
  seconds: "seconds",
  m: "minutes",
  min: "minutes",
  mins: "minutes",
  minute: "minutes",
  minutes: "minutes",
  h: "hours",
  hr: "hours",
  hrs: "hours",
  hour: "hours",
  hours: "hours",
  d: "days",
  day: "days",
  days: "days",
  week: "weeks",
  weeks: "weeks"
} as const satisfies Readonly<Record<string, Duration.Unit>>

/** A letter alone is a power of 1024, as it is for most programs that are told how much memory they may take. */
const sizeUnits = {
  B: "B",
  byte: "B",
  bytes: "B",
  k: "KiB",
  K: "KiB",
  Ki: "KiB",
  KiB: "KiB",
  kib: "KiB",
  m: "MiB",
  M: "MiB",
  Mi: "MiB",
  MiB: "MiB",
  mib: "MiB",
  g: "GiB",
  G: "GiB",
  Gi: "GiB",
  GiB: "GiB",
  gib: "GiB",
  kB: "kB",
  MB: "MB",
  GB: "GB"
} as const satisfies Readonly<Record<string, ByteSize.Unit>>

type Quantity<Name extends string> = `${number}${"" | " "}${Name}`

/**
 * A time: a number of milliseconds, text such as `"5 seconds"`, `"5s"` or `"100ms"`, or any other `Duration.Input`.
 *
 * @category models
 * @since 0.1.0
 */
export type TimeInput = Duration.Input | `${number}` | Quantity<keyof typeof timeUnits>

/**
 * A size: a number of bytes, text such as `"64KiB"`, `"64k"` or `"1.5 GiB"`, or any other `ByteSize.Input`. A letter
 * alone, as in `"64k"`, is a power of 1024; `kB`, `MB` and `GB` are powers of 1000.
 *
 * @category models
 * @since 0.1.0
 */
export type SizeInput = ByteSize.Input | `${number}` | Quantity<keyof typeof sizeUnits>

/**
 * What an option may be given as, by its unit.
 *
 * @category models
 * @since 0.1.0
 */
export type UnitInput<U extends Unit> = U extends "milliseconds" ? TimeInput
  : U extends "bytes" ? SizeInput
  : U extends "MiB" ? number | `${number}` | Quantity<keyof typeof sizeUnits>
  : U extends "percent" ? number | `${number}` | `${number}${"" | " "}%`
  : number | `${number}`

/** Whether a word is the name of a unit, of a time or a size. */
export const isUnit = (word: string): boolean => Object.hasOwn(timeUnits, word) || Object.hasOwn(sizeUnits, word)

const namesOf = (unit: Unit): ReadonlyArray<string> => {
  switch (unit) {
    case "milliseconds":
      return Object.keys(timeUnits)
    case "bytes":
    case "MiB":
      return Object.keys(sizeUnits)
    case "percent":
      return ["%"]
    default:
      return []
  }
}

const QUANTITY = String.raw`\+?(\d+(?:_\d+)*(?:\.\d+)?)`

/** The texts of a unit that have a meaning, whether or not they are within an option's bounds. */
export const textOf = (unit: Unit): RegExp => {
  const names = namesOf(unit)
  return new RegExp(
    String.raw`^\s*${QUANTITY}${names.length === 0 ? "" : String.raw`\s*(${names.join("|")})?`}\s*$`,
    "u"
  )
}

const bytesOf = (quantity: string, name: string | undefined): number | undefined =>
  name === undefined
    ? Number(quantity)
    : Option.getOrUndefined(
      Option.flatMap(ByteSize.fromString(`${quantity} ${sizeUnits[name as keyof typeof sizeUnits]}`), ByteSize.toNumber)
    )

const millisOf = (input: Duration.Input): number | undefined =>
  Option.getOrUndefined(Option.map(Duration.fromInput(input), Duration.toMillis))

const ofText = (unit: Unit, text: string): number | undefined => {
  const match = textOf(unit).exec(text)
  if (match === null) return undefined
  const [, digits = "", name] = match
  const quantity = digits.replaceAll("_", "")
  switch (unit) {
    case "bytes":
      return bytesOf(quantity, name)
    case "MiB": {
      const bytes = bytesOf(quantity, name ?? "MiB")
      return bytes === undefined ? undefined : bytes / MiB
    }
    case "milliseconds":
      return millisOf(`${quantity} ${timeUnits[(name ?? "ms") as keyof typeof timeUnits]}` as Duration.Input)
    default:
      return Number(quantity)
  }
}

const durationParts = new Set([
  "weeks",
  "days",
  "hours",
  "minutes",
  "seconds",
  "milliseconds",
  "microseconds",
  "nanoseconds"
])

const isNumbers = (values: ReadonlyArray<unknown>): boolean => values.every(Number.isFinite)

/** The forms of `Duration.Input` besides numbers and text. Effect's own decoder takes any object for a time: `{}` is 0. */
const isDurationInput = (given: unknown): given is Duration.Input => {
  if (typeof given === "bigint") return true
  if (typeof given !== "object" || given === null) return false
  if (Duration.isDuration(given)) return true
  if (Array.isArray(given)) return given.length === 2 && isNumbers(given)
  const parts = Object.entries(given).filter(([, value]) => value !== undefined)
  return parts.length > 0 && parts.every(([name]) => durationParts.has(name)) && isNumbers(parts.map(([, n]) => n))
}

/** The value in the unit; `undefined` for what has no meaning in it. Bounds are the option's own. */
export const read = (unit: Unit, given: unknown): number | undefined => {
  const value = typeof given === "number"
    ? given
    : typeof given === "string"
    ? ofText(unit, given)
    : unit === "bytes" && typeof given === "bigint"
    ? Number(given)
    : unit === "milliseconds" && isDurationInput(given)
    ? millisOf(given)
    : undefined
  return value !== undefined && Number.isFinite(value) ? value : undefined
}

/** Written so often, and with two meanings, that neither is taken. */
const ambiguous: Readonly<Record<string, string>> = { kb: "KiB", mb: "MiB", gb: "GiB" }

/** A text that has a meaning, for one without that is like it: in another case, or with a unit of two meanings. */
export const meantText = (unit: Unit, given: unknown): string | undefined => {
  if (typeof given !== "string" || read(unit, given) !== undefined) return undefined
  const [, quantity, name] = /^\s*([\d._]+\s*)([a-z]+)\s*$/i.exec(given) ?? []
  if (quantity === undefined || name === undefined) return undefined
  const lower = name.toLowerCase()
  const text = `${quantity}${ambiguous[lower] ?? lower}`
  return read(unit, text) === undefined ? undefined : text
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
