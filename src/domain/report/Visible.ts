/**
 * Text that came from somewhere else, written so that nobody can use it to forge a line of a log or to command a
 * terminal: what they would obey is shown as an escape, as `\n` or `\u001b`.
 */

/** Control characters, other line ends, and what changes the direction of writing. */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escapeOf = (character: string): string =>
  SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** The text on one line. */
export const line = (text: string): string => text.replace(OBEYED, escapeOf)

/** The text with its own line ends; a tab becomes two spaces. */
export const lines = (text: string): ReadonlyArray<string> =>
  text.split(/\r?\n/).map((one) => line(one.replaceAll("\t", "  ")))
