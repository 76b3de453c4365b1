/**
 * How many workers an application has: a number, or a range within which their number follows the load (X8).
 *
 * | text | |
 * |---|---|
 * | `4` | as many, from the start on |
 * | `2..8` | 2 at the start, and up to 8 |
 * | `auto` | 1 at the start, and up to one for each processor |
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { described } from "./OptionFields.ts"
import { read } from "./OptionUnits.ts"

/** The most workers that an application may have. */
export const MOST_WORKERS = 256

const RIGHT = `a whole number from 1 to ${MOST_WORKERS}, a range of them such as "2..8", or "auto"`

/** The fewest and the most workers. */
export interface WorkerRange {
  readonly least: number
  readonly most: number
}

const Count = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: MOST_WORKERS }))
const RANGE = /^\s*(\d+)\s*\.\.\s*(\d+)\s*$/

const decoded = Schema.Union([
  Count,
  Schema.Literal("auto"),
  Schema.Struct({ least: Count, most: Count }).check(
    Schema.makeFilter(({ least, most }) => least <= most ? undefined : { path: [], issue: RIGHT })
  )
])

/** A number, a range, or as many as there are processors. */
export type WorkerCount = typeof decoded.Type

/** What it is given as. */
export type WorkerCountInput = number | `${number}` | `${number}..${number}` | "auto" | WorkerRange

const isRange = (given: unknown): given is WorkerRange =>
  typeof given === "object" && given !== null && "least" in given && "most" in given

/** A range of one number is that number. */
const plain = (range: WorkerRange): WorkerCount => range.least === range.most ? range.least : range

const valueOf = (given: unknown): WorkerCount | undefined => {
  if (isRange(given)) return plain(given)
  const text = typeof given === "string" ? given.trim().toLowerCase() : ""
  if (text === "auto") return "auto"
  const [, least, most] = RANGE.exec(text) ?? []
  return least === undefined ? read("workers", given) : plain({ least: Number(least), most: Number(most) })
}

const hintOf = (given: unknown): string | undefined => {
  const [, first, last] = /^\s*(\d+)\s*(?:\.\.|\.\.\.|-|to|,)\s*(\d+)\s*$/.exec(String(given)) ?? []
  if (first === undefined) return undefined
  const [least, most] = [Number(first), Number(last)].sort((a, b) => a - b) as [number, number]
  return least < 1 || most > MOST_WORKERS ? undefined : `did you mean "${least}..${most}"?`
}

/** The option; its default is a number. */
export const workerCount = (spec: { readonly description: string; readonly default: number }) =>
  Schema.declare((_: unknown): _ is WorkerCountInput => true).pipe(
    Schema.decodeTo(
      decoded,
      SchemaTransformation.transformEffect({
        decode: (given: WorkerCountInput, options) => {
          const value = valueOf(given)
          return value === undefined
            ? Effect.fail(new SchemaIssue.InvalidValue({ expected: RIGHT }, given, options))
            : Effect.succeed(value)
        },
        encode: (value: WorkerCount) => Effect.succeed<WorkerCountInput>(value)
      })
    ),
    Schema.withDecodingDefaultType(Effect.succeed(spec.default))
  ).annotate(described({
    description: spec.description,
    value: "number|range|auto",
    unit: "workers",
    right: RIGHT,
    default: String(spec.default),
    requirement: "X8",
    hint: hintOf,
    json: Schema.Union([
      Count,
      Schema.String.check(Schema.isPattern(/^\s*(?:\d+\s*(?:\.\.\s*\d+)?|auto)\s*$/u))
    ])
  }))

/** The fewest and the most: the same for a fixed number. */
export const boundsOf = (count: WorkerCount, processors: number): WorkerRange =>
  typeof count === "number"
    ? { least: count, most: count }
    : count === "auto"
    ? { least: 1, most: Math.min(processors, MOST_WORKERS) }
    : count

/** The range within which their number follows the load; `undefined` where it is fixed. */
export const rangeOf = (count: WorkerCount, processors: number): WorkerRange | undefined =>
  typeof count === "number" ? undefined : boundsOf(count, processors)

/** As it is written: `4`, `2..8`, `auto`. */
export const format = (count: WorkerCount): string => typeof count === "object" ? formatRange(count) : String(count)

export const formatRange = ({ least, most }: WorkerRange): string => `${least}..${most}`
