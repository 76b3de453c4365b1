/**
 * What was thrown, in a line for whoever starts a program.
 */
import * as Formatter from "effect/Formatter"

/** The first line of it: the rest is a stack. What is thrown may be anything, even what no text can be made of. */
export const sentenceOf = (thrown: unknown): string => {
  const text = thrown instanceof Error
    ? thrown.message || thrown.name
    : typeof thrown === "string"
    ? thrown
    : Formatter.format(thrown)
  return text.split("\n", 1)[0]!
}
