/**
 * What went wrong, in one sentence for whoever called a command: what is the matter, and what to change.
 *
 * An error of a program says at each step what could not be done because of the step below. Whoever called `sluice` knows
 * what the command was to do, so the last step is enough.
 */
import type * as CliError from "effect/cli/CliError"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { mostLike } from "../../domain/options/Likeness.ts"
import { eitherOf } from "../../domain/options/OptionFields.ts"
import type * as Options from "../../domain/options/Options.ts"
import { type AttachFailed, ReloadFailed, WorkerOperationFailed } from "../../services/SessionLayer.ts"

/** Why `serve` or `proxy` could not attach its application. */
export const ofAttach = ({ reason }: AttachFailed, { listen }: Pick<Options.AppOptions, "listen">): string => {
  switch (reason._tag) {
    case "WorkerFailed":
      return listen.some((endpoint) => reason.detail.startsWith(`can't listen on ${Endpoint.format(endpoint)}: `))
        ? `${reason.detail} (--listen)`
        : reason.detail
    case "NoSuchNamespace":
      return `--namespace: ${reason.message}; this host has "default" and no other, so leave it out`
    case "WrongSecret":
      return `SLUICE_SECRET, or secret in the configuration file: ${reason.message}; leave it out if it has none`
    default:
      return reason.message
  }
}

/** Why a host did not do what it was asked to. A worker that was to start has failed for the same reasons as any other. */
export const ofOperation = (error: { readonly message: string }): string => {
  if (error instanceof ReloadFailed && error.reason._tag === "WorkerFailed") {
    return `${error.reason.detail}${error.outcome}`
  }
  const failed = error instanceof WorkerOperationFailed && error.reason._tag === "WorkerFailed"
    ? error.reason
    : undefined
  return failed?.detail ?? error.message
}

/** A value that was expected as one of several words, which Effect writes in this form. */
const CHOICES = /^"[^"|]+"(?: \| "[^"|]+")+$/

const wordsIn = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/"([\w-]+)"/g), ([, word = ""]) => word)

/** What a right value is, worded to follow "must be". */
const rightOf = (expected: string): string => {
  const text = expected.replace(/^Expected:? /, "")
  if (CHOICES.test(text)) return eitherOf(wordsIn(text))
  return text.includes("finite number") ? "a whole number" : text
}

const ofValue = ({ expected, kind, option, value }: CliError.InvalidValue): string => {
  const name = kind === "flag" ? `--${option}` : `<${option}>`
  const right = rightOf(expected)
  if (value === "") {
    return kind === "flag"
      ? `${name} has no value; give it ${right}, as in ${name}=…`
      : `${name} is empty; it must be ${right}`
  }
  const meant = mostLike(value, wordsIn(right))
  return `${name}: got ${JSON.stringify(value)}; it must be ${right}${
    meant === undefined ? "" : `; did you mean "${meant}"?`
  }`
}

const ofError = (error: CliError.NonShowHelpErrors): string => {
  if (error._tag === "InvalidValue") return ofValue(error)
  const [sentence = ""] = error.message.split("\n", 1)
  return "suggestions" in error && error.suggestions.length > 0
    ? `${sentence}; did you mean ${error.suggestions.join(" or ")}?`
    : sentence
}

/** What was wrong with a command line. A flag without its value says all: what follows it was read in another way. */
export const ofCall = (
  errors: ReadonlyArray<CliError.NonShowHelpErrors>,
  commandPath: ReadonlyArray<string>
): string => {
  const valueless = errors.filter((error) => error._tag === "InvalidValue" && error.value === "")
  return (valueless.length > 0 ? valueless : errors)
    .map((error) => `${ofError(error)} (see: ${commandPath.join(" ")} --help)`)
    .join("\n")
}
