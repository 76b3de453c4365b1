/**
 * What was thrown, in one line for whoever runs a program.
 */
import * as Formatter from "effect/Formatter"

/** Its first line: the rest is a stack. Anything may be thrown, even a value that can't be turned into text. */
export const sentenceOf = (thrown: unknown): string => {
  const text = thrown instanceof Error
    ? thrown.message || thrown.name
    : typeof thrown === "string"
    ? thrown
    : Formatter.format(thrown)
  return text.split("\n", 1)[0]!
}
