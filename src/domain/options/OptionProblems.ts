/**
 * What is wrong with options, in words: which option, what was given, what would be right, and for an unknown key the
 * option that was probably meant.
 */
import * as Formatter from "effect/Formatter"
import type * as SchemaIssue from "effect/SchemaIssue"
import { mostLike } from "./Likeness.ts"
import type { FieldInfo } from "./OptionFields.ts"

const lastKey = (option: string): string => option.slice(option.lastIndexOf(".") + 1)

const groupOf = (option: string): string => option.slice(0, option.lastIndexOf(".") + 1)

/** The options, and groups of options, that stand beside an option or a key. */
const siblings = (option: string, known: ReadonlyMap<string, FieldInfo>): ReadonlyArray<string> => {
  const group = groupOf(option)
  const within = Array.from(known.keys()).filter((name) => name.startsWith(group))
  return Array.from(new Set(within.map((name) => `${group}${name.slice(group.length).split(".")[0]}`)))
}

/** The option most like an unknown one, wherever that option is; a group only if it belongs in the same place. */
const meant = (unknown: string, known: ReadonlyMap<string, FieldInfo>): string | undefined =>
  mostLike(lastKey(unknown), new Set([...siblings(unknown, known), ...known.keys()]), lastKey)

/** What is wrong with an option, in words. */
export interface Told {
  readonly option: string
  readonly message: string
}

const told = (option: string, message: string): Told => ({ option, message })

interface Problem {
  readonly path: ReadonlyArray<PropertyKey>
  readonly unknownKey: boolean
  /** What would be right, if a rule between options says it; otherwise the option's `FieldInfo` has the words. */
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

/** The most problems that one error names: input from outside must not decide how long a message gets. */
const MOST_REASONS = 64

const LONGEST_GIVEN = 80

const shorten = (text: string): string => text.length > LONGEST_GIVEN ? `${text.slice(0, LONGEST_GIVEN - 1)}…` : text

/** A value as it is shown in a message: short, whatever it is. */
export const printGiven = (given: unknown): string => shorten(Formatter.format(given))

const kindOfValue = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`

/** What was given for an option that may contain secrets: only its kind, and where in the value it stands. */
const kindWithin = (value: unknown, path: ReadonlyArray<PropertyKey>): string =>
  path.length === 0 ? kindOfValue(value) : `${kindOfValue(value)} at ${shorten(path.map(String).join("."))}`

/** What was given for an option, what would be right, and what was probably meant. */
const wrong = (info: FieldInfo, given: unknown, right = info.right, kind = kindOfValue(given)): string => {
  const shown = given === undefined
    ? `the default is ${info.default}`
    : info.shown === "nothing"
    ? "got a value that is not shown"
    : `got ${info.shown === "kind" ? kind : printGiven(given)}`
  const hint = info.hint?.(given)
  return `${shown}; it must be ${right}${hint === undefined ? "" : `; ${hint}`}`
}

const explain = (
  input: unknown,
  { path, right, unknownKey }: Problem,
  known: ReadonlyMap<string, FieldInfo>
): Told => {
  // the value is left out: it may hold the secret
  if (path.length === 0) return told("options", `options: got ${kindOfValue(input)}; they must be an object`)
  const option = shorten(path.map(String).join("."))
  if (unknownKey) {
    // the value is left out: it may be a secret under a misspelled key
    const likely = meant(option, known)
    const hint = likely === undefined
      ? `the options here are ${siblings(option, known).map(lastKey).join(", ")}`
      : `did you mean ${likely}?`
    return told(option, `${option}: there is no such option; ${hint}`)
  }
  // within an option: an element of a list, the inside of a secret
  let depth = path.length
  while (depth > 1 && !known.has(path.slice(0, depth).map(String).join("."))) depth--
  const name = path.slice(0, depth).map(String).join(".")
  const info = known.get(name)
  if (info === undefined) return told(option, `${option}: got ${printGiven(at(input, path))}; it must be an object`)
  const [, ...within] = path.slice(depth)
  const inner = info.inner?.get(within.map(String).join("."))
  if (inner !== undefined) return told(name, `${option}: ${wrong(inner, at(input, path), right)}`)
  const kind = info.shown === "kind" ? kindWithin(at(input, path), path.slice(depth)) : undefined
  return told(name, `${name}: ${wrong(info, at(input, path.slice(0, depth)), right, kind)}`)
}

/**
 * What is wrong with `input`: the first 64 problems, each once. `issue` is what a schema with the options `known` has
 * found.
 */
export const tell = (
  issue: SchemaIssue.Issue,
  input: unknown,
  known: ReadonlyMap<string, FieldInfo>
): ReadonlyArray<Told> => {
  const all = problems(issue).slice(0, MOST_REASONS).map((problem) => explain(input, problem, known))
  // an option that breaks two of its own bounds is reported once
  return Array.from(new Map(all.map((told) => [told.message, told])).values())
}
