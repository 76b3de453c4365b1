/**
 * Lines of a screen: texts with styles, of an exact width in columns of the terminal.
 *
 * Terminals do not agree on how wide each character is. What is known to be wide counts twice, what joins the character
 * before it counts nothing; a screen whose lines don't wrap stays whole where a terminal sees it otherwise.
 */
import * as Util from "node:util"
import { printable } from "../Words.ts"

/** What a span is, from which its colours follow. */
export type Style = "strong" | "bad" | "warning" | "ok" | "dim" | "head" | "selected"

export interface Span {
  readonly text: string
  readonly style?: Style | undefined
}

export type ScreenLine = ReadonlyArray<Span>

/** Marks that stand on the character before them, and what is not seen at all. */
const JOINED = /^[\p{Mn}\p{Me}\p{Cf}]$/u
/** East Asian scripts, full-width forms, and pictures. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u

const widthOfCharacter = (character: string): number => {
  // most of what is shown is ASCII
  if (character <= "~") return 1
  return JOINED.test(character) ? 0 : WIDE.test(character) ? 2 : 1
}

/** Columns that a text takes. */
export const widthOf = (text: string): number => {
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** As much of the beginning of a text as has room, and how wide that is. */
const beginning = (characters: Iterable<string>, width: number): readonly [text: string, width: number] => {
  let text = ""
  let used = 0
  for (const character of characters) {
    const wide = widthOfCharacter(character)
    if (used + wide > width) break
    text += character
    used += wide
  }
  return [text, used]
}

/** A text that takes no more than this width: `…` stands for what is missing, at its end or at its start. */
export const cut = (text: string, width: number, keep: "start" | "end" = "start"): string => {
  if (widthOf(text) <= width) return text
  if (width <= 0) return ""
  if (keep === "start") return `${beginning(text, width - 1)[0]}…`
  // from its end: marks come before what they stand on, and are dropped with it
  const [reversed] = beginning(Array.from(text).reverse(), width - 1)
  return `…${Array.from(reversed).reverse().join("")}`
}

interface Fit {
  /** Which part of a text that is too long is kept. */
  readonly keep?: "start" | "end"
  readonly right?: boolean
}

/** A text in exactly this width. */
export const padded = (text: string, width: number, { keep, right = false }: Fit = {}): string => {
  const shown = cut(text, width, keep)
  const fill = " ".repeat(Math.max(0, width - widthOf(shown)))
  return right ? fill + shown : shown + fill
}

/** The same of a text from elsewhere, without anything that a terminal would obey. */
export const cell = (text: string, width: number, fit?: Fit): string => padded(printable(text), width, fit)

/** A line with no more than this width. */
export const fit = (line: ScreenLine, width: number): ScreenLine => {
  const fitted: Array<Span> = []
  let left = width
  for (const { style, text } of line) {
    if (left <= 0) break
    const [shown, used] = beginning(text, left)
    fitted.push({ text: shown, style })
    // a wide character that had no room ends the line
    left = shown.length < text.length ? 0 : left - used
  }
  return fitted
}

/** The text of a line, without spaces at its end. */
export const textOf = (line: ScreenLine): string => line.map(({ text }) => text).join("").trimEnd()

const styles: Readonly<Record<Style, Parameters<typeof Util.styleText>[0]>> = {
  strong: "bold",
  bad: ["bold", "red"],
  warning: "yellow",
  ok: "green",
  dim: "gray",
  head: "inverse",
  selected: ["bold", "inverse"]
}

/** A line for a terminal. */
export const paint = (line: ScreenLine, colours: boolean): string =>
  colours
    ? line.map(({ style, text }) =>
      style === undefined || text === "" ? text : Util.styleText(styles[style], text, { validateStream: false })
    ).join("")
    : textOf(line)
